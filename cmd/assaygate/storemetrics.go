package main

import (
	"context"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/assaygate/assaygate/device/board"
	"github.com/assaygate/assaygate/envelope/spool"
)

// storeMetrics asks store and card at each scrape: what they hold is in no
// counter that a restart could lose. While the store is closed, what only it
// knows is left out: an alert on what waits must not see old figures, nor zeros.
type storeMetrics struct {
	of *daemon

	// Of the store, by destination and as a whole.
	pending, oldest, parked, unconfirmed           *prometheus.Desc
	confirmed, delivered, dropped, held            *prometheus.Desc
	bytes, pruned, damaged, auditRows, auditHead   *prometheus.Desc
	sealed                                         *prometheus.Desc
	failed, readOnly, free, clock, errors, wornOut *prometheus.Desc
}

func newStoreMetrics(of *daemon) *storeMetrics {
	describe := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(name, help, labels, nil)
	}
	return &storeMetrics{
		of:          of,
		pending:     describe("assaygate_pending", "Messages that wait for a destination", "destination"),
		oldest:      describe("assaygate_oldest_pending_seconds", "Age of the oldest of them, 0 for none", "destination"),
		parked:      describe("assaygate_parked", "Messages set aside for a person", "destination"),
		unconfirmed: describe("assaygate_unconfirmed", "Delivered messages whose results the LIMS does not show", "destination"),
		confirmed:   describe("assaygate_confirmed", "Kept messages whose results the LIMS shows", "destination"),
		delivered:   describe("assaygate_delivered", "Kept messages that the destination has received", "destination"),
		dropped:     describe("assaygate_dropped", "Kept messages that the destination does not get", "destination"),
		held:        describe("assaygate_held", "1 while the destination's messages are held until something is put right", "destination"),
		bytes:       describe("assaygate_spool_bytes", "Size of the store"),
		pruned:      describe("assaygate_pruned_total", "Finished messages that were removed to keep to keep_days and keep_size, or for room on the card"),
		damaged:     describe("assaygate_damaged", "Stored messages whose checksum does not fit, or that of a delivery, as found since the store was opened"),
		sealed:      describe("assaygate_sealed_messages", "Messages in stores that factory resets have set aside, for their owner's key to open or a person to erase"),
		auditRows:   describe("assaygate_audit_rows", "Number of the audit trail's newest row"),
		auditHead:   describe("assaygate_audit_head", "The first 13 hex digits of that row's hash, as a number"),
		failed:      describe("assaygate_store_failed", "1 while nothing can be stored; /readyz says why"),
		readOnly:    describe("assaygate_store_read_only", "1 while the file system of the store is read-only"),
		free:        describe("assaygate_disk_free_bytes", "Free space where the store is"),
		clock:       describe("assaygate_clock_set", "1 when the box knows the time"),
		errors:      describe("assaygate_card_errors_total", "Errors that the file system of the store has counted on its card"),
		wornOut:     describe("assaygate_card_life_used_ratio", "How much of its life an eMMC has used, in steps of 0.1", "kind"),
	}
}

// Describe implements prometheus.Collector.
func (m *storeMetrics) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		m.pending, m.oldest, m.parked, m.unconfirmed, m.confirmed, m.delivered, m.dropped, m.held, m.bytes,
		m.pruned, m.damaged, m.sealed, m.auditRows, m.auditHead, m.failed, m.readOnly, m.free, m.clock, m.errors, m.wornOut,
	} {
		out <- d
	}
}

// scrape takes the values of one scrape.
type scrape chan<- prometheus.Metric

func (out scrape) set(d *prometheus.Desc, value float64, labels ...string) {
	out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
}

// Collect implements prometheus.Collector.
func (m *storeMetrics) Collect(to chan<- prometheus.Metric) {
	out := scrape(to)
	out.set(m.clock, oneIf(m.of.clock.set()))
	out.set(m.failed, oneIf(m.of.storeTrouble() != nil))
	if free, known := diskFree(m.of.config().Spool.Directory); known {
		out.set(m.free, free)
	}
	m.collectCard(out, m.of.card())
	g, _ := m.of.standing.now()
	if g == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	// Where it cannot be read, it is about to be closed, or the log says why: the
	// other figures are then needed most.
	if status, err := g.store.Status(ctx); err == nil {
		m.collectStatus(out, status)
		head := g.store.AuditHead()
		out.set(m.auditRows, float64(head.Row))
		out.set(m.auditHead, headNumber(head.Hash))
	}
}

func (m *storeMetrics) collectCard(out scrape, card board.Card) {
	out.set(m.readOnly, oneIf(card.ReadOnly))
	if card.Counted {
		out <- prometheus.MustNewConstMetric(m.errors, prometheus.CounterValue, float64(card.Errors))
	}
	for kind, used := range card.Life {
		out.set(m.wornOut, used, kind)
	}
}

func (m *storeMetrics) collectStatus(out scrape, status spool.Status) {
	out.set(m.bytes, float64(status.Bytes))
	out.set(m.damaged, float64(status.Damaged))
	out.set(m.sealed, float64(sealedMessages(status.Sealed)))
	out <- prometheus.MustNewConstMetric(m.pruned, prometheus.CounterValue, float64(status.Pruned))
	for _, d := range status.Destinations {
		if !d.Active {
			continue
		}
		out.set(m.pending, float64(d.Pending), d.Name)
		out.set(m.oldest, d.OldestAge.Seconds(), d.Name)
		out.set(m.parked, float64(d.Parked), d.Name)
		out.set(m.unconfirmed, float64(d.Unconfirmed), d.Name)
		out.set(m.confirmed, float64(d.Confirmed), d.Name)
		out.set(m.delivered, float64(d.Delivered), d.Name)
		out.set(m.dropped, float64(d.Dropped), d.Name)
		out.set(m.held, oneIf(d.Held != ""), d.Name)
	}
}

// sealedMessages is how many messages were set aside. A store whose messages
// could not be counted has at least one.
func sealedMessages(list []spool.Sealed) (n int) {
	for _, sealed := range list {
		n += sealed.Messages
		if sealed.Problem != "" {
			n++
		}
	}
	return n
}

// headNumber is the beginning of a hash as a number: of 52 bits, which a float
// holds exactly. 0 where there is no hash.
func headNumber(hash string) float64 {
	const digits = 13
	n, err := strconv.ParseUint(hash[:min(digits, len(hash))], 16, 64)
	if err != nil {
		return 0
	}
	return float64(n)
}

func oneIf(is bool) float64 {
	if is {
		return 1
	}
	return 0
}
