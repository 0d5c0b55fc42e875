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

// reconcile brings the known destinations in line with the configured ones. A
// new one gets what arrives from now on; what was pending for one that is gone
// or now leads elsewhere is parked, for a person to decide.
func (s *Spool) reconcile(t *tx) error {
	known, err := t.knownDestinations()
	if err != nil {
		return err
	}
	for name, active := range known {
		if _, configured := s.destinations[name]; configured || !active {
			continue
		}
		if err := t.setHeld(name, nil); err != nil {
			return err
		}
		if err := t.exec("UPDATE destinations SET active = 0 WHERE name = ?", name); err != nil {
			return err
		}
		if err := t.parkPending(name, auditRemoved); err != nil {
			return err
		}
	}
	for _, name := range s.names {
		active, found := known[name]
		if err := t.configure(s.destinations[name], found, active); err != nil {
			return err
		}
	}
	if err := s.reportRewritten(t); err != nil {
		return err
	}
	if err := s.reportLostTail(t); err != nil {
		return err
	}
	s.reported = true // tidy, which runs after this in the same goroutine, writes the mark anew
	return nil
}

// adopt takes the known destinations for the configured ones.
func (s *Spool) adopt(t *tx) error {
	known, err := t.knownDestinations()
	if err != nil {
		return err
	}
	for name, active := range known {
		if active {
			s.destinations[name] = Destination{Name: name}
			s.names = append(s.names, name)
		}
	}
	return nil
}

func (t *tx) knownDestinations() (map[string]bool, error) {
	rows, err := t.query("SELECT name, active FROM destinations")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	known := map[string]bool{}
	for rows.Next() {
		var name string
		var active bool
		if err := rows.Scan(&name, &active); err != nil {
			return nil, err
		}
		known[name] = active
	}
	return known, rows.Err()
}

func (t *tx) configure(d Destination, found, active bool) error {
	if !found {
		err := t.exec("INSERT INTO destinations (name, binding, active, since) VALUES (?, ?, 1, ?)",
			d.Name, d.Binding, t.cursor.sequence+1)
		if err != nil {
			return err
		}
		return t.audit(AuditRow{What: auditAdded, Destination: d.Name})
	}
	var binding string
	if err := t.scan("SELECT binding FROM destinations WHERE name = ?", []any{d.Name}, &binding); err != nil {
		return err
	}
	if err := t.setHeld(d.Name, nil); err != nil {
		return err
	}
	if err := t.exec("UPDATE destinations SET binding = ?, active = 1 WHERE name = ?", d.Binding, d.Name); err != nil {
		return err
	}
	if binding != d.Binding {
		return t.parkPending(d.Name, auditMoved)
	}
	if !d.Confirm {
		if err := t.endConfirmations(d.Name); err != nil {
			return err
		}
	}
	if !active {
		return t.audit(AuditRow{What: auditAdded, Destination: d.Name})
	}
	return nil
}

// parkPending parks everything that waits for a destination, and gives up
// reading back from where that was; why is the reason and the audit row for the
// destination as a whole.
func (t *tx) parkPending(destination, why string) error {
	if err := t.endConfirmations(destination); err != nil {
		return err
	}
	if err := t.audit(AuditRow{What: why, Destination: destination}); err != nil {
		return err
	}
	list, err := t.deliveries("d.destination = ? AND d.state = 'pending'", destination)
	if err != nil {
		return err
	}
	for i := range list {
		if err := t.settle(&list[i], Parked, auditParked, "", why); err != nil {
			return err
		}
	}
	if len(list) > 0 {
		t.spool.log.Warn("pending messages are parked for a person to decide: spool retry sends them, spool drop does not",
			"destination", destination, "messages", len(list), "reason", why)
	}
	return nil
}
