package web

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"github.com/playmeter/playmeter/reporter"
	"github.com/playmeter/playmeter/statistics"
)

func TestServersThatWereChosenAreCalledByTheirHosts(t *testing.T) {
	s, f := serveStatistics(t)
	f.choices.Servers = append(f.choices.Servers, statistics.ServerName{ID: "inod3", Host: "edge-3"}, statistics.ServerName{ID: "inod4", Host: "edge-3"})
	doc := parsed(t, s.get("/sessions/servers?server=inod1&server=inod4&server=gone&"+days, filmsToken, 200, asBrowser...))
	var chips []string
	for _, chip := range all(doc, func(n *html.Node) bool { return attr(n, "class") == "chip" }) {
		chips = append(chips, attr(chip, "title"))
	}
	if want := []string{"Server: edge-1", "Server: edge-3 (inod4)", "Server: gone"}; !slices.Equal(chips, want) {
		t.Errorf("the chips are %q, want %q", chips, want)
	}
	if !strings.Contains(textIn(byID(doc, "results")), wholeSessions) {
		t.Error("nothing is said of sessions that moved")
	}
	if n := len(slices.DeleteFunc(slices.Clone(f.asked), func(what string) bool { return what != "choices" })); n != 1 {
		t.Errorf("what filters can be set to was asked %d times", n)
	}
	for _, path := range []string{"/sessions/servers?" + days, "/sessions?server=inod1&" + days} {
		if doc := parsed(t, s.get(path, filmsToken, 200, asBrowser...)); strings.Contains(textIn(doc), wholeSessions) {
			t.Errorf("%s speaks of sessions that moved", path)
		}
	}
}

// TestOneViewerIsFoundByTheirNumber where a name would find others, too.
func TestOneViewerIsFoundByTheirNumber(t *testing.T) {
	for user, want := range map[string]string{
		"anna": "user=anna", "Anna Lee": "user=Anna+Lee", "": "viewer=17", "-": "viewer=17", "a*b": "viewer=17", `a\b`: "viewer=17", " anna": "viewer=17", "anna\u00a0": "viewer=17",
		"\t": "viewer=17", "bad\xff": "viewer=17", strings.Repeat("u", statistics.MaxText): "viewer=17", strings.Repeat("u", statistics.MaxText-1): "user=" + strings.Repeat("u", statistics.MaxText-1),
	} {
		ask := &asking{audience: &audience{sessions: true, chosen: new(reporter.PublishedTenant)}}
		if got := ask.userCell(&statistics.Row{User: user, Viewer: "17"}); got.Href != "/sessions?"+want {
			t.Errorf("%.40q leads to %.60s, want %.60s", user, got.Href, want)
		}
	}
	ask := &asking{audience: &audience{sessions: true, chosen: new(reporter.PublishedTenant)}, view: statistics.View{Filter: statistics.Filter{Viewer: "17"}}}
	if got := ask.userCell(&statistics.Row{User: "anna", Viewer: "17"}); got.Href != "/sessions?viewer=17" {
		t.Errorf("whoever was found by number leads to %s", got.Href)
	}
}

func TestTheChipOfAViewerSaysWhatIsKnown(t *testing.T) {
	tests := []struct {
		name string
		rows []statistics.Row
		want string
	}{
		{"an address and a program", []statistics.Row{{IP: "203.0.113.7", Agent: "Player/1.0"}}, "One viewer: 203.0.113.7 · Player/1.0"},
		{"an address alone", []statistics.Row{{IP: "203.0.113.7"}}, "One viewer: 203.0.113.7"},
		{"a name", []statistics.Row{{User: "anna", IP: "203.0.113.7"}}, "One viewer: anna"},
		{"nothing", []statistics.Row{{}}, "One viewer: without a name"},
		{"nobody", nil, "One viewer: without a name"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, f := serveStatistics(t)
			f.page = statistics.Page{Rows: tt.rows}
			doc := parsed(t, s.get("/sessions/streams?country=DE&viewer=17&"+days, filmsToken, 200, asBrowser...))
			if chip := all(doc, func(n *html.Node) bool { return attr(n, "class") == "chip" })[0]; attr(chip, "title") != tt.want {
				t.Errorf("the chip says %q, want %q", attr(chip, "title"), tt.want)
			}
			want := statistics.View{Tab: statistics.TabUsers, Filter: statistics.Filter{From: "2026-11-01", To: "2026-11-20", Viewer: "17"}, Limit: 1}
			if len(f.views) != 2 || !reflect.DeepEqual(f.views[1], want) {
				t.Errorf("asked was for %+v, want %+v", f.views, want)
			}
		})
	}
}

func TestWhatIsWrittenInOtherLettersIsChosenInTheForm(t *testing.T) {
	s, _ := serveStatistics(t)
	doc := parsed(t, s.get("/sessions?country=de&protocol=HLS&platform=television&"+days, filmsToken, 200, asBrowser...))
	for id, want := range map[string]string{"filter-country": "DE", "filter-protocol": "hls", "filter-platform": "television"} {
		if o := all(byID(doc, id), tag("option", "selected")); len(o) != 1 || attr(o[0], "value") != want {
			t.Errorf("%s has %d chosen, want %s", id, len(o), want)
		}
	}
}
