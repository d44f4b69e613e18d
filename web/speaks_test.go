package web

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"

	"github.com/playmeter/playmeter/reporter"
	"github.com/playmeter/playmeter/schemas"
	"github.com/playmeter/playmeter/statistics"
)

// monthStates reads states such as "films 2026-10 R1", "films 2026-10 R2 1": tenant, month, run, restatement. Run R5 is as of the 5th.
func monthStates(t *testing.T, text string) (states []statistics.MonthState) {
	t.Helper()
	for line := range strings.SplitSeq(text, ",") {
		var tenant, month string
		var n int
		s := statistics.MonthState{Rows: 1, Loaded: time.Date(2026, 11, 20, 8, 56, 0, 0, time.UTC)}
		if _, err := fmt.Sscanf(line+" 0", "%s %s R%d %d", &tenant, &month, &n, &s.Restatement); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		p, err := schemas.ParsePeriod(month)
		if err != nil {
			t.Fatal(err)
		}
		s.Tenant, s.Period, s.Run, s.AsOf = schemas.Tenant(tenant), p, fmt.Sprintf("R%d", n), time.Date(2026, 11, n, 0, 0, 0, 0, time.UTC)
		states = append(states, s)
	}
	return states
}

func TestWhatFiguresSpeakFor(t *testing.T) {
	tests := []struct{ name, states, line, more string }{
		{"one run", "films 2026-11 R9", "as of 2026-11-09 00:00:00 UTC, run R9, loaded 4 minutes ago", ""},
		{"a restatement says what the reports are", "films 2026-10 R9 2", "as of 2026-11-09 00:00:00 UTC, run R9, restatement 2, loaded 4 minutes ago",
			"what “playmeter fetch” gets; that of the restatement: “playmeter fetch sessions --tenant films --month 2026-10 --restatement 2"},
		{"tenants that were run together", "films 2026-11 R9, sports 2026-11 R9", "as of 2026-11-09 00:00:00 UTC, run R9, loaded 4 minutes ago",
			"2026-11 films 2026-11-09 00:00:00 R9 2026-11 sports 2026-11-09 00:00:00 R9"},
		{"several runs are of the earliest", "films 2026-11 R9, sports 2026-11 R3, films 2026-10 R1 1", "as of 2026-11-01 00:00:00 UTC at the earliest, 3 runs, 1 of 3 months restated, loaded 4 minutes ago",
			"2026-10 films 2026-11-01 00:00:00 R1 restatement 1"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a := &audience{sessions: true}
			doc, err := html.Parse(strings.NewReader(partOf(t, "speaks", a.speaksFor(monthStates(t, tt.states), time.Date(2026, 11, 20, 9, 0, 0, 0, time.UTC)))))
			if err != nil {
				t.Fatal(err)
			}
			text := strings.ReplaceAll(strings.ReplaceAll(textIn(doc), " ,", ","), "00 .000", "00")
			if !strings.HasPrefix(text, tt.line) || !strings.Contains(text, tt.more) || tt.more == "" && text != tt.line {
				t.Errorf("it says\n%s\nwant\n%s … %s", text, tt.line, tt.more)
			}
		})
	}
	if (&audience{}).speaksFor(nil, time.Time{}) != nil {
		t.Error("of nothing something is said")
	}
	if help := (&audience{}).speaksFor(monthStates(t, "films 2026-10 R9 2"), time.Time{}).Help; strings.Contains(help, "sessions") {
		t.Errorf("who sees no sessions is told how to get them: %s", help)
	}
}

func TestWhatFiguresSpeakForIsListedUpToABound(t *testing.T) {
	a := &audience{chosen: new(reporter.PublishedTenant)}
	for n, want := range map[int]int{2: 2, speaksMonths: speaksMonths, speaksMonths + 1: speaksMonths + 1, speaksMonths + 50: speaksMonths + 1} {
		if got := a.speaksFor(make([]statistics.MonthState, n), time.Time{}).Months.Rows; len(got) != want || len(got[len(got)-1]) != 3 {
			t.Errorf("of %d months, there are %d rows, want %d; the last is %v", n, len(got), want, got[len(got)-1])
		}
	}
}

func TestListsSayWhatTheirDaysSpeakFor(t *testing.T) {
	states := "films 2026-11 R9, films 2026-10 R5, films 2026-09 R1"
	for days, want := range map[string]string{
		"from=2026-11-01&to=2026-11-20": "run R9", "from=2026-10-31&to=2026-11-01": "2026-11-05 00:00:00 UTC at the earliest, 2 runs", "from=2026-10-31": "2 runs", "to=2026-10-01": "2 runs",
		"from=2026-10-01&to=2026-10-31": "run R5", "to=2026-11-20": "3 runs", "to=2026-09-30": "run R1",
	} {
		s, f := serveStatistics(t)
		f.states = monthStates(t, states)
		got := strings.ReplaceAll(textIn(byID(parsed(t, s.get("/sessions/streams?"+days, filmsToken, 200, asBrowser...)), "results")), "00 .000", "00")
		if !strings.Contains(got, want) {
			t.Errorf("%s: %s, want %s", days, got, want)
		}
	}
	s, f := serveStatistics(t)
	f.states = monthStates(t, states)
	if doc := parsed(t, s.get("/sessions?from=2026-08-01&to=2026-08-31", filmsToken, 200, asBrowser...)); strings.Contains(textIn(doc), "as of") {
		t.Error("something is said of days that nothing is known of")
	}
}

func TestExportsSayWhichRunsTheyAreOf(t *testing.T) {
	w := sampleWorld(t)
	tests := []struct{ name, states, file, run string }{
		{"one run", "films 2026-11 R9", "-run-R9", "R9"},
		{"a restatement", "films 2026-11 R9 3", "-run-R9-restatement-3", "R9"},
		{"several, by the earliest", "films 2026-11 R9, films 2026-10 R5 1", "-2-runs-from-R5", "R5, R9"},
		{"none that is known", "films 2025-11 R9", "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for _, method := range []string{http.MethodGet, http.MethodHead} {
				s, f := serveStatistics(t)
				f.states = monthStates(t, tt.states)
				h := s.ask(method, "/sessions/users/export.csv?from=2026-10-01&to=2026-11-20", filmsToken).Header()
				if got, want := h.Get("Content-Disposition"), `attachment; filename="`+string(w.films)+`-sessions-users-2026-10-01-2026-11-20`+tt.file+`.csv"`; got != want || h.Get(HeaderRun) != tt.run {
					t.Errorf("%s: %s of %q, want %s of %q", method, got, h.Get(HeaderRun), want, tt.run)
				}
			}
		})
	}
	t.Run("a name of a run that is no name of ours is not one of a file", func(t *testing.T) {
		for _, text := range append(hostile, "", "..", "a/b", `a"b`) {
			if got := (exportedRuns{states: []statistics.MonthState{{Run: text}}}).name(); got != "" {
				t.Errorf("%.40q makes %s", text, got)
			}
		}
	})
	t.Run("many runs are named up to a bound", func(t *testing.T) {
		var of exportedRuns
		for i := range exportRunsNamed + 7 {
			of.states = append(of.states, statistics.MonthState{Run: fmt.Sprintf("R%03d", i)})
		}
		h := http.Header{}
		of.tell(h)
		if got := h.Get(HeaderRun); !strings.HasPrefix(got, "R000, R001") || !strings.HasSuffix(got, "R099, and 7 more") {
			t.Errorf("named are %s", got)
		}
	})
	t.Run("while sessions are loaded, administrators are told of all, others before the first time", func(t *testing.T) {
		passed := time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC)
		for _, tt := range []struct {
			token string
			p     statistics.Progress
			want  bool
		}{
			{adminToken, statistics.Progress{Loading: true, Passed: passed}, true}, {filmsToken, statistics.Progress{Loading: true, Passed: passed}, false},
			{filmsToken, statistics.Progress{}, true}, {adminToken, statistics.Progress{Passed: passed}, false},
		} {
			s, f := serveStatistics(t)
			f.progress = &tt.p
			if got := s.get("/sessions/users/export.csv?"+days, tt.token, 200).Header().Get("Content-Disposition"); strings.Contains(got, "-while-loading.csv") != tt.want {
				t.Errorf("%s, %+v: %s", tt.token, tt.p, got)
			}
		}
	})
	t.Run("while days of a month are replaced, everybody who sees it is told", func(t *testing.T) {
		s, f := serveStatistics(t)
		f.progress = &statistics.Progress{Passed: time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC)}
		f.states = monthStates(t, "films 2026-11 R9")
		for _, changing := range []bool{true, false} {
			f.states[0].Changing = changing
			name := s.get("/sessions/users/export.csv?"+days, filmsToken, 200).Header().Get("Content-Disposition")
			page := s.get("/sessions/users?"+days, filmsToken, 200, asBrowser...).Body.String()
			if strings.Contains(name, "-while-loading.csv") != changing || strings.Contains(page, "a newer run are being loaded") != changing {
				t.Errorf("changing %v: %s", changing, name)
			}
		}
	})
}

// TestAnExportIsOfTheRunsThatItNames: what is loaded between the question which runs there are and the rows is not passed off as theirs.
func TestAnExportIsOfTheRunsThatItNames(t *testing.T) {
	s, f := serveStatistics(t)
	f.csv = []string{"secret\n"}
	f.meanwhile = func() { f.states = monthStates(t, "films 2026-11 R10") }
	got := s.get("/sessions/users/export.csv?"+days, filmsToken, 503)
	if strings.Contains(got.Body.String(), "secret") || got.Header().Get("Content-Disposition") != "" || got.Header().Get(HeaderRun) != "" || got.Header().Get("Retry-After") == "" {
		t.Errorf("%v %s", got.Header(), got.Body)
	}
	f.meanwhile = nil
	if got := s.get("/sessions/users/export.csv?"+days, filmsToken, 200); got.Header().Get(HeaderRun) != "R10" {
		t.Errorf("asked again: %v", got.Header())
	}
	if n := strings.Count(s.recorded(), `"`+EventGranted+`"`); n != 1 {
		t.Errorf("on record are %d that were granted, want 1", n)
	}
}
