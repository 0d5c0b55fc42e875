package spool

import (
	"crypto/rand"
	"time"

	"github.com/assaygate/assaygate/envelope"
)

// stamp is one moment as the box knew it. Without a clock only moments of the
// same boot can be compared.
type stamp struct {
	at        time.Time
	clock     string
	boot      int64 // row in boots
	monotonic int64 // nanoseconds since the boot
}

// age returns the time from an earlier stamp to s, and whether it is known.
func (s stamp) age(earlier stamp) (age time.Duration, known bool) {
	switch {
	case s.clock == envelope.ClockSet && earlier.clock == envelope.ClockSet:
		return max(0, s.at.Sub(earlier.at)), true
	case s.boot == earlier.boot:
		return max(0, time.Duration(s.monotonic-earlier.monotonic)), true
	}
	return 0, false
}

// clock gives stamps.
type clock struct {
	now       func() time.Time
	set       func() bool
	boot      string
	row       int64 // of boot in boots, once the store is open for writing
	monotonic func() int64
}

func newClock(now func() time.Time, set func() bool) clock {
	if now == nil {
		now = time.Now
	}
	if set == nil {
		set = func() bool { return true }
	}
	boot, monotonic := bootTime()
	return clock{now: now, set: set, boot: boot, monotonic: monotonic}
}

func (c *clock) stamp() stamp {
	s := stamp{at: c.now().UTC(), clock: envelope.ClockUnset, boot: c.row, monotonic: c.monotonic()}
	if c.set() {
		s.clock = envelope.ClockSet
	}
	return s
}

// processTime stands in for the boot's time: ages are then known within one
// process only.
func processTime() (id string, monotonic func() int64) {
	start := time.Now()
	return rand.Text(), func() int64 { return int64(time.Since(start)) }
}
