package reporter

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"

	"github.com/playmeter/playmeter/bucket"
	"github.com/playmeter/playmeter/schemas"
)

// conclude commits the run and makes it visible.
func (x *run) conclude(ctx context.Context, manifest *schemas.Manifest) error {
	all, err := inputLines(x.inputs, true)
	if err != nil {
		return err
	}
	sum := sha256.Sum256(all)
	x.commit.Inputs = schemas.InputsName(x.tenant.ID, x.period, hex.EncodeToString(sum[:16]), x.name)
	if x.head != nil && withoutRun(x.head.Inputs) == withoutRun(x.commit.Inputs) {
		x.commit.Inputs = x.head.Inputs
	} else if _, err := x.r.Buckets.Metering.PutBytes(ctx, x.commit.Inputs, schemas.PackBytes(all)); err != nil {
		return err
	}
	x.settle()
	if err := x.r.commit(ctx, &x.commit); err != nil {
		if errors.Is(err, ErrOvertaken) {
			x.withdraw(ctx)
		}
		return err
	}
	x.result.Run, x.result.State, x.result.Manifest = x.name, manifest.State, manifest
	x.result.Current, x.result.Restatement = x.commit.Current.Run == x.name, x.restatement
	if err := x.r.publish(ctx, &x.commit); err != nil {
		return fmt.Errorf("run %s is committed, but its stable names could not be written; the next run does it: %w", x.name, err)
	}
	x.r.tidy(ctx, x.head, &x.commit)
	x.r.prune(ctx, x.head, &x.commit)
	return nil
}

// settle decides what the commit makes current.
func (x *run) settle() {
	c := &x.commit
	c.Current = c.Run
	before := ""
	if x.head != nil {
		before = x.head.Current.Run
		c.Restated = x.head.Restated
		c.Kept = slices.Clone(x.head.Kept)
	}
	switch {
	case x.past: // what is stored beside the reports stays that of the current run
		c.Current, c.Statement, c.SessionsKey, c.Basis = x.head.Current, x.head.Statement, x.head.SessionsKey, x.head.Basis
		c.Rules, c.NextRules = x.head.Rules, x.head.NextRules
		c.Sessions, c.SessionRows = x.head.Sessions, x.head.SessionRows
		x.result.Note = "stored under runs/; the stable names stay on run " + c.Current.Run + ", whose as-of is later"
	case x.restatement > 0:
		c.Current, c.Restated = x.head.Current, &c.Run
		x.result.Note = fmt.Sprintf("restatement %d of a final month; the stable names stay on run %s", x.restatement, c.Current.Run)
	}
	c.Kept = keep(append(c.Kept, keptRun(c)), c.Current.Run, before, x.r.Keep)
}

// withdraw removes the files of a run that was overtaken: no commit names them.
func (x *run) withdraw(ctx context.Context) {
	folder := schemas.ReportFolder(x.tenant.ID, x.period) + schemas.RunFolder(x.name)
	for info, err := range x.r.Buckets.Reporting.List(ctx, folder, "") {
		if err == nil {
			err = x.r.Buckets.Reporting.Delete(ctx, info.Key)
		}
		if err != nil {
			x.r.Log.Warn("the files of an overtaken run could not be removed", "object", folder, "err", err)
			return
		}
	}
}

// tidy removes what only the commit before needed; what stays by accident is no harm.
func (r *Reporter) tidy(ctx context.Context, old, now *schemas.Commit) {
	if old == nil || old.Current.Run == now.Current.Run && old.Restated == nil && now.Restated != nil {
		return // the final run keeps what is stored beside it
	}
	var stale []string
	if old.Statement != now.Statement {
		stale = append(stale, schemas.StatementName(old.Tenant, old.Period, old.Statement))
	}
	for _, o := range old.Sessions {
		if !slices.ContainsFunc(now.Sessions, func(n schemas.SessionObject) bool { return n.Name == o.Name }) {
			stale = append(stale, o.Name)
		}
	}
	if len(stale) > 0 && old.Restated != nil {
		final, err := r.findCommit(ctx, RunID{now.Tenant, now.Period, now.Current.Run})
		if err != nil {
			r.Log.Warn("superseded objects were not removed", "tenant", now.Tenant, "month", now.Period.String(), "err", err)
			return
		}
		stale = slices.DeleteFunc(stale, func(key string) bool {
			return key == schemas.StatementName(final.Tenant, final.Period, final.Statement) ||
				slices.ContainsFunc(final.Sessions, func(o schemas.SessionObject) bool { return o.Name == key })
		})
	}
	r.remove(ctx, r.Buckets.Metering, stale)
}

// remove deletes objects that nothing needs any more; the next sweep makes up for one that stays.
func (r *Reporter) remove(ctx context.Context, b *bucket.Bucket, keys []string) {
	for _, key := range keys {
		if err := b.Delete(ctx, key); err != nil {
			r.Log.Warn("a superseded object could not be removed", "object", key, "err", err)
		}
	}
}
