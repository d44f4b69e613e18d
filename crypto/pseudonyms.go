package crypto

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Pseudonyms is the key under which viewers get pseudonyms: the file pseudonyms of a keys folder, 64 hex
// digits. Who has it can find out whose a pseudonym is by trying; without it nobody can. Where the
// key is destroyed, pseudonyms lead back to nobody any more.
type Pseudonyms struct{ key []byte }

const pseudonymsFile = "pseudonyms"

// OpenPseudonyms reads the key of a folder. Where it is missing it is made, or, if it need not be
// there, nil.
func OpenPseudonyms(dir string, needed bool) (*Pseudonyms, error) {
	if _, err := os.Stat(filepath.Join(dir, pseudonymsFile)); !needed && errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	unlock, err := lockKeys(dir)
	if err != nil {
		return nil, fmt.Errorf("open the key of pseudonyms: %w", err)
	}
	defer unlock()
	path := filepath.Join(dir, pseudonymsFile)
	data, err := readSmall(path, 1024)
	if errors.Is(err, fs.ErrNotExist) {
		data = []byte(hex.EncodeToString(randomBytes(32)) + "\n")
		err = writeDurably(path, data, os.Link)
	}
	if err != nil {
		return nil, fmt.Errorf("open the key of pseudonyms: %w", err)
	}
	key, err := hex.DecodeString(strings.TrimSpace(string(data)))
	if err != nil || len(key) != 32 {
		return nil, fmt.Errorf("%s: not the 64 hex digits that were written there: restore it; with another key one viewer would get two pseudonyms", path)
	}
	return &Pseudonyms{key}, nil
}

func randomBytes(n int) []byte {
	b := make([]byte, n)
	rand.Read(b) // never fails
	return b
}

// Fingerprint names the key, and tells nothing of it; empty for none.
func (p *Pseudonyms) Fingerprint() string {
	if p == nil {
		return ""
	}
	return "hmac:" + hex.EncodeToString(p.derive("fingerprint", "")[:8])
}

// Key is the key of one tenant's pseudonyms: those of different tenants have nothing in common.
func (p *Pseudonyms) Key(tenant string) []byte { return p.derive("tenant", tenant) }

func (p *Pseudonyms) derive(purpose, name string) []byte {
	h := hmac.New(sha256.New, p.key)
	fmt.Fprintf(h, "playmeter pseudonyms %s %s", purpose, name)
	return h.Sum(nil)
}
