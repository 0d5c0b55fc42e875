package agent

import (
	"os"
	"strings"
	"testing"
)

// What is made of a fleet of a thousand: the tables of a page, between two lines of it, and a plot.
const (
	fleetPage  = "../../../docs/fleet-simulation.md"
	fleetPlot  = "../../../docs/fleet-simulation.svg"
	tableBegin = "<!-- made by make test-fleet DOCS=write: begin -->\n"
	tableEnd   = "<!-- end -->\n"
	longPlot   = 20_000 // bytes
)

// compare holds the documentation to what has happened just now, or writes it where
// FLEET_DOCS says so. All that is random comes from seeds.
func (r record) compare(t *testing.T) {
	page, err := os.ReadFile(fleetPage)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, begins := strings.Cut(string(page), tableBegin)
	tables, after, ends := strings.Cut(rest, tableEnd)
	if !begins || !ends {
		t.Fatalf("%s has no place for its tables", fleetPage)
	}
	plot := r.plot()
	if len(plot) > longPlot {
		t.Errorf("the plot has %d bytes, more than %d", len(plot), longPlot)
	}
	if os.Getenv("FLEET_DOCS") == "write" {
		write(t, fleetPage, before+tableBegin+r.text()+tableEnd+after)
		write(t, fleetPlot, plot)
		return
	}
	drawn, err := os.ReadFile(fleetPlot)
	if err != nil {
		t.Fatal(err)
	}
	if tables != r.text() || string(drawn) != plot {
		t.Errorf("%s and its plot are of another run than this one: make test-fleet DOCS=write, and see what has changed", fleetPage)
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
