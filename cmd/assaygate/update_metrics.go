package main

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/assaygate/assaygate/image/update/agent"
	"github.com/assaygate/assaygate/image/update/release"
)

// updateMetrics tell at each scrape what runs on a box, and how it stands with its updates.
// The update agent's words become no labels: what runs, the system says itself, and of the last
// update only a version that a release may have. There is one series at a time.
type updateMetrics struct{ d *daemon }

var (
	updateInfo = prometheus.NewDesc("assaygate_update_info",
		"Always 1; the labels tell the version that runs, its slot (A, B), which version the last update was about, and what became of it (none, installed, fell-back, refused, failed, unknown)",
		[]string{"version", "slot", "update", "outcome"}, nil)
	updateWayBack = prometheus.NewDesc("assaygate_update_way_back",
		"1 where the other slot holds a system that could be started, 0 where there is no way back from the one that runs", nil, nil)
	updateChecked = prometheus.NewDesc("assaygate_update_checked_timestamp_seconds",
		"When the repository of updates has answered last, Unix time; 0 where it has not since the update agent began", nil, nil)
)

// Describe implements prometheus.Collector.
func (u updateMetrics) Describe(to chan<- *prometheus.Desc) {
	to <- updateInfo
	to <- updateWayBack
	to <- updateChecked
}

// Collect implements prometheus.Collector. Where this is no box the slot is empty, and there was
// no update; the other two are left out, as they are where they are not known.
func (u updateMetrics) Collect(to chan<- prometheus.Metric) {
	tell := func(what *prometheus.Desc, value float64, labels ...string) {
		to <- prometheus.MustNewConstMetric(what, prometheus.GaugeValue, value, labels...)
	}
	known, err := u.d.updates.known()
	if err != nil {
		tell(updateInfo, 1, release.Plain(version), "", "", "none")
		return
	}
	started := u.d.updates.started()
	tell(updateInfo, 1, started.version, started.slot, known.updateLabel(), known.outcomeLabel())
	if s := known.status; s.Other.Name != "" && s.SlotsError == "" {
		back := 0.0
		if s.Other.Good {
			back = 1
		}
		tell(updateWayBack, back)
	}
	if updates := u.d.config().Update; updates != nil && updates.Repository != "" {
		checked := 0.0
		if !known.status.Checked.IsZero() {
			checked = float64(known.status.Checked.Unix())
		}
		tell(updateChecked, checked)
	}
}

// updateLabel is the release that the outcome is about, empty where there is none.
func (k knownUpdates) updateLabel() string {
	switch {
	case k.outcome == nil:
		return ""
	case !release.Valid(k.outcome.Version):
		return "unknown"
	}
	return release.Plain(k.outcome.Version)
}

// outcomeLabel keeps the set of the label closed: a word that is not known is a
// failure.
func (k knownUpdates) outcomeLabel() string {
	switch {
	case k.spoilt:
		return "unknown"
	case k.outcome == nil:
		return "none"
	}
	switch result := k.outcome.Result; result {
	case agent.Installed, agent.FellBack, agent.Refused:
		return string(result)
	}
	return string(agent.Failed)
}
