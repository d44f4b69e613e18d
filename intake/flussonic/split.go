package flussonic

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
)

// Limits of a body. Its size in bytes is its reader's to bound.
const (
	// MaxElements is how many elements a body may have, unless Options say otherwise.
	MaxElements = 100_000
	// maxDepth is how deep an element may be nested. Theirs are at most a few levels deep.
	maxDepth = 32
)

// ErrBody is wrapped by every error of [Decode]: nothing of the body was taken, and it may be sent again.
var ErrBody = errors.New("not a batch of events")

// ErrTooMany is a body with more elements than allowed.
var ErrTooMany = fmt.Errorf("%w: too many elements", ErrBody)

// splitter collects the elements of a body.
type splitter struct {
	elements [][]byte
	most     int
}

func (s *splitter) add(element []byte) error {
	if len(s.elements) >= s.most {
		return fmt.Errorf("%w, more than %d; send less at once", ErrTooMany, s.most)
	}
	s.elements = append(s.elements, bytes.TrimSpace(element))
	return nil
}

// split finds the elements of a body of any shape: a list, an object, an object with a list of events,
// or a line for each. An element need not be valid.
func split(body []byte, most int) ([][]byte, error) {
	s := &splitter{most: most}
	body = bytes.TrimPrefix(body, []byte("\xEF\xBB\xBF"))
	i := skipSpace(body, 0)
	if i == len(body) {
		return nil, fmt.Errorf("%w: the body is empty", ErrBody)
	}
	var err error
	switch body[i] {
	case '[':
		err = s.list(body, i)
	case '{':
		err = s.objects(body, i)
	default:
		return nil, fmt.Errorf("%w: the body begins with %q; it must be a JSON list, an object, or a line of JSON for each event", ErrBody, cut(body[i:], 20))
	}
	if err != nil {
		return nil, err
	}
	return s.elements, s.anyValid()
}

// anyValid refuses a body that is JSON nowhere.
func (s *splitter) anyValid() error {
	if len(s.elements) == 0 {
		return nil
	}
	for _, e := range s.elements {
		if json.Valid(e) {
			return nil
		}
	}
	return fmt.Errorf("%w: nothing in the body is valid JSON", ErrBody)
}

// list adds the elements of the list that begins at i. What follows it is an element that is none.
func (s *splitter) list(b []byte, i int) error {
	i = skipSpace(b, i+1)
	if i < len(b) && b[i] == ']' {
		return s.rest(b[i+1:])
	}
	for i < len(b) {
		start := i
		i = s.elementEnd(b, i)
		if i >= len(b) {
			break
		}
		if err := s.add(b[start:i]); err != nil {
			return err
		}
		if b[i] == ']' {
			return s.rest(b[i+1:])
		}
		i = skipSpace(b, i+1)
	}
	return fmt.Errorf("%w: the body ends inside of element %d", ErrBody, len(s.elements))
}

// elementEnd is where a list goes on or ends, behind the element at i and what else stands
// before the next comma.
func (s *splitter) elementEnd(b []byte, i int) int {
	for {
		i = skipSpace(b, i)
		if i >= len(b) || b[i] == ',' || b[i] == ']' {
			return i
		}
		end, _, whole := valueEnd(b, i)
		if !whole {
			return len(b)
		}
		i = max(end, i+1)
	}
}

func (s *splitter) rest(b []byte) error {
	if i := skipSpace(b, 0); i < len(b) {
		return s.add(b[i:])
	}
	return nil
}

// objects adds what a body that begins with an object holds.
func (s *splitter) objects(b []byte, i int) error {
	end, _, whole := valueEnd(b, i)
	if whole && skipSpace(b, end) == len(b) {
		return s.object(b[i:end])
	}
	if !whole && !beginsLines(b[i:]) {
		return fmt.Errorf("%w: the body ends inside of element 0", ErrBody)
	}
	return s.lines(b[i:])
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
	members(b, func(name, value []byte) {
		switch string(name) {
		case "events":
			events = value
		case "event":
			isEvent = true
		}
	})
	switch {
	case isEvent || events == nil:
		return s.add(b)
	case events[0] == '[':
		return s.list(events, 0)
	case string(events) == "null":
		return nil
	}
	return s.add(events)
}

// lines adds an element for each line that is not blank. The last one may have been cut off.
func (s *splitter) lines(b []byte) error {
	for len(b) > 0 {
		line, rest, ended := bytes.Cut(b, []byte{'\n'})
		b = rest
		if line = bytes.TrimSpace(line); len(line) == 0 {
			continue
		}
		if _, _, whole := valueEnd(line, 0); !whole && !ended {
			return fmt.Errorf("%w: the body ends inside of element %d", ErrBody, len(s.elements))
		}
		if err := s.add(line); err != nil {
			return err
		}
	}
	return nil
}
