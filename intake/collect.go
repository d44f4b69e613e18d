package intake

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
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
	reasonTooLong     = "too_long"
	reasonEnvelope    = "bad_cloudevent"
	reasonRecord      = "bad_record"
)

// explained says what to do about a reason.
var explained = map[schemas.Reason]string{
	schemas.ReasonBadLine:   "is no JSON object, or longer than 1 MiB",
	schemas.ReasonNoTenant:  "names no tenant_id: name one, post with ?tenant=ID, or use a token that is bound to a tenant",
	schemas.ReasonBadTenant: "has a tenant_id that is none",
	schemas.ReasonBadTime:   "has no time between 2000 and 2100: write RFC 3339 or Unix milliseconds",
	schemas.ReasonBadValue:  "has a value that does not convert to its column's type",
	schemas.ReasonNoNode:    "names no node_id",
	schemas.ReasonNoObject:  "names no object_id, and no version_hash that holds one",
}

// events adds bare events.
func (c *collector) events(found elements, body []byte, tenant schemas.Tenant) error {
	r := c.in.readers.Get().(*reader)
	defer c.in.readers.Put(r)
	r.lines.Reset(bytes.NewReader(found.lines))
	id := idPrefix(body)
	var e schemas.Event
	for index := 0; ; {
		b, err := r.lines.Next()
		if err == io.EOF {
			return nil
		} else if err != nil {
			return fmt.Errorf("%w: %w", ErrBody, err)
		}
		c.complete(b, found.envelopes, index, tenant)
		r.reasons = r.examiner.Examine(b, r.reasons[:0])
		for i := range b.Len {
			if c.mayKeep(b, i, index, r.reasons[i], found.envelopes, tenant) {
				b.Event(i, &e)
				setID(&e, found.envelopes, index, id)
				if err := c.add(&e, index); err != nil {
					return err
				}
			}
			index++
		}
	}
}

// complete fills in what the events of a batch leave to their envelopes and to the post.
func (c *collector) complete(b *schemas.Batch, envelopes []envelope, first int, tenant schemas.Tenant) {
	for i := range b.Len {
		if tenant != "" {
			b.Complete(schemas.ColTenant, i, string(tenant))
		}
		if envelopes != nil && first+i < len(envelopes) {
			e := &envelopes[first+i]
			b.Complete(schemas.ColNode, i, e.source)
			if e.time != 0 {
				b.CompleteTime(i, e.time)
			}
		}
	}
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

// idPrefix is what the ids of a body's events begin with, where they have none of their own: so a post that is
// repeated brings the same ids (SPEC 12).
func idPrefix(body []byte) string {
	sum := sha256.Sum256(body)
	return hex.EncodeToString(sum[:]) + "-"
}

// setID gives an event an id by which it is known when it comes again.
func setID(e *schemas.Event, envelopes []envelope, index int, prefix string) {
	switch {
	case e.EventID != "":
	case envelopes != nil && index < len(envelopes):
		e.EventID = envelopes[index].id
	case e.Seq == nil:
		e.EventID = prefix + strconv.Itoa(index)
	}
}

// records adds what a Flussonic server reports.
func (c *collector) records(r *flussonic.Result) error {
	c.receipt.Ignored = r.Ignored
	for _, refused := range r.Refused {
		c.receipt.refuse(refused.Index, reasonRecord, refused.Reason)
	}
	for i := range r.Events {
		if err := c.add(&r.Events[i], r.Places[i]); err != nil {
			return err
		}
	}
	return nil
}

// add keeps an event.
func (c *collector) add(e *schemas.Event, index int) error {
	accounting.Discreet(e)
	before := len(c.lines)
	c.lines = schemas.AppendEvent(c.lines, e)
	if len(c.lines)-before > maxEventBytes {
		c.lines = c.lines[:before]
		c.receipt.refuse(index, reasonTooLong, fmt.Sprintf("takes more than %d KiB", maxEventBytes>>10))
		return nil
	}
	c.count++
	c.receipt.Accepted++
	if len(c.lines) >= chunkBytes || c.count >= maxMessageEvents {
		return c.pack()
	}
	return nil
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
	c.chunks = append(c.chunks, Chunk{Frame: frame, Events: c.count})
	c.lines, c.count = c.lines[:0], 0
	return nil
}
