package flussonic_test

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/playmeter/playmeter/accounting"
	"github.com/playmeter/playmeter/accounting/enrichment"
	"github.com/playmeter/playmeter/bucket"
	"github.com/playmeter/playmeter/crypto"
	"github.com/playmeter/playmeter/intake/flussonic"
	"github.com/playmeter/playmeter/reporter"
	"github.com/playmeter/playmeter/schemas"
)

func at(t testing.TB, s string) time.Time {
	t.Helper()
	x, err := time.Parse(time.DateTime, s)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

func period(t testing.TB, s string) schemas.Period {
	t.Helper()
	p, err := schemas.ParsePeriod(s)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// post decodes a body as the intake does, and gives the usage file that is made of it.
func post(t testing.TB, body string) []byte {
	t.Helper()
	r, err := flussonic.DecodeAll([]byte(body), flussonic.Options{Peer: netip.MustParseAddr("192.0.2.10"), Tenant: "films",
		Rules: flussonic.Rules{{Match: "news", Width: 1280, Height: 720}, {Match: "film", Width: 1920, Height: 1080, DRM: new(true)}}})
	if err != nil || len(r.Refused) > 0 {
		t.Fatalf("%v, refused %v: %s", err, r.Refused, body)
	}
	var b []byte
	for i := range r.Events {
		b = schemas.AppendEvent(b, &r.Events[i])
	}
	return b
}

// tell is a record of a session as a server tells it.
func tell(t testing.TB, event, id, media, server, opened, now string, served int64, seconds string) string {
	t.Helper()
	instant := map[string]string{"play_opened": "opened_at", "play_updated": "updated_at", "play_closed": "closed_at"}[event]
	s := fmt.Sprintf(`{"event":%q,"id":%q,"media":%q,"server":"edge1","server_id":%q,"ip":"203.0.113.7","proto":"hls","bytes":%d,"duration":%s,"opened_at":%d`,
		event, id, media, server, served, seconds, at(t, opened).UnixMilli())
	if event != "play_opened" {
		s += fmt.Sprintf(`,%q:%d`, instant, at(t, now).UnixMilli())
	}
	return s + "}"
}

// installation makes reports in the embedded object store.
type installation struct {
	*reporter.Reporter
	t        *testing.T
	identity crypto.Identities
	now      time.Time
}

type noReaders struct{}

func (noReaders) Secret(string) (string, bool, error) { return "", false, nil }

func newInstallation(t *testing.T) *installation {
	t.Helper()
	store, closer, err := bucket.Open(t.Context(), bucket.EmbeddedConfig{Dir: t.TempDir(), Listen: "127.0.0.1:0", Accounts: noReaders{}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closer.Close() })
	secret, to, err := crypto.NewIdentity()
	if err != nil {
		t.Fatal(err)
	}
	ids, err := crypto.ParseIdentities(secret)
	if err != nil {
		t.Fatal(err)
	}
	in := &installation{t: t, identity: ids}
	in.Reporter = &reporter.Reporter{Store: store, Agents: enrichment.NewUserAgents(), Grace: 72 * time.Hour, Keep: reporter.Keep{Runs: 24, Daily: 35},
		Restate: reporter.Restate{Every: 24 * time.Hour, Until: 9600 * time.Hour}, Version: "test", Temp: t.TempDir(), Workers: 2,
		Now: func() time.Time { return in.now }, Log: slog.New(slog.DiscardHandler),
		Buckets: reporter.Buckets{Usage: store.Bucket("usage"), Catalog: store.Bucket("catalog"), Metering: store.Bucket("metering"), Reporting: store.Bucket("reporting")},
		Tenants: []reporter.Tenant{{ID: "films", Name: "Films", Compression: schemas.CompressGzip, Rules: accounting.DefaultRules(),
			Recipients: map[schemas.Report][]crypto.Recipient{schemas.ReportUsage: {to}, schemas.ReportSessions: {to}}}}}
	if err := in.Prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	return in
}

// put stores what was posted as a usage file.
func (in *installation) put(key string, body string) {
	in.t.Helper()
	if _, err := in.Buckets.Usage.PutBytes(in.t.Context(), key, post(in.t, body)); err != nil {
		in.t.Fatal(err)
	}
}

// reports makes a month's reports at an as-of, and shows the sessions and what the tenancy comes to.
func (in *installation) reports(month, asOf string) (sessions []string, usage string) {
	in.t.Helper()
	in.now = at(in.t, asOf)
	p := period(in.t, month)
	result, err := in.Run(in.t.Context(), reporter.RunOptions{Period: p, AsOf: in.now})
	if err == nil {
		err = result.Err()
	}
	if err != nil {
		in.t.Fatal(err)
	}
	for _, row := range in.rows(p, schemas.ReportSessions) {
		sessions = append(sessions, strings.Join([]string{row["session_id"], row["view_date"], row["view_start"], row["watched_secs"] + "s", row["bytes"] + "B", row["node_id"], row["node_host"]}, " "))
	}
	total := in.rows(p, schemas.ReportUsage)[0]
	return sessions, fmt.Sprintf("md clear %s, md drm %s, bytes %s, occurrences %s, views %s", total["usage.playout.video_md_clear_sec"], total["usage.playout.video_md_drm_sec"],
		total["usage.playout.bytes"], total["usage.playout.occurrences"], total["usage.playout.views"])
}

func (in *installation) rows(p schemas.Period, report schemas.Report) []map[string]string {
	in.t.Helper()
	var out strings.Builder
	f := reporter.Fetcher{Reporting: in.Buckets.Reporting, Identities: in.identity}
	if _, err := f.Fetch(in.t.Context(), "films", p, report, &out); err != nil {
		in.t.Fatal(err)
	}
	rows, err := csv.NewReader(strings.NewReader(out.String())).ReadAll()
	if err != nil {
		in.t.Fatal(err)
	}
	var all []map[string]string
	for _, row := range rows[1:] {
		m := map[string]string{}
		for i, name := range rows[0] {
			m[name] = row[i]
		}
		all = append(all, m)
	}
	return all
}

// TestSessionsOverAMonthsEnd follows sessions from what a server posts to the reports of two months: each month gets
// what was watched in it, an open session counts with what it has, and a repeat changes nothing.
func TestSessionsOverAMonthsEnd(t *testing.T) {
	if testing.Short() {
		t.Skip("makes reports")
	}
	in := newInstallation(t)
	over := func(event, now string, served int64, seconds string) string {
		return tell(t, event, "over", "news", "id-1", "2026-10-31 23:50:00", now, served, seconds)
	}
	october := "[" + over("play_opened", "", 0, "0") + "," + over("play_updated", "2026-10-31 23:55:00", 3000, "300.3") + "," +
		tell(t, "play_closed", "whole", "film", "id-1", "2026-10-31 12:00:00", "2026-10-31 12:30:00", 9000, "1800.5") + "," +
		tell(t, "play_opened", "late", "film", "id-1", "2026-10-31 23:59:59", "", 0, "0") + "]"
	in.put("dt=2026-10-31/a.ndjson", october)
	expect := func(name, month, asOf, usage string, sessions ...string) {
		t.Helper()
		gotSessions, gotUsage := in.reports(month, asOf)
		if gotUsage != usage || !slices.Equal(gotSessions, sessions) {
			t.Errorf("%s:\n%s\n%s\nwant\n%s\n%s", name, gotUsage, strings.Join(gotSessions, "\n"), usage, strings.Join(sessions, "\n"))
		}
	}
	whole := "whole 2026-10-31 12:00:00.000Z 1800.5s 9000B id-1 edge1"
	expect("an open session counts with what it has", "2026-10", "2026-10-31 23:56:00",
		"md clear 300.3, md drm 1800.5, bytes 12000, occurrences 2, views 2",
		whole, "over 2026-10-31 23:50:00.000Z 300.3s 3000B id-1 edge1")

	// The rest comes in the other month, twice, the newest first; and the server was given another id.
	november := "[" + over("play_closed", "2026-11-01 00:10:00", 12000, "1200.3") + "," + over("play_updated", "2026-11-01 00:05:00", 8000, "900") + "," +
		over("play_updated", "2026-10-31 23:59:00", 5000, "540") + "," +
		tell(t, "play_closed", "late", "film", "id-1", "2026-10-31 23:59:59", "2026-11-01 00:00:29", 400, "30") + "," +
		tell(t, "play_updated", "open", "news", "id-2", "2026-11-01 08:00:00", "2026-11-01 08:10:00", 600, "600") + "]"
	in.put("dt=2026-11-01/a.ndjson", november)
	in.put("dt=2026-11-01/b.ndjson", november)
	in.put("dt=2026-11-01/c.ndjson", october)
	expect("October gets what was watched until its end", "2026-10", "2026-11-01 09:00:00",
		"md clear 540, md drm 1800.5, bytes 14000, occurrences 3, views 2",
		whole, "over 2026-10-31 23:50:00.000Z 540s 5000B id-1 edge1", "late 2026-10-31 23:59:59.000Z 0s 0B id-1 edge1")
	expect("November gets the rest, and the session that is open", "2026-11", "2026-11-01 09:00:00",
		"md clear 1260.3, md drm 30, bytes 8000, occurrences 3, views 1",
		"late 2026-11-01 00:00:00.000Z 30s 400B id-1 edge1", "over 2026-11-01 00:00:00.000Z 660.3s 7000B id-1 edge1", "open 2026-11-01 08:00:00.000Z 600s 600B id-2 edge1")
	in.put("dt=2026-11-01/d.ndjson", tell(t, "play_closed", "open", "news", "id-2", "2026-11-01 08:00:00", "2026-11-01 09:30:00", 5400, "5400.25"))
	expect("what was open has closed", "2026-11", "2026-11-01 10:00:00",
		"md clear 6060.55, md drm 30, bytes 12800, occurrences 3, views 1",
		"late 2026-11-01 00:00:00.000Z 30s 400B id-1 edge1", "over 2026-11-01 00:00:00.000Z 660.3s 7000B id-1 edge1", "open 2026-11-01 08:00:00.000Z 5400.25s 5400B id-2 edge1")
}

// tally counts usage files and joins their sessions.
func tally(t *testing.T, b accounting.Bounds, files ...[]byte) string {
	t.Helper()
	var all []schemas.Fragment
	for i, file := range files {
		all = append(all, fragments(t, fmt.Sprintf("%d.ndjson", i), file)...)
	}
	slices.SortStableFunc(all, func(a, b schemas.Fragment) int { return schemas.CompareFragments(&a, &b) })
	var lines []string
	j := accounting.NewJoiner(b, &accounting.Finisher{}, func(s *schemas.Session) error {
		lines = append(lines, fmt.Sprintf("%s %s %d-%d %v %v %s", s.SessionID, s.Object, s.Start, s.End, s.Bytes, s.Video, bytes.Join(s.Fields[:], []byte("|"))))
		return nil
	})
	for i := range all {
		if err := j.Add(&all[i]); err != nil {
			t.Fatal(err)
		}
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// fragments are the sessions in the making of one usage file.
func fragments(t *testing.T, key string, file []byte) []schemas.Fragment {
	t.Helper()
	src, err := schemas.OpenUsage(key, bytes.NewReader(file), int64(len(file)))
	if err != nil {
		t.Fatal(err)
	}
	var data bytes.Buffer
	b := accounting.NewPackBuilder(&data)
	member, err := accounting.Tally(src, accounting.TallyOptions{Idle: accounting.DefaultIdle}, b)
	if err != nil {
		t.Fatal(err)
	}
	b.Finish(member)
	index, err := b.Close()
	if err != nil {
		t.Fatal(err)
	}
	var all []schemas.Fragment
	for _, block := range index.Blocks {
		if block.Kind != schemas.BlockFragments {
			continue
		}
		r, err := schemas.NewRowReader(bytes.NewReader(data.Bytes()[block.Offset : block.Offset+block.Length]))
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		for {
			row, err := r.Next()
			if err == io.EOF {
				break
			} else if err != nil {
				t.Fatal(err)
			}
			var f schemas.Fragment
			if err := schemas.DecodeFragment(bytes.Clone(row), &f); err != nil {
				t.Fatal(err)
			}
			all = append(all, f)
		}
	}
	return all
}

// randomSessions are the records of some sessions around a month's end, each in the order in which it was told.
func randomSessions(t *testing.T, r *rand.Rand) []string {
	var records []string
	for s := range 1 + r.IntN(5) {
		id, media := fmt.Sprintf("s%d", s), []string{"news", "film"}[r.IntN(2)]
		now := at(t, "2026-10-31 23:00:00").Add(time.Duration(r.IntN(3600)) * time.Second)
		opened, served, watched := now.Format(time.DateTime), int64(0), 0
		records = append(records, tell(t, "play_opened", id, media, "id-1", opened, "", 0, "0"))
		for range r.IntN(6) {
			step := 1 + r.IntN(1200)
			now, served, watched = now.Add(time.Duration(step)*time.Second), served+int64(r.IntN(5000)), watched+step
			records = append(records, tell(t, "play_updated", id, media, "id-1", opened, now.Format(time.DateTime), served, fmt.Sprintf("%d.5", watched)))
		}
		if r.IntN(3) > 0 {
			records = append(records, tell(t, "play_closed", id, media, "id-1", opened, now.Add(10*time.Second).Format(time.DateTime), served+100, fmt.Sprintf("%d.75", watched)))
		}
	}
	return records
}

// TestRepeatsAndReorderingsChangeNothing posts the records of sessions in any order, any number of times, in
// any number of batches of any shape: both months come to the same.
func TestRepeatsAndReorderingsChangeNothing(t *testing.T) {
	for seed := range uint64(40) {
		r := rand.New(rand.NewPCG(seed, 12))
		records := randomSessions(t, r)
		for _, month := range []string{"2026-10", "2026-11"} {
			p := period(t, month)
			b := accounting.NewBounds(p, p.End(), accounting.DefaultIdle)
			want := tally(t, b, post(t, "["+strings.Join(records, ",")+"]"))
			posted := slices.Clone(records)
			for range r.IntN(10) {
				posted = append(posted, records[r.IntN(len(records))])
			}
			r.Shuffle(len(posted), func(i, j int) { posted[i], posted[j] = posted[j], posted[i] })
			var files [][]byte
			for len(posted) > 0 {
				n := 1 + r.IntN(len(posted))
				files = append(files, post(t, batch(r, posted[:n])))
				posted = posted[n:]
			}
			if got := tally(t, b, files...); got != want {
				t.Fatalf("seed %d, %s, %d files:\n%s\nwant\n%s", seed, month, len(files), got, want)
			}
		}
	}
}

// batch is a body of any of the shapes.
func batch(r *rand.Rand, records []string) string {
	list := "[" + strings.Join(records, ",\n ") + "]"
	return []string{list, `{"server":"x","events":` + list + "}", strings.Join(records, "\n"), "\xEF\xBB\xBF" + strings.Join(records, "\r\n\r\n") + "\n"}[r.IntN(4)]
}
