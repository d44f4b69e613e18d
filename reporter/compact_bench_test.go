package reporter

import (
	"bytes"
	"errors"
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/playmeter/playmeter/accounting"
	"github.com/playmeter/playmeter/accounting/sample"
	"github.com/playmeter/playmeter/schemas"
)

// BenchmarkCompaction puts a sample month of PLAYMETER_BENCH_EVENTS events (a million) as 744 hourly files,
// counted one by one into a pack each, and compares before and after their packs are merged: reading
// their indexes, the folds of all tenants, and a run with one file in a hundred new.
func BenchmarkCompaction(b *testing.B) {
	events := benchSize(b, "PLAYMETER_BENCH_EVENTS", 1_000_000)
	b.Run(fmt.Sprintf("events=%d", events), func(b *testing.B) {
		for b.Loop() {
			s, late := hourlySite(b, events)
			asOf := october.End()
			run := func() time.Duration {
				asOf = asOf.Add(time.Second)
				began := time.Now()
				s.run(RunOptions{Period: october, AsOf: asOf})
				return time.Since(began)
			}
			s.settle(true)
			run()
			late(7)
			onePercent := run()
			s.settle(true)
			load, fold, memory, packs := s.measureFold(b, asOf)
			s.settle(false)
			s.PackGrace = -time.Minute
			began := time.Now()
			if err := s.compact(b.Context(), nil); err != nil {
				b.Fatal(err)
			}
			merge := time.Since(began)
			if err := s.compact(b.Context(), nil); err != nil { // removes the packs that were merged
				b.Fatal(err)
			}
			load2, fold2, memory2, packs2 := s.measureFold(b, asOf)
			late(7)
			onePercent2 := run()
			b.ReportMetric(float64(packs), "packs-before")
			b.ReportMetric(float64(packs2), "packs-after")
			b.ReportMetric(merge.Seconds(), "merge-s")
			b.ReportMetric(load.Seconds()/load2.Seconds(), "start-before/after")
			b.ReportMetric(fold.Seconds(), "fold-before-s")
			b.ReportMetric(fold.Seconds()/fold2.Seconds(), "fold-before/after")
			b.ReportMetric(onePercent.Seconds(), "1%-before-s")
			b.ReportMetric(onePercent.Seconds()/onePercent2.Seconds(), "1%-before/after")
			b.ReportMetric(memory/(1<<20), "heap-before-MiB")
			b.ReportMetric(memory2/(1<<20), "heap-after-MiB")
		}
	})
}

// hourlySite holds a sample month but for its last 14 hours, every hour's file in a pack of its own. late puts
// the next of these hours.
func hourlySite(b *testing.B, events int) (s *site, late func(int)) {
	b.Helper()
	month := sample.New(october, 1, events)
	s = sampleSite(b, month)
	hours := make([][]schemas.Event, 744)
	for _, file := range month.Files() {
		for _, e := range file {
			h := max(0, min(int(e.Time-october.Start().UnixNano())/int(time.Hour), len(hours)-1))
			hours[h] = append(hours[h], e)
		}
	}
	encoded := make([][]byte, len(hours)) // the events would weigh on the heap that is measured
	for i, events := range hours {
		var file bytes.Buffer
		w := schemas.NewUsageWriter(&file)
		if err := errors.Join(w.Write(events), w.Close()); err != nil {
			b.Fatal(err)
		}
		encoded[i], hours[i] = file.Bytes(), nil
	}
	n := 0
	put := func(count int) {
		for range count {
			s.putBytes(fmt.Sprintf("dt=%02d/%06d.parquet", n/24, n), encoded[n])
			encoded[n] = nil
			n++
		}
	}
	put(len(hours) - 14)
	shelf := newShelf()
	files, err := s.listUsage(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	for i := range files {
		if _, err := s.tallies(b.Context(), files[i:i+1], accounting.DefaultIdle, shelf); err != nil {
			b.Fatal(err)
		}
	}
	return s, put
}

// settle keeps the packs from being merged, or lets them be.
func (s *site) settle(settled bool) {
	s.t.Helper()
	shelf, err := s.loadShelf(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	for _, p := range shelf.packs {
		p.unfit.Store(settled)
	}
}

// measureFold reads all indexes and folds every tenant's month, and tells how much of the heap was in use at most.
func (s *site) measureFold(b *testing.B, asOf time.Time) (load, fold time.Duration, heap float64, packs int) {
	b.Helper()
	known := s.shelf
	s.shelf = nil
	began := time.Now()
	if _, err := s.loadShelf(b.Context()); err != nil {
		b.Fatal(err)
	}
	load = time.Since(began)
	s.shelf = known
	rules := s.Tenants[0].Rules
	p, err := s.makePlan(b.Context(), october, asOf, []accounting.Rules{rules})
	if err != nil {
		b.Fatal(err)
	}
	runtime.GC()
	stop, most := make(chan struct{}), make(chan float64)
	go func() {
		var m runtime.MemStats
		top := uint64(0)
		for {
			select {
			case <-stop:
				most <- float64(top)
				return
			case <-time.After(10 * time.Millisecond):
				runtime.ReadMemStats(&m)
				top = max(top, m.HeapInuse)
			}
		}
	}()
	began = time.Now()
	bounds := accounting.NewBounds(october, asOf, rules.Idle)
	for _, t := range s.Tenants {
		inputs, _, err := p.inputs(t.ID, bounds, nil)
		if err != nil {
			b.Fatal(err)
		}
		f := s.newFold(t.ID, bounds, rules, inputs)
		if _, err := f.run(b.Context(), &accounting.Finisher{}, func(*schemas.Session) error { return nil }); err != nil {
			b.Fatal(err)
		}
	}
	fold = time.Since(began)
	close(stop)
	return load, fold, <-most, len(p.shelf.packs)
}
