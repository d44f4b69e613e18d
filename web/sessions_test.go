package web

import (
	"fmt"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"github.com/playmeter/playmeter/statistics"
)

// rowsOf are the texts of a table's cells.
func rowsOf(doc *html.Node, id string) (rows [][]string) {
	for _, tr := range all(byID(doc, id), tag("tr", "")) {
		var row []string
		for _, td := range all(tr, tag("td", "")) {
			row = append(row, textIn(td))
		}
		if row != nil {
			rows = append(rows, row)
		}
	}
	return rows
}

const days = "from=2026-11-01&to=2026-11-20"

func TestEveryListHasItsColumns(t *testing.T) {
	tests := []struct {
		path   string
		tab    statistics.Tab
		heads  string
		first  []string
		second []string
	}{
		{"/sessions", statistics.TabPlayback, "Stream name|Protocol|Hostname|Country and IP|Traffic|Creation date|View time",
			[]string{"Title of a iq__a", "hls", "edge-1", "DE · 203.0.113.7 +2 others", "1.25 GB", "2026-11-02 03:04:05", "5 min"},
			[]string{"iq__b", "unknown", "inod2", "2001:db8::1", "0 B", "2026-11-03 00:00:00", "0 s"}},
		{"/sessions/streams", statistics.TabStreams, "Stream name|Traffic|Views|View time", []string{"Title of a iq__a", "1.25 GB", "7", "5 min"}, []string{"iq__b", "0 B", "0", "0 s"}},
		{"/sessions/servers", statistics.TabServers, "Hostname|IP|Traffic|Views|View time", []string{"edge-1 inod1", "192.0.2.1", "1.25 GB", "7", "5 min"}, []string{"inod2", "–", "0 B", "0", "0 s"}},
		{"/sessions/users", statistics.TabUsers, "User|Views|Country and IP|Traffic|View time|User agent|Referrer",
			[]string{"anna", "7", "DE · 203.0.113.7 +2 others", "1.25 GB", "5 min", "Player/1.0 +1 other", "https://example.com/watch +3 others"},
			[]string{"without a name", "0", "2001:db8::1", "0 B", "0 s", "–", "–"}},
		{"/sessions/unique", statistics.TabUnique, "Stream name|Protocol|Country and IP|Traffic|Creation date|View time|User agent|Referrer|Joined sessions",
			[]string{"Title of a iq__a", "hls", "DE · 203.0.113.7 +2 others", "1.25 GB", "2026-11-02 03:04:05", "5 min", "Player/1.0 +1 other", "https://example.com/watch +3 others", "3"},
			[]string{"iq__b", "unknown", "2001:db8::1", "0 B", "2026-11-03 00:00:00", "0 s", "–", "–", "0"}},
	}
	for _, tt := range tests {
		t.Run(string(tt.tab), func(t *testing.T) {
			s, f := serveStatistics(t)
			doc := parsed(t, s.get(tt.path+"?"+days, filmsToken, 200, asBrowser...))
			checkPage(t, doc)
			var heads []string
			for _, th := range all(byID(doc, "sessions-table"), tag("th", "")) {
				heads = append(heads, strings.TrimRight(textIn(th), " ▲▼"))
			}
			if got := strings.Join(heads, "|"); got != tt.heads {
				t.Errorf("the columns are %s, want %s", got, tt.heads)
			}
			if rows := rowsOf(doc, "sessions-table"); !reflect.DeepEqual(rows, [][]string{tt.first, tt.second}) {
				t.Errorf("the rows are %q, want %q, %q", rows, tt.first, tt.second)
			}
			if len(f.views) != 1 || f.views[0].Tab != tt.tab {
				t.Errorf("asked was for %+v", f.views)
			}
			if got := textIn(byID(doc, "results")); !strings.HasPrefix(got, "Sessions 1,234 Views 1,200 Traffic 5.00 GB View time 2 h as of 2026-11-20 08:55:00 UTC, run") {
				t.Errorf("the totals are not in %s", got)
			}
		})
	}
}

func TestCellsLeadToTheSessionsBehindThem(t *testing.T) {
	s, f := serveStatistics(t)
	f.page.Rows[1].Viewer = "12345678901234567890123456789"
	links := make(map[string][]string)
	for _, path := range []string{"/sessions", "/sessions/streams", "/sessions/servers", "/sessions/users"} {
		for _, a := range all(byID(parsed(t, s.get(path+"?country=DE&"+days, filmsToken, 200, asBrowser...)), "sessions-table"), tag("a", "href")) {
			links[textIn(a)] = append(links[textIn(a)], attr(a, "href"))
		}
	}
	for text, want := range map[string]string{
		"Title of a": "object=iq__a", "hls": "protocol=hls", "edge-1": "server=inod1", "DE · 203.0.113.7": "ip=203.0.113.7", "2001:db8::1": "ip=2001:db8::1",
		"anna": "user=anna", "without a name": "viewer=12345678901234567890123456789", "Player/1.0": "agent=Player/1.0",
	} {
		values, _ := url.ParseQuery(want + "&country=DE&" + days)
		if got := links[text]; len(got) == 0 || slices.ContainsFunc(got, func(l string) bool { return l != "/sessions?"+values.Encode() }) {
			t.Errorf("%s leads to %v, want /sessions?%s", text, got, values.Encode())
		}
	}
}

func TestMaskedAndMissingFieldsLeadNowhereWrong(t *testing.T) {
	s, f := serveStatistics(t)
	f.page.Rows = []statistics.Row{{IP: "203.0.113.x", Country: "DE", Agent: strings.Repeat("a", 2000), User: strings.Repeat("u", 2000)}, {}}
	for _, path := range []string{"/sessions", "/sessions/users", "/sessions/servers"} {
		for _, a := range all(byID(parsed(t, s.get(path+"?"+days, filmsToken, 200, asBrowser...)), "sessions-table"), tag("a", "href")) {
			to, _ := url.Parse(attr(a, "href"))
			if _, err := statistics.ParseFilter(to.Query()); err != nil {
				t.Errorf("%s: %.40q leads to a wrong filter: %v", path, textIn(a), err)
			}
		}
	}
}

func TestAnyColumnSorts(t *testing.T) {
	for _, tab := range statistics.Tabs {
		s, f := serveStatistics(t)
		columns := tab.Columns()
		for _, c := range columns {
			path := tabPath(tab) + "?" + days
			for _, step := range []struct{ path, want, order string }{
				{path, "", ""},
				{"", "first", ""},
				{"", "turned", ""},
			} {
				if step.path == "" {
					step.path = path
				}
				f.views = nil
				doc := parsed(t, s.get(step.path, filmsToken, 200, asBrowser...))
				head := byID(doc, "sessions-table-by-"+c.Name)
				v := f.views[0]
				if step.want == "first" && (v.Sort != c.Name || v.Desc != c.Falls) && c.Name != tab.DefaultSort() {
					t.Errorf("%s by %s: first asked for %+v", tab, c.Name, v)
				}
				if step.want != "" {
					want := map[bool]string{true: descending, false: ascending}[v.Desc]
					if v.Sort != c.Name || attr(head.Parent, "aria-sort") != want {
						t.Errorf("%s by %s: aria-sort is %q, want %q", tab, c.Name, attr(head.Parent, "aria-sort"), want)
					}
				}
				next, _ := url.Parse(attr(head, "href"))
				if step.want != "" && (next.Query().Get("order") == orderDown) == v.Desc {
					t.Errorf("%s by %s: the order is not turned: %s", tab, c.Name, next)
				}
				path = attr(head, "href")
			}
		}
		marked := 0
		for _, th := range all(parsed(t, s.get(tabPath(tab)+"?"+days, filmsToken, 200, asBrowser...)), tag("th", "aria-sort")) {
			marked++
			if i := slices.IndexFunc(columns, func(c statistics.Column) bool { return c.Name == tab.DefaultSort() }); strings.TrimRight(textIn(th), " ▲▼") != columns[i].Title {
				t.Errorf("%s is sorted by %s", tab, textIn(th))
			}
		}
		if marked != 1 {
			t.Errorf("%s: %d columns are said to be sorted by", tab, marked)
		}
	}
}

// TestAddressesSayEverything: a page is asked by an address that means the same tomorrow.
func TestAddressesSayEverything(t *testing.T) {
	w := sampleWorld(t)
	tests := []struct{ name, token, path, want string }{
		{"no days are this month up to today", filmsToken, "/sessions", "/sessions?from=2026-11-01&to=2026-11-20"},
		{"the same of another list", filmsToken, "/sessions/users", "/sessions/users?from=2026-11-01&to=2026-11-20"},
		{"a form sends what is empty", filmsToken, "/sessions?from=2026-11-02&to=&stream=&user=anna&protocol=", "/sessions?from=2026-11-02&user=anna"},
		{"blanks are no filter", filmsToken, "/sessions?from=2026-11-02&user=+", "/sessions?from=2026-11-02"},
		{"an order is said whole", filmsToken, "/sessions?from=2026-11-02&sort=traffic", "/sessions?from=2026-11-02&order=desc&sort=traffic"},
		{"servers stay apart", filmsToken, "/sessions?server=b&server=a&server=b", "/sessions?from=2026-11-01&server=b&server=a&to=2026-11-20"},
		{"a tenant needs not name itself", filmsToken, "/sessions?from=2026-11-02&tenant=" + string(w.films), "/sessions?from=2026-11-02"},
		{"an admin's tenant stays", adminToken, "/sessions?tenant=" + string(w.films), "/sessions?from=2026-11-01&tenant=" + string(w.films) + "&to=2026-11-20"},
		{"the usual rows go without saying", filmsToken, "/sessions?to=2026-11-02&rows=50", "/sessions?to=2026-11-02"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, _ := serveStatistics(t)
			got := s.get(tt.path, tt.token, 303, asBrowser...)
			if to := got.Header().Get("Location"); to != tt.want {
				t.Errorf("leads to %s, want %s", to, tt.want)
			}
			s.get(tt.want, tt.token, 200, asBrowser...)
		})
	}
}

func TestViewsThatThereAreNot(t *testing.T) {
	for path, status := range map[string]int{
		"/sessions/nothing": 404, "/sessions/playback": 404, "/sessions/nothing/export.csv": 404, "/sessions/PLAYBACK/export.csv": 404,
		"/sessions?sort=nothing": 400, "/sessions/streams?sort=created": 400, "/sessions?order=up&sort=traffic": 400, "/sessions?rows=51": 400, "/sessions?rows=-1": 400,
		"/sessions?rows=x": 400, "/sessions?columns=all": 400, "/sessions?user=a&user=b": 400, "/?month=2026-11&month=2026-10": 400, "/?server=x": 400,
	} {
		s, f := serveStatistics(t)
		s.get(path, filmsToken, status, asBrowser...)
		if len(f.views) > 0 {
			t.Errorf("%s: asked all the same", path)
		}
	}
}

// TestWhatIsWrongLeadsToTheListWithoutIt: the rest of what was asked is kept.
func TestWhatIsWrongLeadsToTheListWithoutIt(t *testing.T) {
	const rest = "from=2026-11-01&order=asc&rows=100&sort=traffic&to=2026-11-20&user=anna"
	tests := []struct{ name, path, want string }{
		{"a number of rows", "/sessions?from=2026-11-01&order=asc&rows=7&sort=traffic&to=2026-11-20&user=anna", "/sessions?from=2026-11-01&order=asc&sort=traffic&to=2026-11-20&user=anna"},
		{"a column", "/sessions/users?from=2026-11-01&order=asc&rows=100&sort=nothing&to=2026-11-20&user=anna", "/sessions/users?from=2026-11-01&rows=100&to=2026-11-20&user=anna"},
		{"an order", "/sessions/users?from=2026-11-01&order=up&rows=100&sort=traffic&to=2026-11-20&user=anna", "/sessions/users?from=2026-11-01&rows=100&to=2026-11-20&user=anna"},
		{"both", "/sessions?from=2026-11-01&rows=7&sort=nothing&to=2026-11-20", "/sessions?from=2026-11-01&to=2026-11-20"},
		{"an export's order", "/sessions/users/export.csv?from=2026-11-01&sort=nothing&to=2026-11-20", "/sessions/users?from=2026-11-01&to=2026-11-20"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, _ := serveStatistics(t)
			doc := parsed(t, s.get(tt.path, filmsToken, 400, asBrowser...))
			checkPage(t, doc)
			if links := linksOf(t, doc); links[tt.want] != "Show the list as it is otherwise" {
				t.Errorf("the page leads to %v, want %s", links, tt.want)
			}
			s.get(tt.want, filmsToken, 200, asBrowser...)
		})
	}
	s, f := serveStatistics(t)
	f.err = fmt.Errorf("list: %w", statistics.ErrView)
	doc := parsed(t, s.get("/sessions?cursor=damaged&"+rest, filmsToken, 400, asBrowser...))
	if links := linksOf(t, doc); links["/sessions?"+rest] != "Begin with the first page" {
		t.Errorf("a damaged cursor leads to %v", links)
	}
}

func TestWhatIsWrongWithAFilterIsSaidBesideItsField(t *testing.T) {
	tests := []struct{ query, field string }{
		{"from=2026-13-01", "from"}, {"from=yesterday", "from"}, {"from=2026-11-05&to=2026-11-01", "to"}, {"from=2026-11-01&ip=nonsense", "ip"}, {"from=2026-11-01&ip=1.2.3.4/33", "ip"},
		{"from=2026-11-01&min=-1", "min"}, {"from=2026-11-01&min=1e9", "min"}, {"from=2026-11-01&min=5&max=4", "max"}, {"from=2026-11-01&tier=8k", "tier"}, {"from=2026-11-01&drm=some", "drm"},
		{"from=2026-11-01&agent=" + strings.Repeat("x", 1025), "agent"}, {"from=2026-11-01&user=%FF", "user"},
	}
	for _, tt := range tests {
		t.Run(tt.query[:min(len(tt.query), 60)], func(t *testing.T) {
			values, err := url.ParseQuery(tt.query)
			if err != nil {
				t.Fatal(err)
			}
			s, f := serveStatistics(t)
			doc := parsed(t, s.get("/sessions?"+values.Encode(), filmsToken, 400, asBrowser...))
			checkPage(t, doc)
			input := byID(doc, "filter-"+tt.field)
			if attr(input, "aria-invalid") != "true" || attr(input, "aria-describedby") != "filter-"+tt.field+"-wrong" || textIn(byID(doc, "filter-"+tt.field+"-wrong")) == "" {
				t.Errorf("nothing is said beside the field: %v", input.Attr)
			}
			if input.Data == "input" && utf8Of(attr(input, "value")) != utf8Of(values.Get(tt.field)) {
				t.Errorf("the field shows %.40q, and not what was written", attr(input, "value"))
			}
			for _, d := range all(doc, tag("details", "")) {
				if !slices.Contains([]string{"from", "to", "ip", "user"}, tt.field) && attr(d, "class") == "more-filters" && len(all(doc, func(n *html.Node) bool { return n == d && hasAttr(n, "open") })) == 0 {
					t.Error("the field is folded away")
				}
			}
			if len(f.views) > 0 || slices.Contains(f.asked, "totals") {
				t.Errorf("asked all the same: %v", f.asked)
			}
			s.get("/sessions/users/export.csv?"+values.Encode(), filmsToken, 400)
		})
	}
}

func hasAttr(n *html.Node, name string) bool {
	return slices.ContainsFunc(n.Attr, func(a html.Attribute) bool { return a.Key == name })
}

func utf8Of(s string) string { return strings.ToValidUTF8(s, "\ufffd") }

// every is a filter with all fields set.
const every = "from=2026-11-01&to=2026-11-20&stream=news*&user=anna&ip=203.0.113.0%2F24&agent=Firefox&min=1&max=90.5&server=inod2&server=gone&protocol=hls&country=FR" +
	"&region=Bavaria&city=-&server_region=eu-west&platform=Television&os=-&tier=hi&drm=clear&object=live%2Fpitch&viewer=17&watched=yes"

func TestEveryIsEveryFilter(t *testing.T) {
	values, _ := url.ParseQuery(every)
	for _, name := range statistics.FilterNames() {
		if !values.Has(name) {
			t.Errorf("the tests set no filter %s", name)
		}
	}
}

func TestTheFormShowsAndSendsTheWholeFilter(t *testing.T) {
	s, f := serveStatistics(t)
	values, _ := url.ParseQuery(every + "&sort=traffic&order=asc&rows=100")
	want, err := statistics.ParseFilter(values)
	if err != nil {
		t.Fatal(err)
	}
	doc := parsed(t, s.get("/sessions/unique?"+values.Encode(), filmsToken, 200, asBrowser...))
	checkPage(t, doc)
	sent := url.Values{}
	form := all(doc, func(n *html.Node) bool { return n.Data == "form" && attr(n, "role") == "search" })[0]
	if attr(form, "method") != "get" || attr(form, "action") != "/sessions/unique" {
		t.Errorf("the form is sent to %v", form.Attr)
	}
	for _, n := range all(form, func(n *html.Node) bool {
		return n.Data == "input" && (attr(n, "type") != "checkbox" || hasAttr(n, "checked"))
	}) {
		sent.Add(attr(n, "name"), attr(n, "value"))
	}
	for _, n := range all(form, tag("select", "")) {
		for _, o := range all(n, tag("option", "selected")) {
			sent.Add(attr(n, "name"), attr(o, "value"))
		}
	}
	slices.Sort(sent["server"])
	slices.Sort(values["server"])
	if !reflect.DeepEqual(sent, values) {
		t.Errorf("the form sends\n%v, and not\n%v", sent, values)
	}
	if !reflect.DeepEqual(f.views[0].Filter, want) || f.views[0].Limit != 100 {
		t.Errorf("asked was for %+v", f.views[0])
	}
	for _, n := range all(form, func(n *html.Node) bool { return n.Data == "input" && attr(n, "type") != "hidden" || n.Data == "select" }) {
		if label := n.Parent; label.Data != "label" || textIn(label) == "" {
			t.Errorf("%s has no label", attr(n, "name"))
		}
	}
}

func TestEveryFilterCanBeRemoved(t *testing.T) {
	s, _ := serveStatistics(t)
	values, _ := url.ParseQuery(every)
	doc := parsed(t, s.get("/sessions?"+values.Encode(), filmsToken, 200, asBrowser...))
	removed := make(map[string]bool)
	for _, chip := range all(doc, func(n *html.Node) bool { return attr(n, "class") == "chip" }) {
		to, _ := url.Parse(attr(chip, "href"))
		for name, set := range values {
			if left := to.Query()[name]; len(left) == len(set)-1 {
				removed[name] = true
			} else if !reflect.DeepEqual(left, set) {
				t.Errorf("%s leaves %s=%v", textIn(chip), name, left)
			}
		}
	}
	for name := range values {
		if name != "from" && name != "to" && !removed[name] {
			t.Errorf("%s cannot be removed", name)
		}
	}
	if links := linksOf(t, doc); links["/sessions?"+days] != "Clear all" {
		t.Error("nothing clears all")
	}
	if text := textIn(doc); !strings.Contains(text, "City: unknown") || !strings.Contains(text, "Country: France (FR)") || !strings.Contains(text, "Server: inod2") || !strings.Contains(text, "Tier: Hi (4K)") {
		t.Errorf("the chips say %s", text)
	}
}

func TestTabsKeepTheFilter(t *testing.T) {
	s, _ := serveStatistics(t)
	doc := parsed(t, s.get("/sessions/users?rows=500&sort=views&order=asc&user=anna&"+days, filmsToken, 200, asBrowser...))
	nav := all(doc, func(n *html.Node) bool { return n.Data == "nav" && attr(n, "class") == "subtabs" })[0]
	var got []string
	for _, a := range all(nav, tag("a", "")) {
		got = append(got, attr(a, "href")+" "+attr(a, "aria-current"))
	}
	want := []string{"", "/streams", "/servers", "/users", "/unique"}
	for i := range want {
		want[i] = "/sessions" + want[i] + "?from=2026-11-01&rows=500&to=2026-11-20&user=anna " + map[bool]string{true: "page"}[want[i] == "/users"]
	}
	if !slices.Equal(got, want) {
		t.Errorf("the tabs lead to %q, want %q", got, want)
	}
}

func TestPagesOfAList(t *testing.T) {
	s, f := serveStatistics(t)
	pager := func(path string) string {
		doc := parsed(t, s.get(path, filmsToken, 200, asBrowser...))
		var out []string
		for _, a := range all(all(doc, func(n *html.Node) bool { return attr(n, "class") == "pager" })[0], tag("a", "")) {
			out = append(out, textIn(a)+" "+attr(a, "href"))
		}
		return strings.Join(out, "\n")
	}
	want := "100 /sessions?from=2026-11-01&rows=100&to=2026-11-20\n500 /sessions?from=2026-11-01&rows=500&to=2026-11-20\n" +
		"Next /sessions?cursor=next-cursor&from=2026-11-01&to=2026-11-20\nExport this view as CSV /sessions/playback/export.csv?from=2026-11-01&to=2026-11-20"
	if got := pager("/sessions?" + days); got != want {
		t.Errorf("the first page leads to\n%s\nwant\n%s", got, want)
	}
	f.page.Previous, f.page.Next = "before", ""
	want = "50 /sessions/streams?from=2026-11-01&to=2026-11-20\n100 /sessions/streams?from=2026-11-01&rows=100&to=2026-11-20\n" +
		"First /sessions/streams?from=2026-11-01&rows=500&to=2026-11-20\n" +
		"Previous /sessions/streams?cursor=before&from=2026-11-01&rows=500&to=2026-11-20\nExport this view as CSV /sessions/streams/export.csv?from=2026-11-01&to=2026-11-20"
	if got := pager("/sessions/streams?rows=500&cursor=a&" + days); got != want {
		t.Errorf("the last page leads to\n%s\nwant\n%s", got, want)
	}
	if v := f.views[1]; v.Cursor != "a" || v.Limit != 500 {
		t.Errorf("asked was for %+v", v)
	}
	f.page.Rows = nil
	if doc := parsed(t, s.get("/sessions?cursor=a&"+days, filmsToken, 200, asBrowser...)); linksOf(t, doc)["/sessions?"+days] != "Begin with its first page" {
		t.Error("an empty page does not lead to the first")
	}
}

// TestHowManyRowsAListHas: where it is not known, nothing is said of it.
func TestHowManyRowsAListHas(t *testing.T) {
	tests := []struct {
		name, path, want string
		rows             int64
		page             func(*statistics.Page)
		asks             bool
	}{
		{"viewers, as they were counted", "/sessions/users", "Viewers 1,855 Sessions", 1855, func(*statistics.Page) {}, true},
		{"streams", "/sessions/streams", "Streams 7 Sessions", 7, func(*statistics.Page) {}, true},
		{"servers", "/sessions/servers", "Servers 7 Sessions", 7, func(*statistics.Page) {}, true},
		{"unique sessions", "/sessions/unique", "Unique sessions 7 Sessions", 7, func(*statistics.Page) {}, true},
		{"not known", "/sessions/users", "Sessions 1,234", 0, func(*statistics.Page) {}, true},
		{"a page that is all there is", "/sessions/users", "Viewers 2 Sessions", 9, func(p *statistics.Page) { p.Next = "" }, false},
		{"the last page of several", "/sessions/users", "Viewers 9 Sessions", 9, func(p *statistics.Page) { p.Previous, p.Next = "before", "" }, true},
		{"sessions are counted in any case", "/sessions", "Sessions 1,234", 7, func(*statistics.Page) {}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, f := serveStatistics(t)
			f.rows = tt.rows
			tt.page(&f.page)
			got := textIn(byID(parsed(t, s.get(tt.path+"?"+days, filmsToken, 200, asBrowser...)), "results"))
			if !strings.HasPrefix(got, tt.want) || slices.Contains(f.asked, "rows") != tt.asks {
				t.Errorf("it says %.80s, want %s; asked was for %v", got, tt.want, f.asked)
			}
		})
	}
}

func TestPartsOfThePageAreAskedForAlone(t *testing.T) {
	s, f := serveStatistics(t)
	tests := []struct {
		target    string
		has, lack []string
		asked     string
	}{
		{"results", []string{`id="sessions-table"`, "totals", "pager"}, []string{"<html", "<form", "subtabs", "<title"}, "[state sessions totals rows]"},
		{"view", []string{`id="sessions-table"`, "<form", "subtabs", "<title>By users · Sessions · Playmeter</title>", `id="results"`}, []string{"<html", `id="view"`}, "[state sessions totals rows choices]"},
		{"other", []string{"<html", `id="view"`}, nil, "[state sessions totals rows choices]"},
	}
	for _, tt := range tests {
		f.asked = nil
		got := s.get("/sessions/users?stream=&user=anna&"+days, filmsToken, 200, "HX-Request", "true", "HX-Target", tt.target, "Accept", "*/*")
		for _, text := range tt.has {
			if !strings.Contains(got.Body.String(), text) {
				t.Errorf("%s lacks %q", tt.target, text)
			}
		}
		for _, text := range tt.lack {
			if strings.Contains(got.Body.String(), text) {
				t.Errorf("%s has %q", tt.target, text)
			}
		}
		if to := got.Header().Get("HX-Push-Url"); to != "/sessions/users?from=2026-11-01&to=2026-11-20&user=anna" {
			t.Errorf("%s: the address becomes %s", tt.target, to)
		}
		if fmt.Sprint(f.asked) != tt.asked {
			t.Errorf("%s asks for %v, want %s", tt.target, f.asked, tt.asked)
		}
	}
}

func TestRowsOfSeveralTenantsSayWhose(t *testing.T) {
	w := sampleWorld(t)
	s, _ := serveStatistics(t)
	doc := parsed(t, s.get("/sessions?"+days, adminToken, 200, asBrowser...))
	if got := rowsOf(doc, "sessions-table")[0][0]; got != "Title of a "+w.Tenants[0].Name+" · iq__a" {
		t.Errorf("the stream is %q", got)
	}
	if linksOf(t, doc)["/sessions?from=2026-11-01&object=iq__a&tenant="+string(w.films)+"&to=2026-11-20"] == "" {
		t.Error("its link does not keep to the tenant")
	}
	doc = parsed(t, s.get("/sessions?tenant="+string(w.films)+"&"+days, adminToken, 200, asBrowser...))
	if got := rowsOf(doc, "sessions-table")[0][0]; got != "Title of a iq__a" {
		t.Errorf("of one tenant, the stream is %q", got)
	}
	if attr(byID(doc, "filter-tenant"), "name") != "tenant" {
		t.Error("no other tenant can be chosen")
	}
	if doc := parsed(t, s.get("/sessions?"+days, filmsToken, 200, asBrowser...)); byID(doc, "filter-tenant").Data != "" {
		t.Error("a tenant can choose others")
	}
}

func TestHostileTextsAreTextsInTheLists(t *testing.T) {
	for _, text := range hostile {
		s, f := serveStatistics(t)
		f.page.Rows = f.page.Rows[:1]
		r := &f.page.Rows[0]
		r.Stream, r.Protocol, r.Server, r.Host, r.ServerIP, r.Country, r.IP, r.User, r.Agent, r.Referrer = text, text, text, text, text, text, text, text, text, text
		r.Object = "iq__a"
		f.choices = statistics.Choices{Protocols: []string{text}, Countries: []string{text}, Platforms: []string{text}, Systems: []string{text}, Servers: []statistics.ServerName{{ID: text, Host: text + text}}}
		shown := strings.Join(strings.Fields(strings.ReplaceAll(text, "\x00", "\ufffd")), " ")
		for _, tab := range statistics.Tabs {
			doc := parsed(t, s.get(tabPath(tab)+"?"+days, filmsToken, 200, asBrowser...))
			checkPage(t, doc)
			found := 0
			for _, row := range rowsOf(doc, "sessions-table") {
				for _, c := range row {
					if strings.HasPrefix(c, shown) {
						found++
					}
				}
			}
			if found == 0 {
				t.Errorf("%s does not show %.40q", tab, text)
			}
		}
		if len(text) <= 1024 && !strings.Contains(text, "\x00") && strings.TrimSpace(text) != "" {
			values := url.Values{"from": {"2026-11-01"}, "user": {text}, "stream": {text}, "server": {text}, "region": {text}, "agent": {text}}
			filter, _ := statistics.ParseFilter(values)
			if got := s.get("/sessions?"+filter.Values().Encode(), filmsToken, 200, asBrowser...); !strings.Contains(textIn(parsed(t, got)), "User: "+strings.Join(strings.Fields(text), " ")) {
				t.Errorf("the chip does not show %q", text)
			}
		}
	}
}

func TestPagesAnswerHead(t *testing.T) {
	s, _ := serveStatistics(t)
	for _, path := range []string{"/", "/sessions?" + days, "/sessions/users/export.csv?" + days} {
		if got := s.ask(http.MethodHead, path, filmsToken, asBrowser...); got.Code != 200 || got.Body.Len() > 0 {
			t.Errorf("HEAD %s: %d, %d bytes", path, got.Code, got.Body.Len())
		}
	}
}
