package crypto

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// A TokenStore keeps the access tokens of an installation in a folder:
//
//   - tokens: of each token its id, what it may do, its times, and the Argon2id hash of its secret.
//     JSON. Who reads the file can use no token.
//   - tokens.used: when each was last used.
//
// Records stay when a token is revoked or expires: lists show them, and once there was a token the
// pages stay closed. Only where there are MaxTokens the one that ended first makes room.
//
// Any number of processes may use a folder at the same time; what one changes the others see
// with their next question. A TokenStore is safe for concurrent use.
type TokenStore struct {
	dir  string
	file watchedFile[*tokenList]
	cost argonCost // of new tokens
	none tokenHash // is computed for ids that are not known
	key  []byte    // of the HMACs by which tokens are remembered; of this process alone
	// slots bound how many hashes are computed at once, because each takes 19 MiB.
	slots chan struct{}
	used  *tokenUses
	// some tells that this process has seen a token. It never forgets that: who can remove the file must not
	// open the pages by it.
	some atomic.Bool
}

// The bounds of tokens.
const (
	// MaxTokens is how many there can be, those that have ended included.
	MaxTokens     = 10_000
	maxTokensFile = 16 << 20
	maxTokenName  = 200 // bytes
	tokenSlots    = 2
)

// The files of tokens.
const (
	tokensFile     = "tokens"
	tokensUsedFile = "tokens.used"
	tokensSchema   = "playmeter.tokens/1"
)

// storedToken is a token as the file has it.
type storedToken struct {
	ID      string    `json:"id"`
	Name    string    `json:"name"`
	Role    Role      `json:"role"`
	Tenant  string    `json:"tenant,omitempty"`
	Reports []string  `json:"reports,omitempty"`
	Nodes   []string  `json:"nodes,omitempty"`
	Created time.Time `json:"created"`
	Expires time.Time `json:"expires,omitzero"`
	Revoked time.Time `json:"revoked,omitzero"`
	Hash    tokenHash `json:"hash"`
}

func (s *storedToken) token() Token {
	return Token{ID: s.ID, Name: s.Name, Role: s.Role, Tenant: s.Tenant, Reports: slices.Clone(s.Reports), Nodes: slices.Clone(s.Nodes),
		Created: s.Created, Expires: s.Expires, Revoked: s.Revoked}
}

// ended is when a token stopped being good for anything; ok is false where it has not.
func (s *storedToken) ended(now time.Time) (at time.Time, ok bool) {
	at = s.Revoked
	if !s.Expires.IsZero() && (at.IsZero() || s.Expires.Before(at)) {
		at = s.Expires
	}
	return at, !at.IsZero() && !at.After(now)
}

// tokenList is the file, and which of its tokens were seen to be right. It is made anew when the
// file changes, and so forgets.
type tokenList struct {
	Schema string        `json:"schema"`
	Tokens []storedToken `json:"tokens"` // as they were added

	mu   sync.Mutex
	seen map[string][]byte // id → HMAC of the whole text
}

// OpenTokens are the tokens of a folder, which need not exist yet.
func OpenTokens(dir string) *TokenStore {
	s := &TokenStore{dir: dir, cost: defaultCost, slots: make(chan struct{}, tokenSlots), key: make([]byte, 32)}
	s.file = watchedFile[*tokenList]{path: filepath.Join(dir, tokensFile), limit: maxTokensFile, parse: parseTokens}
	rand.Read(s.key) // never fails
	s.setCost(defaultCost)
	s.used = newTokenUses(dir)
	return s
}

func (s *TokenStore) setCost(c argonCost) {
	s.cost = c
	s.none = tokenHash{cost: c, salt: make([]byte, argonSaltLen), hash: make([]byte, argonHashLen)}
}

// load is the list as it is now.
func (s *TokenStore) load() (*tokenList, error) {
	list, err := s.file.load()
	if err == nil && len(list.Tokens) > 0 {
		s.some.Store(true)
	}
	return list, err
}

// Add makes a token of t's name, role, tenant, reports, nodes and expiry. Its text is told this one
// time. Errors list every problem.
func (s *TokenStore) Add(t Token, now time.Time) (Secret, Token, error) {
	now = now.UTC().Truncate(time.Second)
	if err := checkToken(t, now); err != nil {
		return "", Token{}, err
	}
	id, secret := newTokenText()
	added := storedToken{ID: id, Name: t.Name, Role: t.Role, Tenant: t.Tenant, Reports: slices.Clone(t.Reports), Nodes: slices.Clone(t.Nodes),
		Created: now, Hash: s.cost.newHash(secret)}
	if !t.Expires.IsZero() {
		added.Expires = t.Expires.UTC().Truncate(time.Second)
	}
	err := s.change(func(list *tokenList) error {
		if list.find(id) != nil {
			return errors.New("the same id was drawn twice; try again") // once in 2^50 times
		}
		if err := list.makeRoom(now); err != nil {
			return err
		}
		list.Tokens = append(list.Tokens, added)
		return nil
	})
	if err != nil {
		return "", Token{}, fmt.Errorf("add a token: %w", err)
	}
	return joinToken(id, secret), added.token(), nil
}

// makeRoom lets the token go that ended first, where there are as many as can be.
func (l *tokenList) makeRoom(now time.Time) error {
	if len(l.Tokens) < MaxTokens {
		return nil
	}
	first := -1
	var when time.Time
	for i := range l.Tokens {
		if at, ok := l.Tokens[i].ended(now); ok && (first < 0 || at.Before(when)) {
			first, when = i, at
		}
	}
	if first < 0 {
		return fmt.Errorf("there are %d tokens, and no more can be; revoke some", MaxTokens)
	}
	l.Tokens = slices.Delete(l.Tokens, first, first+1)
	return nil
}

// Revoke ends a token, for good; one that was revoked stays as it is. Errors: ErrTokenUnknown.
func (s *TokenStore) Revoke(id string, now time.Time) error {
	err := s.change(func(list *tokenList) error {
		t := list.find(id)
		if t == nil {
			return ErrTokenUnknown
		}
		if t.Revoked.IsZero() {
			t.Revoked = now.UTC().Truncate(time.Second)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("revoke token %s: %w", shorten(id), err)
	}
	return nil
}

// List are all tokens, revoked and expired ones included, as they were added.
func (s *TokenStore) List() ([]Token, error) {
	list, err := s.load()
	if err != nil {
		return nil, fmt.Errorf("list tokens: %w", err)
	}
	used := s.used.read()
	all := make([]Token, len(list.Tokens))
	for i := range list.Tokens {
		all[i] = list.Tokens[i].token()
		all[i].LastUsed = used[all[i].ID]
	}
	return all, nil
}

// Any tells whether a token was ever made. It stays true when the last one is revoked or has
// expired: that must close the pages, not open them. It also stays true when the file is removed after this
// process has seen a token in it; then Check fails with ErrTokenUnknown. The next process begins anew.
func (s *TokenStore) Any() (bool, error) {
	if _, err := s.load(); err != nil {
		return false, fmt.Errorf("look for tokens: %w", err)
	}
	return s.some.Load(), nil
}

// Check is the token that a text is, if it is in force.
//
//   - A text that was checked before, by this process and since the file changed, costs microseconds.
//     Any other that looks like a token costs a hash, about 20 ms, whether its id is known or
//     not. At most two are computed at a time; who comes later waits, as long as ctx lasts.
//   - Only who has the secret learns that a token was revoked or has expired; then the token comes along,
//     so that the attempt can be put on record.
//   - LastUsed of what is returned is not set; what is used is written down.
//   - Errors: ErrTokenUnknown, ErrTokenMalformed, ErrTokenExpired, ErrTokenRevoked; others where the
//     file cannot be read, or ctx ended.
func (s *TokenStore) Check(ctx context.Context, text string, now time.Time) (Token, error) {
	id, secret, err := splitToken(text)
	if err != nil {
		return Token{}, err
	}
	found, err := s.verify(ctx, text, id, secret)
	if err != nil {
		return Token{}, err
	}
	return s.inForce(found, now)
}

// verify finds the record of a token whose secret is right.
func (s *TokenStore) verify(ctx context.Context, text, id, secret string) (*storedToken, error) {
	mac := hmac.New(sha256.New, s.key)
	mac.Write([]byte(text))
	sum := mac.Sum(nil)
	if found, err := s.remembered(id, sum); found != nil || err != nil {
		return found, err
	}
	select {
	case s.slots <- struct{}{}:
		defer func() { <-s.slots }()
	case <-ctx.Done():
		return nil, fmt.Errorf("check a token: %w", ctx.Err())
	}
	if found, err := s.remembered(id, sum); found != nil || err != nil { // somebody was faster
		return found, err
	}
	list, err := s.load()
	if err != nil {
		return nil, fmt.Errorf("check a token: %w", err)
	}
	hash := s.none
	known := list.find(id)
	if known != nil {
		hash = known.Hash
	}
	if !hash.matches(secret) || known == nil {
		return nil, ErrTokenUnknown
	}
	list.remember(id, sum)
	// It took a while: what counts is what the file says now.
	now, err := s.load()
	if err != nil {
		return nil, fmt.Errorf("check a token: %w", err)
	}
	if known = now.find(id); known == nil || !slices.Equal(known.Hash.hash, hash.hash) {
		return nil, ErrTokenUnknown
	}
	return known, nil
}

// remembered is the record of a token that was seen to be right; nil where it was not.
func (s *TokenStore) remembered(id string, sum []byte) (*storedToken, error) {
	list, err := s.load()
	if err != nil {
		return nil, fmt.Errorf("check a token: %w", err)
	}
	list.mu.Lock()
	seen := list.seen[id]
	list.mu.Unlock()
	if subtle.ConstantTimeCompare(seen, sum) != 1 {
		return nil, nil
	}
	return list.find(id), nil
}

// remember notes that a token is right. There is at most one note for each record.
func (l *tokenList) remember(id string, sum []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.seen[id] = sum
}

func (l *tokenList) find(id string) *storedToken {
	i := slices.IndexFunc(l.Tokens, func(t storedToken) bool { return t.ID == id })
	if i < 0 {
		return nil
	}
	return &l.Tokens[i]
}

// change does one change of the list, alone among all processes. When it fails, the change
// may still be stored.
func (s *TokenStore) change(change func(*tokenList) error) error {
	unlock, err := lockKeys(s.dir)
	if err != nil {
		return err
	}
	defer unlock()
	was, err := s.load()
	if err != nil {
		return err
	}
	list := &tokenList{Schema: tokensSchema, Tokens: slices.Clone(was.Tokens)}
	if err := change(list); err != nil {
		return err
	}
	data, err := json.MarshalIndent(list, "", " ")
	if err != nil {
		return err
	}
	if len(data) >= maxTokensFile {
		return fmt.Errorf("the file of tokens would be larger than %d MiB, and could not be read; give tokens fewer nodes", maxTokensFile>>20)
	}
	return writeDurably(s.file.path, append(data, '\n'), os.Rename)
}

func parseTokens(data []byte) (*tokenList, error) {
	list := &tokenList{seen: make(map[string][]byte)}
	if data == nil {
		return list, nil
	}
	if err := json.Unmarshal(data, list); err != nil {
		return nil, fmt.Errorf("is not what was written there (%w); restore it: without it no token is good", err)
	}
	if list.Schema != tokensSchema {
		return nil, fmt.Errorf("has schema %q, and this version reads %s", shorten(list.Schema), tokensSchema)
	}
	for i := range list.Tokens {
		if t := &list.Tokens[i]; len(t.ID) != tokenIDLen || list.find(t.ID) != t || t.Hash.hash == nil {
			return nil, fmt.Errorf("was edited: token %q has no hash, or no id of its own", shorten(t.ID))
		}
	}
	return list, nil
}
