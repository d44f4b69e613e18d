package schemas

import (
	"math/bits"
	"strconv"
)

// A field of an event, as a bit number of lineRows' sets: text columns, then
// number columns, then the event id.
type lineField int8

const (
	firstNumberField = lineField(NumStringColumns)
	eventIDField     = lineField(NumStringColumns) + lineField(NumIntColumns)
	unknownField     = lineField(-1)
)

var lineFields = func() map[string]lineField {
	m := map[string]lineField{eventIDColumn: eventIDField}
	for c, name := range stringColumnNames {
		m[name] = lineField(c)
	}
	for c, name := range intColumnNames {
		m[name] = firstNumberField + lineField(c)
	}
	return m
}()

// lineRows fills a batch row by row.
type lineRows struct {
	n       int // rows so far
	size    int // rows of a batch at most
	most    int // size from which a new dictionary begins
	b       Batch
	strings [NumStringColumns][]uint32
	ints    [NumIntColumns][]int64
	ids     Texts
	id      []byte // event id of the current row
	bad     []Reason
	anyBad  bool

	seen   uint64 // fields that some row of the batch has
	set    uint64 // fields that the current row has
	faults uint64 // fields of the current row that do not convert

	recent recentTexts
	order  []lineKey // the keys of the last line
	extra  func(string)
	json   scanner
	digits []byte
}

type lineKey struct {
	raw   string
	field lineField
}

func (r *lineRows) init(extra func(string)) {
	r.extra = extra
	r.b.Dict = NewDict()
	r.bad = make([]Reason, r.size)
}

// begin starts a batch.
func (r *lineRows) begin() {
	if r.b.Dict.Size() > r.most {
		r.b.Dict = NewDict()
		r.recent = recentTexts{}
	}
	if r.anyBad {
		clear(r.bad)
	}
	r.n, r.seen, r.anyBad = 0, 0, false
	r.ids.Reset()
}

// batch returns the rows since begin.
func (r *lineRows) batch() *Batch {
	b := &r.b
	*b = Batch{Len: r.n, Dict: b.Dict}
	for c := range r.strings {
		if r.seen>>c&1 != 0 {
			b.Strings[c] = r.strings[c][:r.n]
		}
	}
	for c := range r.ints {
		if r.seen>>(firstNumberField+lineField(c))&1 != 0 {
			b.Ints[c] = r.ints[c][:r.n]
		}
	}
	if r.seen>>eventIDField&1 != 0 {
		b.EventID = &r.ids
	}
	if r.anyBad {
		b.Bad = r.bad[:r.n]
	}
	return b
}

// add adds the row of one line.
func (r *lineRows) add(line []byte, long bool) {
	r.set, r.faults = 0, 0
	switch ok := !long && r.object(line); {
	case !ok:
		r.fault(ReasonBadLine)
		r.set = 0
	case r.faults != 0:
		r.fault(ReasonBadValue)
	}
	r.rest()
	if r.seen>>eventIDField&1 != 0 {
		if r.set>>eventIDField&1 == 0 {
			r.id = nil
		}
		r.ids.Append(r.id)
	}
	r.n++
}

func (r *lineRows) fault(why Reason) { r.bad[r.n], r.anyBad = why, true }

// rest gives the columns of the batch that the row does not have their empty value.
func (r *lineRows) rest() {
	for missing := r.seen &^ r.set; missing != 0; missing &= missing - 1 {
		f := lineField(bits.TrailingZeros64(missing))
		switch {
		case f < firstNumberField:
			r.strings[f][r.n] = 0
		case f < eventIDField:
			r.ints[f-firstNumberField][r.n] = None
		}
	}
}

// object reads one line; false when it is no object.
func (r *lineRows) object(line []byte) bool {
	s := &r.json
	s.reset(line)
	if !s.take('{') {
		return false
	}
	if s.take('}') {
		return s.end()
	}
	for k := 0; ; k++ {
		f, ok := r.key(k)
		if !ok || !s.take(':') || !r.value(f) {
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

// key reads the key of field k. Most lines have the keys of the line before.
func (r *lineRows) key(k int) (lineField, bool) {
	raw, escaped, ok := r.json.str()
	if !ok {
		return 0, false
	}
	if escaped {
		if raw, ok = r.json.unescape(raw); !ok {
			return 0, false
		}
	}
	if k < len(r.order) && r.order[k].raw == string(raw) {
		return r.order[k].field, true
	}
	name := string(raw)
	f, known := lineFields[name]
	if !known {
		f = unknownField
		r.extra(string(validText(raw[:min(len(raw), 128)])))
	}
	if k < len(r.order) {
		r.order[k] = lineKey{name, f}
	} else if k == len(r.order) && k < 256 {
		r.order = append(r.order, lineKey{name, f})
	}
	return f, true
}

// value reads the value of field f.
func (r *lineRows) value(f lineField) bool {
	s := &r.json
	switch c := s.peek(); {
	case f == unknownField:
		return s.skip(0)
	case c == '"':
		raw, escaped, ok := s.str()
		if ok && escaped {
			raw, ok = s.unescape(raw)
		}
		if ok {
			r.text(f, raw)
		}
		return ok
	case c == '-' || c-'0' <= 9:
		raw, whole, ok := s.number()
		if ok {
			r.number(f, raw, whole)
		}
		return ok
	case c == 't':
		r.flag(f, 1)
		return s.word("true")
	case c == 'f':
		r.flag(f, 0)
		return s.word("false")
	case c == 'n':
		r.put(f, None, nil)
		return s.word("null")
	}
	r.wrong(f)
	return s.skip(0)
}

// text sets a field that is given as a text.
func (r *lineRows) text(f lineField, b []byte) {
	if f < firstNumberField || f == eventIDField {
		r.put(f, 0, b)
		return
	}
	want := &wantedInts[f-firstNumberField]
	r.converted(f, want.text(b))
}

// number sets a field that is given as a number.
func (r *lineRows) number(f lineField, raw []byte, whole bool) {
	v, ok := parseWhole(raw)
	if !ok && !whole {
		if v, ok = parseDecimal(raw); !ok {
			r.wrong(f)
			return
		}
	}
	switch {
	case f < firstNumberField || f == eventIDField:
		if ok {
			r.digits = strconv.AppendInt(r.digits[:0], v, 10)
			raw = r.digits
		}
		r.put(f, 0, raw)
	case !ok:
		r.wrong(f)
	default:
		want := &wantedInts[f-firstNumberField]
		if want.time {
			r.converted(f, instant(v, 1e6))
		} else {
			r.converted(f, want.number(v))
		}
	}
}

// flag sets a field that is given as a boolean.
func (r *lineRows) flag(f lineField, v int64) {
	switch {
	case f < firstNumberField || f == eventIDField:
		r.put(f, 0, strconv.AppendBool(nil, v != 0))
	case wantedInts[f-firstNumberField].time:
		r.wrong(f)
	default:
		r.converted(f, v)
	}
}

// wrong sets a field whose value is nothing of the kind.
func (r *lineRows) wrong(f lineField) {
	v := int64(badValue)
	if f >= firstNumberField && f < eventIDField {
		v = wantedInts[f-firstNumberField].unusable()
	}
	r.converted(f, v)
}

func (r *lineRows) converted(f lineField, v int64) {
	if v != badValue {
		r.put(f, v, nil)
		return
	}
	r.put(f, None, nil)
	r.faults |= 1 << f
}

// put sets a field of the current row, whatever it was before: of two fields
// of one name the last counts.
func (r *lineRows) put(f lineField, v int64, text []byte) {
	bit := uint64(1) << f
	if r.seen&bit == 0 {
		r.column(f)
		r.seen |= bit
	}
	r.set |= bit
	r.faults &^= bit
	switch {
	case f < firstNumberField:
		r.strings[f][r.n] = r.code(text)
	case f == eventIDField:
		r.id = append(r.id[:0], validText(text)...)
	default:
		r.ints[f-firstNumberField][r.n] = v
	}
}

// column makes a column that the rows so far did not have.
func (r *lineRows) column(f lineField) {
	switch {
	case f < firstNumberField:
		if r.strings[f] == nil {
			r.strings[f] = make([]uint32, r.size)
		}
		clear(r.strings[f][:r.n])
	case f == eventIDField:
		for range r.n {
			r.ids.Append(nil)
		}
	default:
		c := f - firstNumberField
		if r.ints[c] == nil {
			r.ints[c] = make([]int64, r.size)
		}
		for i := range r.n {
			r.ints[c][i] = None
		}
	}
}

func (r *lineRows) code(b []byte) uint32 {
	slot := r.recent.slot(b)
	if slot.text == string(b) {
		return slot.code
	}
	code := r.b.Dict.Code(validText(b))
	if text := r.b.Dict.Text(code); text == string(b) {
		slot.text, slot.code = text, code
	}
	return code
}
