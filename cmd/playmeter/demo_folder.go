package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/playmeter/playmeter/accounting/sample"
	"github.com/playmeter/playmeter/crypto"
	"github.com/playmeter/playmeter/schemas"
)

// startFolder is where the program was started: the embedded store moves to
// another one while it is open.
var startFolder, _ = os.Getwd()

// prepareFolder makes <data-dir>/demo with a key for each tenant, and the
// configuration that names them.
func (d *demo) prepareFolder() error {
	data := d.dataDir
	if data == "" {
		data = os.Getenv(EnvPrefix + "DATA_DIR")
	}
	if data == "" {
		data = DefaultConfig().DataDir
	}
	data, err := filepath.Abs(data)
	if err != nil {
		return err
	}
	if err := makePrivate(data); err != nil {
		return fmt.Errorf("make the data directory: %w; choose another with --data-dir", err)
	}
	d.dataDir, d.folder = data, filepath.Join(data, "demo")
	if err := os.MkdirAll(d.folder, 0o700); err != nil {
		return fmt.Errorf("make the folder of the demo: %w", err)
	}
	recipients := map[string]crypto.Recipient{}
	for _, t := range sample.Tenants() {
		if recipients[t.ID], err = ensureKey(d.keyFile(schemas.Tenant(t.ID))); err != nil {
			return err
		}
	}
	return d.ensureConfig(data, recipients)
}

// ensureKey reads the public key of an identity file, which is made where it is missing.
func ensureKey(path string) (crypto.Recipient, error) {
	secret, public, err := crypto.NewIdentity()
	if err != nil {
		return public, err
	}
	err = crypto.WriteIdentityFile(path, secret, public, time.Now())
	if !errors.Is(err, fs.ErrExist) {
		return public, err
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return public, fmt.Errorf("read the key of the last demo: %w", err)
	}
	for line := range strings.Lines(string(text)) {
		if key, ok := strings.CutPrefix(strings.TrimSpace(line), "# public key: "); ok {
			return crypto.ParseRecipient(key)
		}
	}
	return public, fmt.Errorf("read the key of the last demo: %s names no public key; remove the file to get a new one", path)
}

// ensureConfig writes the configuration where there is none yet.
func (d *demo) ensureConfig(data string, recipients map[string]crypto.Recipient) error {
	own := filepath.Join(d.folder, DefaultConfigFile)
	if d.configFile == "" {
		d.configFile = nearby(own)
	}
	path, err := filepath.Abs(d.configFile)
	if err != nil {
		return err
	}
	dataDir := strconv.Quote(data)
	if path == own {
		dataDir = ".." // so that the whole can be moved
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil
	} else if err != nil {
		return fmt.Errorf("write the configuration of the demo: %w", err)
	}
	_, err = f.WriteString(demoConfig(dataDir, recipients))
	return errors.Join(err, f.Close())
}

func demoConfig(dataDir string, recipients map[string]crypto.Recipient) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# Made by \"playmeter demo\". Change what you like: what is there stays.\ndata_dir: %s\n\ntenants:\n", dataDir)
	for _, t := range sample.Tenants() {
		fmt.Fprintf(&b, "  - id: %s\n    name: %s\n    grants:\n      - recipient: %s\n        reports: [usage, sessions]\n", t.ID, t.Name, recipients[t.ID])
	}
	return b.String()
}

// madeMonth is what the demo notes of a month that it has made, so that
// the next one makes the same.
type madeMonth struct {
	Events int    `json:"events"` // of the whole month
	Seed   uint64 `json:"seed"`
}

func (d *demo) notesFile() string { return filepath.Join(d.folder, "sample.json") }

// notes are the months made so far.
func (d *demo) notes() (map[string]madeMonth, error) {
	made := map[string]madeMonth{}
	text, err := os.ReadFile(d.notesFile())
	if errors.Is(err, fs.ErrNotExist) {
		return made, nil
	} else if err == nil {
		err = json.Unmarshal(text, &made)
	}
	if err != nil {
		return nil, fmt.Errorf("read what the last demo made: %w", err)
	}
	return made, nil
}

func (d *demo) writeNotes(made map[string]madeMonth) error {
	text, err := json.MarshalIndent(made, "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(d.notesFile(), append(text, '\n'), 0o600); err != nil {
		return fmt.Errorf("note what the demo makes: %w", err)
	}
	return nil
}
