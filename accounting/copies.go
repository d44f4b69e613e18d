package accounting

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/RoaringBitmap/roaring/v2/roaring64"

	"github.com/playmeter/playmeter/schemas"
)

// SetFile is a usage file as the search for copies sees it. Its place among the files is that of
// its key in order.
type SetFile struct {
	// Locked: the file cannot be counted again, because it is gone. Excluded is what
	// its tally leaves out already.
	Locked   bool
	Excluded *roaring64.Bitmap
}

// Copy is a row that is not counted, and the row that is in its place.
type Copy struct {
	File      int
	Row       int64
	Keeper    int
	KeeperRow int64
}

// SetVisit visits the set rows of an hour, in any order; file is the index of the file.
type SetVisit func(visit func(file int, row *schemas.SetRow) error) error

// HourFindings is what the sets of an hour tell besides the copies.
type HourFindings struct {
	Nodes []schemas.NodeHour // by node
	// Doubled is how many rows count twice, because both files that hold them are gone.
	Doubled int64
	// Lost lists files that are gone whose tally leaves out a row that no other file counts.
	Lost []int
}

// HourCopies finds the rows of an hour that say again what another row says (SPEC 2.1): the same node,
// number and time, or node, event id and time. The row that counts is that of a locked file that
// has it, else the earliest row of the first file; every other row is handed to emit.
//
//   - Shape: emit is called in no useful order, with files that are not locked.
//   - Memory: the runs of the hour's sequences; of nodes whose numbers meet, their encoded sets;
//     of event ids as many as fit hashesAtOnce, in passes; of one event's rows as many as groupRows.
//   - A row is compared with the one that counts among those met before it: where an event has more rows than
//     groupRows, that need not be the one that counts in the end, which was a copy like it.
//   - Errors: those of visit and emit.
func HourCopies(hour schemas.Hour, files []SetFile, sets SetVisit, emit func(Copy) error) (*HourFindings, error) {
	h := &hourCopies{hour: hour, files: files, sets: sets, emit: emit, found: &HourFindings{}, lost: make(map[int]bool),
		hashesAtOnce: hashesAtOnce, groupRows: groupRows}
	return h.search()
}

func (h *hourCopies) search() (*HourFindings, error) {
	nodes, hashes, err := h.survey()
	if err != nil {
		return nil, err
	}
	if err := h.sequences(nodes); err != nil {
		return nil, err
	}
	if err := h.eventIDs(hashes); err != nil {
		return nil, err
	}
	for file := range h.lost {
		h.found.Lost = append(h.found.Lost, file)
	}
	slices.Sort(h.found.Lost)
	return h.found, nil
}

type hourCopies struct {
	hour  schemas.Hour
	files []SetFile
	sets  SetVisit
	emit  func(Copy) error
	found *HourFindings
	lost  map[int]bool

	hashesAtOnce, groupRows int
}

// maxRuns is up to how many runs of numbers a node's hour is followed for losses: a node with
// more does not count its events one by one.
const maxRuns = 64 << 10

// nodeSurvey is what the heads of a node's sequences tell.
type nodeSurvey struct {
	counted   []schemas.SeqRun
	rejected  []schemas.SeqRun
	pairs     int64
	scattered bool
	left      bool // a locked file leaves out rows: whether others count them must be seen
}

var errScattered = errors.New("scattered")

func (n *nodeSurvey) add(into *[]schemas.SeqRun, encoded []byte, hour schemas.Hour) (int, error) {
	s, err := schemas.OpenSequence(encoded, hour)
	if err != nil || n.scattered {
		return s.Len, err
	}
	err = s.Runs(func(r schemas.SeqRun) error {
		if len(n.counted)+len(n.rejected) >= maxRuns {
			return errScattered
		}
		*into = append(*into, r)
		return nil
	})
	if errors.Is(err, errScattered) {
		n.scattered, n.counted, n.rejected = true, nil, nil
		err = nil
	}
	return s.Len, err
}

// survey reads the heads of all sets.
func (h *hourCopies) survey() (map[string]*nodeSurvey, int, error) {
	nodes, hashes := make(map[string]*nodeSurvey), 0
	err := h.sets(func(file int, row *schemas.SetRow) error {
		if len(row.Node) == 0 {
			hashes += len(row.Hashes) / schemas.EventHashSize
			return nil
		}
		n := nodes[string(row.Node)]
		if n == nil {
			n = new(nodeSurvey)
			nodes[string(row.Node)] = n
		}
		n.left = n.left || h.files[file].Locked && h.files[file].Excluded != nil
		count, err := n.add(&n.counted, row.Counted, h.hour)
		if err != nil {
			return err
		}
		n.pairs += int64(count)
		_, err = n.add(&n.rejected, row.Rejected, h.hour)
		return err
	})
	return nodes, hashes, err
}

// sequences finds the copies among numbered rows.
func (h *hourCopies) sequences(nodes map[string]*nodeSurvey) error {
	meet := make(map[string][]chunk)
	for id, n := range nodes {
		slices.SortFunc(n.counted, compareRuns)
		if n.scattered || n.left || touching(n.counted) {
			meet[id] = nil
		}
	}
	if len(meet) > 0 {
		err := h.sets(func(file int, row *schemas.SetRow) error {
			if chunks, ok := meet[string(row.Node)]; ok && len(row.Counted) > 0 {
				meet[string(row.Node)] = append(chunks, chunk{file, bytes.Clone(row.Counted)})
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	for id, n := range nodes {
		node := schemas.NodeHour{Node: id, Scattered: n.scattered}
		if chunks, ok := meet[id]; ok {
			copies, err := h.mergeNode(chunks)
			if err != nil {
				return err
			}
			n.pairs -= copies
		}
		node.Pairs = n.pairs
		if !n.scattered {
			slices.SortFunc(n.rejected, compareRuns)
			node.Runs, node.Rejected = joinRuns(n.counted), joinRuns(n.rejected)
		}
		h.found.Nodes = append(h.found.Nodes, node)
	}
	slices.SortFunc(h.found.Nodes, func(a, b schemas.NodeHour) int { return cmp.Compare(a.Node, b.Node) })
	return nil
}

func compareRuns(a, b schemas.SeqRun) int {
	return cmp.Or(cmp.Compare(a.Lo, b.Lo), cmp.Compare(a.Hi, b.Hi), cmp.Compare(a.Start, b.Start))
}

// touching tells whether a number is in two of the sorted runs.
func touching(runs []schemas.SeqRun) bool {
	for i := 1; i < len(runs); i++ {
		if runs[i].Lo <= runs[i-1].Hi { // up to the first that touches, ends ascend as beginnings do
			return true
		}
	}
	return false
}

// joinRuns joins sorted runs that overlap or follow one another.
func joinRuns(runs []schemas.SeqRun) []schemas.SeqRun {
	var out []schemas.SeqRun
	for _, r := range runs {
		if last := len(out) - 1; last >= 0 && r.Lo <= out[last].Hi+1 {
			out[last].Hi = max(out[last].Hi, r.Hi)
			out[last].Start = min(out[last].Start, r.Start)
			continue
		}
		out = append(out, r)
	}
	return out
}

// group is rows of one event: File and Row only.
type group []Copy

// counts tells whether a row of a locked file is one that its tally does not leave out.
func (h *hourCopies) counts(c Copy) bool {
	f := &h.files[c.File]
	return f.Locked && (f.Excluded == nil || !f.Excluded.Contains(uint64(c.Row)))
}

// reduce finds the row that counts among those met so far, hands on the copies of it, and leaves in the
// group what decides when more rows come: that row, or, while there is none, one that a locked file leaves out.
func (h *hourCopies) reduce(g group) (group, error) {
	slices.SortFunc(g, func(a, b Copy) int { return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Row, b.Row)) })
	keeper := slices.IndexFunc(g, h.counts)
	if keeper < 0 {
		keeper = slices.IndexFunc(g, func(c Copy) bool { return !h.files[c.File].Locked })
	}
	if keeper < 0 {
		return g[:1], nil
	}
	stays := g[keeper]
	for i, c := range g {
		switch {
		case i == keeper:
		case !h.files[c.File].Locked:
			c.Keeper, c.KeeperRow = stays.File, stays.Row
			if err := h.emit(c); err != nil {
				return nil, err
			}
		case h.counts(c):
			h.found.Doubled++
		}
	}
	g[0] = stays
	return g[:1], nil
}

// settle decides which row of an event counts, once all of them were met.
func (h *hourCopies) settle(g group) error {
	if len(g) == 0 {
		return nil
	}
	g, err := h.reduce(g)
	if err == nil && h.files[g[0].File].Locked && !h.counts(g[0]) {
		h.lost[g[0].File] = true
	}
	return err
}

// chunk is a piece of a file's sequence.
type chunk struct {
	file    int
	encoded []byte
}

// seqHead is a sequence and whose it is.
type seqHead struct {
	*schemas.SeqCursor
	file int
}

func (s *seqHead) next() error {
	if s.Next() {
		return nil
	}
	if err := s.Err(); err != nil {
		return fmt.Errorf("sequence of a set: %w", err)
	}
	return io.EOF
}

func (s *seqHead) before(o *seqHead) bool {
	return s.Seq < o.Seq || s.Seq == o.Seq && s.Time < o.Time
}

// mergeNode merges the sequences of a node and returns how many rows were copies.
func (h *hourCopies) mergeNode(chunks []chunk) (copies int64, err error) {
	heads := make([]*seqHead, len(chunks))
	for i, c := range chunks {
		s, err := schemas.OpenSequence(c.encoded, h.hour)
		if err != nil {
			return 0, err
		}
		cursor, err := s.Cursor()
		if err != nil {
			return 0, err
		}
		heads[i] = &seqHead{cursor, c.file}
	}
	var g group
	var at schemas.Entry
	end := func() error {
		if len(g) < 2 && !(len(g) == 1 && h.files[g[0].File].Locked) {
			return nil
		}
		return h.settle(g)
	}
	err = schemas.Merge(heads, (*seqHead).next, (*seqHead).before, func(head *seqHead) (err error) {
		if len(g) > 0 && head.Seq == at.Seq && head.Time == at.Time {
			copies++
		} else {
			if err := end(); err != nil {
				return err
			}
			g, at = g[:0], head.Entry
		}
		if g = append(g, Copy{File: head.file, Row: head.Row}); len(g) >= h.groupRows {
			g, err = h.reduce(g)
		}
		return err
	})
	if err != nil {
		return copies, err
	}
	return copies, end()
}

// hashesAtOnce is how many event ids are held at once: more are searched in passes. groupRows is
// how many rows of one event are.
const (
	hashesAtOnce = 1 << 20
	groupRows    = 64 << 10
)

type fileHash struct {
	hash [schemas.EventHashSize]byte
	file int32
	row  int64
}

// eventIDs finds the copies among rows with event ids, of which there are n.
func (h *hourCopies) eventIDs(n int) error {
	if n == 0 {
		return nil
	}
	passes := uint32((n + h.hashesAtOnce - 1) / h.hashesAtOnce)
	held := make([]fileHash, 0, min(n, h.hashesAtOnce+h.hashesAtOnce/8))
	for pass := range passes {
		held = held[:0]
		err := h.sets(func(file int, row *schemas.SetRow) error {
			err := row.EachHash(func(hash [schemas.EventHashSize]byte, number int64) {
				if share := uint64(hash[0])<<24 | uint64(hash[1])<<16 | uint64(hash[2])<<8 | uint64(hash[3]); uint32(share*uint64(passes)>>32) == pass {
					held = append(held, fileHash{hash, int32(file), number})
				}
			})
			if err == nil && len(held) > 2*h.hashesAtOnce { // one id, over and over
				held, err = h.reduceHashes(held)
			}
			return err
		})
		if err != nil {
			return err
		}
		if err := h.eachHash(held, h.settle); err != nil {
			return err
		}
	}
	return nil
}

// eachHash sorts the ids and visits the rows of each.
func (h *hourCopies) eachHash(held []fileHash, visit func(group) error) error {
	slices.SortFunc(held, func(a, b fileHash) int { return bytes.Compare(a.hash[:], b.hash[:]) })
	var g group
	for i := 0; i < len(held); {
		g = g[:0]
		for j := i; j < len(held) && held[j].hash == held[i].hash; j++ {
			g = append(g, Copy{File: int(held[j].file), Row: held[j].row})
		}
		i += len(g)
		if len(g) > 1 || h.files[g[0].File].Locked {
			if err := visit(g); err != nil {
				return err
			}
		}
	}
	return nil
}

// reduceHashes leaves one row of each id.
func (h *hourCopies) reduceHashes(held []fileHash) ([]fileHash, error) {
	slices.SortFunc(held, func(a, b fileHash) int { return bytes.Compare(a.hash[:], b.hash[:]) })
	var g group
	kept := 0
	for i := 0; i < len(held); {
		g = g[:0]
		hash := held[i].hash
		for ; i < len(held) && held[i].hash == hash; i++ {
			g = append(g, Copy{File: int(held[i].file), Row: held[i].row})
		}
		left, err := h.reduce(g)
		if err != nil {
			return nil, err
		}
		held[kept] = fileHash{hash, int32(left[0].File), left[0].Row}
		kept++
	}
	return held[:kept], nil
}
