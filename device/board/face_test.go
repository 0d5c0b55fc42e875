package board

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// kernel does what Linux does with the files of a LED, by its documentation and
// drivers/leds: the triggers timer and oneshot, their files, and their timing.
type kernel struct {
	t         *testing.T
	mu        sync.Mutex
	directory string
	trigger   string
	lit       bool
	since     time.Time // when it became so
	begin     time.Time
	until     time.Time // of the flash that lasts; zero for none
	rest      time.Time // of the pause after it
	seen      []string  // each change, as "on 100ms" for what was and how long
	locked    bool      // the files of a trigger are still root's
}

const step = 5 * time.Millisecond

func newKernel(t *testing.T, s System, name string) *kernel {
	k := &kernel{t: t, directory: filepath.Join(s.Sys, "class", "leds", name)}
	if err := os.MkdirAll(k.directory, 0o700); err != nil {
		t.Fatal(err)
	}
	k.put("trigger", "none [timer] oneshot mmc0\n")
	k.put("brightness", "0\n")
	k.trigger = "timer"
	return k
}

// look lets a test see, or change, what the kernel has.
func (k *kernel) look(at func(*kernel)) {
	k.mu.Lock()
	defer k.mu.Unlock()
	at(k)
}

func (k *kernel) put(name, text string) {
	if err := os.WriteFile(filepath.Join(k.directory, name), []byte(text), 0o600); err != nil {
		k.t.Fatal(err)
	}
}

func (k *kernel) get(name string) string { return read(k.directory, name) }

func (k *kernel) duration(name string) time.Duration {
	n, err := strconv.Atoi(k.get(name))
	if err != nil || n <= 0 {
		k.t.Errorf("%s of %s: %q", name, k.directory, k.get(name))
	}
	return time.Duration(n) * time.Millisecond
}

func (k *kernel) light(on bool) {
	if on == k.lit {
		return
	}
	word := map[bool]string{true: "on", false: "off"}[k.lit]
	k.seen = append(k.seen, word+" "+time.Since(k.since).Round(2*step).String())
	k.lit, k.since = on, time.Now()
}

// run lives until ctx ends. It looks at its files between two of the process's
// doings, for those happen at whole steps.
func (k *kernel) run(ctx context.Context) {
	k.since, k.begin = time.Now(), time.Now()
	time.Sleep(step / 2)
	for ctx.Err() == nil {
		k.look(func(k *kernel) { k.tick() })
		time.Sleep(step)
	}
}

func (k *kernel) tick() {
	now := time.Now()
	if asked := k.get("trigger"); asked != "" && !strings.Contains(asked, "[") {
		if asked != timerTrigger && asked != oneshotTrigger {
			k.t.Errorf("trigger %q", asked)
		}
		k.trigger, k.begin, k.until, k.rest = asked, now, time.Time{}, time.Time{}
		k.light(false)
		k.put("trigger", strings.Replace("none timer oneshot mmc0\n", asked, "["+asked+"]", 1))
		k.files()
	}
	if k.trigger == timerTrigger {
		k.light(now.Sub(k.begin)%time.Second < 500*time.Millisecond)
		return
	}
	if _, err := os.Stat(filepath.Join(k.directory, "shot")); err != nil {
		return
	}
	inverted := k.get("invert") == "1"
	if k.until.IsZero() && now.After(k.rest) {
		if k.get("shot") == "" {
			k.light(inverted)
			return
		}
		k.put("shot", "")
		flash, rest := k.duration("delay_on"), k.duration("delay_off")
		if inverted {
			flash, rest = rest, flash
		}
		k.until, k.rest = now.Add(flash), now.Add(flash+rest)
		k.light(!inverted)
	}
	k.put("shot", "") // what comes too early is lost
	if !k.until.IsZero() && !now.Before(k.until) {
		k.until = time.Time{}
		k.light(inverted)
	}
}

// files appear with the trigger.
func (k *kernel) files() {
	for _, name := range []string{"delay_on", "delay_off", "invert", "shot"} {
		_ = os.Remove(filepath.Join(k.directory, name))
		if k.trigger == oneshotTrigger && !k.locked {
			k.put(name, "")
		}
	}
}

// shown runs a face with the state for so long, and returns what could be seen
// of each light, without its first moment.
func shown(t *testing.T, d Data, state func() State, messages func(chan<- struct{}), duration time.Duration, lights ...string) map[string]string {
	t.Helper()
	s := tree(t, nil)
	seen := map[string]string{}
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		var kernels []*kernel
		for _, name := range lights {
			k := newKernel(t, s, name)
			kernels = append(kernels, k)
			go k.run(ctx)
		}
		face, err := s.Face(d)
		if err != nil {
			t.Fatal(err)
		}
		faced, ended := context.WithCancel(ctx)
		arrivals := make(chan struct{}, 1)
		done := make(chan struct{})
		go func() {
			defer close(done)
			face.Run(faced, Source{
				State: state, Messages: arrivals, Progress: func() {},
				Failed: func(err error) { t.Errorf("after %s: %v", patience, err) },
			})
		}()
		if messages != nil {
			go messages(arrivals)
		}
		time.Sleep(duration)
		for i, k := range kernels {
			k.look(func(k *kernel) { seen[lights[i]] = strings.Join(k.seen, ", ") })
		}
		ended()
		<-done
		time.Sleep(3 * time.Second)
		kernels[0].look(func(k *kernel) {
			if k.trigger != timerTrigger {
				t.Errorf("at the end the trigger is %s", k.trigger)
			}
		})
		stop()
		time.Sleep(step)
	})
	return seen
}

func always(state State) func() State { return func() State { return state } }

func TestEachStateHasItsPattern(t *testing.T) {
	patterns := map[string]State{}
	for state, want := range map[State]string{
		Ready:       "on 1.9s, off 100ms, on 1.9s, off 100ms, on 1.9s, off 100ms",
		Unowned:     "on 1.4s, off 100ms, on 400ms, off 100ms, on 1.4s, off 100ms, on 400ms, off 100ms",
		Unreachable: "on 200ms, off 200ms, on 200ms, off 1.4s, on 200ms, off 200ms, on 200ms, off 1.4s",
		NeedsPerson: "on 200ms, off 200ms, on 200ms, off 200ms, on 200ms, off 1s, on 200ms, off 200ms, on 200ms, off 200ms, on 200ms, off 1s",
		Updating:    "on 1s, off 200ms, on 200ms, off 600ms, on 1s, off 200ms, on 200ms, off 600ms",
		Refusing:    "on 100ms, off 100ms, on 100ms, off 100ms, on 100ms, off 100ms, on 100ms, off 100ms, on 100ms, off 100ms, on 100ms, off 100ms, on 100ms, off 100ms",
		Starting:    "on 500ms, off 500ms, on 500ms, off 500ms",
	} {
		seen := shown(t, Data{LEDReady: "ACT"}, always(state), nil, 13*time.Second, "ACT")["ACT"]
		if !strings.Contains(seen, want) {
			t.Errorf("%s:\n%s\nwant\n%s", state, seen, want)
		}
		if other, taken := patterns[want]; taken {
			t.Errorf("%s looks like %s", state, other)
		}
		patterns[want] = state
	}
}

// A process that dies in the middle, whatever it showed: its light is dark.
func TestLightOfADeadProcessIsDark(t *testing.T) {
	for _, state := range []State{Ready, Unowned, Unreachable, NeedsPerson, Updating, Refusing} {
		s := tree(t, nil)
		synctest.Test(t, func(t *testing.T) {
			ctx, stop := context.WithCancel(t.Context())
			k := newKernel(t, s, "ACT")
			go k.run(ctx)
			led, err := s.LED("ACT")
			if err != nil {
				t.Fatal(err)
			}
			if err := led.write("trigger", oneshotTrigger); err != nil {
				t.Fatal(err)
			}
			time.Sleep(step)
			if err := led.Dark(); err != nil {
				t.Fatal(err)
			}
			for _, one := range state.pattern() {
				if err := led.Flash(one.on); err != nil {
					t.Fatal(err)
				}
				time.Sleep(one.on / 2)
				k.look(func(k *kernel) {
					if !k.lit {
						t.Errorf("%s: the light is not on", state)
					}
				})
				time.Sleep(cycle)
				k.look(func(k *kernel) {
					if k.lit {
						t.Errorf("%s: still on %s after the last flash of %s", state, cycle, one.on)
					}
				})
			}
			stop()
			time.Sleep(step)
		})
	}
}

func TestMessagesAreSeen(t *testing.T) {
	one := func(to chan<- struct{}) {
		time.Sleep(5 * time.Second)
		to <- struct{}{}
	}
	for name, test := range map[string]struct {
		data  Data
		state State
		light string
		want  string
	}{
		"of its own":        {Data{LEDReady: "ACT", LEDActivity: "MSG"}, Ready, "MSG", "off 5s, on 100ms"},
		"of its own, lit":   {Data{LEDReady: "ACT", LEDActivity: "MSG", ActivityLit: true}, Ready, "MSG", "off 100ms"},
		"while starting":    {Data{LEDReady: "ACT", LEDActivity: "MSG"}, Starting, "MSG", "off 5s, on 100ms"},
		"on the only light": {Data{LEDReady: "ACT"}, Ready, "ACT", "off 100ms, on 50ms, off 50ms, on 50ms, off 50ms, on 50ms, off 50ms, on 50ms, off 50ms, on 50ms, off 50ms, on 1.9s"},
		"also when nothing is delivered": {
			Data{LEDReady: "ACT", LEDActivity: "ACT"},
			Unreachable, "ACT",
			"off 1.4s, on 50ms, off 50ms, on 50ms, off 50ms, on 50ms, off 50ms, on 50ms, off 50ms, on 50ms, off 50ms, on 200ms",
		},
	} {
		t.Run(name, func(t *testing.T) {
			seen := shown(t, test.data, always(test.state), one, 12*time.Second, "ACT", "MSG")[test.light]
			if !strings.Contains(seen, test.want) {
				t.Errorf("%s\nwant\n%s", seen, test.want)
			}
			if n := strings.Count(seen, test.want); n != 1 {
				t.Errorf("one message is seen %d times:\n%s", n, seen)
			}
		})
	}
}

// What is shown follows the state, there and back.
func TestStatesFollowEachOther(t *testing.T) {
	begun := time.Time{}
	states := []State{Starting, Ready, Starting, Ready, Refusing, Starting, Unreachable}
	seen := shown(t, Data{LEDReady: "ACT"}, func() State {
		if begun.IsZero() {
			begun = time.Now()
		}
		return states[min(int(time.Since(begun)/(4*time.Second)), len(states)-1)]
	}, nil, 32*time.Second, "ACT")["ACT"]
	rest := seen
	const starting, ready = "on 500ms, off 500ms", "on 1.9s, off 100ms"
	for _, want := range []string{starting, ready, starting, ready, "on 100ms, off 100ms, on 100ms, off 100ms", starting, "on 200ms, off 200ms, on 200ms, off 1.4s"} {
		_, after, found := strings.Cut(rest, want)
		if !found {
			t.Fatalf("%s\nhas no %s after what comes before it", seen, want)
		}
		rest = after
	}
}

// Lights that cannot be had: not there, or of a kernel without the triggers; and
// a name never leads out of the directory.
func TestNoLED(t *testing.T) {
	s := tree(t, map[string]string{
		"sys/class/leds/OLD/trigger": "[none] timer heartbeat\n",
		"sys/class/leds/ACT/trigger": "none [timer] oneshot\n",
	})
	for _, name := range []string{"", "NONE", "OLD", "..", ".", "../leds/ACT", "/"} {
		if led, err := s.LED(name); led != nil || !errors.Is(err, ErrNoLED) {
			t.Errorf("%q: %v", name, err)
		}
		if face, err := s.Face(Data{LEDReady: name}); face != nil || !errors.Is(err, ErrNoLED) {
			t.Errorf("the state on %q: %v", name, err)
		}
	}
	if face, err := s.Face(Data{LEDReady: "ACT", LEDActivity: "NONE"}); face != nil || !errors.Is(err, ErrNoLED) {
		t.Errorf("a board's data that name a light that is not there: %v", err)
	}
}

// The files of a trigger are root's until udev has come to them, and may stay so.
func TestFailureIsSaidOnceAndOvercome(t *testing.T) {
	s := tree(t, nil)
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		k := newKernel(t, s, "ACT")
		k.locked = true
		go k.run(ctx)
		face, err := s.Face(Data{LEDReady: "ACT"})
		if err != nil {
			t.Fatal(err)
		}
		var said, turns atomic.Int64
		faced, ended := context.WithCancel(ctx)
		done := make(chan struct{})
		go func() {
			defer close(done)
			face.Run(faced, Source{State: always(Ready), Progress: func() { turns.Add(1) }, Failed: func(error) { said.Add(1) }})
		}()
		time.Sleep(patience - time.Second)
		if said.Load() != 0 {
			t.Error("said before udev had its time")
		}
		time.Sleep(time.Minute)
		if n := said.Load(); n != 1 {
			t.Errorf("said %d times", n)
		}
		if n, least := turns.Load(), int64(time.Minute/(3*time.Second)); n < least {
			t.Errorf("progress was reported %d times in a minute, want at least %d", n, least)
		}
		k.look(func(k *kernel) {
			k.locked, k.seen = false, nil
			k.files()
		})
		time.Sleep(10 * time.Second)
		k.look(func(k *kernel) {
			if !strings.Contains(strings.Join(k.seen, ", "), "on 1.9s, off 100ms") {
				t.Errorf("then it shows %q", k.seen)
			}
		})
		ended()
		<-done
		stop()
		time.Sleep(step)
	})
}
