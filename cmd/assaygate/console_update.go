package main

import (
	"errors"
	"runtime"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/assaygate/assaygate/device/console"
	"github.com/assaygate/assaygate/image/update/agent"
)

// consoleUpdate is what the console shows of the program that runs, and of the box's
// updates. It only reads: what is installed, and when, the update agent decides.
func (d *daemon) consoleUpdate() console.Update {
	u := console.Update{Facts: func() []console.Fact { return append(programFacts(), d.updateFacts()...) }}
	if _, err := d.updates.known(); errors.Is(err, errNoUpdates) {
		u.Unavailable = "This computer is not the box. On a computer of your own a new version is a new file: put it in place of the old one and restart the gateway."
	}
	return u
}

// updateFacts are what the update agent's files say; none where this is no box.
func (d *daemon) updateFacts() []console.Fact {
	known, err := d.updates.known()
	if errors.Is(err, errNoUpdates) {
		return nil
	}
	if err != nil {
		return []console.Fact{{Name: "Updates", Value: err.Error()}}
	}
	facts := []console.Fact{}
	for _, one := range known.facts() {
		if one.name == "Version" {
			one.name = "Runs" // the system's, which the program's stands above
		}
		facts = append(facts, console.Fact{Name: one.name, Value: one.value})
	}
	return facts
}

// updateLines are the same for the report of a stick.
func (d *daemon) updateLines() []string {
	known, err := d.updates.known()
	switch {
	case errors.Is(err, errNoUpdates):
		return nil
	case err != nil:
		return []string{err.Error()}
	}
	lines := []string{}
	for _, one := range known.facts() {
		lines = append(lines, one.name+": "+one.value)
	}
	return lines
}

// updateMetric is one series: the system that runs, its slot, and what became of the
// last update. Where this is no box the slot is empty, and there was no update.
type updateMetric struct{ d *daemon }

var updateInfo = prometheus.NewDesc("assaygate_update_info",
	"Always 1; the labels tell the version that runs, its slot (A, B), and what became of the last update (none, installed, fell-back, refused, failed)",
	[]string{"version", "slot", "outcome"}, nil)

// Describe implements prometheus.Collector.
func (u updateMetric) Describe(to chan<- *prometheus.Desc) { to <- updateInfo }

// Collect implements prometheus.Collector.
func (u updateMetric) Collect(to chan<- prometheus.Metric) {
	runs, slot, outcome := version, "", "none"
	if known, err := u.d.updates.known(); err == nil {
		runs, slot = known.status.Running.Version, known.status.Running.Slot
		if known.outcome != nil {
			outcome = outcomeLabel(known.outcome.Result)
		}
	}
	to <- prometheus.MustNewConstMetric(updateInfo, prometheus.GaugeValue, 1, runs, slot, outcome)
}

// outcomeLabel keeps the set of the label closed: a word that is not known is a
// failure.
func outcomeLabel(result agent.Result) string {
	switch result {
	case agent.Installed, agent.FellBack, agent.Refused:
		return string(result)
	}
	return string(agent.Failed)
}

// programFacts tell what runs.
func programFacts() []console.Fact {
	facts := []console.Fact{
		{Name: "Version", Value: version},
		{Name: "Commit", Value: commit},
		{Name: "Go", Value: runtime.Version()},
		{Name: "Target", Value: runtime.GOOS + "/" + runtime.GOARCH},
	}
	if seconds, err := strconv.ParseInt(buildTime, 10, 64); err == nil {
		facts = append(facts, console.Fact{Name: "Of", Value: time.Unix(seconds, 0).UTC().Format(time.DateOnly)})
	}
	return facts
}
