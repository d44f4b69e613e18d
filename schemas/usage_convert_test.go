package schemas

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"
)

// oneRow is a query for a usage file of one row; expr becomes the column.
func oneRow(column, expr string) string {
	columns := map[string]string{"node_id": "'n'", "time": "TIMESTAMP '2000-01-01'", "tenant_id": "'t'", "kind": "'k'", "object_id": "'o'"}
	columns[column] = expr
	var s []string
	for name, expr := range columns {
		s = append(s, expr+" AS "+name)
	}
	return "SELECT " + strings.Join(s, ", ")
}

func TestColumnsOfOtherTypes(t *testing.T) {
	const bad = "bad_value"
	tests := []struct{ column, expr, want string }{
		{"bytes", "5::TINYINT", "bytes=5"},
		{"bytes", "-5::TINYINT", "bytes=-5"},
		{"bytes", "200::UTINYINT", "bytes=200"},
		{"bytes", "65535::USMALLINT", "bytes=65535"},
		{"bytes", "4294967295::UINTEGER", "bytes=4294967295"},
		{"bytes", "9223372036854775807::UBIGINT", "bytes=9223372036854775807"},
		{"bytes", "9223372036854775808::UBIGINT", bad},
		{"bytes", "(-9223372036854775807 - 1)::BIGINT", bad},
		{"bytes", "true", "bytes=1"},
		{"bytes", "NULL::BIGINT", ""},
		{"bytes", "'12'", "bytes=12"},
		{"bytes", "'-3'", "bytes=-3"},
		{"bytes", "'1.5'", bad},
		{"bytes", "''", ""},
		{"bytes", "' '", bad},
		{"drm", "''", ""},
		{"opened_at", "''", ""},
		{"bytes", "'99999999999999999999'", bad},
		{"bytes", "'12'::BLOB", "bytes=12"},
		{"bytes", "'12'::JSON", "bytes=12"},
		{"bytes", "'12'::ENUM('12', '13')", "bytes=12"},
		{"status", "2147483647::BIGINT", "status=2147483647"},
		{"status", "2147483648::BIGINT", bad},
		{"status", "-2147483648::BIGINT", "status=-2147483648"},
		{"status", "-2147483649::BIGINT", bad},
		{"width", "4294967295::UINTEGER", bad},
		{"segment", "'2147483648'", bad},
		{"seq", "4294967296", "seq=4294967296"},
		{"drm", "1::BIGINT", "drm=1"},
		{"drm", "0::UTINYINT", "drm=0"},
		{"drm", "2", bad},
		{"drm", "'true'", "drm=1"},
		{"drm", "'false'", "drm=0"},
		{"drm", "'1'", "drm=1"},
		{"drm", "'0'", "drm=0"},
		{"drm", "'yes'", bad},
		{"live", "false", "live=0"},
		{"session_id", "42::BIGINT", "session_id=42"},
		{"session_id", "-42::TINYINT", "session_id=-42"},
		{"session_id", "18446744073709551615::UBIGINT", "session_id=18446744073709551615"},
		{"session_id", "true", "session_id=true"},
		{"session_id", "'12345678-9abc-def0-1234-56789abcdef0'::UUID", "session_id=12345678-9abc-def0-1234-56789abcdef0"},
		{"event_id", "'12345678-9abc-def0-1234-56789abcdef0'::UUID", "event_id=12345678-9abc-def0-1234-56789abcdef0"},
		{"event_id", "7", "event_id=7"},
		{"session_id", "'a'::ENUM('a', 'b')", "session_id=a"},
		{"session_id", `'\xC3\x28a\xFF\xFFb'::BLOB`, "session_id=\uFFFD(a\uFFFDb"},
		{"event_id", `'\xFF\xFFb'::BLOB`, "event_id=\uFFFDb"},
		{"session_id", "repeat('x', 1048576)", "session_id=" + strings.Repeat("x", 1048576)},
		{"session_id", "repeat('x', 1048577)", bad},
		{"event_id", "repeat('x', 1048577)", bad},
		{"opened_at", "TIMESTAMP '2000-01-01'", "opened_at=946684800000000000"},
		{"opened_at", "TIMESTAMP '1999-12-31 23:59:59'", ""},
		{"opened_at", "'soon'", bad},
		{"opened_at", "'1999-12-31T23:59:59Z'", ""},
		{"closed_at", "'946684800001'", "closed_at=946684800001000000"},
	}
	for _, tt := range tests {
		t.Run(tt.column+" "+tt.expr[:min(len(tt.expr), 40)], func(t *testing.T) {
			got, _, err := readUsage("x.parquet", duckdbFile(t, oneRow(tt.column, tt.expr), ""))
			if err != nil {
				t.Fatal(err)
			}
			fixed := []string{"0: node_id=n tenant_id=t kind=k object_id=o", "time=946684800000000000"}
			rest := got[0]
			for _, s := range fixed {
				rest = strings.TrimSpace(strings.Replace(rest, s, "", 1))
			}
			if rest != tt.want {
				t.Errorf("%s of %s\n got %.200q\nwant %.200q", tt.column, tt.expr, rest, tt.want)
			}
		})
	}
}

func TestTimeColumns(t *testing.T) {
	tests := []struct{ expr, want string }{
		{"946684800000::BIGINT", "946684800000000000"},
		{"946684799999::BIGINT", "none"},
		{"4102444799999::UBIGINT", "4102444799999000000"},
		{"4102444800000::BIGINT", "none"},
		{"9223372036854775807::BIGINT", "none"},
		{"-1::BIGINT", "none"},
		{"18446744073709551615::UBIGINT", "none"},
		{"'2026-10-14T09:17:00Z'", "1791969420000000000"},
		{"'when'", "none"},
		{"''", "none"},
		{"TIMESTAMP_S '2026-10-14 09:17:00'", "1791969420000000000"},
		{"make_timestamp_ns(4102444799999999999)", "4102444799999999999"},
		{"make_timestamp_ns(4102444800000000000)", "none"},
		{"TIMESTAMPTZ '2026-10-14 11:17:00+02'", "1791969420000000000"},
		{"NULL::TIMESTAMP", "none"},
	}
	for _, tt := range tests {
		got, _, err := readUsage("x.parquet", duckdbFile(t, oneRow("time", tt.expr), ""))
		if err != nil {
			t.Fatal(err)
		}
		want := "0: node_id=n tenant_id=t kind=k object_id=o time=" + tt.want
		if want = strings.TrimSuffix(want, " time=none"); got[0] != want {
			t.Errorf("time %s\n got %s\nwant %s", tt.expr, got[0], want)
		}
	}
}

func TestColumnsThatSetAFileAside(t *testing.T) {
	tests := []struct{ column, expr string }{
		{"bytes", "1.0::DOUBLE"}, {"bytes", "1.0::FLOAT"}, {"bytes", "1.0::DECIMAL(10, 2)"}, {"bytes", "1::DECIMAL(30, 0)"}, {"bytes", "1::HUGEINT"},
		{"bytes", "DATE '2026-01-01'"}, {"bytes", "TIMESTAMP '2026-01-01'"}, {"bytes", "uuid()"}, {"bytes", "[1, 2]"}, {"bytes", "{'a': 1}"},
		{"bytes", "MAP {'a': 1}"}, {"bytes", "TIME '10:00:00'"}, {"bytes", "INTERVAL 1 DAY"}, {"drm", "0.0::DOUBLE"},
		{"time", "DATE '2026-01-01'"}, {"time", "1.5::DOUBLE"}, {"time", "true"}, {"time", "TIME '10:00:00'"}, {"opened_at", "DATE '2026-01-01'"},
		{"session_id", "1.5::DOUBLE"}, {"session_id", "['a']"}, {"event_id", "['a']"}, {"node_id", "{'a': 'n'}"},
		{"kind", "TIMESTAMP '2026-01-01'"}, {"tenant_id", "DATE '2026-01-01'"}, {"user_agent", "1.5::DECIMAL(4, 1)"}, {"user_agent", "INTERVAL 1 DAY"},
	}
	for _, tt := range tests {
		_, _, err := readUsage("x.parquet", duckdbFile(t, oneRow(tt.column, tt.expr), ""))
		if part := fmt.Sprintf("column %q: ", tt.column); !errors.Is(err, ErrUnreadable) || !strings.Contains(err.Error(), part) {
			t.Errorf("%s as %s: got error %v, want one with %s", tt.column, tt.expr, err, part)
		}
	}
}

func TestMissingColumns(t *testing.T) {
	all := map[string]string{"node_id": "'n'", "time": "TIMESTAMP '2000-01-01'", "tenant_id": "'t'", "kind": "'k'", "object_id": "'o'", "version_hash": "'v'"}
	without := func(names ...string) error {
		var s []string
		for name, expr := range all {
			if !strings.Contains(" "+strings.Join(names, " ")+" ", " "+name+" ") {
				s = append(s, expr+" AS "+name)
			}
		}
		_, _, err := readUsage("x.parquet", duckdbFile(t, "SELECT "+strings.Join(s, ", "), ""))
		return err
	}
	for _, name := range []string{"node_id", "time", "tenant_id", "kind"} {
		if err := without(name); !errors.Is(err, ErrUnreadable) || !strings.Contains(err.Error(), fmt.Sprintf("column %q: is missing", name)) {
			t.Errorf("without %s: %v", name, err)
		}
	}
	for _, names := range []string{"object_id", "version_hash"} {
		if err := without(names); err != nil {
			t.Errorf("without %s: %v", names, err)
		}
	}
	if err := without("object_id", "version_hash"); !errors.Is(err, ErrUnreadable) || !strings.Contains(err.Error(), `column "object_id": is missing`) {
		t.Errorf("without both: %v", err)
	}
}

func TestParseTime(t *testing.T) {
	tests := []struct{ text, want string }{
		{"2026-10-14T09:17:00Z", "2026-10-14T09:17:00Z"},
		{"2026-10-14t09:17:00z", "2026-10-14T09:17:00Z"},
		{"2026-10-14 09:17:00Z", "2026-10-14T09:17:00Z"},
		{"2026-10-14T09:17:00+02:00", "2026-10-14T07:17:00Z"},
		{"2026-10-14T09:17:00-23:59", "2026-10-15T09:16:00Z"},
		{"2026-10-14T09:17:00.5Z", "2026-10-14T09:17:00.5Z"},
		{"2026-10-14T09:17:00.123456789Z", "2026-10-14T09:17:00.123456789Z"},
		{"2026-10-14T09:17:00.1234567899Z", "2026-10-14T09:17:00.123456789Z"},
		{"2026-12-31T23:59:60Z", "2026-12-31T23:59:59.999999999Z"},
		{"2026-12-31T23:59:60.5Z", "2026-12-31T23:59:59.999999999Z"},
		{"2024-02-29T00:00:00Z", "2024-02-29T00:00:00Z"},
		{"2000-02-29T00:00:00Z", "2000-02-29T00:00:00Z"},
		{"2000-01-01T00:00:00Z", "2000-01-01T00:00:00Z"},
		{"2000-01-01T00:59:59+01:00", "none"},
		{"1999-12-31T23:00:00-01:00", "2000-01-01T00:00:00Z"},
		{"2099-12-31T23:59:60Z", "2099-12-31T23:59:59.999999999Z"},
		{"2100-01-01T00:00:00Z", "none"},
		{"0000-01-01T00:00:00Z", "none"},
		{"9999-12-31T23:59:59Z", "none"},
		{"2026-02-29T00:00:00Z", "bad"},
		{"2100-02-29T00:00:00Z", "bad"},
		{"2026-13-01T00:00:00Z", "bad"},
		{"2026-00-01T00:00:00Z", "bad"},
		{"2026-10-00T00:00:00Z", "bad"},
		{"2026-10-14T24:00:00Z", "bad"},
		{"2026-10-14T09:60:00Z", "bad"},
		{"2026-10-14T09:17:61Z", "bad"},
		{"2026-10-14T09:17:00", "bad"},
		{"2026-10-14T09:17:00.Z", "bad"},
		{"2026-10-14T09:17:00+0200", "bad"},
		{"2026-10-14T09:17:00+24:00", "bad"},
		{"2026-10-14T09:17:00Zx", "bad"},
		{"2026-10-14T9:17:00Z", "bad"},
		{"2026-10-14", "bad"},
		{"+026-10-14T09:17:00Z", "bad"},
		{"", "bad"},
	}
	for _, tt := range tests {
		ns, ok := parseTime([]byte(tt.text))
		got := "bad"
		if ok && ns == None {
			got = "none"
		} else if ok {
			got = time.Unix(0, ns).UTC().Format(time.RFC3339Nano)
		}
		if got != tt.want {
			t.Errorf("parseTime(%q) = %s, want %s", tt.text, got, tt.want)
		}
	}
}

// TestParseTimeAgreesWithTheStandardLibrary walks every day that an event may lie on.
func TestParseTimeAgreesWithTheStandardLibrary(t *testing.T) {
	for at := time.Unix(0, Earliest).UTC(); at.UnixNano() < Latest; at = at.Add(23*time.Hour + 59*time.Minute + 1*time.Millisecond) {
		if ns, ok := parseTime([]byte(at.Format(time.RFC3339Nano))); !ok || ns != at.UnixNano() {
			t.Fatalf("parseTime(%s) = %d, %v, want %d", at.Format(time.RFC3339Nano), ns, ok, at.UnixNano())
		}
		if at.Year() > 2098 && at.Month() == 12 && at.Day() > 29 {
			break
		}
	}
}

func TestParseWhole(t *testing.T) {
	tests := []struct {
		text string
		want int64
		ok   bool
	}{
		{"0", 0, true}, {"-0", 0, true}, {"+7", 7, true}, {"007", 7, true}, {"9223372036854775807", math.MaxInt64, true},
		{"-9223372036854775808", math.MinInt64, true}, {"9223372036854775808", 0, false}, {"99999999999999999999", 0, false},
		{"0000000000000000000000001", 1, true}, {"", 0, false}, {"-", 0, false}, {"1 ", 0, false}, {"1_000", 0, false}, {"0x10", 0, false},
		{"1_0000000000000000000", 0, false}, {"--1", 0, false}, {"1.0", 0, false},
	}
	for _, tt := range tests {
		if v, ok := parseWhole([]byte(tt.text)); ok != tt.ok || ok && v != tt.want {
			t.Errorf("parseWhole(%q) = %d, %v, want %d, %v", tt.text, v, ok, tt.want, tt.ok)
		}
	}
}
