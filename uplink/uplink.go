// Package uplink moves messages from the spool to their destinations: the
// oldest first, in order within a lane, without end.
//
// A lane is one recognised instrument. Its messages go out one after the
// other; the lanes do not wait for each other. What the destination takes is
// noted as delivered. What it will never take is parked for a person. All else
// is tried again, after 1 s at first and after 5 minutes at most, for as long
// as it takes: an outage of a week ends with everything delivered.
//
// The difficult case is a destination that answers "error": the message may be
// the cause (it would be refused for ever, and its lane with it), or the
// destination may be unwell (and would refuse everything). See [Run] for the
// rule that tells them apart.
package uplink

import (
	"context"
	"log/slog"
	"time"

	"github.com/assaygate/assaygate/envelope"
	"github.com/assaygate/assaygate/envelope/spool"
)

// Destination takes messages. Deliver may be called from several goroutines at
// once where Options.InFlight allows it.
type Destination interface {
	// Name is the destination's name in the configuration and in the spool.
	Name() string
	// Deliver hands over one envelope and returns nil once the destination has
	// taken it. Otherwise the error is a [*Failure] that says what to do; any
	// other error counts as [Transient]. The error's text is stored, shown and
	// logged: it must not hold anything of the message's content.
	Deliver(ctx context.Context, e envelope.Envelope) error
	// Probe returns nil when the destination works as far as can be told
	// without a message.
	Probe(ctx context.Context) error
}

// Scoped is a [Destination] whose messages go to several receivers behind it.
// A [Hold] of one scope lets the messages of the others go on.
type Scoped interface {
	// Scope names the receiver of e. It is what Failure.Scope holds.
	Scope(e envelope.Envelope) string
}

// Options is what the process gives to [Run]. Its zero value works.
type Options struct {
	// InFlight is how many messages of different lanes are handed over at the
	// same time; less than 1 means 1.
	InFlight int
	// Grace is how long deliveries in progress may go on after ctx has ended.
	// What is cut off may have been taken, and is sent again at the next start.
	Grace time.Duration
	// Log is nil for none.
	Log *slog.Logger
	// Progress is called at every turn of the loop and at most 5 s apart while
	// it waits, but not when a delivery is stuck. May be nil.
	Progress func()
	// Observer is told what happens, for metrics.
	Observer Observer
}

// Observer is a set of callbacks; each may be nil. They are called from the
// goroutine of Run and must not block.
type Observer struct {
	// Attempt is called after each attempt with one of [Results].
	Attempt func(result string)
	// Delivered is called when the destination has taken e and that is noted;
	// took is how long the destination needed.
	Delivered func(e envelope.Envelope, took time.Duration)
	// Held is called when the reason why messages are held changes; "" when
	// they are not held any more.
	Held func(reason string)
}

// Run delivers what is pending for the destination until ctx ends, and then
// returns nil. Any other end is an error: the spool is closed. One Run at a
// time may serve a destination; a new Run begins without back-off and holds,
// so restarting it is what a change of settings needs.
//
// What happens with a message that was not taken depends on the failure's kind:
//
//   - [Transient] and [Unknown]: tried again, never counted against it.
//   - [Invalid]: parked at once.
//   - [Hold]: the destination, or the scope that the failure names, gets one
//     request every 5 minutes until it takes one.
//   - [Refusal]: tried again, and the fifth counted refusal parks it. A
//     refusal counts only when the destination has taken another message since
//     this one's previous counted refusal, so the heads of the other lanes are
//     what tells a poison message from an unwell destination. Where no other
//     lane has anything to send, an answer to Probe stands for the other
//     message, at most once in 15 minutes.
//
// After a failure the lane has its own back-off, and so has the destination
// until it takes a message again. While it fails, the lanes that failed least
// come first: each is served, however many there are.
func Run(ctx context.Context, q *spool.Spool, to Destination, o Options) error {
	r := newRunner(q, to, o)
	return r.run(ctx)
}
