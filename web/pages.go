package web

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"io/fs"
	"maps"
	"net/http"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/playmeter/playmeter/crypto"
	"github.com/playmeter/playmeter/schemas"
)

// A page is what the templates see. Each file of assets/pages but layout.html and parts.html is a page: it defines
// "main", which the layout puts between navigation and footer, and "fragment" where a part of it can be asked for alone.
type page struct {
	Title string
	Tab   string // which entry of the navigation is current: dashboard, sessions, reports or runs
	Data  any

	// Fragments are the ids of elements whose content is the block "fragment": htmx gets that block alone where it asks for one.
	Fragments []string

	// What follows is filled in by render where it is empty.
	Caller  pageCaller
	Path    string // of the page, with its query
	Now     time.Time
	Version string
}

// pageCaller is who looks at a page.
type pageCaller struct {
	Known    bool // they signed in, or need not
	Local    bool // there are no tokens yet: everybody on this machine may do everything
	Admin    bool
	Sessions bool // they may see sessions
	Name     string
	Role     string
	Tenant   string // whose they are, by id; empty: of all
	Whose    string // the name of that tenant
}

//go:embed assets/pages assets/static
var embedded embed.FS

// embeddedAssets holds static/ and pages/.
func embeddedAssets() fs.FS {
	sub, err := fs.Sub(embedded, "assets")
	if err != nil {
		panic("cannot happen: the path is a good one: " + err.Error())
	}
	return sub
}

// A shell is all that pages are made of: templates by the name of their page, and the files that they lead to.
type shell struct {
	pages  map[string]*template.Template
	assets *assets
}

// embeddedShell is read once.
var embeddedShell = sync.OnceValues(func() (*shell, error) {
	s, err := readShell(embeddedAssets())
	if err != nil {
		return nil, err
	}
	return s, s.assets.pack()
})

// shell is read anew at each request where the files are not the embedded ones, so that a change shows at once.
func (v *service) shell() (*shell, error) {
	if v.Assets == nil {
		return embeddedShell()
	}
	return readShell(v.Assets)
}

func readShell(files fs.FS) (*shell, error) {
	all, err := readAssets(files)
	if err != nil {
		return nil, err
	}
	s := &shell{assets: all, pages: make(map[string]*template.Template)}
	base, err := template.New("").Funcs(pageFuncs(all)).ParseFS(files, "pages/layout.html", "pages/parts.html")
	if err != nil {
		return nil, fmt.Errorf("parse the layout of pages: %w", err)
	}
	names, err := fs.Glob(files, "pages/*.html")
	if err != nil {
		return nil, err
	}
	for _, file := range names {
		name := strings.TrimSuffix(path.Base(file), ".html")
		if name == "layout" || name == "parts" {
			continue
		}
		t, err := base.Clone()
		if err == nil {
			t, err = t.ParseFS(files, file)
		}
		if err != nil {
			return nil, fmt.Errorf("parse page %s: %w", name, err)
		}
		s.pages[name] = t
	}
	return s, nil
}

// pageFuncs are what templates call. Those that come in two units give a text and the exact value: see human.go.
func pageFuncs(all *assets) template.FuncMap {
	funcs := template.FuncMap{"asset": all.url, "link": linkTo, "choice": linkChoice}
	maps.Copy(funcs, humanFuncs)
	return funcs
}

// render answers with a page: the file NAME.html of assets/pages inside the layout, or its fragment where htmx asks for it.
//
//   - Shape: nothing is sent unless all of the page could be made.
//   - Errors: a problem of status 500 that names the page in its cause.
func (v *service) render(w http.ResponseWriter, q *request, status int, name string, p *page) error {
	s, err := v.shell()
	if err != nil {
		return brokenPage(name, err)
	}
	t := s.pages[name]
	if t == nil {
		return brokenPage(name, fmt.Errorf("there is no pages/%s.html; there are %s", name, strings.Join(slices.Sorted(maps.Keys(s.pages)), ", ")))
	}
	v.dress(q, p)
	block := "layout"
	if p.fragmentFor(q.Request) {
		block = "fragment"
	}
	var b bytes.Buffer
	if err := t.ExecuteTemplate(&b, block, p); err != nil {
		return brokenPage(name, err)
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Length", strconv.Itoa(b.Len()))
	h.Add("Vary", "HX-Request, HX-Target")
	w.WriteHeader(status)
	if q.Method != http.MethodHead {
		_, _ = w.Write(b.Bytes()) // whoever does not read it has gone
	}
	return nil
}

func brokenPage(name string, cause error) *problem {
	p := newProblem(http.StatusInternalServerError, "This page could not be made. The daemon's log says more: please report it.")
	p.cause = fmt.Errorf("render page %s: %w", name, cause)
	return p
}

// fragmentFor tells whether htmx asks for nothing but the fragment. A page that it goes back to is asked for whole.
func (p *page) fragmentFor(r *http.Request) bool {
	h := r.Header
	return h.Get("HX-Request") == "true" && h.Get("HX-History-Restore-Request") != "true" && slices.Contains(p.Fragments, h.Get("HX-Target"))
}

// dress fills in what every page shows.
func (v *service) dress(q *request, p *page) {
	if p.Now.IsZero() {
		p.Now = v.Now()
	}
	if p.Version == "" {
		p.Version = v.Version
	}
	if p.Path == "" {
		p.Path = q.URL.RequestURI()
	}
	if p.Caller == (pageCaller{}) {
		p.Caller = callerOf(&q.caller)
		if id := p.Caller.Tenant; id != "" {
			p.Caller.Whose = v.nameOf(schemas.Tenant(id))
		}
	}
}

func callerOf(c *caller) pageCaller {
	shown := pageCaller{Known: c.known(), Local: c.local, Admin: c.admin(), Sessions: c.reads(schemas.ReportSessions)}
	if c.signed {
		shown.Name, shown.Role = c.token.Name, string(c.token.Role)
	}
	if c.signed && c.token.Role == crypto.RoleTenant {
		shown.Tenant = c.token.Tenant
	}
	return shown
}
