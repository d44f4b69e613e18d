package statistics

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// address is where the engine of a folder answers, and the secret that it asks for. Who can read the file could read the
// database beside it as well.
type address struct {
	URL    string `json:"url"`
	Secret string `json:"secret"`
}

func addressPath(folder string) string { return filepath.Join(folder, "address") }

func writeAddress(folder string, a address) error {
	data, err := json.Marshal(a)
	if err != nil {
		return err
	}
	temp := addressPath(folder) + ".new"
	if err := os.WriteFile(temp, data, 0o600); err != nil {
		return fmt.Errorf("write where the statistics answer: %w", err)
	}
	return os.Rename(temp, addressPath(folder))
}

func readAddress(folder string) (a address, err error) {
	data, err := os.ReadFile(addressPath(folder))
	if err != nil {
		return a, err
	}
	return a, json.Unmarshal(data, &a)
}

func removeAddress(folder string) error {
	if err := os.Remove(addressPath(folder)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
