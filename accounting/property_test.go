package accounting

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/playmeter/playmeter/schemas"
)

var october = func() schemas.Period {
	p, err := schemas.ParsePeriod("2026-10")
	if err != nil {
		panic(err)
	}
	return p
}()

// randomEvents are playout events of a few viewers, close enough in time to
// make ties, joins and splits at the idle time likely.
func randomEvents(r *rand.Rand, n int) []schemas.Event {
	start := october.Start()
	events := make([]schemas.Event, n)
	for i := range events {
		at := start.Add(time.Duration(r.IntN(6*3600))*time.Second + pick(r, 0, 0, time.Duration(r.IntN(1e9))))
		width, height := pick(r, [2]int32{1920, 1080}, [2]int32{640, 360}, [2]int32{}), int32(0)
		height = width[1]
		events[i] = schemas.Event{NodeID: pick(r, "node1", "node2"), Seq: new(int64(i)), Time: at.UnixNano(), TenantID: "acme",
			Kind: pick(r, "playout", "playout", "playout", "session", "data_download"), ObjectID: pick(r, "a", "b"),
			SessionID: pick(r, "", "s1", "s2"), ClientIP: pick(r, "192.0.2.1", "192.0.2.2", ""), UserAgent: pick(r, "", "agent"),
			Referrer: pick(r, "", "https://x.example/1", "https://x.example/2?token=1"), UserID: pick(r, "", "ann", "bob"), Token: pick(r, "", "secret"),
			Bytes: new(int64(r.IntN(1000))), DurationMicros: new(int64(r.IntN(5_000_000))), Segment: new(int32(r.IntN(20))),
			Track: pick(r, "video", "audio", "", "manifest"), Status: pick(r, nil, new(int32(200)), new(int32(404)), new(int32(499)), new(int32(503))),
			Width: new(width[0]), Height: &height}
	}
	return events
}

func pick[T any](r *rand.Rand, of ...T) T { return of[r.IntN(len(of))] }

// tallyEvents tallies events as one Parquet file with the given number of workers.
func tallyEvents(t testing.TB, events []schemas.Event, idle Idle, workers int) *packBytes {
	t.Helper()
	var file bytes.Buffer
	w := schemas.NewUsageWriter(&file)
	if err := w.Write(events); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	src, err := schemas.OpenUsage("f.parquet", bytes.NewReader(file.Bytes()), int64(file.Len()))
	if err != nil {
		t.Fatal(err)
	}
	out := &packBytes{}
	b := NewPackBuilder(&out.data)
	member, err := Tally(src, TallyOptions{Idle: idle, Workers: workers}, b)
	if err != nil {
		t.Fatal(err)
	}
	b.Finish(member)
	if out.index, err = b.Close(); err != nil {
		t.Fatal(err)
	}
	return out
}

// packBytes is a pack in memory.
type packBytes struct {
	data  bytes.Buffer
	index *schemas.PackIndex
}

// rows visits the rows of the blocks of a kind, of members that count.
func (p *packBytes) rows(t testing.TB, kind schemas.BlockKind, visit func([]byte)) {
	t.Helper()
	for _, b := range p.index.Blocks {
		if b.Kind != kind {
			continue
		}
		r, err := schemas.NewRowReader(bytes.NewReader(p.data.Bytes()[b.Offset : b.Offset+b.Length]))
		if err != nil {
			t.Fatal(err)
		}
		for {
			row, err := r.Next()
			if err == io.EOF {
				break
			} else if err != nil {
				t.Fatal(err)
			}
			visit(row)
		}
		r.Close()
	}
}

// fragmentsOf decodes the fragments of some packs, in the order of a merge.
func fragmentsOf(t testing.TB, packs ...*packBytes) []schemas.Fragment {
	t.Helper()
	var all []schemas.Fragment
	for _, p := range packs {
		p.rows(t, schemas.BlockFragments, func(row []byte) {
			var f schemas.Fragment
			if err := schemas.DecodeFragment(bytes.Clone(row), &f); err != nil {
				t.Fatal(err)
			}
			all = append(all, f)
		})
	}
	slices.SortStableFunc(all, func(a, b schemas.Fragment) int { return schemas.CompareFragments(&a, &b) })
	return all
}

// join hands the sessions of some fragments to emit.
func join(t testing.TB, b Bounds, all []schemas.Fragment, emit func(*schemas.Session) error) {
	t.Helper()
	j := NewJoiner(b, &Finisher{}, emit)
	for i := range all {
		if err := j.Add(&all[i]); err != nil {
			t.Fatal(err)
		}
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
}

// sessionsOf joins the fragments of some packs into sessions, written out.
func sessionsOf(t testing.TB, b Bounds, packs ...*packBytes) []string {
	t.Helper()
	var out []string
	join(t, b, fragmentsOf(t, packs...), func(s *schemas.Session) error {
		var row schemas.SessionWriter
		out = append(out, fmt.Sprintf("%s%v %v %t", row.Append(nil, s), s.Renditions, s.Shares, s.Begun))
		return nil
	})
	slices.Sort(out)
	return out
}

// TestSessionsDoNotDependOnFiles cuts the same events into files in random
// ways: the sessions are the same.
func TestSessionsDoNotDependOnFiles(t *testing.T) {
	rounds := 60
	if testing.Short() {
		rounds = 15
	}
	for seed := range uint64(rounds) {
		r := rand.New(rand.NewPCG(seed, 1))
		idle := Idle{WithID: time.Duration(1+r.IntN(120)) * time.Minute, WithoutID: time.Duration(1+r.IntN(40)) * time.Minute}
		bounds := NewBounds(october, october.End(), idle)
		events := randomEvents(r, 20+r.IntN(300))
		want := sessionsOf(t, bounds, tallyEvents(t, events, idle, 1))
		for range 3 {
			r.Shuffle(len(events), func(i, j int) { events[i], events[j] = events[j], events[i] })
			var packs []*packBytes
			for rest := events; len(rest) > 0; {
				n := 1 + r.IntN(len(rest))
				packs = append(packs, tallyEvents(t, rest[:n], idle, 2))
				rest = rest[n:]
			}
			if got := sessionsOf(t, bounds, packs...); !slices.Equal(got, want) {
				t.Fatalf("seed %d, %d files:\n got %q\nwant %q", seed, len(packs), got, want)
			}
		}
	}
}

// TestSessionsEqualASlowJoin compares sessions with the plainest way to make
// them: sort each viewer's events, walk, split at the idle time.
func TestSessionsEqualASlowJoin(t *testing.T) {
	for seed := range uint64(40) {
		r := rand.New(rand.NewPCG(seed, 2))
		idle := Idle{WithID: time.Duration(1+r.IntN(90)) * time.Minute, WithoutID: 7 * time.Minute}
		var events []schemas.Event
		for _, e := range randomEvents(r, 200) {
			if e.Kind == "playout" && e.SessionID != "" {
				events = append(events, e)
			}
		}
		got := 0
		pack := tallyEvents(t, events, idle, 1)
		requests, bytesServed := int64(0), int64(0)
		var starts []int64
		bounds := NewBounds(october, october.End(), idle)
		join(t, bounds, fragmentsOf(t, pack), func(s *schemas.Session) error {
			got++
			requests += s.Requests
			bytesServed += int64(s.Bytes.Lo)
			starts = append(starts, s.Start)
			return nil
		})
		slices.Sort(starts)
		wantStarts, wantRequests, wantBytes := slowJoin(events, idle.WithID)
		if !slices.Equal(starts, wantStarts) || requests != wantRequests || bytesServed != wantBytes {
			t.Fatalf("seed %d: got %d sessions %d requests %d bytes, want %d, %d, %d", seed, got, requests, bytesServed, len(wantStarts), wantRequests, wantBytes)
		}
	}
}

func slowJoin(events []schemas.Event, idle time.Duration) (starts []int64, requests, served int64) {
	viewers := make(map[string][]schemas.Event)
	for _, e := range events {
		key := e.SessionID + "/" + e.ObjectID
		viewers[key] = append(viewers[key], e)
	}
	for _, list := range viewers {
		slices.SortFunc(list, func(a, b schemas.Event) int { return int(a.Time - b.Time) })
		start, last := int64(schemas.None), int64(0)
		for i, e := range list {
			if i > 0 && e.Time-last > int64(idle) {
				if start != schemas.None {
					starts = append(starts, start)
				}
				start = schemas.None
			}
			last = e.Time
			if e.Status != nil && *e.Status >= 400 && *e.Status != 499 {
				continue
			}
			if start == schemas.None {
				start = e.Time
			}
			requests++
			served += *e.Bytes
		}
		if start != schemas.None {
			starts = append(starts, start)
		}
	}
	slices.Sort(starts)
	return starts, requests, served
}
