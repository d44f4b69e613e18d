package statistics

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/playmeter/playmeter/bucket"
)

// noticeDeleted ends the process where somebody deleted its folder, or its file: it would go on with what nobody can see, or
// open, any more. The next question starts another, over a new file.
func (d *Database) noticeDeleted() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed || d.process == nil || !d.process.running() {
		return
	}
	if _, err := os.Stat(filepath.Join(d.o.Folder, databaseFile)); d.holdsFolder() && !errors.Is(err, fs.ErrNotExist) {
		return
	}
	d.o.Log.Warn("statistics", "state", "the database was deleted, and is made again from the finished sessions", "folder", d.o.Folder)
	d.process.kill()
}

// holdsFolder tells whether the lock that is held is the one that lies in the folder.
func (d *Database) holdsFolder() bool {
	held, err := d.lock.Stat()
	there, err2 := os.Stat(d.lock.Name())
	return err == nil && err2 == nil && os.SameFile(held, there)
}

// takeFolder makes the folder, and takes it for this process.
func (d *Database) takeFolder() error {
	if err := os.MkdirAll(d.o.Folder, 0o700); err != nil {
		return fmt.Errorf("make the folder of the statistics: %w", err)
	}
	if err := os.Chmod(d.o.Folder, 0o700); err != nil {
		return fmt.Errorf("make the folder of the statistics private: %w", err)
	}
	lock, err := bucket.LockFolder(d.o.Folder)
	if err != nil {
		return err
	}
	if d.lock != nil {
		_ = d.lock.Close() // of what was deleted
	}
	d.lock = lock
	return nil
}
