package intake

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"strings"

	"github.com/playmeter/playmeter/intake/elements"
)

// found are the events of a body, one a line, and what their envelopes say.
type found struct {
	lines     []byte
	envelopes []envelope // of CloudEvents, one for each line that is not blank; nil for bare events
}

// findElements takes a body apart: NDJSON, a JSON list, JSON objects that follow each other, or CloudEvents in any of the three
// modes of their HTTP binding. An element that cannot be read is a line that holds no event.
func findElements(h http.Header, body []byte, memory *budget) (found, error) {
	kind, _, _ := mime.ParseMediaType(h.Get("Content-Type"))
	trimmed := bytes.TrimLeft(bytes.TrimPrefix(body, []byte("\uFEFF")), " \t\r\n")
	binary := h.Get("Ce-Specversion") != ""
	ce := strings.HasPrefix(kind, "application/cloudevents") || binary
	enveloped := !ce && beginsWithCloudEvent(trimmed)
	ce = ce || enveloped
	if !ce && (len(trimmed) == 0 || trimmed[0] != '[' && elements.AreLines(trimmed)) {
		return found{lines: body}, nil
	}
	l := lister{memory: memory}
	if err := l.room(len(trimmed)); err != nil {
		return found{}, err
	}
	var err error
	switch {
	case kind == typeStructured:
		if !json.Valid(trimmed) {
			return found{}, fmt.Errorf("%w: %s is one JSON object, this is none", ErrBody, kind)
		}
		err = l.cloudEvent(trimmed)
	case kind == typeBatched:
		err = l.list(trimmed, l.cloudEvent)
	case strings.HasPrefix(kind, "application/cloudevents"):
		return found{}, fmt.Errorf("%w: of CloudEvents' formats only JSON is known: send %s or %s", ErrEncoding, typeStructured, typeBatched)
	case binary:
		err = l.add(headerEnvelope(h, trimmed))
	case enveloped && trimmed[0] == '[':
		err = l.list(trimmed, l.cloudEvent)
	case enveloped:
		err = elements.Stream(trimmed, l.counted(l.cloudEvent))
	case trimmed[0] == '[':
		err = l.list(trimmed, l.bare)
	default:
		err = elements.Stream(trimmed, l.counted(l.bare))
	}
	return found{l.lines.Bytes(), l.envelopes}, err
}

// beginsWithCloudEvent tells whether the first event of a body is in an envelope, though the body's Content-Type says nothing of
// it.
func beginsWithCloudEvent(body []byte) bool {
	i := 0
	if len(body) > 0 && body[0] == '[' {
		i = elements.SkipSpace(body, 1)
	}
	if i >= len(body) || body[i] != '{' {
		return false
	}
	end, _, whole := elements.End(body, i)
	version, data := false, false
	return whole && elements.Members(body[i:end], func(name, _ []byte) {
		version = version || string(name) == "specversion"
		data = data || string(name) == "data" || string(name) == "data_base64"
	}) && version && data
}

// maxElements bounds the elements of a body that is no plain NDJSON.
const maxElements = 250_000

// lister puts elements onto lines.
type lister struct {
	memory    *budget
	lines     bytes.Buffer
	envelopes []envelope
	count     int
	unpaid    int // bytes of envelopes that no memory is taken for yet
}

// room makes room for the lines of a body.
func (l *lister) room(size int) error {
	// A line is no longer than its element and the comma behind it, but that an empty element becomes a line of two bytes.
	size += min(size, maxElements) + 64
	if err := l.memory.take(int64(size)); err != nil {
		return err
	}
	l.lines.Grow(size)
	return nil
}

// list adds the elements of a list.
func (l *lister) list(body []byte, add func([]byte) error) error {
	if len(body) == 0 || body[0] != '[' {
		return fmt.Errorf("%w: a JSON list was expected", ErrBody)
	}
	rest, err := elements.List(body, l.counted(add))
	switch {
	case errors.Is(err, elements.ErrEnds):
		return fmt.Errorf("%w: %w", ErrBody, err)
	case err == nil && len(bytes.TrimSpace(rest)) > 0:
		return fmt.Errorf("%w: something follows the list", ErrBody)
	}
	return err
}

// counted adds elements until they are too many.
func (l *lister) counted(add func([]byte) error) func([]byte) error {
	return func(one []byte) error {
		if l.count++; l.count > maxElements {
			return fmt.Errorf("%w: it has more than %d events", ErrTooLarge, maxElements)
		}
		return add(one)
	}
}

// bare puts an element onto a line of its own.
func (l *lister) bare(one []byte) error {
	if len(one) == 0 || json.Compact(&l.lines, one) != nil {
		l.lines.WriteByte('0') // no event
	}
	l.lines.WriteByte('\n')
	return nil
}

// cloudEvent opens an envelope.
func (l *lister) cloudEvent(one []byte) error { return l.add(openEnvelope(one)) }

const (
	// envelopeBytes is what an envelope takes in a list that doubles as it grows, beside its texts.
	envelopeBytes = 128
	// paidAtOnce is how many bytes of envelopes memory is taken for at a time.
	paidAtOnce = 16 << 10
)

// add adds an envelope and the event that was in it.
func (l *lister) add(e envelope, data []byte) error {
	if l.unpaid += envelopeBytes + len(e.id) + len(e.source); l.unpaid > paidAtOnce {
		if err := l.memory.take(int64(l.unpaid)); err != nil {
			return err
		}
		l.unpaid = 0
	}
	l.envelopes = append(l.envelopes, e)
	return l.bare(data)
}
