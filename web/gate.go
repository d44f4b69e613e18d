package web

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"time"
)

// writePatience is how long a reader may take for one write of at most 32 KiB. So a large report over a slow
// line can take hours, and a reader that takes nothing is let go.
const writePatience = 30 * time.Second

// A gate stands between http.ServeContent and the answer. Before the first byte of an object passes, the
// store must have begun to give it and it must be on record who gets it; where either fails,
// nothing passes, and end says what to answer instead. It turns ServeContent's own errors into problems, counts,
// and gives every write its own time.
type gate struct {
	w       http.ResponseWriter
	q       *request
	size    int64
	control *http.ResponseController
	content *content               // nil: it is in memory
	granted func(status int) error // nil: it is for everybody

	status  int
	sent    int64
	refusal error
}

// Header is http.ResponseWriter's.
func (g *gate) Header() http.Header { return g.w.Header() }

// WriteHeader is http.ResponseWriter's.
func (g *gate) WriteHeader(status int) {
	if g.status != 0 || g.refusal != nil {
		return
	}
	if status >= http.StatusBadRequest {
		g.refusal = g.ofServeContent(status)
		return
	}
	if g.q.Method == http.MethodGet && (status == http.StatusOK || status == http.StatusPartialContent) {
		if g.refusal = g.open(status); g.refusal != nil {
			return
		}
	}
	g.status = status
	g.w.WriteHeader(status)
}

// open makes sure that the answer may and can be given.
func (g *gate) open(status int) error {
	several := status == http.StatusPartialContent && g.Header().Get("Content-Range") == ""
	if g.content != nil && !several {
		if err := g.content.prime(); err != nil {
			return err
		}
	}
	if g.granted == nil {
		return nil
	}
	if err := g.granted(status); err != nil {
		return unavailable(err, "It cannot be put on record that you fetch this, so it is not handed out: ask again later. The daemon's log says more.")
	}
	return nil
}

// ofServeContent words what http.ServeContent refuses.
func (g *gate) ofServeContent(status int) *problem {
	switch status {
	case http.StatusRequestedRangeNotSatisfiable:
		return g.problem(status, "There are %d bytes; ask for a range of these, such as bytes=0-1023.", g.size)
	case http.StatusPreconditionFailed:
		return g.problem(status, "It is not what your If-Match or If-Unmodified-Since names: ask without it for what there is now.")
	}
	return g.problem(status, "It cannot be served.")
}

func (g *gate) problem(status int, format string, args ...any) *problem {
	p := newProblem(status, format, args...)
	if status == http.StatusRequestedRangeNotSatisfiable {
		p.header.Set("Content-Range", fmt.Sprintf("bytes */%d", g.size))
	}
	return p
}

// Write is io.Writer's.
func (g *gate) Write(b []byte) (int, error) {
	if g.status == 0 {
		g.WriteHeader(http.StatusOK)
	}
	if g.refusal != nil {
		return 0, g.refusal
	}
	_ = g.control.SetWriteDeadline(time.Now().Add(writePatience)) // where there are none, the server's own holds
	n, err := g.w.Write(b)
	g.sent += int64(n)
	return n, err
}

// end says what to answer where nothing passed, and what went wrong where something did.
func (g *gate) end() error {
	if g.refusal != nil || g.content == nil {
		return g.refusal
	}
	return g.content.close()
}

func digestOf(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}
