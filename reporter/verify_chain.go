package reporter

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/playmeter/playmeter/accounting"
	"github.com/playmeter/playmeter/bucket"
	"github.com/playmeter/playmeter/schemas"
)

// newestCommit is the number of the newest commit; known is false where commits cannot be read.
func (a *audit) newestCommit(ctx context.Context) (number int64, known bool, err error) {
	if a.Metering == nil {
		return 0, false, nil
	}
	r := Reporter{Buckets: Buckets{Metering: a.Metering}}
	number, _, err = r.highest(ctx, schemas.CommitFolder(a.tenant, a.period))
	if errors.Is(err, bucket.ErrDenied) || errors.Is(err, bucket.ErrNotExist) {
		return 0, false, nil
	}
	return number, err == nil, err
}

// readCommit reads the newest commit, where we may.
func (a *audit) readCommit(ctx context.Context) (err error) {
	if a.number, a.out.Commits, err = a.newestCommit(ctx); err != nil {
		return err
	}
	if !a.out.Commits {
		a.note("the commits could not be read: the chain was followed from the stable manifest.json, and nothing shows that it is the newest")
		return nil
	}
	if a.number == 0 {
		return nil
	}
	r := Reporter{Buckets: Buckets{Metering: a.Metering}}
	name := schemas.CommitName(a.tenant, a.period, a.number)
	c, err := r.readCommit(ctx, name)
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	switch {
	case err == nil:
		a.commit = c
	case isFault(err), errors.As(err, &syntax), errors.As(err, &kind), strings.Contains(err.Error(), "it is of schema"):
		a.out.Findings = append(a.out.Findings, Finding{Object: name, Problem: err.Error(), Next: "restore it in the metering bucket: no run of the month is made without it"})
	default:
		return err
	}
	return nil
}

// loadAll reads every manifest under its run and at the stable name.
func (a *audit) loadAll(ctx context.Context) (err error) {
	if a.stable, err = a.load(ctx, ""); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(a.listed)) {
		run, ok := runOfManifest(name)
		if !ok {
			continue
		}
		rec, err := a.load(ctx, schemas.RunFolder(run))
		if err != nil {
			return err
		}
		if rec != nil {
			rec.run = run
			a.runs[run] = rec
			a.checkPlace(rec)
		}
	}
	return nil
}

func runOfManifest(name string) (string, bool) {
	folder, ok := strings.CutSuffix(name, schemas.ManifestFile)
	run := strings.TrimSuffix(strings.TrimPrefix(folder, "runs/"), "/")
	return run, ok && run != "" && folder == schemas.RunFolder(run) && !strings.Contains(run, "/")
}

func readManifest(raw []byte) (*schemas.Manifest, error) {
	var m schemas.Manifest
	if err := json.Unmarshal(raw, &m); err != nil {
		return nil, err
	}
	return &m, nil
}

// checkPlace compares what a manifest says of itself with where it lies, and does its sum.
// A manifest that nobody signed proves nothing, so nothing more is said of it.
func (a *audit) checkPlace(rec *record) {
	m, name := rec.m, rec.folder+schemas.ManifestFile
	if m == nil || rec.by == "" {
		return
	}
	asOf, err := time.Parse(time.RFC3339, m.AsOf)
	switch {
	case m.Schema != schemas.ManifestSchema:
		a.find(name, "verify it with the software that wrote it, or a newer one", "it is of schema %q, this software knows %q", m.Schema, schemas.ManifestSchema)
	case m.Tenant != a.tenant || m.Period != a.period:
		a.find(name, nextRestore, "it is a manifest of tenant %s for %s, and was moved here", m.Tenant, m.Period)
	case m.Run != rec.run:
		a.find(name, nextRestore, "it is the manifest of run %s, and was moved here", m.Run)
	case err != nil || !strings.HasPrefix(m.Run, asOf.UTC().Format(schemas.Stamp)):
		a.find(name, nextAsk, "its as-of %q is not that of run %s", m.AsOf, m.Run)
	case m.RestatedBy != nil:
		a.find(name, nextAsk, "it bears restated_by, which only the copy at the stable name may")
	default:
		rec.fits = true
		if accounting.Balance(&m.Events) != nil {
			a.find(name, "do not bill from it, and report it: this is a bug", "the %d events read are not the sum of their classes", m.Events.Read)
		}
	}
}

// follow walks the chain from its head to the first run.
func (a *audit) follow() {
	run, sum, by := a.start()
	for run != "" {
		rec := a.runs[run]
		name := schemas.RunFolder(run) + schemas.ManifestFile
		switch {
		case rec == nil:
			if _, there := a.listed[name]; !there {
				a.find(name, nextRestore, "it is missing: %s names it", by)
			}
			return
		case rec.inChain:
			a.find(name, nextRestore, "the chain runs in a circle: %s names it, which comes before", by)
			return
		}
		rec.inChain = true
		a.chain = append(a.chain, rec)
		if sum != "" && rec.sha256 != sum {
			a.find(name, nextRestore, "it is not the manifest that %s names: its SHA-256 is %s, and should be %s", by, rec.sha256, sum)
		}
		if rec.m == nil {
			return
		}
		if rec.m.Previous == nil {
			a.whole = true
			return
		}
		run, sum, by = rec.m.Previous.Run, rec.m.Previous.SHA256, a.folder+name
	}
}

// start is where the chain begins, and by whose word: the newest commit, else the stable manifest.
func (a *audit) start() (run, sum, by string) {
	s := a.stable
	switch {
	case a.commit != nil:
		return a.commit.Run.Run, a.commit.Run.Manifest.SHA256, schemas.CommitName(a.tenant, a.period, a.commit.Number)
	case s != nil && s.m != nil && s.m.RestatedBy != nil:
		return s.m.RestatedBy.Run, s.m.RestatedBy.SHA256, a.folder + schemas.ManifestFile
	case s != nil && s.m != nil:
		return s.m.Run, "", a.folder + schemas.ManifestFile
	}
	// Nothing says so: the last that no other follows.
	followed := make(map[string]bool)
	for _, rec := range a.runs {
		if rec.m != nil && rec.m.Previous != nil {
			followed[rec.m.Previous.Run] = true
		}
	}
	for name := range a.runs {
		if !followed[name] && name > run {
			run = name
		}
	}
	return run, "", a.folder + "runs/"
}

// compareCommit checks that the newest commit, where it could be read, and the chain say the same.
func (a *audit) compareCommit() {
	if !a.out.Commits || a.number > 0 && a.commit == nil {
		return // not readable, which has been said
	}
	if a.commit == nil {
		a.find(schemas.ManifestFile, "restore the commits in the metering bucket, or name the configuration that the reports were made with", "no commit of the month is there: the reports cannot be shown to be the newest")
		return
	}
	c, name := a.commit, schemas.CommitName(a.tenant, a.period, a.number)
	if a.whole && int64(len(a.chain)) != c.Number {
		a.find(schemas.RunFolder(a.chain[0].run)+schemas.ManifestFile, nextRestore, "the chain has %d manifests, and %s is the %d. commit of the month", len(a.chain), name, c.Number)
	}
	current := a.runs[c.Current.Run]
	if a.whole && (current == nil || !current.inChain) {
		a.find(schemas.RunFolder(c.Current.Run)+schemas.ManifestFile, nextRestore, "it is not in the chain, and %s calls it current", name)
	} else if current != nil && current.sha256 != c.Current.Manifest.SHA256 {
		a.find(current.folder+schemas.ManifestFile, nextRestore, "it is not the manifest that %s calls current", name)
	}
	if a.stable != nil && a.stable.m != nil && a.stable.m.Run != c.Current.Run {
		a.find(schemas.ManifestFile, nextPublish, "it shows run %s, and %s calls run %s current: it was turned back, or a run ended before it had published", a.stable.m.Run, name, c.Current.Run)
	}
}

// outside are the manifests that the chain does not reach, by name.
func (a *audit) outside() []*record {
	var out []*record
	for _, run := range slices.Sorted(maps.Keys(a.runs)) {
		if !a.runs[run].inChain {
			out = append(out, a.runs[run])
		}
	}
	return out
}

// nameTheRest names what the chain does not reach, and what nothing names.
func (a *audit) nameTheRest() {
	outside := make(map[string]bool)
	for _, name := range slices.Sorted(maps.Keys(a.listed)) {
		run, ok := strings.CutPrefix(name, "runs/")
		run, file, sub := strings.Cut(run, "/")
		switch {
		case ok && sub && a.runs[run] != nil && a.runs[run].inChain:
			if _, known := a.sums[name]; !known && file != schemas.ManifestFile && file != schemas.SignatureFile {
				a.note("%s%s: no manifest names it", a.folder, name)
			}
		case ok && sub:
			outside[run] = true
		case !a.knows(name):
			a.note("%s%s: no manifest names it", a.folder, name)
		}
	}
	for _, run := range slices.Sorted(maps.Keys(outside)) {
		a.out.Outside = append(a.out.Outside, run)
		a.note("%s%s: %s", a.folder, schemas.RunFolder(run), a.why(run))
	}
}

// why says what a run outside of the chain may be.
func (a *audit) why(run string) string {
	switch {
	case !a.whole:
		return "the chain is broken, so whether this run belongs to it cannot be told"
	case a.commit != nil:
		return "outside of the chain: of a run that is under way, or ended before it was committed; nothing counts on it"
	}
	return fmt.Sprintf("outside of the chain that ends with run %s: of a run with an earlier as-of, one that is under way, or one that ended before it was committed", a.chain[0].run)
}

// knows tells whether a name outside of runs/ is one of ours, which was checked.
func (a *audit) knows(name string) bool {
	if _, ok := a.sums[name]; ok || name == schemas.ManifestFile || name == schemas.SignatureFile {
		return true
	}
	if _, err := schemas.CompressionOf(name); err == nil && !strings.Contains(name, "/") {
		return true // found already, where it should not be there
	}
	return strings.HasPrefix(name, "restatements/")
}
