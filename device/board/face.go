package board

import (
	"context"
	"fmt"
	"time"
)

// State is what the box shows of itself, from the least urgent to the most.
type State int

// The states. Only the most urgent of those that hold is shown.
const (
	Starting    State = iota // or stopping; also the system before this program
	Ready                    // messages are taken in and delivered
	Unowned                  // likewise, but whoever has a stick can change everything
	Unreachable              // a destination cannot be reached: what it is to get waits
	NeedsPerson              // something waits for a person; messages are taken in
	Updating                 // a release is being installed or tried: whoever cuts the power now spoils it
	Refusing                 // no messages are taken in
)

// String is a word for logs.
func (s State) String() string {
	switch s {
	case Starting:
		return "starting"
	case Ready:
		return "ready"
	case Unowned:
		return "ready, without an owner"
	case Unreachable:
		return "destination not reached"
	case NeedsPerson:
		return "needs a person"
	case Updating:
		return "is being updated"
	case Refusing:
		return "takes no messages in"
	}
	return fmt.Sprintf("state %d", int(s))
}

// flash is how long a light is on, and then off.
type flash struct{ on, off time.Duration }

// cycle is how long a pattern lasts before it comes again. Each flash ends by
// itself: within this time the light of a process that died is dark.
const cycle = 2 * time.Second

// pattern is one cycle; none for Starting, which the kernel blinks without end.
func (s State) pattern() []flash {
	const short = 200 * time.Millisecond
	switch s {
	case Ready:
		return []flash{{cycle - short/2, short / 2}}
	case Unowned:
		return []flash{{cycle - 3*short, short / 2}, {2 * short, short / 2}}
	case Unreachable:
		return []flash{{short, short}, {short, cycle - 3*short}}
	case NeedsPerson:
		return []flash{{short, short}, {short, short}, {short, cycle - 5*short}}
	case Updating:
		return []flash{{5 * short, short}, {short, cycle - 7*short}}
	case Refusing:
		return repeat(10, flash{short / 2, short / 2})
	}
	return nil
}

// flicker is a message, where the box has one light only.
func flicker() []flash { return repeat(5, flash{50 * time.Millisecond, 50 * time.Millisecond}) }

func repeat(n int, f flash) (list []flash) {
	for range n {
		list = append(list, f)
	}
	return list
}

// Face is the lights of the box.
type Face struct {
	state, activity *LED // activity is nil where there is one light only
	activityLit     bool
	trigger         string // that state is prepared for, "" for none
	acts            bool   // activity is prepared
	heard           bool   // messages came in that are still to be shown
}

// Face finds the lights that the data name. Its error wraps ErrNoLED where there
// is none for the state.
func (s System) Face(d Data) (*Face, error) {
	state, err := s.LED(d.LEDReady)
	if err != nil {
		return nil, err
	}
	f := &Face{state: state, activityLit: d.ActivityLit}
	if d.LEDActivity == "" || d.LEDActivity == d.LEDReady {
		return f, nil
	}
	if f.activity, err = s.LED(d.LEDActivity); err != nil {
		return nil, err
	}
	return f, nil
}

// Source is what a face shows.
type Source struct {
	State    func() State    // asked for each cycle; must not block
	Messages <-chan struct{} // gets something when messages have come in
	Progress func()          // called at least every 3 seconds
	Failed   func(error)     // told once why the lights show nothing
}

// patience is how long the lights may fail before that is said: udev needs a
// moment until it has given the files of a trigger to the gateway.
const patience = 10 * time.Second

// Run shows the state until ctx ends, and then that the box is not ready.
func (f *Face) Run(ctx context.Context, from Source) {
	var failing time.Time
	said := false
	for ctx.Err() == nil {
		from.Progress()
		err := f.show(ctx, from)
		switch {
		case err == nil:
			failing, said = time.Time{}, false
			continue
		case failing.IsZero():
			failing = time.Now()
		case !said && time.Since(failing) >= patience:
			said = true
			from.Failed(err)
		}
		f.trigger, f.acts = "", false
		f.wait(ctx, cycle/10, from.Messages)
	}
	_ = f.state.Blink() // at the end there is nobody left to tell
}

// show shows one cycle of the state.
func (f *Face) show(ctx context.Context, from Source) error {
	if err := f.prepareActivity(); err != nil {
		return err
	}
	state := from.State()
	if state == Starting {
		if err := f.prepare(timerTrigger, f.state.Blink); err != nil {
			return err
		}
		f.wait(ctx, cycle/4, from.Messages)
		return nil
	}
	if err := f.prepare(oneshotTrigger, f.state.Dark); err != nil {
		return err
	}
	if err := f.play(ctx, state.pattern(), from.Messages); err != nil || f.activity != nil || !f.heard {
		return err
	}
	f.heard = false
	return f.play(ctx, flicker(), from.Messages)
}

// prepare sets the trigger of state, unless it is set.
func (f *Face) prepare(trigger string, set func() error) error {
	if f.trigger == trigger {
		return nil
	}
	if err := set(); err != nil {
		return err
	}
	f.trigger = trigger
	return nil
}

func (f *Face) prepareActivity() error {
	if f.activity == nil || f.acts {
		return nil
	}
	prepare := f.activity.Dark
	if f.activityLit {
		prepare = f.activity.Lit
	}
	err := prepare()
	f.acts = err == nil
	return err
}

func (f *Face) play(ctx context.Context, list []flash, messages <-chan struct{}) error {
	for _, one := range list {
		if ctx.Err() != nil {
			return nil
		}
		if err := f.state.Flash(one.on); err != nil {
			return err
		}
		f.wait(ctx, one.on+one.off, messages)
	}
	return nil
}

// wait lets time pass, and lets messages be seen.
func (f *Face) wait(ctx context.Context, d time.Duration, messages <-chan struct{}) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
			return
		case <-messages:
			f.heard = true
			if f.acts {
				f.acts = f.activity.Flash(cycle/20) == nil // else it is prepared again
			}
		}
	}
}
