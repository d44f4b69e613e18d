package web

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/playmeter/playmeter/accounting"
	"github.com/playmeter/playmeter/accounting/enrichment"
	"github.com/playmeter/playmeter/accounting/sample"
	"github.com/playmeter/playmeter/bucket"
	"github.com/playmeter/playmeter/crypto"
	"github.com/playmeter/playmeter/reporter"
	"github.com/playmeter/playmeter/schemas"
	"github.com/playmeter/playmeter/statistics"
)

var testStore *bucket.Store

func TestMain(m *testing.M) {
	statistics.Main() // this program is also the process of the statistics
	os.Exit(withStore(m))
}

func withStore(m *testing.M) int {
	dir, err := os.MkdirTemp("", "playmeter-web-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	store, closer, err := bucket.Open(context.Background(), bucket.EmbeddedConfig{Dir: filepath.Join(dir, "data"), Listen: "127.0.0.1:0"})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer closer.Close()
	testStore = store
	return m.Run()
}

// world is a sample month for three tenants: October is final and was restated once; of
// November's three runs the reports of two are kept. The third tenant's sessions nobody may open.
type world struct {
	*reporter.Reporter
	films, sports, museum                       schemas.Tenant
	identity                                    crypto.Identities
	final, restatement, pruned, before, current string // runs, of all tenants
}

var october, november = schemas.PeriodOf(time.Date(2026, 10, 1, 0, 0, 0, 0, time.UTC)), schemas.PeriodOf(time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC))

// theWorld is made once; nobody changes it.
var theWorld = sync.OnceValues(makeWorld)

func sampleWorld(t testing.TB) *world {
	t.Helper()
	w, err := theWorld()
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func makeWorld() (*world, error) {
	temp, err := os.MkdirTemp("", "playmeter-web-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(temp)
	secret, to, err := crypto.NewIdentity()
	if err != nil {
		return nil, err
	}
	ids, err := crypto.ParseIdentities(secret)
	if err != nil {
		return nil, err
	}
	signer, err := crypto.NewSigner()
	if err != nil {
		return nil, err
	}
	signers, err := crypto.ParseAllowedSigners([]byte(signer.AllowedLine("of a test") + "\n"))
	if err != nil {
		return nil, err
	}
	w := &world{identity: ids}
	w.Reporter = &reporter.Reporter{Store: testStore, Agents: enrichment.NewUserAgents(), Grace: 72 * time.Hour, Keep: reporter.Keep{Runs: 1},
		Restate: reporter.Restate{Every: 24 * time.Hour, Until: 9600 * time.Hour}, Version: "test", Temp: temp, Workers: 2, Now: time.Now,
		Signer: signer, Signers: signers, Log: slog.New(slog.DiscardHandler),
		Buckets: reporter.Buckets{Usage: testStore.Bucket("usage"), Catalog: testStore.Bucket("catalog"), Metering: testStore.Bucket("metering"), Reporting: testStore.Bucket("reporting")}}
	for i, x := range sample.Tenants() {
		t := reporter.Tenant{ID: schemas.Tenant(x.ID), Name: x.Name, Schedule: "@hourly", Compression: schemas.CompressGzip, Rules: accounting.DefaultRules(),
			Recipients: map[schemas.Report][]crypto.Recipient{schemas.ReportUsage: {to}, schemas.ReportSessions: {to}}}
		if i == 2 {
			delete(t.Recipients, schemas.ReportSessions)
		}
		w.Tenants = append(w.Tenants, t)
	}
	w.films, w.sports, w.museum = w.Tenants[0].ID, w.Tenants[1].ID, w.Tenants[2].ID
	return w, w.fill(context.Background())
}

// fill makes the months and their runs.
func (w *world) fill(ctx context.Context) error {
	if err := w.Prepare(ctx); err != nil {
		return err
	}
	month := sample.New(october, 1, 20_000)
	for key, objects := range month.Catalogs() {
		var file bytes.Buffer
		if err := schemas.WriteCatalog(&file, objects); err != nil {
			return err
		}
		if _, err := w.Buckets.Catalog.PutBytes(ctx, key, file.Bytes()); err != nil {
			return err
		}
	}
	events := w.crowd(8_000)
	for _, some := range month.Files() {
		events = append(events, some...)
	}
	final := october.End().AddDate(0, 0, 4)
	steps := []struct {
		events []schemas.Event
		period schemas.Period
		asOf   time.Time
		run    *string
	}{
		{events, october, final, &w.final},
		{w.late(october, 0), october, final.AddDate(0, 0, 1), &w.restatement},
		{w.late(november, 1), november, final.AddDate(0, 0, 2), &w.pruned},
		{w.late(november, 2), november, final.AddDate(0, 0, 3), &w.before},
		{w.late(november, 3), november, final.AddDate(0, 0, 4), &w.current},
	}
	for i, step := range steps {
		var file bytes.Buffer
		out := schemas.NewUsageWriter(&file)
		if err := errors.Join(out.Write(step.events), out.Close()); err != nil {
			return err
		}
		if _, err := w.Buckets.Usage.PutBytes(ctx, fmt.Sprintf("%d.parquet", i), file.Bytes()); err != nil {
			return err
		}
		result, err := w.Run(ctx, reporter.RunOptions{Period: step.period, AsOf: step.asOf})
		if err != nil {
			return err
		}
		if err := result.Err(); err != nil {
			return err
		}
		*step.run = result.Tenants[0].Run
	}
	return nil
}

// crowd is so many short sessions of the first tenant, so that its report is of some size.
func (w *world) crowd(n int) (events []schemas.Event) {
	for i := range n {
		events = append(events, schemas.Event{NodeID: "crowd", Seq: new(int64(i)), Time: october.Start().Add(time.Duration(i) * time.Minute).UnixNano(),
			TenantID: string(w.films), Kind: "playout", ObjectID: "object", SessionID: rand.Text(), Bytes: new(int64(1000)), Track: "video", DurationMicros: new(int64(2_000_000))})
	}
	return events
}

// late is one more request of each tenant.
func (w *world) late(p schemas.Period, seq int64) (events []schemas.Event) {
	for i, t := range w.Tenants {
		events = append(events, schemas.Event{NodeID: "late", Seq: new(seq*10 + int64(i)), Time: p.Start().Add(time.Hour).UnixNano(),
			TenantID: string(t.ID), Kind: "playout", ObjectID: "object", SessionID: "s", Bytes: new(int64(1000)), Track: "video", DurationMicros: new(int64(2_000_000))})
	}
	return events
}

// The tokens of the tests.
const (
	adminToken, filmsToken, usageToken, sessionsToken    = "admin-token", "films-token", "films-usage-token", "films-sessions-token"
	sportsToken, museumToken, nodeToken, boundNodeToken  = "sports-token", "museum-token", "node-token", "films-node-token"
	expiredToken, revokedToken, oddToken, reportsOfNone  = "expired-token", "revoked-token", "odd-token", "films-nothing-token"
	wrongToken, malformedToken, goneToken, formerTenants = "wrong-token", "mal formed", "gone-token", "iten-former"
)

// fakeTokens are tokens in memory.
type fakeTokens struct {
	mu      sync.Mutex
	tokens  map[string]crypto.Token
	errs    map[string]error
	any     error
	none    bool
	checked int // how often Check was asked
	during  func()
}

func (f *fakeTokens) Any() (bool, error) { return !f.none, f.any }

func (f *fakeTokens) Check(_ context.Context, text string, _ time.Time) (crypto.Token, error) {
	f.mu.Lock()
	f.checked++
	during := f.during
	f.mu.Unlock()
	if during != nil {
		during()
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	token, ok := f.tokens[text]
	if !ok {
		return crypto.Token{}, crypto.ErrTokenUnknown
	}
	return token, f.errs[text]
}

func (f *fakeTokens) Find(id string, _ time.Time) (crypto.Token, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for text, token := range f.tokens {
		if token.ID == id {
			return token, f.errs[text]
		}
	}
	return crypto.Token{}, crypto.ErrTokenUnknown
}

func (f *fakeTokens) count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.checked
}

func (w *world) tokens() *fakeTokens {
	both := []string{"usage", "sessions"}
	of := func(t schemas.Tenant, reports ...string) crypto.Token {
		return crypto.Token{Role: crypto.RoleTenant, Tenant: string(t), Reports: reports}
	}
	f := &fakeTokens{errs: map[string]error{expiredToken: crypto.ErrTokenExpired, revokedToken: crypto.ErrTokenRevoked}, tokens: map[string]crypto.Token{
		adminToken: {Role: crypto.RoleAdmin}, filmsToken: of(w.films, both...), usageToken: of(w.films, "usage"), sessionsToken: of(w.films, "sessions"),
		sportsToken: of(w.sports, both...), museumToken: of(w.museum, both...), nodeToken: {Role: crypto.RoleNode},
		boundNodeToken: {Role: crypto.RoleNode, Tenant: string(w.films)}, expiredToken: of(w.films, both...), revokedToken: of(w.films, both...),
		oddToken: {Role: "odd", Tenant: string(w.films), Reports: both}, reportsOfNone: of(w.films), goneToken: of(formerTenants, both...)}}
	for text, token := range f.tokens {
		token.ID, token.Name = "id-of-"+text, "name of "+text
		f.tokens[text] = token
	}
	return f
}

// memory is a store of the log in memory.
type memory struct {
	mu      sync.Mutex
	objects map[string][]byte
	order   []string // of their names
	err     error
	block   chan struct{} // if set, each Create waits for one
}

func (m *memory) Create(ctx context.Context, name string, data []byte) (bucket.Info, error) {
	m.mu.Lock()
	block := m.block
	m.mu.Unlock()
	if block != nil {
		select {
		case <-block:
		case <-ctx.Done():
			return bucket.Info{}, ctx.Err()
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.err != nil {
		return bucket.Info{}, m.err
	}
	if m.objects == nil {
		m.objects = make(map[string][]byte)
	}
	m.objects[name] = bytes.Clone(data)
	m.order = append(m.order, name)
	return bucket.Info{Key: name}, nil
}

func (m *memory) fail(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.err = err
}

// lines are all there are.
func (m *memory) lines() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	var all strings.Builder
	for _, name := range m.order {
		all.Write(m.objects[name])
	}
	return all.String()
}

// clock is a time that stands still until it is moved.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) move(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// served is a site at work on the sample world.
type served struct {
	*Site
	t       testing.TB
	handler http.Handler
	service *service
	tokens  *fakeTokens
	log     *memory
	clock   *clock
	said    *lockedBuffer // what was logged
}

func serveWorld(t testing.TB) *served {
	w := sampleWorld(t)
	s := &served{t: t, tokens: w.tokens(), log: new(memory), clock: &clock{at: time.Date(2026, 11, 20, 9, 0, 0, 0, time.UTC)}, said: new(lockedBuffer)}
	log := slog.New(slog.NewTextHandler(s.said, nil))
	m := NewMetrics("v1")
	s.Site = &Site{Version: "v1", Started: s.clock.at, Store: testStore.Config().Endpoint, Metrics: m, Now: s.clock.now, Ready: func(context.Context) error { return nil },
		Runs:   func(time.Time) []NextRun { return nil },
		Tokens: s.tokens, Reports: w.Reporter, Audit: NewAudit(s.log, log, m), Log: log}
	audit := s.Audit
	t.Cleanup(func() { audit.Close() })
	s.service = s.Site.service()
	s.handler = headers(s.service.mux())
	return s
}

// ask makes a request of this machine.
func (s *served) ask(method, path, token string, headers ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, "http://localhost/", nil)
	r.RemoteAddr = "127.0.0.1:4711"
	r.RequestURI = path
	var err error
	if r.URL, err = url.ParseRequestURI(path); err != nil {
		s.t.Fatal(err)
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	for i := 0; i < len(headers); i += 2 {
		if headers[i] == "Host" {
			r.Host = headers[i+1]
			continue
		}
		if headers[i] == "Address" {
			r.RemoteAddr = headers[i+1]
			continue
		}
		r.Header.Add(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	s.handler.ServeHTTP(w, r)
	return w
}

// get is ask, and fails the test where the status is another.
func (s *served) get(path, token string, status int, headers ...string) *httptest.ResponseRecorder {
	s.t.Helper()
	w := s.ask(http.MethodGet, path, token, headers...)
	if w.Code != status {
		s.t.Errorf("GET %s as %q: %d, want %d: %s", path, token, w.Code, status, w.Body)
	}
	return w
}

// recorded ends the log and gives its lines.
func (s *served) recorded() string {
	s.t.Helper()
	if err := s.Audit.Close(); err != nil {
		s.t.Error(err)
	}
	return s.log.lines()
}

func (w *world) folder(t schemas.Tenant, p schemas.Period) string {
	return "/api/v1/tenants/" + string(t) + "/reports/" + p.String()
}

// lockedBuffer is a buffer for several writers.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// object reads an object of the Reporting bucket past the API.
func (w *world) object(t testing.TB, key string) []byte {
	t.Helper()
	body, _, err := w.Buckets.Reporting.Reader(t.Context(), key, "")
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close()
	data, err := io.ReadAll(body)
	if err != nil {
		t.Fatal(err)
	}
	return data
}
