package main

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// A tab shows pages, and notes what the browser has to complain of.
type tab struct {
	*testing.T
	w     *pagesWorld
	ctx   context.Context
	close func()
	width int64

	mu      sync.Mutex
	refused bool     // answers of 400 and above are what is wanted
	trouble []string // what was complained of
}

// tab opens one as somebody of a profile, as wide as a desk's screen.
func (w *pagesWorld) tab(t *testing.T, profile context.Context) *tab {
	t.Helper()
	ctx, cancel := chromedp.NewContext(profile)
	ctx, stop := context.WithTimeout(ctx, 3*time.Minute)
	b := &tab{T: t, w: w, ctx: ctx}
	b.close = sync.OnceFunc(func() { b.complain(); stop(); cancel() })
	t.Cleanup(b.close)
	if err := chromedp.Listen(ctx, b.note); err != nil {
		t.Fatal(err)
	}
	b.size(1440, 900)
	return b
}

// tabAs opens one as somebody of a role.
func (w *pagesWorld) tabAs(t *testing.T, role string) *tab {
	t.Helper()
	return w.tab(t, w.as(t, role))
}

// note keeps what is wrong on any page.
func (b *tab) note(ev any) {
	wrong := ""
	switch ev := ev.(type) {
	case *runtime.EventConsoleAPICalled:
		for _, a := range ev.Args {
			wrong += fmt.Sprintf(" %s %s", a.Value, a.Description)
		}
		wrong = fmt.Sprintf("console.%s:%s", ev.Type, wrong)
	case *runtime.EventExceptionThrown:
		wrong = "exception: " + ev.ExceptionDetails.Text
		if e := ev.ExceptionDetails.Exception; e != nil {
			wrong += " " + e.Description
		}
	case *log.EventEntryAdded:
		if ev.Entry.Level == log.EntryLevelInfo || ev.Entry.Level == log.EntryLevelVerbose {
			return
		}
		wrong = fmt.Sprintf("%s %s: %s (%s)", ev.Entry.Source, ev.Entry.Level, ev.Entry.Text, ev.Entry.URL)
	case *page.EventJavascriptDialogOpening:
		wrong = "dialog: " + ev.Message
	case *network.EventRequestWillBeSent:
		if u := ev.Request.URL; !strings.HasPrefix(u, b.w.url+"/") && !strings.HasPrefix(u, "data:image/") {
			wrong = "request to another place: " + u
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if wrong == "" || b.refused && strings.Contains(wrong, "Failed to load resource: the server responded with a status of 4") {
		return
	}
	b.trouble = append(b.trouble, wrong)
}

// complain fails the test with what has been wrong so far.
func (b *tab) complain() {
	b.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, wrong := range b.trouble {
		b.Errorf("%s", wrong)
	}
	b.trouble = nil
}

// do has the browser do something that has to work.
func (b *tab) do(steps ...chromedp.Action[chromedp.Void]) {
	b.Helper()
	if err := chromedp.Do(b.ctx, steps...); err != nil {
		b.Fatalf("%v; at %s", err, b.where())
	}
}

func (b *tab) where() string {
	at, err := chromedp.Run(b.ctx, chromedp.Location())
	if err != nil {
		return err.Error()
	}
	return at
}

// js is what an expression comes to on the page.
func js[T any](b *tab, expression string, args ...any) T {
	b.Helper()
	if len(args) > 0 {
		expression = fmt.Sprintf(expression, args...)
	}
	v, err := chromedp.Run(b.ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		b.Fatalf("%s: %v; at %s", expression, err, b.where())
	}
	return v
}

// until waits until an expression is true on the page, whichever that is by then.
func (b *tab) until(expression string, args ...any) {
	b.Helper()
	if len(args) > 0 {
		expression = fmt.Sprintf(expression, args...)
	}
	asked := time.NewTicker(15 * time.Millisecond)
	defer asked.Stop()
	end := time.After(30 * time.Second)
	for {
		if so, err := chromedp.Run(b.ctx, chromedp.Evaluate[bool](expression)); err == nil && so {
			return
		}
		select {
		case <-asked.C:
		case <-end:
			b.Fatalf("%s does not come true; at %s", expression, b.where())
		case <-b.ctx.Done():
			b.Fatalf("%s did not come true: %v", expression, b.ctx.Err())
		}
	}
}

// settled is a page on which nothing is on its way.
const settled = `document.readyState === "complete" && !document.querySelector('[aria-busy="true"]') &&
	[...document.querySelectorAll("[data-chart]")].every((box) => box.hidden || box.querySelector("canvas"))`

// drawn is one with all of its charts.
const drawn = settled + ` && [...document.querySelectorAll("[data-chart]")].every((box) => !box.hidden)`

// open shows a path of the daemon's.
func (b *tab) open(path string) {
	b.Helper()
	b.do(chromedp.Navigate(b.w.url + path))
	b.until(settled)
}

// refuse shows a path that is answered with a status of 400 or more.
func (b *tab) refuse(path string, status int64) {
	b.Helper()
	b.mu.Lock()
	b.refused = true
	b.mu.Unlock()
	answer, err := chromedp.Run(b.ctx, chromedp.NavigateResponse(b.w.url+path))
	if err != nil {
		b.Fatal(err)
	}
	if answer.Status != status {
		b.Errorf("%s answers %d, want %d", path, answer.Status, status)
	}
	b.until(settled)
}

// begin notes which page there is, for arrive.
func (b *tab) begin() {
	b.Helper()
	js[bool](b, `window.arrived = false, document.addEventListener("htmx:afterSettle", () => { window.arrived = true }, { once: true }), true`)
}

// arrive waits until there is another page, or another part of it.
func (b *tab) arrive() {
	b.Helper()
	b.until(`window.arrived !== false && ` + settled)
}

// follow clicks on what leads to another page, or to another part of it, and waits until that is there.
func (b *tab) follow(selector string) {
	b.Helper()
	b.begin()
	b.do(chromedp.Click(chromedp.CSS(selector)))
	b.arrive()
}

// press has somebody press keys that lead to another page.
func (b *tab) press(keys string) {
	b.Helper()
	b.begin()
	b.do(chromedp.KeyEvent(keys))
	b.arrive()
}

// typeInto writes a text into a field, in the place of what was there.
func (b *tab) typeInto(selector, text string) {
	b.Helper()
	js[bool](b, `(document.querySelector(%q).select(), true)`, selector)
	b.do(chromedp.Clear(chromedp.CSS(selector)), chromedp.SendKeys(chromedp.CSS(selector), text))
}

// choose picks an option by its value, as somebody does with the keyboard or a pointer.
func (b *tab) choose(selector, value string) {
	b.Helper()
	b.do(chromedp.SetValue(chromedp.CSS(selector), value))
	js[bool](b, `document.querySelector(%q).dispatchEvent(new Event("change", { bubbles: true }))`, selector)
	if got := js[string](b, `document.querySelector(%q).value`, selector); got != value {
		b.Fatalf("%s cannot be set to %q; at %s", selector, value, b.where())
	}
}

// asked are the parameters of the address that is shown.
func (b *tab) asked() url.Values {
	b.Helper()
	q, err := url.ParseQuery(strings.TrimPrefix(js[string](b, `location.search`), "?"))
	if err != nil {
		b.Fatal(err)
	}
	return q
}

// size makes the tab so wide and high. What is narrow is a phone.
func (b *tab) size(width, height int64) {
	b.Helper()
	b.width = width
	var options []chromedp.EmulateViewportOption
	if width < 600 {
		options = append(options, chromedp.EmulateMobile)
	}
	b.do(chromedp.EmulateViewport(width, height, options...))
}

// prefer sets what somebody has told their system, such as prefers-color-scheme: dark.
func (b *tab) prefer(pairs ...string) {
	b.Helper()
	var p emulation.SetEmulatedMediaParams
	for i := 0; i < len(pairs); i += 2 {
		p.Features = append(p.Features, &emulation.MediaFeature{Name: pairs[i], Value: pairs[i+1]})
	}
	if _, err := chromedp.Call(b.ctx, emulation.SetEmulatedMedia, p); err != nil {
		b.Fatal(err)
	}
}

// noOverflow wants the page to be no wider than the screen, once its charts have followed a change of it.
func (b *tab) noOverflow() {
	b.Helper()
	wide := js[string](b, `(async () => {
		const fits = () => document.documentElement.scrollWidth <= document.documentElement.clientWidth && window.innerWidth <= %d;
		for (const end = performance.now() + 5000; !fits() && performance.now() < end;) await new Promise((r) => setTimeout(r, 25));
		if (fits()) return "";
		const most = document.documentElement.clientWidth;
		return window.innerWidth + ": " + [...document.querySelectorAll("body *")].filter((e) => e.getBoundingClientRect().right > most + 1).map((e) => e.outerHTML.slice(0, 120)).slice(0, 5).join("\n");
	})()`, b.width)
	if wide != "" {
		b.Errorf("%s is wider than the screen:\n%s", b.where(), wide)
	}
}

// barriers are what axe-core finds that keeps people out.
func (b *tab) barriers() {
	b.Helper()
	if !js[bool](b, `"axe" in window`) {
		b.do(chromedp.Evaluate[chromedp.Void](b.w.axe))
	}
	found := js[[]string](b, `axe.run(document, { resultTypes: ["violations"] }).then((r) => r.violations.map((v) =>
		v.id + ": " + v.help + "\n" + v.nodes.slice(0, 3).map((n) => "  " + n.target + " " + n.html.slice(0, 200) + "\n  " + n.failureSummary).join("\n")))`)
	for _, f := range found {
		b.Errorf("%s: %s", b.where(), f)
	}
}

// withPairs is a path with parameters in pairs; empty ones are left out.
func withPairs(path string, pairs ...string) string {
	q := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			q.Add(pairs[i], pairs[i+1])
		}
	}
	if len(q) == 0 {
		return path
	}
	return path + "?" + q.Encode()
}
