package main

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/assaygate/assaygate/envelope/spool"
)

// storeMetrics asks the store at each scrape: what it holds is in no counter
// that a restart could lose.
type storeMetrics struct {
	store    *spool.Spool
	diskFree func() (bytes float64, known bool)
	clockSet func() bool

	pending, oldest, parked, unconfirmed *prometheus.Desc
	bytes, free, clock                   *prometheus.Desc
}

func newStoreMetrics(store *spool.Spool, diskFree func() (float64, bool), clockSet func() bool) *storeMetrics {
	describe := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(name, help, labels, nil)
	}
	return &storeMetrics{
		store: store, diskFree: diskFree, clockSet: clockSet,
		pending:     describe("assaygate_pending", "Messages that wait for a destination", "destination"),
		oldest:      describe("assaygate_oldest_pending_seconds", "Age of the oldest of them, 0 for none", "destination"),
		parked:      describe("assaygate_parked", "Messages set aside for a person", "destination"),
		unconfirmed: describe("assaygate_unconfirmed", "Delivered messages whose results the LIMS does not show", "destination"),
		bytes:       describe("assaygate_spool_bytes", "Size of the store"),
		free:        describe("assaygate_disk_free_bytes", "Free space where the store is"),
		clock:       describe("assaygate_clock_set", "1 when the box knows the time"),
	}
}

// Describe implements prometheus.Collector.
func (m *storeMetrics) Describe(out chan<- *prometheus.Desc) { prometheus.DescribeByCollect(m, out) }

// Collect implements prometheus.Collector.
func (m *storeMetrics) Collect(out chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, value float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
	}
	set := 0.0
	if m.clockSet() {
		set = 1
	}
	gauge(m.clock, set)
	if free, known := m.diskFree(); known {
		gauge(m.free, free)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	status, err := m.store.Status(ctx)
	if err != nil {
		out <- prometheus.NewInvalidMetric(m.pending, err)
		return
	}
	gauge(m.bytes, float64(status.Bytes))
	for _, d := range status.Destinations {
		if !d.Active {
			continue
		}
		gauge(m.pending, float64(d.Pending), d.Name)
		gauge(m.oldest, d.OldestAge.Seconds(), d.Name)
		gauge(m.parked, float64(d.Parked), d.Name)
		gauge(m.unconfirmed, float64(d.Unconfirmed), d.Name)
	}
}
