package web

import (
	"net/http"
	"time"

	"github.com/playmeter/playmeter/bucket"
	"github.com/playmeter/playmeter/schemas"
)

// linkAnswer is a link. Who has it can fetch the sealed object until it ends.
type linkAnswer struct {
	URL     string    `json:"url"`
	Expires time.Time `json:"expires"`
}

// LinkTime is how long a link holds where nothing is said.
const LinkTime = time.Hour

// link makes a link to a sealed report in the object store itself, for programs that cannot send a token.
func (v *service) link(report schemas.Report) func(http.ResponseWriter, *request) error {
	return func(w http.ResponseWriter, q *request) error {
		expires, err := q.expires()
		if err != nil {
			return err
		}
		set, key, _, which, err := v.sealed(q, report)
		if err != nil {
			return err
		}
		if _, err := v.stat(q, key, which); err != nil {
			return err
		}
		if v.Reports.Store.OnlyHere() && !q.caller.address.IsLoopback() {
			return newProblem(http.StatusConflict, "The object store is known to answer on its own machine only, so a link would lead nowhere. Fetch the report itself: leave out /link. Where others do reach the store, whoever runs the daemon can say so with object_store.public_endpoint.")
		}
		url, until, err := v.Reports.Buckets.Reporting.Link(q.Context(), key, expires)
		if err != nil {
			return err
		}
		entry := Entry{Event: EventGranted, What: "link", Report: report, Run: set.Manifest.Run, Object: key, Until: until, Status: http.StatusOK}
		if err := v.commit(q, &entry); err != nil {
			return unavailable(err, "It cannot be put on record that you get a link, so there is none: ask again later. The daemon's log says more.")
		}
		w.Header().Set(HeaderRun, set.Manifest.Run)
		return sendJSON(w, q, linkAnswer{url, until})
	}
}

// expires reads how long a link is to hold.
func (q *request) expires() (time.Duration, error) {
	text := q.query.Get("expires")
	if text == "" {
		return LinkTime, nil
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < time.Second || d > bucket.MaxLink {
		return 0, newProblem(http.StatusBadRequest, "Write expires as a time such as 30m or 24h, from 1s to %s.", bucket.MaxLink)
	}
	return d, nil
}
