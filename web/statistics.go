package web

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/playmeter/playmeter/crypto"
	"github.com/playmeter/playmeter/reporter"
	"github.com/playmeter/playmeter/schemas"
	"github.com/playmeter/playmeter/statistics"
)

// Statistics are what the pages Dashboard and Sessions ask: a [statistics.Database]. They answer for the scope that they
// are given, and know nothing of who asks.
type Statistics interface {
	Sessions(ctx context.Context, scope statistics.Scope, v statistics.View) (*statistics.Page, error)
	Totals(ctx context.Context, scope statistics.Scope, f statistics.Filter) (statistics.Totals, error)
	// Rows is how many rows a list has, where that is known.
	Rows(ctx context.Context, scope statistics.Scope, v statistics.View) (n int64, known bool, err error)
	// Export writes all rows of a view as CSV, header first. What is wrong with the question is told before anything is written.
	Export(ctx context.Context, scope statistics.Scope, v statistics.View, w io.Writer) error
	Dashboard(ctx context.Context, scope statistics.Scope, p schemas.Period) (*statistics.Dashboard, error)
	Choices(ctx context.Context, scope statistics.Scope, f statistics.Filter) (*statistics.Choices, error)
	State(ctx context.Context, scope statistics.Scope) ([]statistics.MonthState, error)
	Progress() statistics.Progress
}

// An audience is whose statistics a request is about, and how much of them may be told.
type audience struct {
	scope   statistics.Scope
	tenants []reporter.PublishedTenant // to choose from; one: there is no choice
	chosen  *reporter.PublishedTenant  // nil: all of them
	// sessions tells that viewers, their devices and places, servers and single sessions may be told, too, and not
	// only what a usage report has.
	sessions bool
	picks    bool // they choose a tenant, so that links name it
}

// audienceOf reads the tenant off the query.
//
//   - Errors: a problem of status 404 for every tenant that is not the caller's.
func (v *service) audienceOf(q *request) (*audience, error) {
	a := &audience{tenants: v.seenTenants(&q.caller), sessions: q.caller.reads(schemas.ReportSessions), picks: q.caller.admin()}
	var err error
	if a.chosen, err = q.chosenTenant(a.tenants); err != nil {
		return nil, err
	}
	if a.chosen == nil && q.caller.signed && q.caller.token.Role == crypto.RoleTenant {
		i := slices.IndexFunc(a.tenants, func(t reporter.PublishedTenant) bool { return q.caller.sees(t.ID) })
		if i < 0 {
			return nil, noSuchTenantPage()
		}
		a.chosen = &a.tenants[i]
	}
	switch {
	case a.chosen != nil:
		a.scope, q.tenant = statistics.Of(a.chosen.ID), a.chosen.ID
	case q.caller.admin():
		a.scope.All = true
	default:
		return nil, noSuchTenantPage()
	}
	return a, nil
}

// name is how the tenants are called that are looked at.
func (a *audience) name() string {
	if a.chosen == nil {
		return "All tenants"
	}
	return nameAndID(a.chosen.Name, a.chosen.ID)
}

// tenant is the parameter of links that keeps to the tenant; empty: it goes without saying, or it is all of them.
func (a *audience) tenant() string {
	if a.chosen == nil || !a.picks {
		return ""
	}
	return string(a.chosen.ID)
}

// choices are the tenants of a picker; none where there is nothing to choose.
func (a *audience) choices() []choice {
	if !a.picks {
		return nil
	}
	return tenantChoices(a.tenants, a.chosen)
}

// called is a tenant's name, where it is configured.
func (a *audience) called(id schemas.Tenant) string {
	if i := slices.IndexFunc(a.tenants, func(t reporter.PublishedTenant) bool { return t.ID == id }); i >= 0 && a.tenants[i].Name != "" {
		return a.tenants[i].Name
	}
	return string(id)
}

// link is the address of the sessions that a filter lets pass, as the first list has them: of a tenant where one is named. It
// is empty where whoever asks may not see sessions.
func (a *audience) link(f statistics.Filter, tenant schemas.Tenant) string {
	return a.linkTab(statistics.TabPlayback, f, tenant, "")
}

// linkTab is link for another list, where one is named falling by a column.
func (a *audience) linkTab(tab statistics.Tab, f statistics.Filter, tenant schemas.Tenant, sort string) string {
	if !a.sessions {
		return ""
	}
	values := f.Values()
	if tenant == "" || !a.picks {
		tenant = schemas.Tenant(a.tenant())
	}
	setValue(values, "tenant", string(tenant))
	if sort != "" {
		values.Set("sort", sort)
		values.Set("order", orderDown)
	}
	return withQuery(tabPath(tab), values)
}

// setValue sets a parameter, unless it says nothing.
func setValue(values url.Values, name, value string) {
	if value != "" {
		values.Set(name, value)
	}
}

// withQuery is a path with parameters, in one order.
func withQuery(path string, values url.Values) string {
	if len(values) == 0 {
		return path
	}
	return path + "?" + values.Encode()
}

// monthFilter is the filter of a month's days.
func monthFilter(p schemas.Period) statistics.Filter {
	return statistics.Filter{From: p.Start().Format(time.DateOnly), To: p.End().AddDate(0, 0, -1).Format(time.DateOnly)}
}

// monthName is a month as people call it: October 2026.
func monthName(p schemas.Period) string { return p.Start().Format("January 2006") }

// orNotKnown is how a filter asks for a value; the empty one is not known.
func orNotKnown(value string) string {
	if value == "" {
		return statistics.NotKnown
	}
	return statistics.Exactly(value)
}

// loadingNotes tell that figures will change because sessions are being loaded. How many there are is of all tenants, and so
// for administrators alone; others are told before everything was loaded for the first time.
func (v *service) loadingNotes(q *request) []string {
	if v.Statistics == nil {
		return nil
	}
	p := v.Statistics.Progress()
	switch {
	case q.caller.admin() && p.Difficulty != "":
		return []string{"New sessions cannot be loaded just now, which is tried again: " + p.Difficulty}
	case q.caller.admin() && p.Loading && p.Of > 0:
		return []string{fmt.Sprintf("Sessions are being loaded, %s of %s so far. Figures change until all are.", countFigure(p.Rows).Text, countFigure(p.Of).Text)}
	case p.Passed.IsZero():
		return []string{"The statistics are being loaded. Figures change until they are."}
	}
	return nil
}

// statisticsOff is what pages say where there are no statistics.
var statisticsOff = empty{Title: "Statistics are turned off here",
	Help: "The daemon keeps no statistics of sessions. Reports are made all the same: the page Reports has them.", Href: pathPageList, Link: "Reports"}

// How long those are asked to wait who ask at a bad time.
const (
	busyWait = 2 * time.Second
	downWait = 10 * time.Second
)

// statisticsProblem makes an answer of why statistics do not answer.
func statisticsProblem(err error) *problem {
	var known *problem
	var wrong *statistics.FilterError
	switch {
	case errors.As(err, &known):
		return known
	case errors.As(err, &wrong):
		return newProblem(http.StatusBadRequest, "The filter cannot be used: %s.", wrong)
	case errors.Is(err, statistics.ErrView):
		return newProblem(http.StatusBadRequest, "There is no such order or page of the list: the link to it is damaged, or was made for another order. Begin with its first page.")
	case errors.Is(err, statistics.ErrTooMuch):
		return newProblem(http.StatusUnprocessableEntity, "That is more than statistics may take at once. Choose fewer days, or filter more, and ask again. The sessions report has everything.")
	case errors.Is(err, statistics.ErrBusy):
		return retryAfter(newProblem(http.StatusServiceUnavailable, "The statistics are answering others just now. Ask again in a moment."), busyWait)
	case errors.Is(err, statistics.ErrDown):
		return retryAfter(newProblem(http.StatusServiceUnavailable, "The statistics are being started again, or made anew. Ask again in a minute. Metering and reports go on meanwhile."), downWait)
	}
	return unavailable(err, "The statistics cannot answer just now: ask again later. The daemon's log says more.")
}
