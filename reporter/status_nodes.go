package reporter

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"time"

	"github.com/playmeter/playmeter/accounting"
	"github.com/playmeter/playmeter/schemas"
)

// MonthNumbers is what the nodes' sequence numbers tell of a month, over all tenants, as far as runs have
// laid the files side by side.
type MonthNumbers struct {
	Period schemas.Period `json:"period"`
	// Hours is how many hours of the month have usage, and Pending how many of them the next run looks at
	// again: files have come or gone since.
	Hours   int `json:"hours"`
	Pending int `json:"pending"`
	// Doubled is how many rows count twice, because both files that hold them are gone.
	Doubled int64         `json:"doubled"`
	Nodes   []NodeNumbers `json:"nodes"` // with something to say, by node
}

// NodeNumbers is what a node's sequence numbers tell of a month.
type NodeNumbers struct {
	Node    string `json:"node_id"`
	Missing int64  `json:"missing"`
	// Gaps are the hours in which the numbers after the missing ones were met.
	Gaps         []Gap `json:"gaps,omitempty"`
	SeqConflicts int64 `json:"seq_conflicts"` // rows that bear a number of another row at another time
	Unnumbered   bool  `json:"unnumbered,omitempty"`
}

// Gap is how many numbers a node's hour lacks.
type Gap struct {
	Hour    time.Time `json:"hour"`
	Missing int64     `json:"missing"`
}

// numberedMonths is how many months with usage are looked at for gaps: older ones are asked for by name.
const numberedMonths = 3

// looked are the months whose numbers are looked at, newest first.
func (x *statusView) looked() []schemas.Period {
	if !x.month.IsZero() {
		return []schemas.Period{x.month}
	}
	var out []schemas.Period
	for _, months := range x.used {
		for p := range months {
			if !p.Start().After(x.now) && !slices.Contains(out, p) {
				out = append(out, p)
			}
		}
	}
	slices.SortFunc(out, func(a, b schemas.Period) int { return b.Start().Compare(a.Start()) })
	return out[:min(len(out), numberedMonths)]
}

func (x *statusView) numbersOf(ctx context.Context, s *Status) error {
	s.Numbers = []MonthNumbers{}
	for _, p := range x.looked() {
		m, err := x.numbers(ctx, p)
		if err != nil {
			return err
		}
		s.Numbers = append(s.Numbers, *m)
	}
	return nil
}

// numbers reads the ledgers of a month and of what runs into it.
func (x *statusView) numbers(ctx context.Context, p schemas.Period) (*MonthNumbers, error) {
	from, until := accounting.SetHours(p)
	first := schemas.HourOf(p.Start().UnixNano())
	out := &MonthNumbers{Period: p, Nodes: []NodeNumbers{}}
	names := &reconciling{r: x.r, w: x.wanted}
	var hours []*schemas.LedgerHour
	days := x.wanted.days(from, until)
	if err := x.r.loadLedgers(ctx, days); err != nil {
		return nil, err
	}
	for _, d := range days {
		stored, err := x.r.knownHours(ctx, d.day)
		if err != nil {
			return nil, err
		}
		for _, h := range d.hours {
			found, fresh := x.storedHour(names, h, stored)
			if h.hour >= first {
				out.Hours++
				if !fresh {
					out.Pending++
				}
				if found != nil {
					out.Doubled += found.Doubled
				}
			}
			if found != nil {
				hours = append(hours, found)
			}
		}
	}
	losses := accounting.Losses(hours, first, until)
	for _, id := range slices.Sorted(maps.Keys(losses)) {
		l := losses[id]
		if l.Missing == 0 && l.Conflicts == 0 && !l.Scattered {
			continue
		}
		n := NodeNumbers{Node: id, Missing: l.Missing, SeqConflicts: l.Conflicts, Unnumbered: l.Scattered}
		for _, h := range slices.Sorted(maps.Keys(l.Hours)) {
			n.Gaps = append(n.Gaps, Gap{time.Unix(0, h.Start()).UTC(), l.Hours[h]})
		}
		out.Nodes = append(out.Nodes, n)
	}
	return out, nil
}

// storedHour finds what is stored of an hour, and tells whether it speaks of the files that there are now;
// that some of them are gone meanwhile changes nothing in it. Of several that do not, the first by name serves.
func (x *statusView) storedHour(names *reconciling, h hourFiles, stored map[string]*schemas.LedgerHour) (found *schemas.LedgerHour, fresh bool) {
	if found = stored[names.digest(h)]; found != nil {
		return found, true
	}
	if found = stored[x.whenAllWereThere(names, h)]; found != nil {
		return found, true
	}
	for _, digest := range slices.Sorted(maps.Keys(stored)) {
		if of := stored[digest]; of.Hour == h.hour && found == nil {
			found = of
		}
	}
	for _, i := range h.files { // which of several tallies counts of a file that is gone, a run decides
		if f := x.wanted.files[i]; f.locked && len(f.variants) > 0 {
			return found, found != nil
		}
	}
	return found, false
}

// whenAllWereThere is how an hour's files were named when none of them was gone.
func (x *statusView) whenAllWereThere(names *reconciling, h hourFiles) string {
	for _, i := range h.files {
		if f := x.wanted.files[i]; f.locked {
			f.locked = false
			defer func() { f.locked = true }()
		}
	}
	return names.digest(h)
}

// NodeClock is a node whose clock runs ahead: events of its lie after the moment when their file was stored.
type NodeClock struct {
	Node  string        `json:"node_id"`
	Ahead time.Duration `json:"ahead_ns"` // the most
	Files int           `json:"files"`
	Last  time.Time     `json:"last"` // when the newest of these files was stored
	Key   string        `json:"key"`  // of that file
}

// clocksOf looks at the files stored since the oldest month that is looked at began.
func (x *statusView) clocksOf(s *Status) {
	var since time.Time
	if months := x.looked(); len(months) > 0 {
		since = months[len(months)-1].Start()
	}
	clocks := make(map[string]*NodeClock)
	for _, f := range x.wanted.files {
		if f.Modified.Before(since) {
			continue
		}
		for node, by := range f.member.Ahead {
			c := clocks[node]
			if c == nil {
				c = &NodeClock{Node: node}
				clocks[node] = c
			}
			c.Files++
			c.Ahead = max(c.Ahead, time.Duration(by))
			if f.Modified.After(c.Last) {
				c.Last, c.Key = f.Modified, f.Key
			}
		}
	}
	s.Clocks = []NodeClock{}
	for _, c := range clocks {
		s.Clocks = append(s.Clocks, *c)
	}
	slices.SortFunc(s.Clocks, func(a, b NodeClock) int {
		return cmp.Or(cmp.Compare(b.Ahead, a.Ahead), cmp.Compare(a.Node, b.Node))
	})
}
