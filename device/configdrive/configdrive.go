// Package configdrive takes what a person brings on a USB stick into the box,
// and gives a report out. It knows the form of a stick: which names mean
// something, how much of them is read, and in which order they are dealt with.
// What they are for, who may bring them and what the report says is decided by
// the functions of a [Policy].
//
// A stick is a directory that comes and goes, made by anybody and pulled at any
// time. So it is read whole into memory, with limits, before anything is done;
// nothing on it is followed that is not a plain file; each file that is written
// to it is whole before it has its name; and that a write fails is said in the
// log and harms nothing.
//
// A stick is dealt with once: again only when it has changed or is plugged in
// again. Found again after a restart it changes nothing, but gets a new report.
package configdrive

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"runtime/debug"
	"time"
)

// Options are what Run needs.
type Options struct {
	// Directory is where the stick is mounted. It need not be there.
	Directory string
	// WriteRequest is the file that asks for a stick that can be written, and
	// whose removal says that this is no longer needed; "" where a stick simply
	// can be written.
	WriteRequest string
	// Memory is a file of the box that remembers which content was dealt with
	// last, so that a restart does not do it again. Its directory is there.
	Memory string
	Policy Policy
	// While ends Run where it returns false, between two looks. It may be nil.
	While func() bool
	// Status is told what is going on, for a light on the box. It may be nil.
	Status func(Status)
	Log    *slog.Logger

	step func(string) error // is called before each step that touches the stick, for tests
}

// Policy is what a box does with a stick. All but Report return what they have
// to say; none of them fails. Each is called by the goroutine of Run.
type Policy struct {
	// Admit returns why nothing of the stick may be used; nil if all of it may.
	Admit func(context.Context, Content) error
	// Control carries out a control file, by its name in [Controls].
	Control func(ctx context.Context, s *Session, name string) Outcome
	// Restore takes a backup, RestoreName.
	Restore func(context.Context, *Session) Outcome
	// Config takes a configuration with what belongs to it: ConfigName, profiles,
	// TLS files and passwords; also where there are only some of them. Where the
	// session is not Fresh it judges them, but changes nothing.
	Config func(context.Context, *Session) Outcome
	// Report composes the report.
	Report func(context.Context, Handled) Report
	// Stale reports whether the last report is no longer true, so that a stick
	// that is still in gets a new one. It may be nil.
	Stale func() bool
	// Settle does what could not be done with the stick before it became stale,
	// before the new report. It may be nil.
	Settle func(context.Context, *Session) Outcome
}

// Outcome is what became of a part of a stick.
type Outcome struct {
	// Lines say it to a person.
	Lines []string
	// Errors say what must be put right, one line each.
	Errors []string
	// Remarks are what a person should know beside.
	Remarks []string
	// Stop leaves what comes after this part alone, until the next start.
	Stop bool
	// After is called once the report is written. It may be nil.
	After func()
}

// Handled is what Policy.Report is told.
type Handled struct {
	Content
	// Fresh is that of the session.
	Fresh bool
	// Refused says why nothing was used, nil if it was.
	Refused error
	// Outcomes are those of the parts in their order.
	Outcomes []Outcome
}

// Bad reports whether a person has to put something right.
func (h Handled) Bad() bool {
	bad := h.Refused != nil || len(h.Faults) > 0
	for _, one := range h.Outcomes {
		bad = bad || len(one.Errors) > 0
	}
	return bad
}

// Status is what goes on with sticks.
type Status int

const (
	// Absent: there is no stick that is meant for a box.
	Absent Status = iota
	// Busy: one is being read or dealt with; it should not be pulled yet.
	Busy
	// Done: it was dealt with, and all is well.
	Done
	// Trouble: it was dealt with, and the report names errors.
	Trouble
)

// poll is how often is looked where nothing tells of a change.
const poll = 2 * time.Second

// calm is how long is waited after a change was told: a file that is copied
// tells many.
const calm = 100 * time.Millisecond

// Run looks for sticks and deals with them until ctx ends. It returns nil.
func Run(ctx context.Context, o Options) error {
	w := newWatcher(o.Directory, o.Log)
	newDrive(o).run(ctx, w)
	return w.close()
}

// drive is what is known of the stick in the socket.
type drive struct {
	Options
	begun time.Time
	first bool // no stick was dealt with since the start

	seen    *survey // the newest, while it may still be changing
	digest  string  // of its content, "" where it could not be read
	since   time.Time
	missing time.Time // since when there is none

	handled  *survey // what was dealt with
	expected string  // what the stick holds after that
	last     *Handled
	status   Status
	trouble  string // the last trouble that was logged
}

func newDrive(o Options) *drive {
	if o.step == nil {
		o.step = func(string) error { return nil }
	}
	if o.Status == nil {
		o.Status = func(Status) {}
	}
	return &drive{Options: o, begun: time.Now(), first: true}
}

func (d *drive) run(ctx context.Context, w *watcher) {
	events, faults := w.changes()
	for ctx.Err() == nil && (d.While == nil || d.While()) {
		w.refresh()
		timer := time.NewTimer(d.round(ctx))
		for waiting, soon := true, false; waiting; {
			select {
			case <-ctx.Done():
				waiting = false
			case <-timer.C:
				waiting = false
			case <-events:
				if !soon {
					timer.Reset(calm)
				}
				soon = true
			case <-faults: // too many events: the poll finds what they told
			}
		}
		timer.Stop()
	}
}

// round looks once, and returns after what time to look again at the latest.
func (d *drive) round(ctx context.Context) time.Duration {
	root, err := os.OpenRoot(d.Directory)
	if err != nil {
		return d.gone(err)
	}
	defer root.Close()
	found, err := look(root)
	if err != nil {
		return d.gone(err)
	}
	if found.nothing() {
		return d.gone(nil)
	}
	d.missing = time.Time{}
	switch {
	case found.same(d.handled):
		root.Close()
		d.renew(ctx)
		return poll
	case !found.same(d.seen):
		d.show(Busy)
		d.seen, d.since = found, time.Now()
		d.digest = d.digestOf(root, found)
		return quiet
	case time.Since(d.since) < quiet:
		return quiet - time.Since(d.since)
	}
	// The times of files on FAT are of two seconds: their bytes tell.
	content, err := found.read(root, d.step)
	if err != nil || content.digest() != d.digest {
		d.say("the stick cannot be read yet", err)
		d.since, d.digest = time.Now(), ""
		if err == nil {
			d.digest = content.digest()
		}
		return quiet
	}
	root.Close()
	if d.expected != d.digest {
		d.handle(ctx, found, content)
	}
	d.handled, d.seen, d.trouble = found, nil, ""
	d.show(d.outcome())
	return poll
}

func (d *drive) digestOf(root *os.Root, found *survey) string {
	content, err := found.read(root, d.step)
	if err != nil {
		return ""
	}
	return content.digest()
}

// gone notes that there is no stick, once that has lasted: a mount that changes
// is not a stick that was pulled.
func (d *drive) gone(err error) time.Duration {
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		d.say("the stick cannot be read", err)
	}
	if d.missing.IsZero() {
		d.missing = time.Now()
	}
	d.seen = nil
	if time.Since(d.missing) < quiet {
		return quiet
	}
	if d.handled != nil {
		d.Log.Info("the stick is gone")
	}
	d.handled, d.expected, d.last = nil, "", nil
	d.show(Absent)
	return poll
}

// say logs trouble once.
func (d *drive) say(what string, err error) {
	if err == nil || err.Error() == d.trouble {
		return
	}
	d.trouble = err.Error()
	d.Log.Warn(what, "error", err)
}

func (d *drive) show(status Status) {
	if d.status != status {
		d.status = status
		d.Status(status)
	}
}

func (d *drive) outcome() Status {
	if d.last != nil && d.last.Bad() {
		return Trouble
	}
	return Done
}

// renew writes a new report to a stick that is still in, where the last one is
// no longer true.
func (d *drive) renew(ctx context.Context) {
	if d.last == nil || d.Policy.Stale == nil || !d.Policy.Stale() {
		return
	}
	s := d.session(d.handled, d.last.Content)
	if d.Policy.Settle != nil {
		d.last.Outcomes = append(d.last.Outcomes, d.Policy.Settle(ctx, s))
		if now := s.digest(); now != d.expected {
			d.expected = now
			d.remember(memory{Digest: now, Stage: done, Tries: 1})
		}
	}
	d.report(ctx, s)
	d.release(s)
}

func (d *drive) session(found *survey, content Content) *Session {
	return &Session{
		Content: content, access: access{directory: d.Directory, request: d.WriteRequest}, stick: found.root, step: d.step,
	}
}

// handle deals with a stick. A fault of ours in it costs this stick, not the
// messages that the process is there for.
func (d *drive) handle(ctx context.Context, found *survey, content Content) {
	s := d.session(found, content)
	handled := Handled{Content: content}
	d.last = &handled
	var memory memory
	defer func() {
		if fault := recover(); fault != nil {
			d.Log.Error("a fault in the program while it dealt with the stick", "fault", fault, "stack", string(debug.Stack()))
			handled.Outcomes = append(handled.Outcomes, Outcome{Errors: []string{"The program failed while it dealt with this stick. Please report this with a support bundle (an empty file called collect)."}})
		}
		if ctx.Err() == nil {
			d.finish(ctx, s, memory)
		}
		d.release(s)
	}()
	memory = d.recall(content.digest())
	handled.Fresh = memory.fresh()
	s.Fresh = handled.Fresh
	d.Log.Info("a stick is read", "files", len(content.Files), "fresh", s.Fresh)
	switch {
	case len(content.Faults) > 0:
	case memory.Stage == begun && memory.Tries > mostTries:
		handled.Refused = errBroken
	default:
		if handled.Refused = d.Policy.Admit(ctx, content); handled.Refused == nil {
			d.remember(memory)
			d.carry(ctx, s, &handled, memory)
		}
	}
	d.first = false
}

// carry deals with the parts of a stick that may be used.
func (d *drive) carry(ctx context.Context, s *Session, handled *Handled, memory memory) {
	add := func(one Outcome) bool {
		handled.Outcomes = append(handled.Outcomes, one)
		return !one.Stop && ctx.Err() == nil
	}
	resumed := memory.Stage == resetting // after the reset that this stick asked for
	control := func(name string) bool {
		if !s.Has(name) {
			return true
		}
		if !s.Fresh || resumed && name != Start {
			return add(Outcome{Lines: []string{name + ": was carried out before. To have it done again, plug the stick in again."}})
		}
		return add(d.Policy.Control(ctx, s, name))
	}
	for _, name := range Controls() {
		if name == Start {
			break // it shows what holds after the rest
		}
		if (name == Reset || name == Repair) && s.Has(name) && s.Fresh && !resumed {
			// Noted before: what is asked for again at each start would never end.
			memory.Stage = resetting
			d.remember(memory)
		}
		if !control(name) {
			return
		}
	}
	if s.Has(RestoreName) {
		one := Outcome{Errors: []string{RestoreName + " and " + ConfigName + " are both on the stick; nothing of them was taken. Remove one of them."}}
		if !s.Has(ConfigName) {
			one = d.Policy.Restore(ctx, s)
		}
		if !add(one) {
			return
		}
	} else if !add(d.Policy.Config(ctx, s)) {
		return
	}
	control(Start)
}

// finish remembers that the stick was dealt with, and reports.
func (d *drive) finish(ctx context.Context, s *Session, memory memory) {
	stopped := false
	for _, one := range d.last.Outcomes {
		stopped = stopped || one.Stop
	}
	if !stopped && len(s.Faults) == 0 && !errors.Is(d.last.Refused, errBroken) {
		memory.Digest, memory.Stage = s.digest(), done
		d.remember(memory)
	}
	d.expected = s.digest()
	level := slog.LevelInfo
	if d.last.Bad() {
		level = slog.LevelWarn
	}
	d.Log.Log(ctx, level, "the stick was dealt with", "errors", d.last.Bad(), "refused", d.last.Refused)
	d.report(ctx, s)
	d.release(s) // what follows may end the process
	for _, one := range d.last.Outcomes {
		if one.After != nil {
			one.After()
		}
	}
}

// report writes the report. That it cannot be written harms nothing.
func (d *drive) report(ctx context.Context, s *Session) {
	if err := s.tell(ctx, d.Policy.Report(ctx, *d.last)); err != nil {
		d.Log.Warn("there is no new report on the stick", "error", err)
	}
}

func (d *drive) release(s *Session) {
	if err := s.access.release(); err != nil {
		d.Log.Warn("the stick may stay writable", "error", err)
	}
}
