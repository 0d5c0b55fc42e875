package main

import (
	"context"
	"errors"

	"github.com/assaygate/assaygate/envelope/spool"
)

// errAsked is why the control socket of a gateway ends that is to be closed for a
// while: who asked for that waits at it.
var errAsked = errors.New("the store is closed for a while")

// reopening is somebody's wish that the store be closed and opened again. Nil is
// nobody's.
type reopening struct {
	meanwhile func() error
	err       error      // of meanwhile
	done      chan error // of capacity 1: nobody waits for the asker
}

// Reopen closes the store in order, as at the end of the process, calls meanwhile
// and opens the store again. Instruments cannot connect until then. It returns
// when the store is open, or with the error of meanwhile, or why it could not be
// opened, which is then tried on. Where the process ends before, that is
// spool.ErrClosed; meanwhile may have been called.
func (d *daemon) Reopen(ctx context.Context, meanwhile func() error) error {
	asked := &reopening{meanwhile: meanwhile, done: make(chan error, 1)}
	select {
	case d.reopenings <- asked:
		return <-asked.done
	case <-ctx.Done():
		return ctx.Err()
	case <-d.ended:
		return spool.ErrClosed
	}
}

func (r *reopening) prepare() {
	if r != nil {
		r.err = r.meanwhile()
	}
}

func (r *reopening) answer(err error) {
	if r != nil {
		r.done <- errors.Join(r.err, err)
	}
}
