package spool

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

const (
	maxBatch = 256
	// idleTime is how long nothing must be written before the WAL is folded
	// into the database. One flipped bit in the WAL can lose all commits behind
	// it, so they should not stay there for long.
	idleTime = 10 * time.Second
	// busyTime is how long they may stay there where the store is never idle.
	// Who comes then waits for the folding too.
	busyTime = 5 * time.Minute
	// heartbeat is how often a writer that has nothing to do reports that it lives.
	heartbeat = 10 * time.Second
)

// The states of a request. Its caller may withdraw it until the writer claims
// it for the commit; from then on the caller waits for the outcome.
const (
	queued int32 = iota
	withdrawn
	claimed
)

// request is one caller's share of a transaction. apply may run more than once
// and must start afresh each time.
type request struct {
	ctx   context.Context
	apply func(*tx) error
	state atomic.Int32
	done  chan error // of capacity 1: the writer never waits for a caller
}

// claim reports whether the request goes into the commit.
func (r *request) claim() bool {
	if r.state.Load() == claimed {
		return true
	}
	return r.ctx.Err() == nil && r.state.CompareAndSwap(queued, claimed)
}

// writer is the one goroutine that writes to the database.
type writer struct {
	spool      *Spool
	database   *sql.DB
	connection *sql.Conn
	statements map[string]*sql.Stmt
	cursor     cursor          // as committed
	lanes      map[string]lane // emptied with every rollback
	commit     func() error
	dirty      bool   // something was committed since the last tidy
	progress   func() // set by run

	queue   chan *request // unbuffered: what is sent is taken, nothing is left behind
	folding chan chan error
	quit    chan struct{}
	stopped chan struct{}
	stopper sync.Once

	failed   chan struct{} // closed once failure is set
	failure  error
	closeErr error // set before stopped is closed
}

// newWriter takes over the database; the caller starts run.
func newWriter(ctx context.Context, s *Spool, database *sql.DB) (*writer, error) {
	connection, err := database.Conn(ctx)
	if err != nil {
		return nil, err
	}
	w := &writer{
		spool: s, database: database, connection: connection,
		statements: map[string]*sql.Stmt{}, lanes: map[string]lane{},
		queue: make(chan *request), folding: make(chan chan error), quit: make(chan struct{}), stopped: make(chan struct{}),
		failed: make(chan struct{}),
	}
	w.commit = func() error { return w.exec("COMMIT") }
	if err := w.load(); err != nil {
		return nil, errors.Join(err, w.close())
	}
	return w, nil
}

// stop waits until the requests in progress are answered and all is closed.
func (w *writer) stop() error {
	w.stopper.Do(func() { close(w.quit) })
	<-w.stopped
	return w.closeErr
}

// write has apply run in a transaction and returns once that is durable. An
// error means that nothing of it is or will be, but for ErrUncertain.
func (w *writer) write(ctx context.Context, apply func(*tx) error) error {
	if w == nil {
		return ErrReadOnly
	}
	r := &request{ctx: ctx, apply: apply, done: make(chan error, 1)}
	select {
	case w.queue <- r:
	case <-ctx.Done():
		return ctx.Err()
	case <-w.stopped:
		return w.reason()
	}
	select {
	case err := <-r.done:
		return err
	case <-ctx.Done():
		if r.state.CompareAndSwap(queued, withdrawn) {
			return ctx.Err()
		}
		return <-r.done
	}
}

// fold has the WAL folded into the database now, so that what was given back
// leaves the card. Where a reader is in the way, that is no error.
func (w *writer) fold(ctx context.Context) error {
	done := make(chan error, 1)
	select {
	case w.folding <- done:
		return <-done
	case <-ctx.Done():
		return ctx.Err()
	case <-w.stopped:
		return w.reason()
	}
}

func (w *writer) reason() error {
	if w.failure != nil {
		return fmt.Errorf("%w after a failure: %w", ErrClosed, w.failure)
	}
	return ErrClosed
}

// run serves requests until stop is called or a commit's outcome is unknown.
func (w *writer) run() {
	defer close(w.stopped)
	var ended func()
	w.progress, ended = w.spool.watch("writer")
	defer ended()
	beat := time.NewTicker(heartbeat)
	defer beat.Stop()
	idle := time.NewTimer(idleTime)
	defer idle.Stop()
	var since time.Time // of the oldest commit in the WAL, or the last attempt to fold it
	tidy := func() {
		if err := w.tidy(); err != nil {
			w.spool.log.Warn("the store could not be tidied", "error", err)
		}
		since = time.Now()
	}
	company := false
	for {
		w.progress()
		select {
		case <-beat.C:
		case first := <-w.queue:
			if !w.dirty {
				since = time.Now()
			} else if time.Since(since) >= busyTime {
				tidy()
			}
			batch := w.gather(first, company)
			company = len(batch) > 1
			w.serve(batch)
			if w.failure != nil {
				close(w.failed)
				w.closeErr = w.close()
				return
			}
			idle.Reset(idleTime)
		case <-idle.C:
			tidy()
			if w.dirty {
				idle.Reset(idleTime)
			}
		case done := <-w.folding:
			done <- w.tidy()
		case <-w.quit:
			w.closeErr = errors.Join(w.tidy(), w.close())
			return
		}
	}
}

// gather takes what has come together. It waits for nobody, but where there
// was company before, it lets the callers that were just answered run first.
func (w *writer) gather(first *request, company bool) []*request {
	batch := []*request{first}
	for len(batch) < maxBatch {
		select {
		case r := <-w.queue:
			batch = append(batch, r)
			continue
		default:
		}
		if !company {
			break
		}
		company = false
		runtime.Gosched()
	}
	return batch
}

// serve answers every request of the batch: together where that works, each
// alone where one of them spoils the transaction for the others.
func (w *writer) serve(batch []*request) {
	for len(batch) > 0 {
		left := w.transact(batch)
		if len(left) == len(batch) {
			for _, r := range left {
				w.progress()
				w.transact([]*request{r})
			}
			return
		}
		batch = left
	}
}

// transact runs the requests in one transaction and answers those whose
// outcome is settled. The others are left, and nothing of them is stored. A
// request that is alone is always answered.
func (w *writer) transact(batch []*request) (left []*request) {
	if w.failure != nil {
		answer(batch, w.reason())
		return nil
	}
	alone := len(batch) == 1
	t, err := w.begin()
	if err != nil {
		return w.undo(batch, alone, err)
	}
	var kept []*request
	for i, r := range batch {
		err, broken := t.apply(r.apply, alone)
		w.spool.ranOut(err)
		if broken {
			return w.undo(append(kept, batch[i:]...), alone, err)
		}
		if err != nil {
			r.done <- err
			continue
		}
		kept = append(kept, r)
	}
	var going []*request
	for _, r := range kept {
		if r.claim() {
			going = append(going, r)
		} else {
			r.done <- context.Cause(r.ctx)
		}
	}
	if len(going) < len(kept) || len(going) == 0 {
		return w.undo(going, false, nil)
	}
	if err := w.commit(); err != nil {
		w.spool.ranOut(err)
		if certain(err) {
			return w.undo(going, alone, err)
		}
		w.failure = fmt.Errorf("committing: %w", err)
		answer(going, fmt.Errorf("%w: %w", ErrUncertain, err))
		return nil
	}
	w.cursor, w.dirty = t.cursor, true
	w.spool.setHead(w.cursor)
	t.publish()
	answer(going, nil)
	return nil
}

// undo rolls back. A request that is alone gets the error.
func (w *writer) undo(left []*request, alone bool, err error) []*request {
	w.rollback()
	if alone {
		answer(left, err)
		return nil
	}
	return left
}

func answer(requests []*request, err error) {
	for _, r := range requests {
		r.done <- err
	}
}

// tidy folds the WAL into the database and writes the high-water mark.
func (w *writer) tidy() error {
	if !w.dirty {
		return nil
	}
	// A reader in the middle of something is no reason to hold up callers: the
	// next quiet moment will do.
	if err := w.exec("PRAGMA busy_timeout = 0"); err != nil {
		return err
	}
	var busy, frames, moved int
	err := w.scan("PRAGMA wal_checkpoint(TRUNCATE)", nil, &busy, &frames, &moved)
	err = errors.Join(err, w.exec("PRAGMA busy_timeout = 5000"), w.spool.writeHighWater(w.cursor))
	w.dirty = err != nil || busy != 0
	return err
}

func (w *writer) close() error {
	var errs []error
	for _, statement := range w.statements {
		errs = append(errs, statement.Close())
	}
	return errors.Join(append(errs, w.connection.Close(), w.database.Close())...)
}
