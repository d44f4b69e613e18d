package web

import (
	"context"
	"crypto/tls"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/playmeter/playmeter/crypto"
)

// person is somebody with a browser: it keeps cookies, and asks for pages as browsers do.
type person struct {
	*served
	cookies map[string]string
	address string
	https   bool
	header  []string // of every request
}

func (s *served) person() *person {
	return &person{served: s, cookies: make(map[string]string), address: "127.0.0.1:4711"}
}

// does makes a request. A form makes it a post.
func (p *person) does(method, path string, form url.Values, headers ...string) *httptest.ResponseRecorder {
	p.t.Helper()
	r := httptest.NewRequest(method, "http://localhost/", strings.NewReader(form.Encode()))
	if form == nil {
		r = httptest.NewRequest(method, "http://localhost/", nil)
	} else {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	u, err := url.ParseRequestURI(path)
	if err != nil {
		p.t.Fatal(err)
	}
	r.URL, r.RequestURI, r.RemoteAddr = u, path, p.address
	if p.https {
		r.TLS = new(tls.ConnectionState)
	}
	r.Header.Set("Accept", "text/html,application/xhtml+xml,*/*;q=0.8")
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	for i, all := 0, slices.Concat(p.header, headers); i < len(all); i += 2 {
		r.Header.Del(all[i])
		if all[i+1] != "" {
			r.Header.Set(all[i], all[i+1])
		}
	}
	for name, value := range p.cookies {
		r.AddCookie(&http.Cookie{Name: name, Value: value})
	}
	w := httptest.NewRecorder()
	p.handler.ServeHTTP(w, r)
	for _, c := range w.Result().Cookies() {
		if c.MaxAge < 0 {
			delete(p.cookies, c.Name)
		} else {
			p.cookies[c.Name] = c.Value
		}
	}
	return w
}

func (p *person) sees(path string, status int, headers ...string) *httptest.ResponseRecorder {
	p.t.Helper()
	return p.wants(p.does(http.MethodGet, path, nil, headers...), "GET "+path, status)
}

func (p *person) posts(path string, form url.Values, status int, headers ...string) *httptest.ResponseRecorder {
	p.t.Helper()
	return p.wants(p.does(http.MethodPost, path, form, headers...), "POST "+path, status)
}

func (p *person) wants(w *httptest.ResponseRecorder, what string, status int) *httptest.ResponseRecorder {
	p.t.Helper()
	if w.Code != status {
		p.t.Errorf("%s: %d to %q, want %d: %s", what, w.Code, w.Header().Get("Location"), status, w.Body)
	}
	return w
}

func (p *person) signsIn(token string) *person {
	p.t.Helper()
	p.posts(pathSignIn, url.Values{"token": {token}}, http.StatusSeeOther)
	return p
}

// in tells whether they are signed in as far as the pages go.
func (p *person) in() bool {
	p.t.Helper()
	w := p.does(http.MethodGet, pathPageList, nil)
	if to := w.Header().Get("Location"); w.Code == http.StatusSeeOther && strings.HasPrefix(to, pathSignIn+"?") {
		return false
	}
	if w.Code != http.StatusOK {
		p.t.Errorf("%d %s", w.Code, w.Body)
	}
	return true
}

// signInFor is where one signs in to see a page.
func signInFor(next string) string { return pathSignIn + "?" + url.Values{"next": {next}}.Encode() }

func TestABrowserSignsInAndOut(t *testing.T) {
	p := serveWorld(t).person()
	to := p.sees("/reports?tenant=x", http.StatusSeeOther).Header().Get("Location")
	if to != "/sign-in?next=%2Freports%3Ftenant%3Dx" {
		t.Errorf("a stranger is sent to %s", to)
	}
	form := p.sees(to, 200).Body.String()
	for _, want := range []string{`type="password"`, `autocomplete="current-password"`, `action="/sign-in"`, `name="next" value="/reports?tenant=x"`} {
		if !strings.Contains(form, want) {
			t.Errorf("the form lacks %s: %s", want, form)
		}
	}
	got := p.posts(pathSignIn, url.Values{"token": {" " + filmsToken + "\n"}, "next": {"/reports?before=2026-11"}}, http.StatusSeeOther)
	if to := got.Header().Get("Location"); to != "/reports?before=2026-11" {
		t.Errorf("afterwards they are sent to %s", to)
	}
	page := p.sees("/reports", 200).Body.String()
	if !strings.Contains(page, "name of "+filmsToken) || strings.Contains(page, `"`+filmsToken) || !strings.Contains(page, `action="/sign-out"`) {
		t.Errorf("the page says not who they are: %s", page)
	}
	cookie := p.cookies[cookieName]
	out := p.posts(pathSignOut, url.Values{}, http.StatusSeeOther)
	to = out.Header().Get("Location")
	if form := p.sees(to, 200).Body.String(); !strings.HasPrefix(to, pathSignIn+"?") || !strings.Contains(form, "You are signed out.") || strings.Contains(form, "are no more") {
		t.Errorf("they are sent to %s, which says %s", to, form)
	}
	if out.Header().Get("Clear-Site-Data") != `"cache", "storage"` || len(p.cookies) != 0 {
		t.Errorf("signed out: %v, %v", out.Header(), p.cookies)
	}
	p.cookies[cookieName] = cookie // somebody has kept it
	if p.in() {
		t.Error("what was signed out is signed in")
	}
}

func TestCookiesAreKeptFromOthers(t *testing.T) {
	const plain, secure = cookieName + "=V; Path=/; HttpOnly; SameSite=Lax", secureCookieName + "=V; Path=/; HttpOnly; Secure; SameSite=Lax"
	proxies := []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}
	tests := []struct {
		name    string
		address string
		https   bool
		proto   string
		want    string
	}{
		{"without TLS", "127.0.0.1:1", false, "", plain},
		{"with TLS", "127.0.0.1:1", true, "", secure},
		{"with TLS to a proxy that is trusted", "192.0.2.7:1", false, "https", secure},
		{"without TLS to a proxy that is trusted", "192.0.2.7:1", false, "http", plain},
		{"somebody who only says that they came by TLS", "198.51.100.1:1", false, "https", plain},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := serveWorld(t)
			s.Proxies = proxies
			p := s.person()
			p.address, p.https = tt.address, tt.https
			if tt.proto != "" {
				p.header = []string{"X-Forwarded-Proto", tt.proto}
			}
			got := p.posts(pathSignIn, url.Values{"token": {adminToken}}, http.StatusSeeOther).Header().Values("Set-Cookie")
			if len(got) != 1 {
				t.Fatalf("set are %q", got)
			}
			value := regexp.MustCompile(`=[A-Za-z0-9_-]{43};`)
			if line := value.ReplaceAllString(got[0], "=V;"); line != tt.want {
				t.Errorf("set is %s, want %s", got[0], tt.want)
			}
			if !p.in() {
				t.Error("and they are not signed in with it")
			}
			if gone := p.posts(pathSignOut, url.Values{}, http.StatusSeeOther).Header().Get("Set-Cookie"); !strings.Contains(gone, "Max-Age=0") || strings.Contains(gone, "Secure") != strings.Contains(tt.want, "Secure") {
				t.Errorf("taken back is %s", gone)
			}
		})
	}
}

// TestOnlyItsOwnCookieIsTaken: over TLS the one that nobody on the way can have set.
func TestOnlyItsOwnCookieIsTaken(t *testing.T) {
	s := serveWorld(t)
	p := s.person().signsIn(adminToken)
	p.https = true
	if p.in() {
		t.Error("a cookie that was set without TLS is taken with it")
	}
	p = s.person().signsIn(adminToken)
	for name, header := range map[string]string{
		"two of the name":   cookieName + "=" + p.cookies[cookieName] + "; " + cookieName + "=x",
		"another case":      "Playmeter=" + p.cookies[cookieName],
		"one that is cut":   cookieName + "=" + p.cookies[cookieName][:42],
		"one with more":     cookieName + "=" + p.cookies[cookieName] + "A",
		"an empty one":      cookieName + "=",
		"the token":         cookieName + "=" + adminToken,
		"the token's id":    cookieName + "=id-of-" + adminToken,
		"another's spelled": cookieName + "=" + strings.Repeat("A", 43),
	} {
		stranger := s.person()
		stranger.header = []string{"Cookie", header}
		if stranger.in() {
			t.Errorf("%s is taken", name)
		}
	}
	if !p.in() {
		t.Error("and the good one is not")
	}
}

func TestWhatWasSignedInEnds(t *testing.T) {
	tests := []struct {
		name string
		do   func(s *served)
		in   bool
	}{
		{"not by itself", func(*served) {}, true},
		{"not a moment before the time is over", func(s *served) { s.clock.move(browserIdle - 1) }, true},
		{"when nothing was asked for long", func(s *served) { s.clock.move(browserIdle) }, false},
		{"when the token is revoked", func(s *served) { s.tokens.errs[filmsToken] = crypto.ErrTokenRevoked }, false},
		{"when the token expires", func(s *served) { s.tokens.errs[filmsToken] = crypto.ErrTokenExpired }, false},
		{"when the token is forgotten", func(s *served) { delete(s.tokens.tokens, filmsToken) }, false},
		{"when the token is for another tenant", func(s *served) { s.change(func(c *crypto.Token) { c.Tenant = "other" }) }, false},
		{"when the token is for other reports", func(s *served) { s.change(func(c *crypto.Token) { c.Reports = []string{"usage"} }) }, false},
		{"when the token has another role", func(s *served) { s.change(func(c *crypto.Token) { c.Role = crypto.RoleAdmin }) }, false},
		{"when there is a new token of the same id", func(s *served) { s.change(func(c *crypto.Token) { c.Created = time.Unix(1, 0) }) }, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := serveWorld(t)
			p := s.person().signsIn(filmsToken)
			if !p.in() {
				t.Fatal("not signed in at all")
			}
			kept := p.cookies[cookieName]
			tt.do(s)
			if p.in() != tt.in {
				t.Errorf("signed in: %v, want %v", !tt.in, tt.in)
			}
			if tt.in {
				return
			}
			if _, there := p.cookies[cookieName]; there {
				t.Error("the browser keeps its cookie")
			}
			s.tokens.mu.Lock()
			s.tokens.tokens[filmsToken], s.tokens.errs[filmsToken] = s.tokens.tokens[usageToken], nil
			s.tokens.mu.Unlock()
			p.cookies[cookieName] = kept
			if p.in() {
				t.Error("it comes back when the token does")
			}
		})
	}
}

// change changes what a token may do.
func (s *served) change(do func(*crypto.Token)) {
	token := s.tokens.tokens[filmsToken]
	do(&token)
	s.tokens.tokens[filmsToken] = token
}

func TestASignInEndsThoughItIsUsed(t *testing.T) {
	s := serveWorld(t)
	p := s.person().signsIn(filmsToken)
	for range 11 {
		s.clock.move(time.Hour)
		if !p.in() {
			t.Fatal("it ended too early")
		}
	}
	s.clock.move(time.Hour - 1)
	if !p.in() {
		t.Error("it ended a moment too early")
	}
	s.clock.move(1)
	to := p.sees("/reports", http.StatusSeeOther).Header().Get("Location")
	if to != "/sign-in?ended=1&next=%2Freports" || !strings.Contains(p.sees(to, 200).Body.String(), "are no more") {
		t.Errorf("sent to %s", to)
	}
}

// TestNobodyChoosesTheirOwnID is fixation: an id that somebody has put into a browser is never signed in.
func TestNobodyChoosesTheirOwnID(t *testing.T) {
	s := serveWorld(t)
	known := s.person().signsIn(usageToken).cookies[cookieName] // of the one who would be somebody else
	victim := s.person()
	victim.cookies[cookieName] = known
	victim.signsIn(adminToken)
	if victim.cookies[cookieName] == known {
		t.Error("the id is the one that was planted")
	}
	other := s.person()
	other.cookies[cookieName] = known
	if other.in() {
		t.Error("the planted id is still good")
	}
	made := strings.Repeat("A", 43)
	victim.cookies[cookieName] = made
	if victim.signsIn(adminToken); victim.cookies[cookieName] == made {
		t.Error("an id that was made up is taken over")
	}
}

func TestBrowsersAreBounded(t *testing.T) {
	b, now := newBrowsers(), time.Unix(1_800_000_000, 0)
	of := func(i int) crypto.Token { return crypto.Token{ID: fmt.Sprint("token", i)} }
	var first, second string
	for i := range browsersOfToken + 1 {
		cookie := b.signIn(of(0), now)
		switch i {
		case 0:
			first = cookie
		case 1:
			second = cookie
		}
	}
	if _, ok := b.find(first, now); ok || b.order.Len() != browsersOfToken {
		t.Errorf("one token has %d, the first among them: %v", b.order.Len(), ok)
	}
	if _, ok := b.find(second, now); !ok {
		t.Error("more than the first had to go")
	}
	for i := range browsersAtOnce {
		b.signIn(of(1+i/browsersOfToken), now)
	}
	if b.order.Len() != browsersAtOnce || len(b.at) != browsersAtOnce {
		t.Errorf("there are %d and %d", b.order.Len(), len(b.at))
	}
	if _, ok := b.find(second, now); ok {
		t.Error("the oldest is there")
	}
	b.signIn(of(0), now.Add(browserTime))
	if b.order.Len() != 1 || len(b.of) != 1 {
		t.Errorf("of those that ended %d are kept, of %d tokens", b.order.Len()-1, len(b.of)-1)
	}
}

func TestSigningInIsBounded(t *testing.T) {
	p := serveWorld(t).person()
	for range failedBurst {
		if got := p.posts(pathSignIn, url.Values{"token": {wrongToken}}, 401); !strings.Contains(got.Body.String(), "not known here") || got.Header().Get("Www-Authenticate") != "" {
			t.Errorf("%v %s", got.Header(), got.Body)
		}
	}
	got := p.posts(pathSignIn, url.Values{"token": {adminToken}}, 429)
	if got.Header().Get("Retry-After") == "" || !strings.Contains(got.Body.String(), "have failed") || len(p.cookies) > 0 {
		t.Errorf("%v %s", got.Header(), got.Body)
	}
	p.address = "127.0.0.2:1"
	p.signsIn(adminToken)
}

func TestWhoCannotSignInIsToldWhy(t *testing.T) {
	tests := []struct {
		name, token, want string
		status            int
	}{
		{"no token", "", "That is no token", 401},
		{"a malformed one", malformedToken, "Paste all of it", 401},
		{"a wrong one", wrongToken, "not known here", 401},
		{"an expired one", expiredToken, "has expired", 401},
		{"a revoked one", revokedToken, "was revoked", 401},
		{"a node's", nodeToken, "posts usage and sees no pages", 403},
		{"a node's of a tenant", boundNodeToken, "posts usage and sees no pages", 403},
		{"one of a role nobody knows", oddToken, "sees no pages", 403},
		{"a very long one", strings.Repeat("x", maxToken+1), "That is no token", 401},
		{"HTML", "<script>alert(1)</script>", "not known here", 401},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := serveWorld(t).person()
			got := p.posts(pathSignIn, url.Values{"token": {tt.token}, "next": {"/runs"}}, tt.status)
			body := got.Body.String()
			if !strings.Contains(body, tt.want) || !strings.Contains(body, `name="next" value="/runs"`) || len(got.Result().Cookies()) > 0 {
				t.Errorf("%v %s", got.Header(), body)
			}
			if tt.token != "" && strings.Contains(leakable(got), tt.token) || strings.Contains(body, `action="/sign-out"`) {
				t.Errorf("the answer shows the token, or takes them for signed in: %s", body)
			}
			if !strings.HasPrefix(got.Header().Get("Content-Type"), "text/html") {
				t.Errorf("it is %s", got.Header().Get("Content-Type"))
			}
		})
	}
}

func TestRefusedSignInsAreOnRecord(t *testing.T) {
	s := serveWorld(t)
	for _, token := range []string{revokedToken, expiredToken, nodeToken, wrongToken} {
		s.person().does(http.MethodPost, pathSignIn, url.Values{"token": {token}})
	}
	got := s.recorded()
	for _, token := range []string{revokedToken, expiredToken, nodeToken} {
		if !strings.Contains(got, `"token":"id-of-`+token+`"`) {
			t.Errorf("%s is not on record: %s", token, got)
		}
	}
	if strings.Count(got, "\n") != 3 {
		t.Errorf("on record is %s", got)
	}
}

func TestSignInSendsNobodyElsewhere(t *testing.T) {
	long := "/reports?tenant=" + strings.Repeat("x", maxNext)
	for next, want := range map[string]string{
		"/": "/", "/reports": "/reports", "/reports?tenant=a&before=2026-10": "/reports?tenant=a&before=2026-10", "/runs#x": "/runs",
		"/sessions/all?stream=a%20b%2F..%2Fc": "/sessions/all?stream=a%20b%2F..%2Fc", "/reports?next=//evil.example": "/reports?next=//evil.example",
		"": "/", "//evil.example": "/", "///evil.example": "/", `/\evil.example`: "/", `\\evil.example`: "/", `\/evil.example`: "/", "/%2f/evil.example": "/", "%2f%2fevil.example": "/",
		"/%5cevil.example": "/", "https://evil.example/": "/", "HTTPS:evil.example": "/", "http:///evil.example": "/", "javascript:alert(1)": "/", "data:text/html,x": "/",
		"evil.example": "/", "reports": "/", "./reports": "/", "../reports": "/", "/../reports": "/", "/./reports": "/", "/reports/..//evil": "/", "?next=/": "/", "#x": "/",
		"/reports\r\nSet-Cookie: x=1": "/", "/reports\n": "/", "/\treports": "/", "\t//evil.example": "/", " //evil.example": "/", "/ /evil.example": "/", "/\x00": "/", "/rép": "/", "/;//evil.example": "/",
		"//user@evil.example/": "/", "/@evil.example": "/@evil.example", "/sign-in": "/", "/sign-in?next=/sign-in": "/", "/sign-out": "/", "/reports?x=\\": "/", long: "/", "/%zz": "/",
		"//localhost/reports": "/", "http://localhost/reports": "/", "/\u2028/evil": "/", "/．．/evil": "/",
	} {
		s := serveWorld(t)
		p := s.person()
		got := p.posts(pathSignIn, url.Values{"token": {adminToken}, "next": {next}}, http.StatusSeeOther).Header().Get("Location")
		if got != want {
			t.Errorf("%q leads to %q, want %q", next, got, want)
		}
		form := p.does(http.MethodGet, signInFor(next), nil)
		if next != "" && !strings.Contains(strings.ReplaceAll(form.Body.String(), "&amp;", "&"), `name="next" value="`+want+`"`) {
			t.Errorf("%q: the form leads to %s", next, form.Body)
		}
		s.tokens.none = true
		if got := s.person().does(http.MethodGet, signInFor(next), nil).Header().Get("Location"); next != "" && got != want {
			t.Errorf("without tokens %q leads to %q, want %q", next, got, want)
		}
	}
}

func FuzzLocalPath(f *testing.F) {
	for _, s := range []string{"/", "/reports?x=1", "//evil", `/\evil`, "/%2f", "/a;b", "javascript:x"} {
		f.Add(s)
	}
	base := &url.URL{Scheme: "https", Host: "meter.example"}
	f.Fuzz(func(t *testing.T, next string) {
		got := localPath(next)
		to, err := base.Parse(got)
		if err != nil || to.Host != base.Host || to.Scheme != base.Scheme || !strings.HasPrefix(got, "/") || strings.HasPrefix(got, "//") || strings.ContainsAny(got, "\\\r\n\t") {
			t.Errorf("%q leads to %q: %v", next, got, err)
		}
	})
}

func TestPostsOfOtherSitesAreRefused(t *testing.T) {
	w := sampleWorld(t)
	s := serveWorld(t)
	s.RunNow = nil
	for _, path := range []string{pathSignIn, pathSignOut, pathRuns, monthPath(w.films, november) + "/verify"} {
		for name, header := range map[string][]string{
			"another site":                         {"Sec-Fetch-Site", "cross-site"},
			"another name of the site":             {"Sec-Fetch-Site", "same-site"},
			"another site, with an older browser":  {"Sec-Fetch-Site", "", "Origin", "https://evil.example"},
			"nowhere that it would tell":           {"Sec-Fetch-Site", "", "Origin", "null"},
			"another port":                         {"Sec-Fetch-Site", "", "Origin", "http://localhost:3000"},
			"another site that says where it goes": {"Sec-Fetch-Site", "cross-site", "Origin", "http://localhost"},
		} {
			p := s.person().signsIn(adminToken)
			got := p.posts(path, url.Values{"token": {adminToken}}, 403, header...)
			if len(got.Result().Cookies()) > 0 || !strings.Contains(got.Body.String(), "another site") {
				t.Errorf("%s of %s: %v %s", path, name, got.Header(), got.Body)
			}
			if !p.in() {
				t.Errorf("%s of %s has signed them out", path, name)
			}
		}
	}
	s.tokens.none = true
	s.person().posts(pathRuns, url.Values{}, 403, "Sec-Fetch-Site", "cross-site")
}

// TestCookiesAreForPagesAlone: programs sign in with each request.
func TestCookiesAreForPagesAlone(t *testing.T) {
	w := sampleWorld(t)
	s := serveWorld(t)
	p := s.person().signsIn(adminToken)
	for _, path := range []string{"/metrics", pathTenants, w.folder(w.films, november), w.folder(w.films, november) + "/usage", w.folder(w.films, november) + "/usage/link"} {
		got := p.sees(path, 401)
		if got.Header().Get("Content-Type") != "application/problem+json" || got.Header().Get("Location") != "" {
			t.Errorf("%s: %v", path, got.Header())
		}
	}
	p.posts(pathIntakeEvents, url.Values{"x": {"y"}}, 401)
	p.posts(pathIntakeFlussonic, url.Values{"x": {"y"}}, 401)
	if got := p.sees("/readyz", 200).Body.String(); got != "ready\n" {
		t.Error(got)
	}
	s.Ready = func(context.Context) error { return crypto.ErrTokenUnknown }
	s.clock.move(lookEvery)
	if got := p.sees("/readyz", 503).Body.String(); got != "not ready\n" {
		t.Errorf("/readyz tells a cookie more: %s", got)
	}
}

// TestATokenWinsOverACookie: what was given with the request itself holds.
func TestATokenWinsOverACookie(t *testing.T) {
	s := serveWorld(t)
	p := s.person().signsIn(adminToken)
	p.sees("/runs", 200)
	p.sees("/runs", 403, "Authorization", "Bearer "+filmsToken)
	got := p.sees("/runs", 401, "Authorization", "Bearer "+wrongToken)
	if !strings.HasPrefix(got.Header().Get("Content-Type"), "text/html") || got.Header().Get("Www-Authenticate") == "" {
		t.Errorf("%v", got.Header())
	}
}

func TestWhoHasNotSignedInIsAskedTo(t *testing.T) {
	w := sampleWorld(t)
	s := serveWorld(t)
	p := s.person()
	month := monthPath(w.films, november)
	for path, next := range map[string]string{"/": "/", "/runs": "/runs", month + "/usage?run=" + w.before: month + "/usage?run=" + w.before} {
		if got := p.sees(path, 303).Header().Get("Location"); got != signInFor(next) {
			t.Errorf("%s leads to %s", path, got)
		}
	}
	if got := p.posts(month+"/verify", url.Values{}, 303).Header().Get("Location"); got != signInFor(month) {
		t.Errorf("a post leads to %s", got)
	}
	part := p.sees("/runs", 401, "HX-Request", "true", "HX-Target", runsElement, "Accept", "*/*")
	if part.Header().Get("HX-Redirect") != "/sign-in?next=%2Fruns" || part.Header().Get("Www-Authenticate") != "" {
		t.Errorf("a part of a page: %v", part.Header())
	}
	program := p.sees("/runs", 401, "Accept", "*/*")
	if program.Header().Get("Content-Type") != "application/problem+json" || program.Header().Get("Www-Authenticate") == "" {
		t.Errorf("a program: %v", program.Header())
	}
}

func TestWithoutTokensNobodySignsIn(t *testing.T) {
	s := serveWorld(t)
	s.tokens.none = true
	p := s.person()
	for _, path := range []string{"/", "/reports", "/runs"} {
		p.sees(path, 200)
	}
	if got := p.sees("/reports", 200).Body.String(); !strings.Contains(got, "no tokens yet") || strings.Contains(got, `action="/sign-out"`) {
		t.Errorf("the page says %s", got)
	}
	if to := p.sees(pathSignIn+"?next=/runs", 303).Header().Get("Location"); to != "/runs" {
		t.Errorf("sent to %s", to)
	}
	p.posts(pathSignIn, url.Values{"token": {"x"}, "next": {"/runs"}}, 303)
	p.posts(pathSignOut, url.Values{}, 303)
	p.address = "192.0.2.1:1"
	for _, path := range []string{"/", "/reports", "/runs", pathSignIn} {
		if got := p.sees(path, 403); !strings.Contains(got.Body.String(), "on this machine only") || !strings.HasPrefix(got.Header().Get("Content-Type"), "text/html") {
			t.Errorf("%s elsewhere: %v %s", path, got.Header(), got.Body)
		}
	}
}

func TestFormsAreSmall(t *testing.T) {
	p := serveWorld(t).person()
	p.posts(pathSignIn, url.Values{"token": {strings.Repeat("x", maxForm)}}, 413)
	p.posts(pathSignIn, url.Values{"token": {strings.Repeat("x", maxForm-len("token="))}}, 401)
	p.sees(pathSignIn+"?x=1", 400)
	p.posts(pathSignIn+"?token="+adminToken, url.Values{}, 400) // never in an address
	p.posts(pathSignIn, url.Values{"token": {adminToken}}, 401, "Content-Type", "multipart/form-data; boundary=x")
}

func TestTokensThatCannotBeReadSignNobodyOut(t *testing.T) {
	s := serveWorld(t)
	p := s.person().signsIn(adminToken)
	s.tokens.any = http.ErrBodyNotAllowed
	if got := p.sees("/runs", 503); got.Header().Get("Retry-After") == "" || !strings.Contains(got.Body.String(), "cannot be read") || strings.Contains(got.Body.String(), "body not allowed") {
		t.Errorf("%v %s", got.Header(), got.Body)
	}
	s.tokens.any = nil
	if !p.in() {
		t.Error("they are signed out")
	}
}
