package spool

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/assaygate/assaygate/envelope"
)

const defaultLimit = 100

// Filter selects what List returns. A zero field selects everything.
type Filter struct {
	State       State // at any destination, or at Destination; pending takes in held
	Destination string
	Intake      envelope.Intake
	Instrument  string
	SampleID    string
	Since       time.Time // received at or after
	Until       time.Time // received before
	Before      uint64    // sequences below this one, for the next page
	Limit       int       // 0: 100
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
		var destination sql.NullString
		var state sql.NullString
		err := scan(&m.ID, &m.MessageID, &m.Sequence, &m.Instrument, &received, &m.Clock, &m.Kind, &m.SampleID,
			&m.Intake, &m.Reason, &destination, &state)
		if err != nil {
			return err
		}
		if len(list) == 0 || list[len(list)-1].Sequence != m.Sequence {
			m.ReceivedAt, m.States = time.UnixMicro(received).UTC(), map[string]State{}
			list = append(list, m)
		}
		if destination.Valid {
			list[len(list)-1].States[destination.String] = State(state.String)
		}
		return nil
	}, query, args...)
	if err != nil {
		return nil, fmt.Errorf("listing messages: %w", err)
	}
	return list, nil
}

// query finds the sequences first, from the narrowest index that fits, and
// reads the wide rows only for those that are shown.
func (f *Filter) query() (string, []any) {
	var where []string
	var args []any
	add := func(condition string, values ...any) {
		where, args = append(where, condition), append(args, values...)
	}
	from := "messages m"
	if f.SampleID != "" {
		add("m.sample_id = ? AND m.sample_id <> ''", f.SampleID)
	} else if f.Instrument != "" || !f.Since.IsZero() || !f.Until.IsZero() {
		from = "messages m INDEXED BY messages_time"
		if f.Since.IsZero() {
			add("m.received_at > -9e18") // for the index to be of use
		}
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
	if f.Before != 0 {
		add("m.seq < ?", f.Before)
	}
	switch {
	case f.State == Pending:
		add("m.seq IN (SELECT seq FROM deliveries WHERE state = 'pending' AND (? = '' OR destination = ?))",
			f.Destination, f.Destination)
	case f.State == Held:
		add(`m.seq IN (SELECT seq FROM deliveries WHERE state = 'pending' AND (? = '' OR destination = ?)
			AND destination IN (SELECT destination FROM holds WHERE scope = ''))`, f.Destination, f.Destination)
	case f.State == "" && f.Destination != "":
		add("EXISTS (SELECT 1 FROM deliveries WHERE seq = m.seq AND destination = ?)", f.Destination)
	case f.State == Delivered, f.State == Confirmed:
		add("EXISTS (SELECT 1 FROM deliveries WHERE seq = m.seq AND state = ? AND (? = '' OR destination = ?))",
			string(f.State), f.Destination, f.Destination)
	case f.State != "":
		add(`m.seq IN (SELECT seq FROM deliveries WHERE state = ? AND state NOT IN ('pending', 'delivered', 'confirmed')
			AND (? = '' OR destination = ?))`, string(f.State), f.Destination, f.Destination)
	}
	if where == nil {
		add("TRUE")
	}
	limit := f.Limit
	if limit <= 0 {
		limit = defaultLimit
	}
	query := `SELECT m.id, m.message_id, m.seq, m.instrument, m.received_at, m.clock, m.kind, m.sample_id, m.intake, m.reason,
			d.destination, ` + shownState + `
		FROM (SELECT m.seq FROM ` + from + ` WHERE ` + strings.Join(where, " AND ") + ` ORDER BY m.seq DESC LIMIT ?) AS found
		CROSS JOIN messages m ON m.seq = found.seq LEFT JOIN deliveries d ON d.seq = m.seq
		ORDER BY found.seq DESC, d.destination`
	return query, append(args, limit)
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

// Show returns all that is known of an envelope, by its id or, for the first
// part, its message's. With ErrDamaged the envelope is empty and the rest is
// there.
func (s *Spool) Show(ctx context.Context, id string) (Detail, error) {
	detail := Detail{Deliveries: []Delivery{}, Audit: []AuditRow{}}
	seq, err := s.find(ctx, id)
	if err != nil {
		return detail, fmt.Errorf("showing %s: %w", id, err)
	}
	detail.Envelope, err = s.message(ctx, seq)
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
	e, err := s.message(ctx, seq)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", id, err)
	}
	return e.Raw, nil
}
