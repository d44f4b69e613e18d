package statistics

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestOnlyQuestionsAreAnswered(t *testing.T) {
	f := newFixture(t, 90, nil, 20)
	secret := filepath.Join(t.TempDir(), "secret.csv")
	if err := os.WriteFile(secret, []byte("hush\nhush\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	target := filepath.Join(f.o.Folder, arriving, "out.csv")
	before := f.tables(t)
	for _, text := range []string{
		"", ";", "x", "SELECT", "SELECT * FROM nothing", "DELETE FROM sessions", "INSERT INTO about SELECT 1, now()", "UPDATE sessions SET bytes = 0", "DROP TABLE sessions", "CREATE TABLE x AS SELECT 1",
		"CREATE OR REPLACE TEMP TABLE incoming AS SELECT 1", "CREATE MACRO f() AS 1", "TRUNCATE sessions", "ALTER TABLE sessions ADD COLUMN x INTEGER", "CREATE INDEX i ON sessions (bytes)",
		"COPY sessions TO '" + target + "'", "COPY (SELECT 1) TO '" + secret + "'", "EXPORT DATABASE '" + target + "'", "ATTACH '" + target + "'", "ATTACH ':memory:' AS m", "USE memory", "DETACH statistics",
		"SET memory_limit = '10GB'", "SET enable_external_access = true", "RESET lock_configuration", "SET VARIABLE x = 1", "PRAGMA enable_profiling", "PRAGMA database_size; SELECT 1", "CALL enable_logging()",
		"INSTALL httpfs", "LOAD httpfs", "CHECKPOINT", "VACUUM", "BEGIN", "COMMIT", "ROLLBACK; DELETE FROM sessions", "SELECT 1; SELECT 2", "SELECT 1; DELETE FROM sessions", "DELETE FROM sessions; SELECT 1",
		"PREPARE p AS DELETE FROM sessions", "EXECUTE p", "EXPLAIN ANALYZE DELETE FROM sessions", "WITH x AS (DELETE FROM sessions RETURNING *) SELECT * FROM x",
		"SELECT * FROM read_text('" + secret + "')", "SELECT * FROM read_blob('/etc/passwd')", "SELECT * FROM read_csv('" + secret + "')", "FROM '" + secret + "'", "SELECT * FROM read_parquet('/tmp/*.parquet')",
		"SELECT * FROM glob('/etc/*')", "SELECT * FROM read_text('" + filepath.Join(f.o.Folder, "address") + "')", "SELECT * FROM read_text('" + filepath.Join(f.o.Folder, arriving, "..", "address") + "')",
		"SELECT * FROM sniff_csv('" + secret + "')", "SELECT * FROM read_duckdb('" + secret + "')", "SELECT * FROM 'https://example.com/x.parquet'", "SELECT * FROM 's3://bucket/x.parquet'",
		"EXPLAIN ANALYZE COPY (SELECT 1) TO '" + target + "'", "EXPLAIN COPY (SELECT 1) TO '" + target + "'", "/* x */ EXPORT DATABASE '" + target + "'", "-- x\nCOPY (SELECT 1) TO '" + target + "'",
		"SELECT * FROM \"Enable_Logging\"(storage := 'file', storage_path := '" + filepath.Dir(target) + "')", "SELECT * FROM query('FROM ena' || 'ble_logging()')", "SELECT * FROM system.main.query('SELECT 1')",
		"SELECT getenv('PATH')", "SELECT * FROM query('DELETE FROM sessions')", "SELECT address_high(1, 2)",
		"SELECT * FROM enable_logging(storage := 'file', storage_path := '" + filepath.Dir(target) + "')", "FROM force_checkpoint('memory')", "SELECT error('my own')", "SELECT 'x'::INTEGER",
	} {
		table, err := f.SQL(t.Context(), text, 10)
		if err == nil {
			t.Errorf("%s is answered with %q", text, table.Rows)
		} else if errors.Is(err, ErrDown) || err.Error() == "" || strings.Contains(err.Error(), "hush") {
			t.Errorf("%s: %v", text, err)
		}
	}
	if after := f.tables(t); after != before {
		t.Errorf("tables were %s and are %s", before, after)
	}
	if left := arrived(t, f.Database); len(left) > 0 {
		t.Errorf("files were written: %q", left)
	}
	f.compareAll(t)
}

func TestQuestionsInSQL(t *testing.T) {
	f := newFixture(t, 91, nil, 20)
	for _, tt := range []struct{ text, want string }{
		{"SELECT count(*) AS n FROM sessions", "n 40"},
		{"FROM (SELECT 1 AS a UNION ALL SELECT 2) ORDER BY a;", "a 1 2"},
		{"-- a comment\nWITH x AS (SELECT 1 AS a) SELECT a, a + 1 AS b FROM x", "a,b 1,2"},
		{"SELECT 1 AS a, 2 AS a", "a,a 1,2"},
		{"SELECT tenant FROM sessions WHERE false", "tenant"},
		{"SELECT NULL AS a, '' AS b, 'NULL' AS c", "a,b,c ,,NULL"},
		{"SELECT '?' AS a, '$1' AS b", "a,b ?,$1"},
		{"SELECT count(*) > 0 AS there FROM (DESCRIBE sessions)", "there true"},
		{"SELECT column_name FROM (DESCRIBE about)", "column_name version made"},
		{"SELECT table_name FROM duckdb_tables() WHERE table_name LIKE 'day%s' AND table_name < 'day_e' ORDER BY 1", "table_name day_devices"},
		{"SELECT getvariable('x') AS a", "a "},
	} {
		table, err := f.SQL(t.Context(), tt.text, 100)
		if err != nil {
			t.Errorf("%s: %v", tt.text, err)
			continue
		}
		out := []string{strings.Join(table.Columns, ",")}
		for _, row := range table.Rows {
			out = append(out, strings.Join(row, ","))
		}
		if got := strings.Join(out, " "); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.text, got, tt.want)
		}
	}
	for _, text := range []string{"DESCRIBE sessions", "SHOW TABLES", "SUMMARIZE moves", "EXPLAIN SELECT 1", "EXPLAIN ANALYZE SELECT count(*) FROM sessions", "VALUES (1)", "TABLE about"} {
		if table, err := f.SQL(t.Context(), text, 100); err != nil || len(table.Rows) == 0 {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestAnswersAreCutAtTheRowsAskedFor(t *testing.T) {
	d := openDatabase(t, newBucket(t), t.TempDir())
	for _, tt := range []struct {
		rows, there int
		want        string
	}{{1, 0, "0 false"}, {1, 1, "1 false"}, {1, 2, "1 true"}, {5000, 4999, "4999 false"}, {5000, 5000, "5000 false"}, {5000, 5001, "5000 true"}, {0, 10, "10 false"}, {-1, 10, "10 false"}} {
		table := must[*Table](t)(d.SQL(t.Context(), fmt.Sprintf("FROM range(%d)", tt.there), tt.rows))
		if got := fmt.Sprint(len(table.Rows), " ", table.Cut); got != tt.want {
			t.Errorf("%d of %d rows: %s, want %s", tt.rows, tt.there, got, tt.want)
		}
	}
}

func TestEveryTypeIsWrittenAsPeopleReadIt(t *testing.T) {
	d := openDatabase(t, newBucket(t), t.TempDir())
	for _, tt := range []struct{ expr, want string }{
		{"true", "true"}, {"1::TINYINT", "1"}, {"255::UTINYINT", "255"}, {"(-9223372036854775808)::BIGINT", "-9223372036854775808"}, {"18446744073709551615::UBIGINT", "18446744073709551615"},
		{"170141183460469231731687303715884105727::HUGEINT", "170141183460469231731687303715884105727"}, {"340282366920938463463374607431768211455::UHUGEINT", "340282366920938463463374607431768211455"},
		{"-1::HUGEINT", "-1"}, {"1.50::DECIMAL(10,2)", "1.5"}, {"0.5::DOUBLE", "0.5"}, {"1e300::DOUBLE", "1e+300"}, {"0.1::FLOAT", "0.1"}, {"'nan'::DOUBLE", "NaN"}, {"'inf'::DOUBLE", "+Inf"},
		{"'a b'", "a b"}, {"'\\x00\\xFF'::BLOB", "00ff"}, {"DATE '2026-10-05'", "2026-10-05"}, {"TIME '10:20:30.5'", "10:20:30.5"}, {"TIMESTAMP '2026-10-05 10:20:30.123456'", "2026-10-05T10:20:30.123456Z"},
		{"TIMESTAMP_NS '2026-10-05 10:20:30.123456789'", "2026-10-05T10:20:30.123456789Z"}, {"TIMESTAMPTZ '2026-10-05 10:20:30+02'", "2026-10-05T08:20:30Z"}, {"TIMESTAMP_S '2026-10-05 10:20:30'", "2026-10-05T10:20:30Z"},
		{"INTERVAL '1 year 2 days 3 hours'", "12 months 2 days 3h0m0s"}, {"uuid '00112233-4455-6677-8899-aabbccddeeff'", "00112233-4455-6677-8899-aabbccddeeff"}, {"'101'::BIT", "101"},
		{"[1, 2, NULL]", "[1,2,null]"}, {"[]::INTEGER[]", "[]"}, {"['a', 'b']", `["a","b"]`}, {"[1.50::DECIMAL(3,2)]", `["1.5"]`}, {"{'a': 1, 'b': 'x'}", `{"a":1,"b":"x"}`}, {"MAP {'k': 1}", `{"k":1}`},
		{"[DATE '2026-10-05']", `["2026-10-05T00:00:00Z"]`}, {"'x'::ENUM('x', 'y')", "x"}, {"union_value(n := 1)", "1"}, {"NULL", ""}, {"NULL::INTEGER[]", ""}, {"array_value(1, 2)", "[1,2]"},
	} {
		table, err := d.SQL(t.Context(), "SELECT "+tt.expr+" AS x", 1)
		if err != nil {
			t.Errorf("%s: %v", tt.expr, err)
		} else if got := table.Rows[0][0]; got != tt.want {
			t.Errorf("%s: %q, want %q", tt.expr, got, tt.want)
		}
	}
}

func TestSomebodyElseAsksByTheFolder(t *testing.T) {
	folder := t.TempDir()
	if _, err := Elsewhere(t.Context(), folder, "SELECT 1", 1); !errors.Is(err, ErrNobody) {
		t.Errorf("where nobody is: %v, want ErrNobody", err)
	}
	d := openDatabase(t, newBucket(t), folder)
	table := must[*Table](t)(Elsewhere(t.Context(), folder, "SELECT 1 AS a UNION ALL SELECT 2 ORDER BY a", 1))
	if len(table.Rows) != 1 || table.Rows[0][0] != "1" || !table.Cut {
		t.Errorf("answer %+v", table)
	}
	if _, err := Elsewhere(t.Context(), folder, "DROP TABLE sessions", 1); !errors.Is(err, ErrSQL) {
		t.Errorf("error %v, want ErrSQL", err)
	}
	at, err := os.ReadFile(addressPath(folder))
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := Elsewhere(t.Context(), folder, "SELECT 1", 1); !errors.Is(err, ErrNobody) {
		t.Errorf("after it was closed: %v, want ErrNobody", err)
	}
	if err := os.WriteFile(addressPath(folder), at, 0o600); err != nil { // as a daemon leaves it that was killed
		t.Fatal(err)
	}
	if _, err := Elsewhere(t.Context(), folder, "SELECT 1", 1); !errors.Is(err, ErrNobody) {
		t.Errorf("where nobody answers: %v, want ErrNobody", err)
	}
	if err := os.WriteFile(addressPath(folder), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Elsewhere(t.Context(), folder, "SELECT 1", 1); err == nil || errors.Is(err, ErrNobody) {
		t.Errorf("with an address that is damaged: %v", err)
	}
}
