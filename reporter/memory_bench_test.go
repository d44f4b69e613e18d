package reporter

import (
	"bufio"
	"database/sql"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"testing"
	"time"

	_ "github.com/duckdb/duckdb-go/v2"
)

// BenchmarkMemory runs a month of a million events, of ten times as many, and, with
// PLAYMETER_BENCH_EVENTS=100000000, of a hundred times as many, each in a process of its
// own, and reports the peak of its resident memory: the object store is in it.
func BenchmarkMemory(b *testing.B) {
	for events, most := 1_000_000, benchSize(b, "PLAYMETER_BENCH_EVENTS", 10_000_000); events <= most; events *= 10 {
		b.Run(fmt.Sprintf("events=%d", events), func(b *testing.B) {
			files := b.TempDir()
			writeWithDuckDB(b, files, events)
			for b.Loop() {
				cmd := exec.Command(os.Args[0], "-test.run=^TestMemoryChild$", "-test.v", "-test.timeout=2h")
				cmd.Env = append(os.Environ(), "PLAYMETER_MEMORY_CHILD="+files)
				out, err := cmd.CombinedOutput()
				if err != nil {
					b.Fatalf("%v\n%s", err, out)
				}
				m := regexp.MustCompile(`peak (\d+) kB, (\d+) ms, (\d+) sessions`).FindSubmatch(out)
				if m == nil {
					b.Fatalf("the child says nothing of its memory:\n%s", out)
				}
				number := func(i int) float64 {
					n, _ := strconv.ParseFloat(string(m[i]), 64)
					return n
				}
				b.ReportMetric(number(1)/1024, "peak-MiB")
				b.ReportMetric(number(2)/1000, "run-s")
				b.ReportMetric(number(3), "sessions")
			}
		})
	}
}

// writeWithDuckDB writes usage files of a million events: viewers of ten requests each, over the
// month, 2,000 objects, seven nodes that number their events.
func writeWithDuckDB(b *testing.B, dir string, events int) {
	b.Helper()
	db, err := sql.Open("duckdb", "")
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	const each = 1_000_000
	for at := 0; at < events; at += each {
		query := fmt.Sprintf(`copy (select
			'node' || (i // 10 %% 7) as node_id, i // 70 * 10 + i %% 10 as seq,
			make_timestamp_ns((1790812800000000000 + (i // 10) * (31*24*3600 - 7200) // (%d // 10) * 1000000000 + (i %% 10) * 4000000000)::bigint) as time,
			'acme' as tenant_id, 'playout' as kind, 'object' || (hash(i // 10) %% 2000) as object_id, 'session' || (i // 10) as session_id,
			50000 + hash(i) %% 1000000 as bytes, case when i %% 4 = 0 then 'audio' else 'video' end as track,
			[640, 1280, 1920, 3840][1 + (hash(i // 10) %% 4)::int]::int as width, [360, 720, 1080, 2160][1 + (hash(i // 10) %% 4)::int]::int as height,
			(i %% 10)::int as segment, 4000000::bigint as duration_us, '198.51.' || (hash(i // 10) %% 250) || '.' || (hash(i // 10 + 1) %% 250) as client_ip,
			'Mozilla/5.0 (X11; Linux x86_64) Chrome/' || (hash(i // 10) %% 40) as user_agent, 'hls-widevine' as playout_format
			from range(%d, %d) t(i)) to '%s' (format parquet, compression zstd)`, events, at, min(at+each, events), filepath.Join(dir, fmt.Sprintf("%05d.parquet", at/each)))
		if _, err := db.ExecContext(b.Context(), query); err != nil {
			b.Fatal(err)
		}
	}
}

// TestMemoryChild is the process that BenchmarkMemory measures.
func TestMemoryChild(t *testing.T) {
	dir := os.Getenv("PLAYMETER_MEMORY_CHILD")
	if dir == "" {
		t.Skip("it is a part of BenchmarkMemory")
	}
	s := newSite(t, acme())
	names, err := filepath.Glob(filepath.Join(dir, "*.parquet"))
	if err != nil {
		t.Fatal(err)
	}
	for i, name := range names {
		s.put(s.Buckets.Usage, fmt.Sprintf("dt=%03d/%s", i/100, filepath.Base(name)), name)
	}
	runtime.GC()
	debug.SetMemoryLimit(SoftMemory)
	began := time.Now()
	result := s.run(RunOptions{Period: october, AsOf: afterOctober})
	sessions := int64(0)
	for _, report := range result.Tenants[0].Manifest.Reports {
		if report.Report == "sessions" {
			sessions = report.Rows
		}
	}
	t.Logf("peak %d kB, %d ms, %d sessions", peakMemory(t), time.Since(began).Milliseconds(), sessions)
}

// peakMemory is the largest resident set of this process so far, in kB.
func peakMemory(t *testing.T) int64 {
	t.Helper()
	f, err := os.Open("/proc/self/status")
	if err != nil {
		t.Skip("no /proc here")
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if fields := strings.Fields(lines.Text()); len(fields) > 1 && fields[0] == "VmHWM:" {
			n, err := strconv.ParseInt(fields[1], 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
	}
	t.Fatal("VmHWM is not in /proc/self/status")
	return 0
}
