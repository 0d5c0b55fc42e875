package main

import (
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/assaygate/assaygate/device/port"
)

// modemMetrics asks the open serial ports for their modem lines at each scrape.
type modemMetrics struct{ panel *port.Panel }

func modemDescription() *prometheus.Desc {
	return prometheus.NewDesc("assaygate_modem_line", "1 while the other side of a serial line holds this modem line on", []string{"instrument", "line"}, nil)
}

// Describe implements prometheus.Collector.
func (modemMetrics) Describe(to chan<- *prometheus.Desc) { to <- modemDescription() }

// Collect implements prometheus.Collector.
func (m modemMetrics) Collect(to chan<- prometheus.Metric) {
	for _, held := range m.panel.Held() {
		state, err := held.Modem()
		if err != nil {
			continue // drivers without modem lines, and ports that go just now
		}
		for _, line := range modemLines(state) {
			value := 0.0
			if line.on {
				value = 1
			}
			to <- prometheus.MustNewConstMetric(modemDescription(), prometheus.GaugeValue, value, held.Owner, strings.ToLower(line.name))
		}
	}
}
