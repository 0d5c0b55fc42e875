package uplink

import (
	"context"
	"fmt"
	"slices"
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
	hadMaybe = "; an earlier attempt, which was not answered, may have been taken"
)

// settle notes the results of a round in the spool and in the schedule. What
// was taken comes first, for it tells how to judge the rest.
func (r *runner) settle(ctx context.Context, results []result) error {
	var unwell []Kind
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
		r.observer.Attempt(string(f.Kind))
		if f.Kind != Hold {
			unwell = append(unwell, f.Kind)
		}
		if err := r.notTaken(ctx, res, f); err != nil {
			return err
		}
	}
	if !well && len(unwell) > 0 {
		r.schedule.unwell(unwell, time.Now())
	}
	if reason := r.schedule.holds.reason(); reason != r.held {
		return r.sayHeld(ctx, reason)
	}
	return nil
}

func (r *runner) taken(ctx context.Context, res result) error {
	e := res.entry.Envelope
	r.observer.Attempt(delivered)
	if r.schedule.holds[everything] != nil {
		r.schedule.release()
	}
	r.lift(res.scope)
	r.schedule.success()
	if r.failing.attempts > 0 {
		r.log.Info("the destination takes messages again",
			"after", time.Since(r.failing.since).Round(time.Second).String(), "attempts", r.failing.attempts)
		r.failing = failing{}
	}
	note := ""
	if res.entry.Unanswered {
		note = repeated
	}
	err := r.note(ctx, "noting a delivery", func(ctx context.Context) error {
		return r.spool.Delivered(ctx, r.to.Name(), e.Sequence, note)
	})
	if err != nil {
		return err
	}
	r.log.Info("message delivered", "instrument", e.Instrument, "id", e.ID, "sequence", e.Sequence,
		"outcome", delivered, "seconds", res.took.Seconds())
	r.observer.Delivered(e, res.took)
	return nil
}

// lift ends the holds that an answer about a message disproves.
func (r *runner) lift(scope string) {
	delete(r.schedule.holds, everything)
	delete(r.schedule.holds, scope)
}

func (r *runner) notTaken(ctx context.Context, res result, f *Failure) error {
	switch f.Kind {
	case Hold:
		return r.hold(ctx, res, f)
	case Invalid:
		r.lift(res.scope)
		r.schedule.failed(res.lane, time.Now())
		return r.park(ctx, res, f.Error())
	case Refusal:
		r.lift(res.scope)
		return r.refused(ctx, res, f)
	}
	r.schedule.holds.postpone(res.scope, time.Now())
	r.schedule.failed(res.lane, time.Now())
	reason := f.Error()
	if f.Kind == Unknown {
		reason = mayHave + reason
	}
	r.complain(res, f.Kind, reason)
	if f.Kind == Unknown {
		return r.unanswered(ctx, res, reason)
	}
	return r.attempted(ctx, res, false, reason)
}

// complain logs the first failure of an outage and keeps silent about the rest.
func (r *runner) complain(res result, kind Kind, reason string) {
	e := res.entry.Envelope
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
	now := time.Now()
	if f.Scope != everything {
		// It was let in, or it would not have heard of the scope.
		r.lift(everything)
	} else {
		// Another lane's turn next time: should the answer be about this
		// message after all, the others are not held for ever.
		r.schedule.lanes[res.lane].failures++
	}
	r.schedule.holds.postpone(res.scope, now)
	r.schedule.holds.set(f.Scope, f.Error(), now)
	return r.attempted(ctx, res, false, f.Error())
}

func (r *runner) refused(ctx context.Context, res result, f *Failure) error {
	counted := r.schedule.proven(res.lane, res.entry.Refusals)
	if !counted {
		var err error
		if counted, err = r.probed(ctx, res.lane); err != nil {
			return err
		}
	}
	r.schedule.failed(res.lane, time.Now())
	if !counted {
		r.complain(res, f.Kind, f.Error())
		return r.attempted(ctx, res, false, f.Error())
	}
	r.schedule.counted(res.lane)
	refusals := res.entry.Refusals + 1
	if refusals >= refusalLimit {
		return r.park(ctx, res, fmt.Sprintf("refused %d times: %s", refusals, f.Error()))
	}
	e := res.entry.Envelope
	r.log.Warn("a message was refused", "instrument", e.Instrument, "id", e.ID, "sequence", e.Sequence,
		"outcome", string(f.Kind), "refusals", refusals, "error", f.Error())
	return r.attempted(ctx, res, true, f.Error())
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

func (r *runner) park(ctx context.Context, res result, reason string) error {
	e := res.entry.Envelope
	if res.entry.Unanswered {
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

func (r *runner) attempted(ctx context.Context, res result, counted bool, reason string) error {
	return r.note(ctx, "noting an attempt", func(ctx context.Context) error {
		return r.spool.Attempted(ctx, r.to.Name(), res.entry.Envelope.Sequence, counted, reason)
	})
}

func (r *runner) unanswered(ctx context.Context, res result, reason string) error {
	return r.note(ctx, "noting an attempt", func(ctx context.Context) error {
		return r.spool.Unanswered(ctx, r.to.Name(), res.entry.Envelope.Sequence, reason)
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
