package spool

import (
	"errors"
	"fmt"
	"slices"
	"testing"
)

// unanswered returns the sequences that the destination may have taken.
func unanswered(t *testing.T, s *Spool, destination string, of ...uint64) (list []uint64) {
	t.Helper()
	for _, seq := range of {
		entry, err := s.Load(t.Context(), destination, seq)
		if err != nil {
			t.Fatal(err)
		}
		if entry.Unanswered {
			list = append(list, seq)
		}
	}
	return list
}

// TestUnansweredIsKept follows a message that was sent without an answer through
// all that may become of it, until it is delivered.
func TestUnansweredIsKept(t *testing.T) {
	ctx, dir := t.Context(), settings(t)
	s := open(t, dir, lims, Destination{Name: "files", Everything: true})
	e := put(t, s, message("a", "1"))
	if got := unanswered(t, s, "lims", 1); got != nil {
		t.Errorf("before the first attempt: %v", got)
	}
	kept := func(when string) {
		t.Helper()
		if got := unanswered(t, s, "lims", 1); got == nil {
			t.Errorf("%s it is forgotten that it may have been taken", when)
		}
	}
	if err := s.Unanswered(ctx, "lims", 1, "no answer in time"); err != nil {
		t.Fatal(err)
	}
	wantState(t, s, e.ID, "lims", Pending, "no answer in time")
	kept("at first")
	if got := unanswered(t, s, "files", 1); got != nil {
		t.Error("another destination may have taken it too")
	}
	if err := s.Attempted(ctx, "lims", 1, true, "connection refused"); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, dir, lims, Destination{Name: "files", Everything: true})
	kept("after another failure and a restart")
	for _, err := range []error{s.Park(ctx, "lims", 1, "refused"), s.Retry(ctx, e.ID, "anna"), s.Drop(ctx, e.ID, "anna", "by hand")} {
		if err != nil {
			t.Fatal(err)
		}
	}
	// An answer that comes too late changes no decision.
	if err := s.Unanswered(ctx, "lims", 1, "no answer in time"); err != nil {
		t.Fatal(err)
	}
	wantState(t, s, e.ID, "lims", Dropped, "by hand")
	if err := s.Retry(ctx, e.ID, "anna"); err != nil {
		t.Fatal(err)
	}
	kept("after a person's decisions")
	if err := errors.Join(s.Delivered(ctx, "lims", 1, ""), s.Unanswered(ctx, "lims", 1, "late")); err != nil {
		t.Fatal(err)
	}
	if got := unanswered(t, s, "lims", 1); got != nil {
		t.Error("it is delivered, and may still have been taken")
	}
	wantClean(t, s)
}

// TestInterruptedDelivery has a process end without a word while it delivers.
func TestInterruptedDelivery(t *testing.T) {
	ctx, dir := t.Context(), settings(t)
	s := open(t, dir, lims, Destination{Name: "files"})
	for i, lane := range []string{"b", "b", "a", "c", "a", "b"} {
		put(t, s, message(lane, fmt.Sprint(i)))
	}
	all := []uint64{1, 2, 3, 4, 5, 6}
	begin := func(first int, want ...uint64) {
		t.Helper()
		if err := s.BeginDelivering(ctx, "lims", first); err != nil {
			t.Fatal(err)
		}
		if got := unanswered(t, s, "lims", all...); !slices.Equal(got, want) {
			t.Errorf("%v may have been taken, want %v", got, want)
		}
	}
	begin(1)
	if err := s.EndDelivering(ctx, "lims"); err != nil {
		t.Fatal(err)
	}
	begin(1)
	// Whoever looks at the store meanwhile ends no delivery.
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	other, err := OpenExisting(ctx, dir.Directory)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(other.Park(ctx, "lims", 3, "poison"), other.Close()); err != nil {
		t.Fatal(err)
	}
	s = open(t, dir, lims, Destination{Name: "files"})
	begin(1, 1, 4, 5)
	begin(2, 1, 2, 4, 5)
	// The process that was killed sent more at a time than this one does.
	put(t, s, message("b", "6"))
	begin(3, 1, 2, 4, 5, 6)
	put(t, s, message("a", "7"))
	put(t, s, message("a", "8"))
	all = append(all, 7, 8, 9)
	begin(1, 1, 2, 4, 5, 6, 8, 9)
	// Its messages are noted, so the next one answers for its own only.
	put(t, s, message("c", "9"))
	all = append(all, 10)
	begin(1, 1, 2, 4, 5, 6, 8, 9)
	// A row without a number says nothing of how many there were.
	if err := s.writer.exec("UPDATE meta SET value = '' WHERE key = 'delivering to lims'"); err != nil {
		t.Fatal(err)
	}
	begin(2, 1, 2, 4, 5, 6, 8, 9, 10)
	if got := unanswered(t, s, "files", all...); got != nil {
		t.Errorf("at another destination %v", got)
	}
	wantClean(t, s)
}
