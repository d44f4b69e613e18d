package logs

import (
	"bytes"
	"math"
	"strconv"

	"github.com/playmeter/playmeter/schemas"
)

// renditions finds what a rendition looks like.
type renditions struct {
	byName map[string]*Rendition
	byRate []*Rendition
}

func newRenditions(all []Rendition) renditions {
	r := renditions{byName: map[string]*Rendition{}}
	for i := range all {
		if name := all[i].Name; name != "" && r.byName[name] == nil {
			r.byName[name] = &all[i]
		}
		if all[i].MinKbps > 0 || all[i].MaxKbps > 0 {
			r.byRate = append(r.byRate, &all[i])
		}
	}
	return r
}

// ofRate is the first rendition whose bitrates hold one.
func (r renditions) ofRate(kbps int64) *Rendition {
	for _, one := range r.byRate {
		if kbps >= int64(one.MinKbps) && (one.MaxKbps == 0 || kbps <= int64(one.MaxKbps)) {
			return one
		}
	}
	return nil
}

func (m *mapper) listedRendition() *listedRendition {
	if m.listed == nil || m.listed.rendition == nil {
		return &listedRendition{}
	}
	return m.listed.rendition
}

func (m *mapper) listedFormat() string {
	if m.listed == nil {
		return ""
	}
	return m.listed.format
}

// protocol: as the pattern says, else the playlist, the player, the file's ending.
func (m *mapper) protocol(r *record, u *URL) string {
	said := map[string]string{"h": "hls", "d": "dash", "s": "mss"}[m.said.sf]
	return either(m.given(groupProtocol), u.Protocol, m.string(r.text(schemas.ColProtocol)), m.listedRendition().protocol, said, m.file.protocol)
}

// objectTracks are the tracks of CMCD's object types. Keys and other files count as manifests, the track
// of what has no media time.
var objectTracks = map[string]string{"v": "video", "a": "audio", "av": "muxed", "i": "init", "c": "text", "tt": "text", "m": "manifest", "k": "manifest", "o": "manifest"}

// track: as the player says, else the pattern, the playlist, the file's ending.
func (m *mapper) track(r *record, u *URL) string {
	t := either(objectTracks[m.said.ot], trackOf(m.given(groupTrack)), u.Track, trackOf(m.string(r.text(schemas.ColTrack))))
	switch {
	case t != "":
	case m.listed != nil && m.listed.manifest:
		t = "manifest"
	case m.listed != nil && m.listed.init:
		t = "init"
	default:
		t = either(m.file.track, m.listedRendition().track)
	}
	return t
}

func on(text string) *bool {
	yes := text == "on" || text == "true" || text == "1"
	if !yes && text != "off" && text != "false" && text != "0" {
		return nil
	}
	return &yes
}

// drm: as the pattern says, in so many words or by the name of a format, else the playlist.
func (m *mapper) drm(r *record, u *URL, format string) *bool {
	if drm := on(either(u.DRM, m.string(r.values[colDRM]))); drm != nil {
		return drm
	}
	if m.listed == nil || m.listed.drm == 0 || format != m.listed.format {
		return nil
	}
	encrypted := m.listed.drm > 0
	return &encrypted
}

// live: as the pattern says, else the player, the playlist.
func (m *mapper) live(r *record, u *URL) *bool {
	if live := on(either(u.Live, m.string(r.values[colLive]))); live != nil {
		return live
	}
	live := m.said.live > 0
	if m.said.live == 0 {
		if !m.listedRendition().live {
			return nil
		}
		live = true
	}
	return &live
}

// size fills in width, height and codec: as pattern and line say, else the map of renditions by name, the
// playlist, the map by bitrate.
func (m *mapper) size(r *record, e *schemas.Event) {
	picture := e.Track == "" || e.Track == "video" || e.Track == "muxed"
	rendition := m.renditions.byName[m.given(groupRendition)]
	listed := m.listedRendition()
	if rendition == nil && listed.width == 0 && picture && m.said.br > 0 {
		rendition = m.renditions.ofRate(m.said.br)
	}
	if rendition == nil {
		rendition = &Rendition{}
	}
	e.Codec = either(m.given(groupCodec, r.text(schemas.ColCodec)), rendition.Codec, listed.codec)
	if !picture {
		return
	}
	w, h := m.edge(groupWidth, r.values[colWidth]), m.edge(groupHeight, r.values[colHeight])
	if w == nil || h == nil {
		w, h = edges(rendition.Width, rendition.Height)
	}
	if w == nil {
		w, h = edges(listed.width, listed.height)
	}
	e.Width, e.Height = w, h
}

func edges(w, h int32) (*int32, *int32) {
	if w <= 0 || h <= 0 {
		return nil, nil
	}
	return &w, &h
}

func (m *mapper) edge(group int, field []byte) *int32 {
	n, err := strconv.ParseInt(m.given(group, field), 10, 32)
	if err != nil || n <= 0 {
		return nil
	}
	edge := int32(n)
	return &edge
}

// count reckons the seconds and the segment of a request, and adds the event to the summary.
func (m *mapper) count(r *record, e *schemas.Event, sum *Summary) {
	status := int32(200)
	if e.Status != nil {
		status = *e.Status
	}
	if e.Bytes != nil {
		sum.Bytes += min(*e.Bytes, 1<<50)
	}
	if status >= 400 {
		sum.Errors++
	}
	method := r.values[colMethod]
	if status < 200 || status >= 300 || method != nil && string(method) == "HEAD" || e.Kind != "playout" || !hasLength(e.Track) {
		return
	}
	if field := r.values[colDuration]; field != nil {
		m.lengthOfField(r, e, sum)
		return
	}
	l := m.length(r, e, status)
	switch {
	case l.part:
		sum.Parts++
		return
	case l.init:
		e.Track, e.Width, e.Height = "init", nil, nil
		return
	case l.micros <= 0:
		sum.NoLength++
	default:
		e.DurationMicros = &l.micros
		sum.Segments++
		sum.Micros[either(e.Track, "muxed")] += l.micros
		if l.listed {
			sum.ByPlaylist++
		}
	}
	if index, ok := m.segment(r); ok {
		e.Segment = &index
	} else if l.listed {
		e.Segment = &l.index
	}
}

func hasLength(track string) bool {
	return track == "" || track == "video" || track == "audio" || track == "muxed"
}

// lengthOfField takes the length that the log itself says.
func (m *mapper) lengthOfField(r *record, e *schemas.Event, sum *Summary) {
	n, ok := parseDecimal(r.values[colDuration], 0)
	if !ok || n <= 0 {
		sum.NoLength++
		return
	}
	e.DurationMicros = &n
	sum.Segments++
	sum.Micros[either(e.Track, "muxed")] += n
	if index, ok := m.segment(r); ok {
		e.Segment = &index
	}
}

// segment is the index that the pattern or the line says.
func (m *mapper) segment(r *record) (int32, bool) {
	n, err := strconv.ParseUint(m.given(groupSegment, r.values[colSegment]), 10, 31)
	return int32(n), err == nil && n <= math.MaxInt32
}

// length is how much media an answer holds.
type length struct {
	micros int64
	index  int32
	listed bool // a playlist says so
	part   bool // it is a later part of a segment
	init   bool // it is an initialization section
}

// length reckons what an answer of status 200 or 206 holds.
func (m *mapper) length(r *record, e *schemas.Event, status int32) length {
	sent := int64(0)
	if e.Bytes != nil {
		sent = *e.Bytes
	}
	asked := unknownSpan
	if status == 206 {
		asked = spanOf(r, sent)
	}
	said := length{micros: m.said.d * 1000}
	if m.listed != nil && len(m.listed.ranges) > 0 {
		return m.withinFile(asked, status, sent, said)
	}
	own := m.listed != nil && m.listed.ownRanges || m.match.url != nil && m.match.url.OwnRanges
	if status == 206 && !own {
		if asked.known() && (!asked.holds(0) || asked.probe()) || !asked.known() && !m.firsts.first(m.partKey(r, e), e.Time) {
			return length{part: true}
		}
	}
	if m.listed != nil && m.listed.micros > 0 {
		return length{micros: m.listed.micros, index: m.listed.index, listed: true}
	}
	return said
}

// withinFile adds up the segments of a file of many whose first byte was sent.
func (m *mapper) withinFile(asked span, status int32, sent int64, said length) length {
	if status != 206 {
		asked = span{0, math.MaxInt64}.sent(sent)
	}
	if !asked.known() {
		return said
	}
	micros, index, any := m.listed.within(asked)
	switch head := m.listed.init0; {
	case any:
		return length{micros: micros, index: index, listed: true}
	case head.length > 0 && asked.from >= head.offset && asked.from < head.offset+head.length:
		return length{init: true}
	}
	return length{part: true}
}

// partKey is what the ranges of one segment have in common.
func (m *mapper) partKey(r *record, e *schemas.Event) [16]byte {
	return hashOf(&m.hashed, []byte(e.ClientIP), []byte(e.UserAgent), []byte(e.SessionID), m.request.host, bytes.TrimSpace(m.request.path))
}
