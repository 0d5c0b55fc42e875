package main

import (
	"math"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/assaygate/assaygate/device/instrument"
	"github.com/assaygate/assaygate/envelope"
	"github.com/assaygate/assaygate/envelope/spool"
)

// What assaygate health reads too.
const (
	noisyMetric = "assaygate_line_noisy"
	upMetric    = "assaygate_line_up"
)

// The outcomes of senaite_astm_messages_total, named as senaite.astm 2.0 does.
const (
	outcomeForwarded = "forwarded" // taken by a LIMS
	outcomeDropped   = "dropped"   // kept from the LIMS
)

// metrics are the gateway's counters. They are told of events by the lines and
// the destinations; what the store knows is asked for at each scrape.
type metrics struct {
	registry *prometheus.Registry
	started  time.Time

	senaite  *prometheus.CounterVec
	messages *prometheus.CounterVec
	up       *prometheus.GaugeVec
	open     *prometheus.GaugeVec
	sessions prometheus.Gauge
	commits  prometheus.Gauge
	now      activity
	naks     *prometheus.CounterVec
	serial   *prometheus.CounterVec
	queries  *prometheus.CounterVec
	noisy    *prometheus.GaugeVec
	last     *prometheus.GaugeVec
	commit   prometheus.Histogram
	delivery *prometheus.HistogramVec
	attempts *prometheus.CounterVec
	refused  prometheus.Gauge
	loaded   prometheus.Gauge
	denied   *prometheus.CounterVec

	arrivals chan struct{} // gets something when messages were stored; for the lights

	mu       sync.Mutex
	refusing error                // why the card did not take the last message; nil where it did
	lines    map[string]lineState // by instrument, for the console and the JSON of /stats
}

// Seconds from a card that answers at once to one that stalls.
var commitBuckets = []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10}

func newMetrics() *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		started:  time.Now(),
		lines:    map[string]lineState{},
		arrivals: make(chan struct{}, 1),
		senaite:  counters("senaite_astm_messages_total", "Messages by outcome", "outcome"),
		messages: counters("assaygate_messages_total", "Messages by instrument, protocol and outcome", "instrument", "protocol", "outcome"),
		up:       gauges(upMetric, "1 while the serial port is open, the dialled connection stands or the listener is bound", "instrument"),
		open:     gauges("assaygate_connections", "Open connections", "instrument"),
		sessions: gauge("assaygate_sessions_open", "Messages being received"),
		commits:  gauge("assaygate_commits_in_flight", "Messages on their way to the card"),
		naks:     counters("assaygate_negative_acks_total", "Negative acknowledgements and refused connections by reason", "instrument", "reason"),
		queries:  counters("assaygate_queries_total", "Queries of instruments by what became of them", "instrument", "outcome"),
		serial:   counters("assaygate_serial_errors_total", "Errors that the serial driver counted", "instrument", "kind"),
		noisy:    gauges(noisyMetric, "1 while bytes or frames arrive damaged again and again", "instrument"),
		last:     gauges("assaygate_last_message_timestamp_seconds", "When the last whole message was stored, Unix time", "instrument"),
		commit:   prometheus.NewHistogram(prometheus.HistogramOpts{Name: "assaygate_commit_seconds", Help: "How long a message takes to be durable", Buckets: commitBuckets}),
		delivery: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "assaygate_delivery_seconds", Help: "How long a delivery takes", Buckets: commitBuckets}, []string{"destination"}),
		attempts: counters("assaygate_delivery_attempts_total", "Deliveries tried by result", "destination", "result"),
		refused:  gauge("assaygate_config_refused", "1 while the configuration as it stands in its files is wrong, so that an earlier one is in use"),
		denied:   counters("assaygate_http_refused_total", "Connections and requests that console or admin endpoint did not let in", "server", "reason"),
		loaded:   gauge("assaygate_config_loaded_timestamp_seconds", "When the configuration in use was taken, Unix time"),
	}
	uptime := prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "senaite_astm_uptime_seconds", Help: "Seconds since the start"}, func() float64 {
		return math.Floor(time.Since(m.started).Seconds())
	})
	build := gauges("assaygate_build_info", "Always 1; the labels tell the build", "version", "commit")
	build.WithLabelValues(version, commit).Set(1)
	m.registry.MustRegister(m.senaite, uptime, m.messages, m.up, m.open, m.sessions, m.commits, m.naks, m.serial, m.queries, m.noisy, m.last, m.commit, m.delivery, m.attempts, m.refused, m.loaded, m.denied, build)
	for _, outcome := range []string{instrument.Received, instrument.Parsed, outcomeForwarded, outcomeDropped, instrument.Rejected} {
		m.senaite.WithLabelValues(outcome)
	}
	for _, server := range []string{adminServer, consoleServer} {
		for _, reason := range serverRefusals() {
			m.denied.WithLabelValues(server, reason)
		}
	}
	return m
}

func counters(name, help string, labels ...string) *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
}

func gauges(name, help string, labels ...string) *prometheus.GaugeVec {
	return prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: help}, labels)
}

func gauge(name, help string) prometheus.Gauge {
	return prometheus.NewGauge(prometheus.GaugeOpts{Name: name, Help: help})
}

// expect makes the closed label sets of an instrument start at 0.
func (m *metrics) expect(name string, protocol envelope.Protocol) {
	for _, outcome := range []string{instrument.Received, instrument.Parsed, instrument.Rejected, instrument.Incomplete, instrument.Queried} {
		m.messages.WithLabelValues(name, string(protocol), outcome)
		if protocol == envelope.ASTM { // makers' packets come over such lines too
			m.messages.WithLabelValues(name, string(envelope.Vendor), outcome)
		}
	}
	for _, reason := range instrument.NegativeAckReasons(protocol) {
		m.naks.WithLabelValues(name, reason)
	}
	for _, outcome := range instrument.QueryOutcomes() {
		m.queries.WithLabelValues(name, outcome)
	}
	m.up.WithLabelValues(name)
	m.noisy.WithLabelValues(name)
	m.open.WithLabelValues(name)
	m.last.WithLabelValues(name)
}

func (m *metrics) configLoaded(at time.Time) { m.loaded.Set(unixSeconds(at)) }

// forget removes what is known of an instrument that there is no longer.
func (m *metrics) forget(name string) {
	of := map[string]string{"instrument": name}
	for _, vector := range []interface {
		DeletePartialMatch(prometheus.Labels) int
	}{m.messages, m.up, m.open, m.naks, m.serial, m.queries, m.noisy, m.last} {
		vector.DeletePartialMatch(of)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.lines, name)
}

// forgetDestination is the same for a destination.
func (m *metrics) forgetDestination(name string) {
	of := map[string]string{"destination": name}
	m.attempts.DeletePartialMatch(of)
	m.delivery.DeletePartialMatch(of)
}

// Message implements instrument.Observer.
func (m *metrics) Message(name string, protocol envelope.Protocol, outcome string) {
	m.messages.WithLabelValues(name, string(protocol), outcome).Inc()
	if outcome == instrument.Incomplete || outcome == instrument.Queried {
		return
	}
	m.senaite.WithLabelValues(outcome).Inc()
	if outcome == instrument.Received {
		now := time.Now()
		m.last.WithLabelValues(name).Set(unixSeconds(now))
		m.change(name, func(s *lineState) { s.messages++; s.last = now })
		select {
		case m.arrivals <- struct{}{}:
		default:
		}
	}
}

// Query implements instrument.Observer.
func (m *metrics) Query(name, outcome string) { m.queries.WithLabelValues(name, outcome).Inc() }

// NegativeAck implements instrument.Observer.
func (m *metrics) NegativeAck(name, reason string) {
	m.naks.WithLabelValues(name, reason).Inc()
	m.change(name, func(s *lineState) { s.refused++; s.refusal = reason })
}

// SerialErrors implements instrument.Observer.
func (m *metrics) SerialErrors(name, kind string, n uint64) {
	m.serial.WithLabelValues(name, kind).Add(float64(n))
	m.change(name, func(s *lineState) { s.errors += n })
}

// Noisy is told when a line becomes noisy, and when it is quiet again.
func (m *metrics) Noisy(name string, noisy bool) {
	value := 0.0
	if noisy {
		value = 1
	}
	m.noisy.WithLabelValues(name).Set(value)
	m.change(name, func(s *lineState) { s.noisy = noisy })
}

// Up implements instrument.Observer.
func (m *metrics) Up(name string, up bool) {
	value := 0.0
	if up {
		value = 1
	}
	m.up.WithLabelValues(name).Set(value)
	m.change(name, func(s *lineState) { s.up = up })
}

func unixSeconds(t time.Time) float64 { return float64(t.UnixMicro()) / 1e6 }

// Connections implements instrument.Observer.
func (m *metrics) Connections(name string, delta int) {
	m.open.WithLabelValues(name).Add(float64(delta))
	m.change(name, func(s *lineState) { s.connections += delta })
}

// Sessions implements instrument.Observer.
func (m *metrics) Sessions(delta int) {
	m.sessions.Add(float64(delta))
	m.now.sessions.Add(int64(delta))
}

// Commits implements instrument.Observer.
func (m *metrics) Commits(delta int) {
	m.commits.Add(float64(delta))
	m.now.commits.Add(int64(delta))
}

// Committed implements instrument.Observer.
func (m *metrics) Committed(took time.Duration) {
	m.commit.Observe(took.Seconds())
	m.setRefusing(nil)
}

// NotCommitted implements instrument.Observer. A full card is left out: when
// there is room again, the store says.
func (m *metrics) NotCommitted(err error) {
	if fault := spool.FaultOf(err); fault != "" && fault != spool.CardFull {
		m.setRefusing(err)
	}
}

func (m *metrics) setRefusing(why error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.refusing = why
}

// refusal is why the card did not take the last message, nil where it did.
func (m *metrics) refusal() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.refusing
}

// lineState is what the console shows of an instrument's line.
type lineState struct {
	up          bool
	noisy       bool
	connections int
	messages    uint64
	last        time.Time // zero for never
	refused     uint64    // negative acknowledgements and refused connections
	refusal     string    // why the last one was refused
	errors      uint64    // of the serial driver
}

// state returns the state of the named instrument.
func (m *metrics) state(name string) lineState {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.lines[name]
}

func (m *metrics) change(name string, by func(*lineState)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	state := m.lines[name]
	by(&state)
	m.lines[name] = state
}

var _ instrument.Observer = (*metrics)(nil)
