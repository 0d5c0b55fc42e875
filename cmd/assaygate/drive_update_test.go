package main

import (
	"strings"
	"testing"
	"time"

	"github.com/assaygate/assaygate/device/configdrive"
)

// The first line of a report says what a person has to know of an update: the one
// who looks no further must not take a release for installed that is not.
func TestFirstLineOfUpdates(t *testing.T) {
	const (
		looked  = `"sources": [{"name": "https://updates.example.org"}, {"name": "stick", "local": true, "checked": "2031-05-04T08:00:00Z"`
		failing = "the last update did not succeed"
	)
	for name, test := range map[string]struct {
		release bool
		files   func(b *toldBox)
		want    string
	}{
		"no update":  {false, func(b *toldBox) { b.status(looked + `}]`) }, "All is well."},
		"installed":  {true, func(b *toldBox) { b.status(looked + `}]`); b.outcome("installed", "") }, "All is well."},
		"fell back":  {false, func(b *toldBox) { b.status(looked + `}]`); b.outcome("fell-back", "x") }, "Not all is well: " + failing + " (see Updates)."},
		"refused":    {true, func(b *toldBox) { b.status(looked + `}]`); b.outcome("refused", "x") }, "Not all is well: " + failing + " (see Updates)."},
		"a new word": {false, func(b *toldBox) { b.outcome("postponed", "x") }, "Not all is well: " + failing + " (see Updates)."},
		"another fleet": {
			true, func(b *toldBox) { b.status(looked + `, "error": "not signed by the keys that this box trusts"}]`) },
			"Not all is well: the release on this stick cannot be taken (see Updates).",
		},
		"refused before": {
			true, func(b *toldBox) {
				b.status(`"offered": "1.5.0", "offered_from": "stick", "why": "not installed again", ` + looked + `}]`)
			},
			"Not all is well: version 1.5.0 is not installed (see Updates).",
		},
		"one of the network that waits": {
			true, func(b *toldBox) {
				b.status(`"offered": "1.6.0", "offered_from": "https://updates.example.org", "why": "waits for its wave", ` + looked + `}]`)
			},
			"All is well.",
		},
		"none for this board": {
			true, func(b *toldBox) { b.status(looked + `, "warnings": ["none for this box"]}]`) },
			"Not all is well: nothing is installed of the release on this stick (see Updates).",
		},
		"at work": {
			true, func(b *toldBox) {
				b.status(`"phase": "installing", "offered": "1.5.0", "offered_from": "stick", ` + looked + `}]`)
			},
			"The box is at work on version 1.5.0: leave the stick in (see Updates).",
		},
		"not looked at": {
			true, func(b *toldBox) { b.status(`"sources": [{"name": "stick", "checked": "2031-05-04T07:59:59Z"}]`) },
			"The box looks at the release on this stick: leave the stick in (see Updates).",
		},
		"updates that are off": {
			true, func(b *toldBox) { b.status(`"off": "no root of trust"`) },
			"Not all is well: this box takes no updates, and so not the release on this stick (see Updates).",
		},
		"no agent": {
			true, func(*toldBox) {},
			"Not all is well: the update agent does not run, so nothing is done with the release on this stick (see Updates).",
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := newToldBox(t)
			test.files(b)
			s := &sticks{d: b.d, owns: b.d.ownership(), begun: time.Date(2031, 5, 4, 8, 0, 0, 0, time.UTC)}
			report := s.report(t.Context(), configdrive.Handled{Content: configdrive.Content{Release: test.release}})
			if report.Verdict != test.want {
				t.Errorf("%q, want %q", report.Verdict, test.want)
			}
			leave := strings.Contains(string(report.Text()), "Leave the stick in.")
			if want := strings.Contains(test.want, "leave the stick in"); leave != want {
				t.Errorf("what to do next says to leave it in: %t, want %t", leave, want)
			}
		})
	}
}

// A report that said that the box is at work is written anew once that is over, and not
// for each percent on the way.
func TestReportOfAnUpdateGoesStale(t *testing.T) {
	b := newToldBox(t)
	s := &sticks{d: b.d, owns: b.d.ownership(), begun: time.Date(2031, 5, 4, 8, 0, 0, 0, time.UTC)}
	const stick = `"offered": "1.5.0", "offered_from": "stick", "sources": [{"name": "stick", "checked": "2031-05-04T08:00:00Z"}]`
	b.status(`"phase": "downloading", "percent": 4, ` + stick)
	s.report(t.Context(), configdrive.Handled{Content: configdrive.Content{Release: true}})
	b.status(`"phase": "installing", "percent": 40, ` + stick)
	if s.stale() {
		t.Error("a report is written anew for each percent")
	}
	b.status(stick)
	b.outcome("refused", "unsigned")
	if !s.stale() {
		t.Error("the report goes on saying that the box is at work")
	}
	s.report(t.Context(), configdrive.Handled{})
	b.outcome("installed", "")
	if s.stale() {
		t.Error("a stick without a release is written to for what came over the network")
	}
}

// A new configuration beside a release that cannot be taken is not all that there is to say.
func TestFirstLineOfAConfigurationBesideARelease(t *testing.T) {
	const done = "the new configuration runs"
	for want, line := range map[string]updateLine{
		"All is well: the new configuration runs.":                                           {},
		"Not all is well: the new configuration runs, but x is not installed (see Updates).": {wrong: "x is not installed"},
		"The new configuration runs, and the box is at x: leave the stick in (see Updates).": {busy: "the box is at x"},
	} {
		if got := line.beside(done); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
