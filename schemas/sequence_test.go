package schemas

import (
	"errors"
	"math/rand/v2"
	"slices"
	"testing"
)

func TestSequencesSurviveTheirEncoding(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	units := []int64{1, 1_000, 1_000_000, 60_000_000_000}
	for n := range 400 {
		hour := Hour(r.IntN(1 << 20))
		unit := units[r.IntN(len(units))]
		var want []Entry
		seq, row := r.Int64N(1<<r.IntN(60)), int64(0)
		for range n % 40 {
			switch r.IntN(6) {
			case 0:
				seq += r.Int64N(1000)
			case 1: // the same number again
			default:
				seq++
			}
			row += r.Int64N(4)
			want = append(want, Entry{seq, hour.Start() + r.Int64N(hourNanos/unit)*unit, row})
		}
		slices.SortFunc(want, Entry.Compare)
		s, err := OpenSequence(AppendSequence(nil, hour, want), hour)
		if err != nil {
			t.Fatal(err)
		}
		var got []Entry
		if err := s.Entries(func(e Entry) error { got = append(got, e); return nil }); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(got, want) {
			t.Fatalf("sequence of hour %d\n got %v\nwant %v", hour, got, want)
		}
		count := int64(0)
		err = s.Runs(func(run SeqRun) error {
			i := slices.IndexFunc(want, func(e Entry) bool { return e.Seq == run.Lo && e.Time == run.Start })
			if i < 0 {
				t.Errorf("run %v begins with no entry of %v", run, want)
			}
			count += run.Hi - run.Lo + 1
			return nil
		})
		if err != nil || count != int64(len(want)) {
			t.Errorf("runs hold %d numbers, want %d (%v)", count, len(want), err)
		}
	}
}

func TestConsecutiveNumbersCostThreeBytes(t *testing.T) {
	var entries []Entry
	for i := range int64(10_000) {
		entries = append(entries, Entry{1_000_000 + i, i * 120_000_000, i * 3})
	}
	if n := len(AppendSequence(nil, 0, entries)); n > 31_000 {
		t.Errorf("10,000 entries take %d bytes", n)
	}
}

func FuzzSequence(f *testing.F) {
	f.Add(AppendSequence(nil, 9, []Entry{{1, Hour(9).Start(), 3}, {2, Hour(9).Start() + 5, 9}, {2, Hour(9).Start() + 6, 1}}))
	f.Add([]byte{2, 1, 0, 1, 0, 0, 1, 1, 1})
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := OpenSequence(data, 9)
		if err == nil {
			n := 0
			err = s.Entries(func(e Entry) error {
				if n++; n > len(data) || e.Time < Hour(9).Start() || e.Time >= Hour(10).Start() || e.Seq < 0 || e.Row < 0 {
					t.Fatalf("entry %d of %d bytes: %v", n, len(data), e)
				}
				return nil
			})
		}
		if err != nil && !errors.Is(err, ErrDamaged) {
			t.Errorf("error %v does not wrap ErrDamaged", err)
		}
		var row SetRow
		if err := DecodeSetRow(data, &row); err == nil {
			_ = row.EachHash(func([EventHashSize]byte, int64) {})
		}
		_, _ = ParseLedger(data)
	})
}
