package web

import (
	"net/http"
	"strings"

	"github.com/playmeter/playmeter/schemas"
)

// access is who a route is for.
type access int

const (
	everybody access = iota // nobody is asked for a token
	anybody                 // likewise, but who signs in is told more
	admins
	tenants // and admins; what they see of it their token says
	nodes   // and admins; they post
)

// A route is a way to ask for something, or one to post. The former answer GET and HEAD, and take no body; the
// latter answer POST alone.
type route struct {
	path string // as http.ServeMux reads it
	who  access
	// grant is the report that a tenant's token must be for; empty: any will do.
	grant schemas.Report
	// query are the parameters that are taken; others are refused. nil: whatever is given is ignored.
	query []string
	// form routes are asked by forms, which send what is empty, too; many is a parameter that may be given several times.
	form bool
	many string
	// free routes need no place: they do hardly anything, and what they answer is so short that net/http sends it
	// once they have returned, so that nobody who does not read holds anything up.
	free bool
	// page routes are for people: they know browsers by their cookie, and tell them what is wrong on a page. No other
	// route looks at cookies.
	page bool
	// packed routes answer with what is made on the fly, which is compressed for those who take it so. What has a digest, a
	// length or ranges of its own is not.
	packed bool
	// also tells that there is another route of the same path, which takes posts.
	also bool
	// posts take a body. Of these, signed ones need no token where the body is signed, and take one from the query.
	posts, signed bool

	serve func(http.ResponseWriter, *request) error
}

const (
	pathTenants = "/api/v1/tenants"
	pathReports = pathTenants + "/{tenant}/reports"
	pathMonth   = pathReports + "/{month}"

	pathAsset = "/assets/{name}"

	pathSignIn    = "/sign-in"
	pathSignOut   = "/sign-out"
	pathRuns      = "/runs"
	pathPageList  = "/reports"
	pathPageMonth = pathPageList + "/{tenant}/{month}"

	pathIntakeEvents    = "/intake/events"
	pathIntakeFlussonic = "/intake/flussonic"
)

// routes is every route there is.
func (v *service) routes() []route {
	none, which := []string{}, []string{"run", "restatement"}
	link := append([]string{"expires"}, which...)
	return []route{
		{path: "/{$}", who: tenants, page: true, packed: true, form: true, query: []string{"month", "tenant"}, serve: v.dashboardPage},
		{path: pathSessions, who: tenants, page: true, packed: true, form: true, grant: schemas.ReportSessions, query: sessionsQuery(), many: "server", serve: v.sessionsPage},
		{path: pathSessionsTab, who: tenants, page: true, packed: true, form: true, grant: schemas.ReportSessions, query: sessionsQuery(), many: "server", serve: v.sessionsPage},
		{path: pathSessionsExport, who: tenants, page: true, packed: true, form: true, grant: schemas.ReportSessions, query: sessionsQuery(), many: "server", serve: v.exportSessions},
		{path: pathAsset, who: everybody, free: true, serve: v.asset},
		{path: "/healthz", who: everybody, free: true, serve: v.health},
		{path: "/readyz", who: anybody, free: true, serve: v.ready},
		{path: "/metrics", who: admins, serve: v.metrics},

		{path: pathIntakeEvents, who: nodes, posts: true, query: []string{"tenant"}, serve: v.postEvents},
		{path: pathIntakeFlussonic, who: nodes, posts: true, signed: true, query: []string{"tenant", "token"}, serve: v.postFlussonic},

		{path: "/api/v1/openapi.json", who: everybody, packed: true, query: none, serve: v.openapi},
		{path: "/api/v1/allowed_signers", who: tenants, query: none, serve: v.signers},
		{path: pathTenants, who: tenants, packed: true, query: none, serve: v.tenants},
		{path: pathReports, who: tenants, packed: true, query: none, serve: v.months},
		{path: pathMonth, who: tenants, packed: true, query: none, serve: v.month},

		{path: pathMonth + "/usage", who: tenants, grant: schemas.ReportUsage, query: which, serve: v.report(schemas.ReportUsage)},
		{path: pathMonth + "/sessions", who: tenants, grant: schemas.ReportSessions, query: which, serve: v.report(schemas.ReportSessions)},
		{path: pathMonth + "/diff", who: tenants, grant: schemas.ReportUsage, query: which, serve: v.report(schemas.ReportDiff)},
		{path: pathMonth + "/inputs", who: tenants, grant: schemas.ReportUsage, query: which, serve: v.inputs},
		{path: pathMonth + "/manifest", who: tenants, query: which, serve: v.manifest},
		{path: pathMonth + "/signature", who: tenants, query: which, serve: v.signature},
		{path: pathMonth + "/usage/link", who: tenants, grant: schemas.ReportUsage, query: link, serve: v.link(schemas.ReportUsage)},
		{path: pathMonth + "/sessions/link", who: tenants, grant: schemas.ReportSessions, query: link, serve: v.link(schemas.ReportSessions)},

		{path: pathSignIn, who: everybody, page: true, also: true, packed: true, query: []string{"next", "ended"}, serve: v.signInPage},
		{path: pathSignIn, who: everybody, page: true, posts: true, query: none, serve: v.signIn},
		{path: pathSignOut, who: everybody, page: true, posts: true, query: none, serve: v.signOut},

		{path: pathPageList, who: tenants, page: true, packed: true, query: []string{"tenant", "before"}, serve: v.reportsPage},
		{path: pathPageMonth, who: tenants, page: true, packed: true, query: none, serve: v.monthPage},
		{path: pathPageMonth + "/verify", who: tenants, page: true, posts: true, query: none, serve: v.verifyMonth},
		{path: pathPageMonth + "/usage", who: tenants, page: true, grant: schemas.ReportUsage, query: which, serve: v.report(schemas.ReportUsage)},
		{path: pathPageMonth + "/sessions", who: tenants, page: true, grant: schemas.ReportSessions, query: which, serve: v.report(schemas.ReportSessions)},
		{path: pathPageMonth + "/diff", who: tenants, page: true, grant: schemas.ReportUsage, query: which, serve: v.report(schemas.ReportDiff)},
		{path: pathPageMonth + "/inputs", who: tenants, page: true, grant: schemas.ReportUsage, query: which, serve: v.inputs},
		{path: pathPageMonth + "/manifest", who: tenants, page: true, query: which, serve: v.manifest},
		{path: pathPageMonth + "/signature", who: tenants, page: true, query: which, serve: v.signature},

		{path: pathRuns, who: admins, page: true, also: true, packed: true, query: none, serve: v.runsPage},
		{path: pathRuns, who: admins, page: true, posts: true, query: none, serve: v.runNow},
	}
}

// methods of a route, as an Allow header has them.
func (rt *route) methods() string {
	switch {
	case rt.posts:
		return http.MethodPost
	case rt.also:
		return "GET, HEAD, POST"
	}
	return "GET, HEAD"
}

// takes tells whether a route is asked by a method.
func (rt *route) takes(method string) bool {
	if rt.posts {
		return method == http.MethodPost
	}
	return method == http.MethodGet || method == http.MethodHead
}

// mux finds the route of a request.
func (v *service) mux() http.Handler {
	mux := http.NewServeMux()
	twice := make(map[string]*route)
	for _, rt := range v.routes() {
		if rt.also {
			twice[rt.path] = &rt
			continue
		}
		mux.Handle(rt.path, v.either(twice[rt.path], &rt))
	}
	nowhere := v.answer(&route{who: everybody, page: true, free: true, serve: func(http.ResponseWriter, *request) error { return noSuchPage() }})
	mux.Handle("/", nowhere)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !plainPath(r) {
			nowhere.ServeHTTP(w, r)
			return
		}
		mux.ServeHTTP(w, r)
	})
}

// either is the answer of a path: that of its posts to a POST, where it has both kinds.
func (v *service) either(gets, posts *route) http.Handler {
	if gets == nil {
		return v.answer(posts)
	}
	get, post := v.answer(gets), v.answer(posts)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			post.ServeHTTP(w, r)
			return
		}
		get.ServeHTTP(w, r)
	})
}

// people tells whether a request of the route is taken for one of a browser with somebody in front of it. What is not
// there is for people, unless it would be for programs.
func (rt *route) people(r *http.Request) bool {
	return rt.page && !strings.HasPrefix(r.URL.Path, "/api/") && !strings.HasPrefix(r.URL.Path, "/intake/")
}

// plainPath tells whether a path is written in the one way that ours are: no empty element, no . or ..,
// nothing escaped. The others are not found, instead of cleaned up: there is no second name for anything.
func plainPath(r *http.Request) bool { return isPlain(r.URL.EscapedPath()) }

func isPlain(p string) bool {
	if !strings.HasPrefix(p, "/") || strings.ContainsAny(p, "%\\;") || strings.Contains(p, "//") {
		return false
	}
	for element := range strings.SplitSeq(p, "/") {
		if element == "." || element == ".." {
			return false
		}
	}
	return true
}

// label is how a route is called in metrics and records.
func (rt *route) label() string {
	switch rt.path {
	case "":
		return "none"
	case "/{$}":
		return "/"
	}
	return rt.path
}
