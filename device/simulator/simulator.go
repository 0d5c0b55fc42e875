// Package simulator is the instrument's side of a line: it plays captures to a
// host as an analyser does, over ASTM (LIS01-A2 sessions, LIS02-A2 records) or
// HL7 v2 in MLLP blocks, or in a maker's own format, on TCP or on a serial port. Tests, the demo and the
// commissioning of a real line use the same code and the same real timers.
//
// What is played carries a fresh message time and a fresh control id, so that
// the host does not take it for a repeat, and the processing id T, so that it
// is not taken for a patient's result. Verbatim play sends the capture as it
// is.
package simulator

import (
	"context"
	"crypto/rand"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/assaygate/assaygate/device/capturefile"
	"github.com/assaygate/assaygate/device/port"
	"github.com/assaygate/assaygate/protocols/vendor"
)

// Protocol is the language of a capture.
type Protocol = capturefile.Protocol

// The protocols that can be played.
const (
	ASTM   = capturefile.ASTM
	HL7    = capturefile.HL7
	Vendor = capturefile.Vendor // a maker's own format
)

// Message is what a capture holds for one transmission: for HL7 one message,
// for ASTM what goes into one session, from ENQ to EOT. That is one message
// unless the capture's frames hold several in one session.
type Message struct {
	Protocol Protocol
	Format   vendor.Format // of a maker's own
	// Text is the records or segments without any framing. The records of
	// ASTM end in CR. In a maker's own format it is the packet or frame.
	Text []byte
	// Frames are those of an ASTM capture that has frames, STX to LF. Where
	// the capture has no CR LF after the checksum, it stands here all the
	// same. Checksum and frame number are as in the capture.
	Frames [][]byte
}

// Options say how to play. The zero value plays once, stamped.
type Options struct {
	// Verbatim sends the bytes of the capture: its frames with their numbers
	// and checksums, its times, its control ids.
	Verbatim bool
	// Count is how often each connection plays the whole capture; 0 is once.
	Count int
	// Interval is the pause between two plays.
	Interval time.Duration
	// Connections is how many connections Run opens at the same time; 0 is
	// one.
	Connections int
	// FrameSize is how much text goes into a frame when a capture has no
	// frames of its own; 0 means the 240 characters that every receiver takes.
	FrameSize int
	// Fault is a mistake to make with each message. One that breaks the line off
	// opens it again, which Run can where the target is on the network; else the
	// line falls silent for longer than a receiver waits.
	Fault Fault

	// change alters the text of each stamped frame or message.
	change func(text []byte) []byte
}

// Refusal tells of one message that the host did not take.
type Refusal struct {
	// ControlID is H-3 or MSH-10 as sent; it may be empty.
	ControlID string
	// Reason says what the host did.
	Reason string
}

// Result is what became of the messages of a play.
type Result struct {
	// Acknowledged holds the control ids (H-3 or MSH-10) of the messages that
	// the host has acknowledged, in order of their acknowledgement.
	Acknowledged []string
	// Sent holds those of formats that have no acknowledgement.
	Sent []string
	// Refused holds those that it answered with a refusal, or not in time.
	Refused []Refusal
}

// add joins the result of another connection.
func (r *Result) add(other Result) {
	r.Acknowledged = append(r.Acknowledged, other.Acknowledged...)
	r.Sent = append(r.Sent, other.Sent...)
	r.Refused = append(r.Refused, other.Refused...)
}

// Play sends the messages over an open line, o.Count times, and waits for the
// acknowledgement of each before it sends the next. A message that the host
// refuses is in the result; an error means that the line broke or that ctx has
// ended, and the result then holds what happened before. Play closes the line
// when ctx ends, and leaves it open otherwise. o.Connections means nothing
// here.
func Play(ctx context.Context, line port.Line, messages []Message, o Options) (Result, error) {
	if err := o.Fault.accepts(messages, o); err != nil {
		return Result{}, err
	}
	if o.Fault.none() {
		return play(ctx, line, newHosts(line), messages, o)
	}
	return playFaulty(ctx, newFaultyLine(line, nil, o.Fault), messages, o)
}

func playFaulty(ctx context.Context, line *faultyLine, messages []Message, o Options) (Result, error) {
	defer line.release()
	if o.Fault.kind.together && o.Interval == 0 {
		messages, o.Count = slices.Repeat(messages, max(o.Count, 1)), 1
	}
	return play(ctx, line, newFaultyHost(line), messages, o)
}

func play(ctx context.Context, line port.Line, to host, messages []Message, o Options) (Result, error) {
	stop := context.AfterFunc(ctx, func() { line.Close() })
	defer stop()
	var result Result
	for n := range max(o.Count, 1) {
		if n > 0 {
			if err := pause(ctx, o.Interval); err != nil {
				return result, err
			}
		}
		round, err := prepareAll(messages, o)
		if err != nil {
			return result, err
		}
		for _, sent := range round {
			refusal, err := to.send(ctx, sent)
			switch {
			case ctx.Err() != nil:
				return result, ctx.Err()
			case err != nil:
				return result, fmt.Errorf("play %s message %s: %w", sent.protocol, sent.controlID, err)
			case refusal != "":
				result.Refused = append(result.Refused, Refusal{sent.controlID, refusal})
			case sent.silent():
				result.Sent = append(result.Sent, sent.controlID)
			default:
				result.Acknowledged = append(result.Acknowledged, sent.controlID)
			}
		}
	}
	return result, nil
}

// Run opens o.Connections lines to the target and plays over all of them at
// the same time. The error is the first of any connection; the result is of
// all.
func Run(ctx context.Context, to Target, messages []Message, o Options) (Result, error) {
	if err := to.accepts(messages, o); err != nil {
		return Result{}, err
	}
	if err := o.Fault.accepts(messages, o); err != nil {
		return Result{}, err
	}
	var (
		wait  sync.WaitGroup
		mu    sync.Mutex
		all   Result
		first error
	)
	for range max(o.Connections, 1) {
		wait.Go(func() {
			result, err := playTo(ctx, to, messages, o)
			mu.Lock()
			defer mu.Unlock()
			all.add(result)
			if first == nil {
				first = err
			}
		})
	}
	wait.Wait()
	return all, first
}

func playTo(ctx context.Context, to Target, messages []Message, o Options) (Result, error) {
	line, err := to.Open(ctx)
	if err != nil {
		return Result{}, err
	}
	defer line.Close()
	if o.Fault.none() || to.Address == "" {
		return Play(ctx, line, messages, o)
	}
	return playFaulty(ctx, newFaultyLine(line, to.Open, o.Fault), messages, o)
}

// A host is the other side of a line, which takes messages.
type host interface {
	// send returns why the host did not take the message, or "" when it did.
	send(ctx context.Context, m outgoing) (refusal string, err error)
}

// hosts is a host that takes messages in every language.
type hosts struct{ astm, hl7, packets, emerald host }

func newHosts(line port.Line) hosts {
	return hosts{newASTMHost(line), newMLLPHost(line), &packetHost{line}, newEmeraldHost(line)}
}

func (h hosts) send(ctx context.Context, m outgoing) (refusal string, err error) {
	to := h.packets
	switch {
	case m.protocol == ASTM:
		to = h.astm
	case m.protocol == HL7:
		to = h.hl7
	case m.format == vendor.Emerald:
		to = h.emerald
	}
	return to.send(ctx, m)
}

// outgoing is a message as it goes over the line.
type outgoing struct {
	controlID string
	protocol  Protocol
	text      []byte   // HL7: the block's content; a maker's packet or frame
	frames    [][]byte // ASTM: the frames of the session
	format    vendor.Format
	rest      []outgoing // what comes after it in this play
}

// prepareAll makes the messages of a play ready for the line.
func prepareAll(messages []Message, o Options) ([]outgoing, error) {
	round := make([]outgoing, len(messages))
	for i, m := range messages {
		var err error
		if round[i], err = m.prepare(o, time.Now()); err != nil {
			return nil, err
		}
		round[i].rest = round[i+1:]
	}
	return round, nil
}

// freshID returns a control id that no other message has. MSH-10 holds 20
// characters at most in the older versions of HL7. It looks like no sample id,
// which the demo changes.
func freshID() string { return "C" + rand.Text()[:15] }

func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
