package spool

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/assaygate/assaygate/envelope"
)

// unsetIndex finds the messages whose time is not known.
const unsetIndex = `
CREATE INDEX messages_unset ON messages (boot, seq) WHERE clock = 'unset';
`

const (
	// lookAtClock is how often the clock is compared with the monotonic one.
	lookAtClock = 5 * time.Second
	// clockStep is the least jump of the clock that the audit trail names.
	clockStep = time.Minute
	// correctChunk is how many times are corrected in one transaction.
	correctChunk = 100
)

// watchClock notes in the audit trail when the clock jumps, and corrects the
// times of what came before it was set. A time is known when it lies in this
// boot: the monotonic clock tells how long ago that was.
func (s *Spool) watchClock(ctx context.Context) error {
	now := s.clock.stamp()
	if err := s.noteStep(ctx, now); err != nil {
		return err
	}
	if now.clock != envelope.ClockSet {
		return nil
	}
	return s.correctTimes(ctx, now)
}

// noteStep compares the clock with what it was when it was looked at last.
func (s *Spool) noteStep(ctx context.Context, now stamp) error {
	before := s.looked
	s.looked = now
	if before.at.IsZero() {
		return nil
	}
	step := now.at.Sub(before.at) - time.Duration(now.monotonic-before.monotonic)
	if step.Abs() < clockStep && before.clock == now.clock {
		return nil
	}
	detail := fmt.Sprintf("by %s", step.Round(time.Second))
	s.log.Warn("the clock was set", "step", step.Round(time.Second).String(), "clock", now.clock)
	return s.writer.write(ctx, func(t *tx) error {
		return t.audit(AuditRow{What: auditClock, Detail: detail})
	})
}

// correctTimes gives the messages of this boot that have none their true times.
func (s *Spool) correctTimes(ctx context.Context, now stamp) error {
	var first, last uint64
	count := 0
	for {
		var chunk []record
		err := s.read(ctx, func(scan func(...any) error) error {
			r, err := scanRecord(scan)
			if err != nil && !errors.Is(err, ErrDamaged) {
				return err
			}
			if err == nil { // a new checksum would make a damaged one good
				chunk = append(chunk, r)
			}
			last = r.sequence
			return nil
		}, "SELECT "+recordColumns+` FROM messages m INDEXED BY messages_unset LEFT JOIN lanes l ON l.id = m.lane
			WHERE m.clock = 'unset' AND m.boot = ? AND m.seq > ? ORDER BY m.seq LIMIT ?`, now.boot, last, correctChunk)
		if err != nil || last == 0 {
			return err
		}
		if len(chunk) == 0 {
			break
		}
		if first == 0 {
			first = chunk[0].sequence
		}
		err = s.writer.write(ctx, func(t *tx) error {
			for i := range chunk {
				if err := t.correctTime(&chunk[i], now); err != nil {
					return err
				}
			}
			detail := fmt.Sprintf("times of %d messages from %d to %d", len(chunk), chunk[0].sequence, chunk[len(chunk)-1].sequence)
			return t.audit(AuditRow{What: auditCorrected, Detail: detail})
		})
		if err != nil {
			return err
		}
		count += len(chunk)
	}
	if count > 0 {
		s.log.Info("the clock is set: times of messages were corrected", "messages", count, "first", first)
	}
	return nil
}

func (t *tx) correctTime(r *record, now stamp) error {
	r.received.at = now.at.Add(-time.Duration(now.monotonic - r.received.monotonic)).Truncate(time.Microsecond)
	r.received.clock = envelope.ClockSet
	err := t.exec("UPDATE messages SET received_at = ?, clock = ?, crc = ? WHERE seq = ?",
		r.received.at.UnixMicro(), r.received.clock, r.sum(), r.sequence)
	if err != nil {
		return fmt.Errorf("correcting a time: %w", err)
	}
	return nil
}
