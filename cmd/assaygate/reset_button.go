package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/assaygate/assaygate/device/board"
)

// buttonCommand looks at the reset button when the box starts, before the
// gateway does. Who holds it asks for a factory reset that nobody has signed.
type buttonCommand struct {
	Config string `help:"The saved configuration." required:"" placeholder:"FILE" type:"path"`
	Board  string `help:"The board's data." default:"/usr/share/assaygate/board" type:"path"`
}

// Run implements a kong command.
func (c *buttonCommand) Run(s *streams) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	log := newLog(LogSettings{}, s.err)
	data, _, err := board.ReadData(c.Board) // the gateway says what is wrong in it
	if errors.Is(err, fs.ErrNotExist) || err == nil && data.ResetGPIO == (board.Pin{}) {
		return nil // this board has no such button
	}
	if err != nil {
		return err
	}
	button, err := openButton(ctx, data.ResetGPIO)
	if err != nil {
		return err
	}
	defer button.Close()
	var light resetLight
	if led, err := (board.System{}).LED(data.LEDReady); err == nil {
		light.led = led
	}
	held, err := heldForReset(ctx, button.Pressed, light.show, log)
	if err != nil || !held {
		return err
	}
	return newResetting(c.Config, "", log).press(ctx, resetRequest{By: "the reset button", At: time.Now().UTC()})
}

// press asks for a reset, whatever the state of the box.
func (r resetting) press(ctx context.Context, q resetRequest) error {
	state, err := r.board.DataNow()
	if err != nil {
		r.log.Warn("the state of the card is not known", "error", err)
	}
	if state.Broken() != nil {
		return r.askRoot(q)
	}
	if !there(filepath.Dir(r.config)) {
		r.log.Info("the reset button was held, and there is nothing to reset")
		return nil
	}
	r.log.Warn("the reset button was held: the box is reset")
	return r.write(ctx, resetFile, q)
}

// chipPatience is how long the chip may take to appear and to be opened to this
// user, which udev sees to.
const chipPatience = 3 * time.Second

func openButton(ctx context.Context, pin board.Pin) (*board.Button, error) {
	for end := time.Now().Add(chipPatience); ; {
		button, err := board.System{}.Button(pin)
		early := errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission)
		if !early || time.Now().After(end) {
			return button, err
		}
		if !rested(ctx, lookEvery) {
			return nil, ctx.Err()
		}
	}
}

const (
	// holdFor is how long the button must be held: no knock is as long.
	holdFor = 5 * time.Second
	// releaseWithin is how soon it must then be let go. One that is stuck would
	// reset the box at every start.
	releaseWithin = 30 * time.Second
	lookEvery     = 20 * time.Millisecond
)

// What the light shows to who holds the button.
type holding int

const (
	counting holding = iota // the button is held, and not for long enough yet
	counted                 // it was held for long enough: let it go
	over                    // it is not held any more
)

// heldForReset reports whether the button is held from the start, for long
// enough, and then let go.
func heldForReset(ctx context.Context, pressed func() (bool, error), show func(holding), log *slog.Logger) (bool, error) {
	start := time.Now()
	state := counting
	for {
		is, err := pressed()
		if err != nil {
			show(over)
			return false, err
		}
		took := time.Since(start)
		switch {
		case !is:
			show(over)
			if state == counting && took > lookEvery {
				log.Info("the reset button was held too briefly: nothing is reset", "held", took.Round(time.Second/10).String(), "needed", holdFor.String())
			}
			return state == counted, nil
		case took > holdFor+releaseWithin:
			show(over)
			return false, fmt.Errorf("the reset button is not let go after %s: it seems to be stuck, and nothing is reset", releaseWithin)
		case took >= holdFor:
			state = counted
		}
		show(state)
		if !rested(ctx, lookEvery) {
			return false, ctx.Err()
		}
	}
}

// rested waits, and reports false where ctx ends before.
func rested(ctx context.Context, duration time.Duration) bool {
	timer := time.NewTimer(duration)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// resetLight shows it: quick flashes while the button counts, steady light when
// it may be let go. A light that cannot be driven keeps nobody from a reset.
type resetLight struct {
	led   *board.LED // nil: there is none
	shown holding
	begun bool
	last  time.Time // of the flashes
}

const (
	countFlash = 50 * time.Millisecond
	countEvery = 200 * time.Millisecond
)

func (l *resetLight) show(now holding) {
	if l.led == nil {
		return
	}
	changed := !l.begun || now != l.shown
	l.begun, l.shown = true, now
	switch {
	case now == counting && changed:
		l.begun = l.led.Dark() == nil // else again: udev gives it to this user a moment later
	case now == counting && time.Since(l.last) >= countEvery:
		l.last = time.Now()
		_ = l.led.Flash(countFlash)
	case now == counted && changed:
		_ = l.led.Lit()
	case now == over && changed:
		_ = l.led.Blink() // as at the start of the box
	}
}
