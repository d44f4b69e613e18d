package statistics

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// A query is how a page of a view is asked.
type query struct {
	tab     tab
	named   string // its list and order, for cursors
	sorting sorting
	cursor  *cursor
	scope   condition // whose sessions
	filter  Filter    // which of them
	where   condition // scope and filter
	form    form
	limit   int
}

// form is how a tab's rows are made of sessions.
type form int

const (
	formSessions form = iota // each is a row
	formFirsts               // the first of those that are alike is a row
	formAlike                // those that are alike are a row
	formGroups               // those of a group are a row, in one go
	formMany                 // likewise, of which there may be as many as sessions: first the rows of the page, then what they show
	formServers              // a row is what one server had in them
	formDays                 // a row is what the days say of it: where nothing but days is asked for
)

// newQuery plans a view. Errors: ErrView, and those of [Filter.Check].
func newQuery(scope Scope, v View) (*query, error) {
	t, ok := tabs[v.Tab]
	if !ok {
		return nil, fmt.Errorf("%w: there is no list %q", ErrView, v.Tab)
	}
	if err := v.Filter.Check(); err != nil {
		return nil, err
	}
	q := &query{tab: t, filter: v.Filter, limit: v.Limit}
	switch {
	case v.Filter.daysAlone() && t.days != "":
		q.form, q.tab = formDays, t.ofDays()
	case v.Tab == TabServers:
		q.form = formServers
	case v.Tab == TabUsers:
		q.form = formMany
	case v.Tab == TabUnique && v.Filter.splitsAlike():
		q.form = formAlike
	case v.Tab == TabUnique:
		q.form = formFirsts
	case v.Tab == TabStreams:
		q.form = formGroups
	}
	return q, q.order(scope, v)
}

// order settles the order of rows and the place in it.
func (q *query) order(scope Scope, v View) error {
	sort, desc := v.Sort, v.Desc
	if sort == "" {
		sort = q.tab.sort
		desc = q.tab.falls(sort)
	}
	keys, ok := q.tab.keys[sort]
	if !ok {
		return fmt.Errorf("%w: the list %s has no column %q to sort by", ErrView, v.Tab, sort)
	}
	var err error
	q.named = orderOf(v.Tab, sort, desc)
	if q.cursor, err = parseCursor(v.Cursor, q.named, slices.Concat(keys, q.tab.ties)); err != nil {
		return err
	}
	q.sorting = newSorting(keys, q.tab.ties, desc, q.cursor != nil && q.cursor.Back)
	q.scope = scope.where()
	q.where = all(q.scope, v.Filter.where())
	if q.form == formFirsts {
		q.where = all(q.where, condition{text: "nth = alike"})
	}
	return nil
}

func (t *tab) falls(name string) bool {
	return slices.ContainsFunc(t.columns, func(c Column) bool { return c.Name == name && c.Falls })
}

// ask asks for a page: its rows, and one more where there is one.
func (q *query) ask(ctx context.Context, r reader) (*answer, error) {
	if q.form == formMany {
		return q.askViewers(ctx, r)
	}
	return r.read(ctx, q.statement(), q.limit+1)
}

// statement is the SQL of a page that takes one question.
func (q *query) statement() statement {
	switch q.form {
	case formGroups:
		return q.grouped("sessions", q.where)
	case formServers:
		return q.byServer()
	case formAlike:
		return q.alike()
	case formDays:
		return q.grouped(q.tab.days, q.where)
	}
	if q.sorting.keys[0] == sessionTies[0] {
		return q.inTime()
	}
	return q.flat()
}

// values are what a page selects: the fields of its rows, then their keys.
func (q *query) values() string {
	var out []string
	for _, f := range q.tab.fields {
		out = append(out, f.expr)
	}
	return strings.Join(out, ", ") + ", " + q.sorting.columns()
}

// past is what holds for the rows after the page before, in an order whose keys may go by other names; empty on the first page.
func (q *query) past(s sorting) condition {
	if q.cursor == nil {
		return condition{}
	}
	return s.after(q.cursor.Values)
}

// rowsAsked is how many rows a page asks for: one more than it shows tells whether there is another.
func (q *query) rowsAsked() string { return fmt.Sprintf(" LIMIT %d", q.limit+1) }

// inTime selects sessions by when they began. That is the order in which the database has them, so that it reads no
// more than the page.
func (q *query) inTime() statement {
	where := all(q.where, q.past(q.sorting))
	return statement{"SELECT " + q.values() + " FROM sessions WHERE " + where.text + q.sorting.orderBy() + q.rowsAsked(), where.args}
}

// flat selects sessions: which ones first, by what they are sorted by alone, and then what they show.
func (q *query) flat() statement {
	where := all(q.where, q.past(q.sorting))
	text := "SELECT " + q.values() + " FROM sessions WHERE rowid IN (SELECT rowid FROM sessions WHERE " + where.text + q.sorting.orderBy() + q.rowsAsked() + ")" +
		q.sorting.orderBy()
	return statement{text, where.args}
}

// having is the clause of that name; empty on the first page.
func (q *query) having() condition {
	past := q.past(q.sorting)
	if past.text != "" {
		past.text = " HAVING " + past.text
	}
	return past
}

// grouped selects groups of the rows of a relation.
func (q *query) grouped(from string, where condition) statement {
	having := q.having()
	text := "SELECT " + q.values() + " FROM " + from + " WHERE " + where.text + " GROUP BY " + q.tab.groups() + having.text +
		q.sorting.orderBy() + q.rowsAsked()
	return statement{text, slices.Concat(where.args, having.args)}
}

// byServer groups what each server had in the sessions. A server is called what it was called last.
func (q *query) byServer() statement {
	from := `(SELECT * FROM (
			SELECT tenant, nth, server, bytes, view_us, begun FROM sessions WHERE NOT moved AND ` + q.where.text + `
			UNION ALL
			SELECT s.tenant, s.nth, m.server, m.bytes, m.view_us, s.begun
			FROM (SELECT tenant, nth, begun FROM sessions WHERE moved AND ` + q.where.text + `) s JOIN moves m USING (tenant, nth))
		LEFT JOIN (SELECT server, ` + lastOf("hostname", "''") + ` AS server_host, ` + lastOf("server_ip", "''") + ` AS server_ip
			FROM day_servers WHERE ` + all(q.scope).text + ` GROUP BY server) USING (server))`
	s := q.grouped(from, condition{text: "true"})
	s.Args = slices.Concat(q.where.args, q.where.args, q.scope.args, s.Args)
	return s
}

// alike groups those sessions of a filter that are alike; a row shows what the first of them says. Which rows a page has is
// settled first, by what they are sorted by alone. Most sessions are like no other of their day, which is known of them:
// they are rows as they are, and only the others have to be grouped.
func (q *query) alike() statement {
	const ofFirst = "SELECT s.* EXCLUDE (bytes, view_us, alike_bytes, alike_view_us, alike_sessions), g.* FROM %s g JOIN sessions s ON s.rowid = g.first"
	const group = "first, alike_bytes, alike_view_us, alike_sessions"
	var keys []string
	for i, k := range q.sorting.keys {
		keys = append(keys, k.expr+" AS "+keyNamed(i, ""))
	}
	several := "(SELECT min(rowid) AS first, total(bytes) AS alike_bytes, total(view_us) AS alike_view_us, count(*) AS alike_sessions FROM sessions WHERE alike_sessions <> 1 AND " +
		q.where.text + " GROUP BY tenant, alike)"
	single := "(SELECT *, rowid AS first FROM sessions WHERE alike_sessions = 1 AND " + q.where.text + ")"
	past := all(q.past(q.sorting))
	page := func(from string) string {
		return "SELECT * FROM (SELECT " + group + ", " + strings.Join(keys, ", ") + " FROM " + from + " WHERE " + past.text + q.sorting.orderBy() + q.rowsAsked() + ")"
	}
	rows := "(SELECT " + group + " FROM (" + page("("+fmt.Sprintf(ofFirst, several)+")") + " UNION ALL " + page(single) + ")" + q.sorting.called(keyNamed).orderBy() + q.rowsAsked() + ")"
	return statement{"SELECT " + q.values() + " FROM (" + fmt.Sprintf(ofFirst, rows) + ")" + q.sorting.orderBy(), slices.Concat(q.where.args, past.args, q.where.args, past.args)}
}

// keyNamed is what alike calls a key.
func keyNamed(i int, _ string) string { return fmt.Sprintf("k%d", i) }

// page makes a page of an answer.
func (q *query) page(a *answer) *Page {
	p := &Page{Columns: q.tab.columns}
	n := min(a.Rows, q.limit)
	fields := len(q.tab.fields)
	values := make([][]string, n) // of the keys
	for i := range n {
		var r Row
		for j, f := range q.tab.fields {
			f.set(&r, a.Columns[j].at(i))
		}
		for j := range q.sorting.keys {
			values[i] = append(values[i], a.Columns[fields+j].at(i).text)
		}
		p.Rows = append(p.Rows, r)
	}
	back := q.cursor != nil && q.cursor.Back
	if back {
		slices.Reverse(p.Rows)
		slices.Reverse(values)
	}
	more := a.More || a.Rows > q.limit // on the side that was looked at
	if n > 0 && (q.cursor != nil && !back || back && more) {
		p.Previous = (&cursor{Order: q.named, Back: true, Values: values[0]}).String()
	}
	if n > 0 && (back || more) {
		p.Next = (&cursor{Order: q.named, Values: values[n-1]}).String()
	}
	return p
}
