package reporter

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/playmeter/playmeter/accounting"
	"github.com/playmeter/playmeter/schemas"
)

// Rekeyed is what sealing a final month anew came to.
type Rekeyed struct {
	Tenant schemas.Tenant `json:"tenant"`
	Period schemas.Period `json:"period"`
	// Runs are the new runs: of the final run, and of its newest restatement.
	Runs  []string `json:"runs"`
	Note  string   `json:"note,omitempty"` // why there are none
	Err   error    `json:"-"`
	Error string   `json:"error,omitempty"`
}

// FinalMonths lists the months of a tenant that are final, oldest first.
func (r *Reporter) FinalMonths(ctx context.Context, tenant schemas.Tenant) ([]schemas.Period, error) {
	heads, err := r.heads(ctx, tenant)
	var out []schemas.Period
	for _, c := range heads {
		if c.Current.State == StateFinal {
			out = append(out, c.Period)
		}
	}
	return out, err
}

// Rekey seals the reports of a final month for those who may open them now: the final run's, and those
// of the newest restatement. A report that nobody was granted then and somebody is now is made beside the others. The reports are made again from what their runs pinned; only when they
// are the same to the byte is anything published. What was sealed before stays where it is, and
// gives those who could open it what it gave them.
//
//   - A restatement that is sealed anew gets the next number, because a restatement's files never
//     change; it restates what the other did.
//   - Errors: ErrNoRun; ErrBusy; a month that is not final (its next run seals it for those of then);
//     reports that cannot be made again.
func (r *Reporter) Rekey(ctx context.Context, tenant schemas.Tenant, period schemas.Period) Rekeyed {
	out := Rekeyed{Tenant: tenant, Period: period, Runs: []string{}}
	t, err := r.Tenant(tenant)
	if gone := t.expired(r.Now()); err == nil && len(gone) > 0 {
		err = fmt.Errorf("%s would be left out: %s", gone, strings.Join(t.Expiring(r.Now()), "; "))
	}
	if err == nil {
		err = r.leased(ctx, tenant, period, func() error { return r.rekey(ctx, t.at(r.Now()), &out) })
	}
	if err != nil {
		out.Err = fmt.Errorf("seal the reports of %s for %s anew: %w", tenant, period, err)
		out.Error = out.Err.Error()
	}
	return out
}

func (r *Reporter) rekey(ctx context.Context, t *Tenant, out *Rekeyed) error {
	head, err := r.head(ctx, t.ID, out.Period)
	switch {
	case err != nil:
		return err
	case head == nil:
		return fmt.Errorf("%w: no report was made of that month yet", ErrNoRun)
	case head.Current.State != StateFinal:
		out.Note = "the month is not final: its next run seals it for the recipients of then"
		return nil
	}
	if err := r.publish(ctx, head); err != nil {
		return err
	}
	refs := []schemas.RunRef{head.Current}
	if head.Restated != nil {
		refs = append(refs, *head.Restated)
	}
	refs = slices.DeleteFunc(refs, func(ref schemas.RunRef) bool { return sealedFor(&ref, t) })
	if len(refs) == 0 {
		out.Note = "sealed for the present recipients already"
	}
	for _, ref := range refs {
		run, err := r.sealAnew(ctx, t, RunID{t.ID, out.Period, ref.Run})
		if err != nil {
			return err
		}
		out.Runs = append(out.Runs, run)
	}
	return nil
}

// sealedFor tells whether a run has all reports that are granted, sealed for the tenant's recipients, and no others.
func sealedFor(ref *schemas.RunRef, t *Tenant) bool {
	for _, report := range schemas.Reports {
		m := ref.Report(report)
		if granted := len(t.recipients(report)) > 0; granted != (m != nil) || m != nil && !sameSeal(m, t) {
			return false
		}
	}
	return true
}

// resealing is the making of a run that says what another said, for other recipients.
type resealing struct {
	run
	past *past
}

// sealAnew makes that run, and tells its name.
func (r *Reporter) sealAnew(ctx context.Context, t *Tenant, id RunID) (string, error) {
	p, err := r.openPast(ctx, id)
	if err != nil {
		return "", err
	}
	x := &resealing{run{r: r, tenant: t, period: id.Period, rules: p.rules, catalog: p.catalog, inputs: p.inputs}, p}
	if x.head, err = r.head(ctx, id.Tenant, id.Period); err != nil {
		return "", err
	}
	asOf, err := time.Parse(time.RFC3339, p.manifest.AsOf)
	if err != nil {
		return "", err
	}
	if x.name, err = r.claim(ctx, id.Tenant, id.Period, asOf, x.head.Number); err != nil {
		return "", err
	}
	if err := x.make(ctx); err != nil {
		x.withdraw(ctx)
		return "", err
	}
	if err := r.commit(ctx, &x.commit); err != nil {
		if errors.Is(err, ErrOvertaken) { // else it may have been committed all the same
			x.withdraw(ctx)
		}
		return "", err
	}
	if err := r.publish(ctx, &x.commit); err != nil {
		return "", fmt.Errorf("run %s is committed, but its stable names could not be written; the next run does it: %w", x.name, err)
	}
	return x.name, nil
}

// make goes as far as the commit, which it leaves to be made.
func (x *resealing) make(ctx context.Context) error {
	sorted := newSorter(x.r.Temp)
	defer sorted.close()
	x.sorted = sorted
	x.r.progress(Progress{Stage: "fold", Tenant: x.tenant.ID, Total: int64(len(x.inputs)), Unit: "files"})
	finish, err := x.past.finisher()
	if err != nil {
		return err
	}
	if x.statement, err = x.r.newFold(x.tenant.ID, x.past.bounds, x.rules, x.inputs).run(ctx, finish, sorted.add); err != nil {
		return err
	}
	var reports []schemas.ManifestReport
	for _, report := range schemas.Reports {
		if len(x.tenant.recipients(report)) == 0 {
			continue
		}
		m, err := x.seal(ctx, report)
		if err != nil {
			return err
		}
		reports = append(reports, *m)
	}
	switch was := &x.past.commit.Run; {
	case len(reports) == 0:
		return x.r.nobody(x.tenant.ID)
	case !slices.ContainsFunc(reports, func(m schemas.ManifestReport) bool { return was.Report(m.Report) != nil }):
		return fmt.Errorf("none of the reports of run %s is granted any more, so nothing shows that what is made is the same: grant one of them, too", x.past.id())
	}
	manifest, err := x.write(ctx, reports)
	if err != nil {
		return err
	}
	x.succeed(manifest, reports)
	return nil
}

// seal writes a report, and publishes it only when it is to the byte what the other run wrote. One that the
// other run did not write, because nobody was granted it then, is new.
func (x *resealing) seal(ctx context.Context, report schemas.Report) (*schemas.ManifestReport, error) {
	j := reportJob{report: report, folder: schemas.ReportFolder(x.tenant.ID, x.period), run: x.name, tenant: x.tenant}
	s, err := x.r.openReport(ctx, j)
	if err != nil {
		return nil, err
	}
	columns, rows := schemas.SessionColumns, x.sorted.rows
	if report == schemas.ReportUsage {
		u := accounting.UsageReport{TenantID: x.tenant.ID, Name: x.past.manifest.TenantName, Statement: x.statement, Holdings: x.catalog.holdings, Guard: x.rules.CSVGuard}
		columns, rows, err = u.Write(s)
	} else {
		err = writeSessionsCSV(s, x.sorted, x.rules.CSVGuard, func(*schemas.Session, []byte) error { return ctx.Err() })
	}
	if err != nil {
		s.abandon(err)
		return nil, err
	}
	return x.close(ctx, s, j, columns, rows)
}

func (x *resealing) close(ctx context.Context, s *sink, j reportJob, columns []string, rows int64) (*schemas.ManifestReport, error) {
	m, err := s.end(j, columns, rows)
	if was := x.past.commit.Run.Report(j.report); err == nil && was != nil && was.Plaintext != m.Plaintext {
		err = fmt.Errorf("the %s report of run %s cannot be made again to the byte, so it is not sealed anew: a catalog snapshot, the tables of places and user agents, or the software have changed since (\"playmeter verify --recompute\" says more)", j.report, x.past.id())
	}
	if err != nil {
		s.abandon(err)
		return nil, err
	}
	return &m, s.publish()
}

// write writes the list of inputs and the manifest: the other run's, save for what is new.
func (x *resealing) write(ctx context.Context, reports []schemas.ManifestReport) (*schemas.Manifest, error) {
	folder := schemas.ReportFolder(x.tenant.ID, x.period) + schemas.RunFolder(x.name)
	list, err := inputLines(x.inputs, false)
	if err != nil {
		return nil, err
	}
	m := *x.past.manifest
	if got := "sha256:" + digestOfBytes(list).SHA256; got != m.Inputs.Digest {
		return nil, fmt.Errorf("the list of inputs %s is not the one that the manifest of run %s signs: restore it", x.past.commit.Inputs, x.past.id())
	}
	was := x.past.commit.Run
	m.Run, m.Reports, m.Software.Version, m.Diff = x.name, reports, x.r.Version, nil
	m.Inputs.List = schemas.RunFolder(x.name) + schemas.InputsFile
	m.Previous = &schemas.Previous{Run: x.head.Run.Run, SHA256: x.head.Run.Manifest.SHA256}
	m.Rekeys = &schemas.Previous{Run: was.Run, SHA256: was.Manifest.SHA256}
	if m.Restatement > 0 {
		m.Restatement = x.head.Restated.Restatement + 1
	}
	x.commit.Run.Manifest, err = x.r.storeManifest(ctx, folder, &m, list)
	return &m, err
}

// succeed makes the commit: what is stored beside the other run's reports serves this one, too.
func (x *resealing) succeed(m *schemas.Manifest, reports []schemas.ManifestReport) {
	manifest := x.commit.Run.Manifest
	x.commit = *x.past.commit
	c := &x.commit
	c.Parent = x.head.Number
	c.Run = schemas.RunRef{Run: x.name, AsOf: m.AsOf, State: m.State, Manifest: manifest, Reports: reports, Restatement: m.Restatement}
	c.Current, c.Restated, c.Basis, c.NextRules = c.Run, x.head.Restated, x.head.Basis, nil
	if m.Restatement > 0 {
		c.Current, c.Restated = x.head.Current, &c.Run
	}
	if next := x.head.RulesInForce(); !bytes.Equal(next, c.Rules) {
		c.NextRules = next
	}
	c.Kept = keep(append(slices.Clone(x.head.Kept), keptRun(c)), c.Current.Run, x.head.Current.Run, x.r.Keep)
}
