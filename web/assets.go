package web

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io/fs"
	"net/http"
	"path"
	"strconv"
	"strings"
	"time"
)

// How long the pages' files may take. They are for everybody, sign-in or not, and some are so large that a slow phone
// needs a while; who takes nothing is let go sooner.
const (
	assetPause    = 10 * time.Second // for one write of at most 32 KiB
	assetPatience = 3 * time.Minute  // for all of one
)

// assetTypes are the kinds of files there are, by the ends of their names.
var assetTypes = map[string]string{
	".css":  "text/css; charset=utf-8",
	".js":   "text/javascript; charset=utf-8",
	".json": "application/json",
	".svg":  "image/svg+xml",
	".png":  "image/png",
	".txt":  "text/plain; charset=utf-8",
}

// An asset is a file that pages need: a style, a script, the map.
type asset struct {
	name, kind string
	version    string // of its content
	plain      []byte
	packed     []byte // with gzip; nil: it would not be smaller
}

// assets are those files by name. There are no others: no name leads to a path.
type assets struct {
	byName map[string]*asset
}

// readAssets reads static/. Files are packed once, and so only where they stay.
func readAssets(files fs.FS) (*assets, error) {
	all := &assets{byName: make(map[string]*asset)}
	names, err := fs.Glob(files, "static/*")
	if err != nil {
		return nil, err
	}
	for _, file := range names {
		a := &asset{name: path.Base(file), kind: assetTypes[path.Ext(file)]}
		if a.kind == "" {
			return nil, fmt.Errorf("read %s: nobody said what content type %q is: add it to assetTypes", file, path.Ext(file))
		}
		if a.plain, err = fs.ReadFile(files, file); err != nil {
			return nil, err
		}
		a.version = digestOf(a.plain)[:16]
		all.byName[a.name] = a
	}
	return all, nil
}

// pack compresses all, so that each answer needs no more than sending.
func (s *assets) pack() error {
	for _, a := range s.byName {
		var b bytes.Buffer
		z, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
		if err != nil {
			return err
		}
		if _, err := z.Write(a.plain); err != nil {
			return err
		}
		if err := z.Close(); err != nil {
			return err
		}
		if b.Len() < len(a.plain) {
			a.packed = b.Bytes()
		}
	}
	return nil
}

// url is where a file is, with its version, so that browsers keep it until it changes.
func (s *assets) url(name string) (string, error) {
	a := s.byName[name]
	if a == nil {
		return "", fmt.Errorf("there is no asset %q", name)
	}
	return "/assets/" + a.name + "?v=" + a.version, nil
}

// asset hands out one file. It has places of its own, so that who holds them keeps nobody from signing in.
func (v *service) asset(w http.ResponseWriter, q *request) error {
	s, err := v.shell()
	if err != nil {
		p := newProblem(http.StatusInternalServerError, "The pages' files cannot be read. The daemon's log says more.")
		p.cause = err
		return p
	}
	a := s.assets.byName[q.PathValue("name")]
	if a == nil {
		return noSuchPage()
	}
	done, own := v.limits.assets.take(neighbourhood(q.caller.address))
	switch {
	case done == nil && own:
		return retryAfter(newProblem(http.StatusTooManyRequests, "At most %d files of the pages are on their way to your address at once.", assetsOfClient), time.Second)
	case done == nil:
		return unavailable(nil, "Too many requests are served at present: ask again.")
	}
	defer done()
	return a.serve(w, q)
}

func (a *asset) serve(w http.ResponseWriter, q *request) error {
	body, tag := a.plain, a.version
	h := w.Header()
	h.Set("Vary", "Accept-Encoding")
	h.Set("Content-Type", a.kind)
	h.Set("Cache-Control", "no-cache")
	if q.URL.Query().Get("v") == a.version {
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	if a.packed != nil && takesGzip(q.Header.Values("Accept-Encoding")) {
		body, tag = a.packed, tag+"-gzip"
		h.Set("Content-Encoding", "gzip")
		h.Set("Content-Length", strconv.Itoa(len(body))) // which ServeContent leaves out otherwise
	}
	h.Set("ETag", `"`+tag+`"`)
	control := http.NewResponseController(w)
	g := &gate{w: &pacer{ResponseWriter: w, control: control, until: time.Now().Add(assetPatience)}, q: q, size: int64(len(body)), control: control}
	http.ServeContent(g, q.Request, "", time.Time{}, bytes.NewReader(body))
	return g.end()
}

// A pacer gives each write its own time, and all of them theirs.
type pacer struct {
	http.ResponseWriter
	control *http.ResponseController
	until   time.Time
}

// Write is io.Writer's.
func (p *pacer) Write(b []byte) (int, error) {
	deadline := time.Now().Add(assetPause)
	if p.until.Before(deadline) {
		deadline = p.until
	}
	_ = p.control.SetWriteDeadline(deadline) // where there are none, the server's own holds
	return p.ResponseWriter.Write(b)
}

// takesGzip reads Accept-Encoding. Source: RFC 9110, section 12.5.3.
func takesGzip(lines []string) bool {
	for _, line := range lines {
		for coding := range strings.SplitSeq(line, ",") {
			name, parameters, _ := strings.Cut(coding, ";")
			if !strings.EqualFold(strings.TrimSpace(name), "gzip") {
				continue
			}
			weight, given := strings.CutPrefix(strings.ToLower(strings.ReplaceAll(parameters, " ", "")), "q=")
			return !given || strings.Trim(weight, "0.") != ""
		}
	}
	return false
}
