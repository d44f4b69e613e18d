package reporter

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/playmeter/playmeter/bucket"
	"github.com/playmeter/playmeter/crypto"
	"github.com/playmeter/playmeter/schemas"
)

const acmeOctober = "acme/2026-10/"

// signed gives a site a key, as a new installation has it.
func (s *site) signed() *site {
	s.t.Helper()
	s.rotate()
	return s
}

// rotate makes a new key; the old ones stay among the signers.
func (s *site) rotate() {
	s.t.Helper()
	signer, err := crypto.NewSigner()
	if err != nil {
		s.t.Fatal(err)
	}
	s.Signer = signer
	before, _ := s.Signers.Join(nil)
	s.Signers = must(crypto.ParseAllowedSigners(append([]byte(signer.AllowedLine("of a test")+"\n"), before...)))
}

func (s *site) verifier() *Verifier {
	return &Verifier{Reporting: s.Buckets.Reporting, Metering: s.Buckets.Metering, Signers: s.Signers, Identities: s.identity}
}

func (s *site) verify() *Verification {
	s.t.Helper()
	out, err := s.verifier().Verify(s.t.Context(), "acme", october)
	if err != nil {
		s.t.Fatal(err)
	}
	return out
}

// wantClean wants nothing found.
func (s *site) wantClean() *Verification {
	s.t.Helper()
	out := s.verify()
	for _, f := range out.Findings {
		s.t.Errorf("found: %s: %s", f.Object, f.Problem)
	}
	return out
}

// wantFound wants something found that names an object.
func (s *site) wantFound(what, object string) {
	s.t.Helper()
	out := s.verify()
	for _, f := range out.Findings {
		if f.Next == "" || f.Problem == "" {
			s.t.Errorf("%s: a finding without a word: %+v", what, f)
		}
		if f.Object == object || strings.Contains(f.Problem, object) {
			return
		}
	}
	s.t.Errorf("%s %s: found %v", what, object, out.Findings)
}

// signedMonth is a month of four runs: the second finds nothing new, the last has an as-of before the third's.
func signedMonth(t *testing.T) *site {
	t.Helper()
	s := newSite(t, acme()).signed()
	at := func(hours int) RunOptions {
		return RunOptions{Period: october, AsOf: october.Start().Add(time.Duration(hours) * time.Hour)}
	}
	s.putEvents("a.parquet", play("n1", 0, "acme", "film", "s1", time.Hour, 5))
	s.run(at(100))
	s.run(at(101))
	s.putEvents("b.parquet", play("n1", 5, "acme", "clip", "s2", 2*time.Hour, 9))
	s.run(at(102))
	s.run(at(90))
	return s
}

// objects are all objects of the month, by name.
func (s *site) objects() map[string][]byte {
	s.t.Helper()
	out := make(map[string][]byte)
	for info, err := range s.Buckets.Reporting.List(s.t.Context(), acmeOctober, "") {
		if err != nil {
			s.t.Fatal(err)
		}
		data, _, err := s.Buckets.Reporting.Get(s.t.Context(), info.Key, "", maxSmall)
		if err != nil {
			s.t.Fatal(err)
		}
		out[info.Key] = data
	}
	return out
}

func (s *site) putReport(key string, data []byte) {
	s.t.Helper()
	if _, err := s.Buckets.Reporting.PutBytes(s.t.Context(), key, data); err != nil {
		s.t.Fatal(err)
	}
}

func (s *site) removeReport(key string) {
	s.t.Helper()
	if err := s.Buckets.Reporting.Delete(s.t.Context(), key); err != nil {
		s.t.Fatal(err)
	}
}

func TestAnUntouchedMonthIsClean(t *testing.T) {
	s := signedMonth(t)
	out := s.wantClean()
	if len(out.Runs) != 4 || out.Current != "2026-10-05T06-00-00Z" || out.Runs[0].Run != "2026-10-04T18-00-00Z" || !out.Commits {
		t.Errorf("current %s, runs %+v", out.Current, out.Runs)
	}
	if out.Opened == 0 || out.Unopened != 0 || out.Pruned != 0 || len(out.Outside) != 0 || len(out.Notes) != 0 {
		t.Errorf("opened %d, not opened %d, pruned %d, outside %v, notes %q", out.Opened, out.Unopened, out.Pruned, out.Outside, out.Notes)
	}
	for _, run := range out.Runs {
		if !run.Good || run.SignedBy != s.Signer.Fingerprint() {
			t.Errorf("run %s: good %t, signed by %s", run.Run, run.Good, run.SignedBy)
		}
	}
	if _, err := s.verifier().Verify(t.Context(), "acme", october.Next()); !errors.Is(err, bucket.ErrNotExist) {
		t.Errorf("a month without reports: %v", err)
	}
}

// changed is a bucket in which something was changed.
type changed struct {
	objects map[string][]byte
	names   []string // sorted
}

func (c *changed) List(_ context.Context, prefix, _ string) iter.Seq2[bucket.Info, error] {
	return func(yield func(bucket.Info, error) bool) {
		for _, name := range c.names {
			if c.objects[name] != nil && strings.HasPrefix(name, prefix) && !yield(bucket.Info{Key: name, Size: int64(len(c.objects[name]))}, nil) {
				return
			}
		}
	}
}

func (c *changed) Get(_ context.Context, key, _ string, _ int64) ([]byte, bucket.Info, error) {
	if data := c.objects[key]; data != nil {
		return data, bucket.Info{Key: key, Size: int64(len(data))}, nil
	}
	return nil, bucket.Info{}, bucket.ErrNotExist
}

func (c *changed) Reader(ctx context.Context, key, _ string) (io.ReadCloser, bucket.Info, error) {
	data, info, err := c.Get(ctx, key, "", 0)
	return io.NopCloser(bytes.NewReader(data)), info, err
}

func TestNoChangeOfAMonthGoesUnnoticed(t *testing.T) {
	s := signedMonth(t)
	objects := s.objects()
	names := slices.Sorted(maps.Keys(objects))
	store := &changed{objects: maps.Clone(objects), names: names}
	v := s.verifier()
	v.Reporting = store
	wantFound := func(what, name string) {
		t.Helper()
		out, err := v.Verify(t.Context(), "acme", october)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.ContainsFunc(out.Findings, func(f Finding) bool { return f.Object == name || strings.Contains(f.Problem, name) }) {
			t.Errorf("%s %s: found %v", what, name, out.Findings)
		}
	}
	old := s.oldReports()
	for _, name := range names {
		data := objects[name]
		v.Identities = crypto.Identities{}
		if _, err := schemas.CompressionOf(name); err == nil {
			v.Identities = s.identity
		}
		put := func(what string, content []byte) {
			t.Helper()
			store.objects[name] = content
			wantFound(what, name)
		}
		for _, i := range positions(name, len(data)) {
			flipped := bytes.Clone(data)
			flipped[i] ^= 1
			put(fmt.Sprintf("byte %d of", i), flipped)
		}
		put("cut short", data[:len(data)-1])
		put("made longer", append(bytes.Clone(data), '\n'))
		put("emptied", []byte{})
		if old[name] {
			store.objects[name] = nil
			if out, err := v.Verify(t.Context(), "acme", october); err != nil || out.Pruned != 1 || len(out.Findings) > 0 {
				t.Errorf("%s removed: %d pruned, found %v (%v)", name, out.Pruned, out.Findings, err)
			}
		} else {
			put("removed", nil)
		}
		store.objects[name] = data
	}
	for i, a := range names {
		for _, b := range names[i+1:] {
			if filepath.Base(a) != filepath.Base(b) || bytes.Equal(objects[a], objects[b]) {
				continue
			}
			store.objects[a], store.objects[b] = objects[b], objects[a]
			wantFound("exchanged for "+b, a)
			wantFound("exchanged for "+a, b)
			store.objects[a], store.objects[b] = objects[a], objects[b]
		}
	}
	// And the store itself says the same.
	for _, name := range names {
		flipped := bytes.Clone(objects[name])
		flipped[len(flipped)/2] ^= 1
		s.putReport(name, flipped)
		s.wantFound("a byte of", name)
		s.putReport(name, objects[name])
	}
	s.wantClean()
}

// positions are those at which a byte is changed: all of signatures and of the stable manifest, some
// of the other manifests (all of them where there is time) and of the rest.
func positions(name string, n int) []int {
	long := os.Getenv("PLAYMETER_LONG") != ""
	step := max(1, n/25)
	switch {
	case testing.Short():
	case long && strings.Contains(name, schemas.ManifestFile), strings.HasSuffix(name, schemas.SignatureFile), name == acmeOctober+schemas.ManifestFile:
		step = 1
	}
	var out []int
	for i := 0; i < n; i += step {
		out = append(out, i)
	}
	return append(out, n-1)
}

func TestOurGzipFilesBeginAsVerifyWants(t *testing.T) {
	for _, text := range []string{"", "x", strings.Repeat("line\n", 1000)} {
		if got := gzipped([]byte(text)); !slices.Contains(gzipHeaders, string(got[:10])) {
			t.Errorf("%d bytes begin %q", len(text), got[:10])
		}
	}
}

// oldReports are the reports that pruning may take.
func (s *site) oldReports() map[string]bool {
	s.t.Helper()
	old := make(map[string]bool)
	current := s.headOf("acme").Current
	for name := range s.objects() {
		if _, err := schemas.CompressionOf(name); err == nil && strings.Contains(name, "/runs/") {
			old[name] = !slices.ContainsFunc(current.Reports, func(e schemas.ManifestReport) bool { return acmeOctober+e.Object == name })
		}
	}
	return old
}

func TestAMonthTurnedBackIsNoticed(t *testing.T) {
	s := newSite(t, acme()).signed()
	s.putEvents("a.parquet", play("n1", 0, "acme", "film", "s1", time.Hour, 5))
	s.run(RunOptions{Period: october, AsOf: october.Start().Add(100 * time.Hour)})
	before := s.objects()
	s.putEvents("b.parquet", play("n1", 5, "acme", "film", "s1", 2*time.Hour, 5))
	s.run(RunOptions{Period: october, AsOf: october.Start().Add(101 * time.Hour)})
	for name, data := range before {
		s.putReport(name, data)
	}
	s.wantFound("turned back", acmeOctober+"manifest.json")
	if err := s.publish(t.Context(), s.headOf("acme")); err != nil {
		t.Fatal(err)
	}
	s.wantClean()
	// Without the later run's folder the commit alone knows of it.
	for name := range s.objects() {
		if strings.Contains(name, "runs/2026-10-05T05") {
			s.removeReport(name)
		}
	}
	for name, data := range before {
		s.putReport(name, data)
	}
	s.wantFound("cut off", acmeOctober+"runs/2026-10-05T05-00-00Z/manifest.json")
	v := s.verifier()
	v.Metering = nil
	if out, err := v.Verify(t.Context(), "acme", october); err != nil || len(out.Findings) != 0 || len(out.Notes) == 0 {
		t.Errorf("without commits: %v, findings %v, notes %q", err, out.Findings, out.Notes)
	}
}

func TestAManifestOfAnotherPlaceOrPersonIsNoticed(t *testing.T) {
	s := signedMonth(t)
	run := acmeOctober + "runs/2026-10-05T06-00-00Z/"
	var m schemas.Manifest
	forge := func(change func(*schemas.Manifest), by *crypto.Signer) {
		t.Helper()
		if err := json.Unmarshal(s.objects()[run+schemas.ManifestFile], &m); err != nil {
			t.Fatal(err)
		}
		change(&m)
		body := must(encodeManifest(&m))
		sig := must(by.Sign(body, crypto.ManifestNamespace))
		s.putReport(run+schemas.ManifestFile, body)
		s.putReport(run+schemas.SignatureFile, sig)
	}
	objects := s.objects()
	restore := func() {
		for name, data := range objects {
			s.putReport(name, data)
		}
	}
	stranger := must(crypto.NewSigner())
	forge(func(*schemas.Manifest) {}, stranger)
	s.wantFound("signed by a stranger", run+schemas.SignatureFile)
	restore()
	for what, change := range map[string]func(*schemas.Manifest){
		"another tenant":    func(m *schemas.Manifest) { m.Tenant = "other" },
		"another month":     func(m *schemas.Manifest) { m.Period = october.Next() },
		"another run":       func(m *schemas.Manifest) { m.Run = "2026-10-05T06-00-00Z-2" },
		"another as-of":     func(m *schemas.Manifest) { m.AsOf = "2026-10-06T06:00:00Z" },
		"another schema":    func(m *schemas.Manifest) { m.Schema = "playmeter.manifest/2" },
		"a wrong sum":       func(m *schemas.Manifest) { m.Events.Read++ },
		"a foreign list":    func(m *schemas.Manifest) { m.Inputs.List = "../../other/2026-10/inputs.ndjson.gz" },
		"a foreign report":  func(m *schemas.Manifest) { m.Reports[0].Object = "runs/../../other/2026-10/usage.csv.gz.age" },
		"restated by":       func(m *schemas.Manifest) { m.RestatedBy = &schemas.RestatedBy{} },
		"a circle":          func(m *schemas.Manifest) { m.Previous.Run = "2026-10-04T18-00-00Z" },
		"a shorter chain":   func(m *schemas.Manifest) { m.Previous = nil },
		"a wrong CSV":       func(m *schemas.Manifest) { m.Reports[0].Plaintext.SHA256 = strings.Repeat("0", 64) },
		"another inputs":    func(m *schemas.Manifest) { m.Inputs.Files++ },
		"a report of a run": func(m *schemas.Manifest) { m.Reports[0].Object = "runs/2026-10-01T00-00-00Z/usage.csv.gz.age" },
	} {
		forge(change, s.Signer)
		s.wantFound(what, run+schemas.ManifestFile)
		restore()
	}
	s.wantClean()
}

func TestWhatACrashLeavesIsNoTampering(t *testing.T) {
	s := signedMonth(t)
	objects := s.objects()
	// A run that ended before its commit: its manifest follows the head, and nobody follows it.
	var m schemas.Manifest
	if err := json.Unmarshal(objects[acmeOctober+"runs/2026-10-05T06-00-00Z/manifest.json"], &m); err != nil {
		t.Fatal(err)
	}
	m.Run, m.AsOf, m.Inputs.List = "2026-10-05T07-00-00Z", "2026-10-05T07:00:00Z", "runs/2026-10-05T07-00-00Z/inputs.ndjson.gz"
	body := must(encodeManifest(&m))
	if err := s.putManifest(t.Context(), acmeOctober+schemas.RunFolder(m.Run), body, must(s.sign(body))); err != nil {
		t.Fatal(err)
	}
	// One that ended before its manifest.
	s.putReport(acmeOctober+"runs/2026-10-05T08-00-00Z/usage.csv.gz.age", []byte("x"))
	out := s.wantClean()
	if fmt.Sprint(out.Outside) != "[2026-10-05T07-00-00Z 2026-10-05T08-00-00Z]" || len(out.Notes) != 2 {
		t.Errorf("outside are %v, notes %q", out.Outside, out.Notes)
	}
	// A leftover is believed no more than others.
	s.removeReport(acmeOctober + "runs/2026-10-05T07-00-00Z/manifest.json.sig")
	s.wantFound("unsigned leftover", acmeOctober+"runs/2026-10-05T07-00-00Z/manifest.json.sig")
}

func TestForeignObjectsAreNamed(t *testing.T) {
	s := signedMonth(t)
	s.putReport(acmeOctober+"usage.csv.age", []byte("object_id\n"))
	s.wantFound("a foreign stable report", acmeOctober+"usage.csv.age")
	s.removeReport(acmeOctober + "usage.csv.age")
	s.putReport(acmeOctober+"notes.txt", []byte("x"))
	s.putReport(acmeOctober+"runs/2026-10-05T06-00-00Z/notes.txt", []byte("x"))
	if out := s.wantClean(); len(out.Notes) != 2 {
		t.Errorf("notes are %q", out.Notes)
	}
}

func TestEachRunRepairsTheStableSignature(t *testing.T) {
	s := newSite(t, acme())
	s.putEvents("a.parquet", play("n1", 0, "acme", "film", "s1", time.Hour, 5))
	// Of a time without signatures.
	s.run(RunOptions{Period: october, AsOf: october.End().Add(80 * time.Hour)})
	s.signed()
	s.run(RunOptions{Period: october, AsOf: october.End().Add(81 * time.Hour)})
	s.wantClean()
	want := s.objects()[acmeOctober+schemas.SignatureFile]
	for name, spoil := range map[string]func(){
		"lost":    func() { s.removeReport(acmeOctober + schemas.SignatureFile) },
		"damaged": func() { s.putReport(acmeOctober+schemas.SignatureFile, want[:20]) },
		"both": func() {
			s.removeReport(acmeOctober + schemas.SignatureFile)
			s.removeReport(acmeOctober + schemas.ManifestFile)
		},
		"signers": func() { s.removeReport(schemas.SignersFile) },
	} {
		spoil()
		s.run(RunOptions{Period: october, AsOf: october.End().Add(82 * time.Hour)})
		if got := s.objects()[acmeOctober+schemas.SignatureFile]; !bytes.Equal(got, want) {
			t.Errorf("%s: the stable signature is\n%s", name, got)
		}
		s.wantClean()
	}
	published, _, err := s.Buckets.Reporting.Get(t.Context(), schemas.SignersFile, "", maxSmall)
	if want, _ := s.Signers.Join(nil); err != nil || !bytes.Equal(published, want) {
		t.Errorf("published are %q (%v), want %q", published, err, want)
	}
}

func TestAManifestThatWasChangedIsNotPublished(t *testing.T) {
	s := signedMonth(t)
	name := acmeOctober + "runs/2026-10-05T06-00-00Z/manifest.json"
	good := s.objects()[name]
	s.putReport(name, bytes.Replace(good, []byte(`"complete": true`), []byte(`"complete":  true`), 1))
	if err := s.publish(t.Context(), s.headOf("acme")); err == nil || !strings.Contains(err.Error(), "not the manifest that commit") {
		t.Errorf("publishing a changed manifest: %v", err)
	}
	if got := s.objects()[acmeOctober+schemas.ManifestFile]; !bytes.Equal(got, good) {
		t.Error("the stable manifest is the changed one")
	}
}

func TestRotatedAndForeignKeysStayInThePublishedList(t *testing.T) {
	s := newSite(t, acme()).signed()
	other := must(crypto.NewSigner())
	foreign := "# ours too\n" + other.AllowedLine("of another machine") + "\n"
	s.putReport(schemas.SignersFile, []byte(foreign))
	s.putEvents("a.parquet", play("n1", 0, "acme", "film", "s1", time.Hour, 5))
	first := s.Signer.Fingerprint()
	s.run(RunOptions{Period: october, AsOf: october.Start().Add(100 * time.Hour)})
	s.rotate()
	s.run(RunOptions{Period: october, AsOf: october.Start().Add(101 * time.Hour)})
	published, _, err := s.Buckets.Reporting.Get(t.Context(), schemas.SignersFile, "", maxSmall)
	if err != nil || !strings.HasSuffix(string(published), foreign) {
		t.Errorf("published are\n%s (%v)", published, err)
	}
	list := must(crypto.ParseAllowedSigners(published))
	if got := list.Fingerprints(); len(got) != 3 {
		t.Errorf("%d keys are published, want 3", len(got))
	}
	out := s.wantClean()
	if out.Runs[0].SignedBy != s.Signer.Fingerprint() || out.Runs[1].SignedBy != first {
		t.Errorf("signed by %s and %s", out.Runs[0].SignedBy, out.Runs[1].SignedBy)
	}
	sshKeygenBelieves(t, published, s.objects())
}

// sshKeygenBelieves asks the real program about every manifest.
func sshKeygenBelieves(t *testing.T, allowed []byte, objects map[string][]byte) {
	t.Helper()
	if _, err := exec.LookPath("ssh-keygen"); err != nil {
		t.Log("ssh-keygen is not installed (make tools)")
		return
	}
	dir := t.TempDir()
	list, sig := filepath.Join(dir, "allowed"), filepath.Join(dir, "sig")
	for name, data := range objects {
		if filepath.Base(name) != schemas.ManifestFile {
			continue
		}
		if err := errors.Join(os.WriteFile(list, allowed, 0o600), os.WriteFile(sig, objects[name+".sig"], 0o600)); err != nil {
			t.Fatal(err)
		}
		c := exec.Command("ssh-keygen", "-Y", "verify", "-f", list, "-I", "playmeter", "-n", "playmeter-manifest", "-s", sig)
		c.Stdin = bytes.NewReader(data)
		if out, err := c.CombinedOutput(); err != nil {
			t.Errorf("%s: %v: %s", name, err, out)
		}
	}
}

func TestWhoCannotOpenStillChecksWhatWasSealed(t *testing.T) {
	s := signedMonth(t)
	secret, _, err := crypto.NewIdentity()
	if err != nil {
		t.Fatal(err)
	}
	v := s.verifier()
	v.Identities = must(crypto.ParseIdentities(secret))
	out, err := v.Verify(t.Context(), "acme", october)
	if err != nil || len(out.Findings) != 0 || out.Opened != 0 || out.Unopened == 0 {
		t.Errorf("%v, findings %v, opened %d, not opened %d", err, out.Findings, out.Opened, out.Unopened)
	}
	v.Metering = testStore.Bucket("nowhere-at-all")
	if out, err = v.Verify(t.Context(), "acme", october); err != nil || out.Commits || len(out.Findings) != 0 {
		t.Errorf("without commits: %v, findings %v", err, out.Findings)
	}
	v.Signers = crypto.AllowedSigners{}
	if out, err = v.Verify(t.Context(), "acme", october); err != nil || len(out.Findings) == 0 {
		t.Errorf("believing nobody finds %v (%v)", out.Findings, err)
	}
}
