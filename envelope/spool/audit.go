package spool

import (
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/assaygate/assaygate/envelope"
)

// What an audit row can say.
const (
	auditAccepted     = "accepted"
	auditDelivered    = "delivered"
	auditParked       = "parked"
	auditDropped      = "dropped"
	auditRetried      = "retried"
	auditConfirmed    = "confirmed"
	auditUnconfirmed  = "unconfirmed"
	auditHeld         = "held"
	auditReleased     = "released"
	auditRecovered    = "draft recovered"
	auditDraftDamaged = "draft damaged"
	auditAdded        = "destination added"
	auditRemoved      = "destination removed"
	auditMoved        = "destination moved"
	auditTailLost     = "tail lost"
	auditTrailLost    = "trail lost"
	auditRewritten    = "trail rewritten"
	auditClock        = "clock set"
	auditCorrected    = "times corrected"
	auditDamaged      = "damaged"
	auditPruned       = "pruned"
	auditShortened    = "audit pruned"
	auditImported     = "imported"
	auditUnsealed     = "unsealed"
	auditErased       = "sealed store erased"
	// auditAnchor stands where older rows were pruned: it has the number and
	// the hash of the last of them.
	auditAnchor = "anchor"
)

// AuditRow is one line of the audit trail.
type AuditRow struct {
	Number      uint64    `json:"number"`
	At          time.Time `json:"at"`
	Clock       string    `json:"clock"` // as in the envelope: whether At can be trusted
	What        string    `json:"what"`
	Sequence    uint64    `json:"sequence,omitempty"`
	Destination string    `json:"destination,omitempty"`
	Who         string    `json:"who,omitempty"` // the person; "" for the gateway
	Detail      string    `json:"detail,omitempty"`
}

// chained returns the hash of the row that follows the one with the given hash.
func (a *AuditRow) chained(before []byte) []byte {
	text := bytes.Clone(before)
	for _, n := range []uint64{a.Number, uint64(a.At.UnixMicro()), a.Sequence} {
		text = binary.BigEndian.AppendUint64(text, n)
	}
	for _, field := range []string{a.Clock, a.What, a.Destination, a.Who, a.Detail} {
		text = append(binary.AppendUvarint(text, uint64(len(field))), field...)
	}
	hash := sha256.Sum256(text)
	return hash[:]
}

// audit adds a row to the chain.
func (t *tx) audit(row AuditRow) error {
	now := t.spool.clock.stamp()
	row.Number, row.At, row.Clock = t.cursor.audit+1, now.at, now.clock
	hash := row.chained(t.cursor.hash)
	err := t.exec("INSERT INTO audit VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
		row.Number, row.At.UnixMicro(), row.Clock, row.What, row.Sequence, row.Destination, row.Who, row.Detail, hash)
	if err != nil {
		return fmt.Errorf("writing the audit trail: %w", err)
	}
	t.cursor.audit, t.cursor.hash = row.Number, hash
	return nil
}

// AuditHead returns the newest row of the audit trail; the zero value where
// there is none, or where the store is open for reading only.
func (s *Spool) AuditHead() envelope.AuditHead {
	if head := s.head.Load(); head != nil {
		return *head
	}
	return envelope.AuditHead{}
}

// AuditHash returns the hash of a row of the audit trail, hex; ErrNotFound where
// the trail has no such row (any more).
func (s *Spool) AuditHash(ctx context.Context, row uint64) (string, error) {
	var hash []byte
	err := s.readers.QueryRowContext(ctx, "SELECT hash FROM audit WHERE n = ?", row).Scan(&hash)
	if errors.Is(err, sql.ErrNoRows) {
		err = ErrNotFound
	}
	if err != nil {
		return "", fmt.Errorf("reading row %d of the audit trail: %w", row, s.closed(err))
	}
	return hex.EncodeToString(hash), nil
}

// setHead makes known where the audit trail ends.
func (s *Spool) setHead(at cursor) {
	s.head.Store(&envelope.AuditHead{Row: at.audit, Hash: hex.EncodeToString(at.hash)})
}

const auditColumns = "n, at, clock, what, seq, destination, who, detail, hash"

func scanAudit(scan func(...any) error) (row AuditRow, hash []byte, err error) {
	var at int64
	err = scan(&row.Number, &at, &row.Clock, &row.What, &row.Sequence, &row.Destination, &row.Who, &row.Detail, &hash)
	row.At = time.UnixMicro(at).UTC()
	return row, hash, err
}
