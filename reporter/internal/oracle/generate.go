package oracle

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"time"
)

const (
	second = int64(time.Second)
	minute = int64(time.Minute)
	hour   = int64(time.Hour)
	day    = 24 * hour
)

// Generate writes a world of about this many events into dir: the same bytes
// of rows and files for the same seed and number. A world visits every edge of
// the rules from about 5,000 events on; sums pass 64 bits from 40,000 on (those
// of storage always do).
func Generate(dir string, seed uint64, events int) (*World, error) {
	g := &generator{
		Rand: rand.New(rand.NewPCG(seed, 0x506c61796d657465)),
		w: &World{
			Tenants: []Tenant{
				{"iten4Big", "Example Films, Ltd."}, {"acme.tv_2", `=The "Acme" Channel`}, {"iten4NoCatalog", "Kein Katalog"}, {"t", ""},
			},
			Geo: append([]Geo(nil), networks...),
		},
		hashes: map[string]string{},
	}
	for _, a := range agents {
		g.w.UserAgents = append(g.w.UserAgents, UA{Agent: a})
	}
	for i := range 9 {
		g.nodes = append(g.nodes, &node{
			id: fmt.Sprintf("inod%d", i), host: fmt.Sprintf("edge-%d.example.net", i), ip: fmt.Sprintf("198.51.100.%d", i+1),
			region: regions[i%len(regions)], seq: int64(g.IntN(1000)),
		})
	}
	g.nodes[3].id, g.nodes[4].host, g.nodes[5].ip, g.nodes[8].id = "=node", "", "", strings.Repeat("n", 1024)
	for i, t := range g.w.Tenants {
		g.houses = append(g.houses, g.newHouse(t.ID, i, []int{40, 16, 9, 3}[i]))
	}
	g.houses = append(g.houses, g.newHouse("itenStranger", 4, 2)) // usage, but not configured
	g.fill(events)
	g.w.groups = g.groups
	if err := g.writeCatalogs(dir); err != nil {
		return nil, err
	}
	return g.w, g.w.write(dir, g.Rand, min(20+events/7500, 60))
}

type generator struct {
	*rand.Rand
	w      *World
	nodes  []*node
	houses []*house
	hashes map[string]string
	groups []group
	count  int // rows so far
	serial int // for ids of sessions and events
}

// A node is a media server with a counter of its own.
type node struct {
	id, host, ip, region string
	seq                  int64
	lastSeq, lastTime    int64 // of its newest event, for counters that restart
}

// A house is a tenant with its objects.
type house struct {
	tenant  string
	objects []*object
	first   bool // the largest tenant
}

type object struct {
	id, library string
	hashes      []string // some objects have none
	segments    int64
	length      int64 // of a segment, microseconds
}

func (g *generator) chance(percent int) bool { return g.IntN(100) < percent }

func pick[T any](g *generator, from []T) T { return from[g.IntN(len(from))] }

// newHouse makes a tenant's objects: most with ids like the platform's own,
// one that every tenant has, and odd ones.
func (g *generator) newHouse(tenant string, index, objects int) *house {
	h := &house{tenant: tenant, first: index == 0}
	odd := []string{
		"iq__shared", "=1+2", "@at", "+4917012345678", "-dash", "film,1", `say "hi"`, "line\nbreak", "東京", "\ttab", "\rcr", "a b ",
		strings.Repeat("x", 1024), "'quote", "iq__", "Ünïcode", "iten4Big.", "session", "é", "e\u0301",
	}
	for i := range objects {
		raw := make([]byte, 8+g.IntN(12))
		for j := range raw {
			raw[j] = byte(g.IntN(256))
		}
		if i%7 == 3 {
			raw[0] = 0 // a leading "1"
		}
		o := &object{id: "iq__" + base58(raw), library: fmt.Sprintf("ilib%d", g.IntN(4)), segments: int64(5 + g.IntN(200)), length: pick(g, segmentLengths[:6])}
		for range 1 + g.IntN(3) {
			o.hashes = append(o.hashes, g.newHash(raw))
		}
		if i%2 == 1 && i/2 < len(odd) {
			o.id, o.hashes = odd[i/2], nil
		}
		if i%9 == 8 {
			o.library = pick(g, []string{"", "=lib", "-lib", "lib,x"})
		}
		h.objects = append(h.objects, o)
	}
	return h
}

// newHash makes a version hash for an object and notes what it stands for.
func (g *generator) newHash(raw []byte) string {
	var digest [32]byte
	for i := range digest {
		digest[i] = byte(g.IntN(256))
	}
	hash := versionHash(digest, g.Uint64()>>uint(g.IntN(64)), raw)
	g.w.Hashes = append(g.w.Hashes, Hash{hash, "iq__" + base58(raw)})
	g.hashes[hash] = "iq__" + base58(raw)
	return hash
}

// fill makes scenes until there are enough rows. The rare ones come round
// several times in a small world already.
func (g *generator) fill(events int) {
	g.straddles()
	g.rejections()
	if events >= 100_000 {
		g.huge(8_600, "playout")
	}
	if events >= 40_000 {
		g.huge(8_300, "data_download")
	}
	g.huge(5, "ingest")
	scenes := []struct {
		weight int
		play   func(*house)
	}{
		{52, g.viewing}, {10, g.anonymous}, {9, g.reported}, {8, g.requests}, {8, g.ingests}, {4, g.errorsOnly},
		{4, g.disagreement}, {1, func(*house) { g.rejections() }}, {1, func(*house) { g.straddles() }}, {3, g.noNumbers},
	}
	total := 0
	for _, s := range scenes {
		total += s.weight
	}
	for g.count < events {
		n := g.IntN(total)
		for _, s := range scenes {
			if n -= s.weight; n < 0 {
				s.play(g.anyHouse())
				break
			}
		}
	}
}

// anyHouse chooses a tenant; the first ones have most of the usage.
func (g *generator) anyHouse() *house {
	n := g.IntN(100)
	for i, below := range []int{60, 84, 94, 98} {
		if n < below {
			return g.houses[i]
		}
	}
	return g.houses[4]
}

// moment is a random time, most often in the month, sometimes close to its
// edges or to a midnight, sometimes in the months beside it.
func (g *generator) moment() int64 {
	var t int64
	switch n := g.IntN(100); {
	case n < 78:
		t = monthStart + g.Int64N(monthEnd-monthStart)
	case n < 84:
		t = monthStart - 3*hour + g.Int64N(6*hour)
	case n < 90:
		t = monthEnd - 3*hour + g.Int64N(4*hour)
	case n < 94:
		t = monthStart + day*g.Int64N(31) - g.Int64N(20*minute)
	case n < 98:
		t = monthStart - g.Int64N(40*day)
	default:
		t = monthEnd + g.Int64N(9*day)
	}
	switch n := g.IntN(100); {
	case n < 75:
		t -= t % int64(time.Millisecond)
	case n < 88:
		t -= t % int64(time.Microsecond)
	}
	return t
}

// base is a row of a tenant's object, with nothing in it that says who or how
// much.
func (g *generator) base(h *house, o *object, kind string, t int64) row {
	var r row
	r.text[cTenant], r.text[cKind], r.text[cObject], r.text[cLibrary] = h.tenant, kind, o.id, o.library
	if g.chance(15) {
		r.text[cLibrary] = ""
	} else if g.chance(3) {
		r.text[cLibrary] = "ilibOther"
	}
	g.name(&r, o)
	r.set(nTime, t)
	n := pick(g, g.nodes[:8])
	if g.chance(1) {
		n = g.nodes[8] // the one with the long id
	}
	g.at(&r, n)
	return r
}

// name gives the row a version hash, and sometimes takes the object id away
// or makes the two disagree.
func (g *generator) name(r *row, o *object) {
	if len(o.hashes) == 0 {
		if g.chance(10) {
			r.text[cHash] = pick(g, []string{"hq__not0base58", "v1", "=v2", "hq__"})
		}
		return
	}
	if g.chance(80) {
		r.text[cHash] = pick(g, o.hashes)
		if g.chance(25) {
			r.text[cObject] = ""
		} else if g.chance(2) {
			r.text[cHash] = pick(g, g.w.Hashes).Hash
		}
	}
}

// at says that the node saw the row.
func (g *generator) at(r *row, n *node) {
	r.text[cNode], r.text[cHost], r.text[cNodeIP], r.text[cNodeRegion] = n.id, n.host, n.ip, n.region
	if g.chance(3) {
		r.text[cHost] = ""
	}
}

// emit numbers the row by its node's counter or with an id, or not at all, and
// now and then adds copies of it.
func (g *generator) emit(r row) {
	g.number(&r)
	if g.chance(3) && r.bad == nil {
		g.emitCopies(r)
		return
	}
	g.add(group{r})
}

func (g *generator) number(r *row) {
	var n *node
	for _, c := range g.nodes {
		if c.id == r.text[cNode] {
			n = c
		}
	}
	switch p := g.IntN(100); {
	case n == nil:
	case p < 78:
		if t := r.number[nTime]; g.chance(1) && n.lastTime != t && n.lastSeq > 0 {
			r.set(nSeq, n.lastSeq) // the counter was reset: another event
			n.lastSeq = 0
		} else {
			n.seq++
			r.set(nSeq, n.seq)
			n.lastSeq, n.lastTime = n.seq, t
			if g.chance(1) {
				n.seq += int64(g.IntN(5)) // a loss
			}
		}
		if g.chance(30) {
			r.text[cEventID] = pick(g, []string{"same", fmt.Sprintf("ev-%x", g.serial)})
		}
	case p < 92:
		g.serial++
		r.text[cEventID] = fmt.Sprintf("ev-%x", g.serial)
	}
}

// emitCopies adds one to three copies of the row. A session record's copies
// are equal; others may differ, and the first one counts. Copies of a row
// without number and id all count.
func (g *generator) emitCopies(r row) {
	all := group{r}
	for range 1 + g.IntN(3) {
		c := r
		if r.text[cKind] != "session" && g.chance(30) {
			switch g.IntN(6) {
			case 0:
				c.set(nBytes, int64(g.IntN(1e6)))
			case 1:
				c.set(nStatus, 503)
			case 2:
				c.text[cKind] = "update"
			case 3:
				c.text[cReferrer] = "https://copy.example/"
			case 4:
				c.text[cObject] = "iq__onlyInCopies"
			case 5:
				c.set(nBytes, -1) // rejected, so the copy after it counts if it is the first
				if g.chance(50) {
					all = append(group{c}, all...)
					continue
				}
			}
		}
		all = append(all, c)
	}
	g.add(all)
}

func (g *generator) add(rows group) {
	g.groups = append(g.groups, rows)
	g.count += len(rows)
}
