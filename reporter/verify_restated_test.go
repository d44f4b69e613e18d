package reporter

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/playmeter/playmeter/schemas"
)

// restatedMonth is a final month with one restatement, written as its format says.
func restatedMonth(t *testing.T) *site {
	t.Helper()
	s := newSite(t, acme()).signed()
	s.putEvents("a.parquet", play("n1", 0, "acme", "film", "s1", time.Hour, 5))
	s.run(RunOptions{Period: october, AsOf: october.End().Add(80 * time.Hour)})
	head, objects := s.headOf("acme"), s.objects()
	final := acmeOctober + schemas.RunFolder(head.Current.Run)
	var m schemas.Manifest
	if err := json.Unmarshal(objects[final+schemas.ManifestFile], &m); err != nil {
		t.Fatal(err)
	}
	stable := m

	m.Run, m.AsOf, m.Restatement = "2026-11-05T00-00-00Z", "2026-11-05T00:00:00Z", 1
	m.Previous = &schemas.Previous{Run: head.Current.Run, SHA256: head.Current.Manifest.SHA256}
	run, restatement := acmeOctober+schemas.RunFolder(m.Run), acmeOctober+schemas.RestatementFolder(1)
	m.Inputs.List = schemas.RunFolder(m.Run) + schemas.InputsFile
	s.putReport(run+schemas.InputsFile, objects[final+schemas.InputsFile])
	m.Reports = slices.Clone(m.Reports)
	for i, e := range m.Reports {
		m.Reports[i].Object = schemas.RunFolder(m.Run) + path.Base(e.Object)
		s.putReport(acmeOctober+m.Reports[i].Object, objects[acmeOctober+e.Object])
		s.putReport(restatement+path.Base(e.Object), objects[acmeOctober+e.Object])
	}
	s.putReport(run+"usage.diff.csv.gz.age", []byte("a difference"))
	s.putReport(restatement+"usage.diff.csv.gz.age", []byte("a difference"))
	body := must(encodeManifest(&m))
	sig := must(s.sign(body))
	for _, folder := range []string{run, restatement} {
		if err := s.putManifest(t.Context(), folder, body, sig); err != nil {
			t.Fatal(err)
		}
	}
	head.Parent = head.Number
	head.Run = schemas.RunRef{Run: m.Run, AsOf: m.AsOf, State: m.State, Manifest: digestOfBytes(body), Reports: m.Reports}
	if err := s.commit(t.Context(), head); err != nil {
		t.Fatal(err)
	}
	stable.RestatedBy = &schemas.RestatedBy{Restatement: 1, Run: m.Run, Manifest: schemas.RestatementFolder(1) + schemas.ManifestFile, SHA256: digestOfBytes(body).SHA256}
	s.putStable(&stable)
	return s
}

// putStable signs a manifest and puts it at the stable name.
func (s *site) putStable(m *schemas.Manifest) {
	s.t.Helper()
	body := must(encodeManifest(m))
	if err := s.putManifest(s.t.Context(), acmeOctober, body, must(s.sign(body))); err != nil {
		s.t.Fatal(err)
	}
}

func TestARestatedMonthIsClean(t *testing.T) {
	s := restatedMonth(t)
	out := s.wantClean()
	if len(out.Runs) != 2 || out.Runs[0].Restatement != 1 || out.Current != out.Runs[1].Run || len(out.Notes) != 0 {
		t.Errorf("current %s, runs %+v, notes %q", out.Current, out.Runs, out.Notes)
	}
	// Also for those who may not read the commits: restated_by leads to the head of the chain.
	v := s.verifier()
	v.Metering = nil
	if out, err := v.Verify(t.Context(), "acme", october); err != nil || len(out.Findings) != 0 || len(out.Runs) != 2 {
		t.Errorf("without commits: %v, runs %+v, findings %v", err, out.Runs, out.Findings)
	}
}

func TestNoChangeOfARestatementGoesUnnoticed(t *testing.T) {
	s := restatedMonth(t)
	objects := s.objects()
	for _, name := range slices.Sorted(maps.Keys(objects)) {
		flipped := bytes.Clone(objects[name])
		flipped[len(flipped)/3] ^= 1
		s.putReport(name, flipped)
		if strings.Contains(name, "runs/") && strings.Contains(name, ".diff.") {
			s.wantFound("a byte of", acmeOctober+"restatements/1/"+path.Base(name)) // its copy is no copy any more
		} else {
			s.wantFound("a byte of", name)
		}
		s.removeReport(name)
		if !strings.Contains(name, ".diff.") {
			s.wantFound("removed", name)
		}
		s.putReport(name, objects[name])
	}
	s.wantClean()
}

func TestRestatedByIsHeldAgainstTheChain(t *testing.T) {
	s := restatedMonth(t)
	objects := s.objects()
	for what, change := range map[string]func(*schemas.Manifest){
		"left out":            func(m *schemas.Manifest) { m.RestatedBy = nil },
		"another number":      func(m *schemas.Manifest) { m.RestatedBy.Restatement = 2 },
		"another run":         func(m *schemas.Manifest) { m.RestatedBy.Run = m.Run },
		"another manifest":    func(m *schemas.Manifest) { m.RestatedBy.Manifest = "runs/x/manifest.json" },
		"another digest":      func(m *schemas.Manifest) { m.RestatedBy.SHA256 = fmt.Sprintf("%064d", 0) },
		"something else, too": func(m *schemas.Manifest) { m.Events.Errors++ },
		"another state":       func(m *schemas.Manifest) { m.State = StateOpen },
	} {
		var m schemas.Manifest
		if err := json.Unmarshal(objects[acmeOctober+schemas.ManifestFile], &m); err != nil {
			t.Fatal(err)
		}
		change(&m)
		s.putStable(&m)
		s.wantFound(what, acmeOctober+schemas.ManifestFile)
	}
	s.putReport(acmeOctober+schemas.ManifestFile, objects[acmeOctober+schemas.ManifestFile])
	s.putReport(acmeOctober+schemas.SignatureFile, objects[acmeOctober+schemas.SignatureFile])
	s.wantClean()
	s.putReport(acmeOctober+"restatements/2/usage.csv.gz.age", []byte("x"))
	s.wantFound("a foreign restatement", acmeOctober+"restatements/2/usage.csv.gz.age")
}
