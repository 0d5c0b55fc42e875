package agent

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// held reports why what is installed is not to be started now: it was paused or
// withdrawn after it came here. The rules are those of its installation, so a
// repository that does not answer holds it too. A stick has none of them.
func (f facts) held() string {
	if f.trial.Local {
		return ""
	}
	why := "no repository offers it any more"
	if !f.answered {
		why = "its repository has not answered yet, and may have paused it meanwhile"
	}
	for _, offer := range f.offers {
		if offer.Hash != f.trial.Hash {
			continue
		}
		switch {
		case offer.Refused != nil:
			why = offer.Refused.Error()
		case offer.local: // somebody has brought it to this box
			return ""
		default:
			if why = f.notFromFar(offer); why == "" {
				return ""
			}
		}
	}
	return why
}

// hold keeps what is installed from being started, also by a power cut, until it may
// be. Another release may be installed in its place meanwhile.
func (f facts) hold(why string) decision {
	d := decision{phase: Waiting, offer: f.tried(), why: fmt.Sprintf("version %s is installed, and is not started: %s", f.trial.Version, why)}
	if !f.aside {
		d.step, d.why = stepSetAside, d.why+startsAllTheSame
		return d
	}
	if offer, not := f.choose(); not == "" && offer.Hash != "" {
		return f.bring(offer)
	}
	return d
}

// startsAllTheSame is said until the boot loader is known to start what runs.
const startsAllTheSame = "; until the boot loader is told to keep what runs, a power cut starts it all the same"

// secure has what runs started next, before anything else is done about an installation that
// was cut off: RAUC may have come to its end with nobody there to hear it.
func (f facts) secure(d decision) decision {
	if !f.later {
		d.step = stepSetAside
	}
	if d.offer.Hash == "" {
		d.offer = f.tried()
	}
	if d.why != "" {
		d.why += "; "
	}
	d.why += fmt.Sprintf("the installation of version %s was cut off", f.trial.Version) + startsAllTheSame
	if d.phase == Idle {
		d.phase = Waiting
	}
	if d.again == 0 {
		d.again = rebootAgain
	}
	return d
}

// stay has what runs started next.
func (a *Agent) stay(ctx context.Context) error {
	if a.aside {
		return nil
	}
	if err := a.Installer.StartNext(ctx, true); err != nil {
		a.stayed = time.Now()
		return err
	}
	a.aside = true
	return nil
}

// setAside has the boot loader take the system that runs again. Of what is installed it is written
// down first: what is set aside and does not run has failed no trial. Where the power fails between the
// two, the new system is tried.
func (a *Agent) setAside(ctx context.Context, d decision) time.Duration {
	a.mu.Lock()
	trial := *a.memory.trial
	a.mu.Unlock()
	whole := trial.Phase == installed
	if whole {
		if err := a.keepAside(trial, true); err != nil {
			a.log.Error("the update agent cannot keep that a release is held", "error", err)
			return rebootAgain
		}
	}
	if err := a.stay(ctx); err != nil {
		if ctx.Err() == nil {
			a.log.Error("a release is held, and starts with the next power cut all the same; it is tried again to keep it from that", "version", trial.Version, "error", err)
		}
		if whole {
			return rebootAgain
		}
		return 0 // it is begun again meanwhile, if it may
	}
	a.log.Info("a release is held: what runs is started next", "version", trial.Version, "reason", strings.TrimSuffix(d.why, startsAllTheSame))
	return 0
}

// bringBack undoes setAside, in the opposite order for the same reason.
func (a *Agent) bringBack(ctx context.Context) error {
	a.mu.Lock()
	trial := *a.memory.trial
	a.mu.Unlock()
	if !trial.Aside {
		return nil
	}
	a.aside = false
	if err := a.Installer.StartNext(ctx, false); err != nil {
		return err
	}
	return a.keepAside(trial, false)
}

// keepAside notes whether the trial is set aside. It may be brought back in another start
// of the box than the one in which it was installed: that start is then the one
// before its trial.
func (a *Agent) keepAside(trial Trial, aside bool) error {
	if trial.Aside == aside {
		return nil
	}
	trial.Aside, trial.Boot = aside, a.Boot
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := save(a.Store, trialFile, trial); err != nil {
		return err
	}
	a.memory.trial = &trial
	return nil
}

// untouched reports whether the other slot could still be started, once RAUC has said that an
// installation has failed: it gives the slot up before it writes to it.
func (a *Agent) untouched(ctx context.Context) bool {
	_, other, err := a.Installer.Slots(ctx)
	return err == nil && other.Good
}

// holdFormer has what was held before an installation that has touched nothing held again.
func (a *Agent) holdFormer(trial Trial) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if trial.Former == nil {
		return
	}
	if err := a.dropTrial(trial); err != nil {
		a.log.Error("the update agent cannot keep what is held", "version", trial.Former.Version, "error", err)
	}
}

// dropTrial removes the notes of a trial that is over. The caller holds mu.
func (a *Agent) dropTrial(trial Trial) error {
	if trial.Former == nil {
		err := a.Store.Remove(trialFile)
		if err == nil {
			a.memory.trial = nil
		}
		return err
	}
	a.memory.slots[trial.Slot] = trial.Former.Version
	err := errors.Join(save(a.Store, slotsFile, a.memory.slots), save(a.Store, trialFile, trial.Former))
	if err == nil {
		a.memory.trial = trial.Former
	}
	return err
}
