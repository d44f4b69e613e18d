package main

import (
	"strings"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// allPages are the pages that an administrator sees.
func (w *pagesWorld) allPages() []string {
	return []string{
		"/?month=" + w.month.String(), w.inMonth("/sessions"), w.inMonth("/sessions/streams"), w.inMonth("/sessions/servers"), w.inMonth("/sessions/users"),
		w.inMonth("/sessions/unique"), "/reports", "/reports/" + filmTenant.ID + "/" + w.month.String(), "/runs",
	}
}

// testLooks shows every page in both colours, on a desk and on a phone.
func testLooks(t *testing.T, w *pagesWorld) {
	b := w.tabAs(t, roleAdmin)
	for _, path := range w.allPages() {
		t.Run(path+" keeps nobody out, in light and dark, on a desk and on a phone", func(t *testing.T) {
			for _, look := range []struct {
				colours string
				width   int64
			}{{"light", 1440}, {"dark", 390}} {
				b.prefer("prefers-color-scheme", look.colours)
				b.size(look.width, 844)
				b.open(path)
				b.noOverflow()
				b.barriers()
			}
			b.prefer("prefers-color-scheme", "light")
			b.size(320, 640)
			b.noOverflow()
			b.size(1440, 900)
			b.noOverflow()
		})
	}
	t.Run("on a phone rows become cards that name what they hold, and the navigation fits", func(t *testing.T) {
		b.size(390, 844)
		b.open(w.inMonth("/sessions"))
		if named := js[string](b, `getComputedStyle(document.querySelector("#sessions-table tbody td:nth-child(5)"), "::before").content`); named != `"Traffic"` {
			t.Errorf("a cell is called %s", named)
		}
		if n := js[int](b, `[...document.querySelectorAll(".tabs a")].filter((a) => { const r = a.getBoundingClientRect(); return r.width > 0 && r.left >= 0 && r.right <= 390 }).length`); n != 4 {
			t.Errorf("%d entries of the navigation can be seen", n)
		}
		if small := js[int](b, `[...document.querySelectorAll("main button, main .button")].filter((e) => e.offsetHeight > 0 && e.offsetHeight < 40).length`); small > 0 {
			t.Errorf("%d buttons are too small for a finger", small)
		}
		b.size(1440, 900)
	})
	t.Run("colours can be chosen, and stay", func(t *testing.T) {
		ground := func() string { return js[string](b, `getComputedStyle(document.body).backgroundColor`) }
		b.prefer("prefers-color-scheme", "light")
		b.open("/?month=" + w.month.String())
		b.until(drawn)
		light := ground()
		for !strings.Contains(js[string](b, `document.querySelector("#theme").ariaLabel`), "dark") {
			b.do(chromedp.Click(chromedp.CSS("#theme")))
		}
		dark := ground()
		if dark == light {
			t.Errorf("dark is as light: %s", light)
		}
		b.do(chromedp.Reload())
		b.until(drawn)
		if got := ground(); got != dark {
			t.Errorf("after reloading it is %s, want %s", got, dark)
		}
		for !strings.Contains(js[string](b, `document.querySelector("#theme").ariaLabel`), "automatic") {
			b.do(chromedp.Click(chromedp.CSS("#theme")))
		}
		b.prefer("prefers-color-scheme", "dark")
		if got := ground(); got != dark {
			t.Errorf("a dark system has %s, want %s", got, dark)
		}
		b.prefer("prefers-color-scheme", "light")
	})
	t.Run("nothing moves for those who want it still", func(t *testing.T) {
		b.prefer("prefers-reduced-motion", "reduce")
		b.open("/?month=" + w.month.String())
		b.until(drawn)
		if moving := js[int](b, `[...document.querySelectorAll("*")].filter((e) => { const s = getComputedStyle(e); return s.transitionDuration !== "0s" && s.transitionProperty !== "none" || s.animationName !== "none" }).length`); moving > 0 {
			t.Errorf("%d elements move", moving)
		}
		if js[bool](b, `[...document.querySelectorAll("[data-chart]")].some((box) => echarts.getInstanceByDom(box).getOption().animation)`) {
			t.Error("charts move")
		}
		b.prefer()
	})
	b.complain()
}

// testKeyboard does without a pointer.
func testKeyboard(t *testing.T, w *pagesWorld) {
	b := w.tabAs(t, roleBoth)
	focused := func() string {
		return js[string](b, `(() => { const e = document.activeElement; return e.id || e.className || e.tagName })()`)
	}
	unseen := func() string { // what is wrong with the focus
		return js[string](b, `(() => { const e = document.activeElement, s = getComputedStyle(e), r = e.getBoundingClientRect();
			return s.outlineStyle !== "none" && s.outlineWidth !== "0px" && r.width > 0 && r.bottom > 0 && r.top < innerHeight ? "" :
				[e.tagName, e.id, e.className, "outline", s.outlineStyle, s.outlineWidth, "at", r.left, r.top, r.right, r.bottom].join(" ") })()`)
	}
	seen := func() bool { return unseen() == "" }
	t.Run("the first stop leads to the content", func(t *testing.T) {
		b.open(w.inMonth("/sessions"))
		b.do(chromedp.KeyEvent(kb.Tab))
		if focused() != "skip" || !seen() {
			t.Fatalf("the focus is on %s", focused())
		}
		b.do(chromedp.KeyEvent(kb.Enter))
		if focused() != "main" {
			t.Errorf("the focus is on %s", focused())
		}
	})
	t.Run("the filter is set and applied", func(t *testing.T) {
		for range 60 {
			if focused() == "filter-stream" {
				break
			}
			b.do(chromedp.KeyEvent(kb.Tab))
			if !seen() {
				t.Fatalf("the focus cannot be seen: %s", unseen())
			}
		}
		b.do(chromedp.KeyEvent("*a*"))
		b.press(kb.Enter)
		if b.asked().Get("stream") != "*a*" {
			t.Errorf("it leads to %s", b.where())
		}
	})
	t.Run("a column sorts, and keeps the focus", func(t *testing.T) {
		js[bool](b, `(document.querySelector("#sessions-table-by-protocol").focus(), true)`)
		b.do(chromedp.KeyEvent(kb.Tab))
		b.do(chromedp.KeyEvent(kb.Tab))
		b.do(chromedp.KeyEvent(kb.Tab))
		if focused() != "sessions-table-by-traffic" || !seen() {
			t.Fatalf("the focus is on %s", focused())
		}
		b.press(kb.Enter)
		if b.asked().Get("sort") != "traffic" || focused() != "sessions-table-by-traffic" {
			t.Errorf("the focus is on %s at %s", focused(), b.where())
		}
		if said := js[string](b, `document.querySelector("#live").textContent`); said == "" {
			t.Error("nothing is said to who does not see it")
		}
	})
	t.Run("every stop of the dashboard can be seen", func(t *testing.T) {
		b.open("/?month=" + w.month.String())
		b.until(drawn)
		for range 80 {
			b.do(chromedp.KeyEvent(kb.Tab))
			if !seen() {
				t.Fatalf("the focus cannot be seen: %s", unseen())
			}
		}
	})
	b.complain()
}

// testWithoutScripts does what people do, where no script runs.
func testWithoutScripts(t *testing.T, w *pagesWorld) {
	b := w.tab(t, w.profile(t))
	if _, err := chromedp.Call(b.ctx, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true}); err != nil {
		t.Fatal(err)
	}
	b.open("/sign-in")
	b.typeInto(`input[name="token"]`, w.tokens[roleBoth])
	b.follow(`main form button`)
	t.Run("the charts' figures are there as tables", func(t *testing.T) {
		b.open("/?month=" + w.month.String())
		if js[bool](b, `!!window.htmx || !!window.echarts || !!document.querySelector("canvas")`) {
			t.Fatal("scripts run")
		}
		if n := js[int](b, `[...document.querySelectorAll("#days-table tbody tr")].filter((tr) => tr.offsetHeight > 0).length`); n == 0 {
			t.Error("no day is shown")
		}
		if js[int](b, `[...document.querySelectorAll(".canvas")].filter((box) => box.offsetHeight > 0).length`) > 0 {
			t.Error("there are holes where charts would be")
		}
	})
	t.Run("values can be exact", func(t *testing.T) {
		if n := js[int](b, shortened); n == 0 {
			t.Error("values are exact from the start")
		}
		b.do(chromedp.Click(chromedp.CSS("#exact")))
		if n := js[int](b, shortened); n > 0 {
			t.Errorf("%d amounts are shortened", n)
		}
	})
	t.Run("filters, order, pages and the export work", func(t *testing.T) {
		b.open(w.inMonth("/sessions"))
		b.typeInto("#filter-stream", "*a*")
		b.follow("#filter-apply")
		where := w.sessionsOf(filmTenant.ID) + " AND (stream LIKE '%a%' OR object_id LIKE '%a%')"
		if got, want := b.totals()["Sessions"], w.one(t, "SELECT count(*) FROM sessions WHERE %s", where); got != want {
			t.Errorf("%s sessions, want %s", got, want)
		}
		b.follow("#sessions-table-by-traffic")
		s := sessionsTabs[0]
		b.sameValues(t, "without scripts, by traffic", b.columnValues("traffic"), w.texts(t, "%s", s.sorted(s.columns[4], true, where, 50)))
		b.follow(`.pager a[rel="next"]`)
		if !b.asked().Has("cursor") {
			t.Errorf("the next page is %s", b.where())
		}
		href := js[string](b, `(() => { const a = document.querySelector(".pager a[download]"); return a.pathname + a.search })()`)
		if status, body := w.get(t, w.tokens[roleBoth], href); status != 200 || strings.Count(body, "\n") < 50 {
			t.Errorf("the export is answered with %d and %d lines", status, strings.Count(body, "\n"))
		}
		b.follow(`form[action="/sign-out"] button`)
	})
	b.complain()
}
