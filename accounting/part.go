package accounting

import (
	"errors"

	"github.com/playmeter/playmeter/schemas"
)

// part adds up one part of a usage file: the batches of one reader. Its cells
// and fragments are flushed as rows when they grow large or the dictionary is
// renewed; rows add up, so a part may flush as often as it likes.
type part struct {
	opts  *TallyOptions
	file  uint32
	rows  *rows // where flushed rows go
	flush func(*rows) error

	dict   *schemas.Dict
	absent absent
	facts  facts
	sizes  sizes

	event            event
	hour             schemas.Hour // of the last row
	hourFrom, hourTo int64

	cells     cells
	fragments fragments
	records   records
	sets      sets
	spans     spans
	clocks    clocks
	placeless [schemas.NumReasons]int64
	excluded  rowCursor // copies of rows that count
	differing rowCursor // of these, those that say something else
	read      int64

	// gather, if set, is shown the rows that pass the checks, and nothing is counted.
	gather  func(c *columns, i int, e *event)
	scratch []byte
}

func newPart(opts *TallyOptions, file uint32, flush func(*rows) error) *part {
	p := &part{opts: opts, file: file, flush: flush, rows: newRows(), clocks: make(clocks)}
	p.sets.reset()
	p.spans.reset()
	return p
}

// add counts a batch.
func (p *part) add(b *schemas.Batch) error {
	if b.Dict != p.dict {
		if err := p.renew(b.Dict); err != nil {
			return err
		}
	}
	p.facts.grow(b.Dict.Len())
	var c columns
	p.absent.fill(&c, b)
	p.fragments.begin(&c)
	p.read += int64(b.Len)
	for i := range b.Len {
		p.row(&c, i, b.FirstRow+int64(i))
		if p.fragments.full() || p.cells.full() || p.records.full() {
			if err := p.spill(); err != nil {
				return err
			}
		}
		if p.sets.full() {
			if err := p.writeSets(); err != nil {
				return err
			}
		}
	}
	return p.spans.check()
}

// MaxTenants and MaxTenantHours bound how many tenants, and how many hours of tenants, a usage file may name: more are a
// column that holds something else, and would swell the index of the pack.
const (
	MaxTenants     = 10_000
	MaxTenantHours = packSpans
)

// renew flushes what is keyed by the codes of the old dictionary.
func (p *part) renew(d *schemas.Dict) error {
	if p.dict != nil {
		if err := p.spill(); err != nil {
			return err
		}
	}
	p.dict = d
	p.facts = facts{}
	p.sizes.reset()
	p.cells.reset()
	p.fragments.reset()
	p.records.reset()
	p.spans.renew()
	p.sets.renew()
	return nil
}

// spill turns cells and fragments into rows and hands them on.
func (p *part) spill() error {
	if err := errors.Join(p.writeCells(), p.writeFragments(), p.writeRecords()); err != nil {
		return err
	}
	p.cells.reset()
	p.fragments.reset()
	p.records.reset()
	return p.hand()
}

// hand gives the rows written so far to the pack.
func (p *part) hand() error {
	err := p.flush(p.rows)
	p.rows.reset()
	return err
}

// relieve hands the rows on when they have grown large, as with long texts.
func (p *part) relieve() error {
	if p.rows.size() < PackMemory/2 {
		return nil
	}
	return p.hand()
}

// finish flushes what is left.
func (p *part) finish() error {
	if p.dict == nil {
		return nil
	}
	return errors.Join(p.spill(), p.writeSets())
}

// row puts one row into exactly one class (SPEC 2.1) and counts it there.
func (p *part) row(c *columns, i int, number int64) {
	e := &p.event // one for all rows: a new one a row would be garbage a row
	*e = event{row: number}
	reason := p.check(c, i, e)
	if p.gather != nil {
		if reason == schemas.ReasonNone {
			p.gather(c, i, e)
		}
		return
	}
	if reason.Placeless() {
		p.placeless[reason]++
		return
	}
	if p.opts.Cut != nil && e.hour != p.opts.Cut.Hour {
		return
	}
	span := p.spans.of(p.dict, e.tenant, e.hour)
	span.Rows++
	span.Last = max(span.Last, e.time)
	th := p.cells.tenantHour(e.tenant, e.hour)
	th.read++
	if reason != schemas.ReasonNone {
		th.rejected[reason]++
		if e.node != 0 && e.seq >= 0 && p.opts.whole() {
			p.sets.reject(p.dict, e)
		}
		return
	}
	if p.opts.Cut != nil && e.time >= p.opts.Cut.Before {
		th.after++
		return
	}
	node := th.node(e.node)
	node.events++
	node.last = max(node.last, e.time)
	if p.excluded.holds(number) {
		th.duplicates++
		node.duplicates++
		if p.differing.holds(number) {
			th.differing++
		}
		return
	}
	if p.opts.whole() {
		p.sets.add(p.dict, c, i, e)
	}
	p.count(c, i, e, th, node)
}

// count adds a row that stands to its cell and session.
func (p *part) count(c *columns, i int, e *event, th *tenantHour, node *nodeHour) {
	if version := c.text[schemas.ColVersion][i]; version != 0 && c.text[schemas.ColObject][i] != 0 {
		if o := p.objectFact(version); o != 0 && o != e.object {
			th.mismatches++
		}
	}
	oh := p.cells.objectHour(e.tenant, e.object, e.hour)
	if e.library != 0 {
		oh.name(p.dict, e)
	}
	if e.status >= 400 && e.status != 499 {
		p.countError(c, i, e, oh)
		return
	}
	if e.kind != schemas.KindSession { // records are cumulative: their bytes are no sum
		node.serve(e.bytes)
	}
	if e.status == 499 {
		e.micros = 0
	}
	switch e.kind {
	case schemas.KindPlayout:
		p.countPlayout(c, i, e, th, oh)
	case schemas.KindSession:
		oh.add(schemas.MeasureRecord, false, 0, 0, 0)
		p.noteFormat(c, i, e, th)
		p.record(c, i, e)
	case schemas.KindIngest:
		p.countIngest(c, i, e, oh)
	default:
		oh.add(plainMeasure[e.kind], false, 0, e.bytes, 0)
	}
}

var plainMeasure = [schemas.NumKinds]schemas.Measure{
	schemas.KindDataDownload:   schemas.MeasureDataDownload,
	schemas.KindPublicDownload: schemas.MeasurePublicDownload,
	schemas.KindMedia:          schemas.MeasureMedia,
	schemas.KindUpdate:         schemas.MeasureUpdate,
	schemas.KindRep:            schemas.MeasureRep,
}

func (p *part) countError(c *columns, i int, e *event, oh *objectHour) {
	measure := schemas.MeasureError
	if e.status >= 500 {
		measure = schemas.MeasureServerError
	}
	oh.add(measure, false, 0, e.bytes, 0)
	if e.kind == schemas.KindPlayout {
		f := p.fragment(c, i, e)
		f.touch(e.time)
		f.errors++
		f.live = f.live || c.num[schemas.IntLive][i] == 1
	}
}

func (p *part) countPlayout(c *columns, i int, e *event, th *tenantHour, oh *objectHour) {
	drm := p.noteFormat(c, i, e, th)
	f := p.fragment(c, i, e)
	f.touch(e.time)
	f.live = f.live || c.num[schemas.IntLive][i] == 1
	measure, size := schemas.MeasurePlayout, uint32(0)
	switch track := orMuxed(e.track); {
	case e.status == 499:
	case track == schemas.TrackVideo || track == schemas.TrackMuxed:
		measure, size = schemas.MeasureVideo, p.sizes.code(dims{width: e.width, height: e.height})
	case track == schemas.TrackAudio:
		measure = schemas.MeasureAudio
	}
	if measure == schemas.MeasurePlayout {
		e.micros, drm = 0, false
	}
	oh.add(measure, drm, size, e.bytes, e.micros)
	f.count(p, c, i, e, measure, drm, size)
}

// orMuxed is the track of an event that names none (SPEC 2).
func orMuxed(t schemas.Track) schemas.Track {
	if t == schemas.TrackNone {
		return schemas.TrackMuxed
	}
	return t
}

// noteFormat tells clear from DRM and notes a format that nobody knows.
func (p *part) noteFormat(c *columns, i int, e *event, th *tenantHour) bool {
	if drm := c.num[schemas.IntDRM][i]; drm != schemas.None {
		return drm == 1
	}
	format := c.text[schemas.ColFormat][i]
	switch p.formatFact(format) {
	case classClear:
		return false
	case classDRMAudioClear:
		return e.track != schemas.TrackAudio
	case classUnrecognised:
		th.format(format)
	}
	return true
}

// countIngest sorts an ingest into its codec pair or audio codec (R11).
func (p *part) countIngest(c *columns, i int, e *event, oh *objectHour) {
	track := e.track
	if track == schemas.TrackNone {
		track = schemas.TrackVideo
		if e.width == 0 || e.height == 0 {
			track = schemas.TrackAudio
		}
	}
	d := dims{codec: p.codecFact(c.text[schemas.ColCodec][i])}
	switch {
	case e.status == 499:
		oh.add(schemas.MeasureIngest, false, 0, e.bytes, 0)
	case track == schemas.TrackAudio:
		oh.add(schemas.MeasureIngestAudio, false, p.sizes.code(d), e.bytes, e.micros)
	case track == schemas.TrackVideo, track == schemas.TrackMuxed:
		d.width, d.height = e.width, e.height
		d.sourceCodec = p.codecFact(c.text[schemas.ColSourceCodec][i])
		d.sourceWidth = int32(orZero(c.num[schemas.IntSourceWidth][i]))
		d.sourceHeight = int32(orZero(c.num[schemas.IntSourceHeight][i]))
		oh.add(schemas.MeasureIngestVideo, false, p.sizes.code(d), e.bytes, e.micros)
	default:
		oh.add(schemas.MeasureIngest, false, 0, e.bytes, 0)
	}
}
