package intake

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/playmeter/playmeter/accounting"
	"github.com/playmeter/playmeter/schemas"
)

// File is a usage file that was made of the log's events.
type File struct {
	Key    string
	Events int
	Bytes  int64
	Oldest time.Time // when its first event was taken in
}

// decision says which messages of the log go into which file. It is published before the file is put.
type decision struct {
	First uint64 `json:"first"`
	Last  uint64 `json:"last"`
	Key   string `json:"key"`
}

// draft is a file in the making, and the messages that it is made of.
type draft struct {
	decision
	content []byte
	events  int
	at      time.Time // when the first message came
	size    int64     // of the messages
	sum     hash.Hash // likewise
	tenants map[string]bool
	hours   map[tenantHour]bool
}

type tenantHour struct {
	tenant string
	hour   schemas.Hour
}

func newDraft() *draft {
	return &draft{sum: sha256.New(), tenants: map[string]bool{}, hours: map[tenantHour]bool{}}
}

// maxFileEvents bounds the events of one file: a row group of Parquet.
const maxFileEvents = 1_000_000

// draft reads the log from first on, up to last where that is not 0, or as far as one file goes, and writes what it
// reads as Parquet. Without any message First is 0.
func (l *Log) draft(ctx context.Context, events jetstream.Stream, epoch string, first, last uint64) (*draft, error) {
	d, ending := newDraft(), ".parquet"
	err := l.fill(ctx, events, first, last, d, newParquet())
	if errors.Is(err, errContent) {
		// What cannot be read is handed on as it is: the run sets it aside, and it can be looked at.
		l.out.Error("events in the intake's log cannot be read; they go into a usage file as they are", "err", err)
		d, ending = newDraft(), ".ndjson.zst"
		err = l.fill(ctx, events, first, last, d, new(asTheyAre))
	}
	if err != nil {
		return nil, err
	}
	if d.First != 0 {
		d.Key = fmt.Sprintf("%s%s/%s-%d-%s%s", filesFolder, d.at.UTC().Format("dt=2006-01-02/hour=15"), epoch, d.First, hex.EncodeToString(d.sum.Sum(nil)[:12]), ending)
	}
	return d, nil
}

// filesFolder is the first part of the keys of our files. When their first event came, and what they are made of, is
// the rest.
const filesFolder = "intake/"

// format is how a file is written.
type format interface {
	// read takes a message apart. Its events hold until the next call. Errors: errContent.
	read(message []byte) ([]schemas.Event, error)
	// add puts what was read last into the file.
	add() error
	end() ([]byte, error)
}

// fill puts messages into a draft.
func (l *Log) fill(ctx context.Context, events jetstream.Stream, first, last uint64, d *draft, f format) error {
	m, err := l.messages(ctx, events, first)
	if err != nil {
		return err
	}
	defer m.close()
	for {
		msg, about, err := m.next()
		if err != nil {
			return err
		}
		if msg == nil {
			break
		}
		seq, data := about.Sequence.Stream, msg.Data()
		if last != 0 && seq > last {
			break
		}
		rows, err := f.read(data)
		if err != nil {
			return fmt.Errorf("message %d: %w", seq, err)
		}
		if last == 0 && d.First != 0 && (d.size+int64(len(data)) > l.cfg.Bytes || !d.fits(rows)) {
			break
		}
		if d.First == 0 {
			d.First, d.at = seq, about.Timestamp
		}
		d.Last = seq
		d.take(data, rows)
		if err := f.add(); err != nil {
			return err
		}
	}
	d.content, err = f.end()
	return err
}

// fits tells whether the file can be read with these events in it: a run sets a file aside that names too many
// tenants, and nobody's events are to make it do that to those of others.
func (d *draft) fits(rows []schemas.Event) bool {
	tenants, hours := len(d.tenants), len(d.hours)
	for i := range rows {
		if !d.tenants[rows[i].TenantID] {
			tenants++
		}
		if !d.hours[tenantHour{rows[i].TenantID, schemas.HourOf(rows[i].Time)}] {
			hours++
		}
	}
	return d.events+len(rows) <= maxFileEvents && tenants <= accounting.MaxTenants && hours <= accounting.MaxTenantHours
}

func (d *draft) take(data []byte, rows []schemas.Event) {
	d.events += len(rows)
	d.size += int64(len(data))
	d.sum.Write(data)
	for i := range rows {
		if !d.tenants[rows[i].TenantID] {
			d.tenants[rows[i].TenantID] = true
		}
		d.hours[tenantHour{rows[i].TenantID, schemas.HourOf(rows[i].Time)}] = true
	}
}

// errContent: a message does not hold what we put there.
var errContent = errors.New("is not as it was put there")

// parquet writes usage files in Parquet.
type parquet struct {
	unpack *zstd.Decoder
	lines  *schemas.EventLines
	text   []byte
	rows   []schemas.Event
	out    bytes.Buffer
	writer *schemas.UsageWriter
}

func newParquet() *parquet {
	unpack, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(maxUnpackedMessage))
	if err != nil {
		panic(err) // the options are right
	}
	p := &parquet{unpack: unpack, lines: schemas.NewEventLines()}
	p.writer = schemas.NewUsageWriter(&p.out)
	return p
}

// maxUnpackedMessage bounds what is in a message; see Log.gather.
const maxUnpackedMessage = 64 << 20

func (p *parquet) read(message []byte) ([]schemas.Event, error) {
	var err error
	if p.text, err = p.unpack.DecodeAll(message, p.text[:0]); err != nil {
		return nil, fmt.Errorf("%w: %w", errContent, err)
	}
	p.lines.Reset(bytes.NewReader(p.text))
	p.rows = p.rows[:0]
	for {
		b, err := p.lines.Next()
		if err == io.EOF {
			return p.rows, nil
		} else if err != nil {
			return nil, fmt.Errorf("%w: %w", errContent, err)
		}
		for i := range b.Len {
			if b.Bad != nil && b.Bad[i] != schemas.ReasonNone {
				return nil, fmt.Errorf("%w: an event is %s", errContent, b.Bad[i])
			}
			p.rows = append(p.rows, schemas.Event{})
			b.Event(i, &p.rows[len(p.rows)-1])
		}
	}
}

func (p *parquet) add() error { return p.writer.Write(p.rows) }

func (p *parquet) end() ([]byte, error) {
	p.unpack.Close()
	if err := p.writer.Close(); err != nil {
		return nil, err
	}
	return p.out.Bytes(), nil
}

// asTheyAre puts messages one after the other: each is a frame of zstd, and so is the file.
type asTheyAre struct{ last, all []byte }

func (a *asTheyAre) read(message []byte) ([]schemas.Event, error) {
	a.last = message
	return nil, nil
}

func (a *asTheyAre) add() error {
	a.all = append(a.all, a.last...)
	return nil
}

func (a *asTheyAre) end() ([]byte, error) { return a.all, nil }

// askError is a log that does not answer.
type askError struct{ err error }

func (e *askError) Error() string { return "read the intake's log: " + e.err.Error() }
func (e *askError) Unwrap() error { return e.err }

// messages gives messages in their order.
type messages struct {
	ctx   context.Context
	log   jetstream.Stream
	from  jetstream.Consumer // nil where there are none
	first uint64             // message of the log when this began
	left  uint64             // messages there are
	given uint64             // messages there were
	batch []jetstream.Msg
}

// messagesAtOnce is how many messages are asked for at once.
const messagesAtOnce = 32

func (l *Log) messages(ctx context.Context, events jetstream.Stream, first uint64) (*messages, error) {
	info, err := events.Info(ctx)
	if err != nil {
		return nil, &askError{err}
	}
	m := &messages{ctx: ctx, log: events, first: info.State.FirstSeq, left: info.State.Msgs}
	if m.left == 0 {
		return m, nil
	}
	m.from, err = events.CreateConsumer(ctx, jetstream.ConsumerConfig{DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: max(first, 1),
		AckPolicy: jetstream.AckNonePolicy, MemoryStorage: true, Replicas: 1, InactiveThreshold: time.Minute})
	if err != nil {
		return nil, &askError{err}
	}
	return m, nil
}

// close lets the servers forget how far we have read. They would by themselves, after a while.
func (m *messages) close() {
	if m.from == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(m.ctx), time.Second)
	defer cancel()
	_ = m.log.DeleteConsumer(ctx, m.from.CachedInfo().Name)
}

// next is the next message, and what the log knows about it; nil at the end.
func (m *messages) next() (jetstream.Msg, *jetstream.MsgMetadata, error) {
	if len(m.batch) == 0 {
		if err := m.fetch(); err != nil {
			return nil, nil, &askError{err}
		}
	}
	if len(m.batch) == 0 {
		return nil, nil, nil
	}
	msg := m.batch[0]
	about, err := msg.Metadata()
	if err != nil {
		return nil, nil, &askError{err}
	}
	if about.Sequence.Consumer != m.given+1 {
		return nil, nil, &askError{errors.New("messages were lost on the way")}
	}
	m.batch, m.given = m.batch[1:], about.Sequence.Consumer
	return msg, about, nil
}

// fetch takes the next messages, as far as there are any. Those that another process puts into a file meanwhile are
// not waited for.
func (m *messages) fetch() error {
	for deadline := time.Now().Add(askPatience); m.left > 0; {
		batch, err := m.from.FetchNoWait(int(min(m.left, messagesAtOnce)))
		if err != nil {
			return err
		}
		for msg := range batch.Messages() {
			m.batch = append(m.batch, msg)
		}
		if err := batch.Error(); err != nil {
			return err
		}
		if n := uint64(len(m.batch)); n > 0 {
			m.left -= min(m.left, n)
			return nil
		}
		info, err := m.log.Info(m.ctx)
		switch {
		case err != nil:
			return err
		case info.State.FirstSeq != m.first:
			m.left = 0
		case time.Now().After(deadline):
			return errors.New("it does not give its messages")
		}
	}
	return nil
}
