package schemas

import (
	"encoding/binary"
	"math/bits"
	"unicode/utf16"
	"unicode/utf8"
)

// scanner reads JSON tokens of one line. What it accepts is RFC 8259, except
// that texts need not be UTF-8.
type scanner struct {
	b       []byte
	at      int
	scratch []byte
}

// maxNesting is how deep a value may be nested.
const maxNesting = 512

func (s *scanner) reset(b []byte) { s.b, s.at = b, 0 }

func (s *scanner) space() {
	for s.at < len(s.b) {
		switch s.b[s.at] {
		case ' ', '\t', '\r', '\n':
			s.at++
		default:
			return
		}
	}
}

// peek returns the next byte that is no white space, or 0 at the end.
func (s *scanner) peek() byte {
	s.space()
	if s.at < len(s.b) {
		return s.b[s.at]
	}
	return 0
}

// take steps over c if it comes next.
func (s *scanner) take(c byte) bool {
	if s.at < len(s.b) && s.b[s.at] == c || s.peek() == c {
		s.at++
		return true
	}
	return false
}

// end tells whether nothing is left.
func (s *scanner) end() bool {
	s.space()
	return s.at == len(s.b)
}

func (s *scanner) word(w string) bool {
	if len(s.b)-s.at < len(w) || string(s.b[s.at:s.at+len(w)]) != w {
		return false
	}
	s.at += len(w)
	return true
}

// str reads a text and returns what is between its quotes, and whether there
// are escapes in it.
func (s *scanner) str() (raw []byte, escaped, ok bool) {
	if !s.take('"') {
		return nil, false, false
	}
	from := s.at
	for {
		s.at += plainRun(s.b[s.at:])
		if s.at == len(s.b) {
			return nil, false, false
		}
		switch c := s.b[s.at]; {
		case c == '"':
			s.at++
			return s.b[from : s.at-1], escaped, true
		case c == '\\' && s.at+1 < len(s.b):
			escaped = true
			s.at += 2
		case c < ' ' || c == '\\':
			return nil, false, false
		default:
			s.at++
		}
	}
}

// plainRun counts the bytes before the first quote, backslash or control character,
// eight at a time.
func plainRun(b []byte) int {
	const ones, tops = 0x0101010101010101, 0x8080808080808080
	n := 0
	for ; len(b)-n >= 8; n += 8 {
		x := binary.LittleEndian.Uint64(b[n:])
		quote, slash := x^ones*'"', x^ones*'\\'
		stop := ((quote-ones)&^quote | (slash-ones)&^slash | (x-ones*' ')&^x) & tops
		if stop != 0 {
			return n + bits.TrailingZeros64(stop)/8
		}
	}
	for ; n < len(b); n++ {
		if c := b[n]; c == '"' || c == '\\' || c < ' ' {
			break
		}
	}
	return n
}

// unescape resolves the escapes of raw; the result holds until the next call.
// Half of a surrogate pair becomes U+FFFD.
func (s *scanner) unescape(raw []byte) ([]byte, bool) {
	out := s.scratch[:0]
	for len(raw) > 0 {
		if raw[0] != '\\' {
			n := max(plainRun(raw), 1)
			out, raw = append(out, raw[:n]...), raw[n:]
			continue
		}
		if len(raw) < 2 {
			return nil, false
		}
		c := raw[1]
		raw = raw[2:]
		if c == 'u' {
			r, n, ok := unicodeEscape(raw)
			if !ok {
				return nil, false
			}
			out, raw = utf8.AppendRune(out, r), raw[n:]
			continue
		}
		if c = simpleEscape(c); c == 0 {
			return nil, false
		}
		out = append(out, c)
	}
	s.scratch = out
	return out, true
}

func simpleEscape(c byte) byte {
	switch c {
	case '"', '\\', '/':
		return c
	case 'b':
		return '\b'
	case 'f':
		return '\f'
	case 'n':
		return '\n'
	case 'r':
		return '\r'
	case 't':
		return '\t'
	}
	return 0
}

// unicodeEscape reads what follows "\u", a second half included, and says how
// many bytes that were.
func unicodeEscape(b []byte) (r rune, n int, ok bool) {
	r, ok = hex4(b)
	if !ok || !utf16.IsSurrogate(r) {
		return r, 4, ok
	}
	if len(b) >= 10 && b[4] == '\\' && b[5] == 'u' {
		if low, ok := hex4(b[6:]); ok {
			if pair := utf16.DecodeRune(r, low); pair != utf8.RuneError {
				return pair, 10, true
			}
		}
	}
	return utf8.RuneError, 4, true
}

func hex4(b []byte) (r rune, ok bool) {
	if len(b) < 4 {
		return 0, false
	}
	for _, c := range b[:4] {
		switch {
		case c-'0' <= 9:
			c -= '0'
		case c|0x20-'a' <= 5:
			c = c | 0x20 - 'a' + 10
		default:
			return 0, false
		}
		r = r<<4 | rune(c)
	}
	return r, true
}

// number reads a number and tells whether it has neither fraction nor exponent.
func (s *scanner) number() (raw []byte, whole, ok bool) {
	from := s.at
	whole = true
	if s.b[s.at] == '-' {
		s.at++
	}
	first := s.at
	n := s.digits()
	if n == 0 || n > 1 && s.b[first] == '0' {
		return nil, false, false
	}
	if s.at < len(s.b) && s.b[s.at] == '.' {
		s.at++
		if whole = false; s.digits() == 0 {
			return nil, false, false
		}
	}
	if s.at < len(s.b) && s.b[s.at]|0x20 == 'e' {
		s.at++
		if s.at < len(s.b) && (s.b[s.at] == '+' || s.b[s.at] == '-') {
			s.at++
		}
		if whole = false; s.digits() == 0 {
			return nil, false, false
		}
	}
	return s.b[from:s.at], whole, true
}

func (s *scanner) digits() int {
	from := s.at
	for s.at < len(s.b) && s.b[s.at]-'0' <= 9 {
		s.at++
	}
	return s.at - from
}

// skip steps over a value of any type.
func (s *scanner) skip(depth int) bool {
	switch c := s.peek(); {
	case c == '"':
		raw, escaped, ok := s.str()
		if ok && escaped {
			_, ok = s.unescape(raw)
		}
		return ok
	case c == '-' || c-'0' <= 9:
		_, _, ok := s.number()
		return ok
	case c == 't':
		return s.word("true")
	case c == 'f':
		return s.word("false")
	case c == 'n':
		return s.word("null")
	case c == '{' && depth < maxNesting:
		return s.skipMany('{', '}', depth)
	case c == '[' && depth < maxNesting:
		return s.skipMany('[', ']', depth)
	}
	return false
}

func (s *scanner) skipMany(begin, end byte, depth int) bool {
	s.take(begin)
	if s.take(end) {
		return true
	}
	for {
		if begin == '{' && !(s.peek() == '"' && s.skip(depth) && s.take(':')) {
			return false
		}
		if !s.skip(depth + 1) {
			return false
		}
		if s.take(end) {
			return true
		}
		if !s.take(',') {
			return false
		}
	}
}

// parseDecimal reads a JSON number that is whole although it has a fraction or an
// exponent: 1.0, 1e3, 2.50e1.
func parseDecimal(raw []byte) (v int64, ok bool) {
	var digits []byte
	point, exponent, negative := 0, int64(0), false
	for i, c := range raw {
		switch {
		case c == '-':
			negative = true
		case c == '.':
			point = i + 1
		case c|0x20 == 'e':
			if exponent, ok = parseWhole(raw[i+1:]); !ok || exponent > 1<<30 || exponent < -1<<30 {
				return 0, len(trimZeros(digits)) == 0
			}
			return scaled(digits, exponent-fractionLen(point, i), negative)
		default:
			digits = append(digits, c)
		}
	}
	return scaled(digits, -fractionLen(point, len(raw)), negative)
}

func fractionLen(point, end int) int64 {
	if point == 0 {
		return 0
	}
	return int64(end - point)
}

func trimZeros(digits []byte) []byte {
	for len(digits) > 0 && digits[0] == '0' {
		digits = digits[1:]
	}
	return digits
}

// scaled is digits times ten to the exponent, if that is a whole number of 64 bits.
func scaled(digits []byte, exponent int64, negative bool) (int64, bool) {
	digits = trimZeros(digits)
	if len(digits) == 0 {
		return 0, true
	}
	for exponent < 0 && digits[len(digits)-1] == '0' {
		digits, exponent = digits[:len(digits)-1], exponent+1
	}
	if exponent < 0 || int64(len(digits))+exponent > 19 {
		return 0, false
	}
	if negative {
		digits = append([]byte{'-'}, digits...)
	}
	for range exponent {
		digits = append(digits, '0')
	}
	return parseWhole(digits)
}
