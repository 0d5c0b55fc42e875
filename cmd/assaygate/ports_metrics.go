package main

import (
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/assaygate/assaygate/device/port"
)

// modemMetrics tells the modem lines of the open serial ports at each scrape.
type modemMetrics struct {
	// open returns them by instrument.
	open func() map[string]port.ModemLines
}

// openModems asks the ports that have modem lines.
func (d *daemon) openModems() map[string]port.ModemLines {
	lines := map[string]port.ModemLines{}
	for _, held := range d.panel.Held() {
		if state, err := held.Modem(); err == nil { // not of drivers without them, and of ports that go just now
			lines[held.Owner] = state
		}
	}
	return lines
}

func modemDescription() *prometheus.Desc {
	return prometheus.NewDesc("assaygate_modem_line", "1 while the other side of a serial line holds this modem line on", []string{"instrument", "line"}, nil)
}

// Describe implements prometheus.Collector.
func (modemMetrics) Describe(to chan<- *prometheus.Desc) { to <- modemDescription() }

// Collect implements prometheus.Collector.
func (m modemMetrics) Collect(to chan<- prometheus.Metric) {
	for instrument, state := range m.open() {
		for _, line := range modemLines(state) {
			value := 0.0
			if line.on {
				value = 1
			}
			to <- prometheus.MustNewConstMetric(modemDescription(), prometheus.GaugeValue, value, instrument, strings.ToLower(line.name))
		}
	}
}
