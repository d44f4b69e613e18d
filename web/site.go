package web

import (
	"context"
	_ "embed"
	"fmt"
	"html/template"
	"net/http"
	"time"

	"github.com/playmeter/playmeter/schemas"
)

// Site is what the pages show. Its fields are set before first use.
type Site struct {
	Version string
	Started time.Time
	Store   string // where the object store answers
	// Ready tells what keeps the daemon from doing its work; nil when nothing does.
	Ready func(context.Context) error
	// Runs are the next runs, soonest first.
	Runs    func(now time.Time) []NextRun
	Metrics *Metrics
	Now     func() time.Time
}

// NextRun is when a tenant's reports are made next.
type NextRun struct {
	Tenant   schemas.Tenant
	Name     string
	Schedule string
	At       time.Time
}

// Handler is every route there is.
func (s *Site) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", s.home)
	mux.HandleFunc("GET /healthz", s.health)
	mux.HandleFunc("GET /readyz", s.ready)
	mux.Handle("GET /metrics", s.Metrics.handler())
	return onlyLoopback(headers(mux))
}

// headers keeps what is served from being framed, sniffed or scripted.
func headers(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cache-Control", "no-store")
		next.ServeHTTP(w, r)
	})
}

func (s *Site) health(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") }

// readyTime is how long the object store may take to answer.
const readyTime = 3 * time.Second

func (s *Site) ready(w http.ResponseWriter, r *http.Request) {
	if err := s.check(r.Context()); err != nil {
		http.Error(w, "not ready: "+err.Error(), http.StatusServiceUnavailable)
		return
	}
	fmt.Fprintln(w, "ready")
}

func (s *Site) check(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readyTime)
	defer cancel()
	return s.Ready(ctx)
}

//go:embed assets/home.html
var homeText string

var homePage = template.Must(template.New("home").Funcs(template.FuncMap{
	"utc": func(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05") },
}).Parse(homeText))

func (s *Site) home(w http.ResponseWriter, r *http.Request) {
	now := s.Now()
	page := struct {
		Site  *Site
		Now   time.Time
		Up    time.Duration
		Error error
		Runs  []NextRun
	}{s, now, now.Sub(s.Started).Round(time.Second), s.check(r.Context()), s.Runs(now)}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	if err := homePage.Execute(w, page); err != nil {
		return // the reader has gone
	}
}
