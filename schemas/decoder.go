package schemas

import (
	"encoding/binary"
	"fmt"
	"math"
)

// decoder reads our own encodings; after its first error it yields zeros.
type decoder struct {
	rest []byte
	err  error
}

func (d *decoder) fail(what string) {
	if d.err == nil {
		d.err = fmt.Errorf("%w: %s", ErrDamaged, what)
	}
	d.rest = nil
}

func (d *decoder) byte() byte {
	if len(d.rest) == 0 {
		d.fail("ends early")
		return 0
	}
	b := d.rest[0]
	d.rest = d.rest[1:]
	return b
}

func (d *decoder) bytes(n int) []byte {
	if n < 0 || n > len(d.rest) {
		d.fail("ends early")
		return nil
	}
	b := d.rest[:n:n]
	d.rest = d.rest[n:]
	return b
}

func (d *decoder) uvarint() uint64 {
	if len(d.rest) > 0 && d.rest[0] < 0x80 { // most are one byte
		v := d.rest[0]
		d.rest = d.rest[1:]
		return uint64(v)
	}
	v, n := binary.Uvarint(d.rest)
	if n <= 0 {
		d.fail("bad varint")
		return 0
	}
	d.rest = d.rest[n:]
	return v
}

func (d *decoder) varint() int64 {
	v, n := binary.Varint(d.rest)
	if n <= 0 {
		d.fail("bad varint")
		return 0
	}
	d.rest = d.rest[n:]
	return v
}

// limited reads a number of at most limit.
func (d *decoder) limited(limit int64) int64 {
	v := d.uvarint()
	if v > uint64(limit) {
		d.fail("number out of range")
		return 0
	}
	return int64(v)
}

// amount reads a non-negative int64.
func (d *decoder) amount() int64 { return d.limited(math.MaxInt64) }

// count reads how many items follow, each of at least size bytes.
func (d *decoder) count(size int) int {
	v := d.uvarint()
	if v > uint64(len(d.rest)/size) {
		d.fail("count runs over the end")
		return 0
	}
	return int(v)
}

func (d *decoder) text() []byte {
	v := d.uvarint()
	if v > uint64(len(d.rest)) {
		d.fail("text runs over the end")
		return nil
	}
	return d.bytes(int(v))
}

// skip passes over a varint.
func (d *decoder) skip() {
	for i, b := range d.rest {
		if b < 0x80 {
			d.rest = d.rest[i+1:]
			return
		}
		if i >= binary.MaxVarintLen64 {
			break
		}
	}
	d.fail("bad varint")
}
