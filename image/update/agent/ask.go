package agent

import (
	"context"
	"errors"
	"time"

	"github.com/assaygate/assaygate/image/update/release"
)

// asked is a source, and what it has answered.
type asked struct {
	Source
	due      time.Time // of the next question; zero where only a person has it asked
	failures int       // since the last answer
	offers   []Offer
	checked  time.Time // when they were answered
	known    bool      // that these are all: the last question was answered
	err      error     // of the last question
	warnings []string
}

const (
	// firstRetry is the pause after the first failure; it doubles with each.
	firstRetry = time.Minute
	// askWithin is how long an answer may take, over a thin line.
	askWithin = 10 * time.Minute
)

// begin plans the first question. All times are spans of the running clock: one that
// is set later, as after a power cut on all boxes at once, has nobody come early.
func (s *asked) begin(interval time.Duration, draw float64) {
	now := time.Now()
	switch {
	case !s.Local:
		s.due = now.Add(untilTurn(now, interval, draw))
	case s.Every > 0:
		s.due = now
	default:
		s.known = true // nothing, until a person brings something
	}
}

// untilTurn is the time until it is the box's turn: once in each interval, at a place in
// it that its draw gives. So the boxes of a fleet stay spread, also when all of
// them got their power back at the same time.
func untilTurn(now time.Time, interval time.Duration, draw float64) time.Duration {
	turn := now.Truncate(interval).Add(time.Duration(draw / 100 * float64(interval)))
	if !turn.After(now) {
		turn = turn.Add(interval)
	}
	return turn.Sub(now)
}

// backOff is the pause after so many failures, from half of it to one and a half.
func backOff(failures int, most time.Duration, random float64) time.Duration {
	pause := firstRetry << min(failures-1, 20)
	return time.Duration(float64(min(pause, most)) * (0.5 + random))
}

// plan says when to ask next, after an answer or a failure.
func (s *asked) plan(interval time.Duration, draw, random float64) {
	now := time.Now()
	switch {
	case s.Local && s.Every > 0:
		s.due = now.Add(s.Every)
	case s.Local:
		s.due = time.Time{}
	case s.failures > 0 && firstRetry<<min(s.failures-1, 20) < interval:
		s.due = now.Add(min(backOff(s.failures, interval, random), untilTurn(now, interval, draw)))
	default:
		s.due = now.Add(untilTurn(now, interval, draw))
	}
}

// askDue asks every repository whose time has come.
func (a *Agent) askDue(ctx context.Context) {
	for _, source := range a.sources {
		if source.due.IsZero() || time.Now().Before(source.due) {
			continue
		}
		a.ask(ctx, source)
		if ctx.Err() != nil {
			return
		}
		source.plan(a.Settings.interval(), a.draw(), a.Random())
	}
}

func (a *Agent) draw() float64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.memory.draw
}

// askAllNow has all be asked in the next round.
func (a *Agent) askAllNow() {
	for _, source := range a.sources {
		source.due = time.Now()
	}
}

func (a *Agent) ask(ctx context.Context, source *asked) {
	if !source.Local {
		a.set(func(s *Status) {
			if s.Phase == Idle { // a trial stays one, and its light
				s.Phase = Checking
			}
		})
	}
	limited, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	answer, err := source.Repository.Offers(limited, release.Box{Compatible: a.Box.Compatible, Version: a.Box.Version})
	switch {
	case ctx.Err() != nil:
		return
	case errors.Is(err, ErrNothingThere):
		source.offers, source.warnings, source.err, source.failures, source.known = nil, nil, nil, 0, true
		return
	case err != nil:
		// What it had stays: whether that still counts, the decision knows.
		if source.failures++; source.failures == 1 || source.err.Error() != err.Error() {
			a.log.Warn("a repository of updates does not answer, and is asked again", "source", source.Name, "error", err)
		}
		source.err, source.known = err, false
		if source.Local {
			source.offers = nil // it was pulled out
		}
		return
	}
	source.offers, source.warnings, source.err, source.failures = answer.Offers, answer.Warnings, nil, 0
	source.checked, source.known = time.Now(), true
	if !source.Local {
		a.set(func(s *Status) { s.Checked = source.checked })
	}
}

// see remembers since when bundles may be installed on this box, and forgets those that
// are not offered any longer. A wave that comes late must not begin with an
// analyser that is interrupted, so its wait does not count. The caller holds mu.
func (a *Agent) see(f facts) {
	changed := false
	offered := map[string]bool{}
	for _, offer := range f.offers {
		if offer.Refused != nil {
			continue
		}
		offered[offer.Hash] = true
		s, is := a.memory.seen[offer.Hash]
		if f.clockSet && s.First.After(f.now) { // the clock was ahead
			s.First = f.now.Round(0)
			a.memory.seen[offer.Hash], changed = s, true
		}
		if is && (!s.First.IsZero() || !f.clockSet) || !offer.local && f.notFromFar(offer) != "" {
			continue
		}
		s.Version = offer.version()
		if f.clockSet {
			s.First = f.now.Round(0)
		}
		a.memory.seen[offer.Hash] = s
		changed = true
	}
	for hash := range a.memory.seen {
		tried := a.memory.trial != nil && a.memory.trial.Hash == hash
		if !offered[hash] && !tried && a.answered() {
			delete(a.memory.seen, hash)
			changed = true
		}
	}
	if !changed {
		return
	}
	if err := save(a.Store, seenFile, a.memory.seen); err != nil {
		a.log.Error("the update agent cannot keep what it has seen", "error", err)
	}
}

// answered reports whether all repositories have answered: before that nothing is
// known to have gone.
func (a *Agent) answered() bool {
	for _, source := range a.sources {
		if !source.known {
			return false
		}
	}
	return true
}
