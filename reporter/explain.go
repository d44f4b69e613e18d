package reporter

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/playmeter/playmeter/accounting"
	"github.com/playmeter/playmeter/schemas"
)

// Explanation is where the numbers of one row of a month's current usage report come from.
type Explanation struct {
	Tenant schemas.Tenant `json:"tenant"`
	Period schemas.Period `json:"period"`
	Run    string         `json:"run"`
	AsOf   string         `json:"as_of"`
	State  string         `json:"state"`
	Object string         `json:"object_id"`
	Name   string         `json:"name"`
	Row    string         `json:"row"` // tenancy or object
	// Report tells whether the usage report, made again, is the one that was sealed.
	Report  Likeness          `json:"report"`
	Columns []ExplainedColumn `json:"columns"`
}

// ExplainedColumn is one number and its shares. Values are decimals, as texts, so that no
// reader rounds them.
type ExplainedColumn struct {
	Column string `json:"column"`
	Value  string `json:"value"` // as the report says it
	// Source is what the column comes from: usage, catalog, or neither, where Note says what.
	Source string `json:"source,omitempty"`
	// Unit is that of the exact value and the shares: seconds of what the report shows in
	// hours, byte seconds of byte hours; empty of texts.
	Unit  string `json:"unit,omitempty"`
	Exact string `json:"exact,omitempty"`
	// Sum is what the shares add up to, and AddsUp whether that is the exact value.
	Sum       string          `json:"sum,omitempty"`
	AddsUp    bool            `json:"adds_up,omitempty"`
	Files     int             `json:"files"`
	Hours     int             `json:"hours"`
	Shares    []FileShare     `json:"shares,omitempty"`
	Sessions  []SessionShare  `json:"sessions,omitempty"`
	Snapshots []SnapshotShare `json:"snapshots,omitempty"`
	Note      string          `json:"note,omitempty"`
}

// FileShare is what one hour of a usage file gives to a number.
type FileShare struct {
	File  string    `json:"file"`
	ETag  string    `json:"etag"`
	Gone  bool      `json:"gone,omitempty"` // the file is no longer in the usage bucket
	Hour  time.Time `json:"hour"`
	Value string    `json:"value"`
}

// SessionShare is what a finished session gives to a number; in the tenancy's row, all
// sessions of an object.
type SessionShare struct {
	Object    string     `json:"object_id"`
	Start     *time.Time `json:"start,omitempty"`
	SessionID string     `json:"session_id,omitempty"`
	Sessions  int64      `json:"sessions"`
	Value     string     `json:"value"`
}

// The sources of columns.
const (
	SourceUsage   = "usage"
	SourceCatalog = "catalog"
)

// ErrNotReported tells that a report has no such object or column.
var ErrNotReported = errors.New("not in the usage report")

// Explain takes the numbers of an object apart (or those of the tenancy, where the object is
// the tenant's id): one column, or, where none is named, all that are not zero and come from
// usage. It reads neither usage files nor fragments, except where the statement of the run is
// lost, or where its as-of divides an hour of a file.
//
//   - Errors: ErrNoRun; ErrNotReported, with near names; what the run was made from and is
//     gone, named.
func (r *Reporter) Explain(ctx context.Context, tenant schemas.Tenant, period schemas.Period, object, column string) (*Explanation, error) {
	p, err := r.findPast(ctx, RunID{Tenant: tenant, Period: period})
	if err != nil {
		return nil, err
	}
	if err := p.loadInputs(ctx); err != nil {
		return nil, err
	}
	held := &heldObject{id: object, all: object == string(tenant), bounds: p.bounds}
	if err := p.loadCatalog(ctx, held.see); err != nil {
		return nil, err
	}
	u, err := p.usage(ctx)
	if err != nil {
		return nil, err
	}
	x, ok := accounting.NewExplainer(u, p.bounds, p.rules, object)
	if !ok {
		return nil, noSuchObject(u, p, object)
	}
	if err := p.known(x, column); err != nil {
		return nil, err
	}
	if err := p.take(ctx, x, column); err != nil {
		return nil, err
	}
	e := &Explanation{Tenant: tenant, Period: period, Run: p.commit.Run.Run, AsOf: p.commit.Run.AsOf, State: p.commit.Run.State,
		Object: object, Name: x.Name(), Row: "object"}
	if x.Tenancy() {
		e.Row = "tenancy"
	}
	if e.Report, err = p.likeness(u); err != nil {
		return nil, err
	}
	for _, c := range x.Columns() {
		if c.Column == column || column == "" && c.IsUsage && !c.Value.IsZero() {
			e.Columns = append(e.Columns, p.column(&c, held))
		}
	}
	return e, nil
}

func noSuchObject(u *accounting.UsageReport, p *past, object string) error {
	ids := []string{string(u.TenantID)}
	for id := range u.Statement.Objects {
		ids = append(ids, id)
	}
	for id := range u.Holdings.Objects {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return fmt.Errorf("%w: object %q of run %s%s", ErrNotReported, object, p.id(), nearly(object, slices.Compact(ids)))
}

// known checks that the report has a column.
func (p *past) known(x *accounting.Explainer, column string) error {
	names := x.ColumnNames()
	if column == "" || slices.Contains(names, column) {
		return nil
	}
	return fmt.Errorf("%w: column %q of run %s%s", ErrNotReported, column, p.id(), nearly(column, names))
}

// nearly names what may have been meant.
func nearly(word string, names []string) string {
	near := nearNames(word, names, 6)
	if len(near) == 0 {
		return ""
	}
	for i := range near {
		near[i] = fmt.Sprintf("%q", near[i])
	}
	return "; did you mean " + strings.Join(near, ", ") + "?"
}

// take hands the sums and the finished sessions of the run to an explainer.
func (p *past) take(ctx context.Context, x *accounting.Explainer, column string) error {
	done, err := p.cutHour(ctx)
	if err != nil {
		return err
	}
	defer done()
	if err := p.eachSum(ctx, x.Add); err != nil {
		return err
	}
	if !x.NeedsSessions(column) {
		return nil
	}
	return p.eachSession(ctx, func(s *schemas.Session) error {
		x.AddSession(s)
		return nil
	})
}

// column puts names to the numbers of an explained column.
func (p *past) column(c *accounting.Explained, held *heldObject) ExplainedColumn {
	e := ExplainedColumn{Column: c.Column, Value: c.Cell}
	switch {
	case c.IsUsage:
		e.Source, e.Unit = SourceUsage, unitName(c.Column, c.Unit)
		p.shares(&e, c)
	case c.Column == "info.active":
		e.Note = activeNote(c.Cell)
	case c.Column == "row" || c.Column == "object_id":
		e.Note = "says which row it is"
	case held.all && c.Column == "info.object_name":
		e.Note = "the tenant's name in the configuration"
	default:
		held.explain(&e, c)
	}
	return e
}

func (p *past) shares(e *ExplainedColumn, c *accounting.Explained) {
	exact := func(s schemas.Sum) string { return string(c.Unit.AppendExact(nil, s)) }
	total := c.Total()
	e.Exact, e.Sum, e.AddsUp = exact(c.Value), exact(total), total == c.Value
	files, hours := make(map[uint32]bool), make(map[schemas.Hour]bool)
	for _, s := range c.Shares {
		files[s.File], hours[s.Hour] = true, true
		in := &p.inputs[s.File]
		e.Shares = append(e.Shares, FileShare{in.Key, in.ETag, in.Gone, time.Unix(0, s.Hour.Start()).UTC(), exact(s.Value)})
	}
	e.Files, e.Hours = len(files), len(hours)
	for _, s := range c.Sessions {
		share := SessionShare{Object: s.Object, SessionID: s.SessionID, Sessions: s.Sessions, Value: exact(s.Value)}
		if s.Start != 0 {
			start := time.Unix(0, s.Start).UTC()
			share.Start = &start
		}
		e.Sessions = append(e.Sessions, share)
	}
}

// unitName is the unit of a column's shares.
func unitName(column string, unit accounting.Unit) string {
	switch {
	case unit == accounting.UnitSeconds || unit == accounting.UnitHours || unit == accounting.UnitDuration:
		return "seconds"
	case unit == accounting.UnitByteHours:
		return "byte seconds"
	case strings.HasSuffix(column, "bytes") || column == "storage":
		return "bytes"
	case column == "usage.playout.views":
		return "views"
	}
	return "times"
}

func activeNote(value string) string {
	switch value {
	case "active":
		return "follows from the usage columns: something else than public metadata was accessed"
	case "poked":
		return "follows from the usage columns: public metadata was accessed, and nothing else"
	}
	return "follows from the usage columns: nothing was accessed; an error is no access"
}
