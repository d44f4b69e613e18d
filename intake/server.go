package intake

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"github.com/playmeter/playmeter/bucket"
)

// embedded is the NATS server of this process. It listens on the loopback address alone, for commands of the same
// data directory, with a token that is made anew each time.
type embedded struct {
	dir  string
	lock *os.File
	nats *server.Server

	naming  sync.Mutex
	folders []string        // where messages are; found anew where synced is nil
	synced  map[string]bool // files whose names are durable

	waiting atomic.Pointer[context.CancelCauseFunc] // ends the wait for an answer that will not come
}

// serverPatience is how long the server may take to start; it reads what the log holds.
const serverPatience = time.Minute

// startServer starts the server of a folder. Errors: bucket.ErrLocked.
func startServer(dir string, log *slog.Logger) (*embedded, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the folder of the intake's log: %w", err)
	}
	lock, err := bucket.LockFolder(dir)
	if err != nil {
		return nil, err
	}
	e := &embedded{dir: dir, lock: lock}
	if err := e.start(log); err != nil {
		return nil, errors.Join(fmt.Errorf("start the intake's log in %s: %w", dir, err), lock.Close())
	}
	return e, nil
}

func (e *embedded) start(log *slog.Logger) error {
	token := rand.Text() + rand.Text()
	opts := &server.Options{
		ServerName: "playmeter", Host: "127.0.0.1", Port: server.RANDOM_PORT, Authorization: token, NoSigs: true, NoLog: true,
		JetStream: true, StoreDir: e.dir, SyncAlways: true, JetStreamMaxMemory: 64 << 20, JetStreamMaxStore: 1 << 50, // Config.Most bounds it
		DisableJetStreamBanner: true, MaxPayload: maxMessage,
	}
	s, err := server.NewServer(opts)
	if err != nil {
		return err
	}
	s.SetLoggerV2(serverLog{log, e}, false, false, false)
	s.Start()
	if !s.ReadyForConnections(serverPatience) || !s.JetStreamEnabled() {
		s.Shutdown()
		s.WaitForShutdown()
		return errors.New("the server does not start; the log says why")
	}
	e.nats = s
	e.naming.Lock()
	e.synced = nil // it may have made files anew
	e.naming.Unlock()
	return writeAddress(e.dir, address{URL: s.ClientURL(), Token: token})
}

// dial connects without leaving the process.
func (e *embedded) dial(options ...nats.Option) (*nats.Conn, error) {
	a, err := readAddress(e.dir)
	if err != nil {
		return nil, err
	}
	return nats.Connect("", append(options, nats.InProcessServer(e.nats), nats.Token(a.Token))...)
}

func (e *embedded) stop() {
	e.nats.Shutdown()
	e.nats.WaitForShutdown()
}

func (e *embedded) close() error {
	e.stop()
	return errors.Join(os.Remove(addressPath(e.dir)), e.lock.Close())
}

// syncNames makes the names of the log's files durable. The server syncs what it writes, but not the folder
// when it begins another file.
func (e *embedded) syncNames() error {
	e.naming.Lock()
	defer e.naming.Unlock()
	files, err := e.blocks()
	if err != nil {
		return err
	}
	known := func(name string) bool { return e.synced[name] }
	if !slices.ContainsFunc(files, func(name string) bool { return !known(name) }) {
		return nil
	}
	folders := map[string]bool{filepath.Dir(e.dir): true}
	for _, name := range files {
		if known(name) {
			continue
		}
		for d := filepath.Dir(name); len(d) >= len(e.dir); d = filepath.Dir(d) {
			folders[d] = true
		}
	}
	for d := range folders {
		if err := syncFolder(d); err != nil {
			return fmt.Errorf("sync the folder of the intake's log: %w", err)
		}
	}
	e.synced = make(map[string]bool, len(files))
	for _, name := range files {
		e.synced[name] = true
	}
	return nil
}

// blocks are the files that hold messages.
func (e *embedded) blocks() (files []string, err error) {
	if e.synced == nil {
		if e.folders, err = filepath.Glob(filepath.Join(e.dir, "jetstream", "*", "streams", "*", "msgs")); err != nil {
			return nil, err
		}
	}
	for _, folder := range e.folders {
		entries, err := os.ReadDir(folder)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("look into the folder of the intake's log: %w", err)
		}
		for _, f := range entries {
			if filepath.Ext(f.Name()) == ".blk" {
				files = append(files, filepath.Join(folder, f.Name()))
			}
		}
	}
	return files, nil
}

func syncFolder(name string) error {
	d, err := os.Open(name)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// free is how many bytes of the disk we may still write.
func (e *embedded) free() (int64, error) {
	var s syscall.Statfs_t
	if err := syscall.Statfs(e.dir, &s); err != nil {
		return 0, fmt.Errorf("ask for the free space of %s: %w", e.dir, err)
	}
	return int64(s.Bavail) * s.Bsize, nil
}

// address is where the server of a folder listens, and what it asks for. Who can read the file could read the log
// beside it as well.
type address struct {
	URL   string `json:"url"`
	Token string `json:"token"`
}

func addressPath(dir string) string { return filepath.Join(dir, "address") }

func writeAddress(dir string, a address) error {
	data, err := json.Marshal(a)
	if err != nil {
		return err
	}
	temp := addressPath(dir) + ".new"
	if err := os.WriteFile(temp, data, 0o600); err != nil {
		return err
	}
	return os.Rename(temp, addressPath(dir))
}

func readAddress(dir string) (a address, err error) {
	data, err := os.ReadFile(addressPath(dir))
	if err != nil {
		return a, err
	}
	return a, json.Unmarshal(data, &a)
}

// serverLog hands the server's warnings and errors to ours; what it does in between is of no interest.
type serverLog struct {
	log    *slog.Logger
	server *embedded
}

// notStored is what the server says when it could not write a message. Whoever sent it gets no answer.
const notStored = "failed to store a msg on stream"

func (l serverLog) say(level slog.Level, format string, v ...any) {
	text := strings.TrimSpace(fmt.Sprintf(format, v...))
	l.log.Log(context.Background(), level, "intake log", "err", text)
	if strings.Contains(text, notStored) {
		if fail := l.server.waiting.Load(); fail != nil {
			(*fail)(errors.New(text))
		}
	}
}

// await gives a context for one write, which ends when the server says that it could not do it.
func (e *embedded) await(ctx context.Context) (_ context.Context, done func()) {
	ctx, fail := context.WithCancelCause(ctx)
	e.waiting.Store(&fail)
	return ctx, func() {
		e.waiting.CompareAndSwap(&fail, nil)
		fail(nil)
	}
}

func (l serverLog) Noticef(string, ...any)         {}
func (l serverLog) Debugf(string, ...any)          {}
func (l serverLog) Tracef(string, ...any)          {}
func (l serverLog) Warnf(format string, v ...any)  { l.say(slog.LevelWarn, format, v...) }
func (l serverLog) Errorf(format string, v ...any) { l.say(slog.LevelError, format, v...) }
func (l serverLog) Fatalf(format string, v ...any) { l.say(slog.LevelError, format, v...) }
