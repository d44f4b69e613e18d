package reporter

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/playmeter/playmeter/schemas"
)

// Status is what an administrator wants to know at a glance.
type Status struct {
	Files  int     `json:"files"`  // in the usage bucket
	Bytes  int64   `json:"bytes"`  // of them
	Untold int     `json:"untold"` // files without a tally yet
	Packs  int     `json:"packs"`  // in the metering bucket
	Aside  []Aside `json:"set_aside"`
	// Placeless counts rejected rows without a usable tenant or time, by reason.
	Placeless map[string]int64 `json:"placeless"`
	Months    []MonthStatus    `json:"months"` // newest first, then by tenant
	// Unconfigured are tenants that have usage and no configuration.
	Unconfigured []UnconfiguredTenant `json:"unconfigured"`
}

// MonthStatus is one tenant's month.
type MonthStatus struct {
	Tenant   schemas.Tenant   `json:"tenant"`
	Period   schemas.Period   `json:"period"`
	State    string           `json:"state"` // now
	LastRun  string           `json:"last_run,omitempty"`
	AsOf     string           `json:"as_of,omitempty"`
	Runs     int64            `json:"runs"`
	Reports  []schemas.Report `json:"reports,omitempty"`
	Rejected map[string]int64 `json:"rejected,omitempty"`
	Next     time.Time        `json:"next,omitzero"`
}

// UnconfiguredTenant is a tenant whose usage nobody reports.
type UnconfiguredTenant struct {
	Tenant schemas.Tenant `json:"tenant"`
	Rows   int64          `json:"rows"`
}

// Status looks at the buckets; it counts nothing anew.
func (r *Reporter) Status(ctx context.Context) (*Status, error) {
	files, err := r.listUsage(ctx)
	if err != nil {
		return nil, err
	}
	shelf, err := r.loadShelf(ctx)
	if err != nil {
		return nil, err
	}
	s := &Status{Files: len(files), Packs: len(shelf.packs), Aside: []Aside{}, Placeless: make(map[string]int64), Unconfigured: []UnconfiguredTenant{}}
	told := make(map[string]*schemas.Member)
	for _, p := range shelf.sorted() {
		for i := range p.index.Members {
			if m := &p.index.Members[i]; m.Tally != "" {
				told[m.Key+"\x00"+m.ETag] = m
			}
		}
	}
	strangers := make(map[schemas.Tenant]int64)
	months := make(map[schemas.Tenant]map[schemas.Period]bool)
	for _, f := range files {
		s.Bytes += f.Size
		m := told[f.Key+"\x00"+f.ETag]
		switch {
		case m == nil:
			s.Untold++
		case m.Unreadable != "":
			s.Aside = append(s.Aside, Aside{f.Key, f.ETag, m.Unreadable})
		default:
			r.countMember(m, s, strangers, months)
		}
	}
	for tenant, rows := range strangers {
		s.Unconfigured = append(s.Unconfigured, UnconfiguredTenant{tenant, rows})
	}
	slices.SortFunc(s.Unconfigured, func(a, b UnconfiguredTenant) int { return cmp.Compare(a.Tenant, b.Tenant) })
	return s, r.monthStatus(ctx, s, months)
}

func (r *Reporter) countMember(m *schemas.Member, s *Status, strangers map[schemas.Tenant]int64, months map[schemas.Tenant]map[schemas.Period]bool) {
	for reason, n := range m.Placeless {
		s.Placeless[reason] += n
	}
	for tenant, span := range m.Tenants {
		_, err := r.Tenant(tenant)
		for _, h := range span.Hours {
			if err != nil {
				strangers[tenant] += h.Rows
				continue
			}
			if months[tenant] == nil {
				months[tenant] = make(map[schemas.Period]bool)
			}
			months[tenant][schemas.PeriodOf(time.Unix(0, h.Hour.Start()))] = true
		}
	}
}

// monthStatus fills in the months that have usage or commits.
func (r *Reporter) monthStatus(ctx context.Context, s *Status, months map[schemas.Tenant]map[schemas.Period]bool) error {
	now := r.Now()
	for _, t := range r.Tenants {
		periods := months[t.ID]
		if periods == nil {
			periods = make(map[schemas.Period]bool)
		}
		periods[schemas.PeriodOf(now)] = true
		next, err := NextRuns(t.Schedule, now, 1)
		if err != nil {
			return err
		}
		for p := range periods {
			m := MonthStatus{Tenant: t.ID, Period: p, State: r.State(p, now)}
			if slices.Contains(DuePeriods(now, r.Grace), p) && len(next) > 0 {
				m.Next = next[0]
			}
			if err := r.lastRun(ctx, &m); err != nil {
				return err
			}
			s.Months = append(s.Months, m)
		}
	}
	slices.SortFunc(s.Months, func(a, b MonthStatus) int {
		return cmp.Or(cmp.Compare(b.Period.String(), a.Period.String()), cmp.Compare(a.Tenant, b.Tenant))
	})
	return nil
}

func (r *Reporter) lastRun(ctx context.Context, m *MonthStatus) error {
	head, err := r.head(ctx, m.Tenant, m.Period)
	if err != nil || head == nil {
		return err
	}
	m.LastRun, m.AsOf, m.Runs = head.Current.Run, head.Current.AsOf, head.Number
	for _, report := range head.Current.Reports {
		m.Reports = append(m.Reports, report.Report)
	}
	var manifest schemas.Manifest
	if err := r.readJSON(ctx, r.Buckets.Reporting, schemas.ReportFolder(m.Tenant, m.Period)+schemas.RunFolder(head.Current.Run)+schemas.ManifestFile, &manifest); err != nil {
		return err
	}
	m.Rejected = manifest.Events.Rejected
	return nil
}
