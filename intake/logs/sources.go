package logs

import (
	"bytes"
	"fmt"
	"io"
	"slices"

	"github.com/playmeter/playmeter/schemas"
)

// recordSource yields the records of a log.
type recordSource interface {
	// next fills the record with the next line and returns the bytes that make it this line and no other.
	// They hold until the next call. A line that cannot be read is bad and has no record. Errors: io.EOF.
	next(*record) (identity []byte, bad bool, err error)

	line() int64 // the number of the last line, from 1
	close()
}

// openSource opens a log as its format says.
func openSource(f *Format, name string, r io.ReaderAt, size int64) (recordSource, error) {
	fields := newFieldMap(f)
	if f.Lines == LinesParquet {
		table, err := schemas.OpenTextTable(name, r, size, func(column string) bool { return fields.find(column) != nil })
		if err != nil {
			return nil, err
		}
		return newParquetSource(table, fields), nil
	}
	text, end, err := unpack(io.NewSectionReader(r, 0, size))
	if err != nil {
		return nil, err
	}
	cut := newLineCutter(text)
	if f.Lines == LinesW3C {
		return &w3cSource{cut: cut, end: end, fields: fields}, nil
	}
	return &jsonSource{cut: cut, end: end, fields: fields}, nil
}

// jsonSource reads a JSON object a line.
type jsonSource struct {
	cut    *lineCutter
	end    func()
	fields *fieldMap
	scan   schemas.FieldScanner
}

func (s *jsonSource) next(r *record) (identity []byte, bad bool, err error) {
	line, long, err := s.cut.next()
	if err != nil || long {
		return nil, long, err
	}
	ok := s.scan.Scan(line, func(name, value []byte) { s.fields.put(r, s.fields.slots[string(name)], value) })
	return line, !ok, nil
}

func (s *jsonSource) line() int64 { return s.cut.number }
func (s *jsonSource) close()      { s.end() }

// w3cSource reads values that are named by a line "#Fields:" above them.
type w3cSource struct {
	cut     *lineCutter
	end     func()
	fields  *fieldMap
	columns [][]slot // of the last #Fields line
}

var fieldsLine = []byte("#Fields:")

// maxW3CFields is how many fields a line may have.
const maxW3CFields = 1000

func (s *w3cSource) next(r *record) (identity []byte, bad bool, err error) {
	for {
		line, long, err := s.cut.next()
		if err != nil || long {
			return nil, long, err
		}
		if line[0] != '#' {
			return line, !s.split(r, line), nil
		}
		if bytes.HasPrefix(line, fieldsLine) {
			s.header(line[len(fieldsLine):])
		}
	}
}

// header learns the names of fields; separators are blanks or tabs.
func (s *w3cSource) header(names []byte) {
	s.columns = s.columns[:0]
	for name := range bytes.FieldsSeq(names) {
		if len(s.columns) == maxW3CFields {
			s.columns = nil
			return
		}
		s.columns = append(s.columns, s.fields.find(string(name)))
	}
}

// split takes the values of a line. It must have as many as there are names.
func (s *w3cSource) split(r *record, line []byte) bool {
	separator := byte('\t')
	if bytes.IndexByte(line, separator) < 0 {
		separator = ' '
	}
	if len(s.columns) == 0 || bytes.Count(line, []byte{separator})+1 != len(s.columns) {
		return false
	}
	for _, slots := range s.columns {
		value, rest, _ := bytes.Cut(line, []byte{separator})
		s.fields.put(r, slots, value)
		line = rest
	}
	return true
}

func (s *w3cSource) line() int64 { return s.cut.number }
func (s *w3cSource) close()      { s.end() }

// parquetSource reads columns of text.
type parquetSource struct {
	table   *schemas.TextTable
	fields  *fieldMap
	columns [][]slot
	order   []int // the columns, by name
	rows    schemas.TextRows
	row     int
	number  int64
	made    []byte
}

func newParquetSource(t *schemas.TextTable, fields *fieldMap) *parquetSource {
	s := &parquetSource{table: t, fields: fields}
	names := t.Columns()
	for i, name := range names {
		s.columns = append(s.columns, fields.find(name))
		s.order = append(s.order, i)
	}
	slices.SortFunc(s.order, func(a, b int) int { return bytes.Compare([]byte(names[a]), []byte(names[b])) })
	return s
}

func (s *parquetSource) next(r *record) (identity []byte, bad bool, err error) {
	for s.row == s.rows.Len {
		if s.rows, err = s.table.Next(); err != nil {
			return nil, false, err
		}
		s.row = 0
	}
	s.made = s.made[:0]
	for _, c := range s.order {
		value := s.rows.At(s.row, c)
		s.made = append(append(s.made, value...), '\t')
		s.fields.put(r, s.columns[c], value)
	}
	s.row++
	s.number++
	return s.made, false, nil
}

func (s *parquetSource) line() int64 { return s.number }
func (s *parquetSource) close()      {}

// failedLine says where a log could not be read on.
func failedLine(name string, line int64, err error) error {
	return fmt.Errorf("log %q: after line %d: %w", name, line, err)
}
