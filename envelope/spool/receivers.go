package spool

import (
	"context"
	"fmt"
	"slices"
)

// receivers are the configured destinations. They do not change; a change of the
// configuration makes others.
type receivers struct {
	byName map[string]Destination
	names  []string // in the order of the configuration
}

func newReceivers(list []Destination) (*receivers, error) {
	r := &receivers{byName: map[string]Destination{}}
	for _, d := range list {
		if r.has(d.Name) || d.Name == "" {
			return nil, fmt.Errorf("destination %q is empty or named twice", d.Name)
		}
		r.byName[d.Name] = d
		r.names = append(r.names, d.Name)
	}
	return r, nil
}

func (r *receivers) has(name string) bool {
	_, there := r.byName[name]
	return there
}

// receivers are those that hold for what the transaction does now.
func (t *tx) receivers() *receivers {
	if t.configured != nil {
		return t.configured
	}
	return t.spool.configured.Load()
}

// SetDestinations changes the configured destinations of the open store, as
// closing it and opening it with others would: a new one gets what arrives from
// now on; what was pending for one that is gone or now leads elsewhere is parked
// for a person to decide. What does not change is left alone, also why it is held.
// Nobody may deliver to those that change meanwhile.
func (s *Spool) SetDestinations(ctx context.Context, list []Destination) error {
	next, err := newReceivers(list)
	if err != nil {
		return fmt.Errorf("changing the destinations: %w", err)
	}
	if now := s.configured.Load(); slices.Equal(list, now.list()) {
		return nil
	}
	err = s.writer.write(ctx, func(t *tx) error {
		now := t.receivers()
		err := t.reconcile(next, func(d Destination) bool { return now.byName[d.Name] == d })
		if err == nil {
			t.configured = next
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("changing the destinations: %w", err)
	}
	return nil
}

func (r *receivers) list() (list []Destination) {
	for _, name := range r.names {
		list = append(list, r.byName[name])
	}
	return list
}

// reconcile brings the known destinations in line with the configured ones, and
// says what the store has lost.
func (s *Spool) reconcile(t *tx) error {
	if err := t.reconcile(t.receivers(), func(Destination) bool { return false }); err != nil {
		return err
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

// reconcile brings the known destinations in line with the wanted ones, but for
// those that are settled. A new one gets what arrives from now on; what was
// pending for one that is gone or now leads elsewhere is parked, for a person to
// decide.
func (t *tx) reconcile(wanted *receivers, settled func(Destination) bool) error {
	known, err := t.knownDestinations()
	if err != nil {
		return err
	}
	for name, active := range known {
		if wanted.has(name) || !active {
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
	for _, d := range wanted.list() {
		active, found := known[d.Name]
		if found && active && settled(d) {
			continue
		}
		if err := t.configure(d, found, active); err != nil {
			return err
		}
	}
	return nil
}

// adopt takes the known destinations for the configured ones.
func (s *Spool) adopt(t *tx) error {
	known, err := t.knownDestinations()
	if err != nil {
		return err
	}
	var list []Destination
	for name, active := range known {
		if active {
			list = append(list, Destination{Name: name})
		}
	}
	t.configured, err = newReceivers(list)
	return err
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

// Destinations returns the names of the configured destinations, in the order of
// the configuration.
func (s *Spool) Destinations() []string { return slices.Clone(s.configured.Load().names) }
