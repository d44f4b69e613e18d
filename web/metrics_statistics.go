package web

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/playmeter/playmeter/statistics"
)

// statisticsMetrics tell how far the statistics follow the reports, as it is when they are asked for.
type statisticsMetrics struct {
	progress func() statistics.Progress

	passed, waiting, starts, up *prometheus.Desc
}

// Statistics adds the metrics of the statistics.
func (m *Metrics) Statistics(progress func() statistics.Progress) {
	describe := func(name, help string) *prometheus.Desc {
		return prometheus.NewDesc("playmeter_statistics_"+name, help, nil, nil)
	}
	m.registry.MustRegister(&statisticsMetrics{progress: progress,
		passed:  describe("followed_timestamp_seconds", "When everything that was committed had been loaded, last; 0: not yet since the start."),
		waiting: describe("sessions_to_load", "Sessions that are being loaded and are not there yet."),
		starts:  describe("starts_total", "Starts of the database's process; more than one: it ended unexpectedly, or its file was written anew."),
		up:      describe("up", "1 where what was committed is being followed, 0 where something is in the way."),
	})
}

// Describe is prometheus.Collector's.
func (m *statisticsMetrics) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{m.passed, m.waiting, m.starts, m.up} {
		to <- d
	}
}

// Collect is prometheus.Collector's.
func (m *statisticsMetrics) Collect(to chan<- prometheus.Metric) {
	p := m.progress()
	gauge := func(d *prometheus.Desc, v float64) { to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v) }
	passed, up := 0.0, 1.0
	if !p.Passed.IsZero() {
		passed = float64(p.Passed.UnixMilli()) / 1000
	}
	if p.Difficulty != "" {
		up = 0
	}
	gauge(m.passed, passed)
	gauge(m.waiting, float64(p.Of-p.Rows))
	gauge(m.up, up)
	to <- prometheus.MustNewConstMetric(m.starts, prometheus.CounterValue, float64(p.Starts))
}
