package accounting

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"

	"github.com/playmeter/playmeter/schemas"
)

// UsageDiffColumns are the columns of a diff of two usage reports.
var UsageDiffColumns = []string{"object_id", "column", "before", "after", "delta", "causes", "row"}

// WriteUsageDiff writes changes as CSV, in the order given, and returns how many there were.
//
//   - Shape: the rules of the usage report (SPEC 4); a cell of before and after is guarded
//     as the report guards its column. Causes are joined by ";".
//   - Source: docs/formats.md, "Diff of usage reports".
func WriteUsageDiff(w io.Writer, changes iter.Seq[UsageChange], guard bool) (rows int64, err error) {
	buf := schemas.AppendHeader(nil, UsageDiffColumns)
	for c := range changes {
		buf = appendChange(buf, &c, guard)
		rows++
		if len(buf) > 256<<10 {
			if _, err := w.Write(buf); err != nil {
				return rows, fmt.Errorf("write diff: %w", err)
			}
			buf = buf[:0]
		}
	}
	if _, err := w.Write(buf); err != nil {
		return rows, fmt.Errorf("write diff: %w", err)
	}
	return rows, nil
}

func appendChange(b []byte, c *UsageChange, guard bool) []byte {
	unit := UnitOf(c.Column)
	value := func(text string) {
		switch unit {
		case UnitID:
			b = schemas.AppendID(b, []byte(text), guard)
		case UnitText:
			b = schemas.AppendFreeText(b, []byte(text), guard)
		default:
			b = schemas.AppendCell(b, []byte(text))
		}
		b = append(b, ',')
	}
	b = append(schemas.AppendID(b, []byte(c.Object), guard), ',')
	b = append(schemas.AppendCell(b, []byte(c.Column)), ',')
	value(c.Before)
	value(c.After)
	b = append(append(b, c.Delta...), ',')
	for i, cause := range c.Causes {
		if i > 0 {
			b = append(b, ';')
		}
		b = append(b, cause...)
	}
	b = append(b, ',')
	return append(append(b, kindOfRow(c.Tenancy)...), '\n')
}

// errNoDiff tells that something else than a diff was read.
var errNoDiff = errors.New("it is no diff of usage reports")

// ReadUsageDiff reads what WriteUsageDiff wrote. Texts stay as the file has them: a guard is
// not taken off, because nothing tells it from an apostrophe of the text's own.
//
//   - Errors: yielded once, as the last.
func ReadUsageDiff(r io.Reader) iter.Seq2[UsageChange, error] {
	return func(yield func(UsageChange, error) bool) {
		lines := &csvLines{r: bufio.NewReader(r)}
		head, err := lines.next()
		if err == nil && !slices.Equal(head, UsageDiffColumns) || err == io.EOF {
			err = errNoDiff
		}
		for err == nil {
			var cells []string
			if cells, err = lines.next(); err != nil {
				break
			}
			var c UsageChange
			if c, err = changeOf(cells); err == nil && !yield(c, nil) {
				return
			}
		}
		if err != io.EOF {
			yield(UsageChange{}, fmt.Errorf("read diff, row %d: %w", lines.n, err))
		}
	}
}

func changeOf(cells []string) (UsageChange, error) {
	if len(cells) != len(UsageDiffColumns) {
		return UsageChange{}, fmt.Errorf("%w: %d cells", errNoDiff, len(cells))
	}
	c := UsageChange{Object: cells[0], Column: cells[1], Before: cells[2], After: cells[3], Delta: cells[4], Causes: []Cause{}}
	if cells[5] != "" {
		for cause := range strings.SplitSeq(cells[5], ";") {
			c.Causes = append(c.Causes, Cause(cause))
		}
	}
	switch c.Tenancy = cells[6] == kindOfRow(true); {
	case !c.Tenancy && cells[6] != kindOfRow(false):
		return c, fmt.Errorf("%w: row is %q", errNoDiff, cells[6])
	}
	return c, nil
}

// csvLines reads records of a CSV file of ours. Unlike encoding/csv it leaves CR LF inside
// of a quoted cell as it is.
type csvLines struct {
	r *bufio.Reader
	n int // of the record read last, from 1
}

// next reads a record; io.EOF after the last.
func (c *csvLines) next() ([]string, error) {
	c.n++
	if _, err := c.r.Peek(1); err != nil {
		return nil, err
	}
	var cells []string
	for {
		cell, end, err := c.cell()
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			return nil, err
		}
		if cells = append(cells, cell); end {
			return cells, nil
		}
	}
}

// cell reads a cell and what is behind it; end tells that it was the last of its record.
func (c *csvLines) cell() (text string, end bool, err error) {
	var b []byte
	first, err := c.r.ReadByte()
	if err != nil {
		return "", false, err
	}
	for at := first; first != '"'; {
		switch at {
		case ',', '\n':
			return string(b), at == '\n', nil
		case '"', '\r':
			return "", false, fmt.Errorf("%w: %q in a cell without quotes", errNoDiff, at)
		}
		b = append(b, at)
		if at, err = c.r.ReadByte(); err != nil {
			return "", false, err
		}
	}
	for {
		at, err := c.r.ReadByte()
		if err != nil {
			return "", false, err
		}
		if at != '"' {
			b = append(b, at)
			continue
		}
		switch at, err = c.r.ReadByte(); {
		case err != nil:
			return "", false, err
		case at == '"':
			b = append(b, '"')
		case at == ',' || at == '\n':
			return string(b), at == '\n', nil
		default:
			return "", false, fmt.Errorf("%w: %q behind a cell in quotes", errNoDiff, at)
		}
	}
}
