package statistics

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// where is the condition that holds for the sessions of a filter. The filter was checked.
func (f Filter) where() condition {
	conditions := []condition{f.streams(), f.addresses(), f.servers(), f.tiers()}
	add := func(set bool, text string, args ...any) {
		if set {
			conditions = append(conditions, condition{text, args})
		}
	}
	add(f.Object != "", "object_id = ?", f.Object)
	add(f.Viewer != "", "viewer = ?::UHUGEINT", f.Viewer)
	add(f.From != "", "day >= ?::DATE", f.From)
	add(f.To != "", "day <= ?::DATE", f.To)
	add(f.Agent == NotKnown, "user_agent = ''")
	add(f.Agent != "" && f.Agent != NotKnown, "contains(lower(user_agent), lower(?))", f.Agent)
	least, _ := parseSeconds(f.Min)
	most, _ := parseSeconds(f.Max)
	add(f.Min != "", "view_us >= ?", least)
	add(f.Max != "", "view_us <= ?", most)
	add(f.Watched != "", "begun AND view_us > 0")
	asWritten := func(text string) string { return text }
	for _, e := range []struct {
		column, text string
		canonical    func(string) string // codes are typed as people like
	}{
		{"user_name", f.User, asWritten}, {"protocol", f.Protocol, strings.ToLower}, {"country", f.Country, strings.ToUpper}, {"region", f.Region, asWritten},
		{"city", f.City, asWritten}, {"server_region", f.ServerRegion, asWritten}, {"platform", f.Platform, asWritten}, {"os", f.OS, asWritten},
	} {
		if e.text == NotKnown {
			e.text = ""
			add(true, e.column+" = ''")
		}
		trimmed := strings.TrimSpace(e.text)
		add(e.text != "", e.column+" IN (?, ?, ?, ?)", e.text, literal(e.text), trimmed, e.canonical(trimmed))
	}
	return all(conditions...)
}

// streams are the object id or the title; * stands for any text.
func (f Filter) streams() condition {
	if f.Stream == "" {
		return condition{}
	}
	exact := literal(f.Stream)
	trimmed := strings.TrimSpace(f.Stream)
	c := condition{"object_id IN (?, ?, ?) OR stream IN (?, ?, ?)", []any{f.Stream, exact, trimmed, f.Stream, exact, trimmed}}
	if expression, ok := pattern(f.Stream); ok {
		c.text += " OR regexp_full_match(object_id, ?, 's') OR regexp_full_match(stream, ?, 's')"
		c.args = append(c.args, expression, expression)
	}
	return c
}

// pattern is a text as a regular expression, where a * stands in it that no backslash is before. Those of the database take
// time in proportion to the text, whatever the expression; LIKE does not.
func pattern(text string) (expression string, ok bool) {
	var b, plain strings.Builder
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '\\' && i+1 < len(text) && (text[i+1] == '\\' || text[i+1] == '*'):
			i++
			plain.WriteByte(text[i])
		case c == '*':
			ok = true
			b.WriteString(regexp.QuoteMeta(plain.String()) + ".*")
			plain.Reset()
		default:
			plain.WriteByte(c)
		}
	}
	return b.String() + regexp.QuoteMeta(plain.String()), ok
}

// pseudonym is what stands in the place of an address that is masked so (privacy.client_ip: hmac).
var pseudonym = regexp.MustCompile(`^[0-9a-f]{32}$`)

// addresses are an address, a network, or a pseudonym.
func (f Filter) addresses() condition {
	switch {
	case f.IP == "":
		return condition{}
	case f.IP == NotKnown:
		return condition{text: "ip = ''"}
	case pseudonym.MatchString(f.IP):
		return condition{"ip = ?", []any{f.IP}}
	}
	p, err := parseNetwork(f.IP)
	if err != nil {
		return condition{text: "false"} // cannot happen: it was checked
	}
	first, last := span(p)
	c := condition{"ip_high BETWEEN ?::UBIGINT AND ?::UBIGINT", numbers(first[0], last[0])}
	if first[0] == last[0] { // IPv4, and networks of IPv6 from /64 on
		c = condition{"ip_high = ?::UBIGINT AND ip_low BETWEEN ?::UBIGINT AND ?::UBIGINT", numbers(first[0], first[1], last[1])}
	}
	if p.Addr().Is6() && first[0] == 0 { // where IPv4 lies, and what is no address
		c.text += " AND contains(ip, ':') AND NOT (ip_high = 0 AND ip_low >> 32 = 65535)"
	}
	return c
}

// servers are those that served a session, or a part of it.
func (f Filter) servers() condition {
	if len(f.Servers) == 0 {
		return condition{}
	}
	list := "(?" + strings.Repeat(", ?", len(f.Servers)-1) + ")"
	c := condition{text: "CASE WHEN moved THEN (tenant, nth) IN (SELECT (tenant, nth) FROM moves WHERE moves.server IN " + list + ") ELSE server IN " + list + " END"}
	for range 2 {
		for _, s := range f.Servers {
			c.args = append(c.args, s)
		}
	}
	return c
}

// tiers are the sessions with view time in a tier, clear or under DRM, or both.
func (f Filter) tiers() condition {
	var texts []string
	for i, name := range splits {
		tier, drm := FilterTiers[i/2], FilterDRM[i%2]
		if (f.Tier == "" || f.Tier == tier) && (f.DRM == "" || f.DRM == drm) {
			texts = append(texts, name+" > 0")
		}
	}
	if f.Tier == "" && f.DRM == "" {
		return condition{}
	}
	return condition{text: strings.Join(texts, " OR ")}
}

// daysAlone tells whether a filter lets all sessions of its days pass.
func (f Filter) daysAlone() bool {
	f.From, f.To = "", ""
	return f.Empty()
}

// splitsAlike tells whether a filter may let one of several sessions that are alike pass and another not.
func (f Filter) splitsAlike() bool {
	return len(f.Servers) > 0 || slices.ContainsFunc([]string{f.Min, f.Max, f.Country, f.Region, f.City, f.ServerRegion, f.Tier, f.DRM, f.Watched}, func(s string) bool { return s != "" })
}

// numbers are unsigned numbers as the database takes them: as text.
func numbers(all ...uint64) (args []any) {
	for _, n := range all {
		args = append(args, strconv.FormatUint(n, 10))
	}
	return args
}
