package reporter

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/playmeter/playmeter/bucket"
	"github.com/playmeter/playmeter/schemas"
)

// keptRun is the run of a commit as its successors remember it.
func keptRun(c *schemas.Commit) schemas.KeptRun {
	k := schemas.KeptRun{Run: c.Run.Run, AsOf: c.Run.AsOf, State: c.Run.State, Restatement: c.Run.Restatement, Inputs: c.Inputs}
	for _, report := range c.Run.Reports {
		k.Objects = append(k.Objects, report.Object)
	}
	if c.Run.Diff != nil {
		k.Objects = append(k.Objects, c.Run.Diff.Object)
	}
	return k
}

// keep decides which runs keep their reports (SPEC 7): the last so many, the last of each of the last so
// many days, the current one, the one that was current before it, finals and restatements.
//
//   - Shape: runs in the order of their commits.
//   - The one before stays because a process that was about to publish it, and is overtaken, may still
//     write its manifest.json: that must not lead to reports which are gone.
func keep(runs []schemas.KeptRun, current, before string, k Keep) []schemas.KeptRun {
	stays := make([]bool, len(runs))
	newest := "" // day
	for _, r := range runs {
		newest = max(newest, dayOf(r))
	}
	seen := make(map[string]bool) // days whose last run was met
	for i := len(runs) - 1; i >= 0; i-- {
		r, day := runs[i], dayOf(runs[i])
		stays[i] = len(runs)-i <= k.Runs || r.Run == current || r.Run == before || r.State == StateFinal || r.Restatement > 0
		if !seen[day] && daysBetween(day, newest) < k.Daily {
			stays[i] = true
		}
		seen[day] = true
	}
	var out []schemas.KeptRun
	for i, r := range runs {
		if stays[i] {
			out = append(out, r)
		}
	}
	return out
}

// dayOf is the UTC day of a run's as-of.
func dayOf(r schemas.KeptRun) string { return r.AsOf[:min(len(r.AsOf), len(time.DateOnly))] }

func daysBetween(a, b string) int {
	from, err1 := time.Parse(time.DateOnly, a)
	to, err2 := time.Parse(time.DateOnly, b)
	if err1 != nil || err2 != nil {
		return 0 // cannot happen: we wrote them
	}
	return int(to.Sub(from) / (24 * time.Hour))
}

// needed are the names that the kept runs of a commit need: of the Reporting bucket relative to the
// period's folder, and of the metering bucket.
func needed(c *schemas.Commit) map[string]bool {
	out := make(map[string]bool)
	for _, k := range c.Kept {
		out[k.Inputs] = true
		for _, o := range k.Objects {
			out[o] = true
		}
	}
	for _, ref := range []*schemas.RunRef{&c.Current, c.Restated} {
		if ref == nil {
			continue
		}
		for _, report := range ref.Reports {
			out[report.Object] = true
		}
	}
	return out
}

// sweepEvery is how many commits lie between two sweeps of a month.
const sweepEvery = 16

// prune removes the reports of the runs that are kept no longer, and what they were counted from as the metering
// bucket has it; manifests, their signatures and lists of inputs stay for good. Now and then it also looks for what crashed runs have left.
func (r *Reporter) prune(ctx context.Context, old, now *schemas.Commit) {
	if old != nil {
		uses := needed(now)
		var reports, lists []string
		for _, k := range old.Kept {
			if slices.ContainsFunc(now.Kept, func(n schemas.KeptRun) bool { return n.Run == k.Run }) {
				continue
			}
			for _, o := range k.Objects {
				if !uses[o] {
					reports = append(reports, schemas.ReportFolder(now.Tenant, now.Period)+o)
				}
			}
			if !uses[k.Inputs] {
				lists = append(lists, k.Inputs)
			}
		}
		r.remove(ctx, r.Buckets.Reporting, reports)
		r.remove(ctx, r.Buckets.Metering, lists)
	}
	if now.Number%sweepEvery == 0 || now.Run.State == StateFinal {
		if err := r.sweepMonth(ctx, now); err != nil {
			r.Log.Warn("what crashed runs have left could not be removed; a later run tries again", "tenant", now.Tenant, "month", now.Period.String(), "err", err)
		}
	}
}

// sweepMonth removes what runs have left that were never committed and cannot be any more, because the
// commit is not their parent's successor, and reports that a prune should have removed.
//
//   - What is younger than the commit may be of a run that follows it, and stays.
func (r *Reporter) sweepMonth(ctx context.Context, c *schemas.Commit) error {
	committed, err := r.Buckets.Metering.Stat(ctx, schemas.CommitName(c.Tenant, c.Period, c.Number))
	if err != nil {
		return err
	}
	if err := r.sweepRuns(ctx, c, committed.Modified); err != nil {
		return err
	}
	keeps := needed(c)
	commits := []*schemas.Commit{c}
	if c.Restated != nil {
		final, err := r.findCommit(ctx, RunID{c.Tenant, c.Period, c.Current.Run})
		if err != nil {
			return err
		}
		commits = append(commits, final)
	}
	for _, c := range commits {
		keeps[schemas.StatementName(c.Tenant, c.Period, c.Statement)], keeps[c.Inputs] = true, true
		for _, o := range c.Sessions {
			keeps[o.Name] = true
		}
	}
	for _, folder := range []string{schemas.PrefixInputs, schemas.PrefixStatements, schemas.PrefixSessions} {
		var stale []string
		for info, err := range r.Buckets.Metering.List(ctx, schemas.MonthFolder(folder, c.Tenant, c.Period), "") {
			if err != nil {
				return err
			}
			if !keeps[info.Key] && info.Modified.Before(committed.Modified) && !strings.Contains(info.Key, "/same-") {
				stale = append(stale, info.Key)
			}
		}
		r.remove(ctx, r.Buckets.Metering, stale)
	}
	return nil
}

// sweepRuns looks through the runs' folders.
func (r *Reporter) sweepRuns(ctx context.Context, c *schemas.Commit, before time.Time) error {
	folder := schemas.ReportFolder(c.Tenant, c.Period)
	uses, orphans := needed(c), make(map[string]bool)
	for _, k := range c.Kept {
		orphans[k.Run] = false
	}
	var stale []string
	for info, err := range r.Buckets.Reporting.List(ctx, folder+"runs/", "") {
		if err != nil {
			return err
		}
		name := strings.TrimPrefix(info.Key, folder)
		run, file, ok := strings.Cut(strings.TrimPrefix(name, "runs/"), "/")
		if !ok || uses[name] || !info.Modified.Before(before) {
			continue
		}
		orphan, known := orphans[run]
		if !known {
			if orphan, err = r.isOrphan(ctx, c, run); err != nil {
				return err
			}
			orphans[run] = orphan
		}
		if orphan || strings.HasSuffix(file, ".age") {
			stale = append(stale, info.Key)
		}
	}
	r.remove(ctx, r.Buckets.Reporting, stale)
	return nil
}

// claimBody is what a claim says: which commit the run that claims its name comes after.
type claimBody struct {
	Nonce  string `json:"nonce"`
	Parent int64  `json:"parent"`
}

// isOrphan tells whether a run was not committed and cannot be any more.
func (r *Reporter) isOrphan(ctx context.Context, c *schemas.Commit, run string) (bool, error) {
	body, _, err := r.Buckets.Metering.Get(ctx, schemas.ClaimName(c.Tenant, c.Period, run), "", maxSmall)
	if errors.Is(err, bucket.ErrNotExist) {
		return false, nil // nobody knows whose it is
	} else if err != nil {
		return false, err
	}
	var claim claimBody
	if err := json.Unmarshal(body, &claim); err != nil || claim.Parent >= c.Number {
		return false, nil
	}
	next, err := r.readCommit(ctx, schemas.CommitName(c.Tenant, c.Period, claim.Parent+1))
	if err != nil {
		return false, err
	}
	return next.Run.Run != run, nil
}
