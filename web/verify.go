package web

import (
	"context"
	"errors"
	"net/http"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/playmeter/playmeter/bucket"
	"github.com/playmeter/playmeter/reporter"
	"github.com/playmeter/playmeter/schemas"
)

// checks are the months whose signatures and digests somebody had checked. A check reads every sealed report of the
// month, so few are under way at once, and what one came to is kept.
type checks struct {
	mu    sync.Mutex
	of    *recent[monthID, *check]
	flows *shares[string] // those under way, by the id of who asked for them
}

const (
	checksKept    = 256
	checksMonths  = 2 // at once; one of each token
	checkAgain    = time.Minute
	findingsShown = 50
)

// monthID is a month of a tenant.
type monthID struct {
	tenant schemas.Tenant
	month  schemas.Period
}

// check is one of them.
type check struct {
	mu          sync.Mutex
	run         string // the one that stood when it began
	began       time.Time
	ended       time.Time // zero: it is under way
	done, total int64     // bytes
	out         *reporter.Verification
	err         error
}

// checkOf is the last check of a month; nil: there was none lately.
func (c *checks) checkOf(id monthID) *check {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.of == nil {
		return nil
	}
	last, _ := c.of.get(id)
	return last
}

// begin begins a check of a month whose newest run is given, unless one is under way, or one of that run has just
// ended: then begun is nil, and so is the problem.
func (c *checks) begin(id monthID, run, who string, now time.Time) (begun *check, end func(), err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.of == nil {
		c.of, c.flows = newRecent[monthID, *check](checksKept), newShares[string](checksMonths, 1)
	}
	if last, ok := c.of.get(id); ok && !last.due(run, now) {
		return nil, nil, nil
	}
	end, own := c.flows.take(who)
	switch {
	case end == nil && own:
		return nil, nil, retryAfter(newProblem(http.StatusTooManyRequests, "Another month is being checked for you: wait until that is done."), 5*time.Second)
	case end == nil:
		return nil, nil, retryAfter(newProblem(http.StatusTooManyRequests, "Months of others are being checked: ask again soon."), 5*time.Second)
	}
	c.of.remove(id)
	begun = &check{run: run, began: now}
	c.of.put(id, begun)
	return begun, end, nil
}

// due tells whether the month may be checked again.
func (c *check) due(run string, now time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return !c.ended.IsZero() && (c.run != run || now.Sub(c.ended) >= checkAgain)
}

// verifyMonth begins to check a month, and sends the browser back to its page, which tells what came of it.
func (v *service) verifyMonth(w http.ResponseWriter, q *request) error {
	id := monthID{q.tenant, q.month}
	m, err := v.Reports.PublishedMonth(q.Context(), q.tenant, q.month)
	if err != nil {
		return v.orNoTenant(q, err)
	}
	begun, end, err := v.checks.begin(id, newestRun(m), q.caller.token.ID, v.Now())
	if err != nil {
		return err
	}
	if begun != nil {
		v.start(func(ctx context.Context) {
			defer end()
			v.verify(ctx, id, begun)
		})
	}
	return seeOther(w, monthPath(q.tenant, q.month)+"#check")
}

func (v *service) verify(ctx context.Context, id monthID, c *check) {
	r := reporter.Verifier{Reporting: v.Reports.Buckets.Reporting, Metering: v.Reports.Buckets.Metering, Signers: v.Reports.Signers,
		Progress: func(p reporter.Progress) {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.done, c.total = p.Done, p.Total
		}}
	out, err := r.Verify(ctx, id.tenant, id.month)
	if err != nil && !errors.Is(err, bucket.ErrNotExist) {
		v.log().Error("a month could not be checked", "tenant", id.tenant, "month", id.month.String(), "err", err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.out, c.err, c.ended = out, err, v.Now()
}

// checkView is what a page says of a check.
type checkView struct {
	Action  string // where to have the month checked
	Refresh string // the page itself
	Any     bool   // there was one
	Flying  bool   // it is under way
	Began   time.Time
	Ended   time.Time
	Done    figure
	Total   figure
	Failed  *problemData // it could not be done
	Newer   string       // the run that was made since; empty: none was

	Good     bool
	Runs     string // how many
	All      bool   // the caller reads all reports, so that they are told how many there are
	Objects  string
	Bytes    figure
	SignedBy []string // fingerprints
	Commits  bool
	Pruned   string
	Findings []reporter.Finding
	More     string // findings that are not shown: too many, or of reports that the caller may not see
	Notes    []string
}

// checkOf is what a caller is told of the last check of a month whose newest run is given.
func (v *service) checkOf(q *request, newest string) checkView {
	here := monthPath(q.tenant, q.month)
	view := checkView{Action: here + "/verify", Refresh: here + "#check", All: q.caller.reads(schemas.ReportUsage) && q.caller.reads(schemas.ReportSessions)}
	c := v.checks.checkOf(monthID{q.tenant, q.month})
	if c == nil {
		return view
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	view.Any, view.Began, view.Ended, view.Flying = true, c.began, c.ended, c.ended.IsZero()
	view.Done, view.Total = bytesFigure(c.done), bytesFigure(c.total)
	if !view.Flying && c.run != newest {
		view.Newer = newest
	}
	if c.err != nil {
		view.Failed = &problemData{Title: "The month could not be checked", Detail: storeDetail}
	}
	if c.out == nil {
		return view
	}
	o := c.out
	view.Good, view.Runs, view.Objects, view.Bytes, view.Commits, view.Pruned = len(o.Findings) == 0, plural(int64(len(o.Runs)), "signed manifest"), plural(int64(o.Objects), "object"), bytesFigure(o.Bytes), o.Commits, plural(int64(o.Pruned), "report")
	for _, run := range o.Runs {
		if run.SignedBy != "" && !slices.Contains(view.SignedBy, run.SignedBy) {
			view.SignedBy = append(view.SignedBy, run.SignedBy)
		}
	}
	for _, f := range o.Findings {
		if len(view.Findings) < findingsShown && q.caller.mayHear(f.Object) {
			view.Findings = append(view.Findings, f)
		}
	}
	if more := len(o.Findings) - len(view.Findings); more > 0 {
		view.More = plural(int64(more), "finding")
		if !view.All {
			view.More = "findings about what your token is not for"
		}
	}
	if view.All {
		view.Notes = o.Notes[:min(len(o.Notes), findingsShown)]
	}
	return view
}

// storeDetail says that something could not be read.
const storeDetail = "The object store does not give what is needed just now. Ask again later; the daemon’s log says more."

// mayHear tells whether a caller is told of an object of a month that is theirs: not of reports that their token is not for.
func (c *caller) mayHear(object string) bool {
	name, _, isReport := strings.Cut(path.Base(object), ".csv")
	return !isReport || c.reads(schemas.Report(name))
}
