package flussonic

import (
	"bytes"
	"fmt"
	"net/netip"
	"testing"

	"github.com/playmeter/playmeter/crypto"
	"github.com/playmeter/playmeter/schemas"
)

// busy is a batch of n events such as a server sends.
func busy(n int) []byte {
	var b bytes.Buffer
	b.WriteByte('[')
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"event":"play_updated","id":"6ad5b3c0-0000-4000-8000-%012d","media":"films/news%d","user_name":"Ann A.","user_id":"user%d","ip":"203.0.113.%d","country":"DE","proto":"hls","token":"t-%d","query_string":"token=t-1","referer":"https://site.example/watch","user_agent":"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0 Safari/537.36","server":"edge1.example.com","server_id":"6ad00000-aaaa-4bbb-8ccc-0123456789ab","source_id":"61893be1-054e-4acc-8d24-8ed92efe6ad0","bytes":%d,"duration":62.0625,"opened_at":1792390080250,"started_at":1792390082250,"updated_at":1792390142000,"utc_ms":1792390142320,"time":"2026-10-19T06:09:02.320Z","event_id":%d}`,
			i, i%20, i, i%250, i, 9120000+i, i)
	}
	b.WriteByte(']')
	return b.Bytes()
}

func BenchmarkDecode(b *testing.B) {
	rules := Rules{{Match: "live/**", Tenant: "a"}, {Match: "sport_*", Tenant: "b"}, {Match: "films/**", Tenant: "films", Width: 1920, Height: 1080}}
	for _, n := range []int{1, 100, 10_000} {
		b.Run(fmt.Sprintf("events=%d", n), func(b *testing.B) {
			body := busy(n)
			b.ReportAllocs()
			b.SetBytes(int64(len(body)))
			for b.Loop() {
				r, err := DecodeAll(body, Options{Peer: netip.MustParseAddr("192.0.2.10"), Rules: rules})
				if err != nil || len(r.Events) != n {
					b.Fatal(len(r.Events), r.Refused, err)
				}
			}
			b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "events/s")
		})
	}
}

func BenchmarkSigned(b *testing.B) {
	body := busy(100)
	keys := []crypto.Secret{"one", "two", "three"}
	header := sign(string(body), "three")
	b.SetBytes(int64(len(body)))
	for b.Loop() {
		if _, ok := Signed(body, header, keys); !ok {
			b.Fatal("not signed")
		}
	}
}

// TestBusyIsWhatItSays keeps the benchmark honest.
func TestBusyIsWhatItSays(t *testing.T) {
	r, err := DecodeAll(busy(3), sender)
	if err != nil || len(r.Events) != 3 || *r.Events[2].Bytes != 9120002 || r.Events[1].Time != 1792390142000*1e6 || r.Events[0].Kind != schemas.KindSession.String() {
		t.Errorf("%+v, %v", r, err)
	}
}
