package flussonic

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/playmeter/playmeter/crypto"
	"github.com/playmeter/playmeter/schemas"
)

// streamer behaves as a Flussonic server does: its API keeps event sinks, and it posts events one batch at a time, the
// same one again until the answer is a 2xx.
type streamer struct {
	user, password, bearer string
	sinks                  map[string]map[string]any
	asked                  []string
	pending                []string // events that wait
	sent, resent, dropped  int
	old                    bool
	answer                 func(http.ResponseWriter, *http.Request) bool // does it answer itself
}

func newStreamer(t testing.TB) (*streamer, *httptest.Server) {
	s := &streamer{user: "admin", password: "hunter2-hunter2", bearer: "bearer-bearer", sinks: map[string]map[string]any{}}
	srv := httptest.NewServer(s)
	t.Cleanup(srv.Close)
	return s, srv
}

func (s *streamer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.asked = append(s.asked, r.Method+" "+r.URL.Path)
	if s.answer != nil && s.answer(w, r) {
		return
	}
	user, password, _ := r.BasicAuth()
	if (user != s.user || password != s.password) && r.Header.Get("Authorization") != "Bearer "+s.bearer {
		http.Error(w, "no", http.StatusUnauthorized)
		return
	}
	name, one := strings.CutPrefix(r.URL.Path, sinksPath+"/")
	sink, known := s.sinks[name]
	switch {
	case s.old, r.URL.Path != sinksPath && !one:
		http.NotFound(w, r)
	case !one:
		json.NewEncoder(w).Encode(map[string]any{"event_sinks": s.sinks})
	case r.Method == http.MethodPut:
		sink = map[string]any{"name": name}
		if json.NewDecoder(r.Body).Decode(&sink) != nil || r.Header.Get("Content-Type") != "application/json" {
			http.Error(w, "bad", http.StatusBadRequest)
			return
		}
		s.sinks[name] = sink
		json.NewEncoder(w).Encode(sink)
	case !known:
		http.NotFound(w, r)
	default:
		sink["stats"] = map[string]any{"events_sent": s.sent, "events_resent": s.resent, "events_dropped": s.dropped, "updated_at": 1792390142320}
		json.NewEncoder(w).Encode(sink)
	}
}

// deliver posts what waits to a sink until it is taken, at most so many times.
func (s *streamer) deliver(name string, times int) error {
	sink := s.sinks[name]
	for try := range times {
		body := []byte("[" + strings.Join(s.pending, ",") + "]")
		req, err := http.NewRequest(http.MethodPost, sink["url"].(string), bytes.NewReader(body))
		if err != nil {
			return err
		}
		if key, ok := sink["sign_key"].(string); ok {
			req.Header.Set(SignatureHeader, sign(string(body), key))
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return err
		}
		resp.Body.Close()
		if try > 0 {
			s.resent += len(s.pending)
		}
		if resp.StatusCode/100 == 2 {
			s.sent += len(s.pending)
			s.pending = nil
			return nil
		}
	}
	s.dropped += len(s.pending)
	s.pending = nil
	return nil
}

func login(s *streamer) Login { return Login{User: s.user, Password: crypto.Secret(s.password)} }

// TestInstallDeliverCheck plays it all: a sink is installed, the server posts to it and is turned away at first, and its
// counters tell so.
func TestInstallDeliverCheck(t *testing.T) {
	s, srv := newStreamer(t)
	var taken []schemas.Event
	refusals := 2
	intake := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if _, ok := Signed(body, r.Header.Get(SignatureHeader), []crypto.Secret{"sign-key"}); !ok || r.URL.Path != IntakePath || r.URL.Query().Get("token") != "pm_token" {
			t.Errorf("posted to %s with signature %q", r.URL.Path, r.Header.Get(SignatureHeader))
		}
		result, err := DecodeAll(body, Options{Peer: netip.MustParseAddr("192.0.2.10"), Tenant: schemas.Tenant(r.URL.Query().Get("tenant"))})
		if err != nil || len(result.Refused) > 0 {
			t.Errorf("%v, %v", err, result.Refused)
		}
		taken = append(taken, result.Events...) // durable, but the answer is lost
		if refusals--; refusals >= 0 {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	defer intake.Close()
	server, err := NewServer(srv.URL, login(s))
	if err != nil {
		t.Fatal(err)
	}
	sink := Sink{To: intake.URL, Tenant: "films", Token: "pm_token", SignKey: "sign-key"}
	state, created, err := server.Install(t.Context(), sink)
	if err != nil || !created || !state.Signed || state.URL != intake.URL+IntakePath+"?tenant=films&token=[redacted]" || !slices.Equal(state.Events, SinkEvents) {
		t.Fatalf("%+v, created %t, %v", state, created, err)
	}
	before := fmt.Sprint(s.sinks)
	if _, created, err = server.Install(t.Context(), sink); err != nil || created {
		t.Errorf("again: created %t, %v", created, err)
	}
	if after := fmt.Sprint(s.sinks); after != before {
		t.Errorf("to do it again changed\n%s into\n%s", before, after)
	}
	s.pending = []string{`{"event":"play_closed","id":"s1","media":"news","server":"e","bytes":5,"closed_at":1792390080000}`, `{"event":"play_closed","id":"s2","media":"news","server":"e","bytes":5,"closed_at":1792390080000}`}
	if err := s.deliver("playmeter", 5); err != nil {
		t.Fatal(err)
	}
	if len(taken) != 6 || taken[0].EventID != taken[2].EventID || taken[0].EventID != taken[4].EventID || taken[0].EventID == taken[1].EventID {
		t.Errorf("%d events came, want two, three times", len(taken))
	}
	state, err = server.Sink(t.Context(), "playmeter")
	if err != nil || *state.Sent != 2 || *state.Resent != 4 || *state.Dropped != 0 {
		t.Errorf("%+v, %v", state, err)
	}
	s.pending, refusals = []string{`{"event":"play_closed","id":"s3","media":"news","server":"e","closed_at":1792390080000}`}, 10
	if err := s.deliver("playmeter", 3); err != nil {
		t.Fatal(err)
	}
	if state, err = server.Sink(t.Context(), "playmeter"); err != nil || *state.Dropped != 1 {
		t.Errorf("%+v, %v", state, err)
	}
}

func TestServerFailures(t *testing.T) {
	elsewhere := 0
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { elsewhere++ }))
	defer other.Close()
	status := func(code int, body string) func(http.ResponseWriter, *http.Request) bool {
		return func(w http.ResponseWriter, _ *http.Request) bool {
			w.WriteHeader(code)
			io.WriteString(w, body)
			return true
		}
	}
	tests := []struct {
		name  string
		set   func(*streamer)
		login Login
		is    error
		says  string
	}{
		{"a wrong password", nil, Login{User: "admin", Password: "wrong-password"}, ErrRefused, "(401): it wants the user and password of its edit_auth"},
		{"no password", nil, Login{}, ErrRefused, "(401)"},
		{"a user who may not", func(s *streamer) { s.answer = status(403, "") }, Login{}, ErrRefused, "(403)"},
		{"an old server", func(s *streamer) { s.old = true }, Login{Bearer: "bearer-bearer"}, ErrOldServer, "has no event sinks (404)"},
		{"a redirect", func(s *streamer) {
			s.answer = func(w http.ResponseWriter, r *http.Request) bool {
				http.Redirect(w, r, other.URL+"/x?token=abc", http.StatusTemporaryRedirect)
				return true
			}
		}, Login{Bearer: "bearer-bearer"}, nil, "redirect to " + other.URL + ", where the password is not sent"},
		{"a server in trouble, that repeats what it was told", func(s *streamer) {
			s.answer = func(w http.ResponseWriter, r *http.Request) bool {
				body, _ := io.ReadAll(r.Body)
				w.WriteHeader(500)
				fmt.Fprintf(w, "oh\x1b[31m no:\n%s %s hunter2-hunter2", body, r.Header)
				return true
			}
		}, Login{User: "admin", Password: "hunter2-hunter2"}, nil, "it answers 500: oh [31m no:"},
		{"an answer without a word", func(s *streamer) { s.answer = status(502, "") }, Login{}, nil, "it answers 502: nothing more"},
		{"an answer that is no JSON", func(s *streamer) { s.answer = status(200, "<html>pm_secret</html>") }, Login{}, nil, "the answer is no event sink; is this the server's API?"},
		{"an answer of another form", func(s *streamer) { s.answer = status(200, `["pm_secret"]`) }, Login{}, nil, "the answer is no event sink"},
		{"an answer without an end", func(s *streamer) { s.answer = status(200, strings.Repeat(" ", answerMost+1)) }, Login{}, nil, "the answer is larger than 1048576 bytes"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, srv := newStreamer(t)
			if tt.set != nil {
				tt.set(s)
			}
			server, err := NewServer(srv.URL, tt.login)
			if err != nil {
				t.Fatal(err)
			}
			_, err = server.Sink(t.Context(), "playmeter")
			check(t, "read", err, tt.is, tt.says)
			_, _, err = server.Install(t.Context(), Sink{To: "http://192.0.2.1:8080", Token: "pm_secret", SignKey: "sign-secret"})
			check(t, "install", err, tt.is, tt.says)
			if len(s.sinks) > 0 || elsewhere > 0 {
				t.Errorf("sinks %v, %d requests to another host", s.sinks, elsewhere)
			}
		})
	}
}

func check(t *testing.T, what string, err, is error, says string) {
	t.Helper()
	if err == nil || is != nil && !errors.Is(err, is) || !strings.Contains(err.Error(), says) {
		t.Errorf("%s: %v, want %v and %q", what, err, is, says)
		return
	}
	for _, secret := range []string{"hunter2-hunter2", "wrong-password", "bearer-bearer", "pm_secret", "sign-secret", "\x1b"} {
		if strings.Contains(err.Error(), secret) {
			t.Errorf("%s: the error holds %q: %v", what, secret, err)
		}
	}
}

// TestAnswersThatRepeatTheLogin has a password that is written differently in an address.
func TestAnswersThatRepeatTheLogin(t *testing.T) {
	s, srv := newStreamer(t)
	const password = "p@ss/word & more"
	s.answer = func(w http.ResponseWriter, r *http.Request) bool {
		w.WriteHeader(500)
		fmt.Fprintf(w, "%s, %s, %s, %s", password, url.QueryEscape(password), r.Header.Get("Authorization"), "end")
		return true
	}
	for _, l := range []Login{{User: "admin", Password: password}, {Bearer: password}} {
		server, err := NewServer(srv.URL, l)
		if err != nil {
			t.Fatal(err)
		}
		_, err = server.Sink(t.Context(), "playmeter")
		if want := "[redacted], [redacted], " + map[bool]string{true: "Bearer", false: "Basic"}[l.Bearer != ""] + " [redacted], end"; err == nil || !strings.HasSuffix(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

// TestPutFails lets all pass but the PUT, whose error would repeat the token.
func TestPutFails(t *testing.T) {
	s, srv := newStreamer(t)
	s.answer = func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodPut {
			return false
		}
		body, _ := io.ReadAll(r.Body)
		w.WriteHeader(400)
		w.Write(body)
		return true
	}
	server, err := NewServer(srv.URL, login(s))
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = server.Install(t.Context(), Sink{To: "http://192.0.2.1:8080", Token: "pm_secret", SignKey: "sign-secret"})
	check(t, "install", err, nil, "it answers 400")
	if !strings.Contains(err.Error(), "token=[redacted]") {
		t.Errorf("%v", err)
	}
}

func TestNobodyListens(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := "http://" + l.Addr().String()
	l.Close()
	server, err := NewServer(address, Login{User: "admin", Password: "hunter2-hunter2"})
	if err != nil {
		t.Fatal(err)
	}
	_, err = server.Sink(t.Context(), "playmeter")
	check(t, "read", err, nil, "read event sink playmeter of "+address+": nothing listens there; does the server run, and is this its HTTP port?")
}

func TestServerTookOverSomethingElse(t *testing.T) {
	for name, tt := range map[string]struct{ key, says string }{
		"another address": {`{"url":"http://192.0.2.9/","only":[{"event":["play_opened","play_started","play_updated","play_closed"]}]}`, "not as it was given: it posts to http://192.0.2.9/"},
		"fewer events":    {`{"url":"http://192.0.2.1:8080/intake/flussonic","only":[{"event":["play_opened","play_started"]}]}`, "it leaves out play_updated, play_closed"},
	} {
		t.Run(name, func(t *testing.T) {
			s, srv := newStreamer(t)
			s.answer = func(w http.ResponseWriter, r *http.Request) bool {
				if r.Method == http.MethodGet && r.URL.Path != sinksPath {
					io.WriteString(w, tt.key)
					return true
				}
				return false
			}
			server, err := NewServer(srv.URL, login(s))
			if err != nil {
				t.Fatal(err)
			}
			if _, _, err = server.Install(t.Context(), Sink{To: "http://192.0.2.1:8080"}); err == nil || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("%v, want %q", err, tt.says)
			}
		})
	}
}

func TestNewServer(t *testing.T) {
	tests := []struct{ name, address, want, user, says string }{
		{"an address", "https://streamer.example.com:8443", "https://streamer.example.com:8443", "", ""},
		{"a user", "http://admin@127.0.0.1:8080/", "http://127.0.0.1:8080", "admin", ""},
		{"a folder of a proxy", "https://example.com/streamer1/", "https://example.com/streamer1", "", ""},
		{"a password", "http://admin:hunter2-hunter2@127.0.0.1:8080", "", "", "has a password in it"},
		{"an empty password", "http://admin:@127.0.0.1:8080", "", "", "has a password in it"},
		{"a password in an address that is none", "http://admin:hunter2-hunter2%zz@127.0.0.1:8080", "", "", "write it like"},
		{"no scheme", "127.0.0.1:8080", "", "", "write it like"},
		{"another scheme", "ftp://127.0.0.1", "", "", "write it like"},
		{"no host", "http://:8080", "", "", "write it like"},
		{"a query", "http://127.0.0.1/?token=pm_secret", "", "", "write it like"},
		{"nothing", "", "", "", "write it like"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, err := NewServer(tt.address, Login{})
			if tt.says != "" {
				check(t, "new", err, nil, tt.says)
				return
			}
			if err != nil || s.Address() != tt.want || s.login.User != tt.user {
				t.Errorf("%+v, %v", s, err)
			}
		})
	}
	if s, err := NewServer("http://admin@127.0.0.1", Login{User: "other"}); err != nil || s.login.User != "other" {
		t.Errorf("the user that is given apart counts: %+v, %v", s, err)
	}
}

func TestSinkNamesThatAreNone(t *testing.T) {
	s, srv := newStreamer(t)
	server, err := NewServer(srv.URL, login(s))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"", "../config", "a/b", "a b", ".x", strings.Repeat("a", 65)} {
		if _, err := server.Sink(t.Context(), name); err == nil || len(s.asked) > 0 {
			t.Errorf("%q was asked for: %v, %v", name, s.asked, err)
		}
	}
}
