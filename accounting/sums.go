package accounting

import (
	"bytes"

	"github.com/playmeter/playmeter/schemas"
)

// Sums folds the sum rows of one tenant into a statement. Rows may come in any
// order; the result does not show it.
type Sums struct {
	bounds    Bounds
	rules     Rules
	statement *Statement
	records   int64 // `session` records inside the bounds
	last      *Object
	lastID    []byte
}

// NewSums begins a statement.
func NewSums(bounds Bounds, rules Rules) *Sums {
	return &Sums{bounds: bounds, rules: rules, statement: &Statement{
		Objects: make(map[string]*Object), Nodes: make(map[string]*Node), Formats: make(map[string]int64),
		Events: schemas.Events{Counted: make(map[string]int64), Rejected: make(map[string]int64)},
	}}
}

// Add folds a row of a file that belongs to the statement (R19).
func (s *Sums) Add(r *schemas.SumRow) {
	where := s.bounds.place(r.Hour)
	e := &s.statement.Events
	switch r.Measure {
	case schemas.MeasureRead:
		e.Read += r.Count
		s.place(where, r.Count)
		return
	case schemas.MeasureRejected:
		e.Rejected[string(r.Codec)] += r.Count
		s.place(where, -r.Count) // counted as read, and so as outside or after
		return
	}
	if where != placeIn {
		return
	}
	switch r.Measure {
	case schemas.MeasureAfter:
		e.AfterAsOf += r.Count
	case schemas.MeasureDuplicate:
		e.Duplicates += r.Count
	case schemas.MeasureDiffering:
		e.Differing += r.Count
	case schemas.MeasureMismatch:
		e.HashMismatch += r.Count
	case schemas.MeasureFormat:
		s.statement.Formats[string(r.Codec)] += r.Count
	case schemas.MeasureNodeEvents:
		n := s.node(r.Object)
		n.Events += r.Count
		n.Bytes.Add(r.Bytes)
	case schemas.MeasureNodeDuplicates:
		s.node(r.Object).Duplicates += r.Count
	default:
		s.object(r)
	}
}

func (s *Sums) place(where place, n int64) {
	switch where {
	case placeBefore, placeBeyond:
		s.statement.Events.OutsidePeriod += n
	case placeAfter:
		s.statement.Events.AfterAsOf += n
	}
}

func (s *Sums) node(id []byte) *Node {
	n := s.statement.Nodes[string(id)]
	if n == nil {
		n = new(Node)
		s.statement.Nodes[string(id)] = n
	}
	return n
}

// find returns the totals of an object.
func (s *Sums) find(id []byte) *Object {
	if s.last != nil && bytes.Equal(s.lastID, id) {
		return s.last
	}
	o := s.statement.Objects[string(id)]
	if o == nil {
		o = new(Object)
		s.statement.Objects[string(id)] = o
	}
	s.last, s.lastID = o, append(s.lastID[:0], id...)
	return o
}

func (s *Sums) object(r *schemas.SumRow) {
	o := s.find(r.Object)
	if len(r.Library.Value) > 0 {
		o.name(&r.Library)
	}
	e := &s.statement.Events
	drm := 0
	if r.DRM {
		drm = 1
	}
	count := func(kind schemas.Kind, n *int64, bytes *schemas.Sum) {
		e.Counted[kind.String()] += r.Count
		*n += r.Count
		if bytes != nil {
			bytes.Add(r.Bytes)
		}
	}
	switch r.Measure {
	case schemas.MeasureServerError:
		o.ServerErrs += r.Count
		o.ServerBytes.Add(r.Bytes)
		fallthrough
	case schemas.MeasureError:
		e.Errors += r.Count
		o.Errors += r.Count
		o.ErrorBytes.Add(r.Bytes)
	case schemas.MeasureVideo:
		count(schemas.KindPlayout, &o.Playouts, &o.PlayoutBytes)
		o.Video[s.rules.Tiers.Of(r.Width, r.Height)][drm].Add(r.Micros)
	case schemas.MeasureAudio:
		count(schemas.KindPlayout, &o.Playouts, &o.PlayoutBytes)
		o.Audio[drm].Add(r.Micros)
	case schemas.MeasurePlayout:
		count(schemas.KindPlayout, &o.Playouts, &o.PlayoutBytes)
	case schemas.MeasureDataDownload:
		count(schemas.KindDataDownload, &o.Data, &o.DataBytes)
	case schemas.MeasurePublicDownload:
		count(schemas.KindPublicDownload, &o.Public, &o.PublicBytes)
	case schemas.MeasureMedia:
		count(schemas.KindMedia, &o.Media, &o.MediaBytes)
	case schemas.MeasureRep:
		count(schemas.KindRep, &o.Rep, &o.RepBytes)
	case schemas.MeasureUpdate:
		count(schemas.KindUpdate, &o.Updates, nil)
	case schemas.MeasureIngest, schemas.MeasureIngestAudio, schemas.MeasureIngestVideo:
		count(schemas.KindIngest, &o.Ingests, nil)
		s.ingest(o, r)
	case schemas.MeasureRecord:
		o.Records += r.Count
		s.records += r.Count
	}
}

func (s *Sums) ingest(o *Object, r *schemas.SumRow) {
	switch r.Measure {
	case schemas.MeasureIngestAudio:
		total := o.ingestAudio(string(r.Codec))
		total.Add(r.Micros)
		o.IngestAudio[string(r.Codec)] = total
	case schemas.MeasureIngestVideo:
		width, height := r.Width, r.Height
		if s.rules.DensityOf == DensityOfSource {
			width, height = r.SourceWidth, r.SourceHeight
		}
		tier := s.rules.Tiers.Of(width, height)
		if tier == TierNone {
			o.IngestUnknown.Add(r.Micros)
			return
		}
		o.ingestVideo(string(r.SourceCodec) + ":" + string(r.Codec))[tier].Add(r.Micros)
	}
}

// name keeps the library of the earliest event (R20).
func (o *Object) name(p *schemas.Pick) {
	mine := schemas.Pick{Value: []byte(o.Library), Time: o.LibraryTime, Seq: o.LibrarySeq}
	if o.Library == "" || p.Before(&mine) {
		o.Library, o.LibraryTime, o.LibrarySeq = string(p.Value), p.Time, p.Seq
	}
}

// AddSession counts what only a finished session tells: a view, and the
// figures of a session that its server reported.
func (s *Sums) AddSession(v *schemas.Session) {
	o := s.find(v.Object)
	if v.Begun && !v.Watched().IsZero() {
		o.Views++
	}
	if !v.Reported {
		return
	}
	s.statement.Events.Counted[schemas.KindSession.String()]++
	o.Playouts++
	o.PlayoutBytes.AddSum(v.Bytes)
	for _, r := range v.Renditions {
		drm := 0
		if r.DRM {
			drm = 1
		}
		if r.Audio {
			o.Audio[drm].Add(r.Micros)
		} else {
			o.Video[s.rules.Tiers.Of(r.Width, r.Height)][drm].Add(r.Micros)
		}
	}
}

// Join adds what another fold of the same statement came to.
func (s *Sums) Join(t *Sums) {
	for id, o := range t.statement.Objects {
		s.find([]byte(id)).add(o)
	}
	for kind, n := range t.statement.Events.Counted {
		s.statement.Events.Counted[kind] += n
	}
}

// Statement ends the fold, after every row and session: it checks that every
// event is in one class.
func (s *Sums) Statement() (*Statement, error) {
	e := &s.statement.Events
	e.Superseded = s.records - e.Counted[schemas.KindSession.String()]
	return s.statement, Balance(e)
}
