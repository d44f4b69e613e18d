package reporter

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/playmeter/playmeter/accounting"
	"github.com/playmeter/playmeter/bucket"
	"github.com/playmeter/playmeter/schemas"
)

// hourly puts n files, one an hour from the given hour of the month on, and counts each as it comes: a pack each.
func (s *site) hourly(from, n int) {
	s.t.Helper()
	s.Workers = 1
	for h := from; h < from+n; h++ {
		at := time.Duration(h) * time.Hour
		s.putEvents(fmt.Sprintf("h%03d.parquet", h), append(play("n1", 100*h, "acme", "film", fmt.Sprint("s", h/3), at, 3), play("n2", 100*h, "acme", fmt.Sprint("clip", h%3), "t", at+time.Minute, 2)...))
		if _, err := s.makePlan(s.t.Context(), october, afterOctober, []accounting.Rules{s.Tenants[0].Rules}); err != nil {
			s.t.Fatal(err)
		}
	}
}

// merged is an installation that has merged the packs of its first hours, whose files hold
// three segments of film each, and removed them.
func merged(t *testing.T) *site {
	t.Helper()
	s := newSite(t, acme())
	s.PackGrace = -time.Minute
	s.hourly(0, classPacks)
	s.run(RunOptions{Period: october, AsOf: october.Start().Add(classPacks * time.Hour)})
	s.run(RunOptions{Period: october, AsOf: october.Start().Add((classPacks + 1) * time.Hour)})
	packs := s.stored()
	if len(packs) != 1 || packs[0].index.Level != 1 || !slices.ContainsFunc(packs[0].index.Blocks, func(b schemas.Block) bool { return b.Kind == schemas.BlockDays }) {
		t.Fatalf("packs by level: %v, want one of level 1 with sums of days", levels(packs))
	}
	return s
}

// stored lists the packs that a fresh look at the bucket finds, by name.
func (s *site) stored() []*pack {
	s.t.Helper()
	s.shelf = nil
	shelf, err := s.loadShelf(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	var out []*pack
	for _, p := range shelf.packs {
		out = append(out, p)
	}
	slices.SortFunc(out, func(a, b *pack) int { return strings.Compare(a.key, b.key) })
	return out
}

func levels(packs []*pack) map[int]int {
	out := make(map[int]int)
	for _, p := range packs {
		out[p.index.Level]++
	}
	return out
}

// inOneRun makes the reports of the same usage files in an installation that has never merged.
func (s *site) inOneRun(asOf time.Time) *site {
	s.t.Helper()
	fresh := newSite(s.t, acme())
	for info, err := range s.Buckets.Usage.List(s.t.Context(), "", "") {
		if err != nil {
			s.t.Fatal(err)
		}
		data, _, err := s.Buckets.Usage.Get(s.t.Context(), info.Key, "", maxSmall)
		if err != nil {
			s.t.Fatal(err)
		}
		fresh.putBytes(info.Key, data)
	}
	fresh.run(RunOptions{Period: october, AsOf: asOf})
	if got := levels(fresh.stored()); got[1] != 0 {
		s.t.Fatalf("packs by level after one run: %v", got)
	}
	return fresh
}

// wantSame compares the reports with those of an installation that has never merged.
func (s *site) wantSame(asOf time.Time) {
	s.t.Helper()
	s.run(RunOptions{Period: october, AsOf: asOf})
	fresh := s.inOneRun(asOf)
	for _, report := range schemas.Reports {
		got, want := s.report("acme", october, report), fresh.report("acme", october, report)
		if !bytes.Equal(got, want) {
			s.t.Errorf("%s after merging:\n%s", report, firstDifference(got, want))
		}
	}
}

func TestReportsAreTheSameAfterPacksWereMerged(t *testing.T) {
	s := merged(t)
	s.hourly(classPacks, 2)
	s.wantSame(afterOctober)
}

func TestALateFileOfAMergedDayCounts(t *testing.T) {
	s := merged(t)
	s.putEvents("late.parquet", play("n3", 0, "acme", "film", "s1", 4*time.Hour, 7))
	s.wantSame(afterOctober)
	s.wantCell("acme", "film", seconds, fmt.Sprint(2*(3*classPacks+7)))
	if got := levels(s.stored()); got[1] != 1 || got[0] != 1 {
		t.Errorf("packs by level: %v, want the merged one and that of the late file", got)
	}
}

func TestAReplacedFileOfAMergedPackCountsAsTheNewOne(t *testing.T) {
	s := merged(t)
	s.putEvents("h003.parquet", play("n1", 300, "acme", "other", "s1", 3*time.Hour, 9))
	s.wantSame(afterOctober)
	s.wantCell("acme", "other", seconds, "18")
	s.wantCell("acme", "film", seconds, fmt.Sprint(2*3*(classPacks-1)))
}

func TestAVanishedFileStaysCountedInAMergedPack(t *testing.T) {
	s := merged(t)
	s.deleteUsage("h003.parquet")
	s.putEvents("more.parquet", play("n3", 0, "acme", "film", "s1", 4*time.Hour, 1))
	s.Reporter = s.otherProcess()
	s.run(RunOptions{Period: october, AsOf: afterOctober})
	s.wantCell("acme", "film", seconds, fmt.Sprint(2*(3*classPacks+1)))
}

// TestAnAsOfInAMergedDayIsExact has the as-of divide an hour, a day, and neither.
func TestAnAsOfInAMergedDayIsExact(t *testing.T) {
	s := merged(t)
	s.hourly(classPacks, 12)
	for _, asOf := range []time.Duration{10*time.Hour + 2*time.Second, 10 * time.Hour, 24 * time.Hour, 7*time.Hour + 30*time.Minute} {
		fresh := s.inOneRun(october.Start().Add(asOf))
		m := s.run(RunOptions{Period: october, AsOf: october.Start().Add(asOf)}).Tenants[0].Manifest
		want := fresh.headOf("acme").Current.Reports
		for i, got := range m.Reports {
			if got.Plaintext != want[i].Plaintext {
				t.Errorf("as of %s: %s has %+v, want %+v", asOf, got.Report, got.Plaintext, want[i].Plaintext)
			}
		}
	}
}

func TestMergedPacksStayUntilTheirGraceIsOver(t *testing.T) {
	s := newSite(t, acme())
	s.hourly(0, classPacks)
	s.run(RunOptions{Period: october, AsOf: afterOctober})
	if got := levels(s.stored()); got[0] != classPacks || got[1] != 1 {
		t.Fatalf("packs by level: %v, want the old ones and the merged one", got)
	}
	s.PackGrace = time.Second
	time.Sleep(2100 * time.Millisecond) // the store's times are in seconds
	s.run(RunOptions{Period: october, AsOf: afterOctober.Add(time.Second)})
	if got := levels(s.stored()); got[0] != 0 || got[1] != 1 {
		t.Errorf("packs by level: %v, want the merged one", got)
	}
	s.wantCell("acme", "film", seconds, fmt.Sprint(2*3*classPacks))
}

func TestARunUnderWhichPacksAreRemovedIsMadeOnceMore(t *testing.T) {
	s := newSite(t, acme())
	s.hourly(0, classPacks-1)
	s.putEvents("last.parquet", play("n1", 9999, "acme", "film", "s1", 20*time.Hour, 3))
	s.once("fold", func() { // the shelf of the run is loaded, its blocks are not read yet
		other := s.otherProcess()
		other.PackGrace = -time.Minute
		for range 2 { // merge, then sweep
			if err := other.compact(context.Background(), nil); err != nil {
				t.Error(err)
			}
		}
	})
	s.run(RunOptions{Period: october, AsOf: afterOctober})
	if got := levels(s.stored()); got[0] != 0 || got[1] != 1 {
		t.Fatalf("packs by level: %v, want the merged one alone", got)
	}
	s.wantCell("acme", "film", seconds, fmt.Sprint(2*3*classPacks))
}

func TestAPackThatIsLostForGoodIsCountedAgain(t *testing.T) {
	s := newSite(t, acme())
	s.putEvents("a.parquet", play("n1", 0, "acme", "film", "s1", time.Hour, 3))
	s.once("fold", func() {
		for _, p := range s.stored() {
			if err := s.Buckets.Metering.Delete(t.Context(), p.key); err != nil {
				t.Error(err)
			}
		}
	})
	s.run(RunOptions{Period: october, AsOf: afterOctober})
	s.wantCell("acme", "film", seconds, "6")
}

func TestADamagedPackKeepsNoOtherFromBeingMerged(t *testing.T) {
	s := newSite(t, acme())
	s.hourly(0, classPacks-1)
	damaged := s.stored()[3]
	data, _, err := s.Buckets.Metering.Get(t.Context(), damaged.key, "", maxSmall)
	if err != nil {
		t.Fatal(err)
	}
	data[damaged.index.Blocks[0].Offset+9] ^= 1
	if _, err := s.Buckets.Metering.PutBytes(t.Context(), damaged.key, data); err != nil {
		t.Fatal(err)
	}
	for i := range 2 {
		s.putEvents(fmt.Sprintf("last%d.parquet", i), play("n1", 9000+100*i, "acme", "film", "s1", 20*time.Hour, 3))
		if _, err := s.Run(t.Context(), RunOptions{Period: october, AsOf: afterOctober}); err != nil {
			t.Fatal(err)
		}
	}
	packs := s.stored()
	if got := levels(packs); got[1] != 1 || !slices.ContainsFunc(packs, func(p *pack) bool { return p.key == damaged.key }) {
		t.Errorf("packs by level: %v, want one merged, and the damaged one untouched", got)
	}
}

// tallied lists the tallies that a fresh look at the bucket finds.
func (s *site) tallied() map[schemas.TallyName]bool {
	s.t.Helper()
	out := make(map[schemas.TallyName]bool)
	for _, p := range s.stored() {
		for _, m := range p.index.Members {
			out[m.Tally] = m.Tally != ""
		}
	}
	delete(out, "")
	return out
}

// TestSweepsWithAnyViewRemoveNothingThatIsNeeded has processes with old and new views of the
// packs merge what they like and sweep, in any order and side by side.
func TestSweepsWithAnyViewRemoveNothingThatIsNeeded(t *testing.T) {
	s := newSite(t, acme())
	s.hourly(0, 12)
	want := s.tallied()
	for seed := range uint64(6) {
		r := rand.New(rand.NewPCG(seed, 8))
		var views []*shelf
		processes := []*Reporter{s.otherProcess(), s.otherProcess()}
		for _, p := range processes {
			p.PackGrace = -time.Minute
			view, err := p.loadShelf(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			views = append(views, view)
		}
		for range 12 {
			var group sync.WaitGroup
			for i, p := range processes {
				if r.IntN(3) == 0 {
					view, err := p.loadShelf(t.Context())
					if err != nil {
						t.Fatal(err)
					}
					views[i] = view
				}
				chosen := views[i].candidates()
				r.Shuffle(len(chosen), func(i, j int) { chosen[i], chosen[j] = chosen[j], chosen[i] })
				chosen = chosen[:min(len(chosen), 1+r.IntN(4))]
				merge := r.IntN(2) == 0
				group.Go(func() {
					err := error(nil)
					if merge {
						err = p.mergePacks(context.Background(), views[i], chosen)
					} else {
						err = p.sweep(context.Background(), views[i])
					}
					if err != nil && !errors.Is(err, errSwept) {
						t.Error(err)
					}
				})
			}
			group.Wait()
			if got := s.tallied(); !reflect.DeepEqual(got, want) {
				t.Fatalf("seed %d: %d tallies are left of %d", seed, len(got), len(want))
			}
		}
	}
	s.Reporter = s.otherProcess()
	s.wantSame(afterOctober)
}

// Another process may merge the same packs, and so write the very pack that is being read once more.
func TestAPackThatIsWrittenOnceMoreIsNoFailure(t *testing.T) {
	for _, cause := range []error{bucket.ErrChanged, bucket.ErrNotExist} {
		p := &pack{key: "p", read: func(context.Context, int64, int64) ([]byte, error) { return nil, cause }}
		rows, err := p.rows(t.Context(), schemas.Block{Length: 1})
		if err == nil {
			_, err = rows.Next()
			rows.Close()
		}
		if !errors.Is(err, errSwept) {
			t.Errorf("%v: %v, want errSwept, which is tried again", cause, err)
		}
	}
}

func TestTwoProcessesMergingAtOnceMergeOnce(t *testing.T) {
	s := newSite(t, acme())
	s.hourly(0, classPacks)
	var group sync.WaitGroup
	for range 3 {
		other := s.otherProcess()
		group.Go(func() {
			if err := other.compact(context.Background(), nil); err != nil && !errors.Is(err, errTaken) {
				t.Error(err)
			}
		})
	}
	group.Wait()
	if got := levels(s.stored()); got[1] != 1 {
		t.Errorf("packs by level: %v, want one merged", got)
	}
}

// through lets a process of the site see the store through meddle, which may fail a request before
// the store has seen it (502) or lose the answer.
func (s *site) through(meddle func(*http.Request) (fail, lose bool)) *Reporter {
	s.t.Helper()
	target := must(url.Parse(testStore.Config().Endpoint))
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target); r.Out.Host = r.In.Host }}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch fail, lose := meddle(r); {
		case fail:
			w.WriteHeader(http.StatusForbidden)
		case lose:
			proxy.ServeHTTP(httptest.NewRecorder(), r)
			panic(http.ErrAbortHandler)
		default:
			proxy.ServeHTTP(w, r)
		}
	}))
	server.Config.ErrorLog = nil
	s.t.Cleanup(server.Close)
	cfg := testStore.Config()
	cfg.Endpoint = server.URL
	store, err := bucket.Dial(s.t.Context(), cfg)
	if err != nil {
		s.t.Fatal(err)
	}
	o := s.otherProcess()
	b := o.Buckets
	o.Store, o.Buckets = store, Buckets{Usage: store.Bucket(b.Usage.Name()), Catalog: store.Bucket(b.Catalog.Name()), Metering: store.Bucket(b.Metering.Name()), Reporting: store.Bucket(b.Reporting.Name())}
	return o
}

// TestMergingAndSweepingMayEndAnywhere fails every request of a compaction in turn, before the store
// has seen it or after: no tally is lost, the reports stay right, and the next compaction ends the work.
func TestMergingAndSweepingMayEndAnywhere(t *testing.T) {
	steps := []int{0, 1, 2, 9, 16} // the merged pack, and removals
	if testing.Short() {
		steps = steps[:2]
	}
	s := newSite(t, acme())
	s.hourly(0, classPacks)
	want := s.tallied()
	interrupted := 0
	for _, lost := range []bool{false, true} {
		for _, step := range steps {
			n, hit := 0, false
			var mu sync.Mutex
			other := s.through(func(r *http.Request) (fail, lose bool) {
				mu.Lock()
				defer mu.Unlock()
				if r.Method != http.MethodPut && r.Method != http.MethodDelete || strings.Contains(r.URL.Path, "/leases/") {
					return false, false
				}
				n++
				if n <= step {
					return false, false
				}
				hit = true
				return !lost, lost // from here on: the process is as good as dead
			})
			other.PackGrace = -time.Minute
			err := other.compact(t.Context(), nil)
			if hit && err == nil {
				t.Errorf("step %d: no error", step)
			}
			if hit {
				interrupted++
			}
			if got := s.tallied(); !reflect.DeepEqual(got, want) {
				t.Fatalf("step %d: %d tallies are left of %d", step, len(got), len(want))
			}
		}
	}
	if interrupted == 0 {
		t.Error("no request was ever failed")
	}
	s.PackGrace = -time.Minute
	s.wantSame(afterOctober)
	s.run(RunOptions{Period: october, AsOf: afterOctober.Add(time.Second)})
	if got := levels(s.stored()); got[0] != 0 {
		t.Errorf("packs by level: %v, want the merged one alone", got)
	}
}

// TestAMonthOfHourlyRunsKeepsFewPacks plays a month of runs that leave two packs each.
func TestAMonthOfHourlyRunsKeepsFewPacks(t *testing.T) {
	for _, size := range []int64{500, 20_000, 300_000, 9 << 20} {
		r := rand.New(rand.NewPCG(1, uint64(size)))
		var list []candidate
		most, written, put := 0, int64(0), int64(0)
		for run := range 744 {
			for i := range 2 {
				p := &pack{key: fmt.Sprint(run, i), size: size/2 + r.Int64N(size)}
				list = append(list, candidate{pack: p, index: 20_000, at: october.Start().Add(time.Duration(run) * time.Hour)})
				put += p.size
			}
			for {
				chosen := chooseMerge(list)
				if chosen == nil {
					break
				}
				into := candidate{pack: &pack{key: fmt.Sprint("m", run)}, at: chosen[0].at}
				for _, c := range chosen {
					list = slices.DeleteFunc(list, func(d candidate) bool { return d.pack == c.pack })
					into.pack.size += c.pack.size
					into.index += c.index
				}
				written += into.pack.size
				if into.pack.size < settledSize && into.index < mergedIndex/2 {
					list = append(list, into)
				}
			}
			most = max(most, len(list))
		}
		t.Logf("packs of %d bytes: at most %d at once, every byte written %.1f times more", size, most, float64(written)/float64(put))
		if most > 60 || written > 4*put {
			t.Errorf("packs of %d bytes: %d at once, %d bytes written for %d", size, most, written, put)
		}
	}
}
