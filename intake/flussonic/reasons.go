package flussonic

import (
	"errors"
	"fmt"
)

// Reason is a word for why an element is refused.
type Reason string

// Reasons, with what mends them.
const (
	BadRecord    Reason = "bad_record"       // it is no record of a play event, or a part of it is no text
	NoStream     Reason = "no_stream"        // it does not say what was played
	NoServer     Reason = "no_server"        // it does not say which server it speaks of
	NoSession    Reason = "no_session"       // it does not say which session it speaks of
	BadTime      Reason = "bad_time"         // it has no time, or one that no event may bear: look at the server's clock
	Implausible  Reason = "implausible"      // bytes or duration are no figures that a session can have
	NoRule       Reason = "no_rule"          // nobody says whose the stream is: a rule, or ?tenant=
	OtherTenant  Reason = "other_tenant"     // a rule gives the stream to another tenant than the sender's
	TenantStream Reason = "stream_is_tenant" // the stream bears the id of its tenant
)

// OfStream tells whether a reason is about the stream, whatever its server.
func (r Reason) OfStream() bool { return r == NoRule || r == OtherTenant || r == TenantStream }

// errIgnored is an element that is none of ours.
var errIgnored = errors.New("no event of a play session")

// refusal is why an element is refused, as an error.
type refusal struct {
	reason Reason
	detail string
}

func (r *refusal) Error() string { return r.detail }

func refuse(reason Reason, format string, args ...any) error {
	return &refusal{reason, fmt.Sprintf(format, args...)}
}
