package schemas

import (
	"fmt"
	"io"
	"strconv"
)

// readLines reads the rows of a catalog in NDJSON.
func (c *Catalog) readLines(src *source, packing linePacking) error {
	in, done, err := packing.open(src)
	if err != nil {
		return err
	}
	defer done()
	lines := newLines(in)
	row := catalogLine{catalog: c}
	for n := 1; ; n++ {
		line, long, err := lines.next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return fmt.Errorf("line %d: %w", n, err)
		}
		if long || !row.read(line) {
			c.Skipped++
			continue
		}
		c.BadValues += row.faults
		c.add(row.object)
	}
}

// catalogLine reads one line into an object.
type catalogLine struct {
	catalog *Catalog
	json    scanner
	object  CatalogObject
	faults  int
}

func (l *catalogLine) read(line []byte) bool {
	l.object, l.faults = emptyObject(), 0
	s := &l.json
	s.reset(line)
	if !s.take('{') {
		return false
	}
	if s.take('}') {
		return s.end()
	}
	for {
		name, ok := l.text()
		if !ok || !s.take(':') || !l.field(name) {
			return false
		}
		if s.take('}') {
			return s.end()
		}
		if !s.take(',') {
			return false
		}
	}
}

// text reads a text.
func (l *catalogLine) text() (string, bool) {
	raw, escaped, ok := l.json.str()
	if ok && escaped {
		raw, ok = l.json.unescape(raw)
	}
	return string(validText(raw)), ok
}

func (l *catalogLine) field(name string) bool {
	if name == formatsColumn {
		return l.formats()
	}
	at := findCatalogField(name)
	switch {
	case at < 0:
		return l.json.skip(0)
	case catalogFields[at].number != nil:
		return l.number(catalogFields[at].number(&l.object))
	}
	text, ok := l.scalar()
	*catalogFields[at].text(&l.object) = text
	return ok
}

// scalar reads a value that is to be a text.
func (l *catalogLine) scalar() (string, bool) {
	s := &l.json
	switch c := s.peek(); {
	case c == '"':
		return l.text()
	case c == '-' || c-'0' <= 9:
		raw, whole, ok := s.number()
		if v, fits := wholeNumber(raw, whole); fits {
			return strconv.FormatInt(v, 10), ok
		}
		if !whole {
			l.faults++
			return "", ok
		}
		return string(raw), ok
	case c == 't':
		return "true", s.word("true")
	case c == 'f':
		return "false", s.word("false")
	case c == 'n':
		return "", s.word("null")
	}
	l.faults++
	return "", s.skip(0)
}

// number reads a value that is to be an amount.
func (l *catalogLine) number(to *int64) bool {
	s := &l.json
	*to = None
	v, ok, fits := int64(0), false, false
	switch c := s.peek(); {
	case c == 'n':
		return s.word("null")
	case c == '-' || c-'0' <= 9:
		var raw []byte
		var whole bool
		raw, whole, ok = s.number()
		v, fits = wholeNumber(raw, whole)
	case c == '"':
		var text string
		if text, ok = l.text(); text == "" {
			return ok // not given (R24)
		}
		v, fits = parseWhole([]byte(text))
	default:
		ok = s.skip(0)
	}
	if fits && v >= 0 {
		*to = v
	} else {
		l.faults++
	}
	return ok
}

// wholeNumber is the value of a JSON number that is whole and fits.
func wholeNumber(raw []byte, whole bool) (int64, bool) {
	if whole {
		return parseWhole(raw)
	}
	return parseDecimal(raw)
}

// formats reads a list of texts, or one text of several.
func (l *catalogLine) formats() bool {
	s := &l.json
	l.object.PlayoutFormats = nil
	if s.peek() != '[' {
		text, ok := l.scalar()
		l.object.PlayoutFormats = splitFormats(text)
		return ok
	}
	s.take('[')
	if s.take(']') {
		return true
	}
	for {
		text, ok := l.scalar()
		if !ok {
			return false
		}
		l.object.PlayoutFormats = appendFormat(l.object.PlayoutFormats, text)
		if s.take(']') {
			return true
		}
		if !s.take(',') {
			return false
		}
	}
}
