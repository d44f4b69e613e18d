package accounting

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"slices"

	"github.com/RoaringBitmap/roaring/v2/roaring64"

	"github.com/playmeter/playmeter/schemas"
)

// sets remembers the sequence numbers and event ids of a part, to find copies
// inside the file and, stored, across files.
type sets struct {
	nodes  map[setKey]*nodeSet
	byCode map[setCode]*nodeSet // of the present dictionary
	last   setCode
	recent *nodeSet
	hashes map[schemas.Hour][]eventHash
}

type setKey struct {
	node string
	hour schemas.Hour
}

type setCode struct {
	node uint32
	hour schemas.Hour
}

// nodeSet is the numbers that a node used in an hour. Numbers that come one after the
// other are kept as a run until it breaks.
type nodeSet struct {
	lo, hi   int64 // the run, both included; empty while hi < lo
	seqs     *roaring64.Bitmap
	again    *roaring64.Bitmap // numbers met more than once
	rejected *roaring64.Bitmap
	count    int64
}

// eventHash stands for node, event id and time.
type eventHash [16]byte

func (s *sets) reset() {
	*s = sets{nodes: make(map[setKey]*nodeSet), hashes: make(map[schemas.Hour][]eventHash)}
	s.renew()
}

// renew forgets the codes of a dictionary, not the sets.
func (s *sets) renew() {
	s.byCode = make(map[setCode]*nodeSet)
	s.recent = nil
}

func (s *sets) of(d *schemas.Dict, node uint32, hour schemas.Hour) *nodeSet {
	code := setCode{node, hour}
	if s.recent != nil && s.last == code {
		return s.recent
	}
	n := s.byCode[code]
	if n == nil {
		key := setKey{d.Text(node), hour}
		if n = s.nodes[key]; n == nil {
			n = &nodeSet{hi: -1, seqs: roaring64.New(), again: roaring64.New(), rejected: roaring64.New()}
			s.nodes[key] = n
		}
		s.byCode[code] = n
	}
	s.last, s.recent = code, n
	return n
}

func (s *sets) add(d *schemas.Dict, node uint32, hour schemas.Hour, seq int64) {
	n := s.of(d, node, hour)
	n.count++
	if seq == n.hi+1 && n.hi >= n.lo {
		n.hi = seq
		return
	}
	n.settle()
	n.lo, n.hi = seq, seq
}

func (s *sets) reject(d *schemas.Dict, node uint32, hour schemas.Hour, seq int64) {
	s.of(d, node, hour).rejected.Add(uint64(seq))
}

// settle moves the run into the set and notes the numbers that were there.
func (n *nodeSet) settle() {
	if n.hi < n.lo {
		return
	}
	lo, hi := uint64(n.lo), uint64(n.hi)
	n.lo, n.hi = 0, -1
	if lo == hi {
		if !n.seqs.CheckedAdd(lo) {
			n.again.Add(lo)
		}
		return
	}
	if !n.seqs.IsEmpty() {
		run := roaring64.New()
		run.AddRange(lo, hi+1)
		run.And(n.seqs)
		n.again.Or(run)
	}
	n.seqs.AddRange(lo, hi+1)
}

func (s *sets) addID(d *schemas.Dict, node uint32, hour schemas.Hour, time int64, id []byte) {
	if len(id) == 0 {
		return
	}
	s.hashes[hour] = append(s.hashes[hour], hashEvent(d.Text(node), id, time))
}

func hashEvent(node string, id []byte, time int64) eventHash {
	buf := make([]byte, 0, 128)
	buf = binary.AppendUvarint(buf, uint64(len(node)))
	buf = append(buf, node...)
	buf = binary.LittleEndian.AppendUint64(buf, uint64(time))
	buf = append(buf, id...)
	sum := sha256.Sum256(buf)
	return eventHash(sum[:16])
}

// join adds the sets of another part of the same file.
func (s *sets) join(t *sets) {
	for key, n := range t.nodes {
		n.settle()
		old := s.nodes[key]
		if old == nil {
			s.nodes[key] = n
			continue
		}
		old.settle()
		both := roaring64.And(old.seqs, n.seqs)
		old.seqs.Or(n.seqs)
		old.again.Or(n.again)
		old.again.Or(both)
		old.rejected.Or(n.rejected)
		old.count += n.count
	}
	for hour, hashes := range t.hashes {
		s.hashes[hour] = append(s.hashes[hour], hashes...)
	}
}

// suspects are the numbers and ids that rows of the file share: their rows may
// be copies, or a number used again at another time.
type suspects struct {
	seqs   map[setKey]*roaring64.Bitmap
	hashes map[eventHash]bool
}

func (s *suspects) none() bool { return len(s.seqs) == 0 && len(s.hashes) == 0 }

// suspects sorts the hashes and finds what was met more than once.
func (s *sets) suspects() suspects {
	out := suspects{seqs: make(map[setKey]*roaring64.Bitmap), hashes: make(map[eventHash]bool)}
	for key, n := range s.nodes {
		n.settle()
		if !n.again.IsEmpty() {
			out.seqs[key] = n.again
		}
	}
	for _, hashes := range s.hashes {
		slices.SortFunc(hashes, func(a, b eventHash) int { return bytes.Compare(a[:], b[:]) })
		for i := 1; i < len(hashes); i++ {
			if hashes[i] == hashes[i-1] {
				out.hashes[hashes[i]] = true
			}
		}
	}
	return out
}

// hashesPerRow bounds a stored row of hashes to a megabyte.
const hashesPerRow = 64 << 10

// write turns the sets into rows of a file.
func (s *sets) write(file uint32, add func(*rows) error) error {
	out := newRows()
	relieve := func() error {
		if out.size() < PackMemory/2 {
			return nil
		}
		err := add(out)
		out.reset()
		return err
	}
	for key, n := range s.nodes {
		n.settle()
		row := schemas.SetRow{Hour: key.hour, File: file, Node: []byte(key.node), Count: n.count}
		var err error
		if row.Seqs, err = bitmapBytes(n.seqs); err != nil {
			return err
		}
		if row.RejectedSeqs, err = bitmapBytes(n.rejected); err != nil {
			return err
		}
		out.addSet(&row)
		if err := relieve(); err != nil {
			return err
		}
	}
	for hour, hashes := range s.hashes {
		for chunk := range slices.Chunk(hashes, hashesPerRow) {
			row := schemas.SetRow{Hour: hour, File: file, Count: int64(len(chunk))}
			for _, h := range chunk {
				row.Hashes = append(row.Hashes, h[:]...)
			}
			out.addSet(&row)
			if err := relieve(); err != nil {
				return err
			}
		}
	}
	return add(out)
}

func bitmapBytes(b *roaring64.Bitmap) ([]byte, error) {
	if b.IsEmpty() {
		return nil, nil
	}
	b.RunOptimize()
	return b.ToBytes()
}
