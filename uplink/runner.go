package uplink

import (
	"context"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/assaygate/assaygate/envelope"
	"github.com/assaygate/assaygate/envelope/spool"
)

// runner is one Run.
type runner struct {
	patience
	spool    *spool.Spool
	to       Destination
	batcher  Batcher // nil where each message goes alone
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
		schedule: newSchedule(1),
	}
	if batcher, ok := to.(Batcher); ok && batcher.Batch() > 1 {
		r.batcher, r.schedule = batcher, newSchedule(batcher.Batch())
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
			return r.spool.BeginDelivering(ctx, r.to.Name(), r.schedule.batch)
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
		batches, err := r.load(ctx, chosen)
		if err != nil {
			return err
		}
		if err := r.settle(ctx, r.deliver(ctx, batches)); err != nil {
			return err
		}
	}
	return nil
}

// result is what came of one request.
type result struct {
	batch
	err  error
	took time.Duration
}

// deliver makes the requests, all at the same time, and waits for every answer.
func (r *runner) deliver(ctx context.Context, list []batch) []result {
	if len(list) == 0 {
		return nil
	}
	start := time.Now()
	// The end of ctx leaves deliveries in progress their grace.
	attempt, cancel := context.WithTimeout(context.WithoutCancel(ctx), attemptLimit)
	defer cancel()
	answers := make(chan result, len(list))
	for _, b := range list {
		go func() {
			start := time.Now()
			handed, err := r.hand(attempt, b)
			answers <- result{b[:handed], err, time.Since(start)}
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

// hand hands the first messages of a batch over and returns how many. It keeps a
// panic over one of them from stopping all lines and destinations, again at
// every start.
func (r *runner) hand(ctx context.Context, b batch) (handed int, err error) {
	var envelopes []envelope.Envelope
	for _, w := range b {
		envelopes = append(envelopes, w.entry.Envelope)
	}
	defer func() {
		if p := recover(); p != nil {
			// The value itself may quote the message.
			handed, err = len(b), &Failure{Kind: Invalid, Err: fmt.Errorf("delivering it failed in the gateway (panic: %T)", p)}
			r.log.Error("a delivery panicked", "id", envelopes[0].ID, "sequence", envelopes[0].Sequence,
				"messages", len(b), "stack", string(debug.Stack()))
		}
	}()
	if len(b) == 1 {
		return 1, r.to.Deliver(ctx, envelopes[0])
	}
	handed, err = r.batcher.DeliverAll(ctx, envelopes)
	return max(1, min(handed, len(b))), err
}
