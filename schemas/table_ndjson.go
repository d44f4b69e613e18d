package schemas

// FieldScanner reads the fields of JSON objects that are not of our making, such as the lines of
// an access log. What it accepts is RFC 8259, except that texts need not be UTF-8: they become it.
//
//   - Memory: what Scan hands out holds until the function that it is handed to returns.
//   - Not for use by several goroutines at once.
type FieldScanner struct {
	json  scanner
	path  []byte
	field func(name, value []byte)
}

// maxFieldDepth is how deep the objects may be nested whose fields are handed out; what lies deeper
// is passed over.
const maxFieldDepth = 8

// Scan calls field for every text, number and boolean of an object, and reports whether the line is an object.
//
//   - A field of an object within has the names of both, joined by a dot: request.uri. Of a list it is
//     the first value that counts. null is no value.
//   - Texts without their escapes; numbers as they are written; true and false.
//   - Of a line that is none, fields may have been handed out before that showed.
func (f *FieldScanner) Scan(line []byte, field func(name, value []byte)) bool {
	f.json.reset(line)
	f.path, f.field = f.path[:0], field
	return f.json.peek() == '{' && f.object(0) && f.json.end()
}

func (f *FieldScanner) object(depth int) bool {
	s := &f.json
	s.take('{')
	if s.take('}') {
		return true
	}
	above := len(f.path)
	for {
		name, ok := f.text()
		if !ok || !s.take(':') {
			return false
		}
		if above > 0 {
			f.path = append(f.path, '.')
		}
		f.path = append(f.path, name...)
		if !f.value(depth) {
			return false
		}
		f.path = f.path[:above]
		if s.take('}') {
			return true
		}
		if !s.take(',') {
			return false
		}
	}
}

func (f *FieldScanner) text() ([]byte, bool) {
	raw, escaped, ok := f.json.str()
	if ok && escaped {
		raw, ok = f.json.unescape(raw)
	}
	return validText(raw), ok
}

// value hands out the value that comes next.
func (f *FieldScanner) value(depth int) bool {
	s := &f.json
	switch c := s.peek(); {
	case c == '"':
		text, ok := f.text()
		if ok {
			f.field(f.path, text)
		}
		return ok
	case c == '-' || c-'0' <= 9:
		raw, _, ok := s.number()
		if ok {
			f.field(f.path, raw)
		}
		return ok
	case c == '{' && depth < maxFieldDepth:
		return f.object(depth + 1)
	case c == '[' && depth < maxFieldDepth:
		return f.list(depth + 1)
	case c == 't' || c == 'f':
		from := s.at
		if !s.skip(0) {
			return false
		}
		f.field(f.path, s.b[from:s.at])
		return true
	}
	return s.skip(depth)
}

// list hands out the first value of a list.
func (f *FieldScanner) list(depth int) bool {
	s := &f.json
	s.take('[')
	if s.take(']') {
		return true
	}
	if !f.value(depth) {
		return false
	}
	for !s.take(']') {
		if !s.take(',') || !s.skip(depth) {
			return false
		}
	}
	return true
}
