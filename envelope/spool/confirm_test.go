package spool

import (
	"slices"
	"testing"
)

func TestReadingBack(t *testing.T) {
	ctx := t.Context()
	s := open(t, settings(t), Destination{Name: "lims", Confirm: true}, Destination{Name: "files", Everything: true})
	var sequences []uint64
	var ids []string
	for _, text := range []string{"1", "2", "3", "4"} {
		e := put(t, s, message("lane", text))
		sequences, ids = append(sequences, e.Sequence), append(ids, e.ID)
		for _, destination := range []string{"lims", "files"} {
			if err := s.Delivered(ctx, destination, e.Sequence, "possibly repeated"); err != nil {
				t.Fatal(err)
			}
		}
	}
	if waiting, err := s.Awaiting(ctx, "files", 0, 10); err != nil || len(waiting) != 0 {
		t.Errorf("files awaits %v (%v)", waiting, err)
	}
	waiting, err := s.Awaiting(ctx, "lims", sequences[0], 2)
	if err != nil || len(waiting) != 2 || waiting[0].Sequence != sequences[1] || waiting[0].Since < 0 {
		t.Errorf("behind the first, lims awaits %v (%v)", waiting, err)
	}
	for _, err := range []error{
		s.Confirmed(ctx, "lims", sequences[0], ""),
		s.Unconfirmed(ctx, "lims", sequences[1], "missing: WBC"),
		s.StopConfirming(ctx, "lims", sequences[2]),
		s.StopConfirming(ctx, "lims", 99),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	wantState(t, s, ids[0], "lims", Confirmed, "possibly repeated")
	wantState(t, s, ids[1], "lims", Unconfirmed, "missing: WBC")
	wantState(t, s, ids[2], "lims", Delivered, "possibly repeated")
	if waiting, err = s.Awaiting(ctx, "lims", 0, 10); err != nil || len(waiting) != 1 || waiting[0].Sequence != sequences[3] {
		t.Errorf("lims awaits %v (%v)", waiting, err)
	}

	// What a person decides meanwhile stands.
	if err := s.Drop(ctx, ids[1], "anna", "entered by hand"); err != nil {
		t.Fatal(err)
	}
	if err := s.Unconfirmed(ctx, "lims", sequences[1], "missing: WBC"); err != nil {
		t.Fatal(err)
	}
	wantState(t, s, ids[1], "lims", Dropped, "entered by hand")
	wantClean(t, s)
}

func TestHeldIsShown(t *testing.T) {
	ctx := t.Context()
	s := open(t, settings(t), lims, Destination{Name: "files", Everything: true})
	e := put(t, s, message("lane", "1"))
	if err := s.SetHeld(ctx, "lims", Hold{Scope: "hl7", Reason: "no consumer hl7"}); err != nil {
		t.Fatal(err)
	}
	wantState(t, s, e.ID, "lims", Pending, "")
	if err := s.SetHeld(ctx, "lims", Hold{Scope: "hl7", Reason: "no consumer hl7"}, Hold{Reason: "401"}); err != nil {
		t.Fatal(err)
	}
	wantState(t, s, e.ID, "lims", Held, "401")
	if holds, err := s.Holds(ctx, "lims"); err != nil || !slices.Equal(holds, []Hold{{Reason: "401"}, {Scope: "hl7", Reason: "no consumer hl7"}}) {
		t.Errorf("held for %+v, %v", holds, err)
	}
	wantState(t, s, e.ID, "files", Pending, "")
	for state, want := range map[State]int{Held: 1, Pending: 1, Delivered: 0} {
		list, err := s.List(ctx, Filter{State: state, Destination: "lims"})
		if err != nil || len(list) != want {
			t.Errorf("%s: %v (%v)", state, list, err)
		}
		if want > 0 && (list[0].States["lims"] != Held || list[0].States["files"] != Pending) {
			t.Errorf("%s: listed as %v", state, list[0].States)
		}
	}
	if heads, err := s.Heads(ctx, "lims"); err != nil || len(heads) != 1 {
		t.Errorf("heads %v (%v)", heads, err)
	}
	if err := s.SetHeld(ctx, "lims"); err != nil {
		t.Fatal(err)
	}
	wantState(t, s, e.ID, "lims", Pending, "")
	wantClean(t, s)
}
