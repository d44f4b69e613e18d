package main

import (
	"fmt"
	"math/big"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"
)

// testDashboard compares the dashboard with the sessions, and follows all that it leads to.
func testDashboard(t *testing.T, w *pagesWorld) {
	b := w.tabAs(t, roleAdmin)
	t.Run("every chart is drawn", func(t *testing.T) {
		b.open("/?month=" + w.month.String())
		b.until(drawn)
		blank := js[[]string](b, `[...document.querySelectorAll("[data-chart]")].filter((box) => {
			const canvas = box.querySelector("canvas"), pixels = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
			return new Set(new Uint32Array(pixels.buffer)).size < 3;
		}).map((box) => box.closest("figure").id)`)
		if n := js[int](b, `document.querySelectorAll("[data-chart]").length`); n != 3 || len(blank) > 0 {
			t.Errorf("%d charts; blank: %q", n, blank)
		}
	})
	t.Run("the totals are the sums of the sessions", func(t *testing.T) { b.checkTiles(t, "true") })
	t.Run("the rankings are those of the sessions", func(t *testing.T) { b.checkRankings(t, "true") })
	t.Run("a day of the chart leads to its sessions", func(t *testing.T) { b.clickDay(t) })
	t.Run("a tenant and a month are picked", func(t *testing.T) {
		b.open("/")
		b.choose(`select[name="tenant"]`, filmTenant.ID)
		b.choose(`select[name="month"]`, w.month.String())
		b.follow(`.picker button`)
		if q := b.asked(); q.Get("tenant") != filmTenant.ID || q.Get("month") != w.month.String() {
			t.Errorf("the address has %v", q)
		}
		if of := js[string](b, `document.querySelector(".page-head bdi").textContent`); !strings.HasPrefix(of, filmTenant.Name) {
			t.Errorf("the page is of %q", of)
		}
		b.checkTiles(t, "tenant = "+quoted(filmTenant.ID))
		b.checkRankings(t, "tenant = "+quoted(filmTenant.ID))
	})
	t.Run("a month without sessions says so, and leads to one with some", func(t *testing.T) {
		b.open("/?month=2024-02")
		b.barriers()
		b.follow(`.empty a`)
		if got := b.asked().Get("month"); got != w.month.String() {
			t.Errorf("it leads to month %q", got)
		}
	})
	t.Run("everything leads to the sessions behind it", func(t *testing.T) { w.walkDashboard(t, b) })
	b.complain()
}

// checkTiles compares the key figures.
func (b *tab) checkTiles(t *testing.T, where string) {
	t.Helper()
	shown := js[map[string]string](b, `Object.fromEntries([...document.querySelectorAll("main > .tiles .tile")].map((d) =>
		[d.querySelector("dt").textContent, d.querySelector(".n").title || d.querySelector(".n").textContent]))`)
	from, to := b.w.days()
	row := b.w.sql(t, `SELECT count(*), count(DISTINCT (tenant, viewer)), count(*) FILTER (begun AND view_us > 0), sum(view_us), sum(bytes) FROM sessions
		WHERE day BETWEEN '%s' AND '%s' AND %s`, from, to, where)[0]
	for i, name := range []string{"Sessions", "Unique viewers", "Views", "View time", "Traffic"} {
		if got := plainFigure(shown[name]); got != row[i] {
			t.Errorf("%s is %s (%s), want %s", name, got, shown[name], row[i])
		}
	}
}

// plainFigure is an exact value of the pages as the database has it: digits alone, microseconds where it is seconds.
func plainFigure(text string) string {
	number, unit, _ := strings.Cut(strings.ReplaceAll(text, ",", ""), " ")
	if unit != "s" {
		return number
	}
	seconds, ok := new(big.Rat).SetString(number)
	if !ok {
		return text
	}
	micros := seconds.Mul(seconds, big.NewRat(1_000_000, 1))
	if !micros.IsInt() {
		return text
	}
	return micros.Num().String()
}

// checkRankings compares the four top tens.
func (b *tab) checkRankings(t *testing.T, where string) {
	t.Helper()
	from, to := b.w.days()
	const streams = `SELECT %s FROM sessions WHERE day BETWEEN '%s' AND '%s' AND %s GROUP BY tenant, object_id HAVING %[1]s > 0 ORDER BY 1 DESC LIMIT 10`
	const servers = `SELECT %s FROM (SELECT tenant, day, server, bytes, view_us FROM sessions WHERE NOT moved UNION ALL SELECT tenant, day, server, bytes, view_us FROM moves)
		WHERE day BETWEEN '%s' AND '%s' AND %s AND server <> '' GROUP BY server HAVING %[1]s > 0 ORDER BY 1 DESC LIMIT 10`
	for _, r := range []struct{ id, sum, question string }{
		{"streams-by-view-time", "sum(view_us)", streams}, {"streams-by-traffic", "sum(bytes)", streams},
		{"servers-by-view-time", "sum(view_us)", servers}, {"servers-by-traffic", "sum(bytes)", servers},
	} {
		want := b.w.texts(t, r.question, r.sum, from, to, where)
		var got []string
		for _, text := range js[[]string](b, `[...document.querySelectorAll("#%s .bar-value")].map((v) => v.title || v.textContent)`, r.id) {
			if plain := plainFigure(text); plain != "0" {
				got = append(got, plain)
			}
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s: %v, want %v", r.id, got, want)
		}
	}
}

// clickDay clicks on the highest bar of the chart of days.
func (b *tab) clickDay(t *testing.T) {
	b.open("/?month=" + b.w.month.String())
	b.until(drawn)
	best := js[map[string]any](b, `(() => {
		const data = JSON.parse(document.getElementById("days-data").textContent), values = data.series[0].values;
		const i = values.indexOf(Math.max(...values)), box = document.querySelector("#days [data-chart]");
		box.scrollIntoView({ block: "center" });
		const at = box.getBoundingClientRect(), [x, y] = echarts.getInstanceByDom(box).convertToPixel("grid", [i, values[i] / 2]);
		return { day: data.labels[i], x: at.x + x, y: at.y + y };
	})()`)
	b.do(chromedp.MouseEvent(input.DispatchMouseEventTypeMouseMoved, best["x"].(float64), best["y"].(float64)))
	b.begin()
	b.do(chromedp.MouseClickXY(best["x"].(float64), best["y"].(float64)))
	b.arrive()
	if q := b.asked(); q.Get("from") != best["day"] || q.Get("to") != best["day"] {
		t.Fatalf("day %s leads to %s", best["day"], b.where())
	}
	if got, want := b.totals()["Sessions"], b.w.one(t, "SELECT count(*) FROM sessions WHERE day = '%s'", best["day"]); got != want {
		t.Errorf("%s sessions of %s, want %s", got, best["day"], want)
	}
}

// A ledTo is an element that leads somewhere, and what it says.
type ledTo struct {
	Where string            // which part of the page
	Href  string            // path and query
	Text  string            // the element's
	Last  bool              // the figures of its row are those of what it leads to, rather than of a part
	Said  map[string]string // figures of its row, by the heads of their columns
}

// walkDashboard follows every link of the dashboard: where it says that there is something, there is a list, and where it says
// how many sessions it stands for, it has so many.
func (w *pagesWorld) walkDashboard(t *testing.T, b *tab) {
	b.open("/?month=" + w.month.String())
	links := js[[]ledTo](b, `[...document.querySelectorAll("main a[href]")].filter((a) => a.pathname.startsWith("/sessions")).map((a) => {
		const td = a.closest("td"), tr = a.closest("tr"), said = {};
		if (tr) {
			const labels = [...tr.cells].filter((c) => !c.classList.contains("right"));
			for (const c of tr.cells) if (c.classList.contains("right")) said[c.dataset.label] = c.querySelector(".clip")?.title || "";
			return { where: a.closest("[id]").id, href: a.pathname + a.search, text: a.textContent, last: labels.at(-1) === td, said };
		}
		const value = a.querySelector(".n");
		return { where: a.closest("[id]").id, href: a.pathname + a.search, text: a.textContent, last: false, said: { value: value.title || value.textContent } };
	})`)
	walkers := []string{}
	for i := range 4 { // one alone would be asked to wait
		walkers = append(walkers, w.token("--role", "admin", fmt.Sprint("walker ", i)))
	}
	seen, compared := make(map[string]bool), 0
	for i, l := range links {
		if seen[l.Href] && !l.Last {
			continue
		}
		seen[l.Href] = true
		status, body := w.get(t, walkers[i%len(walkers)], l.Href)
		if status == http.StatusSeeOther { // an address that says everything
			t.Fatalf("%s is not written in full", l.Href)
		}
		there := strings.Contains(body, `id="sessions-table"`)
		if zero := plainFigure(l.Said["value"]) == "0"; status != 200 || !there && !zero {
			t.Errorf("%s: %q leads to %s: status %d, a list: %v", l.Where, l.Text, l.Href, status, there)
			continue
		}
		if !l.Last || l.Said["Sessions"] == "" {
			continue
		}
		compared++
		for name, want := range l.Said {
			if got, ok := totalOf(body, name); ok && got != want {
				t.Errorf("%s: %q says %s of %s, and %s has %s", l.Where, l.Text, name, want, l.Href, got)
			}
		}
	}
	if len(seen) < 100 || compared < 30 {
		t.Errorf("only %d links, %d of them compared", len(seen), compared)
	}
}

var totalPattern = regexp.MustCompile(`<div><dt>([^<]+)</dt><dd><span class="n"(?: title="([^"]*)")?>([^<]*)</span>`)

// totalOf is a sum above a list, out of its page.
func totalOf(body, name string) (string, bool) {
	for _, m := range totalPattern.FindAllStringSubmatch(body, -1) {
		if m[1] == name {
			if m[2] != "" {
				return m[2], true
			}
			return m[3], true
		}
	}
	return "", false
}
