package main

import (
	"log/slog"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/assaygate/assaygate/device/board"
	"github.com/assaygate/assaygate/envelope"
)

const (
	// waitForTime is how long after the start of the system a source of time may
	// still turn up, before certificates are judged without one.
	waitForTime = 15 * time.Minute
	// lookForTime is how often such a source is looked for.
	lookForTime = 5 * time.Second
	// sameTime is how far apart two clocks are that tell the same time.
	sameTime = 2 * time.Minute
	// longestLife bounds what a clock may say from above.
	longestLife = 20 * 365 * 24 * time.Hour
)

// firstBuild is before any build of this program: what a build without its time
// holds against the clock.
var firstBuild = time.Date(2025, time.January, 1, 0, 0, 0, 0, time.UTC)

// clock judges the system's clock, which on a small box begins in 1970, or where
// it stood when the box lost its power.
type clock struct {
	board  board.System
	log    *slog.Logger
	now    func() time.Time // the system's clock
	built  time.Time        // zero in development
	saved  time.Time        // where the clock of a system without a battery goes on from
	stored time.Time        // of the newest file of the store, at the start of the program
	booted time.Time        // of the system, by the monotonic clock

	mu     sync.Mutex
	known  bool // once set, a clock stays set
	looked time.Time
	warned bool
}

func newClock(system board.System, log *slog.Logger) *clock {
	c := &clock{board: system, log: log, now: time.Now, saved: system.SavedTime()}
	c.booted = time.Now().Add(-system.Uptime())
	if seconds, err := strconv.ParseInt(buildTime, 10, 64); err == nil {
		c.built = time.Unix(seconds, 0)
	}
	return c
}

// remember looks when the store was written to last: no clock can be before that.
func (c *clock) remember(store string) {
	files, _ := os.ReadDir(store) // none where there is none yet
	for _, file := range files {
		if info, err := file.Info(); err == nil && info.Mode().IsRegular() && info.ModTime().After(c.stored) {
			c.stored = info.ModTime()
		}
	}
}

// clockSet asks once whether this computer knows the time: for tools.
func clockSet() bool { return newClock(board.System{}, slog.New(slog.DiscardHandler)).set() }

// set reports whether the time of the box can be trusted.
func (c *clock) set() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.known || !c.looked.IsZero() && time.Since(c.looked) < lookForTime {
		return c.known
	}
	c.looked = time.Now()
	c.known = c.look()
	return c.known
}

// judges reports whether what is signed, and waves, can be judged by the time of the
// box: a time server, or a person, may have set it to one before this program was built.
func (c *clock) judges() bool { return c.set() && !c.now().Before(c.build()) }

// look asks what can know: a time server, a person, a battery. Without any of
// them a clock that is plausible is believed, but for one that went on from
// where it stood when the power went: nobody knows how long ago that was.
func (c *clock) look() bool {
	if c.board.Synchronised() || c.board.SetByHand() {
		return true
	}
	now := c.now()
	if !c.plausible(now) {
		return false
	}
	if rtc, has := c.board.RTC(); has {
		return c.plausible(rtc) && rtc.Sub(now).Abs() < sameTime
	}
	return c.saved.IsZero() || now.Add(-time.Since(c.booted)).After(c.saved)
}

// word is what an envelope says of its time.
func (c *clock) word() string {
	if c.set() {
		return envelope.ClockSet
	}
	return envelope.ClockUnset
}

// build is when the program was built, as far as that is known.
func (c *clock) build() time.Time { return later(firstBuild, c.built) }

// oldest is what a clock that nobody has set cannot be before.
func (c *clock) oldest() time.Time { return later(c.build(), later(c.saved, c.stored)) }

func (c *clock) plausible(at time.Time) bool {
	oldest := c.oldest()
	return !at.Before(oldest) && at.Before(oldest.Add(longestLife))
}

// tls is the time at which certificates must be valid. It is the system's while
// that can be right, and for as long as it may still be put right: a connection
// fails until then, and is tried again. In a laboratory without any source of
// time it is then the last one that is known, so that its LIMS is reached.
func (c *clock) tls() time.Time {
	now := c.now()
	if c.plausible(now) || c.set() || time.Since(c.booted) < waitForTime {
		return now
	}
	oldest := c.oldest()
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.warned {
		c.warned = true
		c.log.Warn("the clock is not set, and nothing sets it: certificates are judged by the last time that is known; connect a time server, or set the clock",
			"clock", now.UTC(), "judged_by", oldest.UTC())
	}
	return oldest
}
