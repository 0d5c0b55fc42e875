package agent

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// bundleSuffix ends the name of a bundle that is being fetched; before it stands its hash.
const bundleSuffix = ".raucb"

func (a *Agent) bundle(hash string) string { return filepath.Join(a.Bundles, hash+bundleSuffix) }

// clearBundles removes all bundles but those. What cannot be removed takes room until
// the next time.
func (a *Agent) clearBundles(but ...string) {
	files, _ := os.ReadDir(a.Bundles) // not there: nothing to remove
	for _, file := range files {
		if hash, is := strings.CutSuffix(file.Name(), bundleSuffix); is && !slices.Contains(but, hash) {
			_ = os.Remove(filepath.Join(a.Bundles, file.Name()))
		}
	}
}

// tidy removes what was fetched of a release that nobody offers this box any more.
func (a *Agent) tidy(f facts) {
	if !f.answered {
		return
	}
	wanted := []string{}
	for _, offer := range f.offers {
		if offer.Refused == nil {
			wanted = append(wanted, offer.Hash)
		}
	}
	if !slices.Contains(wanted, a.ready) {
		a.ready = ""
	}
	a.clearBundles(wanted...)
}

func (a *Agent) repository(name string) Repository {
	for _, source := range a.sources {
		if source.Name == name {
			return source.Repository
		}
	}
	return nil
}

// download brings the bundle here, until the next repository is due: a release may be
// paused while it is on its way. It is gone on with afterwards.
func (a *Agent) download(ctx context.Context, offer candidate) time.Duration {
	limited, cancel := context.WithCancel(ctx)
	defer cancel()
	if until := a.nextFromFar(); until > 0 {
		limited, cancel = context.WithTimeout(limited, until)
		defer cancel()
	}
	a.interruptible(cancel)
	defer a.interruptible(nil)
	a.ready, a.whole = "", intact{}
	// One that was begun before stays too: on a bad line the box tries another release
	// while this one rests, and comes back.
	if a.fetching != offer.Hash {
		a.fetching, a.fetchedBefore = offer.Hash, a.fetching
	}
	a.clearBundles(a.fetching, a.fetchedBefore)
	a.log.Info("a release is being fetched", "version", offer.version(), "source", offer.source, "bytes", offer.Length)
	a.set(func(s *Status) { s.Phase, s.Percent = Downloading, 0 })
	came := flow{begun: time.Now(), last: a.here(offer)}
	err := a.fetch(limited, offer, func(done int64) {
		if came.came(done); came.drips() || !offer.local && a.broughtByHand(limited) {
			cancel()
		}
		a.percent(int(100 * done / max(offer.Length, 1)))
	})
	switch {
	case ctx.Err() != nil:
	case err == nil:
		a.ready = offer.Hash
		delete(a.failing, offer.Hash)
		delete(a.failing, offer.fetched())
		a.log.Info("a release was fetched", "version", offer.version(), "source", offer.source)
	case errors.As(err, &crowdedError{}):
		a.rest(offer, err.Error())
	case came.drips():
		a.restFetching(offer, fmt.Sprintf("its download brought %d bytes in %s, and %d a second are the least", came.bytes, time.Since(came.begun).Round(time.Second), leastRate))
	case limited.Err() != nil: // interrupted, to look around
	default:
		a.fetchedBefore = "" // the next attempt has all the room there is
		a.restFetching(offer, "its download failed: "+err.Error())
	}
	return 0
}

// nextFromFar is the time until a repository on the network is asked.
func (a *Agent) nextFromFar() (until time.Duration) {
	for _, source := range a.sources {
		if left := time.Until(source.due); !source.Local && (until == 0 || left < until) {
			until = max(left, time.Second)
		}
	}
	return until
}

func (a *Agent) interruptible(cancel context.CancelFunc) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.interrupt = cancel
}

// rest leaves a bundle alone for a while.
func (a *Agent) rest(offer candidate, why string) { a.restAs(offer.Hash, offer, why) }

// restFetching leaves it alone where it comes from: somebody may bring it otherwise.
func (a *Agent) restFetching(offer candidate, why string) { a.restAs(offer.fetched(), offer, why) }

func (a *Agent) restAs(key string, offer candidate, why string) {
	f := a.failing[key]
	f.count++
	f.why = why
	f.until = time.Now().Add(backOff(f.count, max(a.Settings.interval(), time.Hour), a.Random()))
	a.failing[key] = f
	a.log.Warn("an update does not get on", "version", offer.version(), "reason", why, "again", f.until)
}

// install has the bundle installed. Before RAUC begins, all stands in the agent's
// files that it would need if it were ended at any moment from then on.
func (a *Agent) install(ctx context.Context, offer candidate) time.Duration {
	if !a.stillWhole(ctx, offer) {
		return 0
	}
	err := a.leaveTrial(offer)
	var trial Trial
	if err == nil {
		trial, err = a.beginTrial(offer)
	}
	if err != nil {
		a.rest(offer, "the card of this box takes no notes: "+err.Error())
		return 0
	}
	if trial.Attempts > mostAttempts {
		trial.Attempts--
		a.endUntried(ctx, offer, trial, Failed, fmt.Sprintf("its installation was begun %d times and never came to an end", trial.Attempts))
		return 0
	}
	a.looked, a.whole = time.Time{}, intact{}
	a.log.Info("a release is being installed", "version", trial.Version, "slot", trial.Slot, "source", trial.Source, "attempt", trial.Attempts)
	a.set(func(s *Status) { s.Phase, s.Percent = Installing, 0 })
	err = a.Installer.Install(ctx, a.bundle(offer.Hash), func(percent int, _ string) { a.percent(percent) })
	var refusal interface{ Refused() bool }
	if err != nil && trial.Former != nil && !(errors.As(err, &refusal) && (refusal.Refused() || a.untouched(ctx))) {
		trial.Former = nil // what was held is gone, or may be
	}
	switch {
	case ctx.Err() != nil:
	case err == nil:
		err := a.installed(trial)
		if err != nil {
			a.log.Error("the update agent cannot keep that a release was installed", "error", err)
			return lookAgain
		}
	case errors.As(err, &refusal) && refusal.Refused() && a.ClockSet():
		a.endUntried(ctx, offer, trial, Refused, err.Error())
	case errors.As(err, &refusal) && refusal.Refused():
		// It may be the certificate, which is not valid yet in 1970.
		a.uncount(trial)
		a.holdFormer(trial)
		a.rest(offer, "RAUC does not take it, which may be for the clock, which is not set: "+err.Error())
	case trial.Attempts >= mostAttempts:
		a.endUntried(ctx, offer, trial, Failed, fmt.Sprintf("it could not be installed at %d attempts, at last: %s", trial.Attempts, err))
	default:
		a.holdFormer(trial)
		a.rest(offer, "it could not be installed: "+err.Error())
	}
	return 0
}

// endUntried ends an update that was never started. An earlier attempt may have come to its end
// with nobody there to hear it, so first it is made sure that it is not started later.
func (a *Agent) endUntried(ctx context.Context, offer candidate, trial Trial, result Result, reason string) {
	err := a.stay(ctx)
	switch {
	case err == nil:
		a.end(trial, result, reason, trial.From.Name)
	case ctx.Err() == nil:
		a.rest(offer, reason+"; and the boot loader cannot be told to keep what runs: "+err.Error())
	}
}

const (
	// soon is how long a bundle is verified at most before what was decided is decided
	// anew. One that has to be fetched again takes longer, and analysers do not wait.
	soon = 30 * time.Second
	// intactFor is how long it counts as verified: a card that needs longer than soon for it
	// gets its update all the same, at the next decision.
	intactFor = 5 * time.Minute
)

// intact is a bundle that was verified on the card, and when.
type intact struct {
	hash string
	at   time.Time
}

// stillWhole verifies the bundle once more: it may have lain on the card for days,
// and what the card has spoilt RAUC would refuse for good.
func (a *Agent) stillWhole(ctx context.Context, offer candidate) bool {
	if a.whole.hash == offer.Hash && time.Since(a.whole.at) < intactFor {
		return true
	}
	begun := time.Now()
	err := a.fetch(ctx, offer, func(int64) {})
	if err != nil && ctx.Err() == nil {
		a.ready = ""
		a.rest(offer, "its bundle cannot be read any more: "+err.Error())
	}
	if err == nil {
		a.whole = intact{offer.Hash, time.Now()}
	}
	return err == nil && time.Since(begun) < soon
}

// uncount takes an attempt back that has touched nothing.
func (a *Agent) uncount(trial Trial) {
	a.mu.Lock()
	defer a.mu.Unlock()
	s := a.memory.seen[trial.Hash]
	s.Attempts = max(s.Attempts-1, 0)
	a.memory.seen[trial.Hash] = s
	if err := save(a.Store, seenFile, a.memory.seen); err != nil {
		a.log.Error("the update agent cannot keep what it has seen", "error", err)
	}
}

// beginTrial writes down what is about to happen.
func (a *Agent) beginTrial(offer candidate) (Trial, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	before := a.memory.seen[offer.Hash]
	s := before
	s.Version = offer.version()
	s.Attempts++
	a.memory.seen[offer.Hash] = s
	if err := save(a.Store, seenFile, a.memory.seen); err != nil {
		a.memory.seen[offer.Hash] = before // it was none
		return Trial{}, err
	}
	trial := Trial{
		Phase: installing, Slot: a.slots.other.Name, Version: offer.version(), Hash: offer.Hash, Source: offer.source,
		Local: offer.local, Downgrade: offer.Release.Downgrade, From: Slot{Name: a.slots.running.Name, Good: true, Version: a.Box.Version},
		Boot: a.Boot, Begun: time.Now().Round(0), FirstSeen: s.First, Attempts: s.Attempts,
	}
	if held := a.memory.trial; held != nil && held.Phase == installed && held.Aside && held.Slot == trial.Slot {
		trial.Former = held
	}
	// A verdict on what was in the slot before must not count for what comes into it.
	if err := a.Store.Remove(verdictFile(trial.Slot)); err != nil {
		return Trial{}, err
	}
	delete(a.memory.slots, trial.Slot)
	if err := save(a.Store, slotsFile, a.memory.slots); err != nil {
		return Trial{}, err
	}
	if err := save(a.Store, trialFile, trial); err != nil {
		return Trial{}, err
	}
	a.memory.trial, a.aside = &trial, false
	return trial, nil
}

// installed notes that the other slot starts next.
func (a *Agent) installed(trial Trial) error {
	trial.Phase, trial.Former = installed, nil
	a.mu.Lock()
	a.memory.slots[trial.Slot] = trial.Version
	a.memory.trial = &trial
	err := errors.Join(save(a.Store, trialFile, trial), save(a.Store, slotsFile, a.memory.slots))
	a.mu.Unlock()
	a.ready, a.forcing = "", time.Time{}
	a.clearBundles()
	a.log.Info("a release was installed, and is tried at the next start", "version", trial.Version, "slot", trial.Slot)
	return err
}

const (
	// rebootWithin is how long the box may take to go down before it is asked again.
	rebootWithin = 10 * time.Minute
	rebootAgain  = time.Minute
)

func (a *Agent) restart(ctx context.Context) time.Duration {
	a.set(func(s *Status) { s.Phase, s.Percent = Restarting, 100 })
	a.log.Info("the box starts anew, to try what was installed")
	err := a.bringBack(ctx)
	if err == nil {
		err = a.Rebooter.Reboot(ctx)
	}
	if err != nil && ctx.Err() == nil {
		a.log.Error("the box does not start anew; it is tried again", "error", err)
		return rebootAgain
	}
	return rebootWithin
}
