package reporter

import (
	"strings"
	"testing"
	"time"
)

// recompute counts a run of October again.
func (s *site) recompute(run string) *Recomputation {
	s.t.Helper()
	out, err := s.Recompute(s.t.Context(), RunID{"acme", october, run})
	if err != nil {
		s.t.Fatal(err)
	}
	return out
}

func (s *site) inMetering() string {
	s.t.Helper()
	var names []string
	for info, err := range s.Buckets.Metering.List(s.t.Context(), "", "") {
		if err != nil {
			s.t.Fatal(err)
		}
		names = append(names, info.Key, info.ETag)
	}
	return strings.Join(names, "\n")
}

func TestARunIsTheSameWhenItIsCountedAgain(t *testing.T) {
	s := newSite(t, acme())
	all := play("n1", 0, "acme", "film", "s1", time.Hour, 30)
	s.putEvents("a.parquet", all[:20])
	s.putEvents("b.parquet", all[10:])
	s.putEvents("c.parquet", append(play("n2", 0, "acme", "clip", "s2", 50*time.Hour, 9), play("n2", 9, "other", "clip", "s2", 51*time.Hour, 9)...))
	s.putSnapshot("acme", october.Start().AddDate(0, 0, 1), `{"object_id":"film","object_name":"Film","storage_bytes":5000}`)
	within := s.run(RunOptions{Period: october, AsOf: october.Start().Add(time.Hour + 30*time.Second)}).Tenants[0].Run
	first := s.final(0).Run
	s.putEvents("d.parquet", play("n2", 18, "acme", "clip", "s3", 52*time.Hour, 3))
	second := s.final(2)
	if second.Restatement != 1 {
		t.Fatalf("the restatement: %+v", second)
	}
	before := s.inMetering()
	for _, run := range []string{within, first, second.Run} {
		out := s.recompute(run)
		if !out.Good() || len(out.Notes) != 0 || len(out.Gone) != 0 || out.Files < 2 || len(out.Reports) != 2 {
			t.Errorf("run %s: %+v", run, out)
		}
	}
	if after := s.inMetering(); after != before {
		t.Errorf("recomputing changed the metering bucket:\n%s\nwas\n%s", after, before)
	}
}

func TestAReplacedFileIsTakenAsItWasCounted(t *testing.T) {
	s := newSite(t, acme())
	s.putEvents("a.parquet", play("n1", 0, "acme", "film", "s1", time.Hour, 10))
	s.month()
	head := s.headOf("acme")
	s.putEvents("a.parquet", play("n1", 0, "acme", "film", "s1", time.Hour, 11))
	out := s.recompute(head.Run.Run)
	if len(out.Gone) != 1 || !out.Good() {
		t.Errorf("a replaced file: %+v", out)
	}
	s.Reporter.Tenants[0].Name = "Somebody Else" // the name is the manifest's
	if out := s.recompute(head.Run.Run); !out.Good() {
		t.Errorf("under another name: %+v", out)
	}
}

func TestRecomputingFindsForgedReports(t *testing.T) {
	s := newSite(t, acme())
	s.putEvents("a.parquet", play("n1", 0, "acme", "film", "s1", time.Hour, 10))
	old := s.month().Run
	s.putEvents("b.parquet", play("n1", 10, "acme", "film", "s1", 2*time.Hour, 10))
	s.month()
	// Somebody with the key of the installation lets the first run say what the second says.
	p, err := s.findPast(t.Context(), RunID{"acme", october, old})
	if err != nil {
		t.Fatal(err)
	}
	q, err := s.findPast(t.Context(), RunID{"acme", october, ""})
	if err != nil {
		t.Fatal(err)
	}
	p.manifest.Reports, p.manifest.Events = q.manifest.Reports, q.manifest.Events
	if err := p.loadCatalog(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	lines, err := p.pinned(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	shelf := newShelf()
	shelf.private = true
	defer shelf.close()
	out := new(Recomputation)
	if err := p.recount(t.Context(), lines, shelf, out); err != nil {
		t.Fatal(err)
	}
	if err := p.rewrite(t.Context(), out); err != nil || out.Good() || out.Events {
		t.Errorf("forged reports pass: %+v, %v", out, err)
	}
}
