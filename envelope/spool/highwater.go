package spool

import (
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
}

func (s *Spool) writeHighWater(at cursor) error {
	text := fmt.Sprintf("sequence %d audit %d\n", at.sequence, at.audit)
	if err := replaceFile(filepath.Join(s.directory, highWaterFile), []byte(text), true); err != nil {
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
	if _, err := fmt.Sscanf(string(text), "sequence %d audit %d", &m.sequence, &m.audit); err != nil {
		return mark{}, nil
	}
	return m, nil
}

// reportLostTail tells once, in log and audit trail, of messages that the store
// held and no longer has. Their sequences are not given out again.
func (s *Spool) reportLostTail(t *tx) error {
	m, err := s.highWater()
	if err != nil || m.sequence <= t.cursor.sequence {
		return err
	}
	lost := fmt.Sprintf("sequences %d to %d", t.cursor.sequence+1, m.sequence)
	s.log.Error("the store has lost its newest messages", "first", t.cursor.sequence+1, "last", m.sequence)
	t.cursor.sequence = m.sequence
	return t.audit(AuditRow{What: auditTailLost, Sequence: m.sequence, Detail: lost})
}
