package web

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
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
	_ = control.SetReadDeadline(time.Now().Add(answerPatience)) // where there are none, the server's own hold
	_ = control.SetWriteDeadline(time.Now().Add(2 * answerPatience))
	receipt, err := take(v.Intake, q.Context(), &intake.Post{Header: q.Header, Body: q.Body, Tenant: tenant, Peer: q.caller.address, Trusted: q.caller.known()})
	if err != nil {
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

// sender is the tenant that a post is bound to; empty: its events name theirs.
func (q *request) sender() (schemas.Tenant, error) {
	bound := schemas.Tenant(q.caller.token.Tenant)
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
