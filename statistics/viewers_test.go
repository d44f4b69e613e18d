package statistics

import (
	"slices"
	"testing"

	"github.com/playmeter/playmeter/schemas"
)

// viewedAt is the table that a list of users is asked of.
func (f *fixture) viewedAt(t *testing.T, scope Scope, filter Filter) (table string, once bool) {
	t.Helper()
	q := must[*query](t)(newQuery(scope, View{Tab: TabUsers, Filter: filter, Limit: 10}))
	at := must[viewing](t)(q.viewing(t.Context(), f.Database))
	return at.table, at.once
}

// addMonth commits another month of a tenant, the one that follows.
func (f *fixture) addMonth(t *testing.T, tenant schemas.Tenant, n ...int) {
	t.Helper()
	next := schemas.PeriodOf(f.period.End())
	w := newWorld(77)
	w.period = next
	days := w.days(n...)
	rules := f.commits[tenant].rules
	(&commits{t: t, bucket: f.metering, tenant: tenant, period: next, rules: rules}).commit(days, 20)
	f.learn(tenant, next, days)
	follow(t, f.Database)
}

func TestSumsOfMonthsAnswerWhereWholeMonthsAreAskedFor(t *testing.T) {
	f := newFixture(t, 90, nil, 0, 20, 30, 10) // from the 2nd to the 4th
	all := Scope{All: true}
	for _, tt := range []struct {
		name   string
		scope  Scope
		filter Filter
		table  string
	}{
		{"the calendar's month", all, Filter{From: "2026-10-01", To: "2026-10-31"}, "month_viewers"},
		{"any days", all, Filter{}, "month_viewers"},
		{"the days that have sessions", all, Filter{From: "2026-10-02", To: "2026-10-04"}, "month_viewers"},
		{"up to a day", Of("films"), Filter{To: "2026-10-04"}, "month_viewers"},
		{"a month without sessions", all, Filter{From: "2026-11-01", To: "2026-11-30"}, "month_viewers"},
		{"nobody's", Scope{}, Filter{}, "month_viewers"},
		{"without the first day", all, Filter{From: "2026-10-03"}, "sessions"},
		{"without the last day", Of("films"), Filter{From: "2026-10-01", To: "2026-10-03"}, "sessions"},
		{"something else is asked for", all, Filter{From: "2026-10-01", To: "2026-10-31", Country: "DE"}, "sessions"},
	} {
		if table, once := f.viewedAt(t, tt.scope, tt.filter); table != tt.table || once != (table == "month_viewers") {
			t.Errorf("%s: %s is asked, a row for each viewer: %v", tt.name, table, once)
		}
		f.compare(t, tt.scope, View{Tab: TabUsers, Filter: tt.filter, Limit: 7})
	}
}

func TestViewersOfSeveralMonthsAreAddedUp(t *testing.T) {
	f := newFixture(t, 91, nil, 25, 30)
	f.addMonth(t, "films", 30, 5)
	for _, scope := range []Scope{{All: true}, Of("films"), Of("sports")} {
		for _, filter := range []Filter{{}, {From: "2026-11-01"}} {
			if table, once := f.viewedAt(t, scope, filter); table != "month_viewers" || once != (filter.From == "2026-11-01" || !scope.All && scope.Tenants[0] == "sports") {
				t.Errorf("%v %v: %s is asked, a row for each viewer: %v", scope, filter, table, once)
			}
			for _, column := range TabUsers.Columns() {
				for _, desc := range []bool{false, true} {
					f.compare(t, scope, View{Tab: TabUsers, Filter: filter, Sort: column.Name, Desc: desc, Limit: 30})
				}
			}
		}
	}
}

// While the days of a month are replaced one after the other, its sums are not theirs.
func TestSumsOfAMonthAreNotAskedWhileItsDaysAreReplaced(t *testing.T) {
	f := newFixture(t, 92, nil, 20, 30)
	c := f.commits["films"]
	commit := c.begin()
	days := map[int][]schemas.Session{0: f.world.days(15)[0], 1: f.days["films"][1]}
	c.add(commit, 0, days[0], 10)
	c.add(commit, 1, f.world.days(5)[0], 10)
	commit.Sessions[len(commit.Sessions)-1].Rows++ // which cannot be loaded
	c.end(commit)
	if err := f.Sync(t.Context()); err == nil {
		t.Fatal("a day is loaded that is not what the commit says")
	}
	f.relearn("films", days)
	for _, s := range must[[]MonthState](t)(f.State(t.Context(), Scope{All: true})) {
		if s.Changing != (s.Tenant == "films") {
			t.Errorf("%s is changing: %v", s.Tenant, s.Changing)
		}
	}
	for tenant, want := range map[schemas.Tenant]string{"films": "sessions", "sports": "month_viewers"} {
		if table, _ := f.viewedAt(t, Of(tenant), Filter{}); table != want {
			t.Errorf("%s: %s is asked", tenant, table)
		}
	}
	if table, _ := f.viewedAt(t, Scope{All: true}, Filter{}); table != "sessions" {
		t.Errorf("of all tenants, %s is asked", table)
	}
	f.compareAll(t)
	c.commit(days, 10)
	follow(t, f.Database)
	if table, _ := f.viewedAt(t, Of("films"), Filter{}); table != "month_viewers" {
		t.Errorf("once the month is whole again, %s is asked", table)
	}
	f.compareAll(t)
}

// TestSumsOfAMonthThatIsBeingEmptiedAreNotAsked: none of its days has sessions any more, and its viewers are there still.
func TestSumsOfAMonthThatIsBeingEmptiedAreNotAsked(t *testing.T) {
	f := newFixture(t, 95, nil, 25, 30)
	f.addMonth(t, "films", 30, 5)
	var statements []statement
	for _, text := range []string{"UPDATE months SET counted = false WHERE tenant = 'films' AND period = '2026-10'",
		"DELETE FROM days WHERE tenant = 'films' AND period = '2026-10'", "DELETE FROM sessions WHERE tenant = 'films' AND day < '2026-11-01'"} {
		statements = append(statements, statement{SQL: text})
	}
	if _, err := f.write(t.Context(), statements, 0); err != nil {
		t.Fatal(err)
	}
	f.all = slices.DeleteFunc(f.all, func(k known) bool { return k.tenant == "films" && k.day < "2026-11-01" })
	f.compareWhole(t, Of("films"), View{Tab: TabUsers})
	f.compareWhole(t, Scope{All: true}, View{Tab: TabUsers})
}

func TestSumsOfAMonthAreThoseOfItsSessions(t *testing.T) {
	f := newFixture(t, 93, nil, 40, 0, 30)
	of := func(text string) [][]string {
		t.Helper()
		return must[*Table](t)(f.SQL(t.Context(), text+" ORDER BY 1, 2", 1000)).Rows
	}
	got := of("SELECT tenant, viewer, period, nth, user_name, country, ip, ip_high, ip_low, user_agent, referrer, sessions, views, bytes, view_us FROM month_viewers")
	want := of(`SELECT tenant, viewer, '2026-10', max(nth), max_by(user_name, nth), max_by(country, nth), max_by(ip, nth), max_by(ip_high, nth), max_by(ip_low, nth),
		max_by(user_agent, nth), max_by(referrer, nth), count(*), sum(CASE WHEN begun AND view_us > 0 THEN 1 ELSE 0 END), least(sum(bytes::HUGEINT), 9223372036854775807),
		least(sum(view_us::HUGEINT), 9223372036854775807) FROM sessions GROUP BY tenant, viewer`)
	if len(got) == 0 || !slices.EqualFunc(got, want, slices.Equal[[]string]) {
		t.Errorf("%d viewers\n%q\nwant %d\n%q", len(got), got, len(want), want)
	}
	for _, s := range must[[]monthState](t)(states(t.Context(), f.Database, condition{text: "true"})) {
		n := of("SELECT count(DISTINCT viewer), 0 FROM sessions WHERE tenant = " + quoted(string(s.Tenant)))[0][0]
		if got := line(s.viewers); got != n {
			t.Errorf("%s has %s viewers, want %s", s.Tenant, got, n)
		}
	}
}

func TestTheNumberOfAViewerAsksForItsSessionsAndNoOthers(t *testing.T) {
	f := newFixture(t, 94, hostileTexts, 40, 30)
	all := Scope{All: true}
	rows, _ := walk(t, f.Database, all, View{Tab: TabUsers, Limit: MaxLimit})
	sessions := int64(0)
	for _, r := range rows {
		got := must[Totals](t)(f.Totals(t.Context(), all, Filter{Viewer: r.Viewer}))
		if want := (Totals{r.Joined, r.Views, r.Bytes, r.Micros}); got != want {
			t.Errorf("%+v: its sessions add up to %+v", r, got)
		}
		if other := must[Totals](t)(f.Totals(t.Context(), Of("nobody"), Filter{Viewer: r.Viewer})); other.Sessions != 0 {
			t.Errorf("another tenant sees %d sessions of viewer %s", other.Sessions, r.Viewer)
		}
		sessions += got.Sessions
	}
	if want := f.totals(all, Filter{}).Sessions; sessions != want || len(rows) < 10 {
		t.Errorf("%d viewers have %d sessions, want %d", len(rows), sessions, want)
	}
	for _, text := range []string{"-1", "x", "1.0", "01", "340282366920938463463374607431768211456", " 1", "-"} {
		if fields := wrongFields((Filter{Viewer: text}).Check()); len(fields) != 1 || fields[0] != "viewer" {
			t.Errorf("viewer=%s: %q is wrong", text, fields)
		}
	}
}

func TestARestatedMonthTellsWhichRestatementItIs(t *testing.T) {
	f := newFixture(t, 96, nil, 10)
	c := f.commits["films"]
	commit := c.begin()
	c.add(commit, 0, f.days["films"][0], 10)
	commit.Restated = &schemas.RunRef{Run: "2026-12-01T00-00-00Z", AsOf: "2026-12-01T00:00:00Z", Restatement: 2}
	c.end(commit)
	follow(t, f.Database)
	for _, s := range must[[]MonthState](t)(f.State(t.Context(), Scope{All: true})) {
		if want := map[schemas.Tenant]int64{"films": 2}[s.Tenant]; s.Restatement != want || s.Tenant == "films" && s.Run != "2026-12-01T00-00-00Z" {
			t.Errorf("%s: restatement %d of run %s, want %d", s.Tenant, s.Restatement, s.Run, want)
		}
	}
}
