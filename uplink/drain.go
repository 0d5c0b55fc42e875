package uplink

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/assaygate/assaygate/envelope/spool"
)

// mostRefused is how many messages in a row a destination may refuse before a
// [Drainer] takes it to be unwell.
const mostRefused = 3

// Drainer hands over what is pending and comes to an end, where [Run] goes on
// for ever: for a person who waits, and who keeps what was not taken. It is not
// safe for concurrent use, and not to be used beside a Run for the same
// destination.
//
// What happens with a message that was not taken:
//
//   - [Invalid], and a [Hold] of its scope: parked at once.
//   - [Refusal]: tried again, then parked. Where three messages in a row end
//     so, the destination is unwell.
//   - [Transient] and [Unknown]: tried again; then the destination is unwell.
//   - [Hold] of everything: the destination is unwell.
//
// An unwell destination gets nothing more; what is left stays pending.
type Drainer struct {
	runner  *runner
	tries   int
	held    map[string]string // reasons by scope
	refused int               // messages in a row
	unwell  error
}

// NewDrainer returns a Drainer that tries each message so many times, at least
// once, with the waits of [Run]. Of the options InFlight, Progress and
// Observer.Held mean nothing.
func NewDrainer(q *spool.Spool, to Destination, tries int, o Options) *Drainer {
	return &Drainer{runner: newRunner(q, to, o), tries: max(1, tries), held: map[string]string{}}
}

// Drain hands over until nothing is pending and returns nil. An error says why
// something still is: ctx has ended, the store failed, or the destination is
// unwell, which every later call then repeats.
func (d *Drainer) Drain(ctx context.Context) error {
	r := d.runner
	for d.unwell == nil {
		if err := ctx.Err(); err != nil {
			return err
		}
		heads, err := r.spool.Heads(ctx, r.to.Name())
		if err != nil {
			return err
		}
		if len(heads) == 0 {
			return nil
		}
		entry, err := r.spool.Load(ctx, r.to.Name(), heads[0].Sequence)
		if errors.Is(err, spool.ErrDamaged) {
			continue // it is parked
		}
		if err != nil {
			return err
		}
		if err := d.hand(ctx, work{heads[0].Lane, entry, r.scope(entry.Envelope)}); err != nil {
			return err
		}
	}
	return d.unwell
}

// hand brings one message to an end. Its error is the store's or that of ctx.
func (d *Drainer) hand(ctx context.Context, w work) error {
	r := d.runner
	if reason := d.held[w.scope]; reason != "" {
		return r.park(ctx, w, reason)
	}
	for try := 1; ; try++ {
		res := r.deliver(ctx, []batch{{w}})[0]
		if res.err == nil {
			d.refused = 0
			return r.taken(ctx, res)
		}
		f := failure(res.err)
		r.observer.Attempt(string(f.Kind))
		reason := f.Error()
		if f.Kind == Unknown {
			reason = mayHave + reason
			w.entry.Unanswered = true
		}
		last := try == d.tries
		switch {
		case f.Kind == Hold && f.Scope != everything:
			d.held[w.scope] = reason
			return r.park(ctx, w, reason)
		case f.Kind == Invalid:
			return r.park(ctx, w, reason)
		case f.Kind == Refusal && last:
			if d.refused++; d.refused == mostRefused {
				d.unwell = fmt.Errorf("it refuses message after message: %w", f)
			}
			return r.park(ctx, w, tried(try, reason))
		case f.Kind == Hold:
			d.unwell = f
		case last:
			d.unwell = errors.New(tried(try, reason))
		}
		if err := r.attempted(ctx, w, false, reason); err != nil || d.unwell != nil {
			return err
		}
		r.wait(ctx, nil, time.Now().Add(backOff(try)))
		if err := ctx.Err(); err != nil {
			return err
		}
	}
}

func tried(times int, reason string) string {
	if times == 1 {
		return reason
	}
	return fmt.Sprintf("tried %d times: %s", times, reason)
}
