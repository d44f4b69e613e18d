package main

import (
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// shortened are the amounts of a page that do not show their exact value.
const shortened = `[...document.querySelectorAll("main .n[title], main td.right .clip[title]")].filter((e) => e.checkVisibility() && e.innerText.trim() !== e.title).length`

// testExact has exact values where no pointer rests on anything.
func testExact(t *testing.T, w *pagesWorld) {
	b := w.tabAs(t, roleAdmin)
	on := func() bool { return js[bool](b, `document.querySelector("#exact").checked`) }
	t.Run("the keyboard turns exact values on, on every page, and off again", func(t *testing.T) {
		b.open("/?month=" + w.month.String())
		b.until(drawn)
		if on() || js[int](b, shortened) == 0 {
			t.Fatal("values are exact from the start")
		}
		b.turnExact(t)
		if n := js[int](b, shortened); !on() || n > 0 {
			t.Errorf("%d amounts are shortened", n)
		}
		for _, path := range w.allPages() {
			b.open(path)
			if n := js[int](b, shortened); !on() || n > 0 {
				t.Errorf("%s: %d amounts are shortened", path, n)
			}
			b.noOverflow()
		}
		b.open(w.inMonth("/sessions"))
		b.follow("#sessions-table-by-traffic") // by htmx
		if n := js[int](b, shortened); n > 0 {
			t.Errorf("sorted anew, %d amounts are shortened", n)
		}
		if text := js[string](b, `document.querySelector("#sessions-table time").innerText`); len(text) != len("2026-10-14 09:17:03.123") {
			t.Errorf("a time is %q", text)
		}
		b.turnExact(t)
		b.do(chromedp.Reload())
		if on() || js[int](b, shortened) == 0 {
			t.Error("they stay exact")
		}
	})
	t.Run("no figure is cut off, whichever is shown", func(t *testing.T) {
		for range 2 {
			b.open("/?month=" + w.month.String())
			b.until(drawn)
			for _, width := range []int64{1440, 1280, 1024, 760, 390, 320} {
				b.size(width, 844)
				b.noOverflow()
				if cut := js[[]string](b, `[...document.querySelectorAll("#countries .sheet, .tile, .tile .n, .bar-value")].filter((e) => e.offsetHeight > 0 && e.scrollWidth > e.clientWidth && e.clientWidth > 0).map((e) => e.className + ": " + e.innerText.slice(0, 60))`); len(cut) > 0 {
					t.Errorf("%d pixels wide: %q", width, cut)
				}
				b.barriers()
			}
			b.turnExact(t)
		}
		b.size(1440, 900)
	})
	t.Run("every platform is named beside its bar", func(t *testing.T) {
		for _, width := range []int64{1440, 1280, 390} {
			b.size(width, 844)
			b.open("/?month=" + w.month.String())
			b.until(drawn)
			if lacking := js[[]string](b, `(() => {
				const box = document.querySelector("#device-tiers [data-chart]"), names = JSON.parse(document.querySelector("#device-tiers-data").textContent).labels;
				const drawn = echarts.getInstanceByDom(box).getZr().storage.getDisplayList(true).filter((e) => !e.ignore && !e.invisible).map((e) => e.style.text);
				return names.filter((name) => !drawn.includes(name));
			})()`); len(lacking) > 0 {
				t.Errorf("%d pixels wide there is no name of %q", width, lacking)
			}
		}
		b.size(1440, 900)
	})
	b.complain()
}

// turnExact turns the switch, with the keyboard alone.
func (b *tab) turnExact(t *testing.T) {
	t.Helper()
	js[bool](b, `(document.activeElement.blur(), scrollTo(0, 0), document.querySelector(".brand").focus(), true)`)
	for range 12 {
		b.do(chromedp.KeyEvent(kb.Tab))
		if js[string](b, `document.activeElement.id`) == "exact" {
			b.do(chromedp.KeyEvent(" "))
			return
		}
	}
	t.Fatal("the keyboard does not reach the switch")
}
