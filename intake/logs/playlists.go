package logs

import (
	"cmp"
	"slices"
)

// Playlists are the segments that playlists name, by the path of their URL.
type Playlists struct {
	files map[string]*listed
	count int // segments, ranges and files in all
	limit int // of count
	steps int // segments that manifests went through, the same ones again included

	templates []numbered

	Read    int              // playlists that were read
	Skipped map[string]error // by file: what could not be read
}

// listed is what playlists say of one URL.
type listed struct {
	rendition *listedRendition
	manifest  bool
	init      bool
	drm       int8 // 1: encrypted, -1: not, 0: not said
	format    string
	micros    int64 // length of the file, if it is one segment
	index     int32
	ranges    []listedRange // segments within the file, by offset
	init0     listedRange   // the initialization section within the file
	ownRanges bool          // each range that is asked for is a segment, and nothing says of what length
}

// listedRange is a segment within a file.
type listedRange struct {
	offset, length int64
	micros         int64
	index          int32
}

// listedRendition is what playlists say of a rendition.
type listedRendition struct {
	protocol      string
	track         string
	codec         string
	width, height int32
	live          bool
}

// find is what playlists say of a path; nil is nothing.
func (p *Playlists) find(path []byte) *listed {
	if p == nil {
		return nil
	}
	if l := p.files[string(path)]; l != nil {
		return l
	}
	for i := range p.templates {
		if l := p.templates[i].find(path); l != nil {
			return l
		}
	}
	return nil
}

// within adds up the segments whose first byte lies in a span.
func (l *listed) within(s span) (micros int64, index int32, any bool) {
	at, _ := findRange(l.ranges, s.from)
	for _, r := range l.ranges[at:] {
		if !s.holds(r.offset) {
			break
		}
		if !any {
			index = r.index
		}
		micros, any = micros+r.micros, true
	}
	return micros, index, any
}

// findRange is the first range at or after an offset, and whether it is at it.
func findRange(ranges []listedRange, offset int64) (at int, there bool) {
	return slices.BinarySearchFunc(ranges, offset, func(r listedRange, offset int64) int { return cmp.Compare(r.offset, offset) })
}
