package web

import (
	"errors"
	"io/fs"
	"maps"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/playmeter/playmeter/crypto"
)

// withPages are the embedded files, and pages of the test.
func withPages(t *testing.T, pages map[string]string) fs.FS {
	t.Helper()
	files := fstest.MapFS{}
	err := fs.WalkDir(embeddedAssets(), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := fs.ReadFile(embeddedAssets(), name)
		files[name] = &fstest.MapFile{Data: data}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range pages {
		files["pages/"+name+".html"] = &fstest.MapFile{Data: []byte(text)}
	}
	return files
}

// samplePage has a part that can be asked for alone.
const samplePage = `{{define "main"}}<h1>{{.Data}}</h1><div id="view">{{template "fragment" .}}</div>{{end}}{{define "fragment"}}<p>{{.Data}} of the view</p>{{end}}`

// renderFor renders a page for somebody.
func renderFor(t *testing.T, c caller, name string, p *page, headers ...string) (*httptest.ResponseRecorder, error) {
	t.Helper()
	site := newSite(nil)
	site.Assets = withPages(t, map[string]string{"sample": samplePage, "broken": `{{define "main"}}begun {{.Data.Missing}}{{end}}`})
	v := &service{Site: site}
	r := httptest.NewRequest("GET", "http://localhost/sample?a=b", nil)
	for i := 0; i < len(headers); i += 2 {
		if headers[i] == ":method" {
			r.Method = headers[i+1]
			continue
		}
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	err := v.render(w, &request{Request: r, caller: c}, http.StatusOK, name, p)
	return w, err
}

var signedIn = caller{signed: true, token: crypto.Token{Name: "<b>Reading room</b>", Role: crypto.RoleTenant, Tenant: "iten1", Reports: []string{"usage", "sessions"}}}

func TestRender(t *testing.T) {
	usage := signedIn
	usage.token.Reports = []string{"usage"}
	tests := []struct {
		name    string
		caller  caller
		headers []string
		want    []string
		not     []string
	}{
		{"on this machine, without tokens", caller{local: true}, nil, []string{"<title>Hello · Playmeter</title>", "no tokens yet", `<a href="/runs">Runs</a>`, `<h1>Hi</h1>`}, []string{"Sign out"}},
		{"a tenant", signedIn, nil, []string{"&lt;b&gt;Reading room&lt;/b&gt;", "<bdi title=\"iten1\">iten1</bdi>", `action="/sign-out"`, `<a href="/sessions" aria-current="page">Sessions</a>`}, []string{"/runs", "<b>", "no tokens"}},
		{"a tenant without sessions", usage, nil, []string{`<a href="/reports">`}, []string{`href="/sessions"`}},
		{"an administrator", caller{signed: true, token: crypto.Token{Name: "ops", Role: crypto.RoleAdmin}}, nil, []string{`<a href="/runs">`, ">ops<", ">admin<"}, nil},
		{"a stranger finds no ways", caller{}, nil, []string{"<h1>Hi</h1>"}, []string{"<nav", "Sign out"}},
		{"htmx gets the fragment alone", signedIn, []string{"HX-Request", "true", "HX-Target", "view"}, []string{"<p>Hi of the view</p>"}, []string{"<html", "<h1>"}},
		{"htmx that asks for something else gets all", signedIn, []string{"HX-Request", "true", "HX-Target", "other"}, []string{"<html", "<h1>"}, nil},
		{"without htmx the target means nothing", signedIn, []string{"HX-Target", "view"}, []string{"<html"}, nil},
		{"htmx that goes back gets all", signedIn, []string{"HX-Request", "true", "HX-Target", "view", "HX-History-Restore-Request", "true"}, []string{"<html"}, nil},
		{"HEAD gets no body", signedIn, []string{":method", "HEAD"}, nil, []string{"<"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w, err := renderFor(t, tt.caller, "sample", &page{Title: "Hello", Tab: "sessions", Fragments: []string{"view"}, Data: "Hi"}, tt.headers...)
			if err != nil {
				t.Fatal(err)
			}
			body := w.Body.String()
			for _, want := range tt.want {
				if !strings.Contains(body, want) {
					t.Errorf("lacks %q:\n%s", want, body)
				}
			}
			for _, not := range tt.not {
				if strings.Contains(body, not) {
					t.Errorf("has %q:\n%s", not, body)
				}
			}
			h := w.Header()
			if w.Code != 200 || h.Get("Content-Type") != "text/html; charset=utf-8" || body != "" && h.Get("Content-Length") != strconv.Itoa(len(body)) || h.Get("Vary") == "" {
				t.Errorf("%d, %v", w.Code, h)
			}
		})
	}
}

// TestNothingIsSentOfABrokenPage: what went wrong in the middle of it is answered as a problem.
func TestNothingIsSentOfABrokenPage(t *testing.T) {
	for _, name := range []string{"broken", "missing", "layout", "parts", "../openapi"} {
		w, err := renderFor(t, signedIn, name, &page{Data: "text"})
		var p *problem
		if !errors.As(err, &p) || p.Status != 500 || !strings.Contains(err.Error(), name) || strings.Contains(p.Detail, "Missing") {
			t.Errorf("%s: %v", name, err)
		}
		if w.Body.Len() > 0 || w.Header().Get("Content-Type") != "" {
			t.Errorf("%s: it was sent: %s", name, w.Body)
		}
	}
}

// TestNoPageNeedsWhatThePolicyForbids reads every embedded template: no style or script within a page, nothing from elsewhere.
func TestNoPageNeedsWhatThePolicyForbids(t *testing.T) {
	names, err := fs.Glob(embeddedAssets(), "pages/*.html")
	if err != nil || len(names) < 3 {
		t.Fatal(names, err)
	}
	for _, name := range names {
		text, err := fs.ReadFile(embeddedAssets(), name)
		if err != nil {
			t.Fatal(err)
		}
		for _, forbidden := range []string{"<style", " style=", "<iframe", "<object", "javascript:", "http://", "https://", " onclick=", " onchange=", " onsubmit=", "hx-on", "hx-vals=\"js", "hx-disinherit=\"js"} {
			if strings.Contains(strings.ToLower(string(text)), forbidden) {
				t.Errorf("%s has %q", name, forbidden)
			}
		}
	}
}

// TestEveryEmbeddedPageHasWhatTheLayoutPutsIn: templates are parsed, and define what is asked of them.
func TestEveryEmbeddedPageHasWhatTheLayoutPutsIn(t *testing.T) {
	for name, set := range shellOf(t).pages {
		for _, block := range []string{"layout", "main", "fragment"} {
			if set.Lookup(block) == nil {
				t.Errorf("page %s has no %q", name, block)
			}
		}
	}
	if _, err := readShell(withPages(t, map[string]string{"odd": `{{define "main"}}{{nothing}}{{end}}`})); err == nil || !strings.Contains(err.Error(), "odd") {
		t.Errorf("a page that calls what is not there: %v", err)
	}
	if _, err := readShell(withPages(t, map[string]string{"layout": "{{"})); err == nil || !strings.Contains(err.Error(), "layout") {
		t.Errorf("a broken layout: %v", err)
	}
}

func TestDressKeepsWhatIsGiven(t *testing.T) {
	v := &service{Site: newSite(nil)}
	at := time.Date(2020, 1, 2, 3, 4, 5, 0, time.UTC)
	q := &request{Request: httptest.NewRequest("GET", "http://localhost/x?y=z", nil), caller: signedIn}
	given := page{Now: at, Version: "v7", Path: "/elsewhere", Caller: pageCaller{Known: true, Name: "somebody"}}
	p := given
	v.dress(q, &p)
	if p.Now != at || p.Version != "v7" || p.Path != "/elsewhere" || p.Caller != given.Caller {
		t.Errorf("%+v", p)
	}
	p = page{}
	v.dress(q, &p)
	if p.Now != v.Now() || p.Version != "v1" || p.Path != "/x?y=z" || p.Caller.Tenant != "iten1" || !p.Caller.Known || p.Caller.Admin || !p.Caller.Sessions {
		t.Errorf("%+v", p)
	}
}

func TestTemplateFuncs(t *testing.T) {
	funcs := pageFuncs(shellOf(t).assets)
	for name := range maps.Keys(humanFuncs) {
		if funcs[name] == nil {
			t.Errorf("templates cannot call %s", name)
		}
	}
	if _, err := shellOf(t).assets.url("nothing.css"); err == nil {
		t.Error("a file that is not there has an address")
	}
	if f, err := countAny(1204); err != nil || f.Text != "1,204" {
		t.Errorf("count of an int: %v, %v", f, err)
	}
	if _, err := countAny("many"); err == nil {
		t.Error("a text can be counted")
	}
}
