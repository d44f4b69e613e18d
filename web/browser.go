package web

import (
	"container/list"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/playmeter/playmeter/crypto"
)

// Browsers are who has signed in on a page: see signin_page.go. A browser keeps a random id in a cookie; kept here, in
// memory alone, is the id's SHA-256 and which token it was given for. A restart of the daemon signs everybody out.
const (
	browserTime      = 12 * time.Hour // after signing in
	browserIdle      = 2 * time.Hour  // after the last request
	browsersAtOnce   = 4_096
	browsersOfToken  = 64 // a team may share a token; the one that signed in first goes
	browserIDBytes   = 32
	cookieName       = "playmeter"
	secureCookieName = "__Host-playmeter" // browsers take it over TLS alone, and from this very host
)

// browserID is the digest of what a cookie holds.
type browserID [sha256.Size]byte

// browser is one that signed in.
type browser struct {
	id    browserID
	token crypto.Token // as it was then
	since time.Time
	used  time.Time
}

// browsers are all of them. It is safe for concurrent use.
type browsers struct {
	mu    sync.Mutex
	order list.List // of *browser, who signed in first before
	at    map[browserID]*list.Element
	of    map[string]int // how many, by the id of their token
}

func newBrowsers() *browsers {
	return &browsers{at: make(map[browserID]*list.Element), of: make(map[string]int)}
}

// signIn gives a browser an id that nobody has had before.
func (b *browsers) signIn(token crypto.Token, now time.Time) (cookie string) {
	id := make([]byte, browserIDBytes)
	rand.Read(id) // never fails
	cookie = base64.RawURLEncoding.EncodeToString(id)
	b.mu.Lock()
	defer b.mu.Unlock()
	for e := b.order.Front(); e != nil; {
		next := e.Next()
		if e.Value.(*browser).ended(now) {
			b.remove(e)
		}
		e = next
	}
	if b.of[token.ID] >= browsersOfToken {
		b.remove(b.firstOf(token.ID))
	}
	if b.order.Len() >= browsersAtOnce {
		b.remove(b.order.Front())
	}
	in := &browser{id: sha256.Sum256([]byte(cookie)), token: token, since: now, used: now}
	b.at[in.id] = b.order.PushBack(in)
	b.of[token.ID]++
	return cookie
}

// firstOf is the browser of a token that signed in first; there is one.
func (b *browsers) firstOf(token string) *list.Element {
	for e := b.order.Front(); e != nil; e = e.Next() {
		if e.Value.(*browser).token.ID == token {
			return e
		}
	}
	panic("cannot happen: the browsers of each token are counted")
}

func (b *browsers) remove(e *list.Element) {
	gone := b.order.Remove(e).(*browser)
	delete(b.at, gone.id)
	if b.of[gone.token.ID]--; b.of[gone.token.ID] == 0 {
		delete(b.of, gone.token.ID)
	}
}

func (b *browser) ended(now time.Time) bool {
	return now.Sub(b.since) >= browserTime || now.Sub(b.used) >= browserIdle
}

// find is the token that a browser signed in with, as it was then.
func (b *browsers) find(cookie string, now time.Time) (crypto.Token, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	e, ok := b.at[sha256.Sum256([]byte(cookie))]
	if !ok {
		return crypto.Token{}, false
	}
	in := e.Value.(*browser)
	if in.ended(now) {
		b.remove(e)
		return crypto.Token{}, false
	}
	in.used = now
	return in.token, true
}

// signOut ends what there is of a cookie.
func (b *browsers) signOut(cookie string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if e, ok := b.at[sha256.Sum256([]byte(cookie))]; ok {
		b.remove(e)
	}
}

// isSecure tells whether a browser has come by TLS, to us or to a proxy that is trusted.
func isSecure(r *http.Request, proxies []netip.Prefix) bool {
	return r.TLS != nil || trusted(parseAddress(r.RemoteAddr), proxies) && strings.EqualFold(r.Header.Get("X-Forwarded-Proto"), "https")
}

// cookieOf reads the cookie of a request. Of several none is taken: one of them somebody else has put there.
func (v *service) cookieOf(r *http.Request) (cookie string, given bool) {
	name := cookieName
	if isSecure(r, v.Proxies) {
		name = secureCookieName
	}
	all := r.CookiesNamed(name)
	if len(all) != 1 {
		return "", len(all) > 0
	}
	return all[0].Value, true
}

// setCookie hands a cookie to a browser; an empty one takes it back.
//
//   - SameSite is Lax, so that a link in a letter finds its reader signed in; what is posted from elsewhere is refused by admit.
//   - It ends with the browser, or before: see browserTime.
func (v *service) setCookie(w http.ResponseWriter, r *http.Request, cookie string) {
	c := http.Cookie{Name: cookieName, Value: cookie, Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode}
	if isSecure(r, v.Proxies) {
		c.Name, c.Secure = secureCookieName, true
	}
	if cookie == "" {
		c.MaxAge = -1
	}
	http.SetCookie(w, &c)
}

// browserToken is the token that a browser has signed in with, as it is now. One that was revoked, has expired or was changed since
// ends what was signed in with it.
func (v *service) browserToken(r *http.Request) (crypto.Token, bool, error) {
	cookie, _ := v.cookieOf(r)
	if cookie == "" || v.Tokens == nil {
		return crypto.Token{}, false, nil
	}
	then, ok := v.browsers.find(cookie, v.Now())
	if !ok {
		return crypto.Token{}, false, nil
	}
	now, err := v.Tokens.Find(then.ID, v.Now())
	switch {
	case err != nil && !isTokenError(err):
		return crypto.Token{}, false, v.cannotCheck(err)
	case err != nil, !sameToken(&then, &now):
		v.browsers.signOut(cookie)
		return crypto.Token{}, false, nil
	}
	return now, true, nil
}

// sameToken tells whether a token may do what it could.
func sameToken(a, b *crypto.Token) bool {
	return a.ID == b.ID && a.Role == b.Role && a.Tenant == b.Tenant && slices.Equal(a.Reports, b.Reports) && a.Created.Equal(b.Created)
}
