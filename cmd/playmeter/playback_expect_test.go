package main

import (
	"fmt"
	"maps"
	"math/big"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// A played is one request as the player, or the test itself, says that it was answered.
type played struct {
	session   string // empty: the request did not say
	where     string // the file's path below the root
	object    string
	rendition rendition // none of a master playlist
	segment   int       // -1: none
	micros    int64
	bytes     int64
	failed    bool // the answer was an error
	cut       bool // the player left before its end
}

// expect turns what the player says of a viewing into requests. Seconds are those of the
// fragments that it calls loaded, and how long those are is what their playlist says.
//
// The player and the network below it are heard apart and must agree: each segment whose last
// byte came is one that the player loaded, at the size and in the quality it believes.
//
// Of a request that the player gave up nobody but the server knows how much of it was sent: all,
// a part, or nothing, because it never arrived.
func (v viewing) expect(t *testing.T, r record, segments map[string]segmentFile, answers map[askedFor][]answer) []played {
	t.Helper()
	loaded := make(map[string]int)
	for _, f := range r.Fragments {
		loaded[v.checkFragment(t, f, segments)]++
	}
	var all, left []played
	for _, q := range r.Requests {
		where, title, ok := mediaPath(t, q.URL)
		if !ok {
			continue // a key: no media, and no request of a media server
		}
		p := played{where: where, object: title.object, segment: -1, bytes: q.Bytes}
		if q.Told {
			p.session = v.ID
		}
		p.rendition, _ = title.rendition(path.Base(path.Dir(where)))
		segment, isSegment := segments[where]
		if isSegment {
			p.segment, p.micros = segmentNumber(t, where), segment.micros
		}
		switch {
		case q.End == "aborted":
			left = append(left, p)
			continue
		case q.End != "loaded":
			t.Errorf("%s: %s ended with %q", v.ID, q.URL, q.End)
		case isSegment:
			if loaded[where]--; loaded[where] < 0 {
				t.Errorf("%s: %s came once more than the player tells of", v.ID, where)
			}
		}
		all = append(all, p)
	}
	for where, n := range loaded {
		if n > 0 {
			t.Errorf("%s: %s was loaded %d times more than it was asked for", v.ID, where, n)
		}
	}
	return settle(t, all, left, answers)
}

// An askedFor is what requests have in common that the player's record and the log both know.
type askedFor struct{ session, where string }

// An answer is a line of the log.
type answer struct {
	cut   bool // the client went away before its end
	bytes int64
}

// settle adds what the server sent of the requests that the player gave up: as many of the answers
// that were cut short, and of the whole ones that are more than the player had.
func settle(t *testing.T, had, left []played, answers map[askedFor][]answer) []played {
	t.Helper()
	whole := make(map[askedFor]int)
	for _, p := range had {
		whole[askedFor{p.session, p.where}]++
	}
	all := slices.Clone(had)
	for _, p := range left {
		key := askedFor{p.session, p.where}
		skip := whole[key]
		i := slices.IndexFunc(answers[key], func(a answer) bool {
			if !a.cut {
				skip--
			}
			return a.cut || skip < 0
		})
		if i < 0 {
			continue // it never arrived
		}
		a := answers[key][i]
		if a.bytes < p.bytes {
			t.Errorf("%v: the player had %d bytes when it left, of %d that the server sent", key, p.bytes, a.bytes)
		}
		p.bytes, p.cut = a.bytes, a.cut
		if a.cut {
			p.segment, p.micros = -1, 0
		}
		all = append(all, p)
		answers[key] = slices.Delete(answers[key], i, i+1)
	}
	return all
}

// TestGivenUp has what the server says decide on requests that a player gave up.
func TestGivenUp(t *testing.T) {
	cut := func(n int64) answer { return answer{cut: true, bytes: n} }
	whole := answer{bytes: 100}
	tests := []struct {
		name      string
		had, left int
		answers   []answer
		want      string // bytes of each, and whether it brings seconds
	}{
		{"what never arrived is no request", 0, 1, nil, ""},
		{"what was cut short brings its bytes", 0, 1, []answer{cut(60)}, "60-"},
		{"what was sent whole counts", 0, 1, []answer{whole}, "100+"},
		{"what the player had is not counted twice", 1, 1, []answer{whole}, "100+"},
		{"before what the player had", 1, 1, []answer{cut(60), whole}, "100+ 60-"},
		{"after what the player had", 1, 1, []answer{whole, cut(60)}, "100+ 60-"},
		{"several of each kind", 1, 3, []answer{whole, whole, cut(60), whole}, "100+ 100+ 60- 100+"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			one := played{session: "s", where: "w", segment: 7, micros: 1, bytes: 100}
			had := slices.Repeat([]played{one}, tt.had)
			one.bytes = 50
			left := slices.Repeat([]played{one}, tt.left)
			var got []string
			for _, p := range settle(t, had, left, map[askedFor][]answer{{"s", "w"}: tt.answers}) {
				got = append(got, fmt.Sprint(p.bytes)+map[bool]string{true: "+", false: "-"}[p.segment == 7 && p.micros == 1])
			}
			if g := strings.Join(got, " "); g != tt.want {
				t.Errorf("got %q, want %q", g, tt.want)
			}
		})
	}
}

// checkFragment holds an event FRAG_LOADED against the ladder, and gives its path.
func (v viewing) checkFragment(t *testing.T, f loadedFragment, segments map[string]segmentFile) string {
	t.Helper()
	where, title, ok := mediaPath(t, f.URL)
	r, known := title.rendition(path.Base(path.Dir(where)))
	if !ok || !known {
		t.Fatalf("%s: %s is not of the ladder", v.ID, f.URL)
	}
	kind := map[bool]string{true: "audio", false: "main"}[r.tier == ""]
	if f.Type != kind || f.Width != r.width || f.Height != r.height || f.Encrypted != title.locked || f.Sequence != segmentNumber(t, where) {
		t.Errorf("%s: %s is %+v to the player, and %+v in the ladder", v.ID, where, f, r)
	}
	if s := segments[where]; s.micros == 0 || f.Bytes != s.bytes {
		t.Errorf("%s: %s has %d bytes to the player, and is %+v in its playlist and on the disk", v.ID, where, f.Bytes, s)
	}
	return where
}

// mediaPath is the path of a URL's file below the root, and its title; ok is whether it is media.
func mediaPath(t *testing.T, address string) (where string, of title, ok bool) {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	where = strings.TrimPrefix(u.Path, "/")
	for _, of = range titles {
		if strings.HasPrefix(where, "media/"+of.object+"/") {
			return where, of, true
		}
	}
	return where, title{}, false
}

func segmentNumber(t *testing.T, where string) int {
	t.Helper()
	number, _, _ := strings.Cut(path.Base(where), ".")
	n, err := strconv.Atoi(number)
	if err != nil {
		t.Fatalf("%s is no segment: %v", where, err)
	}
	return n
}

// figures are what columns come to: microseconds, or counts.
type figures map[string]int64

// usageColumn is the column of the usage report that a segment's seconds belong to.
func (p played) usageColumn() string {
	class := "clear"
	if titleOf(p.object).locked {
		class = "drm"
	}
	if p.rendition.tier == "" {
		return "usage.playout.audio_" + class + "_sec"
	}
	return "usage.playout.video_" + p.rendition.tier + "_" + class + "_sec"
}

// isSeconds tells columns of microseconds from counts.
func isSeconds(column string) bool {
	return strings.HasSuffix(column, "_sec") || strings.HasSuffix(column, "_secs")
}

// expectUsage adds up the usage report's figures by object.
func expectUsage(all []played) map[string]figures {
	objects := make(map[string]figures)
	for _, p := range all {
		o := objects[p.object]
		if o == nil {
			o = zeros("usage.playout.bytes", "usage.playout.occurrences", "usage.playout.views", "usage.error.bytes", "usage.error.occurrences",
				"usage.playout.audio_clear_sec", "usage.playout.audio_drm_sec", "usage.playout.video_hi_clear_sec", "usage.playout.video_hi_drm_sec",
				"usage.playout.video_md_clear_sec", "usage.playout.video_md_drm_sec", "usage.playout.video_lo_clear_sec", "usage.playout.video_lo_drm_sec",
				"usage.playout.video_unclassified_clear_sec", "usage.playout.video_unclassified_drm_sec", "usage.data_download.occurrences", "usage.rep.occurrences")
			objects[p.object] = o
		}
		if p.failed {
			o["usage.error.bytes"] += p.bytes
			o["usage.error.occurrences"]++
			continue
		}
		o["usage.playout.bytes"] += p.bytes
		o["usage.playout.occurrences"]++
		if p.segment >= 0 {
			o[p.usageColumn()] += p.micros
		}
	}
	for key, s := range expectSessions(all) {
		if s.sums["watched_secs"] > 0 {
			objects[key.object]["usage.playout.views"]++
		}
	}
	return objects
}

func zeros(columns ...string) figures {
	f := make(figures)
	for _, c := range columns {
		f[c] = 0
	}
	return f
}

type sessionKey struct{ session, object string }

// A watched is what the sessions report must say of a session.
type watched struct {
	sums     figures
	segments map[int]bool // of video
	longest  int64        // of video
}

// expectSessions adds up the sessions report's figures. Requests that say no session are
// one session by object: one browser at one address made them all.
func expectSessions(all []played) map[sessionKey]*watched {
	sessions := make(map[sessionKey]*watched)
	for _, p := range all {
		key := sessionKey{p.session, p.object}
		s := sessions[key]
		if s == nil {
			s = &watched{sums: zeros("watched_secs", "audio_secs", "bytes", "requests", "errors"), segments: make(map[int]bool)}
			sessions[key] = s
		}
		if p.failed {
			s.sums["errors"]++
			continue
		}
		s.sums["bytes"] += p.bytes
		s.sums["requests"]++
		switch {
		case p.segment < 0:
		case p.rendition.tier == "":
			s.sums["audio_secs"] += p.micros
		default:
			s.sums["watched_secs"] += p.micros
			s.segments[p.segment] = true
			s.longest = max(s.longest, p.micros)
		}
	}
	return sessions
}

// percent is pct_watched: distinct segments of all, cut to two decimals. A title without a count
// of segments has as many of the longest one as fill its length.
func (w *watched) percent(of title) string {
	if len(w.segments) == 0 {
		return ""
	}
	total := int64(of.segments)
	if total == 0 {
		length := micros64(playSeconds)
		total = (length + w.longest - 1) / w.longest
	}
	hundredths := min(int64(len(w.segments))*10_000/total, 10_000)
	return trimmed(big.NewRat(hundredths, 100))
}

// text is how a report prints a figure: seconds with as many of six decimals as they need.
func (f figures) text(column string) string {
	if isSeconds(column) {
		return trimmed(big.NewRat(f[column], 1_000_000))
	}
	return strconv.FormatInt(f[column], 10)
}

func trimmed(r *big.Rat) string {
	s := r.FloatString(6)
	return strings.TrimSuffix(strings.TrimRight(s, "0"), ".")
}

// show prints figures, for a message.
func (f figures) show() string {
	var b strings.Builder
	for _, column := range slices.Sorted(maps.Keys(f)) {
		if f[column] != 0 {
			fmt.Fprintf(&b, " %s=%s", column, f.text(column))
		}
	}
	return b.String()
}

func titleOf(object string) title {
	for _, t := range titles {
		if t.object == object {
			return t
		}
	}
	return title{}
}

func micros64(text string) int64 {
	r, _ := new(big.Rat).SetString(text)
	return new(big.Rat).Mul(r, big.NewRat(1_000_000, 1)).Num().Int64()
}
