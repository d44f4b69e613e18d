package web

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/playmeter/playmeter/bucket"
	"github.com/playmeter/playmeter/intake"
	"github.com/playmeter/playmeter/reporter"
)

// A problem is an answer that says what is wrong and what to do about it. Source: RFC 9457.
type problem struct {
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail"`

	// Refusals are the events of a post that were refused, where none was taken.
	Refusals []intake.Refusal `json:"refusals,omitempty"`

	header  http.Header // to be sent along
	people  string      // what a page says instead of Detail, where that is for programs
	way     choice      // where a page leads on, by Href and Text; nowhere in particular where it has none
	refused bool        // somebody asked for what is not theirs: it is put on record
	cause   error       // for the log; never shown
}

func (p *problem) Error() string {
	if p.cause != nil {
		return fmt.Sprintf("%s: %v", p.Detail, p.cause)
	}
	return p.Detail
}

func (p *problem) Unwrap() error { return p.cause }

func newProblem(status int, format string, args ...any) *problem {
	return &problem{Title: http.StatusText(status), Status: status, Detail: fmt.Sprintf(format, args...), header: http.Header{}}
}

// refuse marks a problem as somebody's asking for what is not theirs.
func refuse(p *problem) *problem {
	p.refused = true
	return p
}

// retryAfter says when to come again, in whole seconds, rounded up.
func retryAfter(p *problem, d time.Duration) *problem {
	p.header.Set("Retry-After", strconv.FormatInt(max(1, int64((d+time.Second-1)/time.Second)), 10))
	return p
}

// unauthorized asks for a token. Browsers ask their user for the second kind.
func unauthorized(invalid bool, format string, args ...any) *problem {
	p := newProblem(http.StatusUnauthorized, format, args...)
	bearer := `Bearer realm="playmeter"`
	if invalid {
		bearer += `, error="invalid_token"`
	}
	p.header["Www-Authenticate"] = []string{bearer, `Basic realm="playmeter", charset="UTF-8"`}
	return p
}

func forbidden(format string, args ...any) *problem {
	return refuse(newProblem(http.StatusForbidden, format, args...))
}

func unavailable(cause error, format string, args ...any) *problem {
	p := newProblem(http.StatusServiceUnavailable, format, args...)
	p.cause = cause
	return retryAfter(p, 5*time.Second)
}

// noSuchTenant is the answer for every tenant that the caller does not see, whether it
// exists or not.
func noSuchTenant() *problem {
	p := newProblem(http.StatusNotFound, "There is no such tenant, or it is not yours to see. /api/v1/tenants lists those that are.")
	p.people = noSuchTenantText
	return refuse(p)
}

func noSuchPage() *problem {
	p := newProblem(http.StatusNotFound, "Nothing is found here. /api/v1/openapi.json lists what there is.")
	p.people = "There is no such page."
	return p
}

// problemOf makes an answer of what went wrong.
func problemOf(err error) *problem {
	var p *problem
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &p):
		return p
	case errors.As(err, &large):
		return newProblem(http.StatusRequestEntityTooLarge, "A body of more than %d bytes is not taken here.", large.Limit)
	case errors.Is(err, reporter.ErrPruned):
		return newProblem(http.StatusGone, "The reports of this run are kept no longer; its manifest is. The list of runs says which are.")
	case errors.Is(err, reporter.ErrNotPublished):
		p = newProblem(http.StatusNotFound, "Nothing of that kind is published. /api/v1/tenants/TENANT/reports lists the months, and …/reports/MONTH the runs and restatements that there are.")
		p.people = "Nothing of that kind is published. The page Reports lists the months, and the page of each its runs and restatements."
		return p
	case errors.Is(err, bucket.ErrChanged):
		return unavailable(err, "It has changed this very moment: ask again.")
	}
	return unavailable(err, "The object store does not give what is needed just now: ask again later. The daemon's log says more.")
}

// write sends the problem.
func (p *problem) write(w http.ResponseWriter, r *http.Request) {
	body, err := json.Marshal(p)
	if err != nil {
		panic("cannot happen: a problem is text: " + err.Error())
	}
	h := w.Header()
	clearFile(h)
	copyHeader(h, p.header)
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Type", "application/problem+json")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(p.Status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(body) // whoever does not read it has gone
	}
}
