package intake

import (
	"errors"
	"maps"
	"sync"
)

// The routes that posts come by.
const (
	routeEvents    = "events"
	routeFlussonic = "flussonic"
)

// Counts are what was taken in since the daemon began. They are safe for concurrent use.
type Counts struct {
	mu       sync.Mutex
	accepted map[string]int64
	posts    map[Outcome]int64
	refused  map[string]int64
}

// Outcome is how posts of a route ended: stored, refused (all that was in them), bad, unsigned, busy, full, disk or log.
type Outcome struct{ Route, Result string }

// Counted are counts at one moment.
type Counted struct {
	Accepted map[string]int64  // events, by route
	Posts    map[Outcome]int64 // posts
	Refused  map[string]int64  // events, by reason
}

// post counts what became of a post.
func (c *Counts) post(route string, r *Receipt, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.posts == nil {
		c.posts, c.accepted, c.refused = map[Outcome]int64{}, map[string]int64{}, map[string]int64{}
	}
	outcome := result(err)
	if err == nil && r.Accepted == 0 && r.Refused > 0 {
		outcome = "refused"
	}
	c.posts[Outcome{route, outcome}]++
	if err != nil {
		return
	}
	c.accepted[route] += int64(r.Accepted)
	for reason, n := range r.reasons {
		c.refused[reason] += int64(n)
	}
}

// Now are the counts so far.
func (c *Counts) Now() Counted {
	c.mu.Lock()
	defer c.mu.Unlock()
	return Counted{maps.Clone(c.accepted), maps.Clone(c.posts), maps.Clone(c.refused)}
}

func result(err error) string {
	switch {
	case err == nil:
		return "stored"
	case errors.Is(err, ErrBusy):
		return "busy"
	case errors.Is(err, ErrFull):
		return "full"
	case errors.Is(err, ErrDisk):
		return "disk"
	case errors.Is(err, ErrUnsigned):
		return "unsigned"
	case errors.Is(err, ErrBody), errors.Is(err, ErrTooLarge), errors.Is(err, ErrEncoding):
		return "bad"
	}
	return "log"
}
