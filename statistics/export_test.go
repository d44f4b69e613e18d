package statistics

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/playmeter/playmeter/schemas"
)

// heads are the first lines of exports.
var heads = map[Tab]string{
	TabPlayback: "stream,object_id,protocol,hostname,country,ip,bytes,created,view_secs",
	TabStreams:  "stream,object_id,bytes,views,view_secs",
	TabServers:  "server,hostname,ip,bytes,views,view_secs",
	TabUsers:    "user,views,country,ip,other_ips,bytes,view_secs,agent,other_agents,referrer,other_referrers",
	TabUnique:   "stream,object_id,protocol,country,ip,bytes,created,view_secs,agent,referrer,joined",
}

// exported writes rows as an export must have them, a cell after the other.
// Where several tenants may be looked at, each row says whose it is.
func exported(scope Scope, tab Tab, rows []Row) string {
	var b strings.Builder
	head := heads[tab]
	if _, one := scope.one(); !one && tab != TabServers {
		head = "tenant," + head
	}
	b.WriteString(head + "\n")
	for _, r := range rows {
		cells := map[string]string{"tenant": id(string(r.Tenant)), "stream": free(r.Stream), "object_id": id(string(r.Object)), "protocol": id(r.Protocol), "server": id(r.Server), "hostname": id(r.Host),
			"country": id(r.Country), "ip": id(r.IP), "bytes": fmt.Sprint(r.Bytes), "created": r.Created.Truncate(time.Millisecond).Format("2006-01-02T15:04:05.000Z"),
			"view_secs": decimal(r.Micros), "views": fmt.Sprint(r.Views), "user": free(r.User), "agent": free(r.Agent), "referrer": free(r.Referrer),
			"other_ips": fmt.Sprint(r.OtherIPs), "other_agents": fmt.Sprint(r.OtherAgents), "other_referrers": fmt.Sprint(r.OtherReferrers), "joined": fmt.Sprint(r.Joined)}
		if tab == TabServers {
			cells["ip"] = id(r.ServerIP)
		}
		for i, name := range strings.Split(head, ",") {
			if i > 0 {
				b.WriteByte(',')
			}
			text := cells[name]
			if strings.ContainsAny(text, ",\"\r\n") {
				text = `"` + strings.ReplaceAll(text, `"`, `""`) + `"`
			}
			b.WriteString(text)
		}
		b.WriteByte('\n')
	}
	return b.String()
}

func free(text string) string {
	if text != "" && strings.Contains("=+-@\t\r", text[:1]) {
		return "'" + text
	}
	return text
}

func id(text string) string {
	if text != "" && strings.Contains("=@\t\r", text[:1]) {
		return "'" + text
	}
	return text
}

// decimal writes microseconds as seconds.
func decimal(micros int64) string {
	text := fmt.Sprintf("%d.%06d", micros/1e6, micros%1e6)
	return strings.TrimRight(strings.TrimRight(text, "0"), ".")
}

func TestAnExportIsTheWholeViewToTheCell(t *testing.T) {
	f := newFixture(t, 40, hostileTexts, 60, 0, 40)
	for _, v := range []View{{}, {Sort: "traffic", Desc: true}, {Filter: Filter{Min: "100"}, Sort: "view_time"}, {Filter: Filter{Servers: []string{"inod1"}}}, {Filter: Filter{User: "nobody"}}} {
		for _, tab := range Tabs {
			for name, scope := range map[string]Scope{"all": {All: true}, "films": Of("films"), "none": {}} {
				v.Tab, v.Limit = tab, 31
				got := exportOf(t, f.Database, scope, v)
				there, _ := walk(t, f.Database, scope, v)
				if want := exported(scope, tab, there); got != want {
					t.Errorf("%s of %s, %+v:\n%s\nwant\n%s", tab, name, v, got, want)
				}
			}
		}
	}
}

func exportOf(t testing.TB, d *Database, scope Scope, v View) string {
	t.Helper()
	var out bytes.Buffer
	if err := d.Export(t.Context(), scope, v, &out); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestAnExportIsTheWholeViewWhateverPageIsLookedAt(t *testing.T) {
	f := newFixture(t, 41, nil, 20)
	v := View{Tab: TabPlayback, Limit: 3}
	v.Cursor = must[*Page](t)(f.Sessions(t.Context(), Scope{All: true}, v)).Next
	if got, want := exportOf(t, f.Database, Scope{All: true}, v), exported(Scope{All: true}, v.Tab, f.rows(Scope{All: true}, v)); got != want {
		t.Errorf("the export of a view whose second page is looked at:\n%s\nwant\n%s", got, want)
	}
}

func TestAnExportThatIsRefusedWritesNothing(t *testing.T) {
	f := newFixture(t, 42, nil, 2)
	for _, v := range []View{{Tab: "other"}, {Tab: TabUsers, Sort: "hostname"}, {Tab: TabUsers, Filter: Filter{IP: "x"}}} {
		var out bytes.Buffer
		if err := f.Export(t.Context(), Scope{All: true}, v, &out); err == nil || out.Len() > 0 {
			t.Errorf("%+v: %v, and %q", v, err, out.String())
		}
	}
}

func TestAnExportEndsWithWhoeverReadsIt(t *testing.T) {
	f := newFixture(t, 43, nil, 30)
	gone := errors.New("gone")
	if err := f.Export(t.Context(), Scope{All: true}, View{Tab: TabPlayback}, failing{gone}); !errors.Is(err, gone) {
		t.Errorf("error %v", err)
	}
}

type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }

// TestTheExportOfAllPlaybackIsTheSessionsReportRowForRow writes the sessions report of the same sessions, and compares
// the cells that both have.
func TestTheExportOfAllPlaybackIsTheSessionsReportRowForRow(t *testing.T) {
	f := newFixture(t, 44, hostileTexts, 200, 30)
	report := schemas.AppendHeader(nil, schemas.SessionColumns)
	w := schemas.SessionWriter{Guard: true}
	for day := range 2 {
		for i := range f.days["films"][day] {
			report = w.Append(report, &f.days["films"][day][i])
		}
	}
	want := table(t, string(report))
	got := table(t, exportOf(t, f.Database, Of("films"), View{Tab: TabPlayback}))
	if len(got) != len(want) || len(got) != 230 {
		t.Fatalf("%d rows, and the report has %d", len(got), len(want))
	}
	for i, r := range want {
		in := map[string]string{"stream": cutText(r["title"]), "object_id": r["object_id"], "protocol": cutText(r["protocol"]), "hostname": cutText(r["node_host"]), "country": cutText(r["client_country"]),
			"ip": cutText(r["client_ip"]), "bytes": r["bytes"], "created": r["view_date"] + "T" + r["view_start"], "view_secs": r["watched_secs"]}
		if in["stream"] == "" {
			in["stream"] = got[i]["stream"] // the id, guarded as a text that people write
		}
		if !maps.Equal(got[i], in) {
			t.Fatalf("row %d is %q, and of the report %q", i, got[i], in)
		}
	}
}

// table reads a CSV, a row as its cells by column.
func table(t testing.TB, text string) (out []map[string]string) {
	t.Helper()
	rows, err := csv.NewReader(strings.NewReader(text)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range rows[1:] {
		m := map[string]string{}
		for i, cell := range row {
			m[rows[0][i]] = cell
		}
		out = append(out, m)
	}
	return out
}
