package web

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"github.com/playmeter/playmeter/schemas"
	"github.com/playmeter/playmeter/statistics"
)

// links are the addresses that a page leads to, and those of its charts, with what they are on.
func linksOf(t testing.TB, doc *html.Node) map[string]string {
	t.Helper()
	links := make(map[string]string)
	for _, n := range all(doc, tag("a", "href")) {
		links[attr(n, "href")] = textIn(n)
	}
	for _, n := range all(doc, tag("script", "id")) {
		var data chartData
		if err := json.Unmarshal([]byte(textIn(n)), &data); err != nil {
			t.Fatalf("%s: %v", attr(n, "id"), err)
		}
		for _, link := range data.Links {
			links[link] = attr(n, "id")
		}
		for _, s := range data.Series {
			for _, link := range s.Links {
				links[link] = attr(n, "id")
			}
		}
	}
	delete(links, "")
	return links
}

func TestEveryLinkOfTheDashboardSelectsWhatItSays(t *testing.T) {
	s, f := serveStatistics(t)
	days := "from=2026-11-01&to=2026-11-30"
	doc := parsed(t, s.get("/", filmsToken, 200, asBrowser...))
	checkPage(t, doc)
	links := linksOf(t, doc)
	for _, want := range []struct{ on, link string }{
		{"1,234", "/sessions?" + days},
		{"1,200", "/sessions?from=2026-11-01&to=2026-11-30&watched=yes"},
		{"321", "/sessions/users?" + days},
		{"2 h", "/sessions?from=2026-11-01&order=desc&sort=view_time&to=2026-11-30"},
		{"5.00 GB", "/sessions?from=2026-11-01&order=desc&sort=traffic&to=2026-11-30"},
		{"Name of iq__a", "/sessions?from=2026-11-01&object=iq__a&to=2026-11-30"},
		{"Name of inod2", "/sessions/servers?from=2026-11-01&order=desc&server=inod2&sort=traffic&to=2026-11-30"},
		{"Clear", "/sessions?drm=clear&" + days},
		{"DRM", "/sessions?drm=drm&" + days},
		{"Hi (4K)", "/sessions?from=2026-11-01&tier=hi&to=2026-11-30"},
		{"Size not known", "/sessions?from=2026-11-01&tier=unclassified&to=2026-11-30"},
		{"Sound alone", "/sessions?from=2026-11-01&tier=audio&to=2026-11-30"},
		{"days-data", "/sessions?from=2026-11-01&to=2026-11-01"},
		{"Television", "/sessions?from=2026-11-01&platform=Television&to=2026-11-30"},
		{"Tizen", "/sessions?from=2026-11-01&os=Tizen&platform=Television&to=2026-11-30"},
		{"unknown", "/sessions?from=2026-11-01&os=-&platform=-&to=2026-11-30"},
		{"device-tiers-data", "/sessions?from=2026-11-01&platform=Television&tier=hi&to=2026-11-30"},
		{"countries-data", "/sessions?country=JP&" + days},
		{"unknown", "/sessions?country=-&" + days},
		{"Bavaria", "/sessions?country=DE&from=2026-11-01&region=Bavaria&to=2026-11-30"},
		{"unknown", "/sessions?country=JP&from=2026-11-01&region=-&to=2026-11-30"},
		{"Augsburg", "/sessions?city=Augsburg&country=DE&from=2026-11-01&region=Bavaria&to=2026-11-30"},
		{"us-east", "/sessions?country=DE&from=2026-11-01&region=Bavaria&server_region=us-east&to=2026-11-30"},
	} {
		if on, ok := links[want.link]; !ok || on != want.on && !strings.Contains(on, want.on) {
			t.Errorf("%s leads not to %s: that is %q", want.on, want.link, on)
		}
	}
	followed := 0
	for link := range links {
		if !strings.HasPrefix(link, pathSessions) {
			continue
		}
		followed++
		to, err := url.Parse(link)
		if err != nil {
			t.Fatal(err)
		}
		filter, err := statistics.ParseFilter(to.Query())
		if err != nil {
			t.Errorf("%s: %v", link, err)
		}
		f.views = nil
		s.get(link, filmsToken, map[bool]int{true: 303, false: 200}[link == pathSessions], asBrowser...)
		if link != pathSessions && (len(f.views) != 1 || !reflect.DeepEqual(f.views[0].Filter, filter)) {
			t.Errorf("%s asks for %+v", link, f.views)
		}
	}
	if followed < 40 {
		t.Errorf("only %d links lead to sessions", followed)
	}
}

func TestDashboardShowsEveryFigure(t *testing.T) {
	s, f := serveStatistics(t)
	doc := parsed(t, s.get("/?month=2026-11", filmsToken, 200, asBrowser...))
	for id, want := range map[string][]string{
		"main":                 {"November 2026", "as of 2026-11-20 08:55:00 UTC", "loaded 4 minutes ago", "Sessions 1,234", "Unique viewers 321", "Views 1,200", "View time 2 h", "Traffic 5.00 GB"},
		"streams-by-view-time": {"Name of iq__a 2 views 2 h Name of iq__b 1 view 1 h"},
		"streams-by-traffic":   {"Name of iq__b 2 views 2.00 GB Name of iq__a 1 view 1.00 GB"},
		"servers-by-traffic":   {"Name of inod1 2 views 2.00 GB"},
		"servers-by-view-time": {"Name of inod2 2 views 2 h"},
		"days":                 {"2026-11-01 1 s 2 B 3 4"},
		"protection":           {"Clear 50 % 1 h", "DRM 50 % 1 h"},
		"quality":              {"Hi (4K) 75 % · clear 30 min · DRM 1 h 1 h 30 min", "Md (HD) 12.5 %", "Lo (SD) 0 % 0 s"},
		"devices":              {"Television Tizen 2 h 5.00 GB 1,200 1,234"},
		"device-tiers-table":   {"Television 1 h 30 min 15 min 0 s 0 s 15 min"},
		"countries-table":      {"Germany 12 s 30 B 3 3 Japan 6 s 10 B 1 1 unknown"},
		"regions-table":        {"Germany Bavaria 12 s 30 B 3 3 Japan unknown 6 s"},
		"cities-table":         {"Germany Bavaria Munich 7 s 20 B 2 2 Japan unknown unknown 6 s 10 B 1 1 Germany Bavaria Augsburg 5 s"},
		"server-regions-table": {"Germany Bavaria eu-west 7 s 20 B 2 2 Japan unknown us-east 6 s 10 B 1 1 Germany Bavaria us-east 5 s"},
	} {
		got := textIn(byID(doc, id))
		for _, text := range want {
			if !strings.Contains(got, text) {
				t.Errorf("%s lacks %q: %s", id, text, got)
			}
		}
	}
	if !slices.Equal(f.asked, []string{"state", "dashboard"}) {
		t.Errorf("asked were %v", f.asked)
	}
}

// TestWhatIsNotGrantedIsNotInThePage: a token for usage alone learns of no viewer, device, place, server or session.
func TestWhatIsNotGrantedIsNotInThePage(t *testing.T) {
	s, f := serveStatistics(t)
	f.dashboard.Months = []statistics.MonthState{{Tenant: f.states[0].Tenant, Period: november, Run: f.states[0].Run, AsOf: f.states[0].AsOf, Rows: 1234, Named: 98765}}
	got := s.get("/", usageToken, 200, asBrowser...)
	doc := parsed(t, got)
	checkPage(t, doc)
	for _, id := range []string{"streams-by-view-time", "streams-by-traffic", "days", "protection", "quality"} {
		if byID(doc, id).Data == "" {
			t.Errorf("%s is missing", id)
		}
	}
	for _, secret := range []string{"/sessions", "1,234", "1234", "321", "98765", "97,531", "inod1", "Television", "Tizen", "Germany", "DE\"", "Munich", "us-east", "viewers", "Sessions", "Devices"} {
		if strings.Contains(got.Body.String(), secret) {
			t.Errorf("the page has %q", secret)
		}
	}
	if !strings.Contains(got.Body.String(), "removed because of its age") {
		t.Error("nothing is said of what was removed")
	}
	for token, status := range map[string]int{usageToken: 403, reportsOfNone: 403, nodeToken: 403, filmsToken: 200, sessionsToken: 200, adminToken: 200} {
		for _, path := range []string{"/sessions", "/sessions/streams", "/sessions/users", "/sessions/playback/export.csv"} {
			path += "?from=2026-11-01"
			answer := s.get(path, token, status, asBrowser...)
			if token == usageToken && !strings.Contains(answer.Body.String(), "not for the sessions report") {
				t.Errorf("%s: %s", path, answer.Body)
			}
		}
	}
}

func TestWhoseStatisticsAreShown(t *testing.T) {
	w := sampleWorld(t)
	tests := []struct {
		name, path, token string
		status            int
		want              statistics.Scope
	}{
		{"an admin sees all", "/", adminToken, 200, statistics.Scope{All: true}},
		{"an admin chooses all with the form", "/?tenant=&month=", adminToken, 200, statistics.Scope{All: true}},
		{"an admin chooses one", "/?tenant=" + string(w.sports), adminToken, 200, statistics.Of(w.sports)},
		{"an admin chooses one of sessions", "/sessions?from=2026-11-01&tenant=" + string(w.sports), adminToken, 200, statistics.Of(w.sports)},
		{"an admin names a tenant that left", "/?tenant=" + formerTenants, adminToken, 200, statistics.Of(formerTenants)},
		{"an admin names what is none", "/?tenant=bad!id", adminToken, 404, statistics.Scope{}},
		{"a tenant sees itself", "/", filmsToken, 200, statistics.Of(w.films)},
		{"a tenant names itself", "/sessions?from=2026-11-01&tenant=" + string(w.films), filmsToken, 303, statistics.Scope{}},
		{"a tenant that left the configuration", "/", goneToken, 200, statistics.Of(formerTenants)},
		{"another's dashboard", "/?tenant=" + string(w.sports), filmsToken, 404, statistics.Scope{}},
		{"another's sessions", "/sessions/users?from=2026-11-01&tenant=" + string(w.sports), filmsToken, 404, statistics.Scope{}},
		{"another's export", "/sessions/users/export.csv?from=2026-11-01&tenant=" + string(w.sports), filmsToken, 404, statistics.Scope{}},
		{"nobody's", "/?tenant=nobody", filmsToken, 404, statistics.Scope{}},
		{"two tenants", "/?tenant=" + string(w.films) + "&tenant=" + string(w.sports), filmsToken, 400, statistics.Scope{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, f := serveStatistics(t)
			got := s.get(tt.path, tt.token, tt.status, asBrowser...)
			for _, scope := range f.scopes {
				if tt.status != 200 || !reflect.DeepEqual(scope, tt.want) {
					t.Errorf("asked was for %+v, want %+v", scope, tt.want)
				}
			}
			if tt.status == 200 && len(f.scopes) == 0 {
				t.Error("nothing was asked")
			}
			if tt.token != adminToken && strings.Contains(strings.ReplaceAll(leakable(got), tt.path, ""), string(w.sports)) {
				t.Error("the answer names another tenant")
			}
		})
	}
}

func TestAnAdminsLinksKeepToTheTenant(t *testing.T) {
	w := sampleWorld(t)
	s, _ := serveStatistics(t)
	for link := range linksOf(t, parsed(t, s.get("/?month=2026-11&tenant="+string(w.films), adminToken, 200, asBrowser...))) {
		if strings.HasPrefix(link, "/sessions?") && !strings.Contains(link, "tenant="+string(w.films)) {
			t.Errorf("%s leaves the tenant", link)
		}
	}
	doc := parsed(t, s.get("/", adminToken, 200, asBrowser...))
	links := linksOf(t, doc)
	for link, want := range map[string]bool{
		"/sessions?from=2026-11-01&object=iq__a&tenant=" + string(w.films) + "&to=2026-11-30": true, "/sessions/servers?from=2026-11-01&order=desc&server=inod1&sort=traffic&to=2026-11-30": true,
		"/sessions?from=2026-11-01&to=2026-11-30": true,
	} {
		if _, ok := links[link]; ok != want {
			t.Errorf("of all tenants, %s is there: %t", link, ok)
		}
	}
	if got := textIn(byID(doc, "streams-by-view-time")); !strings.Contains(got, w.Tenants[0].Name) {
		t.Errorf("whose the streams are is not said: %s", got)
	}
	if got := textIn(byID(doc, "main")); !strings.Contains(got, "All tenants") || !strings.Contains(got, "object store") {
		t.Errorf("the page says %s", got)
	}
}

func TestMonthsOfTheDashboard(t *testing.T) {
	tests := []struct {
		name, path string
		states     []schemas.Period
		status     int
		month      schemas.Period
		says       string
	}{
		{"this month where it has something", "/", []schemas.Period{october, november}, 200, november, "November 2026"},
		{"the newest that has, and why", "/", []schemas.Period{october}, 200, october, "Nothing is known of November 2026 yet, so this is October 2026."},
		{"this month where none has", "/", nil, 200, november, "November 2026"},
		{"the one asked for", "/?month=2026-10", []schemas.Period{october, november}, 200, october, "October 2026"},
		{"one without anything", "/?month=2024-02", []schemas.Period{november}, 200, schemas.PeriodOf(schemas.PeriodOf(october.Start().AddDate(-2, -8, 0)).Start()), "February 2024"},
		{"what is no month", "/?month=2026-13", nil, 400, schemas.Period{}, "Write the month as YYYY-MM"},
		{"what is no month either", "/?month=%3Cscript%3E", nil, 400, schemas.Period{}, "Write the month as YYYY-MM"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, f := serveStatistics(t)
			f.states = nil
			for _, p := range tt.states {
				f.states = append(f.states, statistics.MonthState{Tenant: "t", Period: p})
			}
			got := s.get(tt.path, filmsToken, tt.status, asBrowser...)
			if !strings.Contains(textIn(parsed(t, got)), tt.says) {
				t.Errorf("the page does not say %q", tt.says)
			}
			if tt.status == 200 && (len(f.months) != 1 || f.months[0] != tt.month) {
				t.Errorf("asked was for %v, want %v", f.months, tt.month)
			}
		})
	}
}

func TestAnEmptyMonthLeadsToOneThatIsNot(t *testing.T) {
	s, f := serveStatistics(t)
	f.dashboard = statistics.Dashboard{}
	doc := parsed(t, s.get("/?month=2026-11", filmsToken, 200, asBrowser...))
	if text := textIn(doc); !strings.Contains(text, "Nothing in November 2026") || strings.Contains(text, "Top streams") {
		t.Errorf("the page says %s", text)
	}
	if linksOf(t, doc)["/?month=2026-10"] == "" {
		t.Error("nothing leads to October")
	}
}

// TestAMonthWithRunsAndWithoutSessions is known, and says how it stands.
func TestAMonthWithRunsAndWithoutSessions(t *testing.T) {
	november20 := november.Start().AddDate(0, 0, 19)
	tests := []struct {
		name   string
		months []statistics.MonthState
		says   []string
		lacks  string
	}{
		{"none was loaded", nil, []string{"Nothing in November 2026", "No session of this month is known."}, "as of"},
		{"the month is open", []statistics.MonthState{{AsOf: november20}}, []string{"No sessions in November 2026", "as of 2026-11-20 00:00:00 UTC, run r1", "is not final yet"}, "is known"},
		{"the month is final", []statistics.MonthState{{AsOf: november.End().AddDate(0, 1, 0)}}, []string{"No sessions in November 2026", "as of 2027-01-01", "The month is final, and its reports have none."}, "next"},
		{"one is final, one is not", []statistics.MonthState{{AsOf: november.End().AddDate(0, 1, 0)}, {Run: "r2", AsOf: november20}}, []string{"is not final yet"}, "its reports have none"},
		{"all were removed", []statistics.MonthState{{AsOf: november20, Named: 98765}}, []string{"removed because of its age"}, "98"},
	}
	for _, tt := range tests {
		for _, token := range []string{filmsToken, usageToken} {
			t.Run(tt.name, func(t *testing.T) {
				s, f := serveStatistics(t)
				for i := range tt.months {
					m := &tt.months[i]
					m.Tenant, m.Period, m.Run = f.states[0].Tenant, november, cmp.Or(m.Run, "r1")
				}
				f.dashboard = statistics.Dashboard{Months: tt.months}
				f.states = slices.Concat(tt.months, []statistics.MonthState{{Period: october}, {Period: october.Previous(), Rows: 1}})
				doc := parsed(t, s.get("/?month=2026-11", token, 200, asBrowser...))
				checkPage(t, doc)
				got := textIn(byID(doc, "main"))
				for _, want := range tt.says {
					if !strings.Contains(got, want) {
						t.Errorf("the page lacks %q: %s", want, got)
					}
				}
				if strings.Contains(got, tt.lacks) {
					t.Errorf("the page has %q: %s", tt.lacks, got)
				}
				if links := linksOf(t, doc); links["/?month=2026-09"] != "Show September 2026" {
					t.Errorf("it does not lead to the newest month that has sessions: %v", links)
				}
			})
		}
	}
}

// TestViewersAreThoseOfTheSessions beside them, or are not told.
func TestViewersAreThoseOfTheSessions(t *testing.T) {
	const waits = "Unique viewers – counted when all sessions are loaded"
	tests := []struct {
		name     string
		rows     []int64 // of the months that are there; the days have 1,234 sessions
		changing bool
		want     string
	}{
		{"all of the only tenant is there", []int64{1234}, false, "Unique viewers 321"},
		{"all of every tenant is there", []int64{1000, 234, 0}, false, "Unique viewers 321"},
		{"nothing is whole yet", nil, false, waits},
		{"one tenant of two is whole", []int64{1000}, false, waits},
		{"days of a newer run are there", []int64{1200, 30}, false, waits},
		{"days of a newer run have fewer sessions", []int64{1300}, false, waits},
		{"days of a newer run have as many sessions", []int64{1234}, true, waits},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, f := serveStatistics(t)
			f.dashboard.Months = nil
			for _, n := range tt.rows {
				f.dashboard.Months = append(f.dashboard.Months, statistics.MonthState{Period: november, Rows: n, Named: n, Run: "r", Changing: tt.changing})
			}
			if got := textIn(byID(parsed(t, s.get("/?month=2026-11", adminToken, 200, asBrowser...)), "main")); !strings.Contains(got, tt.want) {
				t.Errorf("the page lacks %q: %s", tt.want, got)
			}
		})
	}
}

// TestARestatedMonthSaysSo, and that the reports of the final one are others.
func TestARestatedMonthSaysSo(t *testing.T) {
	s, f := serveStatistics(t)
	m := f.states[0]
	for number, want := range map[int64][]string{0: nil, 2: {"restatement 2", "The report of the final month stays what it was", "--restatement 2"}} {
		m.Restatement = number
		f.dashboard.Months = []statistics.MonthState{m}
		got := textIn(byID(parsed(t, s.get("/?month=2026-11", filmsToken, 200, asBrowser...)), "main"))
		for _, text := range want {
			if !strings.Contains(got, text) {
				t.Errorf("restatement %d: the page lacks %q: %s", number, text, got)
			}
		}
		if number == 0 && strings.Contains(got, "restate") {
			t.Errorf("the page of a month that was not restated says %s", got)
		}
	}
}

// TestExactValuesAreOnThePage, also where a note has them: no pointer is needed for them.
func TestExactValuesAreOnThePage(t *testing.T) {
	s, _ := serveStatistics(t)
	doc := parsed(t, s.get("/?month=2026-11", filmsToken, 200, asBrowser...))
	if attr(byID(doc, "exact"), "type") != "checkbox" {
		t.Error("nothing turns them on")
	}
	for id, want := range map[string]string{
		"main": "5,000,000,000 bytes", "streams-by-view-time": "7,200 s", "servers-by-traffic": "2,000,000,000 bytes", "days-table": "2 bytes", "devices-table": "0.000005 s",
		"quality": "75 % · clear 1,800 s · DRM 3,600 s", "countries-table": "0.000001 s",
	} {
		var exact []string
		for _, n := range all(byID(doc, id), tag("span", "class")) {
			if attr(n, "class") == "exact" {
				exact = append(exact, n.FirstChild.Data)
			}
		}
		if !slices.Contains(exact, want) {
			t.Errorf("%s lacks %q: %q", id, want, exact)
		}
	}
	for _, n := range all(doc, func(n *html.Node) bool { return attr(n, "class") == "n" && attr(n, "title") != "" }) {
		if attr(n.FirstChild.NextSibling, "class") != "exact" || textIn(n) == "" {
			t.Errorf("%q is shown nowhere but to a pointer", attr(n, "title"))
		}
	}
	if byID(parsed(t, s.get("/sign-in", "", 200, asBrowser...)), "exact").Data != "" {
		t.Error("who has not signed in is offered exact values")
	}
}

func TestWhatStatisticsCannotAnswer(t *testing.T) {
	tests := []struct {
		err    error
		status int
		retry  string
		says   string
	}{
		{statistics.ErrBusy, 503, "2", "answering others"},
		{fmt.Errorf("start: %w", statistics.ErrDown), 503, "10", "Metering and reports go on"},
		{statistics.ErrTooMuch, 422, "", "Choose fewer days"},
		{statistics.ErrView, 400, "", "Begin with its first page"},
		{errors.New("select secret_column"), 503, "5", "log says more"},
	}
	for _, tt := range tests {
		for _, path := range []string{"/", "/sessions?from=2026-11-01", "/sessions/users?from=2026-11-01", "/sessions/users/export.csv?from=2026-11-01"} {
			s, f := serveStatistics(t)
			f.err = tt.err
			got := s.get(path, filmsToken, tt.status, asBrowser...)
			if got.Header().Get("Retry-After") != tt.retry || !strings.Contains(got.Body.String(), tt.says) || strings.Contains(got.Body.String(), "secret_column") {
				t.Errorf("%s, %v: Retry-After %q: %s", path, tt.err, got.Header().Get("Retry-After"), got.Body)
			}
			if got.Header().Get("Content-Disposition") != "" {
				t.Errorf("%s, %v: what is wrong is sent as a file", path, tt.err)
			}
			if path == "/sessions?from=2026-11-01" && byID(parsed(t, got), "filter-from").Data == "" {
				t.Errorf("%v: the form is gone", tt.err)
			}
		}
	}
}

func TestWithoutStatisticsThePagesSaySo(t *testing.T) {
	s := serveWorld(t)
	for _, path := range []string{"/", "/sessions?from=2026-11-01", "/sessions/unique?from=2026-11-01"} {
		if got := s.get(path, adminToken, 200, asBrowser...); !strings.Contains(got.Body.String(), "Statistics are turned off here") {
			t.Errorf("%s: %s", path, got.Body)
		}
	}
	s.get("/sessions/unique/export.csv?from=2026-11-01", adminToken, 404)
}

func TestHostileTextsAreTextsOnTheDashboard(t *testing.T) {
	s, f := serveStatistics(t)
	d := &f.dashboard
	for _, text := range hostile {
		d.StreamsByView = append(d.StreamsByView, statistics.Ranked{ID: text, Name: text, Micros: 1})
		d.ServersByView = append(d.ServersByView, statistics.Ranked{ID: text, Name: text, Micros: 1})
		d.Devices = append(d.Devices, statistics.DeviceSum{Platform: text, OS: text, Totals: statistics.Totals{Micros: 1}})
		d.Tiers = append(d.Tiers[:1], statistics.TierSum{Platform: text, Split: statistics.Split{HiDRM: 1}})
		d.Places = append(d.Places, statistics.PlaceSum{Country: text, Region: text, City: text, ServerRegion: text, Totals: statistics.Totals{Micros: 1}})
		doc := parsed(t, s.get("/", filmsToken, 200, asBrowser...))
		checkPage(t, doc)
		linksOf(t, doc) // its charts can be read
		for _, id := range []string{"streams-by-view-time", "servers-by-view-time", "devices", "device-tiers-table", "cities"} {
			if !strings.Contains(textIn(byID(doc, id)), strings.Join(strings.Fields(strings.ReplaceAll(text, "\x00", "\ufffd")), " ")) {
				t.Errorf("%s does not show %.40q", id, text)
			}
		}
	}
}
