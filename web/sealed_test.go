package web

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/playmeter/playmeter/bucket"
	"github.com/playmeter/playmeter/reporter"
	"github.com/playmeter/playmeter/schemas"
)

// TestWhatIsServedIsWhatLiesInTheBucket goes through every file of every run, as a billing system would.
func TestWhatIsServedIsWhatLiesInTheBucket(t *testing.T) {
	w := sampleWorld(t)
	s := serveWorld(t)
	tests := []struct {
		name, query string
		month       schemas.Period
		run, folder string // of the manifest
		diff        bool
	}{
		{"the current run", "", november, w.current, "", false},
		{"the current run by its name", "?run=" + w.current, november, w.current, "runs/" + w.current + "/", false},
		{"the run before", "?run=" + w.before, november, w.before, "runs/" + w.before + "/", false},
		{"a final month that was restated", "", october, w.final, "", false},
		{"the restatement", "?restatement=1", october, w.restatement, "restatements/1/", true},
		{"the restatement by its run", "?run=" + w.restatement, october, w.restatement, "runs/" + w.restatement + "/", true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			path, folder := w.folder(w.films, tt.month), schemas.ReportFolder(w.films, tt.month)
			answer := s.get(path+"/manifest"+tt.query, filmsToken, 200)
			if raw := w.object(t, folder+tt.folder+schemas.ManifestFile); !bytes.Equal(answer.Body.Bytes(), raw) {
				t.Errorf("the manifest is another: %s", answer.Body)
			}
			var m schemas.Manifest
			if err := json.Unmarshal(answer.Body.Bytes(), &m); err != nil {
				t.Fatal(err)
			}
			signature := s.get(path+"/signature"+tt.query, filmsToken, 200)
			if _, err := w.Signers.Verify(answer.Body.Bytes(), signature.Body.Bytes(), "playmeter", "playmeter-manifest", s.Now()); err != nil {
				t.Error(err)
			}
			if inputs := s.get(path+"/inputs"+tt.query, filmsToken, 200); !bytes.Equal(inputs.Body.Bytes(), w.object(t, folder+m.Inputs.List)) || inputs.Header().Get(HeaderRun) != tt.run {
				t.Errorf("the inputs: %d bytes of run %s", inputs.Body.Len(), inputs.Header().Get(HeaderRun))
			}
			for _, entry := range m.Objects() {
				name := map[schemas.Report]string{"usage": "usage", "sessions": "sessions", "usage.diff": "diff"}[entry.Report]
				got := s.get(path+"/"+name+tt.query, filmsToken, 200)
				if want := w.object(t, folder+entry.Object); !bytes.Equal(got.Body.Bytes(), want) || len(want) == 0 {
					t.Errorf("%s: %d bytes, want %d", name, got.Body.Len(), len(want))
				}
				h := got.Header()
				if h.Get("Etag") != `"`+entry.Sealed.SHA256+`"` || h.Get(HeaderRun) != tt.run || h.Get("Content-Length") != fmt.Sprint(entry.Sealed.Bytes) ||
					h.Get("Accept-Ranges") != "bytes" || h.Get("Content-Type") != "application/octet-stream" || h.Get("Last-Modified") == "" || h.Get("Cache-Control") != "private, no-cache" {
					t.Errorf("%s: headers %v", name, h)
				}
			}
			if tt.diff != (m.Diff != nil) {
				t.Errorf("the diff: %+v", m.Diff)
			}
		})
	}
	if got := s.get(w.folder(w.films, october)+"/diff", filmsToken, 200).Header().Get(HeaderRun); got != w.restatement {
		t.Errorf("the diff is of run %s", got)
	}
	if got := s.get("/api/v1/allowed_signers", filmsToken, 200); !bytes.Equal(got.Body.Bytes(), w.object(t, schemas.SignersFile)) {
		t.Errorf("the signers: %s", got.Body)
	}
	s.get(w.folder(w.museum, november)+"/sessions", museumToken, 404)
	for _, tt := range [][2]string{{w.folder(w.films, november) + "/usage", "-2026-11-usage.csv.gz.age"}, {w.folder(w.films, october) + "/sessions?restatement=1", "-2026-10-restatement-1-sessions.csv.gz.age"},
		{w.folder(w.films, october) + "/usage?run=" + w.final, "-2026-10-" + w.final + "-usage.csv.gz.age"}, {w.folder(w.films, november) + "/inputs", "-2026-11-inputs.ndjson.gz"}} {
		_, params, err := mime.ParseMediaType(s.get(tt[0], filmsToken, 200).Header().Get("Content-Disposition"))
		if err != nil || params["filename"] != string(w.films)+tt[1] {
			t.Errorf("%s is to be saved as %q, %v", tt[0], params["filename"], err)
		}
	}
}

// TestTheReportCanBeOpened is the way of a report from the API to its CSV.
func TestTheReportCanBeOpened(t *testing.T) {
	w := sampleWorld(t)
	s := serveWorld(t)
	store := w.Buckets.Reporting
	for _, report := range schemas.Reports {
		var fetched bytes.Buffer
		f := reporter.Fetcher{Reporting: store, Identities: w.identity}
		m, err := f.Fetch(t.Context(), w.films, october, report, &fetched)
		if err != nil {
			t.Fatal(err)
		}
		got := s.get(w.folder(w.films, october)+"/"+string(report), filmsToken, 200)
		if m.Run != got.Header().Get(HeaderRun) || fetched.Len() == 0 {
			t.Errorf("run %s, want %s", got.Header().Get(HeaderRun), m.Run)
		}
	}
}

func TestConditionsAndRanges(t *testing.T) {
	w := sampleWorld(t)
	s := serveWorld(t)
	path := w.folder(w.films, october) + "/sessions"
	whole := s.get(path, filmsToken, 200)
	data, etag, modified := whole.Body.Bytes(), whole.Header().Get("Etag"), whole.Header().Get("Last-Modified")
	if len(data) < 100_000 {
		t.Fatalf("the report has only %d bytes", len(data))
	}
	size := len(data)
	tests := []struct {
		name   string
		header []string
		status int
		body   []byte
	}{
		{"the first byte", []string{"Range", "bytes=0-0"}, 206, data[:1]},
		{"the middle", []string{"Range", "bytes=1000-99999"}, 206, data[1000:100_000]},
		{"the end", []string{"Range", "bytes=-500"}, 206, data[size-500:]},
		{"from somewhere on", []string{"Range", "bytes=70000-"}, 206, data[70_000:]},
		{"past the end is cut", []string{"Range", fmt.Sprintf("bytes=10-%d", size+1000)}, 206, data[10:]},
		{"behind the end", []string{"Range", fmt.Sprintf("bytes=%d-", size)}, 416, nil},
		{"another unit", []string{"Range", "lines=1-2"}, 416, nil},
		{"nonsense", []string{"Range", "bytes=5-1"}, 416, nil},
		{"it is as known", []string{"If-None-Match", etag}, 304, nil},
		{"it is one of those known", []string{"If-None-Match", `"x", ` + etag}, 304, nil},
		{"it is another", []string{"If-None-Match", `"x"`}, 200, data},
		{"it has not changed since", []string{"If-Modified-Since", modified}, 304, nil},
		{"it has changed since", []string{"If-Modified-Since", "Thu, 01 Jan 2026 00:00:00 GMT"}, 200, data},
		{"it matches", []string{"If-Match", etag}, 200, data},
		{"anything matches", []string{"If-Match", "*"}, 200, data},
		{"it does not match", []string{"If-Match", `"x"`}, 412, nil},
		{"it was not changed since", []string{"If-Unmodified-Since", "Thu, 01 Jan 2026 00:00:00 GMT"}, 412, nil},
		{"the rest of the same", []string{"Range", "bytes=5-9", "If-Range", etag}, 206, data[5:10]},
		{"the rest of another is the whole", []string{"Range", "bytes=5-9", "If-Range", `"x"`}, 200, data},
		{"too many ranges", []string{"Range", "bytes=0-0" + strings.Repeat(",5-5", maxRanges)}, 416, nil},
		{"several ranges that are more than the whole", []string{"Range", "bytes=0-,0-,0-"}, 200, data},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for _, method := range []string{http.MethodGet, http.MethodHead} {
				got := s.ask(method, path, filmsToken, tt.header...)
				if got.Code != tt.status {
					t.Fatalf("%s: %d, want %d: %v", method, got.Code, tt.status, got.Header())
				}
				checkAnswer(t, method, path, got)
				if tt.status < 400 && method == http.MethodGet && !bytes.Equal(got.Body.Bytes(), tt.body) {
					t.Errorf("%d bytes, want %d", got.Body.Len(), len(tt.body))
				}
				if tt.status == 200 || tt.status == 206 {
					if got.Header().Get("Content-Length") != fmt.Sprint(len(tt.body)) || got.Header().Get("Etag") != etag {
						t.Errorf("%s: headers %v", method, got.Header())
					}
				}
				if tt.status == 416 && got.Header().Get("Content-Range") != fmt.Sprintf("bytes */%d", size) {
					t.Errorf("%s: headers %v", method, got.Header())
				}
				if tt.status >= 400 && (got.Header().Get("Etag") != "" || got.Header().Get("Content-Disposition") != "") {
					t.Errorf("%s: a problem with the headers of a report: %v", method, got.Header())
				}
			}
		})
	}
	t.Run("several ranges", func(t *testing.T) {
		got := s.get(path, filmsToken, 206, "Range", fmt.Sprintf("bytes=0-9,90000-90009,-%d", 5))
		_, params, err := mime.ParseMediaType(got.Header().Get("Content-Type"))
		if err != nil {
			t.Fatal(err)
		}
		parts := multipart.NewReader(got.Body, params["boundary"])
		for _, want := range [][]byte{data[:10], data[90_000:90_010], data[size-5:]} {
			part, err := parts.NextPart()
			if err != nil {
				t.Fatal(err)
			}
			if body, err := io.ReadAll(part); err != nil || !bytes.Equal(body, want) || part.Header.Get("Content-Type") != "application/octet-stream" {
				t.Errorf("%q, %v; want %q", body, err, want)
			}
		}
		if _, err := parts.NextPart(); err != io.EOF {
			t.Errorf("after the last part: %v", err)
		}
	})
}

// meddled is a store that a test stands before.
func meddled(t *testing.T, meddle func(*http.Request, *http.Response) error) *bucket.Store {
	t.Helper()
	target, err := url.Parse(testStore.Config().Endpoint)
	if err != nil {
		t.Fatal(err)
	}
	proxy := &httputil.ReverseProxy{
		Rewrite:        func(r *httputil.ProxyRequest) { r.SetURL(target); r.Out.Host = r.In.Host },
		ModifyResponse: func(r *http.Response) error { return meddle(r.Request, r) },
		ErrorHandler:   func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadRequest) },
	}
	server := httptest.NewServer(proxy)
	t.Cleanup(server.Close)
	cfg := testStore.Config()
	cfg.Endpoint = server.URL
	store, err := bucket.Dial(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	return store
}

// through is the sample world as seen past somebody who meddles.
func (s *served) through(store *bucket.Store) {
	old := s.Reports
	s.Reports = &reporter.Reporter{Store: store, Tenants: old.Tenants, Log: old.Log, Now: old.Now, Buckets: reporter.Buckets{
		Metering: store.Bucket(old.Buckets.Metering.Name()), Reporting: store.Bucket(old.Buckets.Reporting.Name())}}
}

// TestAnObjectThatWasAlteredNeverLooksWhole: the last bytes are held back until the digest is right.
func TestAnObjectThatWasAlteredNeverLooksWhole(t *testing.T) {
	w := sampleWorld(t)
	s := serveWorld(t)
	s.through(meddled(t, func(r *http.Request, resp *http.Response) error {
		if r.Method == http.MethodGet && strings.HasSuffix(r.URL.Path, ".age") {
			body, err := io.ReadAll(resp.Body)
			if err != nil {
				return err
			}
			body[len(body)/2] ^= 1
			resp.Body = io.NopCloser(bytes.NewReader(body))
		}
		return nil
	}))
	server := httptest.NewServer(s.handler)
	defer server.Close()
	for _, report := range []string{"usage", "sessions"} {
		req, _ := http.NewRequest(http.MethodGet, server.URL+w.folder(w.films, october)+"/"+report, nil)
		req.SetBasicAuth("x", filmsToken)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err == nil || int64(len(body)) >= resp.ContentLength {
			t.Errorf("%s: %d of %d bytes, %v", report, len(body), resp.ContentLength, err)
		}
	}
	if !strings.Contains(s.said.String(), errAltered.Error()) {
		t.Errorf("the log says %s", s.said)
	}
}

// TestAStoreThatFailsIsNoEmptyReport: what the store does not begin to give is answered with 503, and what breaks
// off in the middle does not look whole.
func TestAStoreThatFailsIsNoEmptyReport(t *testing.T) {
	w := sampleWorld(t)
	s := serveWorld(t)
	var failed atomic.Pointer[string]
	s.through(meddled(t, func(r *http.Request, _ *http.Response) error {
		if part := failed.Load(); part != nil && strings.Contains(r.Method+" "+r.URL.Path+" "+r.Header.Get("Range"), *part) {
			return errors.New("the store fails")
		}
		return nil
	}))
	server := httptest.NewServer(s.handler)
	defer server.Close()
	fetch := func(part string) (int, string, error) {
		failed.Store(&part)
		req, _ := http.NewRequest(http.MethodGet, server.URL+w.folder(w.films, october)+"/sessions", nil)
		req.Header.Set("Authorization", "Bearer "+filmsToken)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		return resp.StatusCode, string(body), err
	}
	if status, _, err := fetch("nothing"); status != 200 || err != nil {
		t.Fatalf("all is well: %d, %v", status, err)
	}
	for _, part := range []string{"manifest.json", "HEAD /", ".age bytes=0-"} {
		if status, body, err := fetch(part); status != 503 || err != nil || !strings.Contains(body, "object store") {
			t.Errorf("%s fails: %d %s, %v", part, status, body, err)
		}
	}
	if status, body, err := fetch(fmt.Sprintf(".age bytes=%d-", firstWindow)); status != 200 || err == nil || len(body) != firstWindow {
		t.Errorf("the second window fails: %d, %d bytes, %v", status, len(body), err)
	}
	if got := s.recorded(); !strings.Contains(got, `"event":"sent"`) || !strings.Contains(got, fmt.Sprintf(`"bytes":%d`, firstWindow)) {
		t.Errorf("on record is %s", got)
	}
}

func TestRangesCostNoMoreThanWindows(t *testing.T) {
	w := sampleWorld(t)
	s := serveWorld(t)
	var bytesRead, asked atomic.Int64
	s.through(meddled(t, func(r *http.Request, resp *http.Response) error {
		if r.Method == http.MethodGet && strings.HasSuffix(r.URL.Path, ".age") {
			asked.Add(1)
			bytesRead.Add(resp.ContentLength)
		}
		return nil
	}))
	path := w.folder(w.films, october) + "/sessions"
	s.get(path, filmsToken, 206, "Range", "bytes=50-59")
	if asked.Load() != 1 || bytesRead.Load() > firstWindow {
		t.Errorf("ten bytes cost %d requests, %d bytes", asked.Load(), bytesRead.Load())
	}
	asked.Store(0)
	bytesRead.Store(0)
	size := int64(s.get(path, filmsToken, 200).Body.Len())
	if bytesRead.Load() != size || asked.Load() > 4 {
		t.Errorf("%d bytes cost %d requests, %d bytes", size, asked.Load(), bytesRead.Load())
	}
	asked.Store(0)
	for _, h := range [][]string{{"If-None-Match", "*"}, {"Range", "bytes=999999999-"}} {
		s.ask(http.MethodGet, path, filmsToken, h...)
	}
	s.ask(http.MethodHead, path, filmsToken)
	if asked.Load() != 0 {
		t.Errorf("answers without a body cost %d requests", asked.Load())
	}
}

func TestLinks(t *testing.T) {
	w := sampleWorld(t)
	s := serveWorld(t)
	got := s.get(w.folder(w.films, november)+"/usage/link?expires=30m", filmsToken, 200)
	var link linkAnswer
	if err := json.Unmarshal(got.Body.Bytes(), &link); err != nil {
		t.Fatal(err)
	}
	resp, err := http.Get(link.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if want := s.get(w.folder(w.films, november)+"/usage", filmsToken, 200).Body.Bytes(); err != nil || !bytes.Equal(body, want) {
		t.Errorf("the link gives %d bytes, %v; want %d", len(body), err, len(want))
	}
	if got := s.get(w.folder(w.films, november)+"/usage/link", filmsToken, 409, "Address", "192.0.2.1:1").Body.String(); !strings.Contains(got, "object_store.public_endpoint") {
		t.Error("a link to this machine is given to another")
	}
	record := s.recorded()
	if !strings.Contains(record, `"what":"link"`) || !strings.Contains(record, `"until":`) || strings.Contains(record, "X-Amz-Signature") || strings.Contains(s.said.String(), "X-Amz") {
		t.Errorf("on record is %s", record)
	}
}

func TestTooManyStreams(t *testing.T) {
	w := sampleWorld(t)
	s := serveWorld(t)
	v := &service{Site: s.Site, limits: newLimits(), secret: newSecret()}
	s.handler = headers(v.mux())
	path := w.folder(w.films, november) + "/usage"
	var done []func()
	for range streamsOfToken {
		give, _ := v.limits.streams.take("id-of-" + filmsToken)
		done = append(done, give)
	}
	if got := s.get(path, filmsToken, 429); got.Header().Get("Retry-After") == "" {
		t.Errorf("headers %v", got.Header())
	}
	s.get(path, usageToken, 200)
	done[0]()
	s.get(path, filmsToken, 200)
	s.get(path, filmsToken, 200) // it was given back
	for i := range streamsAtOnce - (streamsOfToken - 1) {
		give, _ := v.limits.streams.take(fmt.Sprint(i))
		done = append(done, give)
	}
	s.get(path, usageToken, 503)
	for _, give := range done[1:] {
		give()
	}
	s.get(path, usageToken, 200)
	if all, _ := v.limits.streams.taken(""); all != 0 || len(v.limits.streams.of) != 0 {
		t.Errorf("%d streams are left: %v", all, v.limits.streams.of)
	}
}

// TestADiffThatIsSealedElsewhere: a restatement that repeats another for other recipients has none.
func TestADiffThatIsSealedElsewhere(t *testing.T) {
	rekeyed := &schemas.Previous{Run: "2026-11-05T00-00-00Z"}
	for _, tt := range []struct {
		name   string
		m      schemas.Manifest
		report schemas.Report
		want   string
	}{
		{"a restatement that repeats the one before", schemas.Manifest{Run: "r", Restatement: 3, Rekeys: rekeyed}, schemas.ReportDiff, "?restatement=2."},
		{"another report of it that is not granted", schemas.Manifest{Run: "r", Restatement: 3, Rekeys: rekeyed}, schemas.ReportSessions, "Run r has no sessions report"},
		{"a final run sealed anew", schemas.Manifest{Run: "r", Rekeys: rekeyed}, schemas.ReportDiff, "Run r has no usage.diff report"},
		{"a run that is no restatement", schemas.Manifest{Run: "r"}, schemas.ReportDiff, "Run r has no usage.diff report"},
	} {
		if p := noReport(&tt.m, tt.report); p.Status != http.StatusNotFound || !strings.Contains(p.Detail, tt.want) {
			t.Errorf("%s: %d %s", tt.name, p.Status, p.Detail)
		}
	}
}
