package reporter

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/playmeter/playmeter/accounting/sample"
	"github.com/playmeter/playmeter/schemas"
)

// benchSize reads a size from the environment.
func benchSize(b *testing.B, name string, otherwise int) int {
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		b.Fatalf("%s: %v", name, err)
	}
	return n
}

// benchSite holds a sample month in about the given number of files.
func benchSite(b *testing.B, events, files int) (s *site, rest func()) {
	b.Helper()
	month := sample.New(october, 1, events)
	s = sampleSite(b, month)
	each := max(1, events/files)
	var pending []schemas.Event
	n := 0
	put := func(events []schemas.Event) {
		s.putEvents(fmt.Sprintf("dt=%02d/%06d.parquet", n/400, n), events)
		n++
	}
	for _, hour := range month.Files() {
		pending = append(pending, hour...)
		for len(pending) >= each {
			put(pending[:each])
			pending = pending[each:]
		}
	}
	// The last hundredth of the files comes later.
	late := max(1, n/100)
	var held [][]byte
	var keys []string
	for i := n - late; i < n; i++ {
		key := fmt.Sprintf("dt=%02d/%06d.parquet", i/400, i)
		data, _, err := s.Buckets.Usage.Get(b.Context(), key, "", 1<<30)
		if err != nil {
			b.Fatal(err)
		}
		if err := s.Buckets.Usage.Delete(b.Context(), key); err != nil {
			b.Fatal(err)
		}
		keys, held = append(keys, key), append(held, data)
	}
	return s, func() {
		for i, key := range keys {
			s.putBytes(key, held[i])
		}
		if len(pending) > 0 {
			put(pending)
		}
	}
}

// BenchmarkRun measures a first run, one with nothing new, and one with one
// file in a hundred new: PLAYMETER_BENCH_EVENTS events (a million) in
// PLAYMETER_BENCH_FILES files (two thousand).
func BenchmarkRun(b *testing.B) {
	events, files := benchSize(b, "PLAYMETER_BENCH_EVENTS", 1_000_000), benchSize(b, "PLAYMETER_BENCH_FILES", 2_000)
	b.Run(fmt.Sprintf("events=%d,files=%d", events, files), func(b *testing.B) {
		for b.Loop() {
			b.StopTimer()
			s, arrive := benchSite(b, events, files)
			asOf := october.End()
			timed := func() time.Duration {
				asOf = asOf.Add(time.Second)
				began := time.Now()
				s.run(RunOptions{Period: october, AsOf: asOf})
				return time.Since(began)
			}
			b.StartTimer()
			first := timed()
			nothing := min(timed(), timed(), timed())
			b.StopTimer()
			arrive()
			b.StartTimer()
			onePercent := timed()
			b.ReportMetric(first.Seconds(), "first-s")
			b.ReportMetric(first.Seconds()/nothing.Seconds(), "first/nothing-new")
			b.ReportMetric(first.Seconds()/onePercent.Seconds(), "first/1%-new")
			b.ReportMetric(float64(events)/first.Seconds(), "events/s")
		}
	})
}

// benchSessions are encoded sessions with about the variety of a busy month's: every one has
// its own ids and address, agents differ in their versions.
func benchSessions(b *testing.B, n int) *sorter {
	r := rand.New(rand.NewPCG(1, 1))
	agents := []string{"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/%d.0.%d.%d Safari/537.36",
		"Mozilla/5.0 (iPhone; CPU iPhone OS 17_%d_%d like Mac OS X) AppleWebKit/605.1.%d (KHTML, like Gecko) Version/17.5 Mobile/15E148 Safari/604.1",
		"Mozilla/5.0 (SMART-TV; LINUX; Tizen %d.0) AppleWebKit/537.36 (KHTML, like Gecko) 76.0.%d.%d/6.0 TV Safari/537.36"}
	out := newSorter(b.TempDir())
	out.limit = 1 << 40
	at := october.Start().UnixNano()
	for range n {
		at += r.Int64N(int64(2 * time.Second))
		object := r.IntN(5000)
		s := schemas.Session{SessionID: fmt.Appendf(nil, "%016x%016x", r.Uint64(), r.Uint64()), Object: fmt.Appendf(nil, "iq__%028x", uint64(object)*0x9E3779B97F4A7C15),
			Start: at, End: at + r.Int64N(int64(2*time.Hour)), Begun: true, HasVideo: true, Requests: r.Int64N(2000), Bytes: schemas.SumOf(r.Int64N(1 << 32)),
			Video: schemas.SumOf(r.Int64N(1 << 33)), Audio: schemas.SumOf(r.Int64N(1 << 33)), Duration: 5_400_000_000, Percent: r.Int64N(10_000),
			Title: fmt.Appendf(nil, "The Title of Number %d", object), Platform: []byte("desktop"), OS: []byte("Windows")}
		set := func(f schemas.Field, text string) { s.Fields[f] = []byte(text) }
		set(schemas.FieldClientIP, fmt.Sprintf("203.%d.%d.%d", r.IntN(256), r.IntN(256), r.IntN(256)))
		set(schemas.FieldUserAgent, fmt.Sprintf(agents[r.IntN(len(agents))], r.IntN(30), r.IntN(7000), r.IntN(200)))
		set(schemas.FieldReferrer, fmt.Sprintf("https://www.example.com/watch/%x", r.Uint64()))
		set(schemas.FieldVersion, fmt.Sprintf("hq__%016x%016x%016x", uint64(object)*0xC2B2AE3D27D4EB4F, uint64(object)*0x165667B19E3779F9, uint64(object)))
		set(schemas.FieldUser, fmt.Sprintf("user-%x", r.Uint64()))
		set(schemas.FieldAuthIdentity, fmt.Sprintf("iusr%x", r.Uint64()))
		node := r.IntN(8)
		set(schemas.FieldNode, fmt.Sprintf("inod%d", node))
		set(schemas.FieldNodeHost, fmt.Sprintf("edge-%d.eu-west.example.net", node))
		set(schemas.FieldNodeIP, fmt.Sprintf("198.51.100.%d", node))
		set(schemas.FieldNodeRegion, "eu-west-north")
		set(schemas.FieldFormat, "hls-widevine")
		set(schemas.FieldProtocol, "hls")
		set(schemas.FieldClientCountry, "DE")
		if err := out.add(&s); err != nil {
			b.Fatal(err)
		}
	}
	return out
}

// BenchmarkSeal measures the way from finished sessions to the sealed object
// (rows, digest, gzip, age, upload) against gzip alone on the same CSV:
// PLAYMETER_BENCH_SESSIONS sessions (200,000).
func BenchmarkSeal(b *testing.B) {
	n := benchSize(b, "PLAYMETER_BENCH_SESSIONS", 200_000)
	sessions := benchSessions(b, n)
	tenant := acme()
	s := newSite(b, tenant)
	csv := &bytes.Buffer{}
	rows := func(w io.Writer) error {
		row := schemas.SessionWriter{Guard: true}
		var session schemas.Session
		buf := schemas.AppendHeader(nil, schemas.SessionColumns)
		err := sessions.each(func(encoded []byte) error {
			if err := schemas.DecodeSession(encoded, &session); err != nil {
				return err
			}
			if buf = row.Append(buf, &session); len(buf) > 64<<10 {
				if _, err := w.Write(buf); err != nil {
					return err
				}
				buf = buf[:0]
			}
			return nil
		})
		if err != nil {
			return err
		}
		_, err = w.Write(buf)
		return err
	}
	if err := rows(csv); err != nil {
		b.Fatal(err)
	}
	alone := func() time.Duration {
		began := time.Now()
		z, err := newPacker(io.Discard, schemas.CompressGzip)
		if err != nil {
			b.Fatal(err)
		}
		for chunk := range slices.Chunk(csv.Bytes(), 256<<10) {
			if _, err := z.Write(chunk); err != nil {
				b.Fatal(err)
			}
		}
		if err := z.Close(); err != nil {
			b.Fatal(err)
		}
		return time.Since(began)
	}
	sealed := func(run int) time.Duration {
		began := time.Now()
		j := reportJob{report: schemas.ReportSessions, folder: "acme/2026-10/", run: fmt.Sprintf("bench-%d", run), tenant: &s.Tenants[0]}
		out, err := s.openReport(b.Context(), j)
		if err != nil {
			b.Fatal(err)
		}
		if err := rows(out); err != nil {
			b.Fatal(err)
		}
		if _, err := s.closeReport(b.Context(), out, j, nil, int64(n)); err != nil {
			b.Fatal(err)
		}
		return time.Since(began)
	}
	var ratios []float64
	run := 0
	for b.Loop() {
		run++
		a, w := alone(), sealed(run)
		ratios = append(ratios, a.Seconds()/w.Seconds())
	}
	slices.Sort(ratios)
	b.ReportMetric(ratios[len(ratios)/2], "speed-of-gzip-alone")
	b.ReportMetric(float64(csv.Len())/1e6, "MB-of-CSV")
}
