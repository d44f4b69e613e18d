package accounting

import (
	"bytes"
	"cmp"
	"errors"
	"io"
	"math"
	"slices"

	"github.com/playmeter/playmeter/schemas"
)

// daySums adds up the sum rows of one tenant and day over hours and files. They are a cache: the
// rows of the hours say the same, and are what counts where not all files are wanted.
type daySums struct {
	m       *merger
	block   schemas.Block
	cells   map[string]*dayCell
	full    []dayRow // what would have overflowed
	library map[string]schemas.Pick
	files   map[uint32]bool // whether the index says that the file has rows of the tenant and day
	unsure  bool            // a file has rows that its member does not tell of: no sums of days
	rows    int64

	// Where there are too many figures, those so far are here.
	scratch Scratch
	out     *schemas.RowWriter

	key []byte
	sum schemas.SumRow
}

type dayCell struct{ count, bytes, micros int64 }

// dayRow is an encoded row and its object.
type dayRow struct{ object, row []byte }

func newDaySums(m *merger, of schemas.Block) *daySums {
	d := &daySums{m: m, block: schemas.Block{Kind: schemas.BlockDays, Tenant: of.Tenant, Day: of.Day}, files: make(map[uint32]bool)}
	d.reset()
	return d
}

func (d *daySums) reset() {
	d.cells, d.full, d.library = make(map[string]*dayCell), nil, make(map[string]schemas.Pick)
}

// add adds an encoded sum row, which bears its new file number.
func (d *daySums) add(row []byte) error {
	if d.unsure {
		return nil
	}
	r := &d.sum
	if err := schemas.DecodeSumRow(row, r); err != nil {
		return err
	}
	if !d.told(r.File) {
		d.unsure = true
		d.reset()
		return nil
	}
	if len(r.Library.Value) > 0 {
		if old, ok := d.library[string(r.Object)]; !ok || r.Library.Before(&old) {
			d.library[string(r.Object)] = schemas.Pick{Value: bytes.Clone(r.Library.Value), Time: r.Library.Time, Seq: r.Library.Seq}
		}
	}
	add := dayCell{r.Count, r.Bytes, r.Micros}
	r.Hour, r.Day, r.File, r.Count, r.Bytes, r.Micros, r.Library = schemas.HourOf(d.block.Day.Start()), true, 0, 0, 0, 0, schemas.Pick{}
	d.key = schemas.AppendSumRow(d.key[:0], r)
	c := d.cells[string(d.key)]
	switch {
	case c == nil:
		c = new(dayCell)
		d.cells[string(d.key)] = c
	case c.count > math.MaxInt64-add.count || c.bytes > math.MaxInt64-add.bytes || c.micros > math.MaxInt64-add.micros:
		full, err := newDayRow(string(d.key), c)
		if err != nil {
			return err
		}
		d.full = append(d.full, full)
		*c = dayCell{}
	}
	c.count, c.bytes, c.micros = c.count+add.count, c.bytes+add.bytes, c.micros+add.micros
	if len(d.cells)+len(d.full) >= d.m.dayCells {
		return d.spill()
	}
	return nil
}

// told tells whether the index says that a file has rows of the tenant and day: whoever uses
// sums of days goes by it.
func (d *daySums) told(file uint32) bool {
	told, ok := d.files[file]
	if !ok {
		hours := d.m.pack.index.Members[file].Tenants[d.block.Tenant].Hours
		told = slices.ContainsFunc(hours, func(h schemas.HourSpan) bool { return h.Hour.Day() == d.block.Day })
		d.files[file] = told
	}
	return told
}

// spill writes the figures so far to a scratch file and begins anew.
func (d *daySums) spill() (err error) {
	if d.out == nil {
		if d.scratch, err = d.m.scratch(); err != nil {
			return err
		}
		d.out = schemas.NewRowWriter(d.scratch)
	}
	return d.flush(d.out.Write)
}

// newDayRow is the row of a key, which is a sum row without figures.
func newDayRow(key string, c *dayCell) (dayRow, error) {
	var r schemas.SumRow
	if err := schemas.DecodeSumRow([]byte(key), &r); err != nil {
		return dayRow{}, err
	}
	r.Count, r.Bytes, r.Micros = c.count, c.bytes, c.micros
	return dayRow{r.Object, schemas.AppendSumRow(nil, &r)}, nil
}

// flush hands the figures to write, by object, then as their encodings sort. The first row of an
// object bears its library.
func (d *daySums) flush(write func([]byte) error) error {
	list := d.full
	for key, c := range d.cells {
		row, err := newDayRow(key, c)
		if err != nil {
			return err
		}
		list = append(list, row)
	}
	slices.SortFunc(list, func(a, b dayRow) int {
		return cmp.Or(bytes.Compare(a.object, b.object), bytes.Compare(a.row, b.row))
	})
	for i, x := range list {
		if p, ok := d.library[string(x.object)]; ok && (i == 0 || !bytes.Equal(list[i-1].object, x.object)) {
			if err := schemas.DecodeSumRow(x.row, &d.sum); err != nil {
				return err
			}
			d.sum.Library = p
			x.row = schemas.AppendSumRow(nil, &d.sum)
		}
		d.rows++
		if err := write(x.row); err != nil {
			return err
		}
	}
	d.reset()
	return nil
}

// write writes the block, unless it would save little against the rows of hours.
func (d *daySums) write(hourRows int64) error {
	if d.unsure || 2*(d.rows+int64(len(d.cells)+len(d.full))) > hourRows {
		return nil
	}
	w := &splitter{m: d.m, head: d.block}
	put := func(row []byte) error { return w.write(row, false) }
	if d.out == nil {
		if err := d.flush(put); err != nil {
			return err
		}
		return w.close()
	}
	err := d.spill()
	if cerr := d.out.Close(); err == nil {
		err = cerr
	}
	if d.out = nil; err != nil {
		return err
	}
	rows, err := schemas.NewRowReader(d.scratch.Reader())
	if err != nil {
		return err
	}
	defer rows.Close()
	for {
		row, err := rows.Next()
		if err == io.EOF {
			return w.close()
		} else if err != nil {
			return err
		}
		if err := put(row); err != nil {
			return err
		}
	}
}

// release gives the scratch file back.
func (d *daySums) release() error {
	if d.scratch == nil {
		return nil
	}
	var err error
	if d.out != nil {
		err = d.out.Close()
	}
	return errors.Join(err, d.scratch.Close())
}
