package schemas

import (
	"encoding/binary"
	"slices"
)

// Segments is a set of segment indexes as ranges.
//
//   - Shape: in order of Lo once normalized, neither overlapping nor touching.
type Segments []Range

// Range is the segments Lo to Hi, both included.
type Range struct{ Lo, Hi uint32 }

// Add adds one segment; the set may want Normalize afterwards.
func (s *Segments) Add(i uint32) {
	if n := len(*s); n > 0 {
		last := &(*s)[n-1]
		if i >= last.Lo && i <= last.Hi {
			return
		}
		if i == last.Hi+1 && i != 0 {
			last.Hi = i
			return
		}
	}
	*s = append(*s, Range{i, i})
}

// Normalize sorts the ranges and joins those that overlap or touch.
func (s *Segments) Normalize() {
	r := *s
	if len(r) < 2 {
		return
	}
	slices.SortFunc(r, func(a, b Range) int { return int(int64(a.Lo) - int64(b.Lo)) })
	out := r[:1]
	for _, next := range r[1:] {
		last := &out[len(out)-1]
		if uint64(next.Lo) <= uint64(last.Hi)+1 {
			last.Hi = max(last.Hi, next.Hi)
		} else {
			out = append(out, next)
		}
	}
	*s = out
}

// Join adds the segments of t.
func (s *Segments) Join(t Segments) {
	if len(t) == 0 {
		return
	}
	if n := len(*s); n > 0 && uint64(t[0].Lo) > uint64((*s)[n-1].Hi)+1 {
		*s = append(*s, t...)
		return
	}
	*s = append(*s, t...)
	s.Normalize()
}

// Count is the number of segments in a normalized set.
func (s Segments) Count() int64 {
	n := int64(0)
	for _, r := range s {
		n += int64(r.Hi) - int64(r.Lo) + 1
	}
	return n
}

// AppendSegments appends a normalized set: the number of ranges, then each as
// the gap before it and its length less one.
func AppendSegments(b []byte, s Segments) []byte {
	b = binary.AppendUvarint(b, uint64(len(s)))
	next := uint32(0)
	for _, r := range s {
		b = binary.AppendUvarint(b, uint64(r.Lo-next))
		b = binary.AppendUvarint(b, uint64(r.Hi-r.Lo))
		next = r.Hi + 1
	}
	return b
}

func (d *decoder) segments(s Segments) Segments {
	next := int64(0)
	for n := d.count(2); n > 0; n-- {
		lo := next + d.limited(1<<31)
		hi := lo + d.limited(1<<31)
		if hi >= 1<<31 {
			d.fail("segment out of range")
			return s
		}
		s = append(s, Range{uint32(lo), uint32(hi)})
		next = hi + 1
	}
	return s
}
