package statistics

import (
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

// collect reads the rows of one of our own questions, whose columns are texts, whole numbers or booleans.
func collect(rows *sql.Rows, limit int) (*answer, error) {
	defer rows.Close()
	cells, a, err := cellsOf(rows)
	if err != nil {
		return nil, err
	}
	for rows.Next() {
		if a.More = a.Rows == limit; a.More {
			break
		}
		if err := rows.Scan(cells...); err != nil {
			return nil, err
		}
		for i := range a.Columns {
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
	for i := range a.Columns {
		a.Columns[i].Texts = []string{}
	}
	for rows.Next() {
		if a.More = a.Rows == limit; a.More {
			break
		}
		if err := rows.Scan(cells...); err != nil {
			return nil, err
		}
		for i := range a.Columns {
			a.Columns[i].Texts = append(a.Columns[i].Texts, show(*cells[i].(*any)))
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

// show writes a value of the database as text; NULL is empty.
func show(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return v
	case []byte:
		return hex.EncodeToString(v)
	case time.Time:
		return v.UTC().Format("2006-01-02T15:04:05.999999999Z")
	case float64:
		return strconv.FormatFloat(v, 'g', -1, 64)
	case *big.Int:
		return v.String()
	case duckdb.Decimal:
		return v.String()
	case duckdb.UUID:
		return v.String()
	case fmt.Stringer:
		return v.String()
	case []any, map[string]any:
		if text, err := json.Marshal(v); err == nil {
			return string(text)
		}
	}
	return fmt.Sprint(v)
}
