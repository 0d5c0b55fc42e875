package spool

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// holdTable has one row for each reason why a destination takes nothing; scope
// is the receiver behind it whose messages wait, or "" for all of them.
const holdTable = `
CREATE TABLE holds (
	destination TEXT NOT NULL,
	scope       TEXT NOT NULL,
	reason      TEXT NOT NULL,
	PRIMARY KEY (destination, scope)
) WITHOUT ROWID;
`

// Hold is why messages wait for a person who puts the destination right.
type Hold struct {
	Scope  string // the receiver behind the destination; "": the destination as a whole
	Reason string
}

// SetHeld notes why messages for the destination wait for a person; none clears
// it. While the destination as a whole is held, its pending messages are shown
// as held.
func (s *Spool) SetHeld(ctx context.Context, destination string, holds ...Hold) error {
	err := s.writer.write(ctx, func(t *tx) error { return t.setHeld(destination, holds) })
	if err != nil {
		return fmt.Errorf("noting that %s is held: %w", destination, err)
	}
	return nil
}

func (t *tx) setHeld(destination string, holds []Hold) error {
	reason := holdReason(holds)
	var before string
	if err := t.scan("SELECT ifnull((SELECT held FROM destinations WHERE name = ?), '')", []any{destination}, &before); err != nil {
		return err
	}
	if err := t.exec("DELETE FROM holds WHERE destination = ?", destination); err != nil {
		return err
	}
	for _, h := range holds {
		if err := t.exec("INSERT INTO holds VALUES (?, ?, ?)", destination, h.Scope, h.Reason); err != nil {
			return err
		}
	}
	if before == reason {
		return nil
	}
	if err := t.exec("UPDATE destinations SET held = ? WHERE name = ?", reason, destination); err != nil {
		return err
	}
	what := auditHeld
	if reason == "" {
		what = auditReleased
	}
	return t.audit(AuditRow{What: what, Destination: destination, Detail: reason})
}

// holdReason is what a person reads: the reason that holds for all messages, or
// those of all scopes.
func holdReason(holds []Hold) string {
	var reasons []string
	for _, h := range holds {
		if h.Scope == "" {
			return h.Reason
		}
		reasons = append(reasons, h.Reason)
	}
	slices.Sort(reasons)
	return strings.Join(reasons, "; ")
}

// shownState is the SQL for the state of delivery d as a person sees it.
const shownState = `CASE WHEN d.state = 'pending' AND EXISTS (SELECT 1 FROM holds h WHERE h.destination = d.destination AND h.scope = '')
	THEN 'held' ELSE d.state END`

// shownReason is the SQL for its reason.
const shownReason = `ifnull(CASE WHEN d.state = 'pending' THEN
	(SELECT h.reason FROM holds h WHERE h.destination = d.destination AND h.scope = '') END, d.reason)`

// Holds returns why a destination takes nothing, or nothing for some of the
// receivers behind it, in the order of these.
func (s *Spool) Holds(ctx context.Context, destination string) (list []Hold, err error) {
	err = s.read(ctx, func(scan func(...any) error) error {
		var h Hold
		err := scan(&h.Scope, &h.Reason)
		list = append(list, h)
		return err
	}, "SELECT scope, reason FROM holds WHERE destination = ? ORDER BY scope", destination)
	if err != nil {
		return nil, fmt.Errorf("reading why %s is held: %w", destination, err)
	}
	return list, nil
}

// showHeld turns the pending deliveries of held destinations into held ones.
func (s *Spool) showHeld(ctx context.Context, list []Delivery) error {
	return s.read(ctx, func(scan func(...any) error) error {
		var destination, reason string
		if err := scan(&destination, &reason); err != nil {
			return err
		}
		for i := range list {
			if d := &list[i]; d.Destination == destination && d.State == Pending {
				d.State, d.Reason = Held, reason
			}
		}
		return nil
	}, "SELECT destination, reason FROM holds WHERE scope = ''")
}
