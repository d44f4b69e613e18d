package schemas

import (
	"fmt"
	"math/big"
	"math/rand/v2"
	"testing"
)

// showAny writes a value with its types, so that it can be compared as text.
func showAny(v any) string { return fmt.Sprintf("%#v", v) }

func TestSecondsAreExactDecimals(t *testing.T) {
	for _, tt := range []struct {
		micros Sum
		want   string
	}{
		{Sum{}, "0"}, {SumOf(1), "0.000001"}, {SumOf(300_300_000), "300.3"}, {SumOf(2_002_000), "2.002"}, {SumOf(1_000_000), "1"},
		{SumOf(10_000_010), "10.00001"}, {Sum{1, 0}, "18446744073709.551616"}, {Sum{1, 448384}, "18446744073710"},
	} {
		if got := string(tt.micros.AppendMicros(nil)); got != tt.want {
			t.Errorf("seconds of %v = %s, want %s", tt.micros, got, tt.want)
		}
	}
}

func TestQuotientsRoundHalfAwayFromZero(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for i := range 20_000 {
		s, d := Sum{r.Uint64() >> r.IntN(64), r.Uint64()}, 1+r.Int64()>>r.IntN(63)
		if i%2 == 0 {
			s.Hi = 0
		}
		n := new(big.Int).Mul(s.Big(), big.NewInt(2_000_000))
		n.Add(n, big.NewInt(d)).Quo(n, new(big.Int).Mul(big.NewInt(2), big.NewInt(d)))
		want := new(big.Rat).SetFrac(n, big.NewInt(1_000_000))
		got, ok := new(big.Rat).SetString(string(s.AppendQuotient(nil, d)))
		if !ok || got.Cmp(want) != 0 {
			t.Fatalf("%v/%d = %s, want %s", s, d, s.AppendQuotient(nil, d), want.FloatString(6))
		}
	}
}

func TestSumsCarryAndNeverGoBelowZero(t *testing.T) {
	s := Sum{Lo: ^uint64(0)}
	s.Add(1)
	if s != (Sum{Hi: 1}) {
		t.Errorf("2^64-1 plus 1 = %v", s)
	}
	if got := SumOf(3).Minus(SumOf(5)); !got.IsZero() {
		t.Errorf("3 minus 5 = %v, want 0", got)
	}
	if got := s.Minus(SumOf(1)); got != (Sum{Lo: ^uint64(0)}) {
		t.Errorf("2^64 minus 1 = %v", got)
	}
	var back Sum
	if err := back.UnmarshalJSON([]byte(s.String())); err != nil || back != s {
		t.Errorf("%v came back as %v, %v", s, back, err)
	}
}

func TestSegmentsAreSets(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 2))
	for range 2000 {
		var s Segments
		plain := make(map[uint32]bool)
		for range r.IntN(60) {
			i := uint32(r.IntN(40))
			s.Add(i)
			plain[i] = true
		}
		s.Normalize()
		var other Segments
		for range r.IntN(20) {
			i := uint32(r.IntN(60))
			other.Add(i)
			plain[i] = true
		}
		other.Normalize()
		s.Join(other)
		if s.Count() != int64(len(plain)) {
			t.Fatalf("%v counts %d segments, want %d", s, s.Count(), len(plain))
		}
		d := decoder{rest: AppendSegments(nil, s)}
		if got := d.segments(nil); d.err != nil || showAny(got) != showAny(s) && len(s) > 0 {
			t.Fatalf("%v came back as %v, %v", s, got, d.err)
		}
	}
}

func TestHoursAndDaysBefore1970(t *testing.T) {
	if h := HourOf(-1); h != -1 || h.Day() != -1 || h.Start() > -1 {
		t.Errorf("the hour of -1 ns is %d, of day %d", h, h.Day())
	}
	if d := DayOf(1_790_812_800_000_000_000); d.String() != "2026-10-01" {
		t.Errorf("got %s", d)
	}
}
