package statistics

import (
	"context"
	"slices"
	"strings"
)

// There may be nearly as many viewers as sessions, so a page of them is asked for in two questions: which viewers, which
// takes no more of each session than numbers and what is sorted by; and then what is shown of those few.

// viewersOf are the viewers of a page: numbers, as text.
func viewersOf(ctx context.Context, r reader, q *query) ([]string, error) {
	s := q.whichViewers()
	if q.byText() {
		s = q.whichViewersByText()
	}
	a, err := r.read(ctx, s, q.limit+1)
	if err != nil {
		return nil, err
	}
	out := make([]string, a.Rows)
	for i := range out {
		out[i] = a.Columns[0].at(i).text
	}
	return out, nil
}

// byText tells whether viewers are sorted by what their newest session says.
func (q *query) byText() bool {
	return slices.ContainsFunc(q.sorting.keys, func(k key) bool { return k.sqlType == typeText })
}

// whichViewers sorts them by sums.
func (q *query) whichViewers() statement {
	having := q.having()
	text := "SELECT viewer FROM sessions WHERE " + q.where.text + " GROUP BY viewer" + having.text + q.sorting.orderBy() + q.rowsAsked()
	return statement{asTexts(text), slices.Concat(q.where.args, having.args)}
}

// whichViewersByText sorts them by texts of the newest session, which is looked up once it is known which that is: to
// carry the texts of all along would take more memory than there may be.
func (q *query) whichViewersByText() statement {
	newest := strings.NewReplacer(of("country"), "n.country", of("ip_high"), "n.ip_high", of("ip_low"), "n.ip_low", of("ip"), "n.ip",
		of("user_agent"), "n.user_agent", of("referrer"), "n.referrer", "any_value(user_name)", "n.user_name", "viewer", "g.viewer").Replace
	sorted := sorting{desc: q.sorting.desc}
	for _, k := range q.sorting.keys {
		sorted.keys = append(sorted.keys, key{newest(k.expr), k.sqlType})
	}
	past := condition{}
	if q.cursor != nil {
		past = sorted.after(q.cursor.Values)
	}
	past = all(past)
	text := "SELECT g.viewer FROM (SELECT viewer, max(nth) AS last FROM sessions WHERE " + q.where.text +
		" GROUP BY viewer) g JOIN sessions n ON n.viewer = g.viewer AND n.nth = g.last WHERE " + past.text + sorted.orderBy() + q.rowsAsked()
	return statement{asTexts(text), slices.Concat(q.where.args, past.args)}
}

// asTexts makes texts of the viewers that are left: to make one takes the database 10 µs and more.
func asTexts(text string) string { return "SELECT viewer::VARCHAR FROM (" + text + ")" }

// ofViewers is what is shown of some viewers.
func (q *query) ofViewers(viewers []string) statement {
	some := "['" + strings.Join(viewers, "', '") + "']::UHUGEINT[]" // the database's own numbers; as a relation: each of an IN would be compared with
	text := "SELECT " + q.values() + " FROM sessions JOIN (SELECT unnest(" + some + ") AS viewer) USING (viewer) WHERE " + q.where.text + " GROUP BY viewer" + q.sorting.orderBy()
	return statement{text, q.where.args}
}
