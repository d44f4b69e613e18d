package intake

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/playmeter/playmeter/accounting"
)

// Chunk is a part of a post as it is kept: lines of NDJSON, as one zstd frame.
type Chunk struct {
	Frame  []byte
	Events int
	Size   int // of the lines, in bytes
}

// maxFrame bounds a frame, so that it fits into a message with its headers.
const maxFrame = maxMessage - 4<<10

// maxMessageEvents bounds the events of a message that several posts share. A message is never divided, so they must all
// fit into one file, whatever they are.
const maxMessageEvents = accounting.MaxTenants / 2

// maxMessageSize bounds the lines of such a message in bytes: it is unpacked as a whole.
const maxMessageSize = 16 << 20

// appending is a chunk on its way into the log.
type appending struct {
	Chunk
	done chan error // takes one answer without waiting
}

// Append puts chunks into the log. When it returns nil they are durable; when it fails, some may be, and the
// sender sends all of them again.
//
//   - Errors: ErrFull, ErrDisk, ErrLog, and the context's.
func (l *Log) Append(ctx context.Context, chunks []Chunk) error {
	waiting := make([]*appending, 0, len(chunks))
	var err error
	for _, c := range chunks {
		a := &appending{Chunk: c, done: make(chan error, 1)}
		select {
		case l.appends <- a:
			waiting = append(waiting, a)
			continue
		case <-l.closing:
			err = fmt.Errorf("%w: it is being closed", ErrLog)
		case <-ctx.Done():
			err = ctx.Err()
		}
		break
	}
	for _, a := range waiting { // an answer always comes
		err = errors.Join(err, <-a.done)
	}
	return err
}

// commit writes what is appended. What comes while a message is being written shares the next one: so many
// small posts cost one sync together.
func (l *Log) commit() {
	for {
		select {
		case a := <-l.appends:
			l.writeWith(a)
		case <-l.closing:
			return
		}
	}
}

// writeWith writes a and what waits beside it, in as few messages as take it all.
func (l *Log) writeWith(a *appending) {
	group, all := []*appending{a}, a.Chunk
	for {
		select {
		case more := <-l.appends:
			if len(all.Frame)+len(more.Frame) > maxFrame || all.Events+more.Events > maxMessageEvents || all.Size+more.Size > maxMessageSize {
				l.write(group, all.Frame)
				group, all = nil, Chunk{}
			}
			group = append(group, more)
			all = Chunk{Frame: append(all.Frame, more.Frame...), Events: all.Events + more.Events, Size: all.Size + more.Size}
		default:
			l.write(group, all.Frame)
			return
		}
	}
}

// write publishes one message, and answers those who wait for it.
func (l *Log) write(group []*appending, data []byte) {
	err := l.publish(data)
	l.note(err)
	for _, a := range group {
		a.done <- err
	}
}

// publish returns nil when the message is durable.
func (l *Log) publish(data []byte) error {
	if err := l.room(); err != nil {
		return err
	}
	err := l.send(data)
	if l.needsRestart(err) {
		if again := l.restart(); again != nil {
			return fmt.Errorf("%w: %w; and it cannot be opened again: %w", ErrLog, err, again)
		}
		err = l.send(data)
	}
	if err == nil && l.server != nil {
		err = l.server.syncNames()
	}
	if err == nil || errors.Is(err, ErrFull) {
		return err
	}
	return fmt.Errorf("%w: %w", ErrLog, err)
}

func (l *Log) send(data []byte) error {
	js, _, _, _ := l.streams()
	ctx, cancel := context.WithTimeout(context.Background(), askPatience)
	defer cancel()
	if l.server != nil {
		var done func()
		ctx, done = l.server.await(ctx)
		defer done()
	}
	_, err := js.Publish(ctx, l.cfg.events(), data, jetstream.WithExpectStream(l.cfg.Stream), jetstream.WithRetryAttempts(1))
	if cause := context.Cause(ctx); err != nil && cause != nil {
		err = cause
	}
	if err != nil && strings.Contains(err.Error(), "maximum bytes exceeded") {
		return fmt.Errorf("%w: it holds %d MiB, as intake.most allows, because its events cannot be put into the usage bucket; the daemon's log says why", ErrFull, l.cfg.Most>>20)
	}
	return err
}

// note remembers what an append came to, and says it once where it changes.
func (l *Log) note(err error) {
	before := l.trouble.Load()
	if err == nil {
		if before != nil {
			l.trouble.Store(nil)
			l.out.Info("events are taken in again")
		}
		return
	}
	l.trouble.Store(&trouble{err, time.Now()})
	if before == nil || before.err.Error() != err.Error() {
		l.out.Error("events cannot be taken in", "err", err)
	}
}
