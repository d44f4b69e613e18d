package schemas

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"regexp"
	"testing"
)

func randomText(r *rand.Rand) []byte {
	if r.IntN(3) == 0 {
		return nil
	}
	b := make([]byte, r.IntN(40))
	for i := range b {
		b[i] = byte(r.IntN(256))
	}
	return b
}

func randomAmount(r *rand.Rand) int64 { return r.Int64() >> r.IntN(63) }

func randomSegments(r *rand.Rand) (s Segments) {
	for range r.IntN(6) {
		s.Add(uint32(r.IntN(1000)))
	}
	s.Normalize()
	return s
}

func randomFragment(r *rand.Rand) Fragment {
	hour := Hour(r.IntN(600_000))
	at := func() int64 { return hour.Start() + r.Int64N(hourNanos) }
	f := Fragment{Kind: FragmentKind(r.IntN(2)), Hour: hour, File: r.Uint32(), Object: []byte("object"), SessionID: randomText(r), First: at(),
		Start: None, Requests: randomAmount(r), Errors: randomAmount(r), Bytes: randomAmount(r), Live: r.IntN(2) == 0, Opened: None, Closed: None,
		Video: randomSegments(r), Audio: randomSegments(r), LongVideo: randomAmount(r)}
	for i := range f.Key {
		f.Key[i] = byte(r.IntN(256))
	}
	f.Last = f.First + r.Int64N(hour.Start()+hourNanos-f.First)
	if r.IntN(2) == 0 {
		f.Start, f.Opened, f.Closed = f.First+r.Int64N(f.Last-f.First+1), r.Int64()-1<<62, r.Int64()
	}
	for i := range f.Fields {
		if text := randomText(r); len(text) > 0 {
			f.Fields[i] = Pick{Value: text, Time: f.First, Seq: None}
			if r.IntN(2) == 0 {
				f.Fields[i].Time, f.Fields[i].Seq = f.First+r.Int64N(f.Last-f.First+1), randomAmount(r)
			}
		}
	}
	for range r.IntN(4) {
		f.Renditions = append(f.Renditions, Rendition{Audio: r.IntN(2) == 0, DRM: r.IntN(2) == 0, Width: r.Int32(), Height: r.Int32(), Micros: randomAmount(r)})
		f.Shares = append(f.Shares, Share{Node: []byte("n"), Requests: randomAmount(r), Bytes: randomAmount(r), Video: randomAmount(r), Audio: randomAmount(r)})
	}
	return f
}

// alike compares two values, empty and nil slices alike.
func alike(a, b any) bool { return shown(a) == shown(b) }

var emptySlice = regexp.MustCompile(`[][\w.*]+(\(nil\)|\{\})`)

func shown(v any) string { return emptySlice.ReplaceAllString(showAny(v), "none") }

func TestFragmentsSurviveTheirEncoding(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var got Fragment
	for range 800 {
		want := randomFragment(r)
		if want.Kind == FragmentPlayout && want.Errors == 0 && want.Start == None {
			continue
		}
		if err := DecodeFragment(AppendFragment(nil, &want), &got); err != nil {
			t.Fatal(err)
		}
		if !alike(got, want) {
			t.Fatalf("got  %+v\nwant %+v", got, want)
		}
	}
}

func TestSumRowsSurviveTheirEncoding(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 800 {
		want := SumRow{Hour: Hour(r.IntN(600_000)), File: r.Uint32(), Measure: Measure(1 + r.IntN(int(numMeasures)-1)), DRM: r.IntN(2) == 0,
			Object: randomText(r), Width: r.Int32N(2) * r.Int32(), Height: r.Int32(), Codec: randomText(r), SourceCodec: randomText(r),
			SourceWidth: r.Int32(), SourceHeight: r.Int32(), Count: randomAmount(r), Bytes: randomAmount(r), Micros: randomAmount(r)}
		if text := randomText(r); len(text) > 0 {
			want.Library = Pick{Value: text, Time: want.Hour.Start() + r.Int64N(hourNanos), Seq: randomAmount(r)}
			if r.IntN(2) == 0 {
				want.Library.Seq = None
			}
		}
		var got SumRow
		if err := DecodeSumRow(AppendSumRow(nil, &want), &got); err != nil {
			t.Fatal(err)
		}
		if !alike(got, want) {
			t.Fatalf("got  %+v\nwant %+v", got, want)
		}
	}
}

func TestSessionsSurviveTheirEncoding(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	var got Session
	for range 500 {
		f := randomFragment(r)
		want := Session{Key: f.Key, SessionID: f.SessionID, Object: f.Object, Start: f.First, End: f.Last, Begun: r.IntN(2) == 0, Live: f.Live,
			HasVideo: r.IntN(2) == 0, Reported: r.IntN(2) == 0, Requests: f.Requests, Errors: f.Errors, Bytes: Sum{r.Uint64(), r.Uint64()},
			Video: Sum{0, r.Uint64()}, Title: randomText(r), Duration: None, Percent: randomAmount(r), Renditions: f.Renditions, Shares: f.Shares}
		for i := range want.Fields {
			want.Fields[i] = randomText(r)
		}
		if err := DecodeSession(AppendSession(nil, &want), &got); err != nil {
			t.Fatal(err)
		}
		if !alike(got, want) {
			t.Fatalf("got  %+v\nwant %+v", got, want)
		}
	}
}

func TestRowStreamsEndWhereTheyWereClosed(t *testing.T) {
	var file bytes.Buffer
	w := NewRowWriter(&file)
	rows := [][]byte{{}, []byte("a"), bytes.Repeat([]byte("b"), 3*window), []byte("c")}
	for _, row := range rows {
		if err := w.Write(row); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	read := func(data []byte) (n int, err error) {
		r, err := NewRowReader(bytes.NewReader(data))
		if err != nil {
			return 0, err
		}
		defer r.Close()
		for {
			row, err := r.Next()
			if err != nil {
				return n, err
			}
			if n < len(rows) && !bytes.Equal(row, rows[n]) {
				t.Fatalf("row %d has %d bytes, want %d", n, len(row), len(rows[n]))
			}
			n++
		}
	}
	if n, err := read(file.Bytes()); n != len(rows) || err != io.EOF {
		t.Errorf("read %d rows and %v, want %d and the end", n, err, len(rows))
	}
	for cut := 1; cut < file.Len(); cut++ {
		if n, err := read(file.Bytes()[:cut]); !errors.Is(err, ErrDamaged) {
			t.Errorf("cut at %d: read %d rows and %v, want ErrDamaged", cut, n, err)
		}
	}
}

func FuzzFragment(f *testing.F) {
	r := rand.New(rand.NewPCG(7, 8))
	for range 20 {
		x := randomFragment(r)
		f.Add(AppendFragment(nil, &x))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var x, y Fragment
		if err := DecodeFragment(data, &x); err != nil {
			if !errors.Is(err, ErrDamaged) {
				t.Errorf("error %v does not wrap ErrDamaged", err)
			}
			return
		}
		if err := DecodeFragment(AppendFragment(nil, &x), &y); err != nil || !alike(x, y) {
			t.Errorf("what was decoded does not survive: %v\n%+v\n%+v", err, x, y)
		}
	})
}

func FuzzTally(f *testing.F) {
	f.Add(AppendSumRow(nil, &SumRow{Measure: MeasureVideo, Object: []byte("o"), Count: 1}))
	f.Add(AppendSetRow(nil, &SetRow{Node: []byte("n"), Counted: AppendSequence(nil, 0, []Entry{{1, 2, 3}, {2, 5, 9}})}))
	s := Session{Start: 1, End: 2, Duration: None, Percent: None}
	f.Add(AppendSession(nil, &s))
	f.Add(PackBytes([]byte("{}\n")))
	f.Fuzz(func(t *testing.T, data []byte) {
		var sum SumRow
		var set SetRow
		var session Session
		_ = DecodeSumRow(data, &sum)
		_ = DecodeSetRow(data, &set)
		_ = DecodeSession(data, &session)
		_, _ = ParseInputs(data)
	})
}

func FuzzRowStream(f *testing.F) {
	var file bytes.Buffer
	w := NewRowWriter(&file)
	_ = w.Write([]byte("row"))
	_ = w.Close()
	f.Add(file.Bytes())
	end, _ := AppendPackEnd(nil, 0, &PackIndex{Members: []Member{{Key: "k"}}})
	f.Add(end)
	f.Fuzz(func(t *testing.T, data []byte) {
		if _, _, err := ParsePackTail(data, int64(len(data))); err != nil && !errors.Is(err, ErrDamaged) {
			t.Errorf("error %v does not wrap ErrDamaged", err)
		}
		r, err := NewRowReader(bytes.NewReader(data))
		if err != nil {
			return
		}
		defer r.Close()
		for {
			if _, err := r.Next(); err != nil {
				return
			}
		}
	})
}
