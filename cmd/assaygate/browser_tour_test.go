package main

import (
	"testing"

	"github.com/assaygate/assaygate/device/simulator"
)

// TestBrowserTour goes through the console as the manual does, and takes the
// pictures that are in it.
func TestBrowserTour(t *testing.T) {
	chromiumProgram(t)
	server, directory := newLIMS(t), t.TempDir()
	r := start(t, "box: {name: box-a17}\n"+base(directory)+`
instruments:
  - {name: haematology, astm: {listen: "127.0.0.1:0"}}
  - {name: chemistry, hl7: {listen: "127.0.0.1:0"}}
`+lims(server, directory))
	for name, capture := range map[string]string{"haematology": "sysmex_xn.astm", "chemistry": "hemoscreen.hl7"} {
		data, err := simulator.Capture(capture)
		if err != nil {
			t.Fatal(err)
		}
		protocol := simulator.ASTM
		if name == "chemistry" {
			protocol = simulator.HL7
		}
		r.play(name, protocol, data, simulator.Options{})
	}
	r.settled()
	b := r.browse()
	for name, address := range r.addresses {
		b.alike = append(b.alike, [2]string{address, map[string]string{"haematology": "0.0.0.0:4010", "chemistry": "0.0.0.0:2575"}[name]})
	}
	b.visit("/")
	b.picture("overview", wide)
	b.visit("/")
	b.picture("overview-360", narrow)
	b.visit("/messages")
	b.picture("messages", wide)
	b.press(evaluate[string](b, "document.querySelector('tbody a').textContent"))
}
