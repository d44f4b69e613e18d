package sample

import "fmt"

// visit is everything but playing that a visitor does: reading public
// metadata, fetching images, sometimes downloading.
func (s *stage) visit(d dice, b, hour int) int {
	o := s.something(d, b, hour)
	if d.chance(0.12) { // the poked ones are only ever read about
		o = pick(d, s.objects[b])
	}
	if !o.there(hour) || o.usage == idle {
		return 0
	}
	v := s.someone(d, b, hour)
	biz := businesses[b]
	e := event{
		Tenant: biz.ID, Object: o.id, Library: biz.Library, Version: o.version, Time: s.at(d, hour), Status: 200,
		ClientIP: v.ip, UserAgent: v.agent, Referrer: biz.site + "/",
		ClientCountry: v.city.country, ClientRegion: v.city.region, ClientCity: v.city.name,
	}
	if d.chance(0.1) {
		e.UserAgent, e.Referrer = pick(d, machines), ""
	}
	n := s.request(d, v, e, "public_download", d.about(5200, 0.6))
	if o.usage == poked {
		return n
	}
	for range d.IntN(4) {
		e.Time += d.between(40, 900) * millis
		n += s.request(d, v, e, "rep", d.about(64_000, 0.8))
	}
	e.AuthIdentity, e.AuthAddr, e.AuthEmail, e.User, e.Token = v.identity, v.addr, v.email, v.user, v.token
	if d.chance(0.06) {
		e.Time += d.between(2000, 9000) * millis
		n += s.request(d, v, e, "data_download", d.between(1<<20, 1<<30))
	}
	if d.chance(0.03) {
		e.Time += d.between(500, 9000) * millis
		n += s.request(d, v, e, "data_download", d.about(12_000, 0.5))
	}
	return n
}

// request sends one event that is no playout, and some of them fail.
func (s *stage) request(d dice, v viewer, e event, kind string, bytes int64) int {
	e.Kind, e.Bytes = kind, bytes
	switch x := d.Float64(); {
	case x < 0.006:
		e.Status, e.Bytes = 404, 212
	case x < 0.009:
		e.Status, e.Bytes = 403, 318
	case x < 0.011:
		e.Status, e.Bytes = 499, bytes/3
	case x < 0.012:
		e.Status, e.Bytes = 500, 154
	}
	s.put(v.city.node, &e)
	return 1
}

// publish is what the tenants themselves do in an hour: the ingest of objects
// that are new, and the odd change of the others.
func (s *stage) publish(d dice, b, hour int) int {
	made := 0
	for _, o := range s.objects[b] {
		switch {
		case o.added == hour:
			made += s.ingest(d, o, hour)
		case o.there(hour) && o.usage == played && o.live == nil && d.chance(0.00025):
			made += s.change(d, o, hour)
		}
	}
	return made
}

// pairs are what comes in and what is made of it.
var pairs = []struct{ source, codec string }{{"prores", "h265"}, {"prores", "h264"}, {"mpeg2video", "h264"}, {"h264", "h264"}, {"dnxhd", "av1"}}

// ingest transcodes an object: a call that starts the work, minutes of media
// per event for every rendition and for the sound, and the publishing.
func (s *stage) ingest(d dice, o *object, hour int) int {
	e := s.publisher(d, o, hour)
	made := s.step(&e, "media", d.about(3000, 0.4), 0)
	pair := pairs[(o.index/13)%len(pairs)]
	for _, r := range []rendition{o.ladder[0], o.ladder[len(o.ladder)/2], o.ladder[len(o.ladder)-1]} {
		e.Track, e.Codec, e.SourceCodec, e.Width, e.Height = "video", pair.codec, pair.source, r.width, r.height
		e.SourceWidth, e.SourceHeight = o.ladder[len(o.ladder)-1].width, o.ladder[len(o.ladder)-1].height
		made += s.pieces(&e, o, r.kbps)
	}
	e.Track, e.Codec, e.SourceCodec, e.Width, e.Height, e.SourceWidth, e.SourceHeight = "audio", "aac", "pcm_s24le", 0, 0, 0, 0
	made += s.pieces(&e, o, 128)
	if o.index%2 == 1 {
		e.Codec = "ac3"
		made += s.pieces(&e, o, 384)
	}
	e.Track, e.Codec, e.SourceCodec = "", "", ""
	made += s.step(&e, "media", d.about(900, 0.4), 0)
	return made + s.step(&e, "update", d.about(700, 0.4), 0)
}

// pieces ingests the whole object in pieces of ten minutes.
func (s *stage) pieces(e *event, o *object, kbps int64) int {
	const piece = 600_000_000
	made := 0
	for at := int64(0); at < o.duration; at += piece {
		length := min(piece, o.duration-at)
		made += s.step(e, "ingest", kbps*length/8000, length)
	}
	return made
}

// change is an object that is touched up: some calls, files, and a publish.
func (s *stage) change(d dice, o *object, hour int) int {
	e := s.publisher(d, o, hour)
	made := 0
	for range d.IntN(3) {
		made += s.step(&e, "media", d.about(2500, 0.4), 0)
	}
	if d.chance(0.5) {
		made += s.step(&e, "data_download", d.between(1<<16, 1<<27), 0)
	}
	return made + s.step(&e, "update", d.about(700, 0.4), 0)
}

// publisher is an event of a tenant's own servers.
func (s *stage) publisher(d dice, o *object, hour int) event {
	biz := businesses[o.business]
	return event{
		Tenant: biz.ID, Object: o.id, Library: biz.Library, Version: o.version, Time: s.at(d, hour), Status: 200,
		ClientIP: fmt.Sprintf("192.0.2.%d", 201+o.business), UserAgent: pick(d, encoders), AuthIdentity: "publisher@" + biz.site[len("https://"):],
	}
}

// step sends an event and moves its time on.
func (s *stage) step(e *event, kind string, bytes, duration int64) int {
	e.Kind, e.Bytes, e.Duration = kind, bytes, duration
	s.put(publishNode(e.Tenant), e)
	e.Time += 2*second + duration/20*micros
	return 1
}

// publishNode is the node that a tenant publishes to.
func publishNode(tenant string) int {
	for b, biz := range businesses {
		if biz.ID == tenant {
			return [3]int{0, 3, 1}[b]
		}
	}
	return 0
}

// reported is a view of the camera, whose server meters whole sessions: it
// opens, is reported while it runs, and is closed (SPEC 5.2).
func (s *stage) reported(d dice, hour int) int {
	all := s.objects[1]
	o := all[len(all)-1]
	v := s.someone(d, 1, hour)
	biz := businesses[1]
	opened := s.at(d, hour)
	length := int64(d.typical(900))*second + 8*second
	e := event{
		Tenant: biz.ID, Kind: "session", Object: o.id, Library: biz.Library, Status: 200, Live: true, OpenedAt: opened,
		Session:  fmt.Sprintf("%08x%016x", uint32(opened/second), d.Uint64()),
		Protocol: pick(d, []string{"rtmp", "webrtc", "hls"}), ClientIP: v.ip, UserAgent: v.agent, AuthAddr: v.addr, Token: v.token,
		ClientCountry: v.city.country, ClientRegion: v.city.region, ClientCity: v.city.name,
	}
	made := 0
	for at := 5 * second; at < length; at += 120 * second {
		made += s.report(v.city.node, e, opened+at, at)
	}
	e.ClosedAt = opened + length
	return made + s.report(v.city.node, e, opened+length, length)
}

// report sends what a session has come to so far: 1.5 Mbit/s.
func (s *stage) report(node int, e event, now, length int64) int {
	e.Time, e.Duration, e.Bytes = now, length/micros, length/micros*1_500/8000
	s.put(node, &e)
	return 1
}
