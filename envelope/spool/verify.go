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
// sequence, its high-water mark and the chain of its audit trail, and that
// trail with the messages and deliveries. Damaged messages that are pending are parked, where the store is open for writing.
// progress may be nil; it is told the rows done and their total. An error means
// that the check could not be made; what it found is in the report.
func (s *Spool) Verify(ctx context.Context, progress func(done, total uint64)) (Report, error) {
	if progress == nil {
		progress = func(uint64, uint64) {}
	}
	v := verifier{spool: s, report: Report{Problems: []string{}}, progress: progress}
	for _, check := range []func(context.Context) error{v.measure, v.messages, v.witness, v.deliveries, v.accounts, v.audit, v.gaps, v.drafts, v.file} {
		if err := check(ctx); err != nil {
			return v.report, fmt.Errorf("verifying the store: %w", err)
		}
	}
	return v.report, nil
}

// gap is a run of sequences of which no message is there.
type gap struct {
	span
	how string // it was noticed
}

type verifier struct {
	spool    *Spool
	report   Report
	progress func(done, total uint64)
	done     uint64
	total    uint64
	last     mark // newest rows when the check began
	high     mark // as it stood then
	missing  []gap
	gone     []span // what the audit trail accounts for
}

func (v *verifier) measure(ctx context.Context) error {
	var err error
	if v.high, err = v.spool.highWater(); err != nil {
		return err
	}
	err = v.spool.read(ctx, func(scan func(...any) error) error {
		return scan(&v.last.sequence, &v.last.audit)
	}, "SELECT (SELECT ifnull(max(seq), 0) FROM messages), (SELECT ifnull(max(n), 0) FROM audit)")
	if err != nil {
		return err
	}
	v.total = v.last.sequence + v.last.audit
	return nil
}

func (v *verifier) step(n int) {
	v.done += uint64(n)
	v.progress(min(v.done, v.total), v.total)
}

func (v *verifier) messages(ctx context.Context) error {
	var bad []uint64
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
			if r.sequence != last+1 {
				v.missing = append(v.missing, gap{span{last + 1, r.sequence - 1}, ""})
			}
			last = r.sequence
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
	if v.high.sequence > last {
		v.missing = append(v.missing, gap{span{last + 1, v.high.sequence}, ": the high-water mark names them"})
	}
	if v.spool.writer == nil {
		return nil
	}
	for _, seq := range bad {
		if err := v.spool.noteDamage(ctx, seq); err != nil {
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
	var number uint64
	var hash []byte
	var anchor voucher
	first, vouched := true, false
	for {
		n := 0
		err := v.spool.read(ctx, func(scan func(...any) error) error {
			row, have, err := scanAudit(scan)
			if err != nil {
				return err
			}
			n++
			if gone, err := row.gone(); err != nil {
				v.report.problem("audit row %d cannot be read: %v", row.Number, err)
			} else if row.What != auditShortened {
				v.gone = append(v.gone, gone...)
			}
			// While rows are read from the front, they may be removed there.
			pruned := row.What == auditAnchor && (first || row.Number > number+1)
			if row.What == auditShortened && v.vouches(&row, anchor) {
				vouched = true
			}
			switch {
			case pruned: // the rows before it are gone with leave, if a later row says so
				vouched, anchor = false, voucher{number: row.Number, hash: hex.EncodeToString(have)}
			case row.Number != number+1:
				v.report.problem("audit rows %d to %d are missing", number+1, row.Number-1)
			case !bytes.Equal(row.chained(hash), have):
				v.report.problem("audit row %d does not follow from the one before: it or that was changed", row.Number)
			}
			if row.Number == v.high.audit && v.high.hash != "" && hex.EncodeToString(have) != v.high.hash {
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
	if anchor.number > 0 && !vouched {
		v.report.problem("audit rows 1 to %d are missing: no later row says that they were removed", anchor.number-1)
	}
	if v.high.audit > number {
		v.report.problem("audit rows %d to %d are missing: the high-water mark names them", number+1, v.high.audit)
	}
	return nil
}

// vouches reports whether the row says that what is before the anchor was
// removed; what those rows accounted for is then known from it.
func (v *verifier) vouches(row *AuditRow, anchor voucher) bool {
	said, err := parseVoucher(row.Detail)
	if err != nil || anchor.number == 0 || said.number != anchor.number || said.hash != anchor.hash {
		return false
	}
	v.gone = append(v.gone, said.gone...)
	return true
}

// gaps names the messages that are not there and that the audit trail does not
// account for. It comes after the trail, whose rows are written with the removal.
func (v *verifier) gaps(context.Context) error {
	gone := merged(v.gone)
	for _, g := range v.missing {
		for _, s := range g.without(gone) {
			v.report.problem("messages %d to %d are missing%s", s.first, s.last, g.how)
		}
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
