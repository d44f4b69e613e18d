package main

import (
	"fmt"
	"net/http"
	"testing"
)

// askPlainly makes the requests that a player seldom does, and says what each should count:
// HEAD and 304 a request, an answer 404 an error, and ranges of one segment its seconds
// once, in whatever order they came, for each of two viewers.
func askPlainly(t *testing.T, s *mediaServer, segments map[string]segmentFile) []played {
	t.Helper()
	of := titles[0]
	md, ok := of.rendition("720p")
	if !ok {
		t.Fatal("there is no 720p")
	}
	var all []played
	ask := func(session, method string, segment int, header map[string]string, status int) (played, http.Header) {
		where := fmt.Sprintf("media/%s/%s/%d.m4s", of.object, md.name, segment)
		fields := map[string]string{"CMCD-Session": fmt.Sprintf("cid=%q,sf=h,sid=%q,st=v", of.object, session),
			"CMCD-Object": fmt.Sprintf("br=%d,d=%d,ot=v", md.bandwidth/1000, (segments[where].micros+500)/1000)}
		for k, v := range header {
			fields[k] = v
		}
		got, size, answer := s.get(t, method, "/"+where, fields)
		if got != status {
			t.Fatalf("%s %s is answered %d, want %d", method, where, got, status)
		}
		return played{session: session, object: of.object, rendition: md, segment: -1, bytes: size, failed: status >= 400}, answer
	}
	counts := func(p played, segment int) {
		if segment >= 0 {
			p.segment, p.micros = segment, segments[fmt.Sprintf("media/%s/%s/%d.m4s", of.object, md.name, segment)].micros
		}
		all = append(all, p)
	}

	head, known := ask("plain-unchanged", http.MethodHead, 2, nil, http.StatusOK)
	counts(head, -1)
	unchanged, _ := ask("plain-unchanged", http.MethodGet, 2, map[string]string{"If-None-Match": known.Get("ETag")}, http.StatusNotModified)
	counts(unchanged, -1)
	missing, _ := ask("plain-unchanged", http.MethodGet, 999, nil, http.StatusNotFound)
	counts(missing, -1)
	whole, _ := ask("plain-whole", http.MethodGet, 2, nil, http.StatusOK)
	counts(whole, 2)
	for _, session := range []string{"plain-ranges", "plain-more-ranges"} {
		for _, r := range []struct {
			bytes   string
			segment int
		}{{"20000-", -1}, {"0-9999", 3}, {"10000-19999", -1}} {
			part, _ := ask(session, http.MethodGet, 3, map[string]string{"Range": "bytes=" + r.bytes}, http.StatusPartialContent)
			counts(part, r.segment)
		}
	}
	return all
}
