package spool

import (
	"context"
	"fmt"
	"time"
)

// confirmationTable has the delivered messages whose results are still to be
// read back. since, clock, boot and monotonic are the moment of the delivery.
const confirmationTable = `
CREATE TABLE confirmations (
	destination TEXT NOT NULL,
	seq         INTEGER NOT NULL,
	since       INTEGER NOT NULL,
	clock       TEXT NOT NULL,
	boot        INTEGER NOT NULL,
	monotonic   INTEGER NOT NULL,
	PRIMARY KEY (destination, seq)
) WITHOUT ROWID;
`

// Awaiting is a delivered message whose results are to be read back.
type Awaiting struct {
	Sequence uint64
	// Since is how long ago it was delivered, as far as that is known: 0 where
	// the box has restarted meanwhile without a clock.
	Since time.Duration
}

// Awaiting returns the delivered messages that are to be read back from the
// destination, oldest first by sequence, behind the sequence after and at most
// limit.
func (s *Spool) Awaiting(ctx context.Context, destination string, after uint64, limit int) ([]Awaiting, error) {
	var list []Awaiting
	now := s.clock.stamp()
	err := s.read(ctx, func(scan func(...any) error) error {
		var a Awaiting
		var then stamp
		var since int64
		if err := scan(&a.Sequence, &since, &then.clock, &then.boot, &then.monotonic); err != nil {
			return err
		}
		then.at = time.UnixMicro(since).UTC()
		a.Since, _ = now.age(then)
		list = append(list, a)
		return nil
	}, "SELECT seq, since, clock, boot, monotonic FROM confirmations WHERE destination = ? AND seq > ? ORDER BY seq LIMIT ?",
		destination, after, limit)
	if err != nil {
		return nil, fmt.Errorf("finding what %s is to confirm: %w", destination, err)
	}
	return list, nil
}

// Confirmed notes that the results of the message stand at the destination. note
// is what a person should know about that, or "".
func (s *Spool) Confirmed(ctx context.Context, destination string, seq uint64, note string) error {
	return s.readBack(ctx, destination, seq, Confirmed, auditConfirmed, note)
}

// Unconfirmed notes that results of the message are missing at the destination,
// and which: a person decides.
func (s *Spool) Unconfirmed(ctx context.Context, destination string, seq uint64, missing string) error {
	return s.readBack(ctx, destination, seq, Unconfirmed, auditUnconfirmed, missing)
}

// readBack notes what was read back, unless it was decided otherwise meanwhile.
func (s *Spool) readBack(ctx context.Context, destination string, seq uint64, to State, what, reason string) error {
	return s.change(ctx, "noting what was read back", destination, seq, func(t *tx, d *delivery) error {
		if err := t.endConfirmation(destination, seq); err != nil || d.State != Delivered {
			return err
		}
		if to == Confirmed && reason == "" {
			reason = d.Reason // possibly repeated
		}
		return t.settle(d, to, what, "", reason)
	})
}

// StopConfirming gives up reading the message back; it stays delivered. It need
// not be there any more.
func (s *Spool) StopConfirming(ctx context.Context, destination string, seq uint64) error {
	err := s.writer.write(ctx, func(t *tx) error { return t.endConfirmation(destination, seq) })
	if err != nil {
		return fmt.Errorf("giving up reading back: %w", err)
	}
	return nil
}

// ConfirmNothing gives up reading back from the destination until the store is
// opened the next time, and says why in its status: what waits to be read back
// stays delivered, and so does what is delivered from now on.
func (s *Spool) ConfirmNothing(ctx context.Context, destination, why string) error {
	s.unread.Store(destination, why)
	err := s.writer.write(ctx, func(t *tx) error { return t.endConfirmations(destination) })
	if err != nil {
		return fmt.Errorf("giving up reading back: %w", err)
	}
	return nil
}

// ReadAgain ends what ConfirmNothing began: the destination has other settings.
// What was delivered meanwhile stays as it is.
func (s *Spool) ReadAgain(destination string) { s.unread.Delete(destination) }

// beginConfirmation makes a message that was just delivered one that is to be
// read back, where its destination wants that.
func (t *tx) beginConfirmation(d *delivery) error {
	if _, unread := t.spool.unread.Load(d.Destination); unread || !t.receivers().byName[d.Destination].Confirm {
		return nil
	}
	now := t.spool.clock.stamp()
	return t.exec("INSERT OR REPLACE INTO confirmations VALUES (?, ?, ?, ?, ?, ?)",
		d.Destination, d.sequence, now.at.UnixMicro(), now.clock, now.boot, now.monotonic)
}

func (t *tx) endConfirmation(destination string, seq uint64) error {
	t.mayBeFinished(seq)
	return t.exec("DELETE FROM confirmations WHERE destination = ? AND seq = ?", destination, seq)
}

func (t *tx) endConfirmations(destination string) error {
	return t.exec("DELETE FROM confirmations WHERE destination = ?", destination)
}
