package intake

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"
)

// elements are the events of a body, one a line, and what their envelopes say.
type elements struct {
	lines     []byte
	envelopes []envelope // of CloudEvents, one for each line that is not blank; nil for bare events
}

// envelope is what a CloudEvent says of the event that it holds. Where the event says so itself, that stands.
type envelope struct {
	id, source string
	time       int64 // Unix ns; 0: it does not say
	fault      string
}

// The media types of CloudEvents in JSON (CloudEvents 1.0, HTTP protocol binding).
const (
	typeStructured = "application/cloudevents+json"
	typeBatched    = "application/cloudevents-batch+json"
)

// findElements takes a body apart: NDJSON, a JSON list, one JSON object, or CloudEvents in any of the three modes of
// their HTTP binding.
func findElements(h http.Header, body []byte, memory *budget) (elements, error) {
	kind, _, _ := mime.ParseMediaType(h.Get("Content-Type"))
	trimmed := bytes.TrimLeft(bytes.TrimPrefix(body, []byte("\uFEFF")), " \t\r\n")
	ce := strings.HasPrefix(kind, "application/cloudevents") || h.Get("Ce-Specversion") != ""
	if !ce && (len(trimmed) == 0 || trimmed[0] != '[' && firstLineIsWhole(trimmed)) {
		return elements{lines: body}, nil
	}
	if err := memory.take(2 * int64(len(body))); err != nil { // for the elements, and for their lines
		return elements{}, err
	}
	switch {
	case kind == typeStructured:
		if !json.Valid(trimmed) {
			return elements{}, fmt.Errorf("%w: %s is one JSON object, this is none", ErrBody, kind)
		}
		return cloudEvents([]json.RawMessage{trimmed}), nil
	case kind == typeBatched:
		list, err := splitList(trimmed)
		return cloudEvents(list), err
	case strings.HasPrefix(kind, "application/cloudevents"):
		return elements{}, fmt.Errorf("%w: of CloudEvents' formats only JSON is known: send %s or %s", ErrEncoding, typeStructured, typeBatched)
	case h.Get("Ce-Specversion") != "":
		return binaryEvent(h, trimmed), nil
	case trimmed[0] == '[':
		list, err := splitList(trimmed)
		return bareEvents(list), err
	}
	if list, err := splitStream(trimmed); err == nil {
		return bareEvents(list), nil
	}
	return elements{lines: body}, nil // what is wrong with each line is said of it
}

// firstLineIsWhole tells whether a body is NDJSON, rather than objects that are printed over several lines, or that lost the ends
// of their lines, as with curl -d.
func firstLineIsWhole(body []byte) bool {
	line, _, _ := bytes.Cut(body, []byte{'\n'})
	return json.Valid(line)
}

// splitStream takes JSON values apart that follow each other.
func splitStream(body []byte) (list []json.RawMessage, err error) {
	d := json.NewDecoder(bytes.NewReader(body))
	for {
		var one json.RawMessage
		if err := d.Decode(&one); err == io.EOF {
			return list, nil
		} else if err != nil {
			return nil, err
		}
		if list = append(list, one); len(list) > maxElements {
			return nil, fmt.Errorf("%w: it has more than %d events", ErrTooLarge, maxElements)
		}
	}
}

// maxElements bounds the elements of a list.
const maxElements = 250_000

// splitList takes a JSON list apart.
func splitList(body []byte) (list []json.RawMessage, err error) {
	d := json.NewDecoder(bytes.NewReader(body))
	if t, err := d.Token(); err != nil || t != json.Delim('[') {
		return nil, fmt.Errorf("%w: a JSON list was expected", ErrBody)
	}
	for d.More() {
		var one json.RawMessage
		if err := d.Decode(&one); err != nil {
			return nil, fmt.Errorf("%w: element %d of the list: %w", ErrBody, len(list), err)
		}
		if list = append(list, one); len(list) > maxElements {
			return nil, fmt.Errorf("%w: it has more than %d events", ErrTooLarge, maxElements)
		}
	}
	if _, err := d.Token(); err != nil {
		return nil, fmt.Errorf("%w: the list has no end", ErrBody)
	}
	if d.More() {
		return nil, fmt.Errorf("%w: something follows the list", ErrBody)
	}
	return list, nil
}

// bareEvents puts each element onto a line of its own.
func bareEvents(list []json.RawMessage) elements {
	var out bytes.Buffer
	for _, one := range list {
		addLine(&out, one)
	}
	return elements{lines: out.Bytes()}
}

func addLine(out *bytes.Buffer, one []byte) {
	if len(one) == 0 || json.Compact(out, one) != nil {
		out.WriteString("0") // no event
	}
	out.WriteByte('\n')
}

// cloudEvents opens envelopes. One that is not as the specification has it is noted as a fault of its own.
func cloudEvents(list []json.RawMessage) elements {
	var out bytes.Buffer
	found := elements{envelopes: make([]envelope, 0, len(list))}
	for _, one := range list {
		e, data := openEnvelope(one)
		found.envelopes = append(found.envelopes, e)
		addLine(&out, data)
	}
	found.lines = out.Bytes()
	return found
}

func openEnvelope(one []byte) (envelope, []byte) {
	var c event.Event
	if err := c.UnmarshalJSON(one); err != nil {
		return envelope{fault: "is no CloudEvent: " + firstLine(err)}, nil
	}
	return envelopeOf(&c)
}

func envelopeOf(c *event.Event) (envelope, []byte) {
	if err := c.Validate(); err != nil {
		return envelope{fault: "is no valid CloudEvent: " + firstLine(err)}, nil
	}
	if kind, _, err := mime.ParseMediaType(c.DataContentType()); c.DataContentType() != "" && (err != nil || kind != "application/json" && !strings.HasSuffix(kind, "+json")) {
		return envelope{fault: "has data that is not JSON"}, nil
	}
	e := envelope{id: c.ID(), source: c.Source()}
	if !c.Time().IsZero() {
		e.time = c.Time().UnixNano()
	}
	return e, c.Data()
}

// binaryEvent opens the envelope that the headers are.
func binaryEvent(h http.Header, data []byte) elements {
	e, err := headerEnvelope(h)
	if err != nil {
		e, data = envelope{fault: "is no valid CloudEvent: " + firstLine(err)}, nil
	}
	var out bytes.Buffer
	addLine(&out, data)
	return elements{lines: out.Bytes(), envelopes: []envelope{e}}
}

func headerEnvelope(h http.Header) (envelope, error) {
	c := event.New(h.Get("Ce-Specversion"))
	if c.SpecVersion() != h.Get("Ce-Specversion") {
		return envelope{}, errors.New("its specversion is not known; send 1.0")
	}
	attribute := func(name string) string {
		value := h.Get("Ce-" + name)
		if plain, err := url.PathUnescape(value); err == nil {
			return plain
		}
		return value
	}
	c.SetID(attribute("Id"))
	c.SetSource(attribute("Source"))
	c.SetType(attribute("Type"))
	if text := attribute("Time"); text != "" {
		at, err := time.Parse(time.RFC3339Nano, text)
		if err != nil {
			return envelope{}, errors.New("its time is not as RFC 3339 has it")
		}
		c.SetTime(at)
	}
	if kind := h.Get("Content-Type"); kind != "" {
		c.SetDataContentType(kind)
	}
	e, _ := envelopeOf(&c)
	if e.fault != "" {
		return envelope{}, errors.New(strings.TrimPrefix(e.fault, "is no valid CloudEvent: "))
	}
	return e, nil
}

// firstLine is the first line of an error's text, and not too much of it.
func firstLine(err error) string {
	text, _, _ := strings.Cut(strings.TrimSpace(err.Error()), "\n")
	return strings.ToValidUTF8(text[:min(len(text), 200)], "\uFFFD")
}
