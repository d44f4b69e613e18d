package crypto

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// A Keyring is a folder with an installation's signing key and the list of all that it has
// ever had:
//
//   - signing, the private key as ssh-keygen writes it, mode 0600;
//   - allowed_signers, the public keys, newest first. Lines that an operator adds
//     or changes stay.
type Keyring struct {
	Signer  *Signer
	Allowed AllowedSigners
	// Made tells that the key is new.
	Made bool
}

// The files of a keyring.
const (
	signingFile = "signing"
	allowedFile = "allowed_signers"
)

// OpenKeyring reads the keys of a folder, which are made where they are missing. Of
// any number of processes that make one at the same time all get the same key.
func OpenKeyring(dir string, now time.Time) (*Keyring, error) {
	unlock, err := lockKeys(dir)
	if err != nil {
		return nil, fmt.Errorf("open keys: %w", err)
	}
	defer unlock()
	made := false
	signer, err := readSigner(dir)
	if errors.Is(err, fs.ErrNotExist) {
		if err = createSigner(dir, now); err == nil {
			made = true
			signer, err = readSigner(dir)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("open keys: %w", err)
	}
	allowed, err := allow(dir, signer, now)
	if err != nil {
		return nil, fmt.Errorf("open keys: %w", err)
	}
	return &Keyring{signer, allowed, made}, nil
}

// RotateKeyring makes a new key in the place of the one that is there, which stays among the
// allowed signers; its private half is gone. old is empty where there was none.
//
// When it fails, either key may be the one in force; the list holds both.
func RotateKeyring(dir string, now time.Time) (k *Keyring, old string, err error) {
	unlock, err := lockKeys(dir)
	if err != nil {
		return nil, "", fmt.Errorf("rotate keys: %w", err)
	}
	defer unlock()
	before, err := readSigner(dir)
	switch {
	case err == nil:
		old = before.Fingerprint()
		if _, err := allow(dir, before, now); err != nil {
			return nil, "", fmt.Errorf("rotate keys: %w", err)
		}
	case !errors.Is(err, fs.ErrNotExist):
		return nil, "", fmt.Errorf("rotate keys: %w", err)
	}
	signer, err := NewSigner()
	if err != nil {
		return nil, "", err
	}
	allowed, err := allow(dir, signer, now)
	if err == nil {
		err = writeSigner(dir, signer, now, os.Rename)
	}
	if err != nil {
		return nil, "", fmt.Errorf("rotate keys: %w", err)
	}
	return &Keyring{signer, allowed, true}, old, nil
}

// Lines is the list as its file has it, without comments, the newest key first.
func (k *Keyring) Lines() []byte {
	lines, _ := k.Allowed.Join(nil)
	return lines
}

// ReadAllowedSigners reads a list of allowed signers. Errors: fs.ErrNotExist.
func ReadAllowedSigners(path string) (AllowedSigners, error) {
	data, err := readSmall(path, MaxAllowedSigners)
	if err != nil {
		return AllowedSigners{}, err
	}
	list, err := ParseAllowedSigners(data)
	if err != nil {
		return list, fmt.Errorf("%s: %w", path, err)
	}
	return list, nil
}

// AllowedSignersFile is where a keyring's folder keeps its list.
func AllowedSignersFile(dir string) string { return filepath.Join(dir, allowedFile) }

func readSigner(dir string) (*Signer, error) {
	path := filepath.Join(dir, signingFile)
	data, err := readSmall(path, maxIdentityFile)
	if err != nil {
		return nil, err
	}
	s, err := ParseSigner(Secret(data))
	if err != nil {
		return nil, fmt.Errorf("%s: %w; restore it, or move it away to get a new one", path, err)
	}
	return s, nil
}

// createSigner makes the first key. One that another process has made meanwhile stays.
func createSigner(dir string, now time.Time) error {
	s, err := NewSigner()
	if err != nil {
		return err
	}
	if err := writeSigner(dir, s, now, os.Link); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}

func writeSigner(dir string, s *Signer, now time.Time, appear func(from, to string) error) error {
	file, err := s.File(keyComment(now))
	if err != nil {
		return err
	}
	return writeDurably(filepath.Join(dir, signingFile), []byte(file), appear)
}

func keyComment(now time.Time) string {
	return "playmeter signing key of " + now.UTC().Format(time.DateOnly)
}

// allow makes sure that the list of a folder holds a key.
func allow(dir string, s *Signer, now time.Time) (AllowedSigners, error) {
	path := AllowedSignersFile(dir)
	data, err := readSmall(path, MaxAllowedSigners)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return AllowedSigners{}, err
	}
	list, err := ParseAllowedSigners(data)
	if err != nil {
		return list, fmt.Errorf("%s: %w", path, err)
	}
	if list.lists(s.public) {
		return list, nil
	}
	data = append([]byte(s.AllowedLine(keyComment(now))+"\n"), data...)
	if err := writeDurably(path, data, os.Rename); err != nil {
		return list, err
	}
	return ParseAllowedSigners(data)
}
