package web

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/playmeter/playmeter/reporter"
	"github.com/playmeter/playmeter/schemas"
	"github.com/playmeter/playmeter/statistics"
)

// What the page of runs shows of each list.
const (
	nextShown    = 50
	monthsListed = 60
	linesShown   = 25
)

// runsElement is the id of the element that renews itself while a run is in flight.
const runsElement = "runs-state"

// runsData is what the page of runs shows.
type runsData struct {
	Flight  *flightView // nil: none is in flight
	Idle    string      // the id of its place then
	Past    table
	CanRun  bool
	Tenants []choice
	Months  []choice

	Next     table
	NextMore int

	Up       figure       // how long the daemon is
	Store    string       // where the object store answers
	Ready    *problemData // what keeps the daemon from its work; nil: nothing
	Looked   time.Time
	Failed   *problemData // buckets could not be looked at
	Waits    bool         // they are being looked at
	Tiles    []tile
	Sections []statusSection
	Status   table
	More     int // months that are not shown
}

// flightView is a run in flight.
type flightView struct {
	Month  string
	Whom   string
	Began  time.Time
	Stages []stageView
}

// stageView is how far a stage is; Permille is -1 where that is not known.
type stageView struct {
	Label    string
	Whose    string
	Permille int
	Bar      bar
	Text     string
}

// statusSection is something that there is to say of files, nodes or months, and what to do about it.
type statusSection struct {
	Title string
	Lines []string
	More  int
	Next  string
}

// runsIdle is how the id begins of what renews itself while no run is in flight.
const runsIdle = "runs-idle-"

// runsPage shows runs. While one is in flight, that part asks for itself alone, and once it has ended, for all of the page. While
// none is, it asks now and then whether one has begun, or has come and gone: only then there is an answer.
func (v *service) runsPage(w http.ResponseWriter, q *request) error {
	now, idle := v.Now(), runsIdle+strconv.Itoa(v.Watch.ended()) // after so many have ended
	flight, past := v.Watch.look()
	p := &page{Title: "Runs", Tab: "runs", Fragments: []string{runsElement}}
	data := runsData{Flight: v.viewOfFlight(flight), Idle: idle, CanRun: v.RunNow != nil && flight == nil}
	part, asker := p.fragmentFor(q.Request), q.Header.Get("HX-Trigger")
	if part && flight == nil && asker == idle {
		w.WriteHeader(http.StatusNoContent)
		return nil
	}
	if part && (flight == nil || strings.HasPrefix(asker, runsIdle)) {
		w.Header().Set("HX-Refresh", "true") // a run has ended, or begun: all of the page says something else now
	}
	data.Past = v.pastTable(past)
	if !part {
		seen := v.overviewOf(q.Context())
		data.Tenants, data.Months = v.runChoices(now, seen)
		data.Next, data.NextMore = nextTable(v.Runs(now))
		data.Up, data.Store = spanFigure(now.Sub(v.Started).Microseconds()), v.Store
		if err := v.isReady(q.Context()); err != nil {
			data.Ready = &problemData{Title: "The daemon is not ready", Detail: err.Error()}
		}
		v.tellOverview(seen, &data)
	}
	p.Data = data
	return v.render(w, q, http.StatusOK, "runs", p)
}

// runNow begins a run that somebody asks for.
func (v *service) runNow(w http.ResponseWriter, q *request) error {
	form, err := readForm(w, q.Request)
	if err != nil {
		return err
	}
	if v.RunNow == nil {
		return unavailable(nil, "No run can be begun from this page here: use “playmeter run”.")
	}
	var tenants []schemas.Tenant
	if text := form.Get("tenant"); text != "" {
		id, err := schemas.ParseTenant(text)
		if err == nil {
			_, err = v.Reports.Tenant(id)
		}
		if err != nil {
			return newProblem(http.StatusBadRequest, "There is no such tenant in the configuration: choose one of the list, or all.")
		}
		tenants = append(tenants, id)
	} else if len(v.Reports.PublishedTenants()) == 0 {
		return newProblem(http.StatusConflict, "No tenant is configured, so there is nothing to report: name one under tenants in playmeter.yaml.")
	}
	month := schemas.PeriodOf(v.Now())
	if text := form.Get("month"); text != "" {
		if month, err = schemas.ParsePeriod(text); err != nil || month.Start().After(v.Now()) {
			return newProblem(http.StatusBadRequest, "Write the month as YYYY-MM, such as 2026-10; it must have begun.")
		}
		if err := v.mayRun(q, month, tenants); err != nil {
			return err
		}
	}
	switch err := v.RunNow(tenants, month); {
	case errors.Is(err, reporter.ErrRunning):
		p := newProblem(http.StatusConflict, "One run is made at a time, so none was begun for you. The page Runs shows how far this one is: ask again when it has ended.")
		p.Title = "A run is in flight already"
		return retryAfter(p, 10*time.Second)
	case err != nil:
		return unavailable(err, "The run could not be begun. The daemon's log says more.")
	}
	v.log().Info("run asked for", "month", month.String(), "tenant", form.Get("tenant"), "token", q.caller.token.ID)
	return seeOther(w, pathRuns)
}

// monthsToRun are those that a run can be asked for on the page, newest first: this month, the one before, and those
// that have a report, of the tenants given or of any. A run of another would make an empty report, and a final one.
func monthsToRun(now time.Time, seen *seen, of ...schemas.Tenant) []schemas.Period {
	this := schemas.PeriodOf(now)
	out := []schemas.Period{this, this.Previous()}
	if seen == nil || seen.Status == nil {
		return out
	}
	for i := range seen.Status.Months {
		m := &seen.Status.Months[i]
		if m.LastRun != "" && m.Period.Start().Before(now) && (len(of) == 0 || slices.Contains(of, m.Tenant)) && !slices.Contains(out, m.Period) {
			out = append(out, m.Period)
		}
	}
	slices.SortFunc(out, func(a, b schemas.Period) int { return b.Start().Compare(a.Start()) })
	return out
}

// mayRun refuses a month that the page does not offer.
func (v *service) mayRun(q *request, month schemas.Period, tenants []schemas.Tenant) error {
	if slices.Contains(monthsToRun(v.Now(), nil), month) {
		return nil
	}
	seen := v.overviewOf(q.Context())
	switch {
	case seen == nil || seen.Err != nil:
		return unavailable(nil, "It is not known just now which months have reports: ask again. “playmeter run --month %s” makes a run of any.", month)
	case !slices.Contains(monthsToRun(v.Now(), seen, tenants...), month):
		return newProblem(http.StatusBadRequest, "There is no report of %[1]s to renew, and a run of it would make one that is final at once. If that is what you want, “playmeter run --month %[1]s” does it.", month)
	}
	return nil
}

func (v *service) runChoices(now time.Time, seen *seen) (tenants, months []choice) {
	tenants = append(tenants, choice{Text: "All tenants", Current: true})
	for _, t := range v.Reports.PublishedTenants() {
		tenants = append(tenants, choice{Value: string(t.ID), Text: nameAndID(t.Name, t.ID)})
	}
	for i, p := range monthsToRun(now, seen) {
		months = append(months, choice{Value: p.String(), Text: p.String() + " · " + v.Reports.State(p, now), Current: i == 0})
	}
	return tenants, months
}

// stageWords say what a run does; the stages are reporter.Progress's.
var stageWords = map[string]string{"tally": "counting usage files", "reconcile": "looking for copies", "fold": "adding up", "write": "writing reports"}

func (v *service) viewOfFlight(f *flight) *flightView {
	if f == nil {
		return nil
	}
	out := &flightView{Month: f.Month.String(), Whom: "all tenants", Began: f.Began}
	if len(f.Tenants) == 1 {
		out.Whom = "tenant " + v.nameOf(f.Tenants[0])
	} else if len(f.Tenants) > 1 {
		out.Whom = plural(int64(len(f.Tenants)), "tenant")
	}
	for _, s := range f.Stages {
		view := viewOfStage(s)
		if s.Tenant != "" {
			view.Whose = v.nameOf(s.Tenant)
			view.Bar.Note = view.Whose
		}
		out.Stages = append(out.Stages, view)
	}
	return out
}

func viewOfStage(s stage) stageView {
	out := stageView{Label: cmp.Or(stageWords[s.Stage], s.Stage), Permille: -1}
	amount := func(n int64) string {
		if s.Unit == "bytes" {
			return bytesFigure(n).Text
		}
		return countFigure(n).Text
	}
	switch {
	case s.Total > 0 && (s.Done > 0 || s.Stage == "tally"): // of which it is told how much is done
		out.Permille = shareOf(s.Done, s.Total)
		out.Text = amount(s.Done) + " of " + amount(s.Total)
	case s.Total > 0:
		out.Text = amount(s.Total)
	default:
		out.Text = amount(s.Done)
	}
	if s.Unit != "bytes" {
		out.Text += " " + s.Unit
	}
	out.Bar = bar{Label: out.Label, Value: out.Text, Permille: max(out.Permille, 0)}
	return out
}

// tenantCell shows a tenant by name; the id is where the pointer rests.
func (v *service) tenantCell(id schemas.Tenant) cell {
	if id == "" {
		return cell{}
	}
	name := v.nameOf(id)
	return cell{Text: name, Exact: string(id), Code: name == string(id)}
}

// pastTable lists the runs since the daemon's start.
func (v *service) pastTable(past []pastRun) table {
	t := table{ID: "past", Caption: "Runs since the daemon's start", Empty: &empty{Title: "No run by schedule or by this page since the daemon's start",
		Help: "The schedule below says when the next one is. What earlier ones came to is in the list of months, and on the page of each."},
		Columns: []column{{Label: "Began (UTC)"}, {Label: "Month"}, {Label: "Tenant"}, {Label: "Run"}, {Label: "Result"}, {Label: "As of (UTC)"}, {Label: "Took", Numeric: true, Help: "the run of all of its tenants"},
			{Label: "New files", Numeric: true}, {Label: "Events", Numeric: true}, {Label: "Rejected", Numeric: true}, {Label: "Set aside", Numeric: true}}}
	for _, p := range past {
		result := cmp.Or(p.Note, "done")
		if p.Error != "" {
			result = "failed: " + p.Error
		}
		run := cell{Text: p.Run, Code: true}
		if p.Run != "" {
			run.Href = monthPath(p.Tenant, p.Month)
		}
		t.Rows = append(t.Rows, []cell{{At: p.Began}, {Text: p.Month.String()}, v.tenantCell(p.Tenant), run, {Text: result, Exact: result}, {At: parseAsOf(p.AsOf)},
			figureCell(spanFigure(p.Took.Microseconds()), ""), figureCell(countFigure(int64(p.Counted)), ""), figureCell(countFigure(p.Read), ""), figureCell(countFigure(p.Refused), ""),
			figureCell(countFigure(int64(p.Aside)), "")})
	}
	return t
}

func nextTable(runs []NextRun) (table, int) {
	t := table{ID: "schedule", Caption: "Next runs by the schedule", Empty: &empty{Title: "No run is planned", Help: "No tenant is configured: name one under tenants in playmeter.yaml."},
		Columns: []column{{Label: "When (UTC)"}, {Label: "Tenant"}, {Label: "Schedule"}}}
	shown := runs[:min(len(runs), nextShown)]
	for _, r := range shown {
		t.Rows = append(t.Rows, []cell{{At: r.At}, {Text: cmp.Or(r.Name, string(r.Tenant)), Exact: string(r.Tenant)}, {Text: r.Schedule, Code: true}})
	}
	return t, len(runs) - len(shown)
}

// tellOverview tells what the last look at months, files and sources came to.
func (v *service) tellOverview(seen *seen, data *runsData) {
	switch {
	case seen == nil:
		data.Waits = true
		return
	case seen.Err != nil:
		data.Failed, data.Looked = &problemData{Title: "They could not be looked at", Detail: storeDetail}, seen.At
		return
	}
	s := seen.Status
	data.Looked = seen.At
	data.Tiles = []tile{{Label: "Usage files", Value: countFigure(int64(s.Files)), Note: bytesFigure(s.Bytes).Text}, {Label: "Not counted yet", Value: countFigure(int64(s.Untold)), Note: "the next run counts them"},
		{Label: "Set aside", Value: countFigure(int64(len(s.Aside))), Note: "cannot be read"}, {Label: "Withdrawn", Value: countFigure(int64(len(s.Withdrawn)))}}
	data.Tiles = append(data.Tiles, v.inflowTiles(&seen.Inflow)...)
	if v.Statistics != nil {
		data.Tiles = append(data.Tiles, statisticsTile(v.Statistics.Progress()))
	}
	data.Sections = statusSections(s, &seen.Inflow, func(id schemas.Tenant) string { return nameAndID(v.nameOf(id), id) })
	data.Status = v.statusTable(s.Months[:min(len(s.Months), monthsListed)])
	data.More = max(0, len(s.Months)-monthsListed)
}

// inflowTiles count what was posted since the daemon's start, and what waits.
func (v *service) inflowTiles(in *Inflow) []tile {
	var out []tile
	if v.Intake != nil {
		n := int64(0)
		for _, accepted := range v.Intake.Counts.Now().Accepted {
			n += accepted
		}
		out = append(out, tile{Label: "Events posted", Value: countFigure(n), Note: "since the daemon's start"})
	}
	if in.Log != nil {
		out = append(out, tile{Label: "Posted and waiting", Value: bytesFigure(int64(min(in.Log.Bytes, 1<<62))), Note: "for a usage file"})
	}
	return out
}

// statisticsTile tells how far the statistics follow the runs.
func statisticsTile(p statistics.Progress) tile {
	out := tile{Label: "Statistics", Value: figure{Text: "up to date"}}
	switch {
	case p.Difficulty != "":
		out.Value.Text, out.Note = "behind", p.Difficulty
	case p.Loading && p.Of > 0:
		out.Value, out.Note = countFigure(p.Of-p.Rows), "sessions to load"
	case p.Passed.IsZero():
		out.Value.Text = "starting"
	default:
		out.Note = "looked at " + instantOf(p.Passed).Text
	}
	return out
}

// statusTable has a row for each tenant and month.
func (v *service) statusTable(months []reporter.MonthStatus) table {
	t := table{ID: "months", Caption: "Months of all tenants", Empty: &empty{Title: "No tenant is configured"},
		Columns: []column{{Label: "Month"}, {Label: "Tenant"}, {Label: "State"}, {Label: "Last run"}, {Label: "Runs", Numeric: true}, {Label: "Kept", Numeric: true}, {Label: "Events", Numeric: true},
			{Label: "Rejected", Numeric: true}, {Label: "Next run (UTC)"}}}
	for i := range months {
		m := &months[i]
		state := m.State
		if m.Made != "" && m.Made != m.State {
			state += ", reports " + m.Made
		}
		if m.Restatements > 0 {
			state += fmt.Sprintf(", restated %d×", m.Restatements)
		}
		month, read, rejected := cell{Text: m.Period.String()}, cell{}, cell{}
		if m.LastRun != "" {
			month.Href = monthPath(m.Tenant, m.Period)
		}
		if m.Events != nil {
			read, rejected = figureCell(countFigure(m.Events.Read), ""), figureCell(countFigure(sumOf(m.Rejected)), "")
		}
		t.Rows = append(t.Rows, []cell{month, v.tenantCell(m.Tenant), {Text: state}, {Text: m.LastRun, Code: true}, figureCell(countFigure(m.Runs), ""),
			figureCell(countFigure(int64(len(m.Kept))), ""), read, rejected, {At: m.Next}})
	}
	return t
}

func sumOf(counts map[string]int64) (n int64) {
	for _, count := range counts {
		n += count
	}
	return n
}

// statusSections are what there is to say, the gravest first; "playmeter status" says more. Tenants are called as name has them.
func statusSections(s *reporter.Status, in *Inflow, name func(schemas.Tenant) string) []statusSection {
	all := []statusSection{inflowSection(in), grantsSection(s, name), asideSection(s), unreadableSection(s, name), missingSection(s), rejectedSection(s, name), waitingSection(s, name), clockSection(s), strangerSection(s)}
	return slices.DeleteFunc(all, func(s statusSection) bool { return len(s.Lines) == 0 })
}

func (s *statusSection) add(format string, args ...any) {
	if len(s.Lines) == linesShown {
		s.More++
		return
	}
	s.Lines = append(s.Lines, fmt.Sprintf(format, args...))
}

func inflowSection(in *Inflow) statusSection {
	out := statusSection{Title: "Posted events and sources of logs"}
	if in.Log != nil && in.Log.Trouble != "" {
		out.add("Nothing can be taken in: %s", in.Log.Trouble)
	}
	for i := range in.Sources {
		source := &in.Sources[i]
		out.add("Source %s: %s of %s lines, in %s, looked at %s", source.Source, plural(source.Events, "event"), countFigure(source.Lines).Text, plural(source.Logs, "log"), instantOf(source.Looked).Text)
		if source.Trouble != "" {
			out.add("Source %s cannot be read: %s", source.Source, source.Trouble)
		}
		if n := source.Bad(); n > 0 {
			out.add("Source %s: %s left out that may be usage", source.Source, plural(n, "line"))
		}
		for _, log := range source.UnreadableLogs() {
			out.add("Source %s: %s cannot be read, and is tried again: %s", source.Source, log, source.Unreadable[log])
		}
	}
	return out
}

func grantsSection(s *reporter.Status, name func(schemas.Tenant) string) statusSection {
	out := statusSection{Title: "Grants that do not hold", Next: "“playmeter grants check” looks again."}
	if s.Grants != nil {
		for _, p := range s.Grants.Problems {
			out.add("%s", p)
		}
	}
	for _, t := range slices.Sorted(maps.Keys(s.Expiring)) {
		for _, line := range s.Expiring[t] {
			out.add("Tenant %s: %s", name(t), line)
		}
	}
	return out
}

func asideSection(s *reporter.Status) statusSection {
	out := statusSection{Title: "Usage files set aside", Next: "A file is tried again when it is replaced under its key; until then no manifest says complete."}
	for _, f := range s.Aside {
		out.add("%s: %s", f.Key, f.Reason)
	}
	return out
}

func unreadableSection(s *reporter.Status, name func(schemas.Tenant) string) statusSection {
	out := statusSection{Title: "Manifests that cannot be read", Next: "Restore them; “playmeter verify” says what else is wrong."}
	for i := range s.Months {
		if m := &s.Months[i]; m.Unreadable != "" {
			out.add("%s %s: %s", name(m.Tenant), m.Period, m.Unreadable)
		}
	}
	return out
}

func missingSection(s *reporter.Status) statusSection {
	out := statusSection{Title: "Events that nodes numbered and that never came", Next: "Look for the node's files of that time; one that comes later fills the gap."}
	for _, m := range s.Numbers {
		for _, n := range m.Nodes {
			if n.Missing == 0 {
				continue
			}
			gaps := slices.Clone(n.Gaps)
			slices.SortStableFunc(gaps, func(a, b reporter.Gap) int { return cmp.Compare(b.Missing, a.Missing) })
			var hours []string
			for _, g := range gaps[:min(len(gaps), 3)] {
				hours = append(hours, fmt.Sprintf("%s in the hour from %s", countFigure(g.Missing).Text, g.Hour.UTC().Format("2006-01-02 15:04")))
			}
			out.add("%s of node %s in %s: %s", plural(n.Missing, "event"), n.Node, m.Period, strings.Join(hours, ", "))
		}
	}
	return out
}

func rejectedSection(s *reporter.Status, name func(schemas.Tenant) string) statusSection {
	out := statusSection{Title: "Rejected rows", Next: "Write the files anew under their keys; docs/reports.md says what the reasons mean."}
	for i := range s.Months {
		if m := &s.Months[i]; len(m.Rejected) > 0 {
			out.add("%s %s: %s", name(m.Tenant), m.Period, reasonsText(m.Rejected))
		}
	}
	if len(s.Placeless) > 0 {
		out.add("Of nobody, because tenant or time cannot be read: %s", reasonsText(s.Placeless))
	}
	return out
}

func waitingSection(s *reporter.Status, name func(schemas.Tenant) string) statusSection {
	out := statusSection{Title: "Final months that changed since"}
	for i := range s.Months {
		m := &s.Months[i]
		switch w := m.Waiting; {
		case w == nil:
		case w.TooLate:
			out.add("%s %s: too late for a restatement, since %s (%s)", name(m.Tenant), m.Period, w.Until.UTC().Format(time.DateOnly), w.By)
		case !w.After.IsZero():
			out.add("%s %s: restated not before %s (reports.restate.every)", name(m.Tenant), m.Period, instantOf(w.After).Text)
		default:
			out.add("%s %s: the next run of the month restates it, if its reports change", name(m.Tenant), m.Period)
		}
	}
	return out
}

func clockSection(s *reporter.Status) statusSection {
	out := statusSection{Title: "Clocks that run ahead", Next: "Set them: events are counted in the hour and month that they name."}
	for _, c := range s.Clocks {
		out.add("Node %s by up to %s, in %s, last %s", c.Node, spanFigure(c.Ahead.Microseconds()).Text, plural(int64(c.Files), "file"), c.Key)
	}
	return out
}

func strangerSection(s *reporter.Status) statusSection {
	out := statusSection{Title: "Tenants that are not configured", Next: "Add them under tenants: they get reports from the start of the month."}
	for _, t := range s.Unconfigured {
		out.add("%s has %s of usage and gets no reports", t.Tenant, plural(t.Rows, "row"))
	}
	return out
}
