package web

import (
	"slices"
	"strings"
	"testing"

	"github.com/playmeter/playmeter/schemas"
	"github.com/playmeter/playmeter/statistics"
)

func TestAnEmptyListSaysWhy(t *testing.T) {
	s, f := serveStatistics(t)
	f.page.Rows = nil
	doc := parsed(t, s.get("/sessions/users?user=anna&country=-&"+days, filmsToken, 200, asBrowser...))
	if text := textIn(byID(doc, "results")); !strings.Contains(text, "Of the days from 2026-11-01 to 2026-11-20 there is none with “User: anna”, “Country: unknown”.") ||
		!strings.Contains(linksOf(t, doc)["/sessions/users?"+days], "Clear all") && !strings.Contains(linksOf(t, doc)["/sessions/users?"+days], "Remove all") {
		t.Errorf("the page says %s", text)
	}
	f.asked = nil
	doc = parsed(t, s.get("/sessions/users?"+days, filmsToken, 200, asBrowser...))
	if linksOf(t, doc)["/sessions/users?from=2026-10-01&to=2026-10-31"] != "Show October 2026" {
		t.Errorf("nothing leads to October: %s", textIn(byID(doc, "results")))
	}
	if slices.Contains(f.asked, "totals") {
		t.Error("what nothing adds up to was asked")
	}
}

// TestAnEmptyListLeadsToTheNearestMonth: of those that have sessions, whoever's they are.
func TestAnEmptyListLeadsToTheNearestMonth(t *testing.T) {
	month := func(text string) schemas.Period {
		p, err := schemas.ParsePeriod(text)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	tests := []struct{ name, query, months, want, says string }{
		{"nothing is known", "from=2026-12-01&to=2026-12-31", "", "", "Nothing is known of"},
		{"this month is the only one, of three tenants", "from=2026-12-01&to=2026-12-31", "2026-11 2026-11 2026-11", "November 2026", "Nothing is known of"},
		{"the nearer one after the days", "from=2026-10-01&to=2026-10-31", "2026-11 2026-07", "November 2026", "Nothing is known of"},
		{"the nearer one before the days", "from=2026-10-01&to=2026-10-31", "2027-11 2026-09 2025-10", "September 2026", ""},
		{"of two as near, the newer", "from=2026-10-01&to=2026-10-31", "2026-11 2026-09", "November 2026", ""},
		{"years away", "from=2030-01-01", "2026-11 2020-01", "November 2026", ""},
		{"before all days", "to=2001-05-05", "2026-11 2020-01", "January 2020", ""},
		{"the rest of the month of the days", "from=2026-10-05&to=2026-10-06", "2026-10 2026-09", "October 2026", "No session began on the days from"},
		{"not the days themselves", "from=2026-10-01&to=2026-10-31", "2026-10", "", "No session began on"},
		{"not this month up to today", "from=2026-11-01&to=2026-11-20", "2026-11", "", "No session began on"},
		{"not a month without sessions", "from=2026-12-01&to=2026-12-31", "2026-11:0 2026-06", "June 2026", ""},
		{"all days", "to=2026-11-20", "2026-11:0", "", "No session began on the days up to 2026-11-20"},
		{"a month without sessions says how it stands", "to=2026-11-20", "2026-11:0 2026-11:0", "", "The month is not final yet"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, f := serveStatistics(t)
			f.page, f.states = statistics.Page{}, nil
			for _, text := range strings.Fields(tt.months) {
				name, none := strings.CutSuffix(text, ":0")
				f.states = append(f.states, statistics.MonthState{Period: month(name), Rows: map[bool]int64{false: 5}[none]})
			}
			doc := parsed(t, s.get("/sessions/users?"+tt.query, filmsToken, 200, asBrowser...))
			got := ""
			for link, text := range linksOf(t, byID(doc, "results")) {
				if name, ok := strings.CutPrefix(text, "Show "); ok {
					got = name
					if f := monthFilter(month(map[string]string{"November 2026": "2026-11", "September 2026": "2026-09", "October 2026": "2026-10", "January 2020": "2020-01", "June 2026": "2026-06"}[name])); link != "/sessions/users?"+f.Values().Encode() {
						t.Errorf("%s is %s", text, link)
					}
				}
			}
			if got != tt.want || !strings.Contains(textIn(byID(doc, "results")), tt.says) {
				t.Errorf("it leads to %q, want %q: %s", got, tt.want, textIn(byID(doc, "results")))
			}
		})
	}
}

func TestWhoseSessionsWereRemovedIsNotSaidToHaveNone(t *testing.T) {
	s, f := serveStatistics(t)
	f.page, f.states = statistics.Page{}, []statistics.MonthState{{Period: october, Named: 7}}
	if got := textIn(byID(parsed(t, s.get("/sessions?from=2026-10-01&to=2026-10-31", filmsToken, 200, asBrowser...)), "results")); !strings.Contains(got, "removed because of their age") {
		t.Errorf("the page says %s", got)
	}
}
