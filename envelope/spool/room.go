package spool

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"syscall"
	"time"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// ErrNoRoom means that the card is so full that nothing is taken in.
var ErrNoRoom = errors.New("the card is full")

// A full disk cannot even delete, so the store stops before. Below the first
// mark the oldest finished messages go, below half of it nothing is taken in;
// what makes room in the end, deliveries and decisions, goes on below both.
//
// The first mark is a twentieth of the card, within bounds: a small one must not
// be kept half empty, and on a large disk that others have filled to 99% there
// is plenty of room for messages of a kilobyte.
const (
	mostNeeded = 64 << 20
	// leastNeeded is room for a WAL as it is mostly, twice, in the half below
	// which nothing is taken in.
	leastNeeded = 8 << 20
	// askEvery is how often the file system is asked at most: often enough that
	// what comes in meanwhile is far less than the marks.
	askEvery = 200 * time.Millisecond
	// watchEvery is how often somebody asks where nothing comes in.
	watchEvery = time.Second
	// roundChunks of pruning come before the room is given back and measured.
	roundChunks = 8
	// fullRows go at once where the WAL has nearly no room.
	fullRows = 4
)

// marks returns the free bytes below which finished messages go, and those
// below which nothing is taken in.
func marks(total uint64) (prune, refuse uint64) {
	prune = max(leastNeeded, min(mostNeeded, total/20))
	return prune, prune / 2
}

// room is what is known of the space on the card.
type room struct {
	free func() (bytes, total uint64, err error) // nil: it cannot be known

	mu    sync.Mutex
	asked time.Time
	why   error // why nothing is taken in, or nil

	low bool // finished messages go; for the goroutine that tends the store
}

// Room returns nil while the store takes messages in, and else why it does not;
// the error wraps ErrNoRoom.
func (s *Spool) Room() error {
	r := &s.room
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.free == nil || s.writer == nil || time.Since(r.asked) < askEvery && !r.asked.IsZero() {
		return r.why
	}
	r.asked = time.Now()
	bytes, total, err := r.free()
	if err != nil {
		return r.why // Tend says so
	}
	_, need := marks(total)
	before := r.why
	if before != nil {
		need += need / 4 // or it would go to and fro
	}
	if r.why = nil; bytes < need {
		r.why = fmt.Errorf("%w: %d MiB are free and %d MiB are needed on the file system of %s; nothing is taken in until there is room", ErrNoRoom, bytes>>20, need>>20, s.directory)
	}
	switch {
	case before == nil && r.why != nil:
		s.log.Error("the card is full: nothing is taken in, instruments keep their messages; make room on it", "directory", s.directory, "free", bytes, "needed", need)
	case before != nil && r.why == nil:
		s.log.Info("the card has room again: messages are taken in", "free", bytes)
	}
	return r.why
}

// askAgain has the next Room ask the file system, however short ago it was.
func (r *room) askAgain() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.asked = time.Time{}
}

// full reports whether an error means that the card has no room.
func full(err error) bool {
	var failure *sqlite.Error
	return errors.Is(err, syscall.ENOSPC) || errors.As(err, &failure) && failure.Code()&0xff == sqlite3.SQLITE_FULL
}

// ranOut is told of each write that failed. Where the card had no room, the
// ballast goes, so that the next write that makes room can be done.
func (s *Spool) ranOut(err error) {
	if full(err) {
		s.dropBallast()
		s.room.askAgain()
	}
}

// keepRoom watches the space on the card: it removes finished messages where it
// is short, and makes the ballast where it is not.
func (s *Spool) keepRoom(ctx context.Context) error {
	if s.room.free == nil {
		return nil
	}
	s.room.askAgain()
	_ = s.Room() // says so when it changes
	bytes, total, err := s.room.free()
	if err != nil {
		return fmt.Errorf("asking for the free space: %w", err)
	}
	mark, _ := marks(total)
	if bytes >= mark {
		s.room.low = false
		if bytes >= mark+2*ballastSize {
			return s.makeBallast()
		}
		return nil
	}
	if !s.room.low {
		s.log.Warn("the card is nearly full: the oldest finished messages are removed", "free", bytes, "wanted", mark)
	}
	s.room.low = true
	return s.makeRoom(ctx, bytes, mark+mark/8)
}

// makeRoom removes finished messages, however young, until the card, which has
// some bytes free, has as many as are wanted, or nothing finished is left.
func (s *Spool) makeRoom(ctx context.Context, bytes, wanted uint64) error {
	s.retention.finished.begin()
	rows := pruneRows
	for end := time.Now().Add(pruneTime); time.Now().Before(end); {
		more, err := s.makeSomeRoom(ctx, rows, int64(wanted-bytes))
		switch {
		case full(err) && rows > fullRows: // the ballast has gone meanwhile
			rows = fullRows
			continue
		case full(err) && rows > 1:
			rows = 1
			continue
		case err != nil:
			return fmt.Errorf("making room: %w", err)
		}
		s.room.askAgain()
		if bytes, _, err = s.room.free(); err != nil || bytes >= wanted || !more {
			return err
		}
	}
	return nil
}

// makeSomeRoom removes messages in a few chunks, until the file can shrink by
// the bytes that are short, and has it shrink. It reports whether there may be
// more.
func (s *Spool) makeSomeRoom(ctx context.Context, rows int, short int64) (more bool, err error) {
	more = true
	for range roundChunks {
		if more, err = s.pruneOldest(ctx, rows, "room"); err != nil || !more || rows < pruneRows {
			break
		}
		if _, free, err := s.pageBytes(ctx); err != nil || free >= short {
			break
		}
	}
	if err != nil {
		return more, errors.Join(err, s.writer.fold(ctx)) // the WAL is room too
	}
	if err := s.giveBack(ctx, 0); err != nil {
		return more, errors.Join(err, s.writer.fold(ctx))
	}
	return more, s.writer.fold(ctx)
}
