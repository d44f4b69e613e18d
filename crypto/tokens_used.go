package crypto

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// tokenUses writes down when tokens were last used, to the minute, in a file of its own: what
// goes wrong there harms no token.
//
//   - A token is written once a minute at most, and the file once a second.
//   - The one request that writes waits for the disk, and none for another process: while one holds
//     the folder's lock, a use is kept for later. What was not written when the process ends is lost.
type tokenUses struct {
	dir, path string

	mu      sync.Mutex
	minutes map[string]time.Time // by id: the last use that this process knows of
	waiting map[string]time.Time // those that are not in the file yet
	written time.Time            // when it was last tried
	writing bool
}

func newTokenUses(dir string) *tokenUses {
	return &tokenUses{dir: dir, path: filepath.Join(dir, tokensUsedFile), minutes: make(map[string]time.Time), waiting: make(map[string]time.Time)}
}

// note is told of each use of a token that is good.
func (u *tokenUses) note(id string, now time.Time) {
	uses := u.due(id, now)
	if uses == nil {
		return
	}
	err := u.write(uses)
	u.mu.Lock()
	defer u.mu.Unlock()
	u.writing = false
	if err != nil {
		return // they wait for the next time
	}
	for id, minute := range uses {
		if u.waiting[id].Equal(minute) {
			delete(u.waiting, id)
		}
	}
}

// due are the uses that are to be written now; nil: none.
func (u *tokenUses) due(id string, now time.Time) map[string]time.Time {
	u.mu.Lock()
	defer u.mu.Unlock()
	if minute := now.UTC().Truncate(time.Minute); minute.After(u.minutes[id]) {
		u.minutes[id], u.waiting[id] = minute, minute
	}
	if len(u.waiting) == 0 || u.writing || now.Sub(u.written).Abs() < time.Second {
		return nil
	}
	u.writing, u.written = true, now
	return maps.Clone(u.waiting)
}

// write adds uses to the file.
func (u *tokenUses) write(uses map[string]time.Time) error {
	unlock, err := tryLockKeys(u.dir)
	if err != nil {
		return err
	}
	defer unlock()
	all := u.read()
	for id, minute := range uses {
		if minute.After(all[id]) {
			all[id] = minute
		}
	}
	data, err := json.MarshalIndent(all, "", " ")
	if err != nil {
		return err
	}
	return writeDurably(u.path, append(data, '\n'), os.Rename)
}

// read is the file by token, without what waits. Nothing is known where it cannot be read: it
// begins anew then.
func (u *tokenUses) read() map[string]time.Time {
	all := make(map[string]time.Time)
	data, err := readSmall(u.path, maxTokensFile)
	if err == nil && json.Unmarshal(data, &all) == nil && all != nil {
		return all
	}
	return make(map[string]time.Time)
}
