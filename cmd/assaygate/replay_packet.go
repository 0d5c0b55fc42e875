package main

import (
	"bytes"
	"context"
	"fmt"

	"github.com/assaygate/assaygate/device/capturefile"
	"github.com/assaygate/assaygate/device/instrument"
	"github.com/assaygate/assaygate/envelope"
	"github.com/assaygate/assaygate/protocols/vendor"
)

// takePacket plays a packet, or a frame of an Emerald, to a line of the gateway.
// A packet gets no answer, and an Emerald is not told more than that its frame was
// kept or not; so what became of it is seen in the store.
func (r *replay) takePacket(ctx context.Context, t capturefile.Transmission, members []instrument.Instrument, changed bool) error {
	before, err := r.store.Status(context.WithoutCancel(ctx))
	if err != nil {
		return err
	}
	p := r.plug(members)
	err = p.packet(t)
	p.unplug() // a packet whose end could go on is only then taken for whole
	if err != nil {
		return fmt.Errorf("byte %d: %w", t.At, err)
	}
	stored, err := r.stored(ctx, before.LastSequence)
	switch {
	case err != nil:
		return err
	case len(stored) == 0:
		return fmt.Errorf("byte %d: it was not stored: %s", t.At, p.refusals.last("no reason was given"))
	case stored[0].Intake != envelope.Accepted:
		return fmt.Errorf("byte %d: %s", t.At, packetRefusal(t, stored[0], changed))
	}
	return nil
}

// packetRefusal says why a packet or frame was not taken, and what to do.
func packetRefusal(t capturefile.Transmission, e envelope.Envelope, changed bool) string {
	switch err := vendor.Verify(t.Format, t.Text); {
	case err == nil:
		return fmt.Sprintf("%s: %s", e.Intake, e.Reason)
	case changed:
		return "--sample-id changed its text, so its check sum does not fit any more; add --rebuild-checksums"
	default:
		return err.Error() + "; if the rest of it can be trusted, add --rebuild-checksums"
	}
}

// packet plays a packet or frame, with its answer where it gets one.
func (p *player) packet(t capturefile.Transmission) error {
	if _, err := p.ask(t.Text, nil); err != nil || !answered(t) {
		return err
	}
	for answer := make([]byte, 256); ; {
		n, err := p.ask(nil, answer)
		if err != nil || bytes.IndexByte(answer[:n], '\r') >= 0 {
			return err
		}
	}
}

// answered reports whether an instrument waits for an answer: an Emerald does
// behind an END line.
func answered(t capturefile.Transmission) bool {
	lines := bytes.TrimRight(t.Text, "\r\n")
	return t.Format == vendor.Emerald && bytes.HasPrefix(bytes.TrimSpace(lines[bytes.LastIndexAny(lines, "\r\n")+1:]), []byte("END_"))
}
