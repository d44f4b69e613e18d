package web

import "sync"

// shares are places of which one holder can have only so many.
type shares[K comparable] struct {
	most, each int // of all, of one

	mu  sync.Mutex
	all int // taken
	of  map[K]int
}

func newShares[K comparable](most, each int) *shares[K] {
	return &shares[K]{most: most, each: each, of: make(map[K]int)}
}

// take takes a place; done, called once, gives it back. Where there is none done is nil, and own tells whether
// the holder's own bound was met.
func (s *shares[K]) take(holder K) (done func(), own bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.of[holder] >= s.each:
		return nil, true
	case s.all >= s.most:
		return nil, false
	}
	s.of[holder]++
	s.all++
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.all--
		if s.of[holder]--; s.of[holder] == 0 {
			delete(s.of, holder)
		}
	}, false
}

// taken is how many places are taken, in all and by a holder.
func (s *shares[K]) taken(holder K) (all, own int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.all, s.of[holder]
}
