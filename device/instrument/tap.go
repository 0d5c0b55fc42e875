package instrument

import (
	"fmt"
	"log/slog"
	"time"

	"github.com/assaygate/assaygate/device/port"
)

// Tap is told what goes over one line, in the order and with the times in which
// this side saw it. Its methods are called from the line's goroutine, before the
// line goes on, so they must not wait for anything; they must not keep the bytes.
//
// A tap never sees what an allowlist keeps out. Where one is configured, for
// whatever protocol, text has no bytes here, only its length: no single read can
// be scrubbed, and which record a byte belongs to is known only later. What is
// left are the characters that steer the line, the numbers of frames, the code of
// an HL7 acknowledgement, and a digest of each text.
type Tap interface {
	// Received and Sent are told of what one read or one write has moved.
	Received(at time.Time, pieces []Piece)
	Sent(at time.Time, pieces []Piece)
	// Timer and Note are told, in words of this package, of a timer that starts or
	// has run out, and of what was decided.
	Timer(at time.Time, text string)
	Note(at time.Time, text string)
	// Ended is the last call.
	Ended(at time.Time)
}

// Piece is a part of what was moved.
type Piece struct {
	Bytes  []byte
	Hidden int // how many bytes are left out in place of Bytes
	// Digest is of all of the text of the frame or block that ends here, with a
	// key that holds for this opening of the line; "" for none, also where nobody
	// wanted one when it began.
	Digest string
}

// LineName says which line is tapped.
type LineName struct {
	Instrument string // the first one, where several share a line
	Remote     string // the peer's address, or the port's name
	Veiled     bool   // text is left out: there is an allowlist
}

// tapped is a line that tells a tap.
type tapped struct {
	port.Line
	tap  Tap
	veil *veil // nil: everything is shown
	log  *slog.Logger
}

// tapped returns the line with its tap, nil if it gets none, and what is to be
// called when the line has ended.
func (s *Service) tapped(conn port.Line, remote, instrument string, log *slog.Logger) (_ *tapped, end func()) {
	if s.Tap == nil {
		return nil, func() {}
	}
	t := &tapped{Line: conn, log: log}
	if s.Profiles.Scrubs() {
		t.veil = newVeil(s.Digests)
	}
	t.safely(func() { t.tap = s.Tap(LineName{Instrument: instrument, Remote: remote, Veiled: t.veil != nil}) })
	if t.tap == nil {
		return nil, func() {}
	}
	return t, func() { t.tell(func(tap Tap) { tap.Ended(time.Now()) }) }
}

func (t *tapped) Read(p []byte) (int, error) {
	n, err := t.Line.Read(p)
	if n > 0 {
		t.tell(func(tap Tap) { tap.Received(time.Now(), t.pieces(p[:n], false)) })
	}
	return n, err
}

func (t *tapped) Write(p []byte) (int, error) {
	n, err := t.Line.Write(p)
	if n > 0 {
		t.tell(func(tap Tap) { tap.Sent(time.Now(), t.pieces(p[:n], true)) })
	}
	return n, err
}

func (t *tapped) pieces(data []byte, sent bool) []Piece {
	switch {
	case t.veil == nil:
		return []Piece{{Bytes: data}}
	case sent:
		return t.veil.sent.pieces(data, acknowledgmentCode(data))
	}
	return t.veil.received.pieces(data, shownPart{})
}

// tell tells the tap something; on nil, nobody.
func (t *tapped) tell(what func(Tap)) {
	if t != nil && t.tap != nil {
		t.safely(func() { what(t.tap) })
	}
}

// safely ends the tap where it panics: a fault in looking on must not end a line.
func (t *tapped) safely(f func()) {
	defer func() {
		if p := recover(); p != nil { // its value is left out: it may hold bytes of a message
			t.tap = nil
			t.log.Error("a fault in this program ended a wire trace; the line goes on", "type", fmt.Sprintf("%T", p))
		}
	}()
	f()
}
