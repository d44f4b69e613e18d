package web

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/playmeter/playmeter/reporter"
	"github.com/playmeter/playmeter/schemas"
)

// What one page of months shows.
const (
	monthsShown  = 24 // of one tenant
	monthsOfEach = 3  // of each, where several are shown
	tenantsShown = 40 // at once; the others are chosen
	readAtOnce   = 8
)

// reportsData is what the list of months shows.
type reportsData struct {
	Tenants []choice // to choose from; none: there is but one
	Chosen  string   // one's name; empty: all of them
	More    int      // tenants that are not shown
	Months  table
	Pager   *pager
}

// monthLine is a month of the list.
type monthLine struct {
	tenant   reporter.PublishedTenant
	month    reporter.PublishedMonth
	manifest *schemas.Manifest // of the run that stands; nil: it cannot be read
}

// reportsPage lists the months that have reports, of the tenants that the caller sees.
func (v *service) reportsPage(w http.ResponseWriter, q *request) error {
	tenants := v.seenTenants(&q.caller)
	data := reportsData{}
	chosen, err := q.chosenTenant(tenants)
	if err != nil {
		return err
	}
	before, err := q.beforeMonth()
	if err != nil {
		return err
	}
	if len(tenants) > 1 {
		data.Tenants = tenantChoices(tenants, chosen)
	}
	most := monthsShown
	switch {
	case chosen != nil:
		tenants, data.Chosen = []reporter.PublishedTenant{*chosen}, chosen.Name
	case len(tenants) > 1:
		most = monthsOfEach
	}
	if data.More = max(0, len(tenants)-tenantsShown); data.More > 0 {
		tenants = tenants[:tenantsShown]
	}
	lines, older, err := v.monthLines(q, tenants, before, most)
	if err != nil {
		return err
	}
	data.Months = v.monthsTable(q, lines, len(tenants) > 1, chosen == nil && len(tenants) == 0)
	if len(tenants) == 1 && (older || !before.IsZero()) {
		data.Pager = &pager{Label: "More months"}
		if !before.IsZero() {
			data.Pager.Newer, data.Pager.NewerLabel = linkTo(pathPageList, "tenant", q.query.Get("tenant")), "Newest"
		}
		if older {
			data.Pager.Older, data.Pager.OlderLabel = linkTo(pathPageList, "tenant", q.query.Get("tenant"), "before", lines[len(lines)-1].month.Month), "Older"
		}
	}
	return v.render(w, q, http.StatusOK, "reports", &page{Title: "Reports", Tab: "reports", Data: data})
}

// seenTenants are the tenants that a caller sees, in the order of the configuration. A tenant that has left it still sees itself.
func (v *service) seenTenants(c *caller) []reporter.PublishedTenant {
	all := slices.DeleteFunc(v.Reports.PublishedTenants(), func(t reporter.PublishedTenant) bool { return !c.sees(t.ID) })
	if id := schemas.Tenant(c.token.Tenant); len(all) == 0 && !c.admin() {
		all = append(all, reporter.PublishedTenant{ID: id, Name: string(id)})
	}
	return all
}

// chosenTenant is the tenant that the query names; nil: all. Administrators may name one that is no longer configured.
func (q *request) chosenTenant(seen []reporter.PublishedTenant) (*reporter.PublishedTenant, error) {
	text := q.query.Get("tenant")
	if text == "" {
		return nil, nil
	}
	id, err := schemas.ParseTenant(text)
	if err != nil || !q.caller.sees(id) {
		return nil, noSuchTenantPage()
	}
	if i := slices.IndexFunc(seen, func(t reporter.PublishedTenant) bool { return t.ID == id }); i >= 0 {
		return &seen[i], nil
	}
	return &reporter.PublishedTenant{ID: id, Name: string(id)}, nil
}

// noSuchTenantText is what pages say of every tenant that the caller does not see.
const noSuchTenantText = "There is no such tenant, or it is not yours to see. The page Reports lists those that are."

func noSuchTenantPage() *problem {
	return refuse(newProblem(http.StatusNotFound, noSuchTenantText))
}

// beforeMonth is the month before which those begin that are listed; zero: with the newest.
func (q *request) beforeMonth() (schemas.Period, error) {
	text := q.query.Get("before")
	if text == "" {
		return schemas.Period{}, nil
	}
	p, err := schemas.ParsePeriod(text)
	if err != nil {
		return p, newProblem(http.StatusBadRequest, "Write before as a month, such as 2026-10.")
	}
	return p, nil
}

func tenantChoices(tenants []reporter.PublishedTenant, chosen *reporter.PublishedTenant) []choice {
	out := []choice{{Text: "All tenants", Current: chosen == nil}}
	known := false
	for _, t := range tenants {
		is := chosen != nil && chosen.ID == t.ID
		known = known || is
		out = append(out, choice{Value: string(t.ID), Text: nameAndID(t.Name, t.ID), Current: is})
	}
	if chosen != nil && !known {
		out = append(out, choice{Value: string(chosen.ID), Text: string(chosen.ID), Current: true})
	}
	return out
}

// nameAndID is how a tenant is called where people choose.
func nameAndID(name string, id schemas.Tenant) string {
	if name == "" || name == string(id) {
		return string(id)
	}
	return fmt.Sprintf("%s (%s)", name, id)
}

// monthLines are the newest months of each tenant before a month, newest first; older tells whether there are more.
func (v *service) monthLines(q *request, tenants []reporter.PublishedTenant, before schemas.Period, most int) (lines []monthLine, older bool, err error) {
	found := make([][]monthLine, len(tenants))
	more := make([]bool, len(tenants))
	group, ctx := errgroup.WithContext(q.Context())
	group.SetLimit(readAtOnce)
	for i, t := range tenants {
		group.Go(func() (err error) {
			found[i], more[i], err = v.monthsOf(ctx, t, before, most, q.caller.reads)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, false, err
	}
	lines = slices.Concat(found...)
	slices.SortStableFunc(lines, func(a, b monthLine) int { return b.month.Month.Start().Compare(a.month.Month.Start()) })
	return lines, slices.Contains(more, true), nil
}

func (v *service) monthsOf(ctx context.Context, t reporter.PublishedTenant, before schemas.Period, most int, reads func(schemas.Report) bool) (lines []monthLine, older bool, err error) {
	months, err := v.Reports.Published(ctx, t.ID)
	if err != nil {
		return nil, false, err
	}
	for _, m := range slices.Backward(months) {
		if !before.IsZero() && !m.Month.Start().Before(before.Start()) {
			continue
		}
		if len(lines) == most {
			return lines, true, nil
		}
		line := monthLine{tenant: t, month: m.Only(reads)}
		if line.manifest, err = v.standing(ctx, t.ID, &m); err != nil {
			return nil, false, err
		}
		lines = append(lines, line)
	}
	return lines, false, nil
}

// standing is the manifest of the run that stands: the newest restatement, else the one that the stable names show. It is
// nil where it is not what its commit names, which is logged.
func (v *service) standing(ctx context.Context, tenant schemas.Tenant, m *reporter.PublishedMonth) (*schemas.Manifest, error) {
	which := reporter.Which{}
	if n := len(m.Restatements); n > 0 {
		which.Restatement = m.Restatements[n-1].Restatement
	}
	set, err := v.Reports.PublishedSet(ctx, tenant, m.Month, which)
	switch {
	case err == nil:
		return set.Manifest, nil
	case ctx.Err() != nil:
		return nil, err
	case !errors.Is(err, reporter.ErrNotPublished):
		v.log().Error("a manifest cannot be read", "tenant", tenant, "month", m.Month.String(), "err", err)
	}
	return nil, nil
}

// monthsTable shows the lines, with the tenants where there are several.
func (v *service) monthsTable(q *request, lines []monthLine, several, nobody bool) table {
	t := table{ID: "months", Caption: "Months that have reports", Empty: &empty{Title: "No reports yet",
		Help: "The first run makes them: the schedule says when. An administrator can start one on the page Runs, or with “playmeter run”."}}
	if nobody {
		t.Empty = &empty{Title: "No tenant is configured", Help: "Name one under tenants in playmeter.yaml: the daemon takes it over within seconds."}
	}
	t.Columns = []column{{Label: "Month"}}
	if several {
		t.Columns = append(t.Columns, column{Label: "Tenant"})
	}
	t.Columns = append(t.Columns, column{Label: "State"}, column{Label: "As of (UTC)", Help: "what the newest reports speak for"}, column{Label: "Next run (UTC)"})
	reports := q.caller.readable()
	for _, report := range reports {
		t.Columns = append(t.Columns, column{Label: "Rows of " + string(report), Numeric: true})
	}
	t.Columns = append(t.Columns, column{Label: "Sealed", Help: "size of the sealed reports", Numeric: true}, column{Label: "Complete?"})
	next := v.nextByTenant()
	for i := range lines {
		l := &lines[i]
		row := []cell{{Text: l.month.Month.String(), Href: monthPath(l.tenant.ID, l.month.Month)}}
		if several {
			row = append(row, cell{Text: l.tenant.Name, Exact: string(l.tenant.ID), Href: linkTo(pathPageList, "tenant", string(l.tenant.ID))})
		}
		row = append(row, cell{Text: stateText(&l.month)}, cell{At: parseAsOf(newestAsOf(&l.month))}, cell{At: v.nextOf(next, l.tenant.ID, &l.month)})
		row = append(row, l.sizes(reports)...)
		t.Rows = append(t.Rows, append(row, cell{Text: completeText(l.manifest)}))
	}
	return t
}

// sizes are the rows of each report of the run that stands, and the bytes of all.
func (l *monthLine) sizes(reports []schemas.Report) []cell {
	stands := l.month.Reports
	if l.manifest != nil {
		stands = nil
		for _, r := range l.manifest.Reports {
			stands = append(stands, reporter.PublishedReport{Report: r.Report, Rows: r.Rows, Sealed: r.Sealed})
		}
	}
	var out []cell
	sealed := int64(0)
	for _, report := range reports {
		c := cell{}
		if i := slices.IndexFunc(stands, func(p reporter.PublishedReport) bool { return p.Report == report }); i >= 0 {
			c = figureCell(countFigure(stands[i].Rows), "")
			sealed += stands[i].Sealed.Bytes
		}
		out = append(out, c)
	}
	return append(out, figureCell(bytesFigure(sealed), ""))
}

// stateText is how far a month is.
func stateText(m *reporter.PublishedMonth) string {
	if n := len(m.Restatements); n > 0 {
		return fmt.Sprintf("%s, restated %d×", m.State, n)
	}
	return m.State
}

// newestAsOf is what the run speaks for that stands.
func newestAsOf(m *reporter.PublishedMonth) string {
	if n := len(m.Restatements); n > 0 {
		return m.Restatements[n-1].AsOf
	}
	return m.AsOf
}

// parseAsOf reads an as-of as manifests have it; what is none is the zero time.
func parseAsOf(text string) time.Time {
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return time.Time{}
	}
	return t
}

// completeText tells whether anything is known to be missing of a month.
func completeText(m *schemas.Manifest) string {
	if m == nil {
		return "not known: its manifest cannot be read"
	}
	if m.Complete {
		return "yes"
	}
	missing := missingEvents(m)
	switch {
	case m.SetAside > 0 && missing > 0:
		return fmt.Sprintf("no: %s set aside, %s missing", plural(int64(m.SetAside), "file"), plural(missing, "event"))
	case m.SetAside > 0:
		return fmt.Sprintf("no: %s set aside", plural(int64(m.SetAside), "file"))
	case missing > 0:
		return fmt.Sprintf("no: %s missing", plural(missing, "event"))
	}
	return "no"
}

// missingEvents is how many events the nodes numbered that never came, over all tenants.
func missingEvents(m *schemas.Manifest) (n int64) {
	for i := range m.Nodes {
		n += m.Nodes[i].Missing
	}
	return n
}

// nextByTenant is when each tenant's schedule comes next.
func (v *service) nextByTenant() map[schemas.Tenant]time.Time {
	next := make(map[schemas.Tenant]time.Time)
	for _, run := range v.Runs(v.Now()) {
		if _, ok := next[run.Tenant]; !ok {
			next[run.Tenant] = run.At
		}
	}
	return next
}

// nextOf is when the month is reported next; zero: no schedule does so any more.
func (v *service) nextOf(next map[schemas.Tenant]time.Time, tenant schemas.Tenant, m *reporter.PublishedMonth) time.Time {
	if m.State == reporter.StateFinal || m.Month.Start().After(v.Now()) {
		return time.Time{}
	}
	return next[tenant]
}

// monthPath is the page of a month.
func monthPath(tenant schemas.Tenant, month schemas.Period) string {
	return pathPageList + "/" + string(tenant) + "/" + month.String()
}
