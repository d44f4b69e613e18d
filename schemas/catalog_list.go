package schemas

import (
	"errors"
	"io"
	"math/bits"
)

// listColumn reads a column that has a list of texts in each row.
//
// Source: the Parquet format's "LogicalTypes.md", Lists; its levels are those of Dremel.
type listColumn struct {
	textColumn
	defined int // the level of an item that is given
	repeats hybrid
	levels  hybrid

	pending bool // an item was read that begins the next row
	item    listItem
	codes   []uint32
}

type listItem struct {
	begins bool // the first of its row
	given  bool
	code   uint32
}

// maxList is the longest list that is read.
const maxList = 1 << 16

func newListColumn(w wantedColumn) *listColumn {
	c := &listColumn{textColumn: *newTextColumn(0), defined: w.defined}
	c.form = w.form
	c.keep = c.keepWords
	return c
}

// row returns the items of the next row; they hold until the next call.
func (c *listColumn) row() ([]uint32, error) {
	c.codes = c.codes[:0]
	if !c.pending {
		if err := c.next(); err == io.EOF {
			return nil, errRowsShort
		} else if err != nil {
			return nil, err
		}
	}
	if !c.item.begins {
		return nil, errors.New("a list that does not begin with its first item")
	}
	for {
		if c.item.given {
			c.codes = append(c.codes, c.item.code)
		}
		if len(c.codes) > maxList {
			return nil, errors.New("a list of too many items")
		}
		err := c.next()
		if c.pending = err == nil; err == io.EOF || c.pending && c.item.begins {
			return c.codes, nil
		}
		if err != nil {
			return nil, err
		}
	}
}

// next reads the next item, or the stand-in of an empty list.
func (c *listColumn) next() error {
	for c.rows == 0 {
		if err := c.page(); err != nil {
			return err
		}
	}
	c.rows--
	var level [2]uint32
	if err := c.repeats.read(level[:1]); err != nil {
		return err
	}
	if err := c.levels.read(level[1:]); err != nil {
		return err
	}
	c.item = listItem{begins: level[0] == 0, given: int(level[1]) == c.defined}
	if !c.item.given {
		return nil
	}
	var code [1]uint32
	var err error
	if c.coded {
		err = c.look(code[:])
	} else {
		err = c.intern(code[:])
	}
	c.item.code = code[0]
	return err
}

// page goes to the next page; io.EOF at the end of the row group.
func (c *listColumn) page() error {
	pg, err := c.pages.next(true, true)
	if err != nil {
		return err
	}
	if pg.dictionary {
		return c.dictionary(pg)
	}
	if err := c.repeats.reset(pg.repeats, 1); err != nil {
		return err
	}
	if err := c.levels.reset(pg.defined, uint(bits.Len(uint(c.defined)))); err != nil {
		return err
	}
	return c.load(pg)
}

// end checks that no row is left.
func (c *listColumn) end() error {
	if c.pending || c.rows > 0 {
		return errRowsLong
	}
	return nil
}
