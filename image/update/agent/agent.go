// Package agent updates a box: it asks where releases come from, decides when one may
// be installed, has it installed, starts the box anew, and says what became of it once
// the new system was judged.
//
// What is to be done now is decided by one pure function of all that is known
// ([facts.decide]); a loop around it does that, one thing after the other, and is at home in
// its directory: it may be ended at any moment, with the power or without, and goes
// on from its files.
//
//   - Nothing is installed while analysers transmit, nor outside the box's window.
//     force_after ends that patience, but not that of the next rule.
//   - What comes over the network waits for its wave, and is neither installed nor
//     started while it is paused. A stick needs no wave: who plugs it in has decided for this box.
//   - A bundle that has failed its trial, or that RAUC refuses, is remembered by its
//     hash and not installed again until a person says so.
//   - Success is what was judged, never what was only installed.
//   - A repository that cannot be reached is tried again. It never touches a slot.
//
// Boxes are spread over time by a number that each has drawn once, the same that the
// waves count by.
package agent

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/assaygate/assaygate/image/update/release"
)

// Options are what an agent works with. All but the last four are needed.
type Options struct {
	Settings Settings
	Box      release.Box // this box, and the version that it runs
	// Boot names this start of the box, such as /proc/sys/kernel/random/boot_id.
	Boot      string
	Store     Store
	Bundles   string // the directory for the bundle that is being fetched
	Sources   []Source
	Installer Installer
	Gateway   Gateway
	Rebooter  Rebooter
	// ClockSet reports whether the box knows the time.
	ClockSet func() bool

	// Free is the room that is left where a directory is, in bytes.
	Free   func(directory string) (bytes float64, known bool)
	Log    *slog.Logger
	Report func(Status)   // is called at each change, by one goroutine at a time
	Random func() float64 // from 0 to below 1; spreads what is tried again
}

// Agent is the update agent of one box. [Agent.Run] does its work; its other methods
// may be called from any goroutine.
type Agent struct {
	Options
	window Window
	log    *slog.Logger
	begun  time.Time
	wake   chan struct{}

	sources  []*asked
	slots    slots
	looked   time.Time // at the slots; zero where they may have changed
	verified verification
	whole    intact
	ready    string    // hash of the bundle that is on the card, as it was when it was fetched
	aside    bool      // RAUC was told not to have the trial's slot started next
	stayed   time.Time // when it could not be told that last
	failing  map[string]failure
	failed   time.Time // since when the trial has failed with nothing to go back to
	forcing  time.Time // since when nothing but messages on their way holds an update up
	// Hashes of the bundle that is fetched, or was last, and of the one before it.
	fetching, fetchedBefore string

	mu        sync.Mutex // holds what follows
	memory    memory
	status    Status
	interrupt context.CancelFunc // of a download that is under way
}

// New returns an agent, which does nothing before Run.
func New(options Options) (*Agent, error) {
	if err := options.Settings.Validate(); err != nil {
		return nil, err
	}
	if options.Boot == "" {
		return nil, errors.New("this start of the box has no name: whether it was started anew since an update could not be told")
	}
	window, err := ParseWindow(options.Settings.Window)
	if err != nil {
		return nil, err
	}
	a := &Agent{Options: options, window: window, log: options.Log, wake: make(chan struct{}, 1), failing: map[string]failure{}}
	if a.log == nil {
		a.log = slog.New(slog.DiscardHandler)
	}
	if a.Random == nil {
		a.Random = rand.Float64
	}
	for _, source := range options.Sources {
		a.sources = append(a.sources, &asked{Source: source})
	}
	return a, nil
}

// Run works until ctx ends.
func (a *Agent) Run(ctx context.Context) error {
	a.begin()
	for ctx.Err() == nil {
		timer := time.NewTimer(a.round(ctx))
		select {
		case <-ctx.Done():
		case <-a.wake: // before the timer, which may have no time at all
			a.askAllNow()
		default:
			select {
			case <-ctx.Done():
			case <-timer.C:
			case <-a.wake:
				a.askAllNow()
			}
		}
		timer.Stop()
	}
	return nil
}

// Wake has the agent ask all repositories now: a stick was plugged in, or a person
// wants to know.
func (a *Agent) Wake() {
	select {
	case a.wake <- struct{}{}:
	default: // it is on its way
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.interrupt != nil {
		a.interrupt()
	}
}

// Again lets a version be installed that is remembered as refused, or all of them
// where it is empty.
func (a *Agent) Again(version string) error {
	a.mu.Lock()
	changed := a.memory.again(version)
	var err error
	if changed {
		err = errors.Join(save(a.Store, refusedFile, a.memory.refused), save(a.Store, seenFile, a.memory.seen))
	}
	a.mu.Unlock()
	a.Wake()
	return err
}

// begin reads what an earlier process has left. That makes it the first in Run: a
// file is written where the box has not drawn its number yet.
func (a *Agent) begin() {
	memory, errs := remember(a.Store)
	for _, err := range errs {
		a.log.Warn("the update agent's memory is not whole", "error", err)
	}
	a.begun = time.Now()
	a.mu.Lock()
	a.memory = memory
	a.wentBack()
	memory = a.memory
	a.status = Status{Running: Runs{Version: a.Box.Version}, Outcome: memory.outcome, Draw: memory.draw}
	a.mu.Unlock()
	for _, source := range a.sources {
		source.begin(a.Settings.interval(), memory.draw)
	}
}

// round does the next thing, and returns how long there is nothing to be done.
func (a *Agent) round(ctx context.Context) time.Duration {
	a.lookAtSlots(ctx)
	state, why, settled := a.settle(ctx)
	if !settled {
		return lookAgain // its files cannot be written: nothing may be begun
	}
	a.askDue(ctx)
	if ctx.Err() != nil {
		return 0
	}
	d := a.decide(ctx, state, why)
	a.tell(d)
	if d.step == stepNone {
		return a.pause(d.again)
	}
	return a.act(ctx, d)
}

// act carries out a decision, and returns for how long to rest after it.
func (a *Agent) act(ctx context.Context, d decision) time.Duration {
	switch d.step {
	case stepDownload:
		return a.download(ctx, d.offer)
	case stepInstall:
		return a.install(ctx, d.offer)
	case stepRestart:
		return a.restart(ctx)
	case stepSetAside:
		return a.setAside(ctx, d)
	}
	return 0
}

// known are the facts but for the trial, and for what is asked only where it matters.
func (a *Agent) known() facts {
	f := facts{
		now: time.Now(), clockSet: a.ClockSet(), failing: a.failing, window: a.window, forceAfter: a.Settings.ForceAfter,
		interval: a.Settings.interval(), slots: a.slots, forcing: a.forcing,
		age: time.Since(a.begun), verified: a.verified, answered: a.answered(), aside: a.aside,
		later: !a.stayed.IsZero() && time.Since(a.stayed) < rebootAgain,
	}
	for _, source := range a.sources {
		for _, offer := range source.offers {
			f.offers = append(f.offers, candidate{Offer: offer, source: source.Name, local: source.Local, checked: source.checked})
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	f.draw, f.refused, f.seen = a.memory.draw, a.memory.refused, a.memory.seen
	return f
}

// decide gathers the facts.
func (a *Agent) decide(ctx context.Context, state state, why string) decision {
	f := a.known()
	f.state, f.why = state, why
	a.mu.Lock()
	a.see(f)
	if a.memory.trial != nil && a.slots.running.Name != "" { // else it is not known where it stands
		f.trial = a.memory.trial
	}
	a.mu.Unlock()
	a.tidy(f)
	f.ready = a.ready
	if a.ready != "" || f.trial != nil {
		f.busy = a.busy(ctx)
	}
	a.mu.Lock() // Again changes the maps
	d := f.decide()
	a.mu.Unlock()
	if d.step != stepInstall && a.makeRoom(f) {
		f.ready = ""
		a.mu.Lock()
		d = f.decide()
		a.mu.Unlock()
	}
	switch {
	case !d.forced:
		a.forcing = time.Time{}
	case a.forcing.IsZero() && (a.ready != "" || f.trial != nil):
		a.forcing = f.now
	}
	return d
}

// answerWithin is how long the gateway may take to say whether it is busy. One that
// does not answer is no reason to go without the update that mends it.
const answerWithin = 10 * time.Second

func (a *Agent) busy(ctx context.Context) Busy {
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	busy, err := a.Gateway.Busy(ctx)
	if err != nil {
		a.log.Debug("the gateway does not say whether it is busy, and counts as free", "error", err)
		return Busy{}
	}
	return busy
}

// pause is how long there is nothing to be done, at most so long.
func (a *Agent) pause(most time.Duration) time.Duration {
	pause := most
	for _, source := range a.sources {
		if source.due.IsZero() {
			continue
		}
		if until := time.Until(source.due); pause == 0 || until < pause {
			pause = max(until, time.Millisecond)
		}
	}
	if pause == 0 {
		return time.Hour // only Wake brings something new
	}
	return pause
}
