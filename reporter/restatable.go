package reporter

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/playmeter/playmeter/accounting"
	"github.com/playmeter/playmeter/schemas"
)

// restatable lists the final months of tenants that something has changed of since, and that may be
// restated now: of each tenant those restated longest ago first, so that none waits for ever.
//
//   - It looks at what the run before it in this process listed, and folds nothing: whether a
//     restatement is made is decided by its run.
func (r *Reporter) restatable(ctx context.Context, tenants []schemas.Tenant, now time.Time) []RunID {
	r.planMu.Lock()
	seen := r.seen
	r.planMu.Unlock()
	if seen == nil {
		return nil
	}
	var out []RunID
	for _, tenant := range tenants {
		months, err := r.restatableMonths(ctx, seen, tenant, now)
		if err != nil {
			r.Log.Error("the final months could not be looked through for what came late", "tenant", tenant, "err", err)
			continue
		}
		out = append(out, months...)
	}
	return out
}

func (r *Reporter) restatableMonths(ctx context.Context, seen *plan, tenant schemas.Tenant, now time.Time) ([]RunID, error) {
	heads, err := r.heads(ctx, tenant)
	if err != nil {
		return nil, err
	}
	last := ""
	for _, c := range heads {
		if c.Restated != nil {
			last = max(last, c.Restated.AsOf)
		}
	}
	if at, err := time.Parse(time.RFC3339, last); err == nil && now.Before(at.Add(r.Restate.Every)) {
		return nil, nil
	}
	slices.SortStableFunc(heads, func(a, b *schemas.Commit) int { return cmp.Compare(a.Stands().AsOf, b.Stands().AsOf) })
	var out []RunID
	for _, c := range heads {
		if until, _ := r.restateUntil(c.Period); c.Current.State != StateFinal || !now.Before(until) {
			continue
		}
		files, snapshots, err := r.glance(ctx, seen, c)
		if err != nil {
			return nil, err
		}
		if files == c.Basis.Files && snapshots == c.Basis.Snapshots || r.known(c, files+snapshots) {
			continue
		}
		out = append(out, RunID{tenant, c.Period, ""})
	}
	return out, nil
}

// glance tells what a month would be counted from now.
func (r *Reporter) glance(ctx context.Context, seen *plan, c *schemas.Commit) (files, snapshots string, err error) {
	rules, err := rulesOf(c, accounting.Rules{})
	if err != nil {
		return "", "", err
	}
	b := accounting.NewBounds(c.Period, c.Period.End(), rules.Idle)
	var inputs []input
	for _, f := range seen.wanted.files {
		in := input{Input: schemas.Input{Key: f.Key, ETag: f.ETag}, file: f}
		if in.place(c.Tenant, &b) {
			inputs = append(inputs, in)
		}
	}
	all, err := r.listSnapshots(ctx, c.Tenant, b.Until)
	return filesDigest(inputs), snapshotsDigest(all, b.From), err
}

// known tells whether a run of this process found that a basis gives what the run that stands says.
func (r *Reporter) known(c *schemas.Commit, basis string) bool {
	r.planMu.Lock()
	defer r.planMu.Unlock()
	return r.same[RunID{c.Tenant, c.Period, c.Stands().Run}] == basis
}

// noteSame notes that what a final month would be counted from gives what the run that stands says.
func (x *run) noteSame() {
	x.r.planMu.Lock()
	defer x.r.planMu.Unlock()
	if x.r.same == nil {
		x.r.same = make(map[RunID]string)
	}
	x.r.same[RunID{x.tenant.ID, x.period, x.head.Stands().Run}] = x.commit.Basis.Files + x.commit.Basis.Snapshots
}
