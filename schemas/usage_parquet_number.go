package schemas

// numberColumn fills a number column of a batch.
type numberColumn struct {
	cursor
	at      IntColumn
	want    wanted
	bad     bool // a value did not convert since the last look
	words   []int64
	wordBad bool // one of words is badValue
	index   []uint32
}

func newNumberColumn(at IntColumn) *numberColumn {
	c := &numberColumn{at: at, want: wantedInts[at]}
	c.keep = c.keepWords
	return c
}

func (c *numberColumn) keepWords(dictionary *values, n int) error {
	if least := max(c.form.size, 1); n > len(dictionary.data)/least {
		return errValuesShort // before anything is allocated
	}
	c.words = grown(c.words, n)
	bad, err := c.convert(dictionary, c.words)
	c.wordBad = bad
	return err
}

// fill takes len(dst) rows.
func (c *numberColumn) fill(dst []int64, present []byte) error {
	for len(dst) > 0 {
		rows, given, err := c.take(len(dst), present)
		if err != nil {
			return err
		}
		bad := c.wordBad
		if c.coded {
			err = c.look(dst[:given])
		} else {
			bad, err = c.convert(&c.plain, dst[:given])
		}
		if err != nil {
			return err
		}
		c.bad = c.bad || bad
		if given < rows {
			spreadInts(dst[:rows], given, present)
		}
		dst = dst[rows:]
	}
	return nil
}

// look takes indexes into the dictionary and turns them into its numbers.
func (c *numberColumn) look(dst []int64) error {
	c.index = grown(c.index, len(dst))
	if err := c.codes.read(c.index); err != nil {
		return err
	}
	words := c.words
	for i, x := range c.index {
		if uint64(x) >= uint64(len(words)) {
			return errIndex
		}
		dst[i] = words[x]
	}
	return nil
}

// convert takes len(dst) values and tells whether one is a badValue.
func (c *numberColumn) convert(from *values, dst []int64) (bad bool, err error) {
	if c.form.text {
		return c.parse(from, dst)
	}
	if err := from.ints(dst); err != nil {
		return false, err
	}
	switch {
	case c.want.time && c.form.kind == int96:
	case c.want.time:
		c.scale(dst)
	default:
		lo, hi := c.want.lo, c.want.hi
		for i, v := range dst {
			if v < lo || v > hi {
				dst[i], bad = badValue, true
			}
		}
	}
	return bad, nil
}

// scale turns ticks into Unix nanoseconds. A number without a unit is Unix
// milliseconds.
func (c *numberColumn) scale(dst []int64) {
	tick := c.form.unit
	if tick == 0 {
		tick = 1e6
	}
	lo, hi := Earliest/tick, Latest/tick
	for i, v := range dst {
		if v < lo || v >= hi {
			dst[i] = None
		} else {
			dst[i] = v * tick
		}
	}
}

func (c *numberColumn) parse(from *values, dst []int64) (bad bool, err error) {
	for i := range dst {
		b, err := from.text()
		if err != nil {
			return false, err
		}
		dst[i] = c.want.text(b)
		bad = bad || dst[i] == badValue
	}
	return bad, nil
}

// settle makes bad values None and marks their rows.
func (c *numberColumn) settle(b *Batch, dst []int64) {
	if !c.bad {
		return
	}
	c.bad = false
	for i, v := range dst {
		if v == badValue {
			dst[i] = None
			b.mark(i, ReasonBadValue)
		}
	}
}
