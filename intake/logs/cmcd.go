package logs

import (
	"bytes"
	"math"
)

// cmcd is what a player says of a request.
//
//   - Source: CTA-5004, versions 1 and 2.
type cmcd struct {
	given bool   // any key was there
	sid   []byte // session
	cid   []byte // content
	ot    string // object type: v a av i c tt m k o
	sf    string // streaming format: d h s o
	live  int8   // 1: live, -1: not, 0: not said
	d     int64  // length of the object in milliseconds; 0: not said
	br    int64  // encoded bitrate in kbit/s; 0: not said

	lists [2][]listItem // of d and br, as version 2 may write them
}

// listItem is a value of an inner list and the object type that it speaks of.
type listItem struct {
	value int64
	of    string
}

// maxObjectMillis is the longest object whose length is believed: what a player says is not ours.
const maxObjectMillis = 10 * 60 * 1000

// parseCMCD reads keys and values between commas: key=value, or a key alone. It takes what players really
// send: texts with or without quotes, blanks after commas, keys in any order, values of the wrong type
// (passed over), inner lists with parameters. The last value of a key stands.
func (m *cmcd) parse(b []byte) {
	p := cmcdParser{b: b}
	for !p.end() {
		key := p.key()
		if !p.take('=') {
			p.value() // parameters of a flag
			m.flag(key)
		} else {
			m.set(key, p.value())
		}
		p.skipTo(',')
	}
}

// flag is a key without a value: those that we ask for have one.
func (m *cmcd) flag(key []byte) { m.given = m.given || isKey(key) }

// isKey tells whether a key is one of CMCD's, or a custom one (which has a hyphen).
func isKey(key []byte) bool { return len(key) > 0 && len(key) <= 5 || bytes.IndexByte(key, '-') > 0 }

// set takes a value; v's texts belong to the parsed bytes.
func (m *cmcd) set(key []byte, v cmcdValue) {
	m.given = m.given || isKey(key)
	switch string(key) {
	case "sid":
		m.sid = v.text
	case "cid":
		m.cid = v.text
	case "ot":
		m.ot = objectType(v.text)
	case "sf":
		m.sf = token(v.text)
	case "st":
		m.live = 0
		if len(v.text) > 0 && v.text[0] == 'l' { // ll: with low latency
			m.live = 1
		} else if string(v.text) == "v" {
			m.live = -1
		}
	case "d":
		m.d, m.lists[0] = number(v), v.items
	case "br":
		m.br, m.lists[1] = number(v), v.items
	}
}

// settle chooses from lists what is said of the request's own object type.
func (m *cmcd) settle() {
	for i, to := range []*int64{&m.d, &m.br} {
		if len(m.lists[i]) == 0 {
			continue
		}
		*to = m.lists[i][0].value
		for _, item := range m.lists[i] {
			if item.of == m.ot && m.ot != "" {
				*to = item.value
				break
			}
		}
	}
	if m.d < 0 || m.d > maxObjectMillis {
		m.d = 0
	}
	m.br = max(m.br, 0)
}

// tokens are shared, so that a value costs no memory.
var tokens = map[string]string{"v": "v", "a": "a", "av": "av", "i": "i", "c": "c", "tt": "tt", "m": "m", "k": "k", "o": "o", "d": "d", "h": "h", "s": "s"}

func token(b []byte) string { return tokens[string(b)] }

func objectType(b []byte) string {
	switch t := token(b); t {
	case "d", "h", "s":
		return ""
	default:
		return t
	}
}

// number is a value as a whole number; a fraction is cut. Anything else is 0.
func number(v cmcdValue) int64 {
	whole, _, _ := bytes.Cut(v.text, []byte{'.'})
	n := int64(0)
	for _, c := range whole {
		if c < '0' || c > '9' || n > (math.MaxInt64-9)/10 {
			return 0
		}
		n = n*10 + int64(c-'0')
	}
	return n
}

// cmcdValue is a text, or an inner list of numbers.
type cmcdValue struct {
	text  []byte
	items []listItem
}

// cmcdParser reads a structured dictionary (RFC 8941), tolerantly.
type cmcdParser struct {
	b  []byte
	at int
}

func (p *cmcdParser) end() bool {
	for p.at < len(p.b) && (p.b[p.at] == ' ' || p.b[p.at] == '\t' || p.b[p.at] == ',') {
		p.at++
	}
	return p.at >= len(p.b)
}

func (p *cmcdParser) take(c byte) bool {
	if p.at < len(p.b) && p.b[p.at] == c {
		p.at++
		return true
	}
	return false
}

// until is what comes before the first of the stops.
func (p *cmcdParser) until(stops string) []byte {
	n := bytes.IndexAny(p.b[p.at:], stops)
	if n < 0 {
		n = len(p.b) - p.at
	}
	got := p.b[p.at : p.at+n]
	p.at += n
	return got
}

func (p *cmcdParser) key() []byte { return bytes.TrimSpace(p.until("=,;")) }

// skipTo passes over what is left of a member, parameters for example.
func (p *cmcdParser) skipTo(c byte) {
	for p.at < len(p.b) && p.b[p.at] != c {
		if p.b[p.at] == '"' {
			p.quoted()
		} else {
			p.at++
		}
	}
}

func (p *cmcdParser) value() cmcdValue {
	switch {
	case p.at >= len(p.b):
		return cmcdValue{}
	case p.b[p.at] == '"':
		return cmcdValue{text: p.quoted()}
	case p.b[p.at] == '(':
		p.at++
		return p.list()
	}
	return cmcdValue{text: bytes.TrimSpace(p.until(",;"))}
}

// quoted reads a text in quotes; one that does not end goes to the end. Escapes are taken off in place of
// the parsed bytes.
func (p *cmcdParser) quoted() []byte {
	p.at++
	from := p.at
	to := from
	for ; p.at < len(p.b) && p.b[p.at] != '"'; p.at++ {
		if p.b[p.at] == '\\' && p.at+1 < len(p.b) {
			p.at++
		}
		p.b[to] = p.b[p.at]
		to++
	}
	p.take('"')
	return p.b[from:to]
}

// maxItems is how many values of an inner list are kept.
const maxItems = 16

// list reads the values of an inner list, each with its object type: (5000;v 128;a).
func (p *cmcdParser) list() (v cmcdValue) {
	for p.at < len(p.b) && !p.take(')') {
		if p.take(' ') {
			continue
		}
		var text []byte
		if p.b[p.at] == '"' {
			text = p.quoted()
		} else {
			text = p.until(" ;)")
		}
		item := listItem{value: number(cmcdValue{text: text})}
		if v.text == nil {
			v.text = text
		}
		for p.take(';') {
			if of := objectType(bytes.TrimSpace(p.until(" ;)"))); of != "" {
				item.of = of
			}
		}
		if len(v.items) < maxItems {
			v.items = append(v.items, item)
		}
	}
	return v
}
