package main

import (
	"strings"
	"testing"
)

// The page on updates, as it is before, while and after one: also with a reason that is a
// single long word, and on a telephone.
func TestBrowserUpdate(t *testing.T) {
	chromiumProgram(t)
	box := newToldBox(t)
	r := startOn(t, bareBoard(t), func(d *daemon) {
		d.updates = box.places
		d.console = d.newConsole()
	})
	b := r.browse()
	const wayBack = `"other": {"slot": "B", "good": true, "version": "1.4.1"}`
	box.status(wayBack)
	b.visit("/")
	b.pressIn("nav", "Update")
	b.wants("1.4.2, in slot A", "slot B: 1.4.1", "!Last update", "!is not the box")

	box.status(wayBack + `, "phase": "downloading", "percent": 40, "offered": "1.5.0"`)
	b.visit("/update")
	b.wants("downloading, 40%", "1.5.0")

	box.status(wayBack)
	box.outcome("fell-back", "the store does not open: "+strings.Repeat("x", 500))
	b.visit("/update")
	b.wants("version 1.5.0 was tried, and the box went back to 1.4.2", "the store does not open", "!downloading")
}
