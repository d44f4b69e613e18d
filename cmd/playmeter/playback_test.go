package main

import (
	"encoding/json"
	"os"
	"testing"
	"time"

	"github.com/playmeter/playmeter/schemas"
)

// TestPlayback has a real player watch real video from a real server, and compares the reports that
// come of the server's log with what the player itself says that it has loaded: segment by
// segment, to the microsecond and the byte.
//
//   - ffmpeg makes two titles, one in the clear and one with AES-128, in several qualities with
//     audio apart; nginx serves and logs them; hls.js plays them in Chromium and tells its
//     CMCD in header fields and in queries, in versions 1 and 2.
//   - Viewers watch to the end, watch one half, go back to what is no longer buffered, change
//     the quality, and leave in the middle of a segment.
//   - Where segments are cut, and what is buffered when, is left to the programs. What
//     is fixed is that the two sides must agree.
func TestPlayback(t *testing.T) {
	if os.Getenv("PLAYMETER_E2E") == "" {
		t.Skip(`needs ffmpeg, nginx, Chromium and hls.js; "make test-e2e" runs it`)
	}
	if err := lookPlayback(); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("cannot play: %v", err)
		}
		t.Skipf("cannot play; make test-e2e installs what it may:\n%v", err)
	}
	w := watchAll(t)
	t.Run("with playlists the report is what the player says, to the microsecond", func(t *testing.T) {
		r := w.report(t, "--playlists", w.root)
		r.checkUsage(t, w.all, func(string, string) int64 { return 0 })
		r.checkSessions(t, w.all, func(sessionKey, string) int64 { return 0 })
	})
	t.Run("without playlists a segment is less than a millisecond off, and nothing else differs", func(t *testing.T) {
		r := w.report(t)
		drift := r.checkUsage(t, w.all, w.looseUsage())
		r.checkSessions(t, w.all, w.looseSessions())
		if drift == 0 {
			t.Error("whole milliseconds are not off at all: the lengths of the segments prove nothing")
		}
	})
}

// viewings are the sessions. Buffers are small, so that there is something left to load when
// the viewer does something.
var viewings = []viewing{
	{ID: "whole", Object: "iq__clear", Way: "whole", Level: -1, Version: 1, Rate: 4, Ahead: 6, Behind: 30},
	{ID: "half", Object: "iq__clear", Way: "half", Level: 0, Version: 1, Headers: true, Rate: 4, Ahead: 4, Behind: 30},
	{ID: "back", Object: "iq__clear", Way: "back", Level: 1, Version: 2, Rate: 4, Ahead: 4, Behind: 2},
	{ID: "locked", Object: "iq__locked", Way: "whole", Level: 1, Version: 1, Headers: true, Rate: 4, Ahead: 6, Behind: 30},
	{ID: "change", Object: "iq__clear", Way: "change", Level: 0, Version: 2, Headers: true, Rate: 4, Ahead: 6, Behind: 30},
	{ID: "hasty", Object: "iq__locked", Way: "hasty", Level: 1, Version: 1, Rate: 1, Ahead: 6, Behind: 30},
}

// A watching is what was watched.
type watching struct {
	root  string // what nginx served
	log   string // its access log
	all   []played
	month schemas.Period
	asOf  time.Time
}

// watchAll makes the titles, serves them, and watches all viewings, one after the other.
func watchAll(t *testing.T) *watching {
	t.Helper()
	begun := time.Now().UTC()
	w := &watching{root: t.TempDir(), month: schemas.PeriodOf(begun)}
	makeTitles(t, w.root)
	makePage(t, w.root)
	segments := readSegments(t, w.root)
	server := serveMedia(t, w.root)
	w.log = server.log
	browser := startBrowser(t)
	records := make([]record, len(viewings))
	for i, v := range viewings {
		line := server.url
		if v.Way == "hasty" {
			line = server.slow
		}
		records[i] = v.play(t, browser, line)
		t.Logf("%s: %d segments in %d requests, left at %.3f s; %q", v.ID, len(records[i].Fragments), len(records[i].Requests), records[i].Played, records[i].Remarks)
	}
	w.all = askPlainly(t, server, segments)
	server.stop(t)
	if schemas.PeriodOf(time.Now().UTC()) != w.month {
		t.Skip("a month ended while we watched")
	}
	// A report speaks of what came before its second.
	w.asOf = time.Now().UTC().Truncate(time.Second).Add(time.Second)
	time.Sleep(time.Until(w.asOf))
	answers := server.answers(t)
	for i, v := range viewings {
		w.all = append(w.all, v.expect(t, records[i], segments, answers)...)
	}
	w.checkVariety(t)
	return w
}

// checkVariety wants the viewings to have been what they are for.
func (w *watching) checkVariety(t *testing.T) {
	t.Helper()
	seen := make(map[string]bool)
	times := make(map[askedFor]int)
	for _, p := range w.all {
		if p.segment >= 0 {
			seen[p.usageColumn()] = true
			times[askedFor{p.session, p.where}]++
		} else if p.cut {
			seen["cut short"] = true
		}
	}
	for key, n := range times {
		if key.session == "back" && n > 1 {
			seen["loaded again"] = true
		}
	}
	for _, what := range []string{"usage.playout.audio_clear_sec", "usage.playout.audio_drm_sec", "usage.playout.video_hi_clear_sec",
		"usage.playout.video_md_clear_sec", "usage.playout.video_lo_clear_sec", "usage.playout.video_md_drm_sec", "loaded again", "cut short"} {
		if !seen[what] {
			t.Errorf("nothing was watched that is %s", what)
		}
	}
}

func asJSON(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
