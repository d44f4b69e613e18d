package schemas

import (
	"encoding/binary"
	"fmt"
)

// SetRow is what rows of a file of one hour leave for finding copies and losses. A file may
// have several for one hour and node.
//
//   - Node rows: Counted is the rows that were not rejected and bear a sequence number, Rejected
//     the others of them, each a sequence (AppendSequence).
//   - Hash rows: Node is empty. Hashes holds, sorted, EventHashSize bytes for each row without a
//     sequence number but with an event id; Rows the numbers of these rows in the same order.
type SetRow struct {
	Hour     Hour
	File     uint32
	Node     []byte
	Counted  []byte
	Rejected []byte
	Hashes   []byte
	Rows     []byte // varints, each the difference to the one before
}

// EventHashSize is how many bytes stand for node, event id and time.
const EventHashSize = 16

// AppendSetRow appends the encoding of r.
func AppendSetRow(b []byte, r *SetRow) []byte {
	b = binary.AppendUvarint(b, uint64(r.Hour))
	b = binary.AppendUvarint(b, uint64(r.File))
	b = appendText(b, r.Node)
	b = appendText(b, r.Counted)
	b = appendText(b, r.Rejected)
	b = appendText(b, r.Hashes)
	return append(b, r.Rows...)
}

// DecodeSetRow reads one encoded row into r, which points into b. Errors:
// ErrDamaged.
func DecodeSetRow(b []byte, r *SetRow) error {
	d := decoder{rest: b}
	*r = SetRow{Hour: Hour(d.limited(1 << 24)), File: uint32(d.limited(1<<32 - 1)),
		Node: d.text(), Counted: d.text(), Rejected: d.text(), Hashes: d.text()}
	r.Rows = d.rest
	if len(r.Hashes)%EventHashSize != 0 {
		d.fail("hashes are cut")
	}
	if d.err != nil {
		return fmt.Errorf("set: %w", d.err)
	}
	return nil
}

// AppendHash adds a row's hash and number to a hash row; last is the number of the row added
// before, 0 at first.
func (r *SetRow) AppendHash(hash [EventHashSize]byte, row, last int64) {
	r.Hashes = append(r.Hashes, hash[:]...)
	r.Rows = binary.AppendVarint(r.Rows, row-last)
}

// EachHash visits the hashes in order, with the numbers of their rows. Errors: ErrDamaged.
func (r *SetRow) EachHash(visit func(hash [EventHashSize]byte, row int64)) error {
	d := decoder{rest: r.Rows}
	row := int64(0)
	for h := r.Hashes; len(h) > 0; h = h[EventHashSize:] {
		if row += d.varint(); row < 0 {
			d.fail("row out of range")
		}
		if d.err != nil {
			return fmt.Errorf("set: %w", d.err)
		}
		visit([EventHashSize]byte(h), row)
	}
	if len(d.rest) > 0 {
		d.fail("bytes left over")
		return fmt.Errorf("set: %w", d.err)
	}
	return nil
}
