package accounting

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"math/bits"

	"github.com/playmeter/playmeter/schemas"
)

// fieldColumns are the columns that a session takes its fields from.
var fieldColumns = [schemas.NumFields]schemas.StringColumn{
	schemas.FieldNode:          schemas.ColNode,
	schemas.FieldVersion:       schemas.ColVersion,
	schemas.FieldOffering:      schemas.ColOffering,
	schemas.FieldFormat:        schemas.ColFormat,
	schemas.FieldProtocol:      schemas.ColProtocol,
	schemas.FieldClientIP:      schemas.ColClientIP,
	schemas.FieldUserAgent:     schemas.ColUserAgent,
	schemas.FieldReferrer:      schemas.ColReferrer,
	schemas.FieldAuthIdentity:  schemas.ColAuthIdentity,
	schemas.FieldAuthAddr:      schemas.ColAuthAddr,
	schemas.FieldAuthEmail:     schemas.ColAuthEmail,
	schemas.FieldUser:          schemas.ColUser,
	schemas.FieldToken:         schemas.ColToken,
	schemas.FieldNodeHost:      schemas.ColNodeHost,
	schemas.FieldNodeIP:        schemas.ColNodeIP,
	schemas.FieldNodeRegion:    schemas.ColNodeRegion,
	schemas.FieldClientCountry: schemas.ColClientCountry,
	schemas.FieldClientRegion:  schemas.ColClientRegion,
	schemas.FieldClientCity:    schemas.ColClientCity,
}

// viewer is who a playback belongs to, by the codes of a dictionary: the
// session id, or what stands in for it.
type viewer struct {
	session         uint32
	pass, ip, agent uint32 // token, else auth address; zero where there is a session id
	tenant, object  uint32
	hour            schemas.Hour
}

// fragment is a stretch of one viewer's playback in one hour, as it grows.
type fragment struct {
	who         viewer
	of          *fragments
	first, last int64
	start       int64 // None while there are only errors
	requests    int64
	errors      int64
	bytes       int64
	micros      int64 // of all tracks
	live        bool

	codes   [schemas.NumFields]uint32
	times   [schemas.NumFields]int64
	seqs    [schemas.NumFields]int64
	missing uint32 // fields without a value
	latest  int64  // the largest of times

	renditions []renditionSum
	shares     []shareSum
	video      schemas.Segments
	audio      schemas.Segments
	longVideo  int64
	longAudio  int64
	tidy       int // ranges of video and audio after the last Normalize
}

type renditionSum struct {
	size   uint32
	audio  bool
	drm    bool
	micros int64
}

type shareSum struct {
	node                          uint32
	requests, bytes, video, audio int64
}

// fragments holds the fragments of a part.
type fragments struct {
	open     map[viewer]*fragment
	last     []*fragment // by session code: the fragment met last
	nameless [1024]*fragment
	all      []*fragment
	slab     []fragment
	present  uint32 // fields that the batch has a column for
	crowded  bool   // a list of a fragment has grown too long to be searched
}

// maxFragments bounds the memory of a part between flushes: about 0.7 KB each.
const maxFragments = 100_000

// maxList is how long a list that is searched from its front may grow before the part is
// flushed and begun anew.
const maxList = 512

func (s *fragments) full() bool { return s.crowded || len(s.all) > maxFragments }

func (s *fragments) reset() {
	clear(s.last)
	clear(s.all)
	*s = fragments{open: make(map[viewer]*fragment), last: s.last, all: s.all[:0], present: s.present}
}

// begin notes which fields a batch can fill.
func (s *fragments) begin(c *columns) {
	s.present = 0
	for f, col := range fieldColumns {
		for _, code := range c.text[col] {
			if code != 0 {
				s.present |= 1 << f
				break
			}
		}
	}
	if s.present&(1<<schemas.FieldFormat) != 0 {
		s.present |= 1 << schemas.FieldProtocol
	}
}

// viewerOf names the viewer of row i (SPEC 5, R7).
func viewerOf(c *columns, i int, e *event) viewer {
	v := viewer{session: c.text[schemas.ColSession][i], tenant: e.tenant, object: e.object, hour: e.hour}
	if v.session == 0 {
		if v.pass = c.text[schemas.ColToken][i]; v.pass == 0 {
			v.pass = c.text[schemas.ColAuthAddr][i]
		}
		v.ip, v.agent = c.text[schemas.ColClientIP][i], c.text[schemas.ColUserAgent][i]
	}
	return v
}

// fragment finds the stretch that row i belongs to, or begins one.
func (p *part) fragment(c *columns, i int, e *event) *fragment {
	who := viewerOf(c, i, e)
	memo := p.fragments.memo(&who)
	f := *memo
	if f == nil || f.who != who {
		f = p.fragments.open[who]
	}
	idle := int64(p.opts.Idle.WithID)
	if who.session == 0 {
		idle = int64(p.opts.Idle.WithoutID)
	}
	if f == nil || e.time > f.last && e.time-f.last > idle || e.time < f.first && f.first-e.time > idle || f.bytes > overflow || f.micros > overflow {
		f = p.fragments.grow(who, e.time)
	}
	*memo = f
	return f
}

// memo is where the fragment of a viewer was met last.
func (s *fragments) memo(v *viewer) **fragment {
	if v.session == 0 {
		h := uint64(v.ip)*0x9E3779B97F4A7C15 ^ uint64(v.agent)*0xC2B2AE3D27D4EB4F ^ uint64(v.object)*0x165667B19E3779F9 ^ uint64(v.pass)<<23
		return &s.nameless[bits.RotateLeft64(h, 10)&1023]
	}
	if int(v.session) >= len(s.last) {
		s.last = append(s.last, make([]*fragment, int(v.session)+1024)...)
	}
	return &s.last[v.session]
}

func (s *fragments) grow(who viewer, time int64) *fragment {
	if len(s.slab) == 0 {
		s.slab = make([]fragment, 128)
	}
	f := &s.slab[0]
	s.slab = s.slab[1:]
	*f = fragment{who: who, of: s, first: time, last: time, start: schemas.None, missing: 1<<schemas.NumFields - 1}
	s.open[who] = f
	s.all = append(s.all, f)
	return f
}

// touch keeps the stretch alive.
func (f *fragment) touch(time int64) {
	f.first, f.last = min(f.first, time), max(f.last, time)
}

// count adds a playout request that is no error.
func (f *fragment) count(p *part, c *columns, i int, e *event, m schemas.Measure, drm bool, size uint32) {
	if f.start == schemas.None || e.time < f.start {
		f.start = e.time
	}
	f.requests++
	f.bytes += e.bytes
	share := f.share(e.node)
	share.requests++
	share.bytes += e.bytes
	if wanted := f.missing & p.fragments.present; wanted != 0 || e.time <= f.latest {
		f.pick(p, c, i, e, wanted)
	}
	if m == schemas.MeasurePlayout {
		return
	}
	f.micros += e.micros
	audio := m == schemas.MeasureAudio
	segments, long := &f.video, &f.longVideo
	if audio {
		segments, long = &f.audio, &f.longAudio
		share.audio += e.micros
	} else {
		share.video += e.micros
	}
	if e.micros > 0 {
		f.rendition(size, audio, drm).micros += e.micros
	}
	if segment := c.num[schemas.IntSegment][i]; segment >= 0 {
		segments.Add(uint32(segment))
		*long = max(*long, e.micros)
		if n := len(f.video) + len(f.audio); n > 64+2*f.tidy {
			f.video.Normalize()
			f.audio.Normalize()
			f.tidy = len(f.video) + len(f.audio)
		}
	}
}

func (f *fragment) share(node uint32) *shareSum {
	for i := range f.shares {
		if f.shares[i].node == node {
			return &f.shares[i]
		}
	}
	f.shares = append(f.shares, shareSum{node: node})
	f.of.crowded = f.of.crowded || len(f.shares) > maxList
	return &f.shares[len(f.shares)-1]
}

func (f *fragment) rendition(size uint32, audio, drm bool) *renditionSum {
	for i := range f.renditions {
		if r := &f.renditions[i]; r.size == size && r.audio == audio && r.drm == drm {
			return r
		}
	}
	f.renditions = append(f.renditions, renditionSum{size: size, audio: audio, drm: drm})
	f.of.crowded = f.of.crowded || len(f.renditions) > maxList
	return &f.renditions[len(f.renditions)-1]
}

// pick takes the fields that the row fills (R2). wanted are those without a
// value yet; where the row is not the latest, the others are compared too.
func (f *fragment) pick(p *part, c *columns, i int, e *event, wanted uint32) {
	if e.time <= f.latest {
		wanted = p.fragments.present
	}
	for ; wanted != 0; wanted &= wanted - 1 {
		field := schemas.Field(bits.TrailingZeros32(wanted))
		code := p.fieldCode(c, i, field)
		if code == 0 {
			continue
		}
		if f.codes[field] != 0 && !earlier(e.time, e.seq, f.times[field], f.seqs[field], func() int {
			return bytes.Compare(p.fieldText(field, code), p.fieldText(field, f.codes[field]))
		}) {
			continue
		}
		f.codes[field], f.times[field], f.seqs[field] = code, e.time, e.seq
		f.missing &^= 1 << field
		f.latest = max(f.latest, e.time)
	}
}

// fieldCode is what row i says of a field, as it is compared and stored.
func (p *part) fieldCode(c *columns, i int, field schemas.Field) uint32 {
	code := c.text[fieldColumns[field]][i]
	switch {
	case code == 0 && field == schemas.FieldProtocol:
		return p.protocolFact(c.text[schemas.ColFormat][i])
	case code != 0 && field == schemas.FieldReferrer:
		return p.referrerFact(code)
	}
	return code
}

// fieldText is the text that is stored of a field; a token only as its hash.
func (p *part) fieldText(field schemas.Field, code uint32) []byte {
	if field == schemas.FieldToken && code != 0 {
		return []byte(hashOfToken(p.dict.Text(code)))
	}
	return p.dict.Bytes(code)
}

// key makes the stored key of a viewer.
func (p *part) key(v *viewer) schemas.SessionKey {
	var texts []uint32
	h := sha256.New()
	if v.session != 0 {
		h.Write([]byte{0xff}) // no length of a tenant id begins like this
		texts = []uint32{v.session, v.object}
	} else {
		texts = []uint32{v.tenant, v.object, v.pass, v.ip, v.agent}
	}
	var length [binary.MaxVarintLen64]byte
	for _, code := range texts {
		text := p.dict.Bytes(code)
		h.Write(length[:binary.PutUvarint(length[:], uint64(len(text)))])
		h.Write(text)
	}
	return schemas.SessionKey(h.Sum(nil)[:16])
}

// writeFragments turns the fragments into rows.
func (p *part) writeFragments() error {
	var row schemas.Fragment
	for _, f := range p.fragments.all {
		if err := p.relieve(); err != nil {
			return err
		}
		f.video.Normalize()
		f.audio.Normalize()
		row = schemas.Fragment{Kind: schemas.FragmentPlayout, Hour: f.who.hour, File: p.file, Key: p.key(&f.who),
			Object: p.dict.Bytes(f.who.object), SessionID: p.dict.Bytes(f.who.session),
			First: f.first, Last: f.last, Start: f.start, Requests: f.requests, Errors: f.errors, Bytes: f.bytes,
			Live: f.live, Opened: schemas.None, Closed: schemas.None, Video: f.video, Audio: f.audio,
			LongVideo: f.longVideo, LongAudio: f.longAudio, Renditions: row.Renditions[:0], Shares: row.Shares[:0]}
		for field, code := range f.codes {
			if code != 0 {
				row.Fields[field] = schemas.Pick{Value: p.fieldText(schemas.Field(field), code), Time: f.times[field], Seq: f.seqs[field]}
			}
		}
		for _, r := range f.renditions {
			d := p.sizes.list[r.size]
			row.Renditions = append(row.Renditions, schemas.Rendition{Audio: r.audio, DRM: r.drm, Width: d.width, Height: d.height, Micros: r.micros})
		}
		for _, s := range f.shares {
			row.Shares = append(row.Shares, schemas.Share{Node: p.dict.Bytes(s.node), Requests: s.requests, Bytes: s.bytes, Video: s.video, Audio: s.audio})
		}
		p.rows.addFragment(schemas.Tenant(p.dict.Text(f.who.tenant)), &row)
	}
	return nil
}
