package spool

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"strconv"
	"time"

	"github.com/assaygate/assaygate/envelope"
)

const (
	// jumpLimit is how far the clock may be set before its word is doubted. A
	// zone or a summer time set wrong stays below.
	jumpLimit = day
	// absenceLimit is how long a box may have been switched off before a clock
	// that has gone on is taken for wrong rather than the box for forgotten.
	absenceLimit = 366 * day
	// steadyTime is how long the clock must then go on without another jump: time
	// for somebody to notice.
	steadyTime = day

	// doubtKey is the row of meta with the seconds of steadyTime that are left: a
	// restart must not make a wrong clock right.
	doubtKey = "clock_doubted"
	// newestRows is how many audit rows are searched for one with a set clock.
	newestRows = 10_000
)

// doubt tells whether the clock may expire messages. It must not while it is
// unset, and not when it has jumped ahead: a clock that is wrong by years would
// else clear the store in an hour.
type doubt struct {
	newest time.Time     // of the audit trail when the store was opened; zero: not known
	before stamp         // when it was last asked with a set clock
	left   time.Duration // for which the clock must still be steady; 0: it is trusted
}

// load reads where the last run left it, before this one writes anything.
func (d *doubt) load(ctx context.Context, s *Spool) error {
	var seconds, at int64
	err := s.readRow(ctx, "SELECT ifnull((SELECT value FROM meta WHERE key = ?), 0)", []any{doubtKey}, &seconds)
	if err != nil {
		return err
	}
	d.left = time.Duration(seconds) * time.Second
	err = s.readRow(ctx, "SELECT at FROM audit WHERE n > (SELECT max(n) FROM audit) - ? AND clock = ? ORDER BY n DESC LIMIT 1",
		[]any{newestRows, envelope.ClockSet}, &at)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	d.newest = time.UnixMicro(at)
	return err
}

// trusts reports whether messages may expire by this stamp, which is the
// present one. jumped says that ages found before it do not hold any more.
func (d *doubt) trusts(ctx context.Context, s *Spool, now stamp) (trusted, jumped bool, err error) {
	if now.clock != envelope.ClockSet {
		return false, false, nil
	}
	had := d.left
	switch first := d.before.at.IsZero(); {
	case first:
		jumped = !d.newest.IsZero() && now.at.Sub(d.newest) > absenceLimit
	default:
		passed := time.Duration(now.monotonic - d.before.monotonic)
		jumped = (now.at.Sub(d.before.at) - passed).Abs() > jumpLimit
		d.left = max(0, d.left-passed)
	}
	if jumped {
		d.left = steadyTime
		s.log.Warn("the clock has jumped; no message is removed for its age until the clock has been steady for a day",
			"now", now.at, "before", cmp.Or(d.before.at, d.newest))
	}
	d.before = now
	if d.left != had {
		err = s.writer.write(ctx, func(t *tx) error {
			if d.left == 0 {
				return t.exec("DELETE FROM meta WHERE key = ?", doubtKey)
			}
			return t.exec("INSERT OR REPLACE INTO meta VALUES (?, ?)", doubtKey, strconv.Itoa(int(d.left.Seconds())))
		})
	}
	return d.left == 0 && err == nil, jumped, err
}
