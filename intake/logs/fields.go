package logs

import (
	"bytes"
	"strings"
)

// slot is a column that a field of the log feeds; a value of lower rank goes before one of higher rank.
type slot struct {
	column column
	rank   uint8
}

// fieldMap finds the columns of a log's fields.
type fieldMap struct {
	slots   map[string][]slot
	none    []byte
	encoded bool
	decoded []byte
}

func newFieldMap(f *Format) *fieldMap {
	m := &fieldMap{slots: map[string][]slot{}, none: []byte(f.None), encoded: f.Encoded}
	folded := map[string][]slot{}
	for c, name := range columnNames {
		for rank, field := range strings.Split(f.Fields[name], "|") {
			if field = strings.TrimSpace(field); field == "" || rank > 100 {
				continue
			}
			s := slot{column(c), uint8(rank)}
			m.slots[field] = append(m.slots[field], s)
			folded[fold(field)] = append(folded[fold(field)], s)
		}
	}
	for name, slots := range folded {
		if _, taken := m.slots[name]; !taken {
			m.slots[name] = slots
		}
	}
	return m
}

// find is what a field feeds: under its own name, else under its folded one.
func (m *fieldMap) find(field string) []slot {
	if s, ok := m.slots[field]; ok {
		return s
	}
	return m.slots[fold(field)]
}

// fold writes a name as Parquet writers do: cs(User-Agent) is cs_user_agent.
func fold(name string) string {
	var b strings.Builder
	for _, c := range strings.ToLower(name) {
		if c >= 'a' && c <= 'z' || c >= '0' && c <= '9' {
			b.WriteRune(c)
		} else if b.Len() > 0 && !strings.HasSuffix(b.String(), "_") {
			b.WriteByte('_')
		}
	}
	return strings.TrimSuffix(b.String(), "_")
}

// put gives a field's value to the columns that it feeds.
func (m *fieldMap) put(r *record, slots []slot, value []byte) {
	if len(slots) == 0 || len(value) == 0 || len(m.none) > 0 && bytes.Equal(value, m.none) {
		return
	}
	for _, s := range slots {
		if r.values[s.column] != nil && r.ranks[s.column] <= s.rank {
			continue
		}
		r.ranks[s.column] = s.rank
		r.set(s.column, m.decode(s.column, value))
	}
}

// decode takes the percent-encoding of the log's writer off, except from what is decoded as a URL later.
// Some writers have encoded a user agent twice.
func (m *fieldMap) decode(c column, value []byte) []byte {
	if !m.encoded || bytes.IndexByte(value, '%') < 0 {
		return value
	}
	switch c {
	case colURL, colPath, colQuery, colCMCD:
		return value
	}
	m.decoded = appendDecoded(m.decoded[:0], value)
	if bytes.Contains(m.decoded, []byte("%20")) {
		m.decoded = appendDecoded(m.decoded[:0], m.decoded)
	}
	return m.decoded
}

// appendDecoded appends b without percent-encoding. What is none stays as it is. It may work in place: the
// result is never longer.
func appendDecoded(to, b []byte) []byte {
	for i := 0; i < len(b); i++ {
		c := b[i]
		if c == '%' && i+2 < len(b) {
			if hi, lo := unhex(b[i+1]), unhex(b[i+2]); hi >= 0 && lo >= 0 {
				c, i = byte(hi<<4|lo), i+2
			}
		}
		to = append(to, c)
	}
	return to
}

func unhex(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c >= 'a' && c <= 'f':
		return int(c-'a') + 10
	case c >= 'A' && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}
