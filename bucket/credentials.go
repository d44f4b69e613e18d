package bucket

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// rootKey is the file <Dir>/credentials: the key that may do everything. Anyone
// who can read the file could as well read the objects beside it.
type rootKey struct {
	AccessKey string `json:"access_key"`
	SecretKey string `json:"secret_key"`
}

func credentialsPath(dir string) string { return filepath.Join(dir, "credentials") }

// ensureCredentials reads the root key, or makes one the first time.
func ensureCredentials(dir string) (rootKey, error) {
	key, err := readCredentials(dir)
	if !errors.Is(err, fs.ErrNotExist) {
		return key, err
	}
	key = rootKey{AccessKey: "PM" + rand.Text()[:18], SecretKey: rand.Text() + rand.Text()[:14]}
	data, err := json.MarshalIndent(key, "", "  ")
	if err != nil {
		return rootKey{}, err
	}
	return key, writeFile(credentialsPath(dir), append(data, '\n'))
}

func readCredentials(dir string) (rootKey, error) {
	name := credentialsPath(dir)
	data, err := os.ReadFile(name)
	if err != nil {
		return rootKey{}, err
	}
	var key rootKey
	if err := json.Unmarshal(data, &key); err != nil {
		return rootKey{}, fmt.Errorf("%s: not the credentials that were written there; remove the file to get new ones", name)
	}
	if key.AccessKey == "" || len(key.SecretKey) < 8 {
		return rootKey{}, fmt.Errorf("%s: access_key or secret_key is missing or too short; remove the file to get new ones", name)
	}
	return key, nil
}

func endpointPath(dir string) string { return filepath.Join(dir, "endpoint") }

// writeEndpoint notes where the gateway of dir listens: a line with the address, and with TLS
// a second one with the file of its certificate.
func writeEndpoint(dir string, cfg Config) error {
	text := cfg.Endpoint + "\n"
	if cfg.Certificate != "" {
		text += cfg.Certificate + "\n"
	}
	return writeFile(endpointPath(dir), []byte(text))
}

// readEndpoint reads where the running gateway of dir listens.
func readEndpoint(dir string) (endpoint, certificate string, err error) {
	data, err := os.ReadFile(endpointPath(dir))
	endpoint, certificate, _ = strings.Cut(strings.TrimSuffix(string(data), "\n"), "\n")
	return endpoint, certificate, err
}

// writeFile writes a small private file in one instant, and durably.
func writeFile(name string, data []byte) error {
	f, err := os.CreateTemp(filepath.Dir(name), "."+filepath.Base(name)+"-*") // created 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(data)
	err = errors.Join(err, f.Sync(), f.Close())
	if err != nil {
		return err
	}
	if err := os.Rename(f.Name(), name); err != nil {
		return err
	}
	return syncPath(filepath.Dir(name))
}
