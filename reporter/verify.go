package reporter

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/playmeter/playmeter/bucket"
	"github.com/playmeter/playmeter/crypto"
	"github.com/playmeter/playmeter/schemas"
)

// Verifier checks what lies in the Reporting bucket: whether every manifest was signed by
// somebody who may, whether each follows the one before, and whether every object is the one that its
// manifest names. It changes nothing and counts nothing again.
type Verifier struct {
	Reporting ObjectReader
	// Metering holds the commits; nil, or where it cannot be read, they are not compared.
	Metering *bucket.Bucket
	Signers  crypto.AllowedSigners
	// Identities, if any, open the reports sealed to them, and their CSV is compared as well.
	Identities crypto.Identities
	Progress   func(Progress)
}

// ObjectReader is what verifying does with the Reporting bucket; the methods are those of bucket.Bucket.
type ObjectReader interface {
	List(ctx context.Context, prefix, startAfter string) iter.Seq2[bucket.Info, error]
	Get(ctx context.Context, key, etag string, limit int64) ([]byte, bucket.Info, error)
	Reader(ctx context.Context, key, etag string) (io.ReadCloser, bucket.Info, error)
}

// Verification is what came of it.
type Verification struct {
	Tenant  schemas.Tenant `json:"tenant"`
	Period  schemas.Period `json:"period"`
	Current string         `json:"current"` // the run that the stable names show
	// Runs are those of the chain, newest first.
	Runs []RunCheck `json:"runs"`
	// Outside are runs that the chain does not reach: they were never committed, or
	// nobody can tell.
	Outside  []string `json:"outside"`
	Commits  bool     `json:"commits"` // could be read and were compared
	Objects  int      `json:"objects"` // compared with their digests
	Bytes    int64    `json:"bytes"`   // of them
	Opened   int      `json:"opened"`  // reports whose CSV was compared as well
	Unopened int      `json:"unopened"`
	// Denied are objects that the key at hand may not read: reports that it is not granted.
	Denied int `json:"denied"`
	Pruned int `json:"pruned"` // reports of old runs that are no longer kept
	// Notes are what an auditor should know, and no fault.
	Notes    []string  `json:"notes"`
	Findings []Finding `json:"findings"` // by object; none: all is well
}

// RunCheck is one run of the chain.
type RunCheck struct {
	Run         string           `json:"run"`
	AsOf        string           `json:"as_of"`
	State       string           `json:"state"`
	Restatement int              `json:"restatement"`
	SignedBy    string           `json:"signed_by"` // fingerprint; empty: nobody who may
	Reports     []schemas.Report `json:"reports"`
	Pruned      int              `json:"pruned"`
	Good        bool             `json:"good"` // nothing was found in its folder
}

// Finding is something that is wrong.
type Finding struct {
	Object  string `json:"object"`
	Problem string `json:"problem"`
	Next    string `json:"next"` // what to do
}

// What to do about a finding.
const (
	nextRestore = "restore it from a copy, and find out who can write to the bucket"
	nextPublish = "the next run of the month puts it right (\"playmeter run\" is one); if it comes back, find out who can write to the bucket"
	nextSigner  = "if the key is the installation's, put its line into the list of signers; if not, somebody else made this"
	nextAsk     = "find out who put it there"
)

// verifyTries is how often a month is looked at that changes under our eyes.
const verifyTries = 3

// Verify checks a tenant's month.
//
//   - Shape: what is wrong is in Verification.Findings.
//   - Errors: bucket.ErrNotExist where there is nothing to verify; else what kept
//     us from looking.
func (v *Verifier) Verify(ctx context.Context, tenant schemas.Tenant, p schemas.Period) (*Verification, error) {
	for try := 1; ; try++ {
		a := &audit{Verifier: v, tenant: tenant, period: p, folder: schemas.ReportFolder(tenant, p), sums: make(map[string]*summed),
			runs: make(map[string]*record), listed: make(map[string]bucket.Info), pruned: make(map[string]bool), denied: make(map[string]bool),
			out: &Verification{Tenant: tenant, Period: p, Runs: []RunCheck{}, Outside: []string{}, Notes: []string{}, Findings: []Finding{}}}
		if err := a.run(ctx); err != nil {
			return nil, err
		}
		if len(a.out.Findings) == 0 || try == verifyTries {
			return a.out, nil
		}
		// A run that published meanwhile looks like tampering.
		if moved, err := a.moved(ctx); err != nil || !moved {
			return a.out, err
		}
	}
}

// audit is one look at a month. Names are relative to the month's folder.
type audit struct {
	*Verifier
	tenant schemas.Tenant
	period schemas.Period
	folder string
	out    *Verification

	commit *schemas.Commit // the newest; nil: none, or not readable
	number int64           // of it
	listed map[string]bucket.Info
	stable *record
	runs   map[string]*record // by the name of their folder
	chain  []*record          // newest first
	whole  bool               // the chain was followed to its first run
	sums   map[string]*summed
	pruned map[string]bool
	denied map[string]bool // objects that the key at hand may not read
	total  int64
	done   int64
}

// record is a manifest that was found.
type record struct {
	folder  string // empty: the stable one
	run     string // by its folder
	raw     []byte
	sig     []byte
	sha256  string
	m       *schemas.Manifest // nil: cannot be read
	by      string            // who signed it; empty: nobody who may
	fits    bool              // it is where it says that it is
	inChain bool
	pruned  int
}

func (a *audit) run(ctx context.Context) error {
	if err := a.readCommit(ctx); err != nil {
		return err
	}
	if err := a.list(ctx); err != nil {
		return err
	}
	if err := a.loadAll(ctx); err != nil {
		return err
	}
	a.follow()
	a.compareCommit()
	for _, rec := range append(slices.Clone(a.chain), a.outside()...) {
		if err := a.checkRun(ctx, rec); err != nil {
			return err
		}
	}
	if err := a.checkStable(ctx); err != nil {
		return err
	}
	if err := a.checkRestatements(ctx); err != nil {
		return err
	}
	a.nameTheRest()
	a.conclude()
	return nil
}

// list looks at what there is.
func (a *audit) list(ctx context.Context) error {
	for info, err := range a.Reporting.List(ctx, a.folder, "") {
		if err != nil {
			return err
		}
		name := strings.TrimPrefix(info.Key, a.folder)
		a.listed[name] = info
		if _, err := schemas.CompressionOf(name); err == nil {
			a.total += info.Size
		}
	}
	if len(a.listed) == 0 && a.commit == nil {
		return fmt.Errorf("there are no reports of tenant %s for %s to verify: %w; \"playmeter run --month %s\" makes them", a.tenant, a.period, bucket.ErrNotExist, a.period)
	}
	return nil
}

// moved tells whether the month has changed since this look began.
func (a *audit) moved(ctx context.Context) (bool, error) {
	raw, _, err := a.Reporting.Get(ctx, a.folder+schemas.ManifestFile, "", maxSmall)
	if err != nil && !isFault(err) {
		return false, err
	}
	if a.stable != nil && digestOfBytes(raw).SHA256 != a.stable.sha256 {
		return true, nil
	}
	number, known, err := a.newestCommit(ctx)
	return known && number != a.number, err
}

// find notes what is wrong with an object.
func (a *audit) find(name, next, format string, args ...any) {
	f := Finding{Object: a.folder + name, Problem: fmt.Sprintf(format, args...), Next: next}
	if !slices.Contains(a.out.Findings, f) {
		a.out.Findings = append(a.out.Findings, f)
	}
}

func (a *audit) note(format string, args ...any) {
	a.out.Notes = append(a.out.Notes, fmt.Sprintf(format, args...))
}

// nextFor is what to do about an object that was lost or changed.
func nextFor(name string) string {
	if strings.HasPrefix(name, "runs/") {
		return nextRestore
	}
	return nextPublish
}

// isFault tells an object that is missing or damaged from a store that does not answer.
func isFault(err error) bool {
	return errors.Is(err, bucket.ErrNotExist) || errors.Is(err, bucket.ErrCorrupt) || errors.Is(err, bucket.ErrTooLarge) || errors.Is(err, bucket.ErrChanged)
}

// get reads a small object; nil where it is missing, and where it cannot be read, which is found.
func (a *audit) get(ctx context.Context, name string, limit int64) ([]byte, error) {
	if _, ok := a.listed[name]; !ok {
		return nil, nil
	}
	data, _, err := a.Reporting.Get(ctx, a.folder+name, "", limit)
	switch {
	case errors.Is(err, bucket.ErrNotExist):
		return nil, nil
	case err != nil && isFault(err):
		a.find(name, nextFor(name), "it cannot be read: %v", err)
		return nil, nil
	}
	return data, err
}

// load reads a manifest and checks who signed it; nil where there is none.
func (a *audit) load(ctx context.Context, folder string) (*record, error) {
	raw, err := a.get(ctx, folder+schemas.ManifestFile, maxSmall)
	if raw == nil || err != nil {
		return nil, err
	}
	rec := &record{folder: folder, raw: raw, sha256: digestOfBytes(raw).SHA256}
	if rec.m, err = readManifest(raw); err != nil {
		a.find(folder+schemas.ManifestFile, nextFor(folder), "it is no manifest: %v", err)
	}
	return rec, a.checkSignature(ctx, rec)
}

func (a *audit) checkSignature(ctx context.Context, rec *record) error {
	name := rec.folder + schemas.SignatureFile
	sig, err := a.get(ctx, name, crypto.MaxSignature)
	if err != nil {
		return err
	}
	if rec.sig = sig; sig == nil {
		a.find(name, nextFor(name), "it is missing, so nothing shows who made the manifest.json beside it")
		return nil
	}
	at := time.Now()
	if rec.m != nil {
		if t, err := time.Parse(time.RFC3339, rec.m.AsOf); err == nil {
			at = t
		}
	}
	by, err := a.Signers.Verify(rec.raw, sig, crypto.SignerPrincipal, crypto.ManifestNamespace, at)
	switch {
	case errors.Is(err, crypto.ErrUnknownSigner):
		a.find(name, nextSigner, "%v", err)
	case err != nil:
		a.find(name, nextFor(name), "it does not sign %s%s; one of the two was changed: %v", a.folder+rec.folder, schemas.ManifestFile, err)
	default:
		rec.by = by
	}
	return nil
}

// conclude sorts what was found and sums up the runs.
func (a *audit) conclude() {
	slices.SortStableFunc(a.out.Findings, func(x, y Finding) int { return cmp.Compare(x.Object, y.Object) })
	slices.Sort(a.out.Outside)
	a.out.Pruned, a.out.Denied = len(a.pruned), len(a.denied)
	if len(a.denied) > 0 {
		a.note("%d objects may not be read with this key (%s, for one): of them is known that they are there, and no more", len(a.denied), a.folder+slices.Min(slices.Collect(maps.Keys(a.denied))))
	}
	for _, rec := range a.chain {
		check := RunCheck{Run: rec.run, SignedBy: rec.by, Pruned: rec.pruned, Reports: []schemas.Report{}, Good: true}
		if rec.m != nil {
			check.AsOf, check.State, check.Restatement = rec.m.AsOf, rec.m.State, rec.m.Restatement
			for _, e := range rec.m.Reports {
				check.Reports = append(check.Reports, e.Report)
			}
		}
		for _, f := range a.out.Findings {
			check.Good = check.Good && !strings.HasPrefix(f.Object, a.folder+rec.folder)
		}
		a.out.Runs = append(a.out.Runs, check)
	}
}
