package statistics

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/playmeter/playmeter/schemas"
)

// hostileTexts are what viewers, and whoever names streams, may write.
var hostileTexts = []string{
	"'", "''; DROP TABLE sessions; --", `" OR 1=1 --`, `\`, `\'; DELETE FROM sessions; --`, "%", "_", "%%_", "a*b", "*", "?", "$1", "?::DATE", "NULL", "-", "--", "/* */",
	"<script>alert(1)</script>", `"><img src=x onerror=alert(1)>`, "=HYPERLINK(\"http://example.com\";\"x\")", "+1", "@SUM(A1)", "\t=1", "a,b\"c",
	"\u202egnp.exe", "\u200b", "\u2028line", "e\u0301", "ﬁ", "💩", "\x01\x1b[31m\x7f", "line\nfeed", "carriage\rreturn", "{{.}}", "${x}", "../../etc/passwd", "Ünïcödé",
	strings.Repeat("ä <long> one ", 1500), " leading and trailing ", "0", "true",
}

func TestHostileTextsAreTextsInEveryField(t *testing.T) {
	f := newFixture(t, 50, hostileTexts, 150, 100)
	for _, tab := range Tabs {
		for _, c := range tab.Columns() {
			f.compare(t, Scope{All: true}, View{Tab: tab, Sort: c.Name, Desc: c.Kind != KindCount, Limit: 200})
		}
	}
	compareDashboard(t, newAsker(t, f), Scope{All: true}, must[*Dashboard](t)(f.Dashboard(t.Context(), Scope{All: true}, f.period)))
}

func TestHostileFiltersFindWhatTheySayAndNothingElse(t *testing.T) {
	f := newFixture(t, 51, hostileTexts, 200)
	found := 0
	for i, text := range append([]string{"nul\x00byte"}, hostileTexts...) {
		if testing.Short() && i%4 != 0 {
			continue
		}
		var filter Filter
		for _, field := range filter.texts() {
			old := *field.text
			*field.text = text
			if filter.Check() == nil && filter.Viewer == "" { // no session is nobody's
				tab := Tabs[(i+len(field.name))%len(Tabs)]
				f.compareWhole(t, Scope{All: true}, View{Tab: tab, Filter: filter})
				found += int(min(1, f.totals(Scope{All: true}, filter).Sessions))
			}
			*field.text = old
		}
		if filter.Servers = []string{text, "inod1"}; filter.Check() == nil {
			f.compareWhole(t, Scope{All: true}, View{Tab: TabServers, Filter: filter})
		}
	}
	if found < 20 {
		t.Errorf("%d filters found anything", found)
	}
	if got := must[Totals](t)(f.Totals(t.Context(), Scope{All: true}, Filter{})); got.Sessions != 400 {
		t.Errorf("%d sessions are left", got.Sessions)
	}
}

func TestAHostileTenantIsNobody(t *testing.T) {
	f := newFixture(t, 52, nil, 5)
	for _, text := range append([]string{"films' OR '1'='1", "films\x00", "FILMS", "film_", ""}, hostileTexts...) {
		scope := Scope{Tenants: []schemas.Tenant{schemas.Tenant(text)}}
		if got := must[Totals](t)(f.Totals(t.Context(), scope, Filter{})); got.Sessions != 0 {
			t.Errorf("%q sees %d sessions", text, got.Sessions)
		}
	}
}

func TestAFolderAndObjectsMayHaveQuotesInTheirNames(t *testing.T) {
	w := newWorld(53)
	c := &commits{t: t, bucket: newBucket(t), tenant: "films", period: w.period}
	days := w.days(7, 8)
	commit := c.begin()
	for day := range 2 {
		c.add(commit, day, days[day], 3)
	}
	for i := range commit.Sessions {
		o := &commit.Sessions[i]
		data, _, err := c.bucket.Get(t.Context(), o.Name, "", 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		o.Name = strings.Replace(o.Name, "run1", "o'brien'); DROP TABLE days; --", 1)
		if _, err := c.bucket.PutBytes(t.Context(), o.Name, data); err != nil {
			t.Fatal(err)
		}
	}
	c.end(commit)
	d := openDatabase(t, c.bucket, t.TempDir()+"/it's; a \"folder\" with & = %41 %zz ünd #")
	follow(t, d)
	if got := must[Totals](t)(d.Totals(t.Context(), Of("films"), Filter{})); got.Sessions != 15 {
		t.Errorf("%d sessions, want 15", got.Sessions)
	}
}

func TestFiltersThatAreWrongSayWhere(t *testing.T) {
	long := strings.Repeat("x", maxFilterText+1)
	for _, tt := range []struct{ query, fields string }{
		{"", ""}, {"from=2026-10-01&to=2026-10-01", ""}, {"from=2026-02-30", "from"}, {"from=01.10.2026", "from"}, {"to=1999-12-31", "to"}, {"from=2026-10-02&to=2026-10-01", "to"},
		{"ip=203.0.113", "ip"}, {"ip=203.0.113.7/33", "ip"}, {"ip=%3A%3A1/129", "ip"}, {"ip=localhost", "ip"}, {"ip=0123456789abcdef0123456789abcde", "ip"}, {"ip=0123456789abcdef0123456789abcdef", ""},
		{"min=-1", "min"}, {"min=1e3", "min"}, {"min=0.0000001", "min"}, {"min=0.000001", ""}, {"max=99999999999999999", "max"}, {"min=2&max=1.999999", "max"}, {"min=2&max=2.0", ""},
		{"tier=4k", "tier"}, {"drm=none", "drm"}, {"stream=" + long, "stream"}, {"stream=" + long[1:], ""}, {"user=%ff", "user"}, {"server=%ff", "server"}, {"server=" + long, "server"},
		{"tier=x&drm=y&ip=z&from=a&min=b", "from ip min tier drm"},
	} {
		q, err := url.ParseQuery(tt.query)
		if err != nil {
			t.Fatal(err)
		}
		_, err = ParseFilter(q)
		if got := strings.Join(wrongFields(err), " "); got != tt.fields {
			t.Errorf("%.60s: wrong are %q, want %q: %v", tt.query, got, tt.fields, err)
		}
	}
	var f Filter
	for i := range maxServers + 1 {
		f.Servers = append(f.Servers, fmt.Sprint(i))
	}
	if got := strings.Join(wrongFields(f.Check()), " "); got != "server" {
		t.Errorf("%d servers: wrong are %q", len(f.Servers), got)
	}
	if f.Servers = f.Servers[:maxServers]; f.Check() != nil {
		t.Errorf("%d servers: %v", len(f.Servers), f.Check())
	}
}

// wrongFields are the fields that an error of a filter names.
func wrongFields(err error) (out []string) {
	var joined interface{ Unwrap() []error }
	if !errors.As(err, &joined) {
		return nil
	}
	for _, err := range joined.Unwrap() {
		var f *FilterError
		if errors.As(err, &f) {
			out = append(out, f.Field)
		}
	}
	return out
}

func TestAFilterThatIsWrongIsNotAskedWith(t *testing.T) {
	f := newFixture(t, 54, nil, 2)
	bad := Filter{Min: "x", IP: "y"}
	_, err := f.Sessions(t.Context(), Scope{All: true}, View{Tab: TabUsers, Filter: bad})
	_, err2 := f.Totals(t.Context(), Scope{All: true}, bad)
	_, err3 := f.Choices(t.Context(), Scope{All: true}, bad)
	for _, err := range []error{err, err2, err3} {
		if got := strings.Join(wrongFields(err), " "); got != "ip min" {
			t.Errorf("wrong are %q: %v", got, err)
		}
	}
}

func TestViewsThatDoNotExist(t *testing.T) {
	f := newFixture(t, 55, nil, 2)
	at := func(order string, values ...string) string { return (&cursor{Order: order, Values: values}).String() }
	for name, v := range map[string]View{
		"no such tab": {Tab: "others"}, "no tab": {}, "no such column": {Tab: TabUsers, Sort: "hostname"}, "an expression for a column": {Tab: TabPlayback, Sort: "bytes; --"},
		"too many rows": {Tab: TabUsers, Limit: MaxLimit + 1}, "less than no rows": {Tab: TabUsers, Limit: -1},
		"a cursor that is none": {Tab: TabUsers, Cursor: "x"}, "a cursor without values": {Tab: TabUsers, Cursor: (&cursor{}).String()},
		"a cursor that is no JSON": {Tab: TabUsers, Cursor: "bm9uZQ"}, "a cursor that is too long": {Tab: TabStreams, Sort: "stream", Cursor: at("streams by stream", strings.Repeat("x", 3*maxCursor/4), "films", "iq__00")},
		"a number that is none":  {Tab: TabStreams, Cursor: at("streams by view_time, falling", "1; DROP TABLE sessions", "films", "iq__00")},
		"a number out of bounds": {Tab: TabStreams, Cursor: at("streams by view_time, falling", "9223372036854775808", "films", "iq__00")},
		"a time that is none":    {Tab: TabPlayback, Cursor: at("playback by created", "now", "2026-10-01 00:00:00", "films", "1")},
		"a viewer that is none":  {Tab: TabUsers, Cursor: at("users by view_time, falling", "1", "-1")},
	} {
		if _, err := f.Sessions(t.Context(), Scope{All: true}, v); !errors.Is(err, ErrView) {
			t.Errorf("%s: error %v, want ErrView", name, err)
		}
	}
}

func TestACursorOfOneViewIsRefusedByEveryOther(t *testing.T) {
	f := newFixture(t, 56, hostileTexts, 40)
	cursors := map[string]View{}
	var views []View
	for _, tab := range Tabs {
		for i, c := range tab.Columns() {
			v := View{Tab: tab, Sort: c.Name, Desc: i%2 == 0, Limit: 5}
			views = append(views, v)
			at := v
			at.Cursor = must[*Page](t)(f.Sessions(t.Context(), Scope{All: true}, v)).Next
			cursors[at.Cursor] = v
			cursors[must[*Page](t)(f.Sessions(t.Context(), Scope{All: true}, at)).Previous] = v
			v.Desc = !v.Desc
			views = append(views, v)
		}
	}
	for c, own := range cursors {
		for _, v := range views {
			at := v
			at.Cursor = c
			if _, err := f.Sessions(t.Context(), Scope{All: true}, at); (v.Tab == own.Tab && v.Sort == own.Sort && v.Desc == own.Desc) != (err == nil) || err != nil && !errors.Is(err, ErrView) {
				t.Errorf("%s by %s, falling %v, with a cursor of %s by %s, falling %v: %v", v.Tab, v.Sort, v.Desc, own.Tab, own.Sort, own.Desc, err)
			}
		}
	}
}
