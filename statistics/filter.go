package statistics

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/playmeter/playmeter/schemas"
)

// Filter is which sessions are looked at, before any grouping. Its zero value is all of them.
//
// In a URL, a field is the parameter named beside it.
type Filter struct {
	From    string   // from: the first UTC day on which sessions began, YYYY-MM-DD
	To      string   // to: the last one
	Object  string   // object: the whole id of one, as it is
	Stream  string   // stream: an object id or a title; * stands for any text
	User    string   // user: the whole of it
	Viewer  string   // viewer: the number of one, as [Row.Viewer] has it
	IP      string   // ip: an address, or a network such as 203.0.113.0/24
	Agent   string   // agent: a part of the user agent, in upper or lower case
	Min     string   // min: least view time, seconds
	Max     string   // max: most view time, seconds
	Servers []string // server, any number: ids of which one served the session
	// Each is the whole of a field; NotKnown asks for those that have none.
	Protocol     string // protocol
	Country      string // country: ISO 3166 alpha-2
	Region       string // region
	City         string // city
	ServerRegion string // server_region
	Platform     string // platform
	OS           string // os
	Tier         string // tier: hi, md, lo, unclassified, audio: sessions with view time in it
	DRM          string // drm: clear or drm, likewise
	Watched      string // watched: yes: views alone, sessions that began in their month and were watched
}

// NotKnown is what a filter says that looks for sessions of which a field is not known.
const NotKnown = "-"

// Exactly is how a filter asks for a text that is known, whatever is in it: one that looks like a pattern or like
// [NotKnown] is written so that it is none.
func Exactly(text string) string {
	if text == NotKnown {
		return `\` + text
	}
	return strings.NewReplacer(`\`, `\\`, "*", `\*`).Replace(text)
}

// literal is a text of a filter as it stands there: what Exactly wrote, or what somebody did who knows nothing of it.
func literal(text string) string {
	return strings.NewReplacer(`\\`, `\`, `\*`, "*", `\`+NotKnown, NotKnown).Replace(text)
}

// watchedYes is what Filter.Watched says where it says something.
const watchedYes = "yes"

// maxFilter bounds each text of a filter, in bytes, and how many servers it names.
const (
	maxFilterText = 1024
	maxServers    = 100
)

// Tiers and clear or DRM, as a filter names them.
var (
	FilterTiers = []string{"hi", "md", "lo", "unclassified", "audio"}
	FilterDRM   = []string{"clear", "drm"}
)

// A FilterError says what is wrong with one field of a filter.
type FilterError struct {
	Field, Problem string
}

// Error is error's.
func (e *FilterError) Error() string { return e.Field + ": " + e.Problem }

// texts are the fields that hold one text, by parameter.
func (f *Filter) texts() []struct {
	name string
	text *string
} {
	return []struct {
		name string
		text *string
	}{
		{"from", &f.From}, {"to", &f.To}, {"object", &f.Object}, {"stream", &f.Stream}, {"user", &f.User}, {"viewer", &f.Viewer}, {"ip", &f.IP}, {"agent", &f.Agent},
		{"min", &f.Min}, {"max", &f.Max}, {"protocol", &f.Protocol}, {"country", &f.Country}, {"region", &f.Region}, {"city", &f.City},
		{"server_region", &f.ServerRegion}, {"platform", &f.Platform}, {"os", &f.OS}, {"tier", &f.Tier}, {"drm", &f.DRM}, {"watched", &f.Watched},
	}
}

// FilterNames are the parameters of a filter.
func FilterNames() []string {
	names := []string{"server"}
	for _, t := range new(Filter).texts() {
		names = append(names, t.name)
	}
	return names
}

// ParseFilter reads a filter off the parameters of a URL.
//
//   - Errors: a [FilterError] for each field that is wrong, joined; the filter holds what was asked all the same, so that
//     a form can show it.
func ParseFilter(q url.Values) (Filter, error) {
	var f Filter
	for _, t := range f.texts() {
		*t.text = q.Get(t.name)
		switch trimmed := strings.TrimSpace(*t.text); {
		case trimmed == "" && t.name != "object", t.name == "from", t.name == "to", t.name == "ip", t.name == "min", t.name == "max":
			*t.text = trimmed
		}
	}
	for _, s := range q["server"] {
		if s != "" && !slices.Contains(f.Servers, s) {
			f.Servers = append(f.Servers, s)
		}
	}
	return f, f.Check()
}

// Values is the filter as parameters of a URL; what is not set is left out.
func (f Filter) Values() url.Values {
	q := url.Values{}
	for _, t := range f.texts() {
		if *t.text != "" {
			q.Set(t.name, *t.text)
		}
	}
	for _, s := range f.Servers {
		q.Add("server", s)
	}
	return q
}

// Check tells everything that is wrong with a filter: a [FilterError] for each field, joined.
func (f Filter) Check() error {
	var errs []error
	wrong := func(field, format string, args ...any) {
		errs = append(errs, &FilterError{field, fmt.Sprintf(format, args...)})
	}
	for _, t := range f.texts() {
		if len(*t.text) > maxFilterText || !utf8.ValidString(*t.text) {
			wrong(t.name, "write at most %d bytes of UTF-8", maxFilterText)
			*t.text = "" // of our copy
		}
	}
	if len(f.Servers) > maxServers {
		wrong("server", "name at most %d servers", maxServers)
	}
	if slices.ContainsFunc(f.Servers, func(s string) bool { return len(s) > maxFilterText || !utf8.ValidString(s) }) {
		wrong("server", "write at most %d bytes of UTF-8", maxFilterText)
	}
	from, errFrom := parseDay(f.From)
	to, errTo := parseDay(f.To)
	switch {
	case errFrom != nil:
		wrong("from", "write a day as YYYY-MM-DD, such as 2026-10-14")
	case errTo != nil:
		wrong("to", "write a day as YYYY-MM-DD, such as 2026-10-14")
	case f.From != "" && f.To != "" && to < from:
		wrong("to", "it is before the first day, %s", f.From)
	}
	if _, err := parseNetwork(f.IP); f.IP != "" && f.IP != NotKnown && !pseudonym.MatchString(f.IP) && err != nil {
		wrong("ip", "write an address such as 203.0.113.7, or a network such as 203.0.113.0/24 or 2001:db8::/32")
	}
	if k := (key{sqlType: typeViewer}); f.Viewer != "" && !k.takes(f.Viewer) {
		wrong("viewer", "take it from a link of a list of users: it is the number of one")
	}
	least, errMin := parseSeconds(f.Min)
	most, errMax := parseSeconds(f.Max)
	switch {
	case errMin != nil:
		wrong("min", "write seconds, such as 90 or 0.5, below a million million")
	case errMax != nil:
		wrong("max", "write seconds, such as 90 or 0.5, below a million million")
	case f.Min != "" && f.Max != "" && most < least:
		wrong("max", "it is less than the least, %s s", f.Min)
	}
	if f.Tier != "" && !slices.Contains(FilterTiers, f.Tier) {
		wrong("tier", "write one of %s", strings.Join(FilterTiers, ", "))
	}
	if f.Watched != "" && f.Watched != watchedYes {
		wrong("watched", "write yes, or leave it out")
	}
	if f.DRM != "" && !slices.Contains(FilterDRM, f.DRM) {
		wrong("drm", "write clear or drm")
	}
	return errors.Join(errs...)
}

// Empty tells whether a filter lets every session pass.
func (f Filter) Empty() bool { return len(f.Values()) == 0 }

func parseDay(text string) (schemas.Day, error) {
	if text == "" {
		return 0, nil
	}
	t, err := time.Parse(time.DateOnly, text)
	if err != nil || t.Year() < 2000 || t.Year() > 2100 {
		return 0, fmt.Errorf("%q is no day", text)
	}
	return schemas.DayOf(t.UnixNano()), nil
}

// parseSeconds reads seconds with at most six decimals, as microseconds.
func parseSeconds(text string) (int64, error) {
	whole, part, _ := strings.Cut(text, ".")
	if text == "" {
		return 0, nil
	}
	if len(part) > 6 || strings.ContainsAny(text, "+-") || whole+part == "" {
		return 0, fmt.Errorf("%q is no number of seconds", text)
	}
	if len(whole) > 12 {
		return 0, fmt.Errorf("%q are more seconds than anybody watches", text)
	}
	return strconv.ParseInt("0"+whole+(part + "000000")[:6], 10, 64)
}

// parseNetwork reads an address or a network.
func parseNetwork(text string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(text); err == nil {
		a = a.Unmap().WithZone("")
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	p, err := netip.ParsePrefix(text)
	if p.Addr().Is4In6() && p.Bits() >= 96 {
		p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
	}
	return p.Masked(), err
}
