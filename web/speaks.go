package web

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/playmeter/playmeter/schemas"
	"github.com/playmeter/playmeter/statistics"
)

// speaks is what figures speak for: the runs whose sessions they are of. Template "speaks" says it, and what else is to be known
// of it to whoever opens it.
type speaks struct {
	First  time.Time // the earliest as-of
	Run    string    // where there is no other
	Number int       // of runs
	// Restated says which restatement it is, or of how many; empty: it is none.
	Restated string
	Loaded   string // how long ago the newest was loaded
	Help     string // what a restatement means for the reports
	Months   *table // where there are several, of each what it speaks for
	Changing bool   // days of a newer run are being put in
}

// speaksMonths is how many months are listed of those that figures speak for.
const speaksMonths = 100

// speaksFor sums up what was loaded; nil: nothing.
func (a *audience) speaksFor(states []statistics.MonthState, now time.Time) *speaks {
	if len(states) == 0 {
		return nil
	}
	runs := runsOf(states)
	out := &speaks{First: runs[0].AsOf, Number: len(runs)}
	if len(runs) == 1 {
		out.Run = runs[0].Run
	}
	var loaded time.Time
	var restated []statistics.MonthState
	for _, s := range states {
		if s.Loaded.After(loaded) {
			loaded = s.Loaded
		}
		if s.Restatement > 0 {
			restated = append(restated, s)
		}
		out.Changing = out.Changing || s.Changing
	}
	out.Loaded = ago(loaded, now)
	switch {
	case len(restated) == 1 && len(states) == 1:
		out.Restated = restatementText(restated[0].Restatement)
		out.Help = a.restatedHelp(restated[0])
	case len(restated) > 0:
		out.Restated = fmt.Sprintf("%d of %d months restated", len(restated), len(states))
		out.Help = a.restatedHelp(restated[0])
	}
	if len(states) > 1 {
		out.Months = a.spokenMonths(states)
	}
	return out
}

// runsOf are the runs that made what was loaded, each once, the one with the earliest as-of first. Tenants that are run together
// have one.
func runsOf(states []statistics.MonthState) []statistics.MonthState {
	runs := slices.Clone(states)
	slices.SortStableFunc(runs, func(a, b statistics.MonthState) int {
		return cmp.Or(a.AsOf.Compare(b.AsOf), cmp.Compare(a.Run, b.Run))
	})
	return slices.CompactFunc(runs, func(a, b statistics.MonthState) bool { return a.Run == b.Run })
}

func restatementText(n int64) string { return fmt.Sprintf("restatement %d", n) }

// restatedHelp says what a restatement means for the reports, with the command that gets one.
func (a *audience) restatedHelp(s statistics.MonthState) string {
	report := schemas.ReportUsage
	if a.sessions {
		report = schemas.ReportSessions
	}
	return fmt.Sprintf("Of a restated month the figures are those of its newest restatement. The report of the final month stays what it was, and is what “playmeter fetch” gets; "+
		"that of the restatement: “playmeter fetch %s --tenant %s --month %s --restatement %d --identity FILE”.", report, s.Tenant, s.Period, s.Restatement)
}

// spokenMonths lists what is spoken for of each month and tenant, the newest month first.
func (a *audience) spokenMonths(states []statistics.MonthState) *table {
	t := &table{ID: "speaks-months", Caption: "What the figures speak for", Columns: []column{{Label: "Month"}, {Label: "As of (UTC)"}, {Label: "Run"}}}
	if a.chosen == nil {
		t.Columns = slices.Insert(t.Columns, 1, column{Label: "Tenant"})
	}
	for _, s := range states[:min(len(states), speaksMonths)] {
		run := cell{Text: s.Run, Code: true}
		if s.Restatement > 0 {
			run.Note = restatementText(s.Restatement)
		}
		row := []cell{{Text: s.Period.String()}, {At: s.AsOf}, run}
		if a.chosen == nil {
			row = slices.Insert(row, 1, cell{Text: a.called(s.Tenant)})
		}
		t.Rows = append(t.Rows, row)
	}
	if more := len(states) - len(t.Rows); more > 0 {
		t.Rows = append(t.Rows, append([]cell{{Text: fmt.Sprintf("and %s more: choose fewer days", countFigure(int64(more)).Text)}}, make([]cell, len(t.Columns)-1)...))
	}
	return t
}

// statesWithin are those of the months that have days of a filter.
func statesWithin(states []statistics.MonthState, f statistics.Filter) (within []statistics.MonthState) {
	for _, s := range states {
		if overlaps(s.Period, f) {
			within = append(within, s)
		}
	}
	return within
}

// overlaps tells whether a month has days of a filter.
func overlaps(p schemas.Period, f statistics.Filter) bool {
	days := monthFilter(p)
	return (f.To == "" || days.From <= f.To) && (f.From == "" || days.To >= f.From)
}
