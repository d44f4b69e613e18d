package web

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/playmeter/playmeter/statistics"
)

// unpacked is what a whole gzip file holds.
func unpacked(t *testing.T, packed []byte) string {
	t.Helper()
	z, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		t.Fatal(err)
	}
	plain, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return string(plain)
}

func TestWhatIsMadeOnTheFlyIsCompressed(t *testing.T) {
	s, f := serveStatistics(t)
	f.csv = []string{"head\n", strings.Repeat("row of a list\n", 5_000)}
	for _, path := range []string{"/?month=2026-11", "/sessions?" + days, "/sessions/users?" + days, "/sessions/playback/export.csv?" + days, "/reports", "/runs", "/sign-in", "/api/v1/openapi.json"} {
		t.Run(path, func(t *testing.T) {
			plain := s.get(path, adminToken, 200)
			if plain.Header().Get("Content-Encoding") != "" || len(plain.Body.Bytes()) < packFrom {
				t.Fatalf("without Accept-Encoding: %v, %d bytes", plain.Header(), plain.Body.Len())
			}
			for _, accept := range []string{"gzip;q=0", "br, zstd", "identity"} {
				if got := s.get(path, adminToken, 200, "Accept-Encoding", accept); got.Header().Get("Content-Encoding") != "" || got.Body.String() != plain.Body.String() {
					t.Errorf("%s: %v", accept, got.Header())
				}
			}
			packed := s.get(path, adminToken, 200, "Accept-Encoding", "gzip, deflate, br, zstd")
			h := packed.Header()
			if h.Get("Content-Encoding") != "gzip" || h.Get("Content-Length") != "" || h.Get("ETag") != "" || h.Get("Content-Type") != plain.Header().Get("Content-Type") {
				t.Fatalf("%v", h)
			}
			if packed.Body.Len() >= plain.Body.Len()*3/4 {
				t.Errorf("%d bytes became %d", plain.Body.Len(), packed.Body.Len())
			}
			if got := unpacked(t, packed.Body.Bytes()); got != plain.Body.String() {
				t.Errorf("it is another page: %s", got)
			}
			for _, w := range []*httptest.ResponseRecorder{plain, packed} {
				vary := strings.Join(w.Header().Values("Vary"), ", ")
				for _, want := range []string{"Authorization", "Accept-Encoding", "Sec-Fetch-Site"} {
					if !slices.Contains(strings.Split(vary, ", "), want) {
						t.Errorf("Vary is %s, without %s", vary, want)
					}
				}
			}
		})
	}
}

func TestAnAnswerToHeadSaysNoLengthThatItHasNot(t *testing.T) {
	s, f := serveStatistics(t)
	f.csv = []string{"head\n"}
	for _, path := range []string{"/?month=2026-11", "/api/v1/openapi.json", "/sessions/playback/export.csv?" + days} {
		plain, body := s.ask("HEAD", path, adminToken), s.get(path, adminToken, 200).Body.Len()
		if length := plain.Header().Get("Content-Length"); plain.Code != 200 || plain.Body.Len() > 0 || length != fmt.Sprint(body) && !strings.Contains(path, "export") {
			t.Errorf("HEAD %s: %d, length %s of %d", path, plain.Code, length, body)
		}
		packed := s.ask("HEAD", path, adminToken, "Accept-Encoding", "gzip")
		if h := packed.Header(); packed.Code != 200 || packed.Body.Len() > 0 || h.Get("Content-Length") != "" || h.Get("Content-Encoding") != "" {
			t.Errorf("HEAD %s, compressed: %d %v", path, packed.Code, h)
		}
		if result := packed.Result(); result.ContentLength > 0 { // the headers as they were when the status was sent
			t.Errorf("HEAD %s was sent with a length of %d", path, result.ContentLength)
		}
	}
}

func TestShortAnswersAreNotCompressed(t *testing.T) {
	s := serveWorld(t)
	for _, path := range []string{"/api/v1/tenants", "/nowhere", "/api/v1/nowhere", "/healthz"} {
		if got := s.ask("GET", path, filmsToken, "Accept-Encoding", "gzip"); got.Header().Get("Content-Encoding") != "" || got.Body.Len() == 0 {
			t.Errorf("%s: %v", path, got.Header())
		}
	}
	if got := s.ask("GET", "/sessions", "", "Accept-Encoding", "gzip", "Accept", "text/html"); got.Code != http.StatusSeeOther || got.Header().Get("Location") == "" {
		t.Errorf("who has not signed in: %d %v", got.Code, got.Header())
	}
}

// TestWhatAnotherSiteAsksForIsNotCompressed: its size would tell somebody who chooses the address what is on the page.
func TestWhatAnotherSiteAsksForIsNotCompressed(t *testing.T) {
	const cookie = cookieName + "=x"
	tests := []struct {
		name   string
		https  bool
		header []string
		packed bool
	}{
		{"a page of ours", true, []string{"Sec-Fetch-Site", "same-origin", "Cookie", cookie}, true},
		{"somebody's own bookmark", true, []string{"Sec-Fetch-Site", "none", "Cookie", cookie}, true},
		{"a page of another site", true, []string{"Sec-Fetch-Site", "cross-site", "Cookie", cookie}, false},
		{"one of a sister of our host", true, []string{"Sec-Fetch-Site", "same-site", "Cookie", cookie}, false},
		{"something that is not known", true, []string{"Sec-Fetch-Site", "odd"}, false},
		{"another site, of one who shows a password", true, []string{"Sec-Fetch-Site", "cross-site"}, false},
		{"a program", true, nil, true},
		{"a browser that does not say", true, []string{"Cookie", cookie}, false},
		{"a browser, over plain HTTP", false, []string{"Cookie", cookie}, true},
		{"another site, over plain HTTP", false, []string{"Sec-Fetch-Site", "cross-site"}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, _ := serveStatistics(t)
			p := s.person()
			p.https = tt.https
			p.header = append([]string{"Sec-Fetch-Site", "", "Authorization", "Bearer " + adminToken, "Accept-Encoding", "gzip"}, tt.header...)
			got := p.does("GET", "/sessions?"+days, nil)
			if packed := got.Header().Get("Content-Encoding") == "gzip"; got.Code != 200 || packed != tt.packed {
				t.Errorf("%d, %v", got.Code, got.Header())
			}
			if vary := strings.Join(got.Header().Values("Vary"), ", "); !strings.Contains(vary, "Accept-Encoding") || !strings.Contains(vary, "Sec-Fetch-Site") {
				t.Errorf("Vary is %s", vary)
			}
		})
	}
}

// TestPaddingHidesTheSize: what differs in nothing that compresses differs in size.
func TestPaddingHidesTheSize(t *testing.T) {
	sizes := make(map[int]bool)
	for i := range 40 {
		h := (&service{Site: new(Site)}).packed(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			fmt.Fprintf(w, "%s%02d", strings.Repeat("a", 2*packFrom), i)
		}))
		r, w := httptest.NewRequest("GET", "/", nil), httptest.NewRecorder()
		r.Header.Set("Accept-Encoding", "gzip")
		h.ServeHTTP(w, r)
		sizes[w.Body.Len()] = true
	}
	if len(sizes) < 10 {
		t.Errorf("40 pages of one size have %d sizes: %v", len(sizes), sizes)
	}
}

// TestWhatHasADigestIsNeverCompressed: sealed reports and all that has an ETag and ranges.
func TestWhatHasADigestIsNeverCompressed(t *testing.T) {
	w := sampleWorld(t)
	s := serveWorld(t)
	for _, folder := range []string{w.folder(w.films, october), "/reports/" + string(w.films) + "/" + october.String()} {
		for _, name := range []string{"usage", "sessions", "inputs", "manifest", "signature"} {
			path := folder + "/" + name
			plain, packed := s.get(path, filmsToken, 200), s.get(path, filmsToken, 200, "Accept-Encoding", "gzip")
			if !bytes.Equal(plain.Body.Bytes(), packed.Body.Bytes()) {
				t.Errorf("%s is other bytes for who takes gzip", path)
			}
			for _, header := range []string{"Content-Encoding", "Content-Length", "Etag", "Accept-Ranges", "Last-Modified"} {
				if got, want := packed.Header().Get(header), plain.Header().Get(header); got != want || want == "" && header != "Content-Encoding" {
					t.Errorf("%s: %s is %q, and %q without gzip", path, header, got, want)
				}
			}
			if part := s.get(path, filmsToken, 206, "Accept-Encoding", "gzip", "Range", "bytes=10-19"); !bytes.Equal(part.Body.Bytes(), plain.Body.Bytes()[10:20]) {
				t.Errorf("%s: a part of it is %q", path, part.Body)
			}
			s.get(path, filmsToken, 304, "Accept-Encoding", "gzip", "If-None-Match", plain.Header().Get("Etag"))
		}
	}
	for _, rt := range s.service.routes() {
		if sealed := strings.Contains(rt.path, "{month}/") || rt.path == pathAsset || rt.path == "/metrics" || rt.free || rt.posts; sealed && rt.packed {
			t.Errorf("%s is compressed", rt.path)
		}
	}
}

// TestMetricsAreCompressedOnce: their own handler does it.
func TestMetricsAreCompressedOnce(t *testing.T) {
	s := serveWorld(t)
	got := s.get("/metrics", adminToken, 200, "Accept-Encoding", "gzip")
	if text := unpacked(t, got.Body.Bytes()); !slices.Equal(got.Header().Values("Content-Encoding"), []string{"gzip"}) || !strings.Contains(text, "playmeter_build_info") {
		t.Errorf("%v %.200s", got.Header(), text)
	}
}

// slowStatistics export what they are told, when they are told.
type slowStatistics struct {
	Statistics
	first string
	more  chan string
	err   error
}

func (f *slowStatistics) Export(ctx context.Context, _ statistics.Scope, _ statistics.View, w io.Writer) error {
	if _, err := io.WriteString(w, f.first); err != nil {
		return err
	}
	for {
		select {
		case piece, more := <-f.more:
			if !more {
				return f.err
			}
			if _, err := io.WriteString(w, piece); err != nil {
				return err
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// exporting serves exports over a real connection.
func exporting(t *testing.T, f *slowStatistics) *httptest.Server {
	s, statistics := serveStatistics(t)
	f.Statistics = statistics
	s.Statistics = f
	s.Tokens = nil // whoever is on this machine
	server := httptest.NewServer(s.handler)
	t.Cleanup(server.Close)
	return server
}

func TestACompressedExportStillStreams(t *testing.T) {
	first := strings.Repeat("of the first piece\n", exportBuffer/18)
	for _, accept := range []string{"gzip", "identity"} {
		t.Run(accept, func(t *testing.T) {
			f := &slowStatistics{first: first, more: make(chan string)}
			server := exporting(t, f)
			r, err := http.NewRequestWithContext(t.Context(), "GET", server.URL+"/sessions/playback/export.csv?"+days, nil)
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Accept-Encoding", accept)
			got, err := http.DefaultClient.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			defer got.Body.Close()
			body := io.Reader(got.Body)
			if accept == "gzip" {
				if body, err = gzip.NewReader(got.Body); err != nil {
					t.Fatal(err)
				}
			}
			begun := make([]byte, exportBuffer)
			if _, err := io.ReadFull(body, begun); err != nil || string(begun) != first[:exportBuffer] { // hangs where it is held back
				t.Fatalf("%v, %.40q", err, begun)
			}
			f.more <- "the end\n"
			close(f.more)
			rest, err := io.ReadAll(body)
			if err != nil || string(rest) != first[exportBuffer:]+"the end\n" {
				t.Errorf("%v, %.40q", err, rest)
			}
		})
	}
}

// TestNothingLeavesOnceAnAnswerHasBrokenOff: the end of the gzip file least of all.
func TestNothingLeavesOnceAnAnswerHasBrokenOff(t *testing.T) {
	for _, sent := range []int{100, 10 * packFrom, 4 * exportBuffer} {
		w := httptest.NewRecorder()
		h := (&service{Site: new(Site)}).packed(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/csv")
			fmt.Fprint(w, strings.Repeat("x", sent))
			panic(http.ErrAbortHandler)
		}))
		func() {
			defer func() {
				if p := recover(); p != http.ErrAbortHandler {
					t.Errorf("the handler ended with %v", p)
				}
			}()
			r := httptest.NewRequest("GET", "/", nil)
			r.Header.Set("Accept-Encoding", "gzip")
			h.ServeHTTP(w, r)
		}()
		if w.Body.Len() == 0 {
			continue // it was still held back
		}
		z, err := gzip.NewReader(w.Body)
		if err == nil {
			_, err = io.Copy(io.Discard, z)
		}
		if !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("after %d bytes the file ended with %v", sent, err)
		}
	}
}

// TestACompressedExportThatFailsIsNoFile: neither the connection nor the gzip file ends well, also over HTTP/1.0, where the end of the
// one is the end of the other.
func TestACompressedExportThatFailsIsNoFile(t *testing.T) {
	for _, version := range []string{"HTTP/1.1", "HTTP/1.0"} {
		t.Run(version, func(t *testing.T) {
			f := &slowStatistics{first: strings.Repeat("row\n", exportBuffer), more: make(chan string), err: statistics.ErrDown}
			close(f.more)
			server := exporting(t, f)
			c, err := net.Dial("tcp", server.Listener.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			fmt.Fprintf(c, "GET /sessions/playback/export.csv?%s %s\r\nHost: localhost\r\nAccept-Encoding: gzip\r\n\r\n", days, version)
			got, err := http.ReadResponse(bufio.NewReader(c), nil)
			if err != nil || got.StatusCode != 200 || got.Header.Get("Content-Encoding") != "gzip" {
				t.Fatalf("%v, %v", err, got)
			}
			sent, err := io.ReadAll(got.Body)
			if version == "HTTP/1.1" && !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Errorf("the connection ended with %v", err)
			}
			z, err := gzip.NewReader(bytes.NewReader(sent))
			if err != nil {
				t.Fatal(err)
			}
			if n, err := io.Copy(io.Discard, z); !errors.Is(err, io.ErrUnexpectedEOF) || n == 0 {
				t.Errorf("the file ended with %v after %d bytes", err, n)
			}
		})
	}
}
