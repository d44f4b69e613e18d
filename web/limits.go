package web

import (
	"math"
	"net/http"
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
	// postBurst and postRate (a second) bound the posts with one token.
	postBurst = 2_000
	postRate  = 1_000
	// requestsAtOnce of those who signed in are served, requestsOfToken of one token; streamsAtOnce of them may be
	// reports on their way, streamsOfToken of one token.
	requestsAtOnce  = 256
	requestsOfToken = 64
	streamsAtOnce   = 128
	streamsOfToken  = 16
	// strangersAtOnce are served of those who did not sign in, strangersOfClient of one client. What costs
	// hardly anything needs no place: see route.free.
	strangersAtOnce   = 64
	strangersOfClient = 8
	// assetsAtOnce of the pages' files are on their way, assetsOfClient to one client.
	assetsAtOnce   = 512
	assetsOfClient = 64
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
	unproven *rate.Limiter
	checks   chan struct{} // a place for each token that is looked at

	places    *shares[string] // of requests, by token
	streams   *shares[string] // of reports on their way, by token
	strangers *shares[netip.Prefix]
	assets    *shares[netip.Prefix] // of the pages' files on their way
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
		proven:   newRecent[fingerprint, struct{}](provenKnown),
		unproven: rate.NewLimiter(unprovenRate, unprovenBurst),
		checks:   make(chan struct{}, checksAtOnce),
		places:   newShares[string](requestsAtOnce, requestsOfToken), streams: newShares[string](streamsAtOnce, streamsOfToken),
		strangers: newShares[netip.Prefix](strangersAtOnce, strangersOfClient),
		assets:    newShares[netip.Prefix](assetsAtOnce, assetsOfClient),
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
func (l *limits) take(token string, post bool, now time.Time) time.Duration {
	perSecond, burst := rate.Limit(tokenRate), tokenBurst
	if post {
		token, perSecond, burst = token+" post", postRate, postBurst // no id has a space
	}
	l.mu.Lock()
	of := l.tokens.find(token, func() *rate.Limiter { return rate.NewLimiter(perSecond, burst) })
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

// place takes a place for a request that was let in; done gives it back.
func (l *limits) place(q *request) (done func(), err error) {
	if q.route.free {
		return func() {}, nil
	}
	var own bool
	if q.caller.known() {
		done, own = l.places.take(q.caller.token.ID)
	} else {
		done, own = l.strangers.take(neighbourhood(q.caller.address))
	}
	switch {
	case done != nil:
		return done, nil
	case !own:
		return nil, unavailable(nil, "Too many requests are served at present: ask again.")
	case q.caller.known():
		return nil, retryAfter(newProblem(http.StatusTooManyRequests, "At most %d requests are served at once with one token.", requestsOfToken), time.Second)
	}
	return nil, retryAfter(newProblem(http.StatusTooManyRequests, "At most %d requests are served at once from your address without a token.", strangersOfClient), time.Second)
}
