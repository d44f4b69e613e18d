package intake

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/klauspost/compress/zstd"
	"golang.org/x/sync/semaphore"

	"github.com/playmeter/playmeter/accounting"
	"github.com/playmeter/playmeter/crypto"
	"github.com/playmeter/playmeter/intake/flussonic"
	"github.com/playmeter/playmeter/schemas"
)

// Appender keeps chunks: a [Log].
type Appender interface {
	// Append returns nil when the chunks are durable. When it fails, some may be.
	Append(ctx context.Context, chunks []Chunk) error
}

// Intake takes posts. It is safe for concurrent use.
type Intake struct {
	log     Appender
	memory  *semaphore.Weighted
	senders *holdings // of it
	packer  *zstd.Encoder
	readers sync.Pool // of *reader
	lines   sync.Pool // of *[]byte: what collectors write to
	rules   atomic.Pointer[Rules]
	Counts  Counts
	Notices *Notices // of what is refused and lost

	// of posts of which nobody knows yet who sent them
	ofStrangers *semaphore.Weighted
	strangers   *holdings
}

// Rules say whose events are whose.
type Rules struct {
	Streams flussonic.Rules
	// Signers may post without a token, if they sign.
	Signers []Signer
}

// Signer is who signs posts with a key.
type Signer struct {
	Key    crypto.Secret
	Tenant schemas.Tenant // whom the posts are for; empty: the rules say
}

// New takes posts into a log.
func New(log Appender) *Intake {
	packer, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(2), zstd.WithWindowSize(512<<10))
	if err != nil {
		panic(err) // the options are right
	}
	in := &Intake{log: log, packer: packer, memory: semaphore.NewWeighted(maxMemory), senders: newHoldings(maxOfSender),
		ofStrangers: semaphore.NewWeighted(maxOfStrangers), strangers: newHoldings(maxOfStranger)}
	in.readers.New = func() any { return &reader{lines: schemas.NewEventLines()} }
	in.lines.New = func() any { return new([]byte) }
	in.SetRules(&Rules{})
	return in
}

// SetRules puts rules in force, for posts that begin from now on.
func (in *Intake) SetRules(r *Rules) { in.rules.Store(r) }

// Signs tells whether there are keys that posts may be signed with.
func (in *Intake) Signs() bool { return len(in.rules.Load().Signers) > 0 }

// Post is what was posted.
type Post struct {
	Header http.Header
	Body   io.Reader
	// Tenant is whom the sender is bound to, by the token or by ?tenant=. Events of others are refused. Empty: each event names its own.
	Tenant schemas.Tenant
	// SpeaksFor tells of which nodes the sender may post. Events of others are refused. nil: of all.
	SpeaksFor func(node string) bool
	Peer      netip.Addr
	// Sender names who posts, so that none takes all memory: a token, or an address as long as no more is known. Empty: nobody
	// in particular, without a bound.
	Sender string
	// Trusted tells that it is known who posts. Else the post must be signed.
	Trusted bool
}

// Receipt is what became of a post.
type Receipt struct {
	Accepted int       `json:"accepted"`
	Ignored  int       `json:"ignored,omitempty"` // events of no concern
	Refused  int       `json:"refused"`
	Refusals []Refusal `json:"refusals,omitempty"` // the first of them

	reasons map[string]int // of all of them
	lost    map[Loss]int
}

// Refusal says why an event is not kept.
type Refusal struct {
	Index  int    `json:"index"`  // in the post, from 0
	Reason string `json:"reason"` // a word, as in manifests
	Detail string `json:"detail,omitempty"`
}

// maxRefusals is how many refusals a receipt tells one by one.
const maxRefusals = 100

func (r *Receipt) refuse(index int, reason, detail string) {
	r.Refused++
	if r.reasons == nil {
		r.reasons = make(map[string]int)
	}
	r.reasons[reason]++
	if len(r.Refusals) < maxRefusals {
		r.Refusals = append(r.Refusals, Refusal{index, reason, detail})
	}
}

// ErrUnsigned: nobody is known to have sent this.
var ErrUnsigned = errors.New("the signature is not one of ours")

// Events takes a post of usage events. When it returns nil, the events that the receipt does not refuse are durable.
//
//   - Errors: ErrBody, ErrTooLarge and ErrEncoding, which stay; ErrBusy, ErrFull, ErrDisk and ErrLog, which pass.
func (in *Intake) Events(ctx context.Context, p *Post) (Receipt, error) {
	return in.take(ctx, routeEvents, p, nil, func(c *collector, body []byte, tenant schemas.Tenant) error {
		found, err := findElements(p.Header, body, c.memory)
		if err != nil {
			return err
		}
		return c.events(found, body, tenant)
	})
}

// Flussonic takes a post of a Flussonic server. Errors are those of Events, and ErrUnsigned.
func (in *Intake) Flussonic(ctx context.Context, p *Post) (Receipt, error) {
	rules := in.rules.Load()
	return in.take(ctx, routeFlussonic, p, rules, func(c *collector, body []byte, tenant schemas.Tenant) error {
		return c.records(body, flussonic.Options{Peer: p.Peer, Tenant: tenant, Rules: rules.Streams})
	})
}

// sender is who a post turns out to be from.
type sender struct {
	tenant schemas.Tenant // whom the post is bound to; empty: its events and the rules say
	name   string         // by which memory is shared out
}

// sender finds who signed a post, and whether it may be taken.
//
//   - Who has a token needs no signature. One by a key that is not known counts for nothing then: servers may sign for
//     others than us.
func (r *Rules) sender(p *Post, sent []byte) (sender, error) {
	i, ok := r.signer(p.Header.Get(flussonic.SignatureHeader), sent)
	if !ok {
		if !p.Trusted {
			return sender{}, ErrUnsigned
		}
		return sender{p.Tenant, p.Sender}, nil
	}
	from := sender{r.Signers[i].Tenant, p.Sender}
	if !p.Trusted {
		from.name = fmt.Sprintf("sign_key %d", i) // no token's id has a space
	}
	if p.Tenant != "" && from.tenant != p.Tenant && (from.tenant != "" || !p.Trusted) {
		// The signature is of the body alone: whoever has seen one could post it for another tenant.
		return sender{}, fmt.Errorf("%w for tenant %s", ErrUnsigned, p.Tenant)
	}
	if p.Tenant != "" {
		from.tenant = p.Tenant
	}
	return from, nil
}

// signer finds whose key made a signature.
func (r *Rules) signer(header string, sent []byte) (i int, ok bool) {
	if header == "" || len(r.Signers) == 0 {
		return -1, false
	}
	keys := make([]crypto.Secret, len(r.Signers))
	for i, s := range r.Signers {
		keys[i] = s.Key
	}
	return flussonic.Signed(sent, header, keys)
}

// take reads a post, has its events collected, and keeps them. With rules, signatures count.
func (in *Intake) take(ctx context.Context, route string, p *Post, rules *Rules, collect func(*collector, []byte, schemas.Tenant) error) (receipt Receipt, err error) {
	defer func() {
		in.Counts.post(route, &receipt, err)
		in.Notices.tell(receipt.lost)
	}()
	memory := in.budget(p, rules != nil && !p.Trusted)
	defer memory.release()
	sent, from, err := in.receive(p, rules, memory)
	if err != nil {
		return Receipt{}, err
	}
	body, err := memory.unpack(sent, p.Header.Get("Content-Encoding"))
	if err != nil {
		return Receipt{}, err
	}
	chunks, err := in.chunks(memory, &receipt, func(c *collector) error {
		c.speaksFor = p.SpeaksFor
		return collect(c, body, from)
	})
	if err != nil {
		return Receipt{}, err
	}
	if err := in.log.Append(ctx, chunks); err != nil {
		return Receipt{}, err
	}
	return receipt, nil
}

// receive reads a body as it was sent, and finds whom it is bound to. Until it is known who sent it, hardly any memory is
// taken for it, and nothing is unpacked.
func (in *Intake) receive(p *Post, rules *Rules, memory *budget) ([]byte, schemas.Tenant, error) {
	most := MaxPosted
	stranger := rules != nil && !p.Trusted
	if stranger {
		most = MaxUnsigned
	}
	sent, err := memory.readAll(p.Body, most)
	if err != nil || rules == nil {
		return sent, p.Tenant, err
	}
	from, err := rules.sender(p, sent)
	if err != nil {
		return nil, "", err
	}
	if stranger {
		err = memory.become(&budget{all: in.memory, senders: in.senders, sender: from.name})
	}
	return sent, from.tenant, err
}

// chunks are what a post has collected.
func (in *Intake) chunks(memory *budget, receipt *Receipt, collect func(*collector) error) ([]Chunk, error) {
	lines := in.lines.Get().(*[]byte)
	c := &collector{in: in, memory: memory, receipt: receipt, lines: (*lines)[:0]}
	defer func() {
		*lines = c.lines
		in.lines.Put(lines)
	}()
	if err := collect(c); err != nil {
		return nil, err
	}
	if err := c.pack(); err != nil {
		return nil, err
	}
	return c.chunks, nil
}

// RetryAfter is how long a sender is asked to wait after an error that passes; 0 after one that stays.
func RetryAfter(err error) time.Duration {
	switch {
	case errors.Is(err, ErrBusy):
		return time.Second
	case errors.Is(err, ErrFull), errors.Is(err, ErrDisk):
		return 30 * time.Second
	case errors.Is(err, ErrLog), errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return 5 * time.Second
	}
	return 0
}

// reader reads the lines of a post.
type reader struct {
	lines    *schemas.EventLines
	examiner accounting.Examiner
	reasons  []schemas.Reason
	given    []bool // by the post: the tenants of a batch's events
}
