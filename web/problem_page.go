package web

import (
	"cmp"
	"net/http"
	"strings"
)

// pageHeaders sets what is different where people look at pages.
//
//   - Referrer-Policy: with no-referrer, browsers say of their posts that they come from nowhere, so that
//     admit would take our own forms for another site's.
func pageHeaders(h http.Header) {
	h.Set("Vary", "Authorization, Cookie")
	h.Set("Referrer-Policy", "same-origin")
}

// wantsPage tells whether what is wrong is to be told on a page: to a browser that asks for one.
func (q *request) wantsPage() bool {
	return q.route.people(q.Request) && (q.isHTMX() || strings.Contains(q.Header.Get("Accept"), "text/html"))
}

func (q *request) isHTMX() bool { return q.Header.Get("HX-Request") == "true" }

// problemData is what the page says that tells what is wrong.
type problemData struct {
	Status int
	Title  string
	Detail string
	// SignIn is where one can sign in with another token; empty: that would not help.
	SignIn string
	// Runs tells that it is the page of runs to go back to.
	Runs bool
	// Href leads on, and Link is what that is called; empty: nowhere in particular.
	Href, Link string
}

// failPage tells what is wrong on a page. Who has not signed in is sent to where one does.
func (v *service) failPage(w *statusWriter, q *request, p *problem) {
	if p.Status == http.StatusUnauthorized && q.Header.Get("Authorization") == "" {
		v.sendToSignIn(w, q)
		return
	}
	h := w.Header()
	clearFile(h)
	copyHeader(h, p.header)
	h.Set("Cache-Control", "no-store")
	data := problemData{Status: p.Status, Title: p.Title, Detail: cmp.Or(p.people, p.Detail), Runs: q.URL.Path == pathRuns && q.caller.admin(),
		Href: p.way.Href, Link: p.way.Text}
	if p.Status == http.StatusForbidden && q.caller.signed {
		data.SignIn = signInFirst(q, false)
	}
	if err := v.render(w, q, p.Status, "problem", &page{Title: p.Title, Data: data}); err != nil {
		v.log().Error("what is wrong could not be told on a page", "route", q.route.label(), "err", err)
		p.write(w, q.Request)
	}
}

// sendToSignIn has a browser ask for a token. A part of a page that renews itself cannot: it has the page go there.
func (v *service) sendToSignIn(w *statusWriter, q *request) {
	_, ended := v.cookieOf(q.Request)
	if ended {
		v.setCookie(w, q.Request, "")
	}
	to := signInFirst(q, ended)
	if q.isHTMX() {
		w.Header().Set("HX-Redirect", to)
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	_ = seeOther(w, to)
}

// clearFile takes back what was said of a file that is not sent after all.
func clearFile(h http.Header) {
	for _, name := range []string{"Content-Disposition", "Etag", "Last-Modified", "Accept-Ranges", "Content-Range", "Content-Encoding", HeaderRun, HeaderAsOf} {
		h.Del(name)
	}
}

func copyHeader(to, from http.Header) {
	for name, values := range from {
		to[name] = values
	}
}
