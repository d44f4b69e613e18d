package reporter

import (
	"context"
	"errors"
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
	bounds accounting.Bounds // of the first month whose fragments stay, with the longest idle times in use
}

// stripping works out which months have to be made from fragments yet: those whose time has not come,
// and those of tenants that are not final.
func (r *Reporter) stripping(ctx context.Context) (*stripping, error) {
	if r.Forget.Fragments <= 0 {
		return nil, nil
	}
	first := schemas.PeriodOf(r.Now().Add(-r.Forget.Fragments))
	var idle accounting.Idle
	for _, t := range r.tenants() {
		heads, err := r.heads(ctx, t.ID)
		if err != nil {
			return nil, err
		}
		longest(&idle, t.Rules.Idle)
		for _, c := range heads {
			rules, err := rulesOf(c, t.Rules)
			if err != nil {
				return nil, err
			}
			longest(&idle, rules.Idle)
			if c.Current.State != StateFinal && c.Period.Start().Before(first.Start()) {
				first = c.Period
			}
		}
	}
	return &stripping{accounting.NewBounds(first, first.End(), idle)}, nil
}

func longest(to *accounting.Idle, other accounting.Idle) {
	to.WithID, to.WithoutID = max(to.WithID, other.WithID), max(to.WithoutID, other.WithoutID)
}

// drops tells whether a block goes.
func (x *stripping) drops(b *schemas.Block) bool {
	return b.Kind == schemas.BlockFragments && (b.Day+1).Start() <= x.bounds.From && !x.bounds.WantsFragments(b.Day, b.Records)
}

// packs are those that have something to lose.
func (x *stripping) packs(s *shelf) []*pack {
	if x == nil {
		return nil
	}
	var out []*pack
	for _, p := range s.sorted() {
		for i := range p.index.Blocks {
			if x.drops(&p.index.Blocks[i]) && !p.unfit.Load() {
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
	index, err := accounting.StripPack(p.source(ctx), out, func() (accounting.Scratch, error) { return crypto.NewSpool(r.Temp) }, schemas.DayOf(x.bounds.From), x.drops)
	if err != nil {
		return err
	}
	if err := r.storePack(ctx, out, index, s); err != nil {
		return err
	}
	r.Log.Info("personal data removed from a pack", "object", p.key, "before", x.bounds.Period.String(), "bytes", p.size-out.spool.Size())
	return nil
}

// forget removes finished sessions and audit records whose time is over.
func (r *Reporter) forget(ctx context.Context) {
	now := r.Now()
	if keep := r.Forget.Sessions; keep > 0 {
		for _, t := range r.tenants() {
			heads, err := r.heads(ctx, t.ID)
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

// forgetSessions removes a month's finished sessions, once in this process unless another run has written some.
func (r *Reporter) forgetSessions(ctx context.Context, c *schemas.Commit) error {
	name := schemas.CommitName(c.Tenant, c.Period, c.Number)
	r.commitMu.Lock()
	done := r.forgotten[name]
	r.commitMu.Unlock()
	if done {
		return nil
	}
	if err := r.removeAll(ctx, schemas.MonthFolder(schemas.PrefixSessions, c.Tenant, c.Period), nil); err != nil {
		return err
	}
	r.commitMu.Lock()
	defer r.commitMu.Unlock()
	if r.forgotten == nil {
		r.forgotten = make(map[string]bool)
	}
	r.forgotten[name] = true
	return nil
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
