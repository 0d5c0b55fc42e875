package spool

import (
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// State is where a message stands at one destination.
type State string

// The states.
const (
	Pending     State = "pending"     // to be delivered
	Held        State = "held"        // pending, and its destination takes nothing until a person puts that right; only shown, never stored
	Delivered   State = "delivered"   // the destination has taken it
	Parked      State = "parked"      // set aside for a person, with the reason
	Dropped     State = "dropped"     // will not be delivered: by a rule or a person, with the reason
	Confirmed   State = "confirmed"   // its results were read back
	Unconfirmed State = "unconfirmed" // taken, but its results did not appear
)

// Delivery is how a message stands at one destination.
type Delivery struct {
	Destination string    `json:"destination"`
	State       State     `json:"state"`
	Reason      string    `json:"reason,omitempty"`
	Attempts    int       `json:"attempts"`
	Refusals    int       `json:"refusals"` // counted ones, since the last retry
	ChangedAt   time.Time `json:"changed_at"`
}

// delivery is a row of deliveries.
type delivery struct {
	Delivery
	sequence uint64
	lane     int64
}

const deliveryColumns = "d.seq, d.destination, d.lane, d.state, d.reason, d.attempts, d.refusals, d.changed_at, d.crc"

// scanDelivery reads one row. The error wraps ErrDamaged where its checksum
// fails.
func scanDelivery(scan func(...any) error) (delivery, error) {
	var d delivery
	var changed int64
	var sum uint32
	err := scan(&d.sequence, &d.Destination, &d.lane, &d.State, &d.Reason, &d.Attempts, &d.Refusals, &changed, &sum)
	if err != nil {
		return d, err
	}
	d.ChangedAt = time.UnixMicro(changed).UTC()
	if d.sum() != sum {
		return d, fmt.Errorf("delivery of message %d to %s: %w", d.sequence, d.Destination, ErrDamaged)
	}
	return d, nil
}

func (d *delivery) sum() uint32 {
	c := checksum{}
	c.number(int64(d.sequence), d.lane, int64(d.Attempts), int64(d.Refusals), d.ChangedAt.UnixMicro())
	c.text(d.Destination, string(d.State), d.Reason)
	return c.crc
}

// delivery reads one row in the transaction. A damaged one is passed on:
// whoever changes it writes a good checksum.
func (t *tx) delivery(destination string, sequence uint64) (delivery, error) {
	d, err := scanDelivery(func(into ...any) error {
		return t.scan("SELECT "+deliveryColumns+" FROM deliveries d WHERE d.seq = ? AND d.destination = ?",
			[]any{sequence, destination}, into...)
	})
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return d, fmt.Errorf("%w: %d for %s", ErrNotFound, sequence, destination)
	case errors.Is(err, ErrDamaged):
		return d, nil
	}
	return d, err
}

func (t *tx) insertDelivery(d *delivery) error {
	d.ChangedAt = t.spool.clock.now().UTC()
	err := t.exec("INSERT INTO deliveries VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", d.sequence, d.Destination, d.lane,
		string(d.State), d.Reason, d.Attempts, d.Refusals, d.ChangedAt.UnixMicro(), d.sum())
	if err != nil {
		return fmt.Errorf("writing a delivery: %w", err)
	}
	t.moves = append(t.moves, move{d.Destination, "", d.State})
	return nil
}

// updateDelivery writes a changed row; before is the state that it had.
func (t *tx) updateDelivery(d *delivery, before State) error {
	d.ChangedAt = t.spool.clock.now().UTC()
	err := t.exec(`UPDATE deliveries SET state = ?, reason = ?, attempts = ?, refusals = ?, changed_at = ?, crc = ?
		WHERE seq = ? AND destination = ?`, string(d.State), d.Reason, d.Attempts, d.Refusals,
		d.ChangedAt.UnixMicro(), d.sum(), d.sequence, d.Destination)
	if err != nil {
		return fmt.Errorf("changing a delivery: %w", err)
	}
	if before != d.State {
		t.moves = append(t.moves, move{d.Destination, before, d.State})
		t.mayBeFinished(d.sequence)
	}
	return nil
}

// settle moves a delivery to another state, with its audit row.
func (t *tx) settle(d *delivery, to State, what, who, reason string) error {
	before := d.State
	d.State, d.Reason = to, reason
	if err := t.updateDelivery(d, before); err != nil {
		return err
	}
	return t.audit(AuditRow{What: what, Sequence: d.sequence, Destination: d.Destination, Who: who, Detail: reason})
}

// deliveries runs a query for deliveries d in the transaction and reads all
// rows, for the caller changes them. Damaged ones are passed on likewise.
func (t *tx) deliveries(where string, args ...any) ([]delivery, error) {
	rows, err := t.query("SELECT "+deliveryColumns+" FROM deliveries d WHERE "+where, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var list []delivery
	for rows.Next() {
		d, err := scanDelivery(rows.Scan)
		if err != nil && !errors.Is(err, ErrDamaged) {
			return nil, err
		}
		list = append(list, d)
	}
	return list, rows.Err()
}
