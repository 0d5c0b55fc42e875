package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/assaygate/assaygate/device/board"
	"github.com/assaygate/assaygate/device/port"
	"github.com/assaygate/assaygate/device/simulator"
	"github.com/assaygate/assaygate/envelope"
	"github.com/assaygate/assaygate/uplink/senaite"
	"github.com/assaygate/assaygate/uplink/senaite/senaitetest"
)

// bareBoard is a made-up system that knows nothing of time.
func bareBoard(t *testing.T) board.System {
	t.Helper()
	root := t.TempDir()
	return board.System{Proc: root + "/proc", Sys: root + "/sys", Run: root + "/run", Var: root + "/var"}
}

// putFile writes a file of a made-up system, with its time.
func putFile(t *testing.T, path, text string, at time.Time) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(path, at, at); err != nil {
		t.Fatal(err)
	}
}

func TestWhenTheClockIsSet(t *testing.T) {
	built := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	switchedOff := built.Add(30 * 24 * time.Hour)
	now := switchedOff.Add(7 * 24 * time.Hour)
	for name, test := range map[string]struct {
		now   time.Time
		files func(s board.System, now time.Time)
		want  bool
	}{
		"1970":                {time.Unix(60, 0), nil, false},
		"2000":                {time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC), nil, false},
		"before it was built": {built.Add(-time.Second), nil, false},
		"nobody knows better": {now, nil, true},
		"far ahead":           {now.AddDate(30, 0, 0), nil, false},
		"before it was switched off": {switchedOff.Add(-time.Second), func(s board.System, _ time.Time) {
			putFile(t, s.Var+"/lib/systemd/timesync/clock", "", switchedOff)
		}, false},
		"goes on from where it stood": {switchedOff.Add(90 * time.Second), func(s board.System, _ time.Time) {
			putFile(t, s.Var+"/lib/systemd/timesync/clock", "", switchedOff)
			putFile(t, s.Proc+"/uptime", "95.00 1.00\n", now)
		}, false},
		"set since, by whatever": {now, func(s board.System, _ time.Time) {
			putFile(t, s.Var+"/lib/systemd/timesync/clock", "", switchedOff)
			putFile(t, s.Proc+"/uptime", "95.00 1.00\n", now)
		}, true},
		"goes on from where it stood, and a time server is there": {switchedOff.Add(90 * time.Second), func(s board.System, _ time.Time) {
			putFile(t, s.Var+"/lib/systemd/timesync/clock", "", switchedOff)
			putFile(t, s.Proc+"/uptime", "95.00 1.00\n", now)
			putFile(t, s.Run+"/systemd/timesync/synchronized", "", now)
		}, true},
		"goes on from where it stood, and a person has set it": {switchedOff.Add(90 * time.Second), func(s board.System, _ time.Time) {
			putFile(t, s.Var+"/lib/systemd/timesync/clock", "", switchedOff)
			putFile(t, s.Proc+"/uptime", "95.00 1.00\n", now)
			putFile(t, s.Run+"/assaygate-clock-set", "a request\n", now)
		}, true},
		"a battery": {now, func(s board.System, now time.Time) {
			putFile(t, s.Sys+"/class/rtc/rtc0/since_epoch", unixText(now.Add(time.Second)), now)
			putFile(t, s.Var+"/lib/systemd/timesync/clock", "", now)
			putFile(t, s.Proc+"/uptime", "95.00 1.00\n", now)
		}, true},
		"a battery that was empty": {switchedOff.Add(90 * time.Second), func(s board.System, now time.Time) {
			putFile(t, s.Sys+"/class/rtc/rtc0/since_epoch", "946684800\n", now)
			putFile(t, s.Var+"/lib/systemd/timesync/clock", "", switchedOff)
		}, false},
		"a battery that says something else": {switchedOff.Add(90 * time.Second), func(s board.System, _ time.Time) {
			putFile(t, s.Sys+"/class/rtc/rtc0/since_epoch", unixText(now), now)
		}, false},
		"a server's time before the build": {built.Add(-time.Hour), func(s board.System, now time.Time) {
			putFile(t, s.Run+"/systemd/timesync/synchronized", "", now)
		}, true},
	} {
		t.Run(name, func(t *testing.T) {
			system := bareBoard(t)
			if test.files != nil {
				test.files(system, test.now)
			}
			c := newClock(system, slog.New(slog.DiscardHandler))
			c.built, c.now = built, func() time.Time { return test.now }
			if got := c.set(); got != test.want {
				t.Errorf("set is %t", got)
			}
			word := map[bool]string{true: envelope.ClockSet, false: envelope.ClockUnset}[test.want]
			if got := c.word(); got != word {
				t.Errorf("envelopes say %s, want %s", got, word)
			}
		})
	}
}

// A time server that tells a time from before the build has set the clock, and nothing
// that is signed is judged by that.
func TestReleasesAreNotJudgedByATimeBeforeTheBuild(t *testing.T) {
	s := bareBoard(t)
	putFile(t, filepath.Join(s.Run, "systemd", "timesync", "synchronized"), "", time.Now())
	now := firstBuild.Add(-time.Hour)
	c := newClock(s, slog.New(slog.DiscardHandler))
	c.now, c.built = func() time.Time { return now }, time.Time{}
	if !c.set() || c.judges() {
		t.Errorf("before the build: set %v, judges %v", c.set(), c.judges())
	}
	now = firstBuild
	if !c.judges() {
		t.Error("at the build it does not judge")
	}
}

func unixText(at time.Time) string { return strconv.FormatInt(at.Unix(), 10) + "\n" }

// The store remembers, too, when it was: a clock that is before its files is not
// set, and certificates are judged by them.
func TestTheStoreRemembersTheTime(t *testing.T) {
	store := t.TempDir()
	written := time.Date(2027, 3, 4, 5, 6, 7, 0, time.UTC)
	putFile(t, store+"/kept", "", written)
	putFile(t, store+"/older", "", written.AddDate(-1, 0, 0))
	c := newClock(bareBoard(t), slog.New(slog.DiscardHandler))
	c.remember(store)
	for _, test := range []struct {
		now time.Time
		set bool
	}{{written.Add(-time.Second), false}, {written.Add(time.Second), true}} {
		c.now, c.looked = func() time.Time { return test.now }, time.Time{}
		if got := c.set(); got != test.set {
			t.Errorf("at %s it is set: %t", test.now, got)
		}
		if !test.set {
			c.booted = c.booted.Add(-waitForTime)
			if got := c.tls(); !got.Equal(written) {
				t.Errorf("certificates are judged by %s, want %s", got, written)
			}
		}
	}
	c.remember(store + "/none")
}

// A source of time that turns up late is found, and one that is lost again
// leaves the clock set.
func TestTheClockIsSetLater(t *testing.T) {
	system := bareBoard(t)
	synctest.Test(t, func(t *testing.T) { // begins in the year 2000
		c := newClock(system, slog.New(slog.DiscardHandler))
		if c.set() {
			t.Fatal("set in the year 2000")
		}
		note := system.Run + "/systemd/timesync/synchronized"
		putFile(t, note, "", time.Now())
		time.Sleep(lookForTime)
		if !c.set() {
			t.Error("a time server is not noticed")
		}
		if err := os.Remove(note); err != nil {
			t.Fatal(err)
		}
		time.Sleep(lookForTime)
		if !c.set() {
			t.Error("a clock that was set is not any more")
		}
	})
}

func TestCertificatesAreJudgedWithoutAClock(t *testing.T) {
	built := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	saved := built.Add(24 * time.Hour)
	for name, test := range map[string]struct {
		uptime string
		keep   bool
		wait   time.Duration // until it is judged by another time
		want   time.Time
	}{
		"from the start":                {"", false, waitForTime, built},
		"with a newer time":             {"", true, waitForTime, saved},
		"where only the program is new": {"840.00 1.00\n", false, waitForTime - 840*time.Second, built},
	} {
		t.Run(name, func(t *testing.T) {
			system := bareBoard(t)
			putFile(t, system.Proc+"/uptime", test.uptime, saved)
			if test.keep {
				putFile(t, system.Var+"/lib/systemd/timesync/clock", "", saved)
			}
			synctest.Test(t, func(t *testing.T) {
				var log strings.Builder
				c := newClock(system, slog.New(slog.NewTextHandler(&log, nil)))
				c.built = built
				time.Sleep(test.wait - time.Second)
				if got := c.tls(); !got.Equal(time.Now()) {
					t.Errorf("before that, it is %s", got)
				}
				time.Sleep(time.Second)
				for range 3 {
					if got := c.tls(); !got.Equal(test.want) {
						t.Errorf("then it is %s, want %s", got, test.want)
					}
				}
				if n := strings.Count(log.String(), "level=WARN"); n != 1 {
					t.Errorf("said %d times:\n%s", n, log.String())
				}
				putFile(t, system.Run+"/systemd/timesync/synchronized", "", saved)
				time.Sleep(lookForTime)
				if got := c.tls(); !got.Equal(time.Now()) {
					t.Errorf("with a time server it is %s", got)
				}
			})
		})
	}
}

// An isolated laboratory: the box starts in 1970, and its LIMS has a certificate
// of this year. It is reached after a quarter of an hour.
func TestLIMSIsReachedWithoutAClock(t *testing.T) {
	lims := senaitetest.NewTLS()
	defer lims.Close()
	ca := filepath.Join(t.TempDir(), "ca.pem")
	putFile(t, ca, string(lims.CA()), time.Now())
	settings := senaite.Defaults()
	settings.URL, settings.CA = lims.URL, ca

	c := newClock(bareBoard(t), slog.New(slog.NewTextHandler(io.Discard, nil)))
	var passed atomic.Int64
	c.built = time.Now()
	c.now = func() time.Time { return time.Unix(passed.Load(), 0) }
	to, _, err := Destination{Name: "lims", SENAITE: &SENAITE{Settings: settings}}.open(c.tls)
	if err != nil {
		t.Fatal(err)
	}
	probe := func() error {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		return to.Probe(ctx)
	}
	err = probe()
	if err == nil || !strings.Contains(err.Error(), "not yet valid") || !strings.Contains(err.Error(), "the clock of the box is not set") {
		t.Fatalf("in 1970 it is reached with %v", err)
	}
	c.booted = c.booted.Add(-waitForTime)
	if err := probe(); err != nil {
		t.Errorf("after a quarter of an hour: %v", err)
	}
}

// A whole gateway whose clock stands in 1970: it takes everything in, says that
// the time is not known, and reaches its LIMS when it has waited long enough.
func TestGatewayWithoutAClock(t *testing.T) {
	lims := senaitetest.NewTLS()
	defer lims.Close()
	directory := t.TempDir()
	ca := filepath.Join(directory, "ca.pem")
	putFile(t, ca, string(lims.CA()), time.Now())
	config, err := parseConfig([]byte("version: 1\n"+base(directory)+lanInstruments+fmt.Sprintf(`
destinations:
  - name: lims
    accept_test: true
    senaite: {url: %q, ca: %q, confirm: {enabled: false}}
`, lims.Credentials(), ca)), "test")
	if err != nil {
		t.Fatal(err)
	}
	log := &lockedBuffer{}
	d := newDaemon(config, newLog(config.Log, log))
	d.board = bareBoard(t)
	d.clock = newClock(d.board, d.log)
	d.clock.built = time.Now()
	d.clock.now = func() time.Time { return time.Unix(100, 0) }
	d.clock.booted = time.Now().Add(-waitForTime)
	r := follow(t, d, log, "gateway ready")
	r.play("lan", simulator.ASTM, aMessage(t), simulator.Options{})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := lims.Wait(ctx, 1); err != nil {
		t.Fatalf("%v\n%s", err, log.text())
	}
	if push := lims.Pushes()[0]; !strings.Contains(push.Message, `"clock":"unset"`) {
		t.Errorf("the message does not say that its time is not known:\n%s", push.Message)
	}
	if _, metrics := r.answer("/metrics"); !strings.Contains(metrics, "assaygate_clock_set 0\n") {
		t.Error("assaygate_clock_set is not 0")
	}
	if n := strings.Count(log.text(), "the clock is not set, and nothing sets it"); n != 1 {
		t.Errorf("said %d times", n)
	}
}

// The lines hold the certificates of instruments against the same clock.
func TestLinesHaveTheClock(t *testing.T) {
	d := daemonOn(bareBoard(t))
	at := time.Unix(100, 0)
	d.clock.now = func() time.Time { return at }
	line := (&gateway{daemon: d}).newTLS(Instrument{Name: "lan", TLS: port.TLSFiles{Certificate: "box.pem", Key: "box.key"}})
	if line.Clock == nil || !line.Clock().Equal(at) {
		t.Error("a line has another clock")
	}
}
