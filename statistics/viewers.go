package statistics

import (
	"cmp"
	"context"
	"slices"
	"strings"
)

// There may be nearly as many viewers as sessions, so a page of them is asked for in two questions: which viewers, which
// takes no more of each session than numbers and what is sorted by; and then what is shown of those few. Where whole
// months are asked for, the sums of months know the first, and no session is looked at for it.

// viewing is where it is known what viewers add up to.
type viewing struct {
	table string // sessions, or month_viewers
	where condition
	views string // what their views add up to
	once  bool   // a viewer has one row
}

// askViewers asks for a page of them.
func (q *query) askViewers(ctx context.Context, r reader) (*answer, error) {
	viewers, err := q.viewersOf(ctx, r)
	if err != nil || len(viewers) == 0 {
		return &answer{}, err
	}
	return r.read(ctx, q.ofViewers(viewers), q.limit+1)
}

// viewersOf are the viewers of a page: numbers, as text.
func (q *query) viewersOf(ctx context.Context, r reader) ([]string, error) {
	at, err := q.viewing(ctx, r)
	if err != nil {
		return nil, err
	}
	s := statement{}
	switch {
	case at.once:
		s = q.whichRows(at)
	case q.byText():
		s = q.whichViewersByText(at)
	default:
		s = q.whichViewers(at)
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

// viewing finds out whether the months know it: where nothing but days is asked for, and of each month all that have
// sessions, and none of them was replaced since the month was added up.
func (q *query) viewing(ctx context.Context, r reader) (viewing, error) {
	sessions := viewing{table: "sessions", where: q.where, views: sumViews}
	if !q.filter.daysAlone() {
		return sessions, nil
	}
	first, last := cmp.Or(q.filter.From, "0000-00-00"), cmp.Or(q.filter.To, "9999-99-99")
	periods := all(q.scope, condition{"period BETWEEN ? AND ?", []any{first[:len("2006-01")], last[:len("2006-01")]}})
	a, err := r.read(ctx, statement{`SELECT count(DISTINCT period), coalesce(bool_and(coalesce(m.counted, false) AND strftime(d.day, '%Y-%m-%d') BETWEEN ? AND ?), true)
			AND NOT EXISTS (SELECT 1 FROM months WHERE NOT counted AND ` + periods.text + `)
		FROM (SELECT * FROM days WHERE sessions > 0 AND ` + periods.text + `) d LEFT JOIN months m USING (tenant, period)`,
		slices.Concat([]any{first, last}, periods.args, periods.args)}, 1)
	if err != nil {
		return viewing{}, err
	}
	if a.Columns[1].at(0).number == 0 {
		return sessions, nil
	}
	return viewing{table: "month_viewers", where: periods, views: "total(views)", once: a.Columns[0].at(0).number <= 1}, nil
}

// byText tells whether viewers are sorted by what their newest session says.
func (q *query) byText() bool {
	return slices.ContainsFunc(q.sorting.keys, func(k key) bool { return k.sqlType == typeText })
}

// sortedBy is the order of a page where what it is sorted by goes by other names, in pairs of the old and the new; and what
// holds for the rows after the page before.
func (q *query) sortedBy(names ...string) (sorting, condition) {
	r := strings.NewReplacer(names...)
	sorted := q.sorting.called(func(_ int, expr string) string { return r.Replace(expr) })
	return sorted, all(q.past(sorted))
}

// ofNewest are names for sortedBy: of what a viewer's newest session says, where a relation has it as columns.
func ofNewest(relation string) []string {
	names := []string{"any_value(user_name)", relation + "user_name"}
	for _, column := range []string{"country", "ip_high", "ip_low", "ip", "user_agent", "referrer"} {
		names = append(names, of(column), relation+column)
	}
	return names
}

// whichRows sorts them where each has one row.
func (q *query) whichRows(at viewing) statement {
	sorted, past := q.sortedBy(append(ofNewest(""), sumViews, "views", sumBytes, "bytes", sumView, "view_us")...)
	where := all(at.where, past)
	return statement{asTexts("SELECT viewer FROM " + at.table + " WHERE " + where.text + sorted.orderBy() + q.rowsAsked()), where.args}
}

// whichViewers sorts them by sums.
func (q *query) whichViewers(at viewing) statement {
	sorted, past := q.sortedBy(sumViews, at.views)
	text := "SELECT viewer FROM " + at.table + " WHERE " + at.where.text + " GROUP BY viewer HAVING " + past.text + sorted.orderBy() + q.rowsAsked()
	return statement{asTexts(text), slices.Concat(at.where.args, past.args)}
}

// whichViewersByText sorts them by texts of the newest session, which is looked up once it is known which that is: to
// carry the texts of all along would take more memory than there may be.
func (q *query) whichViewersByText(at viewing) statement {
	sorted, past := q.sortedBy(append(ofNewest("n."), "viewer", "g.viewer")...)
	text := "SELECT g.viewer FROM (SELECT viewer, max(nth) AS last FROM " + at.table + " WHERE " + at.where.text +
		" GROUP BY viewer) g JOIN " + at.table + " n ON n.viewer = g.viewer AND n.nth = g.last WHERE " + past.text + sorted.orderBy() + q.rowsAsked()
	return statement{asTexts(text), slices.Concat(at.where.args, past.args)}
}

// asTexts makes texts of the viewers that are left: to make one takes the database 10 µs and more.
func asTexts(text string) string { return "SELECT viewer::VARCHAR FROM (" + text + ")" }

// ofViewers is what is shown of some viewers.
func (q *query) ofViewers(viewers []string) statement {
	some := "['" + strings.Join(viewers, "', '") + "']::UHUGEINT[]" // the database's own numbers; as a relation: each of an IN would be compared with
	text := "SELECT " + q.values() + " FROM sessions JOIN (SELECT unnest(" + some + ") AS viewer) USING (viewer) WHERE " + q.where.text + " GROUP BY viewer" + q.sorting.orderBy()
	return statement{text, q.where.args}
}
