package reporter

import (
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/playmeter/playmeter/schemas"
)

// statusAt finds October's line of the status at an instant.
func (s *site) statusAt(now time.Time) (*Status, *MonthStatus) {
	s.t.Helper()
	s.Now = func() time.Time { return now }
	status, err := s.Status(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	for i := range status.Months {
		if status.Months[i].Period == october {
			return status, &status.Months[i]
		}
	}
	s.t.Fatal("the status says nothing of October")
	return nil, nil
}

func TestStatusTellsWhatWaitsForARestatement(t *testing.T) {
	s := newSite(t, acme())
	count := func() { s.run(RunOptions{Period: october.Previous(), AsOf: inNovember(1)}) } // counts files, and leaves October alone
	s.putEvents("a.parquet", play("n1", 0, "acme", "film", "s1", time.Hour, 10))
	s.final(0)
	if _, m := s.statusAt(inNovember(1)); m.Waiting != nil || m.Restatements != 0 || m.Made != StateFinal || m.Complete == nil || !*m.Complete {
		t.Errorf("nothing has changed: %+v", m)
	}
	s.putEvents("b.parquet", play("n1", 10, "acme", "film", "s1", 2*time.Hour, 5))
	count()
	if _, m := s.statusAt(inNovember(1)); m.Waiting == nil || !m.Waiting.After.IsZero() || m.Waiting.TooLate {
		t.Errorf("a late file: %+v", m.Waiting)
	}
	one := s.final(1)
	if _, m := s.statusAt(inNovember(1)); m.Waiting != nil || m.Restatements != 1 || m.Restated != one.Run || m.Events.Counted["playout"] != 15 {
		t.Errorf("restated: %+v, waiting %+v", m, m.Waiting)
	}
	s.putEvents("c.parquet", play("n1", 15, "acme", "film", "s1", 3*time.Hour, 5))
	count()
	if _, m := s.statusAt(inNovember(1).Add(time.Hour)); m.Waiting == nil || !m.Waiting.After.Equal(inNovember(2)) {
		t.Errorf("a second late file within a day: %+v", m.Waiting)
	}
	if _, m := s.statusAt(inNovember(500)); m.Waiting == nil || !m.Waiting.TooLate {
		t.Errorf("after 500 days: %+v", m.Waiting)
	}
	s.final(2)
	s.putEvents("d.parquet", play("n1", 15, "acme", "film", "s1", 3*time.Hour, 5))
	if r := s.final(4); r.Restatement != 0 {
		t.Fatalf("a copy restated the month: %+v", r)
	}
	if _, m := s.statusAt(inNovember(4)); m.Waiting != nil {
		t.Errorf("copies that change nothing wait: %+v", m.Waiting)
	}
}

func TestStatusTellsWhatNodesLost(t *testing.T) {
	s := newSite(t, acme())
	all := play("n1", 100, "acme", "film", "s1", 59*time.Minute, 60) // over the hour's end
	s.putEvents("a.parquet", all[:27])
	s.putEvents("b.parquet", all[32:])
	s.month()
	want := func(what string) {
		t.Helper()
		status, _ := s.statusAt(afterOctober)
		if len(status.Numbers) != 1 {
			t.Fatalf("%s: numbers of %d months", what, len(status.Numbers))
		}
		m := status.Numbers[0]
		want := []NodeNumbers{{Node: "n1", Missing: 5, Gaps: []Gap{{october.Start().Add(time.Hour), 5}}}}
		if m.Period != october || m.Hours != 2 || m.Pending != 0 || !reflect.DeepEqual(m.Nodes, want) {
			t.Errorf("%s: %+v, want nodes %+v", what, m, want)
		}
	}
	want("a gap")
	if err := s.Buckets.Usage.Delete(t.Context(), "a.parquet"); err != nil {
		t.Fatal(err)
	}
	want("a file is gone")
	if status, _ := s.statusAt(afterOctober); status.Gone != 1 {
		t.Errorf("%d files are gone", status.Gone)
	}
	s.putEvents("c.parquet", all[27:32])
	s.month()
	if status, _ := s.statusAt(afterOctober); len(status.Numbers[0].Nodes) != 0 {
		t.Errorf("the lost ones have come: %+v", status.Numbers[0])
	}
	c, err := s.Counted(t.Context(), "c.parquet")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Withdraw(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	if status, _ := s.statusAt(afterOctober); status.Numbers[0].Pending != 2 {
		t.Errorf("no run has looked since a file went: %+v", status.Numbers[0])
	}
	if other, err := s.StatusOf(t.Context(), october.Previous()); err != nil || len(other.Months) != 1 || other.Months[0].Period != october.Previous() || len(other.Numbers[0].Nodes) != 0 {
		t.Errorf("another month: %+v, %v", other, err)
	}
}

func TestStatusTellsOfWithdrawnFiles(t *testing.T) {
	s := newSite(t, acme())
	s.putEvents("a.parquet", play("n1", 0, "acme", "film", "s1", time.Hour, 10))
	s.month()
	c, err := s.Counted(t.Context(), "a.parquet")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Withdraw(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	s.month()
	status, m := s.statusAt(afterOctober)
	if len(status.Withdrawn) != 1 || status.Withdrawn[0].Rows != 10 || status.Withdrawn[0].Again || !slices.Equal(status.Withdrawn[0].Tenants, []schemas.Tenant{"acme"}) || len(m.Withdrawn) != 1 {
		t.Errorf("withdrawn: %+v, in the month %+v", status.Withdrawn, m.Withdrawn)
	}
	s.putEvents("a.parquet", play("n1", 0, "acme", "film", "s1", time.Hour, 9))
	if all, err := s.Withdrawn(t.Context()); err != nil || len(all) != 1 || !all[0].Again {
		t.Errorf("another object is under the key: %+v, %v", all, err)
	}
}
