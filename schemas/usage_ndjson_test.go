package schemas

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
)

// event is a line with the fields that every event has, and more.
func event(more string) string {
	return `{"node_id":"n","tenant_id":"t","kind":"k","object_id":"o","time":946684800000` + more + `}`
}

func TestNDJSONLines(t *testing.T) {
	const row = "node_id=n tenant_id=t kind=k object_id=o"
	const at = " time=946684800000000000"
	tests := []struct{ name, line, want string }{
		{"the least", event(""), row + at},
		{"white space anywhere", " { \"node_id\" : \"n\" ,\t\"bytes\" : 5 } \r", "node_id=n bytes=5"},
		{"an empty object", "{}", ""},
		{"no JSON", "hello", "bad_line"},
		{"no object", "[1]", "bad_line"},
		{"a text", `"x"`, "bad_line"},
		{"two objects", "{} {}", "bad_line"},
		{"cut short", event("")[:40], "bad_line"},
		{"cut short after fields", event(`,"bytes":5,"x":`)[:len(event(`,"bytes":5,"x":`))-1], "bad_line"},
		{"a comma too many", `{"node_id":"n",}`, "bad_line"},
		{"a comma too few", `{"node_id":"n" "kind":"k"}`, "bad_line"},
		{"no colon", `{"node_id" "n"}`, "bad_line"},
		{"a key that is no text", `{1:2}`, "bad_line"},
		{"a control character in a text", "{\"node_id\":\"a\x01\"}", "bad_line"},
		{"a tab in a text", "{\"node_id\":\"a\tb\"}", "bad_line"},
		{"an unknown escape", `{"node_id":"a\x"}`, "bad_line"},
		{"half an escape", `{"node_id":"a\u12"}`, "bad_line"},
		{"an unknown escape in an unknown field", `{"x":"a\x"}`, "bad_line"},
		{"a number with a leading zero", `{"bytes":01}`, "bad_line"},
		{"a number with a plus", `{"bytes":+1}`, "bad_line"},
		{"a point without digits", `{"bytes":1.}`, "bad_line"},
		{"an exponent without digits", `{"bytes":1e}`, "bad_line"},
		{"NaN", `{"bytes":NaN}`, "bad_line"},
		{"a word misspelt", `{"drm":ture}`, "bad_line"},
		{"nesting too deep", `{"x":` + strings.Repeat("[", 1000) + strings.Repeat("]", 1000) + `}`, "bad_line"},
		{"nesting", `{"x":{"node_id":[1,{"a":"\u00e9"},null,true,-1.5e-3,[]],"b":{}},"node_id":"n"}`, "node_id=n"},

		{"1.0 is whole", event(`,"bytes":1.0`), row + at + " bytes=1"},
		{"1e3 is whole", event(`,"bytes":1e3`), row + at + " bytes=1000"},
		{"1.5E+1 is whole", event(`,"bytes":1.5E+1`), row + at + " bytes=15"},
		{"100e-2 is whole", event(`,"bytes":100e-2`), row + at + " bytes=1"},
		{"-0 is 0", event(`,"bytes":-0`), row + at + " bytes=0"},
		{"0.000 is 0", event(`,"bytes":0.000`), row + at + " bytes=0"},
		{"0e999999999999 is 0", event(`,"bytes":0e999999999999`), row + at + " bytes=0"},
		{"the largest", event(`,"bytes":9223372036854775807`), row + at + " bytes=9223372036854775807"},
		{"the largest with a point", event(`,"bytes":9223372036854775807.0`), row + at + " bytes=9223372036854775807"},
		{"past the largest", event(`,"bytes":9223372036854775808`), row + at + " bad_value"},
		{"1e19", event(`,"bytes":1e19`), row + at + " bad_value"},
		{"1e999999999999", event(`,"bytes":1e999999999999`), row + at + " bad_value"},
		{"1.5 is not whole", event(`,"bytes":1.5`), row + at + " bad_value"},
		{"1e-1 is not whole", event(`,"bytes":1e-1`), row + at + " bad_value"},
		{"a number as a text", event(`,"bytes":"12"`), row + at + " bytes=12"},
		{"a fraction as a text", event(`,"bytes":"1.5"`), row + at + " bad_value"},
		{"an empty text is not given (R24)", event(`,"bytes":"","drm":"","opened_at":""`), row + at},
		{"a text of spaces", event(`,"bytes":" "`), row + at + " bad_value"},
		{"a boolean for a number", event(`,"bytes":true`), row + at + " bytes=1"},
		{"an object for a number", event(`,"bytes":{"a":1}`), row + at + " bad_value"},
		{"a list for a text", event(`,"codec":["a"]`), row + at + " bad_value"},
		{"null", event(`,"bytes":null,"codec":null,"event_id":null`), row + at},
		{"status past 32 bits", event(`,"status":2147483648`), row + at + " bad_value"},
		{"true", event(`,"drm":true`), row + at + " drm=1"},
		{"false", event(`,"drm":false`), row + at + " drm=0"},
		{"true as a text", event(`,"drm":"true"`), row + at + " drm=1"},
		{"1 for true", event(`,"drm":1`), row + at + " drm=1"},
		{"2 for true", event(`,"drm":2`), row + at + " bad_value"},
		{"a number for a text", event(`,"session_id":42`), row + " session_id=42" + at},
		{"a whole number for a text", event(`,"session_id":4.2e1`), row + " session_id=42" + at},
		{"a long number for a text", event(`,"session_id":12345678901234567890123`), row + " session_id=12345678901234567890123" + at},
		{"a fraction for a text", event(`,"session_id":4.2`), row + at + " bad_value"},
		{"a boolean for a text", event(`,"session_id":true`), row + " session_id=true" + at},
		{"an event id", event(`,"event_id":"e"`), row + at + " event_id=e"},
		{"a number for an event id", event(`,"event_id":7`), row + at + " event_id=7"},

		{"the last of two wins", event(`,"bytes":1,"bytes":2,"codec":"a","codec":"b","event_id":"a","event_id":"b"`), row + " codec=b" + at + " bytes=2 event_id=b"},
		{"a good one after a bad one wins", event(`,"bytes":"x","bytes":2`), row + at + " bytes=2"},
		{"a bad one after a good one wins", event(`,"bytes":2,"bytes":"x"`), row + at + " bad_value"},
		{"null after a value wins", event(`,"bytes":2,"bytes":null`), row + at},

		{"escapes", event(`,"codec":"\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00"`), row + " codec=\"\\/\b\f\n\r\té😀" + at},
		{"an escaped key", `{"node\u005fid":"n"}`, "node_id=n"},
		{"half a surrogate pair", event(`,"codec":"a\ud83dz"`), row + " codec=a\uFFFDz" + at},
		{"two high halves", event(`,"codec":"\ud83d\ud83d\ude00"`), row + " codec=\uFFFD😀" + at},
		{"a low half alone", event(`,"codec":"\ude00"`), row + " codec=\uFFFD" + at},
		{"a high half before another escape", event(`,"codec":"\ud83d\n"`), row + " codec=\uFFFD\n" + at},
		{"invalid UTF-8", event(",\"codec\":\"a\xff\xfeb\""), row + " codec=a\uFFFDb" + at},
		{"invalid UTF-8 in an event id", event(",\"event_id\":\"\xc3(\""), row + at + " event_id=\uFFFD("},

		{"a time as a text", `{"time":"2000-01-01T00:00:00.5Z"}`, "time=946684800500000000"},
		{"a time as a number in a text", `{"time":"946684800001"}`, "time=946684800001000000"},
		{"a time with a fraction", `{"time":946684800000.5}`, ""},
		{"a time that is none", `{"time":"soon"}`, ""},
		{"a time that is true", `{"time":true}`, ""},
		{"a time that is a list", `{"time":[1]}`, ""},
		{"a time before 2000", `{"time":946684799999}`, ""},
		{"a time of 2100", `{"time":4102444800000}`, ""},
		{"an opening that is none", event(`,"opened_at":"soon"`), row + at + " bad_value"},
		{"an opening that is true", event(`,"opened_at":true`), row + at + " bad_value"},
		{"an opening before 2000", event(`,"opened_at":5`), row + at},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			// Among other lines, so that a row's leftovers would show.
			full := event(`,"bytes":9,"codec":"c","event_id":"full","drm":true,"seq":1`)
			got, _, err := readUsage("x.ndjson", []byte(full+"\n"+tt.line+"\n"+event("")))
			if err != nil {
				t.Fatal(err)
			}
			sameRows(t, got, []string{"0: " + row + " codec=c" + at + " seq=1 bytes=9 drm=1 event_id=full",
				strings.TrimSpace("1: " + tt.want), "2: " + row + at})
		})
	}
}

func TestNDJSONFiles(t *testing.T) {
	one := `{"node_id":"n"}`
	tests := []struct {
		name, text string
		want       []string
	}{
		{"empty", "", nil},
		{"only blank lines", "\n \r\n\t\n", nil},
		{"no newline at the end", one, []string{"0: node_id=n"}},
		{"CRLF and blank lines", "\r\n" + one + "\r\n\r\n" + one + "\r\n", []string{"0: node_id=n", "1: node_id=n"}},
		{"a byte order mark", "\uFEFF" + one + "\n" + one, []string{"0: node_id=n", "1: node_id=n"}},
		{"a byte order mark later", one + "\n\uFEFF" + one, []string{"0: node_id=n", "1: bad_line"}},
		{"a line of 1 MiB", padded(maxText) + "\n" + one, []string{"0: node_id=n", "1: node_id=n"}},
		{"a line of 1 MiB and a byte", padded(maxText+1) + "\n" + one, []string{"0: bad_line", "1: node_id=n"}},
		{"a line of 5 MiB", padded(5<<20) + "\n" + one, []string{"0: bad_line", "1: node_id=n"}},
		{"a line of 5 MiB at the end", one + "\n" + padded(5<<20), []string{"0: node_id=n", "1: bad_line"}},
	}
	for _, tt := range tests {
		for ending, pack := range linePackers {
			t.Run(tt.name+ending, func(t *testing.T) {
				got, _, err := readUsage("x"+ending, pack([]byte(tt.text)))
				if err != nil {
					t.Fatal(err)
				}
				sameRows(t, got, tt.want)
			})
		}
	}
}

// padded is a line of n bytes.
func padded(n int) string {
	line := `{"node_id":"n","x":"`
	return line + strings.Repeat("x", n-len(line)-2) + `"}`
}

var linePackers = map[string]func([]byte) []byte{
	".ndjson": func(b []byte) []byte { return b },
	".ndjson.gz": func(b []byte) []byte { // of two members
		half := len(b) / 2
		return append(gzipped(b[:half]), gzipped(b[half:])...)
	},
	".ndjson.zst": func(b []byte) []byte {
		z, err := zstd.NewWriter(nil, zstd.WithZeroFrames(true))
		if err != nil {
			panic(err)
		}
		return z.EncodeAll(b, nil)
	},
}

func gzipped(b []byte) []byte {
	var buf bytes.Buffer
	z := gzip.NewWriter(&buf)
	z.Write(b)
	z.Close()
	return buf.Bytes()
}

func TestNDJSONAgreesWithParquet(t *testing.T) {
	events := busyNode(MaxBatch + 1000)
	for i := range events {
		events[i].Offering, events[i].NodeIP, events[i].NodeRegion, events[i].ClientCountry, events[i].ClientCity = "", "", "", "", ""
		events[i].Width, events[i].Height, events[i].Live = nil, nil, nil
		events[i].Time -= events[i].Time % 1e6
	}
	fromParquet, _, err := readUsage("x.parquet", parquetOf(events))
	if err != nil {
		t.Fatal(err)
	}
	fromLines, _, err := readUsage("x.ndjson", linesOf(events))
	if err != nil {
		t.Fatal(err)
	}
	sameRows(t, fromLines, fromParquet)
}

func TestNDJSONExtraFields(t *testing.T) {
	_, extra, err := readUsage("x.ndjson", []byte(`{"b":1,"node_id":"n","a":{}}`+"\n"+`{"c":1,"a":2}`))
	if want := []string{"a", "b", "c"}; err != nil || !slices.Equal(extra, want) {
		t.Errorf("got %q, %v, want %q", extra, err, want)
	}
	var many strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&many, "{\"x%d\":1}\n", i)
	}
	if _, extra, err = readUsage("x.ndjson", []byte(many.String())); err != nil || len(extra) != maxExtra {
		t.Errorf("got %d extra fields, %v, want %d", len(extra), err, maxExtra)
	}
}

func TestNDJSONBrokenContainers(t *testing.T) {
	text := linesOf(busyNode(200))
	for _, ending := range []string{".ndjson.gz", ".ndjson.zst"} {
		data := linePackers[ending](text)
		cuts := []int{0, 1, 2, 5, 10, len(data) / 3, len(data) - 9, len(data) - 1}
		for _, n := range cuts {
			if _, _, err := readUsage("x"+ending, data[:n]); !errors.Is(err, ErrUnreadable) {
				t.Errorf("%s cut to %d of %d bytes: error %v, want ErrUnreadable", ending, n, len(data), err)
			}
		}
		for at := 0; at < len(data); at += 1 + len(data)/100 {
			flipped := slices.Clone(data)
			flipped[at] ^= 0x55
			got, _, err := readUsage("x"+ending, flipped)
			if err != nil && !errors.Is(err, ErrUnreadable) {
				t.Errorf("%s with byte %d flipped: %v, want ErrUnreadable", ending, at, err)
			}
			if err == nil && len(got) != 200 {
				t.Errorf("%s with byte %d flipped: %d rows, want 200 or an error", ending, at, len(got))
			}
		}
		if _, _, err := readUsage("x"+ending, append(slices.Clone(data), "garbage"...)); !errors.Is(err, ErrUnreadable) {
			t.Errorf("%s with garbage behind: %v, want ErrUnreadable", ending, err)
		}
		if _, _, err := readUsage("x"+ending, text); !errors.Is(err, ErrUnreadable) {
			t.Errorf("plain text named %s: %v, want ErrUnreadable", ending, err)
		}
	}
}

// brokenReader fails at its first read past a place.
type brokenReader struct {
	data []byte
	good int64
}

var errLost = errors.New("connection lost")

func (r brokenReader) ReadAt(p []byte, off int64) (int, error) {
	if off+int64(len(p)) > r.good {
		return 0, errLost
	}
	return bytes.NewReader(r.data).ReadAt(p, off)
}

func TestLostConnectionIsNoDamage(t *testing.T) {
	files := map[string][]byte{"x.parquet": parquetOf(busyNode(1000)), "x.ndjson": linesOf(busyNode(1000)), "x.ndjson.gz": gzipped(linesOf(busyNode(1000)))}
	for key, data := range files {
		for _, good := range []int64{0, 10, int64(len(data) / 2)} {
			f, err := OpenUsage(key, brokenReader{data, good}, int64(len(data)))
			for err == nil {
				_, err = f.Part(0).Next()
				if err == io.EOF {
					t.Fatalf("%s: read to its end", key)
				}
			}
			if !errors.Is(err, errLost) || errors.Is(err, ErrUnreadable) {
				t.Errorf("%s, good to %d: error %v, want only %q", key, good, err, errLost)
			}
		}
	}
}

func TestUsageKeys(t *testing.T) {
	tests := map[string]bool{
		"a.parquet": true, "dt=2026-10-01/hour=03/n-1.parquet": true, "a.ndjson": true, "a.ndjson.gz": true, "a.ndjson.zst": true,
		"a.csv": false, "a.parquet.tmp": false, "_temporary/a.parquet": false, "a/_b/c.parquet": false, "a/.b.parquet": false,
		".parquet": false, "a/.parquet": false, "a.json": false, "": false, "a_b/c.parquet": true, "a.PARQUET": false,
	}
	for key, want := range tests {
		if got := IsUsageKey(key); got != want {
			t.Errorf("IsUsageKey(%q) = %v, want %v", key, got, want)
		}
	}
	if _, err := OpenUsage("a.csv", bytes.NewReader(nil), 0); !errors.Is(err, ErrUnreadable) {
		t.Errorf("a.csv: %v, want ErrUnreadable", err)
	}
}
