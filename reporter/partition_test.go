package reporter

import (
	"bytes"
	"encoding/csv"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"

	"github.com/playmeter/playmeter/accounting"
	"github.com/playmeter/playmeter/reporter/internal/oracle"
	"github.com/playmeter/playmeter/schemas"
)

// TestReportsDoNotDependOnFilesOrWorkers cuts the same events into other files, by other
// writers and in another order, and tallies them with other numbers of workers: the
// reports are the same, to the byte.
func TestReportsDoNotDependOnFilesOrWorkers(t *testing.T) {
	events, cuts := 40_000, []int{1, 7, 45}
	if testing.Short() {
		events, cuts = 8_000, []int{5}
	}
	w := newWorld(t, 7, events)
	asOf := october.End()
	reports := func(w *oracle.World, workers int) map[string]string {
		s := siteOf(t, w, accounting.DefaultRules())
		s.Workers = workers
		s.run(RunOptions{Period: october, AsOf: asOf})
		out := make(map[string]string)
		for _, tenant := range w.Tenants {
			usage := s.report(schemas.Tenant(tenant.ID), october, schemas.ReportUsage)
			sessions := s.report(schemas.Tenant(tenant.ID), october, schemas.ReportSessions)
			s.reconcile(schemas.Tenant(tenant.ID), usage, sessions)
			out[tenant.ID+" usage"], out[tenant.ID+" sessions"] = string(usage), string(sessions)
		}
		return out
	}
	want := reports(w, 1)
	for i, files := range cuts {
		other, err := w.Repartition(t.TempDir(), uint64(i), files)
		if err != nil {
			t.Fatal(err)
		}
		for name, got := range reports(other, 1+i*2) {
			if got != want[name] {
				t.Errorf("%s, cut into %d files:\n%s", name, files, firstDifference([]byte(got), []byte(want[name])))
			}
		}
	}
}

// reconcile checks that the sessions of a month add up to its usage (SPEC 5): what the CSVs
// show, and the video seconds that only the stored sessions tell apart.
func (s *site) reconcile(tenant schemas.Tenant, usage, sessions []byte) {
	s.t.Helper()
	total := tableOf(s.t, usage)[0]
	sums := make(map[string]*big.Rat)
	for _, row := range tableOf(s.t, sessions) {
		for _, column := range []string{"bytes", "requests", "audio_secs"} {
			add(s.t, sums, column, row[column])
		}
	}
	video, audioOnly := s.storedSeconds(tenant)
	for _, row := range tableOf(s.t, sessions) {
		add(s.t, sums, "watched_secs", row["watched_secs"])
	}
	wanted := make(map[string]*big.Rat)
	for column, parts := range map[string][]string{"bytes": {"usage.playout.bytes"}, "requests": {"usage.playout.occurrences"},
		"audio_secs": {"usage.playout.audio_clear_sec", "usage.playout.audio_drm_sec"}} {
		for _, part := range parts {
			add(s.t, wanted, column, total[part])
		}
	}
	for column, cell := range total {
		if strings.HasPrefix(column, "usage.playout.video_") && strings.HasSuffix(column, "_sec") {
			add(s.t, wanted, "watched_secs", cell)
		}
	}
	if stored := wanted["watched_secs"]; stored.Cmp(video) != 0 {
		s.t.Errorf("%s: stored sessions have %s video seconds, the usage report %s", tenant, video.FloatString(6), stored.FloatString(6))
	}
	wanted["watched_secs"].Add(wanted["watched_secs"], audioOnly)
	for column, want := range wanted {
		if got := sums[column]; got == nil && want.Sign() != 0 || got != nil && got.Cmp(want) != 0 {
			s.t.Errorf("%s: %s of the sessions is %v, of the usage report %s", tenant, column, got, want.FloatString(6))
		}
	}
}

func add(t testing.TB, sums map[string]*big.Rat, column, cell string) {
	t.Helper()
	n, ok := new(big.Rat).SetString(cell)
	if !ok {
		t.Fatalf("%s: %q is no number", column, cell)
	}
	if sums[column] == nil {
		sums[column] = new(big.Rat)
	}
	sums[column].Add(sums[column], n)
}

// storedSeconds adds up the finished sessions in the metering bucket: video seconds, and the
// audio seconds of sessions without video.
func (s *site) storedSeconds(tenant schemas.Tenant) (video, audioOnly *big.Rat) {
	s.t.Helper()
	type row struct {
		HasVideo bool  `parquet:"has_video"`
		Video    int64 `parquet:"video_us"`
		Audio    int64 `parquet:"audio_us"`
	}
	head, err := s.head(s.t.Context(), tenant, october)
	if err != nil {
		s.t.Fatal(err)
	}
	var videoMicros, audioMicros big.Int
	for _, o := range head.Sessions {
		data, _, err := s.Buckets.Metering.Get(s.t.Context(), o.Name, "", 1<<30)
		if err != nil {
			s.t.Fatal(err)
		}
		path := filepath.Join(s.t.TempDir(), "sessions.parquet")
		if err := os.WriteFile(path, data, 0o600); err != nil {
			s.t.Fatal(err)
		}
		rows, err := parquet.ReadFile[row](path)
		if err != nil {
			s.t.Fatal(err)
		}
		if int64(len(rows)) != o.Rows {
			s.t.Errorf("%s holds %d rows, its commit says %d", o.Name, len(rows), o.Rows)
		}
		for _, r := range rows {
			videoMicros.Add(&videoMicros, big.NewInt(r.Video))
			if !r.HasVideo {
				audioMicros.Add(&audioMicros, big.NewInt(r.Audio))
			}
		}
	}
	million := big.NewInt(1_000_000)
	return new(big.Rat).SetFrac(&videoMicros, million), new(big.Rat).SetFrac(&audioMicros, million)
}

// tableOf reads a CSV as rows of column to cell.
func tableOf(t testing.TB, data []byte) []map[string]string {
	t.Helper()
	records, err := csv.NewReader(bytes.NewReader(data)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	var out []map[string]string
	for _, r := range records[1:] {
		row := make(map[string]string)
		for i, cell := range r {
			row[records[0][i]] = cell
		}
		out = append(out, row)
	}
	return out
}
