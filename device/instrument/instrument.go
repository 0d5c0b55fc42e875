// Package instrument runs the lines of connected instruments: it reads bytes,
// steps the protocol, has the message understood, stores it, and only then
// acknowledges it.
//
// One goroutine runs one line, from its first byte to its end; nothing is
// handed over to another, so nothing can be acknowledged that is not stored.
// The commit point of an ASTM message is the ACK of the frame that completes
// it; of an HL7 message the CA or AA. If the store fails, that frame gets NAK and
// that message CE or AE, and the instrument keeps its result. The messages of an HL7
// batch are stored and answered one by one.
package instrument

import (
	"context"
	"log/slog"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/assaygate/assaygate/device/port"
	"github.com/assaygate/assaygate/device/profile"
	"github.com/assaygate/assaygate/envelope"
	"github.com/assaygate/assaygate/envelope/spool"
)

// Instrument is one configured instrument.
type Instrument struct {
	Name     string
	Settings Settings
	// AllowFrom and TLS guard the listener: the networks that connections may
	// come from, none meaning any, and the TLS that they must speak, nil meaning
	// none. A dialled line has its TLS in port.Settings.
	AllowFrom []netip.Prefix
	TLS       *port.TLS
}

// Service is what all lines of a box share. Its fields are set once, before the
// first line.
type Service struct {
	Profiles *profile.Set
	Spool    *spool.Spool
	Clock    func() string        // envelope.ClockSet or envelope.ClockUnset
	Grace    func() time.Duration // how long a message in progress may go on after the end; nil: not at all
	Log      *slog.Logger
	Observer Observer
	Worklist Worklist // what is to be measured; nil: nothing is known
	// Tap gives each line that is opened its tap; nil for none, and so may be what
	// it returns. It is called from many goroutines.
	Tap func(LineName) Tap
	// Digests reports whether taps want digests of hidden text just now; nil:
	// always. They cost as much as the protocol does, so that nothing is to be
	// digested for nobody. It is called from many goroutines.
	Digests func() bool
	// Trouble is told why a line could not be opened, or a connection was not let
	// in: its error wraps a port.Refusal or a port.HandshakeError where it is one, and
	// names who it is about. Nil says that the line is open. It is called from many
	// goroutines and must not block. Nil: nobody asks.
	Trouble func(instrument string, err error)
	// Watch is called for each accepted connection, from its goroutine. The
	// connection calls progress at least every 10 s while nothing comes, and ended
	// at its end. Nil: nobody watches.
	Watch func(instrument, remote string) (progress, ended func())

	news once         // what was said of senders that the box refuses
	room room         // for messages that are taken apart and stored
	held atomic.Int64 // bytes of unfinished messages on all lines
}

// mostHeld is how many bytes of unfinished messages all lines together may
// hold. A line that has less than freeHeld does not count, so that common
// messages come through whatever the others do; a message that is alone may be
// as long as limits.message says.
const (
	mostHeld = 32 << 20
	freeHeld = 64 << 10
)

// grace is Grace as it is now.
func (s *Service) grace() time.Duration {
	if s.Grace == nil {
		return 0
	}
	return s.Grace()
}

// trouble tells Trouble.
func (s *Service) trouble(instrument string, err error) {
	if s.Trouble != nil {
		s.Trouble(instrument, err)
	}
}

// Observer is told what happens on the lines, for metrics. It is called from
// many goroutines and must not block.
type Observer interface {
	// Message counts a message by outcome: see the outcomes below.
	Message(instrument string, protocol envelope.Protocol, outcome string)
	// Query counts what became of a query: see QueryOutcomes.
	Query(instrument, outcome string)
	// NegativeAck counts a NAK, AE or AR.
	NegativeAck(instrument, reason string)
	// SerialErrors counts what a serial driver found: parity, framing,
	// overrun, break.
	SerialErrors(instrument, kind string, n uint64)
	// Up tells whether a line is there: serial opened, dial connected,
	// listener bound.
	Up(instrument string, up bool)
	// Connections, Sessions and Commits change counts of what is going on.
	Connections(instrument string, delta int)
	Sessions(delta int)
	Commits(delta int)
	// Committed is how long a commit took, NotCommitted why one has failed.
	Committed(took time.Duration)
	NotCommitted(err error)
}

// The outcomes of messages.
const (
	Received   = "received"   // whole
	Parsed     = "parsed"     // whole and without a problem
	Rejected   = "rejected"   // answered with a final NAK, AE or AR
	Incomplete = "incomplete" // the session broke off
)

// commitTimeout is how long a commit may take: LIS01-A2 8.3.2 gives the
// receiver 15 seconds for its answer.
const commitTimeout = 10 * time.Second

// store keeps a message and waits until it is durable. The deadline is its own:
// a line that ends meanwhile must not leave the outcome open.
func (s *Service) store(ctx context.Context, put func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), commitTimeout)
	defer cancel()
	s.Observer.Commits(1)
	defer s.Observer.Commits(-1)
	begun := time.Now()
	err := put(ctx)
	if err != nil {
		s.Observer.NotCommitted(err)
		return err
	}
	s.Observer.Committed(time.Since(begun))
	return nil
}
