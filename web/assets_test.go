package web

import (
	"bytes"
	"compress/gzip"
	_ "embed"
	"encoding/json"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/http/httptest"
	"path"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"
	"testing/synctest"
	"time"
)

// askAsset makes a request of somebody on this machine, without a token.
func askAsset(h http.Handler, method, target string, headers ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, "http://localhost"+target, nil)
	r.RemoteAddr = "127.0.0.1:4711"
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func shellOf(t *testing.T) *shell {
	t.Helper()
	s, err := embeddedShell()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestAssetsAreWhatTheirNamesSay(t *testing.T) {
	s, h := shellOf(t), newSite(nil).Handler()
	if len(s.assets.byName) < 8 {
		t.Fatalf("only %d files", len(s.assets.byName))
	}
	for name, a := range s.assets.byName {
		t.Run(name, func(t *testing.T) {
			versioned, err := s.assets.url(name)
			if err != nil {
				t.Fatal(err)
			}
			plain := askAsset(h, "GET", versioned)
			if plain.Code != 200 || !bytes.Equal(plain.Body.Bytes(), a.plain) || plain.Header().Get("Content-Type") != assetTypes[path.Ext(name)] {
				t.Fatalf("%d with %d bytes of %q", plain.Code, plain.Body.Len(), plain.Header().Get("Content-Type"))
			}
			for name, want := range map[string]string{"Cache-Control": "public, max-age=31536000, immutable", "Vary": "Accept-Encoding", "Content-Encoding": "",
				"Content-Length": strconv.Itoa(len(a.plain)), "X-Content-Type-Options": "nosniff", "Content-Security-Policy": contentPolicy} {
				if got := plain.Header().Get(name); got != want {
					t.Errorf("%s: %q, want %q", name, got, want)
				}
			}
			packed := askAsset(h, "GET", versioned, "Accept-Encoding", "br, gzip;q=0.8")
			if a.packed != nil {
				z, err := gzip.NewReader(packed.Body)
				if err != nil {
					t.Fatal(err)
				}
				if got, err := io.ReadAll(z); err != nil || !bytes.Equal(got, a.plain) {
					t.Errorf("unpacked: %v, %d bytes", err, len(got))
				}
				if packed.Header().Get("Content-Length") != strconv.Itoa(len(a.packed)) || packed.Header().Get("ETag") == plain.Header().Get("ETag") {
					t.Errorf("packed: %v", packed.Header())
				}
			}
			if again := askAsset(h, "GET", versioned, "If-None-Match", plain.Header().Get("ETag")); again.Code != 304 || again.Body.Len() > 0 {
				t.Errorf("known already: %d with %d bytes", again.Code, again.Body.Len())
			}
			if head := askAsset(h, "HEAD", versioned); head.Code != 200 || head.Body.Len() > 0 || head.Header().Get("Content-Length") != strconv.Itoa(len(a.plain)) {
				t.Errorf("HEAD: %d with %d bytes, length %s", head.Code, head.Body.Len(), head.Header().Get("Content-Length"))
			}
		})
	}
}

func TestAssetsWithoutTheirVersionAreAskedForAnew(t *testing.T) {
	h := newSite(nil).Handler()
	for _, query := range []string{"", "?v=", "?v=0123456789abcdef", "?w=1"} {
		if got := askAsset(h, "GET", "/assets/app.css"+query); got.Code != 200 || got.Header().Get("Cache-Control") != "no-cache" {
			t.Errorf("%q: %d, %q", query, got.Code, got.Header().Get("Cache-Control"))
		}
	}
}

func TestNothingButAssetsIsServed(t *testing.T) {
	h := newSite(nil).Handler()
	for _, target := range []string{"/assets/", "/assets", "/assets/nothing.css", "/assets/../pages.go", "/assets/%2e%2e/pages.go", "/assets/..%2fpages.go", "/assets/pages/layout.html",
		"/assets/static/app.css", "/assets/layout.html", "/assets/app.css/", "/assets//app.css", "/assets/APP.CSS", "/assets/openapi.json", "/assets/package.json"} {
		if got := askAsset(h, "GET", target); got.Code != 404 {
			t.Errorf("%s: %d", target, got.Code)
		}
	}
	if got := askAsset(h, "POST", "/assets/app.css"); got.Code != 405 {
		t.Errorf("POST: %d", got.Code)
	}
	if got := askAsset(h, "GET", "/assets/app.css", "Range", "bytes=10000000-"); got.Code != 416 || got.Header().Get("Content-Type") != "application/problem+json" {
		t.Errorf("a range beyond its end: %d, %q", got.Code, got.Header().Get("Content-Type"))
	}
}

// TestAssetsAreForEverybody: also for those whose token is none, because the page that they sign in on needs them.
func TestAssetsAreForEverybody(t *testing.T) {
	s := serveWorld(t)
	for _, token := range []string{"", wrongToken, expiredToken, nodeToken, filmsToken} {
		if got := s.ask("GET", "/assets/app.css", token); got.Code != 200 {
			t.Errorf("%q: %d", token, got.Code)
		}
	}
	if s.tokens.count() != 0 {
		t.Errorf("%d tokens were looked at for nothing", s.tokens.count())
	}
}

func TestTakesGzip(t *testing.T) {
	tests := []struct {
		name string
		line string
		want bool
	}{
		{"nothing is said", "", false},
		{"alone", "gzip", true},
		{"among others", "deflate, gzip, br", true},
		{"in capitals", "GZIP", true},
		{"with a weight", "gzip;q=0.5", true},
		{"with spaces", "br , gzip ; q=1.0", true},
		{"not at all", "gzip;q=0", false},
		{"not at all, at length", "gzip; q=0.000", false},
		{"something like it", "xgzip, gzipped", false},
		{"anything: what is plain is taken, too", "*", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := takesGzip([]string{tt.line}); got != tt.want {
				t.Errorf("%q: %v", tt.line, got)
			}
		})
	}
}

func TestPlacesOfAssets(t *testing.T) {
	v := &service{Site: newSite(nil), limits: newLimits(), secret: newSecret()}
	h := v.answer(&route{path: pathAsset, who: everybody, free: true, serve: v.asset})
	of := neighbourhood(parseAddress("127.0.0.1"))
	for range assetsOfClient {
		if done, _ := v.limits.assets.take(of); done == nil {
			t.Fatal("there is no place left")
		}
	}
	r := httptest.NewRequest("GET", "http://localhost/assets/app.css", nil)
	r.RemoteAddr = "127.0.0.1:4711"
	r.SetPathValue("name", "app.css")
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	if w.Code != 429 || w.Header().Get("Retry-After") == "" {
		t.Errorf("one more than its client may have: %d", w.Code)
	}
	for range assetsAtOnce - assetsOfClient {
		if done, _ := v.limits.assets.take(neighbourhood(parseAddress("192.0.2.1"))); done == nil {
			break
		}
	}
	if done, _ := v.limits.strangers.take(of); done == nil {
		t.Error("who fetches files takes the places of those who sign in")
	}
}

// TestSlowPhonesGetTheirFiles: a reader with pauses shorter than assetPause gets all; one that stops is let go, and one that
// takes forever, too.
func TestSlowPhonesGetTheirFiles(t *testing.T) {
	tests := []struct {
		name  string
		piece int64         // that is read at once
		pause time.Duration // before each
		whole bool
		after time.Duration // that it is let go, about
	}{
		{"a slow one gets all of it, though it takes longer than strangers have for answers", 64 << 10, 2 * time.Second, true, 0},
		{"one that reads nothing is let go", 0, assetPause, false, assetPause},
		{"one that takes a little at a time does not hold it for ever", 4 << 10, time.Second, false, assetPatience},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l, _ := piped(t, nil)
				c := l.dial()
				defer c.Close()
				start := time.Now()
				go io.WriteString(c, "GET /assets/echarts.min.js HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
				got, err := readSlowly(c, tt.piece, tt.pause)
				took := time.Since(start)
				size := int64(len(shellOf(t).assets.byName["echarts.min.js"].plain))
				if tt.whole != (got > size) {
					t.Errorf("%d of %d bytes, %v", got, size, err)
				}
				if tt.whole && took <= strangerPatience {
					t.Errorf("in %s: that is not slow", took)
				} else if !tt.whole && (took < tt.after || took > tt.after+assetPause) {
					t.Errorf("let go after %s, want %s", took, tt.after)
				}
			})
		})
	}
}

// readSlowly reads with pauses until the end. With pieces of nothing it reads nothing for one pause, and a second.
func readSlowly(c net.Conn, piece int64, pause time.Duration) (got int64, err error) {
	if piece == 0 {
		time.Sleep(pause + time.Second)
		return io.Copy(io.Discard, c)
	}
	for {
		time.Sleep(pause)
		n, err := io.CopyN(io.Discard, c, piece)
		got += n
		if err != nil {
			return got, err
		}
	}
}

func TestAssetsOfAFolderAreReadEachTime(t *testing.T) {
	files := fstest.MapFS{"static/app.css": {Data: []byte("a{}")}, "pages/layout.html": {Data: []byte(`{{define "layout"}}{{end}}`)}, "pages/parts.html": {Data: []byte(" ")}}
	site := newSite(nil)
	site.Assets = files
	h := site.Handler()
	for _, text := range []string{"a{}", "b{}"} {
		files["static/app.css"].Data = []byte(text)
		if got := askAsset(h, "GET", "/assets/app.css"); got.Body.String() != text {
			t.Errorf("%q, want %q", got.Body, text)
		}
	}
	files["static/odd.exe"] = &fstest.MapFile{}
	if got := askAsset(h, "GET", "/assets/app.css"); got.Code != 500 {
		t.Errorf("a file of a kind that nobody knows: %d", got.Code)
	}
}

//go:embed assets/vendor/vendored.json
var vendoredText []byte

// TestVendoredFilesAreTheirs holds files of others against the digests of those that were looked at when vendored.json was
// written. "make vendor" fetches them again.
func TestVendoredFilesAreTheirs(t *testing.T) {
	var vendored struct {
		Files map[string]struct{ Package, Version, SHA256 string }
	}
	if err := json.Unmarshal(vendoredText, &vendored); err != nil {
		t.Fatal(err)
	}
	licences, err := fs.ReadFile(embeddedAssets(), "static/LICENSES.txt")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"htmx.min.js", "echarts.min.js", "world.json"} {
		f := vendored.Files[name]
		a := shellOf(t).assets.byName[name]
		if a == nil {
			t.Errorf("%s is not there", name)
			continue
		}
		if digestOf(a.plain) != f.SHA256 {
			t.Errorf("%s is not the file of %s %s that was looked at: its digest is %s", name, f.Package, f.Version, digestOf(a.plain))
		}
		if f.Version == "" || !strings.Contains(string(licences), f.Version) {
			t.Errorf("LICENSES.txt says nothing of %s %s", f.Package, f.Version)
		}
	}
}
