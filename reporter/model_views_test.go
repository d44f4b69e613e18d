package reporter

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// plainSession is a row of the sessions report, by column; empty cells are left out.
type plainSession struct {
	start    int64
	id       string
	object   string
	cells    map[string]string
	begun    bool
	watched  int64
	reported *eventRow // the record that stands, of a session that its server reported
	served   int64
}

// viewerKey tells viewings apart (SPEC 5, R7).
func (e *eventRow) viewerKey() string {
	if e.SessionID != "" {
		return "id " + e.SessionID + " " + e.ObjectID
	}
	h := sha256.New()
	for _, text := range []string{e.TenantID, e.ObjectID, e.Token, e.ClientIP, ""} {
		h.Write(binary.AppendUvarint(nil, uint64(len(text))))
		h.Write([]byte(text))
	}
	return hex.EncodeToString(h.Sum(nil))[:16]
}

func (e *eventRow) madeUpID(start int64) string {
	if e.SessionID != "" {
		return e.SessionID
	}
	return fmt.Sprintf("%s-%d", e.viewerKey(), start/int64(time.Millisecond))
}

// joinSessions makes the sessions.
func (c *plainCount) joinSessions() {
	plays, records := make(map[string][]*eventRow), make(map[string][]*eventRow)
	for _, e := range c.kept {
		idle := c.rules.Idle.WithID
		if e.SessionID == "" {
			idle = c.rules.Idle.WithoutID
		}
		reach := (int64(idle) + hour - 1) / hour * hour
		switch {
		case e.Kind == "playout" && hourOf(e.Time) >= c.from-reach:
			plays[e.viewerKey()] = append(plays[e.viewerKey()], e)
		case e.Kind == "session" && !e.failed() && e.Time >= c.from-lookback:
			records[e.viewerKey()] = append(records[e.viewerKey()], e)
		}
	}
	for _, list := range plays {
		slices.SortStableFunc(list, func(a, b *eventRow) int { return cmp.Compare(a.Time, b.Time) })
		idle := int64(c.rules.Idle.WithID)
		if list[0].SessionID == "" {
			idle = int64(c.rules.Idle.WithoutID)
		}
		from := 0
		for i := range list {
			if i+1 == len(list) || list[i+1].Time-list[i].Time > idle {
				c.stretch(list[from : i+1])
				from = i + 1
			}
		}
	}
	for key, list := range records {
		c.record(list, plays[key])
	}
	facts := c.facts()
	for i := range c.sessions {
		c.sessions[i].finish(facts[c.sessions[i].object])
	}
	slices.SortFunc(c.sessions, func(a, b plainSession) int {
		return cmp.Or(cmp.Compare(a.start, b.start), strings.Compare(a.id, b.id), strings.Compare(a.object, b.object))
	})
}

// stretch makes a session of playback without a longer pause; what lies before the month tells only
// whether it began there.
func (c *plainCount) stretch(list []*eventRow) {
	s := plainSession{begun: true, cells: make(map[string]string)}
	var requests, errors, served, video, audio, last int64
	var longest [2]int64
	segments := [2]map[int32]bool{make(map[int32]bool), make(map[int32]bool)}
	live := false
	picks := make(map[string]*eventRow)
	for _, e := range list {
		if e.Time < c.from {
			s.begun = s.begun && e.failed()
			continue
		}
		last = e.Time
		live = live || e.Live != nil && *e.Live
		if e.failed() {
			errors++
			continue
		}
		if requests++; requests == 1 {
			s.start = e.Time
		}
		served += value(e.Bytes)
		for name, text := range e.fields() {
			if old := picks[name]; text != "" && (old == nil || before2(e, old, text, old.fields()[name])) {
				picks[name] = e
			}
		}
		kind := 0
		switch {
		case e.isVideo():
			video += e.micros()
		case e.Track == "audio":
			audio += e.micros()
			kind = 1
		default:
			continue
		}
		if e.Segment != nil && e.status() != tooLong {
			segments[kind][*e.Segment] = true
			longest[kind] = max(longest[kind], e.micros())
		}
	}
	if requests == 0 {
		return
	}
	kind := 0
	if s.watched = video; video == 0 && len(segments[0]) == 0 {
		s.watched, kind = audio, 1
	}
	for name, e := range picks {
		s.cells[name] = e.fields()[name]
	}
	s.id, s.object = list[0].madeUpID(s.start), list[0].ObjectID
	s.show(last, served, audio, requests, errors, live)
	s.cells["segments"], s.cells["longest"] = fmt.Sprint(len(segments[kind])), fmt.Sprint(longest[kind])
	c.sessions = append(c.sessions, s)
}

// fields are the texts that a session takes from its events.
func (e *eventRow) fields() map[string]string {
	protocol, _, _ := strings.Cut(e.PlayoutFormat, "-")
	return map[string]string{"client_ip": e.ClientIP, "user_id": e.UserID, "playout_format": e.PlayoutFormat, "protocol": protocol, "node_id": e.NodeID}
}

// show fills the cells that every session has.
func (s *plainSession) show(end, served, audio, requests, errors int64, live bool) {
	for name, n := range map[string]int64{"bytes": served, "requests": requests, "errors": errors} {
		s.cells[name] = fmt.Sprint(n)
	}
	s.cells["audio_secs"], s.cells["watched_secs"] = decimal(audio), decimal(s.watched)
	s.cells["session_id"], s.cells["object_id"] = s.id, s.object
	begin := time.Unix(0, s.start).UTC()
	s.cells["view_date"], s.cells["view_start"] = begin.Format(time.DateOnly), begin.Format("15:04:05.000Z")
	s.cells["view_end"] = time.Unix(0, end).UTC().Format("2006-01-02T15:04:05.000Z")
	if live {
		s.cells["live"] = "true"
	}
}

// record makes a session of what its server reported (SPEC 5.2, R8).
func (c *plainCount) record(list, plays []*eventRow) {
	newest := func(in bool) *eventRow {
		var out *eventRow
		for _, e := range list {
			if e.Time >= c.from == in && (out == nil || cmp.Or(cmp.Compare(e.Time, out.Time), cmp.Compare(value(e.Bytes), value(out.Bytes))) > 0) {
				out = e
			}
		}
		return out
	}
	now, old := newest(true), newest(false)
	errors := int64(0)
	for _, e := range plays {
		if e.Time >= c.from && !e.failed() {
			return // superseded
		}
		if e.Time >= c.from {
			errors++
		}
	}
	if now == nil {
		return
	}
	s := plainSession{begun: old == nil, reported: now, served: value(now.Bytes), watched: now.micros(), cells: make(map[string]string)}
	if old != nil {
		s.served, s.watched = max(0, s.served-value(old.Bytes)), max(0, s.watched-old.micros())
	}
	s.start = now.Time - now.micros()*1000
	if now.OpenedAt != nil {
		s.start = *now.OpenedAt
	}
	s.start = max(min(s.start, now.Time), c.from)
	end := now.Time
	if now.ClosedAt != nil && *now.ClosedAt <= now.Time && *now.ClosedAt >= s.start {
		end = *now.ClosedAt
	}
	audio := int64(0)
	if now.Track == "audio" {
		audio = s.watched
	} else if !now.isVideo() {
		s.watched = 0
	}
	maps.Copy(s.cells, now.fields())
	s.id, s.object = now.madeUpID(s.start), now.ObjectID
	s.show(end, s.served, audio, 1, errors, now.Live != nil && *now.Live)
	c.sessions = append(c.sessions, s)
}

// finish puts what the catalog says beside a session.
func (s *plainSession) finish(facts *holdingRow) {
	if facts != nil {
		s.cells["title"] = facts.name
		if facts.duration > 0 && s.cells["live"] == "" {
			s.cells["duration_secs"] = decimal(facts.duration)
			var segments, longest int64
			fmt.Sscan(s.cells["segments"], &segments)
			fmt.Sscan(s.cells["longest"], &longest)
			if segments > 0 && longest > 0 {
				all := (facts.duration + longest - 1) / longest
				s.cells["pct_watched"] = decimal(min(segments*10000/all, 10000) * 10000)
			}
		}
	}
	delete(s.cells, "live")
	delete(s.cells, "segments")
	delete(s.cells, "longest")
}

// addSession counts what only sessions tell.
func (c *plainCount) addSession(s *plainSession) {
	o := c.find(s.object)
	if s.begun && s.watched > 0 {
		o.sums["usage.playout.views"]++
	}
	if s.reported == nil {
		return
	}
	c.events.Counted["session"]++
	o.sums["usage.playout.occurrences"]++
	o.sums["usage.playout.bytes"] += s.served
	c.seconds(o, s.reported, s.watched)
}

// decimal writes millionths as a decimal without trailing zeros.
func decimal(n int64) string {
	sign := ""
	if n < 0 {
		sign, n = "-", -n
	}
	text := fmt.Sprintf("%d.%06d", n/1_000_000, n%1_000_000)
	return sign + strings.TrimSuffix(strings.TrimRight(text, "0"), ".")
}
