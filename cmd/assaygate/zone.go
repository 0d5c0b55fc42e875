package main

import "time"

// useZone makes the time zone of the box that of the process, before anything
// else runs: logs, console, reports and answers to instruments then show times
// in it. What is stored, delivered or named by a time stays in UTC.
func (b BoxSettings) useZone() {
	if b.Timezone == "" {
		return // the system's
	}
	if zone, err := time.LoadLocation(b.Timezone); err == nil { // else it is an error of the configuration
		time.Local = zone
	}
}

// sayZone tells of a change that the running process does not make.
func (d *daemon) sayZone(from, to BoxSettings) {
	if from.Timezone != to.Timezone {
		d.log.Warn("another time zone of the box is used from the next start on", "timezone", to.Timezone)
	}
}
