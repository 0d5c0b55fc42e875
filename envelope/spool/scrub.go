package spool

import (
	"context"
	"errors"
	"sync"
	"time"
)

// The scrub reads everything again at a pace that a Raspberry Pi does not
// notice, some 40 KiB/s: a bit that flips is found while the instrument may
// still have the message. A million messages take little more than a day.
const (
	scrubEvery = 2 * time.Second
	scrubChunk = 20
	// scrubRest is how long after the beginning of a pass the next one begins.
	scrubRest = 24 * time.Hour
	// mostDamaged bounds what is remembered of the damage.
	mostDamaged = 1000
)

// scrub is where the pass is, and what was found since the store was opened.
type scrub struct {
	after uint64    // the last sequence that was read
	began time.Time // of the pass; zero: none has begun

	mu      sync.Mutex
	damaged map[uint64]bool // sequences
}

// scrubSome reads the next few messages and their deliveries.
func (s *Spool) scrubSome(ctx context.Context) error {
	pass := &s.scrub
	if pass.after == 0 {
		if !pass.began.IsZero() && time.Since(pass.began) < scrubRest {
			return nil
		}
		pass.began = time.Now()
	}
	bad, last, err := s.scrubMessages(ctx, pass.after)
	if err != nil {
		return err
	}
	for _, seq := range bad {
		if err := s.noteDamage(ctx, seq); err != nil {
			return err
		}
	}
	if err := s.scrubDeliveries(ctx, pass.after, last); err != nil {
		return err
	}
	pass.after = last // 0 at the end of the pass
	return nil
}

// scrubMessages returns the damaged ones of the messages behind a sequence, and
// the last that it has read; 0 where there is none.
func (s *Spool) scrubMessages(ctx context.Context, after uint64) (bad []uint64, last uint64, err error) {
	err = s.read(ctx, func(scan func(...any) error) error {
		r, err := scanRecord(scan)
		if errors.Is(err, ErrDamaged) {
			bad, err = append(bad, r.sequence), nil
		}
		last = r.sequence
		return err
	}, "SELECT "+recordColumns+" FROM messages m LEFT JOIN lanes l ON l.id = m.lane WHERE m.seq > ? ORDER BY m.seq LIMIT ?", after, scrubChunk)
	return bad, last, err
}

// scrubDeliveries mends the damaged deliveries of the messages behind after, up
// to last.
func (s *Spool) scrubDeliveries(ctx context.Context, after, last uint64) error {
	var bad []delivery
	err := s.read(ctx, func(scan func(...any) error) error {
		d, err := scanDelivery(scan)
		if errors.Is(err, ErrDamaged) {
			bad, err = append(bad, d), nil
		}
		return err
	}, "SELECT "+deliveryColumns+" FROM deliveries d WHERE d.seq > ? AND d.seq <= ?", after, last)
	if err != nil {
		return err
	}
	for _, d := range bad {
		if err := s.mendDelivery(ctx, d); err != nil {
			return err
		}
	}
	return nil
}

// damagedDelivery is the reason that a person reads.
const damagedDelivery = "the record of its delivery was damaged in the store: it may have been delivered"

// mendDelivery gives a damaged delivery a checksum again. One that is pending
// stays so, for the message itself is good; nobody knows how any other stood, so
// a person decides.
func (s *Spool) mendDelivery(ctx context.Context, bad delivery) error {
	s.remember(bad.sequence)
	s.log.Error("the record of a delivery is damaged; look at the card", "sequence", bad.sequence, "destination", bad.Destination)
	return s.writer.write(ctx, func(t *tx) error {
		d, err := t.delivery(bad.Destination, bad.sequence)
		if err != nil {
			return err
		}
		to := Parked
		if d.State == Pending {
			to = Pending
		}
		return t.settle(&d, to, auditDamaged, "", damagedDelivery)
	})
}

// noteDamage says once that a stored message is damaged, and parks it wherever
// it is pending.
func (s *Spool) noteDamage(ctx context.Context, seq uint64) error {
	if !s.remember(seq) {
		return s.parkDamaged(ctx, seq) // a person may have sent it again
	}
	s.log.Error("a stored message is damaged: it is never delivered as it is; look at the card", "sequence", seq)
	return errors.Join(s.parkDamaged(ctx, seq), s.writer.write(ctx, func(t *tx) error {
		var noted int
		err := t.scan("SELECT count(*) FROM audit WHERE seq = ? AND seq > 0 AND what = ?", []any{seq, auditDamaged}, &noted)
		if err != nil || noted > 0 {
			return err
		}
		return t.audit(AuditRow{What: auditDamaged, Sequence: seq, Detail: damaged})
	}))
}

// remember counts a damaged message and reports whether it is new.
func (s *Spool) remember(seq uint64) bool {
	s.scrub.mu.Lock()
	defer s.scrub.mu.Unlock()
	if s.scrub.damaged == nil {
		s.scrub.damaged = map[uint64]bool{}
	}
	if s.scrub.damaged[seq] || len(s.scrub.damaged) >= mostDamaged {
		return false
	}
	s.scrub.damaged[seq] = true
	return true
}

// damagedSoFar is how many stored messages were found damaged since the store
// was opened.
func (s *Spool) damagedSoFar() int {
	s.scrub.mu.Lock()
	defer s.scrub.mu.Unlock()
	return len(s.scrub.damaged)
}
