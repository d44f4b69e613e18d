package intake

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sync/semaphore"
)

// smallDisk is a folder on a disk of so many bytes.
func smallDisk(t *testing.T, bytes int) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%d", bytes)); err != nil {
		t.Skipf("a small disk cannot be mounted here: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// ballast is a file that takes room. Its size is that of the disk, or what is left of it; remove it to make room.
func ballast(t *testing.T, dir string, bytes int64) (name string) {
	t.Helper()
	f, err := os.Create(filepath.Join(dir, "ballast"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := io.CopyN(f, zeros{}, bytes); err != nil && !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
	return f.Name()
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

func remove(t *testing.T, name string) {
	t.Helper()
	if err := os.Remove(name); err != nil {
		t.Fatal(err)
	}
}

// rowsOfChunk are the events of a chunk, as rows.
func rowsOfChunk(node string, from, n int) []string {
	return strings.Split(strings.TrimSpace(string(lines(node, from, n))), "\n")
}

// TestAFullLogRefusesUntilAFlush fills the log over HTTP.
func TestAFullLogRefusesUntilAFlush(t *testing.T) {
	l, s := openLog(t, t.TempDir(), Config{Most: 20_000}), new(shelf)
	server := httptest.NewServer(handler(New(l)))
	defer server.Close()
	post := func(i int) *http.Response {
		res, err := http.Post(server.URL+"/intake/events", "application/x-ndjson", strings.NewReader(string(lines("n1", 100*i, 100))))
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		return res
	}
	var want []string
	for round := range 3 {
		for i := 100 * round; ; i++ {
			res := post(i)
			if res.StatusCode == http.StatusOK {
				want = append(want, rowsOfChunk("n1", 100*i, 100)...)
				continue
			}
			if res.StatusCode != http.StatusTooManyRequests || res.Header.Get("Retry-After") != "30" {
				t.Errorf("a full log answers %s, Retry-After %q", res.Status, res.Header.Get("Retry-After"))
			}
			break
		}
		if len(want) <= 100*round {
			t.Fatalf("round %d: nothing was taken in", round)
		}
		if err := l.Ready(); !errors.Is(err, ErrFull) {
			t.Errorf("ready: %v, want %v", err, ErrFull)
		}
		if state, err := l.State(t.Context()); err != nil || state.Trouble == "" || state.Bytes > uint64(state.Most) {
			t.Errorf("state: %+v, %v", state, err)
		}
		flush(t, l, s)
		if err := l.Ready(); err != nil {
			t.Errorf("after a flush: %v", err)
		}
	}
	wantRows(t, s.rows(t), want)
	closeLog(t, l)
}

// TestALargerLogIsNotFull opens a full log with another bound.
func TestALargerLogIsNotFull(t *testing.T) {
	dir, i := t.TempDir(), 0
	l := openLog(t, dir, Config{Most: 20_000})
	for ; ; i++ {
		if err := l.Append(t.Context(), []Chunk{chunk(t, "n1", 100*i, 100)}); err != nil {
			break
		}
	}
	closeLog(t, l)
	l = openLog(t, dir, Config{Most: 40_000})
	appendEvents(t, l, "n1", 100*i, 100)
	closeLog(t, l)
	l = openLog(t, dir, Config{Most: 20_000}) // smaller than what it holds: that stays
	if err := l.Append(t.Context(), []Chunk{chunk(t, "n1", 100*i+100, 100)}); !errors.Is(err, ErrFull) {
		t.Errorf("got %v, want %v", err, ErrFull)
	}
	s := new(shelf)
	flush(t, l, s)
	wantRows(t, s.rows(t), rowsOfChunk("n1", 0, 100*i+100))
	closeLog(t, l)
}

// TestTroubleIsForgotten: who asks whether the log is ready before he posts finds out that it is again.
func TestTroubleIsForgotten(t *testing.T) {
	l := openLog(t, t.TempDir(), Config{})
	l.note(ErrLog)
	if err := l.Ready(); !errors.Is(err, ErrLog) {
		t.Errorf("got %v, want %v", err, ErrLog)
	}
	l.trouble.Store(&trouble{ErrLog, time.Now().Add(-troubleHolds)})
	if err := l.Ready(); err != nil {
		t.Errorf("after a while: %v", err)
	}
	l.note(ErrLog)
	appendEvents(t, l, "n1", 0, 1)
	if err := l.Ready(); err != nil {
		t.Errorf("after an append: %v", err)
	}
	closeLog(t, l)
}

// TestTheReserveOfTheDiskIsKept fills the disk up to what is to stay free.
func TestTheReserveOfTheDiskIsKept(t *testing.T) {
	disk := smallDisk(t, 64<<20)
	l, s := openLog(t, filepath.Join(disk, "log"), Config{Reserve: 32 << 20}), new(shelf)
	want := appendEvents(t, l, "n1", 0, 10)
	extra := ballast(t, disk, 40<<20)
	if err := l.Append(t.Context(), []Chunk{chunk(t, "n1", 10, 10)}); !errors.Is(err, ErrDisk) || !strings.Contains(err.Error(), "intake.reserve keeps 32 MiB") {
		t.Errorf("append gave %v, want %v", err, ErrDisk)
	}
	if err := l.Ready(); !errors.Is(err, ErrDisk) {
		t.Errorf("ready: %v, want %v", err, ErrDisk)
	}
	flush(t, l, s) // there is room to make files in the reserve
	wantRows(t, s.rows(t), want)
	remove(t, extra)
	if err := l.Ready(); err != nil {
		t.Errorf("with room again: %v", err)
	}
	want = append(want, appendEvents(t, l, "n1", 20, 10)...)
	flush(t, l, s)
	wantRows(t, s.rows(t), want)
	closeLog(t, l)
}

// TestADiskThatIsReallyFull keeps nothing free, and lets writes fail.
func TestADiskThatIsReallyFull(t *testing.T) {
	if testing.Short() {
		t.Skip("takes some seconds: a server that failed is let be for a while")
	}
	disk := smallDisk(t, 16<<20)
	l, s := openLog(t, filepath.Join(disk, "log"), Config{Most: 8 << 20}), new(shelf)
	n := 0
	try := func() error {
		err := l.Append(t.Context(), []Chunk{chunk(t, "n1", 100*n, 100)})
		n++
		return err
	}
	var want []string
	acknowledge := func() { want = append(want, rowsOfChunk("n1", 100*(n-1), 100)...) }
	for range 5 {
		if err := try(); err != nil {
			t.Fatal(err)
		}
		acknowledge()
	}
	extra := ballast(t, disk, 1<<30)
	failed := 0
	for range 200 {
		switch err := try(); {
		case err == nil:
			acknowledge() // there was room in a page
		case errors.Is(err, ErrLog):
			failed++
		default:
			t.Fatalf("append gave %v, want %v", err, ErrLog)
		}
	}
	if failed < 100 {
		t.Fatalf("%d of 200 appends failed on a full disk", failed)
	}
	if err := l.Ready(); !errors.Is(err, ErrLog) {
		t.Errorf("ready: %v, want %v", err, ErrLog)
	}
	remove(t, extra)
	for began := time.Now(); ; time.Sleep(50 * time.Millisecond) {
		err := try()
		if err == nil {
			acknowledge()
			break
		}
		if time.Since(began) > time.Minute {
			t.Fatalf("with room again: %v", err)
		}
	}
	if err := l.Ready(); err != nil {
		t.Errorf("with room again: %v", err)
	}
	flush(t, l, s)
	got := s.rows(t)
	if sorted := slices.Sorted(slices.Values(got)); len(slices.Compact(sorted)) != len(got) {
		t.Errorf("%d of %d events are twice in files", len(got)-len(slices.Compact(sorted)), len(got))
	}
	for _, row := range want {
		if !slices.Contains(got, row) {
			t.Fatalf("acknowledged and lost: %s", row)
		}
	}
	wantEmpty(t, l)
	closeLog(t, l)
}

// TestAFullDiskDoesNotStopFilesForGood lets the decision on a file meet a full disk.
func TestAFullDiskDoesNotStopFilesForGood(t *testing.T) {
	if testing.Short() {
		t.Skip("takes some seconds")
	}
	disk := smallDisk(t, 16<<20)
	l, s := openLog(t, filepath.Join(disk, "log"), Config{Most: 8 << 20, Bytes: 1}), new(shelf)
	var want []string
	for i := range 200 { // so many decisions as do not fit into one page
		want = append(want, appendEvents(t, l, "n1", i, 1)...)
	}
	extra := ballast(t, disk, 1<<30)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if err := l.Flush(ctx, s, nil); err == nil {
		t.Fatal("200 decisions fit onto a full disk")
	}
	remove(t, extra)
	for began := time.Now(); l.Flush(t.Context(), s, nil) != nil; time.Sleep(50 * time.Millisecond) {
		if time.Since(began) > time.Minute {
			t.Fatal(l.Flush(t.Context(), s, nil))
		}
	}
	wantRows(t, s.rows(t), want)
	closeLog(t, l)
}

// slowLog takes its time.
type slowLog struct {
	arrived chan struct{}
	release chan struct{}
}

func (s *slowLog) Append(context.Context, []Chunk) error {
	s.arrived <- struct{}{}
	<-s.release
	return nil
}

// TestASlowDiskBoundsMemory has more posts come than there is memory for while the log writes none: they are told to come
// again, and all memory is given back.
func TestASlowDiskBoundsMemory(t *testing.T) {
	const budget, posts = 2 << 20, 60
	slow := &slowLog{make(chan struct{}, posts), make(chan struct{})}
	in := New(slow)
	in.memory = semaphore.NewWeighted(budget)
	server := httptest.NewServer(handler(in))
	defer server.Close()
	body := string(lines("n1", 0, 500)) // some 130 KB
	statuses := make(chan *http.Response, posts)
	var wg sync.WaitGroup
	for range posts {
		wg.Go(func() {
			res, err := http.Post(server.URL+"/intake/events", "application/x-ndjson", strings.NewReader(body))
			if err != nil {
				t.Error(err)
				return
			}
			res.Body.Close()
			statuses <- res
		})
	}
	waiting, refused := 0, 0
	for waiting+refused < posts {
		select {
		case <-slow.arrived:
			waiting++
		case res := <-statuses:
			if res.StatusCode != http.StatusTooManyRequests || res.Header.Get("Retry-After") != "1" {
				t.Errorf("answered %s, Retry-After %q", res.Status, res.Header.Get("Retry-After"))
			}
			refused++
		}
	}
	t.Logf("%d posts wait, %d were refused", waiting, refused)
	if waiting*len(body) > budget || waiting == 0 || refused == 0 {
		t.Errorf("%d posts of %d bytes wait in %d bytes of memory", waiting, len(body), budget)
	}
	close(slow.release)
	wg.Wait()
	for range waiting {
		if res := <-statuses; res.StatusCode != http.StatusOK {
			t.Errorf("who waited is answered %s", res.Status)
		}
	}
	if !in.memory.TryAcquire(budget) {
		t.Error("memory was not given back")
	}
	if c := in.Counts.Now(); c.Posts[Outcome{routeEvents, "busy"}] != int64(refused) || c.Accepted[routeEvents] != int64(waiting*500) {
		t.Errorf("counted %+v", c)
	}
}
