package instrument

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"time"

	"github.com/assaygate/assaygate/device/profile"
	"github.com/assaygate/assaygate/envelope"
	"github.com/assaygate/assaygate/protocols/lis01"
	"github.com/assaygate/assaygate/protocols/vendor"
)

// packets is what an ASTM line knows of packets in a maker's own format, which
// come between sessions, or, from some VIDAS, in one.
type packets struct {
	open []byte            // a packet whose end has not come, or that could not be stored yet
	last [sha256.Size]byte // of the packet stored last in this session
}

// opens reports whether data begins with a packet that this line takes. A
// Spotchem's cannot be told from a frame within a session, and none sends so.
func (a *astm) opens(data []byte) (vendor.Format, bool) {
	format, _ := vendor.Opens(data)
	return format, format == vendor.MiniVIDAS || format == vendor.SpotchemEL && !a.session
}

// takePacket takes the packet that data begins with, and returns how many bytes
// are done with: 0 while its end has not come, or while it cannot be stored and
// nothing can be answered, so that it is tried again with the next byte, after a
// quiet time and when the line ends.
func (a *astm) takePacket(ctx context.Context, format vendor.Format, data []byte, quiet bool) (int, error) {
	n, packet, err := vendor.Split(data, quiet)
	if n == 0 || err != nil {
		return 0, err
	}
	a.junk = 0
	err = a.keepPacket(ctx, format, packet, "broken off by the next one")
	if !a.session {
		if err != nil && !errors.Is(err, errNotKept) && vendor.Whole(packet) {
			return 0, a.uncertain
		}
		return n, a.uncertain
	}
	if !vendor.Whole(packet) {
		return n, a.uncertain
	}
	reply := byte(lis01.ACK)
	if err != nil {
		reply = lis01.NAK
	}
	return n, a.answer(reply)
}

// errSum is why a packet in a session is not acknowledged.
var errSum = errors.New("a packet's check sum is wrong")

// keepPacket makes a packet durable. One with a wrong sum waits for a person,
// or, where a NAK makes the instrument repeat it, is kept for the audit only.
func (a *astm) keepPacket(ctx context.Context, format vendor.Format, packet []byte, broken string) error {
	m := a.packetMessage(format, packet)
	if !vendor.Whole(packet) {
		a.keepCut(ctx, format, packet, broken)
		return nil
	}
	this := sha256.Sum256(bytes.TrimRight(packet, "\r\n\x03"))
	if a.session && this == a.packets.last {
		a.note("the same packet again: not taken twice")
		return nil // our ACK was lost
	}
	var refused error
	if err := vendor.Verify(format, packet); err != nil && a.packetQuirks(m).Checksum != "ignore" {
		m.Intake, m.Reason = envelope.Parked, err.Error()+"; retry it if its content is right, or set quirks.checksum: ignore"
		if a.session {
			m.Intake, m.Reason, refused = envelope.Rejected, err.Error(), errSum
			a.nak(reasonChecksum)
		}
	}
	if err := a.keep(ctx, "", m); err != nil {
		if a.session {
			a.nak(reasonStore)
		}
		return err
	}
	if refused == nil {
		a.note("the packet is stored")
		a.packets.last = this
	}
	return refused
}

// keepCut stores what there is of a packet or frame that has no end.
func (l *line) keepCut(ctx context.Context, format vendor.Format, part []byte, why string) {
	m := l.packetMessage(format, part)
	m.Intake, m.Reason = envelope.Incomplete, why
	l.note("the packet or frame has no end; what there is of it is kept for the audit")
	_ = l.keep(ctx, "", m) // reported there; nobody has an acknowledgement
}

func (l *line) packetQuirks(m profile.Raw) profile.Quirks {
	quirks := l.Profiles.PacketQuirks(m.Profile, m.Format)
	for _, member := range l.members {
		if member.Name == m.Instrument {
			return quirks.Over(member.Settings.Quirks)
		}
	}
	return quirks
}

// packetMessage is a packet or frame as profile.Set.Envelopes takes it.
func (l *line) packetMessage(format vendor.Format, packet []byte) profile.Raw {
	m := l.message(PacketSender(l.members, format), envelope.Vendor)
	m.Format, m.Text = string(format), bytes.Clone(packet)
	return m
}

// PacketSender is the instrument, of at least one, that a packet or frame in a
// maker's own format is from, told as [Sender] tells it.
func PacketSender(members []Instrument, format vendor.Format) Instrument {
	return memberOf(members, profile.PacketProfile(string(format)))
}

// packetPatience is how long to wait for what may stand behind a packet, or for
// the rest of one.
func packetPatience(data []byte) (quiet, limit time.Duration) {
	if vendor.Pending(data) {
		return frameEndQuiet, receiverTimer
	}
	return restartQuiet, receiverTimer
}

// refuseLongPacket ends a packet that has no end within limits.frame. What there
// is of it is kept; what follows counts as junk.
func (a *astm) refuseLongPacket(ctx context.Context, format vendor.Format, data []byte) error {
	a.log.Warn("packet refused: no end within limits.frame", "limit", a.members[0].Settings.Limits.Frame)
	a.keepCut(ctx, format, data, "longer than limits.frame")
	if !a.session {
		return a.uncertain
	}
	a.nak(reasonFrameTooLong)
	return a.answer(lis01.NAK)
}

// keepOpen stores what has not been stored when the line ends or falls silent:
// packets that are whole but for the line end that some leave out, and what
// there is of one that is not.
func (a *astm) keepOpen(ctx context.Context, why string) {
	data := a.packets.open
	a.packets.open = nil
	for len(data) > 0 {
		format, ours := a.opens(data)
		if !ours {
			return
		}
		n, packet, _ := vendor.Split(data, true)
		if n == 0 || a.session { // the sender had no ACK, so it has the packet still
			a.keepCut(ctx, format, data, why)
			return
		}
		if err := a.keepPacket(ctx, format, packet, why); err != nil && !a.session && vendor.Whole(packet) && !errors.Is(err, errNotKept) {
			a.log.Error("a packet that has no acknowledgement could not be stored and is lost", "from", a.members[0].Name)
		}
		data = data[n:]
	}
}
