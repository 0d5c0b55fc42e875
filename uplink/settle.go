package uplink

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/assaygate/assaygate/envelope/spool"
)

const (
	// refusalLimit is the counted refusal that parks a message.
	refusalLimit = 5
	// probeEvery is how often a probe may stand for another message.
	probeEvery = 15 * time.Minute
)

// What a person reads of a message that was sent, and no answer came.
const (
	repeated = "possibly repeated: an earlier attempt was not answered"
	mayHave  = "it may have been taken: "
	hadMaybe = "; an earlier attempt without an answer of its own may have been taken"
)

// settle notes the results of a round in the spool and in the schedule. What
// was taken comes first, for it tells how to judge the rest.
func (r *runner) settle(ctx context.Context, results []result) error {
	var unwell []Kind
	var together bool // messages were refused that were not alone
	slices.SortStableFunc(results, func(a, b result) int {
		switch {
		case (a.err == nil) == (b.err == nil):
			return 0
		case a.err == nil:
			return -1
		}
		return 1
	})
	well := len(results) > 0 && results[0].err == nil
	for _, res := range results {
		if res.err == nil {
			if err := r.taken(ctx, res); err != nil {
				return err
			}
			continue
		}
		f := failure(res.err)
		r.observe(res, string(f.Kind))
		kind, err := r.notTaken(ctx, res, f)
		if err != nil {
			return err
		}
		switch {
		case kind == Hold:
		case kind == Refusal && len(res.batch) > 1:
			together = true
		default:
			unwell = append(unwell, kind)
		}
	}
	switch {
	case well:
	case len(unwell) > 0:
		r.schedule.unwell(unwell, time.Now())
	case together:
		r.schedule.searching(time.Now())
	}
	if reason := r.schedule.holds.reason(); reason != r.held {
		return r.sayHeld(ctx, reason)
	}
	return nil
}

func (r *runner) observe(res result, what string) {
	for range res.batch {
		r.observer.Attempt(what)
	}
}

func (r *runner) taken(ctx context.Context, res result) error {
	r.observe(res, delivered)
	if r.schedule.holds[everything] != nil {
		r.schedule.release()
	}
	r.lift(res.batch[0].scope)
	r.schedule.success(len(res.batch))
	if r.failing.attempts > 0 {
		r.log.Info("the destination takes messages again",
			"after", time.Since(r.failing.since).Round(time.Second).String(), "attempts", r.failing.attempts)
		r.failing = failing{}
	}
	err := each(res.batch, func(w work) error {
		note := ""
		if w.entry.Unanswered {
			note = repeated
		}
		return r.note(ctx, "noting a delivery", func(ctx context.Context) error {
			return r.spool.Delivered(ctx, r.to.Name(), w.entry.Envelope.Sequence, note)
		})
	})
	if err != nil {
		return err
	}
	for _, w := range res.batch {
		e := w.entry.Envelope
		r.log.Info("message delivered", "instrument", e.Instrument, "id", e.ID, "sequence", e.Sequence,
			"outcome", delivered, "seconds", res.took.Seconds())
		r.observer.Delivered(e, res.took)
	}
	return nil
}

// each notes something of every message of a batch, all at the same time: the
// spool then makes it durable with one flush.
func each(b batch, note func(work) error) error {
	if len(b) == 1 {
		return note(b[0])
	}
	errs := make([]error, len(b))
	var noting sync.WaitGroup
	for i, w := range b {
		noting.Go(func() { errs[i] = note(w) })
	}
	noting.Wait()
	var first error // they all say the same, but for one that says how the store ended
	for _, err := range errs {
		if err != nil && (first == nil || errors.Is(err, spool.ErrUncertain)) {
			first = err
		}
	}
	return first
}

// lift ends the holds that an answer about a message disproves.
func (r *runner) lift(scope string) {
	delete(r.schedule.holds, everything)
	delete(r.schedule.holds, scope)
}

// notTaken returns the kind of failure that it is for the destination.
func (r *runner) notTaken(ctx context.Context, res result, f *Failure) (Kind, error) {
	now, first := time.Now(), res.batch[0]
	switch f.Kind {
	case Hold:
		return f.Kind, r.hold(ctx, res, f)
	case Invalid, Refusal:
		r.lift(first.scope)
		switch {
		case len(res.batch) > 1:
			return Refusal, r.refusedTogether(ctx, res, f)
		case f.Kind == Refusal:
			return f.Kind, r.refused(ctx, first, f)
		}
		r.schedule.failed(first.lane, now)
		return f.Kind, r.park(ctx, first, f.Error())
	}
	r.schedule.holds.postpone(first.scope, now)
	for _, lane := range res.lanes() {
		r.schedule.failed(lane, now)
	}
	reason := f.Error()
	if f.Kind == Unknown {
		reason = mayHave + reason
		r.schedule.narrow(len(res.batch), now)
	}
	r.complain(first, f.Kind, reason)
	return f.Kind, each(res.batch, func(w work) error {
		if f.Kind == Unknown {
			return r.unanswered(ctx, w, reason)
		}
		return r.attempted(ctx, w, false, reason)
	})
}

// refusedTogether has smaller requests find out which message is the cause; no
// message is blamed before it is alone. With a refusal those before the cause
// may have been taken.
func (r *runner) refusedTogether(ctx context.Context, res result, f *Failure) error {
	r.schedule.halve(res.lanes(), len(res.batch))
	r.log.Debug("messages were refused together; trying fewer at a time", "messages", len(res.batch), "outcome", string(f.Kind), "error", f)
	if f.Kind == Invalid {
		return nil
	}
	return each(res.batch, func(w work) error {
		return r.unanswered(ctx, w, fmt.Sprintf("refused in a push of %d messages: %s", len(res.batch), f.Error()))
	})
}

// complain logs the first failure of an outage and keeps silent about the rest.
func (r *runner) complain(w work, kind Kind, reason string) {
	e := w.entry.Envelope
	args := []any{"instrument", e.Instrument, "id", e.ID, "sequence", e.Sequence, "outcome", string(kind), "error", reason}
	if r.failing.attempts == 0 {
		r.failing.since = time.Now()
		r.log.Warn("a message was not delivered and is tried again until it is", args...)
	} else {
		r.log.Debug("a message was not delivered", args...)
	}
	r.failing.attempts++
}

func (r *runner) hold(ctx context.Context, res result, f *Failure) error {
	now, first := time.Now(), res.batch[0]
	if f.Scope != everything {
		// It was let in, or it would not have heard of the scope.
		r.lift(everything)
	} else {
		// Another lane's turn next time: should the answer be about this
		// message after all, the others are not held for ever.
		r.schedule.lanes[first.lane].failures++
	}
	r.schedule.holds.postpone(first.scope, now)
	r.schedule.holds.set(f.Scope, f.Error(), now)
	return each(res.batch, func(w work) error { return r.attempted(ctx, w, false, f.Error()) })
}

func (r *runner) refused(ctx context.Context, w work, f *Failure) error {
	counted := r.schedule.proven(w.lane, w.entry.Refusals)
	if !counted {
		var err error
		if counted, err = r.probed(ctx, w.lane); err != nil {
			return err
		}
	}
	r.schedule.failed(w.lane, time.Now())
	if !counted {
		r.complain(w, f.Kind, f.Error())
		return r.attempted(ctx, w, false, f.Error())
	}
	r.schedule.counted(w.lane)
	refusals := w.entry.Refusals + 1
	if refusals >= refusalLimit {
		return r.park(ctx, w, fmt.Sprintf("refused %d times: %s", refusals, f.Error()))
	}
	e := w.entry.Envelope
	r.log.Warn("a message was refused", "instrument", e.Instrument, "id", e.ID, "sequence", e.Sequence,
		"outcome", string(f.Kind), "refusals", refusals, "error", f.Error())
	return r.attempted(ctx, w, true, f.Error())
}

// probed reports whether a probe may stand for another message that was taken:
// no other lane has anything to send, and the last time is long enough ago.
func (r *runner) probed(ctx context.Context, lane string) (bool, error) {
	if !r.probedAt.IsZero() && time.Since(r.probedAt) < probeEvery {
		return false, nil
	}
	var heads []spool.Head
	err := r.insist(ctx, "reading what is pending", func(ctx context.Context) (err error) {
		heads, err = r.spool.Heads(ctx, r.to.Name())
		return err
	})
	if err != nil {
		return false, err
	}
	others := slices.ContainsFunc(heads, func(h spool.Head) bool {
		l := r.schedule.lanes[h.Lane]
		return h.Lane != lane && (l == nil || !r.schedule.holds.scoped(l.scope))
	})
	if others {
		return false, nil
	}
	if err := r.attend(ctx, r.to.Probe); err != nil {
		r.log.Debug("the destination did not answer a probe", "error", err)
		return false, nil
	}
	r.probedAt = time.Now()
	return true, nil
}

func (r *runner) park(ctx context.Context, w work, reason string) error {
	e := w.entry.Envelope
	if w.entry.Unanswered {
		reason += hadMaybe
	}
	err := r.note(ctx, "parking a message", func(ctx context.Context) error {
		return r.spool.Park(ctx, r.to.Name(), e.Sequence, reason)
	})
	if err != nil {
		return err
	}
	r.log.Warn("a message is parked for a person: see `assaygate spool show`", "instrument", e.Instrument,
		"id", e.ID, "sequence", e.Sequence, "outcome", string(spool.Parked), "error", reason)
	return nil
}

func (r *runner) attempted(ctx context.Context, w work, counted bool, reason string) error {
	return r.note(ctx, "noting an attempt", func(ctx context.Context) error {
		return r.spool.Attempted(ctx, r.to.Name(), w.entry.Envelope.Sequence, counted, reason)
	})
}

func (r *runner) unanswered(ctx context.Context, w work, reason string) error {
	return r.note(ctx, "noting an attempt", func(ctx context.Context) error {
		return r.spool.Unanswered(ctx, r.to.Name(), w.entry.Envelope.Sequence, reason)
	})
}

// sayHeld says why messages are held; "" says that none are.
func (r *runner) sayHeld(ctx context.Context, reason string) error {
	err := r.note(ctx, "noting why messages are held", func(ctx context.Context) error {
		return r.spool.SetHeld(ctx, r.to.Name(), r.schedule.holds.list()...)
	})
	if err != nil {
		return err
	}
	switch {
	case reason != "":
		r.log.Error("messages are held until this is put right", "outcome", string(Hold), "error", reason)
	case r.held != "":
		r.log.Info("messages are not held any more")
	}
	r.held = reason
	r.observer.Held(reason)
	return nil
}
