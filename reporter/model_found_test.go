package reporter

import (
	"testing"
	"time"

	"github.com/playmeter/playmeter/schemas"
)

// TestHistoriesThatOnceWentWrong plays what random histories have found.
func TestHistoriesThatOnceWentWrong(t *testing.T) {
	rows := func(seq int64, at string, n int) []eventRow {
		var out []eventRow
		for i := range n {
			out = append(out, eventRow{Event: schemas.Event{NodeID: "n1", Seq: new(seq + int64(i)), Time: day(at).Add(time.Duration(i) * time.Second).UnixNano(),
				TenantID: "acme", Kind: "playout", ObjectID: "film", SessionID: "s1", Bytes: new(int64(100))}})
		}
		return out
	}
	put := func(key string, list ...[]eventRow) step {
		s := step{op: "put", key: key}
		for _, l := range list {
			s.rows = append(s.rows, l...)
		}
		return s
	}
	run := func(month schemas.Period, asOf string) step {
		return step{op: "run", runs: []runStep{{period: month, asOf: day(asOf)}}}
	}
	vanish := func(key string) step { return step{op: "vanish", key: key} }
	snapshot := func(holdings ...holdingRow) step {
		return step{op: "snapshot", tenant: "acme", at: day("2026-09-20T00:00:00"), holdings: holdings}
	}
	twice := put("a.ndjson", rows(1, "2026-10-05T10:00:00", 3), rows(1, "2026-10-05T10:00:00", 3))
	tests := []struct {
		name  string
		steps []step
	}{
		{"copies of a file that was gone when its own month was first counted",
			[]step{twice, run(september, "2026-10-05T11:00:00"), vanish("a.ndjson"), run(october, "2026-11-02T00:00:00")}},
		{"copies in two months of files that are gone", []step{
			put("a.ndjson", rows(1, "2026-09-30T23:20:00", 5), rows(11, "2026-11-01T00:00:00", 2)), put("c.ndjson", rows(1, "2026-09-30T23:20:00", 5), rows(11, "2026-11-01T00:00:00", 2)),
			run(october, "2026-11-02T00:00:00"), run(november, "2026-11-02T00:00:00"), vanish("a.ndjson"), vanish("c.ndjson"),
			run(september, "2026-11-03T00:00:00"), run(november, "2026-11-03T00:00:00")}},
		{"a snapshot that a final report was made from is overwritten", []step{
			snapshot(holdingRow{id: "film", storage: 7}), run(october, "2026-11-06T00:00:00"), snapshot(holdingRow{id: "film", storage: 9}), run(october, "2026-11-08T00:00:00")}},
		{"an earlier as-of after a restatement", []step{
			run(october, "2026-11-06T00:00:00"), put("a.ndjson", rows(1, "2026-10-05T10:00:00", 3)), run(october, "2026-11-08T00:00:00"), run(october, "2026-11-05T00:00:00")}},
		{"a file that was replaced within a second is withdrawn once it is gone", []step{
			put("a.ndjson", rows(1, "2026-10-05T10:00:00", 1)), run(october, "2026-11-02T00:00:00"), put("a.ndjson", rows(5, "2026-10-05T10:00:00", 4)), run(october, "2026-11-02T00:00:00"),
			vanish("a.ndjson"), {op: "withdraw", key: "a.ndjson"}, run(october, "2026-11-02T00:00:00")}},
	}
	s := newTheatre(t)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for range 4 { // packs have other names each time
				h := &history{limits: Restate{24 * time.Hour, 9600 * time.Hour}, steps: tt.steps}
				if at, err := s.play(h, false); err != nil {
					t.Fatalf("step %d: %v\nin\n%s", at+1, err, h)
				}
			}
		})
	}
}
