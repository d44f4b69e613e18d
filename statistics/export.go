package statistics

import (
	"context"
	"fmt"
	"io"
	"strconv"

	"github.com/playmeter/playmeter/schemas"
)

// exportRows is how many rows of an export are held at once. They are asked for page by page, so that neither the
// database nor we hold more, however many there are.
const exportRows = 20_000

// Export writes all rows of a tab as CSV, in the order of the view and as they are when it begins: the columns as shown, with
// exact values; where the rows of several tenants are shown, the tenant comes first. Texts are guarded against spreadsheets as those of reports are (SPEC 4).
//
//   - Errors: as of [Database.Sessions]; with the first, nothing was written.
func (d *Database) Export(ctx context.Context, scope Scope, v View, w io.Writer) error {
	r, err := d.newReading(ctx, d.exports)
	if err != nil {
		return err
	}
	defer r.end()
	_, one := scope.one()
	e := exporting{w: w, tab: v.Tab, cells: exportCells(v.Tab, !one && v.Tab != TabServers)}
	v.Limit, v.Cursor = exportRows, ""
	for first := true; first || v.Cursor != ""; first = false {
		p, err := page(ctx, r, scope, v)
		if err != nil {
			return err
		}
		if first {
			var names []string
			for _, c := range e.cells {
				names = append(names, c.name)
			}
			e.line = schemas.AppendHeader(nil, names)
		}
		if err := e.rows(p); err != nil {
			return err
		}
		v.Cursor = p.Next
	}
	return e.flush()
}

// exporting writes the rows of an export.
type exporting struct {
	w     io.Writer
	tab   Tab
	cells []exportCell
	line  []byte
}

func (e *exporting) rows(p *Page) error {
	for i := range p.Rows {
		for n, c := range e.cells {
			if n > 0 {
				e.line = append(e.line, ',')
			}
			e.line = c.append(e.line, &p.Rows[i])
		}
		e.line = append(e.line, '\n')
		if len(e.line) > 64<<10 {
			if err := e.flush(); err != nil {
				return err
			}
		}
	}
	return nil
}

func (e *exporting) flush() error {
	if _, err := e.w.Write(e.line); err != nil {
		return fmt.Errorf("export %s: %w", e.tab, err)
	}
	e.line = e.line[:0]
	return nil
}

// exportCell is a column of an export, and what it has of a row.
type exportCell struct {
	name   string
	append func(b []byte, r *Row) []byte
}

// The kinds of cells: texts that somebody may have written, guarded against spreadsheets; ids; numbers.
func freeCell(name string, of func(*Row) string) exportCell {
	return exportCell{name, func(b []byte, r *Row) []byte { return schemas.AppendFreeText(b, []byte(of(r)), true) }}
}

func idCell(name string, of func(*Row) string) exportCell {
	return exportCell{name, func(b []byte, r *Row) []byte { return schemas.AppendID(b, []byte(of(r)), true) }}
}

func numberCell(name string, of func(*Row) int64) exportCell {
	return exportCell{name, func(b []byte, r *Row) []byte { return strconv.AppendInt(b, of(r), 10) }}
}

// exportCells are the columns of the CSV of a tab. The tenant comes first, where it is asked for.
func exportCells(t Tab, tenant bool) (out []exportCell) {
	if tenant {
		out = append(out, idCell("tenant", func(r *Row) string { return string(r.Tenant) }))
	}
	if t == TabServers {
		out = append(out, idCell("server", func(r *Row) string { return r.Server }))
	}
	for _, c := range t.Columns() {
		out = append(out, exportCellsOf(t, c)...)
	}
	return out
}

// exportCellsOf are the columns of the CSV for one of a tab: its exact value, and whatever the list shows beside it.
func exportCellsOf(t Tab, c Column) (out []exportCell) {
	switch c.Kind {
	case KindStream:
		out = []exportCell{freeCell(c.Name, func(r *Row) string { return r.Stream }), idCell("object_id", func(r *Row) string { return string(r.Object) })}
	case KindPlace:
		out = []exportCell{idCell("country", func(r *Row) string { return r.Country }), idCell("ip", func(r *Row) string { return r.IP })}
	case KindBytes:
		out = []exportCell{numberCell("bytes", func(r *Row) int64 { return r.Bytes })}
	case KindMicros:
		out = []exportCell{{"view_secs", func(b []byte, r *Row) []byte { return seconds(r.Micros).AppendMicros(b) }}}
	case KindInstant:
		out = []exportCell{{c.Name, func(b []byte, r *Row) []byte { return r.Created.AppendFormat(b, "2006-01-02T15:04:05.000Z") }}}
	case KindCount:
		of := func(r *Row) int64 { return r.Views }
		if c.Name == columnJoined.Name {
			of = func(r *Row) int64 { return r.Joined }
		}
		out = []exportCell{numberCell(c.Name, of)}
	case KindReferrer:
		out = []exportCell{freeCell(c.Name, func(r *Row) string { return r.Referrer }), numberCell("other_referrers", func(r *Row) int64 { return r.OtherReferrers })}
	case KindText:
		of := func(r *Row) string { return r.Text(c.Name) }
		if c.Name == columnUser.Name || c.Name == columnAgent.Name || c.Name == columnReferrer.Name {
			out = []exportCell{freeCell(c.Name, of)}
		} else {
			out = []exportCell{idCell(c.Name, of)}
		}
	}
	switch {
	case t == TabUsers && c.Name == columnPlace.Name:
		out = append(out, numberCell("other_ips", func(r *Row) int64 { return r.OtherIPs }))
	case t == TabUsers && c.Name == columnAgent.Name:
		out = append(out, numberCell("other_agents", func(r *Row) int64 { return r.OtherAgents }))
	}
	return out
}

// Text is what a row has in a column of KindText.
func (r *Row) Text(column string) string {
	switch column {
	case columnProtocol.Name:
		return r.Protocol
	case columnHost.Name:
		return r.Host
	case columnServerIP.Name:
		return r.ServerIP
	case columnUser.Name:
		return r.User
	case columnAgent.Name:
		return r.Agent
	case columnReferrer.Name:
		return r.Referrer
	}
	return ""
}

// seconds are microseconds as the reports write them.
func seconds(micros int64) (s schemas.Sum) {
	s.Add(micros)
	return s
}
