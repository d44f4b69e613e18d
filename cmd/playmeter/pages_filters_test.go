package main

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// A filterCase is a filter as somebody sets it, and the sessions that pass it, in SQL.
type filterCase struct {
	name  string
	set   map[string]string // fields; of selects the value of an option
	tick  []string          // servers
	where string
}

// filterCases are each filter by itself, with values that some sessions have, and some together.
func (w *pagesWorld) filterCases(t *testing.T) []filterCase {
	t.Helper()
	of := w.sessionsOf(filmTenant.ID)
	often := func(column string) string { // the most frequent one
		return w.one(t, "SELECT %s FROM sessions WHERE %s AND %[1]s <> '' GROUP BY 1 ORDER BY count(*) DESC, 1 LIMIT 1", column, of)
	}
	is := func(field, column string) filterCase {
		value := often(column)
		return filterCase{field, map[string]string{field: value}, nil, column + " = " + quoted(value)}
	}
	stream, user, ip := often("stream"), often("user_name"), often("ip")
	network := strings.Join(strings.Split(ip, ".")[:2], ".") + ".0.0/16"
	servers := w.texts(t, "SELECT server FROM sessions WHERE %s AND server <> '' GROUP BY 1 ORDER BY count(*) DESC, 1 LIMIT 2", of)
	served := fmt.Sprintf("(server IN (%[1]s, %[2]s) AND NOT moved OR (tenant, nth) IN (SELECT (tenant, nth) FROM moves WHERE server IN (%[1]s, %[2]s)))", quoted(servers[0]), quoted(servers[1]))
	days := w.texts(t, "SELECT day::VARCHAR FROM sessions WHERE %s GROUP BY 1 ORDER BY count(*) DESC, 1 LIMIT 1", of)
	return []filterCase{
		{"from and to", map[string]string{"from": days[0], "to": days[0]}, nil, "day = '" + days[0] + "'"},
		{"stream by its title", map[string]string{"stream": stream}, nil, "stream = " + quoted(stream)},
		{"stream by a part of it", map[string]string{"stream": "*" + stream[1:4] + "*"}, nil, fmt.Sprintf("(stream LIKE '%%%s%%' OR object_id LIKE '%%%[1]s%%')", strings.ReplaceAll(stream[1:4], "'", "''"))},
		is("stream", "object_id"),
		{"user", map[string]string{"user": user}, nil, "user_name = " + quoted(user)},
		{"platforms that are not known", map[string]string{"platform": "-"}, nil, "platform = ''"},
		{"address", map[string]string{"ip": ip}, nil, "ip = " + quoted(ip)},
		{"network", map[string]string{"ip": network}, nil, fmt.Sprintf("starts_with(ip, '%s.')", strings.Join(strings.Split(ip, ".")[:2], "."))},
		{"user agent", map[string]string{"agent": "mozilla/5.0 (LINUX"}, nil, "user_agent ILIKE '%mozilla/5.0 (linux%'"},
		{"least view time", map[string]string{"min": "600.5"}, nil, "view_us >= 600500000"},
		{"most view time", map[string]string{"max": "60"}, nil, "view_us <= 60000000"},
		is("protocol", "protocol"),
		{"servers, two", nil, servers, served},
		is("country", "country"),
		is("platform", "platform"),
		is("os", "os"),
		{"tier", map[string]string{"tier": "md"}, nil, "(md_clear_us > 0 OR md_drm_us > 0)"},
		{"drm", map[string]string{"drm": "drm"}, nil, "hi_drm_us + md_drm_us + lo_drm_us + unclassified_drm_us + audio_drm_us > 0"},
		{"tier and drm", map[string]string{"tier": "lo", "drm": "clear"}, nil, "lo_clear_us > 0"},
		{"several at once", map[string]string{"agent": "mozilla", "min": "10", "tier": "hi", "drm": "drm", "to": days[0]}, servers,
			"user_agent ILIKE '%mozilla%' AND view_us >= 10000000 AND hi_drm_us > 0 AND day <= '" + days[0] + "' AND " + served},
	}
}

// testFilters sets each filter on each list, through the form.
func testFilters(t *testing.T, w *pagesWorld) {
	b := w.tabAs(t, roleBoth)
	cases := w.filterCases(t)
	for _, s := range sessionsTabs {
		t.Run(s.name+" can be filtered by everything", func(t *testing.T) {
			found := 0
			for _, c := range cases {
				b.applyFilter(t, s, c)
				if b.totals()["Sessions"] != "" {
					found++
				}
			}
			if found < len(cases)*3/4 { // what the demo has of each depends on the day
				t.Errorf("of %d filters %d let anything pass", len(cases), found)
			}
		})
	}
	t.Run("viewers without a name are found", func(t *testing.T) {
		admin := w.tabAs(t, roleAdmin)
		admin.open(w.inMonth("/sessions/users", "tenant", others[1].ID, "user", "-"))
		if got, want := admin.totals()["Sessions"], w.one(t, "SELECT count(*) FROM sessions WHERE user_name = '' AND %s", w.sessionsOf(others[1].ID)); got != want || want == "0" {
			t.Errorf("%s sessions of viewers without a name, want %s", got, want)
		}
	})
	t.Run("a filter goes along to the other lists, and can be taken away", func(t *testing.T) {
		b.open(w.inMonth("/sessions", "tier", "md", "min", "10", "sort", "traffic", "order", "asc"))
		for _, s := range sessionsTabs[1:] {
			b.follow("#tab-" + strings.TrimPrefix(s.path, "/sessions/"))
			if q := b.asked(); q.Get("tier") != "md" || q.Get("min") != "10" || js[string](b, "location.pathname") != s.path {
				t.Errorf("%s forgets the filter: %s", s.name, b.where())
			}
		}
		if n := js[int](b, `document.querySelectorAll("a.chip").length`); n != 2 {
			t.Fatalf("%d filters are shown to be set", n)
		}
		b.follow("a.chip")
		if q := b.asked(); q.Has("min") || q.Get("tier") != "md" {
			t.Errorf("after one was taken away there is %v", q)
		}
		b.follow(`.chips > a:not(.chip)`)
		if q := b.asked(); q.Has("min") || q.Has("tier") || !q.Has("from") {
			t.Errorf("after all were taken away there is %v", q)
		}
	})
	t.Run("a filter that nothing passes says so, and can be taken away", func(t *testing.T) {
		b.open(w.inMonth("/sessions", "user", "nobody at all"))
		if said := js[string](b, `document.querySelector(".empty").textContent`); !strings.Contains(said, "nobody at all") {
			t.Errorf("it says %q", said)
		}
		b.barriers()
		b.follow(".empty a")
		if b.asked().Has("user") || js[int](b, `document.querySelectorAll("#sessions-table tbody tr").length`) == 0 {
			t.Errorf("it leads to %s", b.where())
		}
	})
	t.Run("what is wrong is said beside its field", func(t *testing.T) {
		b.mu.Lock()
		b.refused = true
		b.mu.Unlock()
		b.open(w.inMonth("/sessions/users"))
		b.typeInto("#filter-ip", "300.1.2.3")
		b.follow("#filter-apply")
		b.until(`document.querySelector("#filter-ip")?.ariaInvalid === "true" && ` + settled)
		if js[string](b, `document.getElementById(document.querySelector("#filter-ip").getAttribute("aria-describedby")).textContent`) == "" ||
			js[string](b, `document.querySelector("#filter-ip").value`) != "300.1.2.3" || b.asked().Get("ip") != "300.1.2.3" {
			t.Error("the form has forgotten what was asked, or does not say what is wrong")
		}
		b.barriers()
		for _, path := range []string{"/sessions?sort=secret", "/sessions?rows=7", "/sessions?from=yesterday", "/sessions?min=1&max=0", w.inMonth("/sessions", "cursor", "AAAA")} {
			b.refuse(path, 400)
			b.barriers()
		}
	})
	b.complain()
}

// applyFilter sets a filter in the form of a list, and compares what passes it.
func (b *tab) applyFilter(t *testing.T, s sessionsTab, c filterCase) {
	t.Helper()
	b.open(b.w.inMonth(s.path))
	if !js[bool](b, `document.querySelector(".more-filters").open`) {
		b.do(chromedp.Click(chromedp.CSS(".more-filters summary")))
	}
	want := url.Values{}
	from, to := b.w.days()
	want.Set("from", from)
	want.Set("to", to)
	for field, value := range c.set {
		want.Set(field, value)
		selector := "#filter-" + field
		switch js[string](b, `(() => { const f = document.querySelector(%q); return f.tagName === "SELECT" ? "select" : f.type })()`, selector) {
		case "select":
			b.choose(selector, value)
		case "date":
			js[bool](b, `(document.querySelector(%q).focus(), true)`, selector)
			b.do(chromedp.KeyEvent(value[5:7] + value[8:] + value[:4])) // month, day, year
		default:
			b.typeInto(selector, value)
		}
	}
	for _, server := range c.tick {
		want.Add("server", server)
		b.do(chromedp.Click(chromedp.CSS(fmt.Sprintf(`input[name="server"][value=%q]`, server))))
	}
	b.follow("#filter-apply")
	got := b.asked()
	slices.Sort(got["server"])
	slices.Sort(want["server"])
	if got.Encode() != want.Encode() {
		t.Errorf("%s: the address has %v, want %v", c.name, got, want)
	}
	b.compareFiltered(t, s, c)
}

// compareFiltered compares the sums of what is listed, and the first page of it.
func (b *tab) compareFiltered(t *testing.T, s sessionsTab, c filterCase) {
	t.Helper()
	where := b.w.sessionsOf(filmTenant.ID) + " AND " + c.where
	row := b.w.sql(t, "SELECT count(*), count(*) FILTER (begun AND view_us > 0), sum(bytes), sum(view_us) FROM sessions WHERE %s", where)[0]
	if row[0] == "0" {
		if shown := b.totals()["Sessions"]; shown != "" && plainFigure(shown) != "0" {
			t.Errorf("%s: %s sessions, want none", c.name, shown)
		}
		return
	}
	shown := b.totals()
	for i, name := range []string{"Sessions", "Views", "Traffic", "View time"} {
		if got := plainFigure(shown[name]); got != row[i] {
			t.Errorf("%s: %s %s, want %s", c.name, got, name, row[i])
		}
	}
	if s.path == "/sessions/servers" { // shares of sessions: compared on the dashboard
		return
	}
	i := slices.IndexFunc(s.columns, func(c sessionsColumn) bool { return c.name == "view_time" })
	if s.path == "/sessions" || s.path == "/sessions/unique" {
		i = slices.IndexFunc(s.columns, func(c sessionsColumn) bool { return c.name == "created" })
	}
	b.sameValues(t, s.path+" filtered by "+c.name, b.columnValues(s.columns[i].name), b.w.texts(t, "%s", s.sorted(s.columns[i], s.columns[i].falls, where, 50)))
}
