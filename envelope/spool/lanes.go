package spool

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/assaygate/assaygate/envelope"
)

// Head is the oldest pending message of a lane at one destination.
type Head struct {
	Lane     string
	Sequence uint64
	Attempts int
	Refusals int
}

// Entry is a message as one destination has it.
type Entry struct {
	Envelope  envelope.Envelope
	State     State
	Reason    string // why it stands so, or why the last attempt failed
	Attempts  int
	Refusals  int
	ChangedAt time.Time
	// Unanswered says that the destination may have taken the message already.
	Unanswered bool
}

// laneList is the table of the lanes in which something is pending for the
// destination ?1, and NULL at its end.
const laneList = `lane (id) AS (
	SELECT min(lane) FROM deliveries WHERE destination = ?1 AND state = 'pending'
	UNION ALL
	SELECT (SELECT min(lane) FROM deliveries WHERE destination = ?1 AND state = 'pending' AND lane > lane.id)
	FROM lane WHERE lane.id IS NOT NULL
)`

// headQuery jumps from lane to lane in the index of pending deliveries: with
// 100 000 pending it reads a few rows for each lane, and no other.
const headQuery = `
WITH RECURSIVE ` + laneList + `, head (seq) AS (
	SELECT (SELECT min(seq) FROM deliveries WHERE destination = ?1 AND state = 'pending' AND lane = lane.id)
	FROM lane WHERE lane.id IS NOT NULL
)
SELECT l.name, d.seq, d.attempts, d.refusals
FROM head CROSS JOIN deliveries d ON d.seq = head.seq AND d.destination = ?1 JOIN lanes l ON l.id = d.lane
ORDER BY d.seq`

// Heads returns the head of every lane that has something pending for the
// destination, oldest first, without bodies. It does not wait.
func (s *Spool) Heads(ctx context.Context, destination string) ([]Head, error) {
	var heads []Head
	err := s.read(ctx, func(scan func(...any) error) error {
		var h Head
		if err := scan(&h.Lane, &h.Sequence, &h.Attempts, &h.Refusals); err != nil {
			return err
		}
		heads = append(heads, h)
		return nil
	}, headQuery, destination)
	if err != nil {
		return nil, fmt.Errorf("finding what is pending for %s: %w", destination, err)
	}
	return heads, nil
}

// Behind returns what is pending in a lane for the destination behind the
// sequence after, oldest first and at most limit.
func (s *Spool) Behind(ctx context.Context, destination, lane string, after uint64, limit int) ([]uint64, error) {
	var list []uint64
	err := s.read(ctx, func(scan func(...any) error) error {
		var seq uint64
		err := scan(&seq)
		list = append(list, seq)
		return err
	}, `SELECT seq FROM deliveries WHERE destination = ? AND state = 'pending'
		AND lane = (SELECT id FROM lanes WHERE name = ?) AND seq > ? ORDER BY seq LIMIT ?`, destination, lane, after, limit)
	if err != nil {
		return nil, fmt.Errorf("finding what is pending in a lane for %s: %w", destination, err)
	}
	return list, nil
}

// Load reads a message with its raw bytes as the destination has it. A damaged
// one is parked wherever it is pending and never returned; the error then wraps
// ErrDamaged.
func (s *Spool) Load(ctx context.Context, destination string, seq uint64) (Entry, error) {
	entry, err := s.load(ctx, destination, seq)
	if errors.Is(err, ErrDamaged) && s.writer != nil {
		err = errors.Join(err, s.noteDamage(ctx, seq))
	}
	if err != nil {
		return Entry{}, fmt.Errorf("loading message %d: %w", seq, err)
	}
	return entry, nil
}

func (s *Spool) load(ctx context.Context, destination string, seq uint64) (Entry, error) {
	var d delivery
	var unanswered bool
	row := s.readers.QueryRowContext(ctx, "SELECT "+deliveryColumns+`, EXISTS (SELECT 1 FROM unanswered u WHERE u.seq = d.seq AND u.destination = d.destination)
		FROM deliveries d WHERE d.seq = ? AND d.destination = ?`, seq, destination)
	d, err := scanDelivery(func(into ...any) error { return row.Scan(append(into, &unanswered)...) })
	if errors.Is(err, sql.ErrNoRows) {
		return Entry{}, ErrNotFound
	}
	// A damaged delivery of a good message is no reason to keep the message
	// back: at worst it is delivered twice.
	if err != nil && !errors.Is(err, ErrDamaged) {
		return Entry{}, s.closed(err)
	}
	e, err := s.message(ctx, seq)
	e.Audit = s.AuditHead()
	return Entry{
		Envelope: e, State: d.State, Reason: d.Reason,
		Attempts: d.Attempts, Refusals: d.Refusals, ChangedAt: d.ChangedAt, Unanswered: unanswered,
	}, err
}

// message reads and verifies one envelope, and the first part of its message
// for the raw bytes.
func (s *Spool) message(ctx context.Context, seq uint64) (envelope.Envelope, error) {
	r, err := s.record(ctx, seq)
	if err != nil {
		return envelope.Envelope{}, err
	}
	raw := r.raw
	if r.part > 0 {
		first, err := s.record(ctx, seq-uint64(r.part))
		if errors.Is(err, ErrNotFound) || err == nil && first.messageID != r.messageID {
			err = fmt.Errorf("%w: its first part is missing", ErrDamaged)
		}
		if err != nil {
			return envelope.Envelope{}, err
		}
		raw = first.raw
	}
	return s.envelope(&r, raw)
}

func (s *Spool) record(ctx context.Context, seq uint64) (record, error) {
	row := s.readers.QueryRowContext(ctx, "SELECT "+recordColumns+" FROM messages m LEFT JOIN lanes l ON l.id = m.lane WHERE m.seq = ?", seq)
	r, err := scanRecord(row.Scan)
	if errors.Is(err, sql.ErrNoRows) {
		return r, ErrNotFound
	}
	return r, s.closed(err)
}

// damaged is the reason that a person reads.
const damaged = "damaged in the store: the checksum does not match"

func (s *Spool) parkDamaged(ctx context.Context, seq uint64) error {
	return s.writer.write(ctx, func(t *tx) error {
		list, err := t.deliveries("d.seq = ? AND d.state = 'pending'", seq)
		if err != nil {
			return err
		}
		for i := range list {
			if err := t.settle(&list[i], Parked, auditParked, "", damaged); err != nil {
				return err
			}
		}
		return nil
	})
}

// Next returns the heads of lanes for the destination, at most limit (at least
// one), in order of sequence. It waits until there is one. Damaged messages are
// parked and passed over.
func (s *Spool) Next(ctx context.Context, destination string, limit int) ([]Entry, error) {
	for {
		arrival := s.Arrivals(destination)
		heads, err := s.Heads(ctx, destination)
		if err != nil {
			return nil, err
		}
		entries, again, err := s.loadHeads(ctx, destination, heads[:min(len(heads), max(1, limit))])
		if err != nil || len(entries) > 0 {
			return entries, err
		}
		if again {
			continue
		}
		select {
		case <-arrival:
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-s.ended():
			return nil, ErrClosed
		}
	}
}

// loadHeads loads the messages; again says that some were damaged or settled
// meanwhile, so that other heads have taken their place.
func (s *Spool) loadHeads(ctx context.Context, destination string, heads []Head) (entries []Entry, again bool, err error) {
	for _, h := range heads {
		entry, err := s.Load(ctx, destination, h.Sequence)
		switch {
		case errors.Is(err, ErrDamaged) && s.writer != nil, err == nil && entry.State != Pending:
			again = true
		case err != nil:
			return nil, false, err
		default:
			entries = append(entries, entry)
		}
	}
	return entries, again, nil
}

// Arrivals returns a channel that is closed when the next message becomes
// pending for the destination. Take it before looking at Heads.
func (s *Spool) Arrivals(destination string) <-chan struct{} {
	s.arrivalMu.Lock()
	defer s.arrivalMu.Unlock()
	arrival := s.arrivals[destination]
	if arrival == nil {
		arrival = make(chan struct{})
		s.arrivals[destination] = arrival
	}
	return arrival
}

func (s *Spool) announce(destination string) {
	s.arrivalMu.Lock()
	defer s.arrivalMu.Unlock()
	if arrival := s.arrivals[destination]; arrival != nil {
		close(arrival)
		delete(s.arrivals, destination)
	}
}

// ended returns a channel that is closed when the writer is gone.
func (s *Spool) ended() <-chan struct{} {
	if s.writer == nil {
		return nil
	}
	return s.writer.stopped
}
