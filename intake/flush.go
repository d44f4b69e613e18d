package intake

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/playmeter/playmeter/bucket"
)

// Files is where usage files are put.
type Files interface {
	// Create stores data under a name not yet taken, durably; see bucket.Bucket.
	Create(ctx context.Context, key string, data []byte) (bucket.Info, error)
}

// Flush puts all events that the log held when it was called into usage files, and gives each file to stored, which
// may be nil. When it returns nil, all of them stand and the events are out of the log.
func (l *Log) Flush(ctx context.Context, to Files, stored func(File)) error {
	l.flushing.Lock()
	defer l.flushing.Unlock()
	_, events, _, _ := l.streams()
	info, err := events.Info(ctx)
	if err = l.mend(err); err != nil {
		return fmt.Errorf("ask what waits in the intake's log: %w", err)
	}
	until := info.State.LastSeq
	for {
		last, err := l.file(ctx, to, stored)
		if err != nil || last == 0 || last >= until {
			return err
		}
	}
}

// firstPause is how long Run waits after something failed; each time it fails again twice as long, up to longestPause.
const (
	firstPause   = 5 * time.Second
	longestPause = time.Minute
)

// Run puts events into usage files as they become old or many, until ctx ends. What fails is tried again.
func (l *Log) Run(ctx context.Context, to Files, stored func(File)) {
	tick := time.NewTicker(min(time.Second, l.cfg.Every))
	defer tick.Stop()
	var failed error
	pause := firstPause
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		err := l.flushDue(ctx, to, stored)
		if err != nil && ctx.Err() == nil && (failed == nil || failed.Error() != err.Error()) {
			l.out.Error("events wait in the intake's log", "err", err)
		}
		if failed = err; err == nil {
			pause = firstPause
			continue
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return
		}
		pause = min(2*pause, longestPause)
	}
}

// flushDue makes files while there are enough events for one, or some are old enough.
func (l *Log) flushDue(ctx context.Context, to Files, stored func(File)) error {
	l.flushing.Lock()
	defer l.flushing.Unlock()
	for {
		s, err := l.State(ctx)
		if err = l.mend(err); err != nil {
			return err
		}
		if s.Posts == 0 || s.Bytes < uint64(l.cfg.Bytes) && time.Since(s.Oldest) < l.cfg.Every {
			return nil
		}
		if last, err := l.file(ctx, to, stored); err != nil || last == 0 {
			return err
		}
	}
}

// file makes the next file, or ends one that was decided on, and returns the last message that it holds; 0
// where nothing waits.
func (l *Log) file(ctx context.Context, to Files, stored func(File)) (last uint64, err error) {
	js, events, files, epoch := l.streams()
	for {
		d, again, err := l.decide(ctx, js, events, files, epoch)
		if err != nil {
			return 0, err
		}
		if again {
			continue // another process was at it
		}
		if d.First == 0 {
			return 0, nil
		}
		l.drafted = d
		_, err = to.Create(ctx, d.Key, d.content)
		if err != nil && !errors.Is(err, bucket.ErrExist) { // its name is that of its content: what exists is it
			return 0, fmt.Errorf("put events from the intake's log into the usage bucket: %w", err)
		}
		l.drafted = nil
		if err := l.mend(events.Purge(ctx, jetstream.WithPurgeSequence(d.Last+1))); err != nil {
			return 0, fmt.Errorf("take events that are in %s out of the intake's log: %w", d.Key, err)
		}
		if t := l.trouble.Load(); t != nil && errors.Is(t.err, ErrFull) {
			l.trouble.CompareAndSwap(t, nil)
		}
		if stored != nil {
			stored(File{Key: d.Key, Events: d.events, Bytes: int64(len(d.content)), Oldest: d.at})
		}
		return d.Last, nil
	}
}

// decide drafts the next file and publishes the decision on it. Where one was decided on and may not stand
// yet, that is drafted again. again is true where another process decided meanwhile.
func (l *Log) decide(ctx context.Context, js jetstream.JetStream, events, files jetstream.Stream, epoch string) (d *draft, again bool, err error) {
	before, number, err := lastDecision(ctx, files)
	if err != nil {
		return nil, false, err
	}
	info, err := events.Info(ctx)
	if err != nil {
		return nil, false, fmt.Errorf("ask what waits in the intake's log: %w", err)
	}
	first := info.State.FirstSeq
	if d := l.drafted; d != nil && d.First == first && d.Key == before.Key {
		return d, false, nil // it could not be put
	}
	if info.State.Msgs > 0 && first <= before.Last {
		d, err = l.draft(ctx, events, epoch, first, before.Last)
		if err != nil || d.Key == before.Key {
			return d, false, err
		}
		if info, err = events.Info(ctx); err != nil || info.State.FirstSeq != first {
			return nil, true, err // another process was quicker
		}
		l.out.Warn("the intake's log does not hold what it held when a file was decided on; what it holds goes into another", "object", before.Key)
	}
	if d, err = l.draft(ctx, events, epoch, first, 0); err != nil || d.First == 0 {
		return d, false, err
	}
	text, err := json.Marshal(d.decision)
	if err != nil {
		return nil, false, err
	}
	_, err = js.Publish(ctx, l.cfg.decisions(), text, jetstream.WithExpectLastSequence(number), jetstream.WithExpectStream(l.cfg.Stream+"-files"))
	var refused *jetstream.APIError
	if errors.As(err, &refused) && (refused.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequence || refused.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequenceConstant) {
		return nil, true, nil
	}
	if err = l.mend(err); err != nil {
		return nil, false, fmt.Errorf("note in the intake's log which events go into %s: %w", d.Key, err)
	}
	return d, false, nil
}

// lastDecision is the newest decision and its number; zero where there is none.
func lastDecision(ctx context.Context, files jetstream.Stream) (d decision, number uint64, err error) {
	info, err := files.Info(ctx)
	if err != nil {
		return d, 0, fmt.Errorf("ask which usage file was decided on: %w", err)
	}
	if number = info.State.LastSeq; number == 0 {
		return d, 0, nil
	}
	m, err := files.GetMsg(ctx, number)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return d, number, nil // the stream was emptied by hand
	} else if err != nil {
		return d, 0, fmt.Errorf("read which usage file was decided on: %w", err)
	}
	if err := json.Unmarshal(m.Data, &d); err != nil {
		return d, 0, fmt.Errorf("read which usage file was decided on: %w", err)
	}
	return d, number, nil
}
