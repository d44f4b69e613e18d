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
	e := exporting{w: w, tab: v.Tab, tenant: !one && v.Tab != TabServers}
	v.Limit, v.Cursor = exportRows, ""
	for first := true; first || v.Cursor != ""; first = false {
		p, err := page(ctx, r, scope, v)
		if err != nil {
			return err
		}
		if first {
			e.line = schemas.AppendHeader(nil, exportColumns(v.Tab, e.tenant))
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
	w      io.Writer
	tab    Tab
	tenant bool // it is the first column
	line   []byte
}

func (e *exporting) rows(p *Page) error {
	for i := range p.Rows {
		if e.tenant {
			e.line = append(schemas.AppendID(e.line, []byte(p.Rows[i].Tenant), true), ',')
		}
		if e.tab == TabServers {
			e.line = append(schemas.AppendID(e.line, []byte(p.Rows[i].Server), true), ',')
		}
		e.line = appendRow(e.line, e.tab, p.Columns, &p.Rows[i])
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

// exportColumns are the columns of the CSV of a tab.
func exportColumns(t Tab, tenant bool) []string {
	var out []string
	if tenant {
		out = append(out, "tenant")
	}
	for _, c := range t.Columns() {
		if t == TabServers && c.Name == columnHost.Name {
			out = append(out, "server")
		}
		switch c.Kind {
		case KindStream:
			out = append(out, c.Name, "object_id")
		case KindPlace:
			if out = append(out, "country", "ip"); t == TabUsers {
				out = append(out, "other_ips")
			}
		case KindBytes:
			out = append(out, "bytes")
		case KindMicros:
			out = append(out, "view_secs")
		case KindReferrer:
			out = append(out, c.Name, "other_referrers")
		default:
			if out = append(out, c.Name); t == TabUsers && c.Name == columnAgent.Name {
				out = append(out, "other_agents")
			}
		}
	}
	return out
}

// appendRow appends the cells of a row and a line feed.
func appendRow(b []byte, t Tab, columns []Column, r *Row) []byte {
	for i, c := range columns {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendExport(b, c, r)
		switch {
		case t == TabUsers && c.Kind == KindPlace:
			b = strconv.AppendInt(append(b, ','), r.OtherIPs, 10)
		case t == TabUsers && c.Name == columnAgent.Name:
			b = strconv.AppendInt(append(b, ','), r.OtherAgents, 10)
		}
	}
	return append(b, '\n')
}

func appendExport(b []byte, c Column, r *Row) []byte {
	free := func(text string) { b = schemas.AppendFreeText(b, []byte(text), true) }
	id := func(text string) { b = schemas.AppendID(b, []byte(text), true) }
	switch c.Kind {
	case KindStream:
		free(r.Stream)
		b = append(b, ',')
		id(string(r.Object))
	case KindPlace:
		id(r.Country)
		b = append(b, ',')
		id(r.IP)
	case KindBytes:
		b = strconv.AppendInt(b, r.Bytes, 10)
	case KindMicros:
		b = seconds(r.Micros).AppendMicros(b)
	case KindInstant:
		b = r.Created.AppendFormat(b, "2006-01-02T15:04:05.000Z")
	case KindCount:
		n := r.Views
		if c.Name == columnJoined.Name {
			n = r.Joined
		}
		b = strconv.AppendInt(b, n, 10)
	case KindReferrer:
		free(r.Referrer)
		b = append(b, ',')
		b = strconv.AppendInt(b, r.OtherReferrers, 10)
	case KindText:
		if c.Name == columnUser.Name || c.Name == columnAgent.Name || c.Name == columnReferrer.Name {
			free(r.Text(c.Name))
		} else {
			id(r.Text(c.Name))
		}
	}
	return b
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
