package web

import (
	"encoding/json"
	"errors"
	"net/http"
	"strconv"

	"github.com/playmeter/playmeter/crypto"
	"github.com/playmeter/playmeter/reporter"
	"github.com/playmeter/playmeter/schemas"
)

// tenantAnswer is a tenant as the API names it, with the reports that the caller may fetch.
type tenantAnswer struct {
	ID      schemas.Tenant   `json:"id"`
	Name    string           `json:"name"`
	Reports []schemas.Report `json:"reports"`
}

type tenantsAnswer struct {
	Tenants []tenantAnswer `json:"tenants"`
}

type monthsAnswer struct {
	Tenant schemas.Tenant            `json:"tenant"`
	Months []reporter.PublishedMonth `json:"months"`
}

type monthAnswer struct {
	Tenant schemas.Tenant `json:"tenant"`
	reporter.PublishedMonth
}

// sendJSON answers with a value.
func sendJSON(w http.ResponseWriter, q *request, value any) error {
	body, err := json.Marshal(value)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)+1))
	if q.Method != http.MethodHead {
		_, _ = w.Write(append(body, '\n')) // whoever does not read it has gone
	}
	return nil
}

// tenants lists the tenants that the caller sees.
func (v *service) tenants(w http.ResponseWriter, q *request) error {
	out := tenantsAnswer{Tenants: []tenantAnswer{}}
	for _, t := range v.Reports.PublishedTenants() {
		if q.caller.sees(t.ID) {
			out.Tenants = append(out.Tenants, tenantAnswer{t.ID, t.Name, q.caller.readable()})
		}
	}
	if q.caller.signed && q.caller.token.Role == crypto.RoleTenant && len(out.Tenants) == 0 { // it has left the configuration
		id := schemas.Tenant(q.caller.token.Tenant)
		out.Tenants = append(out.Tenants, tenantAnswer{id, string(id), q.caller.readable()})
	}
	return sendJSON(w, q, out)
}

// readable are the reports that a caller may fetch.
func (c *caller) readable() []schemas.Report {
	out := []schemas.Report{}
	for _, report := range schemas.Reports {
		if c.reads(report) {
			out = append(out, report)
		}
	}
	return out
}

// months lists a tenant's months.
func (v *service) months(w http.ResponseWriter, q *request) error {
	months, err := v.Reports.Published(q.Context(), q.tenant)
	if err != nil {
		return err
	}
	if len(months) == 0 && q.caller.admin() {
		if _, err := v.Reports.Tenant(q.tenant); err != nil {
			return noSuchTenant()
		}
	}
	out := monthsAnswer{Tenant: q.tenant, Months: []reporter.PublishedMonth{}}
	for _, m := range months {
		m.Runs = nil // the month's own page has them
		out.Months = append(out.Months, m.Only(q.caller.reads))
	}
	return sendJSON(w, q, out)
}

// month tells of one of them.
func (v *service) month(w http.ResponseWriter, q *request) error {
	m, err := v.Reports.PublishedMonth(q.Context(), q.tenant, q.month)
	if err != nil {
		return v.orNoTenant(q, err)
	}
	return sendJSON(w, q, monthAnswer{q.tenant, m.Only(q.caller.reads)})
}

// orNoTenant says to administrators, of a tenant that is not configured, that it is that which is missing.
func (v *service) orNoTenant(q *request, err error) error {
	if errors.Is(err, reporter.ErrNotPublished) && q.caller.admin() {
		if _, unknown := v.Reports.Tenant(q.tenant); unknown != nil {
			return noSuchTenant()
		}
	}
	return err
}

// maxRestatement bounds the numbers that are taken.
const maxRestatement = 99_999

// which reads which run is meant.
func (q *request) which() (reporter.Which, error) {
	run, number := q.query.Get("run"), q.query.Get("restatement")
	switch {
	case run != "" && number != "":
		return reporter.Which{}, newProblem(http.StatusBadRequest, "Give one of run and restatement, not both.")
	case run != "" && !reporter.IsRunName(run):
		return reporter.Which{}, newProblem(http.StatusBadRequest, "The run's name is written like 2026-10-14T09-17-00Z.")
	case number == "":
		return reporter.Which{Run: run}, nil
	}
	n, err := strconv.Atoi(number)
	if err != nil || n < 1 || n > maxRestatement || strconv.Itoa(n) != number {
		return reporter.Which{}, newProblem(http.StatusBadRequest, "A restatement is a number from 1.")
	}
	return reporter.Which{Restatement: n}, nil
}

// set reads the manifest that a request is about.
func (v *service) set(q *request, report schemas.Report) (*reporter.PublishedSet, reporter.Which, error) {
	which, err := q.which()
	if err != nil {
		return nil, which, err
	}
	set, err := v.Reports.PublishedFor(q.Context(), q.tenant, q.month, which, report)
	return set, which, v.orNoTenant(q, err)
}
