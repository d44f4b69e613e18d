package web

import (
	"errors"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/playmeter/playmeter/statistics"
)

func TestAnExportIsTheViewAndOnRecord(t *testing.T) {
	w := sampleWorld(t)
	s, f := serveStatistics(t)
	long := strings.Repeat("row\n", 30_000)
	f.csv = []string{"head\n", long, "end\n"}
	got := s.get("/sessions/users/export.csv?user=Anna+Secret&ip=203.0.113.7&sort=traffic&order=asc&"+days, filmsToken, 200)
	if got.Body.String() != "head\n"+long+"end\n" {
		t.Errorf("%d bytes were sent", got.Body.Len())
	}
	h := got.Header()
	if h.Get("Content-Type") != "text/csv; charset=utf-8; header=present" || h.Get("Cache-Control") != "no-store" ||
		h.Get("Content-Disposition") != `attachment; filename="`+string(w.films)+`-sessions-users-2026-11-01-2026-11-20-run-`+w.current+`.csv"` ||
		h.Get(HeaderRun) != w.current || h.Get(HeaderAsOf) != "2026-11-20T08:55:00Z" {
		t.Errorf("the headers are %v", h)
	}
	want := statistics.View{Tab: statistics.TabUsers, Filter: statistics.Filter{From: "2026-11-01", To: "2026-11-20", User: "Anna Secret", IP: "203.0.113.7"}, Sort: "traffic"}
	if !reflect.DeepEqual(f.views, []statistics.View{want}) {
		t.Errorf("asked was for %+v, want %+v", f.views, want)
	}
	lines := s.recorded()
	if strings.Contains(lines, "Secret") || strings.Contains(lines, "203.0.113.7") {
		t.Errorf("what was filtered by is on record: %s", lines)
	}
	all := entries(t, lines)
	if len(all) != 2 || all[0].Event != EventGranted || all[1].Event != EventSent || all[1].Bytes != int64(len(long)+9) {
		t.Fatalf("on record is %+v", all)
	}
	for _, e := range all {
		if e.What != "export" || e.View != "users" || e.Tenant != w.films || !slices.Equal(e.Filters, []string{"from", "ip", "to", "user"}) || e.Status != 200 {
			t.Errorf("on record is %+v", e)
		}
	}
}

func TestNothingIsExportedThatIsNotOnRecord(t *testing.T) {
	s, f := serveStatistics(t)
	f.csv = []string{"secret\n"}
	s.log.fail(errors.New("disk full"))
	if got := s.get("/sessions/playback/export.csv?"+days, filmsToken, 503); strings.Contains(got.Body.String(), "secret") || got.Header().Get("Content-Disposition") != "" {
		t.Errorf("%v %s", got.Header(), got.Body)
	}
	s.log.fail(nil)
}

func TestAnExportThatFails(t *testing.T) {
	t.Run("before anything was sent it says why", func(t *testing.T) {
		s, f := serveStatistics(t)
		f.csv, f.errAfter = []string{"short\n"}, statistics.ErrTooMuch
		if got := s.get("/sessions/playback/export.csv?"+days, filmsToken, 422); strings.Contains(got.Body.String(), "short") {
			t.Errorf("%s", got.Body)
		}
		if lines := s.recorded(); strings.Contains(lines, EventGranted) {
			t.Errorf("on record is %s", lines)
		}
	})
	t.Run("half-way the connection does not look well", func(t *testing.T) {
		s, f := serveStatistics(t)
		f.csv, f.errAfter = []string{strings.Repeat("x", exportBuffer+1)}, statistics.ErrDown
		aborted := func() (p any) {
			defer func() { p = recover() }()
			s.ask(http.MethodGet, "/sessions/playback/export.csv?"+days, filmsToken)
			return nil
		}()
		if aborted != http.ErrAbortHandler {
			t.Errorf("the answer ended with %v", aborted)
		}
		if all := entries(t, s.recorded()); len(all) != 2 || all[1].Reason == "" {
			t.Errorf("on record is %+v", all)
		}
		if !strings.Contains(s.said.String(), "half") && !strings.Contains(s.said.String(), "not there just now") {
			t.Errorf("the log says %s", s.said)
		}
	})
}

func TestOneTokenExportsSoMuchAtOnce(t *testing.T) {
	s, _ := serveStatistics(t)
	for range streamsOfToken {
		done, _ := s.service.limits.streams.take("id-of-" + filmsToken)
		defer done()
	}
	s.get("/sessions/playback/export.csv?"+days, filmsToken, 429)
	s.get("/sessions/playback/export.csv?"+days, adminToken, 200)
}
