package web

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/playmeter/playmeter/intake"
)

// intakeMetrics tell what is taken in and what waits, as it is when they are asked for.
type intakeMetrics struct {
	in  *intake.Intake
	log *intake.Log

	events, posts, refused, bytes, most, oldest, up *prometheus.Desc
}

// Intake adds the metrics of an intake and its log.
func (m *Metrics) Intake(in *intake.Intake, log *intake.Log) {
	describe := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("playmeter_intake_"+name, help, labels, nil)
	}
	m.registry.MustRegister(&intakeMetrics{in: in, log: log,
		events:  describe("events_total", "Posted events that were taken in, by route.", "route"),
		posts:   describe("posts_total", "Posts, by route and what became of them: stored, refused (all events of them), bad, unsigned, busy, full, disk or log.", "route", "result"),
		refused: describe("events_refused_total", "Posted events that were refused, by reason.", "reason"),
		bytes:   describe("log_bytes", "What waits in the log of posted events for a usage file."),
		most:    describe("log_bytes_max", "What the log of posted events may hold."),
		oldest:  describe("log_oldest_seconds", "How long the oldest posted event has waited for a usage file."),
		up:      describe("up", "1 where posted events are taken in, 0 where something keeps them out."),
	})
}

// Describe is prometheus.Collector's.
func (m *intakeMetrics) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{m.events, m.posts, m.refused, m.bytes, m.most, m.oldest, m.up} {
		to <- d
	}
}

// Collect is prometheus.Collector's.
func (m *intakeMetrics) Collect(to chan<- prometheus.Metric) {
	counter := func(d *prometheus.Desc, n int64, labels ...string) {
		to <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(n), labels...)
	}
	gauge := func(d *prometheus.Desc, v float64) { to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v) }
	counted := m.in.Counts.Now()
	for route, n := range counted.Accepted {
		counter(m.events, n, route)
	}
	for outcome, n := range counted.Posts {
		counter(m.posts, n, outcome.Route, outcome.Result)
	}
	for reason, n := range counted.Refused {
		counter(m.refused, n, reason)
	}
	ctx, cancel := context.WithTimeout(context.Background(), readyTime)
	defer cancel()
	s, err := m.log.State(ctx)
	if err != nil || s.Trouble != "" {
		gauge(m.up, 0)
	} else {
		gauge(m.up, 1)
	}
	if err != nil {
		return
	}
	gauge(m.bytes, float64(s.Bytes))
	gauge(m.most, float64(s.Most))
	age := 0.0
	if !s.Oldest.IsZero() {
		age = time.Since(s.Oldest).Seconds()
	}
	gauge(m.oldest, age)
}
