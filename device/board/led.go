package board

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// LED is one light of the box, driven through triggers of the kernel: it flashes
// by itself, and what is begun comes to its end without this process.
type LED struct {
	directory string
	lit       bool          // between flashes
	length    time.Duration // of the last flash; 0: not known
}

// ErrNoLED is wrapped where a light is not there, or cannot do what is needed.
var ErrNoLED = errors.New("no such LED")

// LED finds a light by its name in /sys/class/leds. Its error wraps ErrNoLED
// where there is none.
func (s System) LED(name string) (*LED, error) {
	if !isName(name) {
		return nil, fmt.Errorf("%w: %q is not a name", ErrNoLED, name)
	}
	led := &LED{directory: s.sys("class", "leds", name)}
	triggers, err := os.ReadFile(filepath.Join(led.directory, "trigger"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: %s", ErrNoLED, led.directory)
	}
	if err != nil {
		return nil, fmt.Errorf("LED %s: %w", name, err)
	}
	for _, needed := range []string{timerTrigger, oneshotTrigger} {
		if !slices.Contains(strings.Fields(strings.NewReplacer("[", " ", "]", " ").Replace(string(triggers))), needed) {
			return nil, fmt.Errorf("%w: this kernel has no trigger %s for %s", ErrNoLED, needed, name)
		}
	}
	return led, nil
}

// The triggers that are used, see Documentation/leds of the kernel.
const (
	timerTrigger   = "timer"   // on and off, each half a second, without end
	oneshotTrigger = "oneshot" // on for delay_on, then off for delay_off, when shot is written; with invert off, then on
)

// Blink lets the light go on and off once a second, without end.
func (l *LED) Blink() error { return l.write("trigger", timerTrigger) }

// Dark prepares the light for [LED.Flash]: it is off until then. The files for
// that are new at the first time, and who may write them is settled by udev a
// moment later: the error of a caller that comes too early wraps
// [fs.ErrPermission].
func (l *LED) Dark() error { return l.prepare(false) }

// Lit prepares the light for [LED.Flash] as Dark does, but the other way round:
// it is on, and goes off for a moment.
func (l *LED) Lit() error { return l.prepare(true) }

func (l *LED) prepare(lit bool) error {
	l.length = 0
	now, err := os.ReadFile(filepath.Join(l.directory, "trigger"))
	if err != nil {
		return err
	}
	if !bytes.Contains(now, []byte("["+oneshotTrigger+"]")) {
		if err := l.write("trigger", oneshotTrigger); err != nil {
			return err
		}
	}
	l.lit = lit
	invert := "0"
	if lit {
		invert = "1"
	}
	return l.write("invert", invert)
}

// Flash turns the light on for so long, or off where it is lit, and returns at
// once. It does nothing while the last flash lasts, and a moment after it: that
// is a hundredth of a second, and where the light is lit as long as the flash.
func (l *LED) Flash(d time.Duration) error {
	if d != l.length {
		flash, rest := strconv.FormatInt(max(1, d.Milliseconds()), 10), "1"
		on, off := flash, rest
		if l.lit {
			on, off = flash, flash
		}
		if err := errors.Join(l.write("delay_on", on), l.write("delay_off", off)); err != nil {
			return err
		}
		l.length = d
	}
	return l.write("shot", "1")
}

// write never makes a file: a light that was taken out is an error.
func (l *LED) write(name, text string) error {
	file, err := os.OpenFile(filepath.Join(l.directory, name), os.O_WRONLY|os.O_TRUNC, 0)
	if err != nil {
		return err
	}
	_, err = file.WriteString(text + "\n")
	return errors.Join(err, file.Close())
}
