package web

import (
	"fmt"
	"html/template"
	"math/bits"
	"strconv"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
	"golang.org/x/text/language"
	"golang.org/x/text/language/display"

	"github.com/playmeter/playmeter/schemas"
)

// A figure is a number as people read it and as it is. Templates show it with {{template "figure" …}}: the text, or the exact
// value, as whoever looks has chosen; the exact value in any case where the pointer rests on it.
type figure struct {
	Text  string
	Exact string // empty: the text is exact
}

// humanFuncs are the units of templates. Each is integers all the way.
var humanFuncs = template.FuncMap{
	"bytes": bytesFigure, "span": spanFigure, "count": countAny, "permille": permilleFigure,
	"exact": func(text, exact string) figure { return figure{text, exact} }, "instant": instantOf, "ago": ago, "day": dayText, "country": countryName,
}

// byteUnits are SI's: a kilobyte is 1,000 bytes.
var byteUnits = []string{"kB", "MB", "GB", "TB", "PB", "EB"}

// bytesFigure is an amount of data with three digits: 1.25 GB.
func bytesFigure(n int64) figure {
	size := magnitude(n)
	if size < 1000 {
		return figure{Text: strconv.FormatInt(n, 10) + " B", Exact: plural(n, "byte")}
	}
	unit, scale := 0, uint64(1000)
	for unit < len(byteUnits)-1 && roundsUp(size, scale) {
		unit, scale = unit+1, scale*1000
	}
	return figure{Text: sign(n) + threeDigits(size, scale) + " " + byteUnits[unit], Exact: plural(n, "byte")}
}

// Bytes is an amount of data as pages have it, for whoever says it elsewhere.
func Bytes(n int64) string { return bytesFigure(n).Text }

// roundsUp tells whether an amount is, to three digits, at least a thousand of a unit.
func roundsUp(size, scale uint64) bool { return size/scale >= 1000 || size/(scale/2) >= 1999 }

// threeDigits is size/scale, which is below 1,000 once rounded, half away from zero, to three digits.
func threeDigits(size, scale uint64) string {
	for decimals, unit := 2, scale/100; ; decimals, unit = decimals-1, unit*10 {
		rounded := size / unit
		if size%unit >= unit-unit/2 {
			rounded++
		}
		if rounded < 1000 || decimals == 0 {
			return decimal(rounded, decimals)
		}
	}
}

// decimal is n / 10^places.
func decimal(n uint64, places int) string {
	digits := fmt.Sprintf("%0*d", places+1, n)
	if places == 0 {
		return digits
	}
	at := len(digits) - places
	return digits[:at] + "." + digits[at:]
}

// spanFigure is a time of viewing, in microseconds: hours where there are many, and else the two largest units. The
// exact value is seconds, written as reports have them (SPEC 2.4).
func spanFigure(micros int64) figure {
	size := magnitude(micros)
	seconds := (size + 500_000) / 1_000_000
	minutes := (size + 30_000_000) / 60_000_000
	hours := (size + 1_800_000_000) / 3_600_000_000
	var text string
	switch {
	case size == 0:
		text = "0 s"
	case seconds < 10:
		text = trimZeros(decimal((size+50_000)/100_000, 1)) + " s"
		if size < 50_000 {
			text = "under 0.1 s"
		}
	case seconds < 60:
		text = fmt.Sprintf("%d s", seconds)
	case seconds < 3600:
		text = two(seconds/60, "min", seconds%60, "s")
	case minutes < 100*60:
		text = two(minutes/60, "h", minutes%60, "min")
	default:
		text = humanize.Comma(int64(hours)) + " h"
	}
	return figure{Text: sign(micros) + text, Exact: grouped(exactSeconds(micros)) + " s"}
}

// two is an amount in two units; where there is nothing of the smaller one, in one.
func two(large uint64, unit string, small uint64, smaller string) string {
	if small == 0 {
		return fmt.Sprintf("%d %s", large, unit)
	}
	return fmt.Sprintf("%d %s %d %s", large, unit, small, smaller)
}

// exactSeconds are microseconds as a decimal of seconds without trailing zeros. Source: SPEC 2.4.
func exactSeconds(micros int64) string {
	return sign(micros) + string(schemas.Sum{Lo: magnitude(micros)}.AppendMicros(nil))
}

// trimZeros takes the zeros off the end of a decimal's fraction.
func trimZeros(s string) string {
	if !strings.Contains(s, ".") {
		return s
	}
	return strings.TrimSuffix(strings.TrimRight(s, "0"), ".")
}

// grouped puts commas between the thousands of a decimal.
func grouped(s string) string {
	whole, fraction, some := strings.Cut(s, ".")
	n, err := strconv.ParseInt(whole, 10, 64)
	if err != nil {
		return s
	}
	whole = humanize.Comma(n)
	if n == 0 && strings.HasPrefix(s, "-") {
		whole = "-0"
	}
	if some {
		return whole + "." + fraction
	}
	return whole
}

// countFigure is a number of things, all of its digits grouped.
func countFigure(n int64) figure { return figure{Text: humanize.Comma(n)} }

// countAny is countFigure for templates, which do not convert.
func countAny(n any) (figure, error) {
	switch n := n.(type) {
	case int:
		return countFigure(int64(n)), nil
	case int64:
		return countFigure(n), nil
	}
	return figure{}, fmt.Errorf("count takes an int or int64, and not %T", n)
}

// plural is a number of things with their name.
func plural(n int64, one string) string {
	if n == 1 || n == -1 {
		return humanize.Comma(n) + " " + one
	}
	return humanize.Comma(n) + " " + one + "s"
}

// shareOf is part of whole in thousandths, rounded half up, between 0 and 1,000; nothing of nothing is 0.
func shareOf(part, whole int64) int {
	if part <= 0 || whole <= 0 {
		return 0
	}
	if part >= whole {
		return 1000
	}
	hi, lo := bits.Mul64(uint64(part), 1000)
	share, rest := bits.Div64(hi, lo, uint64(whole))
	if rest >= uint64(whole)-rest {
		share++
	}
	return int(share)
}

// permilleFigure is a share in thousandths, as a percentage with one decimal.
func permilleFigure(permille int) figure {
	return figure{Text: trimZeros(sign(int64(permille))+decimal(magnitude(int64(permille)), 1)) + " %"}
}

// An instant is a time as machines, and as people read it: always UTC. Templates show it with {{template "instant" …}}, and
// app.js adds the viewer's own time.
type instant struct {
	Machine string // RFC 3339 with milliseconds; empty: there is none
	Text    string
	Rest    string // of the second, shown after the text by those who want exact values
}

// instantOf cuts a time, as reports do, and does not round it. The zero time is none.
func instantOf(t time.Time) instant {
	if t.IsZero() {
		return instant{}
	}
	u := t.UTC()
	return instant{Machine: u.Format("2006-01-02T15:04:05.000Z"), Text: u.Format("2006-01-02 15:04:05"), Rest: u.Format(".000")}
}

func dayText(t time.Time) string { return t.UTC().Format(time.DateOnly) }

// ago tells how long before now a time was, or how long after: 4 minutes ago, 3 hours from now.
func ago(then, now time.Time) string {
	if then.IsZero() {
		return "never"
	}
	return humanize.RelTime(then, now, "ago", "from now")
}

// countries are the English names of countries.
var countries = display.English.Regions()

// countryName is the English name of an ISO 3166 alpha-2 code. Other texts are their own name, and none is "unknown".
func countryName(code string) string {
	if code == "" {
		return "unknown"
	}
	if region, ok := countryOf(code); ok {
		if name := countries.Name(region); name != "" {
			return name
		}
	}
	return code
}

// countryOf reads an alpha-2 code.
func countryOf(code string) (language.Region, bool) {
	if len(code) != 2 {
		return language.Region{}, false
	}
	region, err := language.ParseRegion(code)
	return region, err == nil && region.IsCountry()
}

func magnitude(n int64) uint64 {
	if n < 0 {
		return -uint64(n)
	}
	return uint64(n)
}

func sign(n int64) string {
	if n < 0 {
		return "-"
	}
	return ""
}
