package oracle

import (
	"bytes"
	"context"
	_ "embed"
	"fmt"
	"strings"
	"time"
)

//go:embed sql/events.sql
var eventsSQL string

//go:embed sql/sessions.sql
var sessionsSQL string

//go:embed sql/records.sql
var recordsSQL string

//go:embed sql/facts.sql
var factsSQL string

//go:embed sql/usage.sql
var usageSQL string

//go:embed sql/sheets.sql
var sheetsSQL string

// Expect says what the two reports of a tenant's period are, to the byte.
//
//   - Shape: period is YYYY-MM; asOf is cut to the second.
//   - Errors: a file that cannot be read; a period that is none.
//   - Source: SPEC 2 to 5, R1 to R23.
func (w *World) Expect(ctx context.Context, tenant, period string, asOf time.Time, rules Rules) (usage, sessions []byte, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.compute(ctx, tenant, period, asOf, rules); err != nil {
		return nil, nil, err
	}
	if usage, err = w.usageCSV(ctx); err != nil {
		return nil, nil, fmt.Errorf("usage of %s in %s: %w", tenant, period, err)
	}
	if sessions, err = w.sheet(ctx, "session_rows", nil); err != nil {
		return nil, nil, fmt.Errorf("sessions of %s in %s: %w", tenant, period, err)
	}
	return usage, sessions, nil
}

// Classes counts the tenant's rows by class, as the manifest does: "read",
// "counted/playout" and so on for each kind, "errors", "superseded",
// "duplicates", "rejected/no_node" and so on for each reason, "outside_period",
// "after_as_of". Classes without a row are left out; read is the sum of the
// others.
func (w *World) Classes(ctx context.Context, tenant, period string, asOf time.Time) (map[string]int64, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.compute(ctx, tenant, period, asOf, Industry()); err != nil {
		return nil, err
	}
	rows, err := w.conn.QueryContext(ctx, "select class, n::bigint from classes where n > 0")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	classes := map[string]int64{}
	for rows.Next() {
		var class string
		var n int64
		if err := rows.Scan(&class, &n); err != nil {
			return nil, err
		}
		classes[class] = n
	}
	return classes, rows.Err()
}

// compute runs all steps but the last.
func (w *World) compute(ctx context.Context, tenant, period string, asOf time.Time, rules Rules) error {
	start, err := time.Parse("2006-01", period)
	if err != nil {
		return fmt.Errorf("period: %w", err)
	}
	if err := w.ready(ctx); err != nil {
		return err
	}
	end := start.AddDate(0, 1, 0)
	bound := asOf.UTC().Truncate(time.Second)
	if bound.After(end) {
		bound = end
	}
	name := ""
	for _, t := range w.Tenants {
		if t.ID == tenant {
			name = t.Name
		}
	}
	look := max(31*24*time.Hour, wholeHours(rules.IdleWithID), wholeHours(rules.IdleWithoutID))
	var set strings.Builder
	for _, v := range []struct {
		name  string
		value any
	}{
		{"tenant", tenant}, {"tenant_name", name},
		{"start_ns", start.UnixNano()}, {"end_ns", end.UnixNano()}, {"bound_ns", bound.UnixNano()}, {"start_s", start.Unix()}, {"bound_s", bound.Unix()},
		{"look_ns", int64(look)}, {"idle_with_ns", int64(rules.IdleWithID)}, {"idle_without_ns", int64(rules.IdleWithoutID)},
		{"window_with_ns", int64(wholeHours(rules.IdleWithID))}, {"window_without_ns", int64(wholeHours(rules.IdleWithoutID))},
		{"hi_long", rules.Tiers.Hi.Long}, {"hi_short", rules.Tiers.Hi.Short}, {"md_long", rules.Tiers.Md.Long}, {"md_short", rules.Tiers.Md.Short},
		{"density_of", rules.DensityOf}, {"guard", rules.Guard},
	} {
		switch x := v.value.(type) {
		case string:
			fmt.Fprintf(&set, "set variable %s = %s;\n", v.name, quoted(x))
		case bool:
			fmt.Fprintf(&set, "set variable %s = %t;\n", v.name, x)
		default:
			fmt.Fprintf(&set, "set variable %s = %d::bigint;\n", v.name, x)
		}
	}
	for _, step := range []struct{ name, query string }{
		{"variables", set.String()}, {"events", eventsSQL}, {"sessions", sessionsSQL}, {"records", recordsSQL}, {"facts", factsSQL}, {"usage", usageSQL}, {"sheets", sheetsSQL},
	} {
		if err := w.exec(ctx, step.query); err != nil {
			return fmt.Errorf("%s: %w", step.name, err)
		}
	}
	return nil
}

func wholeHours(d time.Duration) time.Duration {
	return (d + time.Hour - 1) / time.Hour * time.Hour
}

// usageCSV puts the columns that depend on the data in their places.
func (w *World) usageCSV(ctx context.Context) ([]byte, error) {
	rows, err := w.conn.QueryContext(ctx, "select name from ingest_header")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var ingest []string
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return nil, err
		}
		ingest = append(ingest, name)
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	var widest int
	if err := w.conn.QueryRowContext(ctx, `select max(len("info.mezzanine.playout_formats")) from usage_rows`).Scan(&widest); err != nil {
		return nil, err
	}
	var formats []string
	for i := range max(widest, 1) {
		formats = append(formats, fmt.Sprintf("info.mezzanine.playout_formats.%d", i+1))
	}
	return w.sheet(ctx, "usage_rows", map[string][]string{"info.mezzanine.playout_formats": formats, "usage.ingest": ingest})
}

// sheet writes a view of texts as CSV. A column of lists becomes the columns
// that lists names; short lists are filled up with empty cells.
func (w *World) sheet(ctx context.Context, view string, lists map[string][]string) ([]byte, error) {
	rows, err := w.conn.QueryContext(ctx, "select * from "+view)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	names, err := rows.Columns()
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	var header []string
	for _, n := range names {
		if l, ok := lists[n]; ok {
			header = append(header, l...)
		} else {
			header = append(header, n)
		}
	}
	line(&out, header)
	values, targets := make([]any, len(names)), make([]any, len(names))
	for i := range values {
		targets[i] = &values[i]
	}
	for rows.Next() {
		if err := rows.Scan(targets...); err != nil {
			return nil, err
		}
		cells := make([]string, 0, len(header))
		for i, v := range values {
			switch v := v.(type) {
			case string:
				cells = append(cells, v)
			case []any:
				for j := range lists[names[i]] {
					cell := ""
					if j < len(v) {
						cell = v[j].(string)
					}
					cells = append(cells, cell)
				}
			default:
				return nil, fmt.Errorf("%s: %T in a cell", names[i], v)
			}
		}
		line(&out, cells)
	}
	return out.Bytes(), rows.Err()
}

// line writes one CSV line. A cell is quoted if and only if it holds a comma,
// a quote, CR or LF.
func line(out *bytes.Buffer, cells []string) {
	for i, c := range cells {
		if i > 0 {
			out.WriteByte(',')
		}
		if strings.ContainsAny(c, ",\"\r\n") {
			c = `"` + strings.ReplaceAll(c, `"`, `""`) + `"`
		}
		out.WriteString(c)
	}
	out.WriteByte('\n')
}
