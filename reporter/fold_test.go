package reporter

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/playmeter/playmeter/accounting"
	"github.com/playmeter/playmeter/crypto"
	"github.com/playmeter/playmeter/schemas"
)

// memoryPack tallies files of random events into a pack in memory.
func memoryPack(t *testing.T, r *rand.Rand, name string, files int) *pack {
	t.Helper()
	var out bytes.Buffer
	b := accounting.NewPackBuilder(&out)
	for i := range files {
		var lines strings.Builder
		for range 1 + r.IntN(80) {
			at := october.Start().Add(time.Duration(r.IntN(4*24*3600)-24*3600) * time.Second)
			fmt.Fprintf(&lines, `{"node_id":"node%d","time":%q,"tenant_id":%q,"kind":%q,"object_id":"object%d","session_id":"s%d","seq":%d,"bytes":%d,"duration_us":%d,"width":%d,"height":%d,"library_id":"ilib%d","status":%d}`+"\n",
				r.IntN(2), at.Format(time.RFC3339), []string{"acme", "acme", "bolt"}[r.IntN(3)], []string{"playout", "media", "session", "ingest", "nonsense", "update"}[r.IntN(6)],
				r.IntN(3), r.IntN(5), r.Int32(), r.IntN(1000), r.IntN(1e6), []int{640, 1920}[r.IntN(2)], []int{360, 1080}[r.IntN(2)], r.IntN(3), []int{200, 200, 404, 503}[r.IntN(4)])
		}
		src, err := schemas.OpenUsage("f.ndjson", strings.NewReader(lines.String()), int64(lines.Len()))
		if err != nil {
			t.Fatal(err)
		}
		m, err := accounting.Tally(src, accounting.TallyOptions{Idle: accounting.DefaultIdle}, b)
		if err != nil {
			t.Fatal(err)
		}
		m.Key = fmt.Sprint(name, i)
		m.Tally = schemas.NameTally(m.Key, "", 0, 0, "")
		b.Finish(m)
	}
	index, err := b.Close()
	if err != nil {
		t.Fatal(err)
	}
	return packIn(name, index, &out)
}

func packIn(name string, index *schemas.PackIndex, data *bytes.Buffer) *pack {
	return &pack{key: name, index: index, read: func(_ context.Context, off, n int64) ([]byte, error) {
		return data.Bytes()[off : off+n], nil
	}}
}

func mergedInMemory(t *testing.T, name string, packs ...*pack) *pack {
	t.Helper()
	var sources []accounting.PackSource
	for _, p := range packs {
		sources = append(sources, accounting.PackSource{Name: p.key, Index: p.index, Open: func(b schemas.Block) (accounting.RowStream, error) { return p.rows(t.Context(), b) }})
	}
	var out bytes.Buffer
	index, err := accounting.MergePacks(sources, &out, func() (accounting.Scratch, error) { return crypto.NewSpool(t.TempDir()) })
	if err != nil {
		t.Fatal(err)
	}
	return packIn(name, index, &out)
}

// TestSumsOfDaysChangeNoStatement folds random subsets of the files of merged packs with the
// sums of days and without, and from the packs that were merged.
func TestSumsOfDaysChangeNoStatement(t *testing.T) {
	used := 0
	for seed := range uint64(40) {
		r := rand.New(rand.NewPCG(seed, 9))
		var packs []*pack
		for i := range 4 + r.IntN(6) {
			packs = append(packs, memoryPack(t, r, fmt.Sprint("p", i), 1+r.IntN(4)))
		}
		half := 1 + r.IntN(len(packs)-1)
		shelves := [][]*pack{packs, {mergedInMemory(t, "m0", packs[:half]...), mergedInMemory(t, "m1", packs[half:]...)}, {mergedInMemory(t, "m2", packs...)}}
		asOf := october.Start().Add(time.Duration(r.IntN(4)) * 24 * time.Hour)
		if r.IntN(2) == 0 {
			asOf = asOf.Add(time.Duration(r.IntN(24*3600)) * time.Second)
		}
		bounds := accounting.NewBounds(october, asOf, accounting.DefaultIdle)
		how := make(map[schemas.TallyName]int) // of each file: 0 to 7 all, 8 fragments, 9 not at all
		few := r.IntN(3) == 0
		for _, p := range packs {
			for _, m := range p.index.Members {
				if how[m.Tally] = r.IntN(10); !few {
					how[m.Tally] = r.IntN(8)
				}
			}
		}
		statement := func(packs []*pack, days bool) *accounting.Statement {
			var inputs []input
			for _, p := range packs {
				for i, m := range p.index.Members {
					in := input{at: location{p, uint32(i)}}
					if in.Before = how[m.Tally] == 8; how[m.Tally] < 9 {
						inputs = append(inputs, in)
					}
				}
			}
			f := (&Reporter{Temp: t.TempDir()}).newFold("acme", bounds, accounting.DefaultRules(), inputs)
			for _, p := range f.packs {
				for day, use := range p.days {
					if use.whole && use.summed {
						used++
					}
					if !days {
						use.summed = false
						p.days[day] = use
					}
				}
			}
			sums := accounting.NewSums(bounds, accounting.DefaultRules())
			if err := f.sums(t.Context(), sums); err != nil {
				t.Fatal(err)
			}
			s, _ := sums.Statement() // views are missing: it does not balance
			return s
		}
		want := statement(packs, false)
		for i, shelf := range shelves {
			for _, days := range []bool{false, true} {
				if got := statement(shelf, days); !reflect.DeepEqual(got, want) {
					t.Fatalf("seed %d, as of %s, packs %d, sums of days %t:\n got %+v\nwant %+v", seed, asOf, i, days, got, want)
				}
			}
		}
	}
	if used < 50 {
		t.Errorf("sums of days were used for %d days only", used)
	}
}

// TestManyRunsOfFragmentsAreMergedInRounds has more blocks than are open at once.
func TestManyRunsOfFragmentsAreMergedInRounds(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 10))
	var inputs []input
	var packs []*pack
	for i := range 2*mergeWidth + 3 {
		p := memoryPack(t, r, fmt.Sprint("p", i), 1)
		packs = append(packs, p)
		inputs = append(inputs, input{at: location{p, 0}})
	}
	merged := mergedInMemory(t, "merged", packs...)
	var together []input
	for i := range merged.index.Members {
		together = append(together, input{at: location{merged, uint32(i)}})
	}
	bounds := accounting.NewBounds(october, october.End(), accounting.DefaultIdle)
	fragments := func(inputs []input) (n int, requests int64) {
		f := (&Reporter{Temp: t.TempDir()}).newFold("acme", bounds, accounting.DefaultRules(), inputs)
		var last schemas.Fragment
		err := f.fragments(t.Context(), func(x *schemas.Fragment) error {
			if n > 0 && schemas.CompareFragments(&last, x) > 0 {
				t.Fatal("the fragments are not in order")
			}
			last.Key, last.First = x.Key, x.First
			n++
			requests += x.Requests
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return n, requests
	}
	n, requests := fragments(inputs)
	if n2, requests2 := fragments(together); n == 0 || n != n2 || requests != requests2 {
		t.Errorf("%d fragments of %d requests from many packs, %d of %d from one", n, requests, n2, requests2)
	}
}
