package flussonic

import (
	"strconv"

	"github.com/playmeter/playmeter/intake/elements"
	"github.com/playmeter/playmeter/schemas"
)

// field is what an element's member means to us, whatever it is called.
type field int

const (
	fieldEvent field = iota
	fieldSession
	fieldMedia
	fieldUserName
	fieldUserID
	fieldIP
	fieldCountry
	fieldProto
	fieldToken
	fieldReferrer
	fieldUserAgent
	fieldServer
	fieldServerID
	fieldBytes
	fieldDuration
	fieldOpened
	fieldStarted
	fieldUpdated
	fieldClosed
	fieldUTC
	fieldTime
	fieldEventID
	numFields
)

// names are what the fields are called, with their rank: of two names of one field that are both given the
// lower rank counts. The second ones are from before 21.03, but for id and referrer.
var names = map[string]struct {
	field field
	rank  uint8
}{
	"event":      {fieldEvent, 1},
	"session_id": {fieldSession, 1}, "id": {fieldSession, 2},
	"media":     {fieldMedia, 1},
	"user_name": {fieldUserName, 1}, "user_id": {fieldUserID, 1},
	"ip": {fieldIP, 1}, "country": {fieldCountry, 1},
	"proto": {fieldProto, 1}, "type": {fieldProto, 2},
	"token":   {fieldToken, 1},
	"referer": {fieldReferrer, 1}, "referrer": {fieldReferrer, 2},
	"user_agent": {fieldUserAgent, 1},
	"server":     {fieldServer, 1}, "server_id": {fieldServerID, 1},
	"bytes": {fieldBytes, 1}, "bytes_sent": {fieldBytes, 2},
	"duration":  {fieldDuration, 1},
	"opened_at": {fieldOpened, 1}, "created_at": {fieldOpened, 2},
	"started_at": {fieldStarted, 1}, "updated_at": {fieldUpdated, 1},
	"closed_at": {fieldClosed, 1}, "deleted_at": {fieldClosed, 2},
	"utc_ms": {fieldUTC, 1}, "time": {fieldTime, 1},
	"event_id": {fieldEventID, 1},
}

// kind is what happened to a session.
type kind int

const (
	kindOther kind = iota
	kindOpened
	kindStarted
	kindUpdated
	kindClosed
)

var kinds = map[string]kind{
	"play_opened": kindOpened, "play_started": kindStarted, "play_updated": kindUpdated, "play_closed": kindClosed,
	"session_opened": kindOpened, "session_closed": kindClosed,
}

// record is an element: its members by what they mean.
type record struct {
	values [numFields]value
	ranks  [numFields]uint8
}

// read takes the members of a valid object.
func (r *record) read(element []byte) {
	*r = record{}
	elements.Members(element, func(name, v []byte) {
		p, known := names[string(name)]
		if !known || !value(v).given() || r.ranks[p.field] != 0 && r.ranks[p.field] < p.rank {
			return
		}
		r.values[p.field], r.ranks[p.field] = v, p.rank
	})
}

// called is the name under which a field was given, for messages.
func (r *record) called(f field) string {
	for name, p := range names {
		if p.field == f && (p.rank == r.ranks[f] || r.ranks[f] == 0 && p.rank == 1) {
			return name
		}
	}
	return "" // cannot happen: each field has a name
}

func (r *record) word(f field) string { return r.values[f].word() }

// id is a text that names something: it is not cut, but refused where it is too long.
func (r *record) id(f field) (string, error) {
	v := r.values[f]
	if v.given() && (v[0] == '{' || v[0] == '[') {
		return "", refuse(BadRecord, "%s is no text", r.called(f))
	}
	s := v.text()
	if s == "undefined" && f != fieldMedia {
		return "", nil
	}
	if len(s) > schemas.MaxID {
		return "", refuse(BadRecord, "%s is longer than %d bytes", r.called(f), schemas.MaxID)
	}
	return s, nil
}

// instant is a time in Unix ns, or schemas.None.
func (r *record) instant(f field) (int64, error) {
	ns, ok, err := r.values[f].instant()
	if err != nil {
		return schemas.None, refuse(BadTime, "%s: %v", r.called(f), err)
	}
	if !ok {
		return schemas.None, nil
	}
	return ns, nil
}

// amount is a number that is not negative, or schemas.None.
func (r *record) amount(f field, places int, most int64) (int64, error) {
	n, ok, err := r.values[f].amount(places, most)
	if err != nil {
		return 0, refuse(Implausible, "%s: %v", r.called(f), err)
	}
	if !ok {
		return schemas.None, nil
	}
	return n, nil
}

// Limits of a session, those of every usage event (SPEC 2.4).
const (
	maxBytes  = int64(1) << 50
	maxMicros = 31 * 24 * 3600 * int64(1_000_000)
)

// times are the instants of a record, in Unix ns, and its view time in µs. What is not known is schemas.None.
type times struct {
	at, opened, closed, view int64
}

var errNoTime = refuse(BadTime, "bears no time: neither opened_at, updated_at, closed_at, utc_ms nor time is given, and its id does not begin with one")

// times finds the instant that the record speaks for, and the others.
func (r *record) times(k kind, session string) (t times, err error) {
	updated := int64(schemas.None)
	for _, f := range []struct {
		field field
		to    *int64
	}{{fieldOpened, &t.opened}, {fieldClosed, &t.closed}, {fieldUpdated, &updated}} {
		if *f.to, err = r.instant(f.field); err != nil {
			return t, err
		}
	}
	if t.view, err = r.amount(fieldDuration, 6, maxMicros); err != nil {
		return t, err
	}
	if t.at, err = r.speaksFor(k, t, updated); err != nil {
		return t, err
	}
	if t.opened == schemas.None {
		t.opened = openingOf(session, t.at)
	}
	if t.at == schemas.None {
		if t.opened == schemas.None {
			return t, errNoTime
		}
		t.at = min(t.opened+max(t.view, 0)*1000, schemas.Latest-1)
	}
	if k == kindClosed && t.closed == schemas.None {
		t.closed = t.at
	}
	if t.view == schemas.None {
		t.view, err = r.watched(k, t, updated)
	}
	return t, err
}

// speaksFor is the instant of the record's figures, where it gives one.
func (r *record) speaksFor(k kind, t times, updated int64) (int64, error) {
	switch {
	case k == kindClosed && t.closed != schemas.None:
		return max(t.closed, updated), nil // None is less than any
	case k == kindClosed || k == kindUpdated:
		if updated != schemas.None {
			return updated, nil
		}
	case k == kindStarted:
		if at, err := r.instant(fieldStarted); err != nil || at != schemas.None {
			return at, err
		}
	case t.opened != schemas.None:
		return t.opened, nil
	}
	if at, err := r.sent(); err != nil || at != schemas.None {
		return at, err
	}
	return max(updated, t.closed), nil
}

// sent is when the server says that it made the event.
func (r *record) sent() (int64, error) {
	if at, err := r.instant(fieldUTC); err != nil || at != schemas.None {
		return at, err
	}
	return r.instant(fieldTime)
}

// watched is the view time of a record that does not give it: how long the session has lasted. A session
// that has just opened has not been watched.
func (r *record) watched(k kind, t times, updated int64) (int64, error) {
	if k == kindOpened || t.opened == schemas.None {
		return 0, nil
	}
	end := t.closed
	if end == schemas.None {
		end = updated
	}
	if end == schemas.None {
		var err error
		if end, err = r.sent(); err != nil {
			return 0, err
		}
	}
	if end == schemas.None {
		end = t.at
	}
	view := max(end-t.opened, 0) / 1000
	if view > maxMicros {
		return 0, refuse(Implausible, "%s: the session would have lasted longer than 31 days", r.called(fieldOpened))
	}
	return view, nil
}

// openingOf is the second that an id of theirs begins with, in eight hex digits, or schemas.None. Ids
// of other makes begin with anything: where the record's time is known, the opening must lie at
// most 31 days before it.
func openingOf(session string, at int64) int64 {
	if len(session) < 8 {
		return schemas.None
	}
	seconds, err := strconv.ParseUint(session[:8], 16, 32)
	if err != nil || len(session) > 8 && session[8] != '-' {
		return schemas.None
	}
	opened := int64(seconds) * 1e9
	if opened < schemas.Earliest || opened >= schemas.Latest {
		return schemas.None
	}
	if at != schemas.None && (opened > at || at-opened > maxMicros*1000) {
		return schemas.None
	}
	return opened
}
