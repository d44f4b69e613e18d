package intake

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/playmeter/playmeter/bucket"
)

// Why nothing can be taken in just now. Who asks again later is heard.
var (
	// ErrBusy: too many posts are under way.
	ErrBusy = errors.New("too many events are on their way in")
	// ErrFull: the log holds as much as it may, because its events cannot be put into the usage bucket.
	ErrFull = errors.New("the intake's log is full")
	// ErrDisk: the disk has no room to spare.
	ErrDisk = errors.New("the intake's disk is full")
	// ErrLog: the log cannot be written.
	ErrLog = errors.New("the intake's log cannot be written")
)

// A Log keeps events from when they are taken in until they are in a usage file. It is safe for concurrent use.
type Log struct {
	cfg Config
	out *slog.Logger

	server *embedded // nil: it runs elsewhere
	mu     sync.RWMutex
	conn   *nats.Conn
	js     jetstream.JetStream
	events jetstream.Stream
	files  jetstream.Stream
	epoch  string // of the stream of events: another stream has another

	appends    chan *appending
	closing    chan struct{}
	ended      sync.WaitGroup
	trouble    atomic.Pointer[trouble] // what the last append came to
	restarted  time.Time               // when the server was last started anew
	restarting sync.Mutex              // held while it is
	unstarted  error                   // what the last restart came to
	flushing   sync.Mutex
	drafted    *draft // a file that could not be put; under flushing
}

const (
	// maxMessage bounds a message, in bytes: a server that is not told otherwise takes no more.
	maxMessage = 1 << 20
	// askPatience is how long a server may take to answer.
	askPatience = 10 * time.Second
	// restartPause is how long a server that could not write is let be before it is started anew once more.
	restartPause = 5 * time.Second
	// keptDecisions is how many decisions on files are kept; only the last one is ever needed.
	keptDecisions = 1000
)

// epochKey is where the epoch stands in the stream's metadata.
const epochKey = "playmeter.epoch"

// Open opens the log: with a URL that of the servers there; else that of the folder, in this process, or
// where another process has it open, through that process.
func Open(ctx context.Context, cfg Config, out *slog.Logger) (*Log, error) {
	l := &Log{cfg: cfg.withDefaults(), out: out, appends: make(chan *appending), closing: make(chan struct{})}
	if l.out == nil {
		l.out = slog.New(slog.DiscardHandler)
	}
	if err := l.dial(ctx); err != nil {
		return nil, errors.Join(err, l.shut())
	}
	if err := l.connect(ctx); err != nil {
		return nil, errors.Join(err, l.shut())
	}
	l.ended.Go(l.commit)
	return l, nil
}

// dial reaches a server, or starts one.
func (l *Log) dial(ctx context.Context) (err error) {
	if l.cfg.URL != "" {
		return l.dialServers()
	}
	for deadline := time.Now().Add(l.patience()); ; {
		l.server, err = startServer(l.cfg.Dir, l.out)
		if err == nil {
			l.conn, err = l.server.dial(l.options()...)
			return err
		}
		if !errors.Is(err, bucket.ErrLocked) {
			return err
		}
		if !l.cfg.Own {
			if l.conn, err = l.dialProcess(); err == nil {
				return nil
			}
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("the intake's log in %s: %w; end that process, or wait for it", l.cfg.Dir, err)
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// patience is how long another process is waited for: one that serves the log to start or to end, or one that has it
// open for the time of a command.
func (l *Log) patience() time.Duration {
	if l.cfg.Own {
		return 30 * time.Second
	}
	return askPatience
}

func (l *Log) options() []nats.Option {
	return []nats.Option{nats.Name("playmeter"), nats.Timeout(askPatience), nats.MaxReconnects(-1), nats.ReconnectWait(time.Second), nats.RetryOnFailedConnect(false)}
}

func (l *Log) dialServers() (err error) {
	options := l.options()
	if l.cfg.Credentials != "" {
		options = append(options, nats.UserCredentials(l.cfg.Credentials))
	}
	if l.cfg.User != "" {
		options = append(options, nats.UserInfo(l.cfg.User, l.cfg.Password.Reveal()))
	}
	if l.cfg.Token != "" {
		options = append(options, nats.Token(l.cfg.Token.Reveal()))
	}
	if l.conn, err = nats.Connect(l.cfg.URL, options...); err != nil {
		return fmt.Errorf("intake.nats: reach %s: %w", l.cfg.URL, err)
	}
	return nil
}

func (l *Log) dialProcess() (*nats.Conn, error) {
	a, err := readAddress(l.cfg.Dir)
	if err != nil {
		return nil, err
	}
	return nats.Connect(a.URL, append(l.options(), nats.Token(a.Token))...)
}

// connect finds the streams, or makes them.
func (l *Log) connect(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, askPatience)
	defer cancel()
	js, err := jetstream.New(l.conn, jetstream.WithDefaultTimeout(askPatience))
	if err != nil {
		return err
	}
	events, err := l.stream(ctx, js, jetstream.StreamConfig{
		Name: l.cfg.Stream, Subjects: []string{l.cfg.events()}, Storage: jetstream.FileStorage, Retention: jetstream.LimitsPolicy,
		Discard: jetstream.DiscardNew, MaxBytes: l.cfg.Most, MaxMsgSize: maxMessage, Replicas: l.cfg.Replicas, AllowDirect: false,
		Metadata:    map[string]string{epochKey: strings.ToLower(rand.Text()[:12])},
		Description: "usage events that are not in a usage file yet",
	})
	if err != nil {
		return err
	}
	files, err := l.stream(ctx, js, jetstream.StreamConfig{
		Name: l.cfg.Stream + "-files", Subjects: []string{l.cfg.decisions()}, Storage: jetstream.FileStorage, Retention: jetstream.LimitsPolicy,
		Discard: jetstream.DiscardOld, MaxMsgs: keptDecisions, Replicas: l.cfg.Replicas,
		Description: "which events go into which usage file",
	})
	if err != nil {
		return err
	}
	epoch := events.CachedInfo().Config.Metadata[epochKey]
	if epoch == "" {
		return fmt.Errorf("the stream %q of the NATS servers is not one of ours: name another under intake.nats.stream", l.cfg.Stream)
	}
	if l.server != nil {
		if err := l.server.syncNames(); err != nil {
			return err
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.js, l.events, l.files, l.epoch = js, events, files, epoch
	return nil
}

// stream finds a stream, and lets it hold as many bytes as are configured now.
func (l *Log) stream(ctx context.Context, js jetstream.JetStream, want jetstream.StreamConfig) (jetstream.Stream, error) {
	s, err := js.Stream(ctx, want.Name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		if s, err = js.CreateStream(ctx, want); errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) {
			s, err = js.Stream(ctx, want.Name) // another was quicker
		}
	}
	if err == nil && l.server != nil && want.MaxBytes != 0 && s.CachedInfo().Config.MaxBytes != want.MaxBytes {
		config := s.CachedInfo().Config
		config.MaxBytes = want.MaxBytes
		s, err = js.UpdateStream(ctx, config)
	}
	if errors.Is(err, nats.ErrNoResponders) || errors.Is(err, jetstream.ErrJetStreamNotEnabled) {
		return nil, fmt.Errorf("open the stream %q of the intake's log: JetStream is not enabled on the NATS servers, or has no leader yet: %w", want.Name, err)
	}
	if err != nil {
		return nil, fmt.Errorf("open the stream %q of the intake's log: %w", want.Name, err)
	}
	return s, nil
}

// streams are what the log is at present.
func (l *Log) streams() (js jetstream.JetStream, events, files jetstream.Stream, epoch string) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.js, l.events, l.files, l.epoch
}

// needsRestart tells whether the server must begin anew: one that could not write once writes no more, and does not always
// answer that.
func (l *Log) needsRestart(err error) bool {
	return err != nil && l.server != nil && !errors.Is(err, ErrFull) && !errors.Is(err, context.Canceled)
}

// mend restarts the server after an error of it, so that the next attempt may go well.
func (l *Log) mend(err error) error {
	if l.needsRestart(err) {
		return errors.Join(err, l.restart())
	}
	return err
}

// restart starts the embedded server anew: one that could not write, for want of room, writes no more until then. One
// that was started just now is let be.
func (l *Log) restart() error {
	l.restarting.Lock()
	defer l.restarting.Unlock()
	select {
	case <-l.closing:
		return errors.New("it is being closed")
	default:
	}
	if time.Since(l.restarted) < restartPause {
		return l.unstarted
	}
	l.restarted = time.Now()
	l.unstarted = l.startAnew()
	return l.unstarted
}

func (l *Log) startAnew() error {
	l.conn.Close()
	l.server.stop()
	if err := l.server.start(l.out); err != nil {
		return err
	}
	conn, err := l.server.dial(l.options()...)
	if err != nil {
		return err
	}
	l.conn = conn
	return l.connect(context.Background())
}

// Close ends the log; what is on its way in is answered before. Events that are not in a file yet stay where they are.
func (l *Log) Close() error {
	close(l.closing)
	l.ended.Wait()
	return l.shut()
}

func (l *Log) shut() error {
	l.restarting.Lock()
	defer l.restarting.Unlock()
	if l.conn != nil {
		l.conn.Close()
	}
	if l.server != nil {
		return l.server.close()
	}
	return nil
}

// State is how much waits in the log.
type State struct {
	Posts   uint64    `json:"posts"` // messages: a post makes one or more, or shares one with others
	Bytes   uint64    `json:"bytes"`
	Most    int64     `json:"bytes_most"`
	Oldest  time.Time `json:"oldest,omitzero"`
	Trouble string    `json:"trouble,omitempty"` // why nothing can be taken in
}

// State asks how much waits.
func (l *Log) State(ctx context.Context) (State, error) {
	_, events, _, _ := l.streams()
	info, err := events.Info(ctx)
	if err != nil {
		return State{}, fmt.Errorf("ask what waits in the intake's log: %w", err)
	}
	s := State{Posts: info.State.Msgs, Bytes: info.State.Bytes, Most: info.Config.MaxBytes}
	if s.Posts > 0 {
		s.Oldest = info.State.FirstTime
	}
	if err := l.Ready(); err != nil {
		s.Trouble = err.Error()
	}
	return s, nil
}

// trouble is why an append failed.
type trouble struct {
	err error
	at  time.Time
}

// troubleHolds is for how long it is believed that the next append would fail as the last one did. Whoever asks whether
// we are ready before he sends anything would else never find out.
const troubleHolds = 30 * time.Second

// Ready tells why nothing can be taken in; nil where it can.
func (l *Log) Ready() error {
	if err := l.room(); err != nil {
		return err
	}
	if t := l.trouble.Load(); t != nil && !errors.Is(t.err, ErrDisk) && time.Since(t.at) < troubleHolds {
		return t.err
	}
	return nil
}

// room tells whether the disk has some to spare. It is asked before the log is written, because a log that meets the end
// of its disk must be opened anew.
func (l *Log) room() error {
	if l.server == nil || l.cfg.Reserve <= 0 {
		return nil
	}
	free, err := l.server.free()
	if err != nil {
		return err
	}
	if free < l.cfg.Reserve {
		return fmt.Errorf("%w: %d MiB are free, and intake.reserve keeps %d MiB: make room, and senders will send again", ErrDisk, free>>20, l.cfg.Reserve>>20)
	}
	return nil
}
