package reporter

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/playmeter/playmeter/schemas"
)

// events counts the month of acme and returns its manifest.
func (s *site) month() *schemas.Manifest {
	s.t.Helper()
	return s.run(RunOptions{Period: october, AsOf: afterOctober}).Tenants[0].Manifest
}

// wantEvents checks how many playouts counted and how many rows were copies.
func (s *site) wantEvents(m *schemas.Manifest, playouts, duplicates int64) {
	s.t.Helper()
	if m.Events.Counted["playout"] != playouts || m.Events.Duplicates != duplicates {
		s.t.Errorf("%d playouts and %d duplicates, want %d and %d", m.Events.Counted["playout"], m.Events.Duplicates, playouts, duplicates)
	}
}

func TestCopiesInOtherFilesCountOnce(t *testing.T) {
	s := newSite(t, acme())
	all := play("n1", 0, "acme", "film", "s1", time.Hour, 10)
	s.putEvents("b.parquet", all)
	s.month()
	s.putEvents("c.parquet", all[3:8])
	s.wantEvents(s.month(), 10, 5)
	s.putEvents("a.parquet", all[:6]) // first in key order: now its rows count
	m := s.month()
	s.wantEvents(m, 10, 11)
	s.wantCell("acme", "film", seconds, "20")
	if n := m.Nodes[0]; n.Duplicates != 11 || n.Missing != 0 || n.SeqConflicts != 0 || !m.Complete {
		t.Errorf("node %+v, complete %t", n, m.Complete)
	}
	if got := s.month(); got.Events.Duplicates != 11 {
		t.Errorf("the next run has %d duplicates", got.Events.Duplicates)
	}
	if again := s.run(RunOptions{Period: october, AsOf: afterOctober}); again.Counted != 0 {
		t.Errorf("a run with nothing new tallied %d files", again.Counted)
	}
}

func TestTheSameEventsInOtherFilesGiveTheSameReports(t *testing.T) {
	var all []schemas.Event
	for n := range 6 {
		all = append(all, play(fmt.Sprint("n", n%2), n/2*20, "acme", fmt.Sprint("film", n%3), fmt.Sprint("s", n), time.Duration(n)*20*time.Minute, 20)...)
	}
	for i := range all {
		if i%3 == 0 { // some have an id instead of a number
			all[i].Seq, all[i].EventID = nil, fmt.Sprint("e", i)
		}
	}
	once := newSite(t, acme())
	once.putEvents("all.parquet", all)
	once.month()
	often := newSite(t, acme())
	for i, cut := range [][2]int{{0, 50}, {30, 90}, {90, 120}, {0, 120}, {17, 18}} {
		often.putEvents(fmt.Sprintf("%d.parquet", 5-i), all[cut[0]:cut[1]])
		often.month()
	}
	for _, report := range schemas.Reports {
		if a, b := once.report("acme", october, report), often.report("acme", october, report); !slices.Equal(a, b) {
			t.Errorf("%s:\n%s\nand delivered again\n%s", report, a, b)
		}
	}
}

func TestCopiesThatDifferAreCountedAndTheFirstByKeyStands(t *testing.T) {
	s := newSite(t, acme())
	first, second := play("n1", 0, "acme", "film", "s1", time.Hour, 4), play("n1", 0, "acme", "film", "s1", time.Hour, 4)
	second[1].DurationMicros = new(int64(9_000_000))
	s.putEvents("a.parquet", first)
	s.putEvents("b.parquet", second)
	m := s.month()
	s.wantEvents(m, 4, 4)
	s.wantCell("acme", "film", seconds, "8")
	if m.Events.Differing != 1 {
		t.Errorf("%d copies differ, want 1", m.Events.Differing)
	}
	s.putEvents("0.parquet", second)
	s.month()
	s.wantCell("acme", "film", seconds, "15")
}

func TestTheSameNumberAtAnotherTimeCountsAndIsReported(t *testing.T) {
	s := newSite(t, acme())
	s.putEvents("a.parquet", play("n1", 0, "acme", "film", "s1", time.Hour, 5))
	s.putEvents("b.parquet", play("n1", 0, "acme", "film", "s1", time.Hour+time.Minute, 3))
	m := s.month()
	s.wantEvents(m, 8, 0)
	if n := m.Nodes[0]; n.SeqConflicts != 3 || n.Missing != 0 {
		t.Errorf("node %+v, want 3 conflicts", n)
	}
}

func TestALostNumberIsMissingUntilItComes(t *testing.T) {
	s := newSite(t, acme())
	all := play("n1", 100, "acme", "film", "s1", 59*time.Minute, 60) // over the hour's end
	s.putEvents("a.parquet", all[:20])
	s.putEvents("b.parquet", all[25:])
	m := s.month()
	if m.Complete || m.Nodes[0].Missing != 5 {
		t.Errorf("complete %t, %d missing, want 5", m.Complete, m.Nodes[0].Missing)
	}
	s.putEvents("c.parquet", all[20:25])
	if m := s.month(); !m.Complete || m.Nodes[0].Missing != 0 {
		t.Errorf("complete %t, %d missing, want none", m.Complete, m.Nodes[0].Missing)
	}
}

func TestCopiesOfFilesThatAreGone(t *testing.T) {
	all := play("n1", 0, "acme", "film", "s1", time.Hour, 10)
	for _, key := range []string{"a.parquet", "z.parquet"} {
		s := newSite(t, acme())
		s.putEvents("m.parquet", all)
		s.month()
		s.deleteUsage("m.parquet")
		s.putEvents(key, append(all[2:8:8], play("n1", 10, "acme", "film", "s1", 2*time.Hour, 1)...))
		m := s.month()
		s.wantEvents(m, 11, 6)
		s.deleteUsage(key) // both gone: what was decided stays
		s.wantEvents(s.month(), 11, 6)
		s.Reporter = s.otherProcess()
		s.wantEvents(s.month(), 11, 6)
	}
}

func TestWhenTheRowThatCountsIsWithdrawnItsCopyCounts(t *testing.T) {
	s := newSite(t, acme())
	all := play("n1", 0, "acme", "film", "s1", time.Hour, 10)
	s.putEvents("a.parquet", all)
	s.putEvents("b.parquet", all[5:])
	s.wantEvents(s.month(), 10, 5)
	s.deleteUsage("b.parquet")
	s.wantEvents(s.month(), 10, 5)
	c, err := s.Counted(t.Context(), "a.parquet")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Withdraw(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	m := s.month()
	s.wantEvents(m, 5, 0)
	if len(m.Withdrawn) != 1 || m.Withdrawn[0].Key != "a.parquet" {
		t.Errorf("the manifest says that %v was withdrawn", m.Withdrawn)
	}
	s.putEvents("a.parquet", play("n9", 0, "acme", "film", "s1", time.Hour, 3)) // a new object under the key counts
	s.wantEvents(s.month(), 8, 0)
}

func TestCopiesWithinTheHourOfTheAsOf(t *testing.T) {
	s := newSite(t, acme())
	all := play("n1", 0, "acme", "film", "s1", time.Hour, 10)
	s.putEvents("a.parquet", all[:8])
	s.putEvents("b.parquet", all[4:])
	m := s.run(RunOptions{Period: october, AsOf: october.Start().Add(time.Hour + 12*time.Second)}).Tenants[0].Manifest
	s.wantEvents(m, 6, 2)
	if m.Events.AfterAsOf != 6 {
		t.Errorf("%d rows after the as-of, want 6", m.Events.AfterAsOf)
	}
}

func TestHoursWithNothingNewAreNotLookedAtAgain(t *testing.T) {
	s := newSite(t, acme())
	s.putEvents("a.parquet", play("n1", 0, "acme", "film", "s1", time.Hour, 10))
	s.putEvents("b.parquet", play("n1", 10, "acme", "film", "s1", 5*time.Hour, 10))
	hours := 0
	s.Progress = func(p Progress) {
		if p.Stage == "reconcile" {
			hours++
		}
	}
	for _, want := range []int{2, 0} {
		if hours = 0; true {
			s.month()
		}
		if hours != want {
			t.Errorf("%d hours were looked at, want %d", hours, want)
		}
	}
	s.putEvents("c.parquet", play("n1", 20, "acme", "film", "s1", 5*time.Hour+time.Minute, 1))
	other := s.otherProcess()
	other.Progress, hours = s.Progress, 0
	s.Reporter = other
	if s.month(); hours != 1 {
		t.Errorf("%d hours were looked at by another process, want 1", hours)
	}
}
