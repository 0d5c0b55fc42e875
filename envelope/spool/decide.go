package spool

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/assaygate/assaygate/envelope"
)

// Selection says what RetryAll takes up. An empty field selects everything.
type Selection struct {
	Destination string `json:"destination"`
	Instrument  string `json:"instrument"`
	State       State  `json:"state"`  // parked or unconfirmed; "": both
	Reason      string `json:"reason"` // a part of it, upper and lower case alike: reasons hold ids and times

	Intake   envelope.Intake `json:"intake,omitempty"`
	Kind     envelope.Kind   `json:"kind,omitempty"`
	SampleID string          `json:"sample_id,omitempty"`
	Since    time.Time       `json:"since,omitzero"` // received at or after
	Until    time.Time       `json:"until,omitzero"` // received before
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

// retryChunk is how many deliveries one transaction takes up: instruments wait
// for an acknowledgement meanwhile.
const retryChunk = 500

// RetryAll makes every selected parked or unconfirmed message pending again and
// returns how many deliveries that were; with an error, how many until then. What
// is for a destination that is not configured stays.
func (s *Spool) RetryAll(ctx context.Context, which Selection, by string) (int, error) {
	if err := which.validate(); err != nil {
		return 0, fmt.Errorf("retrying: %w", err)
	}
	total := 0
	for last := (delivery{}); ; {
		var n int
		var list []delivery
		err := s.writer.write(ctx, func(t *tx) (err error) {
			condition, args := which.condition()
			if list, err = t.deliveries(condition+" AND (d.seq, d.destination) > (?, ?) ORDER BY d.seq, d.destination LIMIT ?",
				append(args, last.sequence, last.Destination, retryChunk)...); err != nil {
				return err
			}
			n, err = t.retry(list, by, func(State) bool { return true })
			return err
		})
		if err != nil {
			return total, fmt.Errorf("retrying: %w", err)
		}
		total += n
		if len(list) < retryChunk {
			return total, nil
		}
		last = list[len(list)-1]
	}
}

// Selected returns how many deliveries RetryAll would take up.
func (s *Spool) Selected(ctx context.Context, which Selection) (n int, err error) {
	if err := which.validate(); err != nil {
		return 0, fmt.Errorf("selecting: %w", err)
	}
	condition, args := which.condition()
	err = s.read(ctx, func(scan func(...any) error) error {
		var destination string
		var found int
		if err := scan(&destination, &found); err != nil {
			return err
		}
		if s.configured.Load().has(destination) {
			n += found
		}
		return nil
	}, "SELECT d.destination, count(*) FROM deliveries d WHERE "+condition+" GROUP BY d.destination", args...)
	if err != nil {
		return 0, fmt.Errorf("selecting: %w", err)
	}
	return n, nil
}

func (which *Selection) validate() error {
	switch which.State {
	case "", Parked, Unconfirmed:
		return nil
	}
	return fmt.Errorf("%w: what is %s is sent again one by one; all at once goes for parked and unconfirmed", ErrRefused, which.State)
}

// condition is the SQL for the selected deliveries d; the index of exceptions
// serves it.
func (which *Selection) condition() (string, []any) {
	where := `d.state IN ('parked', 'unconfirmed') AND d.state NOT IN ('pending', 'delivered', 'confirmed')
		AND (? = '' OR d.state = ?) AND (? = '' OR d.destination = ?) AND ` + reasonHas("d.reason")
	args := []any{string(which.State), string(which.State), which.Destination, which.Destination, which.Reason}
	message := ""
	of := func(condition string, value any) {
		message, args = message+" AND m."+condition+" ?", append(args, value)
	}
	for _, one := range []struct{ column, value string }{
		{"instrument", which.Instrument}, {"intake", string(which.Intake)}, {"kind", string(which.Kind)}, {"sample_id", which.SampleID},
	} {
		if one.value != "" {
			of(one.column+" =", one.value)
		}
	}
	if !which.Since.IsZero() {
		of("received_at >=", which.Since.UnixMicro())
	}
	if !which.Until.IsZero() {
		of("received_at <", which.Until.UnixMicro())
	}
	if message != "" {
		where += " AND EXISTS (SELECT 1 FROM messages m WHERE m.seq = d.seq" + message + ")"
	}
	return where, args
}

// Drop ends the delivery of a message wherever it is pending, parked or
// unconfirmed. by is the person; a reason is required.
func (s *Spool) Drop(ctx context.Context, id, by, reason string) error {
	if strings.TrimSpace(reason) == "" {
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
		if !t.receivers().has(d.Destination) || !wanted(d.State) {
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
		// A flipped bit may have led the index to another message: the rows say.
		var named uint64
		err = t.scan("SELECT count(*) FROM messages WHERE seq >= ?1 AND seq < ?1 + ?2 AND (+id = ?3 OR +message_id = ?3)",
			[]any{first, parts, id}, &named)
		if err != nil {
			return err
		}
		if named != parts {
			return fmt.Errorf("%w: the index leads to another message", ErrDamaged)
		}
		list, err := t.deliveries("d.seq >= ? AND d.seq < ?", first, first+parts)
		if err != nil {
			return err
		}
		n, err := act(t, list)
		if err != nil || n > 0 {
			return err
		}
		return unchanged(intake, list, t.receivers())
	})
	if err != nil {
		return fmt.Errorf("%s: %w", doing, err)
	}
	return nil
}

// unchanged explains why there was nothing to decide.
func unchanged(intake envelope.Intake, list []delivery, configured *receivers) error {
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
		if !configured.has(d.Destination) {
			errs = append(errs, fmt.Errorf("%s is not configured any more", d.Destination))
		} else {
			errs = append(errs, fmt.Errorf("at %s it is %s", d.Destination, d.State))
		}
	}
	return fmt.Errorf("%w: %w", ErrRefused, errors.Join(errs...))
}
