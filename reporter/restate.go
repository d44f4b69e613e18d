package reporter

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/playmeter/playmeter/accounting"
	"github.com/playmeter/playmeter/bucket"
	"github.com/playmeter/playmeter/schemas"
)

// restatementDue decides whether a final month is restated: something that its reports were made from has
// changed, and it is neither too soon nor too late. The result says why not.
func (x *run) restatementDue(ctx context.Context) (bool, error) {
	stands := x.head.Stands()
	x.result.Run, x.result.State, x.result.Current = x.head.Current.Run, StateFinal, true
	x.result.Note = "the month is final since run " + x.head.Current.Run + "; its reports stay as they are"
	if stands != &x.head.Current {
		x.result.Note += fmt.Sprintf(", and restatement %d of run %s beside them", stands.Restatement, stands.Run)
	}
	if !x.changed() {
		x.noteSame()
		return false, nil
	}
	if same, err := x.r.exists(ctx, x.unchangedName()); err != nil || same {
		if same {
			x.noteSame()
		}
		return false, err
	}
	asOf := x.plan.asOf
	if until, why := x.r.restateUntil(x.period); !asOf.Before(until) {
		x.result.Note += fmt.Sprintf("; what has changed since came too late for a restatement: none is made after %s (%s)", until.Format(time.RFC3339), why)
		return false, nil
	}
	last, err := x.r.lastRestated(ctx, x.tenant.ID)
	if err != nil {
		return false, err
	}
	if next := last.Add(x.r.Restate.Every); !last.IsZero() && asOf.Before(next) {
		x.result.Note += fmt.Sprintf("; what has changed since is restated by the first run after %s (reports.restate.every)", next.Format(time.RFC3339))
		return false, nil
	}
	x.restatement = stands.Restatement + 1
	x.result.Note, x.result.Current = "", false
	return true, nil
}

// restateUntil is until when a month can be restated, and by which setting.
func (r *Reporter) restateUntil(p schemas.Period) (time.Time, string) {
	until := p.End().Add(r.Restate.Until)
	if r.Forget.Fragments > 0 {
		if gone := p.End().Add(r.Forget.Fragments); gone.Before(until) {
			return gone, "privacy.keep.fragments"
		}
	}
	return until, "reports.restate.until"
}

// changed tells whether the run that stands was made from something else.
func (x *run) changed() bool {
	was, now := x.head.Basis, x.commit.Basis
	return was.Files != now.Files || was.Catalog != now.Catalog || x.rulesBefore != ""
}

// unchangedName names the note that a basis gives the same reports as the run that stands.
func (x *run) unchangedName() string {
	b := x.commit.Basis
	return schemas.StatementName(x.tenant.ID, x.period, "same-"+digestOf(x.head.Stands().Run, b.Files, b.Catalog, b.Rules)[:32])
}

func (r *Reporter) exists(ctx context.Context, name string) (bool, error) {
	_, err := r.Buckets.Metering.Stat(ctx, name)
	if errors.Is(err, bucket.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// changesNothing tells whether the reports say to the byte what those say that stand.
func (x *run) changesNothing(reports []schemas.ManifestReport) bool {
	stands := x.head.Stands()
	if len(reports) != len(stands.Reports) {
		return false
	}
	for i := range reports {
		if old := stands.Report(reports[i].Report); old == nil || old.Plaintext != reports[i].Plaintext {
			return false
		}
	}
	return true
}

// leaveFinal gives up a restatement that would say nothing new, and notes that, so that it is not tried again.
func (x *run) leaveFinal(ctx context.Context) error {
	x.withdraw(ctx)
	x.restatement, x.result.Current = 0, true
	x.result.Note = "the month is final since run " + x.head.Current.Run + "; what has come since changes nothing in its reports"
	x.noteSame()
	_, err := x.r.Buckets.Metering.PutBytes(ctx, x.unchangedName(), nil)
	return err
}

// lastRestated is the as-of of a tenant's newest restatement, of whatever month.
func (r *Reporter) lastRestated(ctx context.Context, tenant schemas.Tenant) (time.Time, error) {
	heads, err := r.heads(ctx, tenant)
	if err != nil {
		return time.Time{}, err
	}
	var last time.Time
	for _, c := range heads {
		if c.Restated == nil {
			continue
		}
		at, err := time.Parse(time.RFC3339, c.Restated.AsOf)
		if err != nil {
			return last, fmt.Errorf("read commit %d of %s %s: as_of: %w", c.Number, c.Tenant, c.Period, err)
		}
		if at.After(last) {
			last = at
		}
	}
	return last, nil
}

// heads are the newest commits of a tenant's months, by month. Commits do not change: those
// read before are not read again.
func (r *Reporter) heads(ctx context.Context, tenant schemas.Tenant) ([]*schemas.Commit, error) {
	newest := make(map[string]string) // by folder
	prefix := schemas.PrefixCommits + string(tenant) + "/"
	for info, err := range r.Buckets.Metering.List(ctx, prefix, "") {
		if err != nil {
			return nil, err
		}
		folder := info.Key[:strings.LastIndexByte(info.Key, '/')+1]
		if _, ok := schemas.ParseNumber(info.Key); ok && info.Key > newest[folder] {
			newest[folder] = info.Key
		}
	}
	var out []*schemas.Commit
	var errs []error
	for _, key := range newest {
		c, err := r.cachedCommit(ctx, key)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		out = append(out, c)
	}
	slices.SortFunc(out, func(a, b *schemas.Commit) int { return a.Period.Start().Compare(b.Period.Start()) })
	return out, errors.Join(errs...)
}

func (r *Reporter) cachedCommit(ctx context.Context, key string) (*schemas.Commit, error) {
	r.commitMu.Lock()
	c := r.commits[key]
	r.commitMu.Unlock()
	if c != nil {
		return c, nil
	}
	c, err := r.readCommit(ctx, key)
	if err != nil {
		return nil, err
	}
	r.commitMu.Lock()
	defer r.commitMu.Unlock()
	if r.commits == nil {
		r.commits = make(map[string]*schemas.Commit)
	}
	folder := key[:strings.LastIndexByte(key, '/')+1]
	for old := range r.commits {
		if strings.HasPrefix(old, folder) {
			delete(r.commits, old)
		}
	}
	r.commits[key] = c
	return c, nil
}

// writeDiff writes what the restatement changed of usage, and why, beside the reports.
func (x *run) writeDiff(ctx context.Context) error {
	if len(x.tenant.Recipients[schemas.ReportUsage]) == 0 {
		return nil
	}
	steps, err := x.steps(ctx)
	if err != nil {
		return fmt.Errorf("compare with run %s: %w", x.head.Stands().Run, err)
	}
	j := x.job(schemas.ReportDiff)
	s, err := x.r.openReport(ctx, j)
	if err != nil {
		return err
	}
	rows, err := accounting.WriteUsageDiff(s, accounting.DiffChain(steps), x.rules.CSVGuard)
	if err != nil {
		s.abandon(err)
		return err
	}
	m, err := x.r.closeReport(ctx, s, j, accounting.UsageDiffColumns, rows)
	x.diff = &m
	return err
}

// steps leads from the report that stands to the new one, a cause at a time.
func (x *run) steps(ctx context.Context) ([]accounting.DiffStep, error) {
	before, err := x.r.openPast(ctx, RunID{x.tenant.ID, x.period, x.head.Stands().Run})
	if err != nil {
		return nil, err
	}
	first, err := before.usage(ctx)
	if err != nil {
		return nil, err
	}
	if like, err := before.likeness(first); err != nil {
		return nil, err
	} else if like == LikeOther {
		x.warnings = append(x.warnings, fmt.Sprintf("the usage report of run %s cannot be made again to the byte, because a catalog snapshot under its name or the software has changed since: %s compares with what it would say now", before.id(), schemas.ReportDiff))
	}
	first.Name = x.tenant.Name
	report := func(s *accounting.Statement, c *catalogView, guard bool) *accounting.UsageReport {
		return &accounting.UsageReport{TenantID: x.tenant.ID, Name: x.tenant.Name, Statement: s, Holdings: c.holdings, Guard: guard}
	}
	steps := []accounting.DiffStep{{Report: first}}
	stages := x.stages(before)
	for i, stage := range stages {
		if i == len(stages)-1 {
			steps = append(steps, accounting.DiffStep{Cause: stage.cause, Report: report(x.statement, x.catalog, x.rules.CSVGuard)})
			break
		}
		statement, catalog := steps[len(steps)-1].Report.Statement, before.catalog
		if stage.inputs == nil { // the catalog: the statement is that of the stage before
			catalog = x.catalog
		} else {
			f := x.r.newFold(x.tenant.ID, before.bounds, before.rules, stage.inputs)
			if statement, err = f.run(ctx, new(accounting.Finisher), func(*schemas.Session) error { return nil }); err != nil {
				return nil, err
			}
		}
		steps = append(steps, accounting.DiffStep{Cause: stage.cause, Report: report(statement, catalog, before.rules.CSVGuard)})
	}
	return steps, nil
}

// stage is a step on the way from the report that stands to the new one.
type stage struct {
	cause  accounting.Cause
	inputs []input // nil: those of the stage before
}

// stages lists what has changed, in the order in which the causes are named. The inputs of all
// are counted under the rules that held before.
func (x *run) stages(before *past) []stage {
	var stages []stage
	if x.head.Basis.Fold != foldVersion {
		stages = append(stages, stage{accounting.CauseSoftware, before.inputs})
	}
	was := make(map[string]input, len(before.inputs))
	for _, in := range before.inputs {
		was[in.Key] = in
	}
	now := make(map[string]input, len(x.inputs))
	for _, in := range x.inputs {
		now[in.Key] = x.as(in, before.rules)
	}
	present := before.inputs
	apply := func(cause accounting.Cause, change func(in input) (input, bool), added []input) {
		next, moved := make([]input, 0, len(present)), len(added) > 0
		for _, in := range present {
			to, keep := change(in)
			moved = moved || !keep || to.Tally != in.Tally
			if keep {
				next = append(next, to)
			}
		}
		if !moved {
			return
		}
		next = append(next, added...)
		slices.SortFunc(next, func(a, b input) int { return strings.Compare(a.Key, b.Key) })
		present = next
		stages = append(stages, stage{cause, next})
	}
	apply(accounting.CauseWithdrawn, func(in input) (input, bool) { return in, !x.plan.withdrawals.has(in.Key, in.ETag) }, nil)
	apply(accounting.CauseReplaced, func(in input) (input, bool) {
		if to, ok := now[in.Key]; ok && to.ETag != in.ETag {
			return to, true
		}
		_, ok := now[in.Key]
		return in, ok // replaced by one that holds nothing of the month
	}, nil)
	left := maps.Clone(now)
	for _, in := range present {
		delete(left, in.Key)
	}
	added := slices.Collect(maps.Values(left))
	apply(accounting.CauseLate, func(in input) (input, bool) { return now[in.Key], true }, added)
	if x.head.Basis.Catalog != x.commit.Basis.Catalog {
		stages = append(stages, stage{cause: accounting.CauseCatalog})
	}
	if x.rulesBefore != "" {
		stages = append(stages, stage{cause: accounting.CauseRules})
	}
	if len(stages) == 0 { // what has changed counts under other names alone
		stages = append(stages, stage{accounting.CauseLate, x.inputs})
	}
	return stages
}

// as is an input as it counts under other rules, whose idle times may be others.
func (x *run) as(in input, rules accounting.Rules) input {
	if rules.Idle == x.rules.Idle {
		return in
	}
	if at, _, ok := in.file.tally(x.plan.shelf, rules.Idle); ok {
		in.at, in.Tally = at, at.info().Tally
	}
	return in
}
