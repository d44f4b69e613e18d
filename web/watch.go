package web

import (
	"slices"
	"sync"
	"time"

	"github.com/playmeter/playmeter/reporter"
	"github.com/playmeter/playmeter/schemas"
)

// A Watch remembers what the daemon tells of its runs: the one in flight, and what came of those before, since the
// daemon's start. It is safe for concurrent use; the zero Watch has seen none.
type Watch struct {
	mu     sync.Mutex
	flight *flight
	past   []pastRun // newest first
	done   int       // how many runs have ended
}

const (
	pastRuns    = 200 // are remembered, a tenant's part of a run each
	stagesAtMax = 12  // of a run in flight are remembered
)

// flight is a run that is under way.
type flight struct {
	Month   schemas.Period
	Tenants []schemas.Tenant // none: all
	Began   time.Time
	Stages  []stage // what was told last comes first
}

// stage is how far the run is with a tenant, or with what all share.
type stage struct {
	reporter.Progress
	At time.Time
}

// pastRun is what a run came to for a tenant; of no tenant where nothing could be done.
type pastRun struct {
	Tenant  schemas.Tenant
	Month   schemas.Period
	Run     string
	AsOf    string
	State   string
	Began   time.Time
	Took    time.Duration // of the whole run, all of its tenants
	Read    int64         // events
	Counted int           // usage files that were new
	Aside   int           // usage files
	Refused int64         // rows
	Note    string
	Error   string
}

// Began is told of a run that begins.
func (w *Watch) Began(o reporter.RunOptions, now time.Time) {
	f := &flight{Month: o.Period, Tenants: slices.Clone(o.Tenants), Began: now}
	if f.Month.IsZero() {
		f.Month = schemas.PeriodOf(now)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.flight = f
}

// Progress is told how far it is. What is told while none is in flight is of other work.
func (w *Watch) Progress(p reporter.Progress, now time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.flight == nil {
		return
	}
	stages := slices.DeleteFunc(w.flight.Stages, func(s stage) bool { return s.Tenant == p.Tenant })
	if p.Tenant == "" || p.Total == 0 || p.Done < p.Total {
		stages = slices.Insert(stages, 0, stage{p, now})
	}
	w.flight.Stages = stages[:min(len(stages), stagesAtMax)]
}

// Done is told what came of the run; result is nil where nothing could be done.
func (w *Watch) Done(month schemas.Period, result *reporter.Result, err error, now time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	began := now
	if w.flight != nil {
		began = w.flight.Began
	}
	w.flight = nil
	w.done++
	var came []pastRun
	if err != nil {
		came = append(came, pastRun{Month: month, Began: began, Took: now.Sub(began), Error: err.Error()})
	}
	if result != nil {
		for i := range result.Tenants {
			came = append(came, pastRunOf(&result.Tenants[i], result, began, now))
		}
	}
	w.past = slices.Insert(w.past, 0, came...)
	w.past = w.past[:min(len(w.past), pastRuns)]
}

func pastRunOf(t *reporter.TenantResult, result *reporter.Result, began, now time.Time) pastRun {
	p := pastRun{Tenant: t.Tenant, Month: t.Period, Run: t.Run, State: t.State, Began: began, Took: now.Sub(began), Counted: result.Counted,
		Aside: len(result.Aside), Refused: t.Rejected(), Note: t.Note, Error: t.Error}
	if t.Manifest != nil {
		p.AsOf, p.Read = t.Manifest.AsOf, t.Manifest.Events.Read
	}
	return p
}

// ended is how many runs have ended.
func (w *Watch) ended() int {
	if w == nil {
		return 0
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.done
}

// look is what there is to tell. The flight is a copy; nil: none is in flight.
func (w *Watch) look() (*flight, []pastRun) {
	if w == nil {
		return nil, nil
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	past := slices.Clone(w.past)
	if w.flight == nil {
		return nil, past
	}
	f := *w.flight
	f.Stages = slices.Clone(f.Stages)
	return &f, past
}
