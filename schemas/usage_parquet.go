package schemas

import (
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/format"
)

const int96 = parquet.Int96

// parquetUsage is a usage file in Parquet whose columns fit.
type parquetUsage struct {
	src    *source
	rows   int64
	groups []rowGroup
	wanted []wantedColumn
	extra  []string
}

type rowGroup struct {
	first, rows int64
	columns     []format.ColumnChunk
}

// wantedColumn is a column of the file that is one of ours.
type wantedColumn struct {
	name     string
	leaf     int // its place among the file's columns
	form     physical
	optional bool

	list             bool // has several values a row
	repeats, defined int  // the highest levels of a list
}

// openParquetUsage reads the footer and checks that the columns are there and convert.
func openParquetUsage(src *source) (*parquetUsage, error) {
	file, err := openParquet(src)
	if err != nil {
		return nil, err
	}
	u := &parquetUsage{src: src, rows: file.NumRows()}
	if u.wanted, u.extra, err = matchColumns(file, checkUsageColumn); err != nil {
		return nil, err
	}
	if err := u.checkRequired(); err != nil {
		return nil, err
	}
	u.groups, err = rowGroups(file, u.wanted)
	return u, err
}

// openParquet reads a footer that is not made to burst.
func openParquet(src *source) (*parquet.File, error) {
	if err := checkFooter(src); err != nil {
		return nil, err
	}
	return parquet.OpenFile(src, src.size, &parquet.FileConfig{SkipPageIndex: true, SkipBloomFilters: true})
}

// matchColumns finds the columns that check knows, and names the others.
func matchColumns(file *parquet.File, check func(name string, column *parquet.Column) (wantedColumn, bool, error)) (
	wanted []wantedColumn, extra []string, err error) {
	seen := map[string]bool{}
	for _, column := range file.Root().Columns() {
		name := column.Name()
		w, known, err := check(name, column)
		switch {
		case err != nil:
			return nil, nil, fmt.Errorf("column %q: %w", name, err)
		case !known:
			extra = append(extra, name)
			continue
		case seen[name]:
			return nil, nil, fmt.Errorf("column %q: is there twice", name)
		}
		seen[name] = true
		wanted = append(wanted, w)
	}
	slices.Sort(extra)
	return wanted, extra, nil
}

// checkUsageColumn plans how a column is read.
func checkUsageColumn(name string, column *parquet.Column) (wantedColumn, bool, error) {
	text, number := stringColumn(name), intColumn(name)
	if text < 0 && number < 0 && name != eventIDColumn {
		return wantedColumn{}, false, nil
	}
	w, err := flatColumn(name, column)
	if err != nil {
		return w, true, err
	}
	if number >= 0 {
		err = w.form.forNumber(wantedInts[number])
	} else {
		err = w.form.forText()
	}
	return w, true, err
}

// flatColumn describes a column that has one value a row, or none.
func flatColumn(name string, column *parquet.Column) (w wantedColumn, err error) {
	switch {
	case !column.Leaf():
		return w, errors.New("is nested")
	case column.Repeated():
		return w, errors.New("is a list")
	}
	w = wantedColumn{name: name, leaf: column.Index(), optional: column.Optional()}
	w.form, err = physicalOf(column.Type())
	return w, err
}

const eventIDColumn = "event_id"

func stringColumn(name string) StringColumn {
	return StringColumn(slices.Index(stringColumnNames[:], name))
}

func intColumn(name string) IntColumn { return IntColumn(slices.Index(intColumnNames[:], name)) }

func (u *parquetUsage) checkRequired() error {
	has := func(name string) bool {
		return slices.ContainsFunc(u.wanted, func(w wantedColumn) bool { return w.name == name })
	}
	var errs []error
	for _, name := range []string{"node_id", "time", "tenant_id", "kind"} {
		if !has(name) {
			errs = append(errs, fmt.Errorf("column %q: is missing", name))
		}
	}
	if !has("object_id") && !has("version_hash") {
		errs = append(errs, errors.New(`column "object_id": is missing, and so is "version_hash"`))
	}
	return errors.Join(errs...)
}

// rowGroups checks that the row groups add up and that every wanted column has
// the rows of its group.
func rowGroups(file *parquet.File, wanted []wantedColumn) ([]rowGroup, error) {
	meta := file.Metadata()
	groups := make([]rowGroup, 0, len(meta.RowGroups))
	sum := int64(0)
	for i := range meta.RowGroups {
		g := &meta.RowGroups[i]
		if g.NumRows < 0 || g.NumRows > maxRows-sum {
			return nil, fmt.Errorf("row group %d: claims %d rows", i, g.NumRows)
		}
		for _, w := range wanted {
			if err := checkChunk(&g.Columns[w.leaf], w, g.NumRows); err != nil {
				return nil, fmt.Errorf("column %q: row group %d: %w", w.name, i, err)
			}
		}
		groups = append(groups, rowGroup{first: sum, rows: g.NumRows, columns: g.Columns})
		sum += g.NumRows
	}
	if sum != meta.NumRows {
		return nil, fmt.Errorf("row groups of %d rows in a file of %d", sum, meta.NumRows)
	}
	return groups, nil
}

func checkChunk(chunk *format.ColumnChunk, w wantedColumn, rows int64) error {
	m := &chunk.MetaData
	switch {
	case chunk.FilePath != "":
		return errors.New("lies in another file")
	case parquet.Kind(m.Type) != w.form.kind:
		return fmt.Errorf("is %s, and %s in the schema", parquet.Kind(m.Type), w.form.kind)
	case len(m.PathInSchema) == 0 || m.PathInSchema[0] != w.name:
		return fmt.Errorf("belongs to column %q", m.PathInSchema)
	case !knownCodec(m.Codec):
		return fmt.Errorf("compressed with %s, which is not supported", m.Codec)
	case m.NumValues != rows && !w.list:
		return fmt.Errorf("%d values for %d rows", m.NumValues, rows)
	}
	return nil
}

// parquetPart reads one row group.
type parquetPart struct {
	file    *parquetUsage
	group   rowGroup
	texts   []*textColumn
	numbers []*numberColumn
	id      *idColumn

	opened  bool
	row     int64
	step    int   // rows of the next batch
	most    int   // size from which a new dictionary begins
	held    int64 // bytes of pages that the columns hold
	batch   Batch
	ids     Texts
	present []byte
}

func (u *parquetUsage) part(i int) *parquetPart {
	return &parquetPart{file: u, group: u.groups[i], step: 1 << 10, most: maxDict}
}

func (p *parquetPart) open() error {
	p.opened = true
	p.present = make([]byte, MaxBatch)
	for _, w := range p.file.wanted {
		var c *cursor
		if at := stringColumn(w.name); at >= 0 {
			t := newTextColumn(at)
			p.texts, c = append(p.texts, t), &t.cursor
		} else if at := intColumn(w.name); at >= 0 {
			n := newNumberColumn(at)
			p.numbers, c = append(p.numbers, n), &n.cursor
		} else {
			p.id = newIDColumn()
			c = &p.id.cursor
		}
		c.form, c.optional, c.pages.held = w.form, w.optional, &p.held
		if err := c.open(p.file.src, &p.group.columns[w.leaf].MetaData); err != nil {
			return fmt.Errorf("column %q: %w", w.name, err)
		}
	}
	p.begin(NewDict())
	return nil
}

func (p *parquetPart) begin(d *Dict) {
	p.batch.Dict = d
	for _, c := range p.texts {
		c.begin(d)
	}
}

func (p *parquetPart) next() (*Batch, error) {
	if !p.opened {
		if err := p.open(); err != nil {
			return nil, err
		}
	}
	if p.row == p.group.rows {
		return nil, p.end()
	}
	if p.batch.Dict.Size() > p.most {
		p.begin(NewDict())
	}
	before := p.batch.Dict.Size()
	if err := p.fill(int(min(int64(p.step), p.group.rows-p.row))); err != nil {
		return nil, err
	}
	p.row += int64(p.batch.Len)
	p.adapt(p.batch.Dict.Size() - before + len(p.ids.data))
	return &p.batch, nil
}

// adapt makes the next batch small where texts are long, so that memory stays bounded.
func (p *parquetPart) adapt(grown int) {
	if grown > maxDict/2 {
		p.step = max(p.step/4, 64)
	} else {
		p.step = min(p.step*4, MaxBatch)
	}
}

func (p *parquetPart) fill(n int) (err error) {
	b := &p.batch
	b.FirstRow, b.Bad = p.group.first+p.row, nil
	if p.id != nil {
		if n, err = p.id.fill(&p.ids, n, p.present); err != nil {
			return fmt.Errorf("column %q: %w", eventIDColumn, err)
		}
		b.EventID = &p.ids
	}
	b.Len = n
	for _, c := range p.texts {
		dst := grown(b.Strings[c.at], n)
		if err := c.fill(dst, p.present); err != nil {
			return fmt.Errorf("column %q: %w", c.at.Name(), err)
		}
		c.settle(b, dst)
		b.Strings[c.at] = dst
	}
	for _, c := range p.numbers {
		dst := grown(b.Ints[c.at], n)
		if err := c.fill(dst, p.present); err != nil {
			return fmt.Errorf("column %q: %w", c.at.Name(), err)
		}
		c.settle(b, dst)
		b.Ints[c.at] = dst
	}
	if p.id != nil {
		for _, i := range p.id.bad {
			b.mark(i, ReasonBadValue)
		}
	}
	return nil
}

// end checks that no column has rows left.
func (p *parquetPart) end() error {
	for _, c := range p.texts {
		if err := c.end(); err != nil {
			return fmt.Errorf("column %q: %w", c.at.Name(), err)
		}
	}
	for _, c := range p.numbers {
		if err := c.end(); err != nil {
			return fmt.Errorf("column %q: %w", c.at.Name(), err)
		}
	}
	if p.id != nil {
		if err := p.id.end(); err != nil {
			return fmt.Errorf("column %q: %w", eventIDColumn, err)
		}
	}
	return io.EOF
}

func (p *parquetPart) close() { *p = parquetPart{} }
