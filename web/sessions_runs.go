package web

import (
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/playmeter/playmeter/statistics"
)

// HeaderAsOf is the instant that an export speaks for; of several runs, the earliest.
const HeaderAsOf = "Playmeter-As-Of"

// exportRunsNamed is how many runs an answer's head names.
const exportRunsNamed = 100

// plainName is what a run is called that may stand in the name of a file.
var plainName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)

// exportedRuns are the runs that an export is of, so that it can be told later which report it belongs to.
type exportedRuns struct {
	states  []statistics.MonthState // of the months that have days of the filter
	loading bool                    // days of them may be of a newer run already, or not be there yet
}

// runsOfExport asks what an export will be of. That sessions are being loaded may be known from other tenants' alone, and is told
// as [service.loadingNotes] does.
func (v *service) runsOfExport(q *request, ask *asking) (exportedRuns, error) {
	states, err := v.Statistics.State(q.Context(), ask.scope)
	of := exportedRuns{states: statesWithin(states, ask.view.Filter)}
	progress := v.Statistics.Progress()
	of.loading = progress.Loading && q.caller.admin() || progress.Passed.IsZero() || slices.ContainsFunc(of.states, func(s statistics.MonthState) bool { return s.Changing })
	return of, err
}

// stillOf makes sure, once the rows are being read, that they are of the runs that the answer names.
func (v *service) stillOf(q *request, ask *asking, of exportedRuns) error {
	now, err := v.runsOfExport(q, ask)
	if err != nil {
		return err
	}
	same := slices.EqualFunc(of.states, now.states, func(a, b statistics.MonthState) bool {
		return a.Tenant == b.Tenant && a.Period == b.Period && a.Run == b.Run && a.Changing == b.Changing && a.Loaded.Equal(b.Loaded)
	})
	if !same {
		return retryAfter(newProblem(http.StatusServiceUnavailable, "New sessions were loaded at this very moment. Ask again, so that the export is of what its name says."), busyWait)
	}
	return nil
}

// name is the end of the file's name, before its extension.
func (of exportedRuns) name() string {
	runs := runsOf(of.states)
	if slices.ContainsFunc(runs, func(s statistics.MonthState) bool { return !plainName.MatchString(s.Run) }) {
		runs = nil // whoever named them so, they are no names of ours
	}
	name := ""
	switch {
	case len(runs) == 1:
		name = "-run-" + runs[0].Run
	case len(runs) > 1:
		name = fmt.Sprintf("-%d-runs-from-%s", len(runs), runs[0].Run)
	}
	if len(of.states) == 1 && of.states[0].Restatement > 0 {
		name += fmt.Sprintf("-restatement-%d", of.states[0].Restatement)
	}
	if of.loading {
		name += "-while-loading"
	}
	return name
}

// tell says the same in the head of an answer.
func (of exportedRuns) tell(h http.Header) {
	runs := runsOf(of.states)
	if len(runs) == 0 {
		return
	}
	var names []string
	for _, s := range runs[:min(len(runs), exportRunsNamed)] {
		names = append(names, s.Run)
	}
	if len(runs) > len(names) {
		names = append(names, fmt.Sprintf("and %d more", len(runs)-len(names)))
	}
	h.Set(HeaderRun, strings.Join(names, ", "))
	h.Set(HeaderAsOf, runs[0].AsOf.UTC().Format(time.RFC3339))
}
