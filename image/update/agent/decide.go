package agent

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/assaygate/assaygate/image/update/release"
)

// step is what is to be done now.
type step int

const (
	stepNone     step = iota // nothing to install, or nothing that may be now
	stepDownload             // bring the bundle to the card
	stepInstall
	stepRestart  // what is installed is to be started
	stepSetAside // what is installed is not to be started, by nothing
)

// facts are all that a decision depends on.
type facts struct {
	now      time.Time
	clockSet bool
	draw     float64
	offers   []candidate
	answered bool // all repositories have, and the offers are all that there are
	refused  map[string]Refusal
	seen     map[string]sighting
	failing  map[string]failure // by hash, or by the way on which it comes

	window     Window
	forceAfter time.Duration // 0 is never
	interval   time.Duration

	// trial is one that is under way, nil where there is none, and where it stands.
	trial *Trial
	state state
	why   string // of a trial that is not good yet
	aside bool   // the boot loader was told not to start what is installed
	later bool   // it could not be told just now

	slots    slots
	ready    string        // hash of the bundle that is on the card, whole
	busy     Busy          // of a gateway that does not answer: nothing
	forcing  time.Time     // since when it is forced, zero where it is not
	age      time.Duration // how long this start of the agent is ago
	verified verification  // of the slot that runs
}

// candidate is an offer with whence it comes.
type candidate struct {
	Offer
	source  string
	local   bool
	checked time.Time // when its repository said so
}

// fetched names the way that the bundle would come, among what fails.
func (c candidate) fetched() string { return c.Hash + " from " + c.source }

// failure is what went wrong with a bundle, and until when it rests.
type failure struct {
	until time.Time
	count int
	why   string
}

// slots are those of the card.
type slots struct {
	running, other Slot
	err            error // of RAUC, where they are not known
}

// verification is what is known of the system that runs.
type verification int

const (
	unjudged verification = iota
	judgedGood
	judgedBad
)

// decision is what is to be done now, and in words why nothing is.
type decision struct {
	step  step
	phase Phase     // where nothing is done
	offer candidate // which release it is about; its zero value is none
	why   string    // in plain words, for people
	// again is when to decide anew at the latest, 0 for the next answer of a repository.
	again  time.Duration
	forced bool // the release has waited for force_after
}

const (
	// lookAgain is the pause between two looks at a gateway that is busy, and at a
	// window that is closed.
	lookAgain = 10 * time.Second
	// lookForced is the pause where an installation is forced, and only waits for the
	// messages that are on their way to the card.
	lookForced = time.Second
	// forcedGrace is how long it waits for them.
	forcedGrace = 5 * time.Minute
	// judgeWithin is how long a system without a verdict counts as one that may still
	// get it. Whoever judges it takes less.
	judgeWithin = 30 * time.Minute
)

// decide is pure.
func (f facts) decide() decision {
	d := f.next()
	if f.trial != nil && f.state == interrupted && d.step != stepInstall && !f.aside {
		return f.secure(d)
	}
	return d
}

func (f facts) next() decision {
	if f.trial != nil {
		switch f.state {
		case onTrial:
			return f.waitForVerdict()
		case toRestart:
			if why := f.held(); why != "" {
				return f.hold(why)
			}
			return f.restart()
		}
	}
	offer, why := f.choose()
	if why != "" || offer.Hash == "" {
		return decision{offer: offer, why: why}
	}
	return f.bring(offer)
}

// bring is the next step of a release that may be installed.
func (f facts) bring(offer candidate) decision {
	d := decision{offer: offer, forced: f.forcedBy(f.seen[offer.Hash].First)}
	switch {
	case f.slots.err != nil:
		d.why, d.again = "RAUC cannot be asked for the slots: "+f.slots.err.Error(), time.Minute
	case f.unproven():
		d.why, d.again = fmt.Sprintf("the system that runs, version %s, has not proven itself yet, and slot %s is the way back", f.slots.running.Version, f.slots.other.Name), lookAgain
	case f.ready != offer.Hash:
		d.step = stepDownload
	default:
		d.step = stepInstall
		if d.why, d.again = f.closed(offer, d.forced); d.why == "" {
			d.why, d.again = f.atWork(d.forced)
		}
		if d.why != "" {
			d.step, d.phase = stepNone, Waiting
		}
	}
	return d
}

func (f facts) waitForVerdict() decision {
	d := decision{phase: OnTrial, offer: f.tried(), why: fmt.Sprintf("version %s is on trial", f.trial.Version), again: lookAgain}
	if f.why != "" {
		d.why = fmt.Sprintf("version %s has failed its trial, and the box goes back if it can: %s", f.trial.Version, f.why)
		return d
	}
	if f.age < judgeWithin {
		return d
	}
	// Nobody judges it. That must not keep the box from what may mend it.
	d.why += ", and nobody has judged it"
	f.offers = slices.DeleteFunc(slices.Clone(f.offers), func(offer candidate) bool { return offer.Hash == f.trial.Hash })
	if offer, not := f.choose(); not == "" && offer.Hash != "" {
		next := f.bring(offer)
		next.phase = OnTrial
		return next
	}
	return d
}

// restart has no window: what is installed starts with the next power cut anyway.
func (f facts) restart() decision {
	d := decision{step: stepRestart, offer: f.tried(), forced: f.forcedBy(f.trial.FirstSeen)}
	if d.why, d.again = f.atWork(d.forced); d.why != "" {
		d.step, d.phase = stepNone, Waiting
		d.why = "installed, and starts when the box does; " + d.why
	}
	return d
}

// tried is the release of the trial.
func (f facts) tried() candidate {
	return candidate{Offer: Offer{Release: release.Release{Version: f.trial.Version}, Hash: f.trial.Hash}, source: f.trial.Source}
}

func (f facts) forcedBy(first time.Time) bool {
	return f.forceAfter > 0 && f.clockSet && !first.IsZero() && !f.now.Before(first.Add(f.forceAfter))
}

// unproven keeps the box from overwriting its way back with a system that runs, and
// may not be good.
func (f facts) unproven() bool {
	return f.slots.other.Good && (f.verified == judgedBad || f.verified == unjudged && f.age < judgeWithin)
}

// closed reports why the window keeps the release from being installed.
func (f facts) closed(offer candidate, forced bool) (string, time.Duration) {
	switch {
	case forced || f.window.Always() || f.clockSet && f.window.Open(f.now):
		return "", 0
	case f.clockSet && offer.local:
		return fmt.Sprintf("waits for its time of the day, %s, by the clock of this box: leave the stick in", f.window), lookAgain
	case f.clockSet:
		return fmt.Sprintf("waits for its time of the day, %s, by the clock of this box", f.window), lookAgain
	case offer.local:
		return "", 0 // a box that never knows the time would never be updated
	}
	return fmt.Sprintf("waits for its time of the day, %s, and the clock of this box is not set", f.window), lookAgain
}

// atWork reports why the gateway keeps the box from being interrupted.
func (f facts) atWork(forced bool) (string, time.Duration) {
	switch {
	case !forced && f.busy.Sessions > 0:
		return fmt.Sprintf("waits until no analyser transmits; open now: %d", f.busy.Sessions), lookAgain
	case !forced && f.busy.Commits > 0:
		return "waits until the messages that came are on the card", lookAgain
	case forced && f.busy.Commits > 0 && (f.forcing.IsZero() || f.now.Sub(f.forcing) < forcedGrace):
		return "has waited long enough for analysers to be silent; waits only until the messages that came are on the card", lookForced
	}
	return "", 0
}

// choose returns the release that is to be installed next, or, with the reason, the
// one that would be if it might. A lower one that may be installed now comes
// before a higher one that may not.
func (f facts) choose() (candidate, string) {
	sorted := slices.Clone(f.offers)
	slices.SortStableFunc(sorted, func(a, b candidate) int {
		if order := release.Compare(b.Release.Version, a.Release.Version); order != 0 {
			return order
		}
		switch {
		case a.local == b.local:
			return 0
		case a.local: // who brought it has decided
			return -1
		}
		return 1
	})
	var first candidate
	why := ""
	for _, offer := range sorted {
		not := f.not(offer)
		if not == "" {
			return offer, ""
		}
		if why == "" && !errors.Is(offer.Refused, release.ErrNotNewer) {
			first, why = offer, not
		}
	}
	return first, why
}

// not reports why a release is not to be brought here now.
func (f facts) not(offer candidate) string {
	if offer.Refused != nil {
		return offer.Refused.Error()
	}
	if refused, is := f.refused[offer.Hash]; is {
		return fmt.Sprintf("not installed again, since on %s: %s. This box takes only a higher version: ask who makes the releases",
			refused.At.Format(time.DateOnly), refused.Reason)
	}
	if !offer.local {
		if why := f.notFromFar(offer); why != "" {
			return why
		}
	}
	for _, key := range []string{offer.Hash, offer.fetched()} {
		if failing, is := f.failing[key]; is && f.now.Before(failing.until) {
			return fmt.Sprintf("%s; tries again at %s", failing.why, failing.until.Format(time.TimeOnly))
		}
	}
	return ""
}

// notFromFar has the rules for a fleet. A stick has none of them.
func (f facts) notFromFar(offer candidate) string {
	if offer.Waves == nil {
		if offer.NoWaves != nil {
			return offer.NoWaves.Error()
		}
		return "nobody has said from when boxes may install it by themselves"
	}
	if offer.Waves.Paused != "" {
		return "paused by whoever runs the fleet: " + offer.Waves.Paused
	}
	if !f.clockSet {
		return "the clock of this box is not set, so it does not know whether its time has come"
	}
	// As of the answer, not of now: else all boxes of a wave would come for the
	// bundle in the second in which it opens.
	open, next := offer.Waves.Open(f.draw, offer.checked)
	switch {
	case !open && next.IsZero():
		return "no wave has come so far that this box would be in it"
	case !open:
		return "waits for its wave, which opens on " + next.In(f.now.Location()).Format("2006-01-02 15:04 MST")
	case f.now.Sub(offer.checked) > 2*f.interval:
		return "its repository has not answered for too long: the release may have been paused meanwhile"
	}
	return ""
}
