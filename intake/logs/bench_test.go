package logs

import (
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/playmeter/playmeter/schemas"
)

// BenchmarkLogs reads logs of three sizes, as nginx and CloudFront write them.
func BenchmarkLogs(b *testing.B) {
	kinds := []struct {
		name string
		head string
		line func(i int) string
	}{
		{"nginx", "", func(i int) string {
			return nginxLine(fmt.Sprintf(`%s uri=/film%d/720p/seg%d.ts msec=%d.%03d request_id=%032x remote_addr=10.0.%d.%d range= referer=https://play.example/`, said, i%50, i%1000, 1740909600+i/1000, i%1000, i, i>>8&255, i&255))
		}},
		{"cloudfront", cloudFrontLog(), func(i int) string {
			return cloudFrontLine(fmt.Sprintf("cs-uri-stem=/film%d/720p/seg%d.ts x-edge-request-id=%032x== c-ip=10.0.%d.%d", i%50, i%1000, i, i>>8&255, i&255))
		}},
	}
	for _, kind := range kinds {
		for _, lines := range []int{100, 10_000, 100_000} {
			b.Run(fmt.Sprintf("%s/lines=%d", kind.name, lines), func(b *testing.B) {
				var text strings.Builder
				text.WriteString(kind.head)
				for i := range lines {
					text.WriteString(kind.line(i) + "\n")
				}
				log := text.String()
				f := preset(b, kind.name)
				events := make([]schemas.Event, batch)
				b.ReportAllocs()
				b.SetBytes(int64(len(log)))
				for b.Loop() {
					r, err := Open(f, tenantA, "bench", strings.NewReader(log), int64(len(log)))
					if err != nil {
						b.Fatal(err)
					}
					for err == nil {
						_, err = r.Next(events)
					}
					if s := r.Summary(); err != io.EOF || s.Events != int64(lines) {
						b.Fatal(err, s)
					}
					r.Close()
				}
				b.ReportMetric(float64(lines)*float64(b.N)/b.Elapsed().Seconds(), "lines/s")
			})
		}
	}
}
