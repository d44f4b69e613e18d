package web

import (
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/playmeter/playmeter/crypto"
	"github.com/playmeter/playmeter/schemas"
)

// service is a Site at work.
type service struct {
	*Site
	limits   *limits
	secret   []byte // of fingerprints
	look     lastLook
	browsers *browsers
	checks   checks
	overview overview
}

// request is one that has found its route.
type request struct {
	*http.Request
	route  *route
	caller caller
	tenant schemas.Tenant // of the path, where it has one
	month  schemas.Period // likewise
	query  url.Values
	id     string // as the record names it; made when it is needed
}

// bodyPatience is how long a body that nobody wants may take to come.
const bodyPatience = 5 * time.Second

// answer is the way of every request: see the package comment.
func (v *service) answer(rt *route) http.Handler {
	var way http.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		counted := &statusWriter{ResponseWriter: w}
		q := &request{Request: r, route: rt}
		defer func() { v.Metrics.answered(rt.label(), counted.status) }()
		defer v.catch(counted, q)
		if r.ContentLength != 0 { // once the answer is given, what is left of a body is not waited for much longer
			_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(bodyPatience))
		}
		if err := v.serve(counted, q); err != nil {
			v.fail(counted, q, err)
		}
	})
	if rt.packed {
		way = v.packed(way)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if rt.people(r) {
			pageHeaders(w.Header())
		}
		way.ServeHTTP(w, r)
	})
}

// serve lets a request in, and answers it while it has a place. Until it is known who asks it has none: whoever
// has no token can take none from those who do.
func (v *service) serve(w http.ResponseWriter, q *request) error {
	err := v.admit(q)
	if !q.caller.known() { // nor does it hold an answer for long
		_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(strangerPatience))
	}
	if err != nil {
		return err
	}
	done, err := v.limits.place(q)
	if err != nil {
		return err
	}
	defer done()
	return q.route.serve(w, q)
}

// crossOrigin finds what a page of another site has a browser post.
var crossOrigin = http.NewCrossOriginProtection()

// admit lets a request in, or says why not.
func (v *service) admit(q *request) (err error) {
	switch {
	case q.route.path == "" && q.Method == http.MethodPost:
		return noSuchPage() // a slip in the address, rather than in the method
	case !q.route.takes(q.Method):
		methods := q.route.methods()
		p := newProblem(http.StatusMethodNotAllowed, "%s is not taken here, only %s.", onlyWord(q.Method), methods)
		p.header.Set("Allow", methods)
		return p
	case q.route.posts && crossOrigin.Check(q.Request) != nil:
		return refuse(newProblem(http.StatusForbidden, "A page of another site may not post here through somebody's browser."))
	case !q.route.posts && q.ContentLength != 0:
		p := newProblem(http.StatusBadRequest, "Send no body with %s.", q.Method)
		p.header.Set("Connection", "close") // what the body may be is not waited for
		return p
	}
	if q.caller, err = v.identify(q.Request, q.route); err != nil {
		return err
	}
	if q.caller.signed {
		if after := v.limits.take(q.caller.token.ID, q.route.posts && !q.route.page, v.Now()); after > 0 {
			return retryAfter(refuse(newProblem(http.StatusTooManyRequests, "Too many requests are made with this token. Wait as long as Retry-After says.")), after)
		}
	}
	if err := q.authorize(); err != nil {
		return err
	}
	return q.readQuery()
}

// authorize holds a route against what the caller may do. What is not theirs to see does not exist; what
// they know to exist and may not have is forbidden.
func (q *request) authorize() (err error) {
	c, rt := &q.caller, q.route
	switch {
	case rt.who == everybody, rt.who == anybody, c.admin():
	case rt.who == nodes && (c.token.Role == crypto.RoleNode || rt.signed && !c.known()):
		return nil
	case rt.who == nodes:
		return forbidden("A token of role %s posts nothing: sign in with one of role node.", c.token.Role)
	case rt.who == admins:
		return forbidden("This is for administrators: sign in with a token of role admin.")
	case c.token.Role != crypto.RoleTenant:
		return forbidden("A token of role %s reads no reports: sign in with one of role tenant or admin.", c.token.Role)
	}
	if strings.Contains(rt.path, "{tenant}") {
		if q.tenant, err = schemas.ParseTenant(q.PathValue("tenant")); err != nil || !c.sees(q.tenant) {
			q.tenant = ""
			if rt.page {
				return noSuchTenantPage()
			}
			return noSuchTenant()
		}
	}
	if rt.grant != "" && !c.reads(rt.grant) {
		return forbidden("This token is not for the %s report: ask who gave it to you for one that is.", rt.grant)
	}
	if rt.path != pathTenants && rt.who == tenants && !c.reads(schemas.ReportUsage) && !c.reads(schemas.ReportSessions) {
		return forbidden("This token is for no report: ask who gave it to you for one that is.")
	}
	if strings.Contains(rt.path, "{month}") {
		if q.month, err = schemas.ParsePeriod(q.PathValue("month")); err != nil {
			return newProblem(http.StatusNotFound, "There is no such month: write it as YYYY-MM, such as 2026-10, from 2000-01 to 2099-12.")
		}
	}
	return nil
}

// readQuery refuses parameters that nobody would heed.
func (q *request) readQuery() (err error) {
	if q.route.query == nil {
		return nil
	}
	if q.query, err = url.ParseQuery(q.URL.RawQuery); err != nil {
		return newProblem(http.StatusBadRequest, "What stands behind the ? cannot be read.")
	}
	for name, values := range q.query {
		if q.route.form {
			values = slices.DeleteFunc(values, func(value string) bool { return value == "" })
			if q.query[name] = values; len(values) == 0 {
				delete(q.query, name)
			}
		}
		switch {
		case !slices.Contains(q.route.query, name) && len(q.route.query) == 0:
			return newProblem(http.StatusBadRequest, "This takes no parameters.")
		case !slices.Contains(q.route.query, name):
			return newProblem(http.StatusBadRequest, "This takes no parameter %q, only %s.", printable(name), strings.Join(q.route.query, ", "))
		case name == q.route.many, q.route.form && len(values) == 0:
		case len(values) != 1 || values[0] == "":
			return newProblem(http.StatusBadRequest, "The parameter %s needs one value.", name)
		}
	}
	return nil
}

// fail answers that it did not work, and puts on record and into the log what belongs there.
func (v *service) fail(w *statusWriter, q *request, err error) {
	p := problemOf(err)
	v.tellProblem(q, p)
	if w.status != 0 {
		panic(http.ErrAbortHandler) // the answer is half out; the connection must not look well
	}
	if q.wantsPage() {
		v.failPage(w, q, p)
		return
	}
	p.write(w, q.Request)
}

// tellProblem puts on record and into the log what belongs there.
func (v *service) tellProblem(q *request, p *problem) {
	if p.cause != nil && q.Context().Err() == nil {
		v.log().Error("a request could not be answered", "route", q.route.label(), "tenant", q.tenant, "status", p.Status, "err", p.cause)
	}
	if p.refused && q.caller.token.ID != "" {
		v.record(q, &Entry{Event: EventRefused, Status: p.Status, Reason: p.Detail})
	}
}

// catch keeps a handler's panic to its request.
func (v *service) catch(w *statusWriter, q *request) {
	p := recover()
	if p == nil {
		return
	}
	if err, ok := p.(error); ok && errors.Is(err, http.ErrAbortHandler) {
		panic(http.ErrAbortHandler)
	}
	v.log().Error("a request met a bug", "route", q.route.label(), "tenant", q.tenant, "err", p, "stack", string(debug.Stack()))
	if w.status != 0 {
		panic(http.ErrAbortHandler) // the answer is half out
	}
	newProblem(http.StatusInternalServerError, "This is a bug. The daemon's log says more: please report it.").write(w, q.Request)
}

func (v *service) log() *slog.Logger {
	if v.Log == nil {
		return slog.New(slog.DiscardHandler)
	}
	return v.Log
}

// statusWriter remembers what was answered.
type statusWriter struct {
	http.ResponseWriter
	status int
}

func (w *statusWriter) WriteHeader(status int) {
	if w.status == 0 && status >= 200 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *statusWriter) Write(b []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	return w.ResponseWriter.Write(b)
}

// Unwrap is for http.ResponseController.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// printable is a name that somebody gave as it can be shown.
func printable(s string) string { return s[:min(len(s), 32)] }

// onlyWord is a method as it can be shown.
func onlyWord(s string) string {
	if len(s) > 16 || strings.ContainsFunc(s, func(c rune) bool { return c < 'A' || c > 'Z' }) {
		return "This method"
	}
	return s
}
