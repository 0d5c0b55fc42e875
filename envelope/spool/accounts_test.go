package spool

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/assaygate/assaygate/envelope"
)

// accounted is a store with messages in every state, of which the trail tells.
func accounted(t *testing.T) *Spool {
	t.Helper()
	s := open(t, settings(t), lims, Destination{Name: "files", Everything: true})
	parked, incomplete := message("a", "4"), message("a", "5")
	parked.Intake, parked.Reason = envelope.Parked, "a reason"
	incomplete.Intake, incomplete.Reason = envelope.Incomplete, "a reason"
	again := message("a", "6")
	for _, e := range []envelope.Envelope{message("a", "1"), message("a", "2"), message("a", "3"), parked, incomplete, again} {
		put(t, s, e)
	}
	do(t, s.Delivered(t.Context(), "lims", 1, ""))
	do(t, s.Delivered(t.Context(), "lims", 2, ""))
	do(t, s.Unconfirmed(t.Context(), "lims", 2, "not there"))
	do(t, s.Attempted(t.Context(), "lims", 3, true, "refused"))
	do(t, s.Park(t.Context(), "lims", 6, "refused"))
	do(t, s.Retry(t.Context(), again.ID, "anna"))
	corrupt(t, s, "UPDATE deliveries SET attempts = 9 WHERE destination = 'files' AND seq IN (1, 2)")
	do(t, s.Delivered(t.Context(), "files", 2, ""))
	corrupt(t, s, "UPDATE deliveries SET attempts = 9 WHERE destination = 'files' AND seq IN (1, 2)")
	do(t, s.scrubSome(t.Context())) // pending stays so, delivered is parked
	return s
}

func TestTrailAccountsForEveryDelivery(t *testing.T) {
	s := accounted(t)
	report, err := s.Verify(t.Context(), nil)
	if err != nil || len(report.Problems) > 0 || report.Deliveries != 11 {
		t.Errorf("Verify finds %+v, %v", report, err)
	}
	var have []string
	for _, row := range trail(t, s) {
		if row.What == auditAccepted {
			have = append(have, row.Detail)
		}
	}
	both := "for lims, files"
	if want := []string{both, both, both, "parked; " + both, "incomplete; for files", both}; !slices.Equal(have, want) {
		t.Errorf("the trail has %q", have)
	}
}

// TestOtherStateThanTheTrailSays changes deliveries with good checksums.
func TestOtherStateThanTheTrailSays(t *testing.T) {
	for seq, was := range map[uint64]State{1: Delivered, 2: Unconfirmed, 3: Pending, 4: Parked, 6: Pending} {
		for _, to := range []State{Pending, Delivered, Parked, Dropped, Confirmed, Unconfirmed, "lost"} {
			s := accounted(t)
			do(t, s.change(t.Context(), "", "lims", seq, func(t *tx, d *delivery) error {
				d.State = to
				return t.updateDelivery(d, to)
			}))
			var want []string
			if to != was {
				want = []string{fmt.Sprintf("delivery of message %d to lims is %q: the audit trail says %s", seq, to, was)}
			}
			if report, err := s.Verify(t.Context(), nil); err != nil || !slices.Equal(report.Problems, want) {
				t.Errorf("message %d from %s to %s: Verify finds %q, %v", seq, was, to, report.Problems, err)
			}
		}
	}
}

// TestVerifyWhileMuchHappens has messages come, be delivered, sent again and
// removed all the while that Verify reads.
func TestVerifyWhileMuchHappens(t *testing.T) {
	s := open(t, settings(t), lims)
	put(t, s, message("a", "first"))
	happened := make(chan error, 1)
	go func() {
		for i := range 300 {
			if err := muchHappens(t.Context(), s, message("a", fmt.Sprint(i))); err != nil {
				happened <- err
				return
			}
		}
		close(happened)
	}()
	for during := 0; ; during++ {
		select {
		case err := <-happened:
			do(t, err)
			if during == 0 {
				t.Error("Verify did not run meanwhile: this proves nothing")
			}
			return
		default:
		}
		if report, err := s.Verify(t.Context(), nil); err != nil || len(report.Problems) > 0 {
			t.Fatalf("Verify finds %q, %v", report.Problems, err)
		}
	}
}

// muchHappens takes one message through its states, and removes one that came
// 20 messages before.
func muchHappens(ctx context.Context, s *Spool, e envelope.Envelope) error {
	seq, err := s.Put(ctx, e)
	if err != nil {
		return err
	}
	if err := errors.Join(s.Park(ctx, "lims", seq, "refused"), s.Retry(ctx, e.ID, "anna"), s.Delivered(ctx, "lims", seq, "")); err != nil || seq < 30 {
		return err
	}
	gone := span{seq - 20, seq - 20}
	return s.writer.write(ctx, func(t *tx) error {
		if err := t.remove(gone); err != nil {
			return err
		}
		return t.audit(AuditRow{What: auditPruned, Detail: prunedDetail([]span{gone}, 1, "a test")})
	})
}

// TestTrailWithoutDestinations is one that an earlier release wrote.
func TestTrailWithoutDestinations(t *testing.T) {
	for _, detail := range []string{"", "incomplete"} {
		row := AuditRow{What: auditAccepted, Detail: detail}
		if have := row.destinations(); have != nil {
			t.Errorf("%q names %q", detail, have)
		}
	}
}

func TestVerifyNamesAMissingMark(t *testing.T) {
	s := open(t, settings(t), lims)
	path := filepath.Join(s.directory, highWaterFile)
	put(t, s, message("a", "1"))
	report, err := s.Verify(t.Context(), nil)
	if err != nil || len(report.Problems) > 0 {
		t.Errorf("of a store that was opened just now Verify finds %q, %v", report.Problems, err)
	}
	do(t, os.WriteFile(path, []byte("sequence x"), 0o600))
	wantProblem(t, s, "the high-water mark cannot be read: nothing tells whether the newest messages are there")
	do(t, os.Remove(path))
	wantProblem(t, s, "the high-water mark is missing: nothing tells whether the newest messages are there")
}
