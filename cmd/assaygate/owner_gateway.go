package main

import "github.com/prometheus/client_golang/prometheus"

// ownership is what this gateway keeps of who owns its box.
func (d *daemon) ownership() ownership {
	o := ownership{config: d.changes.path}
	if state := d.dataState(); state.Late {
		o.hidden = state.Broken()
	}
	return o
}

// ownedMetric is 0 on a box that takes any stick.
func (d *daemon) ownedMetric() prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "assaygate_owned", Help: "1 when the box has an owner; 0 when it takes any stick",
	}, func() float64 {
		if key, err := d.ownership().of(d.config()); key == nil && err == nil {
			return 0
		}
		return 1
	})
}
