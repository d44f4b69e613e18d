package logs

import (
	"bytes"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// fill puts the values of a segment in the places that a template keeps for them.
func (r *mpdRun) fill(template string, n, at uint64) string {
	if !strings.Contains(template, "$") {
		return template
	}
	parts := strings.Split(template, "$")
	var b strings.Builder
	for i, part := range parts {
		if i%2 == 0 {
			b.WriteString(part)
			continue
		}
		name, form, _ := strings.Cut(part, "%")
		switch name {
		case "":
			b.WriteByte('$')
		case "RepresentationID":
			b.WriteString(r.rep.ID)
		case "Bandwidth":
			b.WriteString(padded(r.rep.Bandwidth, form))
		case "Number":
			b.WriteString(padded(strconv.FormatUint(n, 10), form))
		case "Time":
			b.WriteString(padded(strconv.FormatUint(at, 10), form))
		}
	}
	return b.String()
}

// padded writes a number as %0Nd says.
func padded(number, form string) string {
	width, err := strconv.Atoi(strings.TrimSuffix(strings.TrimPrefix(form, "0"), "d"))
	if err != nil || width > 32 || len(number) >= width {
		return number
	}
	return strings.Repeat("0", width-len(number)) + number
}

// numbered are the segments of a live representation that has no end: all of one length, told by their number.
type numbered struct {
	prefix, suffix []byte
	run            *mpdRun
}

// maxTemplates is how many of them are kept: each is looked at for every path that no playlist names.
const maxTemplates = 1000

// endless notes a template by its number.
func (r *mpdRun) endless() error {
	const mark = 1<<63 - 25 // a number that no template holds by chance
	if !strings.Contains(r.template.Media, "$Number") || strings.Contains(r.template.Media, "$Time") {
		return nil
	}
	path := resolve(r.base, r.fill(r.template.Media, mark, 0))
	prefix, suffix, found := strings.Cut(path, strconv.FormatUint(mark, 10))
	if !found {
		return nil
	}
	if len(r.lists.templates) == maxTemplates {
		return fmt.Errorf("there are more than %d live representations", maxTemplates)
	}
	r.lists.templates = append(r.lists.templates, numbered{[]byte(prefix), []byte(suffix), r})
	return nil
}

// find is the segment of a path, or nil.
func (t *numbered) find(path []byte) *listed {
	rest, ok := bytes.CutPrefix(path, t.prefix)
	if !ok {
		return nil
	}
	digits, ok := bytes.CutSuffix(rest, t.suffix)
	if !ok {
		return nil
	}
	n, err := strconv.ParseUint(string(digits), 10, 31)
	if err != nil || n < t.run.start || n-t.run.start > math.MaxInt32-1 {
		return nil
	}
	r := t.run
	k := n - r.start
	if r.unitLength > math.MaxUint64/(k+1) {
		return nil
	}
	from, ok := r.micros(k * r.unitLength)
	to, fits := r.micros((k + 1) * r.unitLength)
	if !ok || !fits || to-from > maxSegmentMicros {
		return nil
	}
	return &listed{rendition: r.rendition, micros: to - from, index: int32(k), drm: r.drm, format: r.format}
}

// isoMicros reads a duration such as PT1H2M3.5S in microseconds; days are the longest unit. An empty text is none.
func isoMicros(s string) (micros int64, given bool) {
	rest, ok := strings.CutPrefix(strings.TrimSpace(s), "P")
	if !ok {
		return 0, false
	}
	inTime := false
	for rest != "" {
		if !inTime && rest[0] == 'T' {
			inTime, rest = true, rest[1:]
			continue
		}
		n := strings.IndexAny(rest, "DHMS")
		if n < 0 {
			return 0, false
		}
		unit, known := map[bool]map[byte]int64{false: {'D': 86400}, true: {'H': 3600, 'M': 60, 'S': 1}}[inTime][rest[n]]
		v, ok := parseDecimal([]byte(rest[:n]), 6)
		if !known || !ok || v > math.MaxInt64/86400/4 {
			return 0, false
		}
		if micros += v * unit; micros < 0 || micros > maxPeriodMicros {
			return 0, false
		}
		rest = rest[n+1:]
	}
	return micros, true
}

// maxPeriodMicros is the longest content that is believed: a year.
const maxPeriodMicros = 366 * 24 * 3600 * 1_000_000
