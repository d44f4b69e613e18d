package intake

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/playmeter/playmeter/bucket"
)

// BenchmarkPosts has clients post 100 events at a time over HTTP on the loopback, one post after the other each, until
// they are durable. Behind the listener is the intake itself, without the site's tokens and limits. disk/s is what the
// disk does with the same bytes: one append and fdatasync per post, one after the other; x-disk is how many times as
// many posts are durable in a second.
func BenchmarkPosts(b *testing.B) {
	for _, clients := range []int{1, 8, 64} {
		b.Run(fmt.Sprintf("clients=%d", clients), func(b *testing.B) { benchmarkPosts(b, clients) })
	}
}

func benchmarkPosts(b *testing.B, clients int) {
	const events = 100
	dir := b.TempDir()
	l, err := Open(b.Context(), Config{Dir: filepath.Join(dir, "log"), Most: 64 << 30}, nil)
	if err != nil {
		b.Fatal(err)
	}
	server := httptest.NewServer(handler(New(l)))
	http.DefaultTransport.(*http.Transport).MaxIdleConnsPerHost = clients
	posted, err := io.ReadAll(body("n1", 0, events))
	if err != nil {
		b.Fatal(err)
	}
	took := make([]time.Duration, b.N)
	var next atomic.Int64
	var wg sync.WaitGroup
	resetPeak(b)
	b.ResetTimer()
	for range clients {
		wg.Go(func() {
			for {
				i := next.Add(1) - 1
				if i >= int64(b.N) {
					return
				}
				began := time.Now()
				res, err := http.Post(server.URL+"/intake/events", "application/x-ndjson", bytes.NewReader(posted))
				if err != nil {
					b.Error(err)
					return
				}
				_, _ = io.Copy(io.Discard, res.Body)
				res.Body.Close()
				if res.StatusCode != http.StatusOK {
					b.Errorf("answered %s", res.Status)
				}
				took[i] = time.Since(began)
			}
		})
	}
	wg.Wait()
	b.StopTimer()
	slices.Sort(took)
	perSecond := float64(b.N) / b.Elapsed().Seconds()
	b.ReportMetric(perSecond*events, "events/s")
	b.ReportMetric(took[b.N/2].Seconds()*1000, "p50-ms")
	b.ReportMetric(took[b.N*99/100].Seconds()*1000, "p99-ms")
	b.ReportMetric(peak(b), "peak-MB")
	server.Close()
	closeLog(b, l)
	disk := appendsPerSecond(b, dir, New(nil).packer.EncodeAll(posted, nil), min(b.N, 1000))
	b.ReportMetric(disk, "disk/s")
	b.ReportMetric(perSecond/disk, "x-disk")
}

// appendsPerSecond is how often the disk makes as many bytes durable in a second.
func appendsPerSecond(b *testing.B, dir string, data []byte, n int) float64 {
	f, err := os.Create(filepath.Join(dir, "plain"))
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	began := time.Now()
	for range n {
		if _, err := f.Write(data); err != nil {
			b.Fatal(err)
		}
		if err := f.Sync(); err != nil {
			b.Fatal(err)
		}
	}
	return float64(n) / time.Since(began).Seconds()
}

// resetPeak begins to measure the most memory that the process has.
func resetPeak(b *testing.B) {
	debug.FreeOSMemory()
	if err := os.WriteFile("/proc/self/clear_refs", []byte("5"), 0); err != nil {
		b.Logf("the peak of memory is that of the whole program: %v", err)
	}
}

// peak is the most memory that the process had since, in MB.
func peak(b *testing.B) float64 {
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(text), "VmHWM:")
	var kilobytes float64
	if _, err := fmt.Sscan(rest, &kilobytes); err != nil {
		b.Log(err)
	}
	return kilobytes / 1000
}

// nowhere takes chunks and forgets them.
type nowhere struct{}

func (nowhere) Append(context.Context, []Chunk) error { return nil }

// BenchmarkDecode takes posts of 100 events without keeping them.
func BenchmarkDecode(b *testing.B) {
	const events = 100
	plain, err := io.ReadAll(body("n1", 0, events))
	if err != nil {
		b.Fatal(err)
	}
	one := strings.Split(strings.TrimSpace(string(plain)), "\n")
	var envelopes, records []string
	for i, line := range one {
		envelopes = append(envelopes, fmt.Sprintf(`{"specversion":"1.0","id":"e%d","source":"n1","type":"usage","datacontenttype":"application/json","data":%s}`, i, line))
		record, err := json.Marshal(map[string]any{"event": "play_closed", "id": fmt.Sprintf("6ad5b3c0-0000-4000-8000-%012d", i), "media": "news", "user_id": "ann", "ip": "203.0.113.7", "country": "DE",
			"proto": "hls", "user_agent": "Player/1.0", "server": "edge1.example.com", "server_id": "6ad00000-aaaa-4bbb-8ccc-0123456789ab", "bytes": 9120000, "duration": 62.0625,
			"opened_at": 1792390080250, "closed_at": 1792390142312, "utc_ms": 1792390142320, "event_id": i})
		if err != nil {
			b.Fatal(err)
		}
		records = append(records, string(record))
	}
	tests := []struct {
		name, kind, body string
		take             func(*Intake, context.Context, *Post) (Receipt, error)
	}{
		{"ndjson", "application/x-ndjson", string(plain), (*Intake).Events},
		{"list", "application/json", "[" + strings.Join(one, ",") + "]", (*Intake).Events},
		{"cloudevents", typeBatched, "[" + strings.Join(envelopes, ",") + "]", (*Intake).Events},
		{"flussonic", "application/json", "[" + strings.Join(records, ",") + "]", (*Intake).Flussonic},
	}
	for _, tt := range tests {
		b.Run(tt.name, func(b *testing.B) {
			in := New(nowhere{})
			b.SetBytes(int64(len(tt.body)))
			b.ReportAllocs()
			for b.Loop() {
				r, err := tt.take(in, b.Context(), &Post{Header: http.Header{"Content-Type": {tt.kind}}, Body: strings.NewReader(tt.body), Tenant: "iten1", Trusted: true})
				if err != nil || r.Accepted != events {
					b.Fatal(r, err)
				}
			}
			b.ReportMetric(float64(b.N)*events/b.Elapsed().Seconds(), "events/s")
		})
	}
}

// weighed is a bucket that only weighs what it is given.
type weighed struct{ files, bytes int }

func (w *weighed) Create(_ context.Context, key string, data []byte) (bucket.Info, error) {
	w.files++
	w.bytes += len(data)
	return bucket.Info{Key: key}, nil
}

// BenchmarkFlush makes usage files of events that wait. Memory is bounded by the size of a file, whatever waits.
func BenchmarkFlush(b *testing.B) {
	for _, events := range []int{10_000, 100_000, 1_000_000, 3_000_000} {
		b.Run(fmt.Sprint(events), func(b *testing.B) {
			l, err := Open(b.Context(), Config{Dir: b.TempDir(), Most: 64 << 30}, nil)
			if err != nil {
				b.Fatal(err)
			}
			const perChunk = 1000
			var highest float64
			var w weighed
			for b.Loop() {
				b.StopTimer()
				for i := 0; i < events; i += perChunk {
					if err := l.Append(b.Context(), []Chunk{chunk(b, "n1", i, perChunk)}); err != nil {
						b.Fatal(err)
					}
				}
				resetPeak(b)
				w = weighed{}
				b.StartTimer()
				if err := l.Flush(b.Context(), &w, nil); err != nil {
					b.Fatal(err)
				}
				b.StopTimer()
				highest = max(highest, peak(b))
				b.StartTimer()
			}
			b.ReportMetric(float64(b.N)*float64(events)/b.Elapsed().Seconds(), "events/s")
			b.ReportMetric(highest, "peak-MB")
			b.ReportMetric(float64(w.files), "files")
			b.ReportMetric(float64(w.bytes)/float64(events), "bytes/event")
			closeLog(b, l)
		})
	}
}
