package logs

import (
	"maps"
	"slices"
)

// Reason is why a line became no event.
type Reason string

// The reasons. Lines of the first three are no usage, and nothing is wrong with them.
const (
	NotMedia Reason = "not_media" // neither a pattern, nor CMCD, nor its ending says that it is playout
	Method   Reason = "method"    // such as OPTIONS, or POST where no pattern wants it
	Excluded Reason = "excluded"  // a pattern says to skip it

	BadLine        Reason = "bad_line"  // cannot be read
	BadTime        Reason = "bad_time"  // has no time, or none that can be read
	BadValue       Reason = "bad_value" // bytes or status are no numbers
	NoObject       Reason = "no_object" // is playout, and neither a pattern nor a cid names the object
	NoTenant       Reason = "no_tenant"
	BadTenant      Reason = "bad_tenant"
	NoNode         Reason = "no_node"
	IDTooLong      Reason = "id_too_long"
	ObjectIsTenant Reason = "object_is_tenant"
)

// Bad tells whether usage may have been lost with a line.
func (r Reason) Bad() bool { return r != NotMedia && r != Method && r != Excluded }

// BadLineAt is a line that became no event although it may be usage.
type BadLineAt struct {
	Line   int64  `json:"line"`
	Reason Reason `json:"reason"`
}

// maxBadLines is how many bad lines are named.
const maxBadLines = 10

// Summary is what a log came to.
//
//   - Lines = Events + the sum of Skipped.
//   - Units: microseconds.
type Summary struct {
	Lines   int64            `json:"lines"`
	Events  int64            `json:"events"`
	Skipped map[Reason]int64 `json:"skipped"`
	Bad     []BadLineAt      `json:"bad_lines"` // the first of them

	Micros     map[string]int64 `json:"duration_us"` // by track
	Segments   int64            `json:"segments"`    // that brought seconds
	Parts      int64            `json:"parts"`       // later ranges of a segment: bytes, and no seconds
	NoLength   int64            `json:"no_length"`   // segments whose length nothing says: no seconds
	Errors     int64            `json:"errors"`      // answers of 400 and above
	ByPlaylist int64            `json:"by_playlist"` // of Segments, those whose length a playlist says
	Bytes      int64            `json:"bytes"`
}

func newSummary() Summary {
	return Summary{Skipped: map[Reason]int64{}, Micros: map[string]int64{}, Bad: []BadLineAt{}}
}

// skip counts a line that becomes no event.
func (s *Summary) skip(line int64, why Reason) {
	s.Skipped[why]++
	if why.Bad() && len(s.Bad) < maxBadLines {
		s.Bad = append(s.Bad, BadLineAt{line, why})
	}
}

// BadLines is how many lines may have been usage that is lost.
func (s *Summary) BadLines() (n int64) {
	for why, count := range s.Skipped {
		if why.Bad() {
			n += count
		}
	}
	return n
}

// Add adds another log's counts.
func (s *Summary) Add(t *Summary) {
	if s.Skipped == nil {
		*s = newSummary()
	}
	s.Lines, s.Events, s.Segments, s.Parts = s.Lines+t.Lines, s.Events+t.Events, s.Segments+t.Segments, s.Parts+t.Parts
	s.NoLength, s.Errors, s.ByPlaylist, s.Bytes = s.NoLength+t.NoLength, s.Errors+t.Errors, s.ByPlaylist+t.ByPlaylist, s.Bytes+t.Bytes
	for why, n := range t.Skipped {
		s.Skipped[why] += n
	}
	for track, n := range t.Micros {
		s.Micros[track] += n
	}
}

// Reasons lists the reasons that lines were skipped for, the most frequent first.
func (s *Summary) Reasons() []Reason {
	return slices.SortedFunc(maps.Keys(s.Skipped), func(a, b Reason) int {
		if s.Skipped[a] != s.Skipped[b] {
			return int(min(max(s.Skipped[b]-s.Skipped[a], -1), 1))
		}
		if a < b {
			return -1
		}
		return 1
	})
}
