package statistics

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/playmeter/playmeter/schemas"
)

// What is removed from a database stays in its file until something else happens to take the room. So where sessions were
// removed because they are old, or old days were made anew (by rules that mask more, say), the file is written
// anew, soon and at most once a day. A mark in the folder remembers that until it is done.
const (
	staleMark   = "stale"
	rewriteEach = 24 * time.Hour
	settledAge  = 2 // days: younger ones change with every run
)

func (d *Database) stalePath() string { return filepath.Join(d.o.Folder, staleMark) }

// noteStale sets the mark before a day is replaced, where what is there of it is to leave the file, too.
func (d *Database) noteStale(l *loadedMonth, w wanted) error {
	today := schemas.DayOf(d.o.Now().UnixNano())
	if _, there := l.days[w.day]; !there || len(w.names) > 0 && w.day > today-settledAge {
		return nil
	}
	if err := os.WriteFile(d.stalePath(), nil, 0o600); err != nil {
		return fmt.Errorf("note that the file of the statistics is to be written anew: %w", err)
	}
	return nil
}

func (d *Database) isStale() bool {
	_, err := os.Stat(d.stalePath())
	return err == nil
}

// writeAnew restarts the process over a new file, in which nothing is of what was removed.
func (d *Database) writeAnew(ctx context.Context) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed || d.process == nil {
		return nil
	}
	d.o.Log.Info("statistics", "state", "the file is written anew, without what was removed or replaced")
	d.process.close()
	d.rewrite = true
	if err := d.start(context.WithoutCancel(ctx)); err != nil {
		return err
	}
	if err := os.Remove(d.stalePath()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
