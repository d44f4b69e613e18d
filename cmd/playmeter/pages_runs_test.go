package main

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/playmeter/playmeter/bucket"
	"github.com/playmeter/playmeter/schemas"
)

// testRuns begins a run, sees it come to its end, and finds it in the history.
func testRuns(t *testing.T, w *pagesWorld) {
	b := w.tabAs(t, roleAdmin)
	b.open("/runs")
	b.until(`!document.querySelector("main").textContent.includes("They are being looked at")`)
	b.barriers()
	b.noOverflow()
	runs := func() int { return js[int](b, `document.querySelectorAll("#runs-state tbody tr").length`) }
	before := runs()
	b.choose(`form[action="/runs"] select[name="tenant"]`, filmTenant.ID)
	b.choose(`form[action="/runs"] select[name="month"]`, w.month.String())
	b.follow(`form[action="/runs"] button`)
	b.until(`document.querySelectorAll("#runs-state tbody tr").length > %d`, before)
	b.until(`!!document.querySelector('[id^="runs-idle-"]')`)
	if said := js[string](b, `document.querySelector("#runs-state tbody tr").textContent`); !strings.Contains(said, filmTenant.Name) && !strings.Contains(said, filmTenant.ID) {
		t.Errorf("the newest run is %q", said)
	}
	b.barriers()
	b.complain()
}

// What there is in the world of the run that is held.
const (
	flightTenant = "itenFlight"
	flightName   = "The Flyers"
	flightStore  = "flight-" // how its buckets' names begin
)

// flightFiles are the sizes of the usage files, and how many events each has.
var flightFiles = []struct{ size, events int }{{10_000, 10}, {20_000, 20}, {70_000, 40}}

// flightLook is what the page says of the run in flight: its text, and how far each stage is.
const flightLook = `[document.querySelector("#runs-live > p").textContent, ...[...document.querySelectorAll("#runs-live .bar-row")].map((r) =>
	[r.querySelector(".bar-label").innerText, r.querySelector(".bar-value").textContent, r.querySelector(".bar-fill").getAttribute("width")].join(" "))].join("\n").replace(/\s+/g, " ")`

// testRunInFlight begins a run whose object store gives one thing after the other, as it is told to, and sees it come along.
func testRunInFlight(t *testing.T, w *pagesWorld) {
	f, gate := newFlightWorld(t, w)
	b, colleague, late := f.tabAs(t, roleAdmin), f.tabAs(t, roleAdmin), f.tabAs(t, roleAdmin)
	colleague.open("/runs")
	const button = `form[action="/runs"] button`
	off := func(b *tab) bool { return js[bool](b, `document.querySelector(%q).disabled`, button) }
	says := func(b *tab, words ...string) {
		t.Helper()
		for _, word := range words {
			b.until(flightLook+`.includes(%q)`, word)
		}
	}
	if off(colleague) {
		t.Error("before the run the button is off")
	}
	for i := range flightFiles {
		gate.hold(flightFile(i))
	}
	t.Run("whoever begins it is shown it at once", func(t *testing.T) {
		b.open("/runs")
		b.choose(`form[action="/runs"] select[name="tenant"]`, flightTenant)
		b.choose(`form[action="/runs"] select[name="month"]`, f.month.String())
		b.follow(button)
		if said := js[string](b, flightLook); !strings.Contains(said, "A run is in flight: "+f.month.String()+", tenant "+flightName+", since ") || !off(b) {
			t.Errorf("it says %q; no other can be begun: %v", said, off(b))
		}
		js[bool](b, `window.still = true`) // as long as the page is not loaded anew
		says(b, "counting usage files 0 B of 100 kB 0.0%")
		b.barriers()
		b.noOverflow()
		b.size(390, 844)
		b.noOverflow()
		b.barriers()
		b.size(1440, 900)
	})
	t.Run("its figures grow by themselves, and the focus stays", func(t *testing.T) {
		js[bool](b, `(document.querySelector('#runs-live a[href="/runs"]').focus(), true)`)
		gate.release(flightFile(0))
		says(b, "counting usage files 10.0 kB of 100 kB 10.0%")
		if !js[bool](b, `document.activeElement.matches('#runs-live a[href="/runs"]')`) {
			t.Errorf("the focus went to %s", js[string](b, `document.activeElement.outerHTML.slice(0, 100)`))
		}
	})
	t.Run("who comes later sees the same", func(t *testing.T) {
		late.open("/runs")
		says(late, "A run is in flight: "+f.month.String()+", tenant "+flightName, "10.0 kB of 100 kB 10.0%")
		if !off(late) {
			t.Error("the button can be pressed")
		}
	})
	t.Run("who has had the page open since before it learns of it", func(t *testing.T) {
		colleague.until(`document.querySelector(%q).disabled && `+settled, button)
		says(colleague, "A run is in flight: "+f.month.String())
	})
	t.Run("a second one is refused, and the page of that leads to the first", func(t *testing.T) {
		js[bool](colleague, `(document.querySelector(%q).disabled = false, true)`, button) // as it is until a page has learnt of the run
		colleague.refused = true
		colleague.follow(button)
		said := js[string](colleague, `document.querySelector("main").innerText`)
		for _, want := range []string{"A run is in flight already", "none was begun for you", "ask again when it has ended"} {
			if !strings.Contains(said, want) {
				t.Errorf("it says %q, without %q", said, want)
			}
		}
		colleague.barriers()
		colleague.follow(`main a[href="/runs"]`)
		says(colleague, "10.0 kB of 100 kB")
	})
	t.Run("the next stage is told when it comes", func(t *testing.T) {
		gate.release(flightFile(1))
		says(b, "counting usage files 30.0 kB of 100 kB 30.0%")
		gate.hold("PUT /" + flightStore + "reporting/")
		gate.release(flightFile(2))
		says(b, "adding up "+flightName+" 3 files")
		says(late, "adding up "+flightName+" 3 files")
		if !js[bool](b, `!!window.still`) {
			t.Error("the page was loaded anew meanwhile")
		}
		b.barriers()
	})
	t.Run("at its end everybody's page says what came of it", func(t *testing.T) {
		late.choose(`form[action="/runs"] select[name="tenant"]`, flightTenant)
		js[bool](late, `(document.querySelector('form[action="/runs"] select[name="month"]').focus(), true)`)
		gate.release("PUT /" + flightStore + "reporting/")
		for who, b := range map[string]*tab{"who began it": b, "who came later": late, "who was refused": colleague} {
			b.until(`document.querySelector("#runs-state")?.textContent.includes("No run is in flight") && ` + settled)
			if off(b) {
				t.Errorf("%s cannot begin another", who)
			}
			rows := js[[][]string](b, `[...document.querySelectorAll("#past tbody tr")].map((tr) => [...tr.cells].filter((c) => ["Month", "Tenant", "Result", "New files", "Events", "Rejected", "Set aside"].includes(c.dataset.label)).map((c) => c.textContent))`)
			if got, want := fmt.Sprint(rows), fmt.Sprintf("[[%s %s done 3 70 0 0]]", f.month, flightName); got != want {
				t.Errorf("%s is told %s, want %s", who, got, want)
			}
			b.until(`[...document.querySelectorAll("#months tbody tr")].some((tr) => tr.cells[0].textContent === %q && tr.cells[3].textContent === %q)`, f.month.String(),
				js[string](b, `document.querySelector("#past tbody tr").cells[3].textContent`))
			b.complain()
		}
		if got := js[string](late, `document.querySelector('form[action="/runs"] select[name="tenant"]').value + " " + document.activeElement.name`); got != flightTenant+" month" {
			t.Errorf("what was chosen meanwhile, and where somebody was, has become %q", got)
		}
		b.barriers()
		if status, _ := f.get(t, f.tokens[roleAdmin], js[string](b, `document.querySelector("#past tbody a").getAttribute("href")`)); status != http.StatusOK {
			t.Errorf("its page is answered with %d", status)
		}
	})
}

// flightFile is a usage file as it is asked for.
func flightFile(i int) string { return fmt.Sprintf("GET /%susage/%d.ndjson", flightStore, i) }

// newFlightWorld is a second daemon with three usage files that no run has counted, and nothing else. Its buckets are in
// the first one's object store, behind a gate; its schedule comes in months.
func newFlightWorld(t *testing.T, w *pagesWorld) (*pagesWorld, *gate) {
	t.Helper()
	now := time.Now().UTC()
	dir := t.TempDir()
	f := &pagesWorld{t: t, dir: filepath.Join(dir, "data"), config: filepath.Join(dir, DefaultConfigFile), month: schemas.PeriodOf(now).Previous(),
		axe: w.axe, browser: w.browser, tokens: map[string]string{}, people: map[string]context.Context{}}
	store, closer, err := bucket.Open(t.Context(), bucket.EmbeddedConfig{Dir: w.dir})
	if err != nil {
		t.Fatal(err)
	}
	defer closer.Close()
	gate := newGate(t, store.Config().Endpoint)
	public := strings.TrimSpace(string(f.must("keygen", "-o", filepath.Join(dir, "flight.key"))))
	far := now.AddDate(0, 0, 180)
	text := fmt.Appendf(nil, `data_dir: data
object_store: {endpoint: %q, access_key: %q, secret_key: %q}
buckets: {usage: %[4]susage, catalog: %[4]scatalog, metering: %[4]smetering, reporting: %[4]sreporting}
reports: {schedule: "0 0 1 %d *"}
statistics: {pages: off}
tenants:
  - id: %s
    name: %s
    grants: [{recipient: %s, reports: [usage, sessions]}]
`, gate.url, store.Config().AccessKey, store.Config().SecretKey, flightStore, far.Month(), flightTenant, flightName, public)
	if err := os.WriteFile(f.config, text, 0o600); err != nil {
		t.Fatal(err)
	}
	usage := filepath.Join(dir, "usage")
	if err := os.Mkdir(usage, 0o700); err != nil {
		t.Fatal(err)
	}
	for i, file := range flightFiles {
		mustWrite(t, filepath.Join(usage, fmt.Sprintf("%d.ndjson", i)), flightUsage(t, f.month, i, file.events, file.size))
	}
	f.must("import", "--config", f.config, usage)
	f.tokens[roleAdmin] = f.token("--role", "admin", "Frida Flight")
	f.serve()
	return f, gate
}

// flightUsage is a usage file of so many events and bytes.
func flightUsage(t *testing.T, month schemas.Period, file, events, size int) []byte {
	t.Helper()
	var out bytes.Buffer
	at := month.Start().Add(time.Duration(file+1) * 24 * time.Hour)
	for i := range events {
		event := map[string]any{"node_id": "edge-1", "event_id": fmt.Sprint(file, "-", i), "time": at.Add(time.Duration(i*2) * time.Second).Format(time.RFC3339),
			"tenant_id": flightTenant, "kind": "playout", "object_id": "iq__flight", "bytes": 1000, "duration_us": 2_000_000, "track": "muxed", "width": 1280, "height": 720,
			"session_id": fmt.Sprint("session ", file), "segment": i, "playout_format": "hls-clear", "user_agent": ""}
		if i == events-1 { // it fills the file
			var line bytes.Buffer
			writeLine(t, &line, event)
			event["user_agent"] = strings.Repeat("x", size-out.Len()-line.Len())
		}
		writeLine(t, &out, event)
	}
	return out.Bytes()
}

// A gate stands between a daemon and its object store. What is held waits there until it is released; all else passes.
type gate struct {
	url string

	mu   sync.Mutex
	held map[string]chan struct{} // by method and how the path begins
}

func newGate(t *testing.T, store string) *gate {
	t.Helper()
	target, err := url.Parse(store)
	if err != nil {
		t.Fatal(err)
	}
	g := &gate{held: map[string]chan struct{}{}}
	// Signatures name the host that was dialled.
	pass := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target); r.Out.Host = r.In.Host }}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-g.waits(r.Method + " " + r.URL.Path):
			pass.ServeHTTP(w, r)
		case <-r.Context().Done():
		}
	}))
	g.url = server.URL
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	return g
}

// waits is closed when a request may pass.
func (g *gate) waits(request string) <-chan struct{} {
	g.mu.Lock()
	defer g.mu.Unlock()
	for prefix, opens := range g.held {
		if strings.HasPrefix(request, prefix) {
			return opens
		}
	}
	opens := make(chan struct{})
	close(opens)
	return opens
}

// hold keeps requests waiting whose method and path begin so.
func (g *gate) hold(prefix string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.held[prefix] = make(chan struct{})
}

// release lets through what is held, and whatever follows.
func (g *gate) release(prefix string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	close(g.held[prefix])
	delete(g.held, prefix)
}
