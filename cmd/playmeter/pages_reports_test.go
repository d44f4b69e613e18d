package main

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// testReports downloads a sealed report in the browser, and has a month checked.
func testReports(t *testing.T, w *pagesWorld) {
	b := w.tabAs(t, roleBoth)
	b.open("/reports")
	b.barriers()
	b.noOverflow()
	month := "/reports/" + filmTenant.ID + "/" + w.month.String()
	b.follow(fmt.Sprintf(`#months a[href=%q]`, month))
	b.barriers()
	t.Run("what is downloaded is the sealed file that the page names the digest of", func(t *testing.T) {
		type report struct{ Href, Digest string }
		reports := js[[]report](b, `[...document.querySelectorAll(".report")].map((r) => ({ href: r.querySelector("a[download]").getAttribute("href"),
			digest: r.querySelector(".facts code").textContent }))`)
		if len(reports) != 2 {
			t.Fatalf("%d reports", len(reports))
		}
		for _, r := range reports {
			status, sealed := w.get(t, w.tokens[roleBoth], r.Href)
			sum := sha256.Sum256([]byte(sealed))
			if status != http.StatusOK || hex.EncodeToString(sum[:]) != r.Digest || !strings.HasPrefix(sealed, "age-encryption.org/v1") {
				t.Errorf("%s: status %d, digest %x, want %s", r.Href, status, sum, r.Digest)
			}
			digest := js[string](b, `fetch(%q).then((a) => a.arrayBuffer()).then((a) => crypto.subtle.digest("SHA-256", a)).then((d) => [...new Uint8Array(d)].map((n) => n.toString(16).padStart(2, "0")).join(""))`, r.Href)
			if digest != r.Digest {
				t.Errorf("%s: the browser gets digest %s", r.Href, digest)
			}
		}
	})
	t.Run("the month is checked, and well", func(t *testing.T) {
		b.follow(fmt.Sprintf(`form[action=%q] button`, month+"/verify"))
		b.until(`document.querySelector("#check .notice.good") !== null`)
		b.barriers()
	})
	t.Run("who reads one report is shown that one", func(t *testing.T) {
		for role, want := range map[string]string{roleUsage: "Usage", roleSessions: "Sessions"} {
			b := w.tabAs(t, role)
			b.open(month)
			if got := js[string](b, `[...document.querySelectorAll(".report h3")].map((h) => h.textContent).join()`); got != want {
				t.Errorf("%s is shown %q", role, got)
			}
			b.barriers()
		}
	})
	b.complain()
}
