package port

import (
	"context"
	"errors"
	"io/fs"
	"math/rand/v2"
	"time"
)

// Backoff says how long to wait before the next try. The wait doubles with
// each try from Min up to Max; of it at least half is kept and the rest left to
// chance, so that many boxes do not come back in step. No wait is outside Min
// and Max. The zero value waits 1 to 60 seconds.
type Backoff struct {
	Min, Max time.Duration
	// Random returns a number in [0, 1); nil means a good one.
	Random func() float64

	wait time.Duration
}

// Next returns the next wait. The first is Min.
func (b *Backoff) Next() time.Duration {
	low, high := b.Min, b.Max
	if low <= 0 {
		low = time.Second
	}
	if high <= 0 {
		high = time.Minute
	}
	random := b.Random
	if random == nil {
		random = rand.Float64
	}
	b.wait = min(max(2*b.wait, low), max(low, high))
	least := max(b.wait/2, low)
	return least + time.Duration(random()*float64(b.wait-least))
}

// Reset makes the next wait the first again.
func (b *Backoff) Reset() { b.wait = 0 }

// lookAgain is the wait for a device that is not there. Looking costs
// nothing, and the cable's return is to be seen at once.
const lookAgain = time.Second

// Redial keeps a line open until ctx ends: it opens it, gives it to use, closes
// it when use returns, and opens it again. Between two tries it waits as
// Backoff says, and starts from the beginning after a line that held for longer
// than the wait before it; for a serial device that is not plugged in it looks
// every second.
// Each failed opening is told to failed, which may be nil, with the wait that
// follows.
//
// Redial returns ctx's error when ctx has ended and use has returned, or at
// once an error that wraps ErrNotActive, which no further try can mend.
func Redial(ctx context.Context, open func(context.Context) (Line, error), use func(context.Context, Line), failed func(err error, wait time.Duration)) error {
	if failed == nil {
		failed = func(error, time.Duration) {}
	}
	var backoff Backoff
	for {
		line, err := open(ctx)
		var wait time.Duration
		switch {
		case err == nil:
			opened := time.Now()
			use(ctx, line)
			line.Close()
			if time.Since(opened) >= backoff.wait {
				backoff.Reset()
			}
			wait = backoff.Next()
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, ErrNotActive):
			return err
		case errors.Is(err, fs.ErrNotExist):
			wait = lookAgain
			failed(err, wait)
		default:
			wait = backoff.Next()
			failed(err, wait)
		}
		if err := sleep(ctx, wait); err != nil {
			return err
		}
	}
}

// sleep waits, or returns ctx's error when ctx ends before.
func sleep(ctx context.Context, wait time.Duration) error {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
