package accounting

import (
	"crypto/sha256"
	"encoding/binary"

	"slices"

	"github.com/playmeter/playmeter/schemas"
)

// kept is the row of an event that counts, and what it says.
type kept struct {
	row    int64
	digest [16]byte
}

// findCopies reads the file again and returns, ascending, the rows that repeat
// an earlier row of it, and how many of them say something else, per tenant and
// hour. Only rows under suspicion are remembered.
func (t *tallier) findCopies(found suspects) ([]int64, map[schemas.Tenant]map[schemas.Hour]int64, error) {
	seen := make(map[eventHash]kept)
	differing := make(map[schemas.Tenant]map[schemas.Hour]int64)
	var copies []int64
	p := newPart(&t.opts, 0, func(*rows) error { return nil })
	p.gather = func(c *columns, i int, e *event) {
		key, ok := p.copyKey(c, i, e, &found)
		if !ok || p.isExcluded(e.row) {
			return
		}
		digest := p.digest(c, i)
		first, again := seen[key]
		if !again {
			seen[key] = kept{e.row, digest}
			return
		}
		copies = append(copies, e.row)
		if digest != first.digest {
			tenant := schemas.Tenant(p.dict.Text(e.tenant))
			if differing[tenant] == nil {
				differing[tenant] = make(map[schemas.Hour]int64)
			}
			differing[tenant][e.hour]++
		}
	}
	for i := range t.src.Parts() {
		if err := t.readPart(p, i); err != nil {
			return nil, nil, err
		}
	}
	slices.Sort(copies)
	return copies, differing, nil
}

// copyKey tells whether a row is under suspicion, and as what (SPEC 2.1 "Duplicates").
func (p *part) copyKey(c *columns, i int, e *event, found *suspects) (eventHash, bool) {
	if e.seq != schemas.None {
		node := p.dict.Text(e.node)
		seqs := found.seqs[setKey{node, e.hour}]
		if seqs == nil || !seqs.Contains(uint64(e.seq)) {
			return eventHash{}, false
		}
		// No event id begins with 0xff: texts are UTF-8.
		return hashEvent(node, binary.BigEndian.AppendUint64([]byte{0xff}, uint64(e.seq)), e.time), true
	}
	if c.id == nil || len(c.id.At(i)) == 0 {
		return eventHash{}, false
	}
	hash := hashEvent(p.dict.Text(e.node), c.id.At(i), e.time)
	return hash, found.hashes[hash]
}

// digest is a hash over everything that a row says.
func (p *part) digest(c *columns, i int) [16]byte {
	var buf []byte
	for _, codes := range c.text {
		text := p.dict.Text(codes[i])
		buf = binary.AppendUvarint(buf, uint64(len(text)))
		buf = append(buf, text...)
	}
	for _, numbers := range c.num {
		buf = binary.AppendVarint(buf, numbers[i])
	}
	if c.id != nil {
		buf = append(buf, c.id.At(i)...)
	}
	sum := sha256.Sum256(buf)
	return [16]byte(sum[:16])
}
