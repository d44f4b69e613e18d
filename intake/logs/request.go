package logs

import (
	"bytes"
	"path"
	"strings"
)

// request is what a line says of its URL.
type request struct {
	path  []byte // decoded, without the query
	query []byte // as it is
	host  []byte

	memory []byte
}

// read takes a record's URL apart. The log's writer may have encoded it once more than the client had.
func (q *request) read(r *record, encoded bool) {
	raw := r.values[colURL]
	q.query, q.host = r.values[colQuery], r.values[colHost]
	if raw == nil {
		raw = r.values[colPath]
	}
	if scheme := bytes.Index(raw, []byte("://")); scheme > 0 && scheme < 16 {
		raw = raw[scheme+3:]
		slash := bytes.IndexAny(raw, "/?#")
		if slash < 0 {
			slash = len(raw)
		}
		if q.host == nil {
			q.host = raw[:slash]
		}
		raw = raw[slash:]
	}
	raw, _, _ = bytes.Cut(raw, []byte{'#'})
	raw, query, found := bytes.Cut(raw, []byte{'?'})
	if found {
		q.query = query
	}
	q.memory = appendDecoded(q.memory[:0], raw)
	if encoded && bytes.IndexByte(q.memory, '%') >= 0 {
		q.memory = appendDecoded(q.memory[:0], q.memory)
	}
	q.path = q.memory
}

// argument is the decoded value of the query's argument of a name, appended to to; nil where there is none.
func (q *request) argument(name string, to []byte) []byte {
	for rest := q.query; len(rest) > 0; {
		var pair []byte
		pair, rest, _ = bytes.Cut(rest, []byte{'&'})
		key, value, _ := bytes.Cut(pair, []byte{'='})
		if string(key) == name {
			return appendDecoded(to[:0], value)
		}
	}
	return nil
}

// cmcd reads what the player says: in the query, in headers, or in fields of the log of their own.
// Headers go before the query.
func (m *mapper) cmcd(r *record) {
	m.said = cmcd{}
	if b := m.request.argument("CMCD", m.decoded); b != nil {
		m.decoded = b
		m.said.given = true
		m.said.parse(bare(b))
	}
	for _, c := range []column{colCMCD, colCMCDObject, colCMCDRequest, colCMCDSession, colCMCDStatus} {
		if b := r.values[c]; b != nil {
			m.said.parse(bare(b))
		}
	}
	for c, key := range cmcdKeys {
		if b := r.values[colCMCDSid+column(c)]; b != nil {
			m.said.set(key, cmcdValue{text: unquoted(b)})
		}
	}
	m.said.settle()
}

var cmcdKeys = [...][]byte{[]byte("sid"), []byte("cid"), []byte("ot"), []byte("d"), []byte("br"), []byte("sf"), []byte("st")}

func unquoted(b []byte) []byte {
	if len(b) >= 2 && b[0] == '"' && b[len(b)-1] == '"' {
		return b[1 : len(b)-1]
	}
	return b
}

// bare takes off encodings that a player or the log's writer has put on once more: keys and values have a = in
// clear between them.
func bare(b []byte) []byte {
	for range 2 {
		if bytes.IndexByte(b, '=') >= 0 || bytes.IndexByte(b, '%') < 0 {
			break
		}
		b = appendDecoded(b[:0], b)
	}
	return b
}

// fileKind is what the ending of a path says.
type fileKind struct {
	track    string // of an event; empty: it does not say
	protocol string
	media    bool // a file of playout at all
}

var endings = map[string]fileKind{
	".m3u8": {"manifest", "hls", true}, ".m3u": {"manifest", "hls", true}, ".mpd": {"manifest", "dash", true},
	".ts": {"", "hls", true}, ".m2ts": {"", "", true}, ".m4s": {"", "", true}, ".mp4": {"", "", true}, ".m4f": {"", "", true}, ".webm": {"", "", true},
	".m4v": {"video", "", true}, ".cmfv": {"video", "", true},
	".m4a": {"audio", "", true}, ".cmfa": {"audio", "", true}, ".aac": {"audio", "", true}, ".ac3": {"audio", "", true}, ".ec3": {"audio", "", true}, ".mp3": {"audio", "", true},
	".vtt": {"text", "", true}, ".webvtt": {"text", "", true}, ".ttml": {"text", "", true}, ".dfxp": {"text", "", true}, ".srt": {"text", "", true}, ".cmft": {"text", "", true},
	".key": {"manifest", "", true},
}

// ofPath is what a path's ending, or its name, says.
func ofPath(p string) fileKind {
	base := path.Base(p)
	kind := endings[strings.ToLower(path.Ext(base))]
	if kind.media && kind.track != "manifest" && kind.track != "text" && isInit(base) {
		kind.track = "init"
	}
	return kind
}

// isInit tells whether a file is called init as a word: init.mp4, init-0.m4s, video_init.mp4.
func isInit(base string) bool {
	base = strings.ToLower(base)
	i := strings.Index(base, "init")
	if i < 0 {
		return false
	}
	letter := func(at int) bool { return at >= 0 && at < len(base) && base[at] >= 'a' && base[at] <= 'z' }
	return !letter(i-1) && !letter(i+len("init"))
}
