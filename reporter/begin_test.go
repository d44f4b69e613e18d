package reporter

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/playmeter/playmeter/schemas"
)

// TestARunThatIsAskedForTakesItsTurn: there is one at a time, whoever began it.
func TestARunThatIsAskedForTakesItsTurn(t *testing.T) {
	r := &Reporter{Log: slog.New(slog.DiscardHandler), Now: time.Now}
	var told []string
	r.Began = func(o RunOptions) {
		told = append(told, "began "+o.Period.String())
		if _, err := r.Begin(RunOptions{}); !errors.Is(err, ErrRunning) {
			t.Errorf("during a run another begins: %v", err)
		}
	}
	r.Done = func(p schemas.Period, result *Result, err error) {
		if result != nil || err == nil {
			t.Errorf("without tenants it came to %v, %v", result, err)
		}
		told = append(told, "done "+p.String())
	}
	month := schemas.PeriodOf(time.Date(2026, 10, 1, 0, 0, 0, 0, time.UTC))
	run, err := r.Begin(RunOptions{Period: month})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Begin(RunOptions{Period: month}); !errors.Is(err, ErrRunning) {
		t.Errorf("before it has run another begins: %v", err)
	}
	if len(told) != 1 || told[0] != "began 2026-10" {
		t.Errorf("before it has run told is %q: whoever asks now would not see it", told)
	}
	run(t.Context())
	again, err := r.Begin(RunOptions{Period: month})
	if err != nil {
		t.Fatalf("once it has ended none can begin: %v", err)
	}
	again(t.Context())
	if len(told) != 4 || told[0] != "began 2026-10" || told[1] != "done 2026-10" {
		t.Errorf("told is %q", told)
	}
}

// TestTheLogTellsWhoBeganARun: what was asked for is not called scheduled.
func TestTheLogTellsWhoBeganARun(t *testing.T) {
	var log strings.Builder
	r := &Reporter{Log: slog.New(slog.NewTextHandler(&log, nil)), Now: time.Now}
	run, err := r.Begin(RunOptions{})
	if err != nil {
		t.Fatal(err)
	}
	run(t.Context())
	r.runScheduled(t.Context(), RunOptions{})
	if got := log.String(); strings.Count(got, `msg="run asked for failed"`) != 1 || strings.Count(got, `msg="scheduled run failed"`) != 1 {
		t.Errorf("the log says %s", got)
	}
}

// TestTheDaemonWaitsForARunThatWasAskedFor, as for one of the schedule.
func TestTheDaemonWaitsForARunThatWasAskedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &Reporter{Log: slog.New(slog.DiscardHandler), Now: time.Now}
		run, err := r.Begin(RunOptions{})
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- r.Serve(ctx) }()
		stop()
		synctest.Wait()
		select {
		case <-ended:
			t.Fatal("the schedule ended during the run")
		default:
		}
		run(ctx)
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}
