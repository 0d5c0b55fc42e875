package main

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/assaygate/assaygate/device/board"
)

func TestParseClock(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	want := time.Date(2026, 11, 27, 13, 5, 0, 0, time.UTC)
	for _, text := range []string{
		"2026-11-27 14:05", "2026-11-27 14:05:00\r\n", "\uFEFF2026-11-27T14:05\n", "2026-11-27T14:05:00", "2026-11-27T13:05:00Z", " 2026-11-27T14:05:00+01:00 ",
	} {
		if got, err := parseClock(text, berlin); err != nil || !got.Equal(want) {
			t.Errorf("%q: %s, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "now", "27.11.2026 14:05", "2026-13-01 00:00", "2026-11-27 14:05 and more"} {
		if got, err := parseClock(text, berlin); err == nil || !strings.Contains(err.Error(), "write it as") {
			t.Errorf("%q: %s, %v", text, got, err)
		}
	}
}

// settable is a box whose clock can be set; the times that it was set to follow.
func settable(t *testing.T, uptime string) (s board.System, set func() []time.Time) {
	s = bareBoard(t)
	if err := os.MkdirAll(filepath.Dir(s.ClockRequest()), 0o700); err != nil {
		t.Fatal(err)
	}
	putFile(t, s.Proc+"/uptime", uptime+" 1.00\n", time.Now())
	var times []time.Time
	s.SetKernel = func(at time.Time) error {
		times = append(times, at)
		return nil
	}
	return s, func() []time.Time { return times }
}

func daemonOn(s board.System) *daemon {
	d := newDaemon(Config{}, slog.New(slog.DiscardHandler))
	d.board = s
	d.clock = newClock(s, d.log)
	return d
}

// What a person asks for, root does once, with what has passed meanwhile.
func TestClockIsSet(t *testing.T) {
	s, set := settable(t, "100.00")
	log := slog.New(slog.DiscardHandler)
	if done, err := carryOutClock(s, log); done || err != nil {
		t.Errorf("without a request: %t, %v", done, err)
	}
	d := daemonOn(s)
	at := time.Now().Add(time.Hour).Truncate(time.Second)
	if err := d.setClock(at); err != nil {
		t.Fatal(err)
	}
	putFile(t, s.Proc+"/uptime", "102.00 1.00\n", time.Now())
	for i, want := range []bool{true, false} {
		if done, err := carryOutClock(s, log); done != want || err != nil {
			t.Errorf("the %d. time: %t, %v", i+1, done, err)
		}
	}
	if got := set(); len(got) != 1 || !got[0].Equal(at.Add(2*time.Second)) {
		t.Errorf("set to %s, want %s", got, at.Add(2*time.Second))
	}
	if !s.SetByHand() {
		t.Error("that is not noted")
	}
	// It was wrong: back, too, and by what was kept of the wrong time.
	putFile(t, s.Var+"/lib/systemd/timesync/clock", "", at)
	at = at.Add(-24 * time.Hour)
	if err := d.setClock(at); err != nil {
		t.Fatal(err)
	}
	if done, err := carryOutClock(s, log); !done || err != nil || len(set()) != 2 {
		t.Errorf("another request: %t, %v", done, err)
	}
	c := newClock(s, log)
	c.now = func() time.Time { return at }
	if !c.set() || !c.tls().Equal(at) {
		t.Errorf("a clock that was set back is not believed: it is %s for certificates", c.tls())
	}
}

func TestClockThatIsNotSet(t *testing.T) {
	saved := time.Now().Add(-time.Hour)
	for name, test := range map[string]struct {
		prepare func(s board.System)
		at      time.Time
		want    string
	}{
		"a time server":    {func(s board.System) { putFile(t, s.Run+"/systemd/timesync/synchronized", "", saved) }, time.Now(), "follows a time server"},
		"before the build": {func(board.System) {}, firstBuild.Add(-time.Minute), "was built on"},
		"too far ahead":    {func(board.System) {}, time.Now().AddDate(30, 0, 0), "too far ahead"},
		"another computer": {func(s board.System) { _ = os.RemoveAll(filepath.Dir(s.ClockRequest())) }, time.Now(), "timedatectl"},
	} {
		t.Run(name, func(t *testing.T) {
			s, set := settable(t, "100.00")
			test.prepare(s)
			if err := daemonOn(s).setClock(test.at); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("%v, want %s", err, test.want)
			}
			if _, err := os.Stat(s.ClockRequest()); err == nil {
				t.Error("it is asked for all the same")
			}
			// A gateway that was taken over asks all the same.
			if _, err := os.Stat(filepath.Dir(s.ClockRequest())); err != nil {
				return
			}
			putFile(t, s.ClockRequest(), formatRequest(test.at, 100*time.Second), saved)
			if done, err := carryOutClock(s, slog.New(slog.DiscardHandler)); done || err == nil || len(set()) != 0 {
				t.Errorf("root sets it: %t, %v", done, err)
			}
		})
	}
}

// Requests that root does not carry out, whoever wrote them.
func TestRequestsForTheClock(t *testing.T) {
	now := time.Now().UTC().Format(time.RFC3339)
	for name, test := range map[string]struct {
		text   string
		wrong  bool
		linked bool
	}{
		"nonsense":        {text: "root:x:0:0\n", wrong: true},
		"no age":          {text: now + "\n", wrong: true},
		"too old":         {text: now + " 9699.00\n"},
		"of another boot": {text: now + " 10001.00\n"},
		"a link":          {text: now + " 10000.00\n", linked: true, wrong: true},
	} {
		t.Run(name, func(t *testing.T) {
			s, set := settable(t, "10000.00")
			path := s.ClockRequest()
			if test.linked {
				if err := os.Symlink(path+".other", path); err != nil {
					t.Skip(err)
				}
				path += ".other"
			}
			putFile(t, path, test.text, time.Now())
			done, err := carryOutClock(s, slog.New(slog.DiscardHandler))
			if done || (err != nil) != test.wrong || len(set()) != 0 {
				t.Errorf("done %t, %v", done, err)
			}
			if err != nil && strings.Contains(err.Error(), "root:x") {
				t.Errorf("it shows what it read: %v", err)
			}
		})
	}
}

// The command that root runs carries requests out.
func TestApplySetsTheClock(t *testing.T) {
	s, _ := settable(t, "100.00")
	command := applyCommand{Root: filepath.Dir(s.Run)}
	if done, err := command.setClock(); done || err != nil {
		t.Errorf("without a request: %t, %v", done, err)
	}
	putFile(t, s.ClockRequest(), formatRequest(time.Now(), 99*time.Second), time.Now())
	var told strings.Builder
	if err := command.Run(&streams{out: &told, err: &told}); err == nil {
		t.Error("a configuration that is not there is applied")
	}
	// It came as far as to the clock, which no test sets.
	if want := "setting the clock: " + errors.ErrUnsupported.Error(); !strings.Contains(told.String(), want) {
		t.Errorf("%q, want %s", told.String(), want)
	}
}

// What a request says can be read again, and never quotes more than a time.
func FuzzParseRequest(f *testing.F) {
	for _, text := range []string{"", "2026-11-27T13:05:00Z 100.00\n", "2026-11-27T13:05:00Z", "x 1", "2026-11-27T13:05:00Z 1h"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		at, uptime, err := parseRequest(text)
		if err != nil {
			return
		}
		again, upAgain, err := parseRequest(formatRequest(at, uptime))
		if err != nil || !again.Equal(at.Truncate(time.Second)) || (upAgain-uptime).Abs() > 10*time.Millisecond {
			t.Errorf("%q is %s %s, and then %s %s, %v", text, at, uptime, again, upAgain, err)
		}
	})
}

// A stick with a time in a file sets the clock; one with something else says what
// to write.
func TestStickSetsTheClock(t *testing.T) {
	t.Parallel()
	s, set := settable(t, "100.00")
	b := newStickBox(t, baseConfig, func(d *daemon) {
		d.board = s
		d.clock = newClock(s, d.log)
	})
	b.plug(t, map[string]string{"set-clock.txt": "today"})
	b.wantReport(t, "Not all is well", "set-clock: this is no time; write it as 2026-11-27 14:05")
	if _, err := os.Stat(s.ClockRequest()); err == nil {
		t.Error("the clock is to be set to nonsense")
	}
	at := time.Now().Add(time.Hour).Truncate(time.Minute)
	b.plug(t, map[string]string{"Set-Clock.txt": utf16le(at.Format("2006-01-02 15:04") + "\r\n")})
	b.wantReport(t, "All is well", "set-clock: the clock is set to "+shownMoment(at)+" within seconds.")
	if done, err := carryOutClock(s, slog.New(slog.DiscardHandler)); !done || err != nil || len(set()) != 1 || !set()[0].Equal(at) {
		t.Errorf("root sets it: %t, %v, to %s", done, err, set())
	}
}
