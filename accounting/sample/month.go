package sample

import (
	"fmt"
	"iter"
	"slices"
	"time"

	"github.com/playmeter/playmeter/schemas"
)

// Events is how many events a month has by default, about.
const Events = 1_000_000

// Month is an invented month. It is made by [New] and handed out by
// [Month.Files] and [Month.Catalogs], as often as wanted.
type Month struct {
	// Until ends the month early: no event and no snapshot at or after it.
	// Zero is the end of the period. The month up to then is the same whatever follows it.
	Until time.Time

	period  schemas.Period
	seed    uint64
	events  int
	hours   int
	weekday int // of the first day, Sunday is 0
	start   int64
	objects [3][]*object
	budget  [][3]float64 // events by hour and business
}

// New plans a month of about that many events (zero: [Events]). The count is
// met within a few per cent where it is above 50,000.
func New(p schemas.Period, seed uint64, events int) *Month {
	if events <= 0 {
		events = Events
	}
	m := &Month{period: p, seed: seed, events: events, start: p.Start().UnixNano()}
	m.hours = int(p.End().Sub(p.Start()) / time.Hour)
	m.weekday = int(p.Start().Weekday())
	for b := range businesses {
		m.objects[b] = m.makeObjects(b)
	}
	m.plan()
	return m
}

// plan shares the events out over the hours by how much people watch in them.
func (m *Month) plan() {
	m.budget = make([][3]float64, m.hours)
	for b, biz := range businesses {
		total := 0.0
		for h := range m.hours {
			w := 0.0
			for _, c := range cities {
				w += biz.activity(c, h, m.weekday)
			}
			if b == 1 && m.bigMatch(h) != nil {
				w *= 3
			}
			m.budget[h][b] = w
			total += w
		}
		for h := range m.hours {
			m.budget[h][b] *= float64(m.events) * biz.share / total
		}
	}
}

// until is the first nanosecond that is not told.
func (m *Month) until() int64 {
	end := m.period.End().UnixNano()
	if m.Until.IsZero() {
		return end
	}
	return min(end, m.Until.UnixNano())
}

// Files yields the month's usage files: their keys and their events.
//
//   - Shape: hour by hour, in an hour node by node, at least one event each;
//     events by time. Every node's Seq begins at 1 and has no gap over the month.
//   - Key: dt=YYYY-MM-DD/hour=HH/<node>-<first seq>.parquet (SPEC 2).
//   - Memory: the events are the caller's to keep.
func (m *Month) Files() iter.Seq2[string, []schemas.Event] {
	return func(yield func(string, []schemas.Event) bool) {
		until := m.until()
		s := newStage(m)
		seq := make([]int64, len(nodes))
		for hour := range m.hours {
			if m.start+int64(hour)*int64(time.Hour) >= until {
				return
			}
			s.play(hour)
			for n := range nodes {
				events := s.take(hour, n, until, seq[n])
				if len(events) == 0 {
					continue
				}
				if !yield(m.key(hour, n, seq[n]+1), events) {
					return
				}
				seq[n] += int64(len(events))
			}
			s.drop(hour)
		}
	}
}

func (m *Month) key(hour, node int, first int64) string {
	at := m.period.Start().Add(time.Duration(hour) * time.Hour)
	return fmt.Sprintf("dt=%s/hour=%02d/%s-%d.parquet", at.Format(time.DateOnly), at.Hour(), nodes[node].ID, first)
}

// stage holds the events that were made and not yet handed out, by hour and
// node; hours that are over are empty.
type stage struct {
	*Month
	waiting [][][]event
	owed    [3]float64 // what the hours so far made too few of each business
}

func newStage(m *Month) *stage { return &stage{Month: m, waiting: make([][][]event, m.hours)} }

// put files an event under its hour and node; one past the month is left out,
// it belongs to the next.
func (s *stage) put(node int, e *event) {
	hour := int((e.Time - s.start) / int64(time.Hour))
	if hour >= s.hours {
		return
	}
	if s.waiting[hour] == nil {
		s.waiting[hour] = make([][]event, len(nodes))
	}
	n := &nodes[node]
	e.Node, e.NodeHost, e.NodeIP, e.NodeRegion = n.ID, n.Host, n.IP, n.Region
	s.waiting[hour][node] = append(s.waiting[hour][node], *e)
}

// take returns a node's events of an hour before until, by time, numbered on
// from the node's last seq.
func (s *stage) take(hour, node int, until, last int64) []schemas.Event {
	if s.waiting[hour] == nil {
		return nil
	}
	events := s.waiting[hour][node]
	order := make([]int32, 0, len(events))
	for i := range events {
		if events[i].Time < until {
			order = append(order, int32(i))
		}
	}
	slices.SortStableFunc(order, func(a, b int32) int { return int(events[a].Time - events[b].Time) })
	var numbers slab
	sorted := make([]schemas.Event, len(order))
	for i, o := range order {
		sorted[i] = numbers.write(&events[o], last+1+int64(i))
	}
	return sorted
}

func (s *stage) drop(hour int) { s.waiting[hour] = nil }

// play begins everything that begins in an hour.
func (s *stage) play(hour int) {
	for b := range businesses {
		d := roll(s.seed, 31, uint64(b), uint64(hour))
		s.owed[b] += s.budget[hour][b]
		s.owed[b] -= float64(s.publish(d, b, hour))
		for s.owed[b] > 0 {
			made := 0
			switch x := d.Float64(); {
			case x < 0.30:
				made = s.watch(d, b, hour)
			case x < 0.33 && b == 1:
				made = s.reported(d, hour)
			default:
				made = s.visit(d, b, hour)
			}
			s.owed[b] -= float64(max(made, 1))
		}
	}
}

// at is a random instant of an hour, in Unix nanoseconds, whole microseconds.
func (s *stage) at(d dice, hour int) int64 {
	return s.start + int64(hour)*int64(time.Hour) + d.Int64N(3_600_000_000)*1000
}
