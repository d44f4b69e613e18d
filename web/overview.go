package web

import (
	"context"
	"runtime/debug"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/playmeter/playmeter/intake"
	"github.com/playmeter/playmeter/reporter"
)

// Inflow is what comes in by other ways than usage files that somebody puts into their bucket.
type Inflow struct {
	Log     *intake.State        // of posted events; nil: there is none
	Sources []intake.SourceState // of logs, as far as they were looked at
}

// overview is what the last look at all months, files and sources came to. Such a look lists the usage bucket: one is
// made at a time, and not as often as somebody asks.
type overview struct {
	group singleflight.Group
	mu    sync.Mutex
	seen  *seen
}

// seen is what one look came to.
type seen struct {
	At     time.Time // when it had ended
	Runs   int       // how many had ended when it began
	Status *reporter.Status
	Inflow Inflow
	Err    error
}

const (
	overviewEvery    = 15 * time.Second // how old it may be
	overviewPatience = 3 * time.Second  // how long a page waits for one; then it shows an older one, or none
	overviewTime     = 2 * time.Minute  // how long one may take
)

// overviewOf is the last look, or a new one where that is old or a run has ended since; nil: it takes longer than a page waits.
func (v *service) overviewOf(ctx context.Context) *seen {
	v.overview.mu.Lock()
	last := v.overview.seen
	v.overview.mu.Unlock()
	runs := v.Watch.ended()
	if last != nil && last.Runs >= runs && v.Now().Sub(last.At) < overviewEvery {
		return last
	}
	ctx, cancel := context.WithTimeout(ctx, overviewPatience)
	defer cancel()
	for {
		select {
		case result := <-v.lookOnce(ctx):
			if now := result.Val.(*seen); now.Runs >= runs {
				return now
			} // else it had begun before the run ended
		case <-ctx.Done():
			return last
		}
	}
}

// lookOnce begins a look, or joins the one that is under way.
func (v *service) lookOnce(ctx context.Context) <-chan singleflight.Result {
	return v.overview.group.DoChan("", func() (any, error) {
		now := v.lookAround(context.WithoutCancel(ctx)) // others may wait for it, too
		v.overview.mu.Lock()
		defer v.overview.mu.Unlock()
		v.overview.seen = now
		return now, nil
	})
}

func (v *service) lookAround(ctx context.Context) *seen {
	ctx, cancel := context.WithTimeout(ctx, overviewTime)
	defer cancel()
	out := &seen{Runs: v.Watch.ended()}
	out.Status, out.Err = v.Reports.Status(ctx)
	if out.Err == nil && v.Inflow != nil {
		out.Inflow, out.Err = v.Inflow(ctx)
	}
	if out.Err != nil {
		v.log().Error("months and files could not be looked at", "err", out.Err)
	}
	out.At = v.Now()
	return out
}

// start begins work that goes on after the answer, and keeps its panic to it.
func (v *service) start(work func(context.Context)) {
	kept := func(ctx context.Context) {
		defer func() {
			if p := recover(); p != nil {
				v.log().Error("work that somebody asked for met a bug", "err", p, "stack", string(debug.Stack()))
			}
		}()
		work(ctx)
	}
	if v.Go != nil {
		v.Go(kept)
		return
	}
	go kept(context.Background())
}
