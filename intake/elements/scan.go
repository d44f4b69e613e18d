package elements

import (
	"bytes"
	"encoding/json"
)

// SkipSpace is the first place from i on that is no white space.
func SkipSpace(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\t' || b[i] == '\n' || b[i] == '\r') {
		i++
	}
	return i
}

// End is where the value that begins at i ends, and how deep it is nested. It is not whole where the text ends first; of
// a number at the very end nobody can tell.
func End(b []byte, i int) (end, depth int, whole bool) {
	if i >= len(b) {
		return i, 0, false
	}
	switch b[i] {
	case '"':
		end, whole = textEnd(b, i)
		return end, 0, whole
	case '{', '[':
		return nestEnd(b, i)
	}
	if n := bytes.IndexAny(b[i:], ",:]}[{\" \t\r\n"); n >= 0 {
		return i + n, 0, true
	}
	return len(b), 0, true
}

// textEnd is the place after the closing quote.
func textEnd(b []byte, i int) (end int, whole bool) {
	for i++; i < len(b); i++ {
		switch b[i] {
		case '\\':
			i++
		case '"':
			return i + 1, true
		}
	}
	return len(b), false
}

// nestEnd is the place after the bracket that closes the one at i.
func nestEnd(b []byte, i int) (end, depth int, whole bool) {
	open := 0
	for i < len(b) {
		switch b[i] {
		case '"':
			if i, whole = textEnd(b, i); !whole {
				return i, depth, false
			}
			continue
		case '{', '[':
			open++
			depth = max(depth, open)
		case '}', ']':
			open--
		}
		if i++; open == 0 {
			return i, depth, true
		}
	}
	return len(b), depth, false
}

// Members visits the members of an object, given with its braces: names as they are meant, values as they are written. It
// reports false where the text is no object, after those that it found.
func Members(b []byte, visit func(name, value []byte)) bool {
	i := SkipSpace(b, 1)
	if i < len(b) && b[i] == '}' {
		return true
	}
	for i < len(b) && b[i] == '"' {
		end, whole := textEnd(b, i)
		if !whole {
			return false
		}
		name := b[i:end]
		if i = SkipSpace(b, end); i >= len(b) || b[i] != ':' {
			return false
		}
		i = SkipSpace(b, i+1)
		if end, _, whole = End(b, i); !whole || end == i {
			return false
		}
		if plain, ok := nameOf(name); ok {
			visit(plain, b[i:end])
		}
		if i = SkipSpace(b, end); i >= len(b) {
			return false
		}
		if b[i] == '}' {
			return true
		}
		if b[i] != ',' {
			return false
		}
		i = SkipSpace(b, i+1)
	}
	return false
}

// nameOf is what a name in its quotes means.
func nameOf(quoted []byte) ([]byte, bool) {
	if bytes.IndexByte(quoted, '\\') < 0 {
		return quoted[1 : len(quoted)-1], true
	}
	var plain string
	err := json.Unmarshal(quoted, &plain)
	return []byte(plain), err == nil
}
