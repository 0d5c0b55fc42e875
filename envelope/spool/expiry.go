package spool

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/assaygate/assaygate/envelope"
)

const day = 24 * time.Hour

// sureAge is the age of an earlier stamp where it is beyond doubt. One from the
// future was given by a clock that was wrong, so it says nothing.
func (s stamp) sureAge(then stamp) (age time.Duration, known bool) {
	if age, known = s.age(then); known && s.clock == envelope.ClockSet && then.clock == envelope.ClockSet && then.at.After(s.at) {
		return 0, false
	}
	return age, known
}

// expiry finds the messages that are older than a limit. Order is by sequence
// only: none is old as long as one before it is known to be young, for a clock
// that was wrong for a while must not expire what came in meanwhile; and one of
// unknown age is as old as an old one behind it.
type expiry struct {
	limit time.Duration
	until uint64 // the last message that is old
	young uint64 // the first that is known not to be; 0: none was found
}

// reset forgets what was found, because the clock has changed its mind.
func (e *expiry) reset() { e.until, e.young = 0, 0 }

// old reports whether a message that is not behind until may go by its own age.
func (e *expiry) old(now, then stamp) bool {
	age, known := now.sureAge(then)
	return !known || age > e.limit
}

const receivedColumns = "seq, received_at, clock, boot, monotonic"

func scanReceived(scan func(...any) error) (seq uint64, at stamp, err error) {
	var received int64
	err = scan(&seq, &received, &at.clock, &at.boot, &at.monotonic)
	at.at = time.UnixMicro(received).UTC()
	return seq, at, err
}

// advance moves until forward as far as time has gone. As long as the first
// young message stays young, one row is read.
func (e *expiry) advance(ctx context.Context, s *Spool, now stamp) error {
	if e.young > 0 {
		row := s.readers.QueryRowContext(ctx, "SELECT "+receivedColumns+" FROM messages WHERE seq = ?", e.young)
		_, then, err := scanReceived(row.Scan)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return s.closed(err)
		}
		if age, known := now.sureAge(then); err == nil && known && age <= e.limit {
			return nil
		}
	}
	e.young = 0
	for seen := e.until; ; {
		n := 0
		err := s.read(ctx, func(scan func(...any) error) error {
			seq, then, err := scanReceived(scan)
			if err != nil || e.young > 0 {
				return err
			}
			n, seen = n+1, seq
			switch age, known := now.sureAge(then); {
			case known && age > e.limit:
				e.until = seq
			case known:
				e.young = seq
			}
			return nil
		}, "SELECT "+receivedColumns+" FROM messages WHERE seq > ? ORDER BY seq LIMIT ?", seen, expiryWindow)
		if err != nil || n < expiryWindow || e.young > 0 {
			return err
		}
	}
}

// expiryWindow is how many messages are looked at in one query.
const expiryWindow = 256
