package schemas

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"
)

// RowHead is what a row of a block is sorted by. It is read without decoding the row, so that
// packs can be merged by moving encoded rows.
type RowHead struct {
	Hour   Hour
	File   uint32
	Key    [16]byte // session key; of sums and sets the first bytes of the object or the node
	First  int64    // of fragments: the first request, Unix ns
	Record bool     // a fragment of a server's own record

	at, end int // where in the row the number of the file lies
}

// ParseRowHead reads the head of an encoded row of a block. Errors: ErrDamaged.
func ParseRowHead(kind BlockKind, row []byte) (RowHead, error) {
	d := decoder{rest: row}
	var h RowHead
	switch kind {
	case BlockSums, BlockDays:
		d.bytes(2)
		h.place(&d, row)
		copy(h.Key[:], d.text())
	case BlockFragments:
		h.Record = d.byte()&flagRecord != 0
		copy(h.Key[:], d.bytes(len(h.Key)))
		h.place(&d, row)
		h.First = h.Hour.Start() + d.limited(hourNanos-1)
	case BlockSets:
		h.place(&d, row)
		copy(h.Key[:], d.text())
	default:
		return h, fmt.Errorf("pack: %w: unknown kind of block %q", ErrDamaged, kind)
	}
	if d.err != nil {
		return h, fmt.Errorf("%s: %w", kind, d.err)
	}
	return h, nil
}

// place reads hour and file and notes where the file was.
func (h *RowHead) place(d *decoder, row []byte) {
	h.Hour = Hour(d.limited(1 << 24))
	h.at = len(row) - len(d.rest)
	h.File = uint32(d.limited(1<<32 - 1))
	h.end = len(row) - len(d.rest)
}

// Refile appends row, whose head h is, as a row of another file.
func (h *RowHead) Refile(b, row []byte, file uint32) []byte {
	b = append(b, row[:h.at]...)
	b = binary.AppendUvarint(b, uint64(file))
	return append(b, row[h.end:]...)
}

// CompareRowHeads orders the rows of blocks of one kind, tenant and day as Block says; rows
// that it takes for equal follow in the order of their bytes.
func CompareRowHeads(kind BlockKind, a, b *RowHead) int {
	if kind != BlockFragments {
		if c := cmp.Compare(a.Hour, b.Hour); c != 0 {
			return c
		}
	}
	if c := bytes.Compare(a.Key[:], b.Key[:]); c != 0 {
		return c
	}
	return cmp.Or(cmp.Compare(a.First, b.First), cmp.Compare(a.File, b.File))
}
