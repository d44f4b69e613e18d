// Package elements takes bodies apart that others post: JSON lists, lines of JSON, and JSON objects that follow each other.
//
// It finds where elements end without asking whether they are valid, so that a broken one takes nothing from those beside
// it: whoever reads an element says what is wrong with it. It does not recurse, takes no memory of its own, and the time that it
// takes grows with the length of a body alone, whatever is in it.
package elements

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
)

// ErrEnds is wrapped by errors about a text that ends inside of an element.
var ErrEnds = errors.New("the body ends")

// List visits the elements of the list that b begins with, without white space around them, and gives what follows the list.
//
//   - Between two commas stands one element, whatever it is; it may be empty. So a comma too many is an element that is none.
//   - Errors: ErrEnds, after the elements before; those of visit, at once.
func List(b []byte, visit func(element []byte) error) (rest []byte, err error) {
	i := SkipSpace(b, 1)
	if i < len(b) && b[i] == ']' {
		return b[i+1:], nil
	}
	for n := 0; i < len(b); n++ {
		start := i
		if i = elementEnd(b, i); i >= len(b) {
			return nil, fmt.Errorf("%w inside of element %d", ErrEnds, n)
		}
		if err := visit(bytes.TrimSpace(b[start:i])); err != nil {
			return nil, err
		}
		if b[i] == ']' {
			return b[i+1:], nil
		}
		i = SkipSpace(b, i+1)
	}
	return nil, fmt.Errorf("%w inside of its list", ErrEnds)
}

// elementEnd is where a list goes on or ends, behind the element at i and what else stands before the next comma.
func elementEnd(b []byte, i int) int {
	for {
		i = SkipSpace(b, i)
		if i >= len(b) || b[i] == ',' || b[i] == ']' {
			return i
		}
		end, _, whole := End(b, i)
		if !whole {
			return len(b)
		}
		i = max(end, i+1)
	}
}

// Stream visits the elements of a text that is no list, without white space and commas around them: the lines that are not
// blank, or the objects and lists of a text that consists of nothing else, however they are broken into lines. Errors are those of
// visit.
func Stream(b []byte, visit func(element []byte) error) error {
	if areNests(b) {
		return nests(b, visit)
	}
	for len(b) > 0 {
		var line []byte
		line, b, _ = bytes.Cut(b, []byte{'\n'})
		if line = trim(line); len(line) == 0 {
			continue
		}
		if err := visit(line); err != nil {
			return err
		}
	}
	return nil
}

// AreLines tells whether a text is NDJSON as it stands: the elements that Stream visits are its lines, and no comma ends one.
func AreLines(b []byte) bool {
	if areNests(b) {
		return false
	}
	for len(b) > 0 {
		var line []byte
		line, b, _ = bytes.Cut(b, []byte{'\n'})
		if line = bytes.TrimSpace(line); len(line) > 0 && line[len(line)-1] == ',' {
			return false
		}
	}
	return true
}

// trim takes white space off a line, and the comma at its end.
func trim(line []byte) []byte {
	return bytes.TrimSpace(bytes.TrimSuffix(bytes.TrimSpace(line), []byte{','}))
}

// areNests tells whether objects and lists follow each other in a text, in another way than one on each line.
func areNests(b []byte) bool {
	first, _, _ := bytes.Cut(b[SkipSpace(b, 0):], []byte{'\n'})
	return !json.Valid(trim(first)) && nests(b, func([]byte) error { return nil }) == nil
}

var errOther = errors.New("something else than an object or a list")

// nests visits objects and lists that follow each other, with white space and commas between them.
func nests(b []byte, visit func(element []byte) error) error {
	for i := 0; ; {
		for i = SkipSpace(b, i); i < len(b) && b[i] == ','; {
			i = SkipSpace(b, i+1)
		}
		if i == len(b) {
			return nil
		}
		if b[i] != '{' && b[i] != '[' {
			return errOther
		}
		end, _, whole := End(b, i)
		if !whole {
			return ErrEnds
		}
		if err := visit(b[i:end]); err != nil {
			return err
		}
		i = end
	}
}
