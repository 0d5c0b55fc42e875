package main

import (
	"runtime"
	"strconv"
	"time"

	"github.com/assaygate/assaygate/device/console"
)

// consoleUpdate is what the console shows of the program that runs, and of the box's
// updates. It only reads: what is installed, and when, the update agent decides.
func (d *daemon) consoleUpdate() console.Update {
	u := console.Update{
		Facts: func() []console.Fact { return append(programFacts(), d.updateFacts()...) },
		Status: func() any {
			known, _ := d.updates.known() // this is the box
			return known.status
		},
	}
	if _, err := d.updates.known(); err != nil {
		u.Unavailable = "This computer is not the box. On a computer of your own a new version is a new file: put it in place of the old one and restart the gateway."
	}
	return u
}

// updateFacts are what the update agent's files say; none where this is no box.
func (d *daemon) updateFacts() []console.Fact {
	known, err := d.updates.known()
	if err != nil {
		return nil
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
	if err != nil {
		return nil
	}
	lines := []string{}
	for _, one := range known.facts() {
		lines = append(lines, one.name+": "+one.value)
	}
	return lines
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
