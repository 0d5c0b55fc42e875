package spool

import (
	"context"
	"fmt"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// pruneRows is how many envelopes go in one transaction: a few dozen, for
	// every Put that comes meanwhile waits for it, and on a full card the WAL must
	// take it.
	pruneRows = 32
	// pruneBytes bounds the raw bytes that are read for it.
	pruneBytes = 4 << 20
	// leastPause lies between two chunks, or twice the time that a chunk took, so
	// that the writer is at most a third of its time at it.
	leastPause = 20 * time.Millisecond
	// pruneTime bounds one run, for other tasks wait meanwhile.
	pruneTime = 20 * time.Second
	// expiryEvery is how often messages go for their age: seldom, for each time
	// costs an audit row.
	expiryEvery = time.Hour
	// walShare is what the WAL counts at most against keep_size. Where a reader
	// keeps it from being folded it grows on, and no record must go for that.
	walShare = 4 << 20
)

// retention is what the store knows about what may go. All but the searches'
// settled, pruned and the mutex's fields is for the goroutine that tends it.
type retention struct {
	size int64 // 0: no limit

	finished search
	givenUp  search
	expired  expiry // of what is finished
	overdue  expiry // of what was given up
	doubt    doubt
	expireAt int64 // monotonic time from which messages may go for their age again

	pruned atomic.Uint64

	mu       sync.Mutex
	overfull string // why the store is above its size; "": it is not
}

func newRetention(s Settings) *retention {
	keep := time.Duration(s.KeepDays) * day
	return &retention{
		size:     s.KeepSize,
		finished: newSearch(finishedStates), givenUp: newSearch(givenUpStates),
		expired: expiry{limit: keep}, overdue: expiry{limit: 2 * keep},
	}
}

// settled notes that a message may have become finished.
func (r *retention) settled(seq uint64) {
	r.finished.settled(seq)
	r.givenUp.settled(seq)
}

func (r *retention) setOverfull(why string) (changed bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	changed = (r.overfull == "") != (why == "")
	r.overfull = why
	return changed
}

func (r *retention) whyOverfull() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.overfull
}

// retain removes what is finished and older than keep_days, then the oldest
// that is finished as long as the store is above keep_size.
func (s *Spool) retain(ctx context.Context) error {
	end := time.Now().Add(pruneTime)
	if err := s.pruneByAge(ctx, end); err != nil {
		return fmt.Errorf("removing what is older than keep_days: %w", err)
	}
	if err := s.pruneBySize(ctx, end); err != nil {
		return fmt.Errorf("removing what is above keep_size: %w", err)
	}
	if err := s.giveBack(ctx, spareBytes); err != nil {
		return fmt.Errorf("giving room back: %w", err)
	}
	return nil
}

func (s *Spool) pruneByAge(ctx context.Context, end time.Time) error {
	r := s.retention
	now := s.clock.stamp()
	if r.expired.limit == 0 || now.monotonic < r.expireAt {
		return nil
	}
	r.finished.begin()
	r.givenUp.begin()
	trusted, jumped, err := r.doubt.trusts(ctx, s, now)
	if jumped {
		r.expired.reset()
		r.overdue.reset()
	}
	if err != nil {
		return err
	}
	for _, one := range []struct {
		search *search
		expiry *expiry
	}{{&r.finished, &r.expired}, {&r.givenUp, &r.overdue}} {
		if !trusted {
			break
		}
		if err := one.expiry.advance(ctx, s, now); err != nil {
			return err
		}
		old := func(m *record) bool { return one.expiry.old(now, m.received) }
		for more := true; more; {
			if time.Now().After(end) {
				return nil // and on with it the next time
			}
			if more, err = s.pruneSome(ctx, one.search, one.expiry.until, pruneRows, old, "keep_days"); err != nil {
				return err
			}
		}
	}
	if trusted {
		if err := s.shortenByAge(ctx, now, end); err != nil {
			return err
		}
	}
	r.expireAt = now.monotonic + int64(expiryEvery)
	return nil
}

func (s *Spool) pruneBySize(ctx context.Context, end time.Time) error {
	r := s.retention
	r.finished.begin()
	for r.size > 0 && time.Now().Before(end) {
		size, err := s.keptBytes(ctx)
		if err != nil {
			return err
		}
		if size <= r.size {
			if r.setOverfull("") {
				s.log.Info("the store is below keep_size again", "bytes", size)
			}
			return nil
		}
		more, err := s.pruneOldest(ctx, pruneRows, "keep_size")
		if err != nil {
			return err
		}
		if !more {
			why := fmt.Sprintf("the store has %d MiB and keep_size allows %d MiB, but nothing finished is left that could go", size>>20, r.size>>20)
			if r.setOverfull(why) {
				s.log.Error("the store is above keep_size, and nothing finished is left that could go: messages that are pending, parked or unconfirmed stay until somebody decides",
					"bytes", size, "keep_size", r.size)
			}
			return nil
		}
	}
	return nil
}

// pruneOldest removes what matters least, however old: first what the audit
// trail says of messages that are gone, then the oldest finished messages. It
// reports whether there may be more.
func (s *Spool) pruneOldest(ctx context.Context, rows int, why string) (more bool, err error) {
	n, err := s.shortenTrail(ctx, func(AuditRow) bool { return true })
	if n > 0 || err != nil {
		return true, err
	}
	return s.pruneSome(ctx, &s.retention.finished, math.MaxInt64, rows, func(*record) bool { return true }, why)
}

// pruneSome removes some messages that the search has found and that are old,
// in one transaction, and waits a while after it. It reports whether there may
// be more.
func (s *Spool) pruneSome(ctx context.Context, from *search, until uint64, rows int, old func(*record) bool, why string) (more bool, err error) {
	list, err := from.take(ctx, s, until, rows)
	if err != nil || len(list) == 0 {
		return false, err
	}
	start := time.Now()
	var stay []uint64
	// A chunk is small and waited for: were it withdrawn, it could still run.
	err = s.writer.write(context.WithoutCancel(ctx), func(t *tx) (err error) {
		stay, err = t.prune(list, from.states, old, why)
		return err
	})
	if err != nil {
		from.settled(list[0].first)
		return false, fmt.Errorf("removing finished messages: %w", err)
	}
	for _, first := range stay {
		from.tooYoung(first)
	}
	return true, s.rest(ctx, start)
}

// rest leaves the writer to others after a chunk that began at start.
func (s *Spool) rest(ctx context.Context, start time.Time) error {
	s.moves()
	pause := time.NewTimer(max(leastPause, 2*time.Since(start)))
	defer pause.Stop()
	select {
	case <-pause.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// prune removes those messages of the list that are still finished, and says
// so in the audit trail. Those that are too young stay and are returned.
func (t *tx) prune(list []finding, states []State, old func(*record) bool, why string) (stay []uint64, err error) {
	var newest uint64
	if err := t.scan("SELECT ifnull(max(seq), 0) FROM messages", nil, &newest); err != nil {
		return nil, err
	}
	var gone []span
	envelopes := 0
	for _, m := range list {
		records, err := t.finished(m.first, states)
		if err != nil {
			return nil, err
		}
		if len(records) == 0 {
			continue
		}
		// The newest message stays: its sequence is what the next one follows.
		if records[len(records)-1].sequence == newest || slices.ContainsFunc(records, func(r record) bool { return !old(&r) }) {
			stay = append(stay, m.first)
			continue
		}
		s := span{records[0].sequence, records[len(records)-1].sequence}
		if err := t.remove(s); err != nil {
			return nil, err
		}
		gone, envelopes = append(gone, s), envelopes+len(records)
	}
	if envelopes == 0 {
		return stay, nil
	}
	t.stored -= envelopes
	t.pruned += envelopes
	return stay, t.audit(AuditRow{What: auditPruned, Detail: prunedDetail(merged(gone), envelopes, why)})
}

// remove deletes messages and their deliveries.
func (t *tx) remove(s span) error {
	list, err := t.deliveries("d.seq >= ? AND d.seq <= ?", s.first, s.last)
	if err != nil {
		return err
	}
	for _, d := range list {
		t.moves = append(t.moves, move{destination: d.Destination, from: d.State})
	}
	if err := t.exec("DELETE FROM deliveries WHERE seq >= ? AND seq <= ?", s.first, s.last); err != nil {
		return err
	}
	return t.exec("DELETE FROM messages WHERE seq >= ? AND seq <= ?", s.first, s.last)
}
