package servers_test

import (
	"bufio"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/playmeter/playmeter/bucket/internal/servers"
)

// A request is one that no client library would send: its path and query go as they are, and what is
// signed may be another spelling of the path.
type request struct {
	path, signed string
	query        []string // name=value, escaped
	header       [2]string
}

// send signs a request as an account does, sends it byte for byte, and reads the answer.
func (q request) send(t *testing.T, endpoint string, c servers.Credentials) (status int, body string) {
	t.Helper()
	host := strings.TrimPrefix(endpoint, "http://")
	conn, err := net.DialTimeout("tcp", host, 10*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(time.Minute))
	target := q.path
	if len(q.query) > 0 {
		target += "?" + strings.Join(q.query, "&")
	}
	headers := q.sign(host, c, time.Now().UTC())
	if _, err := fmt.Fprintf(conn, "GET %s HTTP/1.1\r\n%sConnection: close\r\n\r\n", target, headers); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return 0, "" // some services hang up on what they take for no HTTP
	}
	body, err = text(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, body
}

// sign gives the headers of a request, signed with AWS Signature Version 4.
func (q request) sign(host string, c servers.Credentials, now time.Time) string {
	const nothing = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" // the SHA-256 of no bytes
	day, stamp := now.Format("20060102"), now.Format("20060102T150405Z")
	headers := [][2]string{{"host", host}, {"x-amz-content-sha256", nothing}, {"x-amz-date", stamp}}
	if q.header[0] != "" {
		headers = append(headers, q.header)
	}
	slices.SortFunc(headers, func(a, b [2]string) int { return strings.Compare(a[0], b[0]) })
	var lines, sent strings.Builder
	var names []string
	for _, h := range headers {
		fmt.Fprintf(&lines, "%s:%s\n", h[0], h[1])
		fmt.Fprintf(&sent, "%s: %s\r\n", h[0], h[1])
		names = append(names, h[0])
	}
	query := slices.Clone(q.query)
	slices.SortStableFunc(query, func(a, b string) int { // by name: values of one name stay as they are sent
		a, _, _ = strings.Cut(a, "=")
		b, _, _ = strings.Cut(b, "=")
		return strings.Compare(a, b)
	})
	signed := strings.Join(names, ";")
	canonical := strings.Join([]string{"GET", q.signed, strings.Join(query, "&"), lines.String(), signed, nothing}, "\n")
	scope := day + "/us-east-1/s3/aws4_request"
	digest := sha256.Sum256([]byte(canonical))
	key := []byte("AWS4" + c.SecretKey)
	for _, part := range []string{day, "us-east-1", "s3", "aws4_request", "AWS4-HMAC-SHA256\n" + stamp + "\n" + scope + "\n" + hex.EncodeToString(digest[:])} {
		h := hmac.New(sha256.New, key)
		h.Write([]byte(part))
		key = h.Sum(nil)
	}
	return fmt.Sprintf("%sAuthorization: AWS4-HMAC-SHA256 Credential=%s/%s, SignedHeaders=%s, Signature=%x\r\n", sent.String(), c.AccessKey, scope, signed, key)
}

// spellings are the paths that a service may hold a signature of path against: as it was sent, decoded
// and encoded anew, and that once more.
func spellings(path string) []string {
	all := []string{path}
	for range 2 {
		decoded, err := url.PathUnescape(path)
		if err != nil {
			break
		}
		path = decoded
		all = append(all, (&url.URL{Path: path}).EscapedPath())
	}
	slices.Sort(all)
	return slices.Compact(all)
}

var anObject = regexp.MustCompile(`the object <([^>]*)>`)

// trickyPaths tries paths that look granted to one eye and lead elsewhere to another.
func trickyPaths(t *testing.T, w *world) {
	plain := "/reporting/acme/2026-10/usage.csv.gz.age"
	paths := []string{
		plain, // this one works, so the signature is right
		"/reporting/acme/2026-10/usage./../sessions.csv.gz.age",
		"/reporting/acme/2026-10/usage.x/../sessions.csv.gz.age",
		"/reporting/acme/2026-10/usage.csv.gz.age/../sessions.csv.gz.age",
		"/reporting/acme/2026-10/usage.%2F..%2Fsessions.csv.gz.age",
		"/reporting/acme/2026-10/usage./%2e%2e/sessions.csv.gz.age",
		"/reporting/acme/2026-10/runs/usage./../../sessions.csv.gz.age",
		"/reporting/acme/x/../../beta/2026-10/usage.csv.gz.age",
		"/reporting/acme/../beta/2026-10/usage.csv.gz.age",
		"/reporting/acme/%2e%2e/beta/2026-10/usage.csv.gz.age",
		"/reporting/acme/2026-10/%2e%2e/%2e%2e/beta/2026-10/usage.csv.gz.age",
		"/reporting/acme%2F..%2Fbeta%2F2026-10%2Fusage.csv.gz.age",
		"/reporting/acme/%252e%252e/beta/2026-10/usage.csv.gz.age",
		"/reporting/acme/..%2Fbeta/2026-10/usage.csv.gz.age",
		`/reporting/acme/..\beta\2026-10\usage.csv.gz.age`,
		"/reporting//beta/2026-10/usage.csv.gz.age",
		"/reporting/./beta/2026-10/usage.csv.gz.age",
		"/reporting/acme/.//../beta/2026-10/usage.csv.gz.age",
		"/reporting/acme2/2026-10/usage.csv.gz.age",
		"/reporting/acme-eu/2026-10/usage.csv.gz.age",
		"//reporting/acme/2026-10/sessions.csv.gz.age",
		"/../reporting/acme/2026-10/sessions.csv.gz.age",
		"/shelf/../reporting/acme/2026-10/sessions.csv.gz.age",
		"/shelf/%2e%2e/reporting/acme/2026-10/sessions.csv.gz.age",
		"/reporting/acme/2026-10/sessions.csv.gz.age/",
		"/reporting/acme/2026-10/sessions.csv.gz.age/usage.x",
		"/reporting/acme/2026-10/sessions.csv.gz.age/usage./..",
		"/reporting/acme/2026-10/sessions.csv.gz.age%2Fusage.%2F..",
		"/reporting/acme/2026-10/sessions.csv.gz.age%00",
		"/reporting/acme/2026-10/sessions.csv.gz.age%00/usage.x",
		"/reporting/acme/2026-10/sessions.csv.gz.age%0A",
		"/reporting/acme/2026-10/sessions.csv.gz.age%0Ausage.x",
		"/reporting/acme/2026-10/sessions.csv.gz.age%3FversionId=usage.",
		"/reporting/acme/2026-10/sessions.csv.gz.age%23/usage.x",
		"/reporting/acme/2026-10/sessions.csv.gz.age#/usage.x",
		"/reporting/acme/2026-10/SESSIONS.csv.gz.age",
		"/reporting/ACME/2026-10/sessions.csv.gz.age",
		"/reporting/acme/usage.csv",
		"/reporting/acme/2026-10/usages.csv",
		"/reporting/acme/x/usage./../../../..%2f..%2f..%2fetc/passwd",
	}
	queries := [][]string{nil, {"versionId="}, {"versionId=null"}, {"partNumber=1"}, {"x-id=GetObject"}, {"attributes="}, {"torrent="}}
	r := w.readers[0]
	got := 0
	for _, path := range paths {
		for _, signed := range spellings(path) {
			for _, query := range queries {
				q := request{path: path, signed: signed, query: query}
				status, body := q.send(t, w.endpoint, r.Credentials)
				for _, m := range anObject.FindAllStringSubmatch(body, -1) {
					if !r.mayGet(m[1]) {
						t.Errorf("%s: GET %s?%v (signed as %s): %d, and gives %s", r, path, query, signed, status, m[1])
					}
					got++
				}
			}
		}
	}
	if got == 0 {
		t.Errorf("%s: not even %s was given: are the requests signed right?", r, plain)
	}
}

var aKey = regexp.MustCompile(`<(?:Key|Prefix)>([^<]+)</`)

// trickyLists tries queries that mean one prefix to who judges them and another to who lists.
func trickyLists(t *testing.T, w *world) {
	const own, other = "prefix=acme%2F", "prefix=beta%2F"
	capital := "P" + own[1:]
	requests := []request{
		{query: []string{own, other}},
		{query: []string{other, own}},
		{query: []string{capital}},
		{query: []string{capital, other}},
		{query: []string{other, capital}},
		{query: []string{"PREFIX=acme%2F", other}},
		{query: []string{other, "s3%3Aprefix=acme%2F"}},
		{query: []string{other, "x-amz-prefix=acme%2F"}},
		{query: []string{other}, header: [2]string{"prefix", "acme/"}},
		{query: []string{other}, header: [2]string{"s3-prefix", "acme/"}},
		{header: [2]string{"prefix", "acme/"}},
		{query: []string{"prefix=acme%2F..%2Fbeta%2F"}},
		{query: []string{"prefix=acme%2F%2F..%2F"}},
		{query: []string{"prefix=acme%2F%00"}},
		{query: []string{"prefix=%2Facme%2F"}},
		{query: []string{"prefix=acme%2F%2A"}},
		{query: []string{"prefix=acme"}},
		{query: []string{"prefix="}},
		{query: []string{"delimiter=%2F"}},
		{query: []string{"delimiter=%2F", "prefix="}},
		{query: []string{"delimiter=%2F", "prefix=acme"}},
		{query: []string{own, "start-after=b"}},
		{query: []string{own, "marker=b"}},
		{query: []string{own, "continuation-token=YmV0YQ%3D%3D"}},
		{query: []string{"start-after=acme%2F"}},
		{query: []string{"versions="}},
		{query: []string{own, other, "versions="}},
		{query: []string{other, "versions="}},
		{query: []string{"uploads="}},
		{query: []string{"events=", own}},
		{query: []string{"policy="}},
		{query: []string{"acl="}},
	}
	r := w.readers[0]
	for _, q := range requests {
		for _, listType := range []string{"list-type=2", ""} {
			asked := q
			asked.path, asked.signed = "/reporting", "/reporting"
			if listType != "" {
				asked.query = append([]string{listType}, q.query...)
			}
			_, body := asked.send(t, w.endpoint, r.Credentials)
			for _, m := range aKey.FindAllStringSubmatch(body, -1) {
				name, err := url.PathUnescape(m[1])
				if err != nil {
					t.Fatal(err)
				}
				if strings.Contains(body, "<Contents>") && slices.Contains(w.keys, name) && !r.mayList(name) {
					t.Errorf("%s: GET /reporting?%s (header %q) lists %s", r, strings.Join(asked.query, "&"), asked.header, name)
					break
				}
			}
		}
	}
}
