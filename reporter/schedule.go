package reporter

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/robfig/cron/v3"

	"github.com/playmeter/playmeter/schemas"
)

// CheckSchedule tells whether a schedule can be kept: five fields of cron, or
// @hourly, @daily, @every 10m and the like, in UTC.
func CheckSchedule(spec string) error {
	_, err := parseSchedule(spec)
	return err
}

func parseSchedule(spec string) (cron.Schedule, error) {
	s, err := cron.ParseStandard(spec)
	if err != nil {
		return nil, fmt.Errorf("schedule %q: write it like \"17 * * * *\" (minute, hour, day, month, weekday), @hourly, @daily or @every 10m: %v", spec, err)
	}
	if s.Next(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)).IsZero() {
		return nil, fmt.Errorf("schedule %q: it never comes", spec)
	}
	return s, nil
}

// NextRuns lists a schedule's next n times after now, in UTC.
func NextRuns(spec string, now time.Time, n int) ([]time.Time, error) {
	s, err := parseSchedule(spec)
	if err != nil {
		return nil, err
	}
	var out []time.Time
	for t := now.UTC(); len(out) < n; {
		if t = s.Next(t); t.IsZero() {
			break
		}
		out = append(out, t)
	}
	return out, nil
}

// DuePeriods are the months that a scheduled run at now makes: the one that now
// lies in and, until it is final, the one before.
func DuePeriods(now time.Time, grace time.Duration) []schemas.Period {
	this := schemas.PeriodOf(now)
	last := this.Previous()
	// One more run after the grace time is what makes the month final; a run whose month is
	// final already ends at once.
	if now.Before(last.End().Add(grace + finalWindow)) {
		return []schemas.Period{last, this}
	}
	return []schemas.Period{this}
}

// finalWindow is how long after the grace time a scheduled run still looks at the month
// before, so that it becomes final also where the daemon was down meanwhile.
const finalWindow = 14 * 24 * time.Hour

// Serve keeps the schedules of all tenants until ctx ends, then waits for the
// run in flight, which ends cleanly: between two steps, before its commit or after it. When the
// tenants change, the schedules do; a run in flight goes on as it began.
func (r *Reporter) Serve(ctx context.Context) error {
	for {
		tenants, changed := r.watchTenants()
		c, err := r.schedules(ctx, tenants)
		if err != nil {
			return err
		}
		c.Start()
		select {
		case <-ctx.Done():
			<-c.Stop().Done()
			r.turn() <- struct{}{} // a run that began under other schedules, or was asked for, has ended, too
			<-r.turn()
			return nil
		case <-changed:
			c.Stop() // begins nothing more
		}
	}
}

// schedules is a clock that starts the runs of tenants; at most one run at a time has one.
func (r *Reporter) schedules(ctx context.Context, tenants []Tenant) (*cron.Cron, error) {
	bySpec := make(map[string][]schemas.Tenant)
	for _, t := range tenants {
		bySpec[t.Schedule] = append(bySpec[t.Schedule], t.ID)
	}
	// Recover stands inside SkipIfStillRunning: the other way round one panic
	// would keep the token, and the job would never run again.
	logger := cronLog{r.Log}
	c := cron.New(cron.WithLocation(time.UTC), cron.WithLogger(logger),
		cron.WithChain(cron.SkipIfStillRunning(logger), cron.Recover(logger)))
	for _, spec := range slices.Sorted(maps.Keys(bySpec)) {
		schedule, err := parseSchedule(spec)
		if err != nil {
			return nil, err
		}
		tenants := bySpec[spec]
		c.Schedule(schedule, cron.FuncJob(func() {
			select {
			case r.turn() <- struct{}{}:
				defer func() { <-r.turn() }()
				r.scheduled(ctx, tenants)
			case <-ctx.Done():
			}
		}))
	}
	return c, nil
}

// scheduled is one run by the clock.
func (r *Reporter) scheduled(ctx context.Context, tenants []schemas.Tenant) {
	now := r.Now()
	due := DuePeriods(now, r.Grace)
	old, err := r.unfinished(ctx, tenants, due[0])
	if err != nil {
		r.Log.Error("the months that are not final yet could not be listed", "err", err)
	}
	for _, period := range append(old, due...) {
		if ctx.Err() != nil {
			return
		}
		if open := r.notFinal(ctx, tenants, period); len(open) > 0 {
			r.runScheduled(ctx, RunOptions{Period: period, Tenants: open, AsOf: now})
		}
	}
	for _, period := range r.restatable(ctx, tenants, now) {
		if ctx.Err() != nil {
			return
		}
		r.runScheduled(ctx, RunOptions{Period: period.Period, Tenants: []schemas.Tenant{period.Tenant}, AsOf: now})
	}
}

// notFinal lists the tenants whose month is not final: the others' is restated in its turn.
func (r *Reporter) notFinal(ctx context.Context, tenants []schemas.Tenant, period schemas.Period) []schemas.Tenant {
	var open []schemas.Tenant
	for _, t := range tenants {
		if head, err := r.head(ctx, t, period); err != nil || head == nil || head.Current.State != StateFinal {
			open = append(open, t) // what is wrong, its run tells
		}
	}
	return open
}

// turn has a place for the one run that is in flight: those of different schedules, and those that somebody asks for,
// take turns.
func (r *Reporter) turn() chan struct{} {
	r.turnOnce.Do(func() { r.turns = make(chan struct{}, 1) })
	return r.turns
}

// ErrRunning tells that a run is in flight already.
var ErrRunning = errors.New("a run is in flight already")

// Begin takes a turn between the runs of the schedules for one that somebody asks for, and tells Began of it at once. It
// returns the run, which must be called, and is told like one of a schedule. Errors: ErrRunning, at once.
func (r *Reporter) Begin(o RunOptions) (func(context.Context), error) {
	select {
	case r.turn() <- struct{}{}:
	default:
		return nil, ErrRunning
	}
	r.tellBegan(o)
	return func(ctx context.Context) {
		defer func() { <-r.turn() }()
		r.runBegun(ctx, o, "run asked for")
	}, nil
}

func (r *Reporter) tellBegan(o RunOptions) {
	if r.Began != nil {
		r.Began(o)
	}
}

func (r *Reporter) runScheduled(ctx context.Context, o RunOptions) {
	r.tellBegan(o)
	r.runBegun(ctx, o, "scheduled run")
}

// runBegun is a run that Began was told of; the log calls it by its kind.
func (r *Reporter) runBegun(ctx context.Context, o RunOptions, kind string) {
	result, err := r.Run(ctx, o)
	if r.Done != nil && ctx.Err() == nil {
		r.Done(o.Period, result, err)
	}
	switch {
	case ctx.Err() != nil:
		r.Log.Info("run abandoned: the daemon stops; the next run makes up for it", "month", o.Period.String())
	case err != nil:
		r.Log.Error(kind+" failed", "month", o.Period.String(), "err", err)
	default:
		r.Log.Info(kind+" done", "month", o.Period.String(), "tenants", len(result.Tenants), "files", result.Files, "counted", result.Counted, "set_aside", len(result.Aside))
	}
}

// unfinished lists the months before a period that have runs and are not final: those that
// the schedule was too rare, or the daemon not there, to finish.
func (r *Reporter) unfinished(ctx context.Context, tenants []schemas.Tenant, before schemas.Period) ([]schemas.Period, error) {
	open := make(map[schemas.Period]bool)
	for _, t := range tenants {
		newest := make(map[schemas.Period]int64)
		for info, err := range r.Buckets.Metering.List(ctx, schemas.PrefixCommits+string(t)+"/", "") {
			if err != nil {
				return nil, err
			}
			month, _, _ := strings.Cut(strings.TrimPrefix(info.Key, schemas.PrefixCommits+string(t)+"/"), "/")
			p, err := schemas.ParsePeriod(month)
			n, ok := schemas.ParseNumber(info.Key)
			if err == nil && ok && p.Start().Before(before.Start()) {
				newest[p] = max(newest[p], n)
			}
		}
		for p, n := range newest {
			c, err := r.readCommit(ctx, schemas.CommitName(t, p, n))
			if err != nil {
				return nil, err
			}
			open[p] = open[p] || c.Current.State != StateFinal
		}
	}
	var out []schemas.Period
	for p, is := range open {
		if is {
			out = append(out, p)
		}
	}
	slices.SortFunc(out, func(a, b schemas.Period) int { return a.Start().Compare(b.Start()) })
	return out, nil
}

// cronLog hands cron's messages to our log.
type cronLog struct{ log *slog.Logger }

func (l cronLog) Info(msg string, kv ...any) { l.log.Debug("schedule: "+msg, kv...) }
func (l cronLog) Error(err error, msg string, kv ...any) {
	l.log.Error("schedule: "+msg, append(kv, "err", err)...)
}
