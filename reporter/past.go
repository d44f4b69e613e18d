package reporter

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/playmeter/playmeter/accounting"
	"github.com/playmeter/playmeter/bucket"
	"github.com/playmeter/playmeter/schemas"
)

// RunID names a run of a tenant's month.
type RunID struct {
	Tenant schemas.Tenant
	Period schemas.Period
	Run    string // empty: the current one
}

// String writes TENANT/YYYY-MM or TENANT/YYYY-MM/RUN.
func (id RunID) String() string {
	s := string(id.Tenant) + "/" + id.Period.String()
	if id.Run != "" {
		s += "/" + id.Run
	}
	return s
}

// ParseRunID reads what String writes; where base is given, also the RUN alone of another run
// of base's month.
func ParseRunID(text string, base *RunID) (RunID, error) {
	parts := strings.Split(text, "/")
	if len(parts) == 1 && base != nil && text != "" {
		return RunID{base.Tenant, base.Period, text}, nil
	}
	if len(parts) != 2 && (len(parts) != 3 || parts[2] == "") {
		return RunID{}, fmt.Errorf("%q names no run: write TENANT/YYYY-MM for the current run of a month, or TENANT/YYYY-MM/RUN", text)
	}
	tenant, err := schemas.ParseTenant(parts[0])
	if err != nil {
		return RunID{}, err
	}
	period, err := schemas.ParsePeriod(parts[1])
	if err != nil {
		return RunID{}, err
	}
	return RunID{tenant, period, strings.Join(parts[2:], "")}, nil
}

// ErrNoRun tells that a run was asked for that is not there.
var ErrNoRun = errors.New("there is no such run")

// past is a run that was committed, opened again: all that its reports were made from. It
// writes nothing.
type past struct {
	r        *Reporter
	tenant   Tenant
	commit   *schemas.Commit
	manifest *schemas.Manifest
	bounds   accounting.Bounds
	rules    accounting.Rules
	inputs   []input // with their tallies, as the run pinned them
	catalog  *catalogView
}

// openPast finds a run, its inputs and its catalog.
//
//   - Errors: ErrNoRun; a tally or a snapshot that the run used and that is gone, named.
func (r *Reporter) openPast(ctx context.Context, id RunID) (*past, error) {
	p, err := r.findPast(ctx, id)
	if err != nil {
		return nil, err
	}
	if err := p.loadInputs(ctx); err != nil {
		return nil, err
	}
	return p, p.loadCatalog(ctx, nil)
}

// findPast finds a run and what it says of itself.
func (r *Reporter) findPast(ctx context.Context, id RunID) (*past, error) {
	tenant, err := r.Tenant(id.Tenant)
	if err != nil {
		return nil, err
	}
	p := &past{r: r, tenant: tenant}
	if p.commit, err = r.findCommit(ctx, id); err != nil {
		return nil, err
	}
	if p.manifest, err = r.manifestOf(ctx, p.commit); err != nil {
		return nil, err
	}
	if p.rules, err = parseRules(p.commit, p.commit.Rules); err != nil {
		return nil, err
	}
	asOf, err := time.Parse(time.RFC3339, p.commit.Run.AsOf)
	if err != nil {
		return nil, fmt.Errorf("read commit %d of %s: as_of: %w", p.commit.Number, id, err)
	}
	p.bounds = accounting.NewBounds(id.Period, asOf, p.rules.Idle)
	return p, nil
}

// id names the run, also where it was asked for as the current one.
func (p *past) id() RunID { return RunID{p.commit.Tenant, p.commit.Period, p.commit.Run.Run} }

// findCommit finds the commit of a run, from the newest commit backwards.
func (r *Reporter) findCommit(ctx context.Context, id RunID) (*schemas.Commit, error) {
	c, err := r.head(ctx, id.Tenant, id.Period)
	if err != nil {
		return nil, err
	}
	if c == nil {
		return nil, fmt.Errorf("%s: %w: no report was made of that month yet (\"playmeter run --month %s\" makes them)", id, ErrNoRun, id.Period)
	}
	want := id.Run
	if want == "" {
		want = c.Current.Run
	}
	var newest []string
	for {
		if ok, err := r.isRun(ctx, c, want); ok || err != nil {
			return c, err
		}
		if len(newest) < 5 {
			newest = append(newest, c.Run.Run)
		}
		if c.Parent == 0 {
			return nil, fmt.Errorf("%s/%s: %w; the newest of that month: %s", RunID{Tenant: id.Tenant, Period: id.Period}, want, ErrNoRun, strings.Join(newest, ", "))
		}
		if c, err = r.readCommit(ctx, schemas.CommitName(id.Tenant, id.Period, c.Parent)); err != nil {
			return nil, err
		}
	}
}

// isRun tells whether a commit is that of the run of a name: its own, or restatement-N.
func (r *Reporter) isRun(ctx context.Context, c *schemas.Commit, name string) (bool, error) {
	n, ok := strings.CutPrefix(name, "restatement-")
	if !ok || c.Run.State != StateFinal {
		return c.Run.Run == name, nil
	}
	m, err := r.manifestOf(ctx, c)
	if err != nil {
		return false, err
	}
	return m.Restatement > 0 && strconv.Itoa(m.Restatement) == n, nil
}

// folderOf is where the files of a commit's run are, in the Reporting bucket.
func folderOf(c *schemas.Commit) string {
	return schemas.ReportFolder(c.Tenant, c.Period) + schemas.RunFolder(c.Run.Run)
}

// manifestOf reads the manifest of a commit's run.
func (r *Reporter) manifestOf(ctx context.Context, c *schemas.Commit) (*schemas.Manifest, error) {
	key := folderOf(c) + schemas.ManifestFile
	body, _, err := r.Buckets.Reporting.Get(ctx, key, "", maxSmall)
	if err != nil {
		return nil, err
	}
	if digestOfBytes(body) != c.Run.Manifest {
		return nil, fmt.Errorf("read %s: it is not the manifest that was committed: restore it", key)
	}
	var m schemas.Manifest
	if err := json.Unmarshal(body, &m); err != nil {
		return nil, fmt.Errorf("read %s: %w", key, err)
	}
	return &m, nil
}

// pinned reads the list of inputs of the run.
func (p *past) pinned(ctx context.Context) ([]schemas.Input, error) {
	packed, _, err := p.r.Buckets.Metering.Get(ctx, p.commit.Inputs, "", maxStatement)
	if errors.Is(err, bucket.ErrNotExist) {
		return nil, fmt.Errorf("what run %s was counted from is no longer kept (reports.keep says how long it is; its manifest stays): %w", p.id(), err)
	} else if err != nil {
		return nil, err
	}
	return schemas.ParseInputs(packed)
}

// loadInputs finds the tallies that the run was folded from.
func (p *past) loadInputs(ctx context.Context) error {
	lines, err := p.pinned(ctx)
	if err != nil {
		return err
	}
	shelf, err := p.r.loadShelf(ctx)
	if err != nil {
		return err
	}
	p.inputs = make([]input, 0, len(lines))
	for _, line := range lines {
		at, ok := shelf.find(line.Tally)
		if !ok {
			return fmt.Errorf("run %s counted %s, and what it counted (tally %s) is in no pack of the metering bucket any more: restore the packs from a backup; if the file is still as it was, any \"playmeter run\" counts it again",
				p.id(), line.Key, line.Tally)
		}
		file, err := p.fileOf(at.info())
		if err != nil {
			return err
		}
		p.inputs = append(p.inputs, input{Input: line, file: file, at: at})
	}
	return nil
}

// fileOf is the file of a tally as it counts, without the copies that the tally leaves out.
func (p *past) fileOf(m *schemas.Member) (f *wantedFile, err error) {
	f = &wantedFile{Info: bucket.Info{Key: m.Key, ETag: m.ETag, Size: m.Size, Modified: m.Modified}, member: m}
	if len(m.Excluded) == 0 {
		return f, nil
	}
	if f.excluded, err = schemas.ParseRowSet(m.Excluded); err == nil {
		f.differing, err = schemas.ParseRowSet(m.Differing)
	}
	if err != nil {
		return nil, fmt.Errorf("read the tally of %s: %w", m.Key, err)
	}
	return f, nil
}

// statement is what the run's reports say of usage. That of the current run is
// stored; another, or one that is lost, is folded again.
func (p *past) statement(ctx context.Context) (*accounting.Statement, error) {
	if p.isCurrent() {
		s, err := p.r.readStatement(ctx, p.commit)
		if err == nil || ctx.Err() != nil {
			return s, err
		}
		if !errors.Is(err, bucket.ErrNotExist) {
			p.r.Log.Warn("the stored statement could not be read; it is folded again", "tenant", p.tenant.ID, "run", p.commit.Run.Run, "err", err)
		}
	}
	if p.inputs == nil {
		if err := p.loadInputs(ctx); err != nil {
			return nil, err
		}
	}
	done, err := p.cutHour(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	p.r.progress(Progress{Stage: "fold", Tenant: p.tenant.ID, Total: int64(len(p.inputs)), Unit: "files"})
	f := p.r.newFold(p.tenant.ID, p.bounds, p.rules, p.inputs)
	s, err := f.run(ctx, new(accounting.Finisher), func(*schemas.Session) error { return nil })
	if err != nil {
		return nil, fmt.Errorf("fold run %s again: %w", p.id(), err)
	}
	return s, nil
}

// isCurrent tells whether what the commit names beside the reports (statement, finished
// sessions) is that of its own run.
func (p *past) isCurrent() bool { return p.commit.Current.Run == p.commit.Run.Run }

// cutHour counts the hour that the as-of divides again, as the run did. It is not stored: the
// usage files with rows on both sides must still be what they were.
func (p *past) cutHour(ctx context.Context) (func(), error) {
	done, err := p.r.cutHour(ctx, p.tenant.ID, p.bounds, p.inputs)
	if errors.Is(err, bucket.ErrNotExist) || errors.Is(err, bucket.ErrChanged) {
		return nil, fmt.Errorf("run %s cannot be folded again: its as-of %s divides an hour of a usage file that has been replaced or removed since; compare with a run whose as-of is on the hour (%w)",
			p.id(), p.commit.Run.AsOf, err)
	}
	return done, err
}

// usage is the run's usage report.
func (p *past) usage(ctx context.Context) (*accounting.UsageReport, error) {
	s, err := p.statement(ctx)
	if err != nil {
		return nil, err
	}
	return &accounting.UsageReport{TenantID: p.tenant.ID, Name: p.manifest.TenantName, Statement: s, Holdings: p.catalog.holdings, Guard: p.rules.CSVGuard}, nil
}

// Likeness tells how a report that was made again compares with the one that was sealed.
type Likeness string

// The kinds of likeness.
const (
	LikeIdentical Likeness = "identical"  // to the byte
	LikeOther     Likeness = "other"      // a catalog snapshot or the software has changed since
	LikeUnsealed  Likeness = "not sealed" // nobody was granted the report
)

// likeness compares a usage report with the digest in the run's manifest.
func (p *past) likeness(u *accounting.UsageReport) (Likeness, error) {
	sealed := p.commit.Run.Report(schemas.ReportUsage)
	if sealed == nil {
		return LikeUnsealed, nil
	}
	d := &digester{w: io.Discard, sum: sha256.New()}
	if _, _, err := u.Write(d); err != nil {
		return "", err
	}
	if d.digest() != sealed.Plaintext {
		return LikeOther, nil
	}
	return LikeIdentical, nil
}
