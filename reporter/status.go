package reporter

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/playmeter/playmeter/accounting"
	"github.com/playmeter/playmeter/bucket"
	"github.com/playmeter/playmeter/schemas"
)

// Status is what an administrator wants to know at a glance.
type Status struct {
	Files  int     `json:"files"`  // in the usage bucket
	Bytes  int64   `json:"bytes"`  // of them
	Untold int     `json:"untold"` // files without a tally yet
	Gone   int     `json:"gone"`   // files that are no longer in the bucket and stay counted
	Packs  int     `json:"packs"`  // in the metering bucket
	Aside  []Aside `json:"set_aside"`
	// Placeless counts rejected rows without a usable tenant or time, by reason.
	Placeless map[string]int64 `json:"placeless"`
	Months    []MonthStatus    `json:"months"`  // newest first, then by tenant
	Numbers   []MonthNumbers   `json:"numbers"` // of the newest months with usage, newest first
	Clocks    []NodeClock      `json:"clocks"`  // that run ahead, the worst first
	Withdrawn []WithdrawnFile  `json:"withdrawn"`
	// Unconfigured are tenants that have usage and no configuration.
	Unconfigured []UnconfiguredTenant `json:"unconfigured"`
	// Grants is what came of the readers' grants when they were last applied; nil: they never were.
	Grants *GrantsState `json:"grants"`
	// Expiring are recipients that have expired or soon will, by tenant.
	Expiring map[schemas.Tenant][]string `json:"expiring,omitempty"`
}

// UnconfiguredTenant is a tenant whose usage nobody reports.
type UnconfiguredTenant struct {
	Tenant schemas.Tenant `json:"tenant"`
	Rows   int64          `json:"rows"`
}

// Status looks at all months; see StatusOf.
func (r *Reporter) Status(ctx context.Context) (*Status, error) {
	return r.StatusOf(ctx, schemas.Period{})
}

// StatusOf looks at the buckets and counts nothing anew. Where a month is given, of the months only that
// one is looked at.
func (r *Reporter) StatusOf(ctx context.Context, month schemas.Period) (*Status, error) {
	x := &statusView{r: r, month: month, now: r.Now(), heads: make(map[schemas.Tenant]map[schemas.Period]*schemas.Commit)}
	if err := x.load(ctx); err != nil {
		return nil, err
	}
	s := &Status{Packs: len(x.shelf.packs), Aside: []Aside{}, Placeless: make(map[string]int64), Months: []MonthStatus{}, Expiring: make(map[schemas.Tenant][]string)}
	x.files(s)
	if err := x.monthsOf(ctx, s); err != nil {
		return nil, err
	}
	if err := x.numbersOf(ctx, s); err != nil {
		return nil, err
	}
	x.clocksOf(s)
	s.Withdrawn = x.withdrawnFiles()
	for _, t := range r.tenants() {
		if lines := t.Expiring(x.now); len(lines) > 0 {
			s.Expiring[t.ID] = lines
		}
	}
	var err error
	s.Grants, err = r.LastGrants(ctx)
	return s, err
}

// statusView is what a look at the buckets finds.
type statusView struct {
	r           *Reporter
	month       schemas.Period // zero: all
	now         time.Time
	listed      []bucket.Info
	shelf       *shelf
	withdrawals withdrawals
	heads       map[schemas.Tenant]map[schemas.Period]*schemas.Commit
	wanted      *wanted
	used        map[schemas.Tenant]map[schemas.Period]bool // months with usage
}

func (x *statusView) load(ctx context.Context) (err error) {
	if x.listed, err = x.r.listUsage(ctx); err != nil {
		return err
	}
	if x.shelf, err = x.r.loadShelf(ctx); err != nil {
		return err
	}
	if x.withdrawals, err = x.r.withdrawals(ctx); err != nil {
		return err
	}
	var idles []accounting.Idle
	note := func(rules accounting.Rules) {
		if !slices.Contains(idles, rules.Idle) {
			idles = append(idles, rules.Idle)
		}
	}
	for _, t := range x.r.tenants() {
		heads, err := x.r.heads(ctx, t.ID)
		if err != nil {
			return err
		}
		x.heads[t.ID] = make(map[schemas.Period]*schemas.Commit, len(heads))
		for _, c := range heads {
			x.heads[t.ID][c.Period] = c
			if rules, err := rulesOf(c, t.Rules); err == nil { // what is wrong, a run of that month tells
				note(rules)
			}
		}
		note(t.Rules)
	}
	if len(idles) == 0 {
		idles = append(idles, accounting.DefaultIdle)
	}
	returned, err := x.r.returns(ctx)
	if err != nil {
		return err
	}
	x.wanted = want(x.listed, idles, x.shelf, x.withdrawals.has, returned)
	return nil
}

// files tells what there is of usage files, and which of their rows belong to nobody.
func (x *statusView) files(s *Status) {
	told := make(map[[2]string]*schemas.Member)
	for _, p := range x.shelf.sorted() {
		for i := range p.index.Members {
			if m := &p.index.Members[i]; m.Tally != "" {
				told[[2]string{m.Key, m.ETag}] = m
			}
		}
	}
	s.Files = len(x.listed)
	for _, f := range x.listed {
		s.Bytes += f.Size
		switch m := told[[2]string{f.Key, f.ETag}]; {
		case m == nil:
			s.Untold++
		case m.Unreadable != "":
			s.Aside = append(s.Aside, Aside{f.Key, f.ETag, m.Unreadable})
		}
	}
	strangers := make(map[schemas.Tenant]int64)
	x.used = make(map[schemas.Tenant]map[schemas.Period]bool)
	for _, f := range x.wanted.files {
		if f.gone {
			s.Gone++
		}
		for reason, n := range f.member.Placeless {
			s.Placeless[reason] += n
		}
		for tenant, span := range f.member.Tenants {
			_, err := x.r.Tenant(tenant)
			if x.used[tenant] == nil {
				x.used[tenant] = make(map[schemas.Period]bool)
			}
			for _, h := range span.Hours {
				x.used[tenant][schemas.PeriodOf(time.Unix(0, h.Hour.Start()))] = true
				if err != nil {
					strangers[tenant] += h.Rows
				}
			}
		}
	}
	s.Unconfigured = []UnconfiguredTenant{}
	for tenant, rows := range strangers {
		s.Unconfigured = append(s.Unconfigured, UnconfiguredTenant{tenant, rows})
	}
	slices.SortFunc(s.Unconfigured, func(a, b UnconfiguredTenant) int { return cmp.Compare(a.Tenant, b.Tenant) })
}

// WithdrawnFile is a usage object that was taken out of the count.
type WithdrawnFile struct {
	schemas.Withdrawal
	Rows    int64            `json:"rows"` // that it had when it was counted; 0: it never was
	Tenants []schemas.Tenant `json:"tenants"`
	// Again: there is another object under the key now, which counts.
	Again bool `json:"again"`
}

// Withdrawn lists the withdrawals there are, by key and time.
func (r *Reporter) Withdrawn(ctx context.Context) (_ []WithdrawnFile, err error) {
	x := &statusView{r: r}
	if x.listed, err = r.listUsage(ctx); err != nil {
		return nil, err
	}
	if x.shelf, err = r.loadShelf(ctx); err != nil {
		return nil, err
	}
	if x.withdrawals, err = r.withdrawals(ctx); err != nil {
		return nil, fmt.Errorf("read the withdrawals: %w", err)
	}
	return x.withdrawnFiles(), nil
}

func (x *statusView) withdrawnFiles() []WithdrawnFile {
	there := make(map[string]string, len(x.withdrawals))
	for _, f := range x.listed {
		there[f.Key] = f.ETag
	}
	out := []WithdrawnFile{}
	for _, w := range x.withdrawals {
		etag, ok := there[w.Key]
		f := WithdrawnFile{Withdrawal: w, Tenants: []schemas.Tenant{}, Again: ok && !x.withdrawals.has(w.Key, etag)}
		if m := x.shelf.object(w.Key, w.ETag, nil); m != nil && m.ETag == w.ETag {
			f.Rows = m.Rows
			for tenant := range m.Tenants {
				f.Tenants = append(f.Tenants, tenant)
			}
			slices.Sort(f.Tenants)
		}
		out = append(out, f)
	}
	slices.SortFunc(out, func(a, b WithdrawnFile) int { return cmp.Or(cmp.Compare(a.Key, b.Key), a.At.Compare(b.At)) })
	return out
}
