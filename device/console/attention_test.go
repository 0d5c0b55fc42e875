package console

import (
	"slices"
	"testing"

	"github.com/assaygate/assaygate/envelope/spool"
)

// TestWhatNeedsAPersonComesFirst: each thing alone is named, with the page that
// helps, and a box that is well needs nobody.
func TestWhatNeedsAPersonComesFirst(t *testing.T) {
	well := func() overviewView {
		return overviewView{
			Instruments: []Instrument{{Name: "xn-550", Up: true}},
			Status:      spool.Status{Destinations: []spool.DestinationStatus{{Name: "lims", Active: true, Pending: 3}}},
			Facts:       []Fact{{Name: "Disk", Value: "3 GiB free"}},
		}
	}
	lims := func(v *overviewView) *spool.DestinationStatus { return &v.Status.Destinations[0] }
	for name, test := range map[string]struct {
		change func(*overviewView)
		want   []need
	}{
		"well":     {func(*overviewView) {}, nil},
		"no owner": {func(v *overviewView) { v.Notes = []string{"no owner"} }, []need{{Text: "no owner"}}},
		"no store": {func(v *overviewView) {
			v.Away, v.Facts = "the card is gone", []Fact{{Name: "Disk", Value: "the card is gone", Bad: true}}
		}, []need{{"There is no store: the card is gone", "/support", "Support"}}},
		"down": {func(v *overviewView) { v.Instruments[0].Up = false }, []need{{"xn-550 is down.", "/commission/xn-550", "Check xn-550"}}},
		"taken": {
			func(v *overviewView) { v.Instruments[0].Up, v.Instruments[0].Problem = false, "address in use" },
			[]need{{"xn-550 is down: address in use.", "/commission/xn-550", "Check xn-550"}},
		},
		"noisy": {
			func(v *overviewView) { v.Instruments[0].Noisy = true },
			[]need{{"xn-550 is noisy: check cable, ground, baud rate and parity.", "/commission/xn-550", "Check xn-550"}},
		},
		"held": {
			func(v *overviewView) { lims(v).Held = "wrong password" },
			[]need{{"lims takes nothing: wrong password.", "/messages?destination=lims&state=held", "Messages that wait"}},
		},
		"parked": {
			func(v *overviewView) { lims(v).Parked = 2 },
			[]need{{"Parked for lims, until a person decides: 2.", "/messages?destination=lims&state=parked", "Parked messages"}},
		},
		"unconfirmed": {
			func(v *overviewView) { lims(v).Unconfirmed = 1 },
			[]need{{"Delivered to lims, and not found there: 1.", "/messages?destination=lims&state=unconfirmed", "Unconfirmed messages"}},
		},
		"disk": {func(v *overviewView) { v.Facts[0] = Fact{"Disk", "full", true} }, []need{{Text: "Disk: full."}}},
	} {
		v := well()
		test.change(&v)
		if got := v.needs(); !slices.Equal(got, test.want) {
			t.Errorf("%s: %+v, want %+v", name, got, test.want)
		}
	}
}
