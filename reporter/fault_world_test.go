package reporter

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/playmeter/playmeter/bucket"
	"github.com/playmeter/playmeter/schemas"
)

// The worlds of the fault table: installations that can be copied as they stand, that grow older, and whose
// processes see the store through somebody who meddles.

// buckets are the site's buckets by what they are for.
func (s *site) buckets() map[string]*bucket.Bucket {
	b := s.Buckets
	return map[string]*bucket.Bucket{"usage": b.Usage, "catalog": b.Catalog, "metering": b.Metering, "reporting": b.Reporting}
}

// clone is another installation in the same state: same objects, ETags and times.
func (s *site) clone(t testing.TB) *site {
	t.Helper()
	prefix := fmt.Sprintf("site%d-", sites.Add(1))
	from := &site{Reporter: s.Reporter, t: t}
	to := &site{Reporter: from.otherProcess(), t: t, identity: s.identity, to: s.to}
	to.PackGrace, to.Log = s.PackGrace, slog.New(slog.NewTextHandler(testWriter{t}, &slog.HandlerOptions{Level: slog.LevelWarn}))
	for name, b := range s.buckets() {
		if out, err := exec.Command("cp", "-a", filepath.Join(testObjects, b.Name()), filepath.Join(testObjects, prefix+name)).CombinedOutput(); err != nil {
			t.Fatalf("copy bucket %s: %v: %s", b.Name(), err, out)
		}
		t.Cleanup(func() { os.RemoveAll(filepath.Join(testObjects, prefix+name)) })
	}
	b := func(name string) *bucket.Bucket { return testStore.Bucket(prefix + name) }
	to.Buckets = Buckets{Usage: b("usage"), Catalog: b("catalog"), Metering: b("metering"), Reporting: b("reporting")}
	return to
}

// age makes an hour pass for what we have stored: leases lapse, and packs are past their grace.
func (s *site) age() {
	for _, b := range []*bucket.Bucket{s.Buckets.Metering, s.Buckets.Reporting} {
		err := filepath.WalkDir(filepath.Join(testObjects, b.Name()), func(name string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			info, err := d.Info()
			if err != nil {
				return err
			}
			at := info.ModTime().Add(-time.Hour)
			return os.Chtimes(name, at, at)
		})
		if err != nil {
			s.t.Error(err)
		}
	}
}

// fault is what happens to one write.
type fault string

const (
	lost         fault = "lost"          // an error, and nothing was stored
	unanswered   fault = "unanswered"    // stored, and an error
	retried      fault = "retried"       // stored, unanswered, and sent again
	doubtful     fault = "doubtful"      // stored, unanswered, and it cannot be read back
	killedBefore fault = "killed before" // the process ends
	killedAfter  fault = "killed after"
	paused       fault = "paused" // the process sleeps, and another makes a whole run meanwhile
)

var faults = []fault{lost, unanswered, retried, doubtful, killedBefore, killedAfter, paused}

// write is a write to the store: what is done to which object, and the how manyth time by its process.
type write struct {
	name string
	n    int
}

func (w write) String() string {
	if w.n == 1 {
		return w.name
	}
	return fmt.Sprintf("%s #%d", w.name, w.n)
}

// blow is a fault that strikes a write.
type blow struct {
	fault fault
	write write
}

func (b blow) String() string { return fmt.Sprintf("%s: %s", b.fault, b.write) }

// process is a process that works on a site, and what it writes.
type process struct {
	*Reporter
	s     *site
	ctx   context.Context
	close func()

	// blows are what strikes it, and overtake what another process does where it is paused.
	blows    []blow
	overtake func()

	mu     sync.Mutex
	writes []write
	counts map[string]int
	fired  []blow
	dead   bool
	unread string // the path of what cannot be read back
	// committed are the tenants that it had made a commit for when it was struck first.
	committed map[schemas.Tenant]bool
}

// process starts one.
func (s *site) process() *process {
	s.t.Helper()
	p := &process{s: s, counts: make(map[string]int), committed: make(map[schemas.Tenant]bool)}
	ctx, cancel := context.WithCancel(s.t.Context())
	server := httptest.NewUnstartedServer(p)
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.Start()
	p.ctx, p.close = ctx, func() { cancel(); server.Close() }
	cfg := testStore.Config()
	cfg.Endpoint = server.URL
	store, err := bucket.Dial(s.t.Context(), cfg)
	if err != nil {
		s.t.Fatal(err)
	}
	p.Reporter = s.otherProcess()
	p.PackGrace = s.PackGrace
	b := p.Buckets
	p.Store, p.Buckets = store, Buckets{Usage: store.Bucket(b.Usage.Name()), Catalog: store.Bucket(b.Catalog.Name()), Metering: store.Bucket(b.Metering.Name()), Reporting: store.Bucket(b.Reporting.Name())}
	return p
}

// proxy passes requests on. Signatures name the host that was dialled.
type proxy struct {
	*http.Transport
	httputil.ReverseProxy
}

var toStore = sync.OnceValue(func() *proxy {
	target := must(url.Parse(testStore.Config().Endpoint))
	p := &proxy{Transport: &http.Transport{MaxIdleConnsPerHost: 32}}
	p.ReverseProxy = httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target); r.Out.Host = r.In.Host },
		Transport: p.Transport, ErrorLog: log.New(io.Discard, "", 0)}
	return p
})

// refuse answers with an error that is not worth trying again.
func refuse(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(http.StatusTeapot)
	io.WriteString(w, `<Error><Code>Disturbed</Code><Message>the fault table was here</Message></Error>`)
}

func (p *process) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	name, ok := nameWrite(r)
	if !ok {
		p.mu.Lock()
		deaf := p.dead || p.unread == r.URL.Path && r.Method == http.MethodGet
		p.mu.Unlock()
		if deaf {
			refuse(w)
			return
		}
		toStore().ServeHTTP(w, r)
		return
	}
	switch p.meet(name, r.URL.Path) {
	case lost, killedBefore:
		refuse(w)
	case unanswered, doubtful, killedAfter:
		toStore().ServeHTTP(httptest.NewRecorder(), r)
		p.wrote(name)
		refuse(w)
	case retried:
		toStore().ServeHTTP(httptest.NewRecorder(), r)
		p.wrote(name)
		panic(http.ErrAbortHandler)
	case paused:
		p.overtake()
		toStore().ServeHTTP(w, r)
		p.wrote(name)
	default:
		toStore().ServeHTTP(w, r)
		p.wrote(name)
	}
}

// meet notes a write and tells which fault strikes it; empty: none.
func (p *process) meet(name, path string) fault {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.dead {
		return lost
	}
	p.counts[name]++
	this := write{name, p.counts[name]}
	p.writes = append(p.writes, this)
	for _, b := range p.blows {
		if b.write != this {
			continue
		}
		p.fired = append(p.fired, b)
		switch b.fault {
		case killedBefore, killedAfter:
			p.dead = true
		case retried:
			p.counts[name]-- // the same once more
			p.blows = nil
		case doubtful:
			p.unread = path
		}
		return b.fault
	}
	if rest, ok := strings.CutPrefix(name, "CREATE metering/"+schemas.PrefixCommits); ok && len(p.fired) == 0 {
		tenant, _, _ := strings.Cut(rest, "/")
		p.committed[schemas.Tenant(tenant)] = true
	}
	return ""
}

// wrote looks at what a reader sees now, and at what is left on the disk meanwhile.
func (p *process) wrote(name string) {
	what := p.string() + " after " + name
	if rest, ok := strings.CutPrefix(name[strings.IndexByte(name, ' ')+1:], "reporting/"); ok {
		for _, t := range p.s.Tenants {
			if strings.HasPrefix(rest, string(t.ID)+"/") {
				p.s.wantWhole(what, t.ID)
			}
		}
	}
	p.s.wantNoFiles(what, p.Temp)
}

func (p *process) string() string {
	if len(p.blows) == 0 {
		return "undisturbed"
	}
	return fmt.Sprint(p.blows)
}

// wantNoFiles wants a folder for temporary files to have none that has a name.
func (s *site) wantNoFiles(what, dir string) {
	list, err := os.ReadDir(dir)
	if err != nil {
		s.t.Errorf("%s: %v", what, err)
	}
	for _, f := range list {
		s.t.Errorf("%s: the temporary file %s is there", what, f.Name())
	}
}

// digests are the parts of names that are not the same in every world.
var digests = regexp.MustCompile(`[0-9a-f]{32,}`)

// nameWrite tells what a request writes, in words that are the same in every world. The
// fan-out folder of a pack is a part of its digest.
func nameWrite(r *http.Request) (name string, ok bool) {
	verb := r.Method
	query := r.URL.Query()
	switch {
	case verb == http.MethodPost && query.Has("uploads"):
		verb = "INITIATE"
	case verb == http.MethodPost:
		verb = "COMPLETE"
	case verb == http.MethodDelete && query.Has("uploadId"):
		verb = "ABORT"
	case verb == http.MethodDelete:
	case verb != http.MethodPut:
		return "", false
	case query.Has("partNumber"):
		verb = "PART"
	case r.Header.Get("X-Amz-Copy-Source") != "":
		verb = "COPY"
	case r.Header.Get("If-None-Match") != "":
		verb = "CREATE"
	}
	_, key, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "-")
	key = digests.ReplaceAllString(key, "#")
	if strings.HasPrefix(key, "metering/"+schemas.PrefixPacks) {
		key = "metering/" + schemas.PrefixPacks + "#.pack"
	}
	return verb + " " + key, true
}
