package crypto

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
)

// The folder of keys: any number of processes read and change its files at the same time.
//
//   - Who changes one holds the folder's lock, writes the file whole under another name, syncs
//     it, and renames it. So nobody ever reads half a file, a crash leaves the old or the
//     new one, and of two changes none is lost.
//   - Who reads one needs no lock.

// keyFiles are all files of the folder.
var keyFiles = []string{signingFile, allowedFile, readersFile, readersKeyFile, tokensFile, tokensUsedFile, pseudonymsFile}

// lockKeys makes the folder, its owner's alone, and waits until no other process is at it.
func lockKeys(dir string) (unlock func(), err error) { return lockFolder(dir, syscall.LOCK_EX) }

// tryLockKeys is lockKeys for those who would rather not than wait.
func tryLockKeys(dir string) (unlock func(), err error) {
	return lockFolder(dir, syscall.LOCK_EX|syscall.LOCK_NB)
}

func lockFolder(dir string, how int) (unlock func(), err error) {
	err = os.Mkdir(dir, 0o700)
	switch {
	case err == nil:
		err = syncFolder(filepath.Dir(dir))
	case errors.Is(err, fs.ErrExist):
		err = os.Chmod(dir, 0o700)
	}
	if err != nil {
		return nil, err
	}
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), how); err != nil {
		f.Close()
		return nil, fmt.Errorf("lock %s: %w", dir, err)
	}
	if err := sweepKeys(dir); err != nil {
		f.Close()
		return nil, err
	}
	return func() { f.Close() }, nil
}

// sweepKeys removes what a process left that was killed while it wrote: it may be a key.
func sweepKeys(dir string) error {
	entries, err := os.ReadDir(dir)
	for _, e := range entries {
		ours := func(name string) bool { return strings.HasPrefix(e.Name(), "."+name+"-") }
		if slices.ContainsFunc(keyFiles, ours) {
			err = errors.Join(err, os.Remove(filepath.Join(dir, e.Name())))
		}
	}
	return err
}

func readSmall(path string, limit int64) ([]byte, error) {
	f, err := openSmall(path, limit)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(f)
}

func openSmall(path string, limit int64) (*os.File, error) {
	info, err := os.Stat(path) // opening a pipe would wait for somebody to write to it
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > limit {
		return nil, fmt.Errorf("%s: no file of this kind: it is larger than %d bytes, or none at all", path, limit)
	}
	return os.Open(path)
}

// writeDurably writes a private file whole under another name, and lets it appear under
// its own. Whoever calls it holds the folder's lock.
func writeDurably(path string, data []byte, appear func(from, to string) error) error {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*") // made 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // gone already where it was renamed
	_, err = f.Write(data)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := appear(f.Name(), path); err != nil {
		return err
	}
	return syncFolder(filepath.Dir(path))
}

// A watchedFile is the content of a file that other processes may replace at any time: each
// load looks whether it is still the one that was read, and reads it again where not.
//
// The file that was read stays open for as long as it is the one in force. So its
// inode's number is not given to another, and the same number means the same file, however fast
// one replacement follows the other. Time and size show changes of a file that was not replaced.
type watchedFile[T any] struct {
	path  string
	limit int64                   // bytes
	parse func([]byte) (T, error) // nil: there is no file

	mu    sync.Mutex
	read  bool
	file  *os.File // nil: there is none
	info  fs.FileInfo
	value T
}

// load is the content as it is now. It must not be changed by who gets it.
func (w *watchedFile[T]) load() (T, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.read {
		now, err := os.Stat(w.path)
		switch {
		case w.file == nil && errors.Is(err, fs.ErrNotExist):
			return w.value, nil
		case w.file != nil && err == nil && sameVersion(w.info, now):
			return w.value, nil
		}
	}
	w.forget()
	err := w.reload()
	if err != nil {
		w.forget()
	}
	return w.value, err
}

func (w *watchedFile[T]) forget() {
	var none T
	if w.file != nil {
		w.file.Close()
	}
	w.read, w.file, w.info, w.value = false, nil, nil, none
}

func (w *watchedFile[T]) reload() (err error) {
	var data []byte
	w.file, err = openSmall(w.path, w.limit)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		w.file = nil
	case err != nil:
		return err
	default:
		// What is written to the file after this has another time or size, and is seen by the next load.
		if w.info, err = w.file.Stat(); err != nil {
			return err
		}
		if data, err = io.ReadAll(io.LimitReader(w.file, w.limit)); err != nil {
			return err
		}
	}
	if w.value, err = w.parse(data); err != nil {
		return fmt.Errorf("%s: %w", w.path, err)
	}
	w.read = true
	return nil
}

func sameVersion(a, b fs.FileInfo) bool {
	return os.SameFile(a, b) && a.ModTime().Equal(b.ModTime()) && a.Size() == b.Size()
}
