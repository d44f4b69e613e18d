package reporter

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/playmeter/playmeter/accounting"
	"github.com/playmeter/playmeter/schemas"
)

// chance draws histories. Copies that differ and files that nobody can read again do not meet in
// one history: which row counts is then what was counted before.
type chance struct {
	*rand.Rand
	h       history
	log     []eventRow
	puts    []int // steps that put files
	differ  bool  // copies may say something else
	config  siteConfig
	at      int // of moments
	process int
	serial  int64
}

func pick[T any](r *chance, of ...T) T { return of[r.IntN(len(of))] }

func (r *chance) one(in int) bool { return r.IntN(in) == 0 }

var november, september = october.Next(), october.Previous()

func day(text string) time.Time {
	t, err := time.Parse("2006-01-02T15:04:05", text)
	if err != nil {
		panic(err)
	}
	return t
}

// moments are the instants that runs speak for, in order.
var moments = []time.Time{day("2026-10-05T10:20:00"), day("2026-10-05T11:00:00"), day("2026-10-06T00:00:00"), day("2026-10-12T04:10:05"), day("2026-10-20T00:00:00"),
	day("2026-11-01T00:00:00"), day("2026-11-01T00:31:00"), day("2026-11-02T00:00:00"), day("2026-11-03T23:59:59"), day("2026-11-04T00:00:00"), day("2026-11-04T20:00:00"),
	day("2026-11-05T00:00:00"), day("2026-11-06T12:00:00"), day("2026-11-08T00:00:00"), day("2026-11-20T09:00:00"), day("2026-12-02T00:00:00"), day("2026-12-04T00:00:00"),
	day("2026-12-06T00:00:00"), day("2026-12-09T00:00:00"), day("2027-01-20T00:00:00")}

// slots are where events lie: most in October, some around its ends.
var slots = []time.Time{day("2026-10-05T10:00:00"), day("2026-10-05T10:00:00"), day("2026-10-05T11:00:00"), day("2026-10-12T03:30:00"), day("2026-09-30T23:20:00"),
	day("2026-10-01T00:00:00"), day("2026-10-31T23:20:00"), day("2026-11-01T00:00:00"), day("2026-11-10T05:00:00"), day("2026-09-12T07:00:00")}

var usual = accounting.Idle{WithID: 3 * time.Hour, WithoutID: 20 * time.Minute}

// randomHistory is the history of a seed.
func randomHistory(seed uint64) *history {
	r := &chance{Rand: rand.New(rand.NewPCG(seed, 11)), h: history{seed: seed}}
	r.differ = r.one(3)
	r.h.ticks = !r.one(4)
	r.h.limits = Restate{pick(r, 24*time.Hour, 24*time.Hour, time.Hour, 60*time.Hour), pick(r, 9600*time.Hour, 9600*time.Hour, 96*time.Hour, 500*time.Hour)}
	r.config = siteConfig{second: r.one(2), usage: true, sessions: true, idle: usual}
	r.h.steps = append(r.h.steps, step{op: "config", config: r.config})
	r.events(4 + r.IntN(24))
	for range 1 + r.IntN(3) {
		r.put()
	}
	r.at = r.IntN(len(moments) * 2 / 3)
	for n := 4 + r.IntN(9); n > 0; n-- {
		r.step()
	}
	r.run()
	return &r.h
}

func (r *chance) add(s step) { r.h.steps = append(r.h.steps, s) }

func (r *chance) step() {
	switch n := r.IntN(100); {
	case n < 32:
		r.run()
	case n < 58:
		r.put()
	case n < 64:
		r.snapshot()
	case n < 70:
		r.configure()
	case n < 75:
		r.race()
	case n < 80:
		r.add(step{op: "merge", choice: r.Uint64() % 1000, process: r.IntN(2)})
	case n < 83:
		r.add(step{op: "restart", process: r.IntN(2)})
	case n < 88:
		r.add(step{op: "withdraw", key: r.known()})
	case r.differ:
		r.put()
	case n < 95:
		r.add(step{op: "vanish", key: r.known()})
	default:
		r.add(step{op: "spoil", key: pick(r, "b.parquet", "d.parquet", "f.parquet")})
	}
}

// known is the key of a file that was put.
func (r *chance) known() string { return r.h.steps[pick(r, r.puts...)].key }

var modelKeys = []string{"a.ndjson", "b.parquet", "c.ndjson", "d.parquet", "e.ndjson", "f.parquet", "g.ndjson", "h.ndjson"}

// put puts a file: of what was logged, or of another file once more, whole or in part.
func (r *chance) put() {
	s := step{op: "put", key: pick(r, modelKeys...)}
	if len(r.puts) > 0 && r.one(2) {
		s.rows = slices.Clone(r.h.steps[pick(r, r.puts...)].rows)
		if len(s.rows) > 0 && r.one(2) {
			from := r.IntN(len(s.rows))
			s.rows = s.rows[from : from+1+r.IntN(len(s.rows)-from)]
		}
		for i := range s.rows {
			if r.differ && r.one(3) && s.rows[i].reason == "" {
				s.rows[i].Bytes = new(7 + r.Int64N(90))
			}
		}
	}
	if len(s.rows) == 0 || r.one(3) {
		for i := range r.log {
			if r.one(3) {
				s.rows = append(s.rows, r.log[i])
			}
		}
	}
	if len(s.rows) == 0 {
		s.rows = r.log[:1]
	}
	if r.one(5) {
		s.rows = append(slices.Clone(s.rows), s.rows[r.IntN(len(s.rows))])
	}
	r.puts = append(r.puts, len(r.h.steps))
	r.add(s)
}

func (r *chance) snapshot() {
	s := step{op: "snapshot", tenant: pick(r, schemas.Tenant("acme"), "acme", "bolt"),
		at: pick(r, day("2026-09-20T00:00:00"), day("2026-10-01T00:00:00"), day("2026-10-05T10:30:00"), day("2026-10-19T00:00:00"), day("2026-11-01T00:00:00"), day("2026-11-07T01:02:03"))}
	if !r.one(6) {
		for _, id := range []string{"film", "clip", "stored"} {
			if r.one(2) {
				s.holdings = append(s.holdings, holdingRow{id, pick(r, "", "The "+id), r.Int64N(5000), pick(r, 0, 3_000_000, r.Int64N(20_000_000))})
			}
		}
	}
	r.add(s)
}

func (r *chance) configure() {
	switch c := &r.config; r.IntN(6) {
	case 0:
		c.second = true
	case 1:
		c.usage, c.sessions = pick(r, true, true, false), pick(r, true, true, false)
	case 2:
		c.usage, c.sessions = true, true
	case 3:
		c.fabric = !c.fabric
	case 4:
		c.source = !c.source
	case 5:
		if r.differ { // a file that is gone stays split by the idle times it was counted under
			c.idle = pick(r, usual, accounting.Idle{WithID: time.Hour, WithoutID: 5 * time.Minute}, accounting.Idle{WithID: 24 * time.Hour, WithoutID: 30 * time.Minute})
		}
	}
	r.add(step{op: "config", config: r.config})
}

func (r *chance) runStep() runStep {
	if r.one(4) {
		r.process = r.IntN(2)
	}
	s := runStep{process: r.process, period: pick(r, october, october, october, october, november, september), asOf: moments[r.at], current: r.one(6)}
	if r.one(7) {
		s.asOf = moments[r.IntN(r.at+1)]
	}
	if r.one(4) {
		s.tenant = pick(r, schemas.Tenant("acme"), "acme", "bolt")
		if !r.config.second {
			s.tenant = "acme"
		}
	}
	r.at = min(r.at+pick(r, 0, 1, 1, 1, 2, 3, 5), len(moments)-1)
	return s
}

func (r *chance) run() { r.add(step{op: "run", runs: []runStep{r.runStep()}}) }

func (r *chance) race() {
	a := r.runStep()
	b := a
	if r.one(2) {
		b = r.runStep()
	}
	a.process, b.process = 0, 1
	b.period, b.current = a.period, a.current
	r.add(step{op: "race", runs: []runStep{a, b}})
}

// events fills the log: by node, in time, numbered as they come.
func (r *chance) events(n int) {
	for range n {
		r.log = append(r.log, r.event())
	}
	slices.SortStableFunc(r.log, func(a, b eventRow) int { return cmp.Compare(a.Time, b.Time) })
	seq := map[string]int64{"n1": r.Int64N(3), "n2": 100}
	reuse := r.one(6)
	for i := range r.log {
		e := &r.log[i]
		switch n := r.IntN(10); {
		case e.NodeID == "" || n == 0:
		case n < 3:
			e.EventID = fmt.Sprint("e", i%5)
		default:
			if reuse && r.one(4) {
				seq[e.NodeID] = max(0, seq[e.NodeID]-1-r.Int64N(2))
			}
			e.Seq = new(seq[e.NodeID])
			seq[e.NodeID]++
		}
	}
}

func (r *chance) event() eventRow {
	r.serial++
	at := pick(r, slots...).Add(time.Duration(r.IntN(39*60))*time.Second + pick(r, 0, 0, time.Duration(r.IntN(1e9))))
	e := eventRow{Event: schemas.Event{NodeID: pick(r, "n1", "n1", "n2"), Time: at.UnixNano(), TenantID: pick(r, "acme", "acme", "acme", "bolt", "bolt", "zeta"),
		Kind: pick(r, "playout", "playout", "playout", "playout", "session", "session", "ingest", "data_download", "public_download", "media", "update", "rep"), ObjectID: pick(r, "film", "film", "clip", "song"),
		Bytes: new(1000*r.serial + r.Int64N(1000))}}
	switch e.Kind {
	case "playout", "session":
		r.viewing(&e)
	case "ingest":
		e.Codec, e.SourceCodec, e.Track = pick(r, "h264", "hevc", "aac"), pick(r, "", "prores"), pick(r, "", "", "audio", "video", "text")
		e.DurationMicros = new(r.Int64N(9_000_000))
		r.size(&e)
		if r.one(2) {
			e.SourceWidth, e.SourceHeight = new(int32(3840)), new(int32(2160))
		}
	}
	if r.one(9) {
		e.Status = new(pick(r, int32(404), 503, 499, 206))
	}
	if r.one(6) {
		e.LibraryID = pick(r, "lib1", "lib2")
	}
	if r.one(10) {
		r.fault(&e)
	}
	return e
}

func (r *chance) viewing(e *eventRow) {
	e.SessionID = pick(r, "s1", "s1", "s2", "")
	if e.SessionID == "" || r.one(4) {
		e.ClientIP, e.Token = pick(r, "192.0.2.1", "192.0.2.2"), pick(r, "", "", "t1")
	}
	e.Track = pick(r, "video", "video", "", "audio", "manifest")
	e.PlayoutFormat = pick(r, "", "hls-clear", "dash-widevine")
	e.DurationMicros = new(1 + r.Int64N(5_000_000))
	r.size(e)
	if r.one(5) {
		e.UserID = pick(r, "ann", "bob")
	}
	if r.one(12) {
		e.Live = new(r.one(2))
	}
	if e.Kind == "session" {
		if r.one(2) {
			e.OpenedAt = new(e.Time - r.Int64N(int64(3*time.Hour)))
		}
		if r.one(3) {
			e.ClosedAt = new(e.Time - r.Int64N(int64(time.Minute)))
		}
		e.DurationMicros = new(r.Int64N(3_600_000_000))
	} else if e.Track != "manifest" && !r.one(3) {
		e.Segment = new(r.Int32N(6))
	}
}

func (r *chance) size(e *eventRow) {
	if d := pick(r, [2]int32{1920, 1080}, [2]int32{1280, 720}, [2]int32{3840, 2160}, [2]int32{360, 640}, [2]int32{}); d[0] > 0 {
		e.Width, e.Height = new(d[0]), new(d[1])
	}
}

// fault makes a row that is rejected, for one reason.
func (r *chance) fault(e *eventRow) {
	switch r.IntN(6) {
	case 0:
		e.Bytes, e.reason = new(int64(-1)), "negative_bytes"
	case 1:
		e.Kind, e.reason = "gift", "unknown_kind"
	case 2:
		e.ObjectID, e.reason = "", "no_object"
	case 3:
		e.DurationMicros, e.reason = new(int64(40*86400e6)), "implausible"
	case 4:
		e.ObjectID, e.reason = e.TenantID, "object_is_tenant"
	case 5:
		e.Status, e.reason = new(int32(-1)), "negative_value"
	}
}
