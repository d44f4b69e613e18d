package flussonic

import "bytes"

// The scanner finds where JSON values end without asking whether they are valid: so that one that is
// not takes nothing from those beside it. It does not recurse.

// skipSpace is the first place from i on that is no white space.
func skipSpace(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\t' || b[i] == '\n' || b[i] == '\r') {
		i++
	}
	return i
}

// valueEnd is where the value that begins at i ends, and how deep it is nested. It is not whole where the text
// ends first; of a number at the very end nobody can tell.
func valueEnd(b []byte, i int) (end, depth int, whole bool) {
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

// members visits the members of an object, given with its braces. It reports false where the text is no
// object, after those that it found.
func members(b []byte, visit func(name, value []byte)) bool {
	i := skipSpace(b, 1)
	if i < len(b) && b[i] == '}' {
		return true
	}
	for i < len(b) && b[i] == '"' {
		end, whole := textEnd(b, i)
		if !whole {
			return false
		}
		name := b[i+1 : end-1]
		if i = skipSpace(b, end); i >= len(b) || b[i] != ':' {
			return false
		}
		i = skipSpace(b, i+1)
		if end, _, whole = valueEnd(b, i); !whole || end == i {
			return false
		}
		visit(name, b[i:end])
		if i = skipSpace(b, end); i >= len(b) {
			return false
		}
		if b[i] == '}' {
			return true
		}
		if b[i] != ',' {
			return false
		}
		i = skipSpace(b, i+1)
	}
	return false
}
