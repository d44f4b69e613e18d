package logs

import (
	"strings"
	"time"

	"github.com/playmeter/playmeter/schemas"
)

// timeLayouts are the ways that a date and a time are written. A time without a zone is UTC.
var timeLayouts = []string{
	time.RFC3339Nano, "2006-01-02T15:04:05.999999999Z0700", "2006-01-02T15:04:05.999999999",
	"2006-01-02 15:04:05.999999999Z07:00", "2006-01-02 15:04:05.999999999",
	"02/Jan/2006:15:04:05.999999999 -0700", "2006/01/02 15:04:05.999999999",
}

// parseTime reads a time as Unix nanoseconds.
func parseTime(form Times, date, text []byte) (ns int64, ok bool) {
	if len(text) == 0 || len(text) > 64 || len(date) > 32 {
		return 0, false
	}
	switch {
	case len(text) > 2 && text[2] == ':':
		if len(date) == 0 {
			return 0, false
		}
		ns, ok = parseInstant(string(date) + " " + string(text))
	case form == TimesISO || (form == TimesAuto || form == "") && !isDecimal(text):
		ns, ok = parseInstant(string(text))
	default:
		ns, ok = parseEpoch(form, text)
	}
	return ns, ok && ns >= schemas.Earliest && ns < schemas.Latest
}

// parseInstant reads a date with a time. A second of 60 is the last instant of its minute.
func parseInstant(s string) (ns int64, ok bool) {
	for _, layout := range timeLayouts {
		if t, err := time.Parse(layout, s); err == nil {
			return t.UnixNano(), true
		}
	}
	if i := strings.LastIndex(s, ":60"); i > 0 {
		if ns, ok = parseInstant(s[:i] + ":59" + s[i+3:]); ok {
			return ns - ns%1e9 + 999_999_999, true
		}
	}
	return 0, false
}

// isDecimal tells whether a text is digits with at most one point between them.
func isDecimal(text []byte) bool {
	points := 0
	for i, c := range text {
		if c == '.' && i > 0 {
			points++
		} else if c < '0' || c > '9' {
			return false
		}
	}
	return points <= 1
}

// epochDigits is how many decimals of a second the whole part of a number has.
var epochDigits = map[Times]int{TimesSecond: 0, TimesMilli: 3, TimesMicro: 6, TimesNano: 9}

func parseEpoch(form Times, text []byte) (ns int64, ok bool) {
	if !isDecimal(text) {
		return 0, false
	}
	shift, set := epochDigits[form]
	if !set {
		switch whole := len(text) - fraction(text); {
		case whole <= 11:
			shift = 0
		case whole <= 14:
			shift = 3
		case whole <= 17:
			shift = 6
		default:
			shift = 9
		}
	}
	return parseDecimal(text, 9-shift)
}

// fraction is how long the point and what follows it are.
func fraction(text []byte) int {
	for i, c := range text {
		if c == '.' {
			return len(text) - i
		}
	}
	return 0
}

// parseDecimal reads a number times ten to the given power as an integer. Decimals beyond that are
// rounded half up.
func parseDecimal(text []byte, power int) (n int64, ok bool) {
	digits, after, point := 0, 0, false
	round := false
	for i, c := range text {
		if c == '.' {
			if point || i == 0 {
				return 0, false
			}
			point = true
			continue
		}
		if c < '0' || c > '9' {
			return 0, false
		}
		if point {
			if after++; after > power {
				if after == power+1 {
					round = c >= '5'
				}
				continue
			}
		}
		if digits++; digits > 1000 || n > (1<<63-1-9)/10 {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	if digits == 0 {
		return 0, false
	}
	for ; after < power; after++ {
		if n > (1<<63-1)/10 {
			return 0, false
		}
		n *= 10
	}
	if round {
		n++
	}
	return n, n >= 0
}
