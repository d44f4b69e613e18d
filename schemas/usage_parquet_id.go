package schemas

// idColumn fills the event ids of a batch, which are not worth interning.
type idColumn struct {
	cursor
	words texts
	index []uint32
	bad   []int // rows of the batch whose id is too long
}

// maxIDBytes ends a batch whose event ids take more.
const maxIDBytes = 32 << 20

func newIDColumn() *idColumn {
	c := &idColumn{}
	c.keep = c.keepWords
	return c
}

func (c *idColumn) keepWords(dictionary *values, n int) error {
	c.words.reset()
	for range n {
		b, err := dictionary.text()
		if err != nil {
			return err
		}
		if len(b) > maxText {
			b = b[:maxText+1] // enough to be known as too long
		}
		if b = validText(b); len(c.words.data)+len(b) > 2*maxPage {
			return errPageSize
		}
		c.words.append(b...)
	}
	return nil
}

// fill takes up to n rows, fewer when their ids are long, and says how many.
func (c *idColumn) fill(dst *Texts, n int, present []byte) (int, error) {
	dst.Reset()
	c.bad = c.bad[:0]
	for dst.Len() < n && len(dst.data) < maxIDBytes {
		rows, given, err := c.take(min(n-dst.Len(), 64), present)
		if err != nil {
			return 0, err
		}
		if c.coded {
			c.index = grown(c.index, given)
			if err := c.codes.read(c.index); err != nil {
				return 0, err
			}
		}
		if err := c.append(dst, rows, given, present); err != nil {
			return 0, err
		}
	}
	return dst.Len(), nil
}

func (c *idColumn) append(dst *Texts, rows, given int, present []byte) error {
	k := 0
	for i := range rows {
		if given == 0 || given < rows && present[i] == 0 {
			dst.Append(nil)
			continue
		}
		b, err := c.id(k)
		if err != nil {
			return err
		}
		k++
		if len(b) > maxText {
			c.bad = append(c.bad, dst.Len())
			b = nil
		}
		dst.Append(b)
	}
	return nil
}

func (c *idColumn) id(k int) ([]byte, error) {
	if !c.coded {
		b, err := c.plain.text()
		if err != nil || len(b) > maxText {
			return b, err
		}
		return validText(b), nil
	}
	x := c.index[k]
	if uint64(x) >= uint64(len(c.words.ends)) {
		return nil, errIndex
	}
	return c.words.text(int(x)), nil
}
