package main

import (
	"context"
	"sync"
	"time"

	"github.com/assaygate/assaygate/device/console"
	"github.com/assaygate/assaygate/device/live"
)

// mostChecks is how many checks of lines go on at a time. One more ends the one
// that nobody has looked at for the longest time; who then looks begins anew.
const mostChecks = 32

// checks are the checks of lines that persons make. Nothing of them is kept but in
// memory.
type checks struct {
	mu     *sync.Mutex
	list   map[checkOf]*check
	prober *prober
}

func newChecks() checks {
	return checks{mu: &sync.Mutex{}, list: map[checkOf]*check{}, prober: newProber()}
}

// checkOf is whose check it is, and of which instrument.
type checkOf struct{ person, instrument string }

// check is what counts are compared with.
type check struct {
	begun, sent time.Time // sent is zero until the person said so
	looked      time.Time
	counts      map[string]lineCounts // by the names of the instruments of the line
	traffic     live.Counters
	taken       map[string]uint64 // by destination
	sequence    uint64            // of the newest message in the store; 0 where there was no store
	read        readMessage
}

// look returns the check as it stands, and begins it where there is none.
func (c *checks) look(of checkOf, begin func() check) check {
	c.mu.Lock()
	defer c.mu.Unlock()
	one := c.list[of]
	if one == nil {
		one = c.put(of, begin())
	}
	one.looked = time.Now()
	return *one
}

// begin begins it anew.
func (c *checks) begin(of checkOf, with check) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.put(of, with)
}

// change changes a check that goes on.
func (c *checks) change(of checkOf, by func(*check)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if one := c.list[of]; one != nil {
		by(one)
	}
}

// put adds a check, and ends another one where there are too many. The caller holds
// the lock.
func (c *checks) put(of checkOf, with check) *check {
	if _, there := c.list[of]; !there && len(c.list) >= mostChecks {
		var oldest checkOf
		for other, one := range c.list {
			if at := c.list[oldest]; at == nil || one.looked.Before(at.looked) {
				oldest = other
			}
		}
		delete(c.list, oldest)
	}
	with.looked = time.Now()
	c.list[of] = &with
	return &with
}

// beginCheck is a check that begins now.
func (d *daemon) beginCheck(ctx context.Context, instrument string) check {
	c := check{begun: time.Now(), counts: map[string]lineCounts{}, taken: map[string]uint64{}}
	line, _ := d.live.Line(instrument)
	c.traffic = line.Counters
	for _, name := range line.Instruments {
		c.counts[name] = d.tally.line(name).counts
	}
	for _, one := range d.config().Destinations {
		c.taken[one.Name] = d.tally.destination(one.Name).taken
	}
	if store, err := d.openedStore(); err == nil {
		if status, err := store.Status(ctx); err == nil {
			c.sequence = status.LastSequence
		}
	}
	return c
}

// beginCheckOf begins a person's check anew.
func (d *daemon) beginCheckOf(ctx context.Context, of console.CheckOf) {
	d.checks.begin(checkOf{of.Person, of.Instrument}, d.beginCheck(ctx, of.Instrument))
}

// sentInCheck notes that the person has had the analyser send.
func (d *daemon) sentInCheck(of console.CheckOf) {
	d.checks.change(checkOf{of.Person, of.Instrument}, func(c *check) { c.sent = time.Now() })
}
