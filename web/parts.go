package web

import (
	"net/url"
	"strconv"
	"time"
)

// The parts that pages are put together from. Each type is what the template of its name in assets/pages/parts.html sees. Their
// texts may come from viewers and are text wherever they go; their links are ours.

// A tile is a key figure. Template "tiles" shows a list of them.
type tile struct {
	Label string
	Value figure
	Note  string // below the value
	Href  string // what is behind it; empty: nothing
}

// bars is a ranking: the longest bar first, each with its number.
type bars struct {
	ID    string // of the element; also in the page's address
	Title string
	Empty string // what to say where there are no rows
	Rows  []bar
}

// A bar is one of a ranking. Its length is a share of the longest, in thousandths.
type bar struct {
	Label, Note  string // what it is, and what else is to be known of it
	NoteExact    string // the note with exact values; empty: it is exact
	Value, Exact string
	Href         string
	Permille     int
	Series       int // the colour of charts that it has, from 1 on; 0: that of rankings
}

// Length is the bar's as an attribute of SVG.
func (b bar) Length() string {
	return decimal(uint64(min(max(b.Permille, 0), 1000)), 1) + "%"
}

// newBar is a bar of a ranking whose first has the amount top.
func newBar(label, note string, value figure, href string, amount, top int64) bar {
	return bar{Label: label, Note: note, Value: value.Text, Exact: value.Exact, Href: href, Permille: shareOf(amount, top)}
}

// A table has a head whose columns sort, where they have an Href, and rows of as many cells.
type table struct {
	ID      string
	Caption string // what it lists; screen readers begin with it
	Columns []column
	Rows    [][]cell
	Empty   *empty // shown in the place of a table without rows
	// Swap is the id of the element that htmx replaces the content of when a column is sorted by; empty: the whole page is asked for.
	Swap string
}

// The orders of a column, as aria-sort has them.
const (
	ascending  = "ascending"
	descending = "descending"
)

// A column is one of a table.
type column struct {
	Key     string // tells the columns of a table apart
	Label   string
	Help    string // longer; shown where the pointer rests
	Numeric bool   // its cells stand on the right
	Yields  bool   // where there is little room it is narrow, and its texts are cut
	Order   string // ascending, descending; empty: the table is not sorted by it
	Href    string // sorts by it, or turns the order round
}

// A cell is a text, an instant, or both of neither.
type cell struct {
	Text  string
	Exact string // shown where the pointer rests: the exact value, or the whole of a text
	Note  string // after the text, smaller
	Under string // below it, smaller
	Href  string
	At    time.Time // shown instead of a text
	Code  bool      // an id, an address: in letters of one width
	Long  bool      // it may be cut, so that keyboards must reach it to have it whole
	// Figure tells that Exact is the exact value of Text, to be shown in its place by those who want that.
	Figure bool
}

// figureCell is a number that leads somewhere.
func figureCell(f figure, href string) cell {
	return cell{Text: f.Text, Exact: f.Exact, Href: href, Figure: true}
}

// A pager leads through a view that is longer than a page, by cursors.
type pager struct {
	Shown                      string // such as "Rows 101 to 200 of 4,321"
	First, Newer, Older, Last  string // links; empty: there is nothing there
	NewerLabel, OlderLabel     string // default: Previous and Next
	Sizes                      []choice
	Export, ExportLabel, Label string
	Swap                       string // as a table's
}

// A choice is one of several: an entry of a list, or a link.
type choice struct {
	Value, Text string
	Href        string
	Current     bool
}

// linkChoice is a link that may lead nowhere, for templates.
func linkChoice(href, rel, text string) choice { return choice{Href: href, Value: rel, Text: text} }

// An empty place says why it is, and what to do about it.
type empty struct {
	Title, Help string
	Href, Link  string // where to go, and what to call that
}

// A picker chooses month and tenant, with a form that needs no script.
type picker struct {
	Action       string // where the form leads
	Months       []choice
	Before, Next string // links to the months around; empty: there is none
	Tenants      []choice
	Keep         []choice // what else stays in the address, by Value and Text
}

// The kinds of charts that app.js draws.
const (
	chartLine  = "line"  // values by day
	chartBars  = "bars"  // likewise, as bars
	chartStack = "stack" // bars of several series upon one another
	chartMap   = "map"   // values by country; labels are ISO 3166 alpha-2 codes
)

// A chart is a figure: drawn by a script, and a table that says the same for those who have none, or cannot see it.
type chart struct {
	ID      string
	Title   string
	Caption string
	Kind    string // chartLine …
	Data    chartData
	Table   table
}

// chartData is what is drawn: for each label a value of every series.
type chartData struct {
	Unit   string        `json:"unit"` // of the axis: bytes, micros or count
	Labels []string      `json:"labels"`
	Names  []string      `json:"names,omitempty"` // of the labels, as people read them
	Links  []string      `json:"links,omitempty"` // of the labels
	Series []chartSeries `json:"series"`
}

// chartSeries is one line, or one colour. Values are for drawing; texts are what is said of them.
type chartSeries struct {
	Name   string   `json:"name"`
	Values []int64  `json:"values"`
	Texts  []string `json:"texts"`
	Links  []string `json:"links,omitempty"` // of each value, where they are others than the labels'
}

// add appends a value.
func (s *chartSeries) add(value int64, f figure) {
	s.Values = append(s.Values, value)
	s.Texts = append(s.Texts, f.Text)
}

// linkTo is a path with parameters, given as names and values in turn; those without a value are left out.
func linkTo(path string, pairs ...any) string {
	query := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		if value := textOf(pairs[i+1]); value != "" {
			query.Add(textOf(pairs[i]), value)
		}
	}
	if len(query) == 0 {
		return path
	}
	return path + "?" + query.Encode()
}

// textOf is a parameter as an address has it.
func textOf(value any) string {
	switch v := value.(type) {
	case string:
		return v
	case int:
		return strconv.Itoa(v)
	case interface{ String() string }:
		return v.String()
	}
	return ""
}
