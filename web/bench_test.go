package web

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/playmeter/playmeter/crypto"
)

// BenchmarkSmallReports fetches reports of some kilobytes, from so many clients at once: each has to be on
// record, on the disk, before it leaves, and those at once share a write.
func BenchmarkSmallReports(b *testing.B) {
	w := sampleWorld(b)
	for _, clients := range []int{1, 10, 100} {
		b.Run(fmt.Sprintf("clients=%d", clients), func(b *testing.B) {
			s := serveWorld(b)
			s.Audit = NewAudit(w.Buckets.Metering, s.Log, s.Metrics)
			b.Cleanup(func() { s.Audit.Close() })
			path := w.folder(w.films, november) + "/usage"
			work := make(chan string)
			done := make(chan int)
			for i := range clients {
				token := fmt.Sprintf("client-%d", i)
				s.tokens.tokens[token] = crypto.Token{ID: token, Role: crypto.RoleAdmin}
				go func() {
					for range work {
						s.clock.move(1e9) // nobody is limited
						if got := s.ask(http.MethodGet, path, token, "Address", fmt.Sprintf("10.0.%d.1:1", i)); got.Code != 200 {
							b.Errorf("%d: %s", got.Code, got.Body)
						}
					}
					done <- 1
				}()
			}
			for b.Loop() {
				work <- ""
			}
			close(work)
			for range clients {
				<-done
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "reports/s")
		})
	}
}

// BenchmarkLargeReport fetches one of 64 MiB over a connection of this machine.
func BenchmarkLargeReport(b *testing.B) {
	const size = 64 << 20
	store := testStore.Bucket("bench")
	if err := store.Ensure(b.Context()); err != nil {
		b.Fatal(err)
	}
	data := bytes.Repeat([]byte("0123456789abcdef"), size/16)
	info, err := store.PutBytes(b.Context(), "large", data)
	if err != nil {
		b.Fatal(err)
	}
	s := serveWorld(b)
	v := &service{Site: s.Site, limits: newLimits(), secret: newSecret()}
	sum := digestOf(data)
	server := httptest.NewServer(v.answer(&route{path: "/file", who: admins, serve: func(w http.ResponseWriter, q *request) error {
		c := &content{ctx: q.Context(), bucket: store, key: "large", etag: info.ETag, size: size, sha256: sum}
		return v.hand(w, q, &file{what: "usage", run: "run", key: "large", kind: "application/octet-stream", etag: sum, size: size, content: c})
	}}))
	defer server.Close()
	b.SetBytes(size)
	buffer := make([]byte, 64<<10)
	for b.Loop() {
		s.clock.move(1e9)
		r, _ := http.NewRequest(http.MethodGet, server.URL, nil)
		r.Header.Set("Authorization", "Bearer "+adminToken)
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			b.Fatal(err)
		}
		for err == nil {
			_, err = resp.Body.Read(buffer)
		}
		resp.Body.Close()
	}
}
