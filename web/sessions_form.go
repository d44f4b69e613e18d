package web

import (
	"cmp"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/playmeter/playmeter/schemas"
	"github.com/playmeter/playmeter/statistics"
)

// filterForm is the form of a filter. Without scripts it is sent like any other, and the address has all of it.
type filterForm struct {
	Action  string
	Tenants []choice
	First   []formField // always shown
	More    []formField
	Open    bool // More is shown, too
	Servers []choice
	Wrong   string   // with the servers
	Keep    []choice // what else the address has, by Value and Text
	Days    []choice // spans of days to choose at once
	Swap    string
}

// A formField is one of a form.
type formField struct {
	Name, Label, Type string // date, text, seconds or select
	Value             string
	Hint              string // shown where nothing is written
	Wide              bool
	Wrong             string // what is wrong with it
	Options           []choice
}

// ID is the field's element.
func (f formField) ID() string { return "filter-" + f.Name }

// form offers the filters, with what is set, what is wrong with it, and what they can be set to.
func (v *service) form(q *request, ask *asking) filterForm {
	f := &ask.view.Filter
	choices := v.choices(q, ask)
	field := func(name, label, kind, value string) formField {
		if _, err := time.Parse(time.DateOnly, value); kind == "date" && value != "" && err != nil {
			kind = "text" // a calendar would not show it
		}
		return formField{Name: name, Label: label, Type: kind, Value: value, Wrong: ask.wrong[name]}
	}
	pick := func(name, label, value string, known []string, called func(string) string) formField {
		out := field(name, label, "select", value)
		out.Options = options(value, known, called)
		return out
	}
	stream, ip, agent := field("stream", "Stream", "text", f.Stream), field("ip", "IP", "text", f.IP), field("agent", "User agent contains", "text", f.Agent)
	stream.Hint, ip.Hint = "name or id, * for any text", "203.0.113.0/24"
	stream.Wide, agent.Wide = true, true
	out := filterForm{Action: tabPath(ask.view.Tab), Tenants: ask.choices(), Swap: viewElement,
		First: []formField{field("from", "From (UTC)", "date", f.From), field("to", "To", "date", f.To), stream, field("user", "User", "text", f.User), ip},
		More: []formField{agent, field("min", "Watched at least, seconds", "seconds", f.Min), field("max", "Watched at most, seconds", "seconds", f.Max),
			pick("protocol", "Protocol", asKnown(f.Protocol, choices.Protocols), choices.Protocols, itself),
			pick("country", "Country", asKnown(f.Country, choices.Countries), byName(choices.Countries), countryChoice),
			pick("platform", "Platform", f.Platform, choices.Platforms, itself),
			pick("os", "OS", f.OS, choices.Systems, itself),
			pick("tier", "Tier", f.Tier, statistics.FilterTiers, tierName),
			pick("drm", "Clear or DRM", f.DRM, statistics.FilterDRM, func(s string) string { return drmNames[s] })},
		Servers: serverChoices(f.Servers, choices.Servers), Wrong: ask.wrong["server"]}
	for i := range out.More {
		out.Open = out.Open || out.More[i].Value != "" || out.More[i].Wrong != ""
	}
	out.Open = out.Open || len(f.Servers) > 0
	out.Keep = ask.kept(append(slices.Clone(out.First), out.More...))
	out.Days = ask.spans(v.Now().UTC())
	return out
}

// kept is what the form does not ask for and its address has all the same: all filters but those of its fields, and how the list
// is shown.
func (ask *asking) kept(fields []formField) (out []choice) {
	values := ask.values()
	names := slices.DeleteFunc(statistics.FilterNames(), func(name string) bool {
		return name == "server" || slices.ContainsFunc(fields, func(f formField) bool { return f.Name == name })
	})
	for _, name := range append(names, "sort", "order", "rows") {
		for _, value := range values[name] {
			out = append(out, choice{Value: name, Text: value})
		}
	}
	return out
}

// choices are what the filters can be set to, on the days that are looked at, asked once. Where they cannot be had the form offers
// none: the list itself says what is wrong.
func (v *service) choices(q *request, ask *asking) *statistics.Choices {
	if ask.known == nil {
		ask.known = v.askChoices(q, ask)
	}
	return ask.known
}

func (v *service) askChoices(q *request, ask *asking) *statistics.Choices {
	f := statistics.Filter{From: ask.view.Filter.From, To: ask.view.Filter.To}
	if v.Statistics == nil || f.Check() != nil {
		return &statistics.Choices{}
	}
	out, err := v.Statistics.Choices(q.Context(), ask.scope, f)
	if err != nil {
		if q.Context().Err() == nil {
			v.log().Warn("what filters can be set to is not known just now", "tenant", q.tenant, "err", err)
		}
		return &statistics.Choices{}
	}
	return out
}

func itself(s string) string { return s }

func countryChoice(code string) string {
	if name := countryName(code); name != code {
		return name + " (" + code + ")"
	}
	return code
}

// asKnown is a value as the known ones are written, where it is one but for upper and lower case.
func asKnown(value string, known []string) string {
	if i := slices.IndexFunc(known, func(k string) bool { return strings.EqualFold(k, value) }); i >= 0 && !slices.Contains(known, value) {
		return known[i]
	}
	return value
}

// byName sorts countries by their names.
func byName(codes []string) []string {
	return slices.SortedFunc(slices.Values(codes), func(a, b string) int { return cmp.Compare(countryName(a), countryName(b)) })
}

// options are those of a field: any, what is known, what is set, and what is not known, where that can be asked for.
func options(value string, known []string, called func(string) string) []choice {
	out := []choice{{Text: "any", Current: value == ""}}
	found := value == "" || value == statistics.NotKnown
	for _, k := range known {
		out = append(out, choice{Value: k, Text: called(k), Current: k == value})
		found = found || k == value
	}
	if !found {
		out = append(out, choice{Value: value, Text: called(value), Current: true})
	}
	if fixed := slices.Equal(known, statistics.FilterTiers) || slices.Equal(known, statistics.FilterDRM); !fixed {
		out = append(out, choice{Value: statistics.NotKnown, Text: notKnown, Current: value == statistics.NotKnown})
	}
	return out
}

// serverChoices are the servers to tick, those that are set among them. Each is called by its host, and by its id, too,
// where another has the same host.
func serverChoices(set []string, known []statistics.ServerName) []choice {
	var out []choice
	for _, s := range set {
		if !slices.ContainsFunc(known, func(k statistics.ServerName) bool { return k.ID == s }) {
			out = append(out, choice{Value: s, Text: s, Current: true})
		}
	}
	hosts := make(map[string]int)
	for _, k := range known {
		hosts[k.Host]++
	}
	for _, k := range known {
		text := cmp.Or(k.Host, k.ID)
		if k.Host != "" && hosts[k.Host] > 1 {
			text += " (" + k.ID + ")"
		}
		if k.ID != "" {
			out = append(out, choice{Value: k.ID, Text: text, Current: slices.Contains(set, k.ID)})
		}
	}
	return out
}

// spans are days that are often looked at.
func (ask *asking) spans(now time.Time) []choice {
	day := func(t time.Time) string { return t.Format(time.DateOnly) }
	this := schemas.PeriodOf(now)
	last := monthFilter(this.Previous())
	today, yesterday := day(now), day(now.AddDate(0, 0, -1))
	out := []choice{
		{Text: "Today"}, {Text: "Yesterday"}, {Text: "Last 7 days"}, {Text: "This month"}, {Text: "Last month"}, {Text: "All days"},
	}
	for i, days := range [][2]string{{today, today}, {yesterday, yesterday}, {day(now.AddDate(0, 0, -6)), today}, {day(this.Start()), today}, {last.From, last.To}, {"", today}} {
		out[i].Current = ask.view.Filter.From == days[0] && ask.view.Filter.To == days[1]
		out[i].Href = ask.address(func(values url.Values) {
			values.Del("from")
			setValue(values, "from", days[0])
			values.Set("to", days[1])
		})
	}
	return out
}

// filterLabels are the filters that show as chips, in their order.
var filterLabels = []struct{ name, label string }{
	{"viewer", "One viewer"}, {"object", "Object"}, {"stream", "Stream"}, {"user", "User"}, {"ip", "IP"}, {"agent", "User agent contains"}, {"min", "Watched at least"}, {"max", "Watched at most"},
	{"protocol", "Protocol"}, {"server", "Server"}, {"country", "Country"}, {"region", "Region"}, {"city", "City"}, {"server_region", "Served from"},
	{"platform", "Platform"}, {"os", "OS"}, {"tier", "Tier"}, {"drm", "Clear or DRM"}, {"watched", "Views only"},
}

// chips are the filters that are set, but for the days, each with where it is not.
func (v *service) chips(q *request, ask *asking) (chips []choice) {
	values := ask.view.Filter.Values()
	for _, l := range filterLabels {
		for _, value := range values[l.name] {
			text := l.label + ": " + v.chipText(q, ask, l.name, value)
			chips = append(chips, choice{Value: l.name, Text: text, Href: ask.without(l.name, value)})
		}
	}
	return chips
}

// clear is the address where no filter is set but the days; empty: so it is.
func (ask *asking) clear() string {
	values, set := ask.view.Filter.Values(), false
	for _, l := range filterLabels {
		set = set || values.Has(l.name)
	}
	if !set {
		return ""
	}
	return ask.address(func(values url.Values) {
		for _, l := range filterLabels {
			values.Del(l.name)
		}
	})
}

// chipText is a filter's value as people read it.
func (v *service) chipText(q *request, ask *asking, name, value string) string {
	switch {
	case value == statistics.NotKnown && name == "user":
		return nameless
	case value == statistics.NotKnown:
		return notKnown
	case name == "min", name == "max":
		return value + " s"
	case name == "country":
		return countryChoice(value)
	case name == "tier":
		return tierName(value)
	case name == "drm":
		return cmp.Or(drmNames[value], value)
	case name == "server":
		return v.serverText(q, ask, value)
	case name == "viewer":
		return v.viewerText(q, ask)
	}
	return value
}

// serverText is a server as the form calls it.
func (v *service) serverText(q *request, ask *asking, id string) string {
	choices := serverChoices(ask.view.Filter.Servers, v.choices(q, ask).Servers)
	if i := slices.IndexFunc(choices, func(c choice) bool { return c.Value == id }); i >= 0 {
		return choices[i].Text
	}
	return id
}

// viewerText is what is known of the one viewer of a filter on its days, asked once: a name, or an address and a program.
func (v *service) viewerText(q *request, ask *asking) string {
	if ask.viewer == nil {
		text := ""
		f := statistics.Filter{From: ask.view.Filter.From, To: ask.view.Filter.To, Viewer: ask.view.Filter.Viewer}
		if v.Statistics != nil && f.Check() == nil {
			p, err := v.Statistics.Sessions(q.Context(), ask.scope, statistics.View{Tab: statistics.TabUsers, Filter: f, Limit: 1})
			if err == nil && len(p.Rows) == 1 {
				text = cmp.Or(p.Rows[0].User, joinKnown(p.Rows[0].IP, p.Rows[0].Agent))
			} else if err != nil && q.Context().Err() == nil {
				v.log().Warn("who the viewer of a filter is, is not known just now", "tenant", q.tenant, "err", err)
			}
		}
		text = cmp.Or(text, nameless)
		ask.viewer = &text
	}
	return *ask.viewer
}

// joinKnown joins those of several texts that are there.
func joinKnown(texts ...string) string {
	return strings.Join(slices.DeleteFunc(texts, func(s string) bool { return s == "" }), " · ")
}

// without is the address where a filter is not set to a value.
func (ask *asking) without(name, value string) string {
	return ask.address(func(values url.Values) {
		left := slices.DeleteFunc(slices.Clone(values[name]), func(s string) bool { return s == value })
		if values[name] = left; len(left) == 0 {
			values.Del(name)
		}
	})
}

// daysText is the days of a filter as people read them.
func daysText(f statistics.Filter) string {
	switch {
	case f.From == f.To:
		return f.From
	case f.From == "":
		return "the days up to " + f.To
	case f.To == "":
		return "the days from " + f.From
	}
	return fmt.Sprintf("the days from %s to %s", f.From, f.To)
}

// joinTexts is a list in a sentence.
func joinTexts(texts []string) string { return "“" + strings.Join(texts, "”, “") + "”" }
