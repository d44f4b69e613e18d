package reporter

import (
	"cmp"
	"slices"
	"time"

	"github.com/RoaringBitmap/roaring/v2/roaring64"

	"github.com/playmeter/playmeter/accounting"
	"github.com/playmeter/playmeter/bucket"
	"github.com/playmeter/playmeter/schemas"
)

// wanted is the usage objects that count, at most one a key: what is in the bucket, and what once
// was and is not withdrawn (SPEC 6).
type wanted struct {
	files     []*wantedFile // by key
	byKey     map[string]*wantedFile
	withdrawn []*wantedFile   // would count, were they not withdrawn; by key
	fresh     map[string]bool // keys of objects that were never counted before
}

// wantedFile is one of them.
type wantedFile struct {
	bucket.Info
	gone    bool      // the bucket has nothing under its key
	locked  bool      // it cannot be read again: gone, or replaced by what cannot be read
	counted time.Time // last
	member  *schemas.Member
	sets    location // the tally that leaves nothing out, with the sets

	whole     bool              // its copies were looked for, in all of it
	variants  []*schemas.Member // of a locked file: its tallies that leave out copies, the largest first
	excluded  *roaring64.Bitmap // nil: none
	differing *roaring64.Bitmap
	digest    string // of these two; empty: none
}

// want decides which objects count. withdrawn tells of an object whether it was withdrawn.
func want(files []bucket.Info, idles []accounting.Idle, s *shelf, withdrawn func(key, etag string) bool, returned returns) *wanted {
	w := &wanted{byKey: make(map[string]*wantedFile, len(files))}
	add := func(f *wantedFile) {
		if withdrawn(f.Key, f.ETag) {
			w.withdrawn = append(w.withdrawn, f)
			return
		}
		w.files = append(w.files, f)
		w.byKey[f.Key] = f
	}
	listed, readable := make(map[string]bool, len(files)), make(map[string]bool, len(files))
	for _, f := range files {
		listed[f.Key] = true
		if at, ok := s.findAny(f, idles); ok && at.info().Unreadable == "" {
			readable[f.Key] = true
			add(&wantedFile{Info: f, member: at.info(), sets: at})
		}
	}
	for key, f := range s.once(readable, returned) {
		f.gone, f.locked = !listed[key], true
		add(f)
	}
	byKey := func(a, b *wantedFile) int { return cmp.Compare(a.Key, b.Key) }
	slices.SortFunc(w.files, byKey)
	slices.SortFunc(w.withdrawn, byKey)
	return w
}

// findAny finds the tally of a file, with nothing left out, under any of the idle times.
func (s *shelf) findAny(f bucket.Info, idles []accounting.Idle) (location, bool) {
	for _, idle := range idles {
		if at, ok := s.find(tallyName(f, idle)); ok {
			return at, true
		}
	}
	return location{}, false
}

// once returns, per key that cannot be read now, the newest object that could.
func (s *shelf) once(readable map[string]bool, returned returns) map[string]*wantedFile {
	out := make(map[string]*wantedFile)
	for at := range s.readable() {
		m := at.info()
		if readable[m.Key] {
			continue
		}
		f := out[m.Key]
		if stored := returned.stored(m); f == nil || newer(m, stored, f) {
			f = &wantedFile{Info: bucket.Info{Key: m.Key, ETag: m.ETag, Size: m.Size, Modified: stored}, counted: m.Counted}
			out[m.Key] = f
		}
		if f.ETag != m.ETag {
			continue
		}
		if m.Counted.After(f.counted) {
			f.counted = m.Counted
		}
		if len(m.Excluded) > 0 {
			if serves, _ := s.find(m.Tally); serves.pack == at.pack { // not a double of it
				f.variants = append(f.variants, m)
			}
			continue
		}
		if f.member == nil || m.Tally < f.member.Tally {
			f.member, f.sets = m, at
		}
	}
	for key, f := range out {
		if f.member == nil { // a tally that leaves rows out is stored after the one that does not
			delete(out, key)
		}
	}
	return out
}

// newer tells whether a member is of a newer object than the one found for its key so far. Stores tell
// times to the second: within one, the object counted later was there later.
func newer(m *schemas.Member, stored time.Time, f *wantedFile) bool {
	if m.ETag == f.ETag {
		return false
	}
	return cmp.Or(stored.Compare(f.Modified), m.Counted.Compare(f.counted), cmp.Compare(f.ETag, m.ETag)) > 0
}

// tally finds the tally of a file that leaves out its copies: the one under the given idle times, or,
// of a locked file, another; other tells which.
func (f *wantedFile) tally(s *shelf, idle accounting.Idle) (at location, other, ok bool) {
	if at, ok = s.find(schemas.NameTally(f.Key, f.ETag, idle.WithID, idle.WithoutID, f.digest)); ok || !f.locked {
		return at, false, ok
	}
	if f.digest == "" {
		return f.sets, true, true
	}
	for _, m := range f.variants {
		if exclusionDigest(m.Excluded, m.Differing) == f.digest {
			at, ok = s.find(m.Tally)
			return at, true, ok
		}
	}
	return location{}, true, false
}

func (w *wanted) isWithdrawn(key string) bool {
	for _, f := range w.withdrawn {
		if f.Key == key {
			return true
		}
	}
	return false
}
