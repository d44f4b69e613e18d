package reporter

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"

	"github.com/playmeter/playmeter/schemas"
)

// conclude commits the run and makes it visible.
func (x *run) conclude(ctx context.Context, manifest *schemas.Manifest) error {
	all, err := inputLines(x.inputs, true)
	if err != nil {
		return err
	}
	sum := sha256.Sum256(all)
	x.commit.Inputs = schemas.InputsName(x.tenant.ID, x.period, hex.EncodeToString(sum[:16]))
	if x.head == nil || x.head.Inputs != x.commit.Inputs {
		if _, err := x.r.Buckets.Metering.PutBytes(ctx, x.commit.Inputs, schemas.PackBytes(all)); err != nil {
			return err
		}
	}
	x.commit.Current = x.commit.Run
	if x.past { // what is stored beside the reports stays that of the current run
		x.commit.Current, x.commit.Statement, x.commit.SessionsKey = x.head.Current, x.head.Statement, x.head.SessionsKey
		x.commit.Sessions, x.commit.SessionRows = x.head.Sessions, x.head.SessionRows
		x.result.Note = "stored under runs/; the stable names stay on run " + x.head.Current.Run + ", whose as-of is later"
	}
	if err := x.r.commit(ctx, &x.commit); err != nil {
		if errors.Is(err, ErrOvertaken) {
			x.withdraw(ctx)
		}
		return err
	}
	x.result.Run, x.result.State, x.result.Manifest = x.name, manifest.State, manifest
	x.result.Current = x.commit.Current.Run == x.name
	if err := x.r.publish(ctx, &x.commit); err != nil {
		return fmt.Errorf("run %s is committed, but its stable names could not be written; the next run does it: %w", x.name, err)
	}
	x.r.tidy(ctx, x.head, &x.commit)
	return nil
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
	if old == nil {
		return
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
	for _, key := range stale {
		if err := r.Buckets.Metering.Delete(ctx, key); err != nil {
			r.Log.Warn("a superseded object could not be removed", "object", key, "err", err)
		}
	}
}
