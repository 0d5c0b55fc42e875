package main

import (
	"runtime"
	"strconv"
	"time"

	"github.com/assaygate/assaygate/device/console"
)

// consoleUpdate is what the console shows of the program that runs.
func (d *daemon) consoleUpdate() console.Update {
	u := console.Update{
		Facts:       programFacts,
		Unavailable: "Updates of a box are not active in this version. On a computer of your own a new version is a new file: put it in place of the old one and restart the gateway.",
	}
	return u
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
