package web

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/playmeter/playmeter/schemas"
)

// asker is somebody with or without a token.
type asker struct {
	name, token string
	header      []string
}

var askers = []asker{
	{"no token", "", nil},
	{"a malformed one", malformedToken, nil},
	{"a wrong one", wrongToken, nil},
	{"an expired one", expiredToken, nil},
	{"a revoked one", revokedToken, nil},
	{"a node's", nodeToken, nil},
	{"a node's of this tenant", boundNodeToken, nil},
	{"one of a role nobody knows", oddToken, nil},
	{"one for no report", reportsOfNone, nil},
	{"one for sessions alone", sessionsToken, nil},
	{"one for usage alone", usageToken, nil},
	{"another tenant's", sportsToken, nil},
	{"the tenant's", filmsToken, nil},
	{"an admin's", adminToken, nil},
}

// TestEveryRouteForEverybody is who may do what. The columns are the askers, in their order.
func TestEveryRouteForEverybody(t *testing.T) {
	w := sampleWorld(t)
	month, final := w.folder(w.films, november), w.folder(w.films, october)
	none, foreign := w.folder("nobody", november), w.folder(w.sports, november)
	// -: 401, f: 403, 4: 404, +: 200
	tests := []struct{ path, want string }{
		{"/", "-----ffff+++" + "++"},
		{"/metrics", "-----fffffff" + "f+"},
		{"/healthz", "++++++++++++" + "++"},
		{"/readyz", "+----+++++++" + "++"},
		{"/api/v1/openapi.json", "++++++++++++" + "++"},
		{"/api/v1/nothing", "444444444444" + "44"},
		{"/api/v1/allowed_signers", "-----ffff+++" + "++"},
		{"/api/v1/tenants", "-----fff++++" + "++"},
		{"/api/v1/tenants/" + string(w.films) + "/reports", "-----ffff++4" + "++"},
		{month, "-----ffff++4" + "++"},
		{month + "/usage", "-----fffff+4" + "++"},
		{month + "/sessions", "-----ffff+f4" + "++"},
		{month + "/manifest", "-----ffff++4" + "++"},
		{month + "/signature", "-----ffff++4" + "++"},
		{month + "/inputs", "-----fffff+4" + "++"},
		{month + "/usage/link", "-----fffff+4" + "++"},
		{month + "/sessions/link", "-----ffff+f4" + "++"},
		{month + "/usage?run=" + w.before, "-----fffff+4" + "++"},
		{final + "/usage?restatement=1", "-----fffff+4" + "++"},
		{final + "/diff", "-----fffff+4" + "++"},
		{final + "/diff?restatement=1", "-----fffff+4" + "++"},

		{"/sign-in", "++++++++++++" + "++"},
		{"/reports", "-----ffff+++" + "++"},
		{"/runs", "-----fffffff" + "f+"},
		{"/?tenant=" + string(w.films), "-----ffff++4" + "++"},
		{"/sessions?from=2026-11-01", "-----ffff+f+" + "++"},
		{"/sessions/users?from=2026-11-01", "-----ffff+f+" + "++"},
		{"/sessions/users?from=2026-11-01&tenant=" + string(w.sports), "-----ffff4f4" + "4+"},
		{"/sessions/users/export.csv?from=2026-11-01", "-----ffff4f4" + "44"}, // there are no statistics
		{"/sessions/users/export.csv?from=2026-11-01&tenant=" + string(w.sports), "-----ffff4f4" + "44"},
		{monthPath(w.films, november), "-----ffff++4" + "++"},
		{monthPath(w.films, november) + "/usage", "-----fffff+4" + "++"},
		{monthPath(w.films, november) + "/sessions", "-----ffff+f4" + "++"},
		{monthPath(w.films, november) + "/manifest", "-----ffff++4" + "++"},
		{monthPath(w.films, november) + "/signature", "-----ffff++4" + "++"},
		{monthPath(w.films, november) + "/inputs", "-----fffff+4" + "++"},
		{monthPath(w.films, october) + "/diff", "-----fffff+4" + "++"},
		{monthPath(w.sports, november), "-----fff4444" + "4+"},
		{monthPath(w.sports, november) + "/usage", "-----fff4444" + "4+"},
		{monthPath("nobody", november), "-----fff4444" + "44"},

		// Of other tenants there is nothing, whatever is asked.
		{foreign, "-----fff4444" + "4+"}, // the sports' own token is tested below
		{foreign + "/usage", "-----fff4444" + "4+"},
		{foreign + "/sessions", "-----fff4444" + "4+"},
		{foreign + "/usage/link?expires=nonsense", "-----fff4444" + "4?"},
		{none, "-----fff4444" + "44"},
		{none + "/usage", "-----fff4444" + "44"},
		{none + "/sessions/link", "-----fff4444" + "44"},
		{"/api/v1/tenants/nobody/reports", "-----fff4444" + "44"},
	}
	codes := map[byte]int{'-': 401, 'f': 403, '4': 404, '+': 200}
	for _, tt := range tests {
		s := serveWorld(t)
		for i, who := range askers {
			if who.token == sportsToken && strings.Contains(tt.path, string(w.sports)) || tt.want[i] == '?' {
				continue
			}
			for _, method := range []string{http.MethodGet, http.MethodHead} {
				// Each comes from elsewhere, so that nobody's failures are held against another.
				got := s.ask(method, tt.path, who.token, "Address", fmt.Sprintf("127.0.0.%d:1", i+1))
				if want := codes[tt.want[i]]; got.Code != want {
					t.Errorf("%s %s with %s: %d, want %d: %s", method, tt.path, who.name, got.Code, want, got.Body)
				}
				checkAnswer(t, method, tt.path, got)
				if who.token != adminToken && strings.Contains(leakable(got), string(w.sports)) && who.token != sportsToken {
					t.Errorf("%s with %s: the answer names another tenant: %s", tt.path, who.name, got.Body)
				}
			}
		}
	}
}

// checkAnswer is what holds of every answer.
func checkAnswer(t *testing.T, method, path string, got *httptest.ResponseRecorder) {
	t.Helper()
	policy, vary := "no-referrer", "Authorization"
	if got.Header().Get("Referrer-Policy") == "same-origin" && !strings.HasPrefix(path, pathTenants) && path != "/healthz" && path != "/readyz" && path != "/metrics" {
		policy, vary = "same-origin", "Authorization, Cookie" // for people: see pageHeaders
	}
	for name, want := range map[string]string{"X-Content-Type-Options": "nosniff", "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
		"Cross-Origin-Opener-Policy": "same-origin", "Permissions-Policy": permissionsPolicy,
		"Referrer-Policy": policy, "Vary": vary} {
		if got.Header().Get(name) != want {
			t.Errorf("%s %s: %s is %q", method, path, name, got.Header().Get(name))
		}
	}
	if got.Header().Get("Cache-Control") == "" {
		t.Errorf("%s %s: nothing is said of caches", method, path)
	}
	if method == http.MethodHead && got.Body.Len() > 0 && path != "/healthz" && path != "/readyz" && path != "/" && path != "/metrics" { // net/http drops these
		t.Errorf("%s %s: a body of %d bytes", method, path, got.Body.Len())
	}
	if got.Code < 400 || method == http.MethodHead || path == "/readyz" && got.Code == 503 {
		return
	}
	var p problem
	if err := json.Unmarshal(got.Body.Bytes(), &p); err != nil || p.Status != got.Code || p.Detail == "" || p.Title == "" || got.Header().Get("Content-Type") != "application/problem+json" {
		t.Errorf("%s %s: %d is no problem: %v, %s", method, path, got.Code, err, got.Body)
	}
	if got.Code == 401 && !strings.HasPrefix(got.Header().Get("Www-Authenticate"), "Bearer ") {
		t.Errorf("%s %s: 401 says %q", method, path, got.Header()["Www-Authenticate"])
	}
	for _, secret := range []string{adminToken, filmsToken, wrongToken, expiredToken} {
		if strings.Contains(leakable(got), secret) {
			t.Errorf("%s %s: the answer shows a token: %s", method, path, got.Body)
		}
	}
}

// leakable is all that an answer says.
func leakable(w *httptest.ResponseRecorder) string {
	return fmt.Sprint(w.Header()) + w.Body.String()
}

// TestAnotherTenantIsAsOneThatIsNot: with a tenant's token nothing may tell the two apart.
func TestAnotherTenantIsAsOneThatIsNot(t *testing.T) {
	w := sampleWorld(t)
	for _, token := range []string{filmsToken, usageToken, sessionsToken, reportsOfNone} {
		for _, suffix := range []string{"", "/" + november.String(), "/2026-13", "/2020-01", "/" + november.String() + "/usage", "/" + november.String() + "/sessions/link?expires=x",
			"/" + november.String() + "/usage?run=" + w.current, "/" + november.String() + "/usage?run=nonsense", "/" + november.String() + "/manifest?restatement=7", "/" + november.String() + "/nothing"} {
			s := serveWorld(t)
			answers := make(map[string]string)
			for _, tenant := range []string{string(w.sports), string(w.museum), "nobody", strings.Repeat("x", 64), "bad!id", strings.Repeat("y", 65)} {
				path := "/api/v1/tenants/" + tenant + "/reports" + suffix
				got := s.get(path, token, 404)
				answers[strings.ReplaceAll(leakable(got), tenant, "TENANT")] = tenant
			}
			if len(answers) != 1 {
				t.Errorf("%s with %s: answers differ: %v", suffix, token, answers)
			}
		}
	}
}

func TestListsShowWhatTheTokenIsFor(t *testing.T) {
	w := sampleWorld(t)
	s := serveWorld(t)
	for token, want := range map[string]string{
		filmsToken:    fmt.Sprintf(`{"tenants":[{"id":%q,"name":%q,"reports":["usage","sessions"]}]}`, w.films, w.Tenants[0].Name),
		usageToken:    fmt.Sprintf(`{"tenants":[{"id":%q,"name":%q,"reports":["usage"]}]}`, w.films, w.Tenants[0].Name),
		reportsOfNone: fmt.Sprintf(`{"tenants":[{"id":%q,"name":%q,"reports":[]}]}`, w.films, w.Tenants[0].Name),
		goneToken:     fmt.Sprintf(`{"tenants":[{"id":%q,"name":%q,"reports":["usage","sessions"]}]}`, formerTenants, formerTenants),
	} {
		if got := strings.TrimSpace(s.get("/api/v1/tenants", token, 200).Body.String()); got != want {
			t.Errorf("%s lists %s, want %s", token, got, want)
		}
	}
	if got := s.get("/api/v1/tenants", adminToken, 200).Body.String(); strings.Count(got, `"id"`) != 3 {
		t.Errorf("an admin sees %s", got)
	}
	if got := s.get("/api/v1/tenants/"+formerTenants+"/reports", goneToken, 200).Body.String(); !strings.Contains(got, `"months":[]`) {
		t.Errorf("a tenant without months: %s", got)
	}
	for token, hidden := range map[string]string{usageToken: "sessions", sessionsToken: "usage"} {
		for _, path := range []string{"/api/v1/tenants/" + string(w.films) + "/reports", w.folder(w.films, november), w.folder(w.films, october)} {
			if got := s.get(path, token, 200).Body.String(); strings.Contains(got, `"`+hidden) {
				t.Errorf("%s with %s: %s", path, token, got)
			}
		}
	}
	var months monthsAnswer
	if err := json.Unmarshal(s.get("/api/v1/tenants/"+string(w.films)+"/reports", filmsToken, 200).Body.Bytes(), &months); err != nil {
		t.Fatal(err)
	}
	if len(months.Months) != 2 || months.Months[0].Month != october || months.Months[0].State != "final" || len(months.Months[0].Restatements) != 1 ||
		months.Months[0].Restatements[0].Run != w.restatement || months.Months[1].Run != w.current || months.Months[1].State != "open" || len(months.Months[1].Reports) != 2 {
		t.Errorf("the months: %+v", months)
	}
	var month monthAnswer
	if err := json.Unmarshal(s.get(w.folder(w.films, november), filmsToken, 200).Body.Bytes(), &month); err != nil {
		t.Fatal(err)
	}
	if len(month.Runs) != 2 || month.Runs[0].Run != w.before || month.Runs[1].Run != w.current || !month.Runs[1].Current || month.Tenant != w.films {
		t.Errorf("November: %+v", month)
	}
}

// TestTricksWithPathsLeadNowhere: a path has one form.
func TestTricksWithPathsLeadNowhere(t *testing.T) {
	w := sampleWorld(t)
	s := serveWorld(t)
	films, sports := w.folder(w.films, november), w.folder(w.sports, november)
	paths := []string{
		films + "/../" + november.String() + "/usage", films + "/./usage", films + "//usage", "//api/v1/tenants", "/api//v1/tenants", films + "/usage/",
		films + "/%75sage", films + "/usage%00", films + "/usage%2f", films + "%2fusage", films + "/usage;x", films + "/usage%0d%0aX-Evil:1",
		"/api/v1/tenants/" + string(w.films) + "/reports/../../" + string(w.sports) + "/reports/" + november.String() + "/usage",
		"/api/v1/tenants/" + string(w.films) + "%2f..%2f" + string(w.sports) + "/reports/" + november.String() + "/usage",
		"/api/v1/tenants/%2e%2e/reports", "/api/v1/tenants/../reports", "/api/v1/tenants/./reports", "/api/v1/tenants/%00/reports",
		"/api/v1/tenants/" + string(w.films) + "/reports/%32026-11", "/api/v1/tenants/" + string(w.films) + "\\..\\x/reports",
		"/api/v1/tenants//reports", "/api/v1/tenants/" + string(w.films) + "/reports//usage", "/api/v1/tenants/..%5c" + string(w.films) + "/reports",
		strings.ToUpper(films) + "/usage", films + "/USAGE", "/api/v1/../../metrics", "/./metrics", "/metrics/", "/%6detrics", "/api/v1/tenants/", "/healthz/",
		films + "/runs/" + w.current + "/usage.csv.gz.age", "/reporting/" + string(w.films), films + "/manifest.json", films + "/usage.csv.gz.age",
		"/api/v1/tenants/" + string(w.films) + "/reports/2026-1/usage", "/api/v1/tenants/" + string(w.films) + "/reports/2026-13/usage", "/api/v1/tenants/" + string(w.films) + "/reports/1999-12/usage",
		"/api/v1/tenants/" + string(w.films) + "/reports/2026-11-01/usage", "/api/v1/tenants/" + string(w.films) + "/reports/+2026-11/usage",
		"/api/v1/tenants/" + schemas.SignersFile + "/reports",
	}
	for _, path := range paths {
		for _, token := range []string{filmsToken, adminToken} {
			got := s.ask(http.MethodGet, path, token)
			if got.Code != 404 || got.Header().Get("Location") != "" {
				t.Errorf("%q: %d %s %s", path, got.Code, got.Header(), got.Body)
			}
			checkAnswer(t, http.MethodGet, path, got)
		}
	}
	_ = sports
}

func TestParametersAreStrict(t *testing.T) {
	w := sampleWorld(t)
	s := serveWorld(t)
	month, final := w.folder(w.films, november), w.folder(w.films, october)
	tests := []struct {
		name, path string
		status     int
	}{
		{"a run of another month", final + "/usage?run=" + w.current, 404},
		{"a run that never was", month + "/usage?run=2026-11-05T00-00-00Z-9", 404},
		{"a run whose reports are gone", month + "/usage?run=" + w.pruned, 410},
		{"its manifest is there", month + "/manifest?run=" + w.pruned, 200},
		{"its signature is there", month + "/signature?run=" + w.pruned, 200},
		{"its list of inputs is there", month + "/inputs?run=" + w.pruned, 200},
		{"a link to it would lead nowhere", month + "/usage/link?run=" + w.pruned, 410},
		{"the restatement by its run", final + "/usage?run=" + w.restatement, 200},
		{"a restatement that there is not", final + "/usage?restatement=2", 404},
		{"a month that was not restated has no diff", month + "/diff", 404},
		{"a run that is none has no diff", month + "/diff?run=" + w.current, 404},
		{"a month without reports", w.folder(w.films, november.Next()) + "/usage", 404},
		{"a month without reports has no page", w.folder(w.films, november.Next()), 404},
		{"a run is no path", month + "/usage?run=../../2026-10/runs/" + w.final, 400},
		{"a run is no path, escaped", month + "/usage?run=..%2f..%2f2026-10%2fruns%2f" + w.final, 400},
		{"a run with a line end", month + "/usage?run=" + w.current + "%0d%0aX-Evil:%201", 400},
		{"a run with a NUL", month + "/usage?run=" + w.current + "%00", 400},
		{"both", final + "/usage?run=" + w.final + "&restatement=1", 400},
		{"restatement 0", final + "/usage?restatement=0", 400},
		{"restatement -1", final + "/usage?restatement=-1", 400},
		{"restatement 01", final + "/usage?restatement=01", 400},
		{"restatement 1e0", final + "/usage?restatement=1e0", 400},
		{"a very large restatement", final + "/usage?restatement=99999999999999999999", 400},
		{"an empty parameter", final + "/usage?run=", 400},
		{"a parameter twice", final + "/usage?restatement=1&restatement=1", 400},
		{"an unknown parameter", final + "/usage?runs=" + w.final, 400},
		{"a token as a parameter", final + "/usage?token=" + filmsToken, 400},
		{"a parameter where there is none", "/api/v1/tenants?x=1", 400},
		{"broken escapes", final + "/usage?run=%zz", 400},
		{"semicolons", final + "/usage?run=a;b", 400},
		{"a link for too long", month + "/usage/link?expires=169h", 400},
		{"a link for a week", month + "/usage/link?expires=168h", 200},
		{"a link for no time", month + "/usage/link?expires=0s", 400},
		{"a link for less than none", month + "/usage/link?expires=-1h", 400},
		{"a link for half a second", month + "/usage/link?expires=500ms", 400},
		{"a link for a number", month + "/usage/link?expires=3600", 400},
		{"expires of what is no link", month + "/usage?expires=1h", 400},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := s.ask(http.MethodGet, tt.path, filmsToken)
			if got.Code != tt.status {
				t.Errorf("%d, want %d: %s", got.Code, tt.status, got.Body)
			}
			if got.Header().Get("X-Evil") != "" || strings.Contains(got.Body.String(), filmsToken) {
				t.Errorf("%v %s", got.Header(), got.Body)
			}
			checkAnswer(t, http.MethodGet, tt.path, got)
		})
	}
}

func TestOnlyGetAndHeadAndNoBody(t *testing.T) {
	w := sampleWorld(t)
	s := serveWorld(t)
	for _, path := range []string{"/", "/healthz", "/api/v1/tenants", w.folder(w.films, november) + "/usage"} {
		for _, method := range []string{"POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "PROPFIND", "get"} {
			got := s.ask(method, path, adminToken)
			if got.Code != http.StatusMethodNotAllowed || got.Header().Get("Allow") != "GET, HEAD" {
				t.Errorf("%s %s: %d %v", method, path, got.Code, got.Header())
			}
			checkAnswer(t, method, path, got)
		}
	}
	for path, allow := range map[string]string{pathSignIn: "GET, HEAD, POST", pathRuns: "GET, HEAD, POST", pathSignOut: "POST", monthPath(w.films, november) + "/verify": "POST"} {
		if got := s.ask(http.MethodPut, path, adminToken); got.Code != http.StatusMethodNotAllowed || got.Header().Get("Allow") != allow {
			t.Errorf("PUT %s: %d %v", path, got.Code, got.Header())
		}
	}
	r := httptest.NewRequest(http.MethodGet, "http://localhost/api/v1/tenants", strings.NewReader("{}"))
	r.Header.Set("Authorization", "Bearer "+adminToken)
	got := httptest.NewRecorder()
	s.handler.ServeHTTP(got, r)
	if got.Code != http.StatusBadRequest || got.Header().Get("Connection") != "close" {
		t.Errorf("a GET with a body: %d %v", got.Code, got.Header())
	}
}

func TestWithoutTokensOnlyThisMachineIsAnswered(t *testing.T) {
	w := sampleWorld(t)
	s := serveWorld(t)
	s.tokens.none = true
	path := w.folder(w.films, november) + "/usage"
	tests := []struct {
		name   string
		header []string
		status int
	}{
		{"this machine", nil, 200},
		{"this machine, by IPv6", []string{"Address", "[::1]:1", "Host", "[::1]:8080"}, 200},
		{"this machine, mapped", []string{"Address", "[::ffff:127.0.0.1]:1"}, 200},
		{"a token is not looked at", []string{"Authorization", "Bearer " + wrongToken}, 200},
		{"another machine", []string{"Address", "192.0.2.1:1"}, 403},
		{"another machine that says otherwise", []string{"Address", "192.0.2.1:1", "Host", "localhost", "X-Forwarded-For", "127.0.0.1"}, 403},
		{"another host's name", []string{"Host", "evil.example.com"}, 403},
		{"a name that only begins like ours", []string{"Host", "localhost.example.com"}, 403},
	}
	for _, tt := range tests {
		for _, p := range []string{path, "/", "/metrics", "/api/v1/tenants", "/healthz", "/readyz", "/api/v1/openapi.json", "/nothing"} {
			want := tt.status
			if p == "/nothing" && want == 200 {
				want = 404
			}
			if got := s.ask(http.MethodGet, p, "", tt.header...); got.Code != want {
				t.Errorf("%s, %s: %d, want %d: %s", tt.name, p, got.Code, want, got.Body)
			}
		}
	}
	if s.tokens.count() > 0 {
		t.Error("tokens were looked at")
	}
	if got := s.recorded(); !strings.Contains(got, `"event":"granted"`) || !strings.Contains(got, `"role":"local"`) {
		t.Errorf("on record is %s", got)
	}
}

func TestTokensThatCannotBeReadLetNobodyIn(t *testing.T) {
	s := serveWorld(t)
	s.tokens.any = os.ErrPermission
	for _, path := range []string{"/", "/healthz", "/api/v1/tenants"} {
		if got := s.get(path, adminToken, 503); strings.Contains(got.Body.String(), "permission") || got.Header().Get("Retry-After") == "" {
			t.Errorf("%s: %v %s", path, got.Header(), got.Body)
		}
	}
	if !strings.Contains(s.said.String(), "permission") {
		t.Errorf("the log says %s", s.said)
	}
}

func TestReadinessTellsStrangersNoMore(t *testing.T) {
	s := serveWorld(t)
	s.Ready = func(context.Context) error { return os.ErrDeadlineExceeded }
	for token, want := range map[string]string{"": "not ready\n", filmsToken: "not ready\n", nodeToken: "not ready\n", adminToken: "not ready: i/o timeout\n"} {
		if got := s.get("/readyz", token, 503).Body.String(); got != want {
			t.Errorf("with %q: %q, want %q", token, got, want)
		}
	}
}

func TestReadinessIsNotLookedAtAsOftenAsAsked(t *testing.T) {
	s := serveWorld(t)
	asked := 0
	s.Ready = func(context.Context) error { asked++; return nil }
	for range 50 {
		s.get("/readyz", "", 200)
	}
	s.clock.move(lookEvery)
	s.get("/readyz", "", 200)
	if asked != 2 {
		t.Errorf("the store was asked %d times", asked)
	}
}
