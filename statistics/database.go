package statistics

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/playmeter/playmeter/bucket"
	"github.com/playmeter/playmeter/schemas"
)

// Options are what a Database needs.
type Options struct {
	Folder   string         // its own; made with 0700
	Metering *bucket.Bucket // whose commits it follows
	Memory   int64          // bytes that the database may take; 0: DefaultMemory
	Temp     int64          // bytes that it may put aside on the disk; 0: DefaultTemp
	Threads  int            // 0: DefaultThreads
	Log      *slog.Logger
	Now      func() time.Time // nil: time.Now
}

// What a database takes where nothing else is said.
const (
	DefaultMemory  = 1 << 30
	DefaultTemp    = 20 << 30
	DefaultThreads = 2
)

// Database is the statistics as the daemon holds them. It is safe for concurrent use.
type Database struct {
	o    Options
	lock *os.File

	slots   chan struct{} // of questions of pages that are answered at once
	exports chan struct{} // and of exports

	mu      sync.Mutex
	process *process // nil: none runs
	failed  int      // starts in a row that came to nothing
	again   time.Time
	closed  bool
	rewrite bool      // the next start writes the file anew
	fresh   time.Time // when it was, last

	following
}

// How questions are answered.
const (
	atOnce        = 3                // so many of pages
	exportsAtOnce = 1                // and of exports, which are never in the way of pages
	patience      = 10 * time.Second // so long a question waits for its turn
	longest       = 20 * time.Second // and may take
	longestPage   = 45 * time.Second // and all of a page
	longestExport = 5 * time.Minute  // and one of an export, for its turn as well
)

// Open opens the statistics of a folder, or makes them: it starts their process. Where that does not start, it is tried
// again when something is asked.
//
//   - Errors: bucket.ErrLocked where another process has them open.
func Open(ctx context.Context, o Options) (*Database, error) {
	if o.Memory == 0 {
		o.Memory = DefaultMemory
	}
	if o.Temp == 0 {
		o.Temp = DefaultTemp
	}
	if o.Threads == 0 {
		o.Threads = DefaultThreads
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	folder, err := filepath.Abs(o.Folder)
	if err != nil {
		return nil, err
	}
	o.Folder = folder
	d := &Database{o: o, slots: make(chan struct{}, atOnce), exports: make(chan struct{}, exportsAtOnce), following: newFollowing()}
	if err := d.takeFolder(); err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.start(ctx); err != nil {
		if ctx.Err() != nil {
			return nil, errors.Join(ctx.Err(), d.lock.Close())
		}
		d.notStarted(err)
	}
	return d, nil
}

// Remove removes the statistics of a folder, with the folder; removed tells whether there were any.
//
//   - Errors: bucket.ErrLocked where a process has them open.
func Remove(folder string) (removed bool, err error) {
	if _, err := os.Stat(folder); errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	lock, err := bucket.LockFolder(folder)
	if err != nil {
		return false, err
	}
	return true, errors.Join(os.RemoveAll(folder), lock.Close())
}

// Close ends the process of the statistics. Questions that are being answered get ErrDown.
func (d *Database) Close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return nil
	}
	d.closed = true
	if d.process != nil {
		d.process.close()
	}
	if !d.holdsFolder() {
		return d.lock.Close()
	}
	return errors.Join(removeAddress(d.o.Folder), d.lock.Close())
}

// engine is the process that answers; one that ended is started again, after a while if it ends over and over.
func (d *Database) engine(ctx context.Context) (*process, error) {
	if err := d.lockSoon(ctx); err != nil {
		return nil, err
	}
	defer d.mu.Unlock()
	switch {
	case d.closed:
		return nil, fmt.Errorf("%w: they are closed", ErrDown)
	case d.process != nil && d.process.running():
		return d.process, nil
	case d.o.Now().Before(d.again):
		return nil, fmt.Errorf("%w: their process ended, and is started again in a moment", ErrDown)
	}
	if d.process != nil {
		d.o.Log.Warn("statistics", "state", "the database ended, and is started again", "err", d.process.err)
	}
	if err := d.start(context.WithoutCancel(ctx)); err != nil {
		d.notStarted(err)
		return nil, fmt.Errorf("%w: their database does not start; the log says why", ErrDown)
	}
	d.failed, d.again = 0, d.o.Now().Add(time.Second)
	return d.process, nil
}

// lockSoon locks mu. That is held for long while the process is started, or its file is written anew.
func (d *Database) lockSoon(ctx context.Context) error {
	again := time.NewTicker(5 * time.Millisecond)
	defer again.Stop()
	end := time.NewTimer(patience)
	defer end.Stop()
	for !d.mu.TryLock() {
		select {
		case <-again.C:
		case <-ctx.Done():
			return ctx.Err()
		case <-end.C:
			return fmt.Errorf("%w: their database is being opened", ErrDown)
		}
	}
	return nil
}

// notStarted notes that the process did not start, and when to try again: later each time.
func (d *Database) notStarted(err error) {
	d.failed++
	d.again = d.o.Now().Add(min(time.Second<<min(d.failed-1, 10), time.Minute))
	d.o.Log.Warn("statistics", "state", "the database does not start", "err", err)
}

// endedOften is how often in a row a process ends while it opens the database before that is taken for damaged.
const endedOften = 3

// start starts the process over a database that has our tables. One that cannot be opened, or has others, is made anew:
// it is a view.
//
//   - Errors: bucket.ErrLocked where another process has taken the folder.
func (d *Database) start(ctx context.Context) error {
	if !d.holdsFolder() { // it was deleted
		if err := d.takeFolder(); err != nil {
			return err
		}
	}
	there, serr := os.Stat(filepath.Join(d.o.Folder, databaseFile))
	first := serr != nil || there.Size() == 0
	p, err := startProcess(ctx, d.settings(), d.o.Log)
	if d.rewrite {
		d.rewrite, d.fresh = false, d.o.Now()
	}
	if err == nil {
		if version, aerr := versionOf(ctx, p); aerr != nil || version != schemaVersion {
			err = errStart{text: "it has other tables than this version of playmeter knows", ended: !p.running()}
			p.close()
		}
	}
	var damaged errStart
	if errors.As(err, &damaged) && ctx.Err() == nil && !damaged.busy && (!damaged.ended || d.failed >= endedOften) {
		if !first {
			d.o.Log.Warn("statistics", "state", "the database is made again from the finished sessions", "err", err)
		}
		if p, err = d.remake(ctx); err != nil {
			return err
		}
		d.tell(func(p *Progress) { p.Passed = time.Time{} })
	} else if err != nil {
		return err
	}
	d.process = p
	d.tell(func(p *Progress) { p.Starts++ })
	d.forgetLoaded()
	return writeAddress(d.o.Folder, address{URL: p.url, Secret: p.secret})
}

func (d *Database) settings() settings {
	return settings{Folder: d.o.Folder, Memory: d.o.Memory, Temp: d.o.Temp, Threads: d.o.Threads, Rewrite: d.rewrite}
}

// remake starts the process over an empty database.
func (d *Database) remake(ctx context.Context) (*process, error) {
	for _, name := range []string{databaseFile, databaseFile + ".wal"} {
		if err := os.RemoveAll(filepath.Join(d.o.Folder, name)); err != nil {
			return nil, fmt.Errorf("remove the old database of the statistics: %w", err)
		}
	}
	p, err := startProcess(ctx, d.settings(), d.o.Log)
	if err != nil {
		return nil, err
	}
	q := &question{Mode: modeWrite}
	for _, text := range schema {
		q.Statements = append(q.Statements, statement{SQL: text})
	}
	q.Statements = append(q.Statements, statement{"INSERT INTO about SELECT ?, now()::TIMESTAMP", []any{int64(schemaVersion)}})
	if _, err := p.ask(ctx, q); err != nil {
		p.close()
		return nil, fmt.Errorf("make the tables of the statistics: %w", err)
	}
	return p, nil
}

func versionOf(ctx context.Context, p *process) (int64, error) {
	a, err := p.ask(ctx, &question{Statements: []statement{{SQL: "SELECT version::BIGINT FROM about"}}, Limit: 1})
	if err != nil || a.Rows != 1 {
		return 0, err
	}
	return a.Columns[0].at(0).number, nil
}

// read answers a question of the pages, in its turn.
func (d *Database) read(ctx context.Context, s statement, limit int) (*answer, error) {
	return d.inTurn(ctx, d.slots, nil, &question{Mode: modeRead, Statements: []statement{s}, Limit: limit})
}

// write changes the database.
func (d *Database) write(ctx context.Context, statements []statement, limit int) (*answer, error) {
	p, err := d.engine(ctx)
	if err != nil {
		return nil, err
	}
	return p.ask(ctx, &question{Mode: modeWrite, Statements: statements, Limit: limit})
}

// Sessions is a page of a tab.
//
//   - Errors: a [FilterError] for each field that is wrong, ErrView, ErrBusy, ErrDown, ErrTooMuch, those of ctx.
func (d *Database) Sessions(ctx context.Context, scope Scope, v View) (*Page, error) {
	if v.Limit == 0 {
		v.Limit = DefaultLimit
	}
	if v.Limit < 1 || v.Limit > MaxLimit {
		return nil, fmt.Errorf("%w: a page has 1 to %d rows", ErrView, MaxLimit)
	}
	if v.Tab != TabUsers {
		return page(ctx, d, scope, v)
	}
	r, err := d.newReading(ctx, d.slots) // it takes two questions
	if err != nil {
		return nil, err
	}
	defer r.end()
	return page(ctx, r, scope, v)
}

// reader answers questions: a Database each by the newest state, a reading all by one.
type reader interface {
	read(ctx context.Context, s statement, limit int) (*answer, error)
}

func page(ctx context.Context, r reader, scope Scope, v View) (*Page, error) {
	q, err := newQuery(scope, v)
	if err != nil {
		return nil, err
	}
	a, err := q.ask(ctx, r)
	if err != nil {
		return nil, fmt.Errorf("list %s: %w", v.Tab, err)
	}
	return q.page(a), nil
}

// Totals are what the sessions of a filter add up to.
func (d *Database) Totals(ctx context.Context, scope Scope, f Filter) (Totals, error) {
	if err := f.Check(); err != nil {
		return Totals{}, err
	}
	where := all(scope.where(), f.where())
	sums := "count(*), " + sumViews + ", " + sumBytes + ", " + sumView + " FROM sessions"
	if f.daysAlone() {
		sums = daySums + " FROM day_protocols"
	}
	a, err := d.read(ctx, statement{"SELECT " + sums + " WHERE " + where.text, where.args}, 1)
	if err != nil {
		return Totals{}, fmt.Errorf("add up sessions: %w", err)
	}
	return a.totals(0, 0), nil
}

// State is what was loaded, the newest month first.
func (d *Database) State(ctx context.Context, scope Scope) ([]MonthState, error) {
	states, err := states(ctx, d, all(scope.where()))
	var out []MonthState
	for _, s := range states {
		out = append(out, s.MonthState)
	}
	return out, err
}

// periodOf is the month that a day belongs to.
func periodOf(day schemas.Day) schemas.Period {
	return schemas.PeriodOf(time.Unix(0, day.Start()).UTC())
}
