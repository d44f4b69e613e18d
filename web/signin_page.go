package web

import (
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/playmeter/playmeter/crypto"
)

// maxForm bounds the body of a form, in bytes.
const maxForm = 16 << 10

// signInData is what the page shows that asks for a token.
type signInData struct {
	Next    string // where to go afterwards
	Ended   bool   // somebody was signed in, and is no more
	Out     bool   // they signed out
	Problem string // why the token was not taken
	As      string // who is signed in already
}

// endedByThem is in the address of the form for who has signed out; of others that were signed in it says 1.
const endedByThem = "out"

// signInPage asks for a token. Where there are none yet there is nothing to sign in with.
func (v *service) signInPage(w http.ResponseWriter, q *request) error {
	next := localPath(q.query.Get("next"))
	if q.caller.local {
		return seeOther(w, next)
	}
	ended := q.query.Get("ended")
	data := signInData{Next: next, Ended: ended != "" && ended != endedByThem, Out: ended == endedByThem && !q.caller.signed}
	if q.caller.signed {
		data.As = q.caller.token.Name
	}
	return v.showSignIn(w, q, http.StatusOK, data)
}

func (v *service) showSignIn(w http.ResponseWriter, q *request, status int, data signInData) error {
	return v.render(w, q, status, "signin", &page{Title: "Sign in", Data: data})
}

// signIn takes a token, and remembers the browser that has brought it. A browser that was signed in begins anew, under
// an id of which nobody can have known.
func (v *service) signIn(w http.ResponseWriter, q *request) error {
	form, err := readForm(w, q.Request)
	if err != nil {
		return err
	}
	next := localPath(form.Get("next"))
	if q.caller.local {
		return seeOther(w, next)
	}
	token, err := v.tokenOf(q, form.Get("token"))
	if err != nil {
		p := problemOf(err)
		q.caller.signed = false
		if !q.wantsPage() {
			return p
		}
		v.tellProblem(q, p)
		p.header.Del("Www-Authenticate") // the form asks, rather than the browser
		copyHeader(w.Header(), p.header)
		return v.showSignIn(w, q, p.Status, signInData{Next: next, Problem: p.Detail})
	}
	if old, given := v.cookieOf(q.Request); given {
		v.browsers.signOut(old)
	}
	v.setCookie(w, q.Request, v.browsers.signIn(token, v.Now()))
	return seeOther(w, next)
}

// tokenOf is the token of somebody who is to see pages.
func (v *service) tokenOf(q *request, text string) (crypto.Token, error) {
	text = strings.TrimSpace(text)
	token, err := v.check(q.Context(), text, canBeToken(text), q.caller.address)
	q.caller.token, q.caller.signed = token, err == nil // for the record
	var p *problem
	switch {
	case errors.As(err, &p) && p.Status == http.StatusUnauthorized && !canBeToken(text):
		return token, unauthorized(true, "That is no token. Paste all of it: it begins with pm_ and has no spaces.")
	case err != nil:
		return token, err
	case token.Role == crypto.RoleNode:
		return token, forbidden("A node's token posts usage and sees no pages: sign in with one of role tenant or admin.")
	case token.Role != crypto.RoleAdmin && token.Role != crypto.RoleTenant:
		return token, forbidden("A token of role %s sees no pages: sign in with one of role tenant or admin.", token.Role)
	}
	return token, nil
}

// signOut ends what a browser has signed in with, and has it forget what it was shown.
func (v *service) signOut(w http.ResponseWriter, q *request) error {
	if cookie, given := v.cookieOf(q.Request); given {
		v.browsers.signOut(cookie)
	}
	v.setCookie(w, q.Request, "")
	if isSecure(q.Request, v.Proxies) || isLoopback(hostOf(q.Request)) { // elsewhere browsers complain of it
		w.Header().Set("Clear-Site-Data", `"cache", "storage"`)
	}
	if q.caller.local {
		return seeOther(w, "/")
	}
	return seeOther(w, pathSignIn+"?ended="+endedByThem)
}

// readForm reads what a form posts, from its body alone.
func readForm(w http.ResponseWriter, r *http.Request) (url.Values, error) {
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if err := r.ParseForm(); err != nil {
		var large *http.MaxBytesError
		if errors.As(err, &large) {
			return nil, err
		}
		return nil, newProblem(http.StatusBadRequest, "What the form sent cannot be read: go back, and send it again.")
	}
	return r.PostForm, nil
}

// seeOther sends a browser on to a path of ours.
func seeOther(w http.ResponseWriter, path string) error {
	w.Header().Set("Location", path)
	w.WriteHeader(http.StatusSeeOther)
	return nil
}

// maxNext bounds where one may want to go after signing in, in bytes.
const maxNext = 2048

// localPath is where somebody may be sent who asked for it: a path of ours, with its query, written in the one way
// that ours are. Anything else is the first page: no link to us leads elsewhere.
func localPath(next string) string {
	const first = "/"
	odd := func(c rune) bool { return c <= ' ' || c > '~' || c == '\\' }
	if len(next) > maxNext || strings.ContainsFunc(next, odd) {
		return first
	}
	u, err := url.Parse(next)
	if err != nil || u.Scheme != "" || u.Host != "" || u.User != nil || u.Opaque != "" || !isPlain(u.EscapedPath()) {
		return first
	}
	if u.Path == pathSignIn || u.Path == pathSignOut {
		return first
	}
	return (&url.URL{Path: u.Path, RawQuery: u.RawQuery}).String()
}

// signInFirst is where somebody goes to sign in who wants to see a page, or has posted on it.
func signInFirst(q *request, ended bool) string {
	next := localPath(q.URL.RequestURI())
	if q.route.posts {
		next = strings.TrimSuffix(q.URL.Path, "/verify")
	}
	query := url.Values{"next": {next}}
	if ended {
		query.Set("ended", "1")
	}
	return pathSignIn + "?" + query.Encode()
}
