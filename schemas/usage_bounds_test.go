package schemas

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"
	"testing"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/format"
)

func TestPartsAreReadAtOnce(t *testing.T) {
	rows := samples(5000)
	data := writeSamples(t, rows, append(encodingOptions("dictionary"), parquet.MaxRowsPerRowGroup(700))...)
	f, err := OpenUsage("x.parquet", bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	if f.Parts() != 8 || f.Rows() != 5000 {
		t.Fatalf("%d parts of %d rows, want 8 of 5000", f.Parts(), f.Rows())
	}
	got := make([]string, len(rows))
	var wg sync.WaitGroup
	for i := range f.Parts() {
		wg.Go(func() {
			r := f.Part(i)
			defer r.Close()
			for {
				b, err := r.Next()
				if err != nil {
					if err != io.EOF {
						t.Error(err)
					}
					return
				}
				for k := range b.Len {
					got[b.FirstRow+int64(k)] = showRow(b, k)
				}
			}
		})
	}
	wg.Wait()
	sameRows(t, got, wantRows(rows))
}

// TestDictionaryBeginsAnew has more text than a dictionary is to hold.
func TestDictionaryBeginsAnew(t *testing.T) {
	events := busyNode(30_000)
	for i := range events {
		events[i] = Event{NodeID: "n", Time: Earliest, TenantID: events[i].TenantID, Kind: "playout", ObjectID: events[i].ObjectID, SessionID: fmt.Sprint(i)}
	}
	files := map[string][]byte{"x.parquet": parquetOf(events), "x.ndjson": linesOf(events)}
	for key, data := range files {
		f, err := OpenUsage(key, bytes.NewReader(data), int64(len(data)))
		if err != nil {
			t.Fatal(err)
		}
		r := f.Part(0)
		switch from := r.from.(type) {
		case *parquetPart:
			from.most = 512 << 10
		case *linePart:
			from.rows.most = 512 << 10
		}
		dicts := map[*Dict]bool{}
		row := 0
		for {
			b, err := r.Next()
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			dicts[b.Dict] = true
			for i := range b.Len {
				e := &events[row]
				want := e.SessionID + e.TenantID + e.ObjectID
				if got := b.Dict.Text(b.Strings[ColSession][i]) + b.Dict.Text(b.Strings[ColTenant][i]) + b.Dict.Text(b.Strings[ColObject][i]); got != want {
					t.Fatalf("%s, row %d: %s, want %s", key, row, got, want)
				}
				row++
			}
		}
		if row != len(events) || len(dicts) < 2 {
			t.Errorf("%s: %d rows and %d dictionaries, want %d and several", key, row, len(dicts), len(events))
		}
	}
}

func TestErrorsStay(t *testing.T) {
	data := writeSamples(t, samples(2000), parquet.MaxRowsPerRowGroup(1000))
	data[len(data)/4] ^= 1
	f, err := OpenUsage("x.parquet", bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	r := f.Part(0)
	_, first := r.Next()
	for first == nil {
		_, first = r.Next()
	}
	if _, again := r.Next(); !errors.Is(first, ErrUnreadable) || again != first {
		t.Errorf("first %v, then %v, want ErrUnreadable twice", first, again)
	}
	r.Close()
	if _, err := r.Next(); err != io.ErrClosedPipe {
		t.Errorf("after Close: %v", err)
	}
}

func TestPagesThatUnpackToAnotherSize(t *testing.T) {
	zeros := make([]byte, 1<<20)
	for _, codec := range sampleCodecs {
		code := codec.CompressionCodec()
		if code == format.Uncompressed {
			continue
		}
		packed, err := codec.Encode(nil, zeros)
		if err != nil {
			t.Fatal(err)
		}
		for _, claim := range []int{0, 1, len(zeros) - 1, len(zeros), len(zeros) + 1, maxPage} {
			out, err := decompress(nil, code, packed, claim)
			if claim == len(zeros) {
				if err != nil || !bytes.Equal(out, zeros) {
					t.Errorf("%s: %v", codec, err)
				}
			} else if err == nil {
				t.Errorf("%s: %d bytes pass for %d", codec, len(zeros), claim)
			}
		}
	}
}

func TestDeltaHeaders(t *testing.T) {
	head := func(block, minis, total uint64) []byte {
		b := binary.AppendUvarint(nil, block)
		b = binary.AppendUvarint(b, minis)
		b = binary.AppendUvarint(b, total)
		return append(b, 0)
	}
	for _, src := range [][]byte{nil, head(128, 4, 1<<40), head(128, 4, 1000), head(0, 4, 2), head(128, 0, 2), head(128, 3, 2), head(1<<62, 4, 2),
		head(128, 64, 2), append(head(128, 4, 2), 0, 200, 0, 0, 0), append(head(128, 4, 100), 0, 64, 64, 64, 64, 1)} {
		if v, _, err := decodeDelta(nil, src, 100); err == nil {
			t.Errorf("% x: %d values and no error", src, len(v))
		}
	}
	if _, _, err := decodeDelta(nil, head(128, 4, 1<<31), 1<<31); err == nil {
		t.Error("2^31 values of one page and no error")
	}
}

func TestHybridRuns(t *testing.T) {
	read := func(src []byte, width uint, n int) (string, error) {
		var h hybrid
		if err := h.reset(src, width); err != nil {
			return "", err
		}
		dst := make([]uint32, n)
		// In small steps, so that runs are cut anywhere.
		for i := 0; i < n; i += 3 {
			if err := h.read(dst[i:min(i+3, n)]); err != nil {
				return "", err
			}
		}
		return fmt.Sprint(dst), nil
	}
	tests := []struct {
		name  string
		src   []byte
		width uint
		n     int
		want  string
	}{
		{"no values", nil, 3, 0, "[]"},
		{"a run of equal values", []byte{5 << 1, 7}, 3, 5, "[7 7 7 7 7]"},
		{"a packed run", []byte{1<<1 | 1, 0x88, 0xC6, 0xFA}, 3, 8, "[0 1 2 3 4 5 6 7]"},
		{"both", []byte{2 << 1, 7, 1<<1 | 1, 0x88, 0xC6, 0xFA, 1 << 1, 2}, 3, 11, "[7 7 0 1 2 3 4 5 6 7 2]"},
		{"a packed run that is cut after its last value", []byte{1<<1 | 1, 0x88, 0x02}, 3, 4, "[0 1 2 1]"},
		{"no bits and no runs", nil, 0, 4, "[0 0 0 0]"},
		{"no bits and a run", []byte{4 << 1}, 0, 4, "[0 0 0 0]"},
		{"no bits and a packed run", []byte{1<<1 | 1}, 0, 4, "[0 0 0 0]"},
		{"32 bits", []byte{2 << 1, 1, 2, 3, 4}, 32, 2, "[67305985 67305985]"},
		{"an empty run", []byte{0, 9, 1 << 1, 1}, 3, 1, "error"},
		{"too few", []byte{2 << 1, 7}, 3, 3, "error"},
		{"a value of too many bits", []byte{2 << 1, 8}, 3, 2, "error"},
		{"a run without its value", []byte{2 << 1}, 3, 2, "error"},
		{"33 bits", []byte{2 << 1, 1, 2, 3, 4, 5}, 33, 2, "error"},
		{"an endless header", bytes.Repeat([]byte{0xff}, 20), 3, 2, "error"},
	}
	for _, tt := range tests {
		got, err := read(tt.src, tt.width, tt.n)
		if err != nil {
			got = "error"
		}
		if got != tt.want {
			t.Errorf("%s: got %s (%v), want %s", tt.name, got, err, tt.want)
		}
	}
}
