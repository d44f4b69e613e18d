package accounting

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"

	"github.com/playmeter/playmeter/schemas"
)

// PackSource is a pack that is merged with others.
type PackSource struct {
	Name  string // under which it is stored
	Index *schemas.PackIndex
	// Open reads the rows of one of its blocks.
	Open func(schemas.Block) (RowStream, error)
}

// RowStream yields encoded rows, each until the call after it; io.EOF ends it.
type RowStream interface {
	Next() ([]byte, error)
	Close()
}

// SourceError tells which source could not be read.
type SourceError struct {
	Name string
	Err  error
}

func (e *SourceError) Error() string { return e.Name + ": " + e.Err.Error() }

// Unwrap is the cause.
func (e *SourceError) Unwrap() error { return e.Err }

// Scratch is a temporary file: what was written can be read from its start.
type Scratch interface {
	io.Writer
	Reader() io.Reader
	Close() error
}

// MergePacks merges packs into a new one on out: the same rows and members, renumbered, and
// sums of whole days beside them (schemas.BlockDays). Members without a tally and their rows are
// left out; of a tally that several sources hold the copy that serves ([Serves]) is taken.
//
//   - Shape: the result depends on the set of sources alone, to the byte. Members keep their
//     order, sources are in the order of their names.
//   - Memory: at most 64 open streams, the sums of a tenant's day, and the index. What needs more
//     goes through scratch.
//   - Errors: *SourceError where a source cannot be read, with ErrDamaged in it where the source is not
//     what its index says; those of out and scratch.
func MergePacks(sources []PackSource, out io.Writer, scratch func() (Scratch, error)) (*schemas.PackIndex, error) {
	return newMerger(sources, out, scratch).merge()
}

// StripPack writes a pack anew without the blocks of fragments that drop tells of. Of a block that goes drop says
// from which day on periods of its tenant can still be folded from the pack.
func StripPack(source PackSource, out io.Writer, scratch func() (Scratch, error), drop func(*schemas.Block) (from schemas.Day, ok bool)) (*schemas.PackIndex, error) {
	m := newMerger([]PackSource{source}, out, scratch)
	m.drop = drop
	return m.merge()
}

func newMerger(sources []PackSource, out io.Writer, scratch func() (Scratch, error)) *merger {
	return &merger{pack: packWriter{out: out}, sources: slices.Clone(sources), scratch: scratch,
		width: mergeWidth, blockBytes: mergedBlock, dayCells: mergedDayCells}
}

// Serves tells whether of two packs that hold a tally a serves rather than b: the one that
// was merged more often, then the first by name.
func Serves(a string, levelA int, b string, levelB int) bool {
	if levelA != levelB {
		return levelA > levelB
	}
	return a < b
}

const (
	mergeWidth     = 64       // streams open at once
	mergedBlock    = 32 << 20 // compressed bytes with which a block is ended
	mergedDayCells = 100_000  // figures of a day held in memory
	left           = math.MaxUint32
)

// merger is the merging of some packs.
type merger struct {
	pack    packWriter
	sources []PackSource
	files   [][]uint32 // per source and member: its new number, or left
	scratch func() (Scratch, error)
	drop    func(*schemas.Block) (schemas.Day, bool) // blocks of fragments that are left out; nil: none

	width      int
	blockBytes int64
	dayCells   int
}

// mergeGroup is the blocks of one kind, tenant and day (and hour) of all sources.
type mergeGroup struct {
	block schemas.Block
	runs  []runOpener
}

// runOpener opens a run when its turn has come.
type runOpener struct {
	open    func() (*mergeRun, error)
	scratch Scratch // nil: a block of a source
}

func (m *merger) merge() (*schemas.PackIndex, error) {
	slices.SortFunc(m.sources, func(a, b PackSource) int { return cmp.Compare(a.Name, b.Name) })
	m.members()
	groups, err := m.groups()
	if err != nil {
		return nil, err
	}
	for _, g := range groups {
		if err := m.group(g); err != nil {
			return nil, fmt.Errorf("merge packs: %w", err)
		}
	}
	return m.pack.end()
}

// members numbers the members that are kept.
func (m *merger) members() {
	serving := make(map[schemas.TallyName]int)
	for i, s := range m.sources {
		m.pack.index.Level = max(m.pack.index.Level, s.Index.Level+1)
		for tenant, day := range s.Index.Stripped {
			m.strip(tenant, day)
		}
		for _, member := range s.Index.Members {
			old, ok := serving[member.Tally]
			if !ok || Serves(s.Name, s.Index.Level, m.sources[old].Name, m.sources[old].Index.Level) {
				serving[member.Tally] = i
			}
		}
	}
	delete(serving, "")
	for i, s := range m.sources {
		files := make([]uint32, len(s.Index.Members))
		for j, member := range s.Index.Members {
			files[j] = left
			if by, ok := serving[member.Tally]; ok && by == i {
				files[j] = uint32(len(m.pack.index.Members))
				m.pack.index.Members = append(m.pack.index.Members, member)
				delete(serving, member.Tally)
			}
		}
		m.files = append(m.files, files)
	}
}

// strip notes that periods of a tenant that begin before a day cannot be folded from the pack.
func (m *merger) strip(tenant schemas.Tenant, before schemas.Day) {
	if m.pack.index.Stripped == nil {
		m.pack.index.Stripped = make(map[schemas.Tenant]schemas.Day)
	}
	m.pack.index.Stripped[tenant] = max(m.pack.index.Stripped[tenant], before)
}

func (m *merger) dropped(b *schemas.Block) bool {
	if b.Kind != schemas.BlockFragments || m.drop == nil {
		return false
	}
	from, ok := m.drop(b)
	if ok {
		m.strip(b.Tenant, from)
	}
	return ok
}

// groups sorts the blocks of all sources by what they hold.
func (m *merger) groups() ([]*mergeGroup, error) {
	type place struct {
		kind   schemas.BlockKind
		tenant schemas.Tenant
		day    schemas.Day
		hour   schemas.Hour
	}
	groups := make(map[place]*mergeGroup)
	var order []*mergeGroup
	for i, s := range m.sources {
		for _, b := range s.Index.Blocks {
			if b.Kind == schemas.BlockDays || m.dropped(&b) {
				continue // made anew, or left out
			}
			if !slices.Contains(blockKinds[:], b.Kind) {
				return nil, fmt.Errorf("merge packs: %w", &SourceError{s.Name, fmt.Errorf("%w: unknown kind of block %q", schemas.ErrDamaged, b.Kind)})
			}
			at := place{b.Kind, b.Tenant, b.Day, b.Hour}
			g := groups[at]
			if g == nil {
				g = &mergeGroup{block: schemas.Block{Kind: b.Kind, Tenant: b.Tenant, Day: b.Day, Hour: b.Hour}}
				groups[at] = g
				order = append(order, g)
			}
			g.runs = append(g.runs, runOpener{open: func() (*mergeRun, error) {
				rows, err := s.Open(b)
				if err != nil {
					return nil, &SourceError{s.Name, err}
				}
				return &mergeRun{rows: rows, kind: b.Kind, files: m.files[i], name: s.Name}, nil
			}})
		}
	}
	slices.SortFunc(order, func(a, b *mergeGroup) int {
		return cmp.Or(cmp.Compare(slices.Index(blockKinds[:], a.block.Kind), slices.Index(blockKinds[:], b.block.Kind)),
			cmp.Compare(a.block.Tenant, b.block.Tenant), cmp.Compare(a.block.Day, b.block.Day), cmp.Compare(a.block.Hour, b.block.Hour))
	})
	return order, nil
}

// group merges the blocks of a group, through scratch files where they are too many.
func (m *merger) group(g *mergeGroup) (err error) {
	defer func() {
		for _, r := range g.runs {
			if r.scratch != nil {
				err = errors.Join(err, r.scratch.Close())
			}
		}
	}()
	for len(g.runs) > m.width {
		n := min(m.width, len(g.runs)-m.width+1)
		merged, err := m.toScratch(g.block.Kind, g.runs[:n])
		if err != nil {
			return err
		}
		for _, r := range g.runs[:n] {
			if r.scratch != nil {
				err = errors.Join(err, r.scratch.Close())
			}
		}
		if g.runs = append(g.runs[n:], merged); err != nil {
			return err
		}
	}
	w := &splitter{m: m, head: g.block}
	visit := func(r *mergeRun) error { return w.write(r.row, r.head.Record) }
	var day *daySums
	if g.block.Kind == schemas.BlockSums {
		day = newDaySums(m, g.block)
		defer func() { err = errors.Join(err, day.release()) }()
		visit = func(r *mergeRun) error {
			if err := day.add(r.row); err != nil {
				return err
			}
			return w.write(r.row, false)
		}
	}
	if err := mergeRows(g.runs, visit); err != nil {
		return err
	}
	if err := w.close(); err != nil || day == nil {
		return err
	}
	return day.write(w.rows)
}

func (m *merger) toScratch(kind schemas.BlockKind, runs []runOpener) (runOpener, error) {
	s, err := m.scratch()
	if err != nil {
		return runOpener{}, err
	}
	w := schemas.NewRowWriter(s)
	err = mergeRows(runs, func(r *mergeRun) error { return w.Write(r.row) })
	if cerr := w.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return runOpener{}, errors.Join(err, s.Close())
	}
	return runOpener{scratch: s, open: func() (*mergeRun, error) {
		rows, err := schemas.NewRowReader(s.Reader())
		if err != nil {
			return nil, err
		}
		return &mergeRun{rows: rows, kind: kind}, nil
	}}, nil
}

// splitter writes rows as blocks, a new one where the last has grown large.
type splitter struct {
	m     *merger
	head  schemas.Block
	block *blockWriter
	rows  int64
}

func (s *splitter) write(row []byte, record bool) error {
	if s.block == nil {
		s.block = s.m.pack.begin(s.head)
	}
	s.rows++
	if err := s.block.write(row, record); err != nil {
		return err
	}
	if s.block.block.Length < s.m.blockBytes {
		return nil
	}
	return s.close()
}

func (s *splitter) close() error {
	if s.block == nil {
		return nil
	}
	err := s.block.close()
	s.block = nil
	return err
}

// mergeRun is a sorted run of rows.
type mergeRun struct {
	rows  RowStream
	kind  schemas.BlockKind
	name  string   // of the source
	files []uint32 // new numbers of the files; nil: the rows bear them already
	head  schemas.RowHead
	row   []byte
}

// next moves on to the next row that is kept.
func (r *mergeRun) next() error {
	for {
		row, err := r.rows.Next()
		if err == io.EOF {
			return err
		}
		if err == nil {
			r.head, err = schemas.ParseRowHead(r.kind, row)
		}
		if err != nil {
			return r.failed(err)
		}
		if r.files == nil {
			r.row = row
			return nil
		}
		if int(r.head.File) >= len(r.files) {
			return r.failed(fmt.Errorf("%w: a row of file %d, of %d", schemas.ErrDamaged, r.head.File, len(r.files)))
		}
		if file := r.files[r.head.File]; file != left {
			r.row = r.head.Refile(r.row[:0], row, file)
			r.head.File = file
			return nil
		}
	}
}

func (r *mergeRun) failed(err error) error {
	if r.files == nil {
		return err // a scratch file is no source
	}
	return &SourceError{r.name, err}
}

// mergeRows visits the rows of sorted runs in one order.
func mergeRows(openers []runOpener, visit func(*mergeRun) error) error {
	runs := make([]*mergeRun, 0, len(openers))
	for _, o := range openers {
		run, err := o.open()
		if err != nil {
			return err
		}
		defer run.rows.Close()
		runs = append(runs, run)
	}
	return schemas.Merge(runs, (*mergeRun).next, (*mergeRun).before, visit)
}

// before orders two runs by the rows that they stand at.
func (r *mergeRun) before(o *mergeRun) bool {
	c := schemas.CompareRowHeads(r.kind, &r.head, &o.head)
	return c < 0 || c == 0 && string(r.row) < string(o.row)
}
