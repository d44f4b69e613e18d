package accounting

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/RoaringBitmap/roaring/v2/roaring64"

	"github.com/playmeter/playmeter/schemas"
)

// setEvent is an event of a made-up hour: a number or an id, at a minute.
type setEvent struct {
	node string
	seq  int64 // none: schemas.None
	id   string
	at   int64
}

// setHour writes the set rows of files, in pieces.
func setHour(r *rand.Rand, hour schemas.Hour, files [][]setEvent) SetVisit {
	type piece struct {
		file int
		row  []byte
	}
	var pieces []piece
	for i, events := range files {
		for from := 0; from < len(events); {
			n := min(1+r.IntN(30), len(events)-from)
			p := newPart(&TallyOptions{}, 0, func(rows *rows) error {
				for j := range rows.entries {
					pieces = append(pieces, piece{i, slices.Clone(rows.row(&rows.entries[j]))})
				}
				return nil
			})
			for row, e := range events[from : from+n] {
				number := int64(from + row)
				if e.seq == schemas.None {
					p.sets.hashes[hour] = append(p.sets.hashes[hour], hashed{hashEvent(e.node, []byte(e.id), hour.Start()+e.at), number})
					continue
				}
				key := setKey{e.node, hour}
				if p.sets.nodes[key] == nil {
					p.sets.nodes[key] = new(nodeSet)
				}
				p.sets.nodes[key].counted = append(p.sets.nodes[key].counted, schemas.Entry{Seq: e.seq, Time: hour.Start() + e.at, Row: number})
			}
			if err := p.writeSets(); err != nil {
				panic(err)
			}
			from += n
		}
	}
	r.Shuffle(len(pieces), func(i, j int) { pieces[i], pieces[j] = pieces[j], pieces[i] })
	return func(visit func(int, *schemas.SetRow) error) error {
		for _, p := range pieces {
			var row schemas.SetRow
			if err := schemas.DecodeSetRow(p.row, &row); err != nil {
				return err
			}
			if err := visit(p.file, &row); err != nil {
				return err
			}
		}
		return nil
	}
}

// slowCopies finds the copies one event after the other.
func slowCopies(files [][]setEvent, state []SetFile) (copies []Copy, doubled int64, lost map[int]bool) {
	rows := make(map[setEvent][]Copy)
	for i, events := range files {
		for row, e := range events {
			rows[e] = append(rows[e], Copy{File: i, Row: int64(row)})
		}
	}
	lost = make(map[int]bool)
	for _, all := range rows {
		var counted, free []Copy
		for _, c := range all {
			switch f := state[c.File]; {
			case !f.Locked:
				free = append(free, c)
			case f.Excluded == nil || !f.Excluded.Contains(uint64(c.Row)):
				counted = append(counted, c)
			}
		}
		if len(counted) > 1 {
			doubled += int64(len(counted) - 1)
		}
		if len(counted) == 0 && len(free) > 0 {
			counted, free = free[:1], free[1:]
		}
		if len(counted) == 0 {
			for _, c := range all {
				lost[c.File] = true
			}
			continue
		}
		for _, c := range free {
			c.Keeper, c.KeeperRow = counted[0].File, counted[0].Row
			copies = append(copies, c)
		}
	}
	return copies, doubled, lost
}

func TestCopiesOfAnHourAreThoseOfASlowSearch(t *testing.T) {
	const hour = schemas.Hour(480_000)
	for seed := range uint64(400) {
		r := rand.New(rand.NewPCG(seed, 7))
		files := make([][]setEvent, 1+r.IntN(5))
		state := make([]SetFile, len(files))
		for i := range files {
			seq := r.Int64N(40)
			for range r.IntN(80) {
				e := setEvent{node: fmt.Sprint("n", r.IntN(2)), seq: seq, at: seq % 7}
				switch seq++; r.IntN(12) {
				case 0:
					e.seq, e.id = schemas.None, fmt.Sprint("id", r.IntN(20))
				case 1:
					e.at = r.Int64N(3)
				case 2:
					seq = r.Int64N(60)
				}
				files[i] = append(files[i], e)
			}
			if state[i].Locked = r.IntN(3) == 0; state[i].Locked && r.IntN(2) == 0 {
				state[i].Excluded = roaring64.New()
				for row := range files[i] {
					if r.IntN(4) == 0 {
						state[i].Excluded.Add(uint64(row))
					}
				}
			}
		}
		want, doubled, lost := slowCopies(files, state)
		var got []Copy
		h := &hourCopies{hour: hour, files: state, sets: setHour(r, hour, files), emit: func(c Copy) error { got = append(got, c); return nil },
			found: &HourFindings{}, lost: make(map[int]bool), hashesAtOnce: hashesAtOnce, groupRows: groupRows}
		small := seed%2 == 1
		if small { // the bounds of memory, made small
			h.hashesAtOnce, h.groupRows = 2, 2
		}
		found, err := h.search()
		if err != nil {
			t.Fatal(err)
		}
		for i := range got {
			if small { // found in pieces: which rows are copies is the same, not what each is compared with
				got[i].Keeper, got[i].KeeperRow = 0, 0
			}
		}
		for i := range want {
			if small {
				want[i].Keeper, want[i].KeeperRow = 0, 0
			}
		}
		for _, list := range [][]Copy{got, want} {
			slices.SortFunc(list, func(a, b Copy) int { return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Row, b.Row)) })
		}
		if !slices.Equal(got, want) || found.Doubled != doubled || (len(found.Lost) > 0) != (len(lost) > 0) {
			t.Fatalf("seed %d: copies\n got %v, %d doubled, lost %v\nwant %v, %d doubled, lost %v", seed, got, found.Doubled, found.Lost, want, doubled, lost)
		}
		pairs := make(map[string]map[[2]int64]bool)
		for _, events := range files {
			for _, e := range events {
				if e.seq != schemas.None {
					if pairs[e.node] == nil {
						pairs[e.node] = make(map[[2]int64]bool)
					}
					pairs[e.node][[2]int64{e.seq, e.at}] = true
				}
			}
		}
		for _, n := range found.Nodes {
			if n.Pairs != int64(len(pairs[n.Node])) {
				t.Fatalf("seed %d: %s has %d pairs of number and time, want %d", seed, n.Node, n.Pairs, len(pairs[n.Node]))
			}
		}
	}
}

func TestLosses(t *testing.T) {
	run := func(lo, hi, start int64) schemas.SeqRun { return schemas.SeqRun{Lo: lo, Hi: hi, Start: start} }
	tests := []struct {
		name      string
		hours     map[schemas.Hour][]schemas.SeqRun // pairs are as many as the runs' numbers
		missing   int64
		conflicts int64
		where     string
	}{
		{"one run loses nothing", map[schemas.Hour][]schemas.SeqRun{10: {run(5, 90, 1)}}, 0, 0, "map[]"},
		{"a hole in an hour", map[schemas.Hour][]schemas.SeqRun{10: {run(5, 9, 1), run(12, 20, 2)}}, 2, 0, "map[10:2]"},
		{"a hole between hours counts in the later", map[schemas.Hour][]schemas.SeqRun{10: {run(0, 9, 1)}, 12: {run(15, 20, 2)}}, 5, 0, "map[12:5]"},
		{"a late number fills it", map[schemas.Hour][]schemas.SeqRun{10: {run(0, 9, 1), run(11, 11, 2)}, 11: {run(10, 10, 3), run(12, 14, 4)}}, 0, 0, "map[]"},
		{"and part of it", map[schemas.Hour][]schemas.SeqRun{10: {run(0, 9, 1), run(20, 30, 2)}, 11: {run(12, 13, 3)}}, 8, 0, "map[10:8]"},
		{"a counter that begins anew", map[schemas.Hour][]schemas.SeqRun{10: {run(500, 600, 1)}, 11: {run(0, 9, 2)}}, 0, 0, "map[]"},
		{"within the hour too", map[schemas.Hour][]schemas.SeqRun{10: {run(0, 9, 20), run(500, 600, 10)}}, 0, 0, "map[]"},
		{"and loses afterwards", map[schemas.Hour][]schemas.SeqRun{10: {run(500, 600, 1)}, 11: {run(0, 9, 2)}, 12: {run(11, 20, 3)}}, 1, 0, "map[12:1]"},
		{"the same numbers at other times", map[schemas.Hour][]schemas.SeqRun{10: {run(0, 99, 1)}, 11: {run(0, 49, 2)}}, 0, 50, "map[]"},
		{"what was before the stretch is known, not counted", map[schemas.Hour][]schemas.SeqRun{8: {run(0, 1, 1), run(5, 9, 2)}, 10: {run(12, 20, 3)}}, 2, 0, "map[10:2]"},
		{"nor what came after", map[schemas.Hour][]schemas.SeqRun{10: {run(0, 9, 1)}, 20: {run(100, 110, 2)}}, 0, 0, "map[]"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var hours []*schemas.LedgerHour
			for h := range schemas.Hour(30) {
				if runs := tt.hours[h]; runs != nil {
					pairs := int64(0)
					for _, r := range runs {
						pairs += r.Hi - r.Lo + 1
					}
					hours = append(hours, &schemas.LedgerHour{Hour: h, Nodes: []schemas.NodeHour{{Node: "n", Runs: runs, Pairs: pairs}}})
				}
			}
			got := Losses(hours, 10, 20)["n"]
			if got.Missing != tt.missing || got.Conflicts != tt.conflicts || fmt.Sprint(got.Hours) != tt.where {
				t.Errorf("missing %d in %v, conflicts %d; want %d in %s, %d", got.Missing, got.Hours, got.Conflicts, tt.missing, tt.where, tt.conflicts)
			}
		})
	}
}

func TestRejectedNumbersAreNotLost(t *testing.T) {
	hours := []*schemas.LedgerHour{{Hour: 1, Nodes: []schemas.NodeHour{{Node: "n", Pairs: 4,
		Runs: []schemas.SeqRun{{Lo: 1, Hi: 2, Start: 1}, {Lo: 5, Hi: 6, Start: 3}}, Rejected: []schemas.SeqRun{{Lo: 3, Hi: 4, Start: 2}}}}}}
	if n := Losses(hours, 0, 9)["n"]; n.Missing != 0 || n.Conflicts != 0 {
		t.Errorf("missing %d, conflicts %d, want none", n.Missing, n.Conflicts)
	}
}
