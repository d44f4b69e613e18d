package schemas

import (
	"bytes"
	"fmt"
	"slices"
	"testing"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/compress"
	"github.com/parquet-go/parquet-go/encoding"
)

// writeSamples writes rows with parquet-go.
func writeSamples(t testing.TB, rows []sampleRow, options ...parquet.WriterOption) []byte {
	t.Helper()
	var buf bytes.Buffer
	w := parquet.NewGenericWriter[sampleRow](&buf, options...)
	if _, err := w.Write(rows); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

var sampleCodecs = []compress.Codec{&parquet.Uncompressed, &parquet.Zstd, &parquet.Snappy, &parquet.Gzip, &parquet.Lz4Raw, &parquet.Brotli}

// sampleEncodings names encodings of texts and of numbers that writers use.
var sampleEncodings = map[string]map[parquet.Kind]encoding.Encoding{
	"plain":      {parquet.ByteArray: &parquet.Plain, parquet.Int64: &parquet.Plain, parquet.Int32: &parquet.Plain, parquet.Boolean: &parquet.Plain},
	"dictionary": {parquet.ByteArray: &parquet.RLEDictionary, parquet.Int64: &parquet.RLEDictionary, parquet.Int32: &parquet.RLEDictionary, parquet.Boolean: &parquet.RLE},
	"delta":      {parquet.ByteArray: &parquet.DeltaByteArray, parquet.Int64: &parquet.DeltaBinaryPacked, parquet.Int32: &parquet.DeltaBinaryPacked},
	"lengths":    {parquet.ByteArray: &parquet.DeltaLengthByteArray, parquet.Int64: &parquet.ByteStreamSplit, parquet.Int32: &parquet.ByteStreamSplit},
}

func encodingOptions(name string) []parquet.WriterOption {
	var options []parquet.WriterOption
	for kind, enc := range sampleEncodings[name] {
		options = append(options, parquet.DefaultEncodingFor(kind, enc))
	}
	return options
}

func TestParquetGoWriters(t *testing.T) {
	rows := samples(600)
	want := wantRows(rows)
	for _, codec := range sampleCodecs {
		for version := 1; version <= 2; version++ {
			for name := range sampleEncodings {
				t.Run(fmt.Sprintf("%s/v%d/%s", codec, version, name), func(t *testing.T) {
					options := append(encodingOptions(name), parquet.Compression(codec), parquet.DataPageVersion(version),
						parquet.PageBufferSize(600), parquet.MaxRowsPerRowGroup(250))
					sameFile(t, writeSamples(t, rows, options...), want)
				})
			}
		}
	}
}

func TestSizesAroundAByteOfLevels(t *testing.T) {
	for _, n := range []int{0, 1, 7, 8, 9, 63, 64, 65, 1023, 1024, 1025, 1024 + 4096 + MaxBatch + 1} {
		rows := samples(n)
		sameFile(t, writeSamples(t, rows), wantRows(rows))
		sameFile(t, writeSamples(t, rows, encodingOptions("dictionary")...), wantRows(rows))
	}
}

// requiredRow has no optional column, and its columns in another order.
type requiredRow struct {
	Live   bool   `parquet:"live"`
	Bytes  int64  `parquet:"bytes"`
	Object string `parquet:"object_id"`
	Extra  string `parquet:"zebra"`
	Kind   string `parquet:"kind,dict"`
	Tenant string `parquet:"tenant_id"`
	Nested struct {
		A float64 `parquet:"a"`
	} `parquet:"apple"`
	Time int64  `parquet:"time,timestamp(microsecond)"`
	Node string `parquet:"node_id"`
}

func TestRequiredColumnsInAnyOrderAmongOthers(t *testing.T) {
	var buf bytes.Buffer
	w := parquet.NewGenericWriter[requiredRow](&buf)
	row := requiredRow{Live: true, Bytes: 7, Object: "o", Extra: "z", Kind: "playout", Tenant: "t", Time: Earliest / 1000, Node: "n"}
	if _, err := w.Write([]requiredRow{row, row}); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	got, extra, err := readUsage("x.parquet", buf.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	line := "%d: node_id=n tenant_id=t kind=playout object_id=o time=946684800000000000 bytes=7 live=1"
	sameRows(t, got, []string{fmt.Sprintf(line, 0), fmt.Sprintf(line, 1)})
	if want := []string{"apple", "zebra"}; !slices.Equal(extra, want) {
		t.Errorf("extra columns %q, want %q", extra, want)
	}
}

func TestUsageWriterIsRead(t *testing.T) {
	e := Event{NodeID: "n", Seq: new(int64(0)), EventID: "e1", Time: Earliest + 123456789, TenantID: "t", Kind: "session", ObjectID: "o",
		LibraryID: "l", VersionHash: "hq__1", Bytes: new(int64(1 << 50)), Status: new(int32(499)), SessionID: "s", Offering: "default",
		PlayoutFormat: "hls-clear", Protocol: "hls", DRM: new(false), Track: "video", Codec: "avc1", Width: new(int32(1)), Height: new(int32(2)),
		Segment: new(int32(0)), DurationMicros: new(int64(3)), SourceCodec: "hevc", SourceWidth: new(int32(4)), SourceHeight: new(int32(5)),
		ClientIP: "192.0.2.1", UserAgent: "ua", Referrer: "r", AuthIdentity: "i", AuthAddr: "a", AuthEmail: "m", UserID: "u", Token: "k",
		NodeHost: "h", NodeIP: "p", NodeRegion: "g", ClientCountry: "DE", ClientRegion: "BE", ClientCity: "Berlin",
		Live: new(true), OpenedAt: new(Earliest), ClosedAt: new(Earliest + 1)}
	least := Event{NodeID: "n", Time: Latest - 1, TenantID: "t", Kind: "update"}
	got, extra, err := readUsage("x.parquet", parquetOf([]Event{e, least}))
	if err != nil || extra != nil {
		t.Fatal(err, extra)
	}
	sameRows(t, got, []string{
		"0: node_id=n tenant_id=t kind=session object_id=o library_id=l version_hash=hq__1 session_id=s offering=default" +
			" playout_format=hls-clear protocol=hls track=video codec=avc1 source_codec=hevc client_ip=192.0.2.1 user_agent=ua referrer=r" +
			" auth_identity=i auth_addr=a auth_email=m user_id=u token=k node_host=h node_ip=p node_region=g client_country=DE client_region=BE" +
			" client_city=Berlin time=946684800123456789 seq=0 bytes=1125899906842624 status=499 width=1 height=2 segment=0 duration_us=3" +
			" source_width=4 source_height=5 opened_at=946684800000000000 closed_at=946684800000000001 drm=0 live=1 event_id=e1",
		"1: node_id=n tenant_id=t kind=update time=4102444799999999999",
	})
}

// TestUsageWriterOutgrowsItsDictionary has more distinct sessions than a dictionary holds.
func TestUsageWriterOutgrowsItsDictionary(t *testing.T) {
	events := make([]Event, 45_000)
	for i := range events {
		events[i] = Event{NodeID: "n", Time: Earliest, TenantID: "t", Kind: "playout", SessionID: fmt.Sprintf("%0100d", i)}
	}
	got, _, err := readUsage("x.parquet", parquetOf(events))
	if err != nil {
		t.Fatal(err)
	}
	for i := range events {
		if want := fmt.Sprintf("%d: node_id=n tenant_id=t kind=playout session_id=%0100d time=%d", i, i, Earliest); got[i] != want {
			t.Fatalf("row %d\n got %s\nwant %s", i, got[i], want)
		}
	}
}
