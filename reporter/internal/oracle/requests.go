package oracle

import (
	"fmt"
	"strings"
)

// requests are a few events of the kinds that are no playout.
func (g *generator) requests(h *house) {
	o := pick(g, h.objects)
	kinds := []string{"data_download", "public_download", "media", "update", "rep", "public_download"}
	if g.chance(20) { // an object that has public reads only
		o = &object{id: fmt.Sprintf("iq__poked%d", g.IntN(9)), library: "ilibPoked"}
		kinds = []string{"public_download"}
	}
	t := g.moment()
	for range 1 + g.IntN(12) {
		r := g.base(h, o, pick(g, kinds), t)
		r.set(nBytes, g.Int64N(1<<uint(g.IntN(40))))
		if g.chance(50) {
			r.text[cAgent], r.text[cIP] = pick(g, agents), pick(g, addresses)
		}
		switch g.IntN(20) {
		case 0:
			r.set(nStatus, 499)
		case 1:
			r.set(nStatus, pick(g, []int64{404, 416, 500, 599}))
		case 2:
			r.unset(nBytes)
		case 3:
			r.set(nBytes, 1<<50) // the most there may be
		}
		g.emit(r)
		t += g.Int64N(3 * hour)
	}
}

// ingests are uploads: codec pairs in all sizes, audio, other tracks.
func (g *generator) ingests(h *house) {
	o, t := pick(g, h.objects), g.moment()
	for range 1 + g.IntN(8) {
		r := g.base(h, o, "ingest", t)
		s := pick(g, sizes)
		r.text[cSourceCodec], r.text[cCodec] = pick(g, videoCodecs[:1+g.IntN(len(videoCodecs))]), pick(g, videoCodecs[:1+g.IntN(4)])
		r.set(nDuration, g.Int64N(3600*1_000_000))
		r.set(nBytes, g.Int64N(1<<30))
		r.text[cTrack] = pick(g, []string{"", "", "video", "muxed", "audio", "text", "init"})
		if g.chance(75) {
			r.set(nWidth, s.width)
			r.set(nHeight, s.height)
		}
		if s := pick(g, sizes); g.chance(75) {
			r.set(nSourceWidth, s.width)
			r.set(nSourceHeight, s.height)
		}
		switch g.IntN(20) {
		case 0:
			r.set(nWidth, 0)
		case 1:
			r.unset(nSourceHeight)
		case 2:
			r.set(nStatus, 499)
			r.text[cCodec] = "gaveup"
		case 3:
			r.set(nStatus, 507)
			r.text[cCodec] = "failed"
		case 4:
			r.set(nDuration, 0)
			r.text[cCodec] = "zero"
		}
		if r.text[cTrack] == "audio" || r.text[cTrack] == "" && !r.given(nWidth) {
			r.text[cCodec] = pick(g, audioCodecs)
		}
		g.emit(r)
		t += g.Int64N(minute)
	}
}

// reported is a session that its server tells of in cumulative records: out
// of order, repeated, over the edges of the month, perhaps with playout too.
func (g *generator) reported(h *house) {
	o, v := pick(g, h.objects), g.newViewer()
	if g.chance(25) {
		v.session = ""
		v.token = fmt.Sprintf("reported%d", g.serial)
	}
	opened := g.moment()
	switch g.IntN(5) {
	case 0: // opened before the month, over in it
		opened = monthStart - g.Int64N(4*hour)
	case 1:
		opened = monthEnd - g.Int64N(3*hour)
	}
	opened -= opened % 1_000_000
	at := pick(g, g.nodes)
	s := pick(g, sizes)
	track := pick(g, []string{"", "", "video", "muxed", "audio", "text"})
	t, bytes, micros := opened, int64(0), int64(0)
	rows := 1 + g.IntN(6)
	for i := range rows {
		t += g.Int64N(hour)
		if g.chance(5) {
			t += g.Int64N(45 * day) // more than is looked back, at times
		}
		if g.chance(40) {
			t -= t % 1_000_000
		}
		bytes += g.Int64N(1 << 28)
		micros += g.Int64N(3600 * 1_000_000)
		if g.chance(3) {
			bytes, micros = bytes/2, micros/3 // a server that counted anew
		}
		r := g.base(h, o, "session", t)
		g.at(&r, at)
		v.dress(&r)
		r.text[cTrack] = track
		r.set(nBytes, bytes)
		r.set(nDuration, micros)
		if g.chance(85) {
			r.set(nWidth, s.width)
			r.set(nHeight, s.height)
		}
		if g.chance(70) {
			r.set(nOpened, opened)
		}
		if i == rows-1 && g.chance(60) {
			r.set(nClosed, t-t%1_000_000+[]int64{0, -1000_000_000, 5000_000_000, -40 * day}[g.IntN(4)])
		}
		if g.chance(3) {
			r.set(nOpened, t-t%1_000_000+second) // after the record itself
		}
		if g.chance(3) {
			r.set(nStatus, 500)
		}
		g.emit(r)
		g.rivals(r)
	}
	g.alongside(h, o, v, opened, t)
}

// rivals are records of the same instant: one with fewer bytes, one with fewer
// seconds, one that is equal but for its number.
func (g *generator) rivals(r row) {
	if !g.chance(15) {
		return
	}
	r.unset(nSeq)
	r.text[cEventID] = ""
	equal, lesser, shorter := r, r, r
	lesser.set(nBytes, r.number[nBytes]/2)
	lesser.set(nDuration, r.number[nDuration]*2)
	lesser.text[cReferrer] = "https://lesser.example/"
	shorter.set(nDuration, r.number[nDuration]/2)
	shorter.text[cReferrer] = "https://shorter.example/"
	for _, c := range []row{lesser, equal, shorter} {
		if c.number[nBytes] == r.number[nBytes] && c.number[nDuration] == r.number[nDuration] {
			c = r
		}
		if c.number[nDuration] <= 31*24*3600*1_000_000 {
			g.emit(c)
		}
	}
}

// alongside adds playout under the key of a reported session: good requests,
// which replace its records, or errors, which are added to it.
func (g *generator) alongside(h *house, o *object, v viewer, from, to int64) {
	var status []int64
	switch g.IntN(8) {
	case 0:
		status = []int64{500, 404}
	case 1:
		status = []int64{404, 200, 200}
	case 2:
		status = []int64{499}
	}
	for i, s := range status {
		t := from + g.Int64N(to-from+1)
		g.plain(h, o, v, t-t%1_000_000, s, int64(i))
	}
}

// rejections are rows for every reason of R22, a few of each.
func (g *generator) rejections() {
	nothing := func(*row) {}
	for _, spoil := range []func(*row){
		func(r *row) { r.line = `{"node_id": "inod1", "seq": 1` },
		func(r *row) { r.line = `[1, 2, 3]` },
		func(r *row) { r.line = "not json at all" },
		func(r *row) { r.text[cTenant] = "" },
		func(r *row) { r.text[cTenant] = "-no" },
		func(r *row) { r.text[cTenant] = "t/../x" },
		func(r *row) { r.text[cTenant] = strings.Repeat("a", 65) },
		func(r *row) { r.bad = &badCell{nTime, "yesterday"} },
		func(r *row) { r.bad = &badCell{nTime, "2026-13-01T00:00:00Z"} },
		func(r *row) { r.bad = &badCell{nTime, "2026-02-30T00:00:00Z"} },
		func(r *row) { r.set(nTime, monthStart-31*365*day) },
		func(r *row) { r.set(nTime, 946684800*second-1_000_000) }, // just before 2000
		func(r *row) { r.set(nTime, 4102444800*second) },          // 2100
		func(r *row) { r.set(nTime, 946684800*second) },
		func(r *row) { r.bad = &badCell{nBytes, "12x"} },
		func(r *row) { r.bad = &badCell{nBytes, "18446744073709551615"} },
		func(r *row) { r.bad = &badCell{nSeq, "9223372036854775808"} },
		func(r *row) { r.bad = &badCell{nWidth, "4294967296"} },
		func(r *row) { r.bad = &badCell{nSegment, "-2147483649"} },
		func(r *row) { r.bad = &badCell{nStatus, "OK"} },
		func(r *row) { r.bad = &badCell{nDRM, "maybe"} },
		func(r *row) { r.bad = &badCell{nDuration, "2.002"} },
		func(r *row) { r.bad = &badCell{nOpened, "soon"} },
		func(r *row) { r.text[cNode] = "" },
		func(r *row) { r.text[cKind] = "teleport" },
		func(r *row) { r.text[cKind] = "" },
		func(r *row) { r.text[cTrack] = "smell" },
		func(r *row) { r.text[cObject], r.text[cHash] = "", "" },
		func(r *row) { r.text[cObject], r.text[cHash] = "", "v1.2.3" },
		func(r *row) { r.text[cObject], r.text[cHash] = "", "hq__0OIl" },
		func(r *row) { r.text[cObject], r.text[cHash] = "", "hq__"+base58(make([]byte, 20)) },
		func(r *row) { r.text[cObject] = strings.Repeat("y", 1025) },
		func(r *row) { r.text[cSession] = strings.Repeat("é", 513) },
		func(r *row) { r.text[cNode] = strings.Repeat("n", 1025) },
		func(r *row) { r.text[cObject] = r.text[cTenant] },
		func(r *row) { r.set(nBytes, -1) },
		func(r *row) { r.set(nDuration, -1) },
		func(r *row) { r.set(nStatus, -200) },
		func(r *row) { r.set(nWidth, -1) },
		func(r *row) { r.set(nSourceHeight, -1) },
		func(r *row) { r.set(nSegment, -1) },
		func(r *row) { r.set(nSeq, -1) },
		func(r *row) { r.set(nBytes, 1<<50+1) },
		func(r *row) { r.set(nDuration, 31*24*3600*1_000_000+1) },
		func(r *row) { r.set(nBytes, -1); r.text[cNode] = "" },     // the earlier reason counts
		func(r *row) { r.set(nBytes, 1<<51); r.set(nSegment, -1) }, // likewise
		func(r *row) { r.set(nBytes, 1<<50) },                      // not rejected
		nothing,
	} {
		h := g.anyHouse()
		v := g.newViewer()
		t := g.moment()
		r := g.base(h, pick(g, h.objects), pick(g, []string{"playout", "rep", "ingest"}), t-t%1_000_000)
		v.dress(&r)
		r.set(nBytes, 77)
		if g.chance(50) {
			g.number(&r)
		}
		spoil(&r)
		if r.bad != nil {
			r.unset(r.bad.column)
			if r.bad.column == nTime {
				r.number[nTime] = 0
			}
		}
		g.add(group{r})
	}
}
