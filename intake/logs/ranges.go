package logs

import (
	"bytes"
	"crypto/sha256"
	"math"
)

// span is the bytes of a file that were sent, both included. A span that is not known has a negative From.
type span struct{ from, to int64 }

var unknownSpan = span{-1, -1}

// spanOf reads which bytes an answer 206 sent: as the log says, else as the request asked. Of several ranges
// the first counts. The last bytes of a file ("-500") lie behind all others, wherever that is.
func spanOf(r *record, sent int64) span {
	if from, ok := parseDecimal(r.values[colRangeStart], 0); ok {
		to, ok := parseDecimal(r.values[colRangeEnd], 0)
		if !ok {
			to = math.MaxInt64
		}
		return span{from, to}.sent(sent)
	}
	unit, ranges, found := bytes.Cut(r.values[colRange], []byte{'='})
	if !found || !bytes.EqualFold(bytes.TrimSpace(unit), []byte("bytes")) {
		return unknownSpan
	}
	first, _, several := bytes.Cut(ranges, []byte{','})
	a, b, _ := bytes.Cut(bytes.TrimSpace(first), []byte{'-'})
	if len(a) == 0 && len(b) > 0 {
		return span{math.MaxInt64, math.MaxInt64}
	}
	from, ok := parseDecimal(a, 0)
	if !ok {
		return unknownSpan
	}
	to, ok := parseDecimal(b, 0)
	if !ok {
		to = math.MaxInt64
	}
	if several {
		return span{from, max(from, to)}
	}
	return span{from, to}.sent(sent)
}

// sent cuts a span where the answer ended.
func (s span) sent(bytes int64) span {
	if s.to = max(s.to, s.from); bytes > 0 && s.to-s.from >= bytes {
		s.to = s.from + bytes - 1
	}
	return s
}

// probe tells whether a span is the two bytes at most with which players ask whether ranges are answered.
func (s span) probe() bool { return s.to-s.from < 2 }

func (s span) known() bool           { return s.from >= 0 }
func (s span) holds(byte int64) bool { return s.from <= byte && byte <= s.to }

// firstWindow tells the first of several answers 206 whose ranges the log does not say: by client and URL,
// as long as no more than a minute lies between two.
type firstWindow struct{ now, before map[[16]byte]int64 }

const (
	firstPause  = int64(60e9) // nanoseconds
	firstMost   = 1 << 16     // keys, after which the older half is forgotten
	ordinalMost = 1 << 18
)

// first tells whether no other answer of the key is at hand.
func (w *firstWindow) first(key [16]byte, at int64) bool {
	last, seen := w.now[key]
	if !seen {
		last, seen = w.before[key]
	}
	if w.now == nil || len(w.now) >= firstMost {
		w.before, w.now = w.now, make(map[[16]byte]int64)
	}
	w.now[key] = at
	return !seen || at-last > firstPause || last-at > firstPause
}

// ordinals counts identical lines, which stand close together: they bear the same time.
type ordinals struct{ now, before map[[16]byte]uint32 }

// next is how many identical lines there were before.
func (o *ordinals) next(key [16]byte) uint32 {
	n, seen := o.now[key]
	if !seen {
		n = o.before[key]
	}
	if o.now == nil || len(o.now) >= ordinalMost {
		o.before, o.now = o.now, make(map[[16]byte]uint32)
	}
	o.now[key] = n + 1
	return n
}

// hashOf is half of a SHA-256 over texts.
func hashOf(memory *[]byte, texts ...[]byte) (key [16]byte) {
	b := (*memory)[:0]
	for _, t := range texts {
		b = append(append(b, t...), 0)
	}
	*memory = b
	sum := sha256.Sum256(b)
	return [16]byte(sum[:16])
}
