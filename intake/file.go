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

	unreadable error // why the file is its one message as it is
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
// reads as Parquet. A message that cannot be read makes a file of its own, as it is: the run sets it aside, and it can be
// looked at. Without any message First is 0.
func (l *Log) draft(ctx context.Context, events jetstream.Stream, epoch string, first, last uint64) (*draft, error) {
	d := newDraft()
	if err := l.fill(ctx, events, first, last, d); err != nil {
		return nil, err
	}
	ending := ".parquet"
	if d.unreadable != nil {
		l.out.Error("what is in the intake's log cannot be read; it goes into a usage file as it is", "err", d.unreadable)
		ending = ".ndjson.zst"
	}
	if d.First != 0 {
		d.Key = fmt.Sprintf("%s%s/%s-%d-%s%s", filesFolder, d.at.UTC().Format("dt=2006-01-02/hour=15"), epoch, d.First, hex.EncodeToString(d.sum.Sum(nil)[:12]), ending)
	}
	return d, nil
}

// filesFolder is the first part of the keys of our files. When their first event came, and what they are made of, is
// the rest.
const filesFolder = "intake/"

// fill puts messages into a draft.
func (l *Log) fill(ctx context.Context, events jetstream.Stream, first, last uint64, d *draft) error {
	m, err := l.messages(ctx, events, first)
	if err != nil {
		return err
	}
	defer m.close()
	p := newParquet()
	for {
		msg, about, err := m.next()
		if err != nil {
			return err
		}
		if msg == nil || last != 0 && about.Sequence.Stream > last {
			break
		}
		rows, err := p.read(msg.Data())
		if errors.Is(err, errContent) && d.First == 0 {
			d.unreadable = fmt.Errorf("message %d: %w", about.Sequence.Stream, err)
			d.take(about, msg.Data(), nil)
			d.content = msg.Data()
			return nil
		}
		if err != nil || last == 0 && d.First != 0 && !d.fits(int64(len(msg.Data())), l.cfg.Bytes, rows) {
			break // the next file begins with it
		}
		d.take(about, msg.Data(), rows)
		if err := p.add(); err != nil {
			return err
		}
	}
	d.content, err = p.end()
	return err
}

// fits tells whether a message of size bytes goes into the file, too: also whether that can be read then, because a run sets
// a file aside that names too many tenants, and nobody's events are to make it do that to those of others.
func (d *draft) fits(size, most int64, rows []schemas.Event) bool {
	if d.size+size > most {
		return false
	}
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

// take makes a message the file's last.
func (d *draft) take(about *jetstream.MsgMetadata, data []byte, rows []schemas.Event) {
	if d.First == 0 {
		d.First, d.at = about.Sequence.Stream, about.Timestamp
	}
	d.Last = about.Sequence.Stream
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

// maxUnpackedMessage bounds what is unpacked of a message; see maxMessageSize.
const maxUnpackedMessage = 2 * maxMessageSize

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
