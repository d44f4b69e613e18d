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
const exportRows = 50_000

// Export writes all rows of a tab as CSV, in the order of the view: the columns as shown, with exact values. Texts are
// guarded against spreadsheets as those of reports are (SPEC 4).
//
//   - Errors: as of [Database.Sessions]; with the first, nothing was written.
func (d *Database) Export(ctx context.Context, scope Scope, v View, w io.Writer) error {
	v.Limit, v.Cursor = exportRows, ""
	line := schemas.AppendHeader(nil, exportColumns(v.Tab))
	for {
		p, err := d.page(ctx, scope, v)
		if err != nil {
			return err
		}
		for i := range p.Rows {
			line = appendRow(line, p.Columns, &p.Rows[i])
			if len(line) > 64<<10 {
				if _, err := w.Write(line); err != nil {
					return fmt.Errorf("export %s: %w", v.Tab, err)
				}
				line = line[:0]
			}
		}
		if p.Next == "" {
			break
		}
		v.Cursor = p.Next
	}
	if _, err := w.Write(line); err != nil {
		return fmt.Errorf("export %s: %w", v.Tab, err)
	}
	return nil
}

// exportColumns are the columns of the CSV of a tab.
func exportColumns(t Tab) []string {
	var out []string
	for _, c := range t.Columns() {
		switch c.Kind {
		case KindStream:
			out = append(out, c.Name, "object_id")
		case KindPlace:
			out = append(out, "country", "ip")
		case KindBytes:
			out = append(out, "bytes")
		case KindMicros:
			out = append(out, "view_secs")
		case KindReferrer:
			out = append(out, c.Name, "other_referrers")
		default:
			out = append(out, c.Name)
		}
	}
	return out
}

// appendRow appends the cells of a row and a line feed.
func appendRow(b []byte, columns []Column, r *Row) []byte {
	for i, c := range columns {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendExport(b, c, r)
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
