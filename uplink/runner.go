package uplink

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"time"

	"github.com/assaygate/assaygate/envelope"
	"github.com/assaygate/assaygate/envelope/spool"
)

// runner is one Run.
type runner struct {
	patience
	spool    *spool.Spool
	to       Destination
	scope    func(envelope.Envelope) string
	inFlight int
	grace    time.Duration
	observer Observer

	schedule *schedule
	held     string    // the reason that was said last
	probedAt time.Time // when a probe last stood for a message
	failing  failing
}

// failing is what was said of an outage, so that it is said once.
type failing struct {
	since    time.Time
	attempts int
}

func newRunner(q *spool.Spool, to Destination, o Options) *runner {
	r := &runner{
		patience: newPatience(o.Log, o.Progress, to.Name()),
		spool:    q, to: to, inFlight: max(1, o.InFlight), grace: o.Grace, observer: o.Observer,
		scope:    func(envelope.Envelope) string { return everything },
		schedule: newSchedule(),
	}
	if scoped, ok := to.(Scoped); ok {
		r.scope = scoped.Scope
	}
	if r.observer.Attempt == nil {
		r.observer.Attempt = func(string) {}
	}
	if r.observer.Delivered == nil {
		r.observer.Delivered = func(envelope.Envelope, time.Duration) {}
	}
	if r.observer.Held == nil {
		r.observer.Held = func(string) {}
	}
	return r
}

func (r *runner) run(ctx context.Context) error {
	// What an earlier process held may be well by now.
	err := r.sayHeld(ctx, "")
	if err == nil {
		err = r.insist(ctx, "noting the beginning", func(ctx context.Context) error {
			return r.spool.BeginDelivering(ctx, r.to.Name(), 1)
		})
	}
	if err == nil {
		err = r.rounds(ctx)
	}
	if err == nil {
		err = r.insist(ctx, "noting the end", func(ctx context.Context) error {
			return r.spool.EndDelivering(ctx, r.to.Name())
		})
	}
	return ended(ctx, err)
}

// rounds delivers until ctx ends. It returns nil where it is noted what became
// of everything that was sent.
func (r *runner) rounds(ctx context.Context) error {
	for ctx.Err() == nil {
		r.progress()
		arrival := r.spool.Arrivals(r.to.Name())
		var heads []spool.Head
		err := r.insist(ctx, "reading what is pending", func(ctx context.Context) (err error) {
			heads, err = r.spool.Heads(ctx, r.to.Name())
			return err
		})
		if err != nil {
			return err
		}
		chosen, wake := r.schedule.pick(heads, r.inFlight, time.Now())
		if len(chosen) == 0 {
			r.wait(ctx, arrival, wake)
			continue
		}
		entries, err := r.load(ctx, chosen)
		if err != nil {
			return err
		}
		if err := r.settle(ctx, r.deliver(ctx, entries)); err != nil {
			return err
		}
	}
	return nil
}

// work is a message on its way.
type work struct {
	lane  string
	entry spool.Entry
	scope string
}

// load reads the chosen heads. Those that are gone meanwhile or damaged are left
// out, and so is all but one message of a scope that is held.
func (r *runner) load(ctx context.Context, chosen []spool.Head) ([]work, error) {
	var list []work
	for _, head := range chosen {
		var entry spool.Entry
		err := r.insist(ctx, "reading a message", func(ctx context.Context) (err error) {
			entry, err = r.spool.Load(ctx, r.to.Name(), head.Sequence)
			return err
		})
		gone := errors.Is(err, spool.ErrDamaged) || errors.Is(err, spool.ErrNotFound)
		if err != nil && !gone {
			return nil, err
		}
		if gone || entry.State != spool.Pending {
			// Another head takes its place. Should it not, a back-off keeps
			// this from going round and round.
			r.schedule.failed(head.Lane, time.Now())
			continue
		}
		w := work{head.Lane, entry, r.scope(entry.Envelope)}
		l := r.schedule.lanes[head.Lane]
		known := l.scope == w.scope
		l.scope = w.scope
		taken := slices.ContainsFunc(list, func(other work) bool { return other.scope == w.scope })
		if r.schedule.holds.scoped(w.scope) && (taken || !known) {
			continue // the next turn knows the scope, and when it is due
		}
		list = append(list, w)
	}
	return list, nil
}

// result is what came of one delivery.
type result struct {
	work
	err  error
	took time.Duration
}

// deliver hands the messages over, all at the same time, and waits for every
// answer.
func (r *runner) deliver(ctx context.Context, list []work) []result {
	if len(list) == 0 {
		return nil
	}
	start := time.Now()
	// The end of ctx leaves deliveries in progress their grace.
	attempt, cancel := context.WithTimeout(context.WithoutCancel(ctx), attemptLimit)
	defer cancel()
	answers := make(chan result, len(list))
	for _, w := range list {
		go func() {
			start := time.Now()
			err := r.guarded(attempt, w.entry.Envelope)
			answers <- result{w, err, time.Since(start)}
		}()
	}
	ticker := time.NewTicker(progressEvery)
	defer ticker.Stop()
	done := ctx.Done()
	var results []result
	for len(results) < len(list) {
		select {
		case answer := <-answers:
			results = append(results, answer)
		case <-ticker.C:
			if time.Since(start) < stuckAfter {
				r.progress()
			}
		case <-done:
			done = nil
			defer time.AfterFunc(r.grace, cancel).Stop()
		}
	}
	return results
}

// guarded keeps a panic over one message from stopping all lines and
// destinations, again at every start.
func (r *runner) guarded(ctx context.Context, e envelope.Envelope) (err error) {
	defer func() {
		if p := recover(); p != nil {
			// The value itself may quote the message.
			err = &Failure{Kind: Invalid, Err: fmt.Errorf("delivering it failed in the gateway (panic: %T)", p)}
			r.log.Error("a delivery panicked", "id", e.ID, "sequence", e.Sequence, "stack", string(debug.Stack()))
		}
	}()
	return r.to.Deliver(ctx, e)
}
