package statistics

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"time"
)

// A cursor is between two rows of a view: the values that a row is sorted by, as texts, and on which side of it the
// page lies.
type cursor struct {
	Order  string   `json:"o"`           // the list and its order, as orderOf names them
	Back   bool     `json:"b,omitempty"` // the rows before it are asked for
	Values []string `json:"v"`
}

// maxCursor bounds a cursor as it stands in a URL, in bytes: it may hold a user agent or a referrer.
const maxCursor = 64 << 10

func (c *cursor) String() string {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false) // which would make it longer
	if err := encoder.Encode(c); err != nil {
		panic(err) // cannot happen: plain fields
	}
	return base64.RawURLEncoding.EncodeToString(bytes.TrimSpace(text.Bytes()))
}

// orderOf names a list and its order.
func orderOf(t Tab, sort string, desc bool) string {
	if desc {
		return string(t) + " by " + sort + ", falling"
	}
	return string(t) + " by " + sort
}

// parseCursor reads a cursor for rows of an order, that are sorted by some keys; nil: the first page.
func parseCursor(text, order string, keys []key) (*cursor, error) {
	if text == "" {
		return nil, nil
	}
	raw, err := base64.RawURLEncoding.DecodeString(text)
	var c cursor
	if err == nil && len(text) <= maxCursor {
		err = json.Unmarshal(raw, &c)
	}
	if err != nil || c.Order != order || !slices.EqualFunc(c.Values, keys, func(text string, k key) bool { return k.takes(text) }) {
		return nil, fmt.Errorf("%w: the link to this page is damaged, or for another order; begin with the first page", ErrView)
	}
	return &c, nil
}

// takes tells whether a text is a value of a key.
func (k key) takes(text string) bool {
	n, isNumber := new(big.Int).SetString(text, 10)
	isNumber = isNumber && n.String() == text
	switch k.sqlType {
	case typeNumber:
		return isNumber && n.IsInt64()
	case typeUnsigned:
		return isNumber && n.IsUint64()
	case typeViewer:
		return isNumber && n.Sign() >= 0 && n.BitLen() <= 128
	case typeTime:
		t, err := time.Parse("2006-01-02 15:04:05.999999999", text)
		return err == nil && t.Year() > 1700 && t.Year() < 2200 && !strings.Contains(text, ",")
	}
	return true
}

// sorting is how rows are sorted: by keys, then by ties.
type sorting struct {
	keys []key
	desc []bool // of each key
}

// newSorting sorts by the keys of a column in a direction, and then by ties from the smallest to the largest; going
// back, all the other way round.
func newSorting(keys, ties []key, desc, back bool) sorting {
	var s sorting
	for _, k := range keys {
		s.keys, s.desc = append(s.keys, k), append(s.desc, desc != back)
	}
	for _, k := range ties {
		s.keys, s.desc = append(s.keys, k), append(s.desc, back)
	}
	return s
}

// orderBy is the clause of that name.
func (s sorting) orderBy() string {
	var out []string
	for i, k := range s.keys {
		direction := " ASC"
		if s.desc[i] {
			direction = " DESC"
		}
		out = append(out, k.expr+direction)
	}
	return " ORDER BY " + strings.Join(out, ", ")
}

// after is the condition that holds for the rows that follow a cursor: the first key is past its value, or equal and
// the second is past its own, and so on.
func (s sorting) after(values []string) condition {
	var c condition
	for i := len(s.keys) - 1; i >= 0; i-- {
		k, past := s.keys[i], ">"
		if s.desc[i] {
			past = "<"
		}
		of := "?::" + k.sqlType
		if c.text == "" {
			c = condition{k.expr + " " + past + " " + of, []any{values[i]}}
			continue
		}
		// the first condition alone lets the database pass over what it has no need to read
		c = condition{fmt.Sprintf("%s %s= %s AND (%s %s %s OR (%s))", k.expr, past, of, k.expr, past, of, c.text), append([]any{values[i], values[i]}, c.args...)}
	}
	return c
}

// called is the same order where the keys go by other names.
func (s sorting) called(name func(i int, expr string) string) sorting {
	out := sorting{desc: s.desc}
	for i, k := range s.keys {
		out.keys = append(out.keys, key{name(i, k.expr), k.sqlType})
	}
	return out
}

// columns are the values of the keys as texts, for cursors.
func (s sorting) columns() string {
	var out []string
	for _, k := range s.keys {
		out = append(out, k.expr+"::VARCHAR")
	}
	return strings.Join(out, ", ")
}
