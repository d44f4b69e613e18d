package web

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/playmeter/playmeter/intake"
	"github.com/playmeter/playmeter/intake/flussonic"
	"github.com/playmeter/playmeter/schemas"
)

// postEvents takes usage events (SPEC 12).
func (v *service) postEvents(w http.ResponseWriter, q *request) error {
	return v.post(w, q, (*intake.Intake).Events)
}

// postFlussonic takes the events of Flussonic servers (SPEC 12.1).
func (v *service) postFlussonic(w http.ResponseWriter, q *request) error {
	return v.post(w, q, (*intake.Intake).Flussonic)
}

// maySign tells whether a request without a token may be known by its signature.
func (v *service) maySign(r *http.Request) bool {
	return v.Intake != nil && v.Intake.Signs() && r.Header.Get(flussonic.SignatureHeader) != ""
}

// post answers 200 when what the answer does not refuse is durable.
func (v *service) post(w http.ResponseWriter, q *request, take func(*intake.Intake, context.Context, *intake.Post) (intake.Receipt, error)) error {
	if v.Intake == nil {
		return unavailable(nil, "No events are taken in here.")
	}
	tenant, err := q.sender()
	if err != nil {
		return err
	}
	control := http.NewResponseController(w)
	_ = control.SetWriteDeadline(time.Now().Add(2 * answerPatience)) // where there are none, the server's own hold
	receipt, err := take(v.Intake, q.Context(), q.toPost(tenant, control))
	if errors.Is(err, intake.ErrUnsigned) && q.caller.refusal != nil {
		return q.caller.refusal
	} else if err != nil {
		return notTakenIn(err)
	}
	if receipt.Accepted == 0 && receipt.Refused > 0 && !q.route.signed {
		p := newProblem(http.StatusBadRequest, "None of the %d events can be counted: see refusals. Sending them again does not help.", receipt.Refused)
		p.Refusals = receipt.Refusals
		return p
	}
	w.Header().Set("Content-Type", "application/json")
	return json.NewEncoder(w).Encode(receipt)
}

// toPost is what is posted, and by whom.
func (q *request) toPost(tenant schemas.Tenant, control *http.ResponseController) *intake.Post {
	c := &q.caller
	p := &intake.Post{Header: q.Header, Tenant: tenant, Peer: c.address, Trusted: c.known()}
	patience := answerPatience
	switch {
	case c.signed:
		p.Sender, p.SpeaksFor = c.token.ID, c.token.SpeaksFor
	case !c.local:
		p.Sender, patience = neighbourhood(c.address).String(), silencePatience
	}
	p.Body = &arriving{Reader: q.Body, control: control, end: time.Now().Add(patience)}
	return p
}

// arriving is a body on its way, that is waited for as long as it comes.
type arriving struct {
	io.Reader
	control *http.ResponseController
	end     time.Time // at the latest
}

// Read is io.Reader's.
func (a *arriving) Read(b []byte) (int, error) {
	until := time.Now().Add(silencePatience)
	if until.After(a.end) {
		until = a.end
	}
	_ = a.control.SetReadDeadline(until)
	return a.Reader.Read(b) // at the body's end net/http takes the deadline back
}

// sender is the tenant that a post is bound to; empty: its events name theirs.
func (q *request) sender() (schemas.Tenant, error) {
	var bound schemas.Tenant
	if q.caller.signed {
		bound = schemas.Tenant(q.caller.token.Tenant)
	}
	text := q.query.Get("tenant")
	if text == "" {
		return bound, nil
	}
	asked, err := schemas.ParseTenant(text)
	switch {
	case err != nil:
		return "", newProblem(http.StatusBadRequest, "The parameter tenant is no tenant's id.")
	case bound != "" && bound != asked:
		return "", forbidden("This token is for tenant %s alone.", bound)
	}
	return asked, nil
}

// sentence is an error's text with a capital letter.
func sentence(err error) string {
	text := err.Error()
	return strings.ToUpper(text[:1]) + text[1:]
}

// notTakenIn says why a post is not taken, and when to come again where that helps.
func notTakenIn(err error) *problem {
	var p *problem
	switch after := intake.RetryAfter(err); {
	case errors.Is(err, intake.ErrUnsigned):
		return refuse(unauthorized(true, "The signature is not made with a key that is known here, or its key is for another tenant. Configure the server's sign_key under intake.sign_keys, or post with a token."))
	case errors.Is(err, os.ErrDeadlineExceeded):
		p = newProblem(http.StatusRequestTimeout, "The body did not come in time. Send it again.")
	case errors.Is(err, intake.ErrTooLarge):
		p = newProblem(http.StatusRequestEntityTooLarge, "%s.", sentence(err))
	case errors.Is(err, intake.ErrEncoding):
		p = newProblem(http.StatusUnsupportedMediaType, "%s.", sentence(err))
	case errors.Is(err, intake.ErrBody):
		p = newProblem(http.StatusBadRequest, "%s.", sentence(err))
	case errors.Is(err, intake.ErrBusy):
		p = retryAfter(newProblem(http.StatusTooManyRequests, "More events are on their way in than there is memory for. Send them again."), after)
	case errors.Is(err, intake.ErrFull):
		p = retryAfter(newProblem(http.StatusTooManyRequests, "The log of events is full, because they cannot be put into the usage bucket. Send them again later."), after)
	case errors.Is(err, intake.ErrDisk):
		p = retryAfter(unavailable(err, "The disk is full, so nothing can be taken in. Send it again later."), after)
	default:
		p = retryAfter(unavailable(err, "What you sent cannot be stored just now. Send it again later."), max(after, time.Second))
	}
	p.header.Set("Connection", "close") // what is left of the body is not waited for
	return p
}
