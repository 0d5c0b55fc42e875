package main

import (
	"fmt"
	"strings"
	"testing"

	"github.com/assaygate/assaygate/device/simulator"
)

// demonstration is a gateway as the manual shows it: three lines, of which one
// has just sent something that is parked, and a LIMS.
func demonstration(t *testing.T) *running {
	t.Helper()
	server, directory := newLIMS(t), t.TempDir()
	server.OrderAsPushed(true)
	instrument, path := terminal(t)
	r := start(t, "box: {name: box-a17}\n"+base(directory)+fmt.Sprintf(`
instruments:
  - {name: chemistry, serial: {port: %q}}
  - {name: haematology, astm: {listen: "127.0.0.1:0"}}
  - {name: lan, astm: {listen: "127.0.0.1:0"}}
  - {name: poct, hl7: {listen: "127.0.0.1:0"}}
`, path)+lims(server, directory))
	capture := func(name string) []byte {
		data, err := simulator.Capture(name)
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	as := simulator.Options{Verbatim: true}
	eventually(t, "the line is up", func() bool { return strings.Contains(r.log.text(), "line up") })
	playTerminal(t, instrument, capture("roche_cobas_c111.astm"))
	r.play("haematology", simulator.ASTM, capture("sysmex_xn.astm"), as)
	r.play("poct", simulator.HL7, capture("hemoscreen.hl7"), as)
	r.settled()
	r.sendUnfinished("SIM-0815")
	return r
}

// pictured opens the console for pictures of it, with addresses as a box would
// have them.
func (r *running) pictured() *tab {
	b := r.browse()
	for name, address := range r.addresses {
		if name != consoleServer {
			b.alike = append(b.alike, [2]string{strings.ReplaceAll(address, ".", `\.`), "192.0.2.10:4010"})
		}
	}
	return b
}

// TestBrowserTour goes through the console as the manual does, and takes the
// pictures that are in it.
func TestBrowserTour(t *testing.T) {
	chromiumProgram(t)
	r := demonstration(t)
	b := r.pictured()
	b.visit("/")
	b.picture("overview", wide)
	b.visit("/")
	b.picture("overview-360", narrow)
	b.visit("/messages")
	b.picture("messages", wide)
	b.openMessage("SIM-0001")
	b.picture("message", wide)
	b.visit("/live/haematology")
	b.see("Live.")
	b.picture("live", wide)
	b.visit("/update")
	b.picture("update", wide)
	b.visit("/support")
	b.picture("support", wide)
	b.visit("/audit")
	b.picture("audit", wide)
}
