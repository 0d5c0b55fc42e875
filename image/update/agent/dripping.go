package agent

import (
	"context"
	"time"
)

const (
	// leastRate is what a download has to bring, in bytes a second on average: half of the least
	// that update.rate may be. One that brings less keeps what is behind it from its turn.
	leastRate = 1 << 9
	// ratedAfter is how long a download is watched before that is said.
	ratedAfter = 2 * time.Minute
)

// flow is what a download has brought.
type flow struct {
	begun       time.Time
	last, bytes int64
}

func (f *flow) came(done int64) {
	f.bytes += max(done-f.last, 0) // it may have begun anew
	f.last = done
}

func (f *flow) drips() bool {
	passed := time.Since(f.begun)
	return passed >= ratedAfter && f.bytes < int64(passed.Seconds()*leastRate)
}

// broughtByHand looks what a person has brought while a release comes over the network, and
// reports whether that is to be installed in its place.
func (a *Agent) broughtByHand(ctx context.Context) bool {
	asked := false
	for _, source := range a.sources {
		if !source.Local || source.due.IsZero() || time.Now().Before(source.due) {
			continue
		}
		a.ask(ctx, source)
		source.plan(a.Settings.interval(), a.draw(), a.Random())
		asked = true
	}
	if !asked {
		return false
	}
	f := a.known()
	a.mu.Lock() // Again changes the maps
	defer a.mu.Unlock()
	chosen, not := f.choose()
	return not == "" && chosen.local
}
