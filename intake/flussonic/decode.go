package flussonic

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net/netip"
	"strconv"
	"strings"

	"github.com/playmeter/playmeter/intake/elements"
	"github.com/playmeter/playmeter/schemas"
)

// Options say what a body does not.
type Options struct {
	// Peer is the address that posted.
	Peer netip.Addr

	// Tenant is the one that the sender is bound to, by its token or ?tenant=. Streams that no rule gives to a tenant
	// are its, and a stream that a rule gives to another is refused. Empty: the rules alone decide.
	Tenant schemas.Tenant

	// Rules say whose the streams are, and what they are like.
	Rules Rules

	// MaxElements bounds a body. 0: [MaxElements]
	MaxElements int
}

// Element is what an element of a body came to: an event, a refusal, or neither of them, where it is of no concern, such as
// an event that is not of a play session.
type Element struct {
	Index   int            // in the body, from 0
	Event   *schemas.Event // holds until the visit ends
	Refused *Refused
}

// Refused says why no event could be made of an element.
type Refused struct {
	Reason Reason
	Detail string // a sentence without its full stop, for those who sent it
	Stream string // the stream's name, as far as it is known and not longer than 100 bytes
	Server string // likewise the server's name, else its id, else the address that posted
}

// Decode makes usage events of a posted body, and visits what each element came to, in the body's order.
//
//   - body: a JSON list of events, one event, an object with a list "events", or NDJSON; with or without a byte
//     order mark. Unpacked. One that is empty has no elements.
//   - A bad element is refused by its index and takes nothing from the others. So is a text that nobody can read, be it all of the body.
//   - Errors: ErrEnd, where the body ends early, ErrTooMany, and ErrBody, where it is no such thing; nothing that was visited is to be kept
//     then. And those of visit, at once.
//   - It is a pure function: the same element gives the same event, whatever else is in its batch. No more than one event
//     is held at a time.
func Decode(body []byte, o Options, visit func(Element) error) error {
	most := o.MaxElements
	if most <= 0 {
		most = MaxElements
	}
	d := decoder{options: o}
	if o.Peer.IsValid() {
		d.peer = o.Peer.Unmap().WithZone("").String()
	}
	index := -1
	return split(body, most, func(element []byte) error {
		index++
		return visit(d.element(index, element))
	})
}

type decoder struct {
	options Options
	peer    string
	record  record
	made    schemas.Event
}

// element is what an element came to.
func (d *decoder) element(index int, b []byte) Element {
	d.record = record{}
	err := d.read(b)
	if err == nil {
		return Element{Index: index, Event: &d.made}
	}
	var r *refusal
	if !errors.As(err, &r) {
		return Element{Index: index} // errIgnored
	}
	return Element{Index: index, Refused: &Refused{r.reason, r.detail, cutText(d.record.values[fieldMedia].text(), maxShown), d.server()}}
}

// maxShown is how much of a name is shown, in bytes.
const maxShown = 100

// server names the server that is meant, for messages.
func (d *decoder) server() string {
	for _, f := range []field{fieldServer, fieldServerID} {
		if name := d.record.word(f); name != "" {
			return cutText(name, maxShown)
		}
	}
	return d.peer
}

// read makes the event of an element.
func (d *decoder) read(b []byte) error {
	if _, depth, _ := elements.End(b, 0); depth > maxDepth {
		return refuse(BadRecord, "is nested deeper than %d levels", maxDepth)
	}
	if !json.Valid(b) {
		return refuse(BadRecord, "is no valid JSON")
	}
	if b[0] != '{' {
		return refuse(BadRecord, "is no object")
	}
	d.record.read(b)
	k, err := d.kind()
	if err != nil {
		return err
	}
	d.made, err = d.event(k, b)
	return err
}

func (d *decoder) kind() (kind, error) {
	v := d.record.values[fieldEvent]
	if !v.given() {
		return kindOther, refuse(BadRecord, "has no event: its name is missing")
	}
	if v[0] != '"' {
		return kindOther, refuse(BadRecord, "event is no text")
	}
	k, known := kinds[v.text()]
	if !known {
		return kindOther, errIgnored
	}
	return k, nil
}

// event makes the event of the record that was read from b.
func (d *decoder) event(k kind, b []byte) (e schemas.Event, err error) {
	e.Kind = schemas.KindSession.String()
	if err := d.who(&e); err != nil {
		return e, err
	}
	if err := d.tenant(&e); err != nil {
		return e, err
	}
	t, err := d.record.times(k, e.SessionID)
	if err != nil {
		return e, err
	}
	served, err := d.record.amount(fieldBytes, 0, maxBytes)
	if err != nil {
		return e, err
	}
	e.Time, e.DurationMicros = t.at, &t.view
	e.Bytes, e.OpenedAt, e.ClosedAt = orNil(served), orNil(t.opened), orNil(t.closed)
	d.viewer(&e)
	if e.SessionID == "" {
		if e.SessionID, err = madeUpID(&e); err != nil {
			return e, err
		}
	}
	e.EventID = d.eventID(b)
	return e, nil
}

// who fills in the ids: of node, object and session.
func (d *decoder) who(e *schemas.Event) (err error) {
	r := &d.record
	if e.ObjectID, err = r.id(fieldMedia); err != nil {
		return err
	}
	if e.ObjectID == "" {
		return refuse(NoStream, "media is missing: nobody knows what was played")
	}
	if e.NodeHost, err = r.id(fieldServer); err != nil {
		return err
	}
	if e.NodeID, err = r.id(fieldServerID); err != nil {
		return err
	}
	if e.SessionID, err = r.id(fieldSession); err != nil {
		return err
	}
	for _, name := range []string{e.NodeHost, d.peer} {
		if e.NodeID == "" {
			e.NodeID = name
		}
	}
	if e.NodeID == "" {
		return refuse(NoServer, "server_id and server are missing: nobody knows which server it speaks of")
	}
	e.NodeIP = d.peer
	return nil
}

// tenant finds whose the stream is, and what is known of it.
func (d *decoder) tenant(e *schemas.Event) error {
	server := e.NodeHost
	if server == "" {
		server = e.NodeID
	}
	bound := d.options.Tenant
	tenant := bound
	if rule := d.options.Rules.find(e.ObjectID, server); rule != nil {
		if rule.Tenant != "" {
			tenant = rule.Tenant
		}
		if rule.Width > 0 {
			e.Width, e.Height = new(rule.Width), new(rule.Height)
		}
		if rule.DRM != nil {
			e.DRM = new(*rule.DRM)
		}
	}
	stream := cutText(e.ObjectID, maxShown)
	switch {
	case tenant == "":
		return refuse(NoRule, "no rule names a tenant for stream %q; add one under intake.streams, or post with ?tenant=", stream)
	case bound != "" && tenant != bound:
		return refuse(OtherTenant, "stream %q belongs to another tenant by a rule under intake.streams, and the sender may post for %s only", stream, bound)
	case e.ObjectID == string(tenant):
		return refuse(TenantStream, "stream %q bears the id of its tenant; give it another name", stream)
	}
	e.TenantID = string(tenant)
	return nil
}

// viewer fills in who watched, with what and from where.
func (d *decoder) viewer(e *schemas.Event) {
	r := &d.record
	e.Protocol = strings.ToLower(r.word(fieldProto))
	e.UserID, e.AuthIdentity = r.word(fieldUserID), r.word(fieldUserName)
	e.Token = r.word(fieldToken)
	e.ClientIP = address(r.word(fieldIP))
	e.ClientCountry = country(r.word(fieldCountry))
	e.Referrer, e.UserAgent = r.word(fieldReferrer), r.word(fieldUserAgent)
}

// address is an IP address as it is usually written; what is none is nothing.
func address(s string) string {
	a, err := netip.ParseAddr(s)
	if err != nil {
		p, err := netip.ParseAddrPort(s)
		if err != nil {
			return ""
		}
		a = p.Addr()
	}
	return a.Unmap().WithZone("").String()
}

// country is an ISO 3166 code of two letters; what is none, such as NONE, is nothing.
func country(s string) string {
	if len(s) != 2 || strings.Trim(strings.ToUpper(s), "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != "" {
		return ""
	}
	return strings.ToUpper(s)
}

// madeUpID names a session that came without an id by who watched what where, and since when: so that
// its records still find one another.
func madeUpID(e *schemas.Event) (string, error) {
	if e.OpenedAt == nil {
		return "", refuse(NoSession, "has neither an id nor opened_at: nobody knows which session it speaks of")
	}
	h := sha256.New()
	for _, s := range []string{e.NodeID, e.ObjectID, e.Protocol, e.Token, e.UserID, e.AuthIdentity, e.ClientIP, e.UserAgent} {
		h.Write(binary.AppendUvarint(nil, uint64(len(s))))
		h.Write([]byte(s))
	}
	id := hex.EncodeToString(h.Sum(nil)[:8])
	return id + "-" + strconv.FormatInt(*e.OpenedAt/1e6, 10), nil
}

// maxEventID is how long an id of an event of theirs may be to be taken as it is.
const maxEventID = 128

// eventID is the server's number of the event, else a digest of the element's bytes.
func (d *decoder) eventID(element []byte) string {
	if v := d.record.values[fieldEventID]; v.given() && v[0] != '{' && v[0] != '[' {
		if id := v.word(); id != "" && id != "0" && len(id) <= maxEventID {
			return id
		}
	}
	sum := sha256.Sum256(bytes.TrimSpace(element))
	return hex.EncodeToString(sum[:])
}

func orNil(n int64) *int64 {
	if n == schemas.None {
		return nil
	}
	return &n
}
