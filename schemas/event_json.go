package schemas

import (
	"strconv"
	"time"
	"unicode/utf8"
)

// AppendEvent appends e as one line of NDJSON, its newline included, as SPEC 2 has it: what is not given is
// left out. [EventLines] and every reader of usage files read it back to the same event.
//
//   - Times: whole milliseconds as a number, finer ones as RFC 3339 texts.
//   - Texts that are not UTF-8 get U+FFFD where they are not.
func AppendEvent(b []byte, e *Event) []byte {
	w := eventLine{append(b, '{')}
	w.instant(IntTime, &e.Time)
	for c := range NumStringColumns {
		w.text(c.Name(), *e.text(c))
	}
	w.text(eventIDColumn, e.EventID)
	w.number(IntSeq, e.Seq)
	w.number(IntBytes, e.Bytes)
	w.small(IntStatus, e.Status)
	w.small(IntWidth, e.Width)
	w.small(IntHeight, e.Height)
	w.small(IntSegment, e.Segment)
	w.number(IntDuration, e.DurationMicros)
	w.small(IntSourceWidth, e.SourceWidth)
	w.small(IntSourceHeight, e.SourceHeight)
	w.instant(IntOpenedAt, e.OpenedAt)
	w.instant(IntClosedAt, e.ClosedAt)
	w.flag(IntDRM, e.DRM)
	w.flag(IntLive, e.Live)
	return append(w.b, '}', '\n')
}

// eventLine is a line that is being written.
type eventLine struct{ b []byte }

func (w *eventLine) key(name string) {
	if w.b[len(w.b)-1] != '{' {
		w.b = append(w.b, ',')
	}
	w.b = append(w.b, '"')
	w.b = append(w.b, name...)
	w.b = append(w.b, '"', ':')
}

func (w *eventLine) text(name, s string) {
	if s != "" {
		w.key(name)
		w.b = appendJSONText(w.b, s)
	}
}

func (w *eventLine) number(c IntColumn, n *int64) {
	if n != nil {
		w.key(c.Name())
		w.b = strconv.AppendInt(w.b, *n, 10)
	}
}

func (w *eventLine) small(c IntColumn, n *int32) {
	if n != nil {
		w.key(c.Name())
		w.b = strconv.AppendInt(w.b, int64(*n), 10)
	}
}

func (w *eventLine) flag(c IntColumn, v *bool) {
	if v != nil {
		w.key(c.Name())
		w.b = strconv.AppendBool(w.b, *v)
	}
}

func (w *eventLine) instant(c IntColumn, nanos *int64) {
	switch {
	case nanos == nil:
	case *nanos%1e6 == 0:
		millis := *nanos / 1e6
		w.number(c, &millis)
	default:
		w.key(c.Name())
		w.b = append(w.b, '"')
		w.b = time.Unix(0, *nanos).UTC().AppendFormat(w.b, time.RFC3339Nano)
		w.b = append(w.b, '"')
	}
}

// appendJSONText appends s as a JSON text (RFC 8259).
func appendJSONText(b []byte, s string) []byte {
	const hex = "0123456789abcdef"
	b = append(b, '"')
	from := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= ' ' && c != '"' && c != '\\' && c < utf8.RuneSelf {
			i++
			continue
		}
		if c >= utf8.RuneSelf {
			if r, n := utf8.DecodeRuneInString(s[i:]); r != utf8.RuneError || n > 1 {
				i += n
				continue
			}
		}
		b = append(b, s[from:i]...)
		switch {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		case c >= utf8.RuneSelf:
			b = append(b, "\uFFFD"...)
		default:
			b = append(b, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		}
		i++
		from = i
	}
	return append(append(b, s[from:]...), '"')
}
