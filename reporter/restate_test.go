package reporter

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/playmeter/playmeter/accounting"
	"github.com/playmeter/playmeter/schemas"
)

// inNovember is an instant at which October is final, n days later.
func inNovember(n int) time.Time { return october.End().AddDate(0, 0, 3+n).Add(time.Hour) }

// final makes October's reports n days after it became final.
func (s *site) final(n int) *TenantResult {
	s.t.Helper()
	return &s.run(RunOptions{Period: october, AsOf: inNovember(n)}).Tenants[0]
}

// changes reads the diff of a restatement.
func (s *site) diffOf(n int) []string {
	s.t.Helper()
	folder := schemas.ReportFolder("acme", october)
	body, _, err := s.Buckets.Reporting.Reader(s.t.Context(), folder+schemas.RestatementFolder(n)+schemas.ReportFile(schemas.ReportDiff, schemas.CompressGzip), "")
	if err != nil {
		s.t.Fatal(err)
	}
	defer body.Close()
	var plain bytes.Buffer
	if err := unseal(&plain, body, s.identity, schemas.CompressGzip); err != nil {
		s.t.Fatal(err)
	}
	var out []string
	for c, err := range accounting.ReadUsageDiff(&plain) {
		if err != nil {
			s.t.Fatal(err)
		}
		if !c.Tenancy {
			out = append(out, fmt.Sprint(c.Object, " ", c.Column, " ", c.Before, " ", c.After, " ", c.Delta, " ", c.Causes))
		}
	}
	return out
}

func TestWhatComesAfterAMonthIsFinalIsARestatement(t *testing.T) {
	s := newSite(t, acme())
	s.putEvents("a.parquet", play("n1", 0, "acme", "film", "s1", time.Hour, 10))
	first := s.final(0)
	if first.State != StateFinal || !first.Current || first.Restatement != 0 {
		t.Fatalf("the first run after the grace time: %+v", first)
	}
	if again := s.final(1); again.Note == "" || again.Run != first.Run {
		t.Errorf("a run with nothing new: %+v", again)
	}
	s.putEvents("b.parquet", play("n1", 10, "acme", "film", "s1", 2*time.Hour, 5))
	one := s.final(1)
	if one.Restatement != 1 || one.Current || one.Manifest.Restatement != 1 || one.Manifest.Restates.Run != first.Run || one.Manifest.Previous.Run != first.Run {
		t.Fatalf("the late file: %+v, manifest %+v", one, one.Manifest)
	}
	s.wantCell("acme", "film", seconds, "20") // the stable names stay
	changes := s.diffOf(1)
	if !slices.Contains(changes, "film "+seconds+" 20 30 10 [late]") {
		t.Errorf("the diff says %q", changes)
	}
	var stable schemas.Manifest
	if err := s.readJSON(t.Context(), s.Buckets.Reporting, schemas.ReportFolder("acme", october)+schemas.ManifestFile, &stable); err != nil {
		t.Fatal(err)
	}
	if stable.Run != first.Run || stable.RestatedBy == nil || stable.RestatedBy.Restatement != 1 || stable.RestatedBy.Run != one.Run {
		t.Errorf("the stable manifest is of run %s, restated by %+v", stable.Run, stable.RestatedBy)
	}

	s.putEvents("c.parquet", play("n1", 15, "acme", "film", "s1", 3*time.Hour, 5))
	if soon := s.final(1); soon.Restatement != 0 || !strings.Contains(soon.Note, "reports.restate.every") {
		t.Errorf("a second restatement within a day: %+v", soon)
	}
	two := s.final(2)
	if two.Restatement != 2 || two.Manifest.Restates.Run != one.Run {
		t.Fatalf("the second restatement: %+v", two)
	}
	if changes := s.diffOf(2); !slices.Contains(changes, "film "+seconds+" 30 40 10 [late]") {
		t.Errorf("the second diff says %q", changes)
	}
	s.putEvents("d.parquet", play("n1", 20, "acme", "film", "s1", 4*time.Hour, 5))
	if late := s.final(500); late.Restatement != 0 || !strings.Contains(late.Note, "reports.restate.until") {
		t.Errorf("after 500 days: %+v", late)
	}
}

func TestEveryCauseOfARestatementIsNamed(t *testing.T) {
	s := newSite(t, acme()).signed()
	for i, key := range []string{"stays", "goes", "replaced"} {
		s.putEvents(key+".parquet", play("n1", i*10, "acme", key, "s1", time.Duration(i+1)*time.Hour, 5))
	}
	hd := play("n2", 0, "acme", "stays", "s2", time.Hour, 5)
	for i := range hd {
		hd[i].Width, hd[i].Height = new(int32(1280)), new(int32(720))
	}
	s.putEvents("hd.parquet", hd)
	s.final(0)
	c, err := s.Counted(t.Context(), "goes.parquet")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Withdraw(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	s.putEvents("replaced.parquet", play("n1", 20, "acme", "replaced", "s1", 3*time.Hour, 4))
	s.putEvents("late.parquet", play("n1", 30, "acme", "late", "s1", 3*time.Hour, 4))
	s.Tenants[0].Rules.Tiers = accounting.TiersFabric
	s.putSnapshot("acme", october.Start().AddDate(0, 0, 9), `{"object_id":"stays","object_name":"The Name"}`)
	result := s.run(RunOptions{Period: october, AsOf: inNovember(2), CurrentRules: true}).Tenants[0]
	if result.Restatement != 1 || result.Manifest.RulesBefore == "" || result.Manifest.RulesBefore == result.Manifest.Rules.Digest {
		t.Fatalf("the restatement: %+v, rules %q after %q", result, result.Manifest.Rules.Digest, result.Manifest.RulesBefore)
	}
	changes := strings.Join(s.diffOf(1), "\n")
	for _, want := range []string{
		"goes " + seconds + " 10  -10 [withdrawn]",
		"replaced " + seconds + " 10 8 -2 [replaced]",
		"late " + seconds + "  8 8 [late]",
		"stays " + seconds + " 20 10 -10 [rules]",
		"stays info.object_name  The Name  [catalog]",
	} {
		if !strings.Contains(changes, want) {
			t.Errorf("the diff lacks %q:\n%s", want, changes)
		}
	}
	if out, err := s.verifier().Verify(t.Context(), "acme", october); err != nil || len(out.Findings) != 0 {
		t.Errorf("verify: %v, findings %+v", err, out.Findings)
	}
}

// putSnapshot puts a catalog snapshot of one line.
func (s *site) putSnapshot(tenant schemas.Tenant, at time.Time, line string) {
	s.t.Helper()
	if _, err := s.Buckets.Catalog.PutBytes(s.t.Context(), schemas.CatalogName(tenant, at, ".ndjson"), []byte(line+"\n")); err != nil {
		s.t.Fatal(err)
	}
}

func TestCopiesThatComeLateRestateNothing(t *testing.T) {
	s := newSite(t, acme())
	all := play("n1", 0, "acme", "film", "s1", time.Hour, 10)
	s.putEvents("a.parquet", all)
	s.final(0)
	s.putEvents("b.parquet", all[:5])
	for range 2 {
		if r := s.final(1); r.Restatement != 0 || !strings.Contains(r.Note, "changes nothing") && !strings.Contains(r.Note, "stay as they are") {
			t.Errorf("copies that came late: %+v", r)
		}
	}
}

func TestRestatementsOfTwoMonthsTakeTurns(t *testing.T) {
	s := newSite(t, acme())
	september := october.Previous()
	early := play("n1", 0, "acme", "film", "s1", -48*time.Hour, 3)
	s.putEvents("a.parquet", append(early, play("n1", 3, "acme", "film", "s1", time.Hour, 3)...))
	for _, p := range []schemas.Period{september, october} {
		s.run(RunOptions{Period: p, AsOf: inNovember(0)})
	}
	var made []string
	s.Done = func(p schemas.Period, r *Result, err error) {
		if err != nil || r.Err() != nil {
			t.Error(errors.Join(err, r.Err()))
			return
		}
		for _, tr := range r.Tenants {
			if tr.Restatement > 0 {
				made = append(made, fmt.Sprint(p, " ", tr.Restatement))
			}
		}
	}
	for day := 1; day <= 6; day++ {
		s.putEvents(fmt.Sprintf("late%d.parquet", day), append(play("n1", 100*day, "acme", "film", "s1", -47*time.Hour, 3), play("n1", 100*day+3, "acme", "film", "s1", 2*time.Hour, 3)...))
		s.Now = func() time.Time { return inNovember(day) }
		s.scheduled(t.Context(), []schemas.Tenant{"acme"})
	}
	if len(made) != 6 {
		t.Fatalf("restatements %q, want one a day", made)
	}
	for i := 1; i < len(made); i++ {
		if made[i][:7] == made[i-1][:7] {
			t.Errorf("restatements %q: one month waits while the other has two", made)
		}
	}
}

func TestOldRunsArePruned(t *testing.T) {
	s := newSite(t, acme()).signed()
	s.Keep = Keep{Runs: 3, Daily: 2}
	var runs []string
	for i := range 8 { // four runs a day for two days
		s.putEvents(fmt.Sprintf("%d.parquet", i), play("n1", 10*i, "acme", "film", "s1", time.Hour+time.Duration(i)*time.Minute, 2))
		runs = append(runs, s.run(RunOptions{Period: october, AsOf: october.Start().Add(time.Duration(30+6*i) * time.Hour)}).Tenants[0].Run)
	}
	head := s.headOf("acme")
	if err := s.sweepMonth(t.Context(), head); err != nil {
		t.Fatal(err)
	}
	var kept []string
	for _, k := range head.Kept {
		kept = append(kept, k.Run)
	}
	var have []string
	for info, err := range s.Buckets.Reporting.List(t.Context(), schemas.ReportFolder("acme", october)+"runs/", "") {
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(info.Key, "usage.csv.gz.age") {
			have = append(have, strings.Split(info.Key, "/")[3])
		}
	}
	if want := runs[5:]; !slices.Equal(kept[len(kept)-3:], want) || !slices.Equal(have, kept) {
		t.Errorf("kept %q, with reports %q; the last three are %q", kept, have, want)
	}
	if out, err := s.verifier().Verify(t.Context(), "acme", october); err != nil || len(out.Findings) != 0 || len(out.Runs) != 8 {
		t.Errorf("verify: %v, %d runs, findings %+v", err, len(out.Runs), out.Findings)
	}
}

func TestWhatACrashedRunLeftIsRemovedBelowTheNewestCommit(t *testing.T) {
	s := newSite(t, acme())
	s.putEvents("a.parquet", play("n1", 0, "acme", "film", "s1", time.Hour, 2))
	s.month()
	folder := schemas.ReportFolder("acme", october)
	left := func(parent int64) string {
		name, err := s.claim(t.Context(), "acme", october, afterOctober, parent)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Buckets.Reporting.PutBytes(t.Context(), folder+schemas.RunFolder(name)+"usage.csv.gz.age", []byte("x")); err != nil {
			t.Fatal(err)
		}
		return name
	}
	crashed := left(1)
	time.Sleep(1100 * time.Millisecond) // the store tells times to the second
	s.putEvents("b.parquet", play("n1", 2, "acme", "film", "s1", time.Hour, 2))
	s.month()
	alive := left(2) // of a run that follows the newest commit
	if err := s.sweepMonth(t.Context(), s.headOf("acme")); err != nil {
		t.Fatal(err)
	}
	for run, want := range map[string]bool{crashed: false, alive: true} {
		_, err := s.Buckets.Reporting.Stat(t.Context(), folder+schemas.RunFolder(run)+"usage.csv.gz.age")
		if (err == nil) != want {
			t.Errorf("run %s: %v, want it kept: %t", run, err, want)
		}
	}
}

func TestKeep(t *testing.T) {
	run := func(asOf, state string, restatement int) schemas.KeptRun {
		return schemas.KeptRun{Run: asOf, AsOf: asOf, State: state, Restatement: restatement}
	}
	runs := []schemas.KeptRun{run("2026-10-01T01", StateOpen, 0), run("2026-10-01T02", StateOpen, 0), run("2026-10-02T01", StateOpen, 0), run("2026-10-03T01", StateOpen, 0),
		run("2026-10-03T02", StateOpen, 0), run("2026-10-04T01", StateFinal, 0), run("2026-10-05T01", StateFinal, 1), run("2026-10-06T01", StateOpen, 0)}
	tests := []struct {
		keep   Keep
		before string
		want   string
	}{
		{Keep{0, 0}, "", "04T01 05T01 06T01"},
		{Keep{0, 0}, "2026-10-02T01", "02T01 04T01 05T01 06T01"},
		{Keep{2, 0}, "", "04T01 05T01 06T01"},
		{Keep{4, 0}, "", "03T02 04T01 05T01 06T01"},
		{Keep{0, 5}, "", "02T01 03T02 04T01 05T01 06T01"},
		{Keep{0, 6}, "", "01T02 02T01 03T02 04T01 05T01 06T01"},
	}
	for _, tt := range tests {
		var got []string
		for _, k := range keep(runs, "2026-10-06T01", tt.before, tt.keep) {
			got = append(got, strings.TrimPrefix(k.Run, "2026-10-"))
		}
		if strings.Join(got, " ") != tt.want {
			t.Errorf("keep %+v leaves %q, want %q", tt.keep, got, tt.want)
		}
	}
}

func TestAWithdrawnFileThatCannotBeReadIsGivenUp(t *testing.T) {
	s := newSite(t, acme())
	s.putEvents("a.parquet", play("n1", 0, "acme", "film", "s1", time.Hour, 2))
	s.putBytes("bad.parquet", []byte("rubbish"))
	if m := s.month(); m.Complete || m.SetAside != 1 {
		t.Errorf("complete %t, %d set aside, want one", m.Complete, m.SetAside)
	}
	c, err := s.Counted(t.Context(), "bad.parquet")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Withdraw(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	if m := s.month(); !m.Complete || m.SetAside != 0 {
		t.Errorf("complete %t, %d set aside, want none", m.Complete, m.SetAside)
	}
}
