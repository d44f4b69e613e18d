package flussonic

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/playmeter/playmeter/schemas"
)

// value is a member's value as it stands in the body; nil was not given.
type value []byte

// given tells whether it says anything: null does not.
func (v value) given() bool { return len(v) > 0 && string(v) != "null" }

// maxText is how long a text other than an id is kept, in bytes; the rest is cut.
const maxText = 4096

// text is what a value says as a text: numbers and booleans as they are written, lists and objects
// nothing. Bytes that are not UTF-8 are replaced by U+FFFD.
func (v value) text() string {
	if !v.given() || v[0] == '{' || v[0] == '[' {
		return ""
	}
	if v[0] != '"' {
		return string(v)
	}
	if inside := v[1 : len(v)-1]; bytes.IndexByte(inside, '\\') < 0 && utf8.Valid(inside) {
		return string(inside)
	}
	var s string
	if json.Unmarshal(v, &s) != nil {
		return "" // cannot happen: the element is valid
	}
	return s
}

// word is a text that may be left out in several ways: as servers written in Erlang say it, too.
func (v value) word() string {
	s := strings.TrimSpace(v.text())
	if s == "undefined" || s == "null" {
		return ""
	}
	return cutText(s, maxText)
}

var (
	errNoNumber = errors.New("is no number")
	errTooLarge = errors.New("is too large")
)

// number is a value in units of 10^-places; what is finer is cut, and exact is false then. ok is false where
// nothing is given.
func (v value) number(places int) (n int64, exact, ok bool, err error) {
	s := v.word()
	if s == "" && (!v.given() || v[0] == '"') {
		return 0, true, false, nil
	}
	n, exact, err = decimal(s, places)
	return n, exact, err == nil, err
}

// maxDigits bounds the mantissa of a number that is worth reading.
const maxDigits = 400

// decimal reads a decimal number, with an exponent or without, in units of 10^-places. There
// is no floating point on the way.
func decimal(s string, places int) (n int64, exact bool, err error) {
	mantissa, exponent := s, 0
	if i := strings.IndexAny(s, "eE"); i >= 0 {
		mantissa = s[:i]
		if exponent, err = strconv.Atoi(s[i+1:]); err != nil || len(s)-i > 8 {
			return 0, false, errNoNumber
		}
	}
	mantissa, negative := strings.CutPrefix(mantissa, "-")
	whole, fraction, _ := strings.Cut(mantissa, ".")
	digits := whole + fraction
	if whole == "" || len(digits) > maxDigits || strings.Trim(digits, "0123456789") != "" {
		return 0, false, errNoNumber
	}
	point := len(whole) + exponent + places // how many digits stand before the point
	if strings.Trim(digits, "0") == "" {
		return 0, true, nil
	}
	kept, rest := digits, ""
	switch {
	case point <= 0:
		return 0, false, nil
	case point < len(digits):
		kept, rest = digits[:point], digits[point:]
	case point-len(digits) > 20:
		return 0, false, errTooLarge
	default:
		kept += strings.Repeat("0", point-len(digits))
	}
	kept = "0" + strings.TrimLeft(kept, "0")
	if n, err = strconv.ParseInt(kept, 10, 64); err != nil {
		return 0, false, errTooLarge
	}
	if negative {
		n = -n
	}
	return n, strings.Trim(rest, "0") == "", nil
}

// firstMilli is from which number on a Unix time is one of milliseconds: as seconds it would be the year 5138, and
// as milliseconds it is 1973.
const firstMilli = 100_000_000_000

// instant is a point in time in Unix ns: a number of seconds or milliseconds, or an RFC 3339 text. ok is false
// where none is given; 0 is none.
func (v value) instant() (ns int64, ok bool, err error) {
	whole, exact, ok, err := v.number(0)
	if errors.Is(err, errNoNumber) {
		t, err := time.Parse(time.RFC3339Nano, v.word())
		if err != nil {
			return 0, false, fmt.Errorf("%q is no time", v.shown())
		}
		return inRange(t.UnixNano(), t.Year() > 1999 && t.Year() < 2100, v)
	}
	if err != nil {
		return inRange(0, false, v)
	}
	if !ok || whole == 0 && exact {
		return 0, false, nil
	}
	places := 9
	if whole >= firstMilli {
		places = 6
	}
	ns, _, _, err = v.number(places)
	return inRange(ns, err == nil, v)
}

// inRange refuses times that no event may bear (SPEC 8).
func inRange(ns int64, fits bool, v value) (int64, bool, error) {
	if !fits || ns < schemas.Earliest || ns >= schemas.Latest {
		return 0, false, fmt.Errorf("%q lies outside of the years 2000 to 2099", v.shown())
	}
	return ns, true, nil
}

// amount is a whole number from 0 to most, in units of 10^-places.
func (v value) amount(places int, most int64) (n int64, ok bool, err error) {
	n, exact, ok, err := v.number(places)
	switch {
	case err != nil:
		return 0, false, fmt.Errorf("%q %w", v.shown(), err)
	case !ok:
		return 0, false, nil
	case n < 0 || n == 0 && strings.HasPrefix(v.word(), "-") && !exact:
		return 0, false, fmt.Errorf("%q is negative", v.shown())
	case places == 0 && !exact:
		return 0, false, fmt.Errorf("%q is no whole number", v.shown())
	case n > most:
		return 0, false, fmt.Errorf("%q is more than a session can have", v.shown())
	}
	return n, true, nil
}

// shown is a value in a message.
func (v value) shown() string {
	if s := v.text(); s != "" {
		return cutText(s, 40)
	}
	return cut(v, 40)
}

// cut shortens foreign bytes for a message.
func cut(b []byte, most int) string {
	return cutText(strings.ToValidUTF8(string(b[:min(len(b), 4*most)]), "\uFFFD"), most)
}

// cutText shortens a text to at most so many bytes, between two characters.
func cutText(s string, most int) string {
	if len(s) <= most {
		return s
	}
	for most > 0 && !utf8.RuneStart(s[most]) {
		most--
	}
	return s[:most]
}
