package spool

import (
	"errors"
	"fmt"
	"testing"

	"github.com/assaygate/assaygate/envelope"
)

// TestRetryAllTakesUpWhatIsSelected parks more than one transaction takes up.
func TestRetryAllTakesUpWhatIsSelected(t *testing.T) {
	s := open(t, settings(t), lims, Destination{Name: "files"})
	const many = retryChunk + 20
	var list []envelope.Envelope
	for n := range many {
		e := message("a", fmt.Sprint(n))
		e.Intake, e.Reason = envelope.Parked, fmt.Sprint("refused as ", n%2, ": No Sample")
		list = append(list, e)
	}
	list[0].Instrument = "other"
	if _, err := s.Put(t.Context(), list...); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		which Selection
		want  int
	}{
		"instrument":  {Selection{Instrument: "other"}, 2},
		"reason":      {Selection{Reason: "AS 1: no sample"}, many},
		"state":       {Selection{State: Unconfirmed}, 0},
		"destination": {Selection{Destination: "files", State: Parked}, many},
		"all":         {Selection{}, 2 * many},
		"none such":   {Selection{Destination: "gone"}, 0},
	} {
		if n, err := s.Selected(t.Context(), c.which); err != nil || n != c.want {
			t.Errorf("%s selects %d, want %d (%v)", name, n, c.want, err)
		}
	}
	if n, err := s.RetryAll(t.Context(), Selection{Instrument: "other", Destination: "lims"}, "anna"); err != nil || n != 1 {
		t.Errorf("of the other instrument %d are taken up (%v)", n, err)
	}
	wantState(t, s, list[0].ID, "lims", Pending, "")
	wantState(t, s, list[0].ID, "files", Parked, list[0].Reason)
	if n, err := s.RetryAll(t.Context(), Selection{}, "anna"); err != nil || n != 2*many-1 {
		t.Errorf("of all %d are taken up (%v)", n, err)
	}
	if n, err := s.Selected(t.Context(), Selection{}); err != nil || n != 0 {
		t.Errorf("%d are left (%v)", n, err)
	}
	if _, err := s.RetryAll(t.Context(), Selection{State: Dropped}, "anna"); !errors.Is(err, ErrRefused) {
		t.Errorf("all that was dropped: %v", err)
	}
	wantClean(t, s)
}
