package spool

import (
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
