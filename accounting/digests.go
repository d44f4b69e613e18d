package accounting

import (
	"encoding/binary"
	"hash/maphash"

	"github.com/RoaringBitmap/roaring/v2/roaring64"
)

// RowDigest is a hash over everything that a row says, to be compared with others of this process
// alone.
type RowDigest uint64

var digestSeed = maphash.MakeSeed()

// RowDigests reads a usage file and visits the digests of the rows asked for, in their order;
// rejected rows are left out.
func RowDigests(src Source, which *roaring64.Bitmap, visit func(row int64, d RowDigest)) error {
	p := newPart(&TallyOptions{Excluded: which}, 0, func(*rows) error { return nil })
	p.gather = func(c *columns, i int, e *event) {
		if p.excluded.holds(e.row) {
			visit(e.row, p.digest(c, i))
		}
	}
	for i := range src.Parts() {
		if err := readPart(src, p, i); err != nil {
			return err
		}
	}
	return nil
}

func (p *part) digest(c *columns, i int) RowDigest {
	buf := p.scratch[:0]
	for _, codes := range c.text {
		text := p.dict.Bytes(codes[i])
		buf = binary.AppendUvarint(buf, uint64(len(text)))
		buf = append(buf, text...)
	}
	for _, numbers := range c.num {
		buf = binary.LittleEndian.AppendUint64(buf, uint64(numbers[i]))
	}
	if c.id != nil {
		buf = append(buf, c.id.At(i)...)
	}
	p.scratch = buf
	return RowDigest(maphash.Bytes(digestSeed, buf))
}
