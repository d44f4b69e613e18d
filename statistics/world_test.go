package statistics

import (
	"bytes"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/playmeter/playmeter/accounting"
	"github.com/playmeter/playmeter/bucket"
	"github.com/playmeter/playmeter/schemas"
)

var buckets atomic.Int64

func nextBucket() int64 { return buckets.Add(1) }

var october = schemas.PeriodOf(time.Date(2026, 10, 1, 0, 0, 0, 0, time.UTC))

// A world invents finished sessions. The same seed invents the same ones.
type world struct {
	*rand.Rand
	period  schemas.Period
	streams []string
	people  int
	hostile []string // texts that come up here and there
}

func newWorld(seed uint64) *world {
	w := &world{Rand: rand.New(rand.NewPCG(seed, 7)), period: october, people: 40}
	for i := range 12 {
		w.streams = append(w.streams, fmt.Sprintf("iq__%02d", i))
	}
	return w
}

// text is one of some names, or hostile.
func (w *world) text(names ...string) []byte {
	if len(w.hostile) > 0 && w.IntN(20) == 0 {
		return []byte(w.hostile[w.IntN(len(w.hostile))])
	}
	return []byte(names[w.IntN(len(names))])
}

// session invents one that begins on a day of the month, counted from 0.
func (w *world) session(day int) schemas.Session {
	person, node := w.IntN(w.people), w.IntN(5)
	start := w.period.Start().AddDate(0, 0, day).UnixNano() + w.Int64N(24*3600*1e9)
	if w.IntN(3) == 0 {
		start -= start % 1e9 // some begin at the same instant
	}
	s := schemas.Session{
		SessionID: fmt.Appendf(nil, "s%x", w.Uint64()), Object: w.text(w.streams...), Start: start, End: start + w.Int64N(2*3600*1e9),
		Begun: w.IntN(30) > 0, Live: w.IntN(4) == 0, HasVideo: w.IntN(6) > 0, Reported: w.IntN(9) == 0,
		Requests: 1 + w.Int64N(50), Errors: w.Int64N(3), Duration: schemas.None, Percent: schemas.None,
	}
	w.Fill(s.Key[:])
	w.who(&s, person)
	w.where(&s, node)
	w.spoil(&s)
	w.lookUp(&s)
	w.renditions(&s)
	w.shares(&s, node)
	return s
}

// Fill fills b with random bytes.
func (w *world) Fill(b []byte) {
	for i := range b {
		b[i] = byte(w.Uint32())
	}
}

func (w *world) who(s *schemas.Session, person int) {
	address := fmt.Sprintf("203.0.113.%d", person)
	if person%5 == 0 {
		address = fmt.Sprintf("2001:db8:%x::%x", person%3, person)
	}
	if person%11 == 0 {
		address = ""
	}
	s.Fields[schemas.FieldClientIP] = []byte(address)
	s.Fields[schemas.FieldUserAgent] = w.text(fmt.Sprintf("Agent/%d (Like, others)", person%7))
	if person%3 == 0 {
		s.Fields[schemas.FieldUser] = fmt.Appendf(nil, "user-%d", person)
	} else if person%4 == 0 {
		s.Fields[schemas.FieldAuthEmail] = fmt.Appendf(nil, "p%d@example.com", person)
	}
	s.Fields[schemas.FieldReferrer] = w.text("", "https://example.com/", "https://example.org/watch?v=1", "-")
	s.Fields[schemas.FieldClientCountry] = [][]byte{nil, []byte("DE"), []byte("FR")}[person%3]
	s.Fields[schemas.FieldClientRegion] = [][]byte{nil, []byte("Hesse"), []byte("Brittany")}[person%3]
	s.Fields[schemas.FieldClientCity] = [][]byte{nil, []byte("Kassel"), []byte("Brest")}[person%3]
}

// spoil puts hostile texts here and there.
func (w *world) spoil(s *schemas.Session) {
	for i := range s.Fields {
		if len(w.hostile) > 0 && w.IntN(6) == 0 {
			s.Fields[i] = w.text("")
			if w.IntN(2) == 0 {
				s.Fields[i] = []byte(w.hostile[w.IntN(len(w.hostile))])
			}
		}
	}
}

// lookUp gives a session what is looked up by what it has: by its object, and by its user agent.
func (w *world) lookUp(s *schemas.Session) {
	by := func(text []byte, names ...string) []byte {
		h := fnv.New32a()
		_, _ = h.Write(text)
		return []byte(names[int(h.Sum32())%len(names)])
	}
	s.Title = by(s.Object, append([]string{"", "", "A title", "Another, with a comma", "=SUM(A1)"}, w.hostile...)...)
	agent := s.Fields[schemas.FieldUserAgent]
	s.Platform, s.OS = by(agent, "", "phone", "tv", "desktop"), by(agent, "", "iOS", "Android", "Tizen", "webOS")
}

func (w *world) where(s *schemas.Session, node int) {
	s.Fields[schemas.FieldNode] = fmt.Appendf(nil, "inod%d", node)
	if w.IntN(4) > 0 {
		s.Fields[schemas.FieldNodeHost] = fmt.Appendf(nil, "edge-%d.example.com", node)
		s.Fields[schemas.FieldNodeIP] = fmt.Appendf(nil, "192.0.2.%d", node)
	}
	s.Fields[schemas.FieldNodeRegion] = [][]byte{nil, []byte("eu-west"), []byte("us-east")}[node%3]
	s.Fields[schemas.FieldProtocol] = w.text("", "hls", "dash", "rtmp")
}

func (w *world) renditions(s *schemas.Session) {
	for _, size := range [][2]int32{{3840, 2160}, {1920, 1080}, {1080, 1920}, {640, 360}, {0, 0}} {
		if !s.HasVideo || w.IntN(3) > 0 {
			continue
		}
		r := schemas.Rendition{DRM: w.IntN(2) == 0, Width: size[0], Height: size[1], Micros: w.Int64N(1e10)}
		s.Renditions = append(s.Renditions, r)
		s.Video.Add(r.Micros)
	}
	if w.IntN(2) == 0 || !s.HasVideo && w.IntN(8) > 0 {
		r := schemas.Rendition{Audio: true, DRM: w.IntN(2) == 0, Micros: w.Int64N(1e10)}
		s.Renditions = append(s.Renditions, r)
		s.Audio.Add(r.Micros)
	}
	s.Bytes = sumOf(w.Int64N(4e9))
}

// shares gives a session to its node alone, or parts of it to others.
func (w *world) shares(s *schemas.Session, node int) {
	number := func(s schemas.Sum) int64 { return s.Big().Int64() }
	all := schemas.Share{Node: s.Fields[schemas.FieldNode], Requests: s.Requests, Bytes: number(s.Bytes), Video: number(s.Video), Audio: number(s.Audio)}
	if w.IntN(4) > 0 {
		s.Shares = []schemas.Share{all}
		return
	}
	other := schemas.Share{Node: fmt.Appendf(nil, "inod%d", (node+1)%6), Requests: 1, Bytes: all.Bytes / 2, Video: all.Video / 2, Audio: all.Audio / 2}
	all.Bytes, all.Video, all.Audio = all.Bytes-other.Bytes, all.Video-other.Video, all.Audio-other.Audio
	s.Shares = []schemas.Share{all, other}
}

func sumOf(n int64) (s schemas.Sum) {
	s.Add(n)
	return s
}

// days invents so many sessions on each of the first days of the month.
func (w *world) days(n ...int) map[int][]schemas.Session {
	out := map[int][]schemas.Session{}
	for day, count := range n {
		for range count {
			s := w.session(day)
			if before := out[day]; len(before) > 0 && w.IntN(3) == 0 {
				alike(&s, &before[w.IntN(len(before))])
			}
			out[day] = append(out[day], s)
		}
		slices.SortFunc(out[day], func(a, b schemas.Session) int { return schemas.CompareSessions(&a, &b) })
	}
	return out
}

// alike makes a session like another one, as the tab of unique sessions sees it.
func alike(s, other *schemas.Session) {
	s.Object, s.Title, s.Platform, s.OS = other.Object, other.Title, other.Platform, other.OS
	for _, f := range []schemas.Field{schemas.FieldClientIP, schemas.FieldProtocol, schemas.FieldUser, schemas.FieldAuthIdentity, schemas.FieldAuthAddr,
		schemas.FieldAuthEmail, schemas.FieldReferrer, schemas.FieldUserAgent, schemas.FieldClientCountry, schemas.FieldClientRegion, schemas.FieldClientCity} {
		s.Fields[f] = other.Fields[f]
	}
}

// commits writes commits of a tenant's month into a metering bucket.
type commits struct {
	t      testing.TB
	bucket *bucket.Bucket
	tenant schemas.Tenant
	period schemas.Period
	number int64
	rules  accounting.Rules
}

// commit stores sessions by day, counted from 0, at most so many an object, and commits them.
func (c *commits) commit(days map[int][]schemas.Session, objectRows int) *schemas.Commit {
	c.t.Helper()
	commit := c.begin()
	for day := range 31 {
		c.add(commit, day, days[day], objectRows)
	}
	c.end(commit)
	return commit
}

// begin begins the next commit.
func (c *commits) begin() *schemas.Commit {
	c.number++
	commit := &schemas.Commit{Schema: schemas.CommitSchema, Tenant: c.tenant, Period: c.period, Number: c.number, Parent: c.number - 1}
	commit.Run = schemas.RunRef{Run: fmt.Sprintf("2026-11-01T00-00-%02dZ", c.number), AsOf: "2026-11-01T00:00:00Z", State: "open"}
	commit.Current = commit.Run
	if c.rules == (accounting.Rules{}) {
		c.rules = accounting.DefaultRules()
	}
	commit.Rules, _ = json.Marshal(c.rules)
	return commit
}

// add stores the sessions of a day.
func (c *commits) add(commit *schemas.Commit, day int, rows []schemas.Session, objectRows int) {
	c.t.Helper()
	part := 0
	for rows := range slices.Chunk(rows, objectRows) {
		part++
		commit.Sessions = append(commit.Sessions, c.store(day, part, rows))
		commit.SessionRows += int64(len(rows))
	}
}

// end commits.
func (c *commits) end(commit *schemas.Commit) {
	c.t.Helper()
	body, err := json.Marshal(commit)
	if err != nil {
		c.t.Fatal(err)
	}
	if _, err := c.bucket.Create(c.t.Context(), schemas.CommitName(c.tenant, c.period, c.number), body); err != nil {
		c.t.Fatal(err)
	}
}

func (c *commits) store(day, part int, rows []schemas.Session) schemas.SessionObject {
	c.t.Helper()
	var file bytes.Buffer
	w := schemas.NewSessionFileWriter(&file)
	for i := range rows {
		if err := w.Write(&rows[i]); err != nil {
			c.t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		c.t.Fatal(err)
	}
	d := schemas.DayOf(c.period.Start().AddDate(0, 0, day).UnixNano())
	name := schemas.SessionsName(c.tenant, c.period, d, part, fmt.Sprintf("%032x", c.number), fmt.Sprint("run", c.number))
	if _, err := c.bucket.PutBytes(c.t.Context(), name, file.Bytes()); err != nil {
		c.t.Fatal(err)
	}
	return schemas.SessionObject{Day: d.String(), Name: name, Rows: int64(len(rows))}
}
