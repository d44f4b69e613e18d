package flussonic

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/playmeter/playmeter/intake/elements"
)

// Limits of a body. Its size in bytes is its reader's to bound.
const (
	// MaxElements is how many elements a body may have, unless Options say otherwise.
	MaxElements = 100_000
	// maxDepth is how deep an element may be nested. Theirs are at most a few levels deep.
	maxDepth = 32
)

// ErrBody is wrapped by the errors of [Decode] about a body: nothing of it is to be kept, and it may be sent again.
var ErrBody = errors.New("not a batch of events")

// ErrTooMany is a body with more elements than allowed.
var ErrTooMany = fmt.Errorf("%w: too many elements", ErrBody)

// ErrEnd is a body that ends early: the next try may be whole.
var ErrEnd = elements.ErrEnds

// splitter finds the elements of a body of any shape: a list, an object, an object with a list of events, or a line
// for each. An element need not be valid.
type splitter struct {
	visit func(element []byte) error
}

// split visits the elements of a body, at most so many. A body that is whole is none that is sent again for ever: where
// nobody can read it, it is an element that is refused.
func split(body []byte, most int, visit func(element []byte) error) error {
	n := 0
	s := splitter{func(element []byte) error {
		if n++; n > most {
			return fmt.Errorf("%w, more than %d; send less at once", ErrTooMany, most)
		}
		return visit(element)
	}}
	body = bytes.TrimPrefix(body, []byte("\xEF\xBB\xBF"))
	err := s.body(body[elements.SkipSpace(body, 0):])
	if errors.Is(err, elements.ErrEnds) {
		return fmt.Errorf("%w: %w", ErrBody, err)
	}
	return err
}

// body adds what a body holds that begins with no white space.
func (s *splitter) body(b []byte) error {
	switch {
	case len(b) == 0:
		return nil
	case b[0] == '[':
		return s.list(b)
	case b[0] == '{':
		return s.objects(b)
	case bytes.Contains(b, []byte("\n{")):
		return s.lines(b)
	case isUTF16(b) || json.Valid(b):
		return s.visit(b)
	}
	return fmt.Errorf("%w: the body must be a JSON list, an object, or a line of JSON for each event", ErrBody)
}

// isUTF16 tells whether a text is written in units of two bytes: with a byte order mark, or because JSON begins with ASCII.
func isUTF16(b []byte) bool {
	return b[0] == 0 || bytes.HasPrefix(b, []byte("\xFF\xFE")) || bytes.HasPrefix(b, []byte("\xFE\xFF"))
}

// list adds the elements of a list. What follows it is an element that is none.
func (s *splitter) list(b []byte) error {
	rest, err := elements.List(b, s.visit)
	if err != nil {
		return err
	}
	if rest = bytes.TrimSpace(rest); len(rest) > 0 {
		return s.visit(rest)
	}
	return nil
}

// objects adds what a body that begins with an object holds.
func (s *splitter) objects(b []byte) error {
	end, _, whole := elements.End(b, 0)
	if whole && elements.SkipSpace(b, end) == len(b) {
		return s.object(b[:end])
	}
	if !whole && !beginsLines(b) {
		return fmt.Errorf("%w inside of element 0", elements.ErrEnds)
	}
	return s.lines(b)
}

// beginsLines tells whether a first line that ends inside of its object may nevertheless be a broken line
// among others, and not the beginning of an object that goes on.
func beginsLines(b []byte) bool {
	first, rest, more := bytes.Cut(b, []byte{'\n'})
	first = bytes.TrimSpace(first)
	return more && len(bytes.TrimSpace(rest)) > 0 && bytes.IndexByte([]byte("{[,:"), first[len(first)-1]) < 0
}

// object adds an object: the events that it lists, or itself.
func (s *splitter) object(b []byte) error {
	var events []byte
	isEvent := false
	elements.Members(b, func(name, value []byte) {
		switch string(name) {
		case "events":
			events = value
		case "event":
			isEvent = true
		}
	})
	switch {
	case isEvent || events == nil:
		return s.visit(b)
	case events[0] == '[':
		return s.list(events)
	case string(events) == "null":
		return nil
	}
	return s.visit(events)
}

// lines adds what follows each other. The last line may have been cut off.
func (s *splitter) lines(b []byte) error {
	last := bytes.TrimSpace(b[bytes.LastIndexByte(b, '\n')+1:])
	if len(last) > 0 && (last[0] == '{' || last[0] == '[' || last[0] == '"') {
		if _, _, whole := elements.End(last, 0); !whole {
			return fmt.Errorf("%w inside of its last line", elements.ErrEnds)
		}
	}
	return elements.Stream(b, s.visit)
}
