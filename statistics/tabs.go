package statistics

import (
	"slices"
	"strings"

	"github.com/playmeter/playmeter/schemas"
)

// A key is an expression that rows are sorted by, and its SQL type, in which cursors hand it over.
type key struct {
	expr, sqlType string
}

// A field is a column of a query, and where its value goes.
type field struct {
	expr string
	set  func(*Row, value)
}

// tab is a list of sessions: what it shows and how it is asked.
type tab struct {
	columns []Column
	sort    string
	keys    map[string][]key // what each column is sorted by
	// ties follow the keys, so that the order is total: always from the smallest to the largest.
	ties   []key
	fields []field
	// group are the expressions that make rows of sessions; empty: a session is a row.
	group []string
	// days is the table that knows what each day adds up to; empty: there is none.
	days string
}

// groups are the expressions that make rows of sessions, as SQL lists them.
func (t tab) groups() string { return strings.Join(t.group, ", ") }

// ofDays is the tab as the days know it.
func (t tab) ofDays() tab {
	same := strings.NewReplacer(sumViews, "total(views)", "count(*)", "total(sessions)", of("stream"), "arg_max(stream, day)",
		"any_value(server_host)", lastOf("hostname", "''"),
		"any_value(server_ip)", lastOf("server_ip", "''")).Replace
	keys := map[string][]key{}
	for name, of := range t.keys {
		for _, k := range of {
			keys[name] = append(keys[name], key{same(k.expr), k.sqlType})
		}
	}
	t.keys, t.fields = keys, slices.Clone(t.fields)
	for i := range t.fields {
		t.fields[i].expr = same(t.fields[i].expr)
	}
	return t
}

// The expressions that several tabs use. The newest session of a group is the one with the largest nth, which orders
// the sessions of a tenant as its report does.
const (
	sumViews     = "count(*) FILTER (begun AND view_us > 0)"
	sumBytes     = "total(bytes)"
	sumView      = "total(view_us)"
	typeText     = "VARCHAR"
	typeNumber   = "BIGINT"
	typeUnsigned = "UBIGINT"
	typeViewer   = "UHUGEINT"
	typeTime     = "TIMESTAMP"
)

func text(expr string) key { return key{expr, typeText} }

func number(expr string) key { return key{expr, typeNumber} }

// Columns that look the same wherever they are.
var (
	columnStream    = Column{Name: "stream", Title: "Stream name", Kind: KindStream}
	columnProtocol  = Column{Name: "protocol", Title: "Protocol", Kind: KindText}
	columnHost      = Column{Name: "hostname", Title: "Hostname", Kind: KindText}
	columnPlace     = Column{Name: "place", Title: "Country and IP", Kind: KindPlace}
	columnServerIP  = Column{Name: "ip", Title: "IP", Kind: KindText}
	columnTraffic   = Column{Name: "traffic", Title: "Traffic", Kind: KindBytes, Falls: true}
	columnCreated   = Column{Name: "created", Title: "Creation date", Kind: KindInstant}
	columnViews     = Column{Name: "views", Title: "Views", Kind: KindCount, Falls: true}
	columnView      = Column{Name: "view_time", Title: "View time", Kind: KindMicros, Falls: true}
	columnUser      = Column{Name: "user", Title: "User", Kind: KindText}
	columnAgent     = Column{Name: "agent", Title: "User agent", Kind: KindText}
	columnReferrer  = Column{Name: "referrer", Title: "Referrer", Kind: KindText}
	columnReferrers = Column{Name: "referrer", Title: "Referrer", Kind: KindReferrer}
	columnJoined    = Column{Name: "joined", Title: "Joined sessions", Kind: KindCount, Falls: true}
)

// sessionTies make the order of sessions total.
var sessionTies = []key{{"started", typeTime}, text("tenant"), number("nth")}

var placeKeys = []key{text("country"), {"ip_high", typeUnsigned}, {"ip_low", typeUnsigned}, text("ip")}

var tabs = map[Tab]tab{
	TabPlayback: {
		columns: []Column{columnStream, columnProtocol, columnHost, columnPlace, columnTraffic, columnCreated, columnView},
		sort:    "created",
		keys: map[string][]key{
			"stream": {text("stream")}, "protocol": {text("protocol")}, "hostname": {text("hostname")}, "place": placeKeys,
			"traffic": {number("bytes")}, "created": {{"started", typeTime}}, "view_time": {number("view_us")},
		},
		ties: sessionTies,
		fields: []field{
			{"tenant", setTenant}, {"stream", func(r *Row, v value) { r.Stream = v.text }}, {"object_id", setObject},
			{"protocol", func(r *Row, v value) { r.Protocol = v.text }}, {"server", func(r *Row, v value) { r.Server = v.text }},
			{"hostname", func(r *Row, v value) { r.Host = v.text }}, {"country", func(r *Row, v value) { r.Country = v.text }},
			{"ip", func(r *Row, v value) { r.IP = v.text }}, {"bytes", setBytes}, {"view_us", setMicros}, {"epoch_us(started)", setCreated},
			{"epoch_us(ended)", func(r *Row, v value) { r.Ended = instant(v.number) }}, {"session_id", func(r *Row, v value) { r.SessionID = v.text }},
			{"user_name", func(r *Row, v value) { r.User = v.text }}, {"user_agent", func(r *Row, v value) { r.Agent = v.text }},
			{"referrer", func(r *Row, v value) { r.Referrer = v.text }}, {"1", setJoined},
		},
	},
	TabStreams: {
		columns: []Column{columnStream, columnTraffic, columnViews, columnView},
		sort:    "view_time",
		keys: map[string][]key{
			"stream": {text(of("stream"))}, "traffic": {number(sumBytes)}, "views": {number(sumViews)}, "view_time": {number(sumView)},
		},
		ties:  []key{text("tenant"), text("object_id")},
		group: []string{"tenant", "object_id"},
		days:  "day_streams",
		fields: []field{
			{"tenant", setTenant}, {of("stream"), func(r *Row, v value) { r.Stream = v.text }}, {"object_id", setObject},
			{sumBytes, setBytes}, {sumView, setMicros}, {sumViews, setViews}, {"count(*)", setJoined},
		},
	},
	TabServers: {
		columns: []Column{columnHost, columnServerIP, columnTraffic, columnViews, columnView},
		sort:    "traffic",
		keys: map[string][]key{
			"hostname": {text("any_value(server_host)")}, "ip": {text("any_value(server_ip)")}, "traffic": {number(sumBytes)}, "views": {number(sumViews)},
			"view_time": {number(sumView)},
		},
		ties:  []key{text("server")},
		group: []string{"server"},
		days:  "day_servers",
		fields: []field{
			{"server", func(r *Row, v value) { r.Server = v.text }}, {"any_value(server_host)", func(r *Row, v value) { r.Host = v.text }},
			{"any_value(server_ip)", func(r *Row, v value) { r.ServerIP = v.text }}, {sumBytes, setBytes}, {sumView, setMicros}, {sumViews, setViews},
			{"count(*)", setJoined},
		},
	},
	TabUsers: {
		columns: []Column{columnUser, columnViews, columnPlace, columnTraffic, columnView, columnAgent, columnReferrers},
		sort:    "view_time",
		keys: map[string][]key{
			"user": {text("any_value(user_name)")}, "views": {number(sumViews)}, "traffic": {number(sumBytes)}, "view_time": {number(sumView)},
			"place": {text(of("country")), {of("ip_high"), typeUnsigned}, {of("ip_low"), typeUnsigned}, text(of("ip"))},
			"agent": {text(of("user_agent"))}, "referrer": {text(of("referrer"))},
		},
		ties:  []key{{"viewer", typeViewer}},
		group: []string{"viewer"},
		fields: []field{
			{"any_value(tenant)", setTenant}, {"viewer::VARCHAR", func(r *Row, v value) { r.Viewer = v.text }}, {"any_value(user_name)", func(r *Row, v value) { r.User = v.text }},
			{of("country"), func(r *Row, v value) { r.Country = v.text }}, {of("ip"), func(r *Row, v value) { r.IP = v.text }},
			{of("user_agent"), func(r *Row, v value) { r.Agent = v.text }}, {of("referrer"), func(r *Row, v value) { r.Referrer = v.text }},
			{sumBytes, setBytes}, {sumView, setMicros}, {sumViews, setViews}, {"count(*)", setJoined},
			{others("ip"), func(r *Row, v value) { r.OtherIPs = v.number }},
			{others("user_agent"), func(r *Row, v value) { r.OtherAgents = v.number }},
			{others("referrer"), func(r *Row, v value) { r.OtherReferrers = v.number }},
		},
	},
	TabUnique: uniqueTab(),
}

// uniqueTab is the tab of unique sessions: the first of those that are alike, with what they add up to.
func uniqueTab() tab {
	const bytes, view, joined = "alike_bytes", "alike_view_us", "alike_sessions"
	return tab{
		columns: []Column{columnStream, columnProtocol, columnPlace, columnTraffic, columnCreated, columnView, columnAgent, columnReferrer, columnJoined},
		sort:    "created",
		keys: map[string][]key{
			"stream": {text("stream")}, "protocol": {text("protocol")}, "place": placeKeys, "traffic": {number(bytes)}, "created": {{"started", typeTime}},
			"view_time": {number(view)}, "agent": {text("user_agent")}, "referrer": {text("referrer")}, "joined": {number(joined)},
		},
		ties: sessionTies,
		fields: []field{
			{"tenant", setTenant}, {"stream", func(r *Row, v value) { r.Stream = v.text }}, {"object_id", setObject},
			{"protocol", func(r *Row, v value) { r.Protocol = v.text }}, {"country", func(r *Row, v value) { r.Country = v.text }},
			{"ip", func(r *Row, v value) { r.IP = v.text }}, {bytes, setBytes}, {view, setMicros}, {"epoch_us(started)", setCreated},
			{"user_name", func(r *Row, v value) { r.User = v.text }}, {"user_agent", func(r *Row, v value) { r.Agent = v.text }},
			{"referrer", func(r *Row, v value) { r.Referrer = v.text }}, {joined, setJoined},
		},
	}
}

// of is a column of the newest session of a group.
func of(column string) string { return "arg_max(" + column + ", nth)" }

// lastOf is the last text that the days know of a server, and otherwise another.
func lastOf(column, otherwise string) string {
	return "coalesce(arg_max(" + column + ", (day, tenant)) FILTER (" + column + " <> ''), " + otherwise + ")"
}

// others counts the different texts of a group besides the newest session's; none is no text.
func others(column string) string {
	return "count(DISTINCT " + column + ") FILTER (" + column + " <> '') - CASE WHEN " + of(column) + " <> '' THEN 1 ELSE 0 END"
}

func setTenant(r *Row, v value)  { r.Tenant = schemas.Tenant(v.text) }
func setObject(r *Row, v value)  { r.Object = schemas.Object(v.text) }
func setBytes(r *Row, v value)   { r.Bytes = v.number }
func setMicros(r *Row, v value)  { r.Micros = v.number }
func setViews(r *Row, v value)   { r.Views = v.number }
func setJoined(r *Row, v value)  { r.Joined = v.number }
func setCreated(r *Row, v value) { r.Created = instant(v.number) }
