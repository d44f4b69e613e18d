package logs

import (
	"bytes"
	"cmp"
	"errors"
	"math"
	"slices"
	"strconv"
	"strings"
)

var (
	errNoPlaylist = errors.New("does not begin with #EXTM3U")
	errCut        = errors.New("has a line that cannot be read")
)

// isMaster tells whether an HLS playlist names renditions.
func isMaster(text []byte) bool {
	return bytes.Contains(text, []byte("#EXT-X-STREAM-INF")) || bytes.Contains(text, []byte("#EXT-X-MEDIA:"))
}

// tags calls f for every line of a playlist that is not blank, tags cut at their colon. A line that is a
// URI has an empty tag.
func tags(text []byte, f func(tag, rest string) error) error {
	text = bytes.TrimPrefix(text, byteOrderMark)
	if !bytes.HasPrefix(text, []byte("#EXTM3U")) {
		return errNoPlaylist
	}
	for line := range bytes.Lines(text) {
		line = bytes.TrimSpace(line)
		var err error
		switch {
		case len(line) == 0:
		case line[0] != '#':
			err = f("", string(line))
		case bytes.HasPrefix(line, []byte("#EXT")):
			tag, rest, _ := bytes.Cut(line, []byte{':'})
			err = f(string(tag), string(rest))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// attributes reads NAME=value,NAME="value" lists.
func attributes(s string) map[string]string {
	m := map[string]string{}
	for s != "" && len(m) < 100 {
		name, rest, found := strings.Cut(s, "=")
		if !found {
			break
		}
		var value string
		if strings.HasPrefix(rest, `"`) {
			value, rest, _ = strings.Cut(rest[1:], `"`)
			_, rest, _ = strings.Cut(rest, ",")
		} else {
			value, rest, _ = strings.Cut(rest, ",")
		}
		m[strings.ToUpper(strings.TrimSpace(name))] = value
		s = rest
	}
	return m
}

// addMaster notes what a master playlist says of its renditions.
//
//   - Source: RFC 8216, section 4.3.4.
func (p *Playlists) addMaster(name string, text []byte) error {
	if err := p.manifest(name, &listedRendition{protocol: "hls"}); err != nil {
		return err
	}
	type stream struct {
		uri   string
		given map[string]string
	}
	var streams []stream
	var next map[string]string
	apart := map[string]bool{} // audio groups whose renditions have playlists of their own
	err := tags(text, func(tag, rest string) error {
		switch {
		case tag == "#EXT-X-STREAM-INF":
			next = attributes(rest)
		case tag == "" && next != nil:
			streams = append(streams, stream{resolve(name, rest), next})
			next = nil
		case tag == "#EXT-X-MEDIA":
			a := attributes(rest)
			if a["URI"] == "" {
				return nil
			}
			r := &listedRendition{protocol: "hls"}
			switch a["TYPE"] {
			case "AUDIO":
				r.track, apart[a["GROUP-ID"]] = "audio", true
			case "SUBTITLES":
				r.track = "text"
			case "VIDEO":
				r.track = "video"
			}
			return p.manifest(resolve(name, a["URI"]), r)
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, s := range streams {
		if err := p.manifest(s.uri, ofStream(s.given, apart[s.given["AUDIO"]])); err != nil {
			return err
		}
	}
	return nil
}

// ofStream is what EXT-X-STREAM-INF says. Its audio is within, unless it has playlists of its own.
func ofStream(a map[string]string, audioApart bool) *listedRendition {
	r := &listedRendition{protocol: "hls", track: "muxed"}
	audio := ""
	for codec := range strings.SplitSeq(a["CODECS"], ",") {
		if codec = strings.TrimSpace(codec); codec == "" {
			continue
		} else if isAudioCodec(codec) {
			audio = either(audio, codec)
		} else if !isTextCodec(codec) {
			r.codec = either(r.codec, codec)
		}
	}
	r.width, r.height = resolution(a["RESOLUTION"])
	switch {
	case r.codec == "" && audio != "" && r.width == 0:
		r.track, r.codec = "audio", audio
	case audioApart, audio == "" && r.codec != "":
		r.track = "video"
	}
	return r
}

// isAudioCodec goes by what a codec's name of RFC 6381 begins with.
func isAudioCodec(codec string) bool {
	for _, prefix := range []string{"mp4a", "ac-3", "ec-3", "ac-4", "opus", "flac", "alac", "dts", "mp3", "vorbis", "mhm", "mha"} {
		if len(codec) >= len(prefix) && strings.EqualFold(codec[:len(prefix)], prefix) {
			return true
		}
	}
	return false
}

func isTextCodec(codec string) bool {
	return strings.HasPrefix(codec, "wvtt") || strings.HasPrefix(codec, "stpp")
}

func resolution(s string) (width, height int32) {
	a, b, found := strings.Cut(s, "x")
	w, errW := strconv.ParseInt(a, 10, 32)
	h, errH := strconv.ParseInt(b, 10, 32)
	if !found || errW != nil || errH != nil || w <= 0 || h <= 0 {
		return 0, 0
	}
	return int32(w), int32(h)
}

// manifest notes a playlist and its rendition, of which the first word counts.
func (p *Playlists) manifest(name string, r *listedRendition) error {
	if name == "" {
		return nil
	}
	l, err := p.at(name)
	if err != nil {
		return err
	}
	l.manifest = true
	if l.rendition == nil {
		l.rendition = r
	}
	return nil
}

// mediaPlaylist is where the reading of a media playlist stands.
type mediaPlaylist struct {
	lists     *Playlists
	name      string
	rendition *listedRendition

	sequence int64
	micros   int64 // of the next segment
	given    bool
	length   int64 // of the next segment's bytes; 0: it is a file
	offset   int64
	end      map[string]int64 // where the last range of a file ended
	drm      int8
	format   string
}

// addMedia notes the segments of a media playlist.
//
//   - Units: EXTINF is a decimal number of seconds, of which no digit up to the microsecond is lost.
//   - Source: RFC 8216, sections 4.3.2 and 4.3.3.
func (p *Playlists) addMedia(name string, text []byte) error {
	if err := p.manifest(name, &listedRendition{protocol: "hls"}); err != nil {
		return err
	}
	m := &mediaPlaylist{lists: p, name: name, rendition: p.files[name].rendition, end: map[string]int64{}, drm: -1, format: "hls-clear"}
	if bytes.Contains(text, []byte("#EXT-X-I-FRAMES-ONLY")) { // pictures to look for a place, which are no media time
		return nil
	}
	m.rendition.live = !bytes.Contains(text, []byte("#EXT-X-ENDLIST")) && !bytes.Contains(text, []byte("#EXT-X-PLAYLIST-TYPE:VOD"))
	if err := tags(text, m.line); err != nil {
		return err
	}
	l := p.files[name]
	l.drm, l.format = m.drm, m.format
	return nil
}

func (m *mediaPlaylist) line(tag, rest string) error {
	switch tag {
	case "":
		return m.segment(rest)
	case "#EXTINF":
		seconds, _, _ := strings.Cut(rest, ",")
		micros, ok := parseDecimal([]byte(strings.TrimSpace(seconds)), 6)
		if !ok || micros > maxSegmentMicros {
			return errCut
		}
		m.micros, m.given = micros, true
	case "#EXT-X-MEDIA-SEQUENCE":
		n, err := strconv.ParseInt(strings.TrimSpace(rest), 10, 63)
		if err != nil || n < 0 {
			return errCut
		}
		m.sequence = n
	case "#EXT-X-BYTERANGE":
		return m.byterange(rest)
	case "#EXT-X-KEY":
		return m.key(attributes(rest))
	case "#EXT-X-MAP":
		return m.initialization(attributes(rest))
	case "#EXT-X-PART":
		return m.part(attributes(rest))
	}
	return nil
}

// maxSegmentMicros is the longest segment that is believed: a day.
const maxSegmentMicros = 24 * 3600 * 1_000_000

// byterange takes LENGTH[@OFFSET]; without an offset the range begins where the last one of the file ended.
func (m *mediaPlaylist) byterange(s string) error {
	length, offset, err := parseByterange(s)
	m.length, m.offset = length, offset
	return err
}

func parseByterange(s string) (length, offset int64, err error) {
	a, b, at := strings.Cut(strings.TrimSpace(s), "@")
	length, err = strconv.ParseInt(a, 10, 63)
	if err != nil || length <= 0 {
		return 0, 0, errCut
	}
	if !at {
		return length, -1, nil
	}
	if offset, err = strconv.ParseInt(b, 10, 62); err != nil || offset < 0 {
		return 0, 0, errCut
	}
	return length, offset, nil
}

// key takes EXT-X-KEY: it holds for the segments that follow.
func (m *mediaPlaylist) key(a map[string]string) error {
	if a["METHOD"] == "NONE" {
		m.drm = -1
		return nil
	}
	format := "hls-sample-aes"
	switch known := strings.ToLower(a["KEYFORMAT"]); {
	case strings.Contains(known, "streamingkeydelivery"):
		format = "hls-fairplay"
	case strings.Contains(known, widevine):
		format = "hls-widevine"
	case strings.Contains(known, "playready"):
		format = "hls-playready"
	case a["METHOD"] == "AES-128":
		format = "hls-aes128"
	}
	if m.format == "hls-clear" { // of several systems for one segment, the first names the format
		m.format = format
	}
	m.drm = 1
	if uri := a["URI"]; uri != "" && !strings.HasPrefix(uri, "data:") && !strings.HasPrefix(uri, "skd:") {
		if file := resolve(m.name, uri); file != "" {
			l, err := m.lists.at(file)
			if err != nil {
				return err
			}
			l.manifest = true
		}
	}
	return nil
}

func (m *mediaPlaylist) initialization(a map[string]string) error {
	file := resolve(m.name, a["URI"])
	if file == "" {
		return nil
	}
	l, err := m.lists.at(file)
	if err != nil {
		return err
	}
	if l.rendition == nil {
		l.rendition = m.rendition
	}
	if a["BYTERANGE"] == "" {
		l.init = true
		return nil
	}
	length, offset, err := parseByterange(a["BYTERANGE"])
	if err != nil {
		return err
	}
	l.init0 = listedRange{offset: max(offset, 0), length: length}
	return nil
}

// part notes a partial segment of its own file (low latency): it belongs to the segment that comes next.
func (m *mediaPlaylist) part(a map[string]string) error {
	micros, ok := parseDecimal([]byte(a["DURATION"]), 6)
	file := resolve(m.name, a["URI"])
	if !ok || file == "" || micros > maxSegmentMicros || a["BYTERANGE"] != "" || m.sequence > math.MaxInt32 {
		return nil
	}
	return m.file(file, micros)
}

func (m *mediaPlaylist) file(file string, micros int64) error {
	l, err := m.lists.at(file)
	if err != nil || l.rendition != nil {
		return err
	}
	l.rendition, l.micros, l.index = m.rendition, micros, int32(m.sequence)
	l.drm, l.format = m.drm, m.formatNow()
	return nil
}

// formatNow is the format of the next segment: within one playlist some may be clear.
func (m *mediaPlaylist) formatNow() string {
	if m.drm < 0 {
		return "hls-clear"
	}
	return m.format
}

// segment notes a URI, which ends a segment.
func (m *mediaPlaylist) segment(uri string) error {
	if !m.given {
		return errCut
	}
	defer func() { m.sequence, m.given, m.length = m.sequence+1, false, 0 }()
	file := resolve(m.name, uri)
	if file == "" || m.sequence > math.MaxInt32 {
		return nil
	}
	if m.length == 0 {
		return m.file(file, m.micros)
	}
	l, err := m.lists.at(file)
	if err != nil {
		return err
	}
	if m.offset < 0 {
		m.offset = m.end[file]
	}
	if m.offset > math.MaxInt64-m.length {
		return errCut
	}
	m.end[file] = m.offset + m.length
	if l.rendition != nil && l.rendition != m.rendition || l.micros > 0 {
		return nil
	}
	l.rendition, l.drm, l.format = m.rendition, m.drm, m.formatNow()
	return m.lists.addRange(l, listedRange{m.offset, m.length, m.micros, int32(m.sequence)})
}

// addRange notes a segment within a file.
func (p *Playlists) addRange(l *listed, r listedRange) error {
	if p.count++; p.count > p.limit {
		return ErrTooManySegments
	}
	l.ranges = append(l.ranges, r)
	return nil
}

// settle puts the segments of files in order. One that is named twice counts once.
func (p *Playlists) settle() {
	for _, l := range p.files {
		slices.SortStableFunc(l.ranges, func(a, b listedRange) int { return cmp.Compare(a.offset, b.offset) })
		l.ranges = slices.CompactFunc(l.ranges, func(a, b listedRange) bool { return a.offset == b.offset })
	}
}
