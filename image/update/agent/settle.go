package agent

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"time"

	"github.com/assaygate/assaygate/image/update/release"
)

// slotsLast is how long what RAUC says of the slots holds: it calls programs for that.
const slotsLast = 10 * time.Minute

// lookAtSlots asks RAUC, and what is remembered where RAUC has forgotten it with the
// last start.
func (a *Agent) lookAtSlots(ctx context.Context) {
	if a.slots.err == nil && !a.looked.IsZero() && time.Since(a.looked) < slotsLast {
		return
	}
	running, other, err := a.Installer.Slots(ctx)
	if ctx.Err() != nil {
		return
	}
	if err != nil {
		if a.slots.err == nil {
			a.log.Error("RAUC does not tell of the slots", "error", err)
		}
		a.slots = slots{running: a.slots.running, other: a.slots.other, err: err}
		a.set(func(s *Status) { s.SlotsError = err.Error() })
		return
	}
	running.Version = a.Box.Version
	a.mu.Lock()
	if other.Version == "" {
		other.Version = release.Plain(a.memory.slots[other.Name])
	}
	if a.memory.slots[running.Name] != running.Version {
		a.memory.slots[running.Name] = running.Version
		if err := save(a.Store, slotsFile, a.memory.slots); err != nil {
			a.log.Error("the update agent cannot keep what is in the slots", "error", err)
		}
	}
	a.mu.Unlock()
	a.slots, a.looked = slots{running: running, other: other}, time.Now()
	a.set(func(s *Status) {
		s.Running, s.Other, s.SlotsError = Runs{running.Name, running.Version}, other, ""
		s.NoWayBack = noWayBack(other)
	})
}

func (a *Agent) verdict(slot string) *Verdict {
	var v Verdict
	if err := load(a.Store, verdictFile(slot), &v); err != nil {
		a.log.Warn("a verdict cannot be read", "slot", slot, "error", err)
	}
	if v.Slot == "" {
		return nil
	}
	return &v
}

// judged is the verdict on the system that runs.
func (a *Agent) judged() verification {
	v := a.verdict(a.slots.running.Name)
	switch {
	case v == nil || release.Plain(v.Version) != release.Plain(a.Box.Version):
		return unjudged
	case v.Good:
		return judgedGood
	}
	return judgedBad
}

// settle looks where the trial stands, and ends it where it is over. It reports
// false where that cannot be kept.
func (a *Agent) settle(ctx context.Context) (state, string, bool) {
	if a.slots.running.Name == "" {
		return interrupted, "", true // RAUC has not answered yet, and nothing is begun without it
	}
	if a.verified != judgedGood { // which it stays until the next start
		a.verified = a.judged()
	}
	a.mu.Lock()
	trial := a.memory.trial
	a.mu.Unlock()
	if trial == nil {
		return interrupted, "", true
	}
	state, why := trial.judge(running{a.slots.running.Name, a.Box.Version, a.Boot}, a.verdict(trial.Slot))
	kept, over := true, *trial
	over.Former = nil // it was written over
	switch state {
	case proven:
		kept = a.end(over, Installed, "", trial.Slot)
	case fellBack:
		if kept = a.end(over, FellBack, why, a.slots.running.Name); kept {
			a.goodFirst(ctx)
		}
	case mislabelled:
		kept = a.end(over, Failed, why, a.slots.running.Name)
	case interrupted:
		kept = a.endWasCutOff(*trial)
	case onTrial:
		if a.stays(why) {
			// Nobody will end this trial, and the next release may mend what is wrong.
			kept = a.end(over, Failed, why+"; there is no other system to go back to, so the box stays with it", trial.Slot)
			state = interrupted
		}
	}
	return state, why, kept
}

// goodFirst has the boot loader name the system that runs first, which is the one that is good. Both have no start
// left where the power fails often enough, and it then begins anew in that order.
func (a *Agent) goodFirst(ctx context.Context) {
	if err := a.Installer.StartNext(ctx, true); err != nil && ctx.Err() == nil {
		a.log.Warn("the boot loader names the release that fell back first; it has no start left", "error", err)
	}
}

// staysAfter is longer than a judge takes, also at the next start of the same system.
const staysAfter = 15 * time.Minute

// stays reports whether a system that has failed its trial stays all the same. With
// another one to go back to, whoever judges it has the box start anew at once; that
// RAUC knows none is not enough: it says so too when it cannot read the boot loader's notes.
func (a *Agent) stays(why string) bool {
	if why == "" || a.slots.err != nil || a.slots.other.Good {
		a.failed = time.Time{}
		return false
	}
	if a.failed.IsZero() {
		a.failed = time.Now()
	}
	return time.Since(a.failed) >= staysAfter
}

// endWasCutOff removes the trial of an installation that has ended, and of which all
// else is written.
func (a *Agent) endWasCutOff(trial Trial) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if _, is := a.memory.refused[trial.Hash]; !is {
		return true // it is begun again
	}
	if o := a.memory.outcome; o == nil || o.Hash != trial.Hash || o.Result != Refused {
		trial.Former = nil // RAUC may have written over it
	}
	if err := a.dropTrial(trial); err != nil {
		a.log.Error("the update agent cannot remove the notes of a trial that is over", "error", err)
		return false
	}
	return true
}

// end writes what became of an update: first the outcome, then that the bundle is not
// installed again, and the trial is removed last. An end that is cut off comes again at
// the next start, to the same result.
func (a *Agent) end(trial Trial, result Result, reason, slot string) bool {
	outcome := a.outcome(trial, result, reason, slot)
	if err := a.keepEnd(trial, outcome); err != nil {
		a.log.Error("the update agent cannot keep what became of an update; it is tried again", "version", trial.Version, "result", string(result), "error", err)
		return false
	}
	maps.DeleteFunc(a.failing, func(key string, _ failure) bool { return strings.HasPrefix(key, trial.Hash) })
	a.ready = ""
	a.clearBundles()
	if result == Installed {
		a.log.Info("the update is good", "version", trial.Version, "slot", slot)
	} else {
		a.log.Error("the update did not succeed", "version", trial.Version, "result", string(result), "reason", reason)
	}
	a.set(func(s *Status) { s.Outcome = &outcome })
	return true
}

func (a *Agent) outcome(trial Trial, result Result, reason, slot string) Outcome {
	outcome := Outcome{
		Format: OutcomeFormat, Result: result, Version: trial.Version, Hash: trial.Hash, Source: trial.Source, From: trial.From.Version,
		Running: Runs{slot, a.Box.Version}, Reason: reason, Begun: trial.Begun, At: time.Now().Round(0), Clock: "unset", Attempts: trial.Attempts,
	}
	if a.ClockSet() {
		outcome.Clock = "set"
	}
	return outcome
}

// leaveTrial ends the trial of a system that runs, and that nobody has judged, for the next
// release. Nothing is held against it: it may be the judge that fails.
func (a *Agent) leaveTrial(next candidate) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	trial := a.memory.trial
	if trial == nil || trial.Slot != a.slots.running.Name {
		return nil
	}
	outcome := a.outcome(*trial, Failed, fmt.Sprintf("it runs, and gave no verdict: nobody has judged it, and version %s is installed in its place", next.version()), trial.Slot)
	if err := save(a.Store, outcomeFile, outcome); err != nil {
		return err
	}
	if err := a.Store.Remove(trialFile); err != nil {
		return err
	}
	a.memory.outcome, a.memory.trial = &outcome, nil
	a.status.Outcome = &outcome
	a.log.Error("the update did not succeed", "version", trial.Version, "result", string(Failed), "reason", outcome.Reason)
	return nil
}

// wentBack says of a release that was good, and does not run any more, that the box went back
// later. The caller holds mu.
func (a *Agent) wentBack() {
	last := a.memory.outcome
	is := func(version string) bool { return release.Plain(a.Box.Version) == release.Plain(version) }
	if last == nil || last.Result != Installed || a.memory.trial != nil || is(last.Version) || !is(last.From) {
		return // another one may have been put there by hand
	}
	outcome := *last
	outcome.Result, outcome.At, outcome.Running = FellBack, time.Now().Round(0), Runs{Version: a.Box.Version}
	if last.Running.Slot != "" {
		outcome.Running.Slot = map[string]string{"A": "B", "B": "A"}[last.Running.Slot]
	}
	outcome.Reason = fmt.Sprintf("version %s was good, and the boot loader went back to version %s at a later start", last.Version, a.Box.Version)
	outcome.Clock = "unset"
	if a.ClockSet() {
		outcome.Clock = "set"
	}
	a.log.Error("the box has gone back", "version", last.Version, "reason", outcome.Reason)
	a.memory.outcome = &outcome
	a.memory.refused[last.Hash] = Refusal{Version: last.Version, Reason: outcome.Reason, At: outcome.At}
	// The outcome is last: what is cut off before it is said again at the next start.
	if err := errors.Join(save(a.Store, refusedFile, a.memory.refused), save(a.Store, outcomeFile, outcome)); err != nil {
		a.log.Error("the update agent cannot keep what became of an update", "error", err)
	}
}

func (a *Agent) keepEnd(trial Trial, outcome Outcome) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	why := outcome.Reason
	if outcome.Result == Installed && trial.Downgrade {
		// A higher version may come from elsewhere, and the box must not go to and fro.
		why = "it is a downgrade, and was installed once"
	}
	if err := save(a.Store, outcomeFile, outcome); err != nil {
		return err
	}
	if why != "" {
		a.memory.refused[trial.Hash] = Refusal{Version: trial.Version, Reason: why, At: outcome.At}
		if err := save(a.Store, refusedFile, a.memory.refused); err != nil {
			return err
		}
	}
	if err := a.dropTrial(trial); err != nil {
		return err
	}
	a.memory.outcome = &outcome
	return nil
}
