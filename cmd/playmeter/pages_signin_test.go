package main

import (
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// testSignIn goes in and out.
func testSignIn(t *testing.T, w *pagesWorld) {
	t.Run("a page leads to the sign-in, which leads back to it with all that was asked", func(t *testing.T) {
		b := w.tab(t, w.profile(t))
		wanted := w.inMonth("/sessions/streams", "sort", "traffic", "order", "asc")
		b.open(wanted)
		if path := js[string](b, `location.pathname`); path != "/sign-in" {
			t.Fatalf("a stranger is shown %s", path)
		}
		b.barriers()
		b.do(chromedp.SendKeys(chromedp.CSS(`input[name="token"]`), w.tokens[roleBoth])) // it has the focus already
		b.press(kb.Enter)
		if at := js[string](b, `location.pathname + location.search`); at != wanted {
			t.Errorf("it leads to %s, want %s", at, wanted)
		}
		if by := js[string](b, `document.querySelector(".caller-name").textContent`); by != "Films, both" {
			t.Errorf("signed in as %q", by)
		}
		b.follow(`form[action="/sign-out"] button`)
		if path := js[string](b, `location.pathname`); path != "/sign-in" {
			t.Errorf("signing out leads to %s", path)
		}
		b.open("/reports")
		if path := js[string](b, `location.pathname`); path != "/sign-in" {
			t.Errorf("after signing out one is shown %s", path)
		}
	})
	t.Run("nobody is led elsewhere", func(t *testing.T) {
		b := w.tab(t, w.profile(t))
		b.open(withPairs("/sign-in", "next", "//example.com/"))
		b.typeInto(`input[name="token"]`, w.tokens[roleBoth])
		b.follow(`main form button`)
		if at := js[string](b, `location.href`); at != w.url+"/" {
			t.Errorf("it leads to %s", at)
		}
	})
	for _, tt := range []struct{ name, token, want string }{
		{"what is no token", "secret", "not known here"},
		{"a token of nobody's", w.tokens[roleAdmin][:len(w.tokens[roleAdmin])-1] + flip(w.tokens[roleAdmin]), "token"},
		{"a node's token", w.tokens[roleNode], "sees no pages"},
	} {
		t.Run(tt.name+" is refused", func(t *testing.T) {
			b := w.tab(t, w.profile(t))
			b.refused = true
			b.open("/sign-in")
			b.typeInto(`input[name="token"]`, tt.token)
			b.follow(`main form button`)
			if said := js[string](b, `document.querySelector('[role="alert"]').textContent`); !strings.Contains(said, tt.want) || strings.Contains(said, tt.token) {
				t.Errorf("it says %q", said)
			}
			if js[string](b, `document.querySelector('input[name="token"]').value`) != "" {
				t.Error("the page has the token in it")
			}
			b.barriers()
		})
	}
	t.Run("who was signed in with a token that was revoked is told so", func(t *testing.T) {
		token := w.token("--role", "tenant", "--tenant", filmTenant.ID, "--report", "usage", "for a moment")
		b := w.tab(t, w.profile(t))
		b.open("/sign-in")
		b.typeInto(`input[name="token"]`, token)
		b.follow(`main form button`)
		w.must("token", "revoke", "--config", w.config, strings.Split(token, "_")[1])
		b.open("/reports")
		if said := js[string](b, `document.querySelector('main [role="status"]').textContent`); !strings.Contains(said, "signed in") {
			t.Errorf("it says %q", said)
		}
	})
}

// flip is another last character than that of a token.
func flip(token string) string {
	if strings.HasSuffix(token, "a") {
		return "b"
	}
	return "a"
}
