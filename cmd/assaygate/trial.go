package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"reflect"
	"strings"
	"time"

	"github.com/assaygate/assaygate/device/config"
	"github.com/assaygate/assaygate/device/owner"
	"github.com/assaygate/assaygate/envelope/spool"
)

// shortestTrial is the least time that a change is given.
const shortestTrial = 10 * time.Second

// trialSteps is how often the time that is left of a trial is noted on the card.
const trialSteps = 20

// trial is a configuration that has to prove itself: where its listeners are not
// open in time, the one before comes back.
//
// The clock of the box may be unset, so only time counts that a process has
// lived. What is left is noted ahead, a step at a time: a box that is switched
// off and on again, or a configuration that ends the process at each start,
// comes to the end of the trial too.
type trial struct {
	by    string
	of    time.Duration // as it was given
	ends  time.Time     // by the monotonic clock
	noted time.Duration // what is left by the note on the card
	// person says that open listeners do not end it: a person has to keep the
	// configuration, who would not reach the box any more if it were wrong.
	person bool
}

// trialNote is a trial as it is kept over restarts.
type trialNote struct {
	By     string        `json:"by"`
	Of     time.Duration `json:"of"`
	Left   time.Duration `json:"left"` // when the step that is going on has passed
	Person bool          `json:"person,omitempty"`
}

func newTrial(by string, of time.Duration, person bool) *trial {
	t := &trial{by: by, of: of, ends: time.Now().Add(of), person: person}
	t.noted = of - t.step()
	return t
}

func (t *trial) step() time.Duration { return max(t.of/trialSteps, time.Second) }

func (t *trial) left() time.Duration { return time.Until(t.ends) }

func (t *trial) note() trialNote { return trialNote{t.by, t.of, t.noted, t.person} }

// needsKeeping reports whether a person has to keep a change. Where the way in is
// another with it, and who brings it has no other, that its listeners are open says
// nothing of whether anybody reaches them. What is added to such a change needs
// keeping too, unless it replaces it from outside.
func (d *daemon) needsKeeping(c change, to Config) bool {
	before := d.changes.onTrial()
	added := before != nil && before.person && (c.remote || c.config == nil)
	return c.trial > 0 && (added || c.remote && !sameWayIn(d.config(), to))
}

// sameWayIn reports whether a person reaches the console of both configurations
// in the same way.
func sameWayIn(one, other Config) bool {
	return reflect.DeepEqual(one.Console, other.Console) && reflect.DeepEqual(one.Network, other.Network) && one.Box.Name == other.Box.Name
}

// resumed is the trial of an earlier process; its time may be over.
func (n trialNote) resumed() *trial {
	t := &trial{by: n.By, of: n.Of, ends: time.Now().Add(n.Left), person: n.Person}
	t.noted = n.Left - t.step()
	return t
}

// keep notes what is left of the trial, where a step of it has passed.
func (t *trial) keep(journal *config.Journal) error {
	if t.left() > t.noted {
		return nil
	}
	t.noted = t.left() - t.step()
	return t.write(journal)
}

func (t *trial) write(journal *config.Journal) error {
	text, err := json.Marshal(t.note())
	if err != nil {
		return err
	}
	return journal.Note(text)
}

// resumeTrial goes on with the trial that an earlier process left. It returns nil
// where there is none, and takes it back where its time is over.
func resumeTrial(journal *config.Journal) (*trial, error) {
	text, on, err := journal.Trial()
	if err != nil || !on {
		return nil, err
	}
	var note trialNote
	if err := json.Unmarshal(text, &note); err != nil || note.Left <= 0 {
		why := "the gateway was started again and again, and its listeners were never all open"
		if note.Person {
			why = fmt.Sprintf("nobody has kept it within %s", note.Of)
		}
		return nil, revert(journal, note.By, why)
	}
	t := note.resumed()
	return t, t.write(journal)
}

// takenBack tells of a change that was taken back.
type takenBack struct {
	By  string    `json:"by"` // who had brought it
	At  time.Time `json:"at"` // as far as the box knew the time
	Why string    `json:"why"`
}

// revert takes the change that is on trial back, in its files.
func revert(journal *config.Journal, by, why string) error {
	text, err := json.Marshal(takenBack{By: by, At: time.Now(), Why: why})
	if err != nil {
		return err
	}
	return journal.Revert(text)
}

// begin notes that the configuration is on trial.
func (s *changes) begin(t *trial) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.trial = t
}

func (s *changes) onTrial() *trial {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.trial
}

// notOpen is what the configuration asks for and is not open, each with the
// reason.
func (d *daemon) notOpen() []string {
	missing := d.doors.missing()
	if g, away := d.standing.now(); g == nil {
		missing = append(missing, away.Error())
	}
	return missing
}

// tendTrial ends the trial where all listeners are open, or where its time is
// over.
func (d *daemon) tendTrial(ctx context.Context) {
	if d.changes.onTrial() == nil {
		return
	}
	d.changes.one.Lock()
	defer d.changes.one.Unlock()
	t := d.changes.onTrial()
	if t == nil {
		return
	}
	missing := d.notOpen()
	switch {
	case len(missing) == 0 && !t.person:
		d.confirm("all its listeners are open")
	case t.left() <= 0:
		why := fmt.Sprintf("not within %s: %s", t.of, strings.Join(missing, ", "))
		if t.person {
			why = strings.Join(append(missing, fmt.Sprintf("nobody has kept it within %s", t.of)), ", ")
		}
		if err := d.takeBack(ctx, t.by, why); err != nil {
			d.log.Error("the configuration before cannot be put back; trying on", "error", err)
		} else if strings.HasSuffix(t.by, consoleServer) {
			d.noteAct(ctx, spool.ConfigReturned, "", "brought by "+t.by+"; "+why)
		}
	default:
		if err := t.keep(d.changes.journal); err != nil {
			d.log.Warn("what is left of the trial cannot be noted", "error", err)
		}
	}
}

// confirm ends the trial: the configuration stands.
func (d *daemon) confirm(why string) {
	t := d.changes.onTrial()
	if t == nil {
		return
	}
	if err := d.changes.journal.Confirm(); err != nil {
		d.log.Error("the configuration cannot be confirmed; trying on", "error", err)
		return
	}
	d.changes.begin(nil)
	d.keepCopy()
	d.log.Info("the configuration stands", "by", t.by, "reason", why)
}

// errNoTrial is why there is nothing to keep or to take back.
var errNoTrial = errors.New("no change is on trial: it was kept, or taken back, meanwhile")

// keepNow ends the trial because a person says so.
func (d *daemon) keepNow(by string) error {
	d.changes.one.Lock()
	defer d.changes.one.Unlock()
	if d.changes.onTrial() == nil {
		return errNoTrial
	}
	if err := d.changes.journal.Confirm(); err != nil {
		return err
	}
	d.confirm("kept by " + by)
	return nil
}

// takeBackNow takes the change that is on trial back because a person says so.
func (d *daemon) takeBackNow(ctx context.Context, by string) error {
	d.changes.one.Lock()
	defer d.changes.one.Unlock()
	t := d.changes.onTrial()
	if t == nil {
		return errNoTrial
	}
	return d.takeBack(context.WithoutCancel(ctx), t.by, "taken back by "+by)
}

// takeBack puts the configuration and files of before back and goes over to them.
func (d *daemon) takeBack(ctx context.Context, by, why string) error {
	if err := revert(d.changes.journal, by, why); err != nil {
		if again := d.changes.journal.Recover(); again != nil {
			return errors.Join(err, again)
		}
	}
	d.changes.begin(nil)
	d.log.Error("the configuration is taken back; the one before is used again", "by", by, "reason", why)
	before, err := d.changes.source.load(true) // it may be one that another stood in for
	if err != nil {
		return fmt.Errorf("reading the configuration of before: %w", err)
	}
	if err := d.take(ctx, before.config, byBefore); err != nil {
		return err
	}
	d.standIn(before)
	return d.useOwnIdentity(ctx, before.config)
}

// useOwnIdentity has the store read the identity of the box anew where that is
// another one: that of another box had come with a backup that was taken back.
func (d *daemon) useOwnIdentity(ctx context.Context, c Config) error {
	g, _ := d.standing.now()
	if g == nil {
		return nil // it is read when the store is opened
	}
	key, err := owner.ReadKey(filepath.Join(c.Spool.Directory, spool.IdentityFile))
	if err != nil || publicOf(key).Equal(g.store.Identity()) {
		return nil // one that is not there, or cannot be read, is another matter
	}
	return d.Reopen(ctx, func() error { return nil })
}
