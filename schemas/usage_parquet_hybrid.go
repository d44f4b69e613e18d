package schemas

import (
	"encoding/binary"
	"errors"
	"math"
	"math/bits"

	"github.com/parquet-go/bitpack"
)

// hybrid reads the run-length and bit-packing hybrid of Parquet: dictionary
// indexes, levels, and booleans. It decodes no more than it is asked for,
// whatever length a run claims.
//
// Source: the Parquet format's "Encodings.md", RLE.
type hybrid struct {
	src   []byte // what comes after the current run
	width uint

	left   int    // values left in the current run
	value  uint32 // of a run of equal values
	packed []byte // of a bit-packed run; nil in a run of equal values
	taken  int    // values already taken from packed

	pad []byte
}

var (
	errRunsShort = errors.New("fewer values than the page claims")
	errRunHeader = errors.New("damaged run of values")
)

func (h *hybrid) reset(src []byte, width uint) error {
	*h = hybrid{src: src, width: width, pad: h.pad}
	if width > 32 {
		return errRunHeader
	}
	return nil
}

// advance goes to the next run, which has at least one value.
func (h *hybrid) advance() error {
	if h.width == 0 && len(h.src) == 0 { // one possible value: some writers leave the runs out
		h.left, h.value, h.packed = math.MaxInt, 0, nil
		return nil
	}
	for {
		header, n := binary.Uvarint(h.src)
		if n == 0 {
			return errRunsShort
		}
		if n < 0 || header > math.MaxUint32 {
			return errRunHeader
		}
		h.src = h.src[n:]
		count := int(header >> 1)
		if count == 0 {
			return errRunHeader
		}
		if header&1 == 0 {
			return h.equalRun(count)
		}
		if h.packedRun(count); h.left > 0 {
			return nil
		}
	}
}

func (h *hybrid) equalRun(count int) error {
	n := int(h.width+7) / 8
	if n > len(h.src) {
		return errRunsShort
	}
	h.value = 0
	for i := range n {
		h.value |= uint32(h.src[i]) << (8 * i)
	}
	if h.width < 32 && h.value>>h.width != 0 {
		return errRunHeader
	}
	h.src = h.src[n:]
	h.left, h.packed = count, nil
	return nil
}

// packedRun begins a run of groups of eight values. The last run of a page may be
// cut short after its last value that counts.
func (h *hybrid) packedRun(groups int) {
	h.taken = 0
	if h.width == 0 {
		h.left, h.value, h.packed = groups*8, 0, nil
		return
	}
	n := min(groups*int(h.width), len(h.src))
	h.packed, h.src = h.src[:n], h.src[n:]
	h.left = min(groups*8, n*8/int(h.width))
}

// read fills dst.
func (h *hybrid) read(dst []uint32) error {
	for len(dst) > 0 {
		if h.left == 0 {
			if err := h.advance(); err != nil {
				return err
			}
		}
		n := min(h.left, len(dst))
		if h.packed == nil {
			run := dst[:n]
			for i := range run {
				run[i] = h.value
			}
		} else {
			h.unpack(dst[:n])
		}
		h.left -= n
		dst = dst[n:]
	}
	return nil
}

// unpack takes len(dst) values, at most those left, from the bit-packed run.
func (h *hybrid) unpack(dst []uint32) {
	for h.taken%8 != 0 && len(dst) > 0 {
		dst[0] = h.one(h.taken)
		h.taken++
		dst = dst[1:]
	}
	if len(dst) == 0 {
		return
	}
	from := h.packed[h.taken/8*int(h.width):]
	need := bitpack.ByteCount(uint(len(dst))*h.width) + bitpack.PaddingInt32
	if cap(from) < need {
		h.pad = append(append(h.pad[:0], from...), make([]byte, bitpack.PaddingInt32)...)
		from = h.pad
	}
	bitpack.Unpack(dst, from[:need], h.width)
	h.taken += len(dst)
}

// one is value i of the bit-packed run.
func (h *hybrid) one(i int) uint32 {
	bit := i * int(h.width)
	var word [8]byte
	copy(word[:], h.packed[bit/8:])
	return uint32(binary.LittleEndian.Uint64(word[:])>>(bit%8)) & uint32(uint64(1)<<h.width-1)
}

// all tells whether the next n values are all v, and takes them if so. It only
// looks at the current run.
func (h *hybrid) all(v uint32, n int) bool {
	if h.left == 0 && h.advance() != nil {
		return false
	}
	if h.packed != nil || h.value != v || h.left < n {
		return false
	}
	h.left -= n
	return true
}

// flags fills dst with values of one bit, and counts the ones.
func (h *hybrid) flags(dst []byte) (ones int, err error) {
	for len(dst) > 0 {
		if h.left == 0 {
			if err := h.advance(); err != nil {
				return 0, err
			}
		}
		n := min(h.left, len(dst))
		if h.packed != nil {
			ones += h.unpackFlags(dst[:n])
		} else {
			run := dst[:n]
			for i := range run {
				run[i] = byte(h.value)
			}
			ones += n * int(h.value)
		}
		h.left -= n
		dst = dst[n:]
	}
	return ones, nil
}

func (h *hybrid) unpackFlags(dst []byte) (ones int) {
	for len(dst) > 0 {
		b := h.packed[h.taken/8]
		if h.taken%8 == 0 && len(dst) >= 8 {
			binary.LittleEndian.PutUint64(dst, spreadBits(b))
			ones += bits.OnesCount8(b)
			h.taken += 8
			dst = dst[8:]
			continue
		}
		dst[0] = b >> (h.taken % 8) & 1
		ones += int(dst[0])
		h.taken++
		dst = dst[1:]
	}
	return ones
}

// spreadBits makes bit i of b the byte i of the result.
func spreadBits(b byte) uint64 {
	x := uint64(b) * 0x0101010101010101 & 0x8040201008040201
	return (x + 0x7f7f7f7f7f7f7f7f) >> 7 & 0x0101010101010101
}
