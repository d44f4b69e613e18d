package web

import (
	"net/http"

	"github.com/klauspost/compress/gzhttp"
)

// packFrom is from how many bytes on an answer is compressed: what fits into one packet gains nothing.
const packFrom = 1 << 10

// padding is how many bytes at most are added to a compressed answer, so that its size tells less of its content.
const padding = 32

// compress is gzip, which everybody takes who takes anything. It leaves alone what has a coding or a range already.
var compress = func() func(http.Handler) http.HandlerFunc {
	wrap, err := gzhttp.NewWrapper(gzhttp.EnableZstd(false), gzhttp.MinSize(packFrom), gzhttp.RandomJitter(padding, 0, false),
		gzhttp.ContentTypes([]string{"text/html", "text/csv", "application/json", "application/problem+json"}))
	if err != nil {
		panic("cannot happen: the options are good ones: " + err.Error())
	}
	return wrap
}()

// packed compresses what next makes on the fly, for those who take it so.
//
//   - What another site has somebody's browser ask for is sent as it is: see forced.
//   - An answer that breaks off is no whole gzip file either: over HTTP/1.0, which proxies speak, nothing else shows it.
//   - How long a compressed answer is nobody knows before it is made, so that one to HEAD does not say it.
//
// Source: RFC 9110, sections 8.6 and 12.5.
func (v *service) packed(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Add("Vary", "Sec-Fetch-Site")
		if v.forced(r) {
			h.Add("Vary", "Accept-Encoding")
			next.ServeHTTP(w, r)
			return
		}
		out := &outlet{ResponseWriter: w, unmeasured: r.Method == http.MethodHead && takesGzip(r.Header.Values("Accept-Encoding"))}
		compress(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			whole := false
			defer func() { out.shut = !whole }()
			next.ServeHTTP(w, r)
			whole = true
		})).ServeHTTP(out, r)
		out.measure()
	})
}

// forced tells whether another site may have had somebody's browser make a request. Who can do so, put a guess into the
// address again and again, and see how long the compressed page is, can find out what else is in it (BREACH): so there
// is no compressed page. Browsers say where a request comes from; of those that do not, any may be forced that shows a cookie.
// Over plain HTTP none does, and there pages can be read on the way as they are.
func (v *service) forced(r *http.Request) bool {
	switch r.Header.Get("Sec-Fetch-Site") {
	case "same-origin", "none":
		return false
	case "":
		return isSecure(r, v.Proxies) && r.Header.Get("Cookie") != ""
	}
	return true
}

// An outlet is where an answer leaves that may be compressed.
type outlet struct {
	http.ResponseWriter
	shut       bool // it has broken off: nothing more leaves
	unmeasured bool // nobody knows how long it would be
}

// measure takes back a length that nobody knows.
func (o *outlet) measure() {
	if o.unmeasured {
		o.Header().Del("Content-Length")
	}
}

// WriteHeader is http.ResponseWriter's.
func (o *outlet) WriteHeader(status int) {
	if o.shut {
		return
	}
	o.measure()
	o.ResponseWriter.WriteHeader(status)
}

// Write is io.Writer's.
func (o *outlet) Write(b []byte) (int, error) {
	if o.shut {
		return 0, http.ErrAbortHandler
	}
	return o.ResponseWriter.Write(b)
}

// Flush is http.Flusher's.
func (o *outlet) Flush() {
	_ = http.NewResponseController(o.ResponseWriter).Flush() // what cannot be sent fails with the next write
}

// Unwrap is for http.ResponseController.
func (o *outlet) Unwrap() http.ResponseWriter { return o.ResponseWriter }
