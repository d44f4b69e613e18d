package intake

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/playmeter/playmeter/accounting"
	"github.com/playmeter/playmeter/schemas"
)

// errFault is what goes wrong in these tests.
var errFault = errors.New("fault")

// fault is how a write goes wrong.
type fault struct {
	name  string
	done  bool // it was done all the same
	ended bool // the process ends with it
}

var faults = []fault{
	{"is lost", false, false},
	{"is done but its answer is lost", true, false},
	{"does not happen because the process ends", false, true},
	{"is the last that the process does", true, true},
}

// The writes of making a usage file.
const (
	writeDecision = "the decision"
	writeFile     = "the file"
	writePurge    = "the purge"
)

// faultyJetStream publishes decisions, but for the one that goes wrong.
type faultyJetStream struct {
	jetstream.JetStream
	hit func(write string, do func() error) error
}

func (f faultyJetStream) Publish(ctx context.Context, subject string, data []byte, o ...jetstream.PublishOpt) (ack *jetstream.PubAck, err error) {
	err = f.hit(writeDecision, func() (err error) {
		ack, err = f.JetStream.Publish(ctx, subject, data, o...)
		return err
	})
	return ack, err
}

// faultyStream purges messages, but for the time that goes wrong.
type faultyStream struct {
	jetstream.Stream
	hit func(write string, do func() error) error
}

func (f faultyStream) Purge(ctx context.Context, o ...jetstream.StreamPurgeOpt) error {
	return f.hit(writePurge, func() error { return f.Stream.Purge(ctx, o...) })
}

// saboteur lets the nth write of a sort go wrong.
type saboteur struct {
	l     *Log
	write string
	nth   int
	fault fault
	seen  int
}

func (s *saboteur) hit(write string, do func() error) error {
	if write != s.write {
		return do()
	}
	if s.seen++; s.seen != s.nth {
		return do()
	}
	if s.fault.done {
		if err := do(); err != nil {
			return err
		}
	}
	if s.fault.ended {
		if err := s.l.Close(); err != nil {
			return err
		}
	}
	return errFault
}

// sabotage puts the saboteur between the log and its writes.
func (s *saboteur) sabotage(to *shelf) {
	s.l.restarted = time.Now() // so that the log does not think that its server needs it
	s.l.js, s.l.events = faultyJetStream{s.l.js, s.hit}, faultyStream{s.l.events, s.hit}
	to.fail = func(string) (before, after error) {
		err := s.hit(writeFile, func() error { return nil })
		if err != nil && s.fault.done {
			return nil, err
		}
		return err, nil
	}
}

// TestFlushHeals goes through every write of making files, and every way in which it can go wrong.
func TestFlushHeals(t *testing.T) {
	for _, write := range []string{writeDecision, writeFile, writePurge} {
		for _, f := range faults {
			for nth := range 3 {
				t.Run(fmt.Sprintf("%s of file %d %s", write, nth+1, f.name), func(t *testing.T) { heals(t, write, f, nth+1) })
			}
		}
	}
}

func heals(t *testing.T, write string, f fault, nth int) {
	dir, cfg := t.TempDir(), Config{Bytes: 1} // each message makes a file
	l := openLog(t, dir, cfg)
	var want []string
	for i := range 3 {
		want = append(want, appendEvents(t, l, "n1", 10*i, 10)...)
	}
	s := new(shelf)
	(&saboteur{l: l, write: write, nth: nth, fault: f}).sabotage(s)
	if err := l.Flush(t.Context(), s, nil); !errors.Is(err, errFault) {
		t.Fatalf("flush gave %v, want %v", err, errFault)
	}
	if f.ended {
		l = openLog(t, dir, cfg)
	} else {
		l.js, l.events = l.js.(faultyJetStream).JetStream, l.events.(faultyStream).Stream
	}
	s.fail = nil
	before := s.keys()
	l.cfg.Bytes = DefaultBytes // what was decided on stays as it was decided on
	want = append(want, appendEvents(t, l, "n1", 30, 10)...)
	flush(t, l, s)
	wantRows(t, s.rows(t), want)
	wantEmpty(t, l)
	for _, key := range before {
		if s.objects[key] == nil {
			t.Errorf("%s has another name now", key)
		}
	}
	if decided := f.done || write != writeDecision; decided && len(s.objects) < nth+1 && nth < 3 {
		t.Errorf("%d files: what was decided on is in a file with others: %v", len(s.objects), s.keys())
	}
	after, puts := s.keys(), s.puts
	flush(t, l, s)
	if s.puts != puts || !slices.Equal(s.keys(), after) {
		t.Errorf("a second flush put something")
	}
	closeLog(t, l)
}

// TestALogThatWentBackInTime brings back an older copy of the log's folder, or of a part of it: nothing that the
// log holds is lost, and what comes twice is the same row twice, which counts once.
func TestALogThatWentBackInTime(t *testing.T) {
	tests := []struct {
		name string
		back string // in the folder: what is brought back
		put  bool   // whether the file stood that was decided on meanwhile
	}{
		{"all of it, a file was made meanwhile", "", true},
		{"all of it, a file was decided on meanwhile", "", false},
		{"the events alone, a file was made meanwhile", "jetstream/$G/streams/playmeter", true},
		{"the events alone, a file was decided on meanwhile", "jetstream/$G/streams/playmeter", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir, old, s := filepath.Join(t.TempDir(), "log"), filepath.Join(t.TempDir(), "old"), new(shelf)
			l := openLog(t, dir, Config{})
			kept := appendEvents(t, l, "n1", 0, 10)
			closeLog(t, l)
			copyFolder(t, filepath.Join(dir, tt.back), old)

			l = openLog(t, dir, Config{})
			lost := appendEvents(t, l, "n1", 10, 10)
			if !tt.put {
				lost = nil // with the copy that is brought back
				s.fail = func(string) (before, after error) { return errFault, nil }
			}
			if err := l.Flush(t.Context(), s, nil); err != nil && tt.put {
				t.Fatal(err)
			}
			closeLog(t, l)
			s.fail = nil

			if err := os.RemoveAll(filepath.Join(dir, tt.back)); err != nil {
				t.Fatal(err)
			}
			copyFolder(t, old, filepath.Join(dir, tt.back))
			l = openLog(t, dir, Config{})
			later := appendEvents(t, l, "n1", 20, 10)
			flush(t, l, s)
			got := slices.Sorted(slices.Values(s.rows(t)))
			want := slices.Sorted(slices.Values(slices.Concat(kept, lost, later)))
			wantRows(t, slices.Compact(got), want)
			wantEmpty(t, l)
			closeLog(t, l)
		})
	}
}

func copyFolder(t testing.TB, from, to string) {
	t.Helper()
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
}

// TestWhatCannotBeReadIsKeptAsItIs puts messages into the log that hold no events.
func TestWhatCannotBeReadIsKeptAsItIs(t *testing.T) {
	whole := string(chunk(t, "n1", 0, 10).Frame)
	packed := func(text string) string { return string(New(nil).packer.EncodeAll([]byte(text), nil)) }
	tests := []struct{ name, message string }{
		{"no zstd at all", "not compressed"},
		{"a frame that was cut", whole[:len(whole)-5]},
		{"a frame with a flipped bit", whole[:len(whole)/2] + string(whole[len(whole)/2]^1) + whole[len(whole)/2+1:]},
		{"a line that is no JSON", packed("no json\n")},
		{"a value that does not convert", packed(`{"node_id":"n1","seq":"x"}` + "\n")},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l, s := openLog(t, t.TempDir(), Config{}), new(shelf)
			if err := l.Append(t.Context(), []Chunk{{Frame: []byte(tt.message), Events: 1}}); err != nil {
				t.Fatal(err)
			}
			s.fail = func(string) (before, after error) { return nil, errFault }
			if err := l.Flush(t.Context(), s, nil); !errors.Is(err, errFault) {
				t.Fatalf("flush gave %v", err)
			}
			s.fail = nil
			flush(t, l, s)
			keys := s.keys()
			if len(keys) != 1 || !strings.HasSuffix(keys[0], ".ndjson.zst") || string(s.objects[keys[0]]) != tt.message {
				t.Errorf("%v holds %q, want one .ndjson.zst with %q", keys, s.objects[keys[0]], tt.message)
			}
			wantEmpty(t, l)
			good := appendEvents(t, l, "n1", 0, 10)
			flush(t, l, s)
			wantRows(t, rowsOf(t, s.keys()[1], s.objects[s.keys()[1]]), good)
			closeLog(t, l)
		})
	}
}

// TestAFileHoldsNoMoreThanOneMay holds drafts against the bounds of one file.
func TestAFileHoldsNoMoreThanOneMay(t *testing.T) {
	one := int64(len(chunk(t, "n1", 0, 10).Frame))
	tests := []struct {
		name  string
		bytes int64
		want  int // files of four messages
	}{
		{"all fit", DefaultBytes, 1},
		{"exactly all fit", 4 * one, 1},
		{"all but a byte fit", 4*one - 1, 2},
		{"a message that is larger than a file has one for itself", 1, 4},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l, s := openLog(t, t.TempDir(), Config{Bytes: tt.bytes}), new(shelf)
			for range 4 {
				if err := l.Append(t.Context(), []Chunk{chunk(t, "n1", 0, 10)}); err != nil {
					t.Fatal(err)
				}
			}
			flush(t, l, s)
			if len(s.objects) != tt.want {
				t.Errorf("%d files, want %d", len(s.objects), tt.want)
			}
			closeLog(t, l)
		})
	}
}

// TestADraftTakesWhatARunCanRead: whoever names many tenants or hours fills a file of his own with them.
func TestADraftTakesWhatARunCanRead(t *testing.T) {
	rows := func(n int, of func(i int, e *schemas.Event)) []schemas.Event {
		all := make([]schemas.Event, n)
		for i := range all {
			all[i].TenantID = "t"
			of(i, &all[i])
		}
		return all
	}
	same := func(int, *schemas.Event) {}
	tenant := func(i int, e *schemas.Event) { e.TenantID = fmt.Sprint("t", i) }
	hour := func(i int, e *schemas.Event) { e.Time = int64(i) * int64(time.Hour) }
	for _, tt := range []struct {
		name        string
		before, now []schemas.Event
		want        bool
	}{
		{"as many events as one may have", rows(maxFileEvents-1, same), rows(1, same), true},
		{"one more", rows(maxFileEvents, same), rows(1, same), false},
		{"as many tenants", rows(accounting.MaxTenants-1, tenant), rows(1, same), true},
		{"tenants that are there", rows(accounting.MaxTenants, tenant), rows(5, tenant), true},
		{"one tenant more", rows(accounting.MaxTenants, tenant), rows(1, same), false},
		{"as many hours", rows(accounting.MaxTenantHours, hour), rows(5, hour), true},
		{"one hour more", rows(accounting.MaxTenantHours, hour), rows(1, tenant), false},
	} {
		d := newDraft()
		d.take(new(jetstream.MsgMetadata), nil, tt.before)
		if got := d.fits(1, 1, tt.now); got != tt.want {
			t.Errorf("%s: fits %v, want %v", tt.name, got, tt.want)
		}
	}
}

// TestFilesAreWhatWasAppended lets random posts, sizes, failures and restarts come together.
func TestFilesAreWhatWasAppended(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	dice := rand.New(rand.NewPCG(seed, 0))
	rounds := 10
	if os.Getenv("PLAYMETER_LONG") != "" {
		rounds = 200
	}
	for range rounds {
		appendedIsFiled(t, dice)
	}
}

func appendedIsFiled(t *testing.T, dice *rand.Rand) {
	dir, s, n := t.TempDir(), new(shelf), 0
	var want []string
	open := func() *Log {
		return openLog(t, dir, Config{Bytes: 1 + dice.Int64N(5000)})
	}
	l := open()
	for range 30 {
		switch what := dice.IntN(10); {
		case what < 6:
			count := 1 + dice.IntN(40)
			want = append(want, appendEvents(t, l, "n1", n, count)...)
			n += count
		case what < 8:
			wantStable(t, l)
			failing := dice.IntN(6)
			s.fail = func(string) (before, after error) {
				failing--
				switch {
				case failing == 0:
					return errFault, nil
				case failing == 1:
					return nil, errFault
				}
				return nil, nil
			}
			if err := l.Flush(t.Context(), s, nil); err != nil && !errors.Is(err, errFault) {
				t.Fatal(err)
			}
		case what < 9:
			closeLog(t, l)
			l = open()
		}
	}
	s.fail = nil
	flush(t, l, s)
	wantRows(t, s.rows(t), want)
	wantEmpty(t, l)
	closeLog(t, l)
}

// wantStable wants the same messages to make the same file.
func wantStable(t *testing.T, l *Log) {
	t.Helper()
	_, events, _, epoch := l.streams()
	info, err := events.Info(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	a, err := l.draft(t.Context(), events, epoch, info.State.FirstSeq, 0)
	if err != nil {
		t.Fatal(err)
	}
	b, err := l.draft(t.Context(), events, epoch, info.State.FirstSeq, a.Last)
	if err != nil {
		t.Fatal(err)
	}
	if a.Last > 0 && (a.decision != b.decision || string(a.content) != string(b.content)) {
		t.Fatalf("drafted twice: %+v with %d bytes, %+v with %d bytes", a.decision, len(a.content), b.decision, len(b.content))
	}
}
