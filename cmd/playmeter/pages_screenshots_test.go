package main

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/chromedp/chromedp"
)

// TestScreenshots makes pictures of every page, for people to look at: in light and dark, on a desk and on a phone.
// "make screenshots" puts them into bin/screenshots.
func TestScreenshots(t *testing.T) {
	folder := os.Getenv("PLAYMETER_SCREENSHOTS")
	if folder == "" {
		t.Skip(`makes pictures for people; "make screenshots" does it`)
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	w := newPagesWorld(t, 400_000)
	for _, p := range w.pictures() {
		t.Run(p.name, func(t *testing.T) { w.take(t, p, folder) })
	}
}

// take makes the pictures of a page.
func (w *pagesWorld) take(t *testing.T, p picture, folder string) {
	var b *tab
	if p.role == "" {
		b = w.tab(t, w.profile(t))
	} else {
		b = w.tabAs(t, p.role)
	}
	b.refused = true
	for _, colours := range []string{"light", "dark"} {
		for _, width := range []int64{1440, 390} {
			b.prefer("prefers-color-scheme", colours, "prefers-reduced-motion", "reduce")
			b.size(width, 900)
			b.open(p.path)
			b.until(`!document.querySelector("main").textContent.includes("They are being looked at") || (location.reload(), false)`)
			if p.open != "" {
				js[bool](b, `(document.querySelectorAll(%q).forEach((d) => { d.open = true }), true)`, p.open)
			}
			picture, err := chromedp.Run(b.ctx, chromedp.FullScreenshot(100))
			if err != nil {
				t.Fatal(err)
			}
			mustWrite(t, filepath.Join(folder, fmt.Sprintf("%s-%s-%d.png", p.name, colours, width)), picture)
		}
	}
}

// A picture is a page as somebody sees it.
type picture struct {
	name, role, path string
	open             string // what is unfolded
}

func (w *pagesWorld) pictures() []picture {
	month := w.month.String()
	report := "/reports/" + filmTenant.ID + "/" + month
	return []picture{
		{"sign-in", "", "/sign-in?ended=1", ""},
		{"dashboard", roleAdmin, "/?month=" + month, ""},
		{"dashboard-tables", roleBoth, "/?month=" + month, "figure details"},
		{"dashboard-usage-alone", roleUsage, "/?month=" + month, ""},
		{"dashboard-empty", roleAdmin, "/?month=2024-02", ""},
		{"dashboard-hostile", roleHostile, "/?month=" + month, ""},
		{"sessions-playback", roleAdmin, w.inMonth("/sessions"), ""},
		{"sessions-streams", roleBoth, w.inMonth("/sessions/streams"), ""},
		{"sessions-servers", roleBoth, w.inMonth("/sessions/servers"), ""},
		{"sessions-users", roleBoth, w.inMonth("/sessions/users"), ""},
		{"sessions-unique", roleBoth, w.inMonth("/sessions/unique"), ""},
		{"sessions-filtered", roleBoth, w.inMonth("/sessions", "agent", "Mozilla", "min", "60", "tier", "md", "drm", "drm"), ""},
		{"sessions-empty", roleBoth, w.inMonth("/sessions", "user", "nobody"), ""},
		{"sessions-wrong", roleBoth, w.inMonth("/sessions", "ip", "300.1.2.3", "min", "soon"), ""},
		{"sessions-refused", roleUsage, w.inMonth("/sessions"), ""},
		{"sessions-hostile", roleHostile, w.inMonth("/sessions"), ""},
		{"users-hostile", roleHostile, w.inMonth("/sessions/users"), ""},
		{"reports", roleAdmin, "/reports", ""},
		{"reports-month", roleBoth, report, "details"},
		{"runs", roleAdmin, "/runs", ""},
		{"nowhere", roleBoth, "/nowhere", ""},
	}
}
