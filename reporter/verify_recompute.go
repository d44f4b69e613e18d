package reporter

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/playmeter/playmeter/accounting"
	"github.com/playmeter/playmeter/bucket"
	"github.com/playmeter/playmeter/schemas"
)

// Recomputation is what counting a run again from the usage files came to.
type Recomputation struct {
	Run   string `json:"run"`
	Files int    `json:"files"` // that the run pinned, and that were counted again
	Rows  int64  `json:"rows"`
	// Gone are pinned files that are no longer in the usage bucket as they were: what was counted of
	// them then was taken as it is.
	Gone    []string           `json:"gone"`
	Reports []RecomputedReport `json:"reports"`
	// Events tells whether the classes of the manifest came out the same.
	Events bool     `json:"events"`
	Notes  []string `json:"notes,omitempty"` // what the comparison suffers from
}

// RecomputedReport is a report made again.
type RecomputedReport struct {
	Report    schemas.Report `json:"report"`
	Manifest  schemas.Digest `json:"manifest"`
	Recounted schemas.Digest `json:"recounted"`
}

// Good tells whether everything came out the same to the byte.
func (r *Recomputation) Good() bool {
	return r.Events && !slices.ContainsFunc(r.Reports, func(x RecomputedReport) bool { return x.Manifest != x.Recounted })
}

// Recompute counts a run again from the usage files that it pinned, with its rules, catalog and as-of,
// and compares the plaintexts of the reports. Nothing that was counted before is used, save of files that are
// gone, and nothing is stored.
//
//   - Errors: ErrNoRun; a list of inputs that is not the signed one; a snapshot that is gone.
func (r *Reporter) Recompute(ctx context.Context, id RunID) (*Recomputation, error) {
	p, err := r.findPast(ctx, id)
	if err != nil {
		return nil, err
	}
	out := &Recomputation{Run: p.commit.Run.Run, Gone: []string{}}
	lines, err := p.pinned(ctx)
	if err != nil {
		return nil, err
	}
	if err := p.checkPinned(lines); err != nil {
		return nil, err
	}
	if err := p.loadCatalog(ctx, nil); err != nil {
		return nil, err
	}
	shelf := newShelf()
	shelf.private = true
	defer shelf.close()
	if err := p.recount(ctx, lines, shelf, out); err != nil {
		return nil, fmt.Errorf("count run %s again: %w", p.id(), err)
	}
	done, err := p.cutHour(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	return out, p.rewrite(ctx, out)
}

// Restatements is how many restatements a month has.
func (r *Reporter) Restatements(ctx context.Context, tenant schemas.Tenant, period schemas.Period) (int, error) {
	head, err := r.head(ctx, tenant, period)
	if err != nil || head == nil || head.Restated == nil {
		return 0, err
	}
	return head.Restated.Restatement, nil
}

// checkPinned compares the pinned list with the one that the manifest signs.
func (p *past) checkPinned(lines []schemas.Input) error {
	inputs := make([]input, len(lines))
	for i := range lines {
		inputs[i].Input = lines[i]
	}
	list, err := inputLines(inputs, false)
	if err != nil {
		return err
	}
	sum := sha256.Sum256(list)
	if got := "sha256:" + hex.EncodeToString(sum[:]); got != p.manifest.Inputs.Digest {
		return fmt.Errorf("the list of inputs %s is not the one that the manifest of run %s signs (%s, not %s): restore it", p.commit.Inputs, p.id(), got, p.manifest.Inputs.Digest)
	}
	return nil
}

// recount tallies the pinned files anew, finds their copies, and leaves the inputs in p.
func (p *past) recount(ctx context.Context, lines []schemas.Input, shelf *shelf, out *Recomputation) error {
	r, idle := p.r, p.rules.Idle
	var files []bucket.Info
	for _, line := range lines {
		switch info, err := r.Buckets.Usage.Stat(ctx, line.Key); {
		case err == nil && info.ETag == line.ETag:
			files = append(files, info)
		case err != nil && !errors.Is(err, bucket.ErrNotExist):
			return err
		}
	}
	if _, err := r.tallies(ctx, files, idle, shelf); err != nil {
		return err
	}
	stored, err := r.loadShelf(ctx)
	if err != nil {
		return err
	}
	w := &wanted{byKey: make(map[string]*wantedFile)}
	for _, line := range lines {
		f, err := p.recounted(line, shelf, stored, out)
		if err != nil {
			return err
		}
		f.gone = line.Gone
		w.files = append(w.files, f)
		w.byKey[f.Key] = f
	}
	from, until := accounting.SetHours(p.bounds.Period)
	if _, err := r.reconcile(ctx, w, shelf, from, until); err != nil {
		return err
	}
	if failed, err := r.tallyCopies(ctx, w, idle, shelf); err != nil {
		return err
	} else if len(failed) > 0 {
		return fmt.Errorf("%s changed while it was counted: try again", failed[0].Key)
	}
	for i, f := range w.files {
		at, _, ok := f.tally(shelf, idle)
		if !ok {
			if at, _, ok = f.tally(stored, idle); !ok {
				return fmt.Errorf("%s: %w", f.Key, errNoTally)
			}
		}
		if name := at.info().Tally; name != lines[i].Tally && !f.locked {
			out.Notes = append(out.Notes, fmt.Sprintf("%s: other rows of it are copies now than when the run counted it", f.Key))
		}
		p.inputs = append(p.inputs, input{Input: lines[i], file: f, at: at})
	}
	return nil
}

// recounted is a pinned file with its tally: made again, or, where the file is gone, the one that was stored.
func (p *past) recounted(line schemas.Input, shelf, stored *shelf, out *Recomputation) (*wantedFile, error) {
	name := schemas.NameTally(line.Key, line.ETag, p.rules.Idle.WithID, p.rules.Idle.WithoutID, "")
	if at, ok := shelf.find(name); ok {
		m := at.info()
		if m.Unreadable == "" {
			out.Files++
			out.Rows += m.Rows
			return &wantedFile{Info: bucket.Info{Key: m.Key, ETag: m.ETag, Size: m.Size, Modified: m.Modified}, member: m, sets: at}, nil
		}
	}
	out.Gone = append(out.Gone, line.Key)
	at, ok := stored.find(line.Tally)
	if !ok {
		return nil, fmt.Errorf("%s: %w", line.Key, errNoTally)
	}
	m := at.info()
	f := &wantedFile{Info: bucket.Info{Key: m.Key, ETag: m.ETag, Size: m.Size, Modified: m.Modified}, locked: true, member: m, sets: at}
	if len(m.Excluded) > 0 {
		f.variants = []*schemas.Member{m}
		if base := stored.plain(m.Key, m.ETag); base.pack != nil {
			f.sets = base
		}
	}
	return f, nil
}

// plain finds a tally of an object that leaves nothing out.
func (s *shelf) plain(key, etag string) location {
	for at := range s.readable() {
		if m := at.info(); m.Key == key && m.ETag == etag && len(m.Excluded) == 0 {
			return at
		}
	}
	return location{}
}

// finisher looks up for sessions what the run looked up.
func (p *past) finisher() (*accounting.Finisher, error) {
	mask, err := p.r.masker(p.tenant.ID, p.rules)
	return &accounting.Finisher{Facts: p.catalog.holdings.Facts(), Agents: p.r.Agents, Geo: p.r.Geo, Mask: mask}, err
}

// rewrite folds what was recounted and compares what the reports would say.
func (p *past) rewrite(ctx context.Context, out *Recomputation) error {
	r, m := p.r, p.manifest
	if m.Enrichment.UserAgents != r.Agents.Digest() || m.Enrichment.Geo != r.Geo.Name() {
		out.Notes = append(out.Notes, fmt.Sprintf("the run looked places up in %q and user agents in %s; here they are %q and %s: where these differ, sessions do too",
			m.Enrichment.Geo, m.Enrichment.UserAgents, r.Geo.Name(), r.Agents.Digest()))
	}
	if m.Enrichment.CatalogDigest != "sha256:"+p.catalog.digest {
		out.Notes = append(out.Notes, "a catalog snapshot of the run was replaced since")
	}
	sorted := newSorter(r.Temp)
	defer sorted.close()
	finish, masked := p.finisher()
	if masked != nil { // usage hangs on no mask
		out.Notes = append(out.Notes, fmt.Sprintf("the sessions report is not compared: %v", masked))
		finish = new(accounting.Finisher)
	}
	statement, err := r.newFold(p.tenant.ID, p.bounds, p.rules, p.inputs).run(ctx, finish, sorted.add)
	if err != nil {
		return err
	}
	out.Events = fmt.Sprint(statement.Events) == fmt.Sprint(m.Events) // maps print in the order of their keys
	for _, entry := range m.Reports {
		if entry.Report == schemas.ReportSessions && masked != nil {
			continue
		}
		d := &digester{w: io.Discard, sum: sha256.New()}
		switch entry.Report {
		case schemas.ReportUsage:
			u := accounting.UsageReport{TenantID: p.tenant.ID, Name: m.TenantName, Statement: statement, Holdings: p.catalog.holdings, Guard: p.rules.CSVGuard}
			_, _, err = u.Write(d)
		case schemas.ReportSessions:
			err = writeSessionsCSV(d, sorted, p.rules.CSVGuard, func(*schemas.Session, []byte) error { return ctx.Err() })
		}
		if err != nil {
			return err
		}
		out.Reports = append(out.Reports, RecomputedReport{entry.Report, entry.Plaintext, d.digest()})
	}
	return nil
}
