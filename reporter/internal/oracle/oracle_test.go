package oracle

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/csv"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

var after = time.Date(2026, 11, 4, 0, 0, 0, 0, time.UTC)

// event is one NDJSON line: a time and name=value pairs over a plain playout
// event of object o1.
func event(at, pairs string) string {
	m := map[string]any{"tenant_id": "T", "node_id": "n1", "kind": "playout", "object_id": "o1", "time": at}
	for _, p := range strings.Fields(pairs) {
		name, value, _ := strings.Cut(p, "=")
		m[name] = value
		if slices.Contains(numberNames[:], name) && !strings.HasSuffix(name, "_at") {
			m[name] = json.Number(value)
		}
	}
	b, err := json.Marshal(m)
	if err != nil {
		panic(err)
	}
	return string(b)
}

// on is event for times of 5 October.
func on(clock, pairs string) string { return event("2026-10-05T"+clock+"Z", pairs) }

// hand is a world written by hand: one file of events, and snapshots by key.
func hand(t *testing.T, events []string, snapshots map[string]string) *World {
	t.Helper()
	dir := t.TempDir()
	write := func(name, content string) File {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
		return File{Path: path}
	}
	w := &World{Tenants: []Tenant{{"T", "The Tenant"}}}
	f := write("events.ndjson", strings.Join(events, "\n")+"\n")
	f.Key = "events.ndjson"
	w.Files = append(w.Files, f)
	for i, at := range slices.Sorted(maps.Keys(snapshots)) {
		f := write(fmt.Sprintf("%d.ndjson", i), snapshots[at])
		f.Key = "T/" + at + ".ndjson"
		w.Catalogs = append(w.Catalogs, f)
	}
	t.Cleanup(func() { w.Close() })
	return w
}

// reports are both reports of tenant T.
func reports(t *testing.T, w *World, asOf time.Time, r Rules) (usage, sessions []byte) {
	t.Helper()
	usage, sessions, err := w.Expect(context.Background(), "T", Month, asOf, r)
	if err != nil {
		t.Fatal(err)
	}
	return usage, sessions
}

// cut picks columns of a report: a line per row, cells between bars.
func cut(t *testing.T, report []byte, columns string) string {
	t.Helper()
	rows, err := csv.NewReader(bytes.NewReader(report)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, r := range rows[1:] {
		var cells []string
		for _, c := range strings.Fields(columns) {
			i := slices.Index(rows[0], c)
			if i < 0 {
				t.Fatalf("no column %s in %q", c, rows[0])
			}
			cells = append(cells, r[i])
		}
		lines = append(lines, strings.Join(cells, "|"))
	}
	return strings.Join(lines, "\n")
}

func same(t *testing.T, what, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("%s\n got:\n%s\nwant:\n%s", what, got, want)
	}
}

func TestWholeReports(t *testing.T) {
	w := hand(t, []string{
		on("10:00:00.0009", "session_id=s1 seq=1 track=manifest bytes=10 version_hash=v1 client_ip=81.2.69.1 user_agent=curl playout_format=hls-clear offering=default user_id=u1"),
		on("10:00:01.5", "session_id=s1 seq=2 segment=0 duration_us=2002000 bytes=1000 width=1920 height=1080 referrer=https://r.example/?a=1&token=x auth_email==e playout_format=hls-clear"),
		on("10:00:03", "session_id=s1 seq=3 track=audio segment=0 duration_us=1000000 bytes=100"),
		on("10:00:03.9999", "session_id=s1 seq=4 status=503 bytes=7"),
		on("11:00:00", "kind=ingest seq=5 source_codec=ProRes codec=H264 width=3840 height=2160 duration_us=1500000"),
		on("11:00:01", "kind=ingest seq=6 codec=AAC duration_us=250000"),
		on("11:00:02", "kind=update object_id=o0 library_id=l0 seq=7"),
	}, map[string]string{"2026-09-30T00-00-00Z": `{"object_id":"o1","library_id":"l1","object_name":"name","title":"A, \"B\"","storage_bytes":3,"mezzanine_duration_us":10010000,"mezzanine_playout_formats":["hls-clear","=x"]}` + "\n"})
	w.UserAgents = []UA{{"curl", "other", "other", "curl"}}
	w.Geo = []Geo{{"81.2.69.0/24", "GB", "England", "London"}}
	usage, sessions := reports(t, w, after, Industry())
	same(t, "sessions", string(sessions), `auth_identity,auth_addr,auth_email,client_ip,client_location,client_city,client_country,client_region,platform,OS,referrer,id,ip_title_id,title,view_date,view_start,duration_secs,watched_secs,pct_watched,session_id,object_id,offering,playout_format,protocol,user_id,user_agent,bytes,audio_secs,requests,errors,view_end,node_id,node_host,node_ip,device
,,'=e,81.2.69.1,,London,GB,England,other,other,https://r.example/?a=1,v1,,"A, ""B""",2026-10-05,10:00:00.000Z,10.01,2.002,20,s1,o1,default,hls-clear,hls,u1,curl,1110,1,3,1,2026-10-05T10:00:03.999Z,n1,,,curl
`)
	same(t, "usage", string(usage), `object_id,info.library_id,info.ip_title_id,info.object_name,info.title,info.title_type,info.asset_type,storage,info.active,`+
		`usage.playout.audio_clear_sec,usage.playout.audio_drm_sec,usage.playout.video_hi_clear_sec,usage.playout.video_hi_drm_sec,usage.playout.video_md_clear_sec,usage.playout.video_md_drm_sec,usage.playout.video_lo_clear_sec,usage.playout.video_lo_drm_sec,`+
		`info.master,info.master.codec.audio,info.master.codec.video,info.master.duration,info.master.resolution,info.mezzanine,info.mezzanine.codec.audio,info.mezzanine.codec.video,info.mezzanine.duration,info.mezzanine.playout_formats.1,info.mezzanine.playout_formats.2,`+
		`usage.data_download.bytes,usage.data_download.occurrences,usage.error.bytes,usage.error.occurrences,usage.ingest.audio_aac,usage.ingest.prores:h264.density_large_sec,usage.ingest.prores:h264.density_medium_sec,usage.ingest.prores:h264.density_small_sec,usage.ingest.occurrences,`+
		`usage.media.bytes,usage.media.occurrences,usage.playout.audio_total_hrs,usage.playout.bytes,usage.playout.occurrences,usage.playout.video_total_hrs,usage.public_download.bytes,usage.public_download.occurrences,usage.updated,`+
		`usage.playout.video_unclassified_clear_sec,usage.playout.video_unclassified_drm_sec,usage.rep.bytes,usage.rep.occurrences,usage.ingest.density_unclassified_sec,storage.byte_hours,usage.playout.views,usage.error.server_bytes,usage.error.server_occurrences,row
T,,,The Tenant,,,,3,active,1,0,0,0,2.002,0,0,0,,,,,,,,,,,,0,0,7,1,0.25,1.5,0,0,2,0,0,0.000278,1110,3,0.000556,0,0,1,0,0,0,0,0,2232,1,7,1,tenancy
o0,l0,,,,,,0,active,0,0,0,0,0,0,0,0,,,,,,,,,,,,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,1,0,0,0,0,0,0,0,0,0,object
o1,l1,,name,"A, ""B""",,,3,active,1,0,0,0,2.002,0,0,0,,,,,,,,,10.01,hls-clear,'=x,0,0,7,1,0.25,1.5,0,0,2,0,0,0.000278,1110,3,0.000556,0,0,0,0,0,0,0,0,2232,1,7,1,object
`)
	off := Industry()
	off.Guard = false
	usage, sessions = reports(t, w, after, off)
	same(t, "guard off: e-mail", cut(t, sessions, "auth_email"), "=e")
	same(t, "guard off: format", cut(t, usage, "info.mezzanine.playout_formats.2"), "\n\n=x")
}

func TestSessions(t *testing.T) {
	const columns = "session_id view_start view_end watched_secs requests errors"
	digest := func(fields ...string) string { // R7, in Go
		h := sha256.New()
		for _, f := range fields {
			h.Write(binary.AppendUvarint(nil, uint64(len(f))))
			h.Write([]byte(f))
		}
		return hex.EncodeToString(h.Sum(nil))[:16]
	}
	long := strings.Repeat("t", 200)
	for _, tt := range []struct {
		name   string
		events []string
		want   string
	}{
		{"a pause of exactly a day joins, a nanosecond more does not", []string{
			on("10:00:00", "session_id=a"), event("2026-10-06T10:00:00Z", "session_id=a"), event("2026-10-07T10:00:00.000000001Z", "session_id=a"),
		}, "a|10:00:00.000Z|2026-10-06T10:00:00.000Z|0|2|0\na|10:00:00.000Z|2026-10-07T10:00:00.000Z|0|1|0"},
		{"errors before and after the good requests count and keep it alive, but do not begin it", []string{
			on("09:00:00", "session_id=a status=404"), on("10:00:00", "session_id=a duration_us=1"), on("20:00:00", "session_id=a status=500"), on("21:00:00", "session_id=b status=500"),
		}, "a|10:00:00.000Z|2026-10-05T20:00:00.000Z|0.000001|1|2"},
		{"a request that the client gave up begins a session and adds no seconds", []string{
			on("09:00:00", "session_id=a status=499 duration_us=5"),
		}, "a|09:00:00.000Z|2026-10-05T09:00:00.000Z|0|1|0"},
		{"without an id the key is a hash, and half an hour splits", []string{
			on("09:00:00.0009", "token="+long+" client_ip=1.1.1.1 user_agent=x"), on("09:30:00.0009", "token="+long+" client_ip=1.1.1.1 user_agent=x"),
			on("10:00:00.000900001", "token="+long+" client_ip=1.1.1.1 user_agent=x"), on("10:00:00.000900001", "auth_addr=adr"),
		}, digest("T", "o1", long, "1.1.1.1", "x") + "-1791190800000|09:00:00.000Z|2026-10-05T09:30:00.000Z|0|2|0\n" +
			digest("T", "o1", long, "1.1.1.1", "x") + "-1791194400000|10:00:00.000Z|2026-10-05T10:00:00.000Z|0|1|0\n" +
			digest("T", "o1", "adr", "", "") + "-1791194400000|10:00:00.000Z|2026-10-05T10:00:00.000Z|0|1|0"},
		{"a session is cut at both ends of the month", []string{
			event("2026-09-30T23:59:59.999999999Z", "session_id=a duration_us=1"), event("2026-10-01T00:00:00Z", "session_id=a duration_us=2"),
			event("2026-10-31T23:59:60.5Z", "session_id=z duration_us=4"), event("2026-11-01T00:00:00Z", "session_id=z duration_us=8"),
		}, "a|00:00:00.000Z|2026-10-01T00:00:00.000Z|0.000002|1|0\nz|23:59:59.999Z|2026-10-31T23:59:59.999Z|0.000004|1|0"},
		{"a copy counts once, the same number at another time again", []string{
			on("09:00:00", "session_id=a seq=1 duration_us=1"), on("09:00:00", "session_id=a seq=1 duration_us=2"), on("09:00:01", "session_id=a seq=1 duration_us=4"),
			on("09:00:02", "session_id=a duration_us=8"), on("09:00:02", "session_id=a duration_us=8"), on("09:00:03", "session_id=a event_id=e duration_us=16"), on("09:00:03", "session_id=a event_id=e duration_us=16"),
		}, "a|09:00:00.000Z|2026-10-05T09:00:03.000Z|0.000037|5|0"},
		{"the newest record stands, less the newest before the month", []string{
			event("2026-09-30T23:00:00Z", "kind=session session_id=a duration_us=10000000 bytes=5"), event("2026-10-01T01:00:00Z", "kind=session session_id=a duration_us=30000000"),
			event("2026-10-01T00:30:00Z", "kind=session session_id=a duration_us=90000000"), event("2026-10-01T00:40:00Z", "session_id=a status=404"),
		}, "a|00:59:30.000Z|2026-10-01T01:00:00.000Z|20|1|1"},
		{"playout that is no error takes the place of records", []string{
			on("09:00:00", "kind=session session_id=a duration_us=10000000"), on("08:00:00", "session_id=a duration_us=1"),
		}, "a|08:00:00.000Z|2026-10-05T08:00:00.000Z|0.000001|1|0"},
		{"a record's view is between its opening and its closing", []string{
			on("09:00:00", "kind=session session_id=a duration_us=10000000 opened_at=2026-09-01T00:00:00Z closed_at=2026-10-05T08:00:00Z"),
			on("09:00:01", "kind=session session_id=b track=audio duration_us=10000000 opened_at=2026-10-05T09:30:00Z closed_at=2026-10-05T09:00:02Z"),
		}, "a|00:00:00.000Z|2026-10-05T08:00:00.000Z|10|1|0\nb|09:00:01.000Z|2026-10-05T09:00:01.000Z|10|1|0"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, sessions := reports(t, hand(t, tt.events, nil), after, Industry())
			same(t, strings.Join(tt.events, "\n"), cut(t, sessions, columns), tt.want)
		})
	}
}

func TestViews(t *testing.T) {
	for _, tt := range []struct {
		name, want string
		events     []string
	}{
		{"a view that began the month before is not begun again", "0", []string{event("2026-09-30T00:00:00Z", "session_id=a"), event("2026-10-01T00:00:00Z", "session_id=a duration_us=1")}},
		{"a nanosecond past the idle time is another view", "1", []string{event("2026-09-30T00:00:00Z", "session_id=a"), event("2026-10-01T00:00:00.000000001Z", "session_id=a duration_us=1")}},
		{"an error began nothing", "1", []string{event("2026-09-30T00:00:00Z", "session_id=a status=404"), event("2026-10-01T00:00:00Z", "session_id=a duration_us=1")}},
		{"errors hold a session together within the look-back", "0", []string{
			event("2026-09-30T23:10:00Z", ""), event("2026-09-30T23:40:00Z", "status=500"), event("2026-10-01T00:10:00Z", "duration_us=1")}},
		{"what lies before the whole hours of the idle time is not looked at", "1", []string{
			event("2026-09-30T22:59:59Z", ""), event("2026-09-30T23:29:00Z", "status=500"), event("2026-09-30T23:58:00Z", "status=500"), event("2026-10-01T00:10:00Z", "duration_us=1")}},
		{"no view time is no view", "0", []string{on("00:00:00", "session_id=a")}},
		{"a record with an earlier one is a view begun before", "0", []string{event("2026-09-15T00:00:00Z", "session_id=a kind=session"), on("00:00:00", "session_id=a kind=session duration_us=5")}},
		{"a record is a view", "1", []string{event("2026-08-15T00:00:00Z", "session_id=a kind=session"), on("00:00:00", "session_id=a kind=session duration_us=5")}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			usage, _ := reports(t, hand(t, tt.events, nil), after, Industry())
			same(t, "views", strings.Split(cut(t, usage, "usage.playout.views"), "\n")[0], tt.want)
		})
	}
}

func TestPctWatched(t *testing.T) {
	segment := func(clock int, pairs string) string {
		return on(fmt.Sprintf("10:00:%02d", clock), "session_id=a "+pairs)
	}
	for _, tt := range []struct {
		name, facts string
		events      []string
		want        string // duration_secs, watched_secs, pct_watched
	}{
		{"distinct segments by the duration over the longest, rounded up", `"mezzanine_duration_us":7000001`, []string{
			segment(0, "segment=0 duration_us=1000000"), segment(1, "segment=0 duration_us=1000000"), segment(2, "segment=1 duration_us=900000"), segment(3, "segment=2 duration_us=1000000 status=499"),
		}, "7.000001|2.9|25"},
		{"cut, not rounded", `"mezzanine_duration_us":3000000,"video_segments":3`, []string{segment(0, "segment=5 duration_us=1"), segment(1, "segment=6")}, "3|0.000001|66.66"},
		{"never above a hundred", `"mezzanine_duration_us":3000000,"video_segments":1`, []string{segment(0, "segment=5 duration_us=1"), segment(1, "segment=6")}, "3|0.000001|100"},
		{"audio only", `"mezzanine_duration_us":3000000,"video_segments":1`, []string{segment(0, "track=audio segment=5 duration_us=1000000"), segment(1, "track=text segment=1 duration_us=9")}, "3|1|33.33"},
		{"live has no duration, whichever event says so", `"mezzanine_duration_us":3000000`, []string{segment(0, "segment=5 duration_us=1000000"), segment(1, "status=404 live=1")}, "|1|"},
		{"no segment index", `"mezzanine_duration_us":3000000,"video_segments":3`, []string{segment(0, "duration_us=1000000")}, "3|1|"},
		{"no length of a segment", `"mezzanine_duration_us":3000000,"video_segments":0`, []string{segment(0, "segment=1")}, "3|0|"},
		{"a duration of zero is unknown", `"mezzanine_duration_us":0,"video_segments":3`, []string{segment(0, "segment=1 duration_us=1")}, "|0.000001|"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := hand(t, tt.events, map[string]string{"2026-10-01T00-00-00Z": `{"object_id":"o1",` + tt.facts + "}\n"})
			_, sessions := reports(t, w, after, Industry())
			same(t, tt.facts, cut(t, sessions, "duration_secs watched_secs pct_watched"), tt.want)
		})
	}
}

func TestTiersAndDensity(t *testing.T) {
	const tiers = "usage.playout.video_hi_clear_sec usage.playout.video_md_clear_sec usage.playout.video_lo_clear_sec usage.playout.video_unclassified_clear_sec usage.playout.video_md_drm_sec usage.playout.audio_clear_sec usage.playout.audio_drm_sec"
	w := hand(t, []string{
		on("10:00:00", "duration_us=1000000 width=3200 height=10"), on("10:00:01", "duration_us=2000000 width=1800 height=1800"),
		on("10:00:02", "duration_us=4000000 width=1280 height=100"), on("10:00:03", "duration_us=8000000 width=2560 height=1440"),
		on("10:00:04", "duration_us=16000000 width=1279 height=719"), on("10:00:05", "duration_us=32000000 width=1920"), on("10:00:06", "duration_us=64000000 width=0 height=1080"),
		on("10:00:07", "duration_us=1000000 width=720 height=720 playout_format=dash-cenc"), on("10:00:08", "duration_us=2000000 width=720 height=720 playout_format=HLS-AES-Audio-Clear"),
		on("10:00:09", "duration_us=4000000 track=audio playout_format=HLS-AES-Audio-Clear"), on("10:00:10", "duration_us=8000000 track=audio playout_format=drm"),
		on("10:00:11", "duration_us=16000000 track=audio playout_format=hls-widevine drm=0"),
		on("11:00:00", "kind=ingest codec=x width=3840 height=2160 source_width=640 source_height=360 duration_us=1"), on("11:00:01", "kind=ingest codec=x width=640 height=360 duration_us=2"),
		on("11:00:02", "kind=ingest track=video duration_us=4 source_width=1280 source_height=1"), on("11:00:03", "kind=ingest codec=Ä duration_us=8"), on("11:00:04", "kind=ingest codec=y track=text width=1 height=1 duration_us=16"),
		on("11:00:05", "kind=ingest codec=gone status=499 width=1 height=1 duration_us=16"),
	}, nil)
	usage, _ := reports(t, w, after, Industry())
	same(t, "industry", strings.Split(cut(t, usage, tiers), "\n")[0], "3|12|16|96|3|20|8")
	const common = "usage.ingest.occurrences usage.ingest.density_unclassified_sec usage.ingest.audio_other usage.ingest.unknown:x.density_large_sec usage.ingest.unknown:x.density_small_sec"
	same(t, "by destination", strings.Split(cut(t, usage, common), "\n")[0], "6|0.000004|0.000008|0.000001|0.000002")
	if strings.Contains(string(usage), "gone") || strings.Contains(string(usage), ":y") {
		t.Errorf("a column for what was not ingested: %s", usage)
	}
	bySource := Fabric()
	bySource.DensityOf = "source"
	usage, _ = reports(t, w, after, bySource)
	same(t, "fabric", strings.Split(cut(t, usage, tiers), "\n")[0], "3|8|20|96|0|20|8")
	same(t, "by source", strings.Split(cut(t, usage, common+" usage.ingest.unknown:unknown.density_small_sec"), "\n")[0], "6|0.000002|0.000008|0|0.000001|0.000004")
}

func TestHours(t *testing.T) {
	for us, want := range map[int]string{1799: "0", 1800: "0.000001", 5399: "0.000001", 5400: "0.000002", 3_600_000_000: "1", 5_400_000_000: "1.5", 3_600_001_799: "1"} {
		usage, _ := reports(t, hand(t, []string{on("10:00:00", "duration_us="+strconv.Itoa(us))}, nil), after, Industry())
		same(t, strconv.Itoa(us), cut(t, usage, "usage.playout.video_total_hrs"), want+"\n"+want)
	}
}

func TestByteHours(t *testing.T) {
	w := hand(t, nil, map[string]string{
		"2026-08-01T00-00-00Z": `{"object_id":"gone","storage_bytes":9}` + "\n",
		"2026-09-30T23-00-00Z": `{"object_id":"a","storage_bytes":1,"title":"old"}` + "\n" + `{"object_id":"b","storage_bytes":4611686018427387904}` + "\n",
		"2026-10-01T00-00-09Z": `{"object_id":"a","storage_bytes":7,"title":"twice"}` + "\n" + `{"object_id":"a","storage_bytes":1}` + "\n" + `{"object_id":"c","storage_bytes":1}` + "\n",
		"2026-10-01T00-00-10Z": "",
		"2026-10-01T01-00-00Z": `{"object_id":"a","storage_bytes":2}` + "\n" + `{"object_id":"d"}` + "\n",
		"2026-11-01T00-00-00Z": `{"object_id":"e","storage_bytes":5}` + "\n",
		"2026-11-02T00-00-00Z": `{"object_id":"f","storage_bytes":5}` + "\n",
	})
	// b: 2^62 * 9 s / 3600 s; the sum of a, b and c is rounded once.
	usage, _ := reports(t, w, time.Date(2026, 10, 1, 2, 0, 0, 999, time.UTC), Industry())
	same(t, "at two o'clock", cut(t, usage, "object_id storage storage.byte_hours info.active"),
		"T|2|11529215046068473.7575|inactive\na|2|3|inactive\nb|0|11529215046068469.76|inactive\nc|0|0.9975|inactive\nd|0|0|inactive")
	usage, _ = reports(t, w, after, Industry())
	same(t, "at the end", cut(t, usage, "object_id storage storage.byte_hours info.title"),
		"T|5|11529215046069957.7575|\na|0|1487|\nb|0|11529215046068469.76|\nc|0|0.9975|\nd|0|0|\ne|5|0|")
}

func TestClassesOfHand(t *testing.T) {
	lines := []string{
		on("10:00:00", "seq=1"), on("10:00:00", "seq=1"), on("10:00:01", "status=404"), on("10:00:02", "kind=session session_id=a"), on("10:00:03", "kind=session session_id=a"),
		on("10:00:04", "node_id="), on("10:00:05", "seq=-1"), on("10:00:06", "bytes=1125899906842625"), on("10:00:07", "kind=x"), on("10:00:08", "bytes=-5"),
		event("2026-09-01T00:00:00Z", ""), event("2026-11-01T00:00:00Z", ""), event("2026-10-30T00:00:00Z", ""), event("1999-12-31T23:59:59Z", ""), event("2026-08-01T00:00:00Z", "kind=x"),
		"not json", on("10:00:09", "tenant_id=-"), on("10:00:10", "object_id=T"), on("10:00:11", "object_id="), on("10:00:12", "track=smell"), on("10:00:13", "kind=rep"),
	}
	w := hand(t, lines, nil)
	got, err := w.Classes(context.Background(), "T", Month, time.Date(2026, 10, 29, 0, 0, 0, 0, time.UTC))
	if err != nil {
		t.Fatal(err)
	}
	same(t, "classes", fmt.Sprint(got), fmt.Sprint(map[string]int64{
		"read": 18, "counted/playout": 1, "counted/rep": 1, "counted/session": 1, "duplicates": 1, "errors": 1, "superseded": 1, "outside_period": 2, "after_as_of": 1,
		"rejected/no_node": 1, "rejected/negative_value": 1, "rejected/implausible": 1, "rejected/unknown_kind": 2, "rejected/negative_bytes": 1,
		"rejected/object_is_tenant": 1, "rejected/no_object": 1, "rejected/unknown_track": 1,
	}))
}

func TestFieldsThatDisagree(t *testing.T) {
	w := hand(t, []string{
		on("10:00:00", "session_id=a status=404 auth_addr=error"),
		on("10:00:01", "session_id=a auth_identity=none-b"), on("10:00:01", "session_id=a auth_identity=none-a offering=z"),
		on("10:00:01", "session_id=a auth_identity=nine seq=9 node_id=n9 offering=y"), on("10:00:01", "session_id=a seq=8 node_id=n8 user_id=u8 status=499"),
		on("10:00:02", "session_id=a auth_identity=later auth_addr=later version_hash=v playout_format=dash-x"),
		on("10:00:03", "session_id=a protocol=hls"),
	}, nil)
	_, sessions := reports(t, w, after, Industry())
	same(t, "the earliest that has one; the lower number; none last; the smaller", cut(t, sessions, "auth_identity auth_addr id offering user_id node_id playout_format protocol"), "nine|later|v|y|u8|n8|dash-x|dash")
}

func TestPlaces(t *testing.T) {
	const node = " client_country=GB client_region=R client_city=C"
	w := hand(t, []string{
		on("10:00:00", "session_id=a client_ip=10.0.0.1"+node), on("10:00:01", "session_id=b client_ip=10.1.0.1"+node), on("10:00:02", "session_id=c client_ip=10.2.0.1"+node),
		on("10:00:03", "session_id=d client_ip=10.3.0.1"+node), on("10:00:04", "session_id=e client_ip=11.0.0.1"+node), on("10:00:05", "session_id=f client_ip=FD00::1"),
	}, nil)
	w.Geo = []Geo{{"10.0.0.0/16", "SE", "r", "c"}, {"10.1.0.0/16", "GB", "", ""}, {"10.2.0.0/16", "SE", "", ""}, {"10.3.0.0/16", "GB", "", "c"}, {"fd00::/8", "AT", "", ""}}
	_, sessions := reports(t, w, after, Industry())
	same(t, "places", cut(t, sessions, "session_id client_country client_region client_city"), "a|SE|r|c\nb|GB|R|C\nc|SE||\nd|GB||c\ne|GB|R|C\nf|AT||")
}

func TestObjectsAndFacts(t *testing.T) {
	id := []byte{0, 1, 2, 3}
	hash := versionHash([32]byte{7}, 300, id)
	w := hand(t, []string{
		on("10:00:02", "object_id=u library_id=second kind=rep seq=2"), on("10:00:02", "object_id=u library_id=first status=500 seq=1"), on("10:00:01", "object_id=u"),
		on("10:00:02", "object_id=u library_id=a-copy seq=1"),
		on("10:00:03", "object_id= kind=public_download version_hash="+hash), on("10:00:04", "object_id=listed library_id=unasked kind=rep"),
	}, map[string]string{
		"2026-09-30T00-00-00Z": `{"object_id":"listed","title":"old"}` + "\n" + `{"object_id":"dropped","library_id":"l","title":"kept"}` + "\n",
		"2026-10-02T00-00-00Z": `{"object_id":"listed","title":"new","mezzanine_playout_formats":"a, b,,c"}` + "\n",
	})
	w.Hashes = []Hash{{hash, "iq__" + base58(id)}}
	usage, _ := reports(t, w, after, Industry())
	same(t, "objects", cut(t, usage, "object_id info.library_id info.title info.active usage.error.occurrences info.mezzanine.playout_formats.3"),
		"T|||active|1|\ndropped|l|kept|inactive|0|\niq__"+base58(id)+"|||poked|0|\nlisted||new|active|0|c\nu|first||active|1|")
	if got, want := "iq__"+base58(id), "iq__1Ldp"; got != want {
		t.Errorf("base58 of 00010203 is %s, want %s", got, want)
	}
}

func TestReferrers(t *testing.T) {
	for in, want := range map[string]string{
		"https://x/?token=1": "https://x/", "https://x/?a=1&TOKEN=2&b#f?key=1": "https://x/?a=1&b#f?key=1", "https://x/?%6bey=1#f": "https://x/#f",
		"https://x/?keys=1&&sig": "https://x/?keys=1&", "plain": "plain", "x#y?key=1": "x#y?key=1", "https://x/?q=%zz": "https://x/?q=%zz",
	} {
		_, sessions := reports(t, hand(t, []string{on("10:00:00", "referrer="+in)}, nil), after, Industry())
		same(t, in, cut(t, sessions, "referrer"), want)
	}
}

// A generated world: the same bytes from the same seed, and reports that add
// up, for all tenants and however the events are laid out in files.
func TestGenerated(t *testing.T) {
	events := 300_000
	if testing.Short() {
		events = 8_000
	}
	start := time.Now()
	w, err := Generate(t.TempDir(), 7, events)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	t.Logf("%d rows in %d files generated in %s", events, len(w.Files), time.Since(start))
	for _, tenant := range w.Tenants {
		begin := time.Now()
		usage, sessions, err := w.Expect(t.Context(), tenant.ID, Month, after, Industry())
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%s: %d and %d bytes, took %s", tenant.ID, len(usage), len(sessions), time.Since(begin))
		addsUp(t, usage, sessions)
	}
	t.Logf("all took %s", time.Since(start))
	for _, tenant := range w.Tenants {
		equation(t, w, tenant.ID)
	}
}

func TestRepartition(t *testing.T) {
	w, err := Generate(t.TempDir(), 11, 9_000)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	c, err := w.Repartition(t.TempDir(), 12, 23)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	other := Fabric()
	other.DensityOf, other.IdleWithID, other.IdleWithoutID, other.Guard = "source", 90*time.Minute, 45*time.Second, false
	for _, tt := range []struct {
		period string
		asOf   time.Time
		rules  Rules
	}{
		{Month, after, Industry()}, {Month, time.Date(2026, 10, 14, 9, 17, 0, 5, time.UTC), other}, {"2026-09", after, Industry()}, {"2026-11", after, other},
	} {
		if testing.Short() && tt.period != Month {
			continue
		}
		for _, tenant := range w.Tenants {
			u1, s1, err := w.Expect(t.Context(), tenant.ID, tt.period, tt.asOf, tt.rules)
			if err != nil {
				t.Fatal(err)
			}
			u2, s2, err := c.Expect(t.Context(), tenant.ID, tt.period, tt.asOf, tt.rules)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(u1, u2) || !bytes.Equal(s1, s2) {
				t.Errorf("%s in %s at %s: the reports depend on the files", tenant.ID, tt.period, tt.asOf)
			}
			addsUp(t, u1, s1)
		}
	}
}

// A world is worth its name when no rule can be moved by the least amount
// without a report that changes.
func TestEveryEdgeIsVisited(t *testing.T) {
	w, err := Generate(t.TempDir(), 5, 8_000)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	all := func(asOf time.Time, r Rules) (usage, sessions string) {
		for _, tenant := range w.Tenants[:2] {
			u, s, err := w.Expect(t.Context(), tenant.ID, Month, asOf, r)
			if err != nil {
				t.Fatal(err)
			}
			usage, sessions = usage+string(u), sessions+string(s)
		}
		return usage, sessions
	}
	usage, sessions := all(after, Industry())
	for name, change := range map[string]func(*Rules){
		"with id, longer": func(r *Rules) { r.IdleWithID++ }, "with id, shorter": func(r *Rules) { r.IdleWithID-- },
		"without id, longer": func(r *Rules) { r.IdleWithoutID++ }, "without id, shorter": func(r *Rules) { r.IdleWithoutID-- },
		"hi long": func(r *Rules) { r.Tiers.Hi.Long++ }, "hi short": func(r *Rules) { r.Tiers.Hi.Short++ }, "md long": func(r *Rules) { r.Tiers.Md.Long++ }, "md short": func(r *Rules) { r.Tiers.Md.Short++ },
		"hi long, less": func(r *Rules) { r.Tiers.Hi.Long-- }, "hi short, less": func(r *Rules) { r.Tiers.Hi.Short-- }, "md long, less": func(r *Rules) { r.Tiers.Md.Long-- }, "md short, less": func(r *Rules) { r.Tiers.Md.Short-- },
		"fabric": func(r *Rules) { *r = Fabric() }, "density": func(r *Rules) { r.DensityOf = "source" }, "guard": func(r *Rules) { r.Guard = false },
	} {
		if testing.Short() && strings.Contains(name, " ") {
			continue
		}
		r := Industry()
		change(&r)
		if u, s := all(after, r); u == usage && s == sessions {
			t.Errorf("%s: no report changes", name)
		}
	}
	if u, _ := all(time.Date(2026, 10, 31, 23, 59, 59, 0, time.UTC), Industry()); u == usage {
		t.Error("nothing happens in the last second of the month")
	}
	for _, want := range []string{",poked,", ",inactive,", "'=1+2", `"film,1"`, "東京", "usage.ingest.audio_other", "usage.ingest.audio_unknown", "other:"} {
		if !strings.Contains(usage, want) {
			t.Errorf("no %q in any usage report", want)
		}
	}
	for _, want := range []string{",100,", "caf\uFFFD!", "'=", "23:59:59.999Z", "00:00:00.000Z", "-1790812800000,", "'\r"} {
		if !strings.Contains(sessions, want) {
			t.Errorf("no %q in any sessions report", want)
		}
	}
	for _, never := range []string{"gaveup", "failed", "access_token=", "password="} {
		if strings.Contains(usage+sessions, never) {
			t.Errorf("%q is in a report", never)
		}
	}
	reasons := map[string]bool{}
	for _, tenant := range w.Tenants {
		classes, err := w.Classes(t.Context(), tenant.ID, Month, time.Date(2026, 10, 20, 0, 0, 0, 0, time.UTC))
		if err != nil {
			t.Fatal(err)
		}
		for c := range classes {
			reasons[c] = true
		}
	}
	if len(reasons) != 8+11+6 {
		t.Errorf("%d classes, want all 25: %v", len(reasons), slices.Sorted(maps.Keys(reasons)))
	}
}

func TestGenerateTwice(t *testing.T) {
	a, err := Generate(t.TempDir(), 3, 6_000)
	if err != nil {
		t.Fatal(err)
	}
	b, err := Generate(t.TempDir(), 3, 6_000)
	if err != nil {
		t.Fatal(err)
	}
	one, two := slices.Concat(a.Files, a.Catalogs), slices.Concat(b.Files, b.Catalogs)
	if len(one) != len(two) {
		t.Fatalf("%d and %d files", len(one), len(two))
	}
	for i := range one {
		x, err := os.ReadFile(one[i].Path)
		if err != nil {
			t.Fatal(err)
		}
		y, err := os.ReadFile(two[i].Path)
		if err != nil {
			t.Fatal(err)
		}
		if one[i].Key != two[i].Key || !bytes.Equal(x, y) {
			t.Errorf("%s differs from %s", one[i].Key, two[i].Key)
		}
	}
}

// addsUp checks what must hold between the two reports, and within one.
func addsUp(t *testing.T, usage, sessions []byte) {
	t.Helper()
	total := func(report []byte, columns string, from, to int) *big.Rat {
		sum := new(big.Rat)
		lines := strings.Split(cut(t, report, columns), "\n")
		for _, l := range lines[from:min(to, len(lines))] {
			for _, cell := range strings.Split(l, "|") {
				if n, ok := new(big.Rat).SetString(cell); ok {
					sum.Add(sum, n)
				}
			}
		}
		return sum
	}
	const all = 1 << 40
	for _, c := range []string{"storage", "usage.playout.bytes", "usage.playout.views", "usage.error.bytes", "usage.playout.video_hi_clear_sec", "usage.ingest.density_unclassified_sec"} {
		if first, rest := total(usage, c, 0, 1), total(usage, c, 1, all); first.Cmp(rest) != 0 {
			t.Errorf("%s: the tenancy has %s, its objects %s", c, first, rest)
		}
	}
	for of, column := range map[string]string{
		"usage.playout.bytes": "bytes", "usage.playout.occurrences": "requests", "usage.playout.audio_clear_sec usage.playout.audio_drm_sec": "audio_secs",
	} {
		if a, b := total(usage, of, 0, 1), total(sessions, column, 0, all); a.Cmp(b) != 0 {
			t.Errorf("%s is %s, %s of the sessions is %s", of, a.FloatString(6), column, b.FloatString(6))
		}
	}
}

// equation checks that every row is in exactly one class.
func equation(t *testing.T, w *World, tenant string) {
	t.Helper()
	classes, err := w.Classes(t.Context(), tenant, Month, time.Date(2026, 10, 20, 0, 0, 0, 0, time.UTC))
	if err != nil {
		t.Fatal(err)
	}
	sum := int64(0)
	for name, n := range classes {
		if name != "read" {
			sum += n
		}
	}
	if sum != classes["read"] {
		t.Errorf("%s: read %d, the classes add up to %d: %v", tenant, classes["read"], sum, classes)
	}
}
