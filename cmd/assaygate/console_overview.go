package main

import "github.com/assaygate/assaygate/device/console"

// itself is what the console shows of the box, and can do there.
func (d *daemon) itself() console.Box {
	return console.Box{Notes: d.boxNotes, ClockSet: d.clock.set, SetClock: d.setClockBy}
}

// boxNotes are what a person should know of the box.
func (d *daemon) boxNotes() (notes []string) {
	if d.config().ConfigDrive != nil && !d.owned() {
		notes = append(notes, "This box has no owner: anybody can change it with a USB stick.")
	}
	if d.changes.refused() {
		notes = append(notes, "The configuration file cannot be used as it stands now, so another one runs; the log says what is wrong with it.")
	}
	return notes
}
