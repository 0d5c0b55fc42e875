package main

import (
	"fmt"
	"slices"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/assaygate/assaygate/device/port"
)

func TestModemMetrics(t *testing.T) {
	open := map[string]port.ModemLines{"xn": {CTS: true, RI: true}}
	registry := prometheus.NewRegistry()
	registry.MustRegister(modemMetrics{func() map[string]port.ModemLines { return open }})
	gathered := func() (list []string) {
		families, err := registry.Gather()
		if err != nil {
			t.Fatal(err)
		}
		for _, family := range families {
			for _, m := range family.GetMetric() {
				line := family.GetName()
				for _, label := range m.GetLabel() {
					line += " " + label.GetValue()
				}
				list = append(list, fmt.Sprint(line, " ", m.GetGauge().GetValue()))
			}
		}
		return list
	}
	want := []string{"assaygate_modem_line xn cts 1", "assaygate_modem_line xn dcd 0", "assaygate_modem_line xn dsr 0", "assaygate_modem_line xn ri 1"}
	if got := gathered(); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	open = nil // a port that is closed says nothing
	if got := gathered(); got != nil {
		t.Errorf("got %q", got)
	}
}
