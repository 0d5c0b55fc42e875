package spool

import (
	"context"
	"errors"
	"fmt"

	"github.com/assaygate/assaygate/envelope"
)

// Selection says what RetryAll takes up. An empty field selects everything.
type Selection struct {
	Destination string `json:"destination"`
	Reason      string `json:"reason"` // the exact text
}

// Retry makes the message pending again at every destination where it is parked
// or unconfirmed, or where there is none such, dropped. id is an envelope's id,
// or a message's for all its parts; by is the person. Incomplete and rejected
// input is refused, for its sender still has it.
func (s *Spool) Retry(ctx context.Context, id, by string) error {
	return s.decide(ctx, "retrying "+id, id, func(t *tx, list []delivery) (int, error) {
		n, err := t.retry(list, by, func(state State) bool { return state == Parked || state == Unconfirmed })
		if n > 0 || err != nil {
			return n, err
		}
		return t.retry(list, by, func(state State) bool { return state == Dropped })
	})
}

// RetryAll makes every selected parked or unconfirmed message pending again and
// returns how many deliveries that were. What is for a destination that is not
// configured stays.
func (s *Spool) RetryAll(ctx context.Context, which Selection, by string) (int, error) {
	n := 0
	err := s.writer.write(ctx, func(t *tx) error {
		list, err := t.deliveries(`d.state IN ('parked', 'unconfirmed') AND d.state NOT IN ('pending', 'delivered', 'confirmed')
			AND (?1 = '' OR d.destination = ?1) AND (?2 = '' OR d.reason = ?2) ORDER BY d.seq`, which.Destination, which.Reason)
		if err != nil {
			return err
		}
		n, err = t.retry(list, by, func(State) bool { return true })
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("retrying: %w", err)
	}
	return n, nil
}

// Drop ends the delivery of a message wherever it is pending, parked or
// unconfirmed. by is the person; a reason is required.
func (s *Spool) Drop(ctx context.Context, id, by, reason string) error {
	if reason == "" {
		return fmt.Errorf("dropping %s: %w: a reason is needed", id, ErrRefused)
	}
	return s.decide(ctx, "dropping "+id, id, func(t *tx, list []delivery) (n int, err error) {
		for i := range list {
			d := &list[i]
			if d.State != Pending && d.State != Parked && d.State != Unconfirmed {
				continue
			}
			n++
			if err := t.settle(d, Dropped, auditDropped, by, reason); err != nil {
				return n, err
			}
		}
		return n, nil
	})
}

// retry makes the deliveries in the wanted states pending again, but for those
// of destinations that are not there.
func (t *tx) retry(list []delivery, by string, wanted func(State) bool) (n int, err error) {
	for i := range list {
		d := &list[i]
		if _, configured := t.spool.destinations[d.Destination]; !configured || !wanted(d.State) {
			continue
		}
		n++
		d.Refusals = 0 // the count that parked it starts again
		if err := t.settle(d, Pending, auditRetried, by, ""); err != nil {
			return n, err
		}
	}
	return n, nil
}

// decide runs a person's decision on the deliveries of one envelope or message.
// act returns how many it changed; none is an error that says why.
func (s *Spool) decide(ctx context.Context, doing, id string, act func(*tx, []delivery) (int, error)) error {
	err := s.writer.write(ctx, func(t *tx) error {
		var first, parts uint64
		var intake envelope.Intake
		err := t.scan(`SELECT ifnull(min(seq), 0), count(*), ifnull(max(intake), '') FROM messages WHERE id = ?1 OR message_id = ?1`,
			[]any{id}, &first, &parts, &intake)
		if err != nil {
			return err
		}
		if parts == 0 {
			return ErrNotFound
		}
		list, err := t.deliveries("d.seq >= ? AND d.seq < ?", first, first+parts)
		if err != nil {
			return err
		}
		n, err := act(t, list)
		if err != nil || n > 0 {
			return err
		}
		return unchanged(intake, list, s.destinations)
	})
	if err != nil {
		return fmt.Errorf("%s: %w", doing, err)
	}
	return nil
}

// unchanged explains why there was nothing to decide.
func unchanged(intake envelope.Intake, list []delivery, configured map[string]Destination) error {
	switch intake {
	case envelope.Incomplete:
		return fmt.Errorf("%w: the message is incomplete; the instrument still has it and must send it again", ErrRefused)
	case envelope.Rejected:
		return fmt.Errorf("%w: the message was rejected; the instrument still has it and must send it again", ErrRefused)
	}
	if len(list) == 0 {
		return fmt.Errorf("%w: no destination was configured when the message came", ErrRefused)
	}
	var errs []error
	for _, d := range list {
		if _, there := configured[d.Destination]; !there {
			errs = append(errs, fmt.Errorf("%s is not configured any more", d.Destination))
		} else {
			errs = append(errs, fmt.Errorf("at %s it is %s", d.Destination, d.State))
		}
	}
	return fmt.Errorf("%w: %w", ErrRefused, errors.Join(errs...))
}
