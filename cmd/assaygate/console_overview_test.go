package main

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

// What a person at the console should know of the box; of each its opposite is
// quiet.
func TestWhatTheConsoleSaysOfTheBox(t *testing.T) {
	for name, test := range map[string]struct {
		text   string
		change func(*daemon)
		want   string // "": nothing
	}{
		"no stick is read": {text: "version: 1\n"},
		"no owner":         {text: "version: 1\nconfig_drive: {directory: /run/stick}\n", want: "has no owner"},
		"an owner": {text: "version: 1\nconfig_drive: {directory: /run/stick}\nowner: {public_key: " +
			"11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=}\n"},
		"a file that is refused": {text: "version: 1\n", change: func(d *daemon) { d.refuse(errors.New("spoilt")) }, want: "cannot be used"},
	} {
		t.Run(name, func(t *testing.T) {
			config, err := parseConfig([]byte(test.text), "test")
			if err != nil {
				t.Fatal(err)
			}
			d := newDaemon(config, newLog(config.Log, &lockedBuffer{}))
			if test.change != nil {
				test.change(d)
			}
			notes := strings.Join(d.boxNotes(), "\n")
			if test.want == "" && notes != "" || !strings.Contains(notes, test.want) {
				t.Errorf("says %q", notes)
			}
		})
	}
}

// A line that the box has to open itself tells why it cannot.
func TestTheOverviewSaysWhyALineIsDown(t *testing.T) {
	directory := t.TempDir()
	r := start(t, base(directory)+fmt.Sprintf(`
instruments:
  - {name: unplugged, serial: {port: /dev/ttyNOT9}}
  - {name: off, astm: {dial: %q}}
destinations: [{name: files, capture: {directory: %q}}]
`, freePort(t), directory+"/captures"))
	for i, want := range []string{"/dev/ttyNOT9", "refused"} {
		eventually(t, "the overview says: "+want, func() bool {
			line := r.instruments()[i]
			return !line.Up && strings.Contains(line.Problem, want)
		})
	}
}
