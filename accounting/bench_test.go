package accounting_test

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"

	_ "github.com/duckdb/duckdb-go/v2"

	"github.com/playmeter/playmeter/accounting"
	"github.com/playmeter/playmeter/accounting/sample"
	"github.com/playmeter/playmeter/schemas"
)

// benchEvents is how many events the benchmarks count: PLAYMETER_BENCH_EVENTS,
// by default a million.
func benchEvents(b *testing.B) int {
	text := os.Getenv("PLAYMETER_BENCH_EVENTS")
	if text == "" {
		return 1_000_000
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		b.Fatalf("PLAYMETER_BENCH_EVENTS: %v", err)
	}
	return n
}

var benchFile struct {
	sync.Mutex
	events int
	path   string
}

// writeBenchFile writes a sample month as one zstd Parquet file, once per process.
func writeBenchFile(b *testing.B, events int) string {
	b.Helper()
	benchFile.Lock()
	defer benchFile.Unlock()
	if benchFile.events == events {
		return benchFile.path
	}
	dir, err := os.MkdirTemp("", "playmeter-bench-")
	if err != nil {
		b.Fatal(err)
	}
	path := filepath.Join(dir, "events.parquet")
	f, err := os.Create(path)
	if err != nil {
		b.Fatal(err)
	}
	w := schemas.NewUsageWriter(f)
	period, _ := schemas.ParsePeriod("2026-10")
	for _, hour := range sample.New(period, 1, events).Files() {
		if err := w.Write(hour); err != nil {
			b.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		b.Fatal(err)
	}
	if err := f.Close(); err != nil {
		b.Fatal(err)
	}
	benchFile.events, benchFile.path = events, path
	return path
}

// BenchmarkTally counts usage and sessions of a file, all checks included, into
// a pack that is thrown away.
func BenchmarkTally(b *testing.B) {
	events := benchEvents(b)
	data, err := os.ReadFile(writeBenchFile(b, events))
	if err != nil {
		b.Fatal(err)
	}
	for _, workers := range []int{1, 2} {
		b.Run(fmt.Sprintf("events=%d,workers=%d", events, workers), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				src, err := schemas.OpenUsage("events.parquet", bytes.NewReader(data), int64(len(data)))
				if err != nil {
					b.Fatal(err)
				}
				pack := accounting.NewPackBuilder(io.Discard)
				member, err := accounting.Tally(src, accounting.TallyOptions{Idle: accounting.DefaultIdle, Workers: workers}, pack)
				if err != nil {
					b.Fatal(err)
				}
				pack.Finish(member)
				if _, err := pack.Close(); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(events)*float64(b.N)/b.Elapsed().Seconds(), "events/s")
		})
	}
}

// BenchmarkDuckDB computes the same sums and session groups with DuckDB on the same
// file: its usage sums by object, size and class, and one row per session and object with
// what the report needs of it. It checks nothing, finds no copies and splits nothing by idle time.
func BenchmarkDuckDB(b *testing.B) {
	events := benchEvents(b)
	path := writeBenchFile(b, events)
	for _, threads := range []int{1, 2} {
		b.Run(fmt.Sprintf("events=%d,threads=%d", events, threads), func(b *testing.B) {
			db, err := sql.Open("duckdb", "")
			if err != nil {
				b.Fatal(err)
			}
			defer db.Close()
			conn, err := db.Conn(context.Background())
			if err != nil {
				b.Fatal(err)
			}
			defer conn.Close()
			exec := func(q string) {
				if _, err := conn.ExecContext(context.Background(), q); err != nil {
					b.Fatal(err)
				}
			}
			exec(fmt.Sprintf("set threads=%d; set memory_limit='12GB'; set preserve_insertion_order=false", threads))
			for b.Loop() {
				exec(strings.ReplaceAll(duckUsage, "FILE", path))
				exec(strings.ReplaceAll(duckSessions, "FILE", path))
			}
			b.ReportMetric(float64(events)*float64(b.N)/b.Elapsed().Seconds(), "events/s")
		})
	}
}

const duckUsage = `create or replace temp table usage as
select tenant_id, object_id, kind, track, width, height, drm, playout_format, codec, source_codec,
  status >= 400 as error, count(*) as n, sum(bytes) as bytes, sum(duration_us) as us
from read_parquet('FILE') group by all`

const duckSessions = `create or replace temp table sessions as
select tenant_id, object_id, session_id, case when session_id is null then hash(token, auth_addr, client_ip, user_agent) end as who,
  min(time) as first, max(time) as last, min(time) filter (status is null or status < 400) as start,
  count(*) filter (status is null or status < 400) as requests, count(*) filter (status >= 400) as errors,
  sum(bytes) as bytes, sum(duration_us) filter (track = 'audio') as audio, sum(duration_us) filter (track <> 'audio') as video,
  max(duration_us) as longest, count(distinct segment) as segments, bool_or(live) as live,
  arg_min(client_ip, time) as ip, arg_min(user_agent, time) as agent, arg_min(referrer, time) as referrer,
  arg_min(version_hash, time) as version, arg_min(offering, time) as offering, arg_min(playout_format, time) as format,
  arg_min(protocol, time) as protocol, arg_min(auth_identity, time) as identity, arg_min(auth_addr, time) as addr,
  arg_min(auth_email, time) as email, arg_min(user_id, time) as userid, arg_min(node_id, time) as node,
  arg_min(node_host, time) as host, arg_min(node_ip, time) as nodeip, arg_min(node_region, time) as region,
  arg_min(client_country, time) as country
from read_parquet('FILE') where kind = 'playout' group by all`

// BenchmarkDecode is the floor: reading, checking and decompressing every page of the columns
// in use, and nothing else.
func BenchmarkDecode(b *testing.B) {
	events := benchEvents(b)
	data, err := os.ReadFile(writeBenchFile(b, events))
	if err != nil {
		b.Fatal(err)
	}
	b.Run(fmt.Sprintf("events=%d,workers=1", events), func(b *testing.B) {
		for b.Loop() {
			src, err := schemas.OpenUsage("events.parquet", bytes.NewReader(data), int64(len(data)))
			if err != nil {
				b.Fatal(err)
			}
			for i := range src.Parts() {
				r := src.Part(i)
				for {
					if _, err := r.Next(); err == io.EOF {
						break
					} else if err != nil {
						b.Fatal(err)
					}
				}
				r.Close()
			}
		}
		b.ReportMetric(float64(events)*float64(b.N)/b.Elapsed().Seconds(), "events/s")
	})
	runtime.KeepAlive(data)
}
