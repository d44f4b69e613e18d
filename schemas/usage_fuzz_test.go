package schemas

import (
	"errors"
	"testing"
	"time"
)

// noHang makes an input that takes ten seconds a failure, which the fuzzer keeps.
func noHang() (done func()) {
	timer := time.AfterFunc(10*time.Second, func() { panic("takes more than ten seconds") })
	return func() { timer.Stop() }
}

func FuzzUsageParquet(f *testing.F) {
	for _, data := range writerMatrix(f, 20) {
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		defer noHang()()
		if _, _, err := readUsage("x.parquet", data); err != nil && !errors.Is(err, ErrUnreadable) {
			t.Errorf("error %v, want ErrUnreadable", err)
		}
	})
}

func FuzzUsageNDJSON(f *testing.F) {
	f.Add([]byte(event(`,"bytes":1.5e1,"codec":"\ud83d\ude00\n","x":[1,{"a":null}],"event_id":"e"`) + "\r\n{}\nnope"))
	f.Add(linesOf(busyNode(2)))
	f.Fuzz(func(t *testing.T, data []byte) {
		for ending := range linePackers {
			if _, _, err := readUsage("x"+ending, data); err != nil && !errors.Is(err, ErrUnreadable) {
				t.Errorf("%s: error %v, want ErrUnreadable", ending, err)
			}
		}
		if _, _, err := readUsage("x.ndjson", data); err != nil {
			t.Errorf("plain lines are never unreadable: %v", err)
		}
	})
}

func FuzzCatalog(f *testing.F) {
	f.Add([]byte(`{"object_id":"a","storage_bytes":1,"mezzanine_playout_formats":["x"]}`), false)
	f.Add(duckdbFile(f, "SELECT 'a' AS object_id, ['x', NULL] AS mezzanine_playout_formats, 5 AS storage_bytes", ""), true)
	f.Fuzz(func(t *testing.T, data []byte, columns bool) {
		defer noHang()()
		key := map[bool]string{true: "c.parquet", false: "c.ndjson"}[columns]
		if c, err := readCatalog(key, data); err != nil && !errors.Is(err, ErrUnreadable) || err == nil && len(c.Objects) == 0 {
			t.Errorf("%s: %v", key, err)
		}
	})
}
