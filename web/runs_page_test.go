package web

import (
	"context"
	"errors"
	"fmt"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/playmeter/playmeter/intake"
	"github.com/playmeter/playmeter/reporter"
	"github.com/playmeter/playmeter/schemas"
)

func TestRunNow(t *testing.T) {
	w := sampleWorld(t)
	type asked struct {
		tenants []schemas.Tenant
		month   schemas.Period
	}
	tests := []struct {
		name   string
		form   url.Values
		err    error
		status int
		want   string // tenants and month that were asked for; else what is said
	}{
		{"all tenants, this month", url.Values{}, nil, 303, "all 2026-11"},
		{"as the form sends it", url.Values{"tenant": {""}, "month": {"2026-10"}}, nil, 303, "all 2026-10"},
		{"one tenant", url.Values{"tenant": {string(w.sports)}, "month": {"2026-10"}}, nil, 303, string(w.sports) + " 2026-10"},
		{"a month before that has a report", url.Values{"month": {"2026-08"}}, nil, 303, "all 2026-08"},
		{"that report is another tenant's", url.Values{"tenant": {string(w.sports)}, "month": {"2026-08"}}, nil, 400, "“playmeter run --month 2026-08”"},
		{"a month before that has none", url.Values{"month": {"2026-09"}}, nil, 400, "“playmeter run --month 2026-09”"},
		{"this month has begun", url.Values{"month": {"2026-11"}}, nil, 303, "all 2026-11"},
		{"the next has not", url.Values{"month": {"2026-12"}}, nil, 400, "it must have begun"},
		{"no month", url.Values{"month": {"<b>"}}, nil, 400, "Write the month as"},
		{"no tenant", url.Values{"tenant": {"nobody"}}, nil, 400, "no such tenant in the configuration"},
		{"no id of a tenant", url.Values{"tenant": {"../x"}}, nil, 400, "no such tenant in the configuration"},
		{"while one is in flight", url.Values{}, reporter.ErrRunning, 409, "in flight already"},
		{"one that cannot be begun", url.Values{}, errors.New("secret trouble"), 503, "could not be begun"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := serveWorld(t)
			s.service.overview.seen = &seen{At: s.clock.now(), Status: &reporter.Status{Months: []reporter.MonthStatus{
				{Tenant: w.films, Period: october.Previous()}, {Tenant: w.films, Period: october.Previous().Previous(), LastRun: "r"}}}}
			var got []asked
			s.RunNow = func(tenants []schemas.Tenant, month schemas.Period) error {
				got = append(got, asked{tenants, month})
				return tt.err
			}
			w := s.person().signsIn(adminToken).posts(pathRuns, tt.form, tt.status)
			if tt.status != 303 {
				if page := text(w.Body.String()); !strings.Contains(page, tt.want) || strings.Contains(page, "secret") || strings.Contains(page, "<b>") || !strings.Contains(w.Body.String(), `<a class="button" href="/runs">`) {
					t.Errorf("it says %s", page)
				}
				return
			}
			if len(got) != 1 || w.Header().Get("Location") != pathRuns {
				t.Fatalf("asked for %v, sent to %q", got, w.Header().Get("Location"))
			}
			whom := "all"
			if len(got[0].tenants) == 1 {
				whom = string(got[0].tenants[0])
			}
			if is := whom + " " + got[0].month.String(); is != tt.want {
				t.Errorf("asked for %s, want %s", is, tt.want)
			}
		})
	}
}

func TestWhereMonthsCannotBeLookedAtOlderOnesAreNotRun(t *testing.T) {
	s := serveWorld(t)
	begun := 0
	s.RunNow = func([]schemas.Tenant, schemas.Period) error { begun++; return nil }
	s.service.overview.seen = &seen{At: s.clock.now(), Err: errors.New("secret trouble")}
	p := s.person().signsIn(adminToken)
	if got := p.posts(pathRuns, url.Values{"month": {"2026-08"}}, 503).Body.String(); !strings.Contains(got, "playmeter run --month 2026-08") || strings.Contains(got, "secret") {
		t.Errorf("it says %s", text(got))
	}
	if p.posts(pathRuns, url.Values{"month": {"2026-10"}}, 303); begun != 1 {
		t.Errorf("%d runs were begun", begun)
	}
}

func TestRunsCannotBeBegunWhereNobodyMakesThem(t *testing.T) {
	p := serveWorld(t).person().signsIn(adminToken)
	if got := p.sees(pathRuns, 200).Body.String(); !strings.Contains(got, " disabled>Run now") {
		t.Error("the button can be pressed")
	}
	p.posts(pathRuns, url.Values{}, 503)
}

func TestThePageOfRuns(t *testing.T) {
	w := sampleWorld(t)
	s := serveWorld(t)
	s.Watch = new(Watch)
	s.RunNow = func([]schemas.Tenant, schemas.Period) error { return nil }
	s.Runs = func(now time.Time) []NextRun { return []NextRun{{w.films, "Films", "17 * * * *", now.Add(time.Hour)}} }
	s.Inflow = func(context.Context) (Inflow, error) {
		return Inflow{Log: &intake.State{Bytes: 5_000_000}, Sources: []intake.SourceState{{Source: "<i>cdn</i>", Events: 3, Lines: 4, Logs: 1, Trouble: "no route"}}}, nil
	}
	p := s.person().signsIn(adminToken)
	body := p.sees(pathRuns, 200).Body.String()
	page := text(body)
	for _, want := range []string{"No run is in flight", "No run by schedule or by this page since the daemon's start", "2026-11-20 10:00:00", "17 * * * *", "5.00 MB", "Source <i>cdn</i> cannot be read: no route",
		"2026-10 " + w.Tenants[0].Name + " final, restated 1×", "2026-11 · open", "2026-10 · final"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q: %s", want, page)
		}
	}
	if n := strings.Count(body, `<option value="2026-`); n != 2 || !strings.Contains(body, `title="`+string(w.films)+`"`) {
		t.Errorf("%d months to choose, or nothing says which tenant is %s: %s", n, w.films, body)
	}
	if !strings.Contains(body, `<div id="runs-idle-0" hx-get="/runs" hx-trigger="every 10s"`) || strings.Contains(body, " disabled>") {
		t.Errorf("it does not ask for itself now and then, or the button is off: %s", body)
	}
	asks := func(id string, status int) *httptest.ResponseRecorder {
		return p.sees(pathRuns, status, "HX-Request", "true", "HX-Target", runsElement, "HX-Trigger", id)
	}
	if got := asks("runs-idle-0", 204); got.Body.Len() > 0 || got.Header().Get("HX-Refresh") != "" {
		t.Errorf("while nothing happens it is told %s", got.Body)
	}

	s.Watch.Began(reporter.RunOptions{Period: october, Tenants: []schemas.Tenant{w.films}}, s.clock.now())
	s.Watch.Progress(reporter.Progress{Stage: "tally", Done: 1, Total: 4, Unit: "files"}, s.clock.now())
	s.Watch.Progress(reporter.Progress{Stage: "write", Tenant: w.films, Done: 500, Total: 1000, Unit: "sessions"}, s.clock.now())
	body = p.sees(pathRuns, 200).Body.String()
	page = text(body)
	for _, want := range []string{"A run is in flight", "tenant " + w.Tenants[0].Name, "counting usage files", "1 of 4 files", "500 of 1,000 sessions"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q: %s", want, page)
		}
	}
	for _, want := range []string{`hx-trigger="every 2s"`, `width="50.0%"`, ` disabled>Run now`, `<a id="runs-refresh" href="/runs">Refresh</a>`} {
		if !strings.Contains(body, want) {
			t.Errorf("the page lacks %q: %s", want, body)
		}
	}
	part := p.sees(pathRuns, 200, "HX-Request", "true", "HX-Target", runsElement)
	if strings.Contains(part.Body.String(), "<html") || !strings.Contains(part.Body.String(), "in flight") || part.Header().Get("HX-Refresh") != "" {
		t.Errorf("the part alone is %s", part.Body)
	}

	if got := asks("runs-idle-0", 200); got.Header().Get("HX-Refresh") != "true" {
		t.Error("a page that was opened before the run is not renewed")
	}

	s.clock.move(90 * time.Second)
	s.Watch.Done(october, &reporter.Result{Counted: 7, Aside: make([]reporter.Aside, 2), Tenants: []reporter.TenantResult{
		{Tenant: w.films, Period: october, Run: "2026-11-20T09-00-00Z", Note: "made", Manifest: &schemas.Manifest{AsOf: "2026-11-20T09:00:00Z", Events: schemas.Events{Read: 12_345}}},
		{Tenant: w.sports, Period: october, Error: "<b>no key</b>"}}}, nil, s.clock.now())
	s.Watch.Done(november, nil, errors.New("the store is away"), s.clock.now())
	part = p.sees(pathRuns, 200, "HX-Request", "true", "HX-Target", runsElement)
	page = text(part.Body.String())
	for _, want := range []string{"2026-10 " + w.Tenants[0].Name + " 2026-11-20T09-00-00Z made 2026-11-20 09:00:00 1 min 30 s 7 12,345 0 2", "failed: <b>no key</b>", "failed: the store is away", "No run is in flight"} {
		if !strings.Contains(page, want) {
			t.Errorf("the part lacks %q: %s", want, page)
		}
	}
	if part.Header().Get("HX-Refresh") != "true" || strings.Contains(part.Body.String(), "every 2s") {
		t.Error("once the run has ended, the whole page is not asked for")
	}
	if got := asks("runs-idle-0", 200); got.Header().Get("HX-Refresh") != "true" {
		t.Error("a page from before runs that have come and gone is not renewed")
	}
	asks("runs-idle-2", 204)
}

func TestStatusIsTold(t *testing.T) {
	hour := time.Date(2026, 11, 2, 6, 0, 0, 0, time.UTC)
	upper := func(id schemas.Tenant) string { return strings.ToUpper(string(id)) }
	s := &reporter.Status{Aside: []reporter.Aside{{Key: "<script>.parquet", Reason: "not Parquet"}}, Placeless: map[string]int64{"no_tenant": 2},
		Months:  []reporter.MonthStatus{{Tenant: "a", Period: october, Rejected: map[string]int64{"bad_value": 3}, Waiting: &reporter.Waiting{}}, {Tenant: "b", Period: october, Unreadable: "gone"}},
		Numbers: []reporter.MonthNumbers{{Period: november, Nodes: []reporter.NodeNumbers{{Node: "n1", Missing: 5, Gaps: []reporter.Gap{{Hour: hour, Missing: 5}}}, {Node: "n2"}}}},
		Clocks:  []reporter.NodeClock{{Node: "n3", Ahead: time.Hour, Files: 2, Key: "k"}}, Unconfigured: []reporter.UnconfiguredTenant{{Tenant: "c", Rows: 9}},
		Grants: &reporter.GrantsState{Problems: []string{"a reader sees too much"}}, Expiring: map[schemas.Tenant][]string{"a": {"soon"}}}
	var got []string
	for _, section := range statusSections(s, &Inflow{Log: &intake.State{Trouble: "full"}}, upper) {
		got = append(got, section.Lines...)
	}
	want := []string{"Nothing can be taken in: full", "a reader sees too much", "Tenant A: soon", "<script>.parquet: not Parquet", "B 2026-10: gone",
		"5 events of node n1 in 2026-11: 5 in the hour from 2026-11-02 06:00", "A 2026-10: bad_value: 3", "Of nobody, because tenant or time cannot be read: no_tenant: 2",
		"A 2026-10: the next run of the month restates it, if its reports change", "Node n3 by up to 1 h, in 2 files, last k", "c has 9 rows of usage and gets no reports"}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("told is\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if got := statusSections(&reporter.Status{}, new(Inflow), upper); len(got) != 0 {
		t.Errorf("where all is well it says %v", got)
	}
	many := asideSection(&reporter.Status{Aside: make([]reporter.Aside, linesShown+7)})
	if len(many.Lines) != linesShown || many.More != 7 {
		t.Errorf("%d lines, %d more", len(many.Lines), many.More)
	}
}

func TestTheOverviewIsNotMadeAsOftenAsAsked(t *testing.T) {
	s := serveWorld(t)
	looks := 0
	s.Inflow = func(context.Context) (Inflow, error) { looks++; return Inflow{}, nil }
	p := s.person().signsIn(adminToken)
	for range 5 {
		p.sees(pathRuns, 200)
	}
	s.clock.move(overviewEvery)
	p.sees(pathRuns, 200)
	if looks != 2 {
		t.Errorf("looked %d times", looks)
	}
	s.Inflow = func(context.Context) (Inflow, error) { return Inflow{}, errors.New("secret trouble") }
	s.clock.move(overviewEvery)
	if got := text(p.sees(pathRuns, 200).Body.String()); !strings.Contains(got, "could not be looked at") || strings.Contains(got, "secret") {
		t.Errorf("told is %s", got)
	}
}

// TestAfterARunTheOverviewIsMadeAnew, however young the last one is; one that was under way when the run ended is not taken.
func TestAfterARunTheOverviewIsMadeAnew(t *testing.T) {
	s := serveWorld(t)
	s.Watch = new(Watch)
	looks := 0
	s.Inflow = func(context.Context) (Inflow, error) {
		if looks++; looks == 2 {
			s.Watch.Done(november, nil, nil, s.clock.now()) // the page that has asked saw none end; the next one has
		}
		return Inflow{}, nil
	}
	p := s.person().signsIn(adminToken)
	for i, want := range []int{1, 1, 2, 3, 3} {
		if i == 2 {
			s.Watch.Done(november, nil, nil, s.clock.now())
		}
		if p.sees(pathRuns, 200); looks != want {
			t.Errorf("after page %d: looked %d times, want %d", i+1, looks, want)
		}
	}
}

func TestMonthsToRun(t *testing.T) {
	now := time.Date(2026, 11, 20, 9, 0, 0, 0, time.UTC)
	months := func(of ...reporter.MonthStatus) *seen { return &seen{Status: &reporter.Status{Months: of}} }
	july := schemas.PeriodOf(time.Date(2026, 7, 1, 0, 0, 0, 0, time.UTC))
	tests := []struct {
		name string
		seen *seen
		of   []schemas.Tenant
		want string
	}{
		{"nothing was looked at", nil, nil, "[2026-11 2026-10]"},
		{"it could not be looked at", &seen{Err: errors.New("x")}, nil, "[2026-11 2026-10]"},
		{"a report of any tenant will do, once", months(reporter.MonthStatus{Tenant: "a", Period: july, LastRun: "r"}, reporter.MonthStatus{Tenant: "b", Period: july, LastRun: "r"}), nil, "[2026-11 2026-10 2026-07]"},
		{"usage alone will not", months(reporter.MonthStatus{Tenant: "a", Period: july}), nil, "[2026-11 2026-10]"},
		{"another tenant's will not", months(reporter.MonthStatus{Tenant: "a", Period: july, LastRun: "r"}), []schemas.Tenant{"b"}, "[2026-11 2026-10]"},
		{"a month that has not begun is not offered", months(reporter.MonthStatus{Tenant: "a", Period: november.Next(), LastRun: "r"}), nil, "[2026-11 2026-10]"},
	}
	for _, tt := range tests {
		if got := fmt.Sprint(monthsToRun(now, tt.seen, tt.of...)); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
}

func TestAWatchIsBounded(t *testing.T) {
	var w Watch
	at := time.Unix(1_800_000_000, 0)
	w.Progress(reporter.Progress{Stage: "tally"}, at) // of no run
	w.Began(reporter.RunOptions{}, at)
	for i := range stagesAtMax + 5 {
		w.Progress(reporter.Progress{Stage: "write", Tenant: schemas.Tenant(rune('a' + i)), Total: 9}, at)
	}
	f, _ := w.look()
	if len(f.Stages) != stagesAtMax || f.Month != schemas.PeriodOf(at) {
		t.Errorf("%d stages of %s", len(f.Stages), f.Month)
	}
	last := f.Stages[0].Tenant
	w.Progress(reporter.Progress{Stage: "write", Tenant: last, Done: 9, Total: 9}, at)
	if f, _ := w.look(); f.Stages[0].Tenant == last {
		t.Error("what is done is still shown")
	}
	for range pastRuns + 3 {
		w.Done(october, nil, errors.New("x"), at)
	}
	if f, past := w.look(); f != nil || len(past) != pastRuns {
		t.Errorf("%v, %d", f, len(past))
	}
	var none *Watch
	if f, past := none.look(); f != nil || past != nil {
		t.Error("who watches nothing sees something")
	}
}
