package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/assaygate/assaygate/device/board"
)

// hold plays a button that is held from the start for so long.
func hold(t *testing.T, duration time.Duration) (held bool, shown []holding, took time.Duration, err error) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		pressed := func() (bool, error) { return time.Since(start) < duration, nil }
		held, err = heldForReset(t.Context(), pressed, func(h holding) {
			if len(shown) == 0 || shown[len(shown)-1] != h {
				shown = append(shown, h)
			}
		}, slog.New(slog.DiscardHandler))
		took = time.Since(start)
	})
	return held, shown, took, err
}

func TestResetButton(t *testing.T) {
	for _, test := range []struct {
		duration time.Duration
		held     bool
		shown    []holding
		most     time.Duration // that the box's start may wait
		stuck    bool
	}{
		{0, false, []holding{over}, 0, false},
		{time.Second, false, []holding{counting, over}, 1100 * time.Millisecond, false},
		{holdFor - time.Second/2, false, []holding{counting, over}, holdFor, false},
		{holdFor + time.Second/2, true, []holding{counting, counted, over}, holdFor + time.Second, false},
		{holdFor + releaseWithin, true, []holding{counting, counted, over}, holdFor + releaseWithin + time.Second, false},
		{time.Hour, false, []holding{counting, counted, over}, holdFor + releaseWithin + time.Second, true},
	} {
		held, shown, took, err := hold(t, test.duration)
		if held != test.held || !slices.Equal(shown, test.shown) || took > test.most || (err != nil) != test.stuck {
			t.Errorf("held for %s: %v, shows %v, takes %s, %v", test.duration, held, shown, took, err)
		}
	}
}

// A button that fails, and a box that is shut down meanwhile, reset nothing.
func TestResetButtonThatFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithTimeout(t.Context(), time.Second)
		defer stop()
		broken := errors.New("broken")
		for want, pressed := range map[error]func() (bool, error){
			broken:                   func() (bool, error) { return true, broken },
			context.DeadlineExceeded: func() (bool, error) { return true, nil },
		} {
			if held, err := heldForReset(ctx, pressed, func(holding) {}, slog.New(slog.DiscardHandler)); held || !errors.Is(err, want) {
				t.Errorf("held: %v, %v", held, err)
			}
		}
	})
}

// The light flashes while the button counts, and is steady when it may be let go.
func TestResetLight(t *testing.T) {
	sys := t.TempDir()
	led := filepath.Join(sys, "class", "leds", "ACT")
	if err := os.MkdirAll(led, 0o700); err != nil {
		t.Fatal(err)
	}
	file := func(name string) string {
		text, err := os.ReadFile(filepath.Join(led, name))
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	for name, text := range map[string]string{"trigger": "none [timer] oneshot\n", "invert": "", "shot": "", "delay_on": "", "delay_off": ""} {
		if err := os.WriteFile(filepath.Join(led, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	found, err := board.System{Sys: sys}.LED("ACT")
	if err != nil {
		t.Fatal(err)
	}
	light := resetLight{led: found}
	want := func(when, trigger, invert, shot string) {
		t.Helper()
		if have := [3]string{file("trigger"), file("invert"), file("shot")}; have != [3]string{trigger, invert, shot} {
			t.Errorf("%s: trigger, invert and shot are %q", when, have)
		}
	}
	light.show(counting)
	want("it begins to count", "oneshot\n", "0\n", "")
	light.show(counting)
	want("it counts", "oneshot\n", "0\n", "1\n")
	light.show(counted)
	want("it may be let go", "oneshot\n", "1\n", "1\n")
	light.show(over)
	want("it is let go", "timer\n", "1\n", "1\n")
	(&resetLight{}).show(counting) // a board without lights
}

// A board without a button, or without any data, starts as any other; one whose
// button cannot be read says so.
func TestResetButtonOfTheBoard(t *testing.T) {
	directory := t.TempDir()
	config := filepath.Join(directory, "config", "assaygate.yaml")
	for text, want := range map[string]int{"": done, "BOARD=x\n": done, "RESET_GPIO=gpiochip4711:5\n": failed} {
		data := filepath.Join(directory, fmt.Sprint(want, len(text)))
		if text != "" {
			if err := os.WriteFile(data, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		var said bytes.Buffer
		if status := execute([]string{"reset-button", "--config", config, "--board", data}, &said, &said); status != want {
			t.Errorf("with %q: status %d, %s", text, status, said.String())
		}
	}
}
