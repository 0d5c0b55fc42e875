package instrument

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// A line is noisy while it had noisyErrors or more within noisyWithin, and until
// there was none for as long.
const (
	noisyErrors = 3
	noisyWithin = 10 * time.Minute
	// noisyTick is how often it is looked whether a line has become quiet.
	noisyTick = 10 * time.Second
)

// Noise is an [Observer] before another one. It tells which lines are noisy:
// parity, framing and overrun errors that a serial driver counted, and frames
// refused for their checksum, on whatever line, have one cause, the way between
// the instrument and the box. A break is none: an instrument that is switched
// off makes one. What Noise finds is for people; no line is treated otherwise
// for it.
type Noise struct {
	Observer              // is told everything
	Log      *slog.Logger // gets one line when noise begins, one when it ends
	// Noisy is told the same for metrics and console. It must not block.
	Noisy func(instrument string, noisy bool)

	mu    sync.Mutex
	lines map[string]*noise
}

// noise is what one instrument's lines had.
type noise struct {
	last   [noisyErrors]time.Time // the newest errors, oldest first
	serial bool                   // the driver has counted any since it was quiet
	noisy  bool
}

// SerialErrors implements Observer.
func (n *Noise) SerialErrors(instrument, kind string, count uint64) {
	n.Observer.SerialErrors(instrument, kind, count)
	if kind != "break" {
		n.add(instrument, count, true)
	}
}

// NegativeAck implements Observer.
func (n *Noise) NegativeAck(instrument, reason string) {
	n.Observer.NegativeAck(instrument, reason)
	if reason == reasonChecksum {
		n.add(instrument, 1, false)
	}
}

func (n *Noise) add(instrument string, count uint64, serial bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.lines == nil {
		n.lines = map[string]*noise{}
	}
	line := n.lines[instrument]
	if line == nil {
		line = &noise{}
		n.lines[instrument] = line
	}
	now := time.Now()
	for range min(count, noisyErrors) {
		copy(line.last[:], line.last[1:])
		line.last[noisyErrors-1] = now
	}
	line.serial = line.serial || serial
	if line.noisy || now.Sub(line.last[0]) > noisyWithin {
		return
	}
	line.noisy = true
	n.Noisy(instrument, true)
	n.Log.Warn("line is noisy", "instrument", instrument, "hint", line.hint())
}

// hint is what a person can do.
func (l *noise) hint() string {
	if l.serial {
		return "bytes arrive damaged: check the cable, its ground and its plugs, then baud rate and parity on both sides"
	}
	return "frames arrive with wrong checksums: check cable, ground, baud rate and parity, also of a converter in between; " +
		"if every frame is refused the instrument counts otherwise: set quirks.checksum: ignore"
}

// Run tells which lines have become quiet, until ctx ends.
func (n *Noise) Run(ctx context.Context) {
	tick := time.NewTicker(noisyTick)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			n.settle()
		}
	}
}

// Forget forgets an instrument that there is no longer, once its lines have ended.
func (n *Noise) Forget(instrument string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.lines, instrument)
}

func (n *Noise) settle() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for instrument, line := range n.lines {
		if time.Since(line.last[noisyErrors-1]) < noisyWithin {
			continue
		}
		delete(n.lines, instrument)
		if line.noisy {
			n.Noisy(instrument, false)
			n.Log.Info("line is quiet again", "instrument", instrument, "without_errors_for", noisyWithin.String())
		}
	}
}
