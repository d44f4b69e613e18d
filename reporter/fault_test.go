package reporter

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/playmeter/playmeter/schemas"
)

// TestFaults is the fault table: every write that the history makes, times all that may befall a write. After it
// another process makes one more run, and then everything is as if nothing had happened; a reader who looks
// after every write finds matching sets. And where the rest of the history follows, it ends as it does undisturbed.
//
// The writes are those of a history that nobody disturbs, so the table grows by itself. PLAYMETER_LONG=1 takes all
// of it, a quarter of an hour long; else writes that are alike share a few rows, and the faults take turns.
func TestFaults(t *testing.T) {
	t.Cleanup(toStore().CloseIdleConnections)
	s := newHistory(t)
	stop := s.follow()
	var chapters []*chapter
	for _, a := range faultHistory() {
		chapters = append(chapters, s.record(a))
	}
	stop()
	end := s.allSays()
	t.Run("the history goes on", func(t *testing.T) { goesOn(t, chapters, end) })
	chapters = append(chapters, newHistory(t).record(inParts()))
	taken := make(choice)
	for _, c := range chapters {
		t.Run(c.name, func(t *testing.T) {
			for _, row := range c.rows(taken) {
				t.Run(row.String(), func(t *testing.T) {
					t.Parallel()
					row.try(t)
				})
			}
		})
	}
}

// long tells whether the whole table is wanted.
func long() bool { return os.Getenv("PLAYMETER_LONG") != "" }

// chapter is an act, the world as it was before it, and what it writes.
type chapter struct {
	act
	before *site
	writes []write

	mu   sync.Mutex
	says map[course]map[schemas.Tenant]string
}

// course is the order in which things happen.
type course string

const (
	quiet     course = "undisturbed"
	overtaken course = "overtaken"                // by a run with new usage
	ahead     course = "committed, and overtaken" // later
)

// record plays an act in a world that nobody disturbs.
func (s *site) record(a act) *chapter {
	s.t.Helper()
	a.prepare(s)
	s.age()
	c := &chapter{act: a, before: s.clone(s.t), says: make(map[course]map[schemas.Tenant]string)}
	for _, w := range s.undisturbed(a, a.do, a.at) {
		if a.alone == nil || a.alone(w) {
			c.writes = append(c.writes, w)
		}
	}
	if len(c.writes) == 0 {
		s.t.Fatalf("%s: nothing was written", a.name)
	}
	return c
}

// undisturbed has a process of its own do something, which has to go well.
func (s *site) undisturbed(a act, do func(*process, time.Time) error, at time.Time) []write {
	p := s.process()
	defer p.close()
	if err := do(p, at); err != nil {
		s.t.Errorf("%s: the undisturbed run as of %s: %v", a.name, at.Format(time.RFC3339), err)
	}
	s.wantNoFiles("at its end", p.Temp)
	return p.writes
}

// row is a row of the table.
type row struct {
	*chapter
	blows []blow
}

func (r row) String() string {
	var words []string
	for _, b := range r.blows {
		words = append(words, b.String())
	}
	return strings.Join(words, ", then ")
}

// rows are those of a chapter.
func (c *chapter) rows(taken choice) []row {
	rows := c.times(nil, faults, c.writes, taken)
	// What is written only where something went wrong is disturbed too.
	for _, first := range c.wrong() {
		known := make(map[write]bool)
		for _, w := range c.writes {
			known[w] = true
		}
		var clearing []write
		for _, w := range c.after(first) {
			if !known[w] && (c.alone == nil || c.alone(w)) {
				clearing = append(clearing, w)
			}
		}
		rows = append(rows, c.times([]blow{first}, []fault{lost, unanswered, retried, killedBefore, killedAfter}, clearing, taken)...)
	}
	return rows
}

// times crosses writes and faults.
func (c *chapter) times(first []blow, faults []fault, writes []write, taken choice) []row {
	var rows []row
	for _, w := range writes {
		var may []fault
		for _, f := range faults {
			if f != doubtful || strings.HasPrefix(w.name, "CREATE ") {
				may = append(may, f)
			}
		}
		for _, f := range taken.choose(w, may) {
			rows = append(rows, row{c, append(slices.Clone(first), blow{f, w})})
		}
	}
	return rows
}

// choice is how many rows were taken of writes that are alike.
type choice map[string]int

// choose takes some of the faults that a write may meet.
func (s choice) choose(w write, may []fault) []fault {
	most := 2
	switch {
	case long():
		return may
	case testing.Short():
		most = 1
	}
	like := alike.ReplaceAllString(w.name, "*")
	switch n := s[like]; {
	case n == most:
		return nil
	case n == 0 && most > 1 && strings.HasPrefix(w.name, "CREATE metering/"+schemas.PrefixCommits): // the fence
		s[like] = most
		return may
	}
	s[like]++
	s[""]++
	f := s[""] % len(may)
	return may[f : f+1]
}

// alike are the parts of names by which writes differ that are alike: tenants, days, runs, numbers and endings.
var alike = regexp.MustCompile(`acme|beta|\d{4}-\d\d-\d\d(T\d\d-\d\d-\d\dZ)?|\d{8}|restatements/\d|\.(gz|zst)`)

// wrong are the faults after which a process clears up: it is overtaken at its commit, or a part is not taken.
func (c *chapter) wrong() []blow {
	for _, w := range c.writes {
		switch {
		case strings.HasPrefix(w.name, "PART "):
			return []blow{{lost, w}}
		case strings.HasPrefix(w.name, "CREATE metering/"+schemas.PrefixCommits):
			return []blow{{paused, w}}
		}
	}
	return nil
}

// after lists what a process writes that is struck.
func (c *chapter) after(b blow) []write {
	s := c.before.clone(c.before.t)
	p := row{c, []blow{b}}.strike(s)
	defer p.close()
	_ = c.do(p, c.at)
	return p.writes
}

// strike starts the process that is struck.
func (r row) strike(s *site) *process {
	p := s.process()
	p.blows, p.overtake = r.blows, func() { r.rival(s) }
	return p
}

// rival has an hour pass, new usage come, and another process make the reports.
func (c *chapter) rival(s *site) {
	s.age()
	newUsage(s)
	s.undisturbed(c.act, makeReports, c.overtake)
}

// try plays the act with the fault, then one more run, and compares.
func (r row) try(t *testing.T) {
	s := r.before.clone(t)
	p := r.strike(s)
	defer p.close()
	err := r.do(p, r.at)
	s.wantNoFiles("at its end", p.Temp)
	switch {
	case len(p.fired) != len(r.blows):
		t.Fatalf("only %v was met; the writes were %q, and ended with %v", p.fired, p.writes, err)
	case len(r.blows) == 1 && r.blows[0].fault == retried && err != nil:
		t.Errorf("although it was sent again: %v", err)
	case len(r.blows) == 1 && r.blows[0].fault == paused: // it leaves what the other made as it is
		for _, tenant := range s.Tenants {
			s.wantSound(tenant.ID)
		}
	}
	s.age()
	s.undisturbed(r.act, r.do, r.again)
	for _, tenant := range s.Tenants {
		way := quiet
		switch {
		case r.blows[0].fault == paused && p.committed[tenant.ID]:
			way = ahead
		case r.blows[0].fault == paused:
			way = overtaken
		}
		if way != quiet && r.free {
			s.wantSound(tenant.ID)
			continue
		}
		if got, want := s.monthSays(tenant.ID), r.said(way)[tenant.ID]; got != want {
			t.Errorf("%s, %s, differs from a world without the fault:\n%s", tenant.ID, way, firstDifference([]byte(got), []byte(want)))
		}
		s.wantSound(tenant.ID)
	}
	s.wantSealed()
	if t.Failed() {
		t.Logf("%s: %s: it ended with: %v\nits writes: %q", r.name, r, err, p.writes)
	}
}

// said is what the months come to where nothing goes wrong.
func (c *chapter) said(way course) map[schemas.Tenant]string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.says[way] != nil {
		return c.says[way]
	}
	s := c.before.clone(c.before.t)
	if way != overtaken {
		s.undisturbed(c.act, c.do, c.at)
	}
	if way != quiet {
		c.rival(s)
	}
	s.age()
	s.undisturbed(c.act, c.do, c.again)
	c.says[way] = s.allSays()
	return c.says[way]
}

// allSays is what the month comes to for each tenant.
func (s *site) allSays() map[schemas.Tenant]string {
	out := make(map[schemas.Tenant]string)
	for _, tenant := range s.Tenants {
		out[tenant.ID] = s.monthSays(tenant.ID)
	}
	return out
}

// goesOn has the rest of the history follow upon a fault: what it left behind does no harm later either.
func goesOn(t *testing.T, chapters []*chapter, want map[schemas.Tenant]string) {
	leaves := []fault{killedBefore, unanswered, killedAfter, lost}
	step := 67
	if long() {
		step = 3
	}
	n := 0
	for i, c := range chapters {
		for j, w := range c.writes {
			if n++; n%step != 0 {
				continue
			}
			r := row{c, []blow{{leaves[(n/step)%len(leaves)], w}}}
			t.Run(c.name+": "+r.String(), func(t *testing.T) {
				t.Parallel()
				s := c.before.clone(t)
				p := r.strike(s)
				defer p.close()
				err := c.do(p, c.at)
				s.age()
				s.undisturbed(c.act, c.do, c.at)
				for _, next := range chapters[i+1:] {
					next.prepare(s)
					s.age()
					s.undisturbed(next.act, next.do, next.at)
				}
				got := s.allSays()
				for id := range want {
					if got[id] != want[id] {
						t.Errorf("%s differs from a world without the fault:\n%s", id, firstDifference([]byte(got[id]), []byte(want[id])))
					}
					s.wantSound(id)
				}
				s.wantSealed()
				if t.Failed() {
					t.Logf("write %d of %s: it ended with: %v\nits writes: %q", j, c.name, err, p.writes)
				}
			})
		}
	}
}
