package intake

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// startNATS is a NATS server as others run them: with a port, and not ours.
func startNATS(t *testing.T, change func(*server.Options)) *server.Server {
	t.Helper()
	o := &server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT, JetStream: true, StoreDir: t.TempDir(), NoSigs: true, NoLog: true}
	if change != nil {
		change(o)
	}
	s, err := server.NewServer(o)
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() {
		s.Shutdown()
		s.WaitForShutdown()
	})
	if !s.ReadyForConnections(serverPatience) {
		t.Fatal("the server does not start")
	}
	return s
}

// TestSeveralProcessesShareServers has several logs on one server take in events and make files of them at the same
// time: each event is in one file, and no file is made twice.
func TestSeveralProcessesShareServers(t *testing.T) {
	cfg := Config{URL: startNATS(t, nil).ClientURL(), Bytes: 2000}
	s := new(shelf)
	var wg sync.WaitGroup
	var mu sync.Mutex
	var want []string
	told := map[string]int{}
	for p := range 3 {
		l := openLog(t, "", cfg)
		node := fmt.Sprint("n", p)
		appended := make(chan struct{})
		wg.Go(func() {
			defer close(appended)
			for i := range 60 {
				if err := l.Append(t.Context(), []Chunk{chunk(t, node, 20*i, 20)}); err != nil {
					t.Error(err)
				}
				mu.Lock()
				want = append(want, strings.Split(strings.TrimSpace(string(lines(node, 20*i, 20))), "\n")...)
				mu.Unlock()
			}
		})
		wg.Go(func() {
			for last := false; ; {
				if err := l.Flush(t.Context(), s, func(f File) { mu.Lock(); told[f.Key]++; mu.Unlock() }); err != nil {
					t.Error(err)
				}
				if last {
					break
				}
				select {
				case <-appended:
					last = true
				default:
				}
			}
			closeLog(t, l)
		})
	}
	wg.Wait()
	t.Logf("%d files in %d puts", len(s.objects), s.puts)
	wantRows(t, slices.Sorted(slices.Values(s.rows(t))), slices.Sorted(slices.Values(want)))
	if len(s.objects) < 10 {
		t.Errorf("%d files; the processes did not meet", len(s.objects))
	}
	for _, key := range s.keys() {
		if told[key] == 0 {
			t.Errorf("nobody told of %s", key)
		}
	}
}

// TestSecondProcessMakesFiles opens the log of a folder that another process has open.
func TestSecondProcessMakesFiles(t *testing.T) {
	dir, s := t.TempDir(), new(shelf)
	daemon := openLog(t, dir, Config{Own: true})
	want := appendEvents(t, daemon, "n1", 0, 10)
	command := openLog(t, dir, Config{})
	if command.server != nil {
		t.Fatal("two processes have the folder open")
	}
	want = append(want, appendEvents(t, command, "n2", 0, 10)...)
	flush(t, command, s)
	wantRows(t, s.rows(t), want)
	wantEmpty(t, daemon)
	later := appendEvents(t, daemon, "n1", 10, 10)
	flush(t, daemon, s)
	flush(t, command, s)
	wantRows(t, s.rows(t), append(want, later...))
	closeLog(t, command)
	if err := daemon.Ready(); err != nil {
		t.Error(err)
	}
	closeLog(t, daemon)
}

// TestADaemonWaitsForACommand lets a daemon begin while a command has the folder open.
func TestADaemonWaitsForACommand(t *testing.T) {
	dir := t.TempDir()
	command := openLog(t, dir, Config{})
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if _, err := Open(ctx, Config{Dir: dir, Own: true}, nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("while the command has it open: %v, want %v", err, context.DeadlineExceeded)
	}
	opened := make(chan *Log)
	go func() {
		l, err := Open(context.Background(), Config{Dir: dir, Own: true}, nil)
		if err != nil {
			t.Error(err)
		}
		opened <- l
	}()
	closeLog(t, command)
	if l := <-opened; l != nil {
		closeLog(t, l)
	}
}

// TestServersThatComeAndGo ends the server between two posts and starts it again.
func TestServersThatComeAndGo(t *testing.T) {
	dir := t.TempDir()
	first := startNATS(t, func(o *server.Options) { o.StoreDir = dir })
	port := first.Addr().String()[strings.LastIndex(first.Addr().String(), ":")+1:]
	l, s := openLog(t, "", Config{URL: first.ClientURL()}), new(shelf)
	want := appendEvents(t, l, "n1", 0, 10)
	first.Shutdown()
	first.WaitForShutdown()

	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := l.Flush(ctx, s, nil); err == nil {
		t.Error("a flush without a server went well")
	}
	startNATS(t, func(o *server.Options) {
		o.StoreDir = dir
		if _, err := fmt.Sscan(port, &o.Port); err != nil {
			t.Fatal(err)
		}
	})
	for l.Append(t.Context(), []Chunk{chunk(t, "n1", 10, 10)}) != nil {
		time.Sleep(10 * time.Millisecond)
	}
	want = append(want, strings.Split(strings.TrimSpace(string(lines("n1", 10, 10))), "\n")...)
	flush(t, l, s)
	wantRows(t, slices.Compact(s.rows(t)), want) // an append whose answer was lost comes twice
	closeLog(t, l)
}

func TestServersThatAreNotOurs(t *testing.T) {
	secret := startNATS(t, func(o *server.Options) { o.Authorization = "ours-to-know" })
	plain := startNATS(t, func(o *server.Options) { o.JetStream = false })
	tests := []struct {
		name string
		cfg  Config
		want string // empty: it opens
	}{
		{"nobody listens", Config{URL: "nats://127.0.0.1:1"}, "intake.nats: reach nats://127.0.0.1:1"},
		{"a token is missing", Config{URL: secret.ClientURL()}, "Authorization Violation"},
		{"the token is wrong", Config{URL: secret.ClientURL(), Token: "not-it"}, "Authorization Violation"},
		{"the token is right", Config{URL: secret.ClientURL(), Token: "ours-to-know"}, ""},
		{"there is no JetStream", Config{URL: plain.ClientURL()}, "JetStream is not enabled"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l, err := tryOpen(t, "", tt.cfg)
			if err == nil {
				closeLog(t, l)
			}
			switch {
			case tt.want == "" && err != nil:
				t.Fatal(err)
			case tt.want != "" && (err == nil || !strings.Contains(strings.ToLower(err.Error()), strings.ToLower(tt.want))):
				t.Fatalf("got %v, want %q", err, tt.want)
			case err != nil && strings.Contains(err.Error(), "not-it"):
				t.Errorf("the token is told: %v", err)
			}
		})
	}
}
