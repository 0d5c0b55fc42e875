package main

import (
	"errors"
	"maps"
	"sync"

	"github.com/assaygate/assaygate/device/instrument"
	"github.com/assaygate/assaygate/device/port"
	"github.com/assaygate/assaygate/envelope"
)

// tally is an [instrument.Observer] before another one. It keeps what a check of a
// line compares: how often each thing happened, and how that stood when the newest
// whole message had come over the line. What was refused before that has come right.
type tally struct {
	instrument.Observer
	// first names the first one of the instruments that share the line of this one,
	// which is what is counted of the line as a whole.
	first func(instrument string) string

	mu           sync.Mutex
	lines        map[string]*lineTally
	destinations map[string]destinationTally
}

// lineTally is what is known of one instrument's line since the start.
type lineTally struct {
	counts  lineCounts
	atWhole lineCounts        // as counts stood at the newest whole message
	refused map[string]string // why the newest connection was refused, by reason
	shut    error             // why the line cannot be opened; nil while it is open

	protocol envelope.Protocol // that it speaks, by its profile where the file does not say
	model    string            // for what its profile is; "" where none is set
}

// lineCounts are counts by what is counted: see the names.
type lineCounts map[string]uint64

// What is counted beside negative acknowledgements and serial errors, which have
// their own names behind these prefixes.
const (
	countWhole       = "whole"
	countQuery       = "query"
	countConnections = "connections"
	refusedPrefix    = "refused "
	serialPrefix     = "serial "
)

// destinationTally is what is known of one destination.
type destinationTally struct {
	last  string // of uplink.Results
	taken uint64
}

func newTally(before instrument.Observer, first func(string) string) *tally {
	return &tally{Observer: before, first: first, lines: map[string]*lineTally{}, destinations: map[string]destinationTally{}}
}

// change changes the tally of an instrument.
func (t *tally) change(name string, by func(*lineTally)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	line := t.lines[name]
	if line == nil {
		line = &lineTally{counts: lineCounts{}, refused: map[string]string{}}
		t.lines[name] = line
	}
	by(line)
}

func (t *tally) add(name, what string, n uint64) {
	t.change(name, func(l *lineTally) { l.counts[what] += n })
}

// line returns the tally of an instrument as it is now.
func (t *tally) line(name string) (l lineTally) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if now := t.lines[name]; now != nil {
		l = *now
		l.counts, l.atWhole, l.refused = maps.Clone(now.counts), maps.Clone(now.atWhole), maps.Clone(now.refused)
	}
	return l
}

// speaks notes what the line of an instrument speaks, and for what its profile is.
func (t *tally) speaks(name string, protocol envelope.Protocol, model string) {
	t.change(name, func(l *lineTally) { l.protocol, l.model = protocol, model })
}

// forget removes what is known of an instrument that there is no longer.
func (t *tally) forget(name string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.lines, name)
}

// forgetDestination is the same for a destination.
func (t *tally) forgetDestination(name string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.destinations, name)
}

// Message implements instrument.Observer.
func (t *tally) Message(name string, protocol envelope.Protocol, outcome string) {
	t.Observer.Message(name, protocol, outcome)
	if outcome == instrument.Queried { // of HL7; those of ASTM come by Query too
		t.add(name, countQuery, 1)
	}
	if outcome != instrument.Received {
		return
	}
	t.add(name, countWhole, 1)
	for _, one := range []string{name, t.first(name)} {
		t.change(one, func(l *lineTally) { l.atWhole = maps.Clone(l.counts) })
	}
}

// Query implements instrument.Observer.
func (t *tally) Query(name, outcome string) {
	t.Observer.Query(name, outcome)
	t.add(name, countQuery, 1)
}

// NegativeAck implements instrument.Observer.
func (t *tally) NegativeAck(name, reason string) {
	t.Observer.NegativeAck(name, reason)
	t.add(name, refusedPrefix+reason, 1)
}

// SerialErrors implements instrument.Observer.
func (t *tally) SerialErrors(name, kind string, n uint64) {
	t.Observer.SerialErrors(name, kind, n)
	t.add(name, serialPrefix+kind, n)
}

// Connections implements instrument.Observer.
func (t *tally) Connections(name string, delta int) {
	t.Observer.Connections(name, delta)
	if delta > 0 {
		t.add(name, countConnections, uint64(delta))
	}
}

// trouble is instrument.Service.Trouble.
func (t *tally) trouble(name string, err error) {
	var refusal port.Refusal
	var handshake *port.HandshakeError
	t.change(name, func(l *lineTally) {
		switch {
		case errors.As(err, &refusal):
			l.refused[string(refusal)] = err.Error()
		case errors.As(err, &handshake):
			l.refused["tls"] = err.Error()
			l.shut = err
		default:
			l.shut = err
		}
	})
}

// attempted notes what came of an attempt to deliver.
func (t *tally) attempted(destination, result string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	d := t.destinations[destination]
	d.last = result
	t.destinations[destination] = d
}

// delivered notes that a destination has taken a message.
func (t *tally) delivered(destination string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	d := t.destinations[destination]
	d.taken++
	t.destinations[destination] = d
}

func (t *tally) destination(name string) destinationTally {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.destinations[name]
}

// firstOnLine is the first one of the instruments that share the line of this one.
func (d *daemon) firstOnLine(name string) string {
	if line, known := d.live.Line(name); known && len(line.Instruments) > 0 {
		return line.Instruments[0]
	}
	return name
}

var _ instrument.Observer = (*tally)(nil)
