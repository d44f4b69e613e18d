package statistics

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"math/big"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/playmeter/playmeter/accounting"
	"github.com/playmeter/playmeter/schemas"
)

// An oracle answers what the statistics answer, straight from the finished sessions and SPEC 11: in Go, without SQL,
// without tables of sums, and without pages.
type oracle struct {
	tiers accounting.Tiers
	all   []known
}

// known is a session as the oracle has it.
type known struct {
	*schemas.Session
	tenant schemas.Tenant
	day    string
	place  int64 // in the reports, one month after the other
}

// learn adds the sessions of a tenant, by day of the month, in the order of the report.
func (o *oracle) learn(tenant schemas.Tenant, p schemas.Period, days map[int][]schemas.Session) {
	for day := range 31 {
		date := p.Start().AddDate(0, 0, day)
		for i := range days[day] {
			o.all = append(o.all, known{&days[day][i], tenant, date.Format(time.DateOnly), date.Unix()/86400<<32 + int64(i)})
		}
	}
}

func (k known) field(f schemas.Field) string { return cutText(string(k.Fields[f])) }
func (k known) bytes() int64                 { return k.Bytes.Big().Int64() }
func (k known) watched() int64               { return k.Watched().Big().Int64() }
func (k known) ip() string                   { return k.field(schemas.FieldClientIP) }

func (k known) stream() string { return cmp.Or(cutText(string(k.Title)), string(k.Object)) }

// cutText is what is kept of a text: its first 1,024 characters. Viewers and sessions are told apart by all of it.
func cutText(text string) string {
	if runes := []rune(text); len(runes) > 1024 {
		return string(runes[:1024])
	}
	return text
}

func (k known) user() string {
	return cmp.Or(k.field(schemas.FieldUser), k.field(schemas.FieldAuthIdentity), k.field(schemas.FieldAuthAddr), k.field(schemas.FieldAuthEmail))
}

func (k known) viewer() string {
	if u := k.user(); u != "" {
		return fmt.Sprintf("%q user %q", k.tenant, u)
	}
	return fmt.Sprintf("%q address %q %q", k.tenant, k.ip(), k.field(schemas.FieldUserAgent))
}

// part is what one server had in a session.
type part struct {
	server       string
	bytes, micro int64
}

func (k known) parts() []part {
	if len(k.Shares) == 0 {
		return []part{{k.field(schemas.FieldNode), k.bytes(), k.watched()}}
	}
	var out []part
	for _, s := range k.Shares {
		micros := s.Audio
		if k.HasVideo {
			micros = s.Video
		}
		out = append(out, part{string(s.Node), s.Bytes, micros})
	}
	return out
}

// split is a session's view time by tier and clear or DRM, as "hi clear" and so on.
func (o *oracle) split(k known) map[string]int64 {
	out := map[string]int64{}
	for _, r := range k.Renditions {
		if r.Audio == k.HasVideo {
			continue
		}
		tier := "audio"
		if !r.Audio {
			tier = []string{"hi", "md", "lo", "unclassified"}[o.tiers.Of(r.Width, r.Height)]
		}
		out[tier+map[bool]string{false: " clear", true: " drm"}[r.DRM]] += r.Micros
	}
	return out
}

func (s Scope) has(t schemas.Tenant) bool { return s.All || slices.Contains(s.Tenants, t) }

// sessions are those that a filter lets pass.
func (o *oracle) sessions(scope Scope, f Filter) []known {
	var out []known
	for _, k := range o.all {
		if scope.has(k.tenant) && o.pass(k, f) {
			out = append(out, k)
		}
	}
	return out
}

func (o *oracle) pass(k known, f Filter) bool {
	if f.From != "" && k.day < f.From || f.To != "" && k.day > f.To {
		return false
	}
	if f.Min != "" && big.NewRat(k.watched(), 1e6).Cmp(rat(f.Min)) < 0 || f.Max != "" && big.NewRat(k.watched(), 1e6).Cmp(rat(f.Max)) > 0 {
		return false
	}
	if f.Stream != "" {
		if !matches(f.Stream, string(k.Object)) && !matches(f.Stream, k.stream()) {
			return false
		}
	}
	if f.Object != "" && f.Object != string(k.Object) {
		return false
	}
	if f.Watched != "" && (!k.Begun || k.watched() == 0) {
		return false
	}
	if f.Agent == NotKnown {
		if k.field(schemas.FieldUserAgent) != "" {
			return false
		}
	} else if f.Agent != "" && !strings.Contains(strings.ToLower(k.field(schemas.FieldUserAgent)), strings.ToLower(f.Agent)) {
		return false
	}
	if len(f.Servers) > 0 && !slices.ContainsFunc(k.parts(), func(p part) bool { return slices.Contains(f.Servers, p.server) }) {
		return false
	}
	if code := strings.TrimSpace(strings.ToUpper(f.Country)); f.Country != NotKnown && code == k.field(schemas.FieldClientCountry) {
		f.Country = "" // however it was typed
	}
	if name := strings.TrimSpace(strings.ToLower(f.Protocol)); f.Protocol != NotKnown && name == k.field(schemas.FieldProtocol) {
		f.Protocol = ""
	}
	for _, e := range [][2]string{{f.User, k.user()}, {f.Protocol, k.field(schemas.FieldProtocol)}, {f.Country, k.field(schemas.FieldClientCountry)},
		{f.Region, k.field(schemas.FieldClientRegion)}, {f.City, k.field(schemas.FieldClientCity)}, {f.ServerRegion, k.field(schemas.FieldNodeRegion)},
		{f.Platform, string(k.Platform)}, {f.OS, string(k.OS)}} {
		unescaped := backslash.ReplaceAllString(e[0], "$1")
		if e[0] == NotKnown && e[1] != "" || e[0] != "" && e[0] != NotKnown && e[0] != e[1] && unescaped != e[1] && strings.TrimSpace(e[0]) != e[1] {
			return false
		}
	}
	return o.passTier(k, f) && passAddress(k.ip(), f.IP)
}

// backslash is a backslash that takes the meaning from what follows.
var backslash = regexp.MustCompile(`\\([\\*-])`)

// matches tells whether a text is what a filter of streams says, or is like it where a * without a backslash stands in it.
func matches(filter, text string) bool {
	if text == filter || text == backslash.ReplaceAllString(filter, "$1") || text == strings.TrimSpace(filter) {
		return true
	}
	pattern, star := "", false
	for _, piece := range regexp.MustCompile(`(?s)\\[\\*]|.`).FindAllString(filter, -1) {
		if piece == "*" {
			pattern, star = pattern+".*", true
		} else {
			pattern += regexp.QuoteMeta(strings.TrimPrefix(piece, map[bool]string{true: `\`}[len(piece) == 2 && piece[0] == '\\']))
		}
	}
	return star && regexp.MustCompile(`(?s)^`+pattern+`$`).MatchString(text)
}

func (o *oracle) passTier(k known, f Filter) bool {
	if f.Tier == "" && f.DRM == "" {
		return true
	}
	for name, micros := range o.split(k) {
		tier, drm, _ := strings.Cut(name, " ")
		if micros > 0 && (f.Tier == "" || f.Tier == tier) && (f.DRM == "" || f.DRM == drm) {
			return true
		}
	}
	return false
}

func passAddress(ip, want string) bool {
	switch {
	case want == "":
		return true
	case want == NotKnown:
		return ip == ""
	case ip == want:
		return true // also a pseudonym
	}
	a, err := netip.ParseAddr(ip)
	if err != nil {
		return false
	}
	want = strings.Replace(want, "::ffff:203.0.113.0/120", "203.0.113.0/24", 1)
	if p, err := netip.ParsePrefix(want); err == nil {
		return p.Contains(a.Unmap().WithZone(""))
	}
	w, err := netip.ParseAddr(want)
	return err == nil && w.Unmap() == a.Unmap()
}

func rat(text string) *big.Rat {
	r, ok := new(big.Rat).SetString(text)
	if !ok {
		panic(text)
	}
	return r
}

func (o *oracle) totals(scope Scope, f Filter) (t Totals) {
	for _, k := range o.sessions(scope, f) {
		t.Sessions++
		t.Views += k.views()
		t.Bytes += k.bytes()
		t.Micros += k.watched()
	}
	return t
}

func (k known) views() int64 {
	if k.Begun && k.watched() > 0 {
		return 1
	}
	return 0
}

// rows are all rows of a view, in its order. Rows of the tab of users that are alike in what they are sorted by may come
// in any order.
func (o *oracle) rows(scope Scope, v View) []Row {
	of := o.sessions(scope, v.Filter)
	var out []Row
	switch v.Tab {
	case TabPlayback:
		for _, k := range of {
			out = append(out, playbackRow(k))
		}
	case TabStreams:
		out = streamRows(of)
	case TabServers:
		out = o.serverRows(scope, of)
	case TabUsers:
		out = userRows(of)
	case TabUnique:
		out = uniqueRows(of)
	}
	sortRows(out, v)
	return out
}

func playbackRow(k known) Row {
	return Row{Tenant: k.tenant, Stream: k.stream(), Object: schemas.Object(k.Session.Object), Protocol: k.field(schemas.FieldProtocol), Server: k.field(schemas.FieldNode),
		Host: k.field(schemas.FieldNodeHost), Country: k.field(schemas.FieldClientCountry), IP: k.ip(), Bytes: k.bytes(), Micros: k.watched(),
		Created: cut(k.Start), Ended: cut(k.End), SessionID: string(k.SessionID), User: k.user(),
		Agent: k.field(schemas.FieldUserAgent), Referrer: k.field(schemas.FieldReferrer), Joined: 1}
}

// cut is an instant as the database reads it: cut to the microsecond.
func cut(ns int64) time.Time { return time.Unix(0, ns).UTC().Truncate(time.Microsecond) }

// grouped puts sessions together that have a key in common, in the order of the first of each.
func grouped(of []known, key func(known) string) [][]known {
	at := map[string]int{}
	var out [][]known
	for _, k := range of {
		name := key(k)
		i, there := at[name]
		if !there {
			i, at[name] = len(out), len(out)
			out = append(out, nil)
		}
		out[i] = append(out[i], k)
	}
	return out
}

// newest is the last of a group in the order of the report.
func newest(group []known) known {
	return slices.MaxFunc(group, func(a, b known) int { return cmp.Compare(a.place, b.place) })
}

func addUp(r *Row, group []known) {
	for _, k := range group {
		r.Bytes += k.bytes()
		r.Micros += k.watched()
		r.Views += k.views()
		r.Joined++
	}
}

func streamRows(of []known) (out []Row) {
	for _, group := range grouped(of, func(k known) string { return fmt.Sprintf("%q %q", k.tenant, k.Object) }) {
		k := newest(group)
		r := Row{Tenant: k.tenant, Object: schemas.Object(k.Session.Object), Stream: k.stream()}
		addUp(&r, group)
		out = append(out, r)
	}
	return out
}

func (o *oracle) serverRows(scope Scope, of []known) (out []Row) {
	rows := map[string]*Row{}
	for _, k := range of {
		for _, p := range k.parts() {
			r := rows[p.server]
			if r == nil {
				r = &Row{Server: p.server, Host: o.called(scope, p.server, schemas.FieldNodeHost), ServerIP: o.called(scope, p.server, schemas.FieldNodeIP)}
				rows[p.server] = r
			}
			r.Bytes += p.bytes
			r.Micros += p.micro
			r.Joined++
			if k.Begun && p.micro > 0 {
				r.Views++
			}
		}
	}
	for _, r := range rows {
		out = append(out, *r)
	}
	return out
}

// called is what a server was called last, of all that is known of it.
func (o *oracle) called(scope Scope, server string, f schemas.Field) (name string) {
	var last known
	for _, k := range o.all {
		if !scope.has(k.tenant) || k.field(schemas.FieldNode) != server || k.field(f) == "" {
			continue
		}
		if name == "" || cmp.Or(cmp.Compare(k.day, last.day), cmp.Compare(k.tenant, last.tenant), cmp.Compare(k.place, last.place)) > 0 {
			name, last = k.field(f), k
		}
	}
	return name
}

func userRows(of []known) (out []Row) {
	for _, group := range grouped(of, known.viewer) {
		k := newest(group)
		r := Row{Tenant: k.tenant, User: k.user(), Country: k.field(schemas.FieldClientCountry), IP: k.ip(), Agent: k.field(schemas.FieldUserAgent), Referrer: k.field(schemas.FieldReferrer)}
		addUp(&r, group)
		r.OtherIPs, r.OtherAgents, r.OtherReferrers = othersOf(group, r.IP, schemas.FieldClientIP), othersOf(group, r.Agent, schemas.FieldUserAgent), othersOf(group, r.Referrer, schemas.FieldReferrer)
		out = append(out, r)
	}
	return out
}

// othersOf counts the texts of a group besides one.
func othersOf(group []known, shown string, f schemas.Field) int64 {
	texts := map[string]bool{}
	for _, k := range group {
		texts[k.field(f)] = true
	}
	delete(texts, "")
	delete(texts, shown)
	return int64(len(texts))
}

func uniqueRows(of []known) (out []Row) {
	alike := func(k known) string {
		return fmt.Sprintf("%q", []string{string(k.tenant), k.day, string(k.Object), k.ip(), k.field(schemas.FieldProtocol), k.user(), k.field(schemas.FieldReferrer), k.field(schemas.FieldUserAgent)})
	}
	for _, group := range grouped(of, alike) {
		r := playbackRow(slices.MinFunc(group, func(a, b known) int { return cmp.Compare(a.place, b.place) }))
		r.Server, r.Host, r.SessionID, r.Ended, r.Bytes, r.Micros, r.Joined = "", "", "", time.Time{}, 0, 0, 0
		addUp(&r, group)
		r.Views = 0
		out = append(out, r)
	}
	return out
}

// sortRows sorts rows by a column, and then by what SPEC 11 leaves open and we settled. Rows are made in the order of
// the report, which a stable sort keeps for those of one tenant at the same instant.
func sortRows(rows []Row, v View) {
	sort, desc := v.Sort, v.Desc
	if sort == "" {
		sort, desc = v.Tab.DefaultSort(), v.Tab == TabStreams || v.Tab == TabServers || v.Tab == TabUsers
	}
	slices.SortStableFunc(rows, func(a, b Row) int {
		c := compareBy(sort, &a, &b)
		if desc {
			c = -c
		}
		return cmp.Or(c, a.Created.Compare(b.Created), cmp.Compare(a.Tenant, b.Tenant), cmp.Compare(map[bool]string{true: string(a.Object)}[v.Tab == TabStreams], map[bool]string{true: string(b.Object)}[v.Tab == TabStreams]),
			cmp.Compare(map[bool]string{true: a.Server}[v.Tab == TabServers], map[bool]string{true: b.Server}[v.Tab == TabServers]))
	})
}

func compareBy(column string, a, b *Row) int {
	switch column {
	case "stream":
		return cmp.Compare(a.Stream, b.Stream)
	case "protocol":
		return cmp.Compare(a.Protocol, b.Protocol)
	case "hostname":
		return cmp.Compare(a.Host, b.Host)
	case "ip":
		return cmp.Compare(a.ServerIP, b.ServerIP)
	case "place":
		return cmp.Or(cmp.Compare(a.Country, b.Country), compareAddresses(a.IP, b.IP))
	case "traffic":
		return cmp.Compare(a.Bytes, b.Bytes)
	case "created":
		return a.Created.Compare(b.Created)
	case "views":
		return cmp.Compare(a.Views, b.Views)
	case "view_time":
		return cmp.Compare(a.Micros, b.Micros)
	case "user":
		return cmp.Compare(a.User, b.User)
	case "agent":
		return cmp.Compare(a.Agent, b.Agent)
	case "referrer":
		return cmp.Compare(a.Referrer, b.Referrer)
	case "joined":
		return cmp.Compare(a.Joined, b.Joined)
	}
	panic("no such column: " + column)
}

// compareAddresses sorts addresses as numbers, those of IPv4 as ::ffff:0:0/96 has them; what is no address comes first.
func compareAddresses(a, b string) int {
	number := func(text string) (n [2]uint64) {
		if at, err := netip.ParseAddr(text); err == nil {
			b := at.As16()
			n = [2]uint64{binary.BigEndian.Uint64(b[:8]), binary.BigEndian.Uint64(b[8:])}
		}
		return n
	}
	x, y := number(a), number(b)
	return cmp.Or(cmp.Compare(x[0], y[0]), cmp.Compare(x[1], y[1]), cmp.Compare(a, b))
}
