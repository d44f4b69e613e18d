package main

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

const playTenant = "iten_playback"

// A playReport is what an installation says of a log: rows by column.
type playReport struct{ usage, sessions []map[string]string }

// report takes the log into a new installation, as an operator would, and fetches what comes
// of it, as a tenant would.
func (w *watching) report(t *testing.T, options ...string) playReport {
	t.Helper()
	dir := t.TempDir()
	run := func(args ...string) []byte {
		t.Helper()
		c := exec.Command("playmeter", args...)
		c.Dir = dir
		c.Env = slices.DeleteFunc(os.Environ(), func(e string) bool { return strings.HasPrefix(e, EnvPrefix) })
		var said bytes.Buffer
		c.Stderr = &said
		out, err := c.Output()
		if err != nil {
			t.Fatalf("playmeter %s: %v\n%s%s", strings.Join(args, " "), err, out, &said)
		}
		t.Logf("playmeter %s\n%s", strings.Join(args, " "), &said)
		return out
	}
	public := strings.TrimSpace(string(run("keygen", "-o", "tenant.key")))
	rules, err := os.ReadFile(filepath.Join("testdata", "playback", "logs.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	config := fmt.Sprintf("data_dir: data\nlisten: {http: \"127.0.0.1:0\", s3: \"127.0.0.1:0\"}\ntenants:\n  - id: %s\n    name: The Players\n"+
		"    grants: [{recipient: %s, reports: [usage, sessions]}]\n%s", playTenant, public, rules)
	mustWrite(t, filepath.Join(dir, "playmeter.yaml"), []byte(config))
	mustWrite(t, filepath.Join(dir, "catalog.ndjson"), playCatalog())
	run("import", "--catalog", playTenant, "--at", w.month.Start().Format(time.RFC3339), "catalog.ndjson")
	load := append([]string{"import", "--format", "ladder", "--tenant", playTenant, "--node", "inod_playback"}, options...)
	run(append(load, w.halfLog(t))...)
	run(append(load, w.log)...) // it has grown: what was there already counts once
	run("run", "--month", w.month.String(), "--as-of", w.asOf.Format(time.RFC3339))
	fetch := func(report string) []map[string]string {
		return parseReport(t, run("fetch", report, "--tenant", playTenant, "--month", w.month.String(), "--identity", "tenant.key"))
	}
	return playReport{usage: fetch("usage"), sessions: fetch("sessions")}
}

// halfLog is the log as it was half way.
func (w *watching) halfLog(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(w.log)
	if err != nil {
		t.Fatal(err)
	}
	half := text[:bytes.LastIndexByte(text[:len(text)/2], '\n')+1]
	name := filepath.Join(t.TempDir(), filepath.Base(w.log))
	mustWrite(t, name, half)
	return name
}

// playCatalog is what the platform knows of the titles: of one how many segments it has, of both how long
// they are.
func playCatalog() []byte {
	var b bytes.Buffer
	for _, t := range titles {
		fmt.Fprintf(&b, `{"object_id":%q,"library_id":"ilib_playback","object_name":%q,"storage_bytes":1,"mezzanine_duration_us":%d`,
			t.object, t.object, micros64(playSeconds))
		if t.segments > 0 {
			fmt.Fprintf(&b, `,"video_segments":%d`, t.segments)
		}
		b.WriteString("}\n")
	}
	return b.Bytes()
}

func parseReport(t *testing.T, text []byte) []map[string]string {
	t.Helper()
	rows, err := csv.NewReader(bytes.NewReader(text)).ReadAll()
	if err != nil || len(rows) == 0 {
		t.Fatalf("%d rows: %v", len(rows), err)
	}
	var all []map[string]string
	for _, row := range rows[1:] {
		m := make(map[string]string)
		for i, name := range rows[0] {
			m[name] = row[i]
		}
		all = append(all, m)
	}
	return all
}

// compare holds a row against figures: to the letter, or, where loose allows for it, by less than
// that many microseconds. It gives how far off all columns are together.
func (want figures) compare(t *testing.T, what string, row map[string]string, loose func(column string) int64) (off int64) {
	t.Helper()
	for column := range want {
		allowed := loose(column)
		if allowed == 0 {
			if got := row[column]; got != want.text(column) {
				t.Errorf("%s: %s is %q in the report, and %q to the player", what, column, got, want.text(column))
			}
			continue
		}
		d := playedMicros(t, row[column]) - want[column]
		off += max(d, -d)
		if max(d, -d) >= allowed {
			t.Errorf("%s: %s is %s in the report, and %s to the player: %d µs off", what, column, row[column], want.text(column), d)
		}
	}
	return off
}

// checkUsage compares the usage report with what was played: each object, and the tenancy as their sum.
func (r playReport) checkUsage(t *testing.T, all []played, loose func(object, column string) int64) (off int64) {
	t.Helper()
	want := expectUsage(all)
	sum := make(figures)
	for _, o := range want {
		for column, n := range o {
			sum[column] += n
		}
	}
	if len(r.usage) != 1+len(want) {
		t.Fatalf("the usage report has %d rows, want the tenancy and %d objects", len(r.usage), len(want))
	}
	sum.compare(t, "the tenancy", r.usage[0], func(column string) (n int64) {
		for object := range want {
			n += loose(object, column)
		}
		return n
	})
	for _, row := range r.usage[1:] {
		object := row["object_id"]
		if want[object] == nil {
			t.Errorf("the usage report has an object %q", object)
			continue
		}
		t.Logf("%s:%s", object, want[object].show())
		off += want[object].compare(t, object, row, func(column string) int64 { return loose(object, column) })
		if row["info.active"] != "active" {
			t.Errorf("%s is %q", object, row["info.active"])
		}
	}
	return off
}

// checkSessions compares the sessions report with what was played. Requests that named no session are
// a session of the object with an id that the report makes up.
func (r playReport) checkSessions(t *testing.T, all []played, loose func(key sessionKey, column string) int64) {
	t.Helper()
	want := expectSessions(all)
	named := make(map[string]bool)
	for key := range want {
		named[key.session] = true
	}
	for _, row := range r.sessions {
		key := sessionKey{row["session_id"], row["object_id"]}
		if !named[key.session] {
			key.session = ""
		}
		w := want[key]
		if w == nil {
			t.Errorf("the sessions report has a row too many: %v", row)
			continue
		}
		delete(want, key)
		what := fmt.Sprintf("session %q of %s", key.session, key.object)
		w.sums.compare(t, what, row, func(column string) int64 { return loose(key, column) })
		w.check(t, what, row, titleOf(key.object))
	}
	for key, w := range want {
		t.Errorf("the sessions report lacks %q of %s:%s", key.session, key.object, w.sums.show())
	}
}

// check looks at what is no sum.
func (w *watched) check(t *testing.T, what string, row map[string]string, of title) {
	t.Helper()
	format := "hls-clear"
	if of.locked {
		format = "hls-aes-128"
	}
	browser := "Chrome/"
	if strings.HasPrefix(row["session_id"], "plain-") {
		browser = "Go-http-client/"
	}
	for _, c := range []struct{ column, want string }{
		{"pct_watched", w.percent(of)}, {"duration_secs", playSeconds}, {"playout_format", format}, {"protocol", "hls"},
		{"client_ip", "127.0.0.1"}, {"node_id", "inod_playback"},
	} {
		if got := row[c.column]; got != c.want {
			t.Errorf("%s: %s is %q, want %q", what, c.column, got, c.want)
		}
	}
	if !strings.Contains(row["user_agent"], browser) {
		t.Errorf("%s: the user agent is %q", what, row["user_agent"])
	}
}

// looseUsage allows each segment to be off by less than a millisecond.
func (w *watching) looseUsage() func(object, column string) int64 {
	allowed := make(map[[2]string]int64)
	for _, p := range w.all {
		if p.segment >= 0 {
			allowed[[2]string{p.object, p.usageColumn()}] += 1000
		}
	}
	return func(object, column string) int64 { return allowed[[2]string{object, column}] }
}

// looseSessions does so by session.
func (w *watching) looseSessions() func(sessionKey, string) int64 {
	type cell struct {
		sessionKey
		column string
	}
	allowed := make(map[cell]int64)
	for _, p := range w.all {
		if p.segment < 0 {
			continue
		}
		column := "watched_secs"
		if p.rendition.tier == "" {
			column = "audio_secs"
		}
		allowed[cell{sessionKey{p.session, p.object}, column}] += 1000
	}
	return func(key sessionKey, column string) int64 { return allowed[cell{key, column}] }
}
