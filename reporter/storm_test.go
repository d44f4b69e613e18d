package reporter

import (
	"fmt"
	"testing"
	"time"

	"github.com/playmeter/playmeter/accounting/sample"
	"github.com/playmeter/playmeter/schemas"
)

// stormSite holds a sample month whose events are delivered several times, each time cut into
// files of another size, under keys that sort before and after those of the others.
func stormSite(t testing.TB, events, each, times int) *site {
	t.Helper()
	month := sample.New(october, 1, events)
	s := sampleSite(t, month)
	for n := range times {
		size, count := each*(4+3*n)/4, 0
		var pending []schemas.Event
		put := func(events []schemas.Event) {
			s.putEvents(fmt.Sprintf("dt=%03d/%c-%06d.parquet", count/100, "dbeac"[n%5], count), events)
			count++
		}
		for _, hour := range month.Files() {
			for pending = append(pending, hour...); len(pending) >= size; pending = pending[size:] {
				put(pending[:size])
			}
		}
		if len(pending) > 0 {
			put(pending)
		}
	}
	return s
}

// plaintexts are the digests of all reports of a run.
func plaintexts(r *Result) string {
	out := ""
	for _, t := range r.Tenants {
		for _, report := range t.Manifest.Reports {
			out += fmt.Sprintln(t.Tenant, report.Report, report.Rows, report.Plaintext.SHA256)
		}
	}
	return out
}

func TestAStormOfCopiesGivesTheSameBytes(t *testing.T) {
	const events = 20_000
	want := ""
	for _, times := range []int{1, 2, 5} {
		s := stormSite(t, events, 1500, times)
		result := s.run(RunOptions{Period: october, AsOf: afterOctober})
		got := plaintexts(result)
		if want == "" {
			want = got
		}
		if got != want {
			t.Errorf("delivered %d times:\n%swant\n%s", times, got, want)
		}
		for _, tenant := range result.Tenants {
			e, copies := tenant.Manifest.Events, int64(0)
			for _, n := range tenant.Manifest.Nodes {
				copies += n.Duplicates
			}
			if e.Duplicates*int64(times) != (e.Read-e.OutsidePeriod)*int64(times-1) || copies != e.Duplicates || e.Differing != 0 {
				t.Errorf("delivered %d times: %s has %d duplicates (%d by node) of %d read, %d differing", times, tenant.Tenant, e.Duplicates, copies, e.Read, e.Differing)
			}
		}
	}
}

// BenchmarkStorm measures what it costs when PLAYMETER_BENCH_EVENTS events (500,000) are delivered
// one, two and five times, in differently cut files, and that the reports are the same.
func BenchmarkStorm(b *testing.B) {
	events := benchSize(b, "PLAYMETER_BENCH_EVENTS", 500_000)
	want, alone := "", 0.0
	for _, times := range []int{1, 2, 5} {
		b.Run(fmt.Sprintf("events=%d,times=%d", events, times), func(b *testing.B) {
			for b.Loop() {
				b.StopTimer()
				s := stormSite(b, events, max(1, events/100), times)
				b.StartTimer()
				began := time.Now()
				result := s.run(RunOptions{Period: october, AsOf: afterOctober})
				took := time.Since(began).Seconds()
				if times == 1 {
					alone, want = took, plaintexts(result)
				} else if got := plaintexts(result); got != want {
					b.Fatalf("the reports differ:\n%s\n%s", got, want)
				}
				b.ReportMetric(took, "run-s")
				b.ReportMetric(took/alone, "times-alone")
				began = time.Now()
				s.run(RunOptions{Period: october, AsOf: afterOctober.Add(time.Second)})
				b.ReportMetric(time.Since(began).Seconds(), "nothing-new-s")
			}
		})
	}
}
