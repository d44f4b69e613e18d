package statistics

import (
	"context"
	"database/sql"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	_ "github.com/duckdb/duckdb-go/v2" // the oracle's own database, in this process

	"github.com/playmeter/playmeter/accounting"
	"github.com/playmeter/playmeter/schemas"
)

// asker answers questions from the Parquet files of finished sessions themselves: a view s of all of them.
type asker struct {
	t  testing.TB
	db *sql.DB
}

func newAsker(t testing.TB, f *fixture) *asker {
	t.Helper()
	dir := t.TempDir()
	for info, err := range f.metering.List(t.Context(), schemas.PrefixSessions, "") {
		if err != nil {
			t.Fatal(err)
		}
		data, _, err := f.metering.Get(t.Context(), info.Key, "", 1<<30)
		if err != nil {
			t.Fatal(err)
		}
		tenant, _, _ := strings.Cut(strings.TrimPrefix(info.Key, schemas.PrefixSessions), "/")
		file := filepath.Join(dir, "tenant="+tenant, strings.ReplaceAll(info.Key, "/", "_"))
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	db, err := sql.Open("duckdb", "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	db.SetMaxOpenConns(1)
	a := &asker{t, db}
	a.do(`CREATE TABLE r AS SELECT row_number() OVER (ORDER BY tenant, "start", session_id, object_id, key) AS n, * REPLACE (left(title, 1024) AS title,
		left(node_host, 1024) AS node_host, left(client_country, 1024) AS client_country, left(client_region, 1024) AS client_region, left(client_city, 1024) AS client_city,
		left(node_region, 1024) AS node_region) FROM read_parquet('` + dir + `/*/*', hive_partitioning = true)`)
	a.do(`CREATE TABLE s AS SELECT *, CASE WHEN user_id <> '' THEN user_id WHEN auth_identity <> '' THEN auth_identity WHEN auth_addr <> '' THEN auth_addr ELSE auth_email END AS u,
		begun AND watched_us > 0 AS v, strftime(epoch_ms((epoch_ns("start") // 86400000000000) * 86400000), '%Y-%m-%d') AS d FROM r`)
	// what each server had: the session's own where no shares are known
	a.do(`CREATE TABLE p AS SELECT n, tenant, d, begun, node.node_id AS id, node.bytes AS b, CASE WHEN has_video THEN node.video_us ELSE node.audio_us END AS us
		FROM (SELECT *, unnest(nodes) AS node FROM s) UNION ALL SELECT n, tenant, d, begun, node_id, bytes, watched_us FROM s WHERE len(nodes) = 0`)
	a.do(`CREATE TABLE q AS SELECT n, tenant, d, platform, rendition.us AS us, CASE WHEN rendition.drm THEN 'drm' ELSE 'clear' END AS c,
		CASE WHEN rendition.audio THEN 'audio' WHEN rendition.width <= 0 OR rendition.height <= 0 THEN 'none' WHEN ` + edge(f.tiers.Hi) + ` THEN 'hi' WHEN ` + edge(f.tiers.Md) + ` THEN 'md' ELSE 'lo' END AS t
		FROM (SELECT *, unnest(renditions) AS rendition FROM s) WHERE rendition.audio <> has_video`)
	return a
}

func edge(e accounting.Edges) string {
	return fmt.Sprintf("(rendition.width >= %d OR rendition.height >= %[1]d OR rendition.width >= %d AND rendition.height >= %[2]d)", e.Long, e.Short)
}

func (a *asker) do(text string) {
	a.t.Helper()
	if _, err := a.db.ExecContext(context.Background(), text); err != nil {
		a.t.Fatal(err)
	}
}

// lines are the rows of a question, their cells joined by |.
func (a *asker) lines(text string) []string {
	a.t.Helper()
	rows, err := a.db.QueryContext(context.Background(), text)
	if err != nil {
		a.t.Fatalf("%s: %v", text, err)
	}
	defer rows.Close()
	names, _ := rows.Columns()
	out := []string{}
	for rows.Next() {
		cells, to := make([]any, len(names)), make([]any, len(names))
		for i := range cells {
			to[i] = &cells[i]
		}
		if err := rows.Scan(to...); err != nil {
			a.t.Fatal(err)
		}
		out = append(out, line(cells...))
	}
	if err := rows.Err(); err != nil {
		a.t.Fatal(err)
	}
	return out
}

func line(cells ...any) string {
	texts := make([]string, len(cells))
	for i, c := range cells {
		texts[i] = fmt.Sprint(c)
	}
	return strings.Join(texts, "|")
}

// linesOf are things as lines.
func linesOf[T any](all []T, cells func(T) string) []string {
	out := []string{}
	for _, x := range all {
		out = append(out, cells(x))
	}
	return out
}

func (t Totals) line() string { return line(t.Sessions, t.Views, t.Bytes, t.Micros) }

func (s Split) line() string {
	return line(s.HiClear, s.HiDRM, s.MdClear, s.MdDRM, s.LoClear, s.LoDRM, s.NoneClear, s.NoneDRM, s.AudioClear, s.AudioDRM)
}

// splitSQL is a split as columns, of the rows of q.
func splitSQL() string {
	var out []string
	for _, tier := range []string{"hi", "md", "lo", "none", "audio"} {
		for _, c := range []string{"clear", "drm"} {
			out = append(out, fmt.Sprintf("coalesce(sum(CASE WHEN t = '%s' AND c = '%s' THEN us END), 0)", tier, c))
		}
	}
	return strings.Join(out, ", ")
}

// in is the condition of a scope.
func (s Scope) in() string {
	if s.All {
		return "tenant IS NOT NULL"
	}
	var out []string
	for _, t := range s.Tenants {
		out = append(out, "'"+string(t)+"'")
	}
	return "tenant IN (" + strings.Join(append(out, "NULL"), ", ") + ")"
}

const sumsSQL = "count(*), count(*) FILTER (v), sum(bytes), sum(watched_us)"

func TestEveryFigureOfTheDashboardIsThatOfTheFinishedSessions(t *testing.T) {
	for seed := range seeds(t) {
		f := newFixture(t, 20+seed, nil, 120, 0, 80, 3, 0, 0, 50)
		a := newAsker(t, f)
		for name, scope := range scopes() {
			t.Run(fmt.Sprint(seed, " ", name), func(t *testing.T) {
				d := must[*Dashboard](t)(f.Dashboard(t.Context(), scope, f.period))
				a.t = t
				compareDashboard(t, a, scope, d)
				if other := must[*Dashboard](t)(f.Dashboard(t.Context(), scope, f.period.Next())); other.Totals != (Totals{}) || other.Viewers != 0 || len(other.Days)+len(other.Places)+len(other.StreamsByView) > 0 {
					t.Errorf("the month after has %+v", other)
				}
			})
		}
		a.t = t
	}
}

func compareDashboard(t *testing.T, a *asker, scope Scope, d *Dashboard) {
	t.Helper()
	in := scope.in()
	same := func(what string, got []string, question string) {
		t.Helper()
		if want := a.lines(question); strings.Join(got, "\n") != strings.Join(want, "\n") {
			t.Errorf("%s:\n%s\nwant\n%s", what, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	}
	same("totals", []string{d.Totals.line()}, "SELECT count(*), count(*) FILTER (v), coalesce(sum(bytes), 0), coalesce(sum(watched_us), 0) FROM s WHERE "+in)
	same("viewers", []string{line(d.Viewers)}, `SELECT (SELECT count(*) FROM (SELECT DISTINCT tenant, u FROM s WHERE u <> '' AND `+in+`)) +
		(SELECT count(*) FROM (SELECT DISTINCT tenant, client_ip, user_agent FROM s WHERE u = '' AND `+in+`))`)
	same("split", []string{d.Split.line()}, "SELECT "+splitSQL()+" FROM q WHERE "+in)
	same("days", linesOf(daysWithSessions(d.Days), func(s DaySum) string { return line(s.Day, s.Totals.line()) }),
		"SELECT d, "+sumsSQL+" FROM s WHERE "+in+" GROUP BY d ORDER BY d")
	same("split of days", linesOf(daysWithSessions(d.Days), func(s DaySum) string { return line(s.Day, s.Split.line()) }),
		"SELECT d, "+splitSQL()+" FROM s LEFT JOIN q USING (n, d) WHERE s."+in+" GROUP BY d ORDER BY d")
	same("devices", linesOf(d.Devices, func(s DeviceSum) string { return line(s.Platform, s.OS, s.Totals.line()) }),
		"SELECT platform, os, "+sumsSQL+" FROM s WHERE "+in+" GROUP BY ALL ORDER BY sum(watched_us) DESC, platform, os")
	same("device and tier", linesOf(d.Tiers, func(s TierSum) string { return line(s.Platform, s.Sessions, s.Split.line()) }),
		"SELECT s.platform, count(DISTINCT s.n), "+splitSQL()+" FROM s LEFT JOIN q USING (n) WHERE s."+in+" GROUP BY ALL ORDER BY coalesce(sum(us), 0) DESC, 1")
	same("places", linesOf(d.Places, func(s PlaceSum) string {
		return line(s.Country, s.Region, s.City, s.ServerRegion, s.Totals.line())
	}), "SELECT client_country, client_region, client_city, node_region, "+sumsSQL+" FROM s WHERE "+in+" GROUP BY ALL ORDER BY sum(watched_us) DESC, 1, 2, 3, 4")
	ranked := func(r Ranked) string { return line(r.Tenant, r.ID, r.Name, r.Sessions, r.Views, r.Bytes, r.Micros) }
	for by, list := range map[string][]Ranked{"sum(watched_us)": d.StreamsByView, "sum(bytes)": d.StreamsByTraffic} {
		same("streams by "+by, linesOf(list, ranked), `SELECT tenant, object_id, max_by(CASE title WHEN '' THEN object_id ELSE title END, n), `+sumsSQL+` FROM s WHERE `+in+
			` GROUP BY tenant, object_id HAVING `+by+` > 0 ORDER BY `+by+` DESC, object_id, tenant LIMIT 10`)
	}
	for by, list := range map[string][]Ranked{"sum(us)": d.ServersByView, "sum(b)": d.ServersByTraffic} {
		same("servers by "+by, linesOf(list, ranked), `SELECT '', id, coalesce((SELECT node_host FROM s WHERE node_host <> '' AND node_id = id AND `+in+` ORDER BY d DESC, tenant DESC, n DESC LIMIT 1), id),
			count(*), count(*) FILTER (begun AND us > 0), sum(b), sum(us) FROM p WHERE `+in+` GROUP BY id HAVING `+by+` > 0 ORDER BY `+by+` DESC, id LIMIT 10`)
	}
}

// daysWithSessions leaves out the days without any; those must be zero.
func daysWithSessions(days []DaySum) (out []DaySum) {
	for _, s := range days {
		if s.Sessions > 0 {
			out = append(out, s)
		} else if s != (DaySum{Day: s.Day}) {
			out = append(out, DaySum{}) // which no question answers
		}
	}
	return out
}

func TestDaysWithoutSessionsAreInTheDashboardUpToTheLastThatHasAny(t *testing.T) {
	f := newFixture(t, 30, nil, 3, 0, 0, 2)
	var got []string
	for _, s := range must[*Dashboard](t)(f.Dashboard(t.Context(), Of("films"), f.period)).Days {
		got = append(got, fmt.Sprint(s.Day, " ", s.Sessions))
	}
	if want := "2026-10-01 3, 2026-10-02 0, 2026-10-03 0, 2026-10-04 2"; strings.Join(got, ", ") != want {
		t.Errorf("days %q, want %q", got, want)
	}
}

func TestTheDashboardNamesTheRunsItSpeaksFor(t *testing.T) {
	f := newFixture(t, 31, nil, 4)
	f.commits["films"].commit(f.world.days(2, 2), 10)
	follow(t, f.Database)
	d := must[*Dashboard](t)(f.Dashboard(t.Context(), Scope{All: true}, f.period))
	for i, want := range []MonthState{{Tenant: "films", Run: "2026-11-01T00-00-02Z", Rows: 4, Named: 4}, {Tenant: "sports", Run: "2026-11-01T00-00-01Z", Rows: 4, Named: 4}} {
		want.Period, want.AsOf, want.Loaded = f.period, time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC), d.Months[i].Loaded
		if d.Months[i] != want || time.Since(want.Loaded) > time.Hour {
			t.Errorf("month %+v, want %+v", d.Months[i], want)
		}
	}
}

// TestDashboardsGiveUpWhatTheyHold: each asks of one state of the database, of which there are not many.
func TestDashboardsGiveUpWhatTheyHold(t *testing.T) {
	f := newFixture(t, 81, nil, 10)
	for range 2*maxSnapshots + 1 {
		if _, err := f.Dashboard(t.Context(), Scope{All: true}, f.period); err != nil {
			t.Fatal(err)
		}
		if err := f.Export(t.Context(), Scope{All: true}, View{Tab: TabStreams}, io.Discard); err != nil {
			t.Fatal(err)
		}
	}
}
