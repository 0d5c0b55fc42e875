package spool

import (
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// mark is the high-water mark: what the store is known to have held. It stands
// in a file of its own, so that a database that lost its tail, or an old copy
// put in its place, does not pass for whole. It is written when the store is
// quiet and may lag, but never runs ahead of what is durable.
type mark struct {
	sequence uint64
	audit    uint64
	hash     string // of that audit row, hex; "" where an earlier release wrote the mark
}

// text is how the mark is written.
func (m mark) text() []byte {
	return fmt.Appendf(nil, "sequence %d audit %d hash %s\n", m.sequence, m.audit, m.hash)
}

func (s *Spool) writeHighWater(at cursor) error {
	// Only a gateway has said what the mark names and the store does not have. For
	// anybody else it stays the witness that it is.
	if !s.reported {
		m, err := s.highWater()
		if err != nil || m.sequence > at.sequence || m.audit > at.audit {
			return err
		}
	}
	m := mark{at.sequence, at.audit, hex.EncodeToString(at.hash)}
	if err := replaceFile(filepath.Join(s.directory, highWaterFile), m.text(), true); err != nil {
		return fmt.Errorf("writing the high-water mark: %w", err)
	}
	return nil
}

// highWater reads the mark; where the file is missing or cannot be understood
// the mark is zero, for it is only a witness.
func (s *Spool) highWater() (mark, error) {
	text, err := os.ReadFile(filepath.Join(s.directory, highWaterFile))
	if errors.Is(err, os.ErrNotExist) {
		return mark{}, nil
	}
	if err != nil {
		return mark{}, fmt.Errorf("reading the high-water mark: %w", err)
	}
	var m mark
	n, _ := fmt.Sscanf(string(text), "sequence %d audit %d hash %s", &m.sequence, &m.audit, &m.hash)
	if n < 2 {
		return mark{}, nil
	}
	return m, nil
}

// reportRewritten tells once, in log and audit trail, that the audit trail is
// not the one that it was: its end is gone, another copy of the store stands in
// its place, or the trail was written anew.
func (s *Spool) reportRewritten(t *tx) error {
	m, err := s.highWater()
	if err != nil || m.hash == "" || m.audit == 0 {
		return err
	}
	var hash []byte
	err = t.scan("SELECT hash FROM audit WHERE n = ?", []any{m.audit}, &hash)
	if errors.Is(err, sql.ErrNoRows) && m.audit > t.cursor.audit {
		lost := fmt.Sprintf("rows %d to %d, the last with the hash %s", t.cursor.audit+1, m.audit, m.hash)
		s.log.Error("the audit trail has lost its newest rows", "first", t.cursor.audit+1, "last", m.audit)
		return t.audit(AuditRow{What: auditTrailLost, Detail: lost})
	}
	if errors.Is(err, sql.ErrNoRows) {
		return nil // pruned
	}
	if err != nil || hex.EncodeToString(hash) == m.hash {
		return err
	}
	s.log.Error("the audit trail was rewritten: this is not the store that the box has written", "row", m.audit)
	return t.audit(AuditRow{What: auditRewritten, Detail: fmt.Sprintf("row %d had the hash %s", m.audit, m.hash)})
}

// lostFormat names the sequences that a row about a lost tail accounts for.
const lostFormat = "sequences %d to %d"

// reportLostTail tells once, in log and audit trail, of messages that the store
// held and no longer has. Their sequences are not given out again.
func (s *Spool) reportLostTail(t *tx) error {
	m, err := s.highWater()
	if err != nil {
		return err
	}
	// The mark may be gone too; then the audit trail and the deliveries tell.
	known := max(m.sequence, t.cursor.sequence)
	var last, told uint64
	err = t.scan("SELECT (SELECT ifnull(max(seq), 0) FROM messages), (SELECT ifnull(max(seq), 0) FROM audit WHERE seq > 0 AND what = ?)",
		[]any{auditTailLost}, &last, &told)
	if err != nil || known <= max(last, told) {
		return err
	}
	s.log.Error("the store has lost its newest messages", "first", last+1, "last", known)
	t.cursor.sequence = known
	return t.audit(AuditRow{What: auditTailLost, Sequence: known, Detail: fmt.Sprintf(lostFormat, last+1, known)})
}
