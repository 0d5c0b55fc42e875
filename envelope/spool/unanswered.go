package spool

import (
	"context"
	"fmt"
	"strconv"
)

// unansweredTable has the messages that a destination may have taken already:
// they were sent, and no answer came.
const unansweredTable = `
CREATE TABLE unanswered (
	seq         INTEGER NOT NULL REFERENCES messages (seq) ON DELETE CASCADE,
	destination TEXT NOT NULL,
	PRIMARY KEY (seq, destination)
) WITHOUT ROWID;
`

// Unanswered notes an attempt without an answer, and why: the destination may
// have taken the message. [Entry.Unanswered] says so until it is delivered.
func (s *Spool) Unanswered(ctx context.Context, destination string, seq uint64, reason string) error {
	return s.change(ctx, "noting an attempt", destination, seq, func(t *tx, d *delivery) error {
		if d.State == Delivered || d.State == Confirmed {
			return nil
		}
		if err := t.unanswered(destination, seq); err != nil || d.State != Pending {
			return err
		}
		d.Attempts++
		d.Reason = reason
		return t.updateDelivery(d, Pending)
	})
}

// BeginDelivering notes that messages are on their way to the destination from
// now on, until EndDelivering, and of a lane the first so many at most. Where an
// earlier process began and did not end, it may have sent what is pending and was
// killed before it could note that: the first messages of every lane then count
// as Unanswered, as many as it said or this process says, whichever is more.
func (s *Spool) BeginDelivering(ctx context.Context, destination string, first int) error {
	key := deliveringTo(destination)
	err := s.writer.write(ctx, func(t *tx) error {
		var interrupted bool
		var earlier int // 0 where the row has no number
		err := t.scan("SELECT count(*), ifnull(max(CAST(value AS INTEGER)), 0) FROM meta WHERE key = ?", []any{key}, &interrupted, &earlier)
		if err == nil && interrupted {
			err = t.exec(interruptedQuery, destination, max(earlier, first))
		}
		if err != nil {
			return err
		}
		return t.exec("INSERT OR REPLACE INTO meta VALUES (?, ?)", key, strconv.Itoa(first))
	})
	if err != nil {
		return fmt.Errorf("beginning to deliver to %s: %w", destination, err)
	}
	return nil
}

// EndDelivering notes that nothing is on its way to the destination, and that
// what became of everything that was is noted.
func (s *Spool) EndDelivering(ctx context.Context, destination string) error {
	err := s.writer.write(ctx, func(t *tx) error {
		return t.exec("DELETE FROM meta WHERE key = ?", deliveringTo(destination))
	})
	if err != nil {
		return fmt.Errorf("ending to deliver to %s: %w", destination, err)
	}
	return nil
}

// deliveringTo is the key in meta that is there while messages are on their way.
// Its value is how many of a lane may be.
func deliveringTo(destination string) string { return "delivering to " + destination }

// interruptedQuery takes the first ?2 pending messages of every lane.
const interruptedQuery = `
WITH RECURSIVE ` + laneList + `
INSERT OR IGNORE INTO unanswered SELECT d.seq, ?1 FROM lane JOIN deliveries d ON d.lane = lane.id
WHERE d.destination = ?1 AND d.state = 'pending' AND d.seq IN (
	SELECT seq FROM deliveries WHERE destination = ?1 AND state = 'pending' AND lane = lane.id ORDER BY seq LIMIT ?2)`

func (t *tx) unanswered(destination string, seq uint64) error {
	return t.exec("INSERT OR IGNORE INTO unanswered VALUES (?, ?)", seq, destination)
}

func (t *tx) answered(destination string, seq uint64) error {
	return t.exec("DELETE FROM unanswered WHERE seq = ? AND destination = ?", seq, destination)
}
