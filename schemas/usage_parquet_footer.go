package schemas

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// Bounds of a footer that is believed. Reading a footer allocates what its lists
// claim to hold, so the claims are looked at first: no process survives
// running out of memory.
const (
	maxFooter      = 64 << 20
	maxFooterItems = 1 << 20 // structs in lists, such as column chunks
	maxElements    = 1 << 16 // columns of the schema
	maxDepth       = 32
)

var errFooter = errors.New("damaged Parquet footer")

// checkFooter looks at the footer's size and at the lengths in it.
func checkFooter(src *source) error {
	const tail = 8 // length and magic
	if src.size < 4+tail {
		return fmt.Errorf("%d bytes are no Parquet file", src.size)
	}
	var end [tail]byte
	if _, err := src.ReadAt(end[:], src.size-tail); err != nil {
		return fmt.Errorf("read Parquet footer: %w", err)
	}
	if magic := string(end[4:]); magic != "PAR1" {
		if magic == "PARE" {
			return errors.New("is encrypted Parquet")
		}
		return errors.New("is not Parquet, or truncated: it does not end in PAR1")
	}
	size := int64(binary.LittleEndian.Uint32(end[:]))
	if size > maxFooter || size > src.size-4-tail {
		return fmt.Errorf("%w: it claims %d bytes in a file of %d", errFooter, size, src.size)
	}
	footer := make([]byte, size)
	if _, err := src.ReadAt(footer, src.size-tail-size); err != nil {
		return fmt.Errorf("read Parquet footer: %w", err)
	}
	w := thriftWalk{rest: footer}
	w.structure(0)
	if w.failed {
		return errFooter
	}
	return nil
}

// thriftWalk steps over a struct in Thrift's compact protocol without building it.
//
// Source: Apache Thrift, "thrift-compact-protocol.md".
type thriftWalk struct {
	rest   []byte
	items  int
	failed bool
}

func (w *thriftWalk) byte() byte {
	if len(w.rest) == 0 {
		w.failed = true
		return 0
	}
	b := w.rest[0]
	w.rest = w.rest[1:]
	return b
}

func (w *thriftWalk) uvarint() uint64 {
	v, n := binary.Uvarint(w.rest)
	if n <= 0 {
		w.failed = true
		return 0
	}
	w.rest = w.rest[n:]
	return v
}

func (w *thriftWalk) skip(n uint64) {
	if n > uint64(len(w.rest)) {
		w.failed = true
		return
	}
	w.rest = w.rest[n:]
}

func (w *thriftWalk) structure(depth int) {
	if depth > maxDepth {
		w.failed = true
	}
	field := int64(0)
	for !w.failed {
		b := w.byte()
		if b == 0 {
			return
		}
		if delta := b >> 4; delta != 0 {
			field += int64(delta)
		} else {
			z := w.uvarint()
			field = int64(z>>1) ^ -int64(z&1)
		}
		const schema = 2 // of FileMetaData
		if depth == 0 && field == schema && b&0xf == 9 {
			w.list(depth, maxElements)
		} else {
			w.value(b&0xf, depth, false)
		}
	}
}

// value steps over a value. In a list a boolean is a byte, in a struct it is
// part of the type.
func (w *thriftWalk) value(kind byte, depth int, listed bool) {
	switch kind {
	case 1, 2:
		if listed {
			w.byte()
		}
	case 3:
		w.byte()
	case 4, 5, 6:
		w.uvarint()
	case 7:
		w.skip(8)
	case 8:
		w.skip(w.uvarint())
	case 9, 10:
		w.list(depth, maxFooterItems)
	case 11:
		w.pairs(depth)
	case 12:
		w.structure(depth + 1)
	default:
		w.failed = true
	}
}

func (w *thriftWalk) list(depth int, most uint64) {
	b := w.byte()
	n := uint64(b >> 4)
	if n == 15 {
		n = w.uvarint()
	}
	w.many(n, most, b&0xf == 12)
	for range n {
		if w.failed {
			return
		}
		w.value(b&0xf, depth+1, true)
	}
}

func (w *thriftWalk) pairs(depth int) {
	n := w.uvarint()
	if n == 0 {
		return
	}
	b := w.byte()
	w.many(n, maxFooterItems, true)
	for range n {
		if w.failed {
			return
		}
		w.value(b>>4, depth+1, true)
		w.value(b&0xf, depth+1, true)
	}
}

// many checks the length that a list claims.
func (w *thriftWalk) many(n, most uint64, structs bool) {
	if n > most || n > uint64(len(w.rest)) {
		w.failed = true
		return
	}
	if structs {
		if w.items += int(n); w.items > maxFooterItems {
			w.failed = true
		}
	}
}
