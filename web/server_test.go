package web

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/playmeter/playmeter/bucket"
	"github.com/playmeter/playmeter/crypto"
)

// pipes is a network in memory: its writes wait for their reads, and its deadlines are of the test's clock.
type pipes struct {
	conns   chan net.Conn
	done    chan struct{}
	once    sync.Once
	dialled atomic.Int32
}

func newPipes() *pipes { return &pipes{conns: make(chan net.Conn), done: make(chan struct{})} }

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	p.once.Do(func() { close(p.done) })
	return nil
}

func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipe", Net: "pipe"} }

// dial is a connection of a client, each from another network.
func (p *pipes) dial() net.Conn {
	n := p.dialled.Add(1)
	return p.dialFrom(fmt.Sprintf("10.%d.%d.%d:4711", n>>16, n>>8&255, n&255))
}

// dialFrom is a connection of a client at an address.
func (p *pipes) dialFrom(address string) net.Conn {
	client, server := net.Pipe()
	p.conns <- from{server, net.TCPAddrFromAddrPort(netip.MustParseAddrPort(address))}
	return client
}

// from is a connection from an address.
type from struct {
	net.Conn
	address net.Addr
}

func (f from) RemoteAddr() net.Addr { return f.address }

// bigFile is so many bytes in memory, served as a report is.
const bigFile = 2 << 20

// piped is a server on pipes. What it serves at /file is handed out as reports are. Of 10.255.0.0/16 all are
// proxies that it trusts.
func piped(t *testing.T, config *tls.Config) (*pipes, *memory) {
	store := new(memory)
	log := slog.New(slog.DiscardHandler)
	m := NewMetrics("v1")
	site := &Site{Version: "v1", Started: time.Now(), Metrics: m, Now: time.Now, Tokens: &fakeTokens{tokens: map[string]crypto.Token{filmsToken: {ID: "films", Role: crypto.RoleAdmin}}}, Log: log,
		Ready: func(context.Context) error { return nil }, Proxies: []netip.Prefix{netip.MustParsePrefix("10.255.0.0/16")}, Audit: NewAudit(store, log, m)}
	server := site.Server(config)
	v := &service{Site: site, limits: newLimits(), secret: newSecret()}
	file := v.answer(&route{path: "/file", who: admins, serve: func(w http.ResponseWriter, q *request) error {
		return v.hand(w, q, smallFile("usage", "run", "application/octet-stream", make([]byte, bigFile), bucket.Info{}))
	}})
	rest := server.Handler
	server.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/file" {
			file.ServeHTTP(w, r)
			return
		}
		rest.ServeHTTP(w, r)
	})
	l := newPipes()
	ended := make(chan error, 1)
	go func() { ended <- site.Serve(server, l) }()
	t.Cleanup(func() {
		server.Close()
		if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
		site.Audit.Close()
	})
	return l, store
}

// closedAfter reads until the server ends the connection, and tells when that was and what came.
func closedAfter(c net.Conn, start time.Time) (time.Duration, string) {
	got, _ := io.ReadAll(c)
	return time.Since(start), string(got)
}

func TestWhoIsSlowIsLetGo(t *testing.T) {
	t.Run("no request comes", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			l, _ := piped(t, nil)
			c := l.dial()
			defer c.Close()
			if after, got := closedAfter(c, time.Now()); after != headerPatience || got != "" {
				t.Errorf("after %s: %q", after, got)
			}
		})
	})
	t.Run("a header comes a byte a second", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			l, _ := piped(t, nil)
			c := l.dial()
			defer c.Close()
			start := time.Now()
			var drip sync.WaitGroup
			defer drip.Wait()
			drip.Go(func() {
				for _, b := range []byte("GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-Slow: " + strings.Repeat("x", 100)) {
					if _, err := c.Write([]byte{b}); err != nil {
						return
					}
					time.Sleep(time.Second)
				}
			})
			if after, got := closedAfter(c, start); after != headerPatience || strings.Contains(got, "200") {
				t.Errorf("after %s: %q", after, got)
			}
		})
	})
	t.Run("a body never comes", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			l, _ := piped(t, nil)
			c := l.dial()
			defer c.Close()
			start := time.Now()
			go fmt.Fprintf(c, "GET /api/v1/tenants HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\nAuthorization: Bearer %s\r\n\r\n", filmsToken)
			if after, got := closedAfter(c, start); after > bodyPatience+time.Second || !strings.HasPrefix(got, "HTTP/1.1 400 ") {
				t.Errorf("after %s: %q", after, got)
			}
		})
	})
	t.Run("nothing more is asked", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			l, _ := piped(t, nil)
			c := l.dial()
			defer c.Close()
			start := time.Now()
			go io.WriteString(c, "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
			if after, got := closedAfter(c, start); after != idlePatience || !strings.HasPrefix(got, "HTTP/1.1 200 ") {
				t.Errorf("after %s: %q", after, got)
			}
		})
	})
	t.Run("an answer is not read", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			l, store := piped(t, nil)
			c := l.dial()
			defer c.Close()
			fmt.Fprintf(c, "GET /file HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\n\r\n", filmsToken)
			io.CopyN(io.Discard, c, 100_000)
			time.Sleep(writePatience + time.Second)
			if n, err := io.Copy(io.Discard, c); n >= bigFile-100_000 || err != nil {
				t.Errorf("after a pause of %s %d bytes came, %v", writePatience, n, err)
			}
			time.Sleep(auditEvery)
			synctest.Wait()
			if got := store.lines(); !strings.Contains(got, `"event":"sent"`) || strings.Contains(got, fmt.Sprintf(`"bytes":%d`, bigFile)) {
				t.Errorf("on record is %s", got)
			}
		})
	})
}

// TestALargeReportOverASlowLineFinishes: it takes far longer than any answer may that is no report.
func TestALargeReportOverASlowLineFinishes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, _ := piped(t, nil)
		c := l.dial()
		defer c.Close()
		start := time.Now()
		fmt.Fprintf(c, "GET /file HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\n\r\n", filmsToken)
		resp, err := http.ReadResponse(bufio.NewReaderSize(slowly{c}, 4096), nil)
		if err != nil {
			t.Fatal(err)
		}
		n, err := io.Copy(io.Discard, resp.Body)
		if took := time.Since(start); n != bigFile || err != nil || took < 10*answerPatience {
			t.Errorf("%d bytes in %s, %v", n, took, err)
		}
	})
}

// TestALargeReportOverASlowHTTP2Stream is the same where streams have deadlines of their own.
func TestALargeReportOverASlowHTTP2Stream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		files := newPair(t, "ours")
		config, err := Certificate(files.cert, files.key, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		l, _ := piped(t, config)
		transport := &http.Transport{ForceAttemptHTTP2: true, HTTP2: &http.HTTP2Config{MaxReceiveBufferPerStream: 64 << 10, MaxReceiveBufferPerConnection: 64 << 10},
			TLSClientConfig: &tls.Config{InsecureSkipVerify: true},
			DialContext:     func(context.Context, string, string) (net.Conn, error) { return l.dial(), nil }}
		defer transport.CloseIdleConnections()
		read := func(r io.Reader, resp *http.Response) (int64, time.Duration, error) {
			start := time.Now()
			n, err := io.CopyBuffer(io.Discard, struct{ io.Reader }{r}, make([]byte, 4096))
			resp.Body.Close()
			return n, time.Since(start), err
		}
		get := func() *http.Response {
			r, _ := http.NewRequest(http.MethodGet, "https://localhost/file", nil)
			r.Header.Set("Authorization", "Bearer "+filmsToken)
			resp, err := transport.RoundTrip(r)
			if err != nil || resp.ProtoMajor != 2 {
				t.Fatal(resp, err)
			}
			return resp
		}
		resp := get()
		if n, took, err := read(slowly{resp.Body}, resp); n != bigFile || err != nil || took < 10*answerPatience {
			t.Errorf("%d bytes in %s, %v", n, took, err)
		}
		resp = get()
		time.Sleep(writePatience + time.Second)
		if n, _, err := read(resp.Body, resp); err == nil {
			t.Errorf("after a pause of %s %d bytes came", writePatience, n)
		}
	})
}

// slowly reads four kilobytes in two seconds.
type slowly struct{ r io.Reader }

func (s slowly) Read(p []byte) (int, error) {
	time.Sleep(2 * time.Second)
	return s.r.Read(p[:min(len(p), 4096)])
}

// raw sends bytes to a server and gives what it answers.
func raw(t *testing.T, address, request string) string {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	go io.WriteString(c, request)
	answer, err := io.ReadAll(c)
	if err != nil && len(answer) == 0 {
		t.Fatal(err)
	}
	return string(answer)
}

// started is the sample world behind the server that the daemon has.
func started(t *testing.T, s *served, config *tls.Config) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := s.Server(config)
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(server, l) }()
	t.Cleanup(func() {
		server.Close()
		<-ended
	})
	return l.Addr().String()
}

func TestHeadersAreBounded(t *testing.T) {
	s := serveWorld(t)
	address := started(t, s, nil)
	request := func(header string) string {
		return "GET /api/v1/tenants HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nAuthorization: Bearer " + filmsToken + "\r\n" + header + "\r\n"
	}
	for _, tt := range []struct{ name, header, want string }{
		{"an ordinary one", "X: y\r\n", "HTTP/1.1 200 "},
		{"a large one", "X: " + strings.Repeat("x", maxHeader-1000) + "\r\n", "HTTP/1.1 200 "},
		{"one line too large", "X: " + strings.Repeat("x", maxHeader+8192) + "\r\n", "HTTP/1.1 431 "},
		{"too many lines", strings.Repeat("X-Some: header\r\n", (maxHeader+8192)/16), "HTTP/1.1 431 "},
		{"a line without a name", ": x\r\n", "HTTP/1.1 400 "},
		{"a folded line", "X: a\r\n b\r\n", "HTTP/1.1 "},
		{"a NUL in a line", "X: a\x00b\r\n", "HTTP/1.1 400 "},
		{"a second host", "Host: evil.example.com\r\n", "HTTP/1.1 400 "},
		{"both lengths", "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", "HTTP/1.1 400 "},
		{"two tokens", "Authorization: Bearer " + adminToken + "\r\n", "HTTP/1.1 401 "},
	} {
		if got := raw(t, address, request(tt.header)); !strings.HasPrefix(got, tt.want) {
			t.Errorf("%s: %.200q, want %s", tt.name, got, tt.want)
		}
	}
	for _, line := range []string{"GET /api/v1/tenants\r\nX-Evil: 1 HTTP/1.1", "GET /healthz%0d%0aX-Evil:1 HTTP/1.1", "GET http://evil.example.com/metrics HTTP/1.1", "GET " + strings.Repeat("/x", maxHeader) + " HTTP/1.1", "BREW / HTTP/1.1", "GET * HTTP/1.1"} {
		if got := raw(t, address, line+"\r\nHost: localhost\r\nConnection: close\r\n\r\n"); strings.HasPrefix(got, "HTTP/1.1 2") || strings.Contains(got, "\r\nX-Evil") {
			t.Errorf("%.50s: %.300q", line, got)
		}
	}
}

func TestTLS(t *testing.T) {
	w := sampleWorld(t)
	s := serveWorld(t)
	files := newPair(t, "ours")
	config, err := Certificate(files.cert, files.key, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	address := started(t, s, config)
	for _, http2 := range []bool{true, false} {
		client := &http.Client{Transport: &http.Transport{ForceAttemptHTTP2: http2, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
		for _, report := range []string{"usage", "sessions"} {
			r, _ := http.NewRequest(http.MethodGet, "https://"+address+w.folder(w.films, october)+"/"+report, nil)
			r.Header.Set("Authorization", "Bearer "+filmsToken)
			resp, err := client.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(resp.Body)
			resp.Body.Close()
			if err != nil || resp.StatusCode != 200 || int64(len(body)) != resp.ContentLength || (resp.ProtoMajor == 2) != http2 {
				t.Errorf("%s %s: %d, %d of %d bytes, %v", resp.Proto, report, resp.StatusCode, len(body), resp.ContentLength, err)
			}
		}
		client.CloseIdleConnections()
	}
	old := &tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS11}
	if c, err := tls.Dial("tcp", address, old); err == nil {
		t.Errorf("TLS 1.1 is spoken: %v", c.ConnectionState().Version)
	}
	if got := raw(t, address, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"); !strings.HasPrefix(got, "HTTP/1.0 400 ") {
		t.Errorf("plain HTTP is answered %q", got)
	}
}

// TestAnAlteredObjectOverHTTP2: there a stream must end with an error, too.
func TestAnAlteredObjectOverHTTP2(t *testing.T) {
	w := sampleWorld(t)
	s := serveWorld(t)
	s.through(meddled(t, func(r *http.Request, resp *http.Response) error {
		if r.Method == http.MethodGet && strings.HasSuffix(r.URL.Path, ".age") {
			body, err := io.ReadAll(resp.Body)
			if err != nil {
				return err
			}
			body[0] ^= 1
			resp.Body = io.NopCloser(bytes.NewReader(body))
		}
		return nil
	}))
	server := httptest.NewUnstartedServer(s.handler)
	server.EnableHTTP2 = true
	server.StartTLS()
	defer server.Close()
	r, _ := http.NewRequest(http.MethodGet, server.URL+w.folder(w.films, november)+"/usage", nil)
	r.Header.Set("Authorization", "Bearer "+filmsToken)
	resp, err := server.Client().Do(r)
	if err != nil {
		return // nothing came at all
	}
	defer resp.Body.Close()
	if body, err := io.ReadAll(resp.Body); err == nil || resp.ProtoMajor != 2 {
		t.Errorf("%s: %d of %d bytes, and no error", resp.Proto, len(body), resp.ContentLength)
	}
}

// TestMemoryDoesNotGrowWithTheReport: many readers of large objects at once.
func TestMemoryDoesNotGrowWithTheReport(t *testing.T) {
	const size, readers = 48 << 20, 8
	b := testStore.Bucket("memory")
	if err := b.Ensure(t.Context()); err != nil {
		t.Fatal(err)
	}
	data := bytes.Repeat([]byte("0123456789abcdef"), size/16)
	sum := digestOf(data)
	info, err := b.PutBytes(t.Context(), "large", data)
	if err != nil {
		t.Fatal(err)
	}
	data = nil
	s := serveWorld(t)
	v := &service{Site: s.Site, limits: newLimits(), secret: newSecret()}
	server := httptest.NewServer(v.answer(&route{path: "/file", who: admins, serve: func(w http.ResponseWriter, q *request) error {
		c := &content{ctx: q.Context(), bucket: b, key: "large", etag: info.ETag, size: size, sha256: sum}
		return v.hand(w, q, &file{what: "usage", run: "run", key: "large", kind: "application/octet-stream", etag: sum, size: size, content: c})
	}}))
	defer server.Close()
	runtime.GC()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	var all sync.WaitGroup
	for range readers {
		all.Go(func() {
			r, _ := http.NewRequest(http.MethodGet, server.URL, nil)
			r.Header.Set("Authorization", "Bearer "+adminToken)
			resp, err := http.DefaultClient.Do(r)
			if err != nil {
				t.Error(err)
				return
			}
			defer resp.Body.Close()
			if n, err := io.Copy(io.Discard, resp.Body); n != size || err != nil {
				t.Errorf("%d bytes, %v", n, err)
			}
		})
	}
	all.Wait()
	runtime.ReadMemStats(&after)
	if took := after.TotalAlloc - before.TotalAlloc; took > readers*size/2 { // the store's own, in this process, is among it
		t.Errorf("to serve %d bytes %d times, %d were taken in all", size, readers, took)
	}
}

func TestCheckLoopbackWithTokens(t *testing.T) {
	for address, ok := range map[string]bool{"0.0.0.0:8080": true, ":8080": true, "127.0.0.1:0": true, "nonsense": false} {
		if err := CheckLoopback(address, true); (err == nil) != ok {
			t.Errorf("%s: %v", address, err)
		}
	}
	if err := CheckLoopback("0.0.0.0:80", false); err == nil || !strings.Contains(err.Error(), "playmeter token add") {
		t.Errorf("without a token: %v", err)
	}
}

func TestProxiesAreOnRecordByTheirClients(t *testing.T) {
	w := sampleWorld(t)
	s := serveWorld(t)
	s.Proxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	s.get(w.folder(w.films, november)+"/usage", filmsToken, 200, "X-Forwarded-For", "203.0.113.5, 198.51.100.7")
	for range failedBurst {
		s.get(tenantsPath, wrongToken, 401, "X-Forwarded-For", "198.51.100.9")
	}
	s.get(tenantsPath, wrongToken, 429, "X-Forwarded-For", "198.51.100.9")
	s.get(tenantsPath, wrongToken, 401, "X-Forwarded-For", "198.51.100.8")
	s.tokens.none = true
	s.get(tenantsPath, "", 403, "X-Forwarded-For", "198.51.100.7")
	if got := s.recorded(); strings.Count(got, `"address":"198.51.100.7"`) != 2 {
		t.Errorf("on record is %s", got)
	}
}
