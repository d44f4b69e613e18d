package web

import (
	"math"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// What is let through. Honest clients never meet these bounds.
const (
	// failedBurst attempts to sign in may fail from one client, and then one in failedEvery.
	failedBurst = 10
	failedEvery = 6 * time.Second
	// unprovenBurst and unprovenRate (a second) bound the attempts of all clients together, those with a
	// token that was good before left out: each costs an argon2.
	unprovenBurst = 50
	unprovenRate  = 10
	// checksAtOnce is how many tokens are looked at at once; each takes argon2's memory.
	checksAtOnce = 2
	// tokenBurst and tokenRate (a second) bound the requests with one token.
	tokenBurst = 300
	tokenRate  = 50
	// requestsAtOnce are served, streamsAtOnce of them may be reports on their way, streamsOfToken of one token.
	requestsAtOnce = 256
	streamsAtOnce  = 128
	streamsOfToken = 16
	// clientsKnown, tokensKnown and provenKnown bound the tables of those who asked lately.
	clientsKnown = 10_000
	tokensKnown  = 10_000
	provenKnown  = 4_096
)

// limits are the bounds that clients share.
type limits struct {
	mu       sync.Mutex
	clients  *recent[netip.Prefix, *client]
	tokens   *recent[string, *rate.Limiter]
	proven   *recent[fingerprint, struct{}]
	streams  map[string]int // by token
	all      int            // of them
	unproven *rate.Limiter
	checks   chan struct{} // a place for each token that is looked at
	places   chan struct{} // one for each request
}

// client is where attempts to sign in come from.
type client struct {
	failed *rate.Limiter // has a token for each attempt that may still fail
	turn   chan struct{} // attempts are looked at one at a time, so that the bound is exact
}

// fingerprint names a token that was good without telling it.
type fingerprint [32]byte

func newLimits() *limits {
	return &limits{
		clients: newRecent[netip.Prefix, *client](clientsKnown), tokens: newRecent[string, *rate.Limiter](tokensKnown),
		proven: newRecent[fingerprint, struct{}](provenKnown), streams: make(map[string]int),
		unproven: rate.NewLimiter(unprovenRate, unprovenBurst),
		checks:   make(chan struct{}, checksAtOnce), places: make(chan struct{}, requestsAtOnce),
	}
}

func (l *limits) client(a netip.Addr) *client {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.clients.find(neighbourhood(a), func() *client {
		return &client{failed: rate.NewLimiter(rate.Every(failedEvery), failedBurst), turn: make(chan struct{}, 1)}
	})
}

// wait is how long it takes until a limiter lets one more through; 0: it does now.
func wait(l *rate.Limiter, now time.Time) time.Duration {
	missing := 1 - l.TokensAt(now)
	if missing <= 0 {
		return 0
	}
	return time.Duration(math.Ceil(missing / float64(l.Limit()) * float64(time.Second)))
}

// take lets a request with a token through, or says how long to wait.
func (l *limits) take(token string, now time.Time) time.Duration {
	l.mu.Lock()
	of := l.tokens.find(token, func() *rate.Limiter { return rate.NewLimiter(tokenRate, tokenBurst) })
	l.mu.Unlock()
	if of.AllowN(now, 1) {
		return 0
	}
	return max(wait(of, now), time.Millisecond)
}

func (l *limits) isProven(f fingerprint) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, ok := l.proven.get(f)
	return ok
}

func (l *limits) prove(f fingerprint) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.proven.find(f, func() struct{} { return struct{}{} })
}

func (l *limits) disprove(f fingerprint) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.proven.remove(f)
}

// openStream takes a place for a report on its way to the holder of a token; done gives it back.
// ofToken tells, where there is none, whether the token's own bound was met.
func (l *limits) openStream(token string) (done func(), ofToken bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.streams[token] >= streamsOfToken:
		return nil, true
	case l.all >= streamsAtOnce:
		return nil, false
	}
	l.streams[token]++
	l.all++
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.all--
		if l.streams[token]--; l.streams[token] == 0 {
			delete(l.streams, token)
		}
	}, false
}
