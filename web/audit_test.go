package web

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/playmeter/playmeter/bucket"
	"github.com/playmeter/playmeter/schemas"
)

// entries reads lines of the log.
func entries(t *testing.T, lines string) (all []Entry) {
	t.Helper()
	for line := range strings.Lines(lines) {
		d := json.NewDecoder(strings.NewReader(line))
		d.DisallowUnknownFields()
		var e Entry
		if err := d.Decode(&e); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		all = append(all, e)
	}
	return all
}

func TestEveryFetchIsOnRecord(t *testing.T) {
	w := sampleWorld(t)
	month := w.folder(w.films, november)
	tests := []struct {
		name, path, token, method string
		header                    []string
		status                    int
		want                      []Entry // of the request
	}{
		{"a report", month + "/usage", filmsToken, "GET", []string{"User-Agent", "billing/1.0"}, 200, []Entry{
			{Event: EventGranted, What: "usage", Status: 200, Run: w.current, Agent: "billing/1.0"}, {Event: EventSent, What: "usage", Status: 200, Run: w.current, Bytes: -1, Agent: "billing/1.0"}}},
		{"a range", month + "/sessions", filmsToken, "GET", []string{"Range", "bytes=5-14"}, 206, []Entry{
			{Event: EventGranted, What: "sessions", Status: 206, Run: w.current, Range: "bytes=5-14"}, {Event: EventSent, What: "sessions", Status: 206, Run: w.current, Range: "bytes=5-14", Bytes: 10}}},
		{"a manifest", month + "/manifest?run=" + w.before, usageToken, "GET", nil, 200, []Entry{
			{Event: EventGranted, What: "manifest", Status: 200, Run: w.before}, {Event: EventSent, What: "manifest", Status: 200, Run: w.before, Bytes: -1}}},
		{"a link", month + "/usage/link", usageToken, "GET", nil, 200, []Entry{{Event: EventGranted, What: "link", Report: "usage", Status: 200, Run: w.current}}},
		{"inputs", month + "/inputs", adminToken, "GET", nil, 200, []Entry{
			{Event: EventGranted, What: "inputs", Status: 200, Run: w.current}, {Event: EventSent, What: "inputs", Status: 200, Run: w.current, Bytes: -1}}},
		{"a look at the headers", month + "/usage", filmsToken, "HEAD", nil, 200, []Entry{{Event: EventSent, What: "usage", Status: 200, Run: w.current}}},
		{"another tenant's report", w.folder(w.sports, november) + "/usage", filmsToken, "GET", nil, 404, []Entry{{Event: EventRefused, Status: 404}}},
		{"a report that is not granted", month + "/sessions", usageToken, "GET", nil, 403, []Entry{{Event: EventRefused, Status: 403}}},
		{"a node's token", month + "/usage", nodeToken, "GET", nil, 403, []Entry{{Event: EventRefused, Status: 403}}},
		{"an expired token", month + "/usage", expiredToken, "GET", nil, 401, []Entry{{Event: EventRefused, Status: 401}}},
		{"metrics are not the tenant's", "/metrics", filmsToken, "GET", nil, 403, []Entry{{Event: EventRefused, Status: 403}}},
		{"a token that nobody knows", month + "/usage", wrongToken, "GET", nil, 401, nil},
		{"no token", month + "/usage", "", "GET", nil, 401, nil},
		{"a list", month, filmsToken, "GET", nil, 200, nil},
		{"a month that there is not", w.folder(w.films, november.Next()) + "/usage", filmsToken, "GET", nil, 404, nil},
		{"a range that there is not", month + "/usage", filmsToken, "GET", []string{"Range", "bytes=999999999-"}, 416, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := serveWorld(t)
			got := s.ask(tt.method, tt.path, tt.token, append(tt.header, "Address", "127.0.0.9:1")...)
			if got.Code != tt.status {
				t.Fatalf("%d, want %d: %s", got.Code, tt.status, got.Body)
			}
			all := entries(t, s.recorded())
			if len(all) != len(tt.want) {
				t.Fatalf("on record is %+v", all)
			}
			for i, e := range all {
				want := tt.want[i]
				if want.Bytes < 0 {
					want.Bytes = int64(got.Body.Len())
				}
				if e.Event != want.Event || e.What != want.What || e.Status != want.Status || e.Run != want.Run || e.Range != want.Range || e.Bytes != want.Bytes || e.Report != want.Report || e.Agent != want.Agent {
					t.Errorf("line %d is %+v, want %+v", i, e, want)
				}
				if e.Token != "id-of-"+tt.token || e.Name != "name of "+tt.token || e.Role == "" || e.Address != "127.0.0.9" || e.ID != all[0].ID || !e.Time.Equal(s.clock.at) || e.Method != tt.method {
					t.Errorf("line %d does not say who: %+v", i, e)
				}
				if e.Event != EventRefused && (e.Tenant != w.films || e.Month != "2026-11" || !strings.HasPrefix(e.Object, string(w.films)+"/2026-11/")) {
					t.Errorf("line %d does not say what: %+v", i, e)
				}
			}
		})
	}
}

func TestNamesOfTheLogGoByTheHour(t *testing.T) {
	name := schemas.AuditName(time.Date(2026, 10, 14, 9, 17, 5, 0, time.FixedZone("", 3600)), "RANDOM")
	if name != "audit/2026-10-14/08/2026-10-14T08-17-05Z-RANDOM.ndjson" {
		t.Error(name)
	}
	w := sampleWorld(t)
	s := serveWorld(t)
	s.get(w.folder(w.films, november)+"/usage", filmsToken, 200)
	s.recorded()
	for name := range s.log.objects {
		if !regexp.MustCompile(`^audit/\d{4}-\d\d-\d\d/\d\d/\d{4}-\d\d-\d\dT\d\d-\d\d-\d\dZ-[A-Z2-7]{26}\.ndjson$`).MatchString(name) {
			t.Error(name)
		}
	}
}

// TestTheLogIsInTheMeteringBucket: with the store that there is.
func TestTheLogIsInTheMeteringBucket(t *testing.T) {
	w := sampleWorld(t)
	s := serveWorld(t)
	s.Audit = NewAudit(w.Buckets.Metering, s.Log, s.Metrics)
	s.get(w.folder(w.films, november)+"/usage", filmsToken, 200, "User-Agent", "the-only-one")
	if err := s.Audit.Close(); err != nil {
		t.Fatal(err)
	}
	var found string
	for info, err := range w.Buckets.Metering.List(t.Context(), schemas.PrefixAudit, "") {
		if err != nil {
			t.Fatal(err)
		}
		body, _, err := w.Buckets.Metering.Get(t.Context(), info.Key, "", 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		found += string(body)
	}
	if strings.Count(found, "the-only-one") != 2 {
		t.Errorf("the log is %s", found)
	}
}

// TestNothingLeavesBeforeItIsOnRecord: what cannot be written down is not handed out.
func TestNothingLeavesBeforeItIsOnRecord(t *testing.T) {
	w := sampleWorld(t)
	month, final := w.folder(w.films, november), w.folder(w.films, october)
	paths := []string{month + "/usage", month + "/sessions", month + "/manifest", month + "/signature", month + "/inputs", final + "/diff", month + "/usage/link", month + "/sessions/link"}
	for name, breaks := range map[string]func(*served){
		"the store fails":  func(s *served) { s.log.fail(errors.New("the log's disk is full")) },
		"there is no log":  func(s *served) { s.Audit = nil },
		"the log is ended": func(s *served) { s.Audit.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			s := serveWorld(t)
			breaks(s)
			for _, path := range paths {
				got := s.get(path, filmsToken, 503)
				checkAnswer(t, http.MethodGet, path, got)
				if h := got.Header(); !strings.Contains(got.Body.String(), "on record") || strings.Contains(got.Body.String(), "disk") || h.Get("Etag") != "" || h.Get("Content-Disposition") != "" || h.Get("Retry-After") == "" {
					t.Errorf("%s: %v %s", path, h, got.Body)
				}
				if got := s.get(path, filmsToken, 503, "Range", "bytes=0-3,5-9"); got.Header().Get("Content-Range") != "" {
					t.Errorf("%s: %v", path, got.Header())
				}
			}
			s.get(month, filmsToken, 200)
			s.get("/api/v1/allowed_signers", filmsToken, 200)
			s.ask(http.MethodGet, month+"/usage", filmsToken, "If-None-Match", "*") // nothing leaves
		})
	}
}

// gated is a store that tells when it is asked, and answers when it may.
type gated struct {
	memory
	asked, may chan struct{}
}

func (g *gated) Create(ctx context.Context, name string, data []byte) (bucket.Info, error) {
	g.asked <- struct{}{}
	<-g.may
	return g.memory.Create(ctx, name, data)
}

// TestTheRecordComesFirst: while the store has not taken the line, no byte has left.
func TestTheRecordComesFirst(t *testing.T) {
	w := sampleWorld(t)
	s := serveWorld(t)
	store := &gated{asked: make(chan struct{}), may: make(chan struct{})}
	s.Audit = NewAudit(store, s.Log, s.Metrics)
	watched := &watcher{header: make(http.Header)}
	r, _ := http.NewRequest(http.MethodGet, "http://localhost"+w.folder(w.films, november)+"/usage", nil)
	r.RemoteAddr = "127.0.0.1:1"
	r.Header.Set("Authorization", "Bearer "+filmsToken)
	done := make(chan struct{})
	go func() { s.handler.ServeHTTP(watched, r); close(done) }()
	<-store.asked
	if got := watched.got(); got > 0 {
		t.Errorf("%d bytes left before the line was stored", got)
	}
	close(store.may)
	<-done
	if watched.got() == 0 {
		t.Error("nothing came")
	}
	go func() { <-store.asked }() // the line of what was sent
	if err := s.Audit.Close(); err != nil {
		t.Error(err)
	}
}

type watcher struct {
	mu     sync.Mutex
	header http.Header
	bytes  int
}

func (w *watcher) got() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.bytes
}

func (w *watcher) Header() http.Header { return w.header }
func (w *watcher) WriteHeader(int)     {}
func (w *watcher) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.bytes += len(b)
	return len(b), nil
}

// newLog is a log for itself.
func newLog(store AuditStore) (*Audit, *lockedBuffer) {
	said := new(lockedBuffer)
	return NewAudit(store, slog.New(slog.NewTextHandler(said, nil)), NewMetrics("v1")), said
}

func TestRequestsAtOnceShareAnObject(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &memory{block: make(chan struct{})}
		a, _ := newLog(store)
		var all sync.WaitGroup
		commit := func(n int) {
			for i := range n {
				all.Go(func() {
					if err := a.Commit(t.Context(), &Entry{ID: fmt.Sprint(i), Event: EventGranted}); err != nil {
						t.Error(err)
					}
				})
			}
		}
		commit(1)
		synctest.Wait() // the first is being written
		commit(100)
		a.Note(&Entry{ID: "note", Event: EventSent})
		synctest.Wait()
		store.block <- struct{}{}
		store.block <- struct{}{}
		all.Wait()
		if len(store.objects) != 2 || len(entries(t, store.lines())) != 102 {
			t.Errorf("%d lines in %d objects", len(entries(t, store.lines())), len(store.objects))
		}
		close(store.block)
		if err := a.Close(); err != nil {
			t.Error(err)
		}
	})
}

func TestNotesAreWrittenSoon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := new(memory)
		a, _ := newLog(store)
		a.Note(&Entry{ID: "1"})
		time.Sleep(auditEvery - time.Millisecond)
		synctest.Wait()
		if len(store.objects) != 0 {
			t.Error("written at once")
		}
		a.Note(&Entry{ID: "2"})
		time.Sleep(time.Millisecond)
		synctest.Wait()
		if len(store.objects) != 1 || len(entries(t, store.lines())) != 2 {
			t.Errorf("after a while there is %q", store.lines())
		}
		a.Note(&Entry{ID: "3"})
		if err := a.Close(); err != nil || len(entries(t, store.lines())) != 3 {
			t.Errorf("at the end there is %q, %v", store.lines(), err)
		}
		a.Note(&Entry{ID: "4"})
		if err := a.Commit(t.Context(), &Entry{}); !errors.Is(err, errAuditClosed) {
			t.Errorf("after the end: %v", err)
		}
		if err := a.Close(); err != nil {
			t.Errorf("a second end: %v", err)
		}
	})
}

func TestNotesSurviveAStoreThatIsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := new(memory)
		store.fail(errors.New("away"))
		a, said := newLog(store)
		a.Note(&Entry{ID: "1"})
		time.Sleep(5 * auditEvery)
		if err := a.Commit(t.Context(), &Entry{ID: "lost"}); err == nil || err.Error() != "away" {
			t.Errorf("a commit: %v", err)
		}
		a.Note(&Entry{ID: "2"})
		store.fail(nil)
		time.Sleep(auditEvery)
		synctest.Wait()
		got := entries(t, store.lines())
		if len(got) != 2 || got[0].ID != "1" || got[1].ID != "2" {
			t.Errorf("written is %+v", got)
		}
		if !strings.Contains(said.String(), "away") {
			t.Errorf("the log says %s", said)
		}
		store.fail(errors.New("away for good"))
		a.Note(&Entry{ID: "3"})
		if err := a.Close(); err == nil || !strings.Contains(err.Error(), "1 lines") {
			t.Errorf("at the end: %v", err)
		}
	})
}

func TestNotesAreBoundedAndTheLostOnesCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := new(memory)
		store.fail(errors.New("away"))
		a, said := newLog(store)
		e := &Entry{Reason: strings.Repeat("x", 1000)}
		most := auditWaiting / len(e.line())
		for range most + 50 {
			a.Note(e)
		}
		a.mu.Lock()
		if a.size > auditWaiting || len(a.notes) != most {
			t.Errorf("%d lines of %d bytes wait", len(a.notes), a.size)
		}
		a.mu.Unlock()
		time.Sleep(3 * auditEvery)
		synctest.Wait()
		a.mu.Lock()
		if a.size > auditWaiting || len(a.notes) != most {
			t.Errorf("%d lines of %d bytes wait", len(a.notes), a.size)
		}
		a.mu.Unlock()
		if !strings.Contains(said.String(), "lines=50") {
			t.Errorf("the log says %s", said)
		}
		store.fail(nil)
		if err := a.Close(); err != nil {
			t.Error(err)
		}
		if got := strings.Count(store.lines(), "\n"); got != most || len(store.objects) < auditWaiting/auditObject {
			t.Errorf("%d lines in %d objects", got, len(store.objects))
		}
		for name, body := range store.objects {
			if len(body) > auditObject+len(e.line()) {
				t.Errorf("%s has %d bytes", name, len(body))
			}
		}
		var metrics bytes.Buffer
		families, err := a.m.registry.Gather()
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range families {
			fmt.Fprintln(&metrics, f)
		}
		if !regexp.MustCompile(`playmeter_audit_lines_dropped_total.*counter:\{value:50`).Match(metrics.Bytes()) {
			t.Errorf("metrics: %s", &metrics)
		}
	})
}

func TestACommitDoesNotWaitForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &memory{block: make(chan struct{})} // it never answers
		a, _ := newLog(store)
		start := time.Now()
		if err := a.Commit(t.Context(), &Entry{}); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != auditTime {
			t.Errorf("%v after %s", err, time.Since(start))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := a.Commit(ctx, &Entry{}); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != auditTime+time.Second {
			t.Errorf("of somebody who left: %v after %s", err, time.Since(start))
		}
		close(store.block)
		a.Close()
	})
}

// TestALostAnswerIsNoFailure: the name is ours alone, so what is there is what we wrote.
func TestALostAnswerIsNoFailure(t *testing.T) {
	store := new(memory)
	store.fail(fmt.Errorf("create: %w", bucket.ErrExist))
	a, _ := newLog(store)
	if err := a.Commit(t.Context(), &Entry{}); err != nil {
		t.Error(err)
	}
	if err := a.Close(); err != nil {
		t.Error(err)
	}
}

// TestTextsOfStrangersStayInTheirLine: a line is a line whatever they send.
func TestTextsOfStrangersStayInTheirLine(t *testing.T) {
	w := sampleWorld(t)
	s := serveWorld(t)
	s.get(w.folder(w.films, november)+"/usage", filmsToken, 206, "User-Agent", "a\"},\n{\"event\":\"granted\"\xff"+strings.Repeat("ü", 1000), "Range", "bytes=0-1,"+strings.Repeat(" ", 1000)+"2-3")
	for _, e := range entries(t, s.recorded()) {
		if len(e.Agent) > 260 || len(e.Range) > 256 || e.Tenant != w.films {
			t.Errorf("%+v", e)
		}
	}
}
