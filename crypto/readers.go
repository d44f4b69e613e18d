package crypto

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Readers are the accounts that tenants have at the embedded object store: a name, which is
// the S3 access key, and a secret key. What one may read is not kept here but in the bucket's
// policy.
//
//   - <dir>/readers: names, times and sealed secrets. JSON.
//   - <dir>/readers.key: the key that they are sealed with, made with the first reader.
//
// The signatures of S3 are made with the secret itself, and checking one takes the secret
// again: so a hash of it would not do. It is sealed (AES-256-GCM, bound to the name) under a key
// in another file. That protects a copy of the file readers alone, such as one in a
// backup or in a ticket. It does not protect from who can read the folder.
//
// Any number of processes may use a folder at the same time; what one changes the others see
// with their next question. A Readers is safe for concurrent use.
type Readers struct {
	dir  string
	list watchedFile[readerList]
	key  watchedFile[cipher.AEAD]
}

// A Reader is an account without its secret.
type Reader struct {
	Name    string    `json:"name"`
	Created time.Time `json:"created"`
	Rotated time.Time `json:"rotated,omitzero"` // zero: never
}

// The bounds of readers.
const (
	// MaxReaders is how many there can be.
	MaxReaders     = 10_000
	maxReadersFile = 8 << 20
)

// The files of readers.
const (
	readersFile    = "readers"
	readersKeyFile = "readers.key"
	readersSchema  = "playmeter.readers/1"
)

// Questions about readers.
var (
	ErrReaderExists  = errors.New("there is a reader of that name already")
	ErrReaderUnknown = errors.New("there is no reader of that name")
)

// storedReader is a reader as the file has it: sealed is a nonce of 12 bytes, then the
// ciphertext.
type storedReader struct {
	Reader
	Sealed []byte `json:"sealed"`
}

type readerList struct {
	Schema  string         `json:"schema"`
	Readers []storedReader `json:"readers"` // by name
}

// OpenReaders are the readers of a folder, which need not exist yet.
func OpenReaders(dir string) *Readers {
	r := &Readers{dir: dir}
	r.list = watchedFile[readerList]{path: filepath.Join(dir, readersFile), limit: maxReadersFile, parse: parseReaders}
	r.key = watchedFile[cipher.AEAD]{path: filepath.Join(dir, readersKeyFile), limit: 4096, parse: parseReadersKey}
	return r
}

var readerName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{2,63}$`)

// CheckReaderName says what is wrong with a reader's name.
func CheckReaderName(name string) error {
	if !readerName.MatchString(name) {
		return fmt.Errorf("reader %s: a name has 3 to 64 of A-Z a-z 0-9 . _ -, the first a letter or digit", showName(name))
	}
	if strings.HasPrefix(name, "ASIA") {
		return fmt.Errorf("reader %s: S3 takes a name that begins with ASIA for one that lasts an hour, and wants a session with it; choose another", name)
	}
	return nil
}

// showName is a name in a message: as it is where it can be one, else quoted and short.
func showName(name string) string {
	if readerName.MatchString(name) {
		return name
	}
	return strconv.Quote(shorten(name))
}

// Add makes a reader and its secret, which is told this one time. Errors: ErrReaderExists.
func (r *Readers) Add(name string, now time.Time) (Secret, error) {
	if err := CheckReaderName(name); err != nil {
		return "", err
	}
	return r.change("add", name, func(list *readerList, at int, there bool, seal sealer) (Secret, error) {
		switch {
		case there:
			return "", ErrReaderExists
		case len(list.Readers) >= MaxReaders:
			return "", fmt.Errorf("there are %d readers, and no more can be; remove some", MaxReaders)
		}
		secret, sealed := seal(name)
		added := storedReader{Reader{Name: name, Created: now.UTC().Truncate(time.Second)}, sealed}
		list.Readers = slices.Insert(list.Readers, at, added)
		return secret, nil
	})
}

// Rotate gives a reader a new secret; the old one is good for nothing from now on.
// Errors: ErrReaderUnknown.
func (r *Readers) Rotate(name string, now time.Time) (Secret, error) {
	return r.change("rotate the key of", name, func(list *readerList, at int, there bool, seal sealer) (Secret, error) {
		if !there {
			return "", ErrReaderUnknown
		}
		secret, sealed := seal(name)
		list.Readers[at].Sealed, list.Readers[at].Rotated = sealed, now.UTC().Truncate(time.Second)
		return secret, nil
	})
}

// Remove takes a reader away. Errors: ErrReaderUnknown.
func (r *Readers) Remove(name string) error {
	_, err := r.change("remove", name, func(list *readerList, at int, there bool, _ sealer) (Secret, error) {
		if !there {
			return "", ErrReaderUnknown
		}
		list.Readers = slices.Delete(list.Readers, at, at+1)
		return "", nil
	})
	return err
}

// List are all readers, by name.
func (r *Readers) List() ([]Reader, error) {
	list, err := r.list.load()
	if err != nil {
		return nil, fmt.Errorf("list readers: %w", err)
	}
	all := make([]Reader, len(list.Readers))
	for i := range list.Readers {
		all[i] = list.Readers[i].Reader
	}
	return all, nil
}

// Secret is the secret key of a reader, as it is now. ok is false where there is no such reader.
func (r *Readers) Secret(name string) (secret Secret, ok bool, err error) {
	list, err := r.list.load()
	if err != nil {
		return "", false, fmt.Errorf("look up reader %s: %w", showName(name), err)
	}
	at, ok := list.find(name)
	if !ok {
		return "", false, nil
	}
	key, err := r.loadKey()
	if err == nil {
		secret, err = list.Readers[at].open(key)
	}
	if err != nil {
		return "", false, fmt.Errorf("look up reader %s: %w", name, err)
	}
	return secret, true, nil
}

func (l readerList) find(name string) (at int, ok bool) {
	return slices.BinarySearchFunc(l.Readers, name, func(r storedReader, name string) int { return strings.Compare(r.Name, name) })
}

func (r *storedReader) open(key cipher.AEAD) (Secret, error) {
	n := key.NonceSize()
	if len(r.Sealed) < n {
		return "", errReadersKey
	}
	plain, err := key.Open(nil, r.Sealed[:n], r.Sealed[n:], []byte(r.Name))
	if err != nil {
		return "", errReadersKey
	}
	return Secret(plain), nil
}

var errReadersKey = fmt.Errorf("the secret does not open: %s and %s do not belong together, or one was altered; restore both, or remove the reader and add it again", readersFile, readersKeyFile)

// loadKey is the key in force; parse gave nil where the file is missing.
func (r *Readers) loadKey() (cipher.AEAD, error) {
	key, err := r.key.load()
	if err == nil && key == nil {
		err = fmt.Errorf("%s is missing: restore it; or remove %s, too, and add the readers again", r.key.path, readersFile)
	}
	return key, err
}

// sealer makes a new secret for a name, and seals it.
type sealer func(name string) (Secret, []byte)

func newSealer(key cipher.AEAD) sealer {
	return func(name string) (Secret, []byte) {
		secret := rand.Text() + rand.Text()[:14] // 40 characters: some S3 clients take no more
		nonce := make([]byte, key.NonceSize(), key.NonceSize()+len(secret)+key.Overhead())
		rand.Read(nonce) // never fails
		return Secret(secret), key.Seal(nonce, nonce, []byte(secret), []byte(name))
	}
}

type readerChange func(list *readerList, at int, there bool, seal sealer) (Secret, error)

// change does one change of the list, alone among all processes. When it fails, the change
// may still be stored.
func (r *Readers) change(op, name string, change readerChange) (Secret, error) {
	wrap := func(err error) error { return fmt.Errorf("%s reader %s: %w", op, showName(name), err) }
	unlock, err := lockKeys(r.dir)
	if err != nil {
		return "", wrap(err)
	}
	defer unlock()
	was, err := r.list.load()
	if err != nil {
		return "", wrap(err)
	}
	key, err := r.keyToSealWith(len(was.Readers) == 0)
	if err != nil {
		return "", wrap(err)
	}
	list := readerList{readersSchema, slices.Clone(was.Readers)}
	at, there := list.find(name)
	secret, err := change(&list, at, there, newSealer(key))
	if err != nil {
		return "", wrap(err)
	}
	data, err := json.MarshalIndent(list, "", " ")
	if err == nil {
		err = writeDurably(r.list.path, append(data, '\n'), os.Rename)
	}
	if err != nil {
		return "", wrap(err)
	}
	return secret, nil
}

// keyToSealWith makes the key where it is missing and nothing is sealed with another.
func (r *Readers) keyToSealWith(none bool) (cipher.AEAD, error) {
	if _, err := os.Stat(r.key.path); !none || !errors.Is(err, fs.ErrNotExist) {
		return r.loadKey()
	}
	key := make([]byte, 32)
	rand.Read(key)
	if err := writeDurably(r.key.path, []byte(hex.EncodeToString(key)+"\n"), os.Rename); err != nil {
		return nil, err
	}
	return r.loadKey()
}

func parseReaders(data []byte) (readerList, error) {
	var list readerList
	if data == nil {
		return list, nil
	}
	err := json.Unmarshal(data, &list)
	switch {
	case err != nil:
		return readerList{}, errors.New("is not what was written there; restore it, or move it away to begin without readers")
	case list.Schema != readersSchema:
		return readerList{}, fmt.Errorf("has schema %q, and this version reads %s", shorten(list.Schema), readersSchema)
	}
	for i := 1; i < len(list.Readers); i++ {
		if list.Readers[i-1].Name >= list.Readers[i].Name {
			return readerList{}, errors.New("was edited: its readers must stand in order of their names, each once")
		}
	}
	return list, nil
}

func parseReadersKey(data []byte) (cipher.AEAD, error) {
	if data == nil {
		return nil, nil
	}
	key, err := hex.DecodeString(strings.TrimSpace(string(data)))
	if err != nil || len(key) != 32 {
		return nil, errors.New("is no key of 64 hex digits; restore it")
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}
