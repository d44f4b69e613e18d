package accounting

import (
	"bytes"
	"cmp"
	"iter"
	"maps"
	"math/big"
	"slices"
	"strings"
)

// Cause is why a figure moved between two runs.
type Cause string

// The causes, in the order in which a diff names them.
const (
	CauseSoftware  Cause = "software"  // other software counts or folds otherwise
	CauseWithdrawn Cause = "withdrawn" // a usage file was taken out of the count
	CauseReplaced  Cause = "replaced"  // a usage file was replaced under its key
	CauseLate      Cause = "late"      // a usage file came later
	CauseCatalog   Cause = "catalog"
	CauseRules     Cause = "rules"
)

// Causes lists them in that order.
var Causes = []Cause{CauseSoftware, CauseWithdrawn, CauseReplaced, CauseLate, CauseCatalog, CauseRules}

// UsageChange is a cell of the usage report that two runs show differently.
//
//   - Before, After: as the report says them, neither quoted nor guarded; empty where that
//     side has no row of the object, or does not know. A number that only one side has a
//     column for is 0 on the other.
//   - Delta: After less Before, exactly as far as the cells are; of sums, hours, bytes and
//     counts, where what is empty counts as 0; of a duration of the catalog where both sides
//     know it; else empty.
type UsageChange struct {
	Object  string  `json:"object_id"`
	Column  string  `json:"column"`
	Before  string  `json:"before"`
	After   string  `json:"after"`
	Delta   string  `json:"delta"`
	Causes  []Cause `json:"causes"`
	Tenancy bool    `json:"tenancy"` // of the tenancy's row; then Object is the tenant
}

// DiffStep is one of the reports that lead from one run to another, and why it says
// something else than the one before it.
type DiffStep struct {
	Cause  Cause // of the first step: ignored; empty: not known
	Report *UsageReport
}

// DiffUsage compares two reports.
//
//   - Shape: the tenancy's row, then objects in byte order; the columns of both in the order
//     of the report. Of an object that only one side has, the cells that are neither empty
//     nor 0: info.active is always among them.
func DiffUsage(before, after *UsageReport) iter.Seq[UsageChange] {
	return DiffChain([]DiffStep{{Report: before}, {Report: after}})
}

// DiffChain compares the first of a chain of reports with the last, and names for each cell
// the causes whose step changed it.
//
//   - Shape: as DiffUsage. A cell that one step moved and another moved back is listed as
//     well, with its causes: a number with the delta 0.
//   - Memory: that of the reports and the lists of their objects, and one row at a time. Steps
//     that share a statement or holdings cost nothing more for it.
func DiffChain(steps []DiffStep) iter.Seq[UsageChange] {
	return func(yield func(UsageChange) bool) {
		if len(steps) < 2 {
			return
		}
		d := newDiffer(steps)
		if !d.tenancy(yield) {
			return
		}
		for _, id := range unionOfIDs(d.ids) {
			for i := range d.reports {
				r := &d.reports[i]
				if r.here = r.report.has(id); r.here {
					r.row = r.report.row(id)
				}
			}
			if !d.compare(id, false, yield) {
				return
			}
		}
	}
}

// differ compares the rows of one object in several reports.
type differ struct {
	reports []diffReport
	ids     [][]string
	totals  []usageRow
	table   []usageColumn // but for object_id and row, which no diff lists
}

type diffReport struct {
	cause  Cause
	report *UsageReport
	here   bool     // it has the object
	row    usageRow // where it has
	cells  []byte
	ends   []int
}

func newDiffer(steps []DiffStep) *differ {
	d := &differ{reports: make([]diffReport, len(steps))}
	union := usageLayout{formats: 1}
	audio, pairs := make(map[string]bool), make(map[string]bool)
	for i, s := range steps {
		d.reports[i] = diffReport{cause: s.Cause, report: s.Report}
		ids := s.Report.ids()
		total, layout := s.Report.total(ids)
		d.ids, d.totals = append(d.ids, ids), append(d.totals, total)
		union.formats = max(union.formats, layout.formats)
		for _, codec := range layout.audio {
			audio[codec] = true
		}
		for _, pair := range layout.pairs {
			pairs[pair] = true
		}
	}
	union.audio, union.pairs = slices.Sorted(maps.Keys(audio)), slices.Sorted(maps.Keys(pairs))
	table := union.columns()
	d.table = table[1 : len(table)-1]
	return d
}

func (d *differ) tenancy(yield func(UsageChange) bool) bool {
	for i := range d.reports {
		d.reports[i].here, d.reports[i].row = true, d.totals[i]
	}
	return d.compare(d.totals[len(d.totals)-1].id, true, yield)
}

// unionOfIDs merges sorted lists.
func unionOfIDs(lists [][]string) []string {
	all := lists[0]
	for _, list := range lists[1:] {
		if slices.Equal(all, list) {
			continue
		}
		merged := make([]string, 0, max(len(all), len(list)))
		a, b := all, list
		for len(a) > 0 && len(b) > 0 {
			c := cmp.Compare(a[0], b[0])
			if c <= 0 {
				merged = append(merged, a[0])
				a = a[1:]
			} else {
				merged = append(merged, b[0])
			}
			if c >= 0 {
				b = b[1:]
			}
		}
		all = append(append(merged, a...), b...)
	}
	return all
}

// compare yields the cells of one object that moved.
func (d *differ) compare(id string, tenancy bool, yield func(UsageChange) bool) bool {
	same := true
	for i := range d.reports {
		r := &d.reports[i]
		if i > 0 && r.here == d.reports[i-1].here && (!r.here || r.row == d.reports[i-1].row) {
			r.cells, r.ends = append(r.cells[:0], d.reports[i-1].cells...), append(r.ends[:0], d.reports[i-1].ends...)
			continue
		}
		r.fill(d.table)
		if i > 0 {
			p := &d.reports[i-1]
			same = same && r.here == p.here && bytes.Equal(r.cells, p.cells) && slices.Equal(r.ends, p.ends)
		}
	}
	if same {
		return true
	}
	for i := range d.table {
		if c, moved := d.cell(i); moved {
			c.Object, c.Tenancy = id, tenancy
			if !yield(c) {
				return false
			}
		}
	}
	return true
}

func (r *diffReport) fill(table []usageColumn) {
	r.cells, r.ends = r.cells[:0], r.ends[:0]
	for i := range table {
		if r.here {
			r.cells = table[i].appendPlain(r.cells, &r.row)
		}
		r.ends = append(r.ends, len(r.cells))
	}
}

func (r *diffReport) cell(i int) []byte {
	from := 0
	if i > 0 {
		from = r.ends[i-1]
	}
	return r.cells[from:r.ends[i]]
}

// cell follows one column through the chain.
func (d *differ) cell(i int) (UsageChange, bool) {
	unit := d.table[i].unit
	c := UsageChange{Column: d.table[i].name, Causes: []Cause{}}
	moved := false
	for k := 1; k < len(d.reports); k++ {
		if d.reports[k-1].says(i, unit, &d.reports[k]) {
			continue
		}
		moved = true
		if cause := d.reports[k].cause; cause != "" && !slices.Contains(c.Causes, cause) {
			c.Causes = append(c.Causes, cause)
		}
	}
	if !moved {
		return c, false
	}
	slices.SortStableFunc(c.Causes, func(a, b Cause) int { return cmp.Compare(a.rank(), b.rank()) })
	c.Before, c.After = string(d.reports[0].cell(i)), string(d.reports[len(d.reports)-1].cell(i))
	c.Delta = delta(unit, c.Before, c.After)
	return c, true
}

// says tells whether q says the same in a column as r; an object that one does not have
// is nothing, as is one with nothing counted.
func (r *diffReport) says(i int, unit Unit, q *diffReport) bool {
	a, b := r.cell(i), q.cell(i)
	if unit.IsNumber() && r.here != q.here {
		return (len(a) == 0 || string(a) == "0") && (len(b) == 0 || string(b) == "0")
	}
	return bytes.Equal(a, b)
}

func (c Cause) rank() int {
	if i := slices.Index(Causes, c); i >= 0 {
		return i
	}
	return len(Causes)
}

// delta is after less before.
func delta(unit Unit, before, after string) string {
	switch {
	case unit.IsNumber():
	case unit != UnitDuration || before == "" || after == "":
		return ""
	}
	d := millionths(after)
	return millionthsText(d.Sub(d, millionths(before)))
}

// millionths reads a decimal with at most six fractional digits; empty is zero.
func millionths(text string) *big.Int {
	whole, part, _ := strings.Cut(text, ".")
	n := new(big.Int)
	n.SetString(whole+(part + "000000")[:6], 10)
	return n
}

// millionthsText writes it back, without trailing zeros.
func millionthsText(n *big.Int) string {
	digits := new(big.Int).Abs(n).String()
	if len(digits) < 7 {
		digits = strings.Repeat("0", 7-len(digits)) + digits
	}
	whole, part := digits[:len(digits)-6], strings.TrimRight(digits[len(digits)-6:], "0")
	if n.Sign() < 0 {
		whole = "-" + whole
	}
	if part == "" {
		return whole
	}
	return whole + "." + part
}
