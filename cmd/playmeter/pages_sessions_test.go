package main

import (
	"encoding/csv"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/playmeter/playmeter/schemas"
)

// A sessionsTab is a list of sessions and what it must say: its rows in SQL, one column of the answer a column of the list.
type sessionsTab struct {
	name, path string
	columns    []sessionsColumn
	from       string // FROM … GROUP BY, with %s for the condition
	group      string
}

// A sessionsColumn is one of a list.
type sessionsColumn struct {
	name  string // in addresses
	title string
	expr  string   // as it is shown
	order []string // as it is sorted; nil: by what is shown
	falls bool     // from the largest down, at first
}

// The lists (SPEC 11).
var sessionsTabs = []sessionsTab{
	{"All playback", "/sessions", []sessionsColumn{
		{name: "stream", title: "Stream name", expr: "stream"},
		{name: "protocol", title: "Protocol", expr: "if(protocol = '', 'unknown', protocol)", order: []string{"protocol"}},
		{name: "hostname", title: "Hostname", expr: "if(hostname = '', server, hostname)", order: []string{"hostname"}},
		{name: "place", title: "Country and IP", expr: placeText("country", "ip"), order: []string{"country", "ip_high", "ip_low"}},
		{name: "traffic", title: "Traffic", expr: "bytes", falls: true},
		{name: "created", title: "Creation date", expr: "strftime(started, '%%Y-%%m-%%dT%%H:%%M:%%S.%%gZ')", order: []string{"started"}},
		{name: "view_time", title: "View time", expr: "view_us", falls: true},
	}, "FROM sessions WHERE %s", ""},
	{"By streams", "/sessions/streams", []sessionsColumn{
		{name: "stream", title: "Stream name", expr: "arg_max(stream, nth)"},
		{name: "traffic", title: "Traffic", expr: "sum(bytes)", falls: true},
		{name: "views", title: "Views", expr: "count(*) FILTER (begun AND view_us > 0)", falls: true},
		{name: "view_time", title: "View time", expr: "sum(view_us)", falls: true},
	}, "FROM sessions WHERE %s", "GROUP BY tenant, object_id"},
	{"By servers", "/sessions/servers", []sessionsColumn{
		{name: "hostname", title: "Hostname", expr: "max(hostname)"},
		{name: "ip", title: "IP", expr: "max(server_ip)"},
		{name: "traffic", title: "Traffic", expr: "sum(bytes)", falls: true},
		{name: "views", title: "Views", expr: "count(*) FILTER (begun AND view_us > 0)", falls: true},
		{name: "view_time", title: "View time", expr: "sum(view_us)", falls: true},
	}, "FROM (SELECT * FROM sessions WHERE NOT moved) WHERE %s", "GROUP BY server"},
	{"By users", "/sessions/users", []sessionsColumn{
		{name: "user", title: "User", expr: "if(max(user_name) = '', 'without a name', max(user_name))", order: []string{"max(user_name)"}},
		{name: "views", title: "Views", expr: "count(*) FILTER (begun AND view_us > 0)", falls: true},
		{name: "place", title: "Country and IP", expr: placeText("arg_max(country, nth)", "arg_max(ip, nth)"), order: []string{"arg_max(country, nth)", "arg_max(ip_high, nth)", "arg_max(ip_low, nth)"}},
		{name: "traffic", title: "Traffic", expr: "sum(bytes)", falls: true},
		{name: "view_time", title: "View time", expr: "sum(view_us)", falls: true},
		{name: "agent", title: "User agent", expr: "arg_max(user_agent, nth)"},
		{name: "referrer", title: "Referrer", expr: "arg_max(referrer, nth)"},
	}, "FROM sessions WHERE %s", "GROUP BY viewer"},
	{"Unique sessions", "/sessions/unique", []sessionsColumn{
		{name: "stream", title: "Stream name", expr: "arg_min(stream, nth)"},
		{name: "protocol", title: "Protocol", expr: "if(protocol = '', 'unknown', protocol)", order: []string{"protocol"}},
		{name: "place", title: "Country and IP", expr: placeText("arg_min(country, nth)", "ip"), order: []string{"arg_min(country, nth)", "max(ip_high)", "max(ip_low)"}},
		{name: "traffic", title: "Traffic", expr: "sum(bytes)", falls: true},
		{name: "created", title: "Creation date", expr: "strftime(min(started), '%%Y-%%m-%%dT%%H:%%M:%%S.%%gZ')", order: []string{"min(started)"}},
		{name: "view_time", title: "View time", expr: "sum(view_us)", falls: true},
		{name: "agent", title: "User agent", expr: "user_agent"},
		{name: "referrer", title: "Referrer", expr: "referrer"},
		{name: "joined", title: "Joined sessions", expr: "count(*)", falls: true},
	}, "FROM sessions WHERE %s", "GROUP BY tenant, day, ip, object_id, protocol, user_name, referrer, user_agent"},
}

func placeText(country, ip string) string {
	return fmt.Sprintf("concat_ws(' · ', nullif(%s, ''), nullif(%s, ''))", country, ip)
}

// sorted is the question for the first values of a column, in its order.
func (s *sessionsTab) sorted(c sessionsColumn, down bool, where string, limit int) string {
	order := c.order
	if order == nil {
		order = []string{c.expr}
	}
	way := " ASC"
	if down {
		way = " DESC"
	}
	return fmt.Sprintf("SELECT "+c.expr+" "+s.from+" %s ORDER BY %s LIMIT %d", where, s.group, strings.Join(order, way+", ")+way, limit)
}

// columnValues are the values of a column on the page, as the database has them.
func (b *tab) columnValues(column string) []string {
	b.Helper()
	out := js[[]string](b, `(() => {
		const heads = [...document.querySelectorAll("#sessions-table thead th")], at = heads.findIndex((th) => th.querySelector("a").id === "sessions-table-by-%s");
		return [...document.querySelectorAll("#sessions-table tbody tr")].map((tr) => {
			const td = tr.cells[at], time = td.querySelector("time"), text = td.querySelector(".clip:not(.note, .under)");
			if (time) return time.dateTime;
			return !text ? "" : td.classList.contains("right") ? text.title : text.textContent;
		});
	})()`, column)
	if js[bool](b, `document.querySelector("#sessions-table-by-%s").closest("th").classList.contains("right")`, column) {
		for i := range out {
			out[i] = plainFigure(out[i])
		}
	}
	return out
}

// sessionsOf is the condition of a tenant's sessions of the month.
func (w *pagesWorld) sessionsOf(tenant string) string {
	from, to := w.days()
	return fmt.Sprintf("tenant = %s AND day BETWEEN '%s' AND '%s'", quoted(tenant), from, to)
}

// testSessions sorts, pages and exports the five lists.
func testSessions(t *testing.T, w *pagesWorld) {
	b := w.tabAs(t, roleBoth)
	for _, s := range sessionsTabs {
		t.Run(s.name+" has its columns, and each sorts both ways", func(t *testing.T) { b.checkSorting(t, s) })
		t.Run(s.name+" is paged forth and back, and exported, with the same rows", func(t *testing.T) { b.checkPaging(t, s) })
	}
	t.Run("what is seen is in the address: reloaded, sent to somebody, gone back to", func(t *testing.T) { b.checkAddress(t) })
	t.Run("a page has as many rows as are asked for", func(t *testing.T) {
		b.open(w.inMonth("/sessions"))
		b.follow(`.pager-sizes a[href*="rows=100"]`)
		want := w.one(t, "SELECT least(count(*), 100) FROM sessions WHERE %s", w.sessionsOf(filmTenant.ID))
		if n := js[string](b, `String(document.querySelectorAll("#sessions-table tbody tr").length)`); n != want || b.asked().Get("rows") != "100" {
			t.Errorf("%s rows instead of %s at %s", n, want, b.where())
		}
	})
	t.Run("a month without sessions says so, and leads to one with some", func(t *testing.T) {
		b.open("/sessions?from=2024-02-01&to=2024-02-29")
		b.barriers()
		b.follow(`.empty a`)
		if from, _ := w.days(); b.asked().Get("from") != from {
			t.Errorf("it leads to %s", b.where())
		}
	})
	t.Run("a list without any days is this month's up to today", func(t *testing.T) {
		b.open("/sessions")
		if from := schemas.PeriodOf(time.Now().UTC()).Start().Format(time.DateOnly); b.asked().Get("from") != from || b.asked().Get("to") == "" {
			t.Errorf("it is %s", b.where())
		}
	})
	b.complain()
}

// checkSorting clicks on each column twice.
func (b *tab) checkSorting(t *testing.T, s sessionsTab) {
	b.open(b.w.inMonth(s.path))
	var titles []string
	for _, c := range s.columns {
		titles = append(titles, c.title)
	}
	if got := js[[]string](b, `[...document.querySelectorAll("#sessions-table thead th a")].map((a) => a.firstChild.textContent)`); !slices.Equal(got, titles) {
		t.Fatalf("columns %q, want %q", got, titles)
	}
	where := b.w.sessionsOf(filmTenant.ID)
	for _, c := range s.columns {
		head := "#sessions-table-by-" + c.name
		b.open(b.w.inMonth(s.path, "sort", s.other(c.name), "order", "asc"))
		for _, down := range []bool{c.falls, !c.falls} {
			b.follow(head)
			want := "ascending"
			if down {
				want = "descending"
			}
			if got := js[string](b, `document.querySelector(%q).closest("th").ariaSort`, head); got != want || b.asked().Get("sort") != c.name {
				t.Fatalf("%s is sorted %q, want %q; at %s", c.name, got, want, b.where())
			}
			if s.path == "/sessions/servers" && b.w.one(t, "SELECT count(*) FROM sessions WHERE moved AND %s", where) != "0" {
				continue // their shares are compared on the dashboard
			}
			b.sameValues(t, s.path+" by "+c.name+" "+want, b.columnValues(c.name), b.w.texts(t, "%s", s.sorted(c, down, where, 50)))
		}
	}
}

// other is another column than one.
func (s *sessionsTab) other(name string) string {
	if s.columns[0].name == name {
		return s.columns[1].name
	}
	return s.columns[0].name
}

func (b *tab) sameValues(t *testing.T, what string, got, want []string) {
	t.Helper()
	if !slices.Equal(got, want) {
		for i := range min(len(got), len(want)) {
			if got[i] != want[i] {
				t.Errorf("%s: row %d is %q, want %q", what, i, got[i], want[i])
				break
			}
		}
		t.Errorf("%s: %d rows, want %d", what, len(got), len(want))
	}
}

// checkPaging walks to the end of a list and back, and compares it with its export.
func (b *tab) checkPaging(t *testing.T, s sessionsTab) {
	first := s.columns[0].name
	b.open(b.w.inMonth(s.path, "sort", first, "order", "asc"))
	var pages [][]string
	for {
		pages = append(pages, b.rowTexts())
		if !js[bool](b, `!!document.querySelector('.pager a[rel="next"]')`) {
			break
		}
		b.follow(`.pager a[rel="next"]`)
	}
	for i := len(pages) - 2; i >= 0; i-- {
		b.follow(`.pager a[rel="prev"]`)
		if got := b.rowTexts(); !slices.Equal(got, pages[i]) {
			t.Errorf("page %d is another one on the way back", i+1)
		}
	}
	if len(pages) > 1 && js[bool](b, `!!document.querySelector('.pager a[rel="prev"]')`) {
		t.Error("there is a page before the first one")
	}
	rows := slices.Concat(pages...)
	want := b.w.texts(t, "%s", s.sorted(s.columns[0], false, b.w.sessionsOf(filmTenant.ID), 1_000_000))
	if len(rows) != len(want) && s.path != "/sessions/servers" {
		t.Errorf("%d rows on all pages, want %d", len(rows), len(want))
	}
	b.checkExport(t, rows)
}

// rowTexts are the first cells of the rows that are shown, with what tells them apart.
func (b *tab) rowTexts() []string {
	b.Helper()
	return js[[]string](b, `[...document.querySelectorAll("#sessions-table tbody tr")].map((tr) => [...tr.cells].map((c) =>
		c.querySelector("time")?.dateTime || c.querySelector(".clip")?.textContent || "").join("|"))`)
}

// checkExport fetches the export with the browser's own session, and compares its rows with those of the pages.
func (b *tab) checkExport(t *testing.T, rows []string) {
	t.Helper()
	type answer struct {
		Status                  int
		Type, Disposition, Text string
	}
	a := js[answer](b, `fetch(document.querySelector(".pager a[download]").href).then(async (a) => ({ status: a.status, type: a.headers.get("Content-Type"),
		disposition: a.headers.get("Content-Disposition"), text: await a.text() }))`)
	if a.Status != http.StatusOK || !strings.HasPrefix(a.Type, "text/csv") || !strings.Contains(a.Disposition, "attachment") {
		t.Fatalf("the export is answered with %d, %s, %s", a.Status, a.Type, a.Disposition)
	}
	lines, err := csv.NewReader(strings.NewReader(strings.TrimPrefix(a.Text, "\ufeff"))).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	if len(lines)-1 != len(rows) {
		t.Fatalf("the export has %d rows, the pages have %d", len(lines)-1, len(rows))
	}
	for i, line := range lines[1:] {
		shown, _, _ := strings.Cut(rows[i], "|")
		if shown != "without a name" && !slices.Contains(line, shown) && !slices.Contains(line, "'"+shown) {
			t.Errorf("row %d of the export has no %q: %q", i, shown, line)
		}
	}
}

// checkAddress goes to and fro.
func (b *tab) checkAddress(t *testing.T) {
	b.open(b.w.inMonth("/sessions"))
	start := b.where()
	b.follow(`#sessions-table-by-traffic`)
	b.follow(`.pager a[rel="next"]`)
	there, rows := b.where(), b.rowTexts()
	same := func(what string, b *tab) {
		t.Helper()
		b.until(settled)
		if at, got := b.where(), b.rowTexts(); at != there || !slices.Equal(got, rows) {
			t.Errorf("%s there are %d other rows at %s", what, len(got), at)
		}
	}
	b.do(chromedp.Reload())
	same("reloaded,", b)
	fresh := b.w.tabAs(t, roleBoth)
	fresh.open(strings.TrimPrefix(there, b.w.url))
	same("in another tab", fresh)
	b.begin()
	b.do(chromedp.Evaluate[chromedp.Void](`history.go(-2)`))
	b.until(`location.href === %q && `+settled, start)
	b.until(`document.querySelector("#sessions-table-by-created").closest("th").ariaSort === "ascending"`)
	b.do(chromedp.Evaluate[chromedp.Void](`history.go(2)`))
	b.until(`location.href === %q && document.querySelector("#sessions-table-by-traffic").closest("th").ariaSort === "descending" && `+settled, there)
	same("gone back and forth,", b)
}
