package accounting

import (
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/playmeter/playmeter/schemas"
)

// UsageReport is the usage report of a tenant: a statement beside what the
// tenant held (SPEC 4).
type UsageReport struct {
	TenantID  schemas.Tenant
	Name      string // of the tenant
	Statement *Statement
	Holdings  *Holdings
	Guard     bool
}

// usageRow is what one row of the report shows.
type usageRow struct {
	id      string
	library string
	name    string
	facts   *schemas.CatalogObject
	usage   *Object
	tenancy bool
	storage schemas.Sum
	bytes   schemas.Sum // byte seconds
	active  Activity
}

var (
	noUsage Object
	noFacts = schemas.CatalogObject{MasterDuration: schemas.None, MezzanineDuration: schemas.None}
)

// Write writes the report and returns its columns and number of data rows, the
// tenancy's included.
//
//   - Shape: the tenancy's aggregate, then the objects in byte order of their ids.
func (u *UsageReport) Write(w io.Writer) (columns []string, rows int64, err error) {
	ids := u.ids()
	total, layout := u.total(ids)
	table := layout.columns()
	for i := range table {
		columns = append(columns, table[i].name)
	}
	buf := schemas.AppendHeader(nil, columns)
	buf = appendUsageRow(buf, table, &total, u.Guard)
	for _, id := range ids {
		row := u.row(id)
		if buf = appendUsageRow(buf, table, &row, u.Guard); len(buf) > 256<<10 {
			if _, err := w.Write(buf); err != nil {
				return nil, 0, fmt.Errorf("write usage report: %w", err)
			}
			buf = buf[:0]
		}
	}
	if _, err := w.Write(buf); err != nil {
		return nil, 0, fmt.Errorf("write usage report: %w", err)
	}
	return columns, int64(len(ids)) + 1, nil
}

func appendUsageRow(b []byte, table []usageColumn, row *usageRow, guard bool) []byte {
	for i := range table {
		b = append(table[i].append(b, row, guard), ',')
	}
	b[len(b)-1] = '\n'
	return b
}

// ids lists the objects that have a row, in their order.
func (u *UsageReport) ids() []string {
	ids := slices.AppendSeq(make([]string, 0, len(u.Statement.Objects)), maps.Keys(u.Statement.Objects))
	for id := range u.Holdings.Objects {
		if u.Statement.Objects[id] == nil {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

// total is the tenancy's row, and which columns the report has.
func (u *UsageReport) total(ids []string) (usageRow, usageLayout) {
	total := usageRow{id: string(u.TenantID), name: u.Name, tenancy: true, usage: new(Object), facts: &noFacts}
	layout := usageLayout{formats: 1}
	for _, id := range ids {
		row := u.row(id)
		total.usage.add(row.usage)
		total.storage.AddSum(row.storage)
		total.bytes.AddSum(row.bytes)
		total.active = max(total.active, row.active)
		layout.formats = max(layout.formats, len(row.facts.PlayoutFormats))
	}
	layout.audio = slices.Sorted(maps.Keys(total.usage.IngestAudio))
	layout.pairs = slices.Sorted(maps.Keys(total.usage.IngestVideo))
	return total, layout
}

// has tells whether an object has a row.
func (u *UsageReport) has(id string) bool {
	return u.Statement.Objects[id] != nil || u.Holdings.Objects[id] != nil
}

func (u *UsageReport) row(id string) usageRow {
	row := usageRow{id: id, usage: u.Statement.Objects[id], facts: &noFacts}
	if row.usage == nil {
		row.usage = &noUsage
	}
	row.active, row.library = row.usage.Activity(), row.usage.Library
	if holding := u.Holdings.Objects[id]; holding != nil {
		row.facts, row.bytes = &holding.Facts, holding.ByteSeconds
		row.storage = schemas.SumOf(u.Holdings.Storage(holding))
		row.name, row.library = holding.Facts.Name, holding.Facts.Library
	}
	return row
}
