package trust

import (
	"context"
	"time"
)

// pace holds a transfer to a rate. Where the line was slower for a while, nothing
// is made up for: the bound holds in every moment.
type pace struct {
	rate int64 // bytes a second, 0 for no bound
	next time.Time
}

func newPace(rate int64) *pace { return &pace{rate: max(rate, 0), next: time.Now()} }

// chunk is how many bytes to read at a time: with a bound a tenth of a second, so
// that the sender is held back by what is not read.
func (p *pace) chunk() int64 {
	const most = 256 << 10
	if p.rate == 0 {
		return most
	}
	return min(most, max(1, p.rate/10))
}

// wait returns when the bytes that were read are within the bound. It is no silence
// of the sender: alive is called at its end, and every second of it.
func (p *pace) wait(ctx context.Context, n int, alive func()) error {
	if p.rate == 0 {
		return ctx.Err()
	}
	if now := time.Now(); p.next.Before(now) {
		p.next = now
	}
	p.next = p.next.Add(time.Duration(float64(n) / float64(p.rate) * float64(time.Second)))
	for {
		rest := time.Until(p.next)
		if rest <= 0 {
			return ctx.Err()
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(min(rest, time.Second)):
			alive()
		}
	}
}
