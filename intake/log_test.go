package intake

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/playmeter/playmeter/bucket"
	"github.com/playmeter/playmeter/schemas"
)

// shelf is a bucket in memory.
type shelf struct {
	mu      sync.Mutex
	objects map[string][]byte
	puts    int                                    // attempts
	fail    func(key string) (before, after error) // in the place of, or after, a create
}

func (s *shelf) Create(_ context.Context, key string, data []byte) (bucket.Info, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.objects == nil {
		s.objects = map[string][]byte{}
	}
	s.puts++
	var before, after error
	if s.fail != nil {
		before, after = s.fail(key)
	}
	if before != nil {
		return bucket.Info{}, before
	}
	if _, taken := s.objects[key]; taken {
		return bucket.Info{}, bucket.ErrExist
	}
	s.objects[key] = data
	return bucket.Info{Key: key, Size: int64(len(data))}, after
}

// keys are the names on the shelf, in the order of their messages.
func (s *shelf) keys() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.SortedFunc(maps.Keys(s.objects), func(a, b string) int { return cmp.Compare(firstOf(a), firstOf(b)) })
}

// firstOf is the first message of a file, by its name.
func firstOf(key string) int {
	parts := strings.Split(key[strings.LastIndex(key, "/")+1:], "-")
	n, err := strconv.Atoi(parts[1])
	if err != nil {
		panic(err)
	}
	return n
}

// rows are the events of all files, as texts, in the order of files and rows.
func (s *shelf) rows(t testing.TB) (all []string) {
	t.Helper()
	for _, key := range s.keys() {
		all = append(all, rowsOf(t, key, s.objects[key])...)
	}
	return all
}

// rowsOf reads a usage file back.
func rowsOf(t testing.TB, key string, data []byte) (rows []string) {
	t.Helper()
	for _, e := range readUsage(t, key, data) {
		rows = append(rows, strings.TrimSpace(string(schemas.AppendEvent(nil, &e))))
	}
	return rows
}

func openLog(t testing.TB, dir string, c Config) *Log {
	t.Helper()
	l, err := tryOpen(t, dir, c)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func tryOpen(t testing.TB, dir string, c Config) (*Log, error) {
	c.Dir = dir
	return Open(context.Background(), c, slog.New(slog.NewTextHandler(t.Output(), nil)))
}

func closeLog(t testing.TB, l *Log) {
	t.Helper()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}

// playout is event n of a node.
func playout(node string, n int) schemas.Event {
	at := time.Date(2026, 10, 14, 9, 0, 0, 0, time.UTC).Add(time.Duration(n) * time.Second)
	return schemas.Event{NodeID: node, Seq: new(int64(n)), Time: at.UnixNano(), TenantID: "iten1", Kind: "playout", ObjectID: "iq__a",
		Bytes: new(int64(1000)), Track: "video", SessionID: "s" + strconv.Itoa(n/50), DurationMicros: new(int64(2_002_000)), ClientIP: fmt.Sprintf("10.0.0.%d", n%250)}
}

// lines are n events of a node as they are kept, one a line.
func lines(node string, from, n int) (b []byte) {
	for i := from; i < from+n; i++ {
		e := playout(node, i)
		b = schemas.AppendEvent(b, &e)
	}
	return b
}

// chunk is n events of a node.
func chunk(t testing.TB, node string, from, n int) Chunk {
	z, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	return Chunk{Frame: z.EncodeAll(lines(node, from, n), nil), Events: n}
}

// appendEvents puts n events of a node into the log, and gives them as rows.
func appendEvents(t testing.TB, l *Log, node string, from, n int) []string {
	t.Helper()
	if err := l.Append(t.Context(), []Chunk{chunk(t, node, from, n)}); err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSpace(string(lines(node, from, n))), "\n")
}

func flush(t testing.TB, l *Log, to Files) {
	t.Helper()
	if err := l.Flush(t.Context(), to, nil); err != nil {
		t.Fatal(err)
	}
}

// wantRows wants rows to be these, in this order.
func wantRows(t testing.TB, got, want []string) {
	t.Helper()
	if slices.Equal(got, want) {
		return
	}
	for i := range max(len(got), len(want)) {
		if i >= len(got) || i >= len(want) || got[i] != want[i] {
			t.Fatalf("%d rows, want %d; at row %d:\ngot  %s\nwant %s", len(got), len(want), i, at(got, i), at(want, i))
		}
	}
}

func at(rows []string, i int) string {
	if i < len(rows) {
		return rows[i]
	}
	return "(none)"
}

// wantEmpty wants nothing to wait in the log.
func wantEmpty(t testing.TB, l *Log) {
	t.Helper()
	s, err := l.State(t.Context())
	if err != nil || s.Posts != 0 || !s.Oldest.IsZero() {
		t.Fatalf("in the log: %+v, %v; want nothing", s, err)
	}
}

func TestWhatIsAppendedIsInFilesAfterAFlush(t *testing.T) {
	l := openLog(t, t.TempDir(), Config{})
	s := new(shelf)
	flush(t, l, s)
	if len(s.objects) != 0 {
		t.Errorf("a flush of nothing made %v", s.keys())
	}
	want := append(appendEvents(t, l, "n1", 0, 3), appendEvents(t, l, "n2", 0, 1)...)
	state, err := l.State(t.Context())
	if err != nil || state.Posts != 2 || state.Bytes == 0 || state.Most != DefaultMost || time.Since(state.Oldest) > time.Minute {
		t.Errorf("state is %+v, %v", state, err)
	}
	var told []File
	if err := l.Flush(t.Context(), s, func(f File) { told = append(told, f) }); err != nil {
		t.Fatal(err)
	}
	wantRows(t, s.rows(t), want)
	wantEmpty(t, l)
	if len(told) != 1 || told[0].Key != s.keys()[0] || told[0].Events != 4 || told[0].Bytes != int64(len(s.objects[told[0].Key])) || !told[0].Oldest.Equal(state.Oldest) {
		t.Errorf("told %+v", told)
	}
	flush(t, l, s)
	if s.puts != 1 {
		t.Errorf("%d puts, want 1", s.puts)
	}
	closeLog(t, l)
}

func TestEventsOutliveTheProcess(t *testing.T) {
	dir, s := t.TempDir(), new(shelf)
	var want []string
	for i := range 3 {
		l := openLog(t, dir, Config{})
		want = append(want, appendEvents(t, l, "n1", 10*i, 10)...)
		closeLog(t, l)
	}
	l := openLog(t, dir, Config{})
	flush(t, l, s)
	wantRows(t, s.rows(t), want)
	closeLog(t, l)
}

func TestAClosedLogTakesNothing(t *testing.T) {
	l := openLog(t, t.TempDir(), Config{})
	closeLog(t, l)
	if err := l.Append(t.Context(), []Chunk{chunk(t, "n1", 0, 1)}); !errors.Is(err, ErrLog) {
		t.Errorf("got %v, want %v", err, ErrLog)
	}
}

func TestWhoGivesUpIsNotWaitedFor(t *testing.T) {
	l := openLog(t, t.TempDir(), Config{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := l.Append(ctx, []Chunk{chunk(t, "n1", 0, 1)}); err != nil && !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want nil or %v", err, context.Canceled)
	}
	closeLog(t, l)
}

// TestRunPutsOldEventsIntoFiles lets the log make files by itself.
func TestRunPutsOldEventsIntoFiles(t *testing.T) {
	l := openLog(t, t.TempDir(), Config{Every: 10 * time.Millisecond})
	s, ctx, files := new(shelf), t.Context(), make(chan File, 10)
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		l.Run(ctx, s, func(f File) { files <- f })
	}()
	var want []string
	for i := range 3 {
		want = append(want, appendEvents(t, l, "n1", i, 1)...)
		<-files
	}
	cancel()
	<-ended
	wantRows(t, s.rows(t), want)
	closeLog(t, l)
}

func TestAFileIsMadeOnceThereIsEnoughForOne(t *testing.T) {
	l := openLog(t, t.TempDir(), Config{Every: time.Hour, Bytes: 1000})
	s := new(shelf)
	appendEvents(t, l, "n1", 0, 1)
	if err := l.flushDue(t.Context(), s, nil); err != nil || s.puts != 0 {
		t.Fatalf("%d files of one event, %v; want it to wait", s.puts, err)
	}
	for i := range 10 {
		appendEvents(t, l, "n1", 100*i, 100)
	}
	if err := l.flushDue(t.Context(), s, nil); err != nil || s.puts < 2 {
		t.Fatalf("%d files of a thousand events, %v", s.puts, err)
	}
	closeLog(t, l)
}
