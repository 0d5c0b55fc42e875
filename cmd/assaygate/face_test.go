package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/assaygate/assaygate/device/board"
	"github.com/assaygate/assaygate/device/configdrive"
	"github.com/assaygate/assaygate/device/simulator"
	"github.com/assaygate/assaygate/envelope/spool"
	"github.com/assaygate/assaygate/uplink"
)

// looksLike expects what the lights of a running gateway have to say, as soon as
// it is looked.
func (r *running) looksLike(want board.State) {
	r.t.Helper()
	var got board.State
	eventually(r.t, "the lights say "+want.String(), func() bool {
		r.face.note(r.lookAtFace(r.t.Context(), &glimpse{}))
		got = r.face.now(r.health.Healthy())
		return got == want
	})
}

func TestFaceOfAGateway(t *testing.T) {
	directory := t.TempDir()
	r := start(t, base(directory)+lanInstruments+`
destinations:
  - {name: lims, accept_test: true, senaite: {url: "http://127.0.0.1:1/senaite", username: u, password: p}}
`)
	r.looksLike(board.Unowned)
	owned := r.config()
	owned.Owner = &OwnerSettings{PublicKey: ownerText(1)}
	r.running.Store(&owned)
	r.looksLike(board.Ready)

	r.play("lan", simulator.ASTM, aMessage(t), simulator.Options{})
	eventually(t, "the destination fails", func() bool {
		r.face.mu.Lock()
		defer r.face.mu.Unlock()
		return !r.face.failing["lims"].IsZero()
	})
	r.looksLike(board.Ready) // not yet
	r.face.mu.Lock()
	r.face.failing["lims"] = time.Now().Add(-unreachableAfter)
	r.face.mu.Unlock()
	r.looksLike(board.Unreachable)

	if err := r.store.Park(t.Context(), "lims", 1, "for the test"); err != nil {
		t.Fatal(err)
	}
	r.looksLike(board.NeedsPerson)
	err := r.Reopen(t.Context(), func() error {
		r.looksLike(board.Starting)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	r.looksLike(board.NeedsPerson)
	r.metrics.setRefusing(errors.New("the card"))
	r.looksLike(board.Refusing)
	r.metrics.setRefusing(nil)
	r.looksLike(board.NeedsPerson)
}

// What a person must look at while messages are taken in; of each its opposite
// is quiet.
func TestWhatNeedsAPerson(t *testing.T) {
	config, err := parseConfig([]byte("version: 1\n"+lanInstruments), "test")
	if err != nil {
		t.Fatal(err)
	}
	const mount = "30 21 179:3 / / rw - ext4 /dev/mmcblk0p3 rw\n"
	card := func(s board.System, count string) {
		putFile(t, s.Proc+"/self/mountinfo", mount, time.Now())
		putFile(t, s.Sys+"/fs/ext4/mmcblk0p3/errors_count", count, time.Now())
		if err := os.MkdirAll(s.Sys+"/dev/block", 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink("../../devices/mmcblk0p3", s.Sys+"/dev/block/179:3"); err != nil {
			t.Skip(err)
		}
	}
	for name, test := range map[string]struct {
		is   func(d *daemon, kept *glimpse)
		want bool
	}{
		"nothing":                          {func(*daemon, *glimpse) {}, false},
		"a card without errors":            {func(d *daemon, _ *glimpse) { card(d.board, "0\n") }, false},
		"a card with errors":               {func(d *daemon, _ *glimpse) { card(d.board, "3\n") }, true},
		"damaged messages":                 {func(_ *daemon, kept *glimpse) { kept.damaged = true }, true},
		"parked messages":                  {func(_ *daemon, kept *glimpse) { kept.destinations[0].Parked = 1 }, true},
		"refused credentials":              {func(_ *daemon, kept *glimpse) { kept.destinations[0].Held = "the password" }, true},
		"waiting messages":                 {func(_ *daemon, kept *glimpse) { kept.destinations[0].Pending = 1 }, false},
		"of a destination that is no more": {func(_ *daemon, kept *glimpse) { kept.destinations[0] = spool.DestinationStatus{Parked: 1} }, false},
		"noise":                            {func(d *daemon, _ *glimpse) { d.metrics.Noisy("lan", true) }, true},
		"noise that is over":               {func(d *daemon, _ *glimpse) { d.metrics.Noisy("lan", true); d.metrics.Noisy("lan", false) }, false},
		"a listener closed just now":       {func(_ *daemon, kept *glimpse) { kept.closed = time.Now() }, false},
		"a listener closed for long":       {func(_ *daemon, kept *glimpse) { kept.closed = time.Now().Add(-closedFor) }, true},
		"a configuration that is refused":  {func(d *daemon, _ *glimpse) { d.refuse(errors.New("spoilt")) }, true},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDaemon(config, newLog(config.Log, &lockedBuffer{}))
			d.board = bareBoard(t)
			kept := glimpse{destinations: []spool.DestinationStatus{{Name: "lims", Active: true}}}
			test.is(d, &kept)
			if got := d.needsPerson(kept); got != test.want {
				t.Errorf("needs a person: %t", got)
			}
		})
	}
}

// What is shown, of all that holds at the same time.
func TestFaceShowsTheMostUrgent(t *testing.T) {
	for name, test := range map[string]struct {
		state   board.State
		healthy error
		stick   configdrive.Status
		update  bool
		want    board.State
	}{
		"a stick that is well":         {state: board.Unowned, stick: configdrive.Done, want: board.Unowned},
		"nothing else":                 {state: board.Ready, want: board.Ready},
		"a part that hangs":            {state: board.NeedsPerson, healthy: errors.New("silent"), want: board.Refusing},
		"busy with a stick":            {state: board.NeedsPerson, stick: configdrive.Busy, want: board.Starting},
		"busy, and nothing is stored":  {state: board.Refusing, stick: configdrive.Busy, want: board.Refusing},
		"a stick with errors":          {state: board.Unreachable, stick: configdrive.Trouble, want: board.NeedsPerson},
		"a stick, and nothing stored":  {state: board.Refusing, stick: configdrive.Trouble, want: board.Refusing},
		"an update":                    {state: board.NeedsPerson, update: true, want: board.Updating},
		"an update while starting":     {state: board.Starting, update: true, want: board.Updating},
		"an update, nothing stored":    {state: board.Refusing, update: true, want: board.Refusing},
		"an update, a part that hangs": {state: board.Ready, update: true, healthy: errors.New("silent"), want: board.Refusing},
		"an update, a stick at work":   {state: board.Ready, update: true, stick: configdrive.Busy, want: board.Starting},
		"an update, a stick's errors":  {state: board.Ready, update: true, stick: configdrive.Trouble, want: board.Updating},
		"a stick while starting":       {state: board.Starting, stick: configdrive.Trouble, want: board.Starting},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var f face
				f.note(test.state)
				f.showStick(test.stick)
				f.showUpdate(test.update)
				time.Sleep(staleFace)
				if got := f.now(test.healthy); got != test.want {
					t.Errorf("%s, want %s", got, test.want)
				}
				// Whoever looks hangs at the card.
				time.Sleep(time.Second)
				if got := f.now(test.healthy); got != board.Refusing {
					t.Errorf("after a minute without a look: %s", got)
				}
			})
		})
	}
}

// An update that never comes to its end hides nothing that needs a person; the next
// one is shown again.
func TestFaceShowsNoEndlessUpdate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f face
		look := func(under bool, want board.State) {
			t.Helper()
			f.note(board.NeedsPerson)
			f.showUpdate(under)
			if got := f.now(nil); got != want {
				t.Errorf("%s, want %s", got, want)
			}
		}
		look(true, board.Updating)
		time.Sleep(longestUpdate - time.Nanosecond)
		look(true, board.Updating)
		time.Sleep(time.Nanosecond)
		look(true, board.NeedsPerson)
		// One look without it gives nothing back.
		look(false, board.NeedsPerson)
		look(true, board.NeedsPerson)
		look(false, board.NeedsPerson)
		time.Sleep(longestUpdate - time.Nanosecond)
		look(true, board.NeedsPerson)
		look(false, board.NeedsPerson)
		time.Sleep(longestUpdate)
		look(true, board.Updating)
	})
}

// What the update agent's file says reaches the light of a box, and ends there with it.
func TestFaceShowsAnUpdate(t *testing.T) {
	s := lights(t, "ACT")
	putFile(t, s.DataFile, "BOARD=test\nLED_READY=ACT\n", time.Now())
	updates := updatePlaces{t.TempDir()}
	shows := func(what, length string) {
		t.Helper()
		eventually(t, what, func() bool {
			text, err := os.ReadFile(filepath.Join(s.Sys, "class", "leds", "ACT", "delay_on"))
			return err == nil && strings.TrimSpace(string(text)) == length
		})
	}
	r := startOn(t, s, func(d *daemon) { d.updates = updates })
	shows("no update", "1400")
	putFile(t, updates.status(), `{"format": 1, "phase": "installing"}`, time.Now())
	shows("an update", "1000")
	if err := os.Remove(updates.status()); err != nil {
		t.Fatal(err)
	}
	shows("no update any more", "1400")
	r.end()
}

// Of what the agent does, only that is shown which a power cut would spoil; and nothing of
// a file that is not its own.
func TestWhichPhasesTheLightsShow(t *testing.T) {
	updates := updatePlaces{t.TempDir()}
	for text, want := range map[string]bool{
		`{"format": 1, "phase": ""}`:                                             false,
		`{"format": 1, "phase": "checking"}`:                                     false,
		`{"format": 1, "phase": "downloading", "percent": 40}`:                   false,
		`{"format": 1, "phase": "waiting"}`:                                      false,
		`{"format": 1, "phase": "installing", "percent": 40}`:                    true,
		`{"format": 1, "phase": "restarting", "percent": 100}`:                   true,
		`{"format": 1, "phase": "on trial"}`:                                     true,
		`{"format": 2, "phase": "installing"}`:                                   false,
		`{"format": 1, "phase": "installing`:                                     false,
		`{"format": 1, "phase": "installing"}` + strings.Repeat(" ", mostStatus): false,
	} {
		putFile(t, updates.status(), text, time.Now())
		if got := updates.underWay(); got != want {
			t.Errorf("%.60s: shown: %t", text, got)
		}
	}
}

func TestWhenADestinationIsUnreachable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f face
		for _, result := range uplink.Results() {
			f.attempted("lims", string(uplink.Transient))
			time.Sleep(unreachableAfter)
			f.attempted("lims", string(uplink.Unknown))
			if !f.unreached("lims") || f.unreached("captures") {
				t.Error("an outage is not noticed, or noticed elsewhere")
			}
			f.attempted("lims", result)
			answers := result != string(uplink.Transient) && result != string(uplink.Unknown)
			if f.unreached("lims") == answers {
				t.Errorf("after %s it is unreachable: %t", result, !answers)
			}
		}
		f.attempted("lims", "delivered")
		f.attempted("lims", string(uplink.Transient))
		time.Sleep(unreachableAfter - 1)
		if f.unreached("lims") {
			t.Error("shown too early")
		}
	})
}

// lights makes a board with lights whose triggers are set already.
func lights(t *testing.T, names ...string) board.System {
	t.Helper()
	s := bareBoard(t)
	for _, name := range names {
		for file, text := range map[string]string{"trigger": "none timer [oneshot]", "delay_on": "", "delay_off": "", "invert": "", "shot": ""} {
			putFile(t, filepath.Join(s.Sys, "class", "leds", name, file), text, time.Now())
		}
	}
	s.DataFile = filepath.Join(t.TempDir(), "board")
	putFile(t, s.DataFile, "BOARD=test\nLED_READY=ACT\nLED_ACTIVITY=PWR\nLED_ACTIVITY_IDLE=on\nFAN=1\n", time.Now())
	return s
}

// A gateway drives the lights of its board, and leaves them blinking.
func TestGatewayShowsItsFace(t *testing.T) {
	s := lights(t, "ACT", "PWR")
	file := func(parts ...string) string {
		text, err := os.ReadFile(filepath.Join(append([]string{s.Sys, "class", "leds"}, parts...)...))
		if err != nil {
			t.Error(err)
		}
		return strings.TrimSpace(string(text))
	}
	r := startOn(t, s)
	eventually(t, "the only message is what the lights show: no owner", func() bool { return file("ACT", "delay_on") == "1400" && file("ACT", "shot") == "1" })
	if file("PWR", "invert") != "1" || file("PWR", "shot") != "" {
		t.Errorf("before the first message: invert %q, shot %q", file("PWR", "invert"), file("PWR", "shot"))
	}
	r.play("lan", simulator.ASTM, aMessage(t), simulator.Options{})
	eventually(t, "a message is shown", func() bool { return file("PWR", "shot") == "1" })
	if !strings.Contains(r.log.text(), `line 5: \"FAN\" is not known`) {
		t.Errorf("a mistake in the board's data is not told:\n%s", r.log.text())
	}
	r.end()
	if got := file("ACT", "trigger"); got != "timer" {
		t.Errorf("at the end the trigger is %q", got)
	}
}

// Where there are no lights, that is said once, and all else goes on.
func TestNoFace(t *testing.T) {
	for name, test := range map[string]struct {
		data string
		want string
	}{
		"no data":   {"", "this computer has no board data"},
		"no lights": {"BOARD=test\n", "the board has none"},
		"not there": {"BOARD=test\nLED_READY=NONE\n", "no such LED"},
	} {
		t.Run(name, func(t *testing.T) {
			s := bareBoard(t)
			s.DataFile = filepath.Join(t.TempDir(), "board")
			if test.data != "" {
				putFile(t, s.DataFile, test.data, time.Now())
			}
			r := startOn(t, s)
			eventually(t, "that is said", func() bool { return strings.Contains(r.log.text(), test.want) })
			r.end()
			if n := strings.Count(r.log.text(), "no lights"); n != 1 {
				t.Errorf("said %d times:\n%s", n, r.log.text())
			}
			for _, part := range r.health.Parts() {
				if part == facePart {
					t.Error("the health waits for lights that are not there")
				}
			}
		})
	}
}

// startOn runs a gateway on a made-up system.
func startOn(t *testing.T, s board.System, change ...func(*daemon)) *running {
	t.Helper()
	config, err := parseConfig([]byte("version: 1\n"+base(t.TempDir())+lanInstruments), "test")
	if err != nil {
		t.Fatal(err)
	}
	log := &lockedBuffer{}
	d := newDaemon(config, newLog(config.Log, log))
	d.board = s
	for _, one := range change {
		one(d)
	}
	return follow(t, d, log, "gateway ready")
}

// aMessage is one that is taken in without a fault.
func aMessage(t *testing.T) []byte {
	t.Helper()
	data, err := simulator.Capture("sysmex_xn.astm")
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// The lights say that a stick has errors, and that no longer when it is pulled.
func TestFaceShowsAStick(t *testing.T) {
	t.Parallel()
	b := newStickBox(t, baseConfig)
	b.plug(t, map[string]string{"assaygate.yaml": "version: 2\n"})
	b.looksLike(board.NeedsPerson)
	b.pull(t)
	b.looksLike(board.Unowned)
}
