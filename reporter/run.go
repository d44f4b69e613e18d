package reporter

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/playmeter/playmeter/accounting"
	"github.com/playmeter/playmeter/bucket"
	"github.com/playmeter/playmeter/schemas"
)

// RunOptions say which reports to make.
type RunOptions struct {
	Period  schemas.Period   // zero: the month of the as-of
	Tenants []schemas.Tenant // none: all that are configured
	AsOf    time.Time        // zero: now
	// CurrentRules takes the configured rules in the place of those that the month's first run fixed.
	CurrentRules bool
}

// Result is what a run came to.
type Result struct {
	Tenants []TenantResult `json:"tenants"`
	Aside   []Aside        `json:"set_aside"`
	Files   int            `json:"files"`   // in the usage bucket
	Counted int            `json:"counted"` // tallied by this run
}

// TenantResult is one tenant's part of it.
type TenantResult struct {
	Tenant schemas.Tenant `json:"tenant"`
	Period schemas.Period `json:"period"`
	Run    string         `json:"run,omitempty"`
	State  string         `json:"state,omitempty"`
	// Restatement is the number of the restatement that was made; 0: none.
	Restatement int               `json:"restatement,omitempty"`
	Folder      string            `json:"folder,omitempty"`
	Manifest    *schemas.Manifest `json:"manifest,omitempty"`
	Current     bool              `json:"current"`             // the stable names show it
	Missing     []schemas.Report  `json:"missing,omitempty"`   // reports without recipients
	Aside       []Aside           `json:"set_aside,omitempty"` // catalog snapshots
	Note        string            `json:"note,omitempty"`
	Err         error             `json:"-"`
	Error       string            `json:"error,omitempty"`
}

// Rejected is how many rows were rejected.
func (t *TenantResult) Rejected() int64 {
	n := int64(0)
	if t.Manifest != nil {
		for _, count := range t.Manifest.Events.Rejected {
			n += count
		}
	}
	return n
}

// Err joins what went wrong for the tenants.
func (r *Result) Err() error {
	var errs []error
	for i := range r.Tenants {
		if r.Tenants[i].Err != nil {
			errs = append(errs, r.Tenants[i].Err)
		}
	}
	return errors.Join(errs...)
}

// plan is what a run knows of the usage bucket, shared by its tenants.
type plan struct {
	files  []bucket.Info
	shelf  *shelf
	wanted *wanted
	hours  []*schemas.LedgerHour // of the month and what runs into it, ascending
	asides []Aside
	asOf   time.Time

	withdrawals  withdrawals
	currentRules bool

	counted int // files tallied for it
}

// Run makes the reports of one month for the tenants asked for. The usage bucket is
// listed once for all of them. A tenant that fails does not keep the others from
// theirs: see Result.Err. An error is returned where nothing could be done.
func (r *Reporter) Run(ctx context.Context, o RunOptions) (*Result, error) {
	if o.AsOf.IsZero() {
		o.AsOf = r.Now()
	}
	o.AsOf = o.AsOf.UTC().Truncate(time.Second)
	if o.Period.IsZero() {
		o.Period = schemas.PeriodOf(o.AsOf)
	}
	tenants, err := r.choose(o.Tenants)
	if err != nil {
		return nil, err
	}
	if r.Before != nil {
		if err := r.Before(ctx); err != nil {
			return nil, err
		}
	}
	rules, failed := r.fixedRules(ctx, tenants, o.Period)
	inUse := rules
	if o.CurrentRules {
		rules = make([]accounting.Rules, len(tenants))
		for i := range tenants {
			rules[i] = tenants[i].Rules
		}
		inUse = slices.Concat(rules, inUse)
	}
	var p *plan
	err = r.again(func() (err error) {
		p, err = r.makePlan(ctx, o.Period, o.AsOf, inUse)
		return err
	})
	if err != nil {
		return nil, err
	}
	p.currentRules = o.CurrentRules
	r.planMu.Lock()
	r.seen = p
	r.planMu.Unlock()
	result := &Result{Files: len(p.files), Aside: p.asides, Counted: p.counted}
	result.Tenants = make([]TenantResult, len(tenants))
	var group errgroup.Group
	group.SetLimit(max(1, r.Workers))
	for i := range tenants {
		group.Go(func() error {
			result.Tenants[i] = r.runTenant(ctx, p, &tenants[i], o.Period, rules[i], failed[i])
			return nil
		})
	}
	err = group.Wait()
	r.maintain(ctx, p.shelf)
	return result, err
}

// choose finds the tenants asked for.
func (r *Reporter) choose(ids []schemas.Tenant) ([]Tenant, error) {
	if len(ids) == 0 {
		tenants := r.tenants()
		if len(tenants) == 0 {
			return nil, errors.New("no tenant is configured: add one under tenants")
		}
		return tenants, nil
	}
	var out []Tenant
	for _, id := range ids {
		t, err := r.Tenant(id)
		if err != nil {
			return nil, err
		}
		out = append(out, t)
	}
	return out, nil
}

// fixedRules are the rules of each tenant's period, or why they could not be read.
func (r *Reporter) fixedRules(ctx context.Context, tenants []Tenant, period schemas.Period) ([]accounting.Rules, []error) {
	rules, failed := make([]accounting.Rules, len(tenants)), make([]error, len(tenants))
	for i, t := range tenants {
		var head *schemas.Commit
		if head, failed[i] = r.head(ctx, t.ID, period); failed[i] == nil {
			rules[i], failed[i] = rulesOf(head, t.Rules)
		}
	}
	return rules, failed
}

// makePlan lists the usage bucket and brings the tallies up to date for the idle times in use.
func (r *Reporter) makePlan(ctx context.Context, period schemas.Period, asOf time.Time, rules []accounting.Rules) (*plan, error) {
	p := &plan{asOf: asOf}
	var err error
	if p.files, err = r.listUsage(ctx); err != nil {
		return nil, err
	}
	if p.shelf, err = r.loadShelf(ctx); err != nil {
		return nil, err
	}
	if p.withdrawals, err = r.withdrawals(ctx); err != nil {
		return nil, err
	}
	var idles []accounting.Idle
	for _, rule := range rules {
		if rule.Idle != (accounting.Idle{}) && !slices.Contains(idles, rule.Idle) {
			idles = append(idles, rule.Idle)
		}
	}
	fresh := make(map[string]bool)
	for _, f := range p.files {
		if _, ok := p.shelf.findAny(f, idles); !ok {
			fresh[f.Key] = true
		}
	}
	if err := p.tallyAll(ctx, r, idles); err != nil {
		return nil, err
	}
	returned, err := r.returns(ctx)
	if err == nil {
		err = r.noteReturns(ctx, p.files, p.shelf, returned)
	}
	if err != nil {
		return nil, err
	}
	locked := make(map[string]bool)
	for {
		p.wanted = want(p.files, idles, p.shelf, p.withdrawals.has, returned)
		p.wanted.fresh = fresh
		for key := range locked {
			if f := p.wanted.byKey[key]; f != nil {
				f.locked = true
			}
		}
		from, until := accounting.SetHours(period)
		if p.hours, err = r.reconcile(ctx, p.wanted, p.shelf, from, until); err != nil {
			return nil, err
		}
		again := false
		for _, idle := range idles {
			failed, err := r.tallyCopies(ctx, p.wanted, idle, p.shelf)
			if err != nil {
				return nil, err
			}
			for _, f := range failed { // gone since it was listed: what there is of it stays
				again, locked[f.Key] = true, true
			}
		}
		if !again {
			return p, nil
		}
	}
}

// tallyAll tallies what is new, once for each pair of idle times, and notes which files are set aside.
func (p *plan) tallyAll(ctx context.Context, r *Reporter, idles []accounting.Idle) error {
	before := len(p.shelf.byName)
	aside := make(map[string]bool)
	note := func(a Aside) {
		if !aside[a.Key] {
			aside[a.Key] = true
			p.asides = append(p.asides, a)
		}
	}
	for _, idle := range idles {
		asides, err := r.tallies(ctx, p.files, idle, p.shelf)
		if err != nil {
			return err
		}
		for _, a := range asides {
			note(a)
		}
		for _, f := range p.files {
			if at, ok := p.shelf.find(tallyName(f, idle)); ok && at.info().Unreadable != "" && !p.withdrawals.has(f.Key, f.ETag) {
				note(Aside{f.Key, f.ETag, at.info().Unreadable})
			}
		}
	}
	p.counted = len(p.shelf.byName) - before
	return nil
}

// runTenant makes one tenant's reports and wraps what came of it.
func (r *Reporter) runTenant(ctx context.Context, p *plan, t *Tenant, period schemas.Period, rules accounting.Rules, failed error) TenantResult {
	result := TenantResult{Tenant: t.ID, Period: period, Folder: schemas.ReportFolder(t.ID, period)}
	began := r.Now()
	for _, text := range t.Expiring(began) {
		r.Log.Warn(text, "tenant", t.ID)
	}
	t = t.at(began)
	err := failed
	if err == nil {
		err = r.leased(ctx, t.ID, period, func() error {
			plan := p
			return r.again(func() (err error) {
				if plan == nil { // packs were removed under the first attempt
					if plan, err = r.makePlan(ctx, period, p.asOf, []accounting.Rules{rules}); err != nil {
						return err
					}
					plan.currentRules = p.currentRules
				}
				run := &run{r: r, plan: plan, tenant: t, period: period, rules: rules, result: &result}
				plan, result.Missing = nil, nil
				return run.make(ctx)
			})
		})
	}
	if err != nil {
		result.Err = fmt.Errorf("reports of %s for %s: %w", t.ID, period, err)
		result.Error = result.Err.Error()
		level := slog.LevelError
		if ctx.Err() != nil || errors.Is(err, ErrBusy) || errors.Is(err, ErrOvertaken) {
			level = slog.LevelInfo // the next run makes up for it, or another has made it
		}
		r.Log.Log(ctx, level, "run not made", "tenant", t.ID, "month", period.String(), "took", r.Now().Sub(began), "err", err)
		return result
	}
	r.Log.Info("run done", "tenant", t.ID, "month", period.String(), "run", result.Run, "state", result.State, "note", result.Note, "took", r.Now().Sub(began))
	return result
}

// leased runs do under the lease of the tenant's period.
func (r *Reporter) leased(ctx context.Context, tenant schemas.Tenant, period schemas.Period, do func() error) error {
	l, err := r.acquire(ctx, tenant, period)
	if err != nil {
		return err
	}
	defer l.release()
	return do()
}
