package spool

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

func TestScrubFindsDamage(t *testing.T) {
	ctx := t.Context()
	s := open(t, settings(t), lims)
	var ids []string
	const messages = 2*scrubChunk + 5
	for n := range messages {
		ids = append(ids, put(t, s, message("lane", fmt.Sprint(n))).ID)
	}
	for _, seq := range []uint64{2, 4, 6} {
		if err := s.Delivered(ctx, "lims", seq, ""); err != nil {
			t.Fatal(err)
		}
	}
	corrupt(t, s, "UPDATE messages SET raw = x'00' WHERE seq IN (1, 2, 45)") // pending, delivered, pending
	corrupt(t, s, "UPDATE deliveries SET attempts = 9 WHERE seq IN (3, 4)")  // pending, delivered
	corrupt(t, s, "UPDATE deliveries SET state = 'delivesed' WHERE seq = 6")
	pass := func() {
		t.Helper()
		for range messages/scrubChunk + 2 {
			if err := s.scrubSome(ctx); err != nil {
				t.Fatal(err)
			}
		}
	}
	pass()
	for n, want := range map[int]State{1: Parked, 2: Delivered, 3: Pending, 4: Parked, 5: Pending, 6: Parked, 45: Parked} {
		detail, err := s.Show(ctx, ids[n-1])
		if err != nil && !errors.Is(err, ErrDamaged) {
			t.Fatal(err)
		}
		if have := detail.Deliveries[0]; have.State != want {
			t.Errorf("message %d is %s (%s), want %s", n, have.State, have.Reason, want)
		}
	}
	if have := s.damagedSoFar(); have != 6 {
		t.Errorf("%d are damaged, want 6", have)
	}
	var before, after int
	count := func(into *int) {
		t.Helper()
		if err := s.readers.QueryRow("SELECT count(*) FROM audit WHERE what = 'damaged'").Scan(into); err != nil {
			t.Fatal(err)
		}
	}
	count(&before)
	s.scrub.began = time.Now().Add(-scrubRest) // the next day
	pass()
	count(&after)
	if before != 6 || after != before {
		t.Errorf("the audit trail names damage %d times, and %d times after the next pass", before, after)
	}
}

// TestScrubRests: a pass that has come to its end does not begin again at once.
func TestScrubRests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := open(t, settings(t), lims)
		defer s.Close()
		put(t, s, message("lane", "1"))
		for range 3 {
			if err := s.scrubSome(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		corrupt(t, s, "UPDATE messages SET raw = x'00'")
		look := func() int {
			t.Helper()
			for range 3 {
				if err := s.scrubSome(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			return s.damagedSoFar()
		}
		if found := look(); found != 0 {
			t.Errorf("%d found within the same day", found)
		}
		time.Sleep(scrubRest)
		if found := look(); found != 1 {
			t.Errorf("%d found the next day", found)
		}
	})
}
