package spool

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/assaygate/assaygate/envelope"
)

// Put stores the envelopes of one message and returns the sequence of the
// first once all of them are durable. An error means that none ever will be,
// so the sender may be told to keep its message; only after ErrUncertain it
// must be told nothing. The caller's deadline holds until the commit begins.
//
// The envelopes must be the parts 0, 1, ... of a message, or of several one after
// the other, which then become durable together or not at all: a frame that ends
// two messages has one acknowledgement. Put sets Sequence, DuplicateOf and Repeat
// in them.
func (s *Spool) Put(ctx context.Context, envelopes ...envelope.Envelope) (uint64, error) {
	return s.put(ctx, "", envelopes)
}

// PutFinal is Put for a message whose beginning is the line's draft: the draft
// goes in the same transaction.
func (s *Spool) PutFinal(ctx context.Context, line string, envelopes ...envelope.Envelope) (uint64, error) {
	return s.put(ctx, line, envelopes)
}

func (s *Spool) put(ctx context.Context, line string, envelopes []envelope.Envelope) (uint64, error) {
	messages, err := s.messages(envelopes)
	if err != nil {
		return 0, fmt.Errorf("storing a message: %w", err)
	}
	if err := s.Room(); err != nil {
		return 0, fmt.Errorf("storing a message: %w", err)
	}
	err = s.writer.write(ctx, func(t *tx) error {
		if line != "" {
			if err := t.exec("DELETE FROM drafts WHERE line = ?", line); err != nil {
				return err
			}
		}
		return t.storeAll(messages)
	})
	if full(err) {
		err = fmt.Errorf("%w: %w", ErrNoRoom, err)
	}
	if err != nil {
		return 0, fmt.Errorf("storing a message: %w", err)
	}
	for i, r := range slices.Concat(messages...) {
		envelopes[i].Sequence, envelopes[i].DuplicateOf, envelopes[i].Repeat = r.sequence, r.duplicateOf, r.repeat
		for _, d := range r.heldBack {
			s.log.Info("held back", "destination", d.Destination, "id", r.id, "instrument", r.instrument, "reason", d.Reason)
		}
	}
	return messages[0][0].sequence, nil
}

// byMessage cuts envelopes where another message begins. None are one message
// of no parts, which is refused as such.
func byMessage(envelopes []envelope.Envelope) (messages [][]envelope.Envelope) {
	from := 0
	for i := range envelopes {
		if envelopes[i].MessageID != envelopes[from].MessageID {
			messages, from = append(messages, envelopes[from:i]), i
		}
	}
	return append(messages, envelopes[from:])
}

// messages makes the rows of each message, outside the writer: only what needs
// the transaction is done there.
func (s *Spool) messages(envelopes []envelope.Envelope) (messages [][]record, err error) {
	for _, parts := range byMessage(envelopes) {
		records, err := s.records(parts)
		if err != nil {
			return nil, err
		}
		messages = append(messages, records)
	}
	return messages, nil
}

func (s *Spool) records(envelopes []envelope.Envelope) ([]record, error) {
	if len(envelopes) == 0 {
		return nil, errors.New("it has no envelope")
	}
	if s.writer == nil {
		return nil, ErrReadOnly
	}
	records := make([]record, len(envelopes))
	for i := range envelopes {
		e := &envelopes[i]
		if e.ID == "" || e.MessageID == "" || e.MessageID != envelopes[0].MessageID || e.Part != i {
			return nil, fmt.Errorf("envelope %d is not part %d of one message with ids", i, i)
		}
		var err error
		if records[i], err = s.newRecord(e, envelopes[0].Raw); err != nil {
			return nil, err
		}
	}
	return records, nil
}

func (t *tx) storeAll(messages [][]record) error {
	for _, records := range messages {
		if err := t.store(records); err != nil {
			return err
		}
	}
	return nil
}

// store writes the parts of one message, their deliveries and the audit trail.
func (t *tx) store(records []record) error {
	l, err := t.lane(records[0].lane)
	if err != nil {
		return err
	}
	earlier := make([]map[string]State, len(records)) // looked up before any part is in: parts share their digest
	for i := range records {
		if earlier[i], err = t.duplicate(&records[i], l); err != nil {
			return err
		}
	}
	for i := range records {
		r := &records[i]
		if i > 0 && r.lane != records[0].lane {
			return errors.New("its envelopes are of different lanes")
		}
		t.cursor.sequence++
		r.sequence = t.cursor.sequence
		list := t.starts(r, l, earlier[i])
		if err := t.insert(r, l, list); err != nil {
			return err
		}
		if err := t.deliver(r, list); err != nil {
			return err
		}
	}
	t.stored += len(records)
	if records[0].repeat {
		return nil // the same message again teaches nothing about its ids
	}
	return t.setControl(records[0].lane, l, records[0].controlID)
}

// insert writes the message, and the row of the audit trail that names its
// deliveries: one that is lost later can be told from one that never was.
func (t *tx) insert(r *record, l lane, deliveries []delivery) error {
	err := t.exec(`INSERT INTO messages VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		r.sequence, r.id, r.messageID, r.part, l.id, r.instrument, string(r.kind), r.sampleID,
		r.received.at.UnixMicro(), r.received.clock, r.received.boot, r.received.monotonic,
		r.remote, r.controlID, r.messageTime, string(r.intake), r.reason, r.withheld,
		r.digest, r.duplicateOf, r.repeat, r.sum(), r.body, r.raw)
	if err != nil {
		return fmt.Errorf("writing the message: %w", err)
	}
	names := make([]string, len(deliveries))
	for i := range deliveries {
		names[i] = deliveries[i].Destination
	}
	return t.audit(AuditRow{What: auditAccepted, Sequence: r.sequence, Detail: acceptedDetail(r.intake, names)})
}

// starts returns the deliveries of a message, each in the state that the message
// starts in there.
func (t *tx) starts(r *record, l lane, earlier map[string]State) (list []delivery) {
	known := t.receivers()
	for _, name := range known.names {
		state, reason := t.spool.start(r, known.byName[name], earlier)
		if state != "" {
			list = append(list, delivery{sequence: r.sequence, lane: l.id, Delivery: Delivery{Destination: name, State: state, Reason: reason}})
		}
	}
	return list
}

// deliver writes the deliveries of a message.
func (t *tx) deliver(r *record, list []delivery) error {
	r.heldBack = nil
	for i := range list {
		d := &list[i]
		if err := t.insertDelivery(d); err != nil {
			return err
		}
		if d.State == Pending {
			continue
		}
		if d.State == Dropped {
			r.heldBack = append(r.heldBack, d.Delivery)
		}
		if err := t.audit(AuditRow{What: string(d.State), Sequence: r.sequence, Destination: d.Destination, Detail: d.Reason}); err != nil {
			return err
		}
	}
	return nil
}

// start returns the state in which a message begins at a destination, or ""
// where the destination does not get it. earlier has the states of the message
// that r repeats.
func (s *Spool) start(r *record, to Destination, earlier map[string]State) (State, string) {
	switch {
	case to.Everything:
		return Pending, ""
	case r.intake == envelope.Incomplete, r.intake == envelope.Rejected:
		return "", ""
	case r.intake == envelope.Parked:
		return Parked, r.reason
	case r.kind == envelope.KindTest && !to.AcceptTest:
		return Dropped, "test message, accept_test is false"
	case r.withheld != "":
		return Dropped, r.withheld
	}
	// A repeat is only held back where the first one has gone or will go: what a
	// person dropped, or what did not appear at the LIMS, and the instrument then
	// sends again, is wanted.
	if before, ok := earlier[to.Name]; r.repeat && ok && before != Dropped && before != Unconfirmed {
		return Dropped, "retransmission of " + r.duplicateOf
	}
	return Pending, ""
}
