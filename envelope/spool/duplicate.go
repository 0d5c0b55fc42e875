package spool

import (
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/assaygate/assaygate/envelope"
)

// duplicateQuery finds the newest message with the same bytes. Input that was
// refused is no earlier message: its sender was told to keep it.
const duplicateQuery = `
SELECT seq, id, duplicate_of, repeat, intake, received_at, clock, boot, monotonic
FROM messages INDEXED BY messages_digest
WHERE substr(digest, 1, 16) = substr(?1, 1, 16) AND digest <> '' AND digest = ?1 AND lane = ?2 AND part = ?3
	AND intake NOT IN ('incomplete', 'rejected')
ORDER BY seq DESC LIMIT 1`

// duplicate looks for the same bytes from the same lane within the window and
// notes the finding in r. Where r is proven a retransmission, the states of the
// earlier message come back.
//
// Equal bytes alone prove nothing: two QC runs of an analyser without a clock
// are two results. Proof is the message's own time, or a control id on a lane
// that is known to change it.
func (t *tx) duplicate(r *record, l lane) (map[string]State, error) {
	r.duplicateOf, r.repeat = "", false
	if r.digest == "" || r.intake == envelope.Incomplete || r.intake == envelope.Rejected || t.spool.window == 0 {
		return nil, nil
	}
	var sequence uint64
	var received int64
	var id, first string
	var intake envelope.Intake
	var repeat bool
	var at stamp
	// Input that was refused is no earlier message: its sender was told to keep it.
	err := t.scan(duplicateQuery,
		[]any{r.digest, l.id, r.part},
		&sequence, &id, &first, &repeat, &intake, &received, &at.clock, &at.boot, &at.monotonic)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("looking for a duplicate: %w", err)
	}
	at.at = time.UnixMicro(received).UTC()
	age, known := r.received.age(at)
	if known && age > t.spool.window {
		return nil, nil
	}
	r.duplicateOf = id
	// A parked message is not proven whole, so what comes later is no mere
	// repeat of it. A control id alone proves nothing where the age is unknown:
	// counters begin again.
	changing := l.control != "" && l.earlier != "" && l.control != l.earlier
	proven := r.messageTime != "" || known && r.controlID != "" && changing
	if !proven || intake == envelope.Parked {
		return nil, nil
	}
	original := id
	if repeat && first != "" {
		original = first
		if err := t.scan("SELECT ifnull(max(seq), ?) FROM messages WHERE id = ?", []any{sequence, first}, &sequence); err != nil {
			return nil, fmt.Errorf("looking for a duplicate: %w", err)
		}
	}
	// A damaged one is never delivered, so this is the one that is.
	if whole, err := t.whole(sequence); err != nil || !whole {
		return nil, err
	}
	r.repeat, r.duplicateOf = true, original
	return t.states(sequence)
}

// whole reports whether a stored message, and the first part of its message,
// fit their checksums.
func (t *tx) whole(sequence uint64) (bool, error) {
	for {
		r, err := scanRecord(func(into ...any) error {
			return t.scan("SELECT "+recordColumns+" FROM messages m LEFT JOIN lanes l ON l.id = m.lane WHERE m.seq = ?", []any{sequence}, into...)
		})
		switch {
		case errors.Is(err, ErrDamaged), errors.Is(err, sql.ErrNoRows):
			return false, nil
		case err != nil:
			return false, fmt.Errorf("reading an earlier message: %w", err)
		case r.part == 0:
			return true, nil
		}
		sequence -= uint64(r.part)
	}
}

// states returns the state of a message at each destination that has it.
func (t *tx) states(sequence uint64) (map[string]State, error) {
	rows, err := t.query("SELECT destination, state FROM deliveries WHERE seq = ?", sequence)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	states := map[string]State{}
	for rows.Next() {
		var destination string
		var state State
		if err := rows.Scan(&destination, &state); err != nil {
			return nil, err
		}
		states[destination] = state
	}
	return states, rows.Err()
}
