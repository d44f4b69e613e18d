package crypto

import (
	"fmt"
	"time"
)

// Find is the token of an id, if it is in force. It is for those who have shown the whole text before, and are known by
// something else since: an id is no secret, and proves nothing.
//
//   - It costs no hash; what is used is written down, as with Check.
//   - Errors: ErrTokenUnknown, ErrTokenExpired, ErrTokenRevoked, with the last two the token as well; others where the
//     file cannot be read.
func (s *TokenStore) Find(id string, now time.Time) (Token, error) {
	list, err := s.load()
	if err != nil {
		return Token{}, fmt.Errorf("find token %s: %w", shorten(id), err)
	}
	found := list.find(id)
	if found == nil {
		return Token{}, ErrTokenUnknown
	}
	return s.inForce(found, now)
}

// inForce is what a token may do, unless it has ended.
func (s *TokenStore) inForce(found *storedToken, now time.Time) (Token, error) {
	switch {
	case !found.Revoked.IsZero():
		return found.token(), ErrTokenRevoked
	case !found.Expires.IsZero() && !now.Before(found.Expires):
		return found.token(), ErrTokenExpired
	}
	s.used.note(found.ID, now)
	return found.token(), nil
}
