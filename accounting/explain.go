package accounting

import (
	"cmp"
	"encoding/binary"
	"slices"

	"github.com/playmeter/playmeter/schemas"
)

// Explainer takes the numbers of one row of a usage report apart: which usage file and hour,
// and which finished session, gave how much of each. It folds each part by itself with the
// arithmetic of the statement, so that the two cannot differ in what a row means.
type Explainer struct {
	report *UsageReport
	bounds Bounds
	rules  Rules
	row    usageRow
	table  []usageColumn

	parts    *Sums // an object for each file and hour
	shares   [][]FileShare
	byObject *Sums            // of the tenancy's row: what sessions gave to each object
	begun    map[string]int64 // and how many they were
	sessions [][]SessionShare
}

// FileShare is what one hour of a usage file gives to a column.
type FileShare struct {
	File  uint32 // as the caller numbers them
	Hour  schemas.Hour
	Value schemas.Sum
}

// SessionShare is what a finished session gives to a column, or, in the tenancy's row, what
// all sessions of an object do.
type SessionShare struct {
	Object    string
	Start     int64  // Unix ns; of a session
	SessionID string // of a session
	Sessions  int64
	Value     schemas.Sum
}

// Explained is a column of the row.
//
//   - Units: the value and the shares are exact, and in what Unit says.
//   - Shape: shares by value, the largest first, then by hour and file, or by start; none is
//     zero.
type Explained struct {
	Column   string
	Unit     Unit
	Cell     string // as the report says it, neither quoted nor guarded
	IsUsage  bool   // events add up to it; else it is the catalog's, or follows from others
	Value    schemas.Sum
	Shares   []FileShare
	Sessions []SessionShare
}

// Total is what the shares add up to.
func (e *Explained) Total() schemas.Sum {
	var t schemas.Sum
	for _, s := range e.Shares {
		t.AddSum(s.Value)
	}
	for _, s := range e.Sessions {
		t.AddSum(s.Value)
	}
	return t
}

// NewExplainer begins with the row of an object, or, where the id is the tenant's, with the
// tenancy's. ok is false where the report has no such row.
func NewExplainer(u *UsageReport, bounds Bounds, rules Rules, id string) (x *Explainer, ok bool) {
	total, layout := u.total(u.ids())
	x = &Explainer{report: u, bounds: bounds, rules: rules, row: total, table: layout.columns(), parts: NewSums(bounds, rules)}
	switch {
	case id == string(u.TenantID):
		x.byObject, x.begun = NewSums(bounds, rules), make(map[string]int64)
	case u.has(id):
		x.row = u.row(id)
	default:
		return nil, false
	}
	x.shares, x.sessions = make([][]FileShare, len(x.table)), make([][]SessionShare, len(x.table))
	return x, true
}

// Tenancy tells whether it is the tenancy's row.
func (x *Explainer) Tenancy() bool { return x.row.tenancy }

// Name is the object's name, or the tenant's.
func (x *Explainer) Name() string { return x.row.name }

// ColumnNames lists the columns of the report.
func (x *Explainer) ColumnNames() []string {
	names := make([]string, 0, len(x.table))
	for i := range x.table {
		names = append(names, x.table[i].name)
	}
	return names
}

// NeedsSessions tells whether finished sessions give anything to a column of the row; an
// empty name stands for all. Where it says no, none need be added.
func (x *Explainer) NeedsSessions(column string) bool {
	reported := x.report.Statement.Events.Counted[schemas.KindSession.String()] > 0 && x.row.usage.Records > 0
	return reported || x.row.usage.Views > 0 && (column == "" || column == viewsColumn)
}

// maxParts bounds the parts that are folded at a time.
const maxParts = 20_000

// Add takes a sum row of a file that the statement was folded from, numbered as the caller
// likes. Rows of other objects are passed over.
func (x *Explainer) Add(file uint32, r *schemas.SumRow) {
	if r.Measure < schemas.MeasureError || !x.row.tenancy && string(r.Object) != x.row.id {
		return
	}
	part := *r
	part.Library = schemas.Pick{}
	var key [8]byte
	binary.BigEndian.PutUint32(key[:4], file)
	binary.BigEndian.PutUint32(key[4:], uint32(r.Hour))
	part.Object = key[:]
	x.parts.Add(&part)
	if len(x.parts.statement.Objects) > maxParts {
		x.flush()
	}
}

// flush turns the parts that were folded into shares.
func (x *Explainer) flush() {
	for key, o := range x.parts.statement.Objects {
		file, hour := binary.BigEndian.Uint32([]byte(key[:4])), binary.BigEndian.Uint32([]byte(key[4:]))
		for i := range x.table {
			if v := x.table[i].of(o); !v.IsZero() {
				x.shares[i] = append(x.shares[i], FileShare{file, schemas.Hour(hour), v})
			}
		}
	}
	x.parts = NewSums(x.bounds, x.rules)
}

// of is what an object's usage gives to a column.
func (c *usageColumn) of(o *Object) schemas.Sum {
	if c.usage == nil {
		return schemas.Sum{}
	}
	return c.usage(o)
}

// AddSession takes a finished session of the run. Sessions of other objects are passed over.
func (x *Explainer) AddSession(s *schemas.Session) {
	if x.row.tenancy {
		x.byObject.AddSession(s)
		if s.Reported || s.Begun && !s.Watched().IsZero() {
			x.begun[string(s.Object)]++
		}
		return
	}
	if string(s.Object) != x.row.id {
		return
	}
	one := NewSums(x.bounds, x.rules)
	one.AddSession(s)
	x.share(one.find(s.Object), SessionShare{Object: x.row.id, Start: s.Start, SessionID: string(s.SessionID), Sessions: 1})
}

func (x *Explainer) share(o *Object, s SessionShare) {
	for i := range x.table {
		if s.Value = x.table[i].of(o); !s.Value.IsZero() {
			x.sessions[i] = append(x.sessions[i], s)
		}
	}
}

// Columns ends the explanation: all columns of the row, in the order of the report.
func (x *Explainer) Columns() []Explained {
	x.flush()
	if x.row.tenancy {
		for id, o := range x.byObject.statement.Objects {
			x.share(o, SessionShare{Object: id, Sessions: x.begun[id]})
		}
		x.byObject = NewSums(x.bounds, x.rules)
	}
	out := make([]Explained, 0, len(x.table))
	for i := range x.table {
		c := &x.table[i]
		e := Explained{Column: c.name, Unit: c.unit, Cell: string(c.appendPlain(nil, &x.row)), IsUsage: c.usage != nil}
		if c.sum != nil {
			e.Value = c.sum(&x.row)
		}
		e.Shares, e.Sessions = mergeShares(x.shares[i]), x.sessions[i]
		slices.SortFunc(e.Sessions, func(a, b SessionShare) int {
			return cmp.Or(b.Value.Cmp(a.Value), cmp.Compare(a.Start, b.Start), cmp.Compare(a.SessionID, b.SessionID), cmp.Compare(a.Object, b.Object))
		})
		out = append(out, e)
	}
	return out
}

// mergeShares joins the shares of one file and hour, and sorts.
func mergeShares(shares []FileShare) []FileShare {
	slices.SortFunc(shares, func(a, b FileShare) int { return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Hour, b.Hour)) })
	out := shares[:0]
	for _, s := range shares {
		if n := len(out); n > 0 && out[n-1].File == s.File && out[n-1].Hour == s.Hour {
			out[n-1].Value.AddSum(s.Value)
			continue
		}
		out = append(out, s)
	}
	slices.SortFunc(out, func(a, b FileShare) int {
		return cmp.Or(b.Value.Cmp(a.Value), cmp.Compare(a.Hour, b.Hour), cmp.Compare(a.File, b.File))
	})
	return out
}
