package schemas

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"
	xwriter "github.com/xitongsys/parquet-go/writer"
)

func readCatalog(key string, data []byte) (*Catalog, error) {
	return ReadCatalog(key, bytes.NewReader(data), int64(len(data)))
}

// showCatalog is a catalog in one line: "a formats=x,y storage=5; b; skipped=1".
func showCatalog(c *Catalog) string {
	var s []string
	for _, o := range c.Objects {
		line := string(o.ID)
		for _, f := range catalogFields[1:] {
			if f.text != nil && *f.text(&o) != "" {
				line += " " + f.name + "=" + *f.text(&o)
			}
			if f.number != nil && *f.number(&o) != None {
				line += fmt.Sprintf(" %s=%d", f.name, *f.number(&o))
			}
		}
		if o.PlayoutFormats != nil {
			line += fmt.Sprintf(" formats=%q", o.PlayoutFormats)
		}
		s = append(s, line)
	}
	for name, n := range map[string]int{"repeated": c.Repeated, "skipped": c.Skipped, "bad": c.BadValues} {
		if n > 0 {
			s = append(s, fmt.Sprintf("%s=%d", name, n))
		}
	}
	slices.Sort(s[len(c.Objects):])
	return strings.Join(s, "; ")
}

func TestCatalogLines(t *testing.T) {
	long := strings.Repeat("x", MaxID)
	tests := []struct{ name, lines, want string }{
		{"one object", `{"object_id":"a"}`, "a"},
		{"every column", `{"object_id":"a","library_id":"l","object_name":"n","ip_title_id":"i","title":"t","title_type":"f","asset_type":"p",` +
			`"storage_bytes":1,"master_audio_codec":"m1","master_video_codec":"m2","master_duration_us":2,"master_resolution":"r",` +
			`"mezzanine_audio_codec":"z1","mezzanine_video_codec":"z2","mezzanine_duration_us":3,"mezzanine_playout_formats":["x","y"],"video_segments":4}`,
			`a library_id=l object_name=n ip_title_id=i title=t title_type=f asset_type=p storage_bytes=1 master_audio_codec=m1 master_video_codec=m2` +
				` master_duration_us=2 master_resolution=r mezzanine_audio_codec=z1 mezzanine_video_codec=z2 mezzanine_duration_us=3 video_segments=4 formats=["x" "y"]`},
		{"sorted in byte order", `{"object_id":"b"}` + "\n" + `{"object_id":"B"}` + "\n" + `{"object_id":"a"}`, "B; a; b"},
		{"the later row wins", `{"object_id":"a","title":"1"}` + "\n" + `{"object_id":"b"}` + "\n" + `{"object_id":"a","storage_bytes":2}`, "a storage_bytes=2; b; repeated=1"},
		{"one comma-separated text", `{"object_id":"a","mezzanine_playout_formats":" x, ,y,"}`, `a formats=["x" "y"]`},
		{"a list keeps its order and loses its empties", `{"object_id":"a","mezzanine_playout_formats":["y"," x ","",null]}`, `a formats=["y" "x"]`},
		{"an empty list", `{"object_id":"a","mezzanine_playout_formats":[]}`, "a"},
		{"no list", `{"object_id":"a","mezzanine_playout_formats":null}`, "a"},
		{"a list of other things", `{"object_id":"a","mezzanine_playout_formats":[1,{},true,1.5]}`, `a formats=["1" "true"]; bad=2`},
		{"negative amounts", `{"object_id":"a","storage_bytes":-1,"video_segments":-2,"title":"t"}`, "a title=t; bad=2"},
		{"amounts that do not convert", `{"object_id":"a","storage_bytes":"x","video_segments":1.5,"master_duration_us":[1]}`, "a; bad=3"},
		{"amounts in other ways", `{"object_id":"a","storage_bytes":"12","video_segments":1e2}`, "a storage_bytes=12 video_segments=100"},
		{"an amount that is an empty text (R24)", `{"object_id":"a","storage_bytes":""}`, "a"},
		{"null", `{"object_id":"a","storage_bytes":null,"title":null}`, "a"},
		{"the last of two fields wins", `{"object_id":"a","title":"1","title":null,"storage_bytes":1,"storage_bytes":2}`, "a storage_bytes=2"},
		{"a text that is an object", `{"object_id":"a","title":{"en":"x"}}`, "a; bad=1"},
		{"unknown fields", `{"object_id":"a","x":{"object_id":"b"}}`, "a"},
		{"an empty id", `{"object_id":""}` + "\n" + `{"object_id":"a"}`, "a; skipped=1"},
		{"no id", `{"title":"x"}` + "\n" + `{"object_id":"a"}`, "a; skipped=1"},
		{"the longest id", fmt.Sprintf(`{"object_id":"%s"}`, long), long},
		{"an id too long", fmt.Sprintf(`{"object_id":"%sx"}`, long) + "\n" + `{"object_id":"a"}`, "a; skipped=1"},
		{"a line that is no object", "nope\n" + `{"object_id":"a"}`, "a; skipped=1"},
		{"invalid UTF-8", "{\"object_id\":\"a\",\"title\":\"\xff\xff\"}", "a title=\uFFFD"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, err := readCatalog("c.ndjson", []byte(tt.lines))
			if err != nil {
				t.Fatal(err)
			}
			if got := showCatalog(c); got != tt.want {
				t.Errorf("\n got %s\nwant %s", got, tt.want)
			}
		})
	}
}

func TestCatalogThatIsNone(t *testing.T) {
	tests := []struct{ key, data string }{
		{"c.ndjson", ""}, {"c.ndjson", "nope"}, {"c.ndjson", `{"object_id":""}`}, {"c.parquet", ""}, {"c.parquet", "PAR1PAR1PAR1"},
		{"c.ndjson.gz", "x"}, {"c.csv", `{"object_id":"a"}`},
	}
	for _, tt := range tests {
		if _, err := readCatalog(tt.key, []byte(tt.data)); !errors.Is(err, ErrUnreadable) {
			t.Errorf("%s of %q: error %v, want ErrUnreadable", tt.key, tt.data, err)
		}
	}
	for _, query := range []string{"SELECT 'a' AS object_id WHERE false", "SELECT 'a' AS id", "SELECT ['a'] AS object_id", "SELECT 'a' AS object_id, 1.5::DOUBLE AS storage_bytes",
		"SELECT 'a' AS object_id, {'x': 1} AS title", "SELECT 'a' AS object_id, [['x']] AS mezzanine_playout_formats",
		"SELECT 'a' AS object_id, MAP {'a': 'b'} AS mezzanine_playout_formats", "SELECT 'a' AS object_id, [1.5::DOUBLE] AS mezzanine_playout_formats"} {
		if _, err := readCatalog("c.parquet", duckdbFile(t, query, "")); !errors.Is(err, ErrUnreadable) {
			t.Errorf("%s: error %v, want ErrUnreadable", query, err)
		}
	}
}

func TestCatalogFromDuckDB(t *testing.T) {
	const query = `SELECT * FROM (VALUES ('b', 5::BIGINT, ['x', ' y ', '', NULL], 'T1'), ('a', NULL, NULL, NULL), ('c', -1, [], 'T2'), ('', 1, ['z'], ''), ('b', 7, ['w'], 'T3'))
		AS v(object_id, storage_bytes, mezzanine_playout_formats, title)`
	for _, version := range []string{"V1", "V2"} {
		c, err := readCatalog("c.parquet", duckdbFile(t, query, ", PARQUET_VERSION "+version))
		if err != nil {
			t.Fatal(err)
		}
		if got, want := showCatalog(c), `a; b title=T3 storage_bytes=7 formats=["w"]; c title=T2; bad=1; repeated=1; skipped=1`; got != want {
			t.Errorf("%s\n got %s\nwant %s", version, got, want)
		}
	}
	c, err := readCatalog("c.parquet", duckdbFile(t, "SELECT 7 AS object_id, '12' AS storage_bytes, 'x, y' AS mezzanine_playout_formats, 'no'::VARCHAR AS video_segments", ""))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := showCatalog(c), `7 storage_bytes=12 formats=["x" "y"]; bad=1`; got != want {
		t.Errorf("\n got %s\nwant %s", got, want)
	}
}

// The ways in which a list is laid out: three levels, two, and a repeated column.
type (
	threeLevels struct {
		ID      string   `parquet:"object_id"`
		Formats []string `parquet:"mezzanine_playout_formats,list"`
	}
	repeatedColumn struct {
		ID      string   `parquet:"object_id"`
		Formats []string `parquet:"mezzanine_playout_formats,dict"`
	}
	twoLevels struct {
		ID      string `parquet:"object_id"`
		Formats struct {
			Array []string `parquet:"array"`
		} `parquet:"mezzanine_playout_formats"`
	}
	xLevels struct {
		ID      string   `parquet:"name=object_id, type=BYTE_ARRAY"`
		Formats []string `parquet:"name=mezzanine_playout_formats, type=LIST, valuetype=BYTE_ARRAY, valueconvertedtype=UTF8"`
	}
)

func writeAll[T any](t *testing.T, rows []T, options ...parquet.WriterOption) []byte {
	var buf bytes.Buffer
	w := parquet.NewGenericWriter[T](&buf, options...)
	if _, err := w.Write(rows); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

func TestCatalogLists(t *testing.T) {
	var three []threeLevels
	var repeated []repeatedColumn
	var two []twoLevels
	var x bytes.Buffer
	xw, err := xwriter.NewParquetWriterFromWriter(&x, new(xLevels), 1)
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for i := range 2500 {
		id, line := fmt.Sprintf("o%05d", i), fmt.Sprintf("o%05d", i)
		var formats []string
		for k := range i % 5 {
			formats = append(formats, fmt.Sprintf("f%d", (i+k)%7))
		}
		if formats != nil {
			line += fmt.Sprintf(" formats=%q", formats)
		}
		want = append(want, line)
		three, repeated = append(three, threeLevels{id, formats}), append(repeated, repeatedColumn{id, formats})
		var w twoLevels
		w.ID, w.Formats.Array = id, formats
		two = append(two, w)
		if err := xw.Write(xLevels{id, formats}); err != nil {
			t.Fatal(err)
		}
	}
	if err := xw.WriteStop(); err != nil {
		t.Fatal(err)
	}
	small := parquet.PageBufferSize(500)
	files := map[string][]byte{
		"three levels": writeAll(t, three, small), "three levels v1": writeAll(t, three, small, parquet.DataPageVersion(1)),
		"repeated": writeAll(t, repeated, small), "repeated v1": writeAll(t, repeated, small, parquet.DataPageVersion(1)),
		"two levels": writeAll(t, two, small), "two levels v1": writeAll(t, two, small, parquet.DataPageVersion(1), parquet.MaxRowsPerRowGroup(700)),
		"xitongsys": x.Bytes(),
	}
	for name, data := range files {
		c, err := readCatalog("c.parquet", data)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		sameRows(t, strings.Split(showCatalog(c), "; "), want)
	}
}

func TestWriteCatalogIsRead(t *testing.T) {
	full, least := emptyObject(), emptyObject()
	full.ID, least.ID = "a", "b"
	for i, f := range catalogFields[1:] {
		if f.text != nil {
			*f.text(&full) = fmt.Sprint("text", i)
		} else {
			*f.number(&full) = int64(i)
		}
	}
	full.PlayoutFormats = []string{"hls-clear", "dash-widevine"}
	var buf bytes.Buffer
	if err := WriteCatalog(&buf, []CatalogObject{full, least}); err != nil {
		t.Fatal(err)
	}
	c, err := readCatalog("c.parquet", buf.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	want := &Catalog{Objects: []CatalogObject{full, least}}
	if got, want := showCatalog(c), showCatalog(want); got != want {
		t.Errorf("\n got %s\nwant %s", got, want)
	}
}
