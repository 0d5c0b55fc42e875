package spool

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
)

// verifyChunk is how many rows are read in one transaction: a longer one would
// keep the WAL from being folded into the database.
const verifyChunk = 200

// Report is the finding of Verify.
type Report struct {
	Messages   uint64   `json:"messages"`
	Deliveries uint64   `json:"deliveries"`
	AuditRows  uint64   `json:"audit_rows"`
	Problems   []string `json:"problems"` // empty where all is well
}

func (r *Report) problem(format string, args ...any) {
	r.Problems = append(r.Problems, fmt.Sprintf(format, args...))
}

// Verify reads the whole store and compares it with its checksums, its
// sequence, its high-water mark and the chain of its audit trail. Damaged
// messages that are pending are parked, where the store is open for writing.
// progress may be nil; it is told the rows done and their total. An error means
// that the check could not be made; what it found is in the report.
func (s *Spool) Verify(ctx context.Context, progress func(done, total uint64)) (Report, error) {
	if progress == nil {
		progress = func(uint64, uint64) {}
	}
	v := verifier{spool: s, report: Report{Problems: []string{}}, progress: progress}
	for _, check := range []func(context.Context) error{v.measure, v.messages, v.deliveries, v.audit, v.drafts, v.file} {
		if err := check(ctx); err != nil {
			return v.report, fmt.Errorf("verifying the store: %w", err)
		}
	}
	return v.report, nil
}

type verifier struct {
	spool    *Spool
	report   Report
	progress func(done, total uint64)
	done     uint64
	total    uint64
	last     mark            // newest rows when the check began
	lost     map[uint64]bool // last sequences of gaps that the audit trail explains
}

func (v *verifier) measure(ctx context.Context) error {
	v.lost = map[uint64]bool{}
	err := v.spool.read(ctx, func(scan func(...any) error) error {
		return scan(&v.last.sequence, &v.last.audit)
	}, "SELECT (SELECT ifnull(max(seq), 0) FROM messages), (SELECT ifnull(max(n), 0) FROM audit)")
	if err != nil {
		return err
	}
	v.total = v.last.sequence + v.last.audit
	return v.spool.read(ctx, func(scan func(...any) error) error {
		var seq uint64
		err := scan(&seq)
		v.lost[seq] = true
		return err
	}, "SELECT seq FROM audit WHERE what = ? AND seq > 0", auditTailLost)
}

func (v *verifier) step(n int) {
	v.done += uint64(n)
	v.progress(min(v.done, v.total), v.total)
}

func (v *verifier) messages(ctx context.Context) error {
	var bad []uint64
	first := true
	var last uint64
	for {
		n := 0
		err := v.spool.read(ctx, func(scan func(...any) error) error {
			r, err := scanRecord(scan)
			if err != nil && !errors.Is(err, ErrDamaged) {
				return err
			}
			n++
			if err != nil {
				v.report.problem("message %d (%s): the checksum does not match", r.sequence, r.id)
				bad = append(bad, r.sequence)
			}
			if !first && r.sequence != last+1 && !v.lost[r.sequence-1] {
				v.report.problem("messages %d to %d are missing", last+1, r.sequence-1)
			}
			first, last = false, r.sequence
			return nil
		}, "SELECT "+recordColumns+` FROM messages m LEFT JOIN lanes l ON l.id = m.lane
			WHERE m.seq > ? ORDER BY m.seq LIMIT ?`, last, verifyChunk)
		if err != nil {
			return err
		}
		v.report.Messages += uint64(n)
		v.step(n)
		if n < verifyChunk {
			break
		}
	}
	high, err := v.spool.highWater()
	if err != nil {
		return err
	}
	if high.sequence > last && !v.lost[high.sequence] {
		v.report.problem("messages %d to %d are missing: the high-water mark names them", last+1, high.sequence)
	}
	if v.spool.writer == nil {
		return nil
	}
	for _, seq := range bad {
		if err := v.spool.parkDamaged(ctx, seq); err != nil {
			return err
		}
	}
	return nil
}

func (v *verifier) deliveries(ctx context.Context) error {
	var last delivery
	for {
		n := 0
		err := v.spool.read(ctx, func(scan func(...any) error) error {
			d, err := scanDelivery(scan)
			if err != nil && !errors.Is(err, ErrDamaged) {
				return err
			}
			n++
			if err != nil {
				v.report.problem("delivery of message %d to %s: the checksum does not match", d.sequence, d.Destination)
			}
			last = d
			return nil
		}, "SELECT "+deliveryColumns+" FROM deliveries d WHERE (d.seq, d.destination) > (?, ?) ORDER BY d.seq, d.destination LIMIT ?",
			last.sequence, last.Destination, verifyChunk)
		if err != nil {
			return err
		}
		v.report.Deliveries += uint64(n)
		if n < verifyChunk {
			return nil
		}
	}
}

func (v *verifier) audit(ctx context.Context) error {
	high, err := v.spool.highWater()
	if err != nil {
		return err
	}
	var number uint64
	var hash []byte
	first := true
	for {
		n := 0
		err := v.spool.read(ctx, func(scan func(...any) error) error {
			row, have, err := scanAudit(scan)
			if err != nil {
				return err
			}
			n++
			pruned := first && row.What == auditAnchor
			switch {
			case pruned: // the rows before it are gone with leave
			case row.Number != number+1:
				v.report.problem("audit rows %d to %d are missing", number+1, row.Number-1)
			case !bytes.Equal(row.chained(hash), have):
				v.report.problem("audit row %d does not follow from the one before: it or that was changed", row.Number)
			}
			if row.Number == high.audit && high.hash != "" && hex.EncodeToString(have) != high.hash {
				v.report.problem("audit row %d is not the one that was written: the high-water mark names another hash", row.Number)
			}
			first, number, hash = false, row.Number, have
			return nil
		}, "SELECT "+auditColumns+" FROM audit WHERE n > ? ORDER BY n LIMIT ?", number, verifyChunk)
		if err != nil {
			return err
		}
		v.report.AuditRows += uint64(n)
		v.step(n)
		if n < verifyChunk {
			break
		}
	}
	if high.audit > number {
		v.report.problem("audit rows %d to %d are missing: the high-water mark names them", number+1, high.audit)
	}
	return nil
}

func (v *verifier) drafts(ctx context.Context) error {
	return v.spool.read(ctx, func(scan func(...any) error) error {
		var d draft
		if err := scan(&d.line, &d.body, &d.sum); err != nil {
			return err
		}
		if d.sum != draftSum(d.line, d.body) {
			v.report.problem("the draft of line %q: the checksum does not match", d.line)
		}
		return nil
	}, "SELECT line, body, crc FROM drafts")
}

// file has SQLite check the structure of its file and every index.
func (v *verifier) file(ctx context.Context) error {
	return v.spool.read(ctx, func(scan func(...any) error) error {
		var line string
		if err := scan(&line); err != nil {
			return err
		}
		if line != "ok" {
			v.report.problem("database: %s", line)
		}
		return nil
	}, "PRAGMA integrity_check")
}
