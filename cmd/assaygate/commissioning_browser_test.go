//go:build unix

package main

import (
	"strings"
	"testing"

	"github.com/assaygate/assaygate/device/commission"
	"github.com/assaygate/assaygate/envelope/spool"
)

// openCheck goes to the check of a line as a person does.
func (b *tab) openCheck(instrument string) {
	b.t.Helper()
	b.visit("/commission")
	b.pressIn("main", instrument)
	b.see("No fault so far")
}

// Whoever stands before an analyser that does not send reads at the top of the page
// which layer is at fault, and what to do.
func TestBrowserCommissioningNamesEachFaultByItsLayer(t *testing.T) {
	chromiumProgram(t)
	for _, planted := range plantedFaults() {
		t.Run(planted.name, func(t *testing.T) {
			t.Parallel()
			r, act := planted.start(t)
			b := r.browse()
			b.visit("/commission")
			b.pressIn("main", "analyser")
			act(t)
			if planted.said {
				b.press("The analyser has sent")
			}
			b.see("At fault: ")
			b.see(planted.seen)
			eventually(t, "one layer is at fault, "+string(planted.at), func() bool {
				return strings.Join(evaluate[[]string](b, faultyRows), " ") == "layer-"+string(planted.at)
			})
			if top := b.textOf("#conclusion"); !strings.Contains(top, planted.seen) || !strings.Contains(top, "\n") {
				t.Errorf("the page says at its top %q", top)
			}
			b.inspect()
		})
	}
}

// faultyRows are the layers that the page shows as faulty.
const faultyRows = `[...document.querySelectorAll('.layers tr')].filter(r => r.querySelector('.verdict')?.innerText === 'fault').map(r => r.id)`

// A check ends with a report to print, which holds nothing of a message but the id
// of its sample, and which the audit tells of.
func TestBrowserCommissioningReport(t *testing.T) {
	withAndWithoutScripts(t, func(t *testing.T, open func(*running) *tab) {
		r, line, _ := serialLine(t)
		b := open(r)
		b.visit("/commission")
		b.pressIn("main", "analyser")
		b.wants("waits at")
		sends(t, line, sessionOf(knownText("S-4711"))...)
		eventually(t, "all is well", func() bool {
			if b.mute {
				b.press("Look again")
			}
			return b.has("All is well")
		})
		b.press("Report to print")
		b.wants("All is well", "S-4711", "9600 8N1", "Serial port", "Signature", "!5.1", "!mmol")
		if b.offers("Print") == b.mute {
			t.Errorf("offers to print: %v, without scripts: %v", !b.mute, b.mute)
		}
		b.visit("/audit")
		b.wants(string(spool.ReportMade))
	})
}

// What was put right is seen without loading the page again, and a check begins
// anew.
func TestBrowserCommissioningGoesOn(t *testing.T) {
	chromiumProgram(t)
	r, line, _ := serialLine(t)
	b := r.browse()
	b.openCheck("analyser")
	sends(t, line, []byte{0x05}, spoiltFrame())
	b.see("At fault: Frames")
	sends(t, line, sessionOf(knownText("SIM-1001"))[1:]...)
	b.see("All is well")
	b.press("Begin anew")
	b.see("No fault so far")
	if now := b.textOf("#layer-" + string(commission.BytesLayer)); !strings.Contains(now, "Nothing has come") {
		t.Errorf("after a new beginning: %q", now)
	}
}
