package port

import (
	"context"
	"errors"
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

// lookAgain is the wait between two tries to open a line. To look at a device or
// an address costs nothing beside what it costs a laboratory to wait for a line
// whose cable is back.
const lookAgain = 500 * time.Millisecond

// Redial keeps a line open until ctx ends: it opens it, gives it to use, closes
// it when use returns, and opens it again, with half a second between, or less
// where there is news: before each opening it asks news for a channel, and does
// not wait any longer once that is closed. Each failed opening is told to failed.
// News and failed may be nil.
//
// Redial returns ctx's error when ctx has ended and use has returned, or at
// once an error that wraps ErrNotActive, which no further try can mend.
func Redial(ctx context.Context, open func(context.Context) (Line, error), use func(context.Context, Line), failed func(error), news func() <-chan struct{}) error {
	for {
		var came <-chan struct{}
		if news != nil {
			came = news()
		}
		line, err := open(ctx)
		switch {
		case err == nil:
			use(ctx, line)
			line.Close() // before the next opening: a device in use would keep its name from the next one
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, ErrNotActive):
			return err
		case failed != nil:
			failed(err)
		}
		if err := pause(ctx, lookAgain, came); err != nil {
			return err
		}
	}
}

// pause waits, or until there is news, or returns ctx's error when ctx ends
// before.
func pause(ctx context.Context, wait time.Duration, news <-chan struct{}) error {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-news:
	case <-timer.C:
	}
	return nil
}

// sleep waits, or returns ctx's error when ctx ends before.
func sleep(ctx context.Context, wait time.Duration) error { return pause(ctx, wait, nil) }
