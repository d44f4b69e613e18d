package accounting

import (
	"bytes"
	"cmp"

	"github.com/playmeter/playmeter/schemas"
)

// records keeps, of the `session` records of a viewer and hour, the newest
// and how many there were.
type records struct {
	newest map[viewer]*schemas.Fragment
}

// maxRecords bounds their memory between flushes: about 2 KB each.
const maxRecords = 30_000

func (s *records) full() bool { return len(s.newest) > maxRecords }

func (s *records) reset() { s.newest = make(map[viewer]*schemas.Fragment) }

// record counts a server's own record of a session (SPEC 5.2).
func (p *part) record(c *columns, i int, e *event) {
	who := viewerOf(c, i, e)
	old := p.records.newest[who]
	if old != nil && old.Start > e.time {
		old.Requests++
		return
	}
	f := p.recordRow(c, i, e, &who)
	if old == nil {
		p.records.newest[who] = f
		return
	}
	n := old.Requests + 1
	if CompareRecords(f, old) > 0 {
		p.records.newest[who] = f
	} else {
		f = old
	}
	f.Requests = n
}

// recordRow is row i as a fragment of its own.
func (p *part) recordRow(c *columns, i int, e *event, who *viewer) *schemas.Fragment {
	f := &schemas.Fragment{Kind: schemas.FragmentRecord, Hour: e.hour, File: p.file, Key: p.key(who),
		Object: p.dict.Bytes(e.object), SessionID: p.dict.Bytes(who.session),
		First: e.time, Last: e.time, Start: e.time, Requests: 1, Bytes: e.bytes, Live: c.num[schemas.IntLive][i] == 1,
		Opened: c.num[schemas.IntOpenedAt][i], Closed: c.num[schemas.IntClosedAt][i]}
	for field := range schemas.NumFields {
		if code := p.fieldCode(c, i, field); code != 0 {
			f.Fields[field] = schemas.Pick{Value: p.fieldText(field, code), Time: e.time, Seq: e.seq}
		}
	}
	drm := p.recordDRM(c, i, e)
	share := schemas.Share{Node: p.dict.Bytes(e.node), Requests: 1, Bytes: e.bytes}
	switch orMuxed(e.track) {
	case schemas.TrackVideo, schemas.TrackMuxed:
		share.Video = e.micros
		f.Renditions = []schemas.Rendition{{DRM: drm, Width: e.width, Height: e.height, Micros: e.micros}}
	case schemas.TrackAudio:
		share.Audio = e.micros
		f.Renditions = []schemas.Rendition{{Audio: true, DRM: drm, Micros: e.micros}}
	}
	f.Shares = []schemas.Share{share}
	f.LongVideo = e.micros // what the record says, whatever its track
	return f
}

func (p *part) recordDRM(c *columns, i int, e *event) bool {
	if drm := c.num[schemas.IntDRM][i]; drm != schemas.None {
		return drm == 1
	}
	class := p.formatFact(c.text[schemas.ColFormat][i])
	return class != classClear && !(class == classDRMAudioClear && e.track == schemas.TrackAudio)
}

// CompareRecords orders two records of one session: the larger is the newer
// (SPEC 5.2): by time, bytes, view time, and what else they say.
func CompareRecords(a, b *schemas.Fragment) int {
	if c := cmp.Or(cmp.Compare(a.Start, b.Start), cmp.Compare(a.Bytes, b.Bytes), cmp.Compare(a.LongVideo, b.LongVideo)); c != 0 {
		return c
	}
	return bytes.Compare(recordBytes(a), recordBytes(b))
}

// recordBytes is a record's row in an order of bytes that does not depend on the
// file that it came in.
func recordBytes(f *schemas.Fragment) []byte {
	row := *f
	row.File, row.Requests = 0, 0
	return schemas.AppendFragment(nil, &row)
}

// writeRecords turns the records into rows.
func (p *part) writeRecords() error {
	for who, f := range p.records.newest {
		if err := p.relieve(); err != nil {
			return err
		}
		p.rows.addFragment(schemas.Tenant(p.dict.Text(who.tenant)), f)
	}
	return nil
}
