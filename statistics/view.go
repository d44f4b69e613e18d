package statistics

import (
	"time"

	"github.com/playmeter/playmeter/schemas"
)

// Tab is one of the lists of sessions (SPEC 11).
type Tab string

// The tabs.
const (
	TabPlayback Tab = "playback" // all playback: a row is a session
	TabStreams  Tab = "streams"  // a row is an object of a tenant
	TabServers  Tab = "servers"  // a row is a server's id
	TabUsers    Tab = "users"    // a row is a viewer
	TabUnique   Tab = "unique"   // a row is the sessions of a day that are alike
)

// Tabs lists them, in the order of the pages.
var Tabs = []Tab{TabPlayback, TabStreams, TabServers, TabUsers, TabUnique}

// Kind is how the cells of a column are to be read.
type Kind int

// The kinds of columns.
const (
	KindText     Kind = iota
	KindStream        // Row.Stream; its id is Row.Object
	KindPlace         // Row.Country and Row.IP
	KindBytes         // bytes
	KindMicros        // view time, microseconds
	KindCount         // a number of things
	KindInstant       // Row.Created
	KindReferrer      // Row.Referrer, and OtherReferrers beside it
)

// Column is a column of a tab.
type Column struct {
	Name  string // in URLs
	Title string // for people
	Kind  Kind
	Falls bool // it is sorted from the largest to the smallest unless something else is asked
}

// Columns are those of a tab, in order (SPEC 11).
func (t Tab) Columns() []Column { return tabs[t].columns }

// DefaultSort is the column that a tab is sorted by when nothing is asked.
func (t Tab) DefaultSort() string { return tabs[t].sort }

// Known tells whether there is such a tab.
func (t Tab) Known() bool { _, ok := tabs[t]; return ok }

// View is what is asked of a tab.
type View struct {
	Tab    Tab
	Filter Filter
	Sort   string // name of a column; empty: the tab's own
	Desc   bool   // from the largest to the smallest; only with Sort
	Cursor string // of a page before; empty: the first page
	Limit  int    // rows of a page, at most MaxLimit; 0: DefaultLimit
}

// How many rows a page has.
const (
	DefaultLimit = 50
	MaxLimit     = 500
)

// Page is a page of a tab.
type Page struct {
	Columns  []Column
	Rows     []Row
	Previous string // cursor of the page before; empty: this is the first
	Next     string // cursor of the page after; empty: this is the last
}

// Row is a row of a tab. Of its fields those have values that the tab's columns show, and those that say more of the row.
type Row struct {
	Tenant   schemas.Tenant
	Stream   string // title, else object id
	Object   schemas.Object
	Protocol string
	Server   string // node id
	Host     string
	ServerIP string // of the server
	Country  string // ISO 3166 alpha-2; of the newest session where there are several
	IP       string // likewise
	User     string // empty: a viewer without a name
	Viewer   string // of TabUsers: what [Filter.Viewer] takes
	Agent    string // user agent, of the newest session
	Referrer string // likewise
	Created  time.Time
	Bytes    int64
	Micros   int64 // view time
	Views    int64
	Joined   int64 // sessions that the row stands for
	// So many other ones a viewer had besides those shown.
	OtherIPs, OtherAgents, OtherReferrers int64
	SessionID                             string // of TabPlayback
	Ended                                 time.Time
}

// Totals are what the sessions of a filter add up to.
type Totals struct {
	Sessions, Views int64
	Bytes, Micros   int64
}
