package statistics

import (
	"cmp"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"strconv"
	"time"

	"github.com/duckdb/duckdb-go/v2"
)

// From how many bytes on an answer gets no more rows.
const (
	maxAnswer    = 16 << 20
	maxSQLAnswer = 256 << 20
	maxLoaded    = 1 << 30 // of what was loaded: it must be whole
)

func sizeOf(v any) int {
	text, _ := v.(string)
	return 8 + len(text)
}

// collect reads the rows of one of our own questions, whose columns are texts, whole numbers or booleans.
func collect(rows *sql.Rows, limit, most int) (*answer, error) {
	defer rows.Close()
	cells, a, err := cellsOf(rows)
	if err != nil {
		return nil, err
	}
	size := 0
	for rows.Next() {
		if a.More = a.Rows == limit || size > most; a.More {
			break
		}
		if err := rows.Scan(cells...); err != nil {
			return nil, err
		}
		for i := range a.Columns {
			size += sizeOf(*cells[i].(*any))
			if err := a.Columns[i].add(*cells[i].(*any)); err != nil {
				return nil, fmt.Errorf("column %s: %w", a.Columns[i].Name, err)
			}
		}
		a.Rows++
	}
	return a, errors.Join(rows.Err(), rows.Close())
}

// collectText reads the rows of anybody's question, as texts.
func collectText(rows *sql.Rows, limit int) (*answer, error) {
	defer rows.Close()
	cells, a, err := cellsOf(rows)
	if err != nil {
		return nil, err
	}
	size := 0
	types, err := rows.ColumnTypes()
	if err != nil {
		return nil, err
	}
	for i := range a.Columns {
		a.Columns[i].Texts = []string{}
	}
	for rows.Next() {
		if a.More = a.Rows == limit || size > maxSQLAnswer; a.More {
			break
		}
		if err := rows.Scan(cells...); err != nil {
			return nil, err
		}
		for i := range a.Columns {
			text := show(*cells[i].(*any), types[i].DatabaseTypeName())
			size += sizeOf(text)
			a.Columns[i].Texts = append(a.Columns[i].Texts, text)
		}
		a.Rows++
	}
	return a, errors.Join(rows.Err(), rows.Close())
}

func cellsOf(rows *sql.Rows) ([]any, *answer, error) {
	names, err := rows.Columns()
	if err != nil {
		return nil, nil, err
	}
	a := &answer{Columns: make([]column, len(names))}
	cells := make([]any, len(names))
	for i, name := range names {
		a.Columns[i].Name, cells[i] = name, new(any)
	}
	return cells, a, nil
}

// add appends a value to a column.
func (c *column) add(v any) error {
	n := max(len(c.Texts), len(c.Numbers))
	switch v := v.(type) {
	case nil:
		return c.addNothing()
	case string:
		c.Texts = append(c.Texts, v)
	case bool:
		c.Numbers = append(c.Numbers, map[bool]int64{true: 1}[v])
	case int32:
		c.Numbers = append(c.Numbers, int64(v))
	case int64:
		c.Numbers = append(c.Numbers, v)
	default:
		return fmt.Errorf("a %T, which no question of ours asks for", v)
	}
	if c.Texts != nil && c.Numbers != nil || max(len(c.Texts), len(c.Numbers)) != n+1 {
		return errors.New("texts and numbers in one column")
	}
	return nil
}

// addNothing appends a NULL.
func (c *column) addNothing() error {
	if c.Numbers != nil {
		c.Numbers = append(c.Numbers, 0)
	} else {
		c.Texts = append(c.Texts, "")
	}
	return nil
}

var timeFormats = map[string]string{"DATE": time.DateOnly, "TIME": "15:04:05.999999999"}

// show writes a value of the database as text; NULL is empty.
func show(v any, kind string) string {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return v
	case []byte:
		if kind == "UUID" && len(v) == 16 {
			return (*duckdb.UUID)(v).String()
		}
		return hex.EncodeToString(v)
	case time.Time:
		return v.UTC().Format(cmp.Or(timeFormats[kind], "2006-01-02T15:04:05.999999999Z"))
	case float64:
		return strconv.FormatFloat(v, 'g', -1, 64)
	case duckdb.Interval:
		return fmt.Sprintf("%d months %d days %s", v.Months, v.Days, time.Duration(v.Micros)*time.Microsecond)
	case duckdb.Union:
		return show(v.Value, "")
	case []any, map[string]any, duckdb.OrderedMap:
		if text, err := json.Marshal(plain(v)); err == nil {
			return string(text)
		}
	case fmt.Stringer:
		return v.String()
	}
	return fmt.Sprint(v)
}

// plain is a value of several as JSON takes it, with texts in the place of what JSON does not know.
func plain(v any) any {
	switch v := v.(type) {
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = plain(v[i])
		}
		return out
	case map[string]any:
		out := map[string]any{}
		for name, part := range v {
			out[name] = plain(part)
		}
		return out
	case duckdb.OrderedMap:
		out := map[string]any{}
		for _, k := range v.Keys() {
			part, _ := v.Get(k)
			out[show(k, "")] = plain(part)
		}
		return out
	case nil, bool, string, int8, int16, int32, int64, uint8, uint16, uint32, uint64, *big.Int:
		return v
	}
	return show(v, "")
}
