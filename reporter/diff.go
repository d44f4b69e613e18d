package reporter

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"

	"github.com/playmeter/playmeter/accounting"
	"github.com/playmeter/playmeter/schemas"
)

// Diff is what changed between two runs.
type Diff struct {
	A      RunFacts   `json:"a"`
	B      RunFacts   `json:"b"`
	Inputs InputsDiff `json:"inputs"`
	// Changes are the cells of the usage report that differ, in the order of
	// accounting.DiffUsage. They may be asked for more than once.
	Changes iter.Seq[accounting.UsageChange] `json:"-"`
	Guard   bool                             `json:"-"` // of B's report: what a CSV of the changes is guarded by
}

// RunFacts is what a run was made from, but for its usage files.
type RunFacts struct {
	Tenant   schemas.Tenant `json:"tenant"`
	Period   schemas.Period `json:"period"`
	Run      string         `json:"run"`
	AsOf     string         `json:"as_of"`
	State    string         `json:"state"`
	Software string         `json:"software"`
	Rules    string         `json:"rules"`   // their digest
	Catalog  []string       `json:"catalog"` // the snapshots in force
	Files    int            `json:"files"`
	// Report tells whether the usage report, made again, is the one that was sealed.
	Report Likeness `json:"report"`
}

// InputsDiff is which usage files B counts otherwise than A.
type InputsDiff struct {
	New      []string `json:"new"`
	Replaced []string `json:"replaced"`
	// Gone files left the usage bucket between the runs; B still counts them.
	Gone []string `json:"gone"`
	// Withdrawn files are counted by A and not by B. (Where B is the earlier run, they came later.)
	Withdrawn []string `json:"withdrawn"`
	// Recounted files are the same and were counted otherwise: other copies were left out,
	// or other software counted.
	Recounted []string `json:"recounted"`
}

// Empty tells whether B counts the same as A.
func (d *InputsDiff) Empty() bool {
	return len(d.New)+len(d.Replaced)+len(d.Gone)+len(d.Withdrawn)+len(d.Recounted) == 0
}

// ErrTenants tells that runs of two tenants were to be compared.
var ErrTenants = errors.New("the two runs are of different tenants")

// Diff compares two runs of a tenant. Reports of runs that are not current are made again,
// from what was counted then; nothing is written.
//
//   - Errors: ErrNoRun, ErrTenants; what a run was made from and is gone, named.
func (r *Reporter) Diff(ctx context.Context, a, b RunID) (*Diff, error) {
	if a.Tenant != b.Tenant {
		return nil, fmt.Errorf("%s and %s: %w", a, b, ErrTenants)
	}
	from, before, err := r.usageOf(ctx, a)
	if err != nil {
		return nil, err
	}
	to, after := from, before
	if a != b {
		if to, after, err = r.usageOf(ctx, b); err != nil {
			return nil, err
		}
	}
	d := &Diff{Changes: accounting.DiffUsage(before, after), Inputs: diffInputs(from.inputs, to.inputs), Guard: to.rules.CSVGuard}
	if d.A, err = from.facts(before); err != nil {
		return nil, err
	}
	if d.B, err = to.facts(after); err != nil {
		return nil, err
	}
	if cause, ok := d.cause(); ok && from.bounds == to.bounds && from.commit.Number < to.commit.Number {
		d.Changes = accounting.DiffChain([]accounting.DiffStep{{Report: before}, {Cause: cause, Report: after}})
	}
	return d, nil
}

func (r *Reporter) usageOf(ctx context.Context, id RunID) (*past, *accounting.UsageReport, error) {
	p, err := r.openPast(ctx, id)
	if err != nil {
		return nil, nil, err
	}
	u, err := p.usage(ctx)
	return p, u, err
}

func (p *past) facts(u *accounting.UsageReport) (RunFacts, error) {
	m := p.manifest
	f := RunFacts{Tenant: p.tenant.ID, Period: m.Period, Run: p.commit.Run.Run, AsOf: p.commit.Run.AsOf, State: p.commit.Run.State,
		Software: m.Software.Version, Rules: m.Rules.Digest, Catalog: m.Enrichment.Catalog, Files: m.Inputs.Files}
	var err error
	f.Report, err = p.likeness(u)
	return f, err
}

// cause is why the figures moved, where the runs differ in one respect only. It holds for a later
// run that speaks of the same stretch of time.
func (d *Diff) cause() (accounting.Cause, bool) {
	var causes []accounting.Cause
	note := func(differ bool, c accounting.Cause) {
		if differ {
			causes = append(causes, c)
		}
	}
	note(d.A.Software != d.B.Software || len(d.Inputs.Recounted) > 0, accounting.CauseSoftware)
	note(len(d.Inputs.Withdrawn) > 0, accounting.CauseWithdrawn)
	note(len(d.Inputs.Replaced) > 0, accounting.CauseReplaced)
	note(len(d.Inputs.New) > 0, accounting.CauseLate)
	note(!slices.Equal(d.A.Catalog, d.B.Catalog), accounting.CauseCatalog)
	note(d.A.Rules != d.B.Rules, accounting.CauseRules)
	if len(causes) != 1 || len(d.Inputs.Recounted) > 0 || d.A.Report == LikeOther || d.B.Report == LikeOther {
		return "", false
	}
	return causes[0], true
}

// diffInputs compares two lists of inputs, both sorted by key.
func diffInputs(a, b []input) InputsDiff {
	d := InputsDiff{New: []string{}, Replaced: []string{}, Gone: []string{}, Withdrawn: []string{}, Recounted: []string{}}
	old := make(map[string]*input, len(a))
	for i := range a {
		old[a[i].Key] = &a[i]
	}
	for i := range b {
		was, now := old[b[i].Key], &b[i]
		delete(old, now.Key)
		switch {
		case was == nil:
			d.New = append(d.New, now.Key)
			continue
		case was.ETag != now.ETag:
			d.Replaced = append(d.Replaced, now.Key)
		case was.Tally != now.Tally:
			d.Recounted = append(d.Recounted, now.Key)
		}
		if now.Gone && !was.Gone {
			d.Gone = append(d.Gone, now.Key)
		}
	}
	for i := range a {
		if old[a[i].Key] != nil {
			d.Withdrawn = append(d.Withdrawn, a[i].Key)
		}
	}
	return d
}
