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
	s.PackGrace, s.ClockTrust = -time.Minute, 1000*time.Hour
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
	s.PackGrace, s.ClockTrust = -time.Minute, 1000*time.Hour
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

// twice makes the reports of the month of an instant two times: the second removes what the first wrote anew.
func (s *site) twice(at time.Time) {
	s.t.Helper()
	for range 2 {
		s.run(RunOptions{Period: monthOf(at)})
	}
}

func TestAMonthThatWasNeverMadeKeepsItsFragments(t *testing.T) {
	other := acme()
	other.ID = "other"
	s := newSite(t, acme(), other)
	s.PackGrace, s.ClockTrust, s.Forget.Fragments = -time.Minute, 10_000*time.Hour, 4*24*time.Hour
	now := october.Start().AddDate(0, 0, 20)
	s.Now = func() time.Time { return now }
	all := s.tenants()
	s.putEvents("a.parquet", append(play("n1", 0, "acme", "film", "s1", time.Hour, 10), play("n1", 10, "other", "film", "s1", time.Hour, 10)...))
	s.grant() // nobody may read acme's
	must(s.Run(t.Context(), RunOptions{Period: october}))
	now = inNovember(1)
	must(s.Run(t.Context(), RunOptions{Period: october}))
	s.SetTenants(all, nil)
	now = october.End().AddDate(0, 2, 5)
	s.twice(now)
	if got := s.fragmentTenants(); !slices.Equal(got, []schemas.Tenant{"acme"}) {
		t.Fatalf("fragments of %v, want those of acme alone", got)
	}
	if r := s.run(RunOptions{Period: october, Tenants: []schemas.Tenant{"acme"}}).Tenants[0]; r.State != StateFinal || r.Manifest == nil {
		t.Fatalf("October: %+v", r)
	}
	s.twice(now)
	if got := s.fragmentTenants(); len(got) != 0 {
		t.Errorf("fragments of %v, though all is final", got)
	}
}

func (s *site) fragmentTenants() (tenants []schemas.Tenant) {
	s.t.Helper()
	for _, p := range s.stored() {
		for _, b := range p.index.Blocks {
			if b.Kind == schemas.BlockFragments {
				tenants = append(tenants, b.Tenant)
			}
		}
	}
	slices.Sort(tenants)
	return slices.Compact(tenants)
}

func TestATenantThatIsTakenOutWithAnOpenMonthCanComeBack(t *testing.T) {
	other := acme()
	other.ID = "other"
	s := newSite(t, acme(), other)
	s.PackGrace, s.ClockTrust, s.Forget = -time.Minute, 10_000*time.Hour, Forget{Fragments: 4 * 24 * time.Hour, Sessions: 4 * 24 * time.Hour}
	now := october.Start().AddDate(0, 0, 20)
	s.Now = func() time.Time { return now }
	all := s.tenants()
	s.putEvents("a.parquet", append(play("n1", 0, "acme", "film", "s1", time.Hour, 10), play("n1", 10, "other", "film", "s1", time.Hour, 10)...))
	s.run(RunOptions{Period: october})
	s.SetTenants(all[1:], nil)
	now = inNovember(1)
	s.run(RunOptions{Period: october})
	now = october.End().AddDate(0, 2, 5)
	s.twice(now)
	s.SetTenants(all, nil)
	s.putEvents("late.parquet", play("n2", 0, "acme", "film", "s2", 2*time.Hour, 5))
	if r := s.run(RunOptions{Period: october, Tenants: []schemas.Tenant{"acme"}}).Tenants[0]; r.State != StateFinal || r.Manifest.Events.Counted["playout"] != 15 {
		t.Fatalf("October: %+v", r)
	}
	// What has had its time goes, also of a tenant that is not configured.
	s.SetTenants(all[1:], nil)
	s.twice(now)
	if got := s.names(schemas.MonthFolder(schemas.PrefixSessions, "acme", october)); len(got) != 0 || len(s.fragmentTenants()) != 0 {
		t.Errorf("left: sessions %v, fragments of %v", got, s.fragmentTenants())
	}
}

func TestAClockThatIsAheadMakesNothingGo(t *testing.T) {
	s := newSite(t, acme())
	s.PackGrace, s.Forget.Fragments = -time.Minute, 4*24*time.Hour
	watched := time.Now().Add(-2 * time.Hour)
	s.putEvents("a.parquet", play("n1", 0, "acme", "film", "s1", watched.Sub(october.Start()), 10))
	month := monthOf(watched)
	s.run(RunOptions{Period: month, AsOf: month.End().Add(80 * time.Hour)})
	ahead := watched.AddDate(1, 0, 0)
	s.Now = func() time.Time { return ahead }
	s.twice(ahead)
	if len(s.fragmentDays()) == 0 {
		t.Error("the fragments of this month are gone, because a clock said for a moment that it is long over")
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
