package reporter

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/playmeter/playmeter/schemas"
)

// fragmentDays are the days of the fragments in all packs, serving or not.
func (s *site) fragmentDays() (days []string) {
	s.t.Helper()
	for _, p := range s.stored() {
		for _, b := range p.index.Blocks {
			if b.Kind == schemas.BlockFragments {
				days = append(days, b.Day.String())
			}
		}
	}
	slices.Sort(days)
	return slices.Compact(days)
}

func (s *site) names(prefix string) (names []string) {
	s.t.Helper()
	for info, err := range s.Buckets.Metering.List(s.t.Context(), prefix, "") {
		if err != nil {
			s.t.Fatal(err)
		}
		names = append(names, info.Key)
	}
	return names
}

func TestFragmentsGoWhenTheirTimeIsOver(t *testing.T) {
	s := newSite(t, acme()).signed()
	s.PackGrace = -time.Minute
	s.Forget.Fragments = 40 * 24 * time.Hour
	now := inNovember(1)
	s.Now = func() time.Time { return now }
	day := func(n int) time.Duration { return time.Duration(n) * 24 * time.Hour }
	s.putEvents("october.parquet", play("n1", 0, "acme", "film", "s1", day(3), 10))
	s.putEvents("late.parquet", play("n1", 10, "acme", "film", "s2", day(30)+23*time.Hour+59*time.Minute+50*time.Second, 10)) // runs on into November
	s.run(RunOptions{Period: october})
	november := october.Next()
	s.run(RunOptions{Period: november})
	want := []string{"2026-10-04", "2026-10-31", "2026-11-01"}
	if got := s.fragmentDays(); !slices.Equal(got, want) {
		t.Fatalf("fragments of %v, want %v", got, want)
	}

	now = october.End().Add(s.Forget.Fragments) // the very instant
	s.run(RunOptions{Period: monthOf(now)})
	s.run(RunOptions{Period: monthOf(now)}) // removes what the first wrote anew
	if got, want := s.fragmentDays(), []string{"2026-10-31", "2026-11-01"}; !slices.Equal(got, want) {
		t.Errorf("fragments of %v, want %v: October's are gone, save those that sessions run on from", got, want)
	}
	before := s.usage("acme")["film"][seconds]
	if before != "30" {
		t.Errorf("October says %s seconds", before)
	}
	// November is still made, with the session that began before it.
	result := s.run(RunOptions{Period: november})
	if m := result.Tenants[0].Manifest; m == nil || m.Events.Counted["playout"] != 5 {
		t.Errorf("November: %+v", result.Tenants[0])
	}
	if report := string(s.report("acme", november, schemas.ReportSessions)); strings.Count(report, "\n") != 2 {
		t.Errorf("November's sessions:\n%s", report)
	}

	// October can be counted again no more, and says so; late usage restates it no more.
	if out := s.Rekey(t.Context(), "acme", october); out.Err != nil {
		t.Errorf("sealed already: %v", out.Err)
	}
	_, to := newKey(t)
	s.grant(to)
	if out := s.Rekey(t.Context(), "acme", october); !errors.Is(out.Err, errStripped) {
		t.Errorf("sealed anew: %v", out.Err)
	}
	s.grant(s.to)
	s.putEvents("later.parquet", play("n2", 0, "acme", "film", "s9", day(5), 3))
	if r := s.run(RunOptions{Period: october}).Tenants[0]; r.Restatement != 0 || !strings.Contains(r.Note, "privacy.keep.fragments") {
		t.Errorf("late usage: %+v", r)
	}
	s.run(RunOptions{Period: monthOf(now)})
	s.run(RunOptions{Period: monthOf(now)})
	if got, want := s.fragmentDays(), []string{"2026-10-31", "2026-11-01"}; !slices.Equal(got, want) {
		t.Errorf("with what came late: fragments of %v, want %v", got, want)
	}
	s.wantClean()
	// The usage files are still there, so that proof does not depend on what was kept of them.
	if r := s.recompute(""); !r.Good() {
		t.Errorf("counted again from the usage files: %+v", r)
	}
}

// monthOf is the month of an instant.
func monthOf(at time.Time) schemas.Period { return schemas.PeriodOf(at) }

func TestAMonthThatIsNotFinalKeepsItsFragments(t *testing.T) {
	s := newSite(t, acme())
	s.PackGrace = -time.Minute
	s.Forget.Fragments = 4 * 24 * time.Hour
	now := october.Start().AddDate(0, 0, 20)
	s.Now = func() time.Time { return now }
	s.putEvents("a.parquet", play("n1", 0, "acme", "film", "s1", time.Hour, 10))
	s.run(RunOptions{Period: october})
	now = october.End().AddDate(0, 2, 5) // the daemon was away
	s.run(RunOptions{Period: monthOf(now)})
	s.run(RunOptions{Period: monthOf(now)})
	if len(s.fragmentDays()) != 1 {
		t.Fatalf("fragments of %v", s.fragmentDays())
	}
	if r := s.run(RunOptions{Period: october}).Tenants[0]; r.State != StateFinal {
		t.Fatalf("October: %+v", r)
	}
	s.run(RunOptions{Period: monthOf(now)})
	s.run(RunOptions{Period: monthOf(now)})
	if len(s.fragmentDays()) != 0 {
		t.Errorf("fragments of %v, though October is final", s.fragmentDays())
	}
}

func TestFinishedSessionsAndAuditRecordsGo(t *testing.T) {
	s := newSite(t, acme())
	s.Forget = Forget{Sessions: 10 * 24 * time.Hour, Audit: 24 * time.Hour}
	now := inNovember(0)
	s.Now = func() time.Time { return now }
	s.putEvents("a.parquet", play("n1", 0, "acme", "film", "s1", time.Hour, 10))
	s.run(RunOptions{Period: october})
	november := october.Next()
	s.putEvents("b.parquet", play("n1", 10, "acme", "film", "s1", 31*24*time.Hour+time.Hour, 10))
	s.run(RunOptions{Period: november})
	for _, name := range []string{"audit/2026-11-02/10/a.ndjson", "audit/2026-11-10/00/b.ndjson"} {
		if _, err := s.Buckets.Metering.PutBytes(t.Context(), name, nil); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(s.names(schemas.PrefixSessions)); n != 2 {
		t.Fatalf("%d objects of sessions", n)
	}
	now = october.End().Add(s.Forget.Sessions)
	s.run(RunOptions{Period: november})
	if got := s.names(schemas.PrefixSessions); len(got) != 1 || !strings.Contains(got[0], "2026-11") {
		t.Errorf("sessions left: %v", got)
	}
	if got := s.names(schemas.PrefixAudit); !slices.Equal(got, []string{"audit/2026-11-10/00/b.ndjson"}) {
		t.Errorf("audit records left: %v", got)
	}
}
