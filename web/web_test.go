package web

import (
	"context"
	"errors"
	"io"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/playmeter/playmeter/reporter"
	"github.com/playmeter/playmeter/schemas"
)

func newSite(ready error) *Site {
	now := time.Date(2026, 10, 14, 9, 0, 0, 0, time.UTC)
	return &Site{Version: "v1", Started: now.Add(-90 * time.Minute), Store: "http://127.0.0.1:9000", Metrics: NewMetrics("v1"),
		Ready: func(context.Context) error { return ready },
		Runs: func(now time.Time) []NextRun {
			return []NextRun{{"iten1", "<b>Bold & Co</b>", "17 * * * *", now.Add(17 * time.Minute)}}
		},
		Now: func() time.Time { return now }, Reports: new(reporter.Reporter)}
}

func get(s *Site, host, path string) (int, string) {
	r := httptest.NewRequest("GET", path, nil)
	r.Host, r.RemoteAddr = host, "127.0.0.1:4711"
	w := httptest.NewRecorder()
	s.Handler().ServeHTTP(w, r)
	body, _ := io.ReadAll(w.Result().Body)
	return w.Code, string(body)
}

func TestPages(t *testing.T) {
	down := errors.New("the store does not answer")
	tests := []struct {
		name, host, path string
		ready            error
		code             int
		want             string
	}{
		{"it lives", "127.0.0.1:8080", "/healthz", nil, 200, "ok\n"},
		{"it lives though it is not ready", "localhost", "/healthz", down, 200, "ok\n"},
		{"it is ready", "localhost:8080", "/readyz", nil, 200, "ready\n"},
		{"it is not ready and says why", "[::1]:8080", "/readyz", down, 503, "not ready: the store does not answer"},
		{"the page says since when it is up", "127.0.0.1", "/", nil, 200, "2026-10-14 07:30:00"},
		{"the page says where the object store is", "127.0.0.1", "/", nil, 200, "<code>http://127.0.0.1:9000</code>"},
		{"metrics", "127.0.0.1", "/metrics", nil, 200, `playmeter_runs_total{result="failed"} 0`},
		{"nothing else", "127.0.0.1", "/etc/passwd", nil, 404, "Nothing is found here"},
		{"another host's name", "evil.example.com", "/", nil, 403, "answer to 127.0.0.1"},
		{"an address that only begins like ours", "127.0.0.1.example.com", "/metrics", nil, 403, "answer to 127.0.0.1"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			code, body := get(newSite(tt.ready), tt.host, tt.path)
			if code != tt.code || !strings.Contains(body, tt.want) {
				t.Errorf("%d, want %d with %q:\n%s", code, tt.code, tt.want, body)
			}
		})
	}
}

func TestMetricsTellWhatRunsCameTo(t *testing.T) {
	s := newSite(nil)
	now := time.Unix(1_800_000_000, 0)
	period := schemas.PeriodOf(now)
	s.Metrics.Observe(&reporter.Result{Files: 7, Counted: 3, Aside: make([]reporter.Aside, 2), Tenants: []reporter.TenantResult{
		{Tenant: "a", Period: period, Restatement: 1, Manifest: &schemas.Manifest{Events: schemas.Events{Duplicates: 6, Rejected: map[string]int64{"no_node": 4, "bad_value": 1}},
			Nodes: []schemas.NodeEvents{{Node: "n1", Missing: 2}, {Node: "n2", Missing: 1}}}},
		{Tenant: "b", Period: period, Err: errors.New("nobody could read them")},
	}}, nil, now)
	s.Metrics.Observe(nil, errors.New("the store is away"), now)
	_, body := get(s, "localhost", "/metrics")
	for _, want := range []string{
		`playmeter_runs_total{result="done"} 1`, `playmeter_runs_total{result="failed"} 2`,
		`playmeter_last_success_timestamp_seconds{tenant="a"} 1.8e+09`, `playmeter_files_tallied_total 3`, "playmeter_files 7",
		"playmeter_files_set_aside 2", `playmeter_rows_rejected{month="2027-01",tenant="a"} 5`, `playmeter_build_info{version="v1"} 1`,
		`playmeter_events_missing{month="2027-01",tenant="a"} 3`, `playmeter_rows_duplicate{month="2027-01",tenant="a"} 6`, `playmeter_restatements_total{tenant="a"} 1`,
	} {
		if !strings.Contains(body, want+"\n") {
			t.Errorf("lacks %s", want)
		}
	}
	if strings.Contains(body, `tenant="b"`) {
		t.Error("a tenant whose run failed has a success")
	}
}

func TestCheckLoopback(t *testing.T) {
	for address, ok := range map[string]bool{
		"127.0.0.1:8080": true, "127.9.9.9:0": true, "[::1]:8080": true, "localhost:80": true,
		":8080": false, "0.0.0.0:8080": false, "[::]:80": false, "192.0.2.1:80": false, "example.com:80": false, "nonsense": false,
	} {
		if err := CheckLoopback(address, false); (err == nil) != ok {
			t.Errorf("%s: %v", address, err)
		}
	}
}
