package web

import (
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/playmeter/playmeter/reporter"
)

// Metrics are what Prometheus is told. They hold from the daemon's start.
type Metrics struct {
	registry *prometheus.Registry
	runs     *prometheus.CounterVec
	success  *prometheus.GaugeVec
	tallied  prometheus.Counter
	files    prometheus.Gauge
	aside    prometheus.Gauge
	rejected *prometheus.GaugeVec
	missing  *prometheus.GaugeVec
	copies   *prometheus.GaugeVec
	restated *prometheus.CounterVec

	requests     *prometheus.CounterVec
	failures     *prometheus.CounterVec
	refused      prometheus.Counter
	auditDropped prometheus.Counter
	auditFailed  prometheus.Counter
}

// NewMetrics makes metrics of their own registry.
func NewMetrics(version string) *Metrics {
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		runs:     prometheus.NewCounterVec(prometheus.CounterOpts{Name: "playmeter_runs_total", Help: "Runs of one tenant and month, by result: done or failed."}, []string{"result"}),
		success:  prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "playmeter_last_success_timestamp_seconds", Help: "When a tenant's last run was done, Unix time."}, []string{"tenant"}),
		tallied:  prometheus.NewCounter(prometheus.CounterOpts{Name: "playmeter_files_tallied_total", Help: "Usage files counted."}),
		files:    prometheus.NewGauge(prometheus.GaugeOpts{Name: "playmeter_files", Help: "Usage files in the bucket at the last run."}),
		aside:    prometheus.NewGauge(prometheus.GaugeOpts{Name: "playmeter_files_set_aside", Help: "Usage files that cannot be read, at the last run."}),
		rejected: prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "playmeter_rows_rejected", Help: "Rejected rows of a tenant's month at its last run."}, []string{"tenant", "month"}),
		missing:  prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "playmeter_events_missing", Help: "Events that the nodes of a tenant's month numbered and that never came, over all tenants, at its last run."}, []string{"tenant", "month"}),
		copies:   prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "playmeter_rows_duplicate", Help: "Rows of a tenant's month left out as copies, at its last run."}, []string{"tenant", "month"}),
		restated: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "playmeter_restatements_total", Help: "Restatements made of a tenant's final months."}, []string{"tenant"}),

		requests:     prometheus.NewCounterVec(prometheus.CounterOpts{Name: "playmeter_http_requests_total", Help: "Requests answered, by route and class of status: 2xx, 3xx, 4xx, 5xx."}, []string{"route", "status"}),
		failures:     prometheus.NewCounterVec(prometheus.CounterOpts{Name: "playmeter_sign_in_failures_total", Help: "Requests whose token was missing, malformed, unknown, expired or revoked, or not looked at because too many had failed (limited)."}, []string{"reason"}),
		refused:      prometheus.NewCounter(prometheus.CounterOpts{Name: "playmeter_connections_refused_total", Help: "Connections closed at once, because their client had as many as one may have."}),
		auditDropped: prometheus.NewCounter(prometheus.CounterOpts{Name: "playmeter_audit_lines_dropped_total", Help: "Lines of who was refused what, or how much was sent, that are lost."}),
		auditFailed:  prometheus.NewCounter(prometheus.CounterOpts{Name: "playmeter_audit_writes_failed_total", Help: "Objects of the log of who fetched what that the store did not take; what waited for them was not handed out."}),
	}
	build := prometheus.NewGauge(prometheus.GaugeOpts{Name: "playmeter_build_info", Help: "Always 1.", ConstLabels: prometheus.Labels{"version": version}})
	build.Set(1)
	m.registry.MustRegister(m.runs, m.success, m.tallied, m.files, m.aside, m.rejected, m.missing, m.copies, m.restated, build,
		m.requests, m.failures, m.refused, m.auditDropped, m.auditFailed,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	for _, result := range []string{"done", "failed"} {
		m.runs.WithLabelValues(result)
	}
	for _, reason := range []string{"missing", "malformed", "unknown", "expired", "revoked", "limited"} {
		m.failures.WithLabelValues(reason)
	}
	return m
}

// answered counts an answer; no status is one of no more than headers that were never written.
func (m *Metrics) answered(route string, status int) {
	if status == 0 {
		status = http.StatusOK
	}
	m.requests.WithLabelValues(route, strconv.Itoa(status/100)+"xx").Inc()
}

func (m *Metrics) failedSignIn(reason string) { m.failures.WithLabelValues(reason).Inc() }

func (m *Metrics) refusedConnection() { m.refused.Inc() }

// Observe takes in what came of a scheduled run, at now; a nil result means that
// nothing could be done.
func (m *Metrics) Observe(result *reporter.Result, err error, now time.Time) {
	if err != nil || result == nil {
		m.runs.WithLabelValues("failed").Inc()
		return
	}
	m.tallied.Add(float64(result.Counted))
	m.files.Set(float64(result.Files))
	m.aside.Set(float64(len(result.Aside)))
	for i := range result.Tenants {
		t := &result.Tenants[i]
		if t.Err != nil {
			m.runs.WithLabelValues("failed").Inc()
			continue
		}
		m.runs.WithLabelValues("done").Inc()
		m.success.WithLabelValues(string(t.Tenant)).Set(float64(now.Unix()))
		if t.Manifest != nil {
			m.observeMonth(t)
		}
	}
}

func (m *Metrics) observeMonth(t *reporter.TenantResult) {
	tenant, month := string(t.Tenant), t.Period.String()
	missing := int64(0)
	for _, n := range t.Manifest.Nodes {
		missing += n.Missing
	}
	m.rejected.WithLabelValues(tenant, month).Set(float64(t.Rejected()))
	m.missing.WithLabelValues(tenant, month).Set(float64(missing))
	m.copies.WithLabelValues(tenant, month).Set(float64(t.Manifest.Events.Duplicates))
	if t.Restatement > 0 {
		m.restated.WithLabelValues(tenant).Inc()
	}
}

func (m *Metrics) handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{Registry: m.registry})
}
