package bucket

import (
	"bytes"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
)

// A meddler stands between us and the store. Signatures name the host that was
// dialled, so it passes that name on.
type meddler struct {
	request  func(*http.Request)
	response func(*http.Response) error
	drop     func(*http.Request) bool // answer nothing, although the store has answered
}

// through is the store as seen past the meddler.
func through(t testing.TB, s *Store, m meddler) *Store {
	t.Helper()
	target, err := url.Parse(s.cfg.Endpoint)
	if err != nil {
		t.Fatal(err)
	}
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			r.Out.Host = r.In.Host
			if m.request != nil {
				m.request(r.Out)
			}
		},
		ModifyResponse: m.response,
		ErrorLog:       log.New(io.Discard, "", 0),
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if m.drop != nil && m.drop(r) {
			proxy.ServeHTTP(httptest.NewRecorder(), r)
			panic(http.ErrAbortHandler)
		}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(func() {
		server.Close()
		http.DefaultTransport.(*http.Transport).CloseIdleConnections() // the proxy's
	})
	cfg := s.cfg
	cfg.Endpoint = server.URL
	seen, err := Dial(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	return seen
}

// flipped changes one bit of a body, near its end.
func flipped(body io.ReadCloser, size int64) io.ReadCloser {
	return &flipper{body, size - 2}
}

type flipper struct {
	io.ReadCloser
	at int64
}

func (f *flipper) Read(p []byte) (int, error) {
	n, err := f.ReadCloser.Read(p)
	if f.at >= 0 && f.at < int64(n) {
		p[f.at] ^= 4
	}
	f.at -= int64(n)
	return n, err
}

func isObject(r *http.Request, method string) bool {
	return r.Method == method && strings.Contains(r.URL.Path, "/k")
}

func corruptDownload(t *testing.T, s *Store) {
	b := newBucket(t, s)
	data := noise(1, 200_000)
	mustPut(t, b, "k", data)
	w, err := b.Writer(t.Context(), "k2")
	if err != nil {
		t.Fatal(err)
	}
	w.Write(noise(1, PartSize+1))
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	bad := through(t, s, meddler{response: func(r *http.Response) error {
		if isObject(r.Request, http.MethodGet) {
			r.Body = flipped(r.Body, r.ContentLength)
		}
		return nil
	}}).Bucket(b.Name())
	for _, key := range []string{"k", "k2"} {
		_, _, err = bad.Get(t.Context(), key, "", 1<<30)
		wants(t, err, ErrCorrupt, "get "+b.Name()+"/"+key+": ")
		r, info, err := bad.Reader(t.Context(), key, "")
		if err != nil {
			t.Fatal(err)
		}
		n, err := io.Copy(io.Discard, r)
		wants(t, err, ErrCorrupt)
		if n != info.Size {
			t.Errorf("%d bytes before the error, want %d", n, info.Size)
		}
		if _, again := r.Read(make([]byte, 1)); again != err {
			t.Errorf("the next read says %v", again)
		}
		r.Close()
	}
}

func corruptUpload(t *testing.T, s *Store) {
	b := newBucket(t, s)
	bad := through(t, s, meddler{request: func(r *http.Request) {
		if isObject(r, http.MethodPut) && r.ContentLength > 0 {
			r.Body = flipped(r.Body, r.ContentLength)
		}
	}}).Bucket(b.Name())
	if _, err := bad.PutBytes(t.Context(), "k", noise(1, 100_000)); err == nil {
		t.Error("put says nothing")
	}
	if _, err := bad.Create(t.Context(), "k", noise(1, 100)); err == nil || errors.Is(err, ErrExist) {
		t.Errorf("create says %v", err)
	}
	w, err := bad.Writer(t.Context(), "k")
	if err != nil {
		t.Fatal(err)
	}
	w.Write(noise(1, PartSize+1))
	if err := w.Close(); err == nil {
		t.Error("the writer says nothing")
	}
	if keys := keysOf(t, b, "", ""); len(keys) != 0 {
		t.Errorf("stored: %q", keys)
	}
}

// cutter ends a body early, like a connection that breaks.
type cutter struct {
	io.ReadCloser
	left int
}

func (c *cutter) Read(p []byte) (int, error) {
	if c.left <= 0 {
		return 0, io.ErrUnexpectedEOF
	}
	n, err := c.ReadCloser.Read(p[:min(len(p), c.left)])
	c.left -= n
	return n, err
}

func brokenDownload(t *testing.T, s *Store) {
	b := newBucket(t, s)
	data := noise(1, 300_000)
	mustPut(t, b, "k", data)
	var breaks, left, after atomic.Int64
	after.Store(100_000)
	via := through(t, s, meddler{response: func(r *http.Response) error {
		if isObject(r.Request, http.MethodGet) && left.Add(-1) >= 0 {
			breaks.Add(1)
			r.Body = &cutter{r.Body, int(after.Load())}
		}
		return nil
	}}).Bucket(b.Name())

	left.Store(2)
	got, _, err := via.Get(t.Context(), "k", "", 1<<20)
	if err != nil || !bytes.Equal(got, data) || breaks.Load() != 2 {
		t.Errorf("broken %d times: %d bytes, %v", breaks.Load(), len(got), err)
	}
	left.Store(1)
	got, err = via.GetRange(t.Context(), "k", "", 5, 200_000)
	if err != nil || !bytes.Equal(got, data[5:200_005]) {
		t.Errorf("range: %d bytes, %v", len(got), err)
	}
	left.Store(1)
	r, _, err := via.Reader(t.Context(), "k", "")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	mustPut(t, b, "k", noise(2, 300_000)) // the rest would be of another version
	_, err = io.Copy(io.Discard, r)
	wants(t, err, ErrChanged, " of 300000 bytes")

	left.Store(1000) // it breaks again and again
	after.Store(50_000)
	_, _, err = via.Get(t.Context(), "k", "", 1<<20)
	wants(t, err, io.ErrUnexpectedEOF, " of 300000 bytes")
}

// The contract of Create: the request is stored, its answer is lost, the
// repetition finds the object, and the creator finds his nonce in it.
func lostAnswer(t *testing.T, s *Store) {
	b := newBucket(t, s)
	var dropped atomic.Bool
	via := through(t, s, meddler{drop: func(r *http.Request) bool {
		return isObject(r, http.MethodPut) && dropped.CompareAndSwap(false, true)
	}}).Bucket(b.Name())
	_, err := via.Create(t.Context(), "k", []byte("nonce"))
	wants(t, err, ErrExist)
	if got := mustGet(t, b, "k"); string(got) != "nonce" {
		t.Errorf("it holds %q", got)
	}
	dropped.Store(false)
	if _, err := via.PutBytes(t.Context(), "k", []byte("put")); err != nil {
		t.Errorf("a put is simply repeated: %v", err)
	}
	if got := mustGet(t, b, "k"); string(got) != "put" {
		t.Errorf("it holds %q", got)
	}
	// The last request of a multipart upload, too.
	var finished atomic.Bool
	via = through(t, s, meddler{drop: func(r *http.Request) bool {
		return isObject(r, http.MethodPost) && r.URL.Query().Has("uploadId") && finished.CompareAndSwap(false, true)
	}}).Bucket(b.Name())
	w, err := via.Writer(t.Context(), "kw")
	if err != nil {
		t.Fatal(err)
	}
	data := noise(9, PartSize+7)
	w.Write(data)
	if err := w.Close(); err != nil || !finished.Load() {
		t.Fatalf("dropped %v, %v", finished.Load(), err)
	}
	if got, _, err := b.Get(t.Context(), "kw", w.Info().ETag, 1<<30); err != nil || !bytes.Equal(got, data) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}
