package spool

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/assaygate/assaygate/envelope"
)

func TestStartStates(t *testing.T) {
	files := Destination{Name: "captures", Everything: true}
	tests := Destination{Name: "tests", AcceptTest: true}
	for _, c := range []struct {
		name        string
		change      func(*envelope.Envelope)
		lims, tests State
		reason      string
	}{
		{"accepted", func(*envelope.Envelope) {}, Pending, Pending, ""},
		{"test", func(e *envelope.Envelope) { e.Kind = envelope.KindTest }, Dropped, Pending, "test message, accept_test is false"},
		{"withheld", func(e *envelope.Envelope) { e.Withheld = "kind qc is not in deliver" }, Dropped, Dropped, "kind qc is not in deliver"},
		{"parked", func(e *envelope.Envelope) { e.Intake, e.Reason = envelope.Parked, "no terminator record" }, Parked, Parked, "no terminator record"},
		{"incomplete", func(e *envelope.Envelope) { e.Intake, e.Reason = envelope.Incomplete, "line lost" }, "", "", ""},
		{"rejected", func(e *envelope.Envelope) { e.Intake = envelope.Rejected }, "", "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := open(t, settings(t), lims, files, tests)
			e := message("a", "1")
			c.change(&e)
			put(t, s, e)
			wantState(t, s, e.ID, "captures", Pending, "")
			wantState(t, s, e.ID, "lims", c.lims, c.reason)
			if have, _ := state(t, s, e.ID, "tests"); have != c.tests {
				t.Errorf("at tests it is %q, want %q", have, c.tests)
			}
			wantClean(t, s)
		})
	}
}

func TestDeliveryAndDecisions(t *testing.T) {
	s := open(t, settings(t), lims)
	ctx := t.Context()
	e := put(t, s, message("a", "1"))
	for range 2 {
		if err := s.Attempted(ctx, "lims", e.Sequence, true, "500"); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Attempted(ctx, "lims", e.Sequence, false, "503"); err != nil {
		t.Fatal(err)
	}
	heads, err := s.Heads(ctx, "lims")
	if err != nil || !slices.Equal(heads, []Head{{Lane: "a", Sequence: 1, Attempts: 3, Refusals: 2}}) {
		t.Errorf("heads are %+v, %v", heads, err)
	}
	if err := s.Park(ctx, "lims", e.Sequence, "refused five times"); err != nil {
		t.Fatal(err)
	}
	wantState(t, s, e.ID, "lims", Parked, "refused five times")

	arrival := s.Arrivals("lims")
	if err := s.Retry(ctx, e.ID, "anna"); err != nil {
		t.Fatal(err)
	}
	<-arrival
	entry, err := s.Load(ctx, "lims", e.Sequence)
	if err != nil || entry.State != Pending || entry.Refusals != 0 || entry.Attempts != 3 {
		t.Errorf("after the retry it is %+v, %v", entry, err)
	}
	for _, blank := range []string{"", " \t"} {
		if err := s.Drop(ctx, e.ID, "anna", blank); !errors.Is(err, ErrRefused) {
			t.Errorf("dropping with the reason %q gives %v", blank, err)
		}
	}
	if err := s.Drop(ctx, e.ID, "anna", "wrong tube"); err != nil {
		t.Fatal(err)
	}
	// What the sender still had under way does not undo the decision.
	if err := s.Park(ctx, "lims", e.Sequence, "late"); err != nil {
		t.Fatal(err)
	}
	wantState(t, s, e.ID, "lims", Dropped, "wrong tube")
	if err := s.Retry(ctx, e.MessageID, "bert"); err != nil {
		t.Fatal(err)
	}
	if err := s.Delivered(ctx, "lims", e.Sequence, ""); err != nil {
		t.Fatal(err)
	}
	wantState(t, s, e.ID, "lims", Delivered, "")
	if err := s.Retry(ctx, e.ID, "bert"); !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), "delivered") {
		t.Errorf("retrying a delivered message gives %v", err)
	}
	for _, err := range []error{s.Retry(ctx, "none", "anna"), s.Drop(ctx, "none", "anna", "x"), s.Delivered(ctx, "lims", 99, ""), s.Delivered(ctx, "none", 1, "")} {
		if !errors.Is(err, ErrNotFound) {
			t.Errorf("what is not there gives %v", err)
		}
	}

	detail, err := s.Show(ctx, e.ID)
	if err != nil {
		t.Fatal(err)
	}
	var trail []string
	for _, row := range detail.Audit {
		trail = append(trail, strings.TrimSpace(row.What+" "+row.Who))
	}
	if want := []string{"accepted", "parked", "retried anna", "dropped anna", "retried bert", "delivered"}; !slices.Equal(trail, want) {
		t.Errorf("the trail is %q, want %q", trail, want)
	}
	if err := s.SetHeld(ctx, "lims", Hold{Reason: "401 Unauthorized"}); err != nil {
		t.Fatal(err)
	}
	status, err := s.Status(ctx)
	if err != nil || len(status.Destinations) != 1 {
		t.Fatalf("%+v, %v", status, err)
	}
	want := DestinationStatus{Name: "lims", Active: true, Held: "401 Unauthorized", Delivered: 1}
	if status.Destinations[0] != want || status.Messages != 1 || status.LastSequence != 1 {
		t.Errorf("status is %+v", status)
	}
	wantClean(t, s)
}

func TestRetryOfIntakes(t *testing.T) {
	s := open(t, settings(t), lims)
	parked := message("a", "1")
	parked.Intake, parked.Reason = envelope.Parked, "no terminator record"
	parked = put(t, s, parked)
	if err := s.Retry(t.Context(), parked.ID, "anna"); err != nil {
		t.Fatal(err)
	}
	entries, err := s.Next(t.Context(), "lims", 1)
	if err != nil || len(entries) != 1 || entries[0].Envelope.ID != parked.ID {
		t.Errorf("a retry does not publish it: %+v, %v", entries, err)
	}
	for _, intake := range []envelope.Intake{envelope.Incomplete, envelope.Rejected} {
		e := message("a", string(intake))
		e.Intake, e.Reason = intake, "why"
		put(t, s, e)
		if err := s.Retry(t.Context(), e.ID, "anna"); !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), string(intake)) {
			t.Errorf("retrying %s input gives %v", intake, err)
		}
		list, err := s.List(t.Context(), Filter{Intake: intake})
		if err != nil || len(list) != 1 || len(list[0].States) != 0 || list[0].Reason != "why" {
			t.Errorf("listed are %+v, %v", list, err)
		}
	}
}

// A store that is opened anew and one that goes on take other destinations in the
// same way.
func TestDestinationsComeAndGo(t *testing.T) {
	t.Run("opened anew", func(t *testing.T) {
		dir := settings(t)
		testDestinationsComeAndGo(t, open(t, dir, lims), func(s *Spool, list ...Destination) *Spool {
			s.Close()
			return open(t, dir, list...)
		})
	})
	t.Run("while it is open", func(t *testing.T) {
		testDestinationsComeAndGo(t, open(t, settings(t), lims), func(s *Spool, list ...Destination) *Spool {
			if err := s.SetDestinations(t.Context(), list); err != nil {
				t.Fatal(err)
			}
			return s
		})
	})
}

func testDestinationsComeAndGo(t *testing.T, s *Spool, turn func(*Spool, ...Destination) *Spool) {
	t.Helper()
	other := Destination{Name: "other", Binding: "https://other"}
	first := put(t, s, message("a", "1"))

	s = turn(s, lims, other)
	second := put(t, s, message("a", "2"))
	wantState(t, s, first.ID, "other", "", "")
	wantState(t, s, second.ID, "other", Pending, "")

	moved := lims
	moved.Binding = "https://elsewhere"
	s = turn(s, moved)
	wantState(t, s, first.ID, "lims", Parked, "destination moved")
	wantState(t, s, second.ID, "other", Parked, "destination removed")
	put(t, s, message("a", "3"))
	if n, err := s.RetryAll(t.Context(), Selection{Reason: "none such"}, "anna"); n != 0 || err != nil {
		t.Errorf("retrying by another reason gives %d, %v", n, err)
	}
	if n, err := s.RetryAll(t.Context(), Selection{}, "anna"); n != 2 || err != nil {
		t.Errorf("retrying all gives %d, %v", n, err)
	}
	wantState(t, s, second.ID, "other", Parked, "destination removed")

	s = turn(s, moved, other)
	wantState(t, s, first.ID, "lims", Pending, "")
	if n, err := s.RetryAll(t.Context(), Selection{Destination: "other", Reason: "destination removed"}, "anna"); n != 1 || err != nil {
		t.Errorf("retrying for one destination gives %d, %v", n, err)
	}
	status, err := s.Status(t.Context())
	if err != nil || status.Destinations[0].Pending != 3 || status.Destinations[1].Pending != 1 {
		t.Errorf("status is %+v, %v", status, err)
	}
	wantClean(t, s)
}

func TestList(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	s := open(t, settings(t), lims, Destination{Name: "captures", Everything: true})
	for i, instrument := range []string{"xn", "c111", "xn", "c111", "xn"} {
		e := message(instrument, string(rune('a'+i)))
		e.Instrument, e.ReceivedAt = instrument, now.Add(time.Duration(i)*time.Hour)
		e = put(t, s, e)
		var err error
		switch i {
		case 1:
			err = s.Delivered(t.Context(), "lims", e.Sequence, "")
		case 2:
			err = s.Park(t.Context(), "lims", e.Sequence, "why")
		case 3:
			err = s.Drop(t.Context(), e.ID, "anna", "why")
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		name   string
		filter Filter
		want   string
	}{
		{"all", Filter{}, "edcba"},
		{"limit", Filter{Limit: 2}, "ed"},
		{"next page", Filter{Limit: 2, Before: 4}, "cb"},
		{"instrument", Filter{Instrument: "xn"}, "eca"},
		{"since", Filter{Since: now.Add(3 * time.Hour)}, "ed"},
		{"until", Filter{Until: now.Add(2 * time.Hour)}, "ba"},
		{"instrument and time", Filter{Instrument: "xn", Since: now.Add(time.Hour), Until: now.Add(3 * time.Hour)}, "c"},
		{"sample", Filter{SampleID: "S-b"}, "b"},
		{"no such sample", Filter{SampleID: "S-z"}, ""},
		{"pending", Filter{State: Pending}, "ecba"},
		{"pending at one", Filter{State: Pending, Destination: "lims"}, "ea"},
		{"delivered", Filter{State: Delivered}, "b"},
		{"parked", Filter{State: Parked}, "c"},
		{"parked elsewhere", Filter{State: Parked, Destination: "captures"}, ""},
		{"dropped", Filter{State: Dropped, Instrument: "c111"}, "d"},
		{"destination", Filter{Destination: "captures", Limit: 3}, "edc"},
		{"intake", Filter{Intake: envelope.Incomplete}, ""},
	} {
		list, err := s.List(t.Context(), c.filter)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		have := ""
		for _, m := range list {
			have += strings.TrimPrefix(m.SampleID, "S-")
			if len(m.States) != 2 {
				t.Errorf("%s: states are %v", c.name, m.States)
			}
		}
		if have != c.want {
			t.Errorf("%s: have %q, want %q", c.name, have, c.want)
		}
	}
}
