package reporter

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"time"

	"github.com/playmeter/playmeter/accounting"
	"github.com/playmeter/playmeter/schemas"
)

// MonthStatus is one tenant's month. What became of its rows is as the manifest of the run that stands
// says: the newest restatement, else the current run.
type MonthStatus struct {
	Tenant schemas.Tenant `json:"tenant"`
	Period schemas.Period `json:"period"`
	State  string         `json:"state"` // now
	// Made is the state of the reports, which that of the month may be ahead of.
	Made string `json:"made,omitempty"`
	// LastRun is the one that the stable names show, Runs how many were committed, and Kept those whose
	// reports are still there.
	LastRun string           `json:"last_run,omitempty"`
	AsOf    string           `json:"as_of,omitempty"`
	Runs    int64            `json:"runs"`
	Kept    []string         `json:"kept,omitempty"`
	Reports []schemas.Report `json:"reports,omitempty"`
	Next    time.Time        `json:"next,omitzero"`

	Restatements int      `json:"restatements,omitempty"` // made so far
	Restated     string   `json:"restated,omitempty"`     // run of the newest
	Waiting      *Waiting `json:"waiting,omitempty"`      // what a final month was made from has changed since

	Complete   *bool                `json:"complete,omitempty"` // nil: there is no run
	SetAside   int                  `json:"set_aside_files"`
	Events     *schemas.Events      `json:"events,omitempty"`
	Nodes      []schemas.NodeEvents `json:"nodes,omitempty"`
	Withdrawn  []schemas.Withdrawal `json:"withdrawn,omitempty"`
	Warnings   []string             `json:"warnings,omitempty"`
	Rejected   map[string]int64     `json:"rejected,omitempty"`
	Unreadable string               `json:"unreadable,omitempty"` // why the manifest tells nothing
}

// Waiting says that a final month may need a restatement: a run decides, and makes none where the reports
// would say the same.
type Waiting struct {
	After   time.Time `json:"after,omitzero"` // not before; zero: the next run makes it
	Until   time.Time `json:"until"`
	TooLate bool      `json:"too_late,omitempty"` // none is made any more
	By      string    `json:"by"`                 // the setting that Until comes from
}

// monthsOf tells of the months that have usage or runs.
func (x *statusView) monthsOf(ctx context.Context, s *Status) error {
	for _, t := range x.r.tenants() {
		next, err := NextRuns(t.Schedule, x.now, 1)
		if err != nil {
			return err
		}
		for p := range x.periods(t.ID) {
			m := MonthStatus{Tenant: t.ID, Period: p, State: x.r.State(p, x.now)}
			c := x.heads[t.ID][p]
			if x.isDue(p, c) && len(next) > 0 {
				m.Next = next[0]
			}
			if err := x.tell(ctx, &m, c); err != nil {
				return err
			}
			s.Months = append(s.Months, m)
		}
	}
	slices.SortFunc(s.Months, func(a, b MonthStatus) int {
		return cmp.Or(b.Period.Start().Compare(a.Period.Start()), cmp.Compare(a.Tenant, b.Tenant))
	})
	return nil
}

// periods are a tenant's months with usage or runs, and this one; or the one asked for.
func (x *statusView) periods(tenant schemas.Tenant) map[schemas.Period]bool {
	if !x.month.IsZero() {
		return map[schemas.Period]bool{x.month: true}
	}
	out := map[schemas.Period]bool{schemas.PeriodOf(x.now): true}
	for p := range x.heads[tenant] {
		out[p] = true
	}
	maps.Copy(out, x.used[tenant])
	return out
}

// isDue tells whether a scheduled run makes the month: see scheduled.
func (x *statusView) isDue(p schemas.Period, c *schemas.Commit) bool {
	if c != nil && c.Current.State == StateFinal {
		return false
	}
	due := DuePeriods(x.now, x.r.Grace)
	return slices.Contains(due, p) || c != nil && p.Start().Before(due[0].Start())
}

// tell says what has been made of a month.
func (x *statusView) tell(ctx context.Context, m *MonthStatus, c *schemas.Commit) error {
	if c == nil {
		return nil
	}
	m.LastRun, m.AsOf, m.Made, m.Runs = c.Current.Run, c.Current.AsOf, c.Current.State, c.Number
	for _, report := range c.Current.Reports {
		m.Reports = append(m.Reports, report.Report)
	}
	for _, k := range c.Kept {
		m.Kept = append(m.Kept, k.Run)
	}
	if c.Restated != nil {
		m.Restatements, m.Restated = c.Restated.Restatement, c.Restated.Run
	}
	var manifest schemas.Manifest
	if err := x.r.readJSON(ctx, x.r.Buckets.Reporting, schemas.ReportFolder(m.Tenant, m.Period)+schemas.RunFolder(c.Stands().Run)+schemas.ManifestFile, &manifest); ctx.Err() != nil {
		return err
	} else if err != nil {
		m.Unreadable = err.Error()
	} else {
		m.Complete, m.SetAside, m.Events, m.Rejected = &manifest.Complete, manifest.SetAside, &manifest.Events, manifest.Events.Rejected
		m.Nodes, m.Withdrawn, m.Warnings = manifest.Nodes, manifest.Withdrawn, manifest.Warnings
	}
	if c.Current.State != StateFinal {
		return nil
	}
	waits, err := x.waits(ctx, c)
	if err == nil && waits {
		m.Waiting, err = x.waiting(ctx, c)
	}
	return err
}

// waits tells whether something that a final month was made from has changed since, and no run has found yet
// that it changes nothing.
func (x *statusView) waits(ctx context.Context, c *schemas.Commit) (bool, error) {
	files, snapshots, err := x.r.glance(ctx, &plan{wanted: x.wanted}, c)
	if err != nil || files == c.Basis.Files && snapshots == c.Basis.Snapshots {
		return false, err
	}
	if snapshots != c.Basis.Snapshots {
		return true, nil // which of them would be used, a run finds out
	}
	rules, err := rulesOf(c, accounting.Rules{})
	if err != nil {
		return false, err
	}
	asked := run{tenant: &Tenant{ID: c.Tenant}, period: c.Period, head: c}
	asked.commit.Basis = schemas.Basis{Files: files, Catalog: c.Basis.Catalog, Rules: rules.Digest()}
	same, err := x.r.exists(ctx, asked.unchangedName())
	return !same, err
}

func (x *statusView) waiting(ctx context.Context, c *schemas.Commit) (*Waiting, error) {
	w := new(Waiting)
	w.Until, w.By = x.r.restateUntil(c.Period)
	w.TooLate = !x.now.Before(w.Until)
	last, err := x.r.lastRestated(ctx, c.Tenant)
	if next := last.Add(x.r.Restate.Every); !last.IsZero() && x.now.Before(next) {
		w.After = next
	}
	return w, err
}
