package web

import (
	"cmp"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/playmeter/playmeter/schemas"
	"github.com/playmeter/playmeter/statistics"
)

const (
	pathSessions       = "/sessions"
	pathSessionsTab    = pathSessions + "/{tab}"
	pathSessionsExport = pathSessionsTab + "/export.csv"
)

// The elements that htmx replaces: all below the head of the site, and the list alone.
const (
	viewElement    = "view"
	resultsElement = "results"
)

// How many rows a page may have.
var rowsOfPage = []int{50, 100, 500}

// sessionsQuery are the parameters of the lists of sessions.
func sessionsQuery() []string {
	return append(statistics.FilterNames(), "tenant", "sort", "order", "rows", "cursor")
}

// The orders in an address.
const (
	orderUp   = "asc"
	orderDown = "desc"
)

// tabNames are the lists as people read them.
var tabNames = map[statistics.Tab]string{
	statistics.TabPlayback: "All playback", statistics.TabStreams: "By streams", statistics.TabServers: "By servers",
	statistics.TabUsers: "By users", statistics.TabUnique: "Unique sessions",
}

// tabHelp says what a row of a list is.
var tabHelp = map[statistics.Tab]string{
	statistics.TabPlayback: "A row is a session: one viewing of one stream by one client.",
	statistics.TabStreams:  "A row is a stream.",
	statistics.TabServers:  "A row is a server, by its id: one whose id has changed shows twice.",
	statistics.TabUsers:    "A row is a user. Without a name, it is an address with one program.",
	statistics.TabUnique:   "A row is the sessions of one day with the same address, stream, protocol, user, referrer and program.",
}

// tabPath is the page of a list; the first has the short address.
func tabPath(t statistics.Tab) string {
	if t == statistics.TabPlayback {
		return pathSessions
	}
	return pathSessions + "/" + string(t)
}

// asking is what a request asks of the lists of sessions.
type asking struct {
	*audience
	view  statistics.View
	sort  statistics.Column   // that the list is sorted by
	order string              // of it
	wrong map[string]string   // what is wrong with a filter's field
	known *statistics.Choices // what the filters can be set to, once that was asked
	// viewer is who the filter's is, as far as is known, once that was asked.
	viewer *string
}

// askOf reads a list, its filter, order and page off a request. Where no day is named, it is about this month up to today.
//
//   - Errors: a problem of status 400 or 404; what is wrong with the filter is no error, but told beside its fields.
func (v *service) askOf(q *request, tab statistics.Tab) (*asking, error) {
	a, err := v.audienceOf(q)
	if err != nil {
		return nil, err
	}
	f, err := statistics.ParseFilter(q.query)
	if f.From == "" && f.To == "" {
		now := v.Now().UTC()
		f.From, f.To = schemas.PeriodOf(now).Start().Format(time.DateOnly), now.Format(time.DateOnly)
	}
	ask := &asking{audience: a, view: statistics.View{Tab: tab, Filter: f, Cursor: q.query.Get("cursor"), Limit: statistics.DefaultLimit}, wrong: wrongFields(err)}
	wrongOrder := ask.readOrder(q.query.Get("sort"), q.query.Get("order"))
	wrongRows := ask.readRows(q.query.Get("rows"))
	if p := cmp.Or(wrongOrder, wrongRows); p != nil {
		p.way = ask.firstPage("Show the list as it is otherwise")
		return nil, p
	}
	return ask, nil
}

// readRows reads how many rows a page has.
func (ask *asking) readRows(text string) *problem {
	if text == "" {
		return nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || !slices.Contains(rowsOfPage, n) {
		return newProblem(http.StatusBadRequest, "A page has 50, 100 or 500 rows.")
	}
	ask.view.Limit = n
	return nil
}

// firstPage leads to the list, its filter and order, where it begins.
func (ask *asking) firstPage(text string) choice { return choice{Href: ask.address(nil), Text: text} }

// readOrder reads what a list is sorted by.
func (ask *asking) readOrder(sort, order string) *problem {
	columns := ask.view.Tab.Columns()
	name := sort
	if name == "" {
		name = ask.view.Tab.DefaultSort()
	}
	i := slices.IndexFunc(columns, func(c statistics.Column) bool { return c.Name == name })
	if i < 0 || order != "" && order != orderUp && order != orderDown {
		return newProblem(http.StatusBadRequest, "This list is not sorted that way: its columns are links that sort it.")
	}
	ask.sort, ask.order = columns[i], order
	if order == "" {
		ask.order = naturalOrder(columns[i])
	}
	if sort != "" || order != "" {
		ask.view.Sort, ask.view.Desc = name, ask.order == orderDown
	}
	return nil
}

// naturalOrder is the order that a column is sorted in first.
func naturalOrder(c statistics.Column) string {
	if c.Falls {
		return orderDown
	}
	return orderUp
}

// wrongFields is what is wrong with each field of a filter.
func wrongFields(err error) map[string]string {
	var wrong *statistics.FilterError
	if err == nil {
		return nil
	}
	out := make(map[string]string)
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		for _, e := range joined.Unwrap() {
			if errors.As(e, &wrong) {
				out[wrong.Field] = wrong.Problem
			}
		}
	} else if errors.As(err, &wrong) {
		out[wrong.Field] = wrong.Problem
	}
	return out
}

// values are the parameters that name what is asked, but for the page of it.
func (ask *asking) values() url.Values {
	values := ask.view.Filter.Values()
	setValue(values, "tenant", ask.tenant())
	if ask.view.Sort != "" {
		values.Set("sort", ask.view.Sort)
		values.Set("order", ask.order)
	}
	if ask.view.Limit != statistics.DefaultLimit {
		values.Set("rows", strconv.Itoa(ask.view.Limit))
	}
	return values
}

// address is where the same is shown with a change.
func (ask *asking) address(change func(url.Values)) string {
	values := ask.values()
	if change != nil {
		change(values)
	}
	return withQuery(tabPath(ask.view.Tab), values)
}

// self is the address of what is asked, to be sent to somebody else.
func (ask *asking) self() string {
	return ask.address(func(values url.Values) { setValue(values, "cursor", ask.view.Cursor) })
}

// filtered is the address of another list, or of this one, with another filter.
func (ask *asking) filtered(tab statistics.Tab, f statistics.Filter, tenant schemas.Tenant) string {
	return ask.linkTab(tab, f, tenant, "")
}

// sessionsData is what the lists of sessions show.
type sessionsData struct {
	Title, Of, Help string
	Whole           bool // the fragment is all of the view, and not the list alone
	Tabs            []choice
	Form            filterForm
	Chips           []choice
	Clear           string // leads to the same without any filter but the days
	Notes           []string
	Speaks          *speaks
	Instead         *empty       // of the list
	Problem         *problemData // in the place of the list
	Totals          []total
	Beside          string // what is to be known of the totals
	Table           *table
	Pager           pager
}

// total is a sum of all that a filter lets pass.
type total struct {
	Label string
	Value figure
}

// sessionsPage shows the list that the path names.
func (v *service) sessionsPage(w http.ResponseWriter, q *request) error {
	tab := statistics.TabPlayback
	if name := q.PathValue("tab"); name != "" {
		if tab = statistics.Tab(name); !tab.Known() || tab == statistics.TabPlayback {
			return newProblem(http.StatusNotFound, "There is no such list of sessions. The page Sessions leads to those that there are.")
		}
	}
	ask, err := v.askOf(q, tab)
	if err != nil {
		return err
	}
	if to := ask.self(); !q.isHTMX() && to != withQuery(tabPath(tab), q.URL.Query()) {
		return seeOther(w, to) // an address that says everything, and nothing in vain
	}
	data := &sessionsData{Title: tabNames[tab], Of: ask.name(), Help: tabHelp[tab], Whole: q.Header.Get("HX-Target") != resultsElement, Tabs: ask.tabs()}
	status := http.StatusOK
	if v.Statistics == nil {
		data.Instead = &statisticsOff
	} else if err := v.list(q, ask, data); err != nil {
		if q.Context().Err() != nil {
			return err
		}
		status = v.tellInstead(w, q, ask, data, err)
	}
	data.Notes = v.loadingNotes(q)
	if data.Whole {
		data.Form = v.form(q, ask)
		data.Chips, data.Clear = v.chips(q, ask), ask.clear()
	}
	if q.isHTMX() {
		w.Header().Set("HX-Push-Url", ask.self())
	}
	return v.render(w, q, status, "sessions", &page{Title: data.Title + " · Sessions", Tab: "sessions", Data: data, Fragments: []string{viewElement, resultsElement}})
}

// list asks for the rows, what all of them add up to, and what they speak for.
func (v *service) list(q *request, ask *asking, data *sessionsData) error {
	if len(ask.wrong) > 0 {
		return newProblem(http.StatusBadRequest, "The filter cannot be used as it is: what is wrong is said beside its fields.")
	}
	states, err := v.Statistics.State(q.Context(), ask.scope)
	if err != nil {
		return err
	}
	within := statesWithin(states, ask.view.Filter)
	data.Speaks = ask.speaksFor(within, v.Now())
	rows, err := v.Statistics.Sessions(q.Context(), ask.scope, ask.view)
	if err != nil {
		return err
	}
	if len(rows.Rows) == 0 {
		data.Instead = v.nothing(q, ask, states)
		return nil
	}
	if data.Totals, err = v.totals(q, ask, rows); err != nil {
		return err
	}
	if ask.view.Tab == statistics.TabServers && len(ask.view.Filter.Servers) > 0 {
		data.Beside = wholeSessions
	}
	data.Table = ask.table(rows)
	data.Pager = ask.pager(rows)
	return nil
}

// wholeSessions says why a list of servers that is filtered by some shows others, too, and is less than its totals.
const wholeSessions = "These are the sums of all sessions that a chosen server had a part in. A row has only what that server served itself; " +
	"other servers are listed where such a session moved between them."

// rowNames are what the rows of a list are called, where the totals do not count them in any case.
var rowNames = map[statistics.Tab]string{
	statistics.TabStreams: "Streams", statistics.TabServers: "Servers", statistics.TabUsers: "Viewers", statistics.TabUnique: "Unique sessions",
}

// totals are what all sessions of a filter add up to, and how many rows there are of them, where that is known.
func (v *service) totals(q *request, ask *asking, p *statistics.Page) ([]total, error) {
	sums, err := v.Statistics.Totals(q.Context(), ask.scope, ask.view.Filter)
	if err != nil {
		return nil, err
	}
	out := []total{{"Sessions", countFigure(sums.Sessions)}, {"Views", countFigure(sums.Views)},
		{"Traffic", bytesFigure(sums.Bytes)}, {"View time", spanFigure(sums.Micros)}}
	name := rowNames[ask.view.Tab]
	if name == "" {
		return out, nil
	}
	n, known := int64(len(p.Rows)), p.Previous == "" && p.Next == ""
	if !known {
		if n, known, err = v.Statistics.Rows(q.Context(), ask.scope, ask.view); err != nil {
			return nil, err
		}
	}
	if known {
		out = slices.Insert(out, 0, total{name, countFigure(n)})
	}
	return out, nil
}

// tellInstead says in the place of a list what is wrong, so that the form can be put right.
func (v *service) tellInstead(w http.ResponseWriter, q *request, ask *asking, data *sessionsData, err error) int {
	p := statisticsProblem(err)
	v.tellProblem(q, p)
	data.Speaks = nil
	copyHeader(w.Header(), p.header)
	data.Problem = &problemData{Status: p.Status, Title: cmp.Or(insteadTitles[p.Status], p.Title), Detail: p.Detail}
	if errors.Is(err, statistics.ErrView) {
		first := ask.firstPage("Begin with the first page")
		data.Problem.Href, data.Problem.Link = first.Href, first.Text
	}
	return p.Status
}

// insteadTitles are problems in the place of a list as people call them.
var insteadTitles = map[int]string{
	http.StatusBadRequest: "Not like that", http.StatusUnprocessableEntity: "Too much at once", http.StatusServiceUnavailable: "Not just now",
}

// tabs leads to the lists with the same filter.
func (ask *asking) tabs() []choice {
	var out []choice
	for _, t := range statistics.Tabs {
		values := ask.values()
		values.Del("sort")
		values.Del("order")
		out = append(out, choice{Value: string(t), Text: tabNames[t], Href: withQuery(tabPath(t), values), Current: t == ask.view.Tab})
	}
	return out
}
