package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/csv"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/browser"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"

	"github.com/playmeter/playmeter/crypto"
)

// ofRuns is how the name of an export ends: with the run that it is of, or how many there are and the earliest.
var ofRuns = regexp.MustCompile(`^(run|[0-9]+-runs-from)-[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}-[0-9]{2}-[0-9]{2}Z\.csv$`)

// testDownloads has the browser save exports and sealed reports, and looks at the files.
func testDownloads(t *testing.T, w *pagesWorld) {
	from, to := w.days()
	for _, tt := range []struct {
		what, role, path, name string
		pairs                  []string
	}{
		{"all playback", roleBoth, "/sessions", filmTenant.ID + "-sessions-playback", nil},
		{"streams in an order of its own", roleBoth, "/sessions/streams", filmTenant.ID + "-sessions-streams", []string{"sort", "traffic", "order", "desc"}},
		{"servers", roleBoth, "/sessions/servers", filmTenant.ID + "-sessions-servers", nil},
		{"users", roleSessions, "/sessions/users", filmTenant.ID + "-sessions-users", nil},
		{"unique sessions that are filtered", roleBoth, "/sessions/unique", filmTenant.ID + "-sessions-unique", []string{"agent", "Mozilla", "min", "10"}},
		{"all playback of all tenants", roleAdmin, "/sessions", "sessions-playback", nil},
		{"hostile users", roleHostile, "/sessions/users", hostileTenant + "-sessions-users", nil},
	} {
		t.Run("the export of "+tt.what+" is saved whole and named for what it is", func(t *testing.T) {
			b := w.tabAs(t, tt.role)
			b.open(w.inMonth(tt.path, tt.pairs...))
			const link = ".pager a[download]"
			name, data := b.download(link)
			if want := tt.name + "-" + from + "-" + to + "-"; !strings.HasPrefix(name, want) || !ofRuns.MatchString(strings.TrimPrefix(name, want)) {
				t.Errorf("it is saved as %q, want %q and then the run", name, want)
			}
			b.sameAsAnswer(link, data)
			if rows := csvRows(t, data); len(rows) < 2 {
				t.Errorf("it has %d lines", len(rows))
			}
			b.until(settled)
			if js[int](b, `document.querySelectorAll("#sessions-table tbody tr").length`) == 0 {
				t.Error("the list is gone from the page")
			}
		})
	}
	for _, report := range []string{"usage", "sessions"} {
		t.Run("the sealed "+report+" report is saved whole, and the tenant's key opens it", func(t *testing.T) { w.downloadReport(t, report) })
	}
}

// download clicks on a link, waits until the browser has saved what it leads to, and gives what is in the folder then: one file.
func (b *tab) download(link string) (name string, data []byte) {
	b.Helper()
	folder := b.TempDir()
	b.saveInto(folder)
	defer b.saveInto("")
	ctx, cancel := context.WithTimeout(b.ctx, 30*time.Second)
	defer cancel()
	begun, going := chromedp.Events(ctx, browser.DownloadWillBegin), chromedp.Events(ctx, browser.DownloadProgress)
	b.do(chromedp.Click(chromedp.CSS(link)))
	id := ""
	for ev, err := range begun {
		if err != nil {
			b.Fatalf("no download begins: %v; at %s", err, b.where())
		}
		id, name = ev.GUID, ev.SuggestedFilename
		break
	}
	for ev, err := range going {
		if err != nil {
			b.Fatalf("the download of %s does not end: %v", name, err)
		}
		if ev.GUID != id || ev.State == browser.DownloadProgressStateInProgress {
			continue
		}
		if ev.State != browser.DownloadProgressStateCompleted {
			b.Fatalf("the download of %s is %s", name, ev.State)
		}
		break
	}
	files, err := os.ReadDir(folder)
	if err != nil || len(files) != 1 || files[0].Name() != name {
		b.Fatalf("the browser has saved %v (%v), want %q alone", files, err, name)
	}
	if data, err = os.ReadFile(filepath.Join(folder, name)); err != nil {
		b.Fatal(err)
	}
	return name, data
}

// saveInto has the tab's profile save files into a folder, under their own names; empty: as it does by itself.
func (b *tab) saveInto(folder string) {
	b.Helper()
	told := folder != ""
	p := browser.SetDownloadBehaviorParams{Behavior: browser.SetDownloadBehaviorBehaviorDefault, BrowserContextID: chromedp.FromContext(b.ctx).BrowserContextID, EventsEnabled: &told}
	if told {
		p.Behavior, p.DownloadPath = browser.SetDownloadBehaviorBehaviorAllow, folder
	}
	if _, err := chromedp.Call(b.ctx, browser.SetDownloadBehavior, p); err != nil {
		b.Fatal(err)
	}
}

// sameAsAnswer wants data to be, byte by byte, what a program gets that asks for a link's address with the browser's session.
func (b *tab) sameAsAnswer(link string, data []byte) {
	b.Helper()
	q, err := http.NewRequestWithContext(b.Context(), http.MethodGet, js[string](b, `document.querySelector(%q).href`, link), nil)
	if err != nil {
		b.Fatal(err)
	}
	cookies, err := chromedp.Call(b.ctx, network.GetCookies, network.GetCookiesParams{})
	if err != nil {
		b.Fatal(err)
	}
	for _, c := range cookies.Cookies {
		q.AddCookie(&http.Cookie{Name: c.Name, Value: c.Value})
	}
	a, err := http.DefaultTransport.RoundTrip(q)
	if err != nil {
		b.Fatal(err)
	}
	defer a.Body.Close()
	body, err := io.ReadAll(a.Body)
	if err != nil {
		b.Fatal(err)
	}
	if a.StatusCode != http.StatusOK || !bytes.Equal(body, data) {
		b.Errorf("the browser has saved %d bytes, and %s is answered with %d and %d other bytes", len(data), q.URL, a.StatusCode, len(body))
	}
}

func csvRows(t *testing.T, data []byte) [][]string {
	t.Helper()
	rows, err := csv.NewReader(bytes.NewReader(bytes.TrimPrefix(data, []byte("\ufeff")))).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

// downloadReport saves a report of the month from its page, opens it with the tenant's key, and compares it with the sessions.
func (w *pagesWorld) downloadReport(t *testing.T, report string) {
	b := w.tabAs(t, roleBoth)
	page := "/reports/" + filmTenant.ID + "/" + w.month.String()
	b.open(page)
	link := fmt.Sprintf("a[download][href=%q]", page+"/"+report)
	name, sealed := b.download(link)
	if want := filmTenant.ID + "-" + w.month.String() + "-" + report + ".csv.gz.age"; name != want {
		t.Errorf("it is saved as %q, want %q", name, want)
	}
	b.sameAsAnswer(link, sealed)
	key := filepath.Join(w.dir, "demo", filmTenant.ID+".key")
	data := openReport(t, sealed, key)
	if fetched := w.must("fetch", report, "--config", w.config, "--tenant", filmTenant.ID, "--month", w.month.String(), "--identity", key); !bytes.Equal(data, fetched) {
		t.Errorf("it holds %d bytes, and “playmeter fetch” gives %d others", len(data), len(fetched))
	}
	rows := csvRows(t, data)
	shown := js[string](b, `(() => { const n = document.querySelector(%q).parentElement.querySelector(".n"); return n.title || n.textContent })()`, link)
	if got := strconv.Itoa(len(rows) - 1); got != plainFigure(shown) || got == "0" {
		t.Errorf("it has %s rows, and the page says %s", got, shown)
	}
	if report != "sessions" {
		return
	}
	want := w.sql(t, "SELECT count(*), sum(bytes) FROM sessions WHERE %s", w.sessionsOf(filmTenant.ID))[0]
	if got := []string{strconv.Itoa(len(rows) - 1), sumOfColumn(t, rows, "bytes")}; !slices.Equal(got, want) {
		t.Errorf("it has %s rows and bytes, and the sessions are %s", got, want)
	}
}

// openReport is the CSV in a sealed report.
func openReport(t *testing.T, sealed []byte, key string) []byte {
	t.Helper()
	ids, err := crypto.ReadIdentityFile(key)
	if err != nil {
		t.Fatal(err)
	}
	packed, err := crypto.Open(bytes.NewReader(sealed), ids)
	if err != nil {
		t.Fatal(err)
	}
	plain, err := gzip.NewReader(packed)
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(plain)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// sumOfColumn adds up a column of whole numbers; the first row has the names.
func sumOfColumn(t *testing.T, rows [][]string, name string) string {
	t.Helper()
	at, sum := slices.Index(rows[0], name), new(big.Int)
	if at < 0 {
		t.Fatalf("there is no column %q in %s", name, strings.Join(rows[0], ","))
	}
	for i, row := range rows[1:] {
		n, ok := new(big.Int).SetString(row[at], 10)
		if !ok {
			t.Fatalf("row %d has %q in %s", i+1, row[at], name)
		}
		sum.Add(sum, n)
	}
	return sum.String()
}
