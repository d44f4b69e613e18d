package schemas

import (
	"bytes"
	"math"
	"strconv"
	"unicode/utf8"
)

// wanted says which numbers a column takes.
type wanted struct {
	lo, hi  int64 // the least and the greatest
	time    bool  // Unix nanoseconds instead
	flag    bool  // false and true are 0 and 1
	lenient bool  // of a time: what is no time is None, not a bad value
}

// badValue stands for a value that does not convert until its row is marked.
const badValue = None + 1

var wantedInts = [NumIntColumns]wanted{
	IntTime:         {time: true, lenient: true},
	IntSeq:          whole64,
	IntBytes:        whole64,
	IntStatus:       whole32,
	IntWidth:        whole32,
	IntHeight:       whole32,
	IntSegment:      whole32,
	IntDuration:     whole64,
	IntSourceWidth:  whole32,
	IntSourceHeight: whole32,
	IntOpenedAt:     {time: true},
	IntClosedAt:     {time: true},
	IntDRM:          {hi: 1, flag: true},
	IntLive:         {hi: 1, flag: true},
}

var (
	whole64 = wanted{lo: badValue + 1, hi: math.MaxInt64}
	whole32 = wanted{lo: math.MinInt32, hi: math.MaxInt32}
)

// instant is the time of v ticks since 1970, or None outside of Earliest to Latest.
func instant(v, tick int64) int64 {
	if v < Earliest/tick || v >= Latest/tick {
		return None
	}
	return v * tick
}

// number checks that v is among the numbers wanted.
func (w wanted) number(v int64) int64 {
	if v < w.lo || v > w.hi {
		return badValue
	}
	return v
}

// unusable is what becomes of a value that is no such thing at all.
func (w wanted) unusable() int64 {
	if w.lenient {
		return None
	}
	return badValue
}

// text reads a number or an instant that is given as a text: decimal digits
// with or without a sign; an RFC 3339 time or Unix milliseconds. An empty text gives
// nothing, as in logs that are all strings (R24).
func (w wanted) text(b []byte) int64 {
	if len(b) == 0 {
		return None
	}
	v, ok := parseWhole(b)
	switch {
	case w.time && ok:
		return instant(v, 1e6)
	case w.time:
		if v, ok = parseTime(b); !ok {
			return w.unusable()
		}
		return v
	case ok:
		return w.number(v)
	case w.flag:
		return flagOf(b)
	}
	return badValue
}

// flagOf reads true and false, however they are capitalised.
func flagOf(b []byte) int64 {
	switch {
	case len(b) == 4 && bytes.EqualFold(b, []byte("true")):
		return 1
	case len(b) == 5 && bytes.EqualFold(b, []byte("false")):
		return 0
	}
	return badValue
}

// parseWhole reads a decimal whole number. One that does not fit 64 bits is not read.
func parseWhole(b []byte) (v int64, ok bool) {
	digits := b
	if len(b) > 0 && (b[0] == '-' || b[0] == '+') {
		digits = b[1:]
	}
	if len(digits) == 0 {
		return 0, false
	}
	if len(digits) > 18 {
		v, err := strconv.ParseInt(string(b), 10, 64)
		return v, err == nil
	}
	for _, c := range digits {
		if c < '0' || c > '9' {
			return 0, false
		}
		v = v*10 + int64(c-'0')
	}
	if b[0] == '-' {
		v = -v
	}
	return v, true
}

// parseTime reads an RFC 3339 time: any offset, any number of digits of a
// second (what is below a nanosecond is cut), "T", "t" or a space between, "Z" or "z" at the end.
// A second of 60 is the last instant of its minute. A time outside of
// Earliest to Latest is None.
//
// Source: RFC 3339, section 5.6.
func parseTime(b []byte) (ns int64, ok bool) {
	if len(b) < len("2006-01-02T15:04:05Z") || b[4] != '-' || b[7] != '-' || b[13] != ':' || b[16] != ':' {
		return 0, false
	}
	if c := b[10]; c != 'T' && c != 't' && c != ' ' {
		return 0, false
	}
	century, year := two(b[0:]), two(b[2:])
	month, day := two(b[5:]), two(b[8:])
	hour, minute, second := two(b[11:]), two(b[14:]), two(b[17:])
	if century|year|month|day|hour|minute|second < 0 || hour > 23 || minute > 59 || second > 60 {
		return 0, false
	}
	y := century*100 + year
	if month < 1 || month > 12 || day < 1 || day > daysOf(y, month) {
		return 0, false
	}
	fraction, rest, ok := parseFraction(b[19:])
	if !ok {
		return 0, false
	}
	if second == 60 {
		second, fraction = 59, 999_999_999
	}
	offset, ok := parseOffset(rest)
	if !ok {
		return 0, false
	}
	seconds := (daysSince1970(y, month, day)*24+hour)*3600 + minute*60 + second - offset
	if seconds < Earliest/1e9 || seconds >= Latest/1e9 {
		return None, true
	}
	return seconds*1e9 + fraction, true
}

// two reads two digits; it is negative when they are none.
func two(b []byte) int64 {
	hi, lo := b[0]-'0', b[1]-'0'
	if hi > 9 || lo > 9 {
		return -1
	}
	return int64(hi)*10 + int64(lo)
}

// parseFraction reads the fraction of a second in nanoseconds.
func parseFraction(b []byte) (ns int64, rest []byte, ok bool) {
	if len(b) == 0 || b[0] != '.' {
		return 0, b, true
	}
	n, scale := 1, int64(1e8)
	for ; n < len(b) && b[n]-'0' <= 9; n++ {
		ns += int64(b[n]-'0') * scale
		scale /= 10
	}
	return ns, b[n:], n > 1
}

// parseOffset reads "Z" or "+hh:mm" in seconds.
func parseOffset(b []byte) (seconds int64, ok bool) {
	if len(b) == 1 {
		return 0, b[0] == 'Z' || b[0] == 'z'
	}
	if len(b) != 6 || b[3] != ':' || b[0] != '+' && b[0] != '-' {
		return 0, false
	}
	hour, minute := two(b[1:]), two(b[4:])
	if hour < 0 || hour > 23 || minute < 0 || minute > 59 {
		return 0, false
	}
	seconds = hour*3600 + minute*60
	if b[0] == '-' {
		seconds = -seconds
	}
	return seconds, true
}

func daysOf(year, month int64) int64 {
	switch month {
	case 2:
		if year%4 == 0 && (year%100 != 0 || year%400 == 0) {
			return 29
		}
		return 28
	case 4, 6, 9, 11:
		return 30
	}
	return 31
}

// daysSince1970 counts days of the Gregorian calendar, years from March to February.
func daysSince1970(year, month, day int64) int64 {
	if month < 3 {
		year, month = year-1, month+12
	}
	return 365*year + floorDiv(year, 4) - floorDiv(year, 100) + floorDiv(year, 400) + (153*month-457)/5 + day - 719469
}

// validText replaces each run of bytes that are not UTF-8 by U+FFFD.
func validText(b []byte) []byte {
	if utf8.Valid(b) {
		return b
	}
	return bytes.ToValidUTF8(b, []byte("\uFFFD"))
}
