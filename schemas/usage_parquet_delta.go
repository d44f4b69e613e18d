package schemas

import (
	"encoding/binary"
	"errors"
	"slices"

	"github.com/parquet-go/bitpack"
)

var errDelta = errors.New("damaged delta encoding")

// decodeDelta decodes DELTA_BINARY_PACKED and returns the values, in dst's
// memory where they fit, and the bytes after them. A header that claims more
// than limit values is an error before anything is allocated.
//
// Source: the Parquet format's "Encodings.md", DELTA_BINARY_PACKED.
func decodeDelta(dst []int64, src []byte, limit int) ([]int64, []byte, error) {
	var head [3]uint64 // values in a block, miniblocks in a block, values in all
	for i := range head {
		v, n := binary.Uvarint(src)
		if n <= 0 {
			return nil, nil, errDelta
		}
		head[i], src = v, src[n:]
	}
	last, n := binary.Varint(src)
	if n <= 0 {
		return nil, nil, errDelta
	}
	src = src[n:]
	block, minis, total := head[0], head[1], head[2]
	if block == 0 || block > 1<<20 || minis == 0 || minis > block || block%minis != 0 || block/minis%8 != 0 {
		return nil, nil, errDelta
	}
	if total > uint64(limit) {
		return nil, nil, errors.New("more values than the page claims")
	}
	if total > maxPage/8 {
		return nil, nil, errPageSize
	}
	dst = slices.Grow(dst[:0], int(total))
	if total == 0 {
		return dst, src, nil
	}
	d := deltaBlocks{values: append(dst, last), total: int(total), mini: int(block / minis)}
	for len(d.values) < d.total {
		var err error
		if src, err = d.block(src, int(minis)); err != nil {
			return nil, nil, err
		}
	}
	return d.values, src, nil
}

type deltaBlocks struct {
	values []int64
	total  int
	mini   int // values in a miniblock
	pad    []byte
}

func (d *deltaBlocks) block(src []byte, minis int) ([]byte, error) {
	least, n := binary.Varint(src)
	if n <= 0 || len(src) < n+minis {
		return nil, errDelta
	}
	widths, src := src[n:n+minis], src[n+minis:]
	for _, width := range widths {
		if len(d.values) == d.total {
			break
		}
		if width > 64 {
			return nil, errDelta
		}
		size := d.mini / 8 * int(width)
		want := min(d.mini, d.total-len(d.values))
		if have := len(src); have < size && have*8 < want*int(width) {
			return nil, errDelta
		}
		size = min(size, len(src))
		d.miniblock(src[:size], want, uint(width), least)
		src = src[size:]
	}
	return src, nil
}

func (d *deltaBlocks) miniblock(src []byte, n int, width uint, least int64) {
	from := len(d.values)
	d.values = d.values[:from+n]
	out := d.values[from:]
	if width == 0 {
		clear(out)
	} else {
		need := bitpack.ByteCount(uint(n)*width) + bitpack.PaddingInt64
		if cap(src) < need {
			d.pad = append(append(d.pad[:0], src...), make([]byte, bitpack.PaddingInt64)...)
			src = d.pad
		}
		bitpack.Unpack(out, src[:need], width)
	}
	last := d.values[from-1]
	for i := range out {
		last += least + out[i]
		out[i] = last
	}
}

// texts are texts one after another: text i is data[ends[i-1]:ends[i]].
type texts struct {
	data []byte
	ends []uint32
	at   int
}

func (t *texts) reset() { t.data, t.ends, t.at = t.data[:0], t.ends[:0], 0 }

func (t *texts) text(i int) []byte {
	if i == 0 {
		return t.data[:t.ends[0]]
	}
	return t.data[t.ends[i-1]:t.ends[i]]
}

func (t *texts) append(b ...byte) {
	t.data = append(t.data, b...)
	t.ends = append(t.ends, uint32(len(t.data)))
}

// decodeDeltaLengths decodes DELTA_LENGTH_BYTE_ARRAY.
func (t *texts) decodeDeltaLengths(src []byte, limit int) error {
	lengths, rest, err := decodeDelta(nil, src, limit)
	if err != nil {
		return err
	}
	t.reset()
	end := int64(0)
	for _, n := range lengths {
		if n < 0 || n > int64(len(rest))-end {
			return errDelta
		}
		end += n
		t.ends = append(t.ends, uint32(end))
	}
	t.data = append(t.data, rest[:end]...)
	return nil
}

// decodeDeltaTexts decodes DELTA_BYTE_ARRAY. Its shared beginnings can make far
// more of a page than its bytes, so the sum is checked first.
func (t *texts) decodeDeltaTexts(src []byte, limit int) error {
	prefixes, rest, err := decodeDelta(nil, src, limit)
	if err != nil {
		return err
	}
	var suffixes texts
	if err := suffixes.decodeDeltaLengths(rest, limit); err != nil {
		return err
	}
	if len(prefixes) != len(suffixes.ends) {
		return errDelta
	}
	sum := int64(len(suffixes.data))
	for _, n := range prefixes {
		if n < 0 || n > maxPage {
			return errDelta
		}
		if sum += n; sum > maxPage {
			return errPageSize
		}
	}
	t.reset()
	t.data = slices.Grow(t.data, int(sum))
	last := 0
	for i, n := range prefixes {
		if int(n) > len(t.data)-last {
			return errDelta
		}
		from := len(t.data)
		t.data = append(t.data, t.data[last:last+int(n)]...)
		t.append(suffixes.text(i)...)
		last = from
	}
	return nil
}
