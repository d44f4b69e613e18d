package statistics

import (
	"context"
	"fmt"
)

// Rows is how many rows a list has.
//
//   - It is counted only where that takes no longer than a page does: where known is false, it was not.
//   - Errors: as of [Database.Sessions].
func (d *Database) Rows(ctx context.Context, scope Scope, v View) (n int64, known bool, err error) {
	v.Sort, v.Desc, v.Cursor = "", false, "" // which change nothing about it
	q, err := newQuery(scope, v)
	if err != nil {
		return 0, false, err
	}
	r, err := d.newReading(ctx, d.slots)
	if err != nil {
		return 0, false, err
	}
	defer r.end()
	s, err := q.counted(ctx, r)
	if err != nil || s.SQL == "" {
		return 0, false, err
	}
	a, err := r.read(ctx, s, 1)
	if err != nil {
		return 0, false, fmt.Errorf("count the rows of %s: %w", v.Tab, err)
	}
	return a.Columns[0].at(0).number, true, nil
}

// counted counts the rows of all pages; no statement where that takes long.
func (q *query) counted(ctx context.Context, r reader) (statement, error) {
	switch q.form {
	case formSessions, formFirsts:
		return statement{"SELECT count(*) FROM sessions WHERE " + q.where.text, q.where.args}, nil
	case formDays:
		return statement{"SELECT count(*) FROM (SELECT DISTINCT " + q.tab.groups() + " FROM " + q.tab.days + " WHERE " + q.where.text + ")", q.where.args}, nil
	case formMany:
		at, err := q.viewing(ctx, r)
		if err != nil || !at.once {
			return statement{}, err
		}
		return statement{"SELECT count(*) FROM " + at.table + " WHERE " + at.where.text, at.where.args}, nil
	}
	return statement{}, nil
}
