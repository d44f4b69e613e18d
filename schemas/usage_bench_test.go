package schemas

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"testing"
)

// busyNode makes n playout events of one busy node: about 25 columns filled, as real
// ones are.
func busyNode(n int) []Event {
	rnd := rand.New(rand.NewPCG(1, 2))
	pick := func(format string, n int) string { return fmt.Sprintf(format, rnd.IntN(n)) }
	events := make([]Event, n)
	for i := range events {
		session := rnd.IntN(n/100 + 1)
		video := rnd.IntN(4) > 0
		e := Event{
			NodeID: "inodBusy", Seq: new(int64(i + 1)), Time: Earliest + 800_000*3600*1e9/4 + int64(i)*3_600_000,
			TenantID: fmt.Sprintf("iten%d", session%3), Kind: "playout",
			ObjectID: fmt.Sprintf("iq__object%06d", session%2000), LibraryID: fmt.Sprintf("ilib%d", session%20),
			Bytes: new(int64(rnd.IntN(4_000_000))), Status: new(int32(200)),
			SessionID: fmt.Sprintf("session-%08d-%d", session, session*7919), Offering: "default",
			PlayoutFormat: [...]string{"hls-clear", "dash-widevine", "hls-fairplay"}[session%3], Track: "audio", Codec: "mp4a",
			Segment: new(int32(i % 3000)), DurationMicros: new(int64(2_002_000)),
			ClientIP:  fmt.Sprintf("10.%d.%d.%d", session%200, session%250, session%249),
			UserAgent: fmt.Sprintf("Mozilla/5.0 (Device %d) AppleWebKit/537.36 Chrome/120.0.%d", session%300, session%40),
			Referrer:  fmt.Sprintf("https://example.com/watch/%d", session%500), UserID: fmt.Sprintf("user%d", session/3),
			NodeHost: "node1.example.net", NodeIP: "192.0.2.1", NodeRegion: "eu-west-north", ClientCountry: fmt.Sprintf("C%d", session%60),
			Live: new(false),
		}
		if video {
			e.Track, e.Codec = "video", "avc1"
			e.Width, e.Height = new(int32(1920)), new(int32(1080))
		}
		if rnd.IntN(100) == 0 {
			e.Status = new(int32(404))
		}
		if rnd.IntN(50) == 0 {
			e.ClientCity = pick("City %d", 500)
		}
		events[i] = e
	}
	return events
}

var benchFile = sync.OnceValue(func() []byte { return parquetOf(busyNode(1_000_000)) })

func parquetOf(events []Event) []byte {
	var buf bytes.Buffer
	w := NewUsageWriter(&buf)
	if err := w.Write(events); err != nil {
		panic(err)
	}
	if err := w.Close(); err != nil {
		panic(err)
	}
	return buf.Bytes()
}

func BenchmarkUsageParquet(b *testing.B) {
	data := benchFile()
	b.ReportAllocs()
	rows := 0
	for b.Loop() {
		rows += drainUsage(b, "a.parquet", data)
	}
	b.ReportMetric(float64(rows)/b.Elapsed().Seconds(), "events/s")
	b.ReportMetric(float64(len(data))/1e6, "MB")
}

func drainUsage(t testing.TB, key string, data []byte) (rows int) {
	f, err := OpenUsage(key, bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	for i := range f.Parts() {
		r := f.Part(i)
		for {
			batch, err := r.Next()
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			rows += batch.Len
		}
		r.Close()
	}
	return rows
}

// BenchmarkUsageParquetFloor fetches and decompresses the pages and no more:
// what no reader can be faster than.
func BenchmarkUsageParquetFloor(b *testing.B) {
	data := benchFile()
	rows := int64(0)
	for b.Loop() {
		f, err := OpenUsage("a.parquet", bytes.NewReader(data), int64(len(data)))
		if err != nil {
			b.Fatal(err)
		}
		for _, g := range f.parquet.groups {
			for _, w := range f.parquet.wanted {
				var p pages
				if err := p.open(f.src, &g.columns[w.leaf].MetaData); err != nil {
					b.Fatal(err)
				}
				for err == nil {
					_, err = p.next(w.optional, false)
				}
				if err != io.EOF {
					b.Fatal(err)
				}
				err = nil
			}
			rows += g.rows
		}
	}
	b.ReportMetric(float64(rows)/b.Elapsed().Seconds(), "events/s")
}

// linesOf writes events as NDJSON, in Parquet's column names.
func linesOf(events []Event) []byte {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	for i := range events {
		e := &events[i]
		m := map[string]any{"node_id": e.NodeID, "seq": e.Seq, "time": e.Time / 1e6, "tenant_id": e.TenantID, "kind": e.Kind,
			"object_id": e.ObjectID, "library_id": e.LibraryID, "bytes": e.Bytes, "status": e.Status, "session_id": e.SessionID,
			"playout_format": e.PlayoutFormat, "track": e.Track, "codec": e.Codec, "segment": e.Segment, "duration_us": e.DurationMicros,
			"client_ip": e.ClientIP, "user_agent": e.UserAgent, "referrer": e.Referrer, "user_id": e.UserID, "node_host": e.NodeHost}
		if err := enc.Encode(m); err != nil {
			panic(err)
		}
	}
	return buf.Bytes()
}

func BenchmarkUsageNDJSON(b *testing.B) {
	data := linesOf(busyNode(100_000))
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	rows := 0
	for b.Loop() {
		rows += drainUsage(b, "a.ndjson", data)
	}
	b.ReportMetric(float64(rows)/b.Elapsed().Seconds(), "events/s")
}

func BenchmarkUsageWriter(b *testing.B) {
	events := busyNode(100_000)
	rows := 0
	for b.Loop() {
		parquetOf(events)
		rows += len(events)
	}
	b.ReportMetric(float64(rows)/b.Elapsed().Seconds(), "events/s")
}

func BenchmarkCatalog(b *testing.B) {
	objects := make([]CatalogObject, 100_000)
	for i := range objects {
		objects[i] = emptyObject()
		objects[i].ID = Object(fmt.Sprintf("iq__%08d", i*7919%len(objects)))
		objects[i].Name, objects[i].Title = fmt.Sprintf("name %d", i), fmt.Sprintf("A title of a film, number %d", i)
		objects[i].Library, objects[i].TitleID, objects[i].StorageBytes = "ilib1", fmt.Sprint("title", i), int64(i)
		objects[i].PlayoutFormats = []string{"hls-clear", "dash-widevine"}
	}
	var buf bytes.Buffer
	if err := WriteCatalog(&buf, objects); err != nil {
		b.Fatal(err)
	}
	n := 0
	for b.Loop() {
		c, err := ReadCatalog("a.parquet", bytes.NewReader(buf.Bytes()), int64(buf.Len()))
		if err != nil {
			b.Fatal(err)
		}
		n += len(c.Objects)
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "objects/s")
}

// BenchmarkUsageParquetSmall is a node's file of a few seconds: what opening costs.
func BenchmarkUsageParquetSmall(b *testing.B) {
	data := parquetOf(busyNode(1000))
	b.ReportAllocs()
	rows := 0
	for b.Loop() {
		rows += drainUsage(b, "a.parquet", data)
	}
	b.ReportMetric(float64(rows)/b.Elapsed().Seconds(), "events/s")
}
