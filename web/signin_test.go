package web

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/playmeter/playmeter/crypto"
)

const tenantsPath = "/api/v1/tenants"

func TestCredentials(t *testing.T) {
	basic := func(s string) string { return "Basic " + base64.StdEncoding.EncodeToString([]byte(s)) }
	tests := []struct {
		name      string
		lines     []string
		text      string
		given, ok bool
	}{
		{"none", nil, "", false, false},
		{"a token", []string{"Bearer abc-1._~+/="}, "abc-1._~+/=", true, true},
		{"the scheme in any case", []string{"bEARER abc"}, "abc", true, true},
		{"more spaces", []string{"Bearer   abc "}, "abc", true, true},
		{"the password of Basic", []string{basic("whoever:abc")}, "abc", true, true},
		{"no name with Basic", []string{basic(":abc")}, "abc", true, true},
		{"a password with a colon", []string{basic("me:a:b")}, "a:b", true, true},
		{"Basic without a password", []string{basic("abc")}, "", true, false},
		{"Basic that is no base64", []string{"Basic !!"}, "", true, false},
		{"nothing", []string{""}, "", true, false},
		{"no token", []string{"Bearer"}, "", true, false},
		{"an empty token", []string{"Bearer "}, "", true, false},
		{"two tokens in a line", []string{"Bearer a b"}, "a b", true, false},
		{"two lines", []string{"Bearer a", "Bearer a"}, "", true, false},
		{"another scheme", []string{"Digest abc"}, "", true, false},
		{"not ASCII", []string{"Bearer äbc"}, "äbc", true, false},
		{"a control character", []string{basic("x:a\x00b")}, "a\x00b", true, false},
		{"the longest", []string{"Bearer " + strings.Repeat("a", maxToken)}, strings.Repeat("a", maxToken), true, true},
		{"too long", []string{"Bearer " + strings.Repeat("a", maxToken+1)}, strings.Repeat("a", maxToken+1), true, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := httptest.NewRequest(http.MethodGet, "/", nil)
			r.Header["Authorization"] = tt.lines
			if tt.lines == nil {
				r.Header.Del("Authorization")
			}
			if text, given, ok := credentials(r); given != tt.given || ok != tt.ok || ok && text != tt.text {
				t.Errorf("%q, %v, %v", text, given, ok)
			}
		})
	}
}

func TestBasicIsAsGoodAsBearer(t *testing.T) {
	s := serveWorld(t)
	s.get(tenantsPath, "", 200, "Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte("curl:"+filmsToken)))
	got := s.get(tenantsPath, "", 401)
	if challenges := strings.Join(got.Header()["Www-Authenticate"], "; "); challenges != `Bearer realm="playmeter"; Basic realm="playmeter", charset="UTF-8"` {
		t.Errorf("it asks for %s", challenges)
	}
	if got := s.get(tenantsPath, wrongToken, 401).Header().Get("Www-Authenticate"); got != `Bearer realm="playmeter", error="invalid_token"` {
		t.Errorf("after a wrong one it asks for %s", got)
	}
}

func TestWhyATokenIsNotTaken(t *testing.T) {
	s := serveWorld(t)
	for token, want := range map[string]string{expiredToken: "expired", revokedToken: "revoked", wrongToken: "not known", malformedToken: "no token"} {
		if got := s.get(tenantsPath, token, 401).Body.String(); !strings.Contains(got, want) {
			t.Errorf("%s: %s", token, got)
		}
	}
	metrics := s.get("/metrics", adminToken, 200).Body.String()
	for _, reason := range []string{"expired", "revoked", "unknown", "malformed"} {
		if !strings.Contains(metrics, fmt.Sprintf("playmeter_sign_in_failures_total{reason=%q} 1\n", reason)) {
			t.Errorf("%s is not counted:\n%s", reason, metrics)
		}
	}
	record := s.recorded()
	if strings.Count(record, `"event":"refused"`) != 2 || !strings.Contains(record, `"token":"id-of-`+expiredToken) || !strings.Contains(record, `"token":"id-of-`+revokedToken) {
		t.Errorf("on record is %s", record)
	}
	if said := s.said.String(); strings.Contains(said, "token") {
		t.Errorf("the log says %s", said)
	}
}

// TestFailedAttemptsAreLimited: ten may fail, then one in six seconds; nothing is looked at in between.
func TestFailedAttemptsAreLimited(t *testing.T) {
	s := serveWorld(t)
	from := func(a string) []string { return []string{"Address", netip.MustParseAddr(a).String()} }
	fail := func(status int, a string) *httptest.ResponseRecorder {
		t.Helper()
		return s.get(tenantsPath, wrongToken, status, from(a)...)
	}
	for range failedBurst {
		fail(401, "192.0.2.1")
	}
	before := s.tokens.count()
	if before != failedBurst {
		t.Errorf("%d attempts were looked at", before)
	}
	got := fail(429, "192.0.2.1")
	if after, err := strconv.Atoi(got.Header().Get("Retry-After")); err != nil || after != int(failedEvery/time.Second) {
		t.Errorf("come again after %q", got.Header().Get("Retry-After"))
	}
	s.get(tenantsPath, malformedToken, 429, from("192.0.2.1")...)
	s.get(tenantsPath, filmsToken, 429, from("192.0.2.1")...) // not even a good one, which nobody has seen yet
	if s.tokens.count() != before {
		t.Error("attempts beyond the limit were looked at")
	}
	s.get(tenantsPath, filmsToken, 200, from("192.0.2.2")...) // others are not concerned
	s.get(tenantsPath, filmsToken, 200, from("192.0.2.1")...) // and now it is known to be good
	s.get("/healthz", "", 200, from("192.0.2.1")...)
	s.clock.move(failedEvery - time.Millisecond)
	fail(429, "192.0.2.1")
	s.clock.move(time.Millisecond)
	fail(401, "192.0.2.1")
	fail(429, "192.0.2.1")
	s.clock.move(time.Hour)
	for range failedBurst {
		fail(401, "192.0.2.1")
	}
	fail(429, "192.0.2.1")
}

func TestAllAddressesOfAnIPv6NetworkAreOneClient(t *testing.T) {
	s := serveWorld(t)
	for i := range failedBurst {
		s.get(tenantsPath, wrongToken, 401, "Address", fmt.Sprintf("[2001:db8::%x]:1", i+1))
	}
	s.get(tenantsPath, wrongToken, 429, "Address", "[2001:db8::ffff:ffff:ffff:ffff]:1")
	s.get(tenantsPath, wrongToken, 401, "Address", "[2001:db8:0:1::1]:1")
	s.get(tenantsPath, wrongToken, 401, "Address", "192.0.2.1:1")
}

func TestMissingTokensAreNoFailedAttempts(t *testing.T) {
	s := serveWorld(t)
	for range 3 * failedBurst {
		s.get(tenantsPath, "", 401)
	}
	s.get(tenantsPath, filmsToken, 200)
}

func TestGoodAttemptsAreNoFailedOnes(t *testing.T) {
	s := serveWorld(t)
	for range 3 * failedBurst {
		s.get(tenantsPath, filmsToken, 200)
		s.get(tenantsPath, sportsToken, 200)
	}
	s.get(tenantsPath, wrongToken, 401)
}

// TestAllClientsTogetherAreLimited: each attempt costs an argon2, wherever it comes from.
func TestAllClientsTogetherAreLimited(t *testing.T) {
	s := serveWorld(t)
	s.get(tenantsPath, filmsToken, 200) // the first of the burst
	for i := range unprovenBurst - 1 {
		s.get(tenantsPath, wrongToken, 401, "Address", fmt.Sprintf("10.0.%d.1:1", i))
	}
	before := s.tokens.count()
	if got := s.get(tenantsPath, wrongToken, 429, "Address", "10.1.0.1:1"); got.Header().Get("Retry-After") != "1" {
		t.Errorf("come again after %q", got.Header().Get("Retry-After"))
	}
	if s.tokens.count() != before {
		t.Error("an attempt beyond the limit was looked at")
	}
	s.get(tenantsPath, filmsToken, 200, "Address", "10.1.0.2:1") // known to be good
	s.clock.move(time.Second)
	for i := range unprovenRate {
		s.get(tenantsPath, wrongToken, 401, "Address", fmt.Sprintf("10.2.%d.1:1", i))
	}
	s.get(tenantsPath, wrongToken, 429, "Address", "10.1.0.3:1")
}

// TestATokenThatWasGoodAndIsNotAnyMore must not go on without limits.
func TestATokenThatWasGoodAndIsNotAnyMore(t *testing.T) {
	s := serveWorld(t)
	s.get(tenantsPath, filmsToken, 200)
	s.tokens.mu.Lock()
	s.tokens.errs[filmsToken] = crypto.ErrTokenRevoked
	s.tokens.mu.Unlock()
	for range failedBurst {
		s.get(tenantsPath, filmsToken, 401)
	}
	before := s.tokens.count()
	s.get(tenantsPath, filmsToken, 429)
	if s.tokens.count() != before {
		t.Error("it was looked at")
	}
}

func TestTokensThatCannotBeLookedUp(t *testing.T) {
	s := serveWorld(t)
	s.tokens.mu.Lock()
	s.tokens.errs[filmsToken] = errors.New("the disk is away")
	s.tokens.mu.Unlock()
	for range 2 * failedBurst { // it is not the client's fault
		if got := s.get(tenantsPath, filmsToken, 503); strings.Contains(got.Body.String(), "disk") {
			t.Errorf("the answer says %s", got.Body)
		}
	}
	if !strings.Contains(s.said.String(), "the disk is away") {
		t.Errorf("the log says %s", s.said)
	}
}

// held is how many tokens are being looked at, each until it is released.
type held struct {
	at, most int
	mu       sync.Mutex
	release  chan struct{}
}

func (h *held) during() {
	h.mu.Lock()
	h.at++
	h.most = max(h.most, h.at)
	h.mu.Unlock()
	<-h.release
	h.mu.Lock()
	h.at--
	h.mu.Unlock()
}

// attempts makes so many wrong attempts at once, from the addresses that it is given, and tells how many were
// looked at, how many of these at once, and what was answered.
func attempts(t *testing.T, n int, address func(i int) string) (checked, most int, codes map[int]int) {
	sampleWorld(t) // its connections are not of the bubble
	synctest.Test(t, func(t *testing.T) {
		s := serveWorld(t)
		h := &held{release: make(chan struct{})}
		s.tokens.during = h.during
		answers := make(chan int, n)
		for i := range n {
			go func() {
				answers <- s.ask(http.MethodGet, tenantsPath, wrongToken, "Address", address(i)).Code
			}()
		}
		codes = make(map[int]int)
		for done := 0; done < n; {
			synctest.Wait() // all have come as far as they can
			select {
			case h.release <- struct{}{}:
			case code := <-answers:
				codes[code]++
				done++
			}
		}
		checked, most = s.tokens.count(), h.most
	})
	return checked, most, codes
}

// TestAttemptsAtOnceAreLookedAtOneByOne: otherwise a hundred at once would all pass before the first has failed.
func TestAttemptsAtOnceAreLookedAtOneByOne(t *testing.T) {
	checked, most, codes := attempts(t, 100, func(int) string { return "192.0.2.1:1" })
	if codes[401] != failedBurst || codes[429] != 100-failedBurst || checked != failedBurst || most != 1 {
		t.Errorf("%v, %d looked at, %d at once", codes, checked, most)
	}
}

func TestManyClientsAreLookedAtSomeAtATime(t *testing.T) {
	checked, most, codes := attempts(t, 20, func(i int) string { return fmt.Sprintf("10.0.%d.1:1", i) })
	if codes[401] != 20 || checked != 20 || most != checksAtOnce {
		t.Errorf("%v, %d looked at, %d at once", codes, checked, most)
	}
}

func TestRequestsWithOneTokenAreLimited(t *testing.T) {
	s := serveWorld(t)
	for range tokenBurst {
		s.get(tenantsPath, filmsToken, 200)
	}
	if got := s.get(tenantsPath, filmsToken, 429); got.Header().Get("Retry-After") != "1" {
		t.Errorf("come again after %q", got.Header().Get("Retry-After"))
	}
	s.get(tenantsPath, usageToken, 200)
	s.get("/healthz", "", 200)
	s.clock.move(time.Second)
	for range tokenRate {
		s.get(tenantsPath, filmsToken, 200)
	}
	s.get(tenantsPath, filmsToken, 429)
	if record := s.recorded(); strings.Count(record, `"status":429`) != 2 {
		t.Errorf("on record is %s", record)
	}
}

func TestTablesOfStrangersStaySmall(t *testing.T) {
	l := newLimits()
	var a [16]byte
	a[0], a[1] = 0x20, 0x01
	for i := range 2 * clientsKnown {
		a[4], a[5], a[6] = byte(i>>16), byte(i>>8), byte(i)
		l.client(netip.AddrFrom16(a))
	}
	for i := range 2 * provenKnown {
		l.prove(fingerprint{byte(i >> 8), byte(i)})
	}
	for i := range 2 * tokensKnown {
		l.take(fmt.Sprint(i), false, time.Time{})
	}
	if len(l.clients.at) != clientsKnown || l.clients.order.Len() != clientsKnown || len(l.proven.at) != provenKnown || len(l.tokens.at) != tokensKnown {
		t.Errorf("%d clients, %d good tokens, %d limits of tokens", len(l.clients.at), len(l.proven.at), len(l.tokens.at))
	}
	if l.isProven(fingerprint{0, 1}) || !l.isProven(fingerprint{31, 255}) {
		t.Error("the newest are not those that stay")
	}
}

func TestRecentForgetsWhatWasUsedLongestAgo(t *testing.T) {
	r := newRecent[string, int](2)
	r.put("a", 1)
	r.put("b", 2)
	r.get("a")
	r.put("c", 3)
	if _, ok := r.get("b"); ok {
		t.Error("b is there")
	}
	if v, ok := r.get("a"); !ok || v != 1 {
		t.Error("a is not there")
	}
	r.remove("a")
	r.remove("nothing")
	if v := r.find("c", func() int { return 9 }); v != 3 || len(r.at) != 1 || r.order.Len() != 1 {
		t.Errorf("c is %d of %d", v, len(r.at))
	}
}

// TestTheTokensThatThereAre signs in with tokens as "playmeter token add" makes them.
func TestTheTokensThatThereAre(t *testing.T) {
	w := sampleWorld(t)
	s := serveWorld(t)
	dir := filepath.Join(t.TempDir(), "keys")
	store := crypto.OpenTokens(dir)
	s.Tokens = store
	s.handler = s.Handler()
	s.get(tenantsPath, "", 200)
	s.get(tenantsPath, "", 403, "Address", "192.0.2.1:1")
	films, token, err := store.Add(crypto.Token{Name: "films' billing", Role: crypto.RoleTenant, Tenant: string(w.films), Reports: []string{"usage"}, Expires: s.Now().Add(time.Hour)}, s.Now())
	if err != nil {
		t.Fatal(err)
	}
	s.get(tenantsPath, "", 401)
	s.get(tenantsPath, films.Reveal()+"x", 401)
	s.get(w.folder(w.films, november)+"/usage", films.Reveal(), 200, "Address", "192.0.2.1:1")
	s.get(w.folder(w.films, november)+"/sessions", films.Reveal(), 403)
	s.get(w.folder(w.sports, november)+"/usage", films.Reveal(), 404)
	s.clock.move(time.Hour)
	s.get(tenantsPath, films.Reveal(), 401)
	if err := store.Revoke(token.ID, s.Now()); err != nil {
		t.Fatal(err)
	}
	if got := s.get(tenantsPath, films.Reveal(), 401).Body.String(); !strings.Contains(got, "revoked") {
		t.Errorf("a revoked token: %s", got)
	}
	s.get(tenantsPath, "", 401) // once there was a token, nobody gets in without one
	if err := os.Remove(filepath.Join(dir, "tokens")); err != nil {
		t.Fatal(err)
	}
	s.get(tenantsPath, "", 401) // not even when they are all removed
	s.get(tenantsPath, films.Reveal(), 401)
	record := s.recorded()
	if strings.Count(record, `"name":"films' billing"`) < 5 || strings.Contains(record, films.Reveal()) || strings.Contains(s.said.String(), films.Reveal()) {
		t.Errorf("on record is %s", record)
	}
}
