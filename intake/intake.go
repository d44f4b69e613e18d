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
	packer  *zstd.Encoder
	readers sync.Pool // of *reader
	lines   sync.Pool // of *[]byte: what collectors write to
	rules   atomic.Pointer[Rules]
	Counts  Counts
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
	in := &Intake{log: log, memory: semaphore.NewWeighted(maxMemory), packer: packer}
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
	Peer   netip.Addr
	// Trusted tells that it is known who posts. Else the post must be signed.
	Trusted bool
}

// Receipt is what became of a post.
type Receipt struct {
	Accepted int       `json:"accepted"`
	Ignored  int       `json:"ignored,omitempty"` // events of no concern
	Refused  int       `json:"refused"`
	Refusals []Refusal `json:"refusals,omitempty"` // the first of them
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
	return in.take(ctx, routeEvents, p, func(c *collector, sent, body []byte) error {
		found, err := findElements(p.Header, body, c.memory)
		if err != nil {
			return err
		}
		return c.events(found, body, p.Tenant)
	})
}

// Flussonic takes a post of a Flussonic server. Errors are those of Events, and ErrUnsigned.
func (in *Intake) Flussonic(ctx context.Context, p *Post) (Receipt, error) {
	return in.take(ctx, routeFlussonic, p, func(c *collector, sent, body []byte) error {
		rules := in.rules.Load()
		tenant, err := rules.sender(p, sent)
		if err != nil {
			return err
		}
		result, err := flussonic.Decode(body, flussonic.Options{Peer: p.Peer, Tenant: tenant, Rules: rules.Streams})
		if errors.Is(err, flussonic.ErrTooMany) {
			return fmt.Errorf("%w: %w", ErrTooLarge, err)
		} else if err != nil {
			return fmt.Errorf("%w: %w", ErrBody, err)
		}
		return c.records(&result)
	})
}

// sender finds whom a post is bound to by its signature, and whether it may be taken.
func (r *Rules) sender(p *Post, sent []byte) (schemas.Tenant, error) {
	header := p.Header.Get(flussonic.SignatureHeader)
	if header == "" || len(r.Signers) == 0 {
		if !p.Trusted {
			return "", ErrUnsigned
		}
		return p.Tenant, nil
	}
	keys := make([]crypto.Secret, len(r.Signers))
	for i, s := range r.Signers {
		keys[i] = s.Key
	}
	i, ok := flussonic.Signed(sent, header, keys)
	if !ok {
		return "", ErrUnsigned
	}
	bound := r.Signers[i].Tenant
	if p.Tenant != "" && bound != p.Tenant && (bound != "" || !p.Trusted) {
		// The signature is of the body alone: whoever has seen one could post it for another tenant.
		return "", fmt.Errorf("%w for tenant %s", ErrUnsigned, p.Tenant)
	}
	if p.Tenant != "" {
		return p.Tenant, nil
	}
	return bound, nil
}

// take reads a post, has its events collected, and keeps them.
func (in *Intake) take(ctx context.Context, route string, p *Post, collect func(c *collector, sent, body []byte) error) (receipt Receipt, err error) {
	defer func() { in.Counts.post(route, &receipt, err) }()
	memory := &budget{all: in.memory}
	defer memory.release()
	sent, body, err := memory.readBody(p.Body, p.Header.Get("Content-Encoding"))
	if err != nil {
		return Receipt{}, err
	}
	chunks, err := in.chunks(memory, &receipt, func(c *collector) error { return collect(c, sent, body) })
	if err != nil {
		return Receipt{}, err
	}
	if err := in.log.Append(ctx, chunks); err != nil {
		return Receipt{}, err
	}
	return receipt, nil
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
	for _, passing := range []error{ErrBusy, ErrFull, ErrDisk, ErrLog, context.Canceled, context.DeadlineExceeded} {
		if errors.Is(err, passing) {
			return retryAfter(err)
		}
	}
	return 0
}

// reader reads the lines of a post.
type reader struct {
	lines    *schemas.EventLines
	examiner accounting.Examiner
	reasons  []schemas.Reason
}
