package reporter

import (
	"context"
	"errors"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/playmeter/playmeter/bucket"
	"github.com/playmeter/playmeter/schemas"
)

// The answers of those who ask for what was published.
var (
	// ErrNotPublished tells that there is no such month, run, restatement or report.
	ErrNotPublished = errors.New("not published")
	// ErrPruned tells that there was, and that its reports are kept no longer.
	ErrPruned = errors.New("kept no longer")
)

// PublishedMonth is what a tenant may know of one of its months: names and figures of its own
// reports, as the newest commit has them.
type PublishedMonth struct {
	Month schemas.Period `json:"month"`
	// State, AsOf, Run and Reports are those of the run that the stable names show.
	State   string            `json:"state"`
	AsOf    string            `json:"as_of"`
	Run     string            `json:"run"`
	Reports []PublishedReport `json:"reports"`
	// Restatements are by their number.
	Restatements []PublishedRun `json:"restatements"`
	// Runs are those whose reports are still there, oldest first.
	Runs []PublishedRun `json:"runs,omitempty"`
}

// PublishedReport is one sealed report.
type PublishedReport struct {
	Report schemas.Report `json:"report"`
	Rows   int64          `json:"rows"`
	Sealed schemas.Digest `json:"sealed"`
}

// PublishedRun is a run whose reports are still there.
type PublishedRun struct {
	Run         string           `json:"run"`
	AsOf        string           `json:"as_of"`
	State       string           `json:"state"`
	Restatement int              `json:"restatement,omitempty"`
	Reports     []schemas.Report `json:"reports"`
	Current     bool             `json:"current,omitempty"` // the stable names show it
}

// PublishedTenant is a tenant that is configured.
type PublishedTenant struct {
	ID   schemas.Tenant
	Name string
}

// PublishedTenants lists the tenants that are configured, in the order of the configuration.
func (r *Reporter) PublishedTenants() []PublishedTenant {
	var out []PublishedTenant
	for _, t := range r.tenants() {
		out = append(out, PublishedTenant{t.ID, t.Name})
	}
	return out
}

// Published lists a tenant's months that have reports, oldest first. A tenant that has none, or
// that nobody knows, has no months.
func (r *Reporter) Published(ctx context.Context, tenant schemas.Tenant) ([]PublishedMonth, error) {
	heads, err := r.heads(ctx, tenant)
	if err != nil {
		return nil, err
	}
	months := make([]PublishedMonth, 0, len(heads))
	for _, c := range heads {
		months = append(months, publishedMonth(c))
	}
	return months, nil
}

// PublishedMonth tells of one month. Errors: ErrNotPublished.
func (r *Reporter) PublishedMonth(ctx context.Context, tenant schemas.Tenant, p schemas.Period) (*PublishedMonth, error) {
	c, err := r.head(ctx, tenant, p)
	if err != nil {
		return nil, err
	}
	if c == nil {
		return nil, fmt.Errorf("reports of tenant %s for %s: %w", tenant, p, ErrNotPublished)
	}
	m := publishedMonth(c)
	return &m, nil
}

func publishedMonth(c *schemas.Commit) PublishedMonth {
	m := PublishedMonth{Month: c.Period, State: c.Current.State, AsOf: c.Current.AsOf, Run: c.Current.Run,
		Reports: []PublishedReport{}, Restatements: []PublishedRun{}}
	for _, report := range c.Current.Reports {
		m.Reports = append(m.Reports, PublishedReport{report.Report, report.Rows, report.Sealed})
	}
	for _, k := range c.Kept {
		run := PublishedRun{Run: k.Run, AsOf: k.AsOf, State: k.State, Restatement: k.Restatement, Reports: []schemas.Report{}, Current: k.Run == c.Current.Run}
		for _, o := range k.Objects {
			name, _, _ := strings.Cut(path.Base(o), ".csv")
			run.Reports = append(run.Reports, schemas.Report(name))
		}
		m.Runs = append(m.Runs, run)
		if k.Restatement > 0 {
			m.Restatements = append(m.Restatements, run)
		}
	}
	return m
}

// Which names a run of a month: by its name, or by the number of its restatement. The zero value is
// the one that the stable names show.
type Which struct {
	Run         string
	Restatement int
}

var (
	runPattern    = regexp.MustCompile(`^\d{4}-\d{2}-\d{2}T\d{2}-\d{2}-\d{2}Z(-[1-9]\d{0,4})?$`)
	filePattern   = regexp.MustCompile(`^[a-z][a-z0-9.]*$`)
	digestPattern = regexp.MustCompile(`^[0-9a-f]{64}$`)
)

// IsRunName tells whether a text can be the name of a run, such as 2026-10-14T09-17-00Z or
// 2026-10-14T09-17-00Z-2.
func IsRunName(s string) bool { return runPattern.MatchString(s) }

// PublishedSet is what belongs together: the manifest of a run, and where the files are that it names.
type PublishedSet struct {
	Tenant   schemas.Tenant
	Period   schemas.Period
	Manifest *schemas.Manifest
	// Raw is the manifest as it is published, and Info what the store says of it.
	Raw    []byte
	Info   bucket.Info
	folder string // of the manifest
}

// PublishedSet reads the manifest of a run, and holds it against the digest in the run's commit: who can
// write to the Reporting bucket cannot make one up. Errors: ErrNotPublished, also for a run that was
// never committed.
func (r *Reporter) PublishedSet(ctx context.Context, tenant schemas.Tenant, p schemas.Period, w Which) (*PublishedSet, error) {
	s := &PublishedSet{Tenant: tenant, Period: p, folder: schemas.ReportFolder(tenant, p)}
	what := fmt.Sprintf("reports of tenant %s for %s", tenant, p)
	var ref *schemas.RunRef
	var err error
	switch {
	case w.Run != "":
		what = fmt.Sprintf("run %s of tenant %s for %s", w.Run, tenant, p)
		if ref, err = r.committed(ctx, RunID{tenant, p, w.Run}); err != nil {
			return nil, err
		} else if ref == nil {
			return nil, fmt.Errorf("%s: %w", what, ErrNotPublished)
		}
		s.folder += schemas.RunFolder(w.Run)
	case w.Restatement != 0:
		what = fmt.Sprintf("restatement %d of tenant %s for %s", w.Restatement, tenant, p)
		s.folder += schemas.RestatementFolder(w.Restatement)
	}
	s.Raw, s.Info, err = r.Buckets.Reporting.Get(ctx, s.folder+schemas.ManifestFile, "", maxSmall)
	if errors.Is(err, bucket.ErrNotExist) {
		return nil, fmt.Errorf("%s: %w", what, ErrNotPublished)
	} else if err != nil {
		return nil, err
	}
	if s.Manifest, err = readManifest(s.Raw); err != nil {
		return nil, fmt.Errorf("read %s: %w", s.Info.Key, err)
	}
	if m := s.Manifest; !IsRunName(m.Run) || m.Tenant != tenant || m.Period != p || w.Run != "" && m.Run != w.Run || m.Restatement != w.Restatement && w.Run == "" {
		return nil, fmt.Errorf("read %s: it is the manifest of run %q of tenant %q for %s: restore it (\"playmeter verify\" says more)", s.Info.Key, m.Run, m.Tenant, m.Period)
	}
	if ref == nil {
		if ref, err = r.committed(ctx, RunID{tenant, p, s.Manifest.Run}); err != nil {
			return nil, err
		}
	}
	if err := r.checkDigest(ctx, s, ref); err != nil {
		return nil, err
	}
	return s, nil
}

// checkDigest compares a manifest with the one that a commit names; a nil ref is of no commit. The one at the
// stable name may differ from it by restated_by.
func (r *Reporter) checkDigest(ctx context.Context, s *PublishedSet, ref *schemas.RunRef) error {
	same := ref != nil && digestOfBytes(s.Raw) == ref.Manifest
	if ref != nil && !same && s.Manifest.RestatedBy != nil && s.folder == schemas.ReportFolder(s.Tenant, s.Period) {
		run, _, err := r.Buckets.Reporting.Get(ctx, s.folder+schemas.RunFolder(ref.Run)+schemas.ManifestFile, "", maxSmall)
		if err != nil && !errors.Is(err, bucket.ErrNotExist) {
			return err
		}
		if err == nil && digestOfBytes(run) == ref.Manifest {
			if same, err = sameButRestated(s.Raw, run); err != nil {
				return fmt.Errorf("read %s: %w", s.Info.Key, err)
			}
		}
	}
	if !same {
		return fmt.Errorf("read %s: it is not the manifest that the commit of run %s names: restore it (\"playmeter verify\" says more)", s.Info.Key, s.Manifest.Run)
	}
	return nil
}

// committed is a run as its commit has it; nil: it was not committed. Its claim says after which commit it
// would come, and that one's successor whether it did; where the claim is lost, the newest commit is asked.
func (r *Reporter) committed(ctx context.Context, id RunID) (*schemas.RunRef, error) {
	if !IsRunName(id.Run) {
		return nil, nil
	}
	c, err := r.claimed(ctx, id)
	if err != nil {
		return nil, err
	}
	if c != nil && c.Run.Run == id.Run {
		return &c.Run, nil
	}
	if c, err = r.head(ctx, id.Tenant, id.Period); err != nil || c == nil {
		return nil, err
	}
	for _, ref := range []*schemas.RunRef{&c.Run, &c.Current, c.Restated} {
		if ref != nil && ref.Run == id.Run {
			return ref, nil
		}
	}
	return nil, nil
}

// claimed is the commit that took the place which a run has claimed, perhaps for another; nil: there is none.
func (r *Reporter) claimed(ctx context.Context, id RunID) (*schemas.Commit, error) {
	var claim claimBody
	err := r.readJSON(ctx, r.Buckets.Metering, schemas.ClaimName(id.Tenant, id.Period, id.Run), &claim)
	if errors.Is(err, bucket.ErrNotExist) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	c, err := r.readCommit(ctx, schemas.CommitName(id.Tenant, id.Period, claim.Parent+1))
	if errors.Is(err, bucket.ErrNotExist) {
		return nil, nil
	}
	return c, err
}

// PublishedFor reads the manifest of the run that has a report: as PublishedSet, only that a diff of
// no run in particular is that of the newest restatement.
func (r *Reporter) PublishedFor(ctx context.Context, tenant schemas.Tenant, p schemas.Period, w Which, report schemas.Report) (*PublishedSet, error) {
	s, err := r.PublishedSet(ctx, tenant, p, w)
	if err != nil || report != schemas.ReportDiff || w != (Which{}) {
		return s, err
	}
	if s.Manifest.RestatedBy == nil {
		return nil, fmt.Errorf("%s of tenant %s for %s: the month has not been restated: %w", report, tenant, p, ErrNotPublished)
	}
	return r.PublishedSet(ctx, tenant, p, Which{Restatement: s.Manifest.RestatedBy.Restatement})
}

// Report is the key of the sealed object of a report, and what the manifest says of it. Errors: ErrNotPublished.
func (s *PublishedSet) Report(report schemas.Report) (string, *schemas.ManifestReport, error) {
	objects := s.Manifest.Objects()
	i := slices.IndexFunc(objects, func(m schemas.ManifestReport) bool { return m.Report == report })
	if i < 0 {
		return "", nil, fmt.Errorf("run %s has no %s report: %w", s.Manifest.Run, report, ErrNotPublished)
	}
	key, err := s.key(objects[i].Object)
	if err != nil {
		return "", nil, err
	}
	compression, err := schemas.CompressionOf(key)
	if err == nil && path.Base(key) != schemas.ReportFile(report, compression) {
		err = fmt.Errorf("it names %q as the %s report: restore it (\"playmeter verify\" says more)", objects[i].Object, report)
	}
	if err != nil {
		return "", nil, fmt.Errorf("read %s: %w", s.Info.Key, err)
	}
	if !digestPattern.MatchString(objects[i].Sealed.SHA256) {
		return "", nil, fmt.Errorf("read %s: it names no digest of %s: restore it (\"playmeter verify\" says more)", s.Info.Key, key)
	}
	return key, &objects[i], nil
}

// Inputs is the key of the list of usage files.
func (s *PublishedSet) Inputs() (string, error) { return s.key(s.Manifest.Inputs.List) }

// key is where a file of a run is that the manifest names. A manifest that names anything else was
// tampered with, and leads nowhere.
func (s *PublishedSet) key(name string) (string, error) {
	run, file, ok := strings.Cut(strings.TrimPrefix(name, "runs/"), "/")
	if !ok || !IsRunName(run) || !filePattern.MatchString(file) || name != schemas.RunFolder(run)+file {
		return "", fmt.Errorf("read %s: it names %q, which is no file of a run: restore it (\"playmeter verify\" says more)", s.Info.Key, name)
	}
	return schemas.ReportFolder(s.Tenant, s.Period) + name, nil
}

// Signature is the key of the signature of the manifest as it is here. That of the current run is
// taken from the run's own folder, where it never changes; the one at the stable name may be that of the
// next run a moment before its manifest is.
func (s *PublishedSet) Signature() string {
	folder := s.folder
	if folder == schemas.ReportFolder(s.Tenant, s.Period) && s.Manifest.RestatedBy == nil {
		folder += schemas.RunFolder(s.Manifest.Run)
	}
	return folder + schemas.SignatureFile
}

// Only leaves of a month what is told to somebody who may read these reports alone; the diff goes with usage.
func (m PublishedMonth) Only(reads func(schemas.Report) bool) PublishedMonth {
	m.Reports = slices.DeleteFunc(slices.Clone(m.Reports), func(p PublishedReport) bool { return !reads(p.Report) })
	m.Restatements, m.Runs = onlyRuns(m.Restatements, reads), onlyRuns(m.Runs, reads)
	return m
}

func onlyRuns(runs []PublishedRun, reads func(schemas.Report) bool) []PublishedRun {
	out := slices.Clone(runs)
	for i := range out {
		out[i].Reports = slices.DeleteFunc(slices.Clone(out[i].Reports), func(report schemas.Report) bool {
			if report == schemas.ReportDiff {
				report = schemas.ReportUsage
			}
			return !reads(report)
		})
	}
	return out
}
