package web

import (
	"context"
	"io"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/html"

	"github.com/playmeter/playmeter/crypto"
	"github.com/playmeter/playmeter/schemas"
	"github.com/playmeter/playmeter/statistics"
)

// fakeStatistics answer with what they are given, and remember what they were asked.
type fakeStatistics struct {
	mu        sync.Mutex
	states    []statistics.MonthState
	dashboard statistics.Dashboard
	page      statistics.Page
	totals    statistics.Totals
	rows      int64 // of every list; 0: it is not known how many
	choices   statistics.Choices
	csv       []string             // pieces of an export
	err       error                // of every question
	errAfter  error                // of an export, after its pieces
	progress  *statistics.Progress // nil: all is loaded
	meanwhile func()               // happens before an export's rows are read

	asked  []string
	scopes []statistics.Scope
	views  []statistics.View
	months []schemas.Period
}

func (f *fakeStatistics) Progress() statistics.Progress {
	if f.progress == nil {
		return statistics.Progress{Passed: time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)}
	}
	return *f.progress
}

func (f *fakeStatistics) ask(what string, scope statistics.Scope) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked = append(f.asked, what)
	f.scopes = append(f.scopes, scope)
	return f.err
}

func (f *fakeStatistics) Sessions(_ context.Context, scope statistics.Scope, v statistics.View) (*statistics.Page, error) {
	f.views = append(f.views, v)
	p := f.page
	p.Columns = v.Tab.Columns()
	return &p, f.ask("sessions", scope)
}

func (f *fakeStatistics) Totals(_ context.Context, scope statistics.Scope, _ statistics.Filter) (statistics.Totals, error) {
	return f.totals, f.ask("totals", scope)
}

func (f *fakeStatistics) Rows(_ context.Context, scope statistics.Scope, _ statistics.View) (int64, bool, error) {
	return f.rows, f.rows > 0, f.ask("rows", scope)
}

func (f *fakeStatistics) Export(_ context.Context, scope statistics.Scope, v statistics.View, w io.Writer) error {
	f.views = append(f.views, v)
	if err := f.ask("export", scope); err != nil {
		return err
	}
	if f.meanwhile != nil {
		f.meanwhile()
	}
	for _, piece := range f.csv {
		if _, err := io.WriteString(w, piece); err != nil {
			return err
		}
	}
	return f.errAfter
}

func (f *fakeStatistics) Dashboard(_ context.Context, scope statistics.Scope, p schemas.Period) (*statistics.Dashboard, error) {
	f.months = append(f.months, p)
	d := f.dashboard
	d.Period = p
	return &d, f.ask("dashboard", scope)
}

func (f *fakeStatistics) Choices(_ context.Context, scope statistics.Scope, _ statistics.Filter) (*statistics.Choices, error) {
	return &f.choices, f.ask("choices", scope)
}

func (f *fakeStatistics) State(_ context.Context, scope statistics.Scope) ([]statistics.MonthState, error) {
	return f.states, f.ask("state", scope)
}

// sampleStatistics are of November, with something in every list.
func sampleStatistics(w *world) *fakeStatistics {
	f := &fakeStatistics{totals: statistics.Totals{Sessions: 1234, Views: 1200, Bytes: 5_000_000_000, Micros: 7_200_000_000}}
	at := time.Date(2026, 11, 20, 8, 55, 0, 0, time.UTC)
	f.states = []statistics.MonthState{
		{Tenant: w.films, Period: november, Run: w.current, AsOf: at, Rows: 1234, Named: 1234, Loaded: at.Add(time.Minute)},
		{Tenant: w.films, Period: october, Run: w.final, AsOf: at.AddDate(0, -1, 0), Rows: 10, Named: 10, Loaded: at},
	}
	ranked := func(ids ...string) (out []statistics.Ranked) {
		for i, id := range ids {
			n := int64(len(ids) - i)
			out = append(out, statistics.Ranked{ID: id, Name: "Name of " + id, Bytes: n * 1_000_000_000, Micros: n * 3_600_000_000, Views: n, Sessions: n + 1})
		}
		return out
	}
	d := &f.dashboard
	d.Totals, d.Viewers, d.Months = f.totals, 321, f.states[:1]
	d.StreamsByView, d.StreamsByTraffic = ranked("iq__a", "iq__b"), ranked("iq__b", "iq__a")
	for _, list := range [][]statistics.Ranked{d.StreamsByView, d.StreamsByTraffic} {
		for i := range list {
			list[i].Tenant = w.films
		}
	}
	d.ServersByTraffic, d.ServersByView = ranked("inod1", "inod2"), ranked("inod2", "inod1")
	d.Split = statistics.Split{HiClear: 1_800_000_000, HiDRM: 3_600_000_000, MdClear: 900_000_000, AudioClear: 900_000_000}
	d.Days = []statistics.DaySum{{Day: schemas.DayOf(november.Start().UnixNano()), Totals: statistics.Totals{Sessions: 4, Views: 3, Bytes: 2, Micros: 1_000_000}, Split: d.Split}}
	d.Devices = []statistics.DeviceSum{{Platform: "Television", OS: "Tizen", Totals: f.totals}, {Totals: statistics.Totals{Sessions: 1, Micros: 5}}}
	d.Tiers = []statistics.TierSum{{Platform: "Television", Sessions: 9, Split: d.Split}, {Sessions: 1, Split: statistics.Split{LoClear: 5}}}
	d.Places = []statistics.PlaceSum{
		{Country: "DE", Region: "Bavaria", City: "Munich", ServerRegion: "eu-west", Totals: statistics.Totals{Sessions: 2, Views: 2, Bytes: 20, Micros: 7_000_000}},
		{Country: "DE", Region: "Bavaria", City: "Augsburg", ServerRegion: "us-east", Totals: statistics.Totals{Sessions: 1, Views: 1, Bytes: 10, Micros: 5_000_000}},
		{Country: "JP", ServerRegion: "us-east", Totals: statistics.Totals{Sessions: 1, Views: 1, Bytes: 10, Micros: 6_000_000}},
		{Totals: statistics.Totals{Sessions: 1, Bytes: 1, Micros: 1}},
	}
	f.choices = statistics.Choices{Protocols: []string{"hls", "dash"}, Countries: []string{"JP", "DE"}, Platforms: []string{"Television"}, Systems: []string{"Tizen"},
		Servers: []statistics.ServerName{{ID: "inod1", Host: "edge-1"}, {ID: "inod2", Host: "inod2"}}}
	f.page = statistics.Page{Next: "next-cursor", Rows: []statistics.Row{
		{Tenant: w.films, Stream: "Title of a", Object: "iq__a", Protocol: "hls", Server: "inod1", Host: "edge-1", ServerIP: "192.0.2.1", Country: "DE", IP: "203.0.113.7", User: "anna",
			Agent: "Player/1.0", Referrer: "https://example.com/watch", Created: time.Date(2026, 11, 2, 3, 4, 5, 678e6, time.UTC), Bytes: 1_250_000_000, Micros: 300_300_000, Views: 7, Joined: 3,
			OtherIPs: 2, OtherAgents: 1, OtherReferrers: 3},
		{Tenant: w.films, Stream: "iq__b", Object: "iq__b", Server: "inod2", Created: time.Date(2026, 11, 3, 0, 0, 0, 0, time.UTC), IP: "2001:db8::1"},
	}}
	return f
}

// serveStatistics is a site with these statistics.
func serveStatistics(t testing.TB) (*served, *fakeStatistics) {
	f := sampleStatistics(sampleWorld(t))
	s := serveWorld(t)
	s.Statistics = f
	return s, f
}

// asBrowser asks as a browser does.
var asBrowser = []string{"Accept", "text/html,*/*"}

// parsed is a page as a browser sees it.
func parsed(t testing.TB, w *httptest.ResponseRecorder) *html.Node {
	t.Helper()
	doc, err := html.Parse(strings.NewReader(w.Body.String()))
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

// all finds elements.
func all(n *html.Node, match func(*html.Node) bool) (found []*html.Node) {
	for d := range n.Descendants() {
		if d.Type == html.ElementNode && match(d) {
			found = append(found, d)
		}
	}
	return found
}

// tag matches elements of a name that have an attribute; "": any.
func tag(name, attribute string) func(*html.Node) bool {
	return func(n *html.Node) bool {
		return n.Data == name && (attribute == "" || slices.ContainsFunc(n.Attr, func(a html.Attribute) bool { return a.Key == attribute }))
	}
}

func byID(n *html.Node, id string) *html.Node {
	if found := all(n, func(n *html.Node) bool { return attr(n, "id") == id }); len(found) == 1 {
		return found[0]
	}
	return &html.Node{}
}

func attr(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

// textIn is the text below an element, spaces between its parts.
func textIn(n *html.Node) string {
	var b strings.Builder
	for d := range n.Descendants() {
		if d.Type == html.TextNode && attr(d.Parent, "class") != "exact" { // which stands in the place of another text
			b.WriteString(" " + d.Data)
		}
	}
	return strings.Join(strings.Fields(b.String()), " ")
}

// checkPage is what holds of every page: nothing that stands in it runs, nothing leads elsewhere, no id is there twice.
func checkPage(t testing.TB, doc *html.Node) {
	t.Helper()
	ids := make(map[string]bool)
	for _, n := range all(doc, func(*html.Node) bool { return true }) {
		for _, a := range n.Attr {
			switch {
			case strings.HasPrefix(a.Key, "on"), a.Key == "style", a.Key == "srcdoc":
				t.Errorf("<%s> has the attribute %s=%q", n.Data, a.Key, a.Val)
			case a.Key == "id" && ids[a.Val]:
				t.Errorf("the id %q is there twice", a.Val)
			case a.Key == "id":
				ids[a.Val] = true
			case (a.Key == "href" || a.Key == "src" || a.Key == "action") && !strings.HasPrefix(a.Val, "/") && !strings.HasPrefix(a.Val, "#"):
				t.Errorf("<%s> leads elsewhere: %.60s", n.Data, a.Val)
			case (a.Key == "aria-describedby" || a.Key == "aria-labelledby") && byID(doc, a.Val).Data == "":
				t.Errorf("<%s> names %q, which is not there", n.Data, a.Val)
			}
		}
		if n.Data == "style" || n.Data == "iframe" || n.Data == "img" || n.Data == "b" {
			t.Errorf("there is a <%s>", n.Data)
		}
		if n.Data == "script" && attr(n, "src") == "" && attr(n, "type") != "application/json" {
			t.Errorf("there is a script in the page: %s", textIn(n))
		}
	}
}

// TestWhoIsToldThatSessionsAreBeingLoaded: numbers of all tenants are for administrators alone.
func TestWhoIsToldThatSessionsAreBeingLoaded(t *testing.T) {
	passed := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	for _, tt := range []struct {
		name          string
		p             statistics.Progress
		admin, tenant string
	}{
		{"nothing is to be said once all is there", statistics.Progress{Passed: passed}, "", ""},
		{"before that, everybody is told", statistics.Progress{}, "The statistics are being loaded", "The statistics are being loaded"},
		{"how many there are, administrators alone", statistics.Progress{Loading: true, Rows: 1234, Of: 5678, Passed: passed}, "1,234 of 5,678", ""},
		{"and what is in the way", statistics.Progress{Difficulty: "iten9 2026-10: away", Passed: passed}, "iten9 2026-10: away", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			v := (&Site{Statistics: &fakeStatistics{progress: &tt.p}}).service()
			local := &request{caller: caller{local: true}}
			tenant := &request{caller: caller{signed: true, token: crypto.Token{Role: crypto.RoleTenant, Tenant: "iten1"}}}
			for who, want := range map[*request]string{local: tt.admin, tenant: tt.tenant} {
				if got := strings.Join(v.loadingNotes(who), " "); want == "" && got != "" || !strings.Contains(got, want) {
					t.Errorf("told %q, want %q", got, want)
				}
			}
		})
	}
}
