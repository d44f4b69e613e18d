package oracle

import (
	"bufio"
	"compress/gzip"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	_ "github.com/duckdb/duckdb-go/v2"
	"github.com/klauspost/compress/zstd"
	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/compress"
)

// A shape is one way of writing a usage file: which program, compression and
// types.
type shape struct {
	name     string // also the end of the key
	unit     int64  // of times, nanoseconds
	codec    compress.Codec
	copyTo   string // options of a DuckDB COPY, when that writes the file
	required bool   // no nulls where the contract knows a value that means nothing
	millis   bool   // times are int64 Unix ms
	rfc3339  bool   // times are strings
	nanos    bool   // times are in nanoseconds, whatever unit says
	local    bool   // times are not marked as adjusted to UTC
	strings  bool   // everything is a string
	raw      bool   // strings are plain byte arrays
	wide     bool   // int64 for int32, uint64 for int64, int32 for flags
	zone     bool   // RFC 3339 with other offsets than Z
	lz       string // compression of an NDJSON file: "", "gz" or "zst"
}

func (s shape) lines() bool { return strings.HasPrefix(s.name, "ndjson") }

// shapes are all the ways. DuckDB reads nanoseconds that are marked as adjusted
// to UTC with a loss, so such files hold whole microseconds only.
var shapes = []shape{
	{name: "ns.parquet", unit: 1, codec: &parquet.Snappy, local: true},
	{name: "ndjson.plain", unit: 1, rfc3339: true},
	{name: "raw.parquet", unit: 1, codec: &parquet.Gzip, raw: true, local: true},
	{name: "strings.parquet", unit: 1, codec: &parquet.Zstd, strings: true, rfc3339: true},
	{name: "duckdb-ns.parquet", unit: 1, copyTo: "compression zstd", local: true},
	{name: "zstd.parquet", unit: 1e3, codec: &parquet.Zstd},
	{name: "ns-utc.parquet", unit: 1e3, codec: &parquet.Zstd, nanos: true},
	{name: "required.parquet", unit: 1e6, codec: &parquet.Uncompressed, required: true},
	{name: "millis.parquet", unit: 1e6, codec: &parquet.Lz4Raw, millis: true},
	{name: "wide.parquet", unit: 1e3, codec: &parquet.Brotli, wide: true, local: true},
	{name: "duckdb-us.parquet", unit: 1e3, copyTo: "compression gzip, row_group_size 4096"},
	{name: "ndjson.millis", unit: 1e6, millis: true, lz: "gz"},
	{name: "ndjson.zones", unit: 1, rfc3339: true, zone: true, lz: "zst"},
	{name: "rfc.parquet", unit: 1, codec: &parquet.Uncompressed, rfc3339: true, required: true},
}

// holds says whether the shape can say all that is in the group.
func (s shape) holds(g group) bool {
	if g.grain() < s.unit {
		return false
	}
	for i := range g {
		r := &g[i]
		for _, t := range r.text {
			if t != "" && !s.raw && !utf8.ValidString(t) {
				return false
			}
		}
		switch {
		case r.line != "" && !s.lines():
			return false
		case r.bad != nil && !s.spoils(r.bad):
			return false
		case s.wide && (r.number[nBytes] < 0 || r.number[nSeq] < 0):
			return false
		case s.required && (r.bad != nil || !r.given(nTime)):
			return false
		}
	}
	return true
}

// spoils says whether the shape can write the bad cell.
func (s shape) spoils(b *badCell) bool {
	if s.lines() || s.strings {
		return true
	}
	if !s.wide {
		return false
	}
	var err error
	if isNarrow(b.column) {
		_, err = strconv.ParseInt(b.text, 10, 64)
	} else if b.column == nBytes || b.column == nSeq {
		_, err = strconv.ParseUint(b.text, 10, 64)
	} else {
		return false
	}
	return err == nil
}

// write spreads the groups over n files of all shapes under dir/usage. Groups
// are dealt to the files at random, and mixed, so rows of a file are in no
// order but that of each group.
func (w *World) write(dir string, rng *rand.Rand, n int) error {
	decks := make([][]group, n)
	kinds := make([]shape, n)
	for i := range kinds {
		kinds[i] = shapes[i%len(shapes)]
	}
	for _, g := range w.groups {
		for {
			i := rng.IntN(n)
			if i%5 == 4 && g[0].text[cKind] == "playout" && i >= len(shapes) {
				continue // files without playout, where its columns may be missing
			}
			if kinds[i].holds(g) {
				decks[i] = append(decks[i], g)
				break
			}
		}
	}
	scratch, err := sql.Open("duckdb", "")
	if err != nil {
		return err
	}
	defer scratch.Close()
	for i, deck := range decks {
		rows := mix(rng, deck)
		ext := map[string]string{"": ".ndjson", "gz": ".ndjson.gz", "zst": ".ndjson.zst"}[kinds[i].lz]
		if !kinds[i].lines() {
			ext = ".parquet"
		}
		key := fmt.Sprintf("dt=2026-10-%02d/hour=%02d/inod%d-%d%s", i%28+1, i%24, i%9, rng.IntN(1e6), ext)
		if i%6 == 5 {
			key = fmt.Sprintf("%x/other %d%s", i, i, ext)
		}
		path := filepath.Join(dir, "usage", filepath.FromSlash(key))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := kinds[i].write(path, rng, rows, scratch); err != nil {
			return fmt.Errorf("%s (%s): %w", key, kinds[i].name, err)
		}
		w.Files = append(w.Files, File{key, path})
	}
	return w.writeHidden(dir, rng, decks[0])
}

// writeHidden adds files that are to be skipped because of their keys. They
// hold events of others.
func (w *World) writeHidden(dir string, rng *rand.Rand, deck []group) error {
	rows := mix(rng, deck[:min(len(deck), 20)])
	for _, key := range []string{"_temporary/0/part-0.parquet", "dt=2026-10-01/.part-1.parquet", "dt=2026-10-01/notes.parquet.bak"} {
		path := filepath.Join(dir, "usage", filepath.FromSlash(key))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := shapes[0].write(path, rng, rows, nil); err != nil {
			return err
		}
		w.Files = append(w.Files, File{key, path})
	}
	return nil
}

// Repartition writes the events of w to other files below dir, in another
// order. Reports of the new world are the same; counts by class differ where
// rows outside the period are, since those are counted by file.
func (w *World) Repartition(dir string, seed uint64, files int) (*World, error) {
	rng := rand.New(rand.NewPCG(seed, 0x7265706172746974))
	c := &World{
		Catalogs: w.Catalogs, Tenants: w.Tenants, UserAgents: slices.Clone(w.UserAgents), Geo: slices.Clone(w.Geo), Hashes: w.Hashes,
		groups: slices.Clone(w.groups),
	}
	rng.Shuffle(len(c.groups), func(i, j int) { c.groups[i], c.groups[j] = c.groups[j], c.groups[i] })
	return c, c.write(dir, rng, max(files, 4))
}

// mix lays groups together: in any order, each one's rows in theirs.
func mix(rng *rand.Rand, deck []group) []row {
	deck = slices.Clone(deck)
	rng.Shuffle(len(deck), func(i, j int) { deck[i], deck[j] = deck[j], deck[i] })
	var rows []row
	var open []group // begun, with rows left
	for len(deck) > 0 || len(open) > 0 {
		if len(open) > 0 && (len(deck) == 0 || rng.IntN(3) == 0) {
			i := rng.IntN(len(open))
			rows = append(rows, open[i][0])
			if open[i] = open[i][1:]; len(open[i]) == 0 {
				open = slices.Delete(open, i, i+1)
			}
			continue
		}
		g := deck[0]
		deck = deck[1:]
		rows = append(rows, g[0])
		if len(g) > 1 {
			open = append(open, g[1:])
		}
	}
	return rows
}

func (s shape) write(path string, rng *rand.Rand, rows []row, scratch *sql.DB) error {
	switch {
	case s.lines():
		return s.writeLines(path, rng, rows)
	case s.copyTo == "":
		return s.writeParquet(path, rng, rows)
	}
	draft := path + ".draft"
	plain := s
	plain.codec = &parquet.Snappy
	if err := plain.writeParquet(draft, rng, rows); err != nil {
		return err
	}
	defer os.Remove(draft)
	_, err := scratch.ExecContext(context.Background(), fmt.Sprintf(
		"set threads = 2; set TimeZone = 'UTC'; copy (select * from read_parquet(%s)) to %s (format parquet, %s)", quoted(draft), quoted(path), s.copyTo))
	return err
}

// A cell is a column of a Parquet file: its type, and its value in a row.
type cell struct {
	name  string
	node  parquet.Node
	value func(*row) (parquet.Value, bool) // false: null
}

// cells are the columns of a Parquet file of this shape, in random order, one
// of them of no meaning. Columns without any value may be missing.
func (s shape) cells(rng *rand.Rand, rows []row) []cell {
	var all []cell
	omit := func(used, needed bool) bool { return !used && !needed && rng.IntN(2) == 0 }
	for c := range numTexts {
		used := slices.ContainsFunc(rows, func(r row) bool { return r.text[c] != "" })
		if !omit(used, c == cNode || c == cTenant || c == cKind) {
			all = append(all, s.textCell(rng, c))
		}
	}
	for c := range numNumbers {
		used := slices.ContainsFunc(rows, func(r row) bool { return r.given(c) || r.bad != nil && r.bad.column == c })
		if !omit(used, c == nTime) {
			all = append(all, s.numberCell(rng, c))
		}
	}
	all = append(all, cell{"x_extra", parquet.Optional(parquet.Leaf(parquet.DoubleType)), func(r *row) (parquet.Value, bool) { return parquet.DoubleValue(0.5), r.given(nSeq) }})
	rng.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	return all
}

func (s shape) textCell(rng *rand.Rand, c int) cell {
	node := parquet.String()
	if s.raw {
		node = parquet.Leaf(parquet.ByteArrayType)
	}
	switch rng.IntN(4) {
	case 0:
		node = parquet.Encoded(node, &parquet.RLEDictionary)
	case 1:
		node = parquet.Encoded(node, &parquet.DeltaByteArray)
	case 2:
		node = parquet.Encoded(node, &parquet.DeltaLengthByteArray)
	}
	required := s.required || rng.IntN(5) == 0
	if !required {
		node = parquet.Optional(node)
	}
	return cell{textNames[c], node, func(r *row) (parquet.Value, bool) {
		return parquet.ByteArrayValue([]byte(r.text[c])), required || r.text[c] != ""
	}}
}

func (s shape) numberCell(rng *rand.Rand, c int) cell {
	required := c == nTime || s.required && (c == nBytes || c == nStatus || c == nWidth || c == nHeight || c == nDuration || c == nLive || c == nSourceWidth || c == nSourceHeight)
	node, of := s.numberType(c)
	if c == nTime && s.strings {
		required = false
	}
	if !required {
		node = parquet.Optional(node)
	}
	blank := s.strings && rng.IntN(2) == 0 // an empty string for what is not known
	return cell{numberNames[c], node, func(r *row) (parquet.Value, bool) {
		switch {
		case r.bad != nil && r.bad.column == c:
			return s.badValue(r.bad), true
		case r.given(c):
			return of(r.number[c]), true
		case required && c == nStatus:
			return of(200), true
		case blank && c != nTime:
			return parquet.ByteArrayValue(nil), true
		}
		return of(0), required
	}}
}

func (s shape) badValue(b *badCell) parquet.Value {
	if s.strings {
		return parquet.ByteArrayValue([]byte(b.text))
	}
	if u, err := strconv.ParseUint(b.text, 10, 64); err == nil {
		return parquet.Int64Value(int64(u))
	}
	n, _ := strconv.ParseInt(b.text, 10, 64)
	return parquet.Int64Value(n)
}

// numberType is how the shape writes number column c.
func (s shape) numberType(c int) (parquet.Node, func(int64) parquet.Value) {
	text := func(f func(int64) string) (parquet.Node, func(int64) parquet.Value) {
		return parquet.String(), func(v int64) parquet.Value { return parquet.ByteArrayValue([]byte(f(v))) }
	}
	switch {
	case isInstant(c) && s.rfc3339:
		return text(rfc3339)
	case isInstant(c) && s.millis && c == nTime:
		return parquet.Leaf(parquet.Int64Type), func(v int64) parquet.Value { return parquet.Int64Value(v / 1e6) }
	case isInstant(c):
		per := s.unit
		if s.nanos {
			per = 1
		}
		unit := map[int64]parquet.TimeUnit{1: parquet.Nanosecond, 1e3: parquet.Microsecond, 1e6: parquet.Millisecond}[per]
		return parquet.TimestampAdjusted(unit, !s.local), func(v int64) parquet.Value { return parquet.Int64Value(v / per) }
	case s.strings && isFlag(c):
		return text(func(v int64) string { return []string{"false", "true"}[v] })
	case s.strings:
		return text(func(v int64) string { return strconv.FormatInt(v, 10) })
	case isFlag(c) && s.wide, isNarrow(c) && !s.wide:
		return parquet.Leaf(parquet.Int32Type), func(v int64) parquet.Value { return parquet.Int32Value(int32(v)) }
	case isFlag(c):
		return parquet.Leaf(parquet.BooleanType), func(v int64) parquet.Value { return parquet.BooleanValue(v == 1) }
	case s.wide && (c == nBytes || c == nSeq):
		return parquet.Uint(64), parquet.Int64Value
	}
	return parquet.Leaf(parquet.Int64Type), parquet.Int64Value
}

// An ordered group keeps its columns in the order given.
type ordered struct {
	parquet.Group
	names []string
}

func (o ordered) Fields() []parquet.Field {
	fields := o.Group.Fields()
	slices.SortFunc(fields, func(a, b parquet.Field) int {
		return slices.Index(o.names, a.Name()) - slices.Index(o.names, b.Name())
	})
	return fields
}

func (s shape) writeParquet(path string, rng *rand.Rand, rows []row) error {
	columns := s.cells(rng, rows)
	node := ordered{Group: parquet.Group{}}
	optional := make([]bool, len(columns))
	for i, c := range columns {
		node.Group[c.name] = c.node
		node.names = append(node.names, c.name)
		optional[i] = c.node.Optional()
	}
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	w := parquet.NewWriter(f, parquet.NewSchema("events", node), parquet.Compression(s.codec), parquet.DataPageVersion(1+rng.IntN(2)), parquet.MaxRowsPerRowGroup(int64(500+rng.IntN(50_000))))
	buf := make([]parquet.Row, 0, 512)
	for i := range rows {
		line := make(parquet.Row, len(columns))
		for j, c := range columns {
			v, ok := c.value(&rows[i])
			switch {
			case !optional[j]:
				line[j] = v.Level(0, 0, j)
			case ok:
				line[j] = v.Level(0, 1, j)
			default:
				line[j] = parquet.NullValue().Level(0, 0, j)
			}
		}
		if buf = append(buf, line); len(buf) == cap(buf) || i == len(rows)-1 {
			if _, err := w.WriteRows(buf); err != nil {
				return err
			}
			buf = buf[:0]
		}
	}
	if err := w.Close(); err != nil {
		return err
	}
	return f.Close()
}

func (s shape) writeLines(path string, rng *rand.Rand, rows []row) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	var out io.WriteCloser = f
	switch s.lz {
	case "gz":
		out = gzip.NewWriter(f)
	case "zst":
		if out, err = zstd.NewWriter(f); err != nil {
			return err
		}
	}
	b := bufio.NewWriterSize(out, 1<<16)
	for i := range rows {
		s.writeLine(b, rng, &rows[i])
	}
	if err := b.Flush(); err != nil {
		return err
	}
	if out != f {
		if err := out.Close(); err != nil {
			return err
		}
	}
	return f.Close()
}

// writeLine writes the row as a JSON object. Numbers are strings now and then,
// what is not known is null now and then, or "".
func (s shape) writeLine(b *bufio.Writer, rng *rand.Rand, r *row) {
	if r.line != "" {
		b.WriteString(r.line + "\n")
		return
	}
	sep := byte('{')
	field := func(name, value string) {
		b.WriteByte(sep)
		b.WriteString(`"` + name + `":` + value)
		sep = ','
	}
	text := func(v string) string {
		j, _ := json.Marshal(v)
		return string(j)
	}
	lucky := rng.IntN(20)
	for c, v := range r.text {
		if v != "" {
			field(textNames[c], text(v))
		} else if lucky == 0 {
			field(textNames[c], []string{"null", `""`}[rng.IntN(2)])
		}
	}
	for c := range numNumbers {
		switch {
		case r.bad != nil && r.bad.column == c:
			if _, err := strconv.ParseFloat(r.bad.text, 64); err == nil && rng.IntN(2) == 0 {
				field(numberNames[c], r.bad.text)
			} else {
				field(numberNames[c], text(r.bad.text))
			}
		case !r.given(c):
			if lucky == 1 && !isInstant(c) {
				field(numberNames[c], []string{"null", `""`}[rng.IntN(2)])
			}
		case isInstant(c) && s.millis:
			field(numberNames[c], strconv.FormatInt(r.number[c]/1e6, 10))
		case isInstant(c):
			field(numberNames[c], text(s.timeText(rng, r, c)))
		case isFlag(c):
			field(numberNames[c], [][]string{{"false", "0", `"false"`, `"0"`}, {"true", "1", `"true"`, `"1"`}}[r.number[c]][min(lucky, 3)])
		case lucky == 2:
			field(numberNames[c], text(strconv.FormatInt(r.number[c], 10)))
		default:
			field(numberNames[c], strconv.FormatInt(r.number[c], 10))
		}
	}
	if rng.IntN(10) == 0 {
		field("something_else", `{"a":[1,2,{"b":"}"}]}`)
	}
	b.WriteString("}\n")
}

// timeText is an instant of the row as RFC 3339, in some zone if the shape
// likes that, with a second of 60 where the row says so.
func (s shape) timeText(rng *rand.Rand, r *row, c int) string {
	if c == nTime && r.leap {
		return time.Unix(0, r.number[c]).UTC().Format("2006-01-02T15:04:") + "60.5Z"
	}
	if !s.zone {
		return rfc3339(r.number[c])
	}
	zone := time.FixedZone("", []int{0, 2 * 3600, -(5*3600 + 1800), 14 * 3600}[rng.IntN(4)])
	return time.Unix(0, r.number[c]).In(zone).Format(time.RFC3339Nano)
}

func rfc3339(ns int64) string { return time.Unix(0, ns).UTC().Format(time.RFC3339Nano) }

func quoted(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }
