package reporter

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/playmeter/playmeter/accounting"
	"github.com/playmeter/playmeter/crypto"
	"github.com/playmeter/playmeter/schemas"
)

// Forget is how long what holds viewers' data stays in the metering bucket, from the end of the month that it
// belongs to; 0: for good.
type Forget struct {
	// Fragments are what sessions are made from. A month without them can be counted again, restated
	// and sealed anew no more.
	Fragments time.Duration
	Sessions  time.Duration // finished sessions
	Audit     time.Duration // the log of who fetched what; from its day on
}

// stripping says which fragments go from packs. A nil one says none.
type stripping struct {
	usual   accounting.Bounds                     // of the first month whose fragments stay
	pending map[schemas.Tenant]*accounting.Bounds // likewise, of tenants of whom an older month has to be made yet
}

// clockTrust is Reporter.ClockTrust's default: a clock that is years ahead for a moment must not make anything go.
const clockTrust = 48 * time.Hour

// stripping works out which fragments have had their time: those of months that ended long enough ago, save
// where the month of a tenant is not final yet, or was never made.
func (r *Reporter) stripping(ctx context.Context, s *shelf) (*stripping, error) {
	if r.Forget.Fragments <= 0 {
		return nil, nil
	}
	now := r.Now()
	if newest := s.newest().Add(cmp.Or(r.ClockTrust, clockTrust)); newest.Before(now) {
		now = newest
	}
	first := schemas.PeriodOf(now.Add(-r.Forget.Fragments))
	x := &stripping{pending: make(map[schemas.Tenant]*accounting.Bounds)}
	var idle accounting.Idle
	for _, t := range r.tenants() {
		longest(&idle, t.Rules.Idle)
	}
	from := make(map[schemas.Tenant]schemas.Period)
	for tenant, months := range s.fragmentMonths(first) {
		heads, err := r.heads(ctx, tenant)
		if err != nil {
			return nil, err
		}
		for _, c := range heads {
			if rules, err := rulesOf(c, accounting.Rules{}); err == nil {
				longest(&idle, rules.Idle)
			}
		}
		if p, ok := r.firstPending(tenant, months, heads); ok {
			from[tenant] = p
		}
	}
	x.usual = accounting.NewBounds(first, first.End(), idle)
	for tenant, p := range from {
		b := accounting.NewBounds(p, p.End(), idle)
		x.pending[tenant] = &b
		_ = r.once("fragments "+string(tenant)+p.String(), func() error {
			r.Log.Warn("what sessions are made from is kept longer than privacy.keep.fragments, because the month is not final: make its reports", "tenant", tenant, "month", p.String())
			return nil
		})
	}
	return x, nil
}

// firstPending is the first of some months that has to be made yet: it is not final, or it has no report at all
// though the tenant is configured.
func (r *Reporter) firstPending(tenant schemas.Tenant, months []schemas.Period, heads []*schemas.Commit) (schemas.Period, bool) {
	_, err := r.Tenant(tenant)
	configured := err == nil
	for _, p := range months {
		i := slices.IndexFunc(heads, func(c *schemas.Commit) bool { return c.Period == p })
		switch {
		case i >= 0 && heads[i].Current.State != StateFinal, i < 0 && configured:
			return p, true
		}
	}
	return schemas.Period{}, false
}

// newest is when the newest counted file was stored, by the store's clock.
func (s *shelf) newest() time.Time {
	var at time.Time
	for l := range s.readable() {
		if m := l.info(); m.Modified.After(at) {
			at = m.Modified
		}
	}
	return at
}

// fragmentMonths are the months before one that there are fragments of, by tenant, oldest first.
func (s *shelf) fragmentMonths(before schemas.Period) map[schemas.Tenant][]schemas.Period {
	out := make(map[schemas.Tenant][]schemas.Period)
	for _, p := range s.sorted() {
		for i := range p.index.Blocks {
			b := &p.index.Blocks[i]
			month := schemas.PeriodOf(time.Unix(0, b.Day.Start()))
			if b.Kind == schemas.BlockFragments && month.Start().Before(before.Start()) && !slices.Contains(out[b.Tenant], month) {
				out[b.Tenant] = append(out[b.Tenant], month)
			}
		}
	}
	for _, months := range out {
		slices.SortFunc(months, func(a, b schemas.Period) int { return a.Start().Compare(b.Start()) })
	}
	return out
}

func longest(to *accounting.Idle, other accounting.Idle) {
	to.WithID, to.WithoutID = max(to.WithID, other.WithID), max(to.WithoutID, other.WithoutID)
}

// drops tells whether a block goes, and from when on months of its tenant can still be made.
func (x *stripping) drops(b *schemas.Block) (schemas.Day, bool) {
	bounds := &x.usual
	if pending := x.pending[b.Tenant]; pending != nil {
		bounds = pending
	}
	goes := b.Kind == schemas.BlockFragments && (b.Day+1).Start() <= bounds.From && !bounds.WantsFragments(b.Day, b.Records)
	return schemas.DayOf(bounds.From), goes
}

// packs are those that have something to lose.
func (x *stripping) packs(s *shelf) []*pack {
	if x == nil {
		return nil
	}
	var out []*pack
	for _, p := range s.sorted() {
		for i := range p.index.Blocks {
			if _, goes := x.drops(&p.index.Blocks[i]); goes && !p.unfit.Load() {
				out = append(out, p)
				break
			}
		}
	}
	return out
}

// strip writes packs anew without the fragments that are to go. What they were written from is swept
// later, as after a merge.
func (r *Reporter) strip(ctx context.Context, s *shelf, x *stripping) error {
	budget := int64(mergeBudget)
	for _, p := range x.packs(s) {
		if budget <= 0 {
			break // the next run goes on
		}
		budget -= p.size
		if err := r.stripPack(ctx, s, x, p); err != nil {
			if !r.markUnfit(s, err) {
				return err
			}
		}
	}
	return nil
}

func (r *Reporter) stripPack(ctx context.Context, s *shelf, x *stripping, p *pack) error {
	out, err := r.newPackOutput()
	if err != nil {
		return err
	}
	defer out.spool.Close()
	index, err := accounting.StripPack(p.source(ctx), out, func() (accounting.Scratch, error) { return crypto.NewSpool(r.Temp) }, x.drops)
	if err != nil {
		return err
	}
	if err := r.storePack(ctx, out, index, s); err != nil {
		return err
	}
	r.Log.Info("personal data removed from a pack", "object", p.key, "before", x.usual.Period.String(), "bytes", p.size-out.spool.Size())
	return nil
}

// forget removes finished sessions and audit records whose time is over, also of tenants that are configured
// no more.
func (r *Reporter) forget(ctx context.Context, s *shelf) {
	now := r.Now()
	if keep := r.Forget.Sessions; keep > 0 {
		for tenant := range r.everTenants(s) {
			heads, err := r.heads(ctx, tenant)
			for _, c := range heads {
				if err == nil && c.Current.State == StateFinal && !now.Before(c.Period.End().Add(keep)) {
					err = r.forgetSessions(ctx, c)
				}
			}
			r.warnForget(ctx, err)
		}
	}
	if keep := r.Forget.Audit; keep > 0 {
		oldest := now.Add(-keep).UTC().Format(time.DateOnly)
		r.warnForget(ctx, r.removeAll(ctx, schemas.PrefixAudit, func(name string) bool {
			day, _, _ := strings.Cut(strings.TrimPrefix(name, schemas.PrefixAudit), "/")
			return day < oldest
		}))
	}
}

// everTenants are those that are configured, and those that have usage.
func (r *Reporter) everTenants(s *shelf) map[schemas.Tenant]bool {
	all := make(map[schemas.Tenant]bool)
	for _, t := range r.tenants() {
		all[t.ID] = true
	}
	for l := range s.readable() {
		for t := range l.info().Tenants {
			all[t] = true
		}
	}
	return all
}

// once does something that is asked for under a name, unless it was done under that name in this process and went well.
func (r *Reporter) once(name string, do func() error) error {
	r.commitMu.Lock()
	done := r.done[name]
	r.commitMu.Unlock()
	if done {
		return nil
	}
	if err := do(); err != nil {
		return err
	}
	r.commitMu.Lock()
	defer r.commitMu.Unlock()
	if r.done == nil {
		r.done = make(map[string]bool)
	}
	r.done[name] = true
	return nil
}

// forgetSessions removes a month's finished sessions, once in this process unless another run has written some.
func (r *Reporter) forgetSessions(ctx context.Context, c *schemas.Commit) error {
	return r.once(schemas.CommitName(c.Tenant, c.Period, c.Number), func() error {
		return r.removeAll(ctx, schemas.MonthFolder(schemas.PrefixSessions, c.Tenant, c.Period), nil)
	})
}

func (r *Reporter) warnForget(ctx context.Context, err error) {
	if err != nil && !errors.Is(err, ctx.Err()) {
		r.Log.Warn("personal data whose time is over could not be removed; the next run tries again", "err", err)
	}
}

// removeAll removes the objects of the metering bucket below a prefix that which picks; nil: all.
func (r *Reporter) removeAll(ctx context.Context, prefix string, which func(string) bool) error {
	var names []string
	for info, err := range r.Buckets.Metering.List(ctx, prefix, "") {
		if err != nil {
			return err
		}
		if which != nil && !which(info.Key) {
			break // names go on from older to newer
		}
		names = append(names, info.Key)
	}
	for _, name := range names {
		if err := r.Buckets.Metering.Delete(ctx, name); err != nil {
			return err
		}
	}
	return nil
}
