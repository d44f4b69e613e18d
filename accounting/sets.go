package accounting

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"slices"

	"github.com/playmeter/playmeter/schemas"
)

// sets collects what finds copies and losses later: the sequence numbers and event ids of a
// part's rows. They are written in pieces, so that a file may be as large as it likes.
type sets struct {
	nodes  map[setKey]*nodeSet
	byCode map[setCode]*nodeSet // of the present dictionary
	last   setCode
	recent *nodeSet
	hashes map[schemas.Hour][]hashed
	size   int // entries and hashes
}

type setKey struct {
	node string
	hour schemas.Hour
}

type setCode struct {
	node uint32
	hour schemas.Hour
}

// nodeSet is the numbered rows of a node and hour: those that stand and those rejected.
type nodeSet struct {
	counted, rejected []schemas.Entry
}

// hashed is a row that bears an event id instead of a number.
type hashed struct {
	hash [schemas.EventHashSize]byte
	row  int64
}

// maxSets is how many rows are kept before they are written.
const maxSets = 128 << 10

func (s *sets) reset() {
	*s = sets{nodes: make(map[setKey]*nodeSet), hashes: make(map[schemas.Hour][]hashed)}
	s.renew()
}

// renew forgets the codes of a dictionary, not the sets.
func (s *sets) renew() {
	s.byCode = make(map[setCode]*nodeSet)
	s.recent = nil
}

func (s *sets) full() bool { return s.size >= maxSets }

func (s *sets) of(d *schemas.Dict, node uint32, hour schemas.Hour) *nodeSet {
	s.size++
	code := setCode{node, hour}
	if s.recent != nil && s.last == code {
		return s.recent
	}
	n := s.byCode[code]
	if n == nil {
		key := setKey{d.Text(node), hour}
		if n = s.nodes[key]; n == nil {
			n = new(nodeSet)
			s.nodes[key] = n
		}
		s.byCode[code] = n
	}
	s.last, s.recent = code, n
	return n
}

// add notes a row that stands.
func (s *sets) add(d *schemas.Dict, c *columns, i int, e *event) {
	if e.seq != schemas.None {
		n := s.of(d, e.node, e.hour)
		n.counted = append(n.counted, schemas.Entry{Seq: e.seq, Time: e.time, Row: e.row})
		return
	}
	if c.id == nil {
		return
	}
	if id := c.id.At(i); len(id) > 0 {
		s.size++
		s.hashes[e.hour] = append(s.hashes[e.hour], hashed{hashEvent(d.Text(e.node), id, e.time), e.row})
	}
}

// reject notes a rejected row: its number was not lost.
func (s *sets) reject(d *schemas.Dict, e *event) {
	n := s.of(d, e.node, e.hour)
	n.rejected = append(n.rejected, schemas.Entry{Seq: e.seq, Time: e.time, Row: e.row})
}

// hashEvent stands for node, event id and time.
func hashEvent(node string, id []byte, time int64) [schemas.EventHashSize]byte {
	buf := make([]byte, 0, 128)
	buf = binary.AppendUvarint(buf, uint64(len(node)))
	buf = append(buf, node...)
	buf = binary.LittleEndian.AppendUint64(buf, uint64(time))
	buf = append(buf, id...)
	sum := sha256.Sum256(buf)
	return [schemas.EventHashSize]byte(sum[:])
}

// hashesPerRow bounds a stored row of hashes to a megabyte and a bit.
const hashesPerRow = 64 << 10

// writeSets turns the sets into rows of the file.
func (p *part) writeSets() error {
	s := &p.sets
	for key, n := range s.nodes {
		if len(n.counted)+len(n.rejected) == 0 {
			continue
		}
		slices.SortFunc(n.counted, schemas.Entry.Compare)
		slices.SortFunc(n.rejected, schemas.Entry.Compare)
		row := schemas.SetRow{Hour: key.hour, File: p.file, Node: []byte(key.node)}
		if len(n.counted) > 0 {
			row.Counted = schemas.AppendSequence(nil, key.hour, n.counted)
		}
		if len(n.rejected) > 0 {
			row.Rejected = schemas.AppendSequence(nil, key.hour, n.rejected)
		}
		p.rows.addSet(&row)
		if err := p.relieve(); err != nil {
			return err
		}
	}
	for hour, hashes := range s.hashes {
		slices.SortFunc(hashes, func(a, b hashed) int { return bytes.Compare(a.hash[:], b.hash[:]) })
		for chunk := range slices.Chunk(hashes, hashesPerRow) {
			row, last := schemas.SetRow{Hour: hour, File: p.file}, int64(0)
			for _, h := range chunk {
				row.AppendHash(h.hash, h.row, last)
				last = h.row
			}
			p.rows.addSet(&row)
			if err := p.relieve(); err != nil {
				return err
			}
		}
	}
	s.empty()
	return p.hand()
}

// keptSets is up to how many nodes' hours keep their memory once they are written.
const keptSets = 64

// empty forgets what was written and keeps the memory for what follows, which is mostly of the same nodes and hours.
func (s *sets) empty() {
	if len(s.nodes)+len(s.hashes) > keptSets {
		s.reset()
		return
	}
	for _, n := range s.nodes {
		n.counted, n.rejected = n.counted[:0], n.rejected[:0]
	}
	for hour, hashes := range s.hashes {
		s.hashes[hour] = hashes[:0]
	}
	s.size = 0
}
