package web

import (
	"cmp"
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"github.com/playmeter/playmeter/statistics"
)

// nameless is how a viewer without a name is called.
const nameless = "without a name"

// longText is from how many bytes on a text is too long for its column, so that it must be reached to be read whole.
const longText = 16

// table is a page of a list, with the columns that it has.
func (ask *asking) table(p *statistics.Page) *table {
	t := &table{ID: "sessions-table", Caption: tabNames[ask.view.Tab], Swap: resultsElement}
	for _, c := range p.Columns {
		t.Columns = append(t.Columns, ask.column(c))
	}
	for i := range p.Rows {
		row := make([]cell, len(p.Columns))
		for k, c := range p.Columns {
			row[k] = ask.cell(c, &p.Rows[i])
		}
		t.Rows = append(t.Rows, row)
	}
	return t
}

// column is the head of one, which sorts by it, or turns the order round.
func (ask *asking) column(c statistics.Column) column {
	out := column{Key: c.Name, Label: c.Title, Help: columnHelp(c), Numeric: c.Kind == statistics.KindBytes || c.Kind == statistics.KindMicros || c.Kind == statistics.KindCount,
		Yields: yields(c)}
	order := naturalOrder(c)
	if c.Name == ask.sort.Name {
		out.Order = ascending
		order = orderDown
		if ask.order == orderDown {
			out.Order, order = descending, orderUp
		}
	}
	out.Href = ask.address(func(values url.Values) {
		values.Set("sort", c.Name)
		values.Set("order", order)
	})
	return out
}

// yields tells whether a column is of texts of any length, whose beginnings say most.
func yields(c statistics.Column) bool {
	return c.Kind == statistics.KindStream || c.Kind == statistics.KindReferrer || c.Name == "user" || c.Name == "agent" || c.Name == "referrer"
}

// columnHelp is what a column's name does not say.
func columnHelp(c statistics.Column) string {
	switch c.Kind {
	case statistics.KindInstant:
		return "UTC"
	case statistics.KindPlace:
		return "Sorted by country, then by address"
	}
	return ""
}

// cell is what a row says in a column.
func (ask *asking) cell(c statistics.Column, r *statistics.Row) cell {
	switch c.Kind {
	case statistics.KindStream:
		return ask.streamCell(r)
	case statistics.KindPlace:
		return ask.placeCell(r)
	case statistics.KindReferrer:
		return referrerCell(r)
	case statistics.KindInstant:
		return cell{At: r.Created}
	case statistics.KindBytes:
		return figureCell(bytesFigure(r.Bytes), "")
	case statistics.KindMicros:
		return figureCell(spanFigure(r.Micros), "")
	case statistics.KindCount:
		return figureCell(countFigure(countOf(c, r)), "")
	}
	return ask.textCell(c, r)
}

// countOf is the number of a column.
func countOf(c statistics.Column, r *statistics.Row) int64 {
	if c.Name == "joined" {
		return r.Joined
	}
	return r.Views
}

// textCell is a text that leads to the sessions that have it, too.
func (ask *asking) textCell(c statistics.Column, r *statistics.Row) cell {
	f := ask.view.Filter
	switch c.Name {
	case "protocol":
		f.Protocol = orNotKnown(r.Protocol)
		return cell{Text: orUnknown(r.Protocol), Href: ask.filtered(statistics.TabPlayback, f, "")}
	case "hostname":
		return ask.serverCell(r)
	case "ip":
		return cell{Text: r.ServerIP, Code: true}
	case "user":
		return ask.userCell(r)
	case "agent":
		out := cell{Text: r.Agent, Note: others(r.OtherAgents), Long: len(r.Agent) > longText}
		if f.Agent = r.Agent; r.Agent != "" && f.Check() == nil {
			out.Href = ask.filtered(statistics.TabPlayback, f, "")
		}
		return out
	case "referrer":
		return referrerCell(r)
	}
	panic("cannot happen: no list has a column of texts " + c.Name)
}

// referrerCell is where viewers came from: a text, which leads nowhere.
func referrerCell(r *statistics.Row) cell {
	return cell{Text: r.Referrer, Note: others(r.OtherReferrers), Long: len(r.Referrer) > longText}
}

// sessionsWith is the address of the sessions of a row that a filter lets pass. Where the lists are of several tenants, it keeps
// to the row's.
func (ask *asking) sessionsWith(f statistics.Filter, r *statistics.Row) string {
	return ask.filtered(statistics.TabPlayback, f, r.Tenant)
}

// streamCell is a stream's name, with its id, and whose it is where several tenants are looked at.
func (ask *asking) streamCell(r *statistics.Row) cell {
	f := ask.view.Filter
	f.Stream, f.Object = "", string(r.Object)
	out := cell{Text: r.Stream, Href: ask.sessionsWith(f, r), Under: string(r.Object)}
	if r.Stream == "" || r.Stream == string(r.Object) {
		out.Text, out.Under = string(r.Object), ""
	}
	if ask.chosen == nil {
		if out.Under != "" {
			out.Under = " · " + out.Under
		}
		out.Under = ask.called(r.Tenant) + out.Under // first, because the end is cut where there is little room
	}
	return out
}

// serverCell is a server's host, with its id where that tells more.
func (ask *asking) serverCell(r *statistics.Row) cell {
	if r.Server == "" {
		return cell{Text: r.Host}
	}
	f := ask.view.Filter
	f.Servers = []string{r.Server}
	out := cell{Text: r.Host, Exact: r.Server, Href: ask.filtered(statistics.TabPlayback, f, "")}
	switch {
	case r.Host == "":
		out.Text = r.Server
	case ask.view.Tab == statistics.TabServers && r.Host != r.Server:
		out.Under = r.Server
	}
	return out
}

// userCell is a viewer. Those without a name that a filter finds them by are found by their number.
func (ask *asking) userCell(r *statistics.Row) cell {
	out := cell{Text: cmp.Or(r.User, nameless), Long: len(r.User) > longText}
	f := ask.view.Filter
	switch {
	case f.Viewer != "" && f.Viewer == r.Viewer: // it is that one already
	case findable(r.User):
		f.User = r.User
	default:
		f.User, f.Viewer = "", r.Viewer
	}
	if f.Check() == nil && (f.Viewer != "" || f.User != "") {
		out.Href = ask.sessionsWith(f, r)
	}
	if ask.chosen == nil {
		out.Under = ask.called(r.Tenant)
	}
	return out
}

// findable tells whether a filter for a user's name finds that user and no other: blanks around it are not heeded, what looks
// like a pattern may be written in two ways, and the end of a long one is not known.
func findable(user string) bool {
	return user != "" && len(user) < statistics.MaxText && strings.TrimSpace(user) == user && statistics.Exactly(user) == user &&
		statistics.Filter{User: user}.Check() == nil
}

// placeCell is a country and an address.
func (ask *asking) placeCell(r *statistics.Row) cell {
	out := cell{Text: r.IP, Note: others(r.OtherIPs), Code: true}
	switch {
	case r.Country != "" && r.IP != "":
		out.Text = r.Country + " · " + r.IP
	case r.Country != "":
		out.Text = r.Country
	}
	if r.Country != "" {
		out.Exact = countryName(r.Country)
	}
	f := ask.view.Filter
	if f.IP = r.IP; r.IP == "" && r.Country != "" || f.Check() != nil { // what stands there for a masked one may be no address
		f.IP, f.Country = ask.view.Filter.IP, orNotKnown(r.Country)
	}
	if out.Text != "" {
		out.Href = ask.filtered(statistics.TabPlayback, f, "")
	}
	return out
}

// others tells how many more there are; empty: none.
func others(n int64) string {
	if n <= 0 {
		return ""
	}
	return "+" + plural(n, "other")
}

// pager leads through a list.
func (ask *asking) pager(p *statistics.Page) pager {
	out := pager{Label: "Pages of the list", Swap: resultsElement, Shown: plural(int64(len(p.Rows)), "row") + " on this page",
		ExportLabel: "Export this view as CSV"}
	at := func(cursor string) string {
		return ask.address(func(values url.Values) { values.Set("cursor", cursor) })
	}
	if ask.view.Cursor != "" {
		out.First = ask.address(nil)
	}
	if p.Previous != "" {
		out.Newer = at(p.Previous)
	}
	if p.Next != "" {
		out.Older = at(p.Next)
	}
	for _, n := range rowsOfPage {
		out.Sizes = append(out.Sizes, choice{Text: strconv.Itoa(n), Current: n == ask.view.Limit,
			Href: ask.address(func(values url.Values) {
				values.Del("rows")
				if n != statistics.DefaultLimit {
					values.Set("rows", strconv.Itoa(n))
				}
			})})
	}
	out.Export = withQuery(fmt.Sprintf("%s/%s/export.csv", pathSessions, ask.view.Tab), ask.exportValues())
	return out
}
