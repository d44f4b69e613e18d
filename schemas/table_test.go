package schemas

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"
)

func TestFieldsOfForeignObjects(t *testing.T) {
	tests := []struct{ name, line, want string }{
		{"texts, numbers, booleans", `{"a":"x","b":-1.5e3,"c":true,"d":false,"e":null}`, "a=x b=-1.5e3 c=true d=false"},
		{"fields within fields", `{"a":{"b":{"c":"x"},"d":1},"e":2}`, "a.b.c=x a.d=1 e=2"},
		{"of lists the first value", `{"a":["x",{"y":1},[2]],"b":[],"c":[[1,2],3],"d":[{"e":4},5]}`, "a=x c=1 d.e=4"},
		{"escapes", `{"a\u002eb":"\u00e9\n\"","\\":"/"}`, "a.b=é\n\" \\=/"},
		{"no UTF-8", "{\"a\":\"\xff\"}", "a=\uFFFD"},
		{"nothing", "{}", ""},
		{"blanks", ` { "a" : 1 , "b" : [ 2 ] } `, "a=1 b=2"},
		{"nested as deep as is handed out", strings.Repeat(`{"a":`, 9) + `1` + strings.Repeat("}", 9), "a.a.a.a.a.a.a.a.a=1"},
		{"nested deeper", strings.Repeat(`{"a":`, 10) + `1` + strings.Repeat("}", 10), ""},
		{"nested too deeply", strings.Repeat(`{"a":`, 600) + `1` + strings.Repeat("}", 600), "none"},
		{"a list", "[1]", "none"}, {"a text", `"a"`, "none"}, {"nothing at all", "", "none"}, {"cut off", `{"a":1`, "none"},
		{"more behind it", `{"a":1}x`, "none"}, {"a comma too many", `{"a":1,}`, "none"}, {"no value", `{"a"}`, "none"},
		{"a word that is none", `{"a":tru}`, "none"}, {"a list cut off", `{"a":[1`, "none"}, {"a list without commas", `{"a":[1 2]}`, "none"},
	}
	var f FieldScanner
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var got []string
			ok := f.Scan([]byte(tt.line), func(name, value []byte) { got = append(got, fmt.Sprintf("%s=%s", name, value)) })
			if s := strings.Join(got, " "); ok != (tt.want != "none") || ok && s != tt.want {
				t.Errorf("got %q (%v), want %q", s, ok, tt.want)
			}
		})
	}
}

func FuzzFieldScanner(f *testing.F) {
	f.Add(`{"a":{"b":["x",1]},"c":"\u00e9"}`)
	f.Fuzz(func(t *testing.T, line string) {
		var s FieldScanner
		s.Scan([]byte(line), func(name, value []byte) {
			if len(name)+len(value) > 3*len(line) {
				t.Errorf("%q: %q=%q", line, name, value)
			}
		})
	})
}

// textRow is a row of texts, and of columns that are none.
type textRow struct {
	A string   `parquet:"a"`
	B *string  `parquet:"b,optional,dict"`
	N int64    `parquet:"n"`
	T int64    `parquet:"t,timestamp(millisecond)"`
	L []string `parquet:"l,list"`
}

func textFile(t testing.TB, rows []textRow, options ...parquet.WriterOption) []byte {
	t.Helper()
	var b bytes.Buffer
	w := parquet.NewGenericWriter[textRow](&b, options...)
	if _, err := w.Write(rows); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func wants(names ...string) func(string) bool {
	return func(name string) bool { return strings.Contains(" "+strings.Join(names, " ")+" ", " "+name+" ") }
}

// readTable reads all rows, as texts joined by commas.
func readTable(b []byte, want func(string) bool) (columns string, rows []string, err error) {
	t, err := OpenTextTable("x", bytes.NewReader(b), int64(len(b)), want)
	if err != nil {
		return "", nil, err
	}
	for {
		r, err := t.Next()
		if err == io.EOF {
			return strings.Join(t.Columns(), ","), rows, nil
		} else if err != nil {
			return "", rows, err
		}
		for i := range r.Len {
			var cells []string
			for c := range t.Columns() {
				cells = append(cells, string(r.At(i, c)))
			}
			rows = append(rows, strings.Join(cells, ","))
		}
	}
}

func TestTextTable(t *testing.T) {
	x := "x"
	var rows []textRow
	var want []string
	for i := range 5000 {
		row := textRow{A: fmt.Sprint("a", i), N: int64(i)}
		cell := ""
		if i%3 == 0 {
			row.B, cell = &x, "x"
		}
		rows, want = append(rows, row), append(want, fmt.Sprintf("a%d,%s,%d", i, cell, i))
	}
	for _, most := range []int64{7, 1024, 5000, 100_000} {
		columns, got, err := readTable(textFile(t, rows, parquet.MaxRowsPerRowGroup(most)), wants("a", "b", "n", "missing"))
		if err != nil || columns != "a,b,n" || strings.Join(got, "\n") != strings.Join(want, "\n") {
			t.Errorf("row groups of %d: columns %s, %d rows, %v", most, columns, len(got), err)
		}
	}
}

func TestTextTableOfNothing(t *testing.T) {
	if _, rows, err := readTable(textFile(t, nil), wants("a")); err != nil || len(rows) != 0 {
		t.Error(rows, err)
	}
}

func TestTextTablesThatAreNone(t *testing.T) {
	good := textFile(t, []textRow{{A: "x"}})
	for name, tt := range map[string]struct {
		file []byte
		want func(string) bool
		says string
	}{
		"no Parquet":          {[]byte("hello, I am a text"), wants("a"), ""},
		"nothing":             {nil, wants("a"), ""},
		"cut off":             {good[:len(good)-5], wants("a"), ""},
		"a timestamp":         {good, wants("a", "t"), `column "t"`},
		"a list":              {good, wants("a", "l"), `column "l"`},
		"none of the columns": {good, wants("z"), "none of the columns"},
	} {
		_, _, err := readTable(tt.file, tt.want)
		if !errors.Is(err, ErrUnreadable) || !strings.Contains(err.Error(), tt.says) || !strings.Contains(err.Error(), `table "x"`) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestATextThatIsTooLongIsNone(t *testing.T) {
	_, rows, err := readTable(textFile(t, []textRow{{A: strings.Repeat("x", maxText+1)}, {A: "y"}}), wants("a"))
	if err != nil || len(rows) != 2 || rows[0] != "" || rows[1] != "y" {
		t.Errorf("%d rows, %v", len(rows), err)
	}
}

type lost struct{ io.ReaderAt }

func (lost) ReadAt([]byte, int64) (int, error) { return 0, io.ErrClosedPipe }

func TestATableWhoseConnectionIsLost(t *testing.T) {
	_, err := OpenTextTable("x", lost{}, 1000, wants("a"))
	if !errors.Is(err, io.ErrClosedPipe) || errors.Is(err, ErrUnreadable) {
		t.Error(err)
	}
}

// TestDamagedTables flips every byte of a file: no reading may panic, or go on for ever.
func TestDamagedTables(t *testing.T) {
	good := textFile(t, []textRow{{A: "x"}, {A: "y"}})
	for i := range good {
		b := bytes.Clone(good)
		b[i] ^= 0x55
		if _, rows, err := readTable(b, wants("a", "b", "n")); err == nil && len(rows) != 2 || err != nil && !errors.Is(err, ErrUnreadable) {
			t.Fatalf("byte %d: %d rows, %v", i, len(rows), err)
		}
	}
}

func FuzzTextTable(f *testing.F) {
	f.Add(textFile(f, []textRow{{A: "x"}, {A: "y"}}))
	f.Fuzz(func(t *testing.T, b []byte) {
		if _, _, err := readTable(b, wants("a", "b", "n")); err != nil && !errors.Is(err, ErrUnreadable) {
			t.Fatal(err)
		}
	})
}
