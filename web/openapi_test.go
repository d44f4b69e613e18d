package web

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// apiDoc is openapi.json as the tests read it.
type apiDoc struct {
	OpenAPI  string
	Security []map[string][]string
	Paths    map[string]map[string]apiOperation
	raw      any
	schemas  *jsonschema.Compiler
}

type apiOperation struct {
	OperationID string
	Security    *[]map[string][]string
	Parameters  []map[string]string // references
	Responses   map[string]any
}

const docURL = "http://localhost/openapi.json"

func readDoc(t *testing.T) *apiDoc {
	t.Helper()
	var d apiDoc
	if err := json.Unmarshal(openapiText, &d); err != nil {
		t.Fatal(err)
	}
	raw, err := jsonschema.UnmarshalJSON(bytes.NewReader(openapiText))
	if err != nil {
		t.Fatal(err)
	}
	d.raw = raw
	d.schemas = jsonschema.NewCompiler()
	d.schemas.DefaultDraft(jsonschema.Draft2020) // OpenAPI 3.1's
	d.schemas.AssertFormat()
	if err := d.schemas.AddResource(docURL, raw); err != nil {
		t.Fatal(err)
	}
	return &d
}

// at follows a JSON pointer, and references on the way.
func (d *apiDoc) at(t *testing.T, pointer string) (value any, resolved string) {
	t.Helper()
	value = d.raw
	done := ""
	for _, part := range strings.Split(strings.TrimPrefix(pointer, "/"), "/") {
		m, ok := value.(map[string]any)
		if !ok {
			t.Fatalf("%s leads nowhere at %s", pointer, done)
		}
		if value, ok = m[strings.NewReplacer("~1", "/", "~0", "~").Replace(part)]; !ok {
			return nil, ""
		}
		done += "/" + part
		if ref, ok := value.(map[string]any); ok {
			if to, ok := ref["$ref"].(string); ok && len(ref) == 1 {
				value, done = d.at(t, strings.TrimPrefix(to, "#"))
			}
		}
	}
	return value, done
}

func (d *apiDoc) schema(t *testing.T, pointer string) *jsonschema.Schema {
	t.Helper()
	s, err := d.schemas.Compile(docURL + "#" + strings.ReplaceAll(strings.ReplaceAll(pointer, "{", "%7B"), "}", "%7D"))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func escaped(s string) string { return strings.NewReplacer("~", "~0", "/", "~1").Replace(s) }

// TestTheDocumentAndTheRoutesAreTheSame, in both directions: paths, parameters, who may.
func TestTheDocumentAndTheRoutesAreTheSame(t *testing.T) {
	d := readDoc(t)
	if !strings.HasPrefix(d.OpenAPI, "3.1.") || len(d.Security) != 2 {
		t.Errorf("OpenAPI %s, security %v", d.OpenAPI, d.Security)
	}
	v := &service{Site: newSite(nil)}
	known := make(map[string]bool)
	inPath := regexp.MustCompile(`\{(\w+)\}`)
	ids := make(map[string]string)
	for _, rt := range v.routes() {
		path := rt.label()
		if rt.page || path == pathAsset { // those are for people, and no part of the API
			if _, there := d.Paths[path]; there {
				t.Errorf("%s is a page, and in the document", path)
			}
			continue
		}
		known[path] = true
		op, ok := d.Paths[path][methodOf(rt)]
		if !ok || len(d.Paths[path]) != 1 {
			t.Errorf("%s is not in the document as one %s", path, methodOf(rt))
			continue
		}
		if other := ids[op.OperationID]; other != "" || op.OperationID == "" {
			t.Errorf("%s is called %q, as is %q", path, op.OperationID, other)
		}
		ids[op.OperationID] = path
		var want, got []string
		for _, name := range inPath.FindAllStringSubmatch(path, -1) {
			want = append(want, "path "+name[1])
		}
		for _, name := range rt.query {
			want = append(want, "query "+name)
		}
		for _, p := range op.Parameters {
			value, _ := d.at(t, strings.TrimPrefix(p["$ref"], "#"))
			m := value.(map[string]any)
			got = append(got, fmt.Sprint(m["in"], " ", m["name"]))
			if m["in"] == "path" && m["required"] != true {
				t.Errorf("%s: %s is not required", path, m["name"])
			}
		}
		slices.Sort(want)
		slices.Sort(got)
		if !slices.Equal(want, got) {
			t.Errorf("%s takes %q, the document says %q", path, want, got)
		}
		checkSecurity(t, path, rt.who, op.Security)
		for _, code := range codesOf(rt) {
			if _, ok := op.Responses[code]; !ok {
				t.Errorf("%s: the document has no answer %s", path, code)
			}
		}
	}
	for path := range d.Paths {
		if !known[path] {
			t.Errorf("%s is in the document, and there is no such route", path)
		}
	}
	components, _ := d.at(t, "/components")
	for kind, all := range components.(map[string]any) {
		for name := range all.(map[string]any) {
			used := fmt.Sprintf(`"#/components/%s/%s"`, kind, name)
			if kind != "securitySchemes" && !bytes.Contains(openapiText, []byte(used)) {
				t.Errorf("%s is not used", used)
			}
		}
	}
}

func checkSecurity(t *testing.T, path string, who access, got *[]map[string][]string) {
	t.Helper()
	switch {
	case who == everybody && (got == nil || len(*got) != 0), who == anybody && (got == nil || len(*got) != 3 || len((*got)[0]) != 0), who >= admins && got != nil:
		t.Errorf("%s is for %v, the document says %v", path, who, got)
	}
}

// methodOf is a route's method, as the document writes it.
func methodOf(rt route) string {
	if rt.posts {
		return "post"
	}
	return "get"
}

// codesOf are the answers that a route cannot be without.
func codesOf(rt route) []string {
	codes := []string{"200", "403", "405", "503"}
	if rt.posts {
		codes = append(codes, "413", "415")
	}
	if rt.who != everybody {
		codes = append(codes, "401", "429")
	}
	if rt.query != nil {
		codes = append(codes, "400")
	}
	if strings.Contains(rt.path, "{tenant}") {
		codes = append(codes, "404")
	}
	return codes
}

// TestAnswersAreAsTheDocumentSays holds answers of every route, good ones and problems, against its schemas.
func TestAnswersAreAsTheDocumentSays(t *testing.T) {
	w := sampleWorld(t)
	d := readDoc(t)
	seen := make(map[string]bool)
	month, final := w.folder(w.films, november), w.folder(w.films, october)
	reports := "/api/v1/tenants/" + string(w.films) + "/reports"
	requests := []struct {
		path, token string
		header      []string
	}{
		{"/healthz", "", nil}, {"/readyz", "", nil}, {"/readyz", adminToken, nil}, {"/readyz", wrongToken, nil},
		{"/metrics", adminToken, nil}, {"/metrics", nodeToken, nil}, {"/api/v1/openapi.json", "", nil}, {"/api/v1/openapi.json?x=1", "", nil},
		{"/api/v1/allowed_signers", filmsToken, nil}, {"/api/v1/allowed_signers", filmsToken, []string{"If-None-Match", "*"}}, {"/api/v1/allowed_signers", filmsToken, []string{"Range", "bytes=0-3"}},
		{"/api/v1/tenants", adminToken, nil}, {"/api/v1/tenants", filmsToken, nil}, {"/api/v1/tenants", reportsOfNone, nil}, {"/api/v1/tenants", nodeToken, nil}, {"/api/v1/tenants", wrongToken, nil},
		{reports, filmsToken, nil}, {reports, usageToken, nil}, {reports, sportsToken, nil}, {reports, reportsOfNone, nil},
		{"/api/v1/tenants/" + formerTenants + "/reports", goneToken, nil},
		{month, filmsToken, nil}, {final, filmsToken, nil}, {final, usageToken, nil}, {final, sportsToken, nil}, {final + "?x=1", filmsToken, nil}, {w.folder(w.museum, october), museumToken, nil},
	}
	for _, name := range []string{"usage", "sessions", "inputs", "manifest", "signature", "diff", "usage/link", "sessions/link"} {
		for _, path := range []string{month, final} {
			requests = append(requests, []struct {
				path, token string
				header      []string
			}{
				{path + "/" + name, filmsToken, nil}, {path + "/" + name + "?restatement=1", filmsToken, nil}, {path + "/" + name + "?run=" + w.pruned, filmsToken, nil}, {path + "/" + name + "?run=" + w.before, adminToken, nil},
				{path + "/" + name, filmsToken, []string{"Range", "bytes=0-9"}}, {path + "/" + name, filmsToken, []string{"Range", "bytes=0-1,4-5"}}, {path + "/" + name, filmsToken, []string{"Range", "bytes=99999999-"}},
				{path + "/" + name, filmsToken, []string{"If-None-Match", "*"}}, {path + "/" + name, filmsToken, []string{"If-Match", `"x"`}},
				{path + "/" + name, sportsToken, nil}, {path + "/" + name, "", nil}, {path + "/" + name, wrongToken, nil}, {path + "/" + name + "?run=x", filmsToken, nil}, {path + "/" + name, nodeToken, nil},
				{path + "/" + name, filmsToken, []string{"Address", "192.0.2.1:1"}},
			}...)
		}
	}
	for i, r := range requests {
		s := serveWorld(t)
		pattern := ""
		for _, rt := range (&service{Site: s.Site}).routes() {
			if !rt.page && regexp.MustCompile("^"+regexp.MustCompile(`\{\w+\}`).ReplaceAllString(rt.label(), `[^/]+`)+`$`).MatchString(strings.SplitN(r.path, "?", 2)[0]) {
				pattern = rt.label()
			}
		}
		got := s.ask(http.MethodGet, r.path, r.token, r.header...)
		checkAgainst(t, d, pattern, r.path, got)
		seen[pattern] = true
		if i%7 == 0 { // and what else may happen on any of them
			checkAgainst(t, d, pattern, r.path, s.ask(http.MethodPost, r.path, r.token))
			s.tokens.any = http.ErrBodyNotAllowed
			checkAgainst(t, d, pattern, r.path, s.ask(http.MethodGet, r.path, r.token))
		}
	}
	for path := range d.Paths {
		if !seen[path] && d.Paths[path]["post"].OperationID == "" { // those are in intake_test.go

			t.Errorf("no answer of %s was looked at", path)
		}
	}
}

// checkAgainst holds an answer against its description: status, media type, headers, body.
func checkAgainst(t *testing.T, d *apiDoc, pattern, path string, got *httptest.ResponseRecorder) {
	t.Helper()
	method := slices.Collect(maps.Keys(d.Paths[pattern]))[0]
	place := fmt.Sprintf("/paths/%s/%s/responses/%d", escaped(pattern), method, got.Code)
	described, resolved := d.at(t, place)
	if described == nil {
		t.Errorf("%s is answered %d, which the document does not know: %s", path, got.Code, got.Body)
		return
	}
	response := described.(map[string]any)
	if headers, ok := response["headers"].(map[string]any); ok {
		for _, name := range slices.Sorted(maps.Keys(headers)) {
			value, at := d.at(t, resolved+"/headers/"+name)
			text := got.Header().Get(name)
			if text == "" && name == "Content-Range" && strings.HasPrefix(got.Header().Get("Content-Type"), "multipart/") {
				continue
			}
			if text == "" && got.Code == 503 && name == "Retry-After" && pattern == "/readyz" {
				continue
			}
			if value == nil || d.schema(t, at+"/schema").Validate(text) != nil || text == "" {
				t.Errorf("%s, %d: header %s is %q", path, got.Code, name, text)
			}
		}
	}
	media, _, _ := strings.Cut(got.Header().Get("Content-Type"), ";")
	content, ok := response["content"].(map[string]any)
	if !ok {
		if got.Body.Len() > 0 {
			t.Errorf("%s, %d: a body that the document does not know: %s", path, got.Code, got.Body)
		}
		return
	}
	if media == "" && (pattern == "/healthz" || pattern == "/readyz") {
		media = "text/plain" // net/http finds out
	}
	kind, ok := content[media].(map[string]any)
	if !ok {
		t.Errorf("%s, %d: it is %q, the document knows %v", path, got.Code, media, slices.Sorted(maps.Keys(content)))
		return
	}
	if kind["schema"] == nil || got.Code == http.StatusPartialContent {
		return
	}
	var body any = got.Body.String()
	if strings.HasSuffix(media, "json") {
		var err error
		if body, err = jsonschema.UnmarshalJSON(bytes.NewReader(got.Body.Bytes())); err != nil {
			t.Errorf("%s, %d: %v: %s", path, got.Code, err, got.Body)
			return
		}
	}
	if err := d.schema(t, resolved+"/content/"+escaped(media)+"/schema").Validate(body); err != nil {
		t.Errorf("%s, %d: %v: %.300s", path, got.Code, err, got.Body)
	}
}
