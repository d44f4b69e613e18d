package sample

import (
	"fmt"
	"strings"
	"time"
)

// playing is one view in the making.
type playing struct {
	*stage
	d      dice
	o      *object
	v      viewer
	base   event
	node   int
	clock  int64 // when the next request is made, Unix nanoseconds
	rung   int
	best   int // the highest rung that the device asks for
	audio  int64
	count  int
	served float64 // bandwidth of the viewer, against what the ladder asks
}

const (
	micros = int64(time.Microsecond)
	millis = int64(time.Millisecond)
	second = int64(time.Second)
)

// watch makes one view that begins in the hour, and counts its events.
func (s *stage) watch(d dice, b, hour int) int {
	p := &playing{stage: s, d: d, v: s.someone(d, b, hour), clock: s.at(d, hour)}
	p.o = s.something(d, b, hour)
	if match := s.bigMatch(hour); b == 1 && match != nil && d.chance(0.75) {
		p.o = match
		if on := match.onAir(int64(hour)*3600 + 1800); on != nil && on.from/3600 == int64(hour) {
			p.clock = s.start + on.from*second + int64(d.typical(400)*float64(second)) // everyone comes for the kick-off
		}
	}
	if p.o.usage != played {
		return 0
	}
	p.dress()
	if !p.open() {
		return p.count
	}
	if p.o.live != nil {
		p.tune()
	} else {
		p.view()
	}
	return p.count
}

// someone picks a viewer of a business by what time of day it is for them.
// A few viewers of each city come again and again.
func (s *stage) someone(d dice, b, hour int) viewer {
	weights := make([]float64, len(cities))
	for i, c := range cities {
		weights[i] = businesses[b].activity(c, hour, s.weekday)
	}
	place := d.choose(weights)
	crowd := 30 + s.events/20_000
	return s.viewerOf(b, place, uint64(d.favour(crowd)))
}

// something picks an object that is there in the hour, the popular more often.
func (s *stage) something(d dice, b, hour int) *object {
	all := s.objects[b]
	if b == 1 && d.chance(0.18) {
		return all[businesses[b].objects+4] // the channel that is always on
	}
	for {
		o := all[d.favour(businesses[b].objects)]
		if o.there(hour) {
			return o
		}
	}
}

// dress fills in what all requests of the view have in common.
func (p *playing) dress() {
	d, o, v := p.d, p.o, p.v
	biz := businesses[o.business]
	p.node = v.city.node
	p.base = event{
		Tenant: biz.ID, Kind: "playout", Object: o.id, Library: biz.Library, Version: o.version, Offering: "default",
		ClientIP: v.ip, UserAgent: v.agent, AuthIdentity: v.identity, AuthAddr: v.addr, AuthEmail: v.email, User: v.user, Token: v.token,
		ClientCountry: v.city.country, ClientRegion: v.city.region, ClientCity: v.city.name,
		Status: 200, Live: o.live != nil,
	}
	if o.kind == "trailer" {
		p.base.Offering = "trailer"
	}
	p.base.Format = p.format()
	p.base.Protocol, _, _ = strings.Cut(p.base.Format, "-")
	if d.chance(biz.sessions) {
		p.base.Session = fmt.Sprintf("%08x-%04x-4%03x-%012x", d.Uint32(), d.Uint32()&0xffff, d.Uint32()&0xfff, d.Uint64()&0xffffffffffff)
	}
	p.base.Referrer = referrer(d, biz, o)
	p.served = 0.35 + d.typical(1.2)
	for i, r := range o.ladder {
		if r.edge() <= v.device.edge {
			p.best = i
		}
	}
	p.rung = min(p.best, 1)
}

// format is the first that the device's family plays.
func (p *playing) format() string {
	want := map[string]string{"apple": "hls", "dash": "dash"}[p.v.device.family]
	var fit []string
	for _, f := range p.o.formats {
		if strings.HasPrefix(f, want) {
			fit = append(fit, f)
		}
	}
	if len(fit) == 0 {
		fit = p.o.formats
	}
	return pick(p.d, fit)
}

func referrer(d dice, biz *business, o *object) string {
	switch x := d.Float64(); {
	case x < 0.25:
		return ""
	case x < 0.75:
		return fmt.Sprintf("%s/watch/%d", biz.site, o.index)
	case x < 0.9:
		return biz.site + "/"
	case x < 0.97:
		return "https://search.example.net/?q=" + strings.ReplaceAll(strings.ToLower(businesses[o.business].Name), " ", "+")
	}
	return fmt.Sprintf("https://partner.example.org/embed?item=%d&token=%x", o.index, d.Uint32())
}

// send puts one request on the stage, at the view's clock.
func (p *playing) send(e event) {
	e.Time = p.clock
	p.put(p.node, &e)
	p.count++
}

// open fetches the manifests. It fails where the viewer is not allowed in.
func (p *playing) open() bool {
	e := p.base
	e.Track, e.Bytes = "manifest", p.d.about(2400, 0.3)
	if refused := p.d.chance(0.015); refused {
		e.Status, e.Bytes = 403, 318
		for range 1 + p.d.IntN(3) {
			p.send(e)
			p.clock += p.d.between(700, 4000) * millis
		}
		if p.d.chance(0.6) {
			return false
		}
		e.Status, e.Bytes = 200, 2413
	}
	p.send(e)
	p.clock += p.d.between(60, 300) * millis
	if strings.HasPrefix(p.base.Format, "hls") {
		e.Bytes = p.d.about(9000, 0.5)
		p.send(e)
		p.clock += p.d.between(60, 200) * millis
	}
	e.Track, e.Bytes = "init", p.d.about(1100, 0.2)
	p.send(e)
	p.clock += p.d.between(40, 150) * millis
	return true
}

// view plays a stretch of the object: from the beginning or where the viewer
// left off, to its end or until it bores.
func (p *playing) view() {
	d, o := p.d, p.o
	last := o.segments()
	from := int64(0)
	if d.chance(0.2) {
		from = d.Int64N(last)
	}
	stay := p.patience() * micros // of wall time at the screen
	p.seek(from)
	began, first := p.clock, from
	for i := from; i < last && o.boundary(i-first)*micros < stay; i++ {
		p.video(i)
		p.sound(o.boundary(i + 1))
		if ahead := began + (o.boundary(i-first)-20_000_000)*micros; p.clock < ahead {
			p.clock = ahead + d.between(0, 200)*millis
		}
		switch x := d.Float64(); {
		case x < 0.004: // a pause
			pause := d.between(15, 600) * second
			if d.chance(0.04) {
				pause = d.between(35*60, 100*60) * second // long enough to be another session
			}
			p.clock, began = p.clock+pause, began+pause
		case x < 0.010: // a seek; the request under way is given up
			p.abandon(i + 1)
			to := max(0, min(last-1, i+d.between(-60, 90)))
			stay -= o.boundary(i-first) * micros
			p.seek(to)
			i, first, began = to-1, to, p.clock
		case x < 0.011:
			p.node = neighbour(p.node)
		}
	}
	if d.chance(0.3) {
		p.abandon(min(last-1, from+1))
	}
}

// patience is how long the viewer stays, in microseconds of media.
func (p *playing) patience() int64 {
	switch x := p.d.Float64(); {
	case x < 0.45:
		return int64(p.d.typical(50) * 1e6)
	case x < 0.88:
		return int64(p.d.typical(float64(p.o.duration) / 8))
	}
	return 2 * p.o.duration
}

// segments is how many video segments the object has.
func (o *object) segments() int64 {
	n := o.duration * o.segDen / (o.segNum * 1_000_000)
	for o.boundary(n) < o.duration {
		n++
	}
	return max(n, 1)
}

// seek moves the sound to where the picture is.
func (p *playing) seek(video int64) {
	at := p.o.boundary(video)
	p.audio = at / max(p.o.audioBoundary(1), 1)
	for p.audio > 0 && p.o.audioBoundary(p.audio) > at {
		p.audio--
	}
}

// video fetches a segment, at the quality that the line allows.
func (p *playing) video(i int64) {
	p.adapt()
	o, r := p.o, p.o.ladder[p.rung]
	e := p.base
	e.Track, e.Codec, e.Width, e.Height = "video", r.codec, r.width, r.height
	if o.muxed {
		e.Track = "muxed"
	}
	length := o.boundary(i+1) - o.boundary(i)
	if o.live == nil {
		length = min(length, o.duration-o.boundary(i))
	}
	e.Segment, e.HasSegment, e.Duration = int32(i), true, length
	e.Bytes = p.d.about(r.kbps*length/8000, 0.25)
	p.fetch(e)
}

// adapt moves up or down the ladder now and then.
func (p *playing) adapt() {
	if !p.d.chance(0.12) {
		return
	}
	reach := float64(p.o.ladder[min(p.rung+1, p.best)].kbps) / 4000
	if p.served*p.d.Float64()*2.5 > reach {
		p.rung = min(p.rung+1, p.best)
	} else if p.d.chance(0.15) {
		p.rung = max(p.rung-1, 0)
	}
}

// sound fetches the audio segments that begin before a point of the media.
func (p *playing) sound(until int64) {
	o := p.o
	if o.muxed {
		return
	}
	if o.live == nil {
		until = min(until, o.duration)
	}
	for ; o.audioBoundary(p.audio) < until; p.audio++ {
		length := o.audioBoundary(p.audio+1) - o.audioBoundary(p.audio)
		if o.live == nil {
			length = min(length, o.duration-o.audioBoundary(p.audio))
		}
		e := p.base
		e.Track, e.Codec, e.Segment, e.HasSegment = "audio", o.audioCodec, int32(p.audio), true
		e.Duration, e.Bytes = length, p.d.about(128*length/8000, 0.05)
		p.fetch(e)
	}
	if o.business == 0 && p.audio%16 == 3 { // subtitles come in longer pieces
		e := p.base
		e.Track, e.Codec, e.Bytes = "text", "wvtt", p.d.about(1900, 0.6)
		p.fetch(e)
	}
}

// fetch sends a request for a segment, and again where the node fails.
func (p *playing) fetch(e event) {
	failing := troubled(p.node, int((p.clock-p.start)/int64(time.Hour)))
	if x := p.d.Float64(); x < 0.0015 || failing && x < 0.5 {
		bad := e
		bad.Duration, bad.Bytes = 0, p.d.between(90, 400)
		switch {
		case failing:
			bad.Status = 503
		case x < 0.0004:
			bad.Status = 404
		default:
			bad.Status = 500
		}
		p.send(bad)
		p.clock += p.d.between(200, 1500) * millis
		if failing && p.d.chance(0.3) {
			p.node = neighbour(p.node)
		}
	}
	p.send(e)
	p.clock += p.d.between(30, 240) * millis
}

// abandon is a request that the client gives up half way: status 499.
func (p *playing) abandon(i int64) {
	if p.o.live == nil && i >= p.o.segments() {
		return
	}
	r := p.o.ladder[p.rung]
	e := p.base
	e.Status, e.Track, e.Codec, e.Width, e.Height = 499, "video", r.codec, r.width, r.height
	if p.o.muxed {
		e.Track = "muxed"
	}
	e.Segment, e.HasSegment, e.Bytes = int32(i), true, p.d.between(1000, 200_000)
	e.Duration = p.o.boundary(i+1) - p.o.boundary(i)
	p.send(e)
	p.clock += p.d.between(20, 120) * millis
}

// tune watches a live object while it is on the air.
func (p *playing) tune() {
	o, d := p.o, p.d
	on := o.onAir((p.clock - p.start) / second)
	if on == nil {
		return
	}
	air := p.start + on.from*second
	end := min(p.start+on.to*second, p.clock+int64(d.typical(13*60)*float64(second)))
	i := max(0, (p.clock-air)/micros*o.segDen/(o.segNum*1_000_000)-3)
	p.seek(i)
	for ; air+o.boundary(i)*micros < end; i++ {
		if at := air + o.boundary(i+1)*micros; p.clock < at {
			p.clock = at + d.between(100, 1500)*millis // a segment is there when it is over
		}
		if i%4 == 0 {
			e := p.base
			e.Track, e.Bytes = "manifest", d.about(1500, 0.2)
			p.send(e)
			p.clock += 30 * millis
		}
		p.video(i)
		p.sound(o.boundary(i + 1))
		if d.chance(0.002) {
			p.node = neighbour(p.node)
		}
	}
}

// neighbour is another node of the region, or the same where it has only one.
func neighbour(n int) int {
	for i := range nodes {
		if i != n && nodes[i].Region == nodes[n].Region {
			return i
		}
	}
	return n
}
