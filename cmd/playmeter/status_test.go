package main

import (
	"strings"
	"testing"
	"time"

	"github.com/playmeter/playmeter/reporter"
	"github.com/playmeter/playmeter/schemas"
)

// told is what status prints after the table.
func told(s *reporter.Status) string {
	var b strings.Builder
	for _, section := range statusSections(&statusAnswer{Status: s}) {
		section.write(&b)
	}
	return b.String()
}

func TestStatusSaysNothingWhereAllIsWell(t *testing.T) {
	p := schemas.PeriodOf(time.Date(2026, 10, 1, 0, 0, 0, 0, time.UTC))
	s := &reporter.Status{Placeless: map[string]int64{}, Numbers: []reporter.MonthNumbers{{Period: p, Hours: 700}},
		Months: []reporter.MonthStatus{{Tenant: "a", Period: p, State: "open", Events: &schemas.Events{Read: 10}, Nodes: []schemas.NodeEvents{{Node: "n1", Events: 10}}}}}
	if got := told(s); got != "" {
		t.Errorf("it says %q", got)
	}
}

func TestStatusCutsLongLists(t *testing.T) {
	for _, tt := range []struct {
		files int
		want  string
		lines int
	}{{1, "", 1}, {shownLines + 1, "", shownLines + 1}, {shownLines + 2, "and 2 more; --json lists them all\n", shownLines}, {5000, "and 4,990 more;", shownLines}} {
		got := told(&reporter.Status{Aside: make([]reporter.Aside, tt.files)})
		if strings.Count(got, "set aside: ") != tt.lines || !strings.Contains(got, tt.want) || !strings.Contains(got, "tried again") {
			t.Errorf("%d files:\n%s", tt.files, got)
		}
	}
}

func TestStatusNamesTheLargestGaps(t *testing.T) {
	hour := func(n int) time.Time { return time.Date(2026, 10, 14, n, 0, 0, 0, time.UTC) }
	all := []reporter.Gap{{Hour: hour(1), Missing: 2}, {Hour: hour(2), Missing: 9}, {Hour: hour(3), Missing: 2}, {Hour: hour(4), Missing: 1200}, {Hour: hour(5), Missing: 1}}
	want := "1,200 in the hour from 2026-10-14 04:00Z, 9 in the hour from 2026-10-14 02:00Z, 2 in the hour from 2026-10-14 01:00Z, and 2 hours more"
	if got := gaps(all); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestWaitingMonths(t *testing.T) {
	p := schemas.PeriodOf(time.Date(2026, 9, 1, 0, 0, 0, 0, time.UTC))
	at := time.Date(2026, 11, 2, 6, 0, 0, 0, time.UTC)
	for want, w := range map[string]*reporter.Waiting{
		"": nil,
		"waits for a restatement: a 2026-09: the next run of the month":                  {Until: at},
		"waits for a restatement: a 2026-09: not before 2026-11-02T06:00:00Z":            {After: at},
		"changed since it was final: a 2026-09: too late for a restatement, since 2026-": {Until: at, TooLate: true, By: "reports.restate.until"},
	} {
		got := told(&reporter.Status{Months: []reporter.MonthStatus{{Tenant: "a", Period: p, Waiting: w}}})
		if !strings.Contains(got, want) || want == "" && got != "" {
			t.Errorf("%+v is told as %q, want %q", w, got, want)
		}
	}
}
