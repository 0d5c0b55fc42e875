package agent

import (
	"fmt"
	"time"

	"github.com/assaygate/assaygate/image/update/release"
)

// Trial is an installation from its beginning to the verdict. It is written before
// RAUC begins, since a box that loses its power right after may start the new
// system.
type Trial struct {
	Phase     string    `json:"phase"` // installing or installed
	Slot      string    `json:"slot"`  // where the new system is
	Version   string    `json:"version"`
	Hash      string    `json:"hash"`
	Source    string    `json:"source"`
	Local     bool      `json:"local,omitempty"` // a person has brought it to the box
	Downgrade bool      `json:"downgrade,omitempty"`
	From      Slot      `json:"from"` // what ran meanwhile
	Boot      string    `json:"boot"` // the start of the box in which it was installed
	Begun     time.Time `json:"begun"`
	FirstSeen time.Time `json:"first_seen,omitzero"`
	Attempts  int       `json:"attempts"`
	// Aside is set where it was paused or withdrawn after it was installed: the
	// boot loader starts what ran before, until that is over.
	Aside bool `json:"aside,omitempty"`
	// Former is what was set aside in the slot when this installation was begun. It is
	// held again where RAUC has not touched the slot.
	Former *Trial `json:"former,omitempty"`
}

const (
	installing = "installing"
	installed  = "installed"
)

func (t Trial) valid() bool {
	return (t.Phase == installing || t.Phase == installed) && t.Slot != "" && t.Slot != t.From.Name && t.Hash != ""
}

// Verdict is whether a slot is good, in verdict-SLOT.json of the agent's directory.
// Whoever judges the slot that runs writes it at each start, also for one that was good
// before, and the last one counts; the agent removes it before it installs into
// the slot.
type Verdict struct {
	Slot    string    `json:"slot"`
	Version string    `json:"version"`
	Good    bool      `json:"good"`
	Reason  string    `json:"reason,omitempty"` // why it is not good, in words for people
	At      time.Time `json:"at,omitzero"`
}

// running is what this start of the box is.
type running struct {
	slot, version string
	boot          string // another one after each start
}

// state is where a trial stands.
type state int

const (
	// interrupted: the installation was cut off. What runs is what ran before, and
	// the other slot holds no system that could start.
	interrupted state = iota
	// toRestart: installed, and the box is still in the start before that, or it is
	// set aside.
	toRestart
	// onTrial: the new system runs, and is not known to be good.
	onTrial
	// proven: the new system runs and is good.
	proven
	// fellBack: the box tried the new system, and runs the old one.
	fellBack
	// mislabelled: the new slot runs, and its system says that it is another version.
	mislabelled
)

// judge says where the trial stands, and in words why where it has failed. The
// verdict is that of the trial's slot, nil where there is none.
func (t Trial) judge(now running, verdict *Verdict) (state, string) {
	about := verdict != nil && verdict.Slot == t.Slot && release.Plain(verdict.Version) == release.Plain(t.Version)
	switch {
	case now.boot == t.Boot && t.Phase == installing:
		return interrupted, "" // the agent was ended meanwhile
	case now.boot == t.Boot, t.Aside && now.slot == t.From.Name && !about:
		return toRestart, ""
	case now.slot == t.Slot && release.Plain(now.version) != release.Plain(t.Version):
		if t.Phase == installing {
			return interrupted, ""
		}
		return mislabelled, fmt.Sprintf("slot %s runs version %s, and the release is signed as %s: whoever makes the releases has mixed them up",
			t.Slot, now.version, t.Version)
	case now.slot == t.Slot && about && verdict.Good:
		return proven, ""
	case now.slot == t.Slot && about:
		return onTrial, verdict.Reason
	case now.slot == t.Slot:
		return onTrial, ""
	case about && verdict.Good:
		return fellBack, fmt.Sprintf("version %s was good at first, and the boot loader gave slot %s up at a later start", t.Version, t.Slot)
	case about:
		return fellBack, verdict.Reason
	case t.Phase == installing:
		return interrupted, ""
	}
	return fellBack, fmt.Sprintf("version %s in slot %s gave no verdict: its system did not start, or not far enough to judge itself", t.Version, t.Slot)
}
