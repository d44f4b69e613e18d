package schemas

import (
	"encoding/binary"
	"errors"
	"math"
)

// textColumn fills a text column of a batch with codes.
type textColumn struct {
	cursor
	at    StringColumn
	dict  *Dict
	bad   bool // a text was no good since the last look
	words texts
	// codes of the page dictionary's texts in dict, unset until used
	codeOf []uint32
	recent recentTexts
}

const (
	unsetCode = math.MaxUint32
	badCode   = unsetCode - 1 // a text that is too long
)

// hugeDict is the size at which a file is given up: one batch has filled the
// dictionary far beyond its bound.
const hugeDict = 1 << 30

func newTextColumn(at StringColumn) *textColumn {
	c := &textColumn{at: at}
	c.keep = c.keepWords
	return c
}

func (c *textColumn) keepWords(dictionary *values, n int) error {
	c.words.reset()
	for range n {
		b, err := dictionary.text()
		if err != nil {
			return err
		}
		if len(c.words.data)+len(b) > maxPage {
			return errPageSize
		}
		c.words.append(b...)
	}
	c.codeOf = grown(c.codeOf, n)
	unset(c.codeOf)
	return nil
}

// grown returns a slice of n values, in s's memory where they fit.
func grown[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n)
	}
	return s[:n]
}

func unset(codes []uint32) {
	for i := range codes {
		codes[i] = unsetCode
	}
}

// begin makes d the dictionary that codes refer to.
func (c *textColumn) begin(d *Dict) {
	c.dict = d
	c.recent = recentTexts{}
	unset(c.codeOf)
}

// fill takes len(dst) rows.
func (c *textColumn) fill(dst []uint32, present []byte) error {
	for len(dst) > 0 {
		rows, given, err := c.take(len(dst), present)
		if err != nil {
			return err
		}
		if c.coded {
			err = c.look(dst[:given])
		} else {
			err = c.intern(dst[:given])
		}
		if err != nil {
			return err
		}
		if given < rows {
			spreadCodes(dst[:rows], given, present)
		}
		dst = dst[rows:]
	}
	return nil
}

// look takes indexes into the page dictionary and turns them into codes.
func (c *textColumn) look(dst []uint32) error {
	if err := c.codes.read(dst); err != nil {
		return err
	}
	codeOf := c.codeOf
	for i, x := range dst {
		if uint64(x) >= uint64(len(codeOf)) {
			return errIndex
		}
		code := codeOf[x]
		if code >= badCode {
			var err error
			if code, err = c.word(x); err != nil {
				return err
			}
		}
		dst[i] = code
	}
	return nil
}

// word is the code of word x of the page dictionary, which is used for the
// first time or bad.
func (c *textColumn) word(x uint32) (code uint32, err error) {
	if code = c.codeOf[x]; code == unsetCode {
		code, err = c.code(c.words.text(int(x)))
		c.codeOf[x] = code
	}
	c.bad = c.bad || code == badCode
	return code, err
}

// intern takes texts.
func (c *textColumn) intern(dst []uint32) error {
	for i := range dst {
		b, err := c.plain.text()
		if err != nil {
			return err
		}
		slot := c.recent.slot(b)
		if slot.text != string(b) {
			code, err := c.code(b)
			if err != nil {
				return err
			}
			if dst[i] = code; code == badCode {
				c.bad = true
			} else {
				slot.text, slot.code = c.dict.Text(code), code
				if slot.text != string(b) { // it was no valid UTF-8
					slot.text, slot.code = "", 0
				}
			}
			continue
		}
		dst[i] = slot.code
	}
	return nil
}

// code is the code of one text.
func (c *textColumn) code(b []byte) (uint32, error) {
	if len(b) > maxText {
		return badCode, nil
	}
	if c.dict.Size() > hugeDict {
		return 0, errors.New("too many and too long texts")
	}
	return c.dict.Code(validText(b)), nil
}

// settle makes bad texts empty and marks their rows.
func (c *textColumn) settle(b *Batch, dst []uint32) {
	if !c.bad {
		return
	}
	c.bad = false
	for i, code := range dst {
		if code == badCode {
			dst[i] = 0
			b.mark(i, ReasonBadValue)
		}
	}
}

// recentTexts remembers the codes of a few texts, so that a text that repeats
// costs a comparison. The zero value knows the empty text.
type recentTexts [256]recentText

type recentText struct {
	text string
	code uint32
}

func (r *recentTexts) slot(b []byte) *recentText {
	h := uint64(len(b))
	if len(b) >= 8 {
		h ^= binary.LittleEndian.Uint64(b[len(b)-8:])
		h = h*0x9e3779b97f4a7c15 ^ binary.LittleEndian.Uint64(b)
	} else {
		for _, c := range b {
			h = h<<8 ^ uint64(c)
		}
	}
	return &r[h*0x9e3779b97f4a7c15>>56]
}

// mark notes why row i is bad.
func (b *Batch) mark(i int, why Reason) {
	if b.Bad == nil {
		b.Bad = make([]Reason, b.Len)
	}
	b.Bad[i] = why
}
