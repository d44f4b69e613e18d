package reporter

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/playmeter/playmeter/schemas"
)

// What goes wrong around a run: things missing, damaged, late or overtaken.

// otherProcess is a second process on the same buckets.
func (s *site) otherProcess() *Reporter {
	o := s.Reporter
	return &Reporter{Store: o.Store, Buckets: o.Buckets, Tenants: append([]Tenant(nil), o.Tenants...), Agents: o.Agents, Grace: o.Grace, Keep: o.Keep, Restate: o.Restate, Signer: o.Signer, Signers: o.Signers,
		Version: o.Version, Temp: s.t.TempDir(), Workers: 1, Log: o.Log, Now: o.Now}
}

// once calls do at the first sign of progress of a stage.
func (s *site) once(stage string, do func()) {
	done := false
	s.Workers = 1
	s.Progress = func(p Progress) {
		if p.Stage == stage && !done {
			done = true
			do()
		}
	}
}

func (s *site) deleteUsage(key string) {
	s.t.Helper()
	if err := s.Buckets.Usage.Delete(s.t.Context(), key); err != nil {
		s.t.Fatal(err)
	}
}

func (s *site) headOf(tenant schemas.Tenant) *schemas.Commit {
	s.t.Helper()
	head, err := s.head(s.t.Context(), tenant, october)
	if err != nil {
		s.t.Fatal(err)
	}
	return head
}

func TestAnEarlierAsOfLeavesTheFinishedSessionsOfAFinalMonth(t *testing.T) {
	s := newSite(t, acme())
	s.putEvents("a.parquet", append(play("n1", 0, "acme", "film", "s1", time.Hour, 3), play("n1", 3, "acme", "film", "s2", 400*time.Hour, 3)...))
	s.run(RunOptions{Period: october, AsOf: october.End().Add(100 * time.Hour)})
	final := s.headOf("acme")
	early := s.run(RunOptions{Period: october, AsOf: october.Start().Add(100 * time.Hour)}).Tenants[0]
	if early.Current || early.Manifest.Events.Counted["playout"] != 3 {
		t.Errorf("the earlier as-of is current (%t) and counts %v", early.Current, early.Manifest.Events.Counted)
	}
	now := s.headOf("acme")
	if now.Current.Run != final.Run.Run || len(now.Sessions) != 2 || now.Statement != final.Statement {
		t.Errorf("the head keeps run %s with sessions %v", now.Current.Run, now.Sessions)
	}
	for _, o := range final.Sessions {
		if _, err := s.Buckets.Metering.Stat(t.Context(), o.Name); err != nil {
			t.Error(err)
		}
	}
}

func TestALostObjectUnderRunsIsWrittenAgain(t *testing.T) {
	s := newSite(t, acme())
	s.putEvents("a.parquet", play("n1", 0, "acme", "film", "s1", time.Hour, 5))
	first := s.run(RunOptions{Period: october, AsOf: october.Start().Add(100 * time.Hour)}).Tenants[0].Manifest
	for _, m := range first.Reports {
		if err := s.Buckets.Reporting.Delete(t.Context(), "acme/2026-10/"+m.Object); err != nil {
			t.Fatal(err)
		}
	}
	for _, o := range s.headOf("acme").Sessions {
		if err := s.Buckets.Metering.Delete(t.Context(), o.Name); err != nil {
			t.Fatal(err)
		}
	}
	s.run(RunOptions{Period: october, AsOf: october.Start().Add(101 * time.Hour)})
	s.wantCell("acme", "film", seconds, "10")
}

func TestOneTenantsDamagedCommitLeavesTheOthersTheirReports(t *testing.T) {
	other := acme()
	other.ID = "other"
	s := newSite(t, acme(), other)
	s.putEvents("a.parquet", play("n1", 0, "other", "film", "s1", time.Hour, 5))
	if _, err := s.Buckets.Metering.PutBytes(t.Context(), schemas.CommitName("acme", october, 1), []byte("{")); err != nil {
		t.Fatal(err)
	}
	result, err := s.Run(t.Context(), RunOptions{Period: october, AsOf: afterOctober})
	if err != nil {
		t.Fatal(err)
	}
	if result.Tenants[0].Err == nil || result.Tenants[1].Err != nil {
		t.Errorf("got %v and %v, want an error and none", result.Tenants[0].Err, result.Tenants[1].Err)
	}
	s.wantCell("other", "film", seconds, "10")
}

func TestADamagedPackIsCountedAgain(t *testing.T) {
	s := newSite(t, acme())
	s.putEvents("a.parquet", play("n1", 0, "acme", "film", "s1", time.Hour, 5))
	s.run(RunOptions{Period: october, AsOf: afterOctober})
	for info, err := range s.Buckets.Metering.List(t.Context(), schemas.PrefixPacks, "") {
		if err != nil {
			t.Fatal(err)
		}
		data, _, err := s.Buckets.Metering.Get(t.Context(), info.Key, "", maxSmall)
		if err != nil {
			t.Fatal(err)
		}
		data[len(data)-30] ^= 1
		if _, err := s.Buckets.Metering.PutBytes(t.Context(), info.Key, data); err != nil {
			t.Fatal(err)
		}
	}
	s.putEvents("b.parquet", play("n1", 5, "acme", "film", "s1", 2*time.Hour, 5))
	s.Reporter = s.otherProcess()
	result := s.run(RunOptions{Period: october, AsOf: afterOctober.Add(time.Minute)})
	if result.Counted != 2 {
		t.Errorf("counted %d files, want both", result.Counted)
	}
	s.wantCell("acme", "film", seconds, "20")
}

func TestWhatAnotherProcessCountsMeanwhileIsNotMissed(t *testing.T) {
	s := newSite(t, acme())
	s.putEvents("a.parquet", play("n1", 0, "acme", "film", "s1", time.Hour, 5))
	s.once("tally", func() {
		s.putEvents("b.parquet", play("n1", 5, "acme", "film", "s1", 2*time.Hour, 5))
		result, err := s.otherProcess().Run(context.Background(), RunOptions{Period: october, AsOf: october.Start().Add(99 * time.Hour)})
		if err = errors.Join(err, result.Err()); err != nil {
			t.Error(err)
		}
	})
	s.run(RunOptions{Period: october, AsOf: october.Start().Add(100 * time.Hour)})
	s.wantCell("acme", "film", seconds, "20")
}

func TestAFileReplacedWhileItIsReadCountsAsTheNewOne(t *testing.T) {
	s := newSite(t, acme())
	s.putEvents("a.parquet", play("n1", 0, "acme", "film", "s1", time.Hour, 5))
	s.putEvents("b.parquet", play("n1", 5, "acme", "film", "s1", 2*time.Hour, 5))
	s.once("tally", func() { s.putEvents("b.parquet", play("n1", 5, "acme", "film", "s1", 2*time.Hour, 8)) })
	m := s.run(RunOptions{Period: october, AsOf: october.End().Add(100 * time.Hour)}).Tenants[0].Manifest
	if m.State != StateFinal || m.Events.Read != 13 {
		t.Errorf("the %s run read %d rows, want 13", m.State, m.Events.Read)
	}
}

func TestAReplacedFileThatIsGoneIsTheSameForEveryTenant(t *testing.T) {
	other := acme()
	other.ID = "other"
	s := newSite(t, acme(), other)
	both := func(n int) []schemas.Event {
		return append(play("n1", 0, "acme", "film", "s1", time.Hour, n), play("n1", n, "other", "film", "s2", time.Hour, n)...)
	}
	s.putEvents("a.parquet", both(2))
	s.run(RunOptions{Period: october, AsOf: afterOctober, Tenants: []schemas.Tenant{"acme"}})
	time.Sleep(1100 * time.Millisecond) // the store's times are in seconds
	s.putEvents("a.parquet", both(9))
	s.run(RunOptions{Period: october, AsOf: afterOctober, Tenants: []schemas.Tenant{"other"}})
	s.deleteUsage("a.parquet")
	s.run(RunOptions{Period: october, AsOf: afterOctober.Add(time.Minute)})
	s.wantCell("acme", "film", seconds, "18")
	s.wantCell("other", "film", seconds, "18")
}

func TestAVanishedFileCountsUnderOtherIdleTimesWithAWarning(t *testing.T) {
	s := newSite(t, acme())
	s.putEvents("a.parquet", append(play("n1", 0, "acme", "film", "s1", -time.Hour, 2), play("n1", 2, "acme", "film", "s2", time.Hour, 3)...))
	s.run(RunOptions{Period: october.Previous(), AsOf: october.Start().Add(2 * time.Hour)})
	s.deleteUsage("a.parquet")
	s.Tenants[0].Rules.Idle.WithoutID = 20 * time.Minute
	m := s.run(RunOptions{Period: october, AsOf: afterOctober}).Tenants[0].Manifest
	if m.Events.Counted["playout"] != 3 || len(m.Warnings) != 1 || !strings.Contains(m.Warnings[0], "idle times") {
		t.Errorf("counted %v with warnings %q", m.Events.Counted, m.Warnings)
	}
}

func TestASnapshotOfAFarYearIsNoSnapshot(t *testing.T) {
	for _, key := range []string{"acme/9999-12-31T00-00-00Z.ndjson", "acme/1999-12-31T00-00-00Z.parquet", "acme/2026-10-01T00-00-00Z.csv", "a b/2026-10-01T00-00-00Z.ndjson"} {
		if _, _, ok := schemas.ParseCatalogName(key); ok {
			t.Errorf("%s is taken for a snapshot", key)
		}
	}
}

func TestASlowPublisherDoesNotTurnTheStableNamesBack(t *testing.T) {
	s := newSite(t, acme())
	s.putEvents("a.parquet", play("n1", 0, "acme", "film", "s1", time.Hour, 5))
	s.run(RunOptions{Period: october, AsOf: october.Start().Add(100 * time.Hour)})
	old := s.headOf("acme")
	s.putEvents("b.parquet", play("n1", 5, "acme", "film", "s1", 2*time.Hour, 5))
	s.run(RunOptions{Period: october, AsOf: october.Start().Add(101 * time.Hour)})
	folder := schemas.ReportFolder("acme", october)
	stable := func() string {
		data, _, err := s.Buckets.Reporting.Get(t.Context(), folder+"usage.csv.gz.age", "", maxSmall)
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
	want := stable()
	// One that is killed after its first copy is mended by the next run, ...
	if err := s.copyStable(t.Context(), folder+old.Current.Reports[0].Object, folder+"usage.csv.gz.age", false); err != nil {
		t.Fatal(err)
	}
	if err := s.publish(t.Context(), s.headOf("acme")); err != nil {
		t.Fatal(err)
	}
	if stable() != want {
		t.Error("the stable report of the run before was not put right")
	}
	// ... and one that goes on finds that it was overtaken.
	if err := s.publish(t.Context(), old); err != nil {
		t.Fatal(err)
	}
	if stable() != want {
		t.Error("a late publisher turned the stable report back")
	}
}

func TestAnOvertakenRunLeavesNothingUnderRuns(t *testing.T) {
	s := newSite(t, acme())
	s.putEvents("a.parquet", play("n1", 0, "acme", "film", "s1", time.Hour, 5))
	s.run(RunOptions{Period: october, AsOf: october.Start().Add(100 * time.Hour)})
	s.putEvents("b.parquet", play("n1", 5, "acme", "film", "s1", 2*time.Hour, 5))
	s.once("fold", func() {
		c := *s.headOf("acme")
		c.Parent = c.Number
		if err := s.commit(t.Context(), &c); err != nil {
			t.Error(err)
		}
	})
	result, err := s.Run(t.Context(), RunOptions{Period: october, AsOf: october.Start().Add(101 * time.Hour)})
	if err != nil || !errors.Is(result.Err(), ErrOvertaken) {
		t.Fatalf("got %v and %v, want ErrOvertaken", err, result.Err())
	}
	for info, err := range s.Buckets.Reporting.List(t.Context(), "acme/2026-10/runs/2026-10-05T05", "") {
		t.Errorf("%s is left (%v)", info.Key, err)
	}
}

func TestACancelledRunLeavesTheBucketsUsable(t *testing.T) {
	s := newSite(t, acme())
	for n := range 15 {
		s.putEvents(strings.Repeat("x", n+1)+".parquet", play("n1", 5*n, "acme", "film", "s1", time.Duration(n)*time.Hour, 5))
		ctx, cancel := context.WithTimeout(t.Context(), time.Duration(n*8)*time.Millisecond)
		_, _ = s.Run(ctx, RunOptions{Period: october, AsOf: october.Start().Add(100*time.Hour + time.Duration(n)*time.Second)})
		cancel()
	}
	s.run(RunOptions{Period: october, AsOf: october.Start().Add(101 * time.Hour)})
	s.wantCell("acme", "film", seconds, "150")
}

func TestASparseScheduleStillMakesMonthsFinal(t *testing.T) {
	s := newSite(t, acme())
	s.putEvents("a.parquet", play("n1", 0, "acme", "film", "s1", time.Hour, 5))
	var now time.Time
	s.Now = func() time.Time { return now }
	runs, err := NextRuns("0 6 1 * *", october.Start().Add(48*time.Hour), 3)
	if err != nil {
		t.Fatal(err)
	}
	for _, now = range runs {
		s.scheduled(t.Context(), []schemas.Tenant{"acme"})
	}
	if state := s.headOf("acme").Current.State; state != StateFinal {
		t.Errorf("October is %s after runs at %v, want final", state, runs)
	}
}

func TestManifestsAreValidJSONWithTheirRules(t *testing.T) {
	s := newSite(t, acme())
	s.putEvents("a.parquet", play("n1", 0, "acme", "film", "s1", time.Hour, 5))
	s.run(RunOptions{Period: october, AsOf: afterOctober})
	raw, _, err := s.Buckets.Reporting.Get(t.Context(), "acme/2026-10/manifest.json", "", maxSmall)
	if err != nil {
		t.Fatal(err)
	}
	var m schemas.Manifest
	if err := json.Unmarshal(raw, &m); err != nil {
		t.Fatal(err)
	}
	again, err := encodeManifest(&m)
	if err != nil || !bytes.Equal(raw, again) {
		t.Errorf("a manifest changes when it is read and written: %v\n%s\n%s", err, raw, again)
	}
	if m.Rules.Digest != s.Tenants[0].Rules.Digest() || m.Period != october || m.Reports[0].Rows != 2 {
		t.Errorf("the manifest says %+v", m)
	}
}
