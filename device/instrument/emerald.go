package instrument

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/assaygate/assaygate/envelope"
	"github.com/assaygate/assaygate/protocols/vendor"
)

// emeraldLink is the host's side of a CELL-DYN Emerald's line.
type emeraldLink struct {
	*line
	receiver vendor.Receiver
	rest     []byte // of a line without its end
	junk     int    // bytes of lines that belong to nothing since the last frame
}

var errLongLine = errors.New("a line without end within limits.frame")

func (b *emeraldLink) idle() bool { return b.receiver.Rest() == nil }

func (b *emeraldLink) kept() int { return b.receiver.Size() }

func (b *emeraldLink) patience(data []byte) (quiet, limit time.Duration) {
	if len(data) > 0 || b.receiver.Rest() != nil {
		limit = receiverTimer
	}
	return 0, limit
}

func (b *emeraldLink) take(ctx context.Context, data []byte, _ bool) ([]byte, error) {
	limits := b.members[0].Settings.Limits
	b.rest = nil
	for {
		n, line, err := vendor.SplitLine(data, false)
		if err != nil {
			return nil, err
		}
		if n == 0 {
			break
		}
		data = data[n:]
		if int64(b.receiver.Size()+n) > limits.Message {
			return nil, b.refuseLong(ctx)
		}
		if err := b.step(ctx, line); err != nil {
			return nil, err
		}
		if b.junk > int(limits.Junk) {
			return nil, errJunk
		}
	}
	b.rest = data
	if int64(len(data)) > limits.Frame {
		return nil, errLongLine
	}
	return data, nil
}

// step takes one line and sends what may be answered now.
func (b *emeraldLink) step(ctx context.Context, line []byte) error {
	idle := b.idle()
	out := b.receiver.Step(line)
	if idle && !b.idle() {
		b.timer("%s for the rest of the frame, from its last byte", receiverTimer)
	}
	if out.Broken != nil {
		b.keepCut(ctx, vendor.Emerald, out.Broken, "the sender began anew")
	}
	if out.Stray > 0 {
		if b.junk == 0 {
			b.note(strayNote)
		}
		b.junk += out.Stray
		b.strange(line, "\x02\x05\x0B", "the sender speaks ASTM or HL7, this line the language of the CELL-DYN Emerald: point it at an astm: or hl7: listener")
	}
	if out.Frame == nil {
		return b.write(out.Reply)
	}
	b.junk = 0
	b.Observer.Sessions(1)
	defer b.Observer.Sessions(-1)
	return b.write(b.receiver.Answer(b.receive(ctx, out.Frame)))
}

// receive stores a frame and says what it is to be answered with: OK only for
// what is durable. A frame with a wrong sum is kept for the audit; the
// instrument sends it again.
func (b *emeraldLink) receive(ctx context.Context, frame []byte) vendor.Verdict {
	m := b.packetMessage(vendor.Emerald, frame)
	verdict := vendor.Stored
	if err := vendor.Verify(vendor.Emerald, frame); err != nil && b.packetQuirks(m).Checksum != "ignore" {
		m.Intake, m.Reason, verdict = envelope.Rejected, err.Error(), vendor.SumFailed
		b.Observer.NegativeAck(m.Instrument, reasonChecksum)
	}
	if b.keep(ctx, "", m) != nil && verdict == vendor.Stored {
		b.Observer.NegativeAck(m.Instrument, reasonStore)
		verdict = vendor.NotStored
	}
	b.sayVerdict(verdict)
	return verdict
}

// refuseLong answers a frame that is longer than the box takes. The line ends
// with it: what follows belongs to that frame.
func (b *emeraldLink) refuseLong(ctx context.Context) error {
	frame := b.receiver.Rest()
	if frame == nil {
		return errLongLine
	}
	m := b.packetMessage(vendor.Emerald, frame)
	m.Intake, m.Reason = envelope.Rejected, "longer than limits.message"
	b.Observer.NegativeAck(m.Instrument, reasonTooLong)
	_ = b.keep(ctx, "", m) // reported there
	answer := b.receiver.Answer(vendor.NotStored)
	b.receiver.Reset()
	return errors.Join(errTooLong, b.write(answer))
}

// expire implements link.
func (b *emeraldLink) expire(ctx context.Context, why string) {
	if frame := b.receiver.Rest(); frame != nil {
		b.keepCut(ctx, vendor.Emerald, slices.Concat(frame, b.rest), why)
	}
	b.receiver.Reset()
	b.rest = nil
}
