package web

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"log/slog"
	"math/big"
	"slices"
	"strings"
	"testing"

	"github.com/playmeter/playmeter/reporter"
	"github.com/playmeter/playmeter/schemas"
	"github.com/playmeter/playmeter/statistics"
)

// worldStatistics are the statistics of the sample world.
func worldStatistics(t testing.TB, w *world) *statistics.Database {
	t.Helper()
	d, err := statistics.Open(t.Context(), statistics.Options{Folder: t.TempDir(), Metering: w.Buckets.Metering, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	if err := d.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	return d
}

// records are the rows of a CSV as maps from its columns, in its order.
func records(t testing.TB, text []byte) []map[string]string {
	t.Helper()
	all, err := csv.NewReader(bytes.NewReader(text)).ReadAll()
	if err != nil || len(all) == 0 {
		t.Fatalf("read CSV: %d rows, %v", len(all), err)
	}
	var out []map[string]string
	for _, row := range all[1:] {
		m := map[string]string{}
		for i, name := range all[0] {
			m[name] = row[i]
		}
		out = append(out, m)
	}
	return out
}

// report is what a tenant opens of the run that stands.
func (w *world) report(t testing.TB, tenant schemas.Tenant, month schemas.Period, report schemas.Report, restatement int) []map[string]string {
	t.Helper()
	var csv bytes.Buffer
	f := reporter.Fetcher{Reporting: w.Buckets.Reporting, Identities: w.identity, Restatement: restatement}
	if _, err := f.Fetch(t.Context(), tenant, month, report, &csv); err != nil {
		t.Fatal(err)
	}
	return records(t, csv.Bytes())
}

// TestPagesAgreeWithTheReports: what a tenant decrypts and what the pages say of the same run is the same, row for row
// and to the digit.
func TestPagesAgreeWithTheReports(t *testing.T) {
	w := sampleWorld(t)
	d := worldStatistics(t, w)
	for _, tenant := range []schemas.Tenant{w.films, w.sports} {
		for month, restatement := range map[schemas.Period]int{october: 1, november: 0} {
			t.Run(fmt.Sprintf("%s %s", tenant, month), func(t *testing.T) {
				sessions := w.report(t, tenant, month, schemas.ReportSessions, restatement)
				usage := w.report(t, tenant, month, schemas.ReportUsage, restatement)[0]
				exportAgrees(t, d, tenant, month, sessions)
				dashboardAgrees(t, d, tenant, month, sessions, usage)
			})
		}
	}
}

func exportAgrees(t *testing.T, d *statistics.Database, tenant schemas.Tenant, month schemas.Period, sessions []map[string]string) {
	t.Helper()
	var out bytes.Buffer
	if err := d.Export(t.Context(), statistics.Of(tenant), statistics.View{Tab: statistics.TabPlayback, Filter: monthFilter(month)}, &out); err != nil {
		t.Fatal(err)
	}
	rows := records(t, out.Bytes())
	if len(rows) != len(sessions) || len(rows) == 0 {
		t.Fatalf("%d rows, the report has %d", len(rows), len(sessions))
	}
	for i, s := range sessions {
		title := s["title"]
		if title == "" {
			title = s["object_id"]
		}
		want := map[string]string{"stream": title, "object_id": s["object_id"], "protocol": s["protocol"], "hostname": s["node_host"], "country": s["client_country"],
			"ip": s["client_ip"], "bytes": s["bytes"], "created": s["view_date"] + "T" + s["view_start"], "view_secs": s["watched_secs"]}
		for name, text := range want {
			if rows[i][name] != text {
				t.Fatalf("row %d: %s is %q, the report has %q", i+1, name, rows[i][name], text)
			}
		}
	}
}

// micros are seconds of a report, which are decimals, as microseconds.
func micros(t testing.TB, seconds string) int64 {
	t.Helper()
	r, ok := new(big.Rat).SetString(seconds)
	if !ok {
		t.Fatalf("%q are no seconds", seconds)
	}
	if r.Mul(r, big.NewRat(1e6, 1)); !r.IsInt() {
		t.Fatalf("%q has more than six decimals", seconds)
	}
	return r.Num().Int64()
}

func dashboardAgrees(t *testing.T, d *statistics.Database, tenant schemas.Tenant, month schemas.Period, sessions []map[string]string, usage map[string]string) {
	t.Helper()
	got, err := d.Dashboard(t.Context(), statistics.Of(tenant), month)
	if err != nil {
		t.Fatal(err)
	}
	var view, traffic int64
	viewers := map[string]bool{}
	for _, s := range sessions {
		view += micros(t, s["watched_secs"])
		n, _ := new(big.Int).SetString(s["bytes"], 10)
		traffic += n.Int64()
		who := slices.Concat([]string{s["user_id"], s["auth_identity"], s["auth_addr"], s["auth_email"]})
		if i := slices.IndexFunc(who, func(text string) bool { return text != "" }); i >= 0 {
			viewers["user "+who[i]] = true
		} else {
			viewers["address "+s["client_ip"]+" "+s["user_agent"]] = true
		}
	}
	check := func(what string, got int64, want string) {
		t.Helper()
		if fmt.Sprint(got) != want {
			t.Errorf("%s: %d on the dashboard, %s in the report", what, got, want)
		}
	}
	check("sessions", got.Sessions, fmt.Sprint(len(sessions)))
	check("view time", got.Micros, fmt.Sprint(view))
	check("traffic", got.Bytes, fmt.Sprint(traffic))
	check("unique viewers", got.Viewers, fmt.Sprint(len(viewers)))
	check("views", got.Views, usage["usage.playout.views"])
	check("traffic", got.Bytes, usage["usage.playout.bytes"])
	for name, us := range map[string]int64{"hi_clear": got.Split.HiClear, "hi_drm": got.Split.HiDRM, "md_clear": got.Split.MdClear, "md_drm": got.Split.MdDRM,
		"lo_clear": got.Split.LoClear, "lo_drm": got.Split.LoDRM, "unclassified_clear": got.Split.NoneClear, "unclassified_drm": got.Split.NoneDRM} {
		check(name, us, fmt.Sprint(micros(t, usage["usage.playout.video_"+name+"_sec"])))
	}
	if strings.TrimSpace(usage["usage.playout.views"]) == "0" {
		t.Error("a month without views proves nothing")
	}
}
