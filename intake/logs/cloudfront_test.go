package logs

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/parquet-go/parquet-go"

	"github.com/playmeter/playmeter/schemas"
)

const cloudFrontFields = "date time x-edge-location sc-bytes c-ip cs-method cs(Host) cs-uri-stem sc-status cs(Referer) cs(User-Agent) cs-uri-query cs(Cookie) " +
	"x-edge-result-type x-edge-request-id x-host-header cs-protocol cs-bytes time-taken x-forwarded-for ssl-protocol ssl-cipher " +
	"x-edge-response-result-type cs-protocol-version fle-status fle-encrypted-fields c-port time-to-first-byte x-edge-detailed-result-type " +
	"sc-content-type sc-content-len sc-range-start sc-range-end"

// cloudFrontValues are the values of a request, by field; those that are not given are "-".
func cloudFrontValues(fields string) map[string]string {
	m := map[string]string{}
	for _, name := range strings.Fields(cloudFrontFields) {
		m[name] = "-"
	}
	for name, value := range map[string]string{"date": "2025-03-02", "time": "10:00:00", "x-edge-location": "FRA56-P1", "sc-bytes": "1000", "c-ip": "10.0.0.7",
		"cs-method": "GET", "cs(Host)": "d1.cloudfront.example", "cs-uri-stem": "/film/720p/seg7.ts", "sc-status": "200", "cs(User-Agent)": "Mozilla/5.0%20(X11;%20Linux)",
		"x-host-header": "cdn.example", "x-edge-request-id": "req==", "cs-uri-query": "CMCD=d%3D4004%2Cot%3Dv%2Csid%3D%22s%22"} {
		m[name] = value
	}
	for _, f := range strings.Fields(fields) {
		name, value, _ := strings.Cut(f, "=")
		m[name] = value
	}
	return m
}

func cloudFrontLine(fields string) string {
	m := cloudFrontValues(fields)
	var values []string
	for _, name := range strings.Fields(cloudFrontFields) {
		values = append(values, m[name])
	}
	return strings.Join(values, "\t")
}

func cloudFrontLog(lines ...string) string {
	return "#Version: 1.0\n#Fields: " + cloudFrontFields + "\n" + strings.Join(lines, "\n") + "\n"
}

func preset(t testing.TB, name string) *Format {
	f, ok := Preset(name)
	if !ok {
		t.Fatalf("no preset %s", name)
	}
	withLadder(&f)
	return &f
}

const cloudFrontSegment = "film/s video#7 4004000us hls-clear hls"

func checkCloudFront(t *testing.T, events []schemas.Event) {
	t.Helper()
	if len(events) != 1 || show(events[0]) != cloudFrontSegment {
		t.Fatalf("got %q, want %q", showAll(events), cloudFrontSegment)
	}
	e := events[0]
	if e.NodeID != "FRA56-P1" || e.EventID != "req==" || e.Time != 1740909600e9 || *e.Bytes != 1000 || e.ClientIP != "10.0.0.7" ||
		e.UserAgent != "Mozilla/5.0 (X11; Linux)" || e.Referrer != "" {
		t.Errorf("%+v", e)
	}
}

func TestCloudFrontTSV(t *testing.T) {
	events, _ := readAll(t, preset(t, "cloudfront"), tenantA, cloudFrontLog(cloudFrontLine("")))
	checkCloudFront(t, events)
}

func TestCloudFrontTSVGoesByItsHeader(t *testing.T) {
	log := "#Version: 1.0\r\n#Fields: cs-uri-stem cs-method timestamp(ms) x-edge-location DistributionId\r\n/film/720p/seg7.ts\tGET\t1740909600123\tFRA\tE1\r\n" +
		"#Fields: timestamp x-edge-location cs-method cs-uri-stem\n1740909601\tMUC\tGET\t/film/720p/seg8.ts\n"
	events, sum := readAll(t, preset(t, "cloudfront"), tenantA, log)
	if len(events) != 2 || events[0].Time != 1740909600123e6 || events[1].Time != 1740909601e9 || events[1].NodeID != "MUC" || *events[1].Segment != 8 {
		t.Errorf("%s %+v", showAll(events), sum)
	}
}

func TestCloudFrontTSVThatIsBroken(t *testing.T) {
	line := cloudFrontLine("")
	log := line + "\n" + cloudFrontLog(line+"\tmore", strings.TrimSuffix(line, "\t-"), line)
	events, sum := readAll(t, preset(t, "cloudfront"), tenantA, log)
	if len(events) != 1 || sum.Skipped[BadLine] != 3 || sum.Bad[0].Line != 1 || sum.Bad[2].Line != 5 {
		t.Errorf("%d events, %+v", len(events), sum)
	}
}

func TestCloudFrontValues(t *testing.T) {
	tests := []struct{ name, fields, want string }{
		{"a range that was sent", "sc-status=206 sc-range-start=0 sc-range-end=999", cloudFrontSegment},
		{"a later range", "sc-status=206 sc-range-start=1000 sc-range-end=1999", "film/s video hls-clear hls"},
		{"a path that was encoded twice", "cs-uri-stem=/my%2520film/720p/seg7.ts", "my film/s video#7 4004000us hls-clear hls"},
		{"a query that was encoded twice", "cs-uri-query=CMCD=d%253D4004%252Cot%253Dv%252Csid%253D%2522s%2522", cloudFrontSegment},
		{"a status of 000", "sc-status=000", "film/s video hls-clear hls"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			events, sum := readAll(t, preset(t, "cloudfront"), tenantA, cloudFrontLog(cloudFrontLine(tt.fields)))
			if got := showAll(events); got != tt.want {
				t.Errorf("got  %s\nwant %s\n%v", got, tt.want, sum.Skipped)
			}
		})
	}
	events, _ := readAll(t, preset(t, "cloudfront"), tenantA, cloudFrontLog(cloudFrontLine("cs(User-Agent)=Mozilla/5.0%2520(X11)")))
	if events[0].UserAgent != "Mozilla/5.0 (X11)" {
		t.Errorf("an agent that was encoded twice: %q", events[0].UserAgent)
	}
}

func TestCloudFrontJSON(t *testing.T) {
	b, _ := json.Marshal(cloudFrontValues(""))
	events, _ := readAll(t, preset(t, "cloudfront-json"), tenantA, string(b))
	checkCloudFront(t, events)
}

// parquetLog is a table of optional texts, as CloudFront writes it.
func parquetLog(t testing.TB, names []string, rows ...map[string]string) []byte {
	t.Helper()
	group := parquet.Group{}
	for _, name := range names {
		group[name] = parquet.Optional(parquet.String())
	}
	schema := parquet.NewSchema("log", group)
	var b bytes.Buffer
	w := parquet.NewGenericWriter[any](&b, schema, parquet.Compression(&parquet.Snappy))
	for _, row := range rows {
		values := parquet.Row{}
		for _, path := range schema.Columns() {
			leaf, _ := schema.Lookup(path...)
			v := parquet.NullValue().Level(0, 0, leaf.ColumnIndex)
			if text := row[path[0]]; text != "" {
				v = parquet.ByteArrayValue([]byte(text)).Level(0, 1, leaf.ColumnIndex)
			}
			values = append(values, v)
		}
		if _, err := w.WriteRows([]parquet.Row{values}); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestCloudFrontParquet(t *testing.T) {
	for _, name := range []struct {
		of   string
		name func(string) string
	}{{"as Athena's tables have it", fold}, {"as the fields are called", func(s string) string { return s }}} {
		t.Run(name.of, func(t *testing.T) {
			row, names := map[string]string{}, []string{"something_else"}
			for field, value := range cloudFrontValues("") {
				row[name.name(field)] = value
				names = append(names, name.name(field))
			}
			events, _ := readAll(t, preset(t, "cloudfront-parquet"), tenantA, string(parquetLog(t, names, row)))
			checkCloudFront(t, events)
		})
	}
}

func TestParquetThatIsNone(t *testing.T) {
	good := parquetLog(t, []string{"date", "time", "cs_uri_stem"}, map[string]string{"date": "2025-03-02"})
	for name, log := range map[string]string{"nothing": "", "a text": "hello, I am no Parquet at all", "cut off": string(good[:len(good)-9]),
		"none of the columns": string(parquetLog(t, []string{"x"}, map[string]string{"x": "1"}))} {
		if _, _, err := tryRead(preset(t, "cloudfront-parquet"), tenantA, log); !errors.Is(err, schemas.ErrUnreadable) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, _, err := tryRead(preset(t, "cloudfront"), tenantA, string(good)); !errors.Is(err, schemas.ErrUnreadable) || !strings.Contains(err.Error(), "is Parquet") {
		t.Errorf("Parquet as text: %v", err)
	}
}

func TestIDsOfParquetRowsAreTheirValues(t *testing.T) {
	row := map[string]string{"date": "2025-03-02", "time": "10:00:00", "x_edge_location": "FRA", "cs_uri_stem": "/film/720p/seg7.ts"}
	f := preset(t, "cloudfront-parquet")
	names := []string{"date", "time", "x_edge_location", "cs_uri_stem"}
	one, _ := readAll(t, f, tenantA, string(parquetLog(t, names, row)))
	two, _ := readAll(t, f, tenantA, string(parquetLog(t, names, row, row)))
	if one[0].EventID != two[0].EventID || two[0].EventID == two[1].EventID {
		t.Errorf("%s, %s and %s", one[0].EventID, two[0].EventID, two[1].EventID)
	}
}

func TestPackedLogs(t *testing.T) {
	plain := cloudFrontLog(cloudFrontLine(""))
	var gz, zst bytes.Buffer
	z := gzip.NewWriter(&gz)
	z.Write([]byte(plain[:20]))
	z.Close()
	z.Reset(&gz) // a second member, as appended logs have
	z.Write([]byte(plain[20:]))
	z.Close()
	s, _ := zstd.NewWriter(&zst)
	s.Write([]byte(plain))
	s.Close()
	for name, log := range map[string][]byte{"gzip": gz.Bytes(), "zstd": zst.Bytes()} {
		t.Run(name, func(t *testing.T) {
			events, _ := readAll(t, preset(t, "cloudfront"), tenantA, string(log))
			checkCloudFront(t, events)
			if _, _, err := tryRead(preset(t, "cloudfront"), tenantA, string(log[:len(log)-3])); !errors.Is(err, schemas.ErrUnreadable) {
				t.Errorf("cut off: %v", err)
			}
		})
	}
}

func TestALostConnectionIsNoDamage(t *testing.T) {
	log := []byte(cloudFrontLog(cloudFrontLine("")))
	r, err := Open(preset(t, "cloudfront"), tenantA, "x", cut{log, 0}, int64(len(log)))
	if err == nil {
		_, err = r.Next(make([]schemas.Event, 1))
	}
	if !errors.Is(err, errLost) || errors.Is(err, schemas.ErrUnreadable) {
		t.Error(err)
	}
	table := parquetLog(t, []string{"date", "time", "cs_uri_stem"}, map[string]string{"date": "2025-03-02"})
	_, err = Open(preset(t, "cloudfront-parquet"), tenantA, "x", cut{table, 0}, int64(len(table)))
	if !errors.Is(err, errLost) || errors.Is(err, schemas.ErrUnreadable) {
		t.Error(err)
	}
}

func TestCloudFrontRealTimeKeys(t *testing.T) {
	f := preset(t, "cloudfront-json")
	line := `{"timestamp":"1740909600.5","x-edge-location":"FRA","cs-method":"GET","cs-uri-stem":"/x.m4s","sc-status":200,"cmcd-session-id":"\"s\"","cmcd-content-id":"c","cmcd-object-type":"v","cmcd-object-duration":"2000","cmcd-streaming-format":"d","cmcd-stream-type":"v","cmcd-encoded-bitrate":"300"}`
	events, _ := readAll(t, f, tenantA, line)
	if got, want := showAll(events), "c/s video 2000000us dash vod"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func FuzzTSVLine(f *testing.F) {
	f.Add(cloudFrontLine(""))
	f.Add(strings.ReplaceAll(cloudFrontLine("sc-status=206 sc-range-start=5"), "\t", " "))
	f.Add("#Fields: a b")
	format := preset(f, "cloudfront")
	f.Fuzz(func(t *testing.T, line string) { fuzzLine(t, format, cloudFrontLog(line)) })
}

func FuzzJSONLine(f *testing.F) {
	f.Add(nginxLine(said))
	f.Add(`{"msec":1740909600.5,"uri":["/film/720p/seg1.ts"],"status":null,"a":{"b":{"c":1}}}`)
	format := nginx(f, withLadder)
	f.Fuzz(func(t *testing.T, line string) { fuzzLine(t, format, line) })
}

// fuzzLine reads a log that is one line, or a few, and checks what holds of every event.
func fuzzLine(t *testing.T, f *Format, log string) {
	events, sum, err := tryRead(f, tenantA, log)
	if err != nil && !errors.Is(err, schemas.ErrUnreadable) {
		t.Fatal(err)
	}
	if int64(len(events)) != sum.Events || err == nil && sum.Lines != sum.Events+total(sum.Skipped) {
		t.Errorf("%d events, %+v", len(events), sum)
	}
	for _, e := range events {
		if e.TenantID == "" || e.NodeID == "" || e.ObjectID == "" && e.VersionHash == "" || e.EventID == "" || e.Time < schemas.Earliest ||
			schemas.ParseTrack(e.Track) == schemas.TrackInvalid || schemas.ParseKind(e.Kind) == schemas.KindUnknown ||
			e.DurationMicros != nil && *e.DurationMicros <= 0 || e.Segment != nil && *e.Segment < 0 || (e.Width == nil) != (e.Height == nil) {
			t.Errorf("%+v", e)
		}
	}
}
