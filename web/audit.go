package web

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/playmeter/playmeter/bucket"
	"github.com/playmeter/playmeter/schemas"
)

// An Entry is a line of the log of who fetched what.
type Entry struct {
	Time  time.Time `json:"time"`
	ID    string    `json:"id"` // of the request; the same in all of its lines
	Event string    `json:"event"`

	Token string `json:"token,omitempty"` // its id; empty: somebody on this machine, while there were no tokens
	Name  string `json:"name,omitempty"`
	Role  string `json:"role"`

	Route       string         `json:"route"`
	Method      string         `json:"method"`
	Tenant      schemas.Tenant `json:"tenant,omitempty"`
	Month       string         `json:"month,omitempty"`
	What        string         `json:"what,omitempty"` // usage, sessions, usage.diff, manifest, signature, inputs, link, export
	Report      schemas.Report `json:"report,omitempty"`
	View        string         `json:"view,omitempty"`    // of an export: which list of sessions
	Filters     []string       `json:"filters,omitempty"` // of an export: the names of those that were set
	Run         string         `json:"run,omitempty"`
	Object      string         `json:"object,omitempty"`
	Range       string         `json:"range,omitempty"`
	Status      int            `json:"status"`
	Bytes       int64          `json:"bytes"`
	Until       time.Time      `json:"until,omitzero"` // a link's end
	Reason      string         `json:"reason,omitempty"`
	Address     string         `json:"address"`
	Agent       string         `json:"agent,omitempty"`
	RefusedPath string         `json:"refused_path,omitempty"` // what was asked for that is not theirs
}

// The events. A line granted is there before the first byte leaves; refused and sent (which says how much
// did) follow within seconds, unless the process is killed or the store does not take them.
const (
	EventGranted = "granted"
	EventSent    = "sent"
	EventRefused = "refused"
)

// AuditStore is where the log is written: the metering bucket.
type AuditStore interface {
	// Create stores data under a name not yet taken.
	Create(ctx context.Context, name string, data []byte) (bucket.Info, error)
}

const (
	// auditEvery is how long lines that nobody waits for are gathered.
	auditEvery = 3 * time.Second
	// auditTime is how long the store may take for one object.
	auditTime = 10 * time.Second
	// auditObject is when an object of the log is full, and auditWaiting how much may wait without anybody
	// waiting for it: bytes.
	auditObject  = 1 << 20
	auditWaiting = 4 << 20
)

// Audit writes the log. Entries that are committed at the same time share an object of the store.
type Audit struct {
	store AuditStore
	log   *slog.Logger
	m     *Metrics

	wake chan struct{} // somebody waits
	stop chan struct{} // closed: no more will come
	done chan struct{} // closed: all is written

	mu      sync.Mutex
	closed  bool
	waiting []commitment
	notes   [][]byte
	size    int // of notes
	dropped int // notes, since the last line about it
}

// commitment is a line that somebody waits for.
type commitment struct {
	line []byte
	done chan error
}

// NewAudit begins a log; Close ends it.
func NewAudit(store AuditStore, log *slog.Logger, m *Metrics) *Audit {
	a := &Audit{store: store, log: log, m: m, wake: make(chan struct{}, 1), stop: make(chan struct{}), done: make(chan struct{})}
	go a.write()
	return a
}

var errAuditClosed = errors.New("the daemon is ending")

// Commit puts an entry on record: when it returns nil, the entry is durable; when it fails, it may be.
func (a *Audit) Commit(ctx context.Context, e *Entry) error {
	c := commitment{line: e.line(), done: make(chan error, 1)}
	a.mu.Lock()
	if a.closed {
		a.mu.Unlock()
		return errAuditClosed
	}
	a.waiting = append(a.waiting, c)
	a.mu.Unlock()
	select {
	case a.wake <- struct{}{}:
	default: // it is awake
	}
	select {
	case err := <-c.done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Note puts an entry on record soon. Where too many wait already it is dropped, counted and told.
func (a *Audit) Note(e *Entry) {
	line := e.line()
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed || a.size+len(line) > auditWaiting {
		a.drop(1)
		return
	}
	a.notes = append(a.notes, line)
	a.size += len(line)
}

// drop counts lines that are lost; a.mu is held.
func (a *Audit) drop(n int) {
	a.dropped += n
	a.m.auditDropped.Add(float64(n))
}

// Close writes what waits. It fails where the store does not take it.
func (a *Audit) Close() error {
	a.mu.Lock()
	if !a.closed {
		a.closed = true
		close(a.stop)
	}
	a.mu.Unlock()
	<-a.done
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.notes) > 0 {
		return fmt.Errorf("the log of who fetched what: %d lines could not be written", len(a.notes))
	}
	return nil
}

// write is the one that writes.
func (a *Audit) write() {
	defer close(a.done)
	tick := time.NewTicker(auditEvery)
	defer tick.Stop()
	for ended := false; !ended; {
		select {
		case <-a.wake:
		case <-tick.C:
		case <-a.stop:
			ended = true
		}
		for a.flush() {
		}
		a.tellDropped()
	}
}

// flush writes one object, and tells whether there is more to write now.
func (a *Audit) flush() bool {
	commits, notes := a.take()
	if len(commits)+len(notes) == 0 {
		return false
	}
	var body bytes.Buffer
	for _, c := range commits {
		body.Write(c.line)
	}
	for _, line := range notes {
		body.Write(line)
	}
	err := a.put(body.Bytes())
	for _, c := range commits {
		c.done <- err
	}
	if err == nil {
		return true
	}
	a.m.auditFailed.Inc()
	a.log.Error("who fetched what could not be put on record, so nothing was handed out", "lines", len(commits)+len(notes), "err", err)
	a.giveBack(notes)
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.waiting) > 0 // the notes wait for the next time
}

// take takes the lines of one object out of those that wait, those that somebody waits for first.
func (a *Audit) take() ([]commitment, [][]byte) {
	a.mu.Lock()
	defer a.mu.Unlock()
	size, c, n := 0, 0, 0
	for ; c < len(a.waiting) && size < auditObject; c++ {
		size += len(a.waiting[c].line)
	}
	for ; n < len(a.notes) && size < auditObject; n++ {
		size += len(a.notes[n])
		a.size -= len(a.notes[n])
	}
	commits, notes := a.waiting[:c:c], a.notes[:n:n]
	a.waiting, a.notes = a.waiting[c:], a.notes[n:]
	return commits, notes
}

// giveBack has notes wait again, as many as there is room for.
func (a *Audit) giveBack(notes [][]byte) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for i, line := range notes {
		if a.size+len(line) > auditWaiting {
			a.drop(len(notes) - i)
			notes = notes[:i]
			break
		}
		a.size += len(line)
	}
	a.notes = append(notes[:len(notes):len(notes)], a.notes...)
}

func (a *Audit) put(body []byte) error {
	ctx, cancel := context.WithTimeout(context.Background(), auditTime)
	defer cancel()
	_, err := a.store.Create(ctx, schemas.AuditName(time.Now(), rand.Text()), body)
	if errors.Is(err, bucket.ErrExist) {
		return nil // the name is ours alone: only the answer was lost
	}
	return err
}

func (a *Audit) tellDropped() {
	a.mu.Lock()
	n := a.dropped
	a.dropped = 0
	a.mu.Unlock()
	if n > 0 {
		a.log.Error("lines of who was refused what, or how much was sent, are lost: more came than the store takes", "lines", n)
	}
}

// line writes an entry as a line of NDJSON.
func (e *Entry) line() []byte {
	b, err := json.Marshal(e)
	if err != nil {
		panic("cannot happen: an entry is text and numbers: " + err.Error())
	}
	return append(b, '\n')
}

// who fills in who asks for what.
func (v *service) who(q *request, e *Entry) {
	if q.id == "" {
		q.id = rand.Text()
	}
	e.Time, e.ID = v.Now().UTC(), q.id
	e.Token, e.Name, e.Role = q.caller.token.ID, q.caller.token.Name, string(q.caller.token.Role)
	if q.caller.local {
		e.Role = "local"
	}
	e.Route, e.Method = q.route.label(), onlyWord(q.Method)
	e.Tenant = q.tenant
	if !q.month.IsZero() {
		e.Month = q.month.String()
	}
	if q.caller.address.IsValid() {
		e.Address = q.caller.address.String()
	}
	e.Agent, e.Range = cut(q.UserAgent(), 256), cut(e.Range, 256)
	if e.Event == EventRefused {
		e.RefusedPath = cut(q.URL.Path, 256)
	}
}

// commit puts on record that a request gets something.
func (v *service) commit(q *request, e *Entry) error {
	if v.Audit == nil {
		return errors.New("there is no log of who fetches what")
	}
	v.who(q, e)
	return v.Audit.Commit(q.Context(), e)
}

// record puts on record what became of a request.
func (v *service) record(q *request, e *Entry) {
	if v.Audit == nil {
		return
	}
	v.who(q, e)
	v.Audit.Note(e)
}

// cut shortens a text that a stranger wrote.
func cut(s string, most int) string { return strings.ToValidUTF8(s[:min(len(s), most)], "\uFFFD") }
