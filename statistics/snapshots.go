package statistics

import (
	"context"
	"database/sql"
	"errors"
	"sync"
	"time"
)

// snapshots are the states of the database that several questions are asked of: each sees what the first one saw, whatever
// is loaded meanwhile.
type snapshots struct {
	mu   sync.Mutex
	open map[string]*snapshot
}

// snapshot is a transaction that does nothing but read.
type snapshot struct {
	mu   sync.Mutex // one question at a time
	conn *sql.Conn  // nil: it has ended
	idle *time.Timer
}

// How many there are at once, and how long nothing may be asked of one. Each keeps the database from using the room of
// what was replaced since.
const (
	maxSnapshots = 16
	maxIdle      = 10 * time.Minute
)

var errSnapshot = errors.New("nothing was asked of this state of the statistics for too long")

// of finds a snapshot, or begins one.
func (s *snapshots) of(ctx context.Context, db *sql.DB, q *question) (*snapshot, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if found := s.open[q.Snapshot]; found != nil {
		return found, nil
	}
	if !q.Begin {
		return nil, errSnapshot
	}
	if len(s.open) >= maxSnapshots {
		return nil, errBusy
	}
	c, err := db.Conn(context.WithoutCancel(ctx))
	if err != nil {
		return nil, err
	}
	if _, err := c.ExecContext(context.WithoutCancel(ctx), "BEGIN TRANSACTION READ ONLY"); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	out := &snapshot{conn: c}
	out.idle = time.AfterFunc(maxIdle, func() { s.end(q.Snapshot) })
	if s.open == nil {
		s.open = map[string]*snapshot{}
	}
	s.open[q.Snapshot] = out
	return out, nil
}

// read asks a snapshot.
func (s *snapshots) read(ctx context.Context, db *sql.DB, q *question) (*answer, error) {
	at, err := s.of(ctx, db, q)
	if err != nil {
		return nil, err
	}
	at.mu.Lock()
	defer at.mu.Unlock()
	if at.conn == nil {
		return nil, errSnapshot
	}
	at.idle.Reset(maxIdle)
	rows, err := at.conn.QueryContext(ctx, q.Statements[0].SQL, q.Statements[0].Args...)
	if err != nil {
		return nil, err
	}
	return collect(rows, q.Limit, q.most())
}

// end gives a snapshot up; one that is not there has ended.
func (s *snapshots) end(id string) {
	s.mu.Lock()
	at := s.open[id]
	delete(s.open, id)
	s.mu.Unlock()
	if at == nil {
		return
	}
	at.mu.Lock()
	defer at.mu.Unlock()
	at.idle.Stop()
	_, _ = at.conn.ExecContext(context.Background(), "ROLLBACK") // it wrote nothing
	_ = at.conn.Close()
	at.conn = nil
}
