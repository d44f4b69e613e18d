package accounting

import (
	"strings"

	"github.com/playmeter/playmeter/schemas"
)

// cells holds the additive figures of a part, by the codes of its dictionary.
type cells struct {
	objects  map[objectKey]*objectHour
	last     []*objectHour // by object code: the hour met last
	tenants  map[tenantKey]*tenantHour
	recent   *tenantHour
	slab     []objectHour
	cellSlab []cell
	count    int
	crowded  bool // a list of cells has grown too long to be searched
}

// cellsAtFirst is how many cells an object and hour has room for before it asks for more.
const cellsAtFirst = 4

type tenantKey struct {
	tenant uint32
	hour   schemas.Hour
}

type objectKey struct {
	tenant, object uint32
	hour           schemas.Hour
}

// tenantHour counts what became of a tenant's rows of an hour.
type tenantHour struct {
	key        tenantKey
	of         *cells
	read       int64
	after      int64
	duplicates int64
	differing  int64
	mismatches int64
	rejected   [schemas.NumReasons]int64
	formats    map[uint32]int64
	nodes      map[uint32]*nodeHour
	lastCode   uint32
	lastNode   *nodeHour
}

// nodeHour is a node's share of a tenantHour.
type nodeHour struct {
	events, duplicates, bytes int64
	last                      int64   // event, Unix ns
	full                      []int64 // bytes counted before bytes was begun anew
}

func (n *nodeHour) serve(bytes int64) {
	if n.bytes > overflow {
		n.full = append(n.full, n.bytes)
		n.bytes = 0
	}
	n.bytes += bytes
}

// objectHour is the cells of one object and hour.
type objectHour struct {
	key     objectKey
	of      *cells
	cells   []cell
	library uint32
	libTime int64
	libSeq  int64
}

type cell struct {
	id                   uint64 // measure, DRM, size
	count, bytes, micros int64
}

func (s *cells) reset() {
	clear(s.last)
	*s = cells{objects: make(map[objectKey]*objectHour), tenants: make(map[tenantKey]*tenantHour), last: s.last}
}

// maxCells bounds the memory of a part between flushes.
const maxCells = 400_000

func (s *cells) full() bool { return s.crowded || s.count > maxCells }

func (s *cells) tenantHour(tenant uint32, hour schemas.Hour) *tenantHour {
	key := tenantKey{tenant, hour}
	if s.recent != nil && s.recent.key == key {
		return s.recent
	}
	th := s.tenants[key]
	if th == nil {
		th = &tenantHour{key: key, of: s, nodes: make(map[uint32]*nodeHour)}
		s.tenants[key] = th
		s.count++
	}
	s.recent = th
	return th
}

func (th *tenantHour) node(code uint32) *nodeHour {
	if th.lastNode != nil && th.lastCode == code {
		return th.lastNode
	}
	n := th.nodes[code]
	if n == nil {
		n = new(nodeHour)
		th.nodes[code] = n
		th.of.count++
	}
	th.lastCode, th.lastNode = code, n
	return n
}

func (th *tenantHour) format(code uint32) {
	if th.formats == nil {
		th.formats = make(map[uint32]int64)
	}
	th.formats[code]++
}

func (s *cells) objectHour(tenant, object uint32, hour schemas.Hour) *objectHour {
	key := objectKey{tenant, object, hour}
	if int(object) >= len(s.last) {
		s.last = append(s.last, make([]*objectHour, int(object)+1024)...)
	}
	if oh := s.last[object]; oh != nil && oh.key == key {
		return oh
	}
	oh := s.objects[key]
	if oh == nil {
		if len(s.slab) == 0 {
			s.slab = make([]objectHour, 256)
		}
		oh, s.slab = &s.slab[0], s.slab[1:]
		oh.key, oh.of = key, s
		if len(s.cellSlab) < cellsAtFirst {
			s.cellSlab = make([]cell, 256*cellsAtFirst)
		}
		oh.cells, s.cellSlab = s.cellSlab[:0:cellsAtFirst], s.cellSlab[cellsAtFirst:]
		s.objects[key] = oh
		s.count++
	}
	s.last[object] = oh
	return oh
}

const (
	cellDRM       = 1 << 8
	cellSizeShift = 16
)

// add counts one row into a cell. The cell met last moves to the front half by one place, so
// that a ladder's rungs are found at once.
func (oh *objectHour) add(m schemas.Measure, drm bool, size uint32, bytes, micros int64) {
	id := uint64(m) | uint64(size)<<cellSizeShift
	if drm {
		id |= cellDRM
	}
	for i := range oh.cells {
		c := &oh.cells[i]
		if c.id == id && c.bytes < overflow && c.micros < overflow {
			c.count++
			c.bytes += bytes
			c.micros += micros
			if i > 0 {
				oh.cells[i], oh.cells[i-1] = oh.cells[i-1], oh.cells[i]
			}
			return
		}
	}
	oh.cells = append(oh.cells, cell{id, 1, bytes, micros})
	oh.of.count++
	oh.of.crowded = oh.of.crowded || len(oh.cells) > maxList
}

// name keeps the library of the earliest event (R20).
func (oh *objectHour) name(d *schemas.Dict, e *event) {
	if oh.library != 0 && !earlier(e.time, e.seq, oh.libTime, oh.libSeq, func() int {
		return strings.Compare(d.Text(e.library), d.Text(oh.library))
	}) {
		return
	}
	oh.library, oh.libTime, oh.libSeq = e.library, e.time, e.seq
}

// earlier orders two events by time, then seq with none last, then what
// compare says of their values.
func earlier(t1, seq1, t2, seq2 int64, compare func() int) bool {
	if t1 != t2 {
		return t1 < t2
	}
	if seq1 != seq2 {
		if seq1 == schemas.None || seq2 == schemas.None {
			return seq2 == schemas.None
		}
		return seq1 < seq2
	}
	return compare() < 0
}

// writeCells turns the cells into sum rows.
func (p *part) writeCells() error {
	for key, th := range p.cells.tenants {
		p.writeTenantHour(key, th)
	}
	for key, oh := range p.cells.objects {
		if err := p.relieve(); err != nil {
			return err
		}
		p.writeObjectHour(key, oh)
	}
	return nil
}

func (p *part) writeTenantHour(key tenantKey, th *tenantHour) {
	tenant := schemas.Tenant(p.dict.Text(key.tenant))
	write := func(m schemas.Measure, codec string, node uint32, count, bytes int64) {
		if count > 0 {
			p.rows.addSum(tenant, &schemas.SumRow{Hour: key.hour, File: p.file, Measure: m, Codec: []byte(codec),
				Object: p.dict.Bytes(node), Count: count, Bytes: bytes})
		}
	}
	write(schemas.MeasureRead, "", 0, th.read, 0)
	write(schemas.MeasureAfter, "", 0, th.after, 0)
	write(schemas.MeasureDuplicate, "", 0, th.duplicates, 0)
	write(schemas.MeasureDiffering, "", 0, th.differing, 0)
	write(schemas.MeasureMismatch, "", 0, th.mismatches, 0)
	for reason, n := range th.rejected {
		write(schemas.MeasureRejected, schemas.Reason(reason).String(), 0, n, 0)
	}
	for format, n := range th.formats {
		write(schemas.MeasureFormat, p.dict.Text(format), 0, n, 0)
	}
	for node, n := range th.nodes {
		p.clocks.note(p.dict, node, n.last)
		write(schemas.MeasureNodeEvents, "", node, n.events, n.bytes)
		for _, bytes := range n.full {
			p.rows.addSum(tenant, &schemas.SumRow{Hour: key.hour, File: p.file, Measure: schemas.MeasureNodeEvents,
				Object: p.dict.Bytes(node), Bytes: bytes})
		}
		write(schemas.MeasureNodeDuplicates, "", node, n.duplicates, 0)
	}
}

func (p *part) writeObjectHour(key objectKey, oh *objectHour) {
	tenant := schemas.Tenant(p.dict.Text(key.tenant))
	for i, c := range oh.cells {
		d := p.sizes.list[c.id>>cellSizeShift]
		row := schemas.SumRow{Hour: key.hour, File: p.file, Measure: schemas.Measure(c.id & 0xff), DRM: c.id&cellDRM != 0,
			Object: p.dict.Bytes(key.object), Width: d.width, Height: d.height,
			Codec: p.dict.Bytes(d.codec), SourceCodec: p.dict.Bytes(d.sourceCodec),
			SourceWidth: d.sourceWidth, SourceHeight: d.sourceHeight, Count: c.count, Bytes: c.bytes, Micros: c.micros}
		if i == 0 && oh.library != 0 {
			row.Library = schemas.Pick{Value: p.dict.Bytes(oh.library), Time: oh.libTime, Seq: oh.libSeq}
		}
		p.rows.addSum(tenant, &row)
	}
}
