package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/playmeter/playmeter/accounting/sample"
	"github.com/playmeter/playmeter/schemas"
	"github.com/playmeter/playmeter/statistics"
)

// A pagesWorld is a daemon with a month of a demo, tokens of each role, and a browser.
type pagesWorld struct {
	t       *testing.T
	dir     string // the data directory
	config  string
	month   schemas.Period
	url     string            // of the daemon, without a path
	tokens  map[string]string // by role, as roleNames has them
	browser context.Context
	people  map[string]context.Context // signed in, each in a profile of its own
	axe     string                     // the script
}

// The roles that somebody may sign in with.
const (
	roleAdmin    = "admin"    // sees everything
	roleBoth     = "both"     // a tenant with both reports
	roleUsage    = "usage"    // a tenant with one of them
	roleSessions = "sessions" // the same with the other
	roleHostile  = "hostile"  // the tenant whose viewers mean harm
	roleNode     = "node"     // may only post
)

// The tenants that the tokens are for.
var (
	filmTenant = sample.Tenants()[0]
	others     = sample.Tenants()[1:]
)

const (
	hostileTenant = "itenHostile"
	hostileName   = `<b id="pwned">Bad & "Sons"</b>`
)

// newPagesWorld makes one with so many events, about.
func newPagesWorld(t *testing.T, events int) *pagesWorld {
	t.Helper()
	needBrowser(t)
	axe, err := os.ReadFile(axePath())
	if err != nil {
		t.Fatal(err)
	}
	w := &pagesWorld{t: t, dir: filepath.Join(t.TempDir(), "data"), axe: string(axe), tokens: map[string]string{}, people: map[string]context.Context{}}
	w.month = schemas.PeriodOf(time.Now().UTC())
	if time.Now().UTC().Day() <= 3 { // as the demo chooses
		w.month = w.month.Previous()
	}
	w.config = filepath.Join(w.dir, "demo", DefaultConfigFile)
	w.must("demo", "--data-dir", w.dir, "--events", strconv.Itoa(events), "--month", w.month.String())
	w.addHostile()
	w.must("run", "--config", w.config, "--month", w.month.String())
	w.makeTokens()
	w.serve()
	w.waitForStatistics()
	w.browser = startBrowser(t)
	return w
}

// addHostile adds a tenant whose events and titles are what addHostileUsage says.
func (w *pagesWorld) addHostile() {
	w.t.Helper()
	key := filepath.Join(w.dir, "hostile.key")
	public := strings.TrimSpace(string(w.must("keygen", "-o", key)))
	f, err := os.OpenFile(w.config, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		w.t.Fatal(err)
	}
	_, err = fmt.Fprintf(f, "  - id: %s\n    name: %q\n    grants: [{recipient: %s, reports: [usage, sessions]}]\n", hostileTenant, hostileName, public)
	if err := f.Close(); err != nil {
		w.t.Fatal(err)
	}
	if err != nil {
		w.t.Fatal(err)
	}
	usage, catalog := hostileUsage(w.t, w.month)
	in := filepath.Join(w.t.TempDir(), "hostile.ndjson")
	mustWrite(w.t, in, usage)
	w.must("import", "--config", w.config, "--prefix", "hostile", in)
	in = filepath.Join(w.t.TempDir(), "catalog.ndjson")
	mustWrite(w.t, in, catalog)
	w.must("import", "--config", w.config, "--catalog", hostileTenant, "--at", w.month.Start().Format(time.DateOnly), in)
}

func (w *pagesWorld) makeTokens() {
	w.t.Helper()
	for role, args := range map[string][]string{
		roleAdmin:    {"--role", "admin", "Anna Admin"},
		roleBoth:     {"--role", "tenant", "--tenant", filmTenant.ID, "--report", "usage", "--report", "sessions", "Films, both"},
		roleUsage:    {"--role", "tenant", "--tenant", filmTenant.ID, "--report", "usage", "Films, usage"},
		roleSessions: {"--role", "tenant", "--tenant", filmTenant.ID, "--report", "sessions", "Films, sessions"},
		roleHostile:  {"--role", "tenant", "--tenant", hostileTenant, "--report", "usage", "--report", "sessions", `"><img src=x onerror=alert(1)>`},
		roleNode:     {"--role", "node", "edge-7"},
	} {
		w.tokens[role] = w.token(args...)
	}
}

// token makes one more.
func (w *pagesWorld) token(args ...string) string {
	w.t.Helper()
	return strings.TrimSpace(string(w.must(append([]string{"token", "add", "--config", w.config}, args...)...)))
}

// serve starts the daemon, which ends with the test.
func (w *pagesWorld) serve() {
	w.t.Helper()
	c := w.command("serve", "--config", w.config, "--listen-http", "127.0.0.1:0", "--listen-s3", "127.0.0.1:0")
	said := newSaid(`page (http://[0-9.]+:[0-9]+)/`)
	c.Stderr = said
	if err := c.Start(); err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() {
		c.Process.Signal(syscall.SIGTERM)
		if err := c.Wait(); err != nil {
			w.t.Errorf("the daemon ended with %v", err)
		}
		if w.t.Failed() {
			w.t.Logf("the daemon said:\n%s", said)
		}
	})
	select {
	case w.url = <-said.found:
	case <-time.After(time.Minute):
		w.t.Fatalf("the daemon does not get ready:\n%s", said)
	}
}

// said keeps what a process says, and tells of what it is waited for.
type said struct {
	pattern *regexp.Regexp
	found   chan string

	mu   sync.Mutex
	text bytes.Buffer
}

func newSaid(pattern string) *said {
	return &said{pattern: regexp.MustCompile(pattern), found: make(chan string, 1)}
}

func (s *said) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.text.Write(p)
	if m := s.pattern.FindSubmatch(s.text.Bytes()); m != nil {
		select {
		case s.found <- string(m[1]):
		default:
		}
	}
	return len(p), nil
}

func (s *said) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// waitForStatistics waits until the month of every tenant is in the database.
func (w *pagesWorld) waitForStatistics() {
	w.t.Helper()
	want := strconv.Itoa(len(sample.Tenants()) + 1)
	w.wait("statistics of every tenant", func() bool {
		t, err := statistics.Elsewhere(w.t.Context(), filepath.Join(w.dir, "statistics"), "SELECT count(DISTINCT tenant) FROM months", 1)
		return err == nil && t.Rows[0][0] == want
	})
}

// wait asks until something is so.
func (w *pagesWorld) wait(what string, so func() bool) {
	w.t.Helper()
	asked := time.NewTicker(50 * time.Millisecond)
	defer asked.Stop()
	end := time.After(time.Minute)
	for !so() {
		select {
		case <-asked.C:
		case <-end:
			w.t.Fatalf("there are no %s", what)
		}
	}
}

func (w *pagesWorld) command(args ...string) *exec.Cmd {
	c := exec.Command("playmeter", args...)
	for _, e := range os.Environ() {
		if !strings.HasPrefix(e, EnvPrefix) && !strings.HasPrefix(e, "TZ=") {
			c.Env = append(c.Env, e)
		}
	}
	c.Env = append(c.Env, "TZ=UTC")
	return c
}

// must runs a command that has to go well and gives what it printed.
func (w *pagesWorld) must(args ...string) []byte {
	w.t.Helper()
	c := w.command(args...)
	var stderr bytes.Buffer
	c.Stderr = &stderr
	out, err := c.Output()
	if err != nil {
		w.t.Fatalf("playmeter %s: %v\n%s%s", strings.Join(args, " "), err, out, &stderr)
	}
	return out
}

// sql asks the daemon's statistics, as "playmeter sql" does.
func (w *pagesWorld) sql(t *testing.T, question string, args ...any) [][]string {
	t.Helper()
	question = fmt.Sprintf(question, args...)
	answer, err := statistics.Elsewhere(t.Context(), filepath.Join(w.dir, "statistics"), question, 1_000_000)
	if err != nil {
		t.Fatalf("%s: %v", question, err)
	}
	return answer.Rows
}

// one is the only value of an answer.
func (w *pagesWorld) one(t *testing.T, question string, args ...any) string {
	t.Helper()
	rows := w.sql(t, question, args...)
	if len(rows) != 1 || len(rows[0]) != 1 {
		t.Fatalf("%s: %d rows", fmt.Sprintf(question, args...), len(rows))
	}
	return rows[0][0]
}

// texts is the first column of an answer.
func (w *pagesWorld) texts(t *testing.T, question string, args ...any) (out []string) {
	t.Helper()
	for _, row := range w.sql(t, question, args...) {
		out = append(out, row[0])
	}
	return out
}

// quoted is a text in SQL.
func quoted(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

// days are the month's first and last day, as filters name them.
func (w *pagesWorld) days() (from, to string) {
	return w.month.Start().Format(time.DateOnly), w.month.End().AddDate(0, 0, -1).Format(time.DateOnly)
}

// inMonth is a list's path for all days of the month, with more parameters in pairs.
func (w *pagesWorld) inMonth(path string, pairs ...string) string {
	from, to := w.days()
	return withPairs(path, append([]string{"from", from, "to", to}, pairs...)...)
}

// get fetches a path as a program does, with a token.
func (w *pagesWorld) get(t *testing.T, token, path string) (int, string) {
	t.Helper()
	q, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.url+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	q.Header.Set("Authorization", "Bearer "+token)
	q.Header.Set("Accept", "text/html")
	a, err := http.DefaultTransport.RoundTrip(q)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Body.Close()
	body, err := io.ReadAll(a.Body)
	if err != nil {
		t.Fatal(err)
	}
	return a.StatusCode, string(body)
}

// as is a browser's profile in which somebody of a role has signed in.
func (w *pagesWorld) as(t *testing.T, role string) context.Context {
	t.Helper()
	if ctx, ok := w.people[role]; ok {
		return ctx
	}
	ctx := w.profile(t)
	b := w.tab(t, ctx)
	defer b.close()
	b.open("/sign-in")
	b.typeInto(`input[name="token"]`, w.tokens[role])
	b.follow(`main form button`)
	if path := js[string](b, `location.pathname`); path != "/" {
		t.Fatalf("%s did not get in, but to %s", role, path)
	}
	w.people[role] = ctx
	return ctx
}

// profile is a new one in the browser, in which nobody has signed in. It ends with the world.
func (w *pagesWorld) profile(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := chromedp.NewContext(w.browser, chromedp.WithNewBrowserContext())
	w.t.Cleanup(cancel)
	if err := chromedp.Do(ctx); err != nil {
		t.Fatal(err)
	}
	return ctx
}
