package schemas

import (
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/parquet-go/parquet-go"
)

// TextTable reads the text columns of a Parquet file that is not of our making, such as a log whose columns
// are all texts.
//
//   - Memory: bounded as that of a usage file; a row group at a time.
//   - Errors: of all that fails, they name the file; [ErrUnreadable] unless the io.ReaderAt failed.
//   - Not for use by several goroutines at once.
type TextTable struct {
	name   string
	src    *source
	wanted []wantedColumn
	groups []rowGroup
	group  int // that is being read
	row    int64
	step   int

	dict    *Dict
	columns []*textColumn
	codes   [][]uint32
	present []byte
	failed  error
}

// OpenTextTable looks at a Parquet file and at those of its columns that want names. One of these
// that is no text is an error; one that is not there is not.
func OpenTextTable(name string, r io.ReaderAt, size int64, want func(column string) bool) (t *TextTable, err error) {
	t = &TextTable{name: name, src: &source{r: r, size: size}, step: 1 << 10}
	defer t.guard(&err)
	file, err := openParquet(t.src)
	if err != nil {
		return nil, err
	}
	t.wanted, _, err = matchColumns(file, func(name string, column *parquet.Column) (w wantedColumn, known bool, err error) {
		if !want(name) {
			return w, false, nil
		}
		if w, err = flatColumn(name, column); err == nil {
			err = w.form.forText()
		}
		return w, true, err
	})
	if err != nil {
		return nil, err
	}
	if len(t.wanted) == 0 {
		return nil, errors.New("has none of the columns that were asked for")
	}
	t.groups, err = rowGroups(file, t.wanted)
	return t, err
}

// guard turns a panic of a decoder into an error, and gives every error the file's name.
func (t *TextTable) guard(err *error) {
	if p := recover(); p != nil {
		*err = fmt.Errorf("decoder panic: %v", p)
	}
	if *err == nil || *err == io.EOF {
		return
	}
	if broken := t.src.failure(); broken != nil {
		*err = fmt.Errorf("table %q: %w", t.name, broken)
	} else {
		*err = fmt.Errorf("table %q: %w: %w", t.name, ErrUnreadable, *err)
	}
}

// Columns names the columns that rows have, in the order of the file.
func (t *TextTable) Columns() []string {
	names := make([]string, len(t.wanted))
	for i, w := range t.wanted {
		names[i] = w.name
	}
	return names
}

// TextRows are rows of a [TextTable]; they hold until its next call.
type TextRows struct {
	Len   int
	dict  *Dict
	codes [][]uint32
}

// At is the text of a row and a column; empty where there is none, or one beyond all bounds.
func (r TextRows) At(row, column int) []byte {
	code := r.codes[column][row]
	if code == badCode {
		return nil
	}
	return r.dict.Bytes(code)
}

// Next returns the next rows, or io.EOF. After an error every call returns it again.
func (t *TextTable) Next() (rows TextRows, err error) {
	if t.failed != nil {
		return TextRows{}, t.failed
	}
	defer func() { t.failed = err }()
	defer t.guard(&err)
	for t.group < len(t.groups) && t.row == t.groups[t.group].rows {
		if err := t.end(); err != nil {
			return TextRows{}, err
		}
	}
	if t.group == len(t.groups) {
		return TextRows{}, io.EOF
	}
	if t.columns == nil {
		if err := t.begin(); err != nil {
			return TextRows{}, err
		}
	}
	return t.fill(int(min(int64(t.step), t.groups[t.group].rows-t.row)))
}

// begin opens the columns of a row group.
func (t *TextTable) begin() error {
	t.dict = NewDict()
	t.present = grown(t.present, MaxBatch)
	t.codes = make([][]uint32, len(t.wanted))
	for _, w := range t.wanted {
		c := newTextColumn(0)
		c.form, c.optional = w.form, w.optional
		c.begin(t.dict)
		if err := c.open(t.src, &t.groups[t.group].columns[w.leaf].MetaData); err != nil {
			return fmt.Errorf("column %q: %w", w.name, err)
		}
		t.columns = append(t.columns, c)
	}
	return nil
}

// end checks that the columns of a row group hold no more than its rows.
func (t *TextTable) end() error {
	for i, c := range t.columns {
		if err := c.end(); err != nil {
			return fmt.Errorf("column %q: %w", t.wanted[i].name, err)
		}
	}
	t.group, t.row, t.columns = t.group+1, 0, nil
	return nil
}

func (t *TextTable) fill(n int) (TextRows, error) {
	if t.dict.Size() > maxDict {
		t.dict = NewDict()
		for _, c := range t.columns {
			c.begin(t.dict)
		}
	}
	before := t.dict.Size()
	for i, c := range t.columns {
		t.codes[i] = grown(t.codes[i], n)
		if err := c.fill(t.codes[i], t.present); err != nil {
			return TextRows{}, fmt.Errorf("column %q: %w", t.wanted[i].name, err)
		}
		c.bad = false
	}
	t.row += int64(n)
	if t.dict.Size()-before > maxDict/2 {
		t.step = max(t.step/4, 64)
	} else {
		t.step = min(t.step*4, MaxBatch)
	}
	return TextRows{n, t.dict, slices.Clone(t.codes)}, nil
}
