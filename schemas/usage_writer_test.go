package schemas

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestUsageWriterInDuckDB looks at our files through another reader, which keeps microseconds.
func TestUsageWriterInDuckDB(t *testing.T) {
	name := filepath.Join(t.TempDir(), "x.parquet")
	e := Event{NodeID: "n", Time: Earliest + 1_001_000, TenantID: "t", Kind: "session", ObjectID: "é", Bytes: new(int64(0)), DRM: new(true), OpenedAt: new(Earliest)}
	if err := os.WriteFile(name, parquetOf([]Event{e}), 0o600); err != nil {
		t.Fatal(err)
	}
	var got []string
	rows, err := duckdb().Query(fmt.Sprintf("SELECT column_name || ' ' || column_type FROM (DESCRIBE FROM '%s') WHERE column_name IN ('node_id', 'time', 'opened_at', 'bytes', 'status', 'drm')", name))
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var s string
		if err := rows.Scan(&s); err != nil {
			t.Fatal(err)
		}
		got = append(got, s)
	}
	var values string
	query := "SELECT concat_ws(' ', node_id, epoch_us(time), object_id, bytes, status, drm, epoch_us(opened_at), codec) FROM '%s'"
	if err := duckdb().QueryRow(fmt.Sprintf(query, name)).Scan(&values); err != nil {
		t.Fatal(err)
	}
	const wantTypes = "node_id VARCHAR, time TIMESTAMP WITH TIME ZONE, bytes BIGINT, status INTEGER, drm BOOLEAN, opened_at TIMESTAMP WITH TIME ZONE"
	if types := strings.Join(got, ", "); types != wantTypes {
		t.Errorf("types\n got %s\nwant %s", types, wantTypes)
	}
	if want := "n 946684800001001 é 0 true 946684800000000"; values != want {
		t.Errorf("values\n got %s\nwant %s", values, want)
	}
}

func TestUsageWriterWithoutEvents(t *testing.T) {
	if rows, _, err := readUsage("x.parquet", parquetOf(nil)); err != nil || len(rows) != 0 {
		t.Errorf("%d rows, %v", len(rows), err)
	}
}
