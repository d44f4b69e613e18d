package web

import (
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/playmeter/playmeter/reporter"
	"github.com/playmeter/playmeter/schemas"
	"github.com/playmeter/playmeter/statistics"
)

// dashboardData is what the dashboard shows. What the caller may not see is not in it.
type dashboardData struct {
	Month, Of string
	Picker    picker
	Instead   *empty // of all figures
	Notes     []string
	Speaks    *speaks

	Tiles    []tile
	Streams  []bars
	Servers  []bars
	Split    []bars
	Days     *chart
	Devices  *sums
	Tiers    *chart
	Map      *chart
	Places   []sums
	Machine  *machine
	Sessions string // leads to the month's sessions
}

// machine is what administrators are told of the daemon here; the page Runs has the rest.
type machine struct {
	Started time.Time
	Store   string
}

// dashboardPage shows a month at a glance.
func (v *service) dashboardPage(w http.ResponseWriter, q *request) error {
	a, err := v.audienceOf(q)
	if err != nil {
		return err
	}
	data := &dashboardData{Of: a.name()}
	if q.caller.admin() {
		data.Machine = &machine{v.Started, v.Store}
	}
	if v.Statistics == nil {
		data.Instead = &statisticsOff
		return v.showDashboard(w, q, data)
	}
	data.Notes = v.loadingNotes(q)
	states, err := v.Statistics.State(q.Context(), a.scope)
	if err != nil {
		return statisticsProblem(err)
	}
	months := monthsOfStates(states)
	month, err := v.dashboardMonth(q, months, data)
	if err != nil {
		return err
	}
	data.Month = monthName(month)
	data.Picker = a.monthPicker(month, months, v.thisMonth())
	d, err := v.Statistics.Dashboard(q.Context(), a.scope, month)
	if err != nil {
		return statisticsProblem(err)
	}
	if d.Sessions == 0 {
		data.Speaks = a.speaksFor(d.Months, v.Now())
		data.Instead = v.emptyMonth(a, d, states)
	} else {
		a.fill(data, d, v.Now())
	}
	return v.showDashboard(w, q, data)
}

func (v *service) showDashboard(w http.ResponseWriter, q *request, data *dashboardData) error {
	title := "Dashboard"
	if data.Month != "" {
		title = data.Month + " · Dashboard"
	}
	return v.render(w, q, http.StatusOK, "dashboard", &page{Title: title, Tab: "dashboard", Data: data})
}

func (v *service) thisMonth() schemas.Period { return schemas.PeriodOf(v.Now()) }

// dashboardMonth is the month that is asked for. Where none is, it is this one; where nothing is known of that yet, the
// newest that something is known of, and the page says so.
func (v *service) dashboardMonth(q *request, known []schemas.Period, data *dashboardData) (schemas.Period, error) {
	if text := q.query.Get("month"); text != "" {
		month, err := schemas.ParsePeriod(text)
		if err != nil {
			return month, newProblem(http.StatusBadRequest, "Write the month as YYYY-MM, such as 2026-10, from 2000-01 to 2099-12.")
		}
		return month, nil
	}
	month := v.thisMonth()
	if len(known) == 0 || slices.Contains(known, month) {
		return month, nil
	}
	data.Notes = append(data.Notes, fmt.Sprintf("Nothing is known of %s yet, so this is %s.", monthName(month), monthName(known[0])))
	return known[0], nil
}

// monthsOfStates are the months that have statistics, newest first.
func monthsOfStates(states []statistics.MonthState) (months []schemas.Period) {
	for _, s := range states {
		months = append(months, s.Period)
	}
	return newestFirst(months)
}

// newestFirst sorts months, each once.
func newestFirst(months []schemas.Period) []schemas.Period {
	slices.SortFunc(months, func(a, b schemas.Period) int { return b.Start().Compare(a.Start()) })
	return slices.Compact(months)
}

// monthPicker offers the months that have statistics, this one, and the one that is shown.
func (a *audience) monthPicker(shown schemas.Period, known []schemas.Period, this schemas.Period) picker {
	months := newestFirst(append(slices.Clone(known), this, shown))
	p := picker{Action: "/", Tenants: a.choices()}
	for i, m := range months {
		p.Months = append(p.Months, choice{Value: m.String(), Text: monthName(m), Current: m == shown})
		if m != shown {
			continue
		}
		if i+1 < len(months) {
			p.Before = a.dashboardOf(months[i+1])
		}
		if i > 0 {
			p.Next = a.dashboardOf(months[i-1])
		}
	}
	return p
}

// dashboardOf is the address of a month's dashboard.
func (a *audience) dashboardOf(month schemas.Period) string {
	return linkTo("/", "month", month.String(), "tenant", a.tenant())
}

// emptyMonth says that there is nothing, why, and where there is something.
func (v *service) emptyMonth(a *audience, d *statistics.Dashboard, states []statistics.MonthState) *empty {
	out := &empty{Title: "Nothing in " + monthName(d.Period),
		Help: "No session of this month is known. Statistics follow each run of the reports by about a minute: the page Reports says when the next one is."}
	if why := v.withoutSessions(d.Months); why != "" {
		out.Title, out.Help = "No sessions in "+monthName(d.Period), why
	}
	if month, ok := nearestMonth(states, monthFilter(d.Period), v.Now().UTC()); ok {
		out.Href, out.Link = a.dashboardOf(month), "Show "+monthName(month)
	}
	return out
}

// withoutSessions says why a month has no sessions, of all tenants that it was loaded of, and whether that may change. It is empty
// where the month was not loaded, and where these are several months or have sessions.
func (v *service) withoutSessions(states []statistics.MonthState) string {
	if len(states) == 0 || slices.ContainsFunc(states, func(s statistics.MonthState) bool { return s.Rows > 0 || s.Period != states[0].Period }) {
		return ""
	}
	if slices.ContainsFunc(states, func(s statistics.MonthState) bool { return s.Named > s.Rows }) {
		return "What there was has been removed because of its age (privacy.keep). The reports are what they were."
	}
	if slices.ContainsFunc(states, func(s statistics.MonthState) bool { return v.Reports.State(s.Period, s.AsOf) != reporter.StateFinal }) {
		return "The newest run has found none. The month is not final yet: each run looks again, and the page Reports says when the next one is."
	}
	return "The month is final, and its reports have none."
}

// fill puts all figures that the audience may see onto the page.
func (a *audience) fill(data *dashboardData, d *statistics.Dashboard, now time.Time) {
	data.Speaks = a.speaksFor(d.Months, now)
	data.Notes = append(data.Notes, a.removedNote(d.Months)...)
	data.Tiles = a.tiles(d)
	data.Streams = a.topStreams(d)
	data.Days = a.daysChart(d)
	data.Split = a.splitBars(d)
	if !a.sessions {
		return
	}
	month := monthFilter(d.Period)
	data.Sessions = a.link(month, "")
	data.Servers = a.topServers(d)
	data.Devices = a.devices(d)
	data.Tiers = a.tiersChart(d)
	data.Map = a.mapChart(d)
	data.Places = a.places(d)
}

// removedNote tells that old sessions are missing from the figures, where some are.
func (a *audience) removedNote(states []statistics.MonthState) []string {
	missing := int64(0)
	for _, s := range states {
		missing += max(0, s.Named-s.Rows)
	}
	switch {
	case missing == 0:
		return nil
	case a.sessions:
		return []string{fmt.Sprintf("%s of this month were removed because of their age (privacy.keep). The figures are those of the others, and less than the reports'.", plural(missing, "session"))}
	}
	return []string{"Some of this month was removed because of its age (privacy.keep). The figures are those of the rest, and less than the reports'."}
}
