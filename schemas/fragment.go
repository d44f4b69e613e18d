package schemas

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
)

// SessionKey identifies whose playback a fragment is: half of a SHA-256 over
// the session id and object, or over the fields that stand in for the id (SPEC 5).
type SessionKey [16]byte

// Field is one of the texts that a session takes from its events.
type Field int

// The fields, in the order of their columns in a usage file. FieldToken is the hex SHA-256
// of the token, never the token.
const (
	FieldNode Field = iota
	FieldVersion
	FieldOffering
	FieldFormat
	FieldProtocol
	FieldClientIP
	FieldUserAgent
	FieldReferrer
	FieldAuthIdentity
	FieldAuthAddr
	FieldAuthEmail
	FieldUser
	FieldToken
	FieldNodeHost
	FieldNodeIP
	FieldNodeRegion
	FieldClientCountry
	FieldClientRegion
	FieldClientCity
	NumFields
)

// Pick is a value with the place of the event that it came from, so that of two the
// earlier wins in whatever order they meet. An empty Value was never seen.
type Pick struct {
	Value []byte
	Time  int64 // Unix ns
	Seq   int64 // None sorts last
}

// Before tells whether p wins over q, both with a value.
func (p *Pick) Before(q *Pick) bool {
	if p.Time != q.Time {
		return p.Time < q.Time
	}
	if a, b := seqRank(p.Seq), seqRank(q.Seq); a != b {
		return a < b
	}
	return bytes.Compare(p.Value, q.Value) < 0
}

// seqRank orders sequence numbers with none last.
func seqRank(seq int64) uint64 {
	if seq == None {
		return 1 << 63
	}
	return uint64(seq)
}

// Rendition is the media time served of one picture size (or of audio), clear
// or DRM.
type Rendition struct {
	Audio         bool
	DRM           bool
	Width, Height int32
	Micros        int64
}

// Share is what one node served of a session.
type Share struct {
	Node     []byte
	Requests int64
	Bytes    int64
	Video    int64 // µs
	Audio    int64 // µs
}

// FragmentKind tells playback events from a server's own records.
type FragmentKind uint8

const (
	// FragmentPlayout is a stretch of playout requests, none further from the
	// next than the idle time.
	FragmentPlayout FragmentKind = iota
	// FragmentRecord is the newest `session` record of an hour.
	FragmentRecord
)

// Fragment is what one usage file knows of one viewing in one UTC hour. Any
// fragments of one key join in any order (package accounting).
//
//   - Times: Unix ns. First and Last are of any request, errors included;
//     Start is of the first that is no error, None where all are.
//   - Requests: playout requests that are no errors; of a record, how many
//     records of the hour it stands for.
//   - Opened, Closed: of a record only, None where not given. LongVideo of a
//     record is the view time that it states, whatever its track.
//   - Memory: a decoded fragment points into the buffer that it was read from.
type Fragment struct {
	Kind        FragmentKind
	Tenant      Tenant
	Hour        Hour
	File        uint32 // index of the file among its pack's members
	Key         SessionKey
	Object      []byte
	SessionID   []byte // empty: the key stands for it
	First, Last int64
	Start       int64
	Requests    int64
	Errors      int64
	Bytes       int64
	Live        bool
	Opened      int64
	Closed      int64
	Fields      [NumFields]Pick
	Renditions  []Rendition
	Shares      []Share
	Video       Segments
	Audio       Segments
	LongVideo   int64 // µs, the longest video segment
	LongAudio   int64
}

// CompareFragments orders the fragments of one tenant: by key, then first request.
func CompareFragments(a, b *Fragment) int {
	if c := bytes.Compare(a.Key[:], b.Key[:]); c != 0 {
		return c
	}
	return cmp.Compare(a.First, b.First)
}

const (
	flagRecord = 1 << iota
	flagErrorsOnly
	flagLive
	flagSessionID
	flagErrors
	flagSegments
	flagOpened
	flagClosed
)

// AppendFragment appends the encoding of f, all but its tenant, which the
// block that holds it bears.
//
//   - Source: docs/formats.md, "Fragment".
func AppendFragment(b []byte, f *Fragment) []byte {
	flags := byte(0)
	set := func(on bool, flag byte) {
		if on {
			flags |= flag
		}
	}
	set(f.Kind == FragmentRecord, flagRecord)
	set(f.Start == None, flagErrorsOnly)
	set(f.Live, flagLive)
	set(len(f.SessionID) > 0, flagSessionID)
	set(f.Errors > 0, flagErrors)
	set(len(f.Video)+len(f.Audio) > 0 || f.LongVideo|f.LongAudio != 0, flagSegments)
	set(f.Opened != None, flagOpened)
	set(f.Closed != None, flagClosed)
	b = append(b, flags)
	b = append(b, f.Key[:]...)
	b = binary.AppendUvarint(b, uint64(f.Hour))
	b = binary.AppendUvarint(b, uint64(f.File))
	b = binary.AppendUvarint(b, uint64(f.First-f.Hour.Start()))
	b = binary.AppendUvarint(b, uint64(f.Last-f.First))
	if f.Start != None {
		b = binary.AppendUvarint(b, uint64(f.Start-f.First))
	}
	b = appendText(b, f.Object)
	if len(f.SessionID) > 0 {
		b = appendText(b, f.SessionID)
	}
	b = binary.AppendUvarint(b, uint64(f.Requests))
	if f.Errors > 0 {
		b = binary.AppendUvarint(b, uint64(f.Errors))
	}
	b = binary.AppendUvarint(b, uint64(f.Bytes))
	if f.Opened != None {
		b = binary.AppendVarint(b, f.Opened)
	}
	if f.Closed != None {
		b = binary.AppendVarint(b, f.Closed)
	}
	b = appendFields(b, f)
	b = binary.AppendUvarint(b, uint64(len(f.Renditions)))
	for _, r := range f.Renditions {
		b = appendRendition(b, r)
	}
	b = binary.AppendUvarint(b, uint64(len(f.Shares)))
	for _, s := range f.Shares {
		b = appendShare(b, s)
	}
	if flags&flagSegments != 0 {
		b = AppendSegments(b, f.Video)
		b = binary.AppendUvarint(b, uint64(f.LongVideo))
		b = AppendSegments(b, f.Audio)
		b = binary.AppendUvarint(b, uint64(f.LongAudio))
	}
	return b
}

// appendFields writes a mask of the fields that have a value, then each: its
// text, and its place unless it is that of the field before it.
func appendFields(b []byte, f *Fragment) []byte {
	mask := uint64(0)
	for i := range f.Fields {
		if len(f.Fields[i].Value) > 0 {
			mask |= 1 << i
		}
	}
	b = binary.AppendUvarint(b, mask)
	time, seq := f.First, int64(None)
	for i := range f.Fields {
		p := &f.Fields[i]
		if mask&(1<<i) == 0 {
			continue
		}
		same := p.Time == time && p.Seq == seq
		head := uint64(len(p.Value)) << 1
		if !same {
			head |= 1
		}
		b = binary.AppendUvarint(b, head)
		b = append(b, p.Value...)
		if !same {
			b = binary.AppendUvarint(b, uint64(p.Time-f.First))
			b = binary.AppendUvarint(b, seqRank(p.Seq)+1) // none: 2^63+1; fits
			time, seq = p.Time, p.Seq
		}
	}
	return b
}

func appendRendition(b []byte, r Rendition) []byte {
	head := byte(0)
	if r.Audio {
		head |= 1
	}
	if r.DRM {
		head |= 2
	}
	b = append(b, head)
	b = binary.AppendUvarint(b, uint64(r.Width))
	b = binary.AppendUvarint(b, uint64(r.Height))
	return binary.AppendUvarint(b, uint64(r.Micros))
}

func appendShare(b []byte, s Share) []byte {
	b = appendText(b, s.Node)
	b = binary.AppendUvarint(b, uint64(s.Requests))
	b = binary.AppendUvarint(b, uint64(s.Bytes))
	b = binary.AppendUvarint(b, uint64(s.Video))
	return binary.AppendUvarint(b, uint64(s.Audio))
}

func appendText(b, text []byte) []byte {
	b = binary.AppendUvarint(b, uint64(len(text)))
	return append(b, text...)
}

// ErrDamaged is wrapped by every error of a decoder of our own formats.
var ErrDamaged = errors.New("damaged")

// DecodeFragment reads one encoded fragment into f, whose slices it reuses.
// The texts of f point into b. Errors: ErrDamaged.
func DecodeFragment(b []byte, f *Fragment) error {
	d := decoder{rest: b}
	*f = Fragment{Tenant: f.Tenant, Renditions: f.Renditions[:0], Shares: f.Shares[:0], Video: f.Video[:0], Audio: f.Audio[:0]}
	flags := d.byte()
	copy(f.Key[:], d.bytes(len(f.Key)))
	if flags&flagRecord != 0 {
		f.Kind = FragmentRecord
	}
	f.Hour = Hour(d.limited(1 << 24))
	f.File = uint32(d.limited(1<<32 - 1))
	f.First = f.Hour.Start() + d.limited(hourNanos-1)
	f.Last = f.First + d.limited(hourNanos-1)
	f.Start, f.Opened, f.Closed = None, None, None
	if flags&flagErrorsOnly == 0 {
		f.Start = f.First + d.limited(hourNanos-1)
	}
	f.Live = flags&flagLive != 0
	f.Object = d.text()
	if flags&flagSessionID != 0 {
		f.SessionID = d.text()
	}
	f.Requests = d.amount()
	if flags&flagErrors != 0 {
		f.Errors = d.amount()
	}
	f.Bytes = d.amount()
	if flags&flagOpened != 0 {
		f.Opened = d.varint()
	}
	if flags&flagClosed != 0 {
		f.Closed = d.varint()
	}
	d.fields(f)
	f.Renditions, f.Shares = d.renditions(f.Renditions), d.shares(f.Shares)
	if flags&flagSegments != 0 {
		f.Video = d.segments(f.Video)
		f.LongVideo = d.amount()
		f.Audio = d.segments(f.Audio)
		f.LongAudio = d.amount()
	}
	if len(d.rest) > 0 {
		d.fail("bytes left over")
	}
	if d.err != nil {
		return fmt.Errorf("fragment: %w", d.err)
	}
	return nil
}

func (d *decoder) renditions(list []Rendition) []Rendition {
	for n := d.count(4); n > 0; n-- {
		head := d.byte()
		list = append(list, Rendition{Audio: head&1 != 0, DRM: head&2 != 0,
			Width: int32(d.limited(1<<31 - 1)), Height: int32(d.limited(1<<31 - 1)), Micros: d.amount()})
	}
	return list
}

func (d *decoder) shares(list []Share) []Share {
	for n := d.count(5); n > 0; n-- {
		list = append(list, Share{Node: d.text(), Requests: d.amount(), Bytes: d.amount(), Video: d.amount(), Audio: d.amount()})
	}
	return list
}

func (d *decoder) fields(f *Fragment) {
	mask := d.uvarint()
	if mask>>NumFields != 0 {
		d.fail("unknown field")
		return
	}
	time, seq := f.First, int64(None)
	for i := range f.Fields {
		if mask&(1<<i) == 0 {
			continue
		}
		head := d.uvarint()
		if head>>1 > uint64(len(d.rest)) {
			d.fail("text runs over the end")
			return
		}
		f.Fields[i].Value = d.bytes(int(head >> 1))
		if head&1 != 0 {
			time = f.First + d.limited(hourNanos-1)
			if seq = int64(d.uvarint() - 1); seq < 0 {
				seq = None
			}
		}
		f.Fields[i].Time, f.Fields[i].Seq = time, seq
	}
}
