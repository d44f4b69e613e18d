package schemas

import (
	"bytes"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	arrowparquet "github.com/apache/arrow-go/v18/parquet"
	arrowcompress "github.com/apache/arrow-go/v18/parquet/compress"
	"github.com/apache/arrow-go/v18/parquet/pqarrow"
	_ "github.com/duckdb/duckdb-go/v2"
	xparquet "github.com/xitongsys/parquet-go/parquet"
	xwriter "github.com/xitongsys/parquet-go/writer"
)

// arrowSamples writes rows with arrow-go.
func arrowSamples(t testing.TB, rows []sampleRow, unit arrow.TimeUnit, zone string, properties ...arrowparquet.WriterProperty) []byte {
	t.Helper()
	stamp := &arrow.TimestampType{Unit: unit, TimeZone: zone}
	text := arrow.BinaryTypes.String
	schema := arrow.NewSchema([]arrow.Field{
		{Name: "opened_at", Type: stamp, Nullable: true}, {Name: "user_agent", Type: text, Nullable: true},
		{Name: "width", Type: arrow.PrimitiveTypes.Int16, Nullable: true}, {Name: "drm", Type: arrow.FixedWidthTypes.Boolean, Nullable: true},
		{Name: "status", Type: arrow.PrimitiveTypes.Uint32, Nullable: true}, {Name: "bytes", Type: arrow.PrimitiveTypes.Int64, Nullable: true},
		{Name: "object_id", Type: arrow.BinaryTypes.Binary, Nullable: true}, {Name: "kind", Type: text}, {Name: "tenant_id", Type: text},
		{Name: "time", Type: stamp}, {Name: "event_id", Type: text, Nullable: true}, {Name: "seq", Type: arrow.PrimitiveTypes.Int64, Nullable: true},
		{Name: "node_id", Type: text},
	}, nil)
	b := array.NewRecordBuilder(memory.DefaultAllocator, schema)
	defer b.Release()
	scale := int64(1e6) / int64(unit.Multiplier())
	for _, r := range rows {
		arrowStamp(b.Field(0), r.Opened, scale)
		arrowText(b.Field(1), r.Agent)
		if r.Width == nil {
			b.Field(2).AppendNull()
		} else {
			b.Field(2).(*array.Int16Builder).Append(int16(*r.Width))
		}
		if r.DRM == nil {
			b.Field(3).AppendNull()
		} else {
			b.Field(3).(*array.BooleanBuilder).Append(*r.DRM)
		}
		if r.Status == nil {
			b.Field(4).AppendNull()
		} else {
			b.Field(4).(*array.Uint32Builder).Append(uint32(*r.Status))
		}
		arrowInt(b.Field(5), r.Bytes)
		if r.Object == nil {
			b.Field(6).AppendNull()
		} else {
			b.Field(6).(*array.BinaryBuilder).Append([]byte(*r.Object))
		}
		arrowText(b.Field(7), &r.Kind)
		arrowText(b.Field(8), &r.Tenant)
		arrowStamp(b.Field(9), &r.Time, scale)
		arrowText(b.Field(10), r.EventID)
		arrowInt(b.Field(11), r.Seq)
		arrowText(b.Field(12), &r.Node)
	}
	record := b.NewRecordBatch()
	defer record.Release()
	var buf bytes.Buffer
	w, err := pqarrow.NewFileWriter(schema, &buf, arrowparquet.NewWriterProperties(properties...), pqarrow.DefaultWriterProps())
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Write(record); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

func arrowText(b array.Builder, v *string) {
	if v == nil {
		b.AppendNull()
		return
	}
	b.(*array.StringBuilder).Append(*v)
}

func arrowInt(b array.Builder, v *int64) {
	if v == nil {
		b.AppendNull()
		return
	}
	b.(*array.Int64Builder).Append(*v)
}

// arrowStamp appends v milliseconds in ticks of scale to the millisecond.
func arrowStamp(b array.Builder, v *int64, scale int64) {
	if v == nil {
		b.AppendNull()
		return
	}
	b.(*array.TimestampBuilder).Append(arrow.Timestamp(*v * scale))
}

func TestArrowWriter(t *testing.T) {
	rows := samples(1000)
	want := wantRows(rows)
	versions := map[string]arrowparquet.DataPageVersion{"v1": arrowparquet.DataPageV1, "v2": arrowparquet.DataPageV2}
	codecs := []arrowcompress.Compression{arrowcompress.Codecs.Uncompressed, arrowcompress.Codecs.Snappy, arrowcompress.Codecs.Gzip,
		arrowcompress.Codecs.Zstd, arrowcompress.Codecs.Brotli, arrowcompress.Codecs.Lz4Raw}
	for name, version := range versions {
		for _, codec := range codecs {
			for _, dictionary := range []bool{true, false} {
				t.Run(fmt.Sprintf("%s/%s/dictionary=%v", name, codec, dictionary), func(t *testing.T) {
					data := arrowSamples(t, rows, arrow.Microsecond, "UTC", arrowparquet.WithDataPageVersion(version), arrowparquet.WithCompression(codec),
						arrowparquet.WithDictionaryDefault(dictionary), arrowparquet.WithDataPageSize(500), arrowparquet.WithMaxRowGroupLength(400))
					sameFile(t, data, want)
				})
			}
		}
	}
	for _, unit := range []arrow.TimeUnit{arrow.Millisecond, arrow.Microsecond, arrow.Nanosecond} {
		for _, zone := range []string{"", "UTC", "Europe/Berlin"} {
			t.Run(fmt.Sprintf("%s/zone=%q", unit, zone), func(t *testing.T) {
				sameFile(t, arrowSamples(t, rows, unit, zone, arrowparquet.WithVersion(arrowparquet.V2_LATEST)), want)
			})
		}
	}
}

func TestArrowEncodings(t *testing.T) {
	rows := samples(1000)
	want := wantRows(rows)
	encodings := map[string][]arrowparquet.WriterProperty{
		"delta": {arrowparquet.WithEncodingFor("seq", arrowparquet.Encodings.DeltaBinaryPacked), arrowparquet.WithEncodingFor("status", arrowparquet.Encodings.DeltaBinaryPacked),
			arrowparquet.WithEncodingFor("time", arrowparquet.Encodings.DeltaBinaryPacked), arrowparquet.WithEncodingFor("event_id", arrowparquet.Encodings.DeltaByteArray),
			arrowparquet.WithEncodingFor("object_id", arrowparquet.Encodings.DeltaLengthByteArray), arrowparquet.WithEncodingFor("drm", arrowparquet.Encodings.RLE)},
		"split": {arrowparquet.WithEncodingFor("seq", arrowparquet.Encodings.ByteStreamSplit), arrowparquet.WithEncodingFor("status", arrowparquet.Encodings.ByteStreamSplit)},
	}
	for name, properties := range encodings {
		for _, version := range []arrowparquet.DataPageVersion{arrowparquet.DataPageV1, arrowparquet.DataPageV2} {
			t.Run(fmt.Sprint(name, version), func(t *testing.T) {
				properties := append(properties, arrowparquet.WithDictionaryDefault(false), arrowparquet.WithDataPageVersion(version), arrowparquet.WithDataPageSize(700))
				sameFile(t, arrowSamples(t, rows, arrow.Millisecond, "", properties...), want)
			})
		}
	}
}

var duckdb = sync.OnceValue(func() *sql.DB {
	db, err := sql.Open("duckdb", "")
	if err != nil {
		panic(err)
	}
	return db
})

// duckdbFile runs a query and returns what COPY makes of it.
func duckdbFile(t testing.TB, query, options string) []byte {
	t.Helper()
	name := filepath.Join(t.TempDir(), "x.parquet")
	if _, err := duckdb().Exec(fmt.Sprintf("COPY (%s) TO '%s' (FORMAT parquet%s)", query, name, options)); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// sampleQuery is a query that gives the rows.
func sampleQuery(rows []sampleRow, stamp string) string {
	var s strings.Builder
	s.WriteString("SELECT node_id, seq::BIGINT seq, event_id::VARCHAR event_id, " + stamp + "(t) AS time, tenant_id, kind, object_id::VARCHAR object_id," +
		" bytes::BIGINT bytes, status::USMALLINT status, drm::BOOLEAN drm, width::INTEGER width, agent::VARCHAR user_agent, " + stamp + "(o) AS opened_at FROM (VALUES ")
	text := func(v *string) string {
		if v == nil {
			return "NULL"
		}
		return "'" + *v + "'"
	}
	for i, r := range rows {
		if i > 0 {
			s.WriteString(",")
		}
		fmt.Fprintf(&s, "('%s',%s,%s,%d,'%s','%s',%s,%s,%s,%s,%s,%s,%s)", r.Node, orNull(r.Seq), text(r.EventID), r.Time, r.Tenant, r.Kind,
			text(r.Object), orNull(r.Bytes), orNull(r.Status), orNull(r.DRM), orNull(r.Width), text(r.Agent), orNull(r.Opened))
	}
	s.WriteString(") AS v(node_id, seq, event_id, t, tenant_id, kind, object_id, bytes, status, drm, width, agent, o)")
	return s.String()
}

func orNull[T any](v *T) string {
	if v == nil {
		return "NULL"
	}
	return fmt.Sprint(*v)
}

func TestDuckDBWriter(t *testing.T) {
	rows := samples(1000)
	want := wantRows(rows)
	for _, codec := range []string{"uncompressed", "snappy", "gzip", "zstd", "brotli", "lz4_raw"} {
		for _, version := range []string{"V1", "V2"} {
			t.Run(codec+"/"+version, func(t *testing.T) {
				data := duckdbFile(t, sampleQuery(rows, "epoch_ms"), ", CODEC '"+codec+"', PARQUET_VERSION "+version+", ROW_GROUP_SIZE 512")
				sameFile(t, data, want)
			})
		}
	}
	stamps := map[string]string{
		"with time zone": "to_timestamp(%s / 1000.0)", "milliseconds": "epoch_ms(%s)::TIMESTAMP_MS",
		"nanoseconds": "make_timestamp_ns(%s * 1000000)", "number": "(%s)::UBIGINT", "text": "(%s)::VARCHAR",
		"RFC 3339": "strftime(epoch_ms(%s), '%%Y-%%m-%%dT%%H:%%M:%%S.%%gZ')",
	}
	for name, stamp := range stamps {
		t.Run(name, func(t *testing.T) {
			macro := strings.NewReplacer("STAMP(t)", fmt.Sprintf(stamp, "t"), "STAMP(o)", fmt.Sprintf(stamp, "o")).Replace(sampleQuery(rows, "STAMP"))
			sameFile(t, duckdbFile(t, macro, ""), want)
		})
	}
}

// xRow is a usage event for xitongsys/parquet-go.
type xRow struct {
	Node    string  `parquet:"name=node_id, type=BYTE_ARRAY, convertedtype=UTF8, encoding=PLAIN_DICTIONARY"`
	Seq     *int64  `parquet:"name=seq, type=INT64, repetitiontype=OPTIONAL"`
	EventID *string `parquet:"name=event_id, type=BYTE_ARRAY, convertedtype=UTF8, repetitiontype=OPTIONAL, encoding=DELTA_BYTE_ARRAY"`
	Time    int64   `parquet:"name=time, type=INT64, convertedtype=TIMESTAMP_MILLIS"`
	Tenant  string  `parquet:"name=tenant_id, type=BYTE_ARRAY"`
	Kind    string  `parquet:"name=kind, type=BYTE_ARRAY, convertedtype=UTF8, encoding=DELTA_LENGTH_BYTE_ARRAY"`
	Object  *string `parquet:"name=object_id, type=BYTE_ARRAY, convertedtype=UTF8, repetitiontype=OPTIONAL, encoding=PLAIN_DICTIONARY"`
	Bytes   *int64  `parquet:"name=bytes, type=INT64, convertedtype=INT_64, repetitiontype=OPTIONAL, encoding=DELTA_BINARY_PACKED"`
	Status  *int32  `parquet:"name=status, type=INT32, convertedtype=INT_32, repetitiontype=OPTIONAL, encoding=PLAIN_DICTIONARY"`
	DRM     *bool   `parquet:"name=drm, type=BOOLEAN, repetitiontype=OPTIONAL"`
	Width   *int32  `parquet:"name=width, type=INT32, repetitiontype=OPTIONAL"`
	Agent   *string `parquet:"name=user_agent, type=BYTE_ARRAY, convertedtype=UTF8, repetitiontype=OPTIONAL"`
	Opened  *int64  `parquet:"name=opened_at, type=INT64, convertedtype=TIMESTAMP_MICROS, repetitiontype=OPTIONAL"`
}

func xSamples(t testing.TB, rows []sampleRow, codec xparquet.CompressionCodec) []byte {
	t.Helper()
	var buf bytes.Buffer
	w, err := xwriter.NewParquetWriterFromWriter(&buf, new(xRow), 1)
	if err != nil {
		t.Fatal(err)
	}
	w.CompressionType, w.PageSize, w.RowGroupSize = codec, 700, 30<<10
	for _, r := range rows {
		x := xRow{r.Node, r.Seq, r.EventID, r.Time, r.Tenant, r.Kind, r.Object, r.Bytes, r.Status, r.DRM, r.Width, r.Agent, nil}
		if r.Opened != nil {
			x.Opened = new(*r.Opened * 1000)
		}
		if err := w.Write(x); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.WriteStop(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

func TestXitongsysWriter(t *testing.T) {
	rows := samples(1000)
	want := wantRows(rows)
	for _, codec := range []xparquet.CompressionCodec{xparquet.CompressionCodec_UNCOMPRESSED, xparquet.CompressionCodec_SNAPPY,
		xparquet.CompressionCodec_GZIP, xparquet.CompressionCodec_ZSTD} {
		t.Run(codec.String(), func(t *testing.T) { sameFile(t, xSamples(t, rows, codec), want) })
	}
}

// int96Row has the times of old writers: nanoseconds of the day and Julian day, little endian.
type int96Row struct {
	Node   string  `parquet:"name=node_id, type=BYTE_ARRAY"`
	Time   string  `parquet:"name=time, type=INT96"`
	Tenant string  `parquet:"name=tenant_id, type=BYTE_ARRAY"`
	Kind   string  `parquet:"name=kind, type=BYTE_ARRAY"`
	Object string  `parquet:"name=object_id, type=BYTE_ARRAY"`
	Opened *string `parquet:"name=opened_at, type=INT96, repetitiontype=OPTIONAL, encoding=PLAIN_DICTIONARY"`
}

func TestInt96(t *testing.T) {
	stamp := func(nanos, julian int64) string {
		b := make([]byte, 12)
		for i := range 8 {
			b[i] = byte(nanos >> (8 * i))
		}
		for i := range 4 {
			b[8+i] = byte(julian >> (8 * i))
		}
		return string(b)
	}
	const in2000 = 2440588 + 10957
	rows := []struct {
		time string
		want string
	}{
		{stamp(0, in2000), "time=946684800000000000"},
		{stamp(86399_999999999, in2000), "time=946771199999999999"},
		{stamp(1, in2000-1), ""},
		{stamp(-1, in2000+1), ""},
		{stamp(0, 1<<32-1), ""},
		{stamp(0, 2440588+47482), ""}, // 2100-01-01
		{stamp(86399_999999999, 2440588+47481), "time=4102444799999999999"},
	}
	var buf bytes.Buffer
	w, err := xwriter.NewParquetWriterFromWriter(&buf, new(int96Row), 1)
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for i, r := range rows {
		line := fmt.Sprintf("%d: node_id=n tenant_id=t kind=k object_id=o", i)
		row := int96Row{Node: "n", Time: r.time, Tenant: "t", Kind: "k", Object: "o"}
		if r.want != "" {
			line += " " + r.want
		}
		if i%2 == 0 {
			row.Opened = &r.time
			if r.want != "" {
				line += " opened_at" + strings.TrimPrefix(r.want, "time")
			}
		}
		want = append(want, line)
		if err := w.Write(row); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.WriteStop(); err != nil {
		t.Fatal(err)
	}
	sameFile(t, buf.Bytes(), want)
}
