package main

import (
	"time"

	"github.com/assaygate/assaygate/device/instrument"
	"github.com/assaygate/assaygate/uplink/capture"
)

// veiledNote stands in the head of a trace that holds no text.
const veiledNote = "an allowlist is configured, so text is left out: <N bytes> stands for it, with a digest where its frame or block ends; the key of the digests holds for this opening of the line"

// traced are the directories of the capture destinations that ask for what goes
// over the wire, by the names of these.
func (c Config) traced() map[string]string {
	list := map[string]string{}
	for _, d := range c.Destinations {
		if d.Capture != nil && d.Capture.Wire {
			list[d.Name] = d.Capture.Directory
		}
	}
	return list
}

// startTraces makes traces in the directories, until they are stopped, and
// returns the tap for the lines. These must not be open yet, and must have ended
// before the traces do.
func (g *gateway) startTraces(directories map[string]string) func(instrument.LineName) instrument.Tap {
	var traces []*capture.Trace
	for _, name := range sortedKeys(directories) {
		trace := capture.NewTrace(directories[name], g.log.With("destination", name))
		g.traces.start(name, nil, trace.Run)
		traces = append(traces, trace)
	}
	if traces == nil {
		return nil
	}
	return func(line instrument.LineName) instrument.Tap {
		var notes []string
		if line.Veiled {
			notes = append(notes, veiledNote)
		}
		var tap wireTap
		for _, trace := range traces {
			tap = append(tap, trace.Open(line.Instrument, line.Remote, notes...))
		}
		return tap
	}
}

// wireTap puts what it is told into traces, which do not wait.
type wireTap []*capture.Line

// Received implements instrument.Tap.
func (w wireTap) Received(at time.Time, pieces []instrument.Piece) {
	w.add(at, capture.Received, pieces)
}

// Sent implements instrument.Tap.
func (w wireTap) Sent(at time.Time, pieces []instrument.Piece) { w.add(at, capture.Sent, pieces) }

// Ended implements instrument.Tap.
func (w wireTap) Ended(at time.Time) {
	for _, line := range w {
		line.Close(at)
	}
}

func (w wireTap) add(at time.Time, mark capture.Mark, pieces []instrument.Piece) {
	e := capture.Entry{At: at, Mark: mark, Pieces: make([]capture.Piece, 0, len(pieces))}
	for _, p := range pieces {
		e.Pieces = append(e.Pieces, capture.Piece(p))
	}
	for _, line := range w {
		line.Add(e)
	}
}
