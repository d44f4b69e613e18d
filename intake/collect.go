package intake

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strconv"

	"github.com/playmeter/playmeter/accounting"
	"github.com/playmeter/playmeter/intake/flussonic"
	"github.com/playmeter/playmeter/schemas"
)

// collector gathers the events of a post as they are kept.
type collector struct {
	in      *Intake
	memory  *budget
	receipt *Receipt
	lines   []byte // since the last chunk
	count   int
	chunks  []Chunk

	speaksFor func(node string) bool // nil: all may be spoken for
}

const (
	// chunkBytes is from which size of its lines a chunk is packed.
	chunkBytes = 512 << 10
	// maxEventBytes bounds an event as it is kept: chunk and event together fit into a message.
	maxEventBytes = 256 << 10
)

// Reasons for which an event is refused here, beside those for which a report would reject it.
const (
	reasonOtherTenant = "other_tenant"
	reasonOtherNode   = "other_node"
	reasonTooLong     = "too_long"
	reasonEnvelope    = "bad_cloudevent"
)

// explained says what to do about a reason.
var explained = map[schemas.Reason]string{
	schemas.ReasonBadLine:   "is no JSON object, or longer than 1 MiB; a packed body needs its Content-Encoding, gzip or zstd",
	schemas.ReasonNoTenant:  "names no tenant_id: name one, post with ?tenant=ID, or use a token that is bound to a tenant",
	schemas.ReasonBadTenant: "has a tenant_id that is none",
	schemas.ReasonBadTime:   "has no time between 2000 and 2100: write RFC 3339 with its zone, such as 2026-10-14T09:30:00Z, or Unix milliseconds",
	schemas.ReasonBadValue:  "has a value that does not convert to its column's type",
	schemas.ReasonNoNode:    "names no node_id",
	schemas.ReasonNoObject:  "names no object_id, and no version_hash that holds one",

	schemas.ReasonUnknownKind:      "has no kind, or none of playout, data_download, public_download, ingest, media, update, rep, session",
	schemas.ReasonUnknownTrack:     "has a track that is none of video, audio, muxed, text, manifest, init",
	schemas.ReasonIDTooLong:        "has an object, node or session id of more than 1,024 bytes",
	schemas.ReasonObjectIsTenant:   "has an object_id that is its tenant_id",
	schemas.ReasonNegativeBytes:    "has bytes below 0",
	schemas.ReasonNegativeDuration: "has a duration_us below 0",
	schemas.ReasonNegativeValue:    "has a status, size, segment or seq below 0",
	schemas.ReasonImplausible:      "has more than 2^50 bytes, or more than 31 days",
}

// events adds bare events.
func (c *collector) events(found found, body []byte, tenant schemas.Tenant) error {
	r := c.in.readers.Get().(*reader)
	defer c.in.readers.Put(r)
	r.lines.Reset(bytes.NewReader(found.lines))
	ids := newIDs(body, tenant)
	var e schemas.Event
	for index := 0; ; {
		b, err := r.lines.Next()
		if err == io.EOF {
			return nil
		} else if err != nil {
			return fmt.Errorf("%w: %w", ErrBody, err)
		}
		r.given = c.complete(b, found.envelopes, index, tenant, r.given[:0])
		r.reasons = r.examiner.Examine(b, r.reasons[:0])
		for i := range b.Len {
			if c.mayKeep(b, i, index, r.reasons[i], found.envelopes, tenant) {
				b.Event(i, &e)
				ids.set(&e, found.envelopes, index, r.given[i])
				if _, err := c.add(&e, index); err != nil {
					return err
				}
			}
			index++
		}
	}
}

// complete fills in what the events of a batch leave to their envelopes and to the post, and appends to given, for each,
// whether the post gave it its tenant.
func (c *collector) complete(b *schemas.Batch, envelopes []envelope, first int, tenant schemas.Tenant, given []bool) []bool {
	for i := range b.Len {
		given = append(given, tenant != "" && b.Complete(schemas.ColTenant, i, string(tenant)))
		if envelopes != nil && first+i < len(envelopes) {
			e := &envelopes[first+i]
			b.Complete(schemas.ColNode, i, e.source)
			if e.time != 0 {
				b.CompleteTime(i, e.time)
			}
		}
	}
	return given
}

// mayKeep refuses what is not to be kept.
func (c *collector) mayKeep(b *schemas.Batch, i, index int, reason schemas.Reason, envelopes []envelope, tenant schemas.Tenant) bool {
	if envelopes != nil && index < len(envelopes) && envelopes[index].fault != "" {
		c.receipt.refuse(index, reasonEnvelope, envelopes[index].fault)
		return false
	}
	if reason != schemas.ReasonNone {
		c.receipt.refuse(index, reason.String(), explained[reason])
		return false
	}
	if tenant != "" && b.Dict.Text(b.Strings[schemas.ColTenant][i]) != string(tenant) {
		c.receipt.refuse(index, reasonOtherTenant, "is of another tenant than the post")
		return false
	}
	return true
}

// ids are those of a body's events that have none of their own: the body's digest and the event's position, so that a
// post that is repeated brings the same ids (SPEC 12), and the tenant where the post says it, so that a body that was
// posted for the wrong one is not taken for its copy when it is posted for the right one.
type ids struct{ body, tenant string }

func newIDs(body []byte, tenant schemas.Tenant) ids {
	sum := sha256.Sum256(body)
	return ids{hex.EncodeToString(sum[:]), string(tenant)}
}

// set gives an event an id by which it is known when it comes again.
func (d ids) set(e *schemas.Event, envelopes []envelope, index int, given bool) {
	switch {
	case e.EventID != "":
	case envelopes != nil && index < len(envelopes):
		e.EventID = envelopes[index].id
	case e.Seq == nil:
		e.EventID = d.body + "-" + strconv.Itoa(index)
		if given {
			e.EventID += "-" + d.tenant
		}
	}
}

// reasonBody is that of a body of a Flussonic server that is none.
const reasonBody = "bad_body"

// records adds what a Flussonic server reports.
//
//   - A body that is whole and no batch of events is refused in the receipt: as an error its server would send it
//     for ever, and everything behind it would wait. One that ends early is an error, because the next try may be whole.
func (c *collector) records(body []byte, o flussonic.Options) error {
	err := flussonic.Decode(body, o, c.record)
	switch {
	case errors.Is(err, flussonic.ErrTooMany):
		return fmt.Errorf("%w: %w", ErrTooLarge, err)
	case errors.Is(err, flussonic.ErrEnd):
		return fmt.Errorf("%w: %w", ErrBody, err)
	case errors.Is(err, flussonic.ErrBody):
		c.receipt.refuse(0, reasonBody, "is no JSON list, object or lines of JSON: nothing in the body can be read")
		c.receipt.lose(Loss{Reason: reasonBody, Server: o.Peer.Unmap().String()})
		return nil
	}
	return err
}

// record adds what an element came to. Who sent it is answered that all is well, and reads no refusals: so those are
// told here as losses.
func (c *collector) record(x flussonic.Element) error {
	switch {
	case x.Event != nil:
		refused, err := c.add(x.Event, x.Index)
		if refused != "" {
			c.receipt.lose(Loss{Reason: refused, Server: shortened(x.Event.NodeID)})
		}
		return err
	case x.Refused != nil:
		c.receipt.refuse(x.Index, string(x.Refused.Reason), x.Refused.Detail)
		c.receipt.lose(lossOf(x.Refused))
	default:
		c.receipt.Ignored++
	}
	return nil
}

// add keeps an event, or tells the reason for which it refuses it.
func (c *collector) add(e *schemas.Event, index int) (refused string, err error) {
	if c.speaksFor != nil && !c.speaksFor(e.NodeID) {
		c.receipt.refuse(index, reasonOtherNode, "is of a node that the token is not for")
		return reasonOtherNode, nil
	}
	accounting.Discreet(e)
	before := len(c.lines)
	c.lines = schemas.AppendEvent(c.lines, e)
	if len(c.lines)-before > maxEventBytes {
		c.lines = c.lines[:before]
		c.receipt.refuse(index, reasonTooLong, fmt.Sprintf("takes more than %d KiB", maxEventBytes>>10))
		return reasonTooLong, nil
	}
	c.count++
	c.receipt.Accepted++
	if len(c.lines) >= chunkBytes || c.count >= maxMessageEvents {
		return "", c.pack()
	}
	return "", nil
}

// pack makes a chunk of the lines so far.
func (c *collector) pack() error {
	if c.count == 0 {
		return nil
	}
	frame := c.in.packer.EncodeAll(c.lines, nil)
	if err := c.memory.take(int64(cap(frame))); err != nil {
		return err
	}
	c.chunks = append(c.chunks, Chunk{Frame: frame, Events: c.count, Size: len(c.lines)})
	c.lines, c.count = c.lines[:0], 0
	return nil
}
