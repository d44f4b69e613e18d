package oracle

import (
	"fmt"
	"strings"
	"time"
)

// A viewer is what the rows of one session have in common.
type viewer struct {
	session                                       string
	ip, agent, identity, addr, email, user, token string
	place                                         [3]string
	referrer, offering, format, protocol          string
	drm                                           int // -1 not given
	live                                          bool
}

func (g *generator) newViewer() viewer {
	g.serial++
	v := viewer{
		session: fmt.Sprintf("s-%06d", g.serial), ip: pick(g, addresses), agent: pick(g, agents), place: pick(g, places), referrer: pick(g, referrers),
		format: pick(g, playoutFormats), offering: pick(g, []string{"default", "default", "", "=off", "4k"}), drm: -1, live: g.chance(5),
	}
	switch g.IntN(40) {
	case 0:
		v.session = "=" + v.session
	case 1:
		v.session = "-" + v.session
	case 2:
		v.session = strings.Repeat("s", 1000) + v.session
	case 3:
		v.session = "shared session"
	case 4:
		v.session = "сессия, " + v.session
	case 5:
		v.agent = ""
	case 6, 7:
		v.format, v.protocol = "", "srt"
	case 8:
		v.protocol = "@proto"
	}
	if g.chance(40) {
		v.user = fmt.Sprintf("user%d", g.IntN(50))
	}
	if g.chance(3) {
		v.user = "@user"
	}
	v.identity, v.email = pick(g, identities), pick(g, emails)
	if g.chance(40) {
		v.addr = fmt.Sprintf("0x%x", g.IntN(1<<20))
	}
	if g.chance(40) {
		v.token = fmt.Sprintf("tok%d%s", g.serial, strings.Repeat("t", pick(g, []int{0, 0, 110, 130, 300})))
	}
	if g.chance(25) {
		v.drm = g.IntN(2)
	}
	return v
}

// dress puts the viewer into a row.
func (v *viewer) dress(r *row) {
	r.text[cSession], r.text[cIP], r.text[cAgent], r.text[cIdentity], r.text[cAddr] = v.session, v.ip, v.agent, v.identity, v.addr
	r.text[cEmail], r.text[cUser], r.text[cToken], r.text[cReferrer] = v.email, v.user, v.token, v.referrer
	r.text[cCountry], r.text[cRegion], r.text[cCity] = v.place[0], v.place[1], v.place[2]
	r.text[cOffering], r.text[cFormat], r.text[cProtocol] = v.offering, v.format, v.protocol
	if v.drm >= 0 {
		r.set(nDRM, int64(v.drm))
	}
	if v.live {
		r.set(nLive, 1)
	}
}

// viewing is a session of playout with an id: a player that starts somewhere,
// changes renditions, loops, rewinds, pauses and fails.
func (g *generator) viewing(h *house) {
	v := g.newViewer()
	g.play(h, pick(g, h.objects), v, g.moment(), 24*hour)
	if g.chance(5) { // the same session on another object
		g.play(h, pick(g, h.objects), v, g.moment(), 24*hour)
	}
}

// anonymous is playout without a session id, with more or less of what takes
// its place.
func (g *generator) anonymous(h *house) {
	v := g.newViewer()
	v.session = ""
	for _, field := range []*string{&v.token, &v.addr, &v.ip, &v.agent} {
		if g.chance(30) {
			*field = ""
		}
	}
	o := pick(g, h.objects)
	for range 1 + g.IntN(3) {
		g.play(h, o, v, g.moment(), 30*minute)
		v.email, v.referrer = pick(g, emails), pick(g, referrers)
	}
}

// play adds one viewing of an object from time t on. Pauses are around idle.
func (g *generator) play(h *house, o *object, v viewer, t, idle int64) {
	style := g.IntN(100)
	if g.chance(15) {
		g.lead(h, o, v, &t)
	}
	switch {
	case style < 8:
		g.audioOnly(h, o, v, t)
		return
	case style < 14:
		g.progressive(h, o, v, t)
		return
	}
	segment, step := g.Int64N(o.segments), int64(1)
	width := pick(g, sizes)
	n := 3 + g.IntN(40)
	if g.chance(5) {
		n += 200
	}
	from := segment
	for i := range n {
		t = g.next(t, o.length, idle)
		r := g.base(h, o, "playout", t)
		v.dress(&r)
		g.segment(&r, o, segment, width)
		if style > 70 {
			r.text[cTrack] = "video"
		} else if style > 50 {
			r.text[cTrack] = "muxed"
		}
		if style > 85 && i%2 == 1 {
			r.text[cTrack] = "audio"
			r.unset(nWidth)
			r.unset(nHeight)
		}
		g.mishap(&r)
		g.emit(r)
		switch p := g.IntN(100); {
		case p < 6:
			width = pick(g, sizes) // the same segment again, in another rendition
		case p < 8:
			segment = g.Int64N(o.segments)
		case p < 10:
			segment = from
		default:
			segment += step
		}
		if segment >= o.segments+2 { // a segment or two past the end
			segment = 0
		}
	}
	if g.chance(10) {
		r := g.base(h, o, "playout", t+second)
		v.dress(&r)
		r.set(nStatus, 404)
		g.emit(r)
	}
}

// lead adds what comes before the first segment: errors, manifests, init
// segments, subtitles.
func (g *generator) lead(h *house, o *object, v viewer, t *int64) {
	for range 1 + g.IntN(4) {
		r := g.base(h, o, "playout", *t)
		v.dress(&r)
		r.text[cTrack] = pick(g, []string{"manifest", "init", "text", "manifest"})
		r.set(nBytes, g.Int64N(5000))
		if g.chance(50) {
			r.set(nDuration, 2_002_000) // adds no seconds
			r.set(nSegment, g.Int64N(10))
		}
		if g.chance(40) {
			r.set(nStatus, pick(g, []int64{400, 401, 403, 404, 429, 499, 500, 503, 999}))
		}
		g.emit(r)
		*t += g.Int64N(3 * int64(time.Second))
	}
}

// next is the time of a session's next request: a segment later, at once, or
// after a pause; a pause of idle joins, one nanosecond more does not.
func (g *generator) next(t, length, idle int64) int64 {
	switch p := g.IntN(1000); {
	case p < 40:
		return t
	case p < 46:
		return t + idle
	case p < 52:
		return t + idle + 1
	case p < 56:
		return t + idle - 1
	case p < 62:
		return t + idle + g.Int64N(3)*hour + second
	}
	return t + length/1000*1_000_000
}

// segment makes the row a segment of the object, in this size.
func (g *generator) segment(r *row, o *object, index int64, s size) {
	r.set(nSegment, index)
	r.set(nDuration, o.length)
	r.set(nBytes, o.length/4+g.Int64N(1000))
	r.text[cCodec] = pick(g, videoCodecs)
	r.set(nWidth, s.width)
	r.set(nHeight, s.height)
	switch g.IntN(30) {
	case 0:
		r.unset(nWidth)
	case 1:
		r.set(nHeight, 0)
	case 2:
		r.unset(nWidth)
		r.unset(nHeight)
	case 3:
		r.set(nDuration, pick(g, segmentLengths))
	case 4:
		r.unset(nSegment)
	case 5:
		r.set(nDuration, 0)
	case 6:
		r.unset(nBytes)
	case 7:
		r.set(nStatus, 206)
	}
}

// mishap makes some rows errors, or requests that the client gave up.
func (g *generator) mishap(r *row) {
	switch g.IntN(40) {
	case 0:
		r.set(nStatus, 499)
	case 1:
		r.set(nStatus, pick(g, []int64{400, 404, 410, 498, 500, 502, 504}))
	case 2:
		r.set(nStatus, pick(g, []int64{0, 200, 304, 399}))
	case 3:
		if r.text[cIP] != "" && r.text[cSession] != "" {
			r.text[cIP] = pick(g, addresses) // the client moved
		}
	}
}

// audioOnly is a session of audio segments, with a manifest perhaps.
func (g *generator) audioOnly(h *house, o *object, v viewer, t int64) {
	for i := range 2 + g.IntN(15) {
		r := g.base(h, o, "playout", t)
		v.dress(&r)
		r.text[cTrack], r.text[cCodec] = "audio", pick(g, audioCodecs)
		r.set(nSegment, int64(i)/2)
		r.set(nDuration, pick(g, []int64{o.length, o.length, 1_984_000}))
		r.set(nBytes, 32_000)
		g.mishap(&r)
		g.emit(r)
		t += 2 * second
	}
}

// progressive is a file fetched whole or in ranges, without segment indexes;
// perhaps an empty answer only.
func (g *generator) progressive(h *house, o *object, v viewer, t int64) {
	for range 1 + g.IntN(3) {
		r := g.base(h, o, "playout", t)
		v.dress(&r)
		r.set(nBytes, g.Int64N(1<<33))
		if g.chance(80) {
			r.set(nDuration, g.Int64N(7200*1_000_000))
			s := pick(g, sizes)
			r.set(nWidth, s.width)
			r.set(nHeight, s.height)
		}
		if g.chance(20) {
			r.set(nStatus, 499)
		}
		g.emit(r)
		t += g.Int64N(20 * minute)
	}
}

// errorsOnly is a client that never got anything.
func (g *generator) errorsOnly(h *house) {
	v, o, t := g.newViewer(), pick(g, h.objects), g.moment()
	if g.chance(30) {
		o = &object{id: "iq__neverServed", library: "ilibErr", segments: 1, length: 1_000_000}
	}
	for range 1 + g.IntN(5) {
		r := g.base(h, o, pick(g, []string{"playout", "playout", "playout", "rep", "data_download", "ingest", "update"}), t)
		v.dress(&r)
		r.set(nStatus, pick(g, []int64{403, 404, 500, 503}))
		r.set(nBytes, g.Int64N(900))
		r.set(nDuration, g.Int64N(9_000_000))
		g.emit(r)
		t += g.Int64N(2 * minute)
	}
}

// disagreement is a session whose rows, many of them of one instant, say
// different things in every field.
func (g *generator) disagreement(h *house) {
	o, session, t := pick(g, h.objects), g.newViewer(), g.moment()
	for i := range 3 + g.IntN(12) {
		v := g.newViewer()
		v.session, v.live = session.session, g.chance(2)
		if session.session == "" {
			return
		}
		for _, field := range []*string{&v.ip, &v.agent, &v.identity, &v.addr, &v.email, &v.user, &v.referrer, &v.offering, &v.format, &v.place[0], &v.place[1], &v.place[2]} {
			if g.chance(50) {
				*field = ""
			}
		}
		r := g.base(h, o, "playout", t)
		v.dress(&r)
		g.segment(&r, o, int64(i/2), pick(g, sizes))
		g.mishap(&r)
		if g.chance(2) {
			r.text[cIdentity] = "caf\xe9\xff\xfe!" // not UTF-8
		}
		g.emit(r)
		if g.chance(40) {
			t += g.Int64N(10) * second
		}
	}
}

// noNumbers is a session of rows without seq, some without any id, at few
// instants.
func (g *generator) noNumbers(h *house) {
	o, v, t := pick(g, h.objects), g.newViewer(), g.moment()
	for i := range 2 + g.IntN(6) {
		r := g.base(h, o, "playout", t)
		v.dress(&r)
		v.referrer, v.format, v.email = pick(g, referrers), pick(g, playoutFormats), pick(g, emails)
		g.segment(&r, o, int64(i), pick(g, sizes))
		if g.chance(30) {
			r.text[cEventID] = fmt.Sprintf("tie-%d-%d", g.serial, i)
		}
		g.add(group{r})
		if g.chance(30) {
			t += second
		}
	}
}

// straddles are sessions across both ends of the month, with and without an
// id, and events on the very edges.
func (g *generator) straddles() {
	for _, edge := range []int64{monthStart, monthEnd} {
		for _, anonymous := range []bool{false, true} {
			idle := 24 * hour
			if anonymous {
				idle = 30 * minute
			}
			for _, gaps := range [][2]int64{ // before the edge, after it
				{1, 0}, {idle, 0}, {idle + 1, 0}, {idle - 7, 7}, {idle - 7, 8}, {minute, minute}, {2 * idle, idle}, {hour + 1, 2 * second}, {1, idle}, {500_000, 400_000},
			} {
				for _, before := range []string{"good", "error", "chain", "gone"} {
					g.straddle(edge, anonymous, idle, gaps, before)
				}
			}
		}
		g.leapSecond(edge)
	}
}

// straddle is one session around an edge. What lies before it is one good
// request, an error, a good one and a chain of errors, or one that the client
// gave up.
func (g *generator) straddle(edge int64, anonymous bool, idle int64, gaps [2]int64, before string) {
	h, v := g.houses[g.IntN(2)], g.newViewer()
	o := pick(g, h.objects)
	if anonymous {
		v.session, v.ip, v.token = "", pick(g, addresses[:20]), fmt.Sprintf("straddle%d", g.serial)
	}
	status := map[string]int64{"good": 200, "error": 500, "chain": 404, "gone": 499}[before]
	if before == "chain" {
		for i := int64(4); i > 0; i-- {
			g.plain(h, o, v, edge-gaps[0]-i*(idle-second), map[bool]int64{true: 200, false: 404}[i == 4], 1)
		}
	}
	g.plain(h, o, v, edge-gaps[0], status, 2)
	if g.chance(20) {
		g.plain(h, o, v, edge+gaps[1], 403, 3)
	}
	g.plain(h, o, v, edge+gaps[1], 200, 4)
	if g.chance(50) {
		g.plain(h, o, v, edge+gaps[1]+second, 200, 5)
	}
}

// plain is one segment of a session.
func (g *generator) plain(h *house, o *object, v viewer, t, status, segment int64) {
	r := g.base(h, o, "playout", t)
	v.dress(&r)
	r.set(nSegment, segment)
	r.set(nDuration, 2_002_000)
	r.set(nBytes, 1000)
	r.set(nStatus, status)
	g.emit(r)
}

// leapSecond is a request in the second 60 before an edge: the last instant of
// its minute.
func (g *generator) leapSecond(edge int64) {
	h, v := g.houses[0], g.newViewer()
	r := g.base(h, pick(g, h.objects), "playout", edge-1)
	v.dress(&r)
	r.set(nDuration, 1_000_000)
	r.leap = true
	g.number(&r)
	g.add(group{r})
}

// huge is one session, or one object's downloads, of rows of 2^50 bytes: their
// sum does not fit 64 bits.
func (g *generator) huge(n int, kind string) {
	h := g.houses[0]
	v, o := g.newViewer(), h.objects[0]
	t := monthStart + 5*day
	for range n {
		r := g.base(h, o, kind, t)
		v.dress(&r)
		r.set(nBytes, 1<<50)
		if kind != "data_download" {
			r.set(nDuration, 31*24*3600*1_000_000)
			r.set(nWidth, 1920)
			r.set(nHeight, 1080)
		}
		r.text[cEventID] = fmt.Sprintf("huge-%s-%d", kind, g.count)
		g.add(group{r})
		t += 100 * int64(time.Millisecond)
	}
}
