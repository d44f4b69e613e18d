package intake

import (
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/playmeter/playmeter/intake/flussonic"
)

// Loss is why sessions are refused for good, with nobody at the other end who reads the answer, and of which stream or server.
type Loss struct {
	Reason string
	Stream string // of reasons that are about a stream
	Server string // of all others
}

func lossOf(r *flussonic.Refused) Loss {
	if r.Reason.OfStream() {
		return Loss{Reason: string(r.Reason), Stream: r.Stream}
	}
	return Loss{Reason: string(r.Reason), Server: r.Server}
}

// remedies say what to do about a loss.
var remedies = map[string]string{
	string(flussonic.NoRule):       "under intake.streams add a rule that matches the stream and names its tenant, or have the server post with ?tenant=",
	string(flussonic.OtherTenant):  "a rule under intake.streams gives the stream to another tenant than the one that the server posts for: correct the rule, or the server's ?tenant= or token",
	string(flussonic.TenantStream): "give the stream another name than its tenant's id",
	string(flussonic.BadTime):      "look at the server's clock",
	string(flussonic.NoServer):     "set the server's hostname",
	reasonOtherNode:                "the server posts with a token for other nodes: give it one of its own",
}

// Notices warn of losses in a log: of each at once, and then at most hourly, with how many sessions' records it were since. They are
// safe for concurrent use; nil warns of nothing.
type Notices struct {
	out *slog.Logger
	now func() time.Time

	mu      sync.Mutex
	told    map[Loss]*notice
	forgets time.Time // when those are next looked through that may be forgotten
}

// notice is what is remembered of a loss.
type notice struct {
	last  time.Time // when it was told
	count int       // since
}

const (
	// noticePause is how long a loss is not told again.
	noticePause = time.Hour
	// maxNotices bounds what is remembered, and so what is told in an hour. Of more than that no names are told.
	maxNotices = 1000
	// forgetPause is how long a memory that is full is not looked through again.
	forgetPause = time.Minute
)

// NewNotices warn in out. now tells the time.
func NewNotices(out *slog.Logger, now func() time.Time) *Notices {
	return &Notices{out: out, now: now, told: make(map[Loss]*notice)}
}

// tell tells what a post that was answered has lost.
func (n *Notices) tell(lost map[Loss]int) {
	if n == nil {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	now := n.now()
	for loss, count := range lost {
		known := n.known(loss, now)
		if known == nil {
			loss = Loss{Reason: loss.Reason} // one of many more
			if known = n.told[loss]; known == nil {
				known = new(notice) // reasons are few
				n.told[loss] = known
			}
		}
		if known.count += count; !known.last.IsZero() && now.Sub(known.last) < noticePause {
			continue
		}
		n.warn(loss, known.count)
		known.last, known.count = now, 0
	}
}

// known is what is remembered of a loss; nil where there is no room for it.
func (n *Notices) known(loss Loss, now time.Time) *notice {
	if known := n.told[loss]; known != nil {
		return known
	}
	if len(n.told) >= maxNotices && !now.Before(n.forgets) {
		n.forgets = now.Add(forgetPause)
		for loss, known := range n.told {
			if now.Sub(known.last) >= noticePause {
				delete(n.told, loss)
			}
		}
	}
	if len(n.told) >= maxNotices {
		return nil
	}
	n.told[loss] = new(notice)
	return n.told[loss]
}

func (n *Notices) warn(loss Loss, count int) {
	args := []any{"reason", loss.Reason, "rows", count}
	switch {
	case loss.Stream != "":
		args = append(args, "stream", loss.Stream)
	case loss.Server != "":
		args = append(args, "server", loss.Server)
	default:
		args = append(args, "of", "streams or servers that are not named here")
	}
	remedy := remedies[loss.Reason]
	if remedy == "" {
		remedy = "the server's answer says more: see \"Whose streams they are\" and \"What becomes of each field\" in docs/intake.md"
	}
	n.out.Warn("records of a Flussonic server are refused, and in no report", append(args, "do", remedy)...)
}

// shortened is a name as far as it is shown.
func shortened(name string) string { return strings.ToValidUTF8(name[:min(len(name), 100)], "") }

// maxLosses bounds the losses that are told one by one of one post.
const maxLosses = 100

// lose notes a loss.
func (r *Receipt) lose(loss Loss) {
	if r.lost == nil {
		r.lost = make(map[Loss]int)
	}
	if _, noted := r.lost[loss]; !noted && len(r.lost) >= maxLosses {
		loss = Loss{Reason: loss.Reason}
	}
	r.lost[loss]++
}
