package schemas

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"
)

// Session is one viewing, finished: joined from fragments, cut to its period
// and enriched. It is a row of the sessions report and of the statistics.
//
//   - Times: Unix ns; Start is the first request that is no error, End the last
//     request.
//   - Memory: a decoded session points into the buffer it was read from.
type Session struct {
	Key       SessionKey
	SessionID []byte // the client's, or the one made up for it (R7)
	Object    []byte
	Start     int64
	End       int64
	Begun     bool // it began in the period
	Live      bool
	HasVideo  bool
	Reported  bool // a server's own record, not playout events
	Requests  int64
	Errors    int64
	Bytes     Sum
	Video     Sum // µs
	Audio     Sum // µs
	Fields    [NumFields][]byte

	Title    []byte
	TitleID  []byte
	Duration int64 // µs of the content; None where it is live or not known
	Percent  int64 // hundredths of a percent of the content seen; None where not known
	Platform []byte
	OS       []byte
	Device   []byte

	Renditions []Rendition
	Shares     []Share
}

// Watched is the view time in µs: video served, or audio where there is no video (R4).
func (s *Session) Watched() Sum {
	if s.HasVideo {
		return s.Video
	}
	return s.Audio
}

// CompareSessions is the order of the sessions report (SPEC 5).
func CompareSessions(a, b *Session) int {
	if c := cmp.Compare(a.Start, b.Start); c != 0 {
		return c
	}
	return cmp.Or(bytes.Compare(a.SessionID, b.SessionID), bytes.Compare(a.Object, b.Object), bytes.Compare(a.Key[:], b.Key[:]))
}

const (
	sessionBegun = 1 << iota
	sessionLive
	sessionVideo
	sessionReported
	sessionDuration
	sessionPercent
)

// AppendSession appends the encoding of s. Start comes first, big endian, so
// that a sorter need not decode it.
func AppendSession(b []byte, s *Session) []byte {
	b = binary.BigEndian.AppendUint64(b, uint64(s.Start))
	b = append(b, s.Key[:]...)
	flags := byte(0)
	for i, on := range []bool{s.Begun, s.Live, s.HasVideo, s.Reported, s.Duration != None, s.Percent != None} {
		if on {
			flags |= 1 << i
		}
	}
	b = append(b, flags)
	b = appendText(b, s.SessionID)
	b = appendText(b, s.Object)
	b = binary.AppendUvarint(b, uint64(s.End-s.Start))
	b = binary.AppendUvarint(b, uint64(s.Requests))
	b = binary.AppendUvarint(b, uint64(s.Errors))
	for _, sum := range []Sum{s.Bytes, s.Video, s.Audio} {
		b = binary.AppendUvarint(b, sum.Hi)
		b = binary.AppendUvarint(b, sum.Lo)
	}
	for _, text := range s.Fields {
		b = appendText(b, text)
	}
	for _, text := range [][]byte{s.Title, s.TitleID, s.Platform, s.OS, s.Device} {
		b = appendText(b, text)
	}
	if s.Duration != None {
		b = binary.AppendUvarint(b, uint64(s.Duration))
	}
	if s.Percent != None {
		b = binary.AppendUvarint(b, uint64(s.Percent))
	}
	b = binary.AppendUvarint(b, uint64(len(s.Renditions)))
	for _, r := range s.Renditions {
		b = appendRendition(b, r)
	}
	b = binary.AppendUvarint(b, uint64(len(s.Shares)))
	for _, share := range s.Shares {
		b = appendShare(b, share)
	}
	return b
}

// SessionStart reads the start off an encoded session.
func SessionStart(b []byte) int64 { return int64(binary.BigEndian.Uint64(b)) }

// DecodeSession reads an encoded session into s, whose slices it reuses. Errors:
// ErrDamaged.
func DecodeSession(b []byte, s *Session) error {
	d := decoder{rest: b}
	*s = Session{Renditions: s.Renditions[:0], Shares: s.Shares[:0], Duration: None, Percent: None}
	if start := d.bytes(8); start != nil {
		s.Start = SessionStart(start)
	}
	copy(s.Key[:], d.bytes(len(s.Key)))
	flags := d.byte()
	s.Begun, s.Live, s.HasVideo, s.Reported = flags&sessionBegun != 0, flags&sessionLive != 0, flags&sessionVideo != 0, flags&sessionReported != 0
	s.SessionID, s.Object = d.text(), d.text()
	s.End = s.Start + d.amount()
	s.Requests, s.Errors = d.amount(), d.amount()
	for _, sum := range []*Sum{&s.Bytes, &s.Video, &s.Audio} {
		sum.Hi, sum.Lo = d.uvarint(), d.uvarint()
	}
	for i := range s.Fields {
		s.Fields[i] = d.text()
	}
	for _, text := range []*[]byte{&s.Title, &s.TitleID, &s.Platform, &s.OS, &s.Device} {
		*text = d.text()
	}
	if flags&sessionDuration != 0 {
		s.Duration = d.amount()
	}
	if flags&sessionPercent != 0 {
		s.Percent = d.amount()
	}
	s.Renditions, s.Shares = d.renditions(s.Renditions), d.shares(s.Shares)
	if len(d.rest) > 0 {
		d.fail("bytes left over")
	}
	if d.err != nil {
		return fmt.Errorf("session: %w", d.err)
	}
	return nil
}
