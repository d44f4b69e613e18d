package schemas

import (
	"errors"
	"fmt"
	"slices"

	"github.com/parquet-go/parquet-go"
)

// readParquet reads the rows of a catalog in Parquet.
func (c *Catalog) readParquet(src *source) error {
	file, err := openParquet(src)
	if err != nil {
		return err
	}
	wanted, _, err := matchColumns(file, checkCatalogColumn)
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(wanted, func(w wantedColumn) bool { return w.name == "object_id" }) {
		return errors.New(`column "object_id": is missing`)
	}
	groups, err := rowGroups(file, wanted)
	if err != nil {
		return err
	}
	for i := range groups {
		part := catalogPart{catalog: c, src: src, group: groups[i], wanted: wanted}
		if err := part.read(); err != nil {
			return err
		}
	}
	return nil
}

func checkCatalogColumn(name string, column *parquet.Column) (w wantedColumn, known bool, err error) {
	if name == formatsColumn {
		w, err = formatsOf(name, column)
		return w, true, err
	}
	at := findCatalogField(name)
	if at < 0 {
		return w, false, nil
	}
	if w, err = flatColumn(name, column); err != nil {
		return w, true, err
	}
	if catalogFields[at].number != nil {
		return w, true, w.form.forNumber(whole64)
	}
	return w, true, w.form.forText()
}

// formatsOf describes a column of texts, or of lists of texts: a repeated
// column, or one that is wrapped in groups as the LIST annotation says, two or three levels deep.
func formatsOf(name string, column *parquet.Column) (w wantedColumn, err error) {
	if column.Leaf() && !column.Repeated() {
		if w, err = flatColumn(name, column); err == nil {
			err = w.form.forText()
		}
		return w, err
	}
	leaf := column
	for !leaf.Leaf() {
		inner := leaf.Columns()
		if len(inner) != 1 {
			return w, errors.New("is neither a text nor a list of texts")
		}
		leaf = inner[0]
	}
	if leaf.MaxRepetitionLevel() != 1 || leaf.MaxDefinitionLevel() > 7 {
		return w, errors.New("is neither a text nor a list of texts")
	}
	w = wantedColumn{name: name, leaf: leaf.Index(), list: true, repeats: 1, defined: leaf.MaxDefinitionLevel()}
	if w.form, err = physicalOf(leaf.Type()); err == nil {
		err = w.form.forText()
	}
	return w, err
}

// catalogPart reads a row group of a catalog.
type catalogPart struct {
	catalog *Catalog
	src     *source
	group   rowGroup
	wanted  []wantedColumn

	dict    *Dict
	objects []CatalogObject // rows of the current stretch
	present []byte
	codes   []uint32
	numbers []int64
	fill    []func(rows []CatalogObject) error
	ends    []func() error
}

func (p *catalogPart) read() error {
	p.dict = NewDict()
	p.present = make([]byte, MaxBatch)
	for _, w := range p.wanted {
		if err := p.column(w); err != nil {
			return fmt.Errorf("column %q: %w", w.name, err)
		}
	}
	for row := int64(0); row < p.group.rows; row += int64(len(p.objects)) {
		if p.dict.Size() > hugeDict {
			return errors.New("too many and too long texts")
		}
		p.objects = grown(p.objects, int(min(p.group.rows-row, 1<<10)))
		for i := range p.objects {
			p.objects[i] = emptyObject()
		}
		for i, fill := range p.fill {
			if err := fill(p.objects); err != nil {
				return fmt.Errorf("column %q: %w", p.wanted[i].name, err)
			}
		}
		for _, o := range p.objects {
			p.catalog.add(o)
		}
	}
	for i, end := range p.ends {
		if err := end(); err != nil {
			return fmt.Errorf("column %q: %w", p.wanted[i].name, err)
		}
	}
	return nil
}

// column opens a column and plans how its values get into the objects.
func (p *catalogPart) column(w wantedColumn) error {
	chunk := &p.group.columns[w.leaf].MetaData
	at := findCatalogField(w.name)
	if at >= 0 && catalogFields[at].number != nil {
		c := newNumberColumn(IntBytes)
		c.form, c.optional = w.form, w.optional
		p.fill = append(p.fill, func(rows []CatalogObject) error { return p.fillNumbers(c, catalogFields[at].number, rows) })
		p.ends = append(p.ends, c.end)
		return c.open(p.src, chunk)
	}
	if w.list {
		c := newListColumn(w)
		c.begin(p.dict)
		p.fill = append(p.fill, func(rows []CatalogObject) error { return p.fillLists(c, rows) })
		p.ends = append(p.ends, c.end)
		return c.open(p.src, chunk)
	}
	c := newTextColumn(0)
	c.form, c.optional = w.form, w.optional
	c.begin(p.dict)
	set := func(o *CatalogObject, text string) { o.PlayoutFormats = splitFormats(text) }
	if at >= 0 {
		set = func(o *CatalogObject, text string) { *catalogFields[at].text(o) = text }
	}
	p.fill = append(p.fill, func(rows []CatalogObject) error { return p.fillTexts(c, set, rows) })
	p.ends = append(p.ends, c.end)
	return c.open(p.src, chunk)
}

func (p *catalogPart) fillTexts(c *textColumn, set func(*CatalogObject, string), rows []CatalogObject) error {
	p.codes = grown(p.codes, len(rows))
	if err := c.fill(p.codes, p.present); err != nil {
		return err
	}
	for i, code := range p.codes {
		switch code {
		case 0:
		case badCode:
			p.catalog.BadValues++
		default:
			set(&rows[i], p.dict.Text(code))
		}
	}
	return nil
}

func (p *catalogPart) fillNumbers(c *numberColumn, at func(*CatalogObject) *int64, rows []CatalogObject) error {
	p.numbers = grown(p.numbers, len(rows))
	if err := c.fill(p.numbers, p.present); err != nil {
		return err
	}
	for i, v := range p.numbers {
		*at(&rows[i]) = p.catalog.amount(v)
	}
	return nil
}

func (p *catalogPart) fillLists(c *listColumn, rows []CatalogObject) error {
	for i := range rows {
		codes, err := c.row()
		if err != nil {
			return err
		}
		for _, code := range codes {
			if code == badCode {
				p.catalog.BadValues++
				continue
			}
			rows[i].PlayoutFormats = appendFormat(rows[i].PlayoutFormats, p.dict.Text(code))
		}
	}
	return nil
}
