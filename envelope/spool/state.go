package spool

import (
	"context"
	"errors"
	"fmt"
)

// Delivered notes that the destination has taken the message. It holds whatever
// was decided meanwhile, for it is what happened. note is what a person should
// know about it, or "".
func (s *Spool) Delivered(ctx context.Context, destination string, seq uint64, note string) error {
	return s.change(ctx, "noting a delivery", destination, seq, func(t *tx, d *delivery) error {
		if d.State == Delivered || d.State == Confirmed {
			return nil
		}
		d.Attempts++
		if err := errors.Join(t.answered(destination, seq), t.beginConfirmation(d)); err != nil {
			return err
		}
		return t.settle(d, Delivered, auditDelivered, "", note)
	})
}

// Park sets the message aside at the destination for a person, with the reason.
// Where it is no longer pending, a person has decided meanwhile and that stands.
func (s *Spool) Park(ctx context.Context, destination string, seq uint64, reason string) error {
	return s.change(ctx, "parking", destination, seq, func(t *tx, d *delivery) error {
		if d.State != Pending {
			return nil
		}
		return t.settle(d, Parked, auditParked, "", reason)
	})
}

// Attempted notes an attempt that failed, and why. A counted one is held
// against the message. Where it is no longer pending nothing is noted.
func (s *Spool) Attempted(ctx context.Context, destination string, seq uint64, counted bool, reason string) error {
	return s.change(ctx, "noting an attempt", destination, seq, func(t *tx, d *delivery) error {
		if d.State != Pending {
			return nil
		}
		d.Attempts++
		if counted {
			d.Refusals++
		}
		d.Reason = reason
		return t.updateDelivery(d, Pending)
	})
}

func (s *Spool) change(ctx context.Context, doing, destination string, seq uint64, apply func(*tx, *delivery) error) error {
	err := s.writer.write(ctx, func(t *tx) error {
		d, err := t.delivery(destination, seq)
		if err != nil {
			return err
		}
		return apply(t, &d)
	})
	if err != nil {
		return fmt.Errorf("%s: %w", doing, err)
	}
	return nil
}
