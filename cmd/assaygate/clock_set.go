package main

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/assaygate/assaygate/device/board"
	"github.com/assaygate/assaygate/device/config"
)

// clockLayouts are how a person may write a time. Those without an offset are of
// the box's time zone.
func clockLayouts() []string {
	return []string{time.RFC3339, "2006-01-02 15:04:05", "2006-01-02 15:04", "2006-01-02T15:04:05", "2006-01-02T15:04"}
}

// parseClock reads what a person wrote for the clock: a time in one line.
func parseClock(text string, zone *time.Location) (time.Time, error) {
	text = strings.TrimSpace(strings.TrimPrefix(text, "\uFEFF"))
	for _, layout := range clockLayouts() {
		if at, err := time.ParseInLocation(layout, text, zone); err == nil {
			return at, nil
		}
	}
	return time.Time{}, errors.New("this is no time; write it as 2026-11-27 14:05, in the time zone of the box, or as 2026-11-27T14:05:00+01:00")
}

// freshRequest is how old a request may be: a clock that is set to what somebody
// once meant is worse than one that is not set.
const freshRequest = 5 * time.Minute

// setClock asks root to set the clock of the box, which follows within seconds.
// Its error says why that cannot be.
func (d *daemon) setClock(at time.Time) error {
	if err := d.clock.refuses(at); err != nil {
		return err
	}
	path := d.board.ClockRequest()
	if _, err := os.Stat(filepath.Dir(path)); errors.Is(err, fs.ErrNotExist) {
		return errors.New("this computer's clock is not the gateway's to set: use its own tools, such as timedatectl")
	}
	if err := config.Replace(path, []byte(formatRequest(at, d.board.Uptime()))); err != nil {
		return fmt.Errorf("asking for the clock to be set: %w", err)
	}
	d.log.Warn("the clock is to be set by hand", "to", at.UTC())
	return nil
}

// setClockBy sets the clock to a time that a person wrote, in the time zone of the
// box where it names none.
func (d *daemon) setClockBy(text string) error {
	at, err := parseClock(text, time.Local)
	if err != nil {
		return err
	}
	return d.setClock(at)
}

// refuses says why the clock cannot be set to a time. Back it can be set, to the
// time of the build at most: somebody may have set it wrong. A stick that stays in
// its socket does not do that, for it is carried out once.
func (c *clock) refuses(at time.Time) error {
	switch build := c.build(); {
	case c.board.Synchronised():
		return errors.New("the clock follows a time server: it is not set by hand")
	case at.Before(build):
		return fmt.Errorf("%s cannot be: this program was built on %s", at.UTC().Format(time.RFC3339), build.UTC().Format(time.RFC3339))
	case at.After(build.Add(longestLife)):
		return fmt.Errorf("%s is too far ahead", at.UTC().Format(time.RFC3339))
	}
	return nil
}

// formatRequest writes a request: a time, and at which age of the system it was.
func formatRequest(at time.Time, uptime time.Duration) string {
	return at.UTC().Format(time.RFC3339) + " " + strconv.FormatFloat(uptime.Seconds(), 'f', 2, 64) + "\n"
}

func parseRequest(text string) (at time.Time, uptime time.Duration, err error) {
	first, second, _ := strings.Cut(strings.TrimSpace(text), " ")
	at, err = time.Parse(time.RFC3339, first)
	if err == nil {
		uptime, err = time.ParseDuration(second + "s")
	}
	if err != nil {
		return time.Time{}, 0, errors.New("the request to set the clock cannot be read") // it is not ours: nothing of it is shown
	}
	return at, uptime, nil
}

// carryOutClock is root's side: it sets the clock as the gateway has asked, once,
// and reports whether it did. The gateway is not believed: what it may ask for is
// looked at again.
func carryOutClock(system board.System, log *slog.Logger) (done bool, err error) {
	text, err := readPlain(system.ClockRequest(), 100)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("setting the clock: %w", err)
	}
	request := strings.TrimSpace(string(text))
	if request == system.HandNote() {
		return false, nil // it was carried out
	}
	at, asked, err := parseRequest(request)
	if err != nil {
		return false, err
	}
	passed := system.Uptime() - asked
	if passed < 0 || passed > freshRequest {
		return false, nil
	}
	at = at.Add(passed)
	if err := newClock(system, log).refuses(at); err != nil {
		return false, fmt.Errorf("the clock is not set: %w", err)
	}
	return true, system.SetClock(at, request)
}

// setClock carries the gateway's request out. Of a system that does not run,
// there is no clock to set.
func (c *applyCommand) setClock() (done bool, err error) {
	system := board.System{}
	if c.Root != "/" {
		system = board.System{Proc: filepath.Join(c.Root, "proc"), Sys: filepath.Join(c.Root, "sys"), Run: filepath.Join(c.Root, "run"), Var: filepath.Join(c.Root, "var")}
		system.SetKernel = func(time.Time) error { return errors.ErrUnsupported }
	}
	return carryOutClock(system, slog.New(slog.DiscardHandler))
}
