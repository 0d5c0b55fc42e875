package spool

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/assaygate/assaygate/envelope"
)

const defaultLimit = 100

// Filter selects what List returns. A zero field selects everything.
type Filter struct {
	State       State // at any destination, or at Destination; pending takes in held
	Destination string
	// Reason is a part of the reason, upper and lower case alike: of the message's
	// intake, or of the delivery that State and Destination select.
	Reason     string
	Intake     envelope.Intake
	Kind       envelope.Kind
	Instrument string
	SampleID   string
	MessageID  string    // the envelopes of one message
	Since      time.Time // received at or after
	Until      time.Time // received before
	Before     uint64    // sequences below this one, for the next page
	Limit      int       // 0: 100
}

// Summary is one envelope in a list.
type Summary struct {
	ID         string           `json:"id"`
	MessageID  string           `json:"message_id"`
	Sequence   uint64           `json:"sequence"`
	Instrument string           `json:"instrument"`
	ReceivedAt time.Time        `json:"received_at"`
	Clock      string           `json:"clock"`
	Kind       envelope.Kind    `json:"kind"`
	SampleID   string           `json:"sample_id"`
	Intake     envelope.Intake  `json:"intake"`
	Reason     string           `json:"reason,omitempty"` // why it is parked, incomplete or rejected
	States     map[string]State `json:"states"`           // by destination; empty where none gets it
	// Reasons are those of the states, by destination, where there is one: why it
	// is parked, and for what is pending why the last attempt failed.
	Reasons map[string]string `json:"reasons,omitempty"`
}

// Detail is all that is known of one envelope but its bytes.
type Detail struct {
	Envelope   envelope.Envelope `json:"-"` // with Raw
	Deliveries []Delivery        `json:"deliveries"`
	Audit      []AuditRow        `json:"audit"`
}

// read runs a query on a connection of its own and gives each row to each.
func (s *Spool) read(ctx context.Context, each func(scan func(...any) error) error, query string, args ...any) error {
	rows, err := s.readers.QueryContext(ctx, query, args...)
	if err != nil {
		return s.closed(err)
	}
	defer rows.Close()
	for rows.Next() {
		if err := each(rows.Scan); err != nil {
			return err
		}
	}
	return rows.Err()
}

// closed gives the error of a closed database its name.
func (s *Spool) closed(err error) error {
	if err == nil {
		return nil
	}
	select {
	case <-s.ended():
		return fmt.Errorf("%w: %w", ErrClosed, err)
	default:
		return err
	}
}

// List returns what the filter selects, newest first by sequence.
func (s *Spool) List(ctx context.Context, f Filter) ([]Summary, error) {
	query, args := f.query()
	list := []Summary{}
	err := s.read(ctx, func(scan func(...any) error) error {
		var m Summary
		var received int64
		var destination, state, reason sql.NullString
		err := scan(&m.ID, &m.MessageID, &m.Sequence, &m.Instrument, &received, &m.Clock, &m.Kind, &m.SampleID,
			&m.Intake, &m.Reason, &destination, &state, &reason)
		if err != nil {
			return err
		}
		if len(list) == 0 || list[len(list)-1].Sequence != m.Sequence {
			m.ReceivedAt, m.States, m.Reasons = time.UnixMicro(received).UTC(), map[string]State{}, map[string]string{}
			list = append(list, m)
		}
		last := &list[len(list)-1]
		if destination.Valid {
			last.States[destination.String] = State(state.String)
		}
		if reason.String != "" {
			last.Reasons[destination.String] = reason.String
		}
		return nil
	}, query, args...)
	if err != nil {
		return nil, fmt.Errorf("listing messages: %w", err)
	}
	return list, nil
}

// reasonHas is the SQL for a reason in which a text stands, whatever its case.
func reasonHas(column string) string { return "instr(lower(" + column + "), lower(?)) > 0" }

// query finds the sequences first, from the narrowest index that fits, and
// reads the wide rows only for those that are shown.
func (f *Filter) query() (string, []any) {
	var where []string
	var args []any
	add := func(condition string, values ...any) {
		where, args = append(where, condition), append(args, values...)
	}
	from := "messages m"
	switch {
	case f.MessageID != "":
		from = "messages m INDEXED BY messages_message"
		add("m.message_id = ?", f.MessageID)
	case f.SampleID != "":
		from = "messages m INDEXED BY messages_sample"
	case f.Instrument != "" || !f.Since.IsZero() || !f.Until.IsZero():
		from = "messages m INDEXED BY messages_time"
		if f.Since.IsZero() {
			add("m.received_at > -9e18") // for the index to be of use
		}
	}
	if f.SampleID != "" {
		add("m.sample_id = ? AND m.sample_id <> ''", f.SampleID)
	}
	if f.Instrument != "" {
		add("m.instrument = ?", f.Instrument)
	}
	if !f.Since.IsZero() {
		add("m.received_at >= ?", f.Since.UnixMicro())
	}
	if !f.Until.IsZero() {
		add("m.received_at < ?", f.Until.UnixMicro())
	}
	if f.Intake != "" {
		add("m.intake = ?", string(f.Intake))
	}
	if f.Kind != "" {
		add("m.kind = ?", string(f.Kind))
	}
	if f.Before != 0 {
		add("m.seq < ?", f.Before)
	}
	f.addDelivery(add)
	if where == nil {
		add("TRUE")
	}
	limit := f.Limit
	if limit <= 0 {
		limit = defaultLimit
	}
	query := `SELECT m.id, m.message_id, m.seq, m.instrument, m.received_at, m.clock, m.kind, m.sample_id, m.intake, m.reason,
			d.destination, ` + shownState + `, ` + shownReason + `
		FROM (SELECT m.seq FROM ` + from + ` WHERE ` + strings.Join(where, " AND ") + ` ORDER BY m.seq DESC LIMIT ?) AS found
		CROSS JOIN messages m ON m.seq = found.seq LEFT JOIN deliveries d ON d.seq = m.seq
		ORDER BY found.seq DESC, d.destination`
	return query, append(args, limit)
}

// addDelivery adds what one delivery of the message must meet.
func (f *Filter) addDelivery(add func(condition string, values ...any)) {
	var where string
	var args []any
	and := func(condition string, value string) {
		where, args = where+" AND "+condition, append(args, value)
	}
	if f.Destination != "" {
		and("d.destination = ?", f.Destination)
	}
	held := ""
	switch {
	case f.State == Held && f.Reason != "":
		held = " AND " + reasonHas("h.reason")
		args = append(args, f.Reason)
	case f.Reason != "":
		and(reasonHas("d.reason"), f.Reason)
	}
	switch f.State {
	case Pending:
		add("m.seq IN (SELECT d.seq FROM deliveries d WHERE d.state = 'pending'"+where+")", args...)
	case Held:
		add("m.seq IN (SELECT d.seq FROM deliveries d WHERE d.state = 'pending'"+where+
			" AND d.destination IN (SELECT h.destination FROM holds h WHERE h.scope = ''"+held+"))", args...)
	case Delivered, Confirmed:
		add("EXISTS (SELECT 1 FROM deliveries d WHERE d.seq = m.seq AND d.state = ?"+where+")",
			slices.Insert(args, 0, any(string(f.State)))...)
	case "":
		switch {
		case f.Destination != "":
			add("EXISTS (SELECT 1 FROM deliveries d WHERE d.seq = m.seq"+where+")", args...)
		case f.Reason != "":
			add("("+reasonHas("m.reason")+" OR EXISTS (SELECT 1 FROM deliveries d WHERE d.seq = m.seq"+where+"))",
				slices.Insert(args, 0, any(f.Reason))...)
		}
	default:
		add("m.seq IN (SELECT d.seq FROM deliveries d WHERE d.state = ? AND d.state NOT IN ('pending', 'delivered', 'confirmed')"+where+")",
			slices.Insert(args, 0, any(string(f.State)))...)
	}
}

// find returns the sequence of an envelope, or of the first part of a message.
func (s *Spool) find(ctx context.Context, id string) (uint64, error) {
	var seq sql.NullInt64
	err := s.readers.QueryRowContext(ctx, "SELECT min(seq) FROM messages WHERE id = ?1 OR message_id = ?1", id).Scan(&seq)
	if err != nil {
		return 0, s.closed(err)
	}
	if !seq.Valid {
		return 0, ErrNotFound
	}
	return uint64(seq.Int64), nil
}

// Sequence returns that of an envelope, or of the first part of a message.
func (s *Spool) Sequence(ctx context.Context, id string) (uint64, error) {
	seq, err := s.find(ctx, id)
	if err != nil {
		return 0, fmt.Errorf("looking for %s: %w", id, err)
	}
	return seq, nil
}

// named is message for one that was found by id. Where a flipped bit has led the
// index to another message, that must not be taken for the one that was asked for.
func (s *Spool) named(ctx context.Context, id string, seq uint64) (envelope.Envelope, error) {
	e, err := s.message(ctx, seq)
	if err == nil && e.ID != id && e.MessageID != id {
		return envelope.Envelope{}, fmt.Errorf("%w: the index leads to another message", ErrDamaged)
	}
	return e, err
}

// Show returns all that is known of an envelope, by its id or, for the first
// part, its message's. With ErrDamaged the envelope is empty and the rest is
// there.
func (s *Spool) Show(ctx context.Context, id string) (Detail, error) {
	detail := Detail{Deliveries: []Delivery{}, Audit: []AuditRow{}}
	seq, err := s.find(ctx, id)
	if err != nil {
		return detail, fmt.Errorf("showing %s: %w", id, err)
	}
	detail.Envelope, err = s.named(ctx, id, seq)
	if err != nil && !errors.Is(err, ErrDamaged) {
		return detail, fmt.Errorf("showing %s: %w", id, err)
	}
	err = errors.Join(err, s.read(ctx, func(scan func(...any) error) error {
		d, err := scanDelivery(scan)
		detail.Deliveries = append(detail.Deliveries, d.Delivery)
		return err
	}, "SELECT "+deliveryColumns+" FROM deliveries d WHERE d.seq = ? ORDER BY d.destination", seq))
	err = errors.Join(err, s.showHeld(ctx, detail.Deliveries))
	err = errors.Join(err, s.read(ctx, func(scan func(...any) error) error {
		row, _, err := scanAudit(scan)
		detail.Audit = append(detail.Audit, row)
		return err
	}, "SELECT "+auditColumns+" FROM audit WHERE seq = ? AND seq > 0 ORDER BY n", seq))
	if err != nil {
		return detail, fmt.Errorf("showing %s: %w", id, err)
	}
	return detail, nil
}

// Raw returns the bytes of the message as kept, by the id of an envelope or of
// the message.
func (s *Spool) Raw(ctx context.Context, id string) ([]byte, error) {
	seq, err := s.find(ctx, id)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", id, err)
	}
	e, err := s.named(ctx, id, seq)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", id, err)
	}
	return e.Raw, nil
}
