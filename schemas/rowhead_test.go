package schemas

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"reflect"
	"testing"
)

func TestARefiledRowDiffersInItsFileAlone(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 7))
	for range 500 {
		file := r.Uint32() >> r.IntN(32)
		f := randomFragment(r)
		row := AppendFragment(nil, &f)
		h, err := ParseRowHead(BlockFragments, row)
		if err != nil || h.Hour != f.Hour || h.File != f.File || h.Key != f.Key || h.First != f.First || h.Record != (f.Kind == FragmentRecord) {
			t.Fatalf("head %+v of %+v: %v", h, f, err)
		}
		f.File = file
		if got := h.Refile(nil, row, file); !bytes.Equal(got, AppendFragment(nil, &f)) {
			t.Fatalf("refiled to %d: %x", file, got)
		}

		s := SumRow{Hour: Hour(r.IntN(600_000)), File: r.Uint32(), Measure: MeasureVideo, Object: []byte("an object of many letters")[:r.IntN(25)], Count: randomAmount(r), Bytes: randomAmount(r)}
		row = AppendSumRow(nil, &s)
		h, err = ParseRowHead(BlockSums, row)
		var key [16]byte
		copy(key[:], s.Object)
		if err != nil || h.Hour != s.Hour || h.File != s.File || h.Key != key {
			t.Fatalf("head %+v of %+v: %v", h, s, err)
		}
		s.File = file
		if got := h.Refile(nil, row, file); !bytes.Equal(got, AppendSumRow(nil, &s)) {
			t.Fatalf("refiled to %d: %x", file, got)
		}

		set := SetRow{Hour: s.Hour, File: r.Uint32(), Node: []byte("node"), Hashes: make([]byte, 32)}
		row = AppendSetRow(nil, &set)
		h, err = ParseRowHead(BlockSets, row)
		if err != nil || h.Hour != set.Hour || h.File != set.File || string(h.Key[:4]) != "node" {
			t.Fatalf("head %+v of %+v: %v", h, set, err)
		}
		set.File = file
		if got := h.Refile(nil, row, file); !bytes.Equal(got, AppendSetRow(nil, &set)) {
			t.Fatalf("refiled to %d: %x", file, got)
		}
	}
}

func TestARowOfADayKeepsItsLibrarysTime(t *testing.T) {
	for _, day := range []bool{false, true} {
		s := SumRow{Hour: 480, Day: day, Measure: MeasureMedia, Object: []byte("o"), Count: 1, Library: Pick{Value: []byte("ilib"), Time: Hour(480).Start() + hourNanos - 1, Seq: None}}
		if day {
			s.Library.Time = Hour(480).Start() + dayNanos - 1
		}
		var got SumRow
		if err := DecodeSumRow(AppendSumRow(nil, &s), &got); err != nil || !reflect.DeepEqual(got.Library, s.Library) || got.Day != day {
			t.Errorf("got %+v, want %+v: %v", got, s, err)
		}
		s.Library.Time++
		if err := DecodeSumRow(AppendSumRow(nil, &s), &got); !errors.Is(err, ErrDamaged) {
			t.Errorf("a library of the time after: got %v, want ErrDamaged", err)
		}
	}
}

func FuzzRowHead(f *testing.F) {
	r := rand.New(rand.NewPCG(2, 7))
	x := randomFragment(r)
	f.Add(0, AppendFragment(nil, &x))
	f.Add(1, AppendSumRow(nil, &SumRow{Hour: 5, Measure: MeasureRead, Count: 1}))
	f.Add(2, AppendSetRow(nil, &SetRow{Hour: 5, File: 300, Node: []byte("n")}))
	kinds := []BlockKind{BlockFragments, BlockSums, BlockSets, BlockDays}
	f.Fuzz(func(t *testing.T, kind int, row []byte) {
		k := kinds[uint(kind)%4]
		h, err := ParseRowHead(k, row)
		if err != nil {
			if !errors.Is(err, ErrDamaged) {
				t.Errorf("got %v, want ErrDamaged", err)
			}
			return
		}
		again, err := ParseRowHead(k, h.Refile(nil, row, 7))
		if err != nil || again.File != 7 || again.Hour != h.Hour || again.Key != h.Key || again.First != h.First {
			t.Errorf("%+v became %+v: %v", h, again, err)
		}
	})
}
