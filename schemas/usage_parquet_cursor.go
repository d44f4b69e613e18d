package schemas

import (
	"errors"
	"io"

	"github.com/parquet-go/parquet-go/format"
)

// cursor walks the rows of one column of a row group, page by page.
type cursor struct {
	form     physical
	optional bool

	// keep takes the dictionary, of n values.
	keep func(dictionary *values, n int) error

	pages  pages
	rows   int  // rows left in the page
	nulls  int  // nulls that the page must still hold; below zero when it did not say
	known  bool // the page said how many nulls it holds
	coded  bool // the page holds indexes into the dictionary
	words  bool // the chunk has a dictionary
	size   int  // of the dictionary
	levels hybrid
	codes  hybrid
	plain  values
}

var (
	errRowsShort  = errors.New("fewer rows than the row group claims")
	errRowsLong   = errors.New("more rows than the row group claims")
	errIndex      = errors.New("dictionary index out of bounds")
	errNulls      = errors.New("another number of nulls than the page claims")
	errDictionary = errors.New("no dictionary before its indexes")
)

func (c *cursor) open(src *source, chunk *format.ColumnMetaData) error {
	c.rows, c.words, c.size = 0, false, 0
	c.plain.form = c.form
	return c.pages.open(src, chunk)
}

// nextPage goes to the next page that has rows.
func (c *cursor) nextPage() error {
	for {
		pg, err := c.pages.next(c.optional, false)
		switch {
		case err == io.EOF:
			return errRowsShort
		case err != nil:
			return err
		case pg.dictionary:
			if err := c.dictionary(pg); err != nil {
				return err
			}
		case pg.values > 0:
			return c.load(pg)
		}
	}
}

func (c *cursor) dictionary(pg page) error {
	if c.words {
		return errors.New("a second dictionary")
	}
	words := values{form: c.form}
	if err := words.load(pg.encoding, pg.data, pg.values); err != nil {
		return err
	}
	c.words, c.size = true, pg.values
	return c.keep(&words, pg.values)
}

func (c *cursor) load(pg page) error {
	c.rows, c.nulls, c.known = pg.values, pg.nulls, pg.nulls >= 0
	if c.optional {
		if err := c.levels.reset(pg.defined, 1); err != nil {
			return err
		}
	}
	c.coded = pg.encoding == format.RLEDictionary || pg.encoding == oldDictionary
	switch {
	case c.coded && !c.words:
		return errDictionary
	case len(pg.data) == 0: // only nulls
		c.coded = false
		return c.plain.load(format.Plain, nil, 0)
	case c.coded:
		return c.codes.reset(pg.data[1:], uint(pg.data[0]))
	}
	return c.plain.load(pg.encoding, pg.data, pg.values)
}

// take goes on by up to n rows of one page. Of these rows, given have a
// value; where some do and some do not, present has a one for those that do.
func (c *cursor) take(n int, present []byte) (rows, given int, err error) {
	if c.rows == 0 {
		if err := c.nextPage(); err != nil {
			return 0, 0, err
		}
	}
	rows = min(n, c.rows)
	c.rows -= rows
	if given, err = c.given(rows, present); err != nil {
		return 0, 0, err
	}
	c.nulls -= rows - given
	if c.known && (c.nulls < 0 || c.rows == 0 && c.nulls != 0) {
		return 0, 0, errNulls
	}
	return rows, given, nil
}

func (c *cursor) given(rows int, present []byte) (int, error) {
	switch {
	case !c.optional || c.levels.all(1, rows):
		return rows, nil
	case c.levels.all(0, rows):
		return 0, nil
	}
	return c.levels.flags(present[:rows])
}

// end checks that the column has no row more.
func (c *cursor) end() error {
	if c.rows > 0 {
		return errRowsLong
	}
	for c.pages.left() > 0 {
		pg, err := c.pages.next(c.optional, false)
		if err != nil { // what some writers leave behind is no page
			return nil
		}
		if !pg.dictionary && pg.values > 0 {
			return errRowsLong
		}
	}
	return nil
}

// spreadCodes moves the first given codes of dst to the rows that have one; the others
// are the empty text.
func spreadCodes(dst []uint32, given int, present []byte) {
	if given == 0 {
		clear(dst)
		return
	}
	j := given - 1
	for i := len(dst) - 1; i >= 0; i-- {
		has := uint32(present[i])
		dst[i] = dst[j] & -has
		if j -= int(has); j < 0 {
			clear(dst[:i])
			return
		}
	}
}

// spreadInts does the same with numbers; the others are None.
func spreadInts(dst []int64, given int, present []byte) {
	fill := len(dst)
	j := given - 1
	for i := len(dst) - 1; i >= 0 && j >= 0; i-- {
		mask := -int64(present[i])
		dst[i] = dst[j]&mask | None&^mask
		j += int(mask)
		fill = i
	}
	for i := range fill {
		dst[i] = None
	}
}
