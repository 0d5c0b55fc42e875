package main

import (
	"time"

	"github.com/assaygate/assaygate/device/instrument"
	"github.com/assaygate/assaygate/device/live"
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

// startTaps makes traces in the directories, until they are stopped, and gives the
// lines of the service their taps: who looks on, and these traces. The lines must
// not be open yet, and must have ended before the traces do.
func (g *gateway) startTaps(service *instrument.Service, directories map[string]string) {
	var traces []*capture.Trace
	for _, name := range sortedKeys(directories) {
		trace := capture.NewTrace(directories[name], g.log.With("destination", name))
		g.traces.start(name, nil, trace.Run)
		traces = append(traces, trace)
	}
	service.Digests = func() bool { return len(traces) > 0 || g.live.Watched() }
	service.Tap = func(line instrument.LineName) instrument.Tap {
		var notes []string
		if line.Veiled {
			notes = append(notes, veiledNote)
		}
		tap := lineTap{live: g.live.Open(time.Now(), line.Instrument, line.Remote, line.Veiled)}
		for _, trace := range traces {
			tap.traces = append(tap.traces, trace.Open(line.Instrument, line.Remote, notes...))
		}
		return tap
	}
}

// lineTap puts what it is told where a person can look on, and into traces. Neither
// waits.
type lineTap struct {
	live   *live.Opening
	traces []*capture.Line
}

// Received implements instrument.Tap.
func (l lineTap) Received(at time.Time, pieces []instrument.Piece) {
	l.live.Received(at, livePieces(pieces))
	l.trace(at, capture.Received, pieces)
}

// Sent implements instrument.Tap.
func (l lineTap) Sent(at time.Time, pieces []instrument.Piece) {
	l.live.Sent(at, livePieces(pieces))
	l.trace(at, capture.Sent, pieces)
}

// Timer implements instrument.Tap. Traces hold bytes only.
func (l lineTap) Timer(at time.Time, text string) { l.live.Note(at, live.Timer, text) }

// Note implements instrument.Tap.
func (l lineTap) Note(at time.Time, text string) { l.live.Note(at, live.Note, text) }

// Ended implements instrument.Tap.
func (l lineTap) Ended(at time.Time) {
	l.live.End(at)
	for _, line := range l.traces {
		line.Close(at)
	}
}

func livePieces(pieces []instrument.Piece) []live.Piece {
	list := make([]live.Piece, 0, len(pieces))
	for _, p := range pieces {
		list = append(list, live.Piece(p))
	}
	return list
}

func (l lineTap) trace(at time.Time, mark capture.Mark, pieces []instrument.Piece) {
	if len(l.traces) == 0 {
		return
	}
	e := capture.Entry{At: at, Mark: mark, Pieces: make([]capture.Piece, 0, len(pieces))}
	for _, p := range pieces {
		e.Pieces = append(e.Pieces, capture.Piece(p))
	}
	for _, line := range l.traces {
		line.Add(e)
	}
}
