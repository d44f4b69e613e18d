package statistics

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/playmeter/playmeter/bucket"
	"github.com/playmeter/playmeter/schemas"
)

// following is how far the database follows the commits.
type following struct {
	one    sync.Mutex    // one pass at a time
	look   chan struct{} // somebody committed
	loadMu sync.Mutex
	loaded map[month]*loadedMonth // nil: the database is to be asked

	whole   time.Time // when all months were looked at, last
	askedMu sync.Mutex
	asked   map[schemas.Period]bool // months that are to be looked at in the next pass, of every tenant

	progressMu sync.Mutex
	progress   Progress
}

// loadedMonth is what is there of a month.
type loadedMonth struct {
	days    map[schemas.Day]string // digest of each
	commit  int64                  // that was loaded whole; 0: none
	checked time.Time              // when its objects were looked for last
	failed  int                    // attempts in a row that came to nothing
	tried   int64                  // the commit that they were about
	again   time.Time              // when it is tried again
}

// Progress is how far the statistics follow the finished sessions.
type Progress struct {
	Loading    bool      // something is being loaded
	Rows, Of   int64     // sessions loaded in this pass, and how many there are to load, as far as is known
	Passed     time.Time // when all that was committed had been loaded, last; zero: not yet since the start
	Difficulty string    // what is in the way; empty: nothing
	Starts     int64     // of the database's process
}

// Progress tells how far the statistics are.
func (d *Database) Progress() Progress {
	d.progressMu.Lock()
	defer d.progressMu.Unlock()
	return d.following.progress
}

func (d *Database) tell(change func(*Progress)) {
	d.progressMu.Lock()
	defer d.progressMu.Unlock()
	change(&d.following.progress)
}

func newFollowing() following { return following{look: make(chan struct{}, 1)} }

// forgetLoaded makes the next pass ask the database what it holds.
func (d *Database) forgetLoaded() {
	d.loadMu.Lock()
	defer d.loadMu.Unlock()
	d.loaded = nil
}

// How often commits are looked for.
const (
	passEvery   = 20 * time.Second
	passShare   = 10        // a pass that took long is followed by a pause so many times as long
	recheckEach = time.Hour // the objects of a month whose commit is known are looked for again
	tellEvery   = 5 * time.Second
)

// Look makes Run look for new commits now, also of some months that it would not look for each time. It never blocks.
func (d *Database) Look(periods ...schemas.Period) {
	d.askedMu.Lock()
	if d.asked == nil {
		d.asked = map[schemas.Period]bool{}
	}
	for _, p := range periods {
		d.asked[p] = true
	}
	d.askedMu.Unlock()
	select {
	case d.look <- struct{}{}:
	default:
	}
}

// Run follows the commits until ctx ends.
func (d *Database) Run(ctx context.Context) {
	for {
		began := d.o.Now()
		err := d.Sync(ctx)
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			d.o.Log.Warn("statistics", "state", "new sessions are not loaded yet", "err", err)
		}
		pause := time.NewTimer(max(passEvery, passShare*d.o.Now().Sub(began)))
		select {
		case <-pause.C:
		case <-d.look:
		case <-ctx.Done():
		}
		pause.Stop()
		if ctx.Err() != nil {
			return
		}
	}
}

// Sync loads what was committed and is not there yet, month by month and day by day.
//
//   - Errors: of every month that could not be loaded; the others are.
func (d *Database) Sync(ctx context.Context) error {
	d.one.Lock()
	defer d.one.Unlock()
	d.tell(func(p *Progress) { p.Rows, p.Of = 0, 0 })
	err := d.pass(ctx)
	if err == nil && d.isStale() && d.o.Now().Sub(d.fresh) >= rewriteEach {
		err = d.writeAnew(ctx)
	}
	d.tell(func(p *Progress) {
		p.Loading, p.Difficulty = false, ""
		if err != nil {
			p.Difficulty = err.Error()
		} else {
			p.Passed = d.o.Now()
		}
	})
	return err
}

func (d *Database) pass(ctx context.Context) error {
	d.noticeDeleted()
	if err := d.askLoaded(ctx); err != nil {
		return err
	}
	var errs []error
	whole := d.wholeDue()
	for m, err := range d.months(ctx, whole) {
		if err == nil {
			err = d.askLoaded(ctx) // its process may have been started anew
		}
		if err != nil {
			return errors.Join(append(errs, err)...)
		}
		if err := d.syncMonth(ctx, m); err != nil {
			errs = append(errs, fmt.Errorf("%s %s: %w", m.tenant, m.period, err))
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	if whole {
		d.whole = d.o.Now()
	}
	return errors.Join(errs...)
}

// askLoaded asks the database what it holds, where that is not known.
func (d *Database) askLoaded(ctx context.Context) error {
	p, err := d.engine(ctx)
	if err != nil {
		return err
	}
	d.loadMu.Lock()
	defer d.loadMu.Unlock()
	if d.loaded != nil {
		return nil
	}
	loaded := map[month]*loadedMonth{}
	ask := func(text string) (*answer, error) {
		return p.ask(ctx, &question{Mode: modeRead, Statements: []statement{{SQL: text}}, Limit: math.MaxInt, Whole: true})
	}
	of := func(a *answer, i int) (*loadedMonth, error) {
		period, err := schemas.ParsePeriod(a.Columns[1].at(i).text)
		m := month{schemas.Tenant(a.Columns[0].at(i).text), period}
		if loaded[m] == nil {
			loaded[m] = &loadedMonth{days: map[schemas.Day]string{}}
		}
		return loaded[m], err
	}
	a, err := ask("SELECT tenant, period, strftime(day, '%Y-%m-%d'), digest FROM days")
	if err != nil {
		return err
	}
	for i := range a.Rows {
		l, err := of(a, i)
		day, err2 := parseDay(a.Columns[2].at(i).text)
		if err := errors.Join(err, err2); err != nil {
			return err
		}
		l.days[day] = a.Columns[3].at(i).text
	}
	if a, err = ask(`SELECT tenant, period, "commit" FROM months`); err != nil {
		return err
	}
	for i := range a.Rows {
		l, err := of(a, i)
		if err != nil {
			return err
		}
		l.commit = a.Columns[2].at(i).number
	}
	d.loaded = loaded
	return nil
}

// head is the newest commit of a month, where it is newer than one that is known; else nil.
func (d *Database) head(ctx context.Context, m month, known int64) (*schemas.Commit, error) {
	after, highest := "", int64(0)
	if known > 0 {
		after = schemas.CommitName(m.tenant, m.period, known)
	}
	for info, err := range d.o.Metering.List(ctx, schemas.CommitFolder(m.tenant, m.period), after) {
		if err != nil {
			return nil, fmt.Errorf("look for commits: %w", err)
		}
		if n, ok := schemas.ParseNumber(info.Key); ok {
			highest = max(highest, n)
		}
	}
	if highest == 0 {
		return nil, nil
	}
	return d.commit(ctx, m, highest)
}

// maxCommit bounds a commit, in bytes.
const maxCommit = 64 << 20

func (d *Database) commit(ctx context.Context, m month, n int64) (*schemas.Commit, error) {
	name := schemas.CommitName(m.tenant, m.period, n)
	data, _, err := d.o.Metering.Get(ctx, name, "", maxCommit)
	if err != nil {
		return nil, err
	}
	var c schemas.Commit
	if err := json.Unmarshal(data, &c); err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	if c.Schema != schemas.CommitSchema || c.Tenant != m.tenant || c.Period != m.period {
		return nil, fmt.Errorf("read %s: it is no commit of that month that this version of playmeter knows", name)
	}
	return &c, nil
}

// syncMonth loads what a month's newest commit names and is not there yet.
func (d *Database) syncMonth(ctx context.Context, m month) error {
	l := d.of(m)
	err := d.loadMonth(ctx, m, l)
	if errors.Is(err, bucket.ErrNotExist) { // a run has replaced it meanwhile: the newest commit names another
		err = d.loadMonth(ctx, m, l)
	}
	if errors.Is(err, errLater) {
		return err
	}
	if err == nil || ctx.Err() != nil {
		l.failed, l.again = 0, time.Time{}
		return err
	}
	l.failed++
	if l.failed > 1 { // the first time something may just have changed
		l.again = d.o.Now().Add(min(passEvery<<min(l.failed, 10), recheckEach))
	}
	return err
}

// errLater tells that a commit that could not be loaded is tried again later, unless there is a newer one first.
var errLater = errors.New("its newest commit could not be loaded, and is tried again later")

func (d *Database) loadMonth(ctx context.Context, m month, l *loadedMonth) error {
	c, err := d.head(ctx, m, l.commit)
	if err != nil {
		return err
	}
	old := c == nil
	if old {
		if l.commit == 0 {
			return nil // there is none
		}
		if d.o.Now().Sub(l.checked) < recheckEach {
			return nil
		}
		if c, err = d.commit(ctx, m, l.commit); err != nil {
			return err
		}
	}
	if c.Number == l.tried && d.o.Now().Before(l.again) {
		return errLater
	}
	l.tried = c.Number
	tiers, err := tiersOf(c)
	if err != nil {
		return err
	}
	present, err := d.present(ctx, m)
	if err != nil {
		return err
	}
	want, err := wants(c, tiers, present)
	if err != nil {
		return err
	}
	changed := changes(want, l.days)
	if old && len(changed) == 0 {
		l.checked = d.o.Now()
		return nil
	}
	if err := d.replace(ctx, m, l, arrival{tenant: m.tenant, period: m.period, tiers: tiers}, changed); err != nil {
		return err
	}
	if err := d.finishMonth(ctx, m, c); err != nil {
		return err
	}
	l.commit, l.checked = c.Number, d.o.Now()
	return nil
}

func (d *Database) of(m month) *loadedMonth {
	d.loadMu.Lock()
	defer d.loadMu.Unlock()
	if d.loaded == nil { // the database was started again just now: it is asked before the next month
		return &loadedMonth{days: map[schemas.Day]string{}}
	}
	if d.loaded[m] == nil {
		d.loaded[m] = &loadedMonth{days: map[schemas.Day]string{}}
	}
	return d.loaded[m]
}

// present are the objects of sessions that are there of a month.
func (d *Database) present(ctx context.Context, m month) (map[string]bool, error) {
	out := map[string]bool{}
	for info, err := range d.o.Metering.List(ctx, schemas.MonthFolder(schemas.PrefixSessions, m.tenant, m.period), "") {
		if err != nil {
			return nil, fmt.Errorf("look for finished sessions: %w", err)
		}
		out[info.Key] = true
	}
	return out, nil
}

// replace loads days, each by itself.
func (d *Database) replace(ctx context.Context, m month, l *loadedMonth, a arrival, changed []wanted) error {
	d.tell(func(p *Progress) {
		p.Loading = p.Loading || len(changed) > 0
		for _, w := range changed {
			p.Of += w.rows
		}
	})
	told := d.o.Now()
	var errs []error
	for _, w := range changed {
		if err := d.replaceNoted(ctx, l, a, w); err != nil {
			errs = append(errs, fmt.Errorf("load the sessions of %s: %w", w.day, err))
			if ctx.Err() != nil || errors.Is(err, ErrDown) {
				break
			}
		}
		d.tell(func(p *Progress) { p.Rows += w.rows })
		if p := d.Progress(); d.o.Now().Sub(told) >= tellEvery {
			told = d.o.Now()
			d.o.Log.Info("statistics", "state", "loading", "tenant", string(m.tenant), "month", m.period.String(), "rows", p.Rows, "of", p.Of)
		}
	}
	return errors.Join(errs...)
}

// replaceNoted replaces a day, and notes what is there of it now.
func (d *Database) replaceNoted(ctx context.Context, l *loadedMonth, a arrival, w wanted) error {
	if err := d.noteStale(l, w); err != nil {
		return err
	}
	if err := d.replaceDay(ctx, a, w); err != nil {
		return err
	}
	if w.digest == "" {
		delete(l.days, w.day)
	} else {
		l.days[w.day] = w.digest
	}
	return nil
}

func (d *Database) replaceDay(ctx context.Context, a arrival, w wanted) error {
	a.day, a.digest, a.rows = w.day, w.digest, w.rows
	folder := filepath.Join(d.o.Folder, arriving)
	defer func() {
		for _, f := range a.files {
			_ = os.Remove(f) // else the next start does
		}
	}()
	for i, name := range w.names {
		file := filepath.Join(folder, fmt.Sprintf("%06d.parquet", i))
		a.files = append(a.files, file)
		if err := d.fetch(ctx, name, file); err != nil {
			return err
		}
	}
	_, err := d.write(ctx, a.statements(), 1)
	return err
}

// fetch copies an object into a private file.
func (d *Database) fetch(ctx context.Context, name, file string) (err error) {
	r, _, err := d.o.Metering.Reader(ctx, name, "")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, r)
	return errors.Join(err, f.Close())
}
