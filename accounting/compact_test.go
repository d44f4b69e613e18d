package accounting

import (
	"bytes"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/playmeter/playmeter/schemas"
)

// memoryScratch is a scratch file in memory.
type memoryScratch struct {
	bytes.Buffer
	open *int
}

func (s *memoryScratch) Reader() io.Reader { return bytes.NewReader(s.Bytes()) }
func (s *memoryScratch) Close() error      { *s.open--; return nil }

func (p *packBytes) open(b schemas.Block) (RowStream, error) {
	return schemas.NewRowReader(bytes.NewReader(p.data.Bytes()[b.Offset : b.Offset+b.Length]))
}

// mergeOf merges packs; narrow makes every bound so small that it is met.
func mergeOf(t testing.TB, narrow bool, packs ...*packBytes) *packBytes {
	t.Helper()
	open := 0
	out := &packBytes{}
	m := merger{pack: packWriter{out: &out.data}, width: mergeWidth, blockBytes: mergedBlock, dayCells: mergedDayCells,
		scratch: func() (Scratch, error) { open++; return &memoryScratch{open: &open}, nil }}
	if narrow {
		m.width, m.blockBytes, m.dayCells = 2, 1, 3
	}
	for i, p := range packs {
		m.sources = append(m.sources, PackSource{Name: fmt.Sprintf("pack%02d", i), Index: p.index, Open: p.open})
	}
	var err error
	if out.index, err = m.merge(); err != nil {
		t.Fatal(err)
	}
	if open != 0 {
		t.Errorf("%d scratch files are left open", open)
	}
	tail := out.data.Bytes()
	read, _, err := schemas.ParsePackTail(tail, int64(len(tail)))
	if err != nil || !reflect.DeepEqual(read.Blocks, out.index.Blocks) {
		t.Fatalf("the index does not read back: %v", err)
	}
	return out
}

// rowsOf lists the rows of a kind, each with its tenant, day and tally in place of the file; it
// checks that every block is sorted.
func rowsOf(t testing.TB, kind schemas.BlockKind, packs ...*packBytes) []string {
	t.Helper()
	var out []string
	seen := make(map[schemas.TallyName]int)
	for i, p := range packs {
		for _, b := range p.index.Blocks {
			if b.Kind != kind {
				continue
			}
			rows, err := p.open(b)
			if err != nil {
				t.Fatal(err)
			}
			var last schemas.RowHead
			n := int64(0)
			for ; ; n++ {
				row, err := rows.Next()
				if err == io.EOF {
					break
				} else if err != nil {
					t.Fatal(err)
				}
				h, err := schemas.ParseRowHead(kind, row)
				if err != nil {
					t.Fatal(err)
				}
				if n > 0 && schemas.CompareRowHeads(kind, &last, &h) > 0 {
					t.Fatalf("%s of %s are not sorted", kind, b.Day)
				}
				last = h
				tally := p.index.Members[h.File].Tally
				if at, ok := seen[tally]; tally == "" || ok && at != i {
					continue // void, or a double
				}
				seen[tally] = i
				out = append(out, fmt.Sprintf("%s %s %d %s %x", b.Tenant, b.Day, b.Hour, tally, h.Refile(nil, row, 0)))
			}
			if n != b.Rows {
				t.Errorf("a block has %d rows, its index says %d", n, b.Rows)
			}
			rows.Close()
		}
	}
	slices.Sort(out)
	return out
}

// randomPacks tallies random files of two tenants and a few days into packs; some files are in
// two packs, some attempts are void.
func randomPacks(t testing.TB, r *rand.Rand, n int) []*packBytes {
	t.Helper()
	var files []string
	for range n {
		var lines strings.Builder
		for range 1 + r.IntN(60) {
			at := october.Start().Add(time.Duration(r.IntN(3*24*60)) * time.Minute)
			fmt.Fprintf(&lines, `{"node_id":"node%d","time":%q,"tenant_id":%q,"kind":%q,"object_id":"object-number-%d","session_id":"s%d","seq":%d,"bytes":%d,"duration_us":%d,"width":%d,"height":%d,"library_id":%q,"status":%d}`+"\n",
				r.IntN(2), at.Format(time.RFC3339), pick(r, "acme", "acme", "bolt"), pick(r, "playout", "playout", "session", "media", "nonsense"), r.IntN(4), r.IntN(5), r.Int32(),
				r.IntN(1000), r.IntN(1e6), pick(r, 640, 1920), pick(r, 360, 1080), pick(r, "", "ilib1", "ilib2"), pick(r, 200, 200, 404, 503))
		}
		files = append(files, lines.String())
	}
	var packs []*packBytes
	for len(files) > 0 {
		p := &packBytes{}
		b := NewPackBuilder(&p.data)
		of := files[:min(len(files), 1+r.IntN(4))]
		if files = files[len(of):]; len(packs) > 0 && r.IntN(3) == 0 {
			files = append(files, of[0]) // counted twice
		}
		for _, file := range of {
			src, err := schemas.OpenUsage("f.ndjson", strings.NewReader(file), int64(len(file)))
			if err != nil {
				t.Fatal(err)
			}
			member, err := Tally(src, TallyOptions{Idle: DefaultIdle}, b)
			if err != nil {
				t.Fatal(err)
			}
			if r.IntN(6) == 0 { // an attempt that failed; a member without a tally stays behind
				b.void(uint32(b.Members() - 1))
				continue
			}
			member.Key, member.ETag, member.Size = "f.ndjson", file[:40], int64(len(file))
			member.Tally = schemas.NameTally(fmt.Sprint(len(file)), file, 0, 0, "")
			b.Finish(member)
			if r.IntN(3) == 0 {
				if err := b.spill(); err != nil {
					t.Fatal(err)
				}
			}
		}
		var err error
		if p.index, err = b.Close(); err != nil {
			t.Fatal(err)
		}
		packs = append(packs, p)
	}
	return packs
}

func TestAMergedPackHoldsTheRowsOfItsSourcesOnce(t *testing.T) {
	for seed := range uint64(25) {
		r := rand.New(rand.NewPCG(seed, 3))
		packs := randomPacks(t, r, 2+r.IntN(20))
		half := len(packs) / 2
		merged := mergeOf(t, false, packs...)
		narrow := mergeOf(t, true, packs...)
		twice := mergeOf(t, false, mergeOf(t, true, packs[:half]...), mergeOf(t, false, packs[half:]...))
		if merged.index.Level != 1 || twice.index.Level != 2 {
			t.Errorf("levels are %d and %d, want 1 and 2", merged.index.Level, twice.index.Level)
		}
		for _, kind := range blockKinds {
			want := rowsOf(t, kind, packs...)
			for name, p := range map[string]*packBytes{"merged": merged, "in narrow bounds": narrow, "merged twice": twice} {
				if got := rowsOf(t, kind, p); !slices.Equal(got, want) {
					t.Fatalf("seed %d, %s: %d rows of %s, want %d", seed, name, len(got), kind, len(want))
				}
			}
		}
		members := make(map[schemas.TallyName]bool)
		for _, p := range packs {
			for _, m := range p.index.Members {
				members[m.Tally] = m.Tally != ""
			}
		}
		delete(members, "")
		if got := len(merged.index.Members); got != len(members) {
			t.Errorf("seed %d: %d members, want %d", seed, got, len(members))
		}
	}
}

func TestTheOrderOfSourcesDoesNotShowInAMergedPack(t *testing.T) {
	packs := randomPacks(t, rand.New(rand.NewPCG(1, 4)), 12)
	var sources []PackSource
	for i, p := range packs {
		sources = append(sources, PackSource{Name: fmt.Sprintf("pack%02d", i), Index: p.index, Open: p.open})
	}
	var want []byte
	for range 4 {
		var out bytes.Buffer
		if _, err := MergePacks(sources, &out, nil); err != nil {
			t.Fatal(err)
		}
		if want == nil {
			want = bytes.Clone(out.Bytes())
		}
		if !bytes.Equal(out.Bytes(), want) {
			t.Fatal("the same sources made another pack")
		}
		rand.Shuffle(len(sources), func(i, j int) { sources[i], sources[j] = sources[j], sources[i] })
	}
}

// statementOf folds rows of sums of a tenant, of hours or of days.
func statementOf(t testing.TB, tenant schemas.Tenant, b Bounds, kind schemas.BlockKind, packs ...*packBytes) (*Statement, int) {
	t.Helper()
	sums := NewSums(b, DefaultRules())
	n := 0
	for _, p := range packs {
		for _, block := range p.index.Blocks {
			if block.Kind != kind || block.Tenant != tenant {
				continue
			}
			one := &packBytes{index: &schemas.PackIndex{Blocks: []schemas.Block{block}}, data: p.data}
			one.rows(t, kind, func(row []byte) {
				n++
				var r schemas.SumRow
				if err := schemas.DecodeSumRow(row, &r); err != nil {
					t.Fatal(err)
				}
				if r.Day != (kind == schemas.BlockDays) || r.Day && r.Hour.Day() != block.Day {
					t.Errorf("a row of %s is of a day: %t, hour %d", kind, r.Day, r.Hour)
				}
				sums.Add(&r)
			})
		}
	}
	return sums.statement, n
}

func TestSumsOfDaysAddUpToThoseOfHours(t *testing.T) {
	for seed := range uint64(20) {
		r := rand.New(rand.NewPCG(seed, 5))
		var packs []*packBytes
		for len(packs) < 3 {
			packs = append(packs, randomPacks(t, r, 30)...)
		}
		hours := mergeOf(t, false, packs...)
		for _, narrow := range []bool{false, true} {
			merged := mergeOf(t, narrow, packs...)
			for _, tenant := range []schemas.Tenant{"acme", "bolt"} {
				// The as-of lies between days, so that whole days are in, and after.
				bounds := NewBounds(october, october.Start().AddDate(0, 0, 1+r.IntN(3)), DefaultIdle)
				want, of := statementOf(t, tenant, bounds, schemas.BlockSums, hours)
				got, days := statementOf(t, tenant, bounds, schemas.BlockDays, merged)
				if days == 0 && narrow {
					continue // in narrow bounds the rows of days are too many to be worth it
				}
				if !reflect.DeepEqual(got, want) || days >= of {
					t.Fatalf("seed %d, %s: %d rows of days say %+v, %d of hours %+v", seed, tenant, days, got, of, want)
				}
			}
		}
	}
}

// sumPack is a pack of one file with the given sum rows.
func sumPack(t testing.TB, name string, told bool, rows ...schemas.SumRow) *packBytes {
	t.Helper()
	p := &packBytes{}
	b := NewPackBuilder(&p.data)
	r := newRows()
	member := schemas.Member{Key: name, Tally: schemas.TallyName(name), Tenants: map[schemas.Tenant]schemas.TenantSpan{}}
	file := b.open()
	for i := range rows {
		rows[i].File = file
		r.addSum("acme", &rows[i])
		if told {
			member.Tenants["acme"] = schemas.TenantSpan{Hours: append(member.Tenants["acme"].Hours, schemas.HourSpan{Hour: rows[i].Hour, Rows: 1})}
		}
	}
	if err := b.add(r); err != nil {
		t.Fatal(err)
	}
	b.Finish(member)
	var err error
	if p.index, err = b.Close(); err != nil {
		t.Fatal(err)
	}
	return p
}

func TestARowOfADayThatWouldOverflowIsTwo(t *testing.T) {
	hour := schemas.HourOf(october.Start().UnixNano())
	row := func(h schemas.Hour, bytes int64) schemas.SumRow {
		return schemas.SumRow{Hour: hour + h, Measure: schemas.MeasureMedia, Object: []byte("o"), Count: 1, Bytes: bytes}
	}
	a := sumPack(t, "a", true, row(0, math.MaxInt64-5), row(1, 5), row(2, 1), row(3, math.MaxInt64))
	merged := mergeOf(t, false, a)
	if _, n := statementOf(t, "acme", NewBounds(october, october.End(), DefaultIdle), schemas.BlockDays, merged); n != 0 {
		t.Errorf("%d rows of a day for 4 of hours: want none, they save too little", n)
	}
	b := sumPack(t, "b", true, row(4, 1), row(5, 1), row(6, 1), row(7, 1))
	merged = mergeOf(t, false, a, b)
	got, n := statementOf(t, "acme", NewBounds(october, october.End(), DefaultIdle), schemas.BlockDays, merged)
	want, _ := statementOf(t, "acme", NewBounds(october, october.End(), DefaultIdle), schemas.BlockSums, a, b)
	if n != 4 || !reflect.DeepEqual(got, want) {
		t.Errorf("%d rows say %+v, want 4 that say %+v", n, got.Objects["o"], want.Objects["o"])
	}
}

func TestTheEarliestLibraryOfADayStandsWithItsTime(t *testing.T) {
	hour := schemas.HourOf(october.Start().UnixNano())
	row := func(h schemas.Hour, library string, after time.Duration) schemas.SumRow {
		r := schemas.SumRow{Hour: hour + h, Measure: schemas.MeasureMedia, Object: []byte("o"), Count: 1}
		if library != "" {
			r.Library = schemas.Pick{Value: []byte(library), Time: (hour + h).Start() + int64(after), Seq: schemas.None}
		}
		return r
	}
	merged := mergeOf(t, false, sumPack(t, "a", true, row(23, "late", time.Hour-1), row(22, "", 0)), sumPack(t, "b", true, row(21, "early", time.Hour-1), row(20, "", 0)))
	got, _ := statementOf(t, "acme", NewBounds(october, october.End(), DefaultIdle), schemas.BlockDays, merged)
	o := got.Objects["o"]
	if o == nil || o.Library != "early" || o.LibraryTime != (hour+22).Start()-1 || o.LibrarySeq != schemas.None {
		t.Errorf("got %+v", o)
	}
}

func TestNoSumsOfADayWhereTheIndexDoesNotTellOfARow(t *testing.T) {
	hour := schemas.HourOf(october.Start().UnixNano())
	rows := []schemas.SumRow{{Hour: hour, Measure: schemas.MeasureRead, Count: 1}, {Hour: hour + 1, Measure: schemas.MeasureRead, Count: 1}}
	if _, n := statementOf(t, "acme", NewBounds(october, october.End(), DefaultIdle), schemas.BlockDays, mergeOf(t, false, sumPack(t, "a", true, rows...))); n != 1 {
		t.Fatalf("%d rows of a day, want 1", n)
	}
	merged := mergeOf(t, false, sumPack(t, "a", true, rows...), sumPack(t, "b", false, rows...))
	if _, n := statementOf(t, "acme", NewBounds(october, october.End(), DefaultIdle), schemas.BlockDays, merged); n != 0 {
		t.Errorf("%d rows of a day, want none", n)
	}
}

func TestADamagedSourceIsNotMerged(t *testing.T) {
	packs := randomPacks(t, rand.New(rand.NewPCG(2, 4)), 4)
	packs[0].index.Members = packs[0].index.Members[:0]
	sources := []PackSource{{Name: "a", Index: packs[0].index, Open: packs[0].open}}
	if _, err := MergePacks(sources, io.Discard, nil); err == nil || !strings.Contains(err.Error(), "damaged") {
		t.Errorf("got %v, want an error: rows of files that are no members", err)
	}
	packs[1].index.Blocks[0].Kind = "novel"
	sources = []PackSource{{Name: "b", Index: packs[1].index, Open: packs[1].open}}
	if _, err := MergePacks(sources, io.Discard, nil); err == nil || !strings.Contains(err.Error(), "novel") {
		t.Errorf("got %v, want an error that names the unknown kind", err)
	}
}

func BenchmarkMerge(b *testing.B) {
	packs := []*packBytes{}
	for seed := range uint64(16) {
		packs = append(packs, tallyEvents(b, randomEvents(rand.New(rand.NewPCG(seed, 6)), 50_000), DefaultIdle, 1))
	}
	var sources []PackSource
	size := 0
	for i, p := range packs {
		p.index.Members[0].Tally = schemas.TallyName(fmt.Sprint(i))
		size += p.data.Len()
		sources = append(sources, PackSource{Name: fmt.Sprint(i), Index: p.index, Open: p.open})
	}
	b.SetBytes(int64(size))
	for b.Loop() {
		if _, err := MergePacks(sources, io.Discard, nil); err != nil {
			b.Fatal(err)
		}
	}
}
