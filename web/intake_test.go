package web

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha1"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/playmeter/playmeter/crypto"
	"github.com/playmeter/playmeter/intake"
	"github.com/playmeter/playmeter/intake/flussonic"
	"github.com/playmeter/playmeter/schemas"
)

// chest keeps what is appended, in memory.
type chest struct {
	mu   sync.Mutex
	text []byte
	err  error // instead
}

func (c *chest) Append(_ context.Context, chunks []intake.Chunk) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return c.err
	}
	unpack, _ := zstd.NewReader(nil)
	for _, chunk := range chunks {
		text, err := unpack.DecodeAll(chunk.Frame, nil)
		if err != nil {
			return err
		}
		c.text = append(c.text, text...)
	}
	return nil
}

// events are what was kept.
func (c *chest) events(t *testing.T) []schemas.Event {
	t.Helper()
	lines := schemas.NewEventLines()
	lines.Reset(bytes.NewReader(c.text))
	var all []schemas.Event
	for {
		b, err := lines.Next()
		if err == io.EOF {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		for i := range b.Len {
			var e schemas.Event
			b.Event(i, &e)
			all = append(all, e)
		}
	}
}

const (
	goodEvent  = `{"node_id":"n1","seq":7,"time":"2026-11-14T09:00:00Z","tenant_id":"iten1","kind":"playout","object_id":"iq__a"}`
	goodRecord = `{"event":"play_closed","session_id":"6000","media":"cam","server":"edge","bytes":10,"duration":3,"closed_at":1794000000000}`
	signKey    = "the key of the servers"
)

// serveIntake is a site that takes posts.
func serveIntake(t *testing.T) (*served, *chest) {
	s, kept := serveWorld(t), new(chest)
	in := intake.New(kept)
	in.SetRules(&intake.Rules{Streams: flussonic.Rules{{Match: "cam", Tenant: "iten1"}}, Signers: []intake.Signer{{Key: crypto.Secret("another")}, {Key: signKey, Tenant: "iten1"}}})
	s.Intake = in
	return s, kept
}

func (s *served) post(path, token, body string, headers ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, "http://localhost"+path, strings.NewReader(body))
	r.RemoteAddr = "127.0.0.1:4711"
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	for i := 0; i < len(headers); i += 2 {
		switch headers[i] {
		case "Host":
			r.Host = headers[i+1]
		case "Address":
			r.RemoteAddr = headers[i+1]
		default:
			r.Header.Add(headers[i], headers[i+1])
		}
	}
	w := httptest.NewRecorder()
	s.handler.ServeHTTP(w, r)
	return w
}

// TestWhoMayPost: the columns are the askers of TestEveryRouteForEverybody, in their order.
func TestWhoMayPost(t *testing.T) {
	codes := map[byte]int{'-': 401, 'f': 403, '+': 200}
	tests := []struct{ path, body, want string }{
		{"/intake/events", goodEvent, "-----++f" + "ffff" + "f+"}, // the bound node's tenant is another than the event's: see below
		{"/intake/flussonic", goodRecord, "-----++f" + "ffff" + "f+"},
	}
	for _, tt := range tests {
		for i, who := range askers {
			s, kept := serveIntake(t)
			got := s.post(tt.path, who.token, tt.body, "Address", fmt.Sprintf("127.0.0.%d:1", i+1))
			want := codes[tt.want[i]]
			if who.token == boundNodeToken && tt.path == "/intake/events" {
				want = 400 // no event is left
			}
			if got.Code != want {
				t.Errorf("POST %s with %s: %d, want %d: %s", tt.path, who.name, got.Code, want, got.Body)
			}
			if (len(kept.text) > 0) != (want == 200 && who.token != boundNodeToken) {
				t.Errorf("POST %s with %s: kept %s", tt.path, who.name, kept.text)
			}
			checkAnswer(t, http.MethodPost, tt.path, got)
			if ask := s.ask(http.MethodGet, tt.path, who.token); ask.Code != 405 || ask.Header().Get("Allow") != "POST" {
				t.Errorf("GET %s: %d %v", tt.path, ask.Code, ask.Header())
			}
		}
	}
}

func TestThePostsTenant(t *testing.T) {
	bare := strings.Replace(goodEvent, `"tenant_id":"iten1",`, "", 1)
	w := sampleWorld(t)
	films, sports := string(w.films), string(w.sports)
	of := func(tenant string) string { return strings.Replace(goodEvent, "iten1", tenant, 1) }
	tests := []struct {
		name, path, token, body string
		status                  int
		tenant                  string
	}{
		{"an event names its own", "/intake/events", nodeToken, goodEvent, 200, "iten1"},
		{"one that names none needs the post's", "/intake/events", nodeToken, bare, 400, ""},
		{"the query's", "/intake/events?tenant=iten2", nodeToken, bare, 200, "iten2"},
		{"the token's", "/intake/events", boundNodeToken, bare, 200, films},
		{"an empty one is none", "/intake/events", boundNodeToken, of(""), 200, films},
		{"the token's, named by the event too", "/intake/events", boundNodeToken, of(films), 200, films},
		{"another than the query's", "/intake/events?tenant=iten2", nodeToken, goodEvent, 400, ""},
		{"another than the token's", "/intake/events", boundNodeToken, of(sports), 400, ""},
		{"a query that is not the token's", "/intake/events?tenant=" + sports, boundNodeToken, bare, 403, ""},
		{"a query that is no tenant", "/intake/events?tenant=.", nodeToken, bare, 400, ""},
		{"a parameter that is not known", "/intake/events?tennant=iten1", nodeToken, goodEvent, 400, ""},
		{"a token in the query of a route that has none", "/intake/events?token=" + nodeToken, "", goodEvent, 401, ""},
		{"an admin posts too", "/intake/events?tenant=iten2", adminToken, bare, 200, "iten2"},
		{"a stream's by the rules", "/intake/flussonic", nodeToken, goodRecord, 200, "iten1"},
		{"a token in the query", "/intake/flussonic?token=" + nodeToken, "", goodRecord, 200, "iten1"},
		{"a wrong token in the query", "/intake/flussonic?token=" + wrongToken, "", goodRecord, 401, ""},
		{"a stream without a rule is the post's", "/intake/flussonic?tenant=iten9", nodeToken, strings.Replace(goodRecord, "cam", "other", 1), 200, "iten9"},
		{"a stream of another is not taken, and not sent again", "/intake/flussonic?tenant=iten9", nodeToken, goodRecord, 200, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, kept := serveIntake(t)
			got := s.post(tt.path, tt.token, tt.body)
			if got.Code != tt.status {
				t.Errorf("%d, want %d: %s", got.Code, tt.status, got.Body)
			}
			tenant := ""
			for _, e := range kept.events(t) {
				tenant += e.TenantID
			}
			if tenant != tt.tenant {
				t.Errorf("kept for %q, want %q", tenant, tt.tenant)
			}
			for _, secret := range []string{nodeToken, wrongToken} {
				if strings.Contains(s.said.String()+leakable(got), secret) {
					t.Error("a token was shown")
				}
			}
		})
	}
}

func TestASignatureAuthenticates(t *testing.T) {
	sign := func(body, key string) string {
		sum := sha1.Sum([]byte(body + key))
		return hex.EncodeToString(sum[:])
	}
	packed := pack(t, goodRecord)
	for _, tt := range []struct {
		name, path, token, body string
		header                  []string
		status                  int
	}{
		{"a right one", "/intake/flussonic", "", goodRecord, []string{"X-Signature", sign(goodRecord, signKey)}, 200},
		{"from another machine", "/intake/flussonic", "", goodRecord, []string{"X-Signature", sign(goodRecord, signKey), "Address", "192.0.2.1:1", "Host", "meter.example.com"}, 200},
		{"for the key's own tenant", "/intake/flussonic?tenant=iten1", "", goodRecord, []string{"X-Signature", sign(goodRecord, signKey)}, 200},
		{"by a key of no tenant", "/intake/flussonic", "", goodRecord, []string{"X-Signature", sign(goodRecord, "another")}, 200},
		{"by a key of no tenant, for one that the address names", "/intake/flussonic?tenant=iten1", "", goodRecord, []string{"X-Signature", sign(goodRecord, "another")}, 401},
		{"by a key of no tenant, with a token too", "/intake/flussonic?tenant=iten1", nodeToken, goodRecord, []string{"X-Signature", sign(goodRecord, "another")}, 200},
		{"of what was sent, packed", "/intake/flussonic", "", packed, []string{"X-Signature", sign(packed, signKey), "Content-Encoding", "gzip"}, 200},
		{"of what was packed", "/intake/flussonic", "", packed, []string{"X-Signature", sign(goodRecord, signKey), "Content-Encoding", "gzip"}, 401},
		{"of another body", "/intake/flussonic", "", goodRecord + " ", []string{"X-Signature", sign(goodRecord, signKey)}, 401},
		{"by another key", "/intake/flussonic", "", goodRecord, []string{"X-Signature", sign(goodRecord, "x")}, 401},
		{"by a key that is not known, with a right token", "/intake/flussonic", nodeToken, goodRecord, []string{"X-Signature", sign(goodRecord, "x")}, 200},
		{"no signature at all, with a right token", "/intake/flussonic?token=" + nodeToken, "", goodRecord, []string{"X-Signature", "aa"}, 200},
		{"by a key that is not known, with a token of another role", "/intake/flussonic", filmsToken, goodRecord, []string{"X-Signature", sign(goodRecord, "x")}, 403},
		{"a right one with a wrong token", "/intake/flussonic", wrongToken, goodRecord, []string{"X-Signature", sign(goodRecord, signKey)}, 200},
		{"a right one with a wrong token in the address", "/intake/flussonic?token=" + wrongToken, "", goodRecord, []string{"X-Signature", sign(goodRecord, signKey)}, 200},
		{"a right one with no token's text", "/intake/flussonic?token=%20", "", goodRecord, []string{"X-Signature", sign(goodRecord, signKey)}, 200},
		{"a right one with a revoked token of another tenant", "/intake/flussonic", revokedToken, goodRecord, []string{"X-Signature", sign(goodRecord, signKey)}, 200},
		{"a wrong one with a revoked token", "/intake/flussonic", revokedToken, goodRecord, []string{"X-Signature", sign(goodRecord, "x")}, 401},
		{"a wrong one with a wrong token", "/intake/flussonic?token=" + wrongToken, "", goodRecord, []string{"X-Signature", sign(goodRecord, "x")}, 401},
		{"a right one for events with a wrong token", "/intake/events", wrongToken, goodEvent, []string{"X-Signature", sign(goodEvent, signKey)}, 401},
		{"for another tenant", "/intake/flussonic?tenant=iten2", "", goodRecord, []string{"X-Signature", sign(goodRecord, signKey)}, 401},
		{"does not count for events", "/intake/events", "", goodEvent, []string{"X-Signature", sign(goodEvent, signKey)}, 401},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, kept := serveIntake(t)
			got := s.post(tt.path, tt.token, tt.body, tt.header...)
			if got.Code != tt.status || (len(kept.text) > 0) != (tt.status == 200) {
				t.Errorf("%d, want %d: %s; kept %s", got.Code, tt.status, got.Body, kept.text)
			}
			checkAnswer(t, http.MethodPost, tt.path, got)
		})
	}
}

func pack(t *testing.T, body string) string {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write([]byte(body)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// TestPostsAreAnsweredAsTheDocumentSays, whatever comes of them.
func TestPostsAreAnsweredAsTheDocumentSays(t *testing.T) {
	d := readDoc(t)
	many := strings.Repeat(`{"node_id":"n"}`+"\n", 150)
	for _, tt := range []struct {
		name, path, body string
		err              error
		header           []string
		status           int
		says             string
	}{
		{"taken", "/intake/events", goodEvent, nil, nil, 200, `"accepted":1,"refused":0`},
		{"nothing", "/intake/events", "", nil, nil, 200, `"accepted":0,"refused":0`},
		{"some refused", "/intake/events", goodEvent + "\nx\n" + goodEvent, nil, nil, 200, `"index":1,"reason":"bad_line"`},
		{"all refused", "/intake/events", many, nil, nil, 400, `None of the 150 events`},
		{"a list without an end", "/intake/events", "[" + goodEvent, nil, nil, 400, `The body cannot be read`},
		{"an unknown encoding", "/intake/events", goodEvent, nil, []string{"Content-Encoding", "br"}, 415, "gzip or zstd"},
		{"a broken encoding", "/intake/events", goodEvent, nil, []string{"Content-Encoding", "gzip"}, 400, "as gzip"},
		{"packed", "/intake/events", pack(t, goodEvent), nil, []string{"Content-Encoding", "gzip"}, 200, `"accepted":1`},
		{"too large", "/intake/events", strings.Repeat(" ", intake.MaxPosted+1), nil, nil, 413, "16 MiB"},
		{"too large when it is unpacked", "/intake/events", pack(t, strings.Repeat(" ", intake.MaxUnpacked+1)), nil, []string{"Content-Encoding", "gzip"}, 413, "32 MiB"},
		{"busy", "/intake/events", goodEvent, intake.ErrBusy, nil, 429, "Send them again"},
		{"full", "/intake/events", goodEvent, fmt.Errorf("no: %w", intake.ErrFull), nil, 429, "The log of events is full"},
		{"no disk", "/intake/events", goodEvent, intake.ErrDisk, nil, 503, "The disk is full"},
		{"no log", "/intake/events", goodEvent, intake.ErrLog, nil, 503, "cannot be stored"},
		{"no patience", "/intake/events", goodEvent, context.DeadlineExceeded, nil, 503, "cannot be stored"},
		{"a foreign page", "/intake/events", goodEvent, nil, []string{"Origin", "https://evil.example.com", "Sec-Fetch-Site", "cross-site"}, 403, "another site"},
		{"a record", "/intake/flussonic", goodRecord, nil, nil, 200, `"accepted":1`},
		{"a bad record is not sent again", "/intake/flussonic", `{"event":"play_closed"}`, nil, nil, 200, `"reason":"no_stream"`},
		{"a record of no concern", "/intake/flussonic", `{"event":"stream_started"}`, nil, nil, 200, `"ignored":1`},
		{"no JSON is not sent again", "/intake/flussonic", `hello`, nil, nil, 200, `"accepted":0,"refused":1`},
		{"nothing of a server", "/intake/flussonic", "", nil, nil, 200, `"accepted":0,"refused":0`},
		{"a list without an end of a server", "/intake/flussonic", "[" + goodRecord, nil, nil, 400, "The body cannot be read"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, kept := serveIntake(t)
			kept.err = tt.err
			got := s.post(tt.path, nodeToken, tt.body, tt.header...)
			if got.Code != tt.status || !strings.Contains(got.Body.String(), tt.says) {
				t.Errorf("%d, want %d %s: %.300s", got.Code, tt.status, tt.says, got.Body)
			}
			checkAgainst(t, d, tt.path, tt.path, got)
			checkAnswer(t, http.MethodPost, tt.path, got)
		})
	}
}

// TestARevokedTokenIsToldWhereTheSignatureIsNoneEither, and what a stranger is told does not depend on others' keys.
func TestARevokedTokenIsToldWhereTheSignatureIsNoneEither(t *testing.T) {
	for token, says := range map[string]string{revokedToken: "The token was revoked", expiredToken: "The token has expired", wrongToken: "The token is not known", "": "The signature is not made"} {
		s, _ := serveIntake(t)
		if got := s.post("/intake/flussonic", token, goodRecord, "X-Signature", "aa"); got.Code != 401 || !strings.Contains(got.Body.String(), says) {
			t.Errorf("%q: %d %s, want %s", token, got.Code, got.Body, says)
		}
	}
}

func TestATokenPostsForItsNodesAlone(t *testing.T) {
	for _, tt := range []struct {
		name, token string
		kept        string
	}{
		{"a node's for its own", nodeToken, "n1"},
		{"an admin's for all", adminToken, "n1 n2"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, kept := serveIntake(t)
			tokens := s.Tokens.(*fakeTokens)
			bound := tokens.tokens[nodeToken]
			bound.Nodes = []string{"n1", "edge-*"}
			tokens.tokens[nodeToken] = bound
			got := s.post("/intake/events", tt.token, goodEvent+"\n"+strings.Replace(goodEvent, `"n1"`, `"n2"`, 1))
			var nodes []string
			for _, e := range kept.events(t) {
				nodes = append(nodes, e.NodeID)
			}
			if got.Code != 200 || strings.Join(nodes, " ") != tt.kept {
				t.Errorf("%d %s, kept of %v", got.Code, got.Body, nodes)
			}
			if tt.token == nodeToken && !strings.Contains(got.Body.String(), `"index":1,"reason":"other_node"`) {
				t.Errorf("%s", got.Body)
			}
		})
	}
}

func TestAPostNamesWhatItRefusesAndCounts(t *testing.T) {
	s, kept := serveIntake(t)
	bad := `{"node_id":"n1","time":"2026-11-14T09:00:00Z","tenant_id":"iten1","kind":"dance","object_id":"iq__a"}`
	got := s.post("/intake/events", nodeToken, goodEvent+"\n"+bad+"\n"+strings.Replace(goodEvent, `"seq":7`, `"bytes":-1`, 1))
	var receipt intake.Receipt
	if err := json.Unmarshal(got.Body.Bytes(), &receipt); err != nil || receipt.Accepted != 1 || receipt.Refused != 2 || receipt.Refusals[0].Reason != "unknown_kind" || receipt.Refusals[1].Reason != "negative_bytes" {
		t.Errorf("%v: %s", err, got.Body)
	}
	if n := len(kept.events(t)); n != 1 {
		t.Errorf("%d events are kept", n)
	}
	now := s.Intake.Counts.Now()
	if now.Accepted["events"] != 1 || now.Refused["unknown_kind"] != 1 || now.Posts[intake.Outcome{Route: "events", Result: "stored"}] != 1 {
		t.Errorf("counted %v", now)
	}
}

func TestTheAddressOfAServerIsThatOfItsClient(t *testing.T) {
	s, kept := serveIntake(t)
	s.Proxies = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
	if got := s.post("/intake/flussonic", nodeToken, goodRecord, "Address", "10.0.0.1:99", "X-Forwarded-For", "192.0.2.7"); got.Code != 200 {
		t.Fatal(got.Body)
	}
	if e := kept.events(t); len(e) != 1 || e[0].NodeIP != "192.0.2.7" {
		t.Errorf("%+v", e)
	}
}
