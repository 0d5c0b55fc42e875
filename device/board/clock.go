package board

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// Synchronised reports whether the system's clock follows a time server, or has
// done so since it was started: systemd-timesyncd leaves a note of that, and the
// kernel knows of all others.
func (s System) Synchronised() bool {
	if _, err := os.Stat(s.run("systemd", "timesync", "synchronized")); err == nil {
		return true
	}
	return s.Run == "" && kernelSynchronised() // a made-up system has no kernel
}

// RTC is the time of the clock that a battery keeps. It is not known where the
// box has none, or where the battery was empty and the clock says so.
func (s System) RTC() (at time.Time, known bool) {
	clocks, _ := filepath.Glob(s.sys("class", "rtc", "rtc*"))
	for _, clock := range clocks {
		seconds, err := strconv.ParseInt(read(clock, "since_epoch"), 10, 64)
		if err == nil && seconds > 0 {
			return time.Unix(seconds, 0).UTC(), true
		}
	}
	return time.Time{}, false
}

// SavedTime is the newest time that systemd-timesyncd has kept for boxes without
// a battery: it starts the clock from there. Zero where nothing is kept.
func (s System) SavedTime() time.Time {
	info, err := os.Stat(s.under(s.Var, "/var", "lib", "systemd", "timesync", "clock"))
	if err != nil {
		return time.Time{}
	}
	return info.ModTime()
}

// Uptime is how long ago the system was started, zero where that is not told.
func (s System) Uptime() time.Duration {
	seconds, _, _ := strings.Cut(read(s.under(s.Proc, "/proc"), "uptime"), " ")
	up, _ := time.ParseDuration(seconds + "s") // 0 where it is something else
	return max(0, up)
}

// SetByHand reports whether a person has set the clock since the system was
// started, by [System.SetClock].
func (s System) SetByHand() bool { return s.HandNote() != "" }

// HandNote is what was noted when the clock was set last, "" where it was not.
func (s System) HandNote() string { return read(s.run(), handNote) }

// SetClock sets the system's clock, and that of the battery where there is one,
// and keeps the note until the system is started again. It needs root. What it
// cannot do for the battery's clock is no error: the box has the time until it is
// switched off.
func (s System) SetClock(at time.Time, note string) error {
	set := setKernelClock
	if s.SetKernel != nil {
		set = s.SetKernel
	}
	if err := set(at); err != nil {
		return fmt.Errorf("setting the clock: %w", err)
	}
	if err := os.WriteFile(s.run(handNote), []byte(note+"\n"), 0o644); err != nil {
		return fmt.Errorf("noting that the clock was set: %w", err)
	}
	return nil
}

// handNote is root's own: the gateway cannot claim it.
const handNote = "assaygate-clock-set"

// ClockRequest is the file by which the gateway asks root to set the clock.
func (s System) ClockRequest() string { return s.run("assaygate", "set-clock") }

func (s System) run(parts ...string) string { return s.under(s.Run, "/run", parts...) }
