package instrument

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"github.com/assaygate/assaygate/device/profile"
	"github.com/assaygate/assaygate/envelope"
	"github.com/assaygate/assaygate/protocols/lis01"
	"github.com/assaygate/assaygate/protocols/lis02"
)

const (
	// receiverTimer is LIS01-A2's for the next frame or EOT.
	receiverTimer = 30 * time.Second
	// frameEndQuiet is how long to wait for the CR and LF that some senders
	// leave out behind the checksum.
	frameEndQuiet = 250 * time.Millisecond
	// restartQuiet tells a sender that broke a frame off and starts anew from
	// line noise inside a frame: the sender then waits for an answer.
	restartQuiet = time.Second
	// frameCost is what the box needs for a frame beside its text, about: without
	// it empty frames would cost nothing.
	frameCost = 64
)

// astm is a LIS01-A2 line with LIS02-A2 messages: its receiving side here, its
// sending side in host.
type astm struct {
	*line
	receiver lis01.Receiver
	session  bool       // counted as open
	from     Instrument // as far as the first frame tells
	quirks   profile.Quirks
	text     lis02.Joiner     // of the message so far, from acknowledged frames
	frames   lis01.Transcript // those frames
	whole    bool             // the last acknowledged frame was an end frame
	refused  bool             // the last frame got NAK
	drafted  bool             // the message so far is stored as a draft
	junk     int              // bytes outside frames since the last good one
	packets  packets
	host     host // what the box has to say itself
}

var errJunk = errors.New("too many bytes that belong to no frame; check baud rate and wiring, or limits.junk")

func (a *astm) idle() bool {
	return !a.session && len(a.text.Rest()) == 0 && a.packets.open == nil && !a.host.sending
}

// kept counts text and frames.
func (a *astm) kept() int { return 2*len(a.text.Rest()) + frameCost*a.frames.Len() }

func (a *astm) patience(data []byte) (quiet, limit time.Duration) {
	if _, ours := a.opens(data); ours {
		return packetPatience(data)
	}
	if a.session || len(data) > 0 {
		limit = a.receiverTimeout()
	}
	switch lis01.Pending(data) {
	case lis01.EndedFrame:
		quiet = frameEndQuiet
	case lis01.OpenFrame:
		quiet = restartQuiet
	}
	return quiet, limit
}

func (a *astm) take(ctx context.Context, data []byte, quiet bool) ([]byte, error) {
	a.packets.open = nil
	data, err := a.hear(data)
	if err != nil {
		return nil, err
	}
	for len(data) > 0 {
		if format, ours := a.opens(data); ours {
			n, err := a.takePacket(ctx, format, data, quiet)
			if err != nil {
				return nil, err
			}
			if data = data[n:]; n > 0 {
				continue
			}
			if int64(len(data)) > a.members[0].Settings.Limits.Frame {
				return nil, a.refuseLongPacket(ctx, format, data)
			}
			a.packets.open = data
			return data, nil
		}
		advance, token, err := lis01.Split(data, quiet)
		if err != nil {
			return nil, err
		}
		if advance == 0 && token == nil {
			break
		}
		if skipped := data[:advance-len(token)]; lis01.Junk(skipped) > 0 {
			if a.junk == 0 {
				a.note(strayNote)
			}
			a.junk += lis01.Junk(skipped)
			a.strange(skipped, "\x0B", "the sender speaks HL7 in MLLP blocks, this line ASTM: point it at an hl7: listener")
		}
		data = data[advance:]
		if a.junk > int(a.members[0].Settings.Limits.Junk) {
			return nil, errJunk
		}
		if token == nil {
			continue
		}
		if token[0] == lis01.ENQ {
			// Several in a row are one: of as many ACKs the sender would take the
			// second for that of its first frame, and each later one for a frame that
			// is not kept yet.
			data = bytes.TrimLeft(data, "\x05")
		}
		if err := a.answer(a.step(ctx, token)); err != nil {
			return nil, err
		}
	}
	if limit := a.members[0].Settings.Limits.Frame; int64(len(data)) > limit {
		return nil, a.answer(a.refuseLong(limit))
	}
	return data, nil
}

// refuseLong refuses a frame that is longer than the line takes.
func (a *astm) refuseLong(limit int64) (reply byte) {
	a.nak(reasonFrameTooLong)
	a.log.Warn("frame refused: longer than limits.frame", "limit", limit)
	return lis01.NAK
}

// receiverTimeout is how long to wait for the next frame or EOT.
func (a *astm) receiverTimeout() time.Duration {
	if a.quirks.ReceiverTimeout > 0 {
		return a.quirks.ReceiverTimeout
	}
	return receiverTimer
}

func (a *astm) answer(reply byte) error {
	if reply == 0 {
		return nil
	}
	err := a.write([]byte{reply})
	if err == nil && a.session {
		a.sayReceiverTimer()
	}
	return err
}

// step takes one token and returns the reply that may now be sent, 0 for none.
func (a *astm) step(ctx context.Context, token []byte) byte {
	if limit := a.members[0].Settings.Limits.Frame; a.session && int64(len(token)) > limit {
		return a.refuseLong(limit)
	}
	switch token[0] {
	case lis01.ENQ:
		a.leave(ctx, "the sender started anew")
		a.enter()
	case lis01.EOT:
		a.end(ctx)
	case lis01.STX:
		if len(a.text.Rest()) == 0 {
			a.adopt(token)
		}
	}
	frame, deliver, reply := a.receiver.Step(token)
	if reply == lis01.NAK {
		a.nak(string(a.receiver.Refusal()))
	}
	if !deliver {
		a.sayToken(token[0], reply)
		return reply
	}
	a.junk = 0
	if limit := a.from.Settings.Limits.Message; int64(len(a.text.Rest())+len(frame.Text)+frameCost*a.frames.Len()) > limit {
		a.log.Warn("message refused: longer than limits.message", "from", a.from.Name, "limit", limit)
		a.nak(reasonTooLong)
		a.keepPart(ctx, envelope.Rejected, "longer than limits.message")
		reply := a.receiver.Commit(false)
		a.receiver.Reset() // what follows belongs to the refused message
		return reply
	}
	stored := a.accept(ctx, frame, token)
	if !stored {
		a.nak(reasonStore)
	}
	return a.receiver.Commit(stored)
}

func (a *astm) nak(reason string) {
	a.refused = true
	a.sayNAK(reason)
	a.Observer.NegativeAck(a.members[0].Name, reason)
}

func (a *astm) enter() {
	a.session, a.packets.last = true, [sha256.Size]byte{}
	a.Observer.Sessions(1)
	first := a.members[0].Settings
	a.from, a.quirks = Instrument{}, first.Quirks // until a frame tells
	if len(a.members) == 1 && first.Profile != "" {
		a.quirks = a.Profiles.Quirks(first.Profile, nil).Over(first.Quirks)
	}
	a.receiver.Rules = rules(a.quirks)
}

// adopt takes the quirks of the instrument that a message's first frame tells. A
// frame without a header tells nothing new: it may be the repeat of the last one.
func (a *astm) adopt(token []byte) {
	frame, err := lis01.ParseFrame(token)
	if err != nil && !errors.Is(err, lis01.ErrChecksum) {
		return
	}
	if a.from.Name != "" && !bytes.HasPrefix(bytes.TrimLeft(frame.Text, " \t\r\n"), []byte("H")) {
		return
	}
	a.from = a.member(envelope.ASTM, frame.Text)
	a.quirks = a.Profiles.Quirks(a.from.Settings.Profile, frame.Text).Over(a.from.Settings.Quirks)
	a.receiver.Rules = rules(a.quirks)
}

func rules(q profile.Quirks) lis01.Rules {
	return lis01.Rules{IgnoreChecksum: q.Checksum == "ignore", IgnoreNumbers: q.FrameNumbers == "ignore"}
}

// accept takes a good frame into the message so far. Where that completes one
// or more messages they are stored first; it reports whether the frame may be
// acknowledged. If not, everything is as before: the sender repeats the frame.
func (a *astm) accept(ctx context.Context, frame lis01.Frame, token []byte) bool {
	text, frames := a.text, a.frames
	complete := a.cut(frame, token)
	if !a.storeAll(ctx, complete, len(frame.Text) > 0) {
		a.text, a.frames = text, frames
		return false
	}
	a.sayTaken(complete)
	a.whole, a.refused = frame.End, false
	for _, m := range complete {
		a.ask(m)
	}
	return true
}

// storeAll makes durable what a frame completed, and what is left if that has
// to be. A frame without text is not new to a draft.
func (a *astm) storeAll(ctx context.Context, complete []profile.Raw, isNew bool) bool {
	if len(complete) > 0 {
		if a.keep(ctx, a.draftName(), complete...) != nil {
			return false
		}
		a.drafted = false
	}
	rest := a.text.Rest()
	if len(rest) == 0 || a.drafted && !isNew || a.quirks.End != "eot" && !lis02.Terminated(rest) {
		return true
	}
	return a.storeDraft(ctx)
}

// cut adds a frame to the text and takes the messages off that are complete. A
// frame that holds the end of one message and the start of the next is kept as
// two.
func (a *astm) cut(frame lis01.Frame, token []byte) (complete []profile.Raw) {
	before := len(a.text.Rest())
	a.text.Add(frame.Text, frame.End)
	after := len(a.text.Rest())
	// What stands before the frame's own text is the CR that the last one lacks.
	a.frames.Add(bytes.Clone(token), frame, max(before, after-len(frame.Text)), after)
	for message, found := a.text.Next(); found; message, found = a.text.Next() {
		m := a.message(message)
		m.Frames = a.frames.Cut(message)
		if !lis02.Complete(message) {
			m.Intake, m.Reason = envelope.Parked, NoTerminator
		}
		complete = append(complete, m)
	}
	if len(a.text.Rest()) == 0 {
		a.frames = lis01.Transcript{}
	}
	return complete
}

// NoTerminator is why a message is parked that did not end as it should.
const NoTerminator = "no terminator record"

// draftName is the name of the stored draft, or "" where there is none.
func (a *astm) draftName() string {
	if !a.drafted {
		return ""
	}
	return a.from.Name + " " + a.remote
}

// storeDraft keeps the message so far where nothing but EOT may tell its end:
// every frame that the instrument has an ACK for is then on the card.
func (a *astm) storeDraft(ctx context.Context) bool {
	m := a.part(envelope.Parked, "the box was stopped before the end of the message")
	defer a.room.enter(len(m.Text), a.progress)()
	a.drafted = true
	err := a.store(ctx, func(ctx context.Context) error {
		return a.Spool.PutDraft(ctx, a.draftName(), a.Profiles.Envelopes(m, time.Now())...)
	})
	if err != nil {
		a.log.Error("draft not stored, frame not acknowledged", "from", a.from.Name, "error", err)
		a.doubt(err)
	}
	return err == nil
}

// end takes EOT. What is left of the message then lacks its terminator record,
// or the end of that: for some instruments that is the rule; of others it is kept
// for a person.
func (a *astm) end(ctx context.Context) {
	sound := !a.refused
	whole := sound && a.whole
	switch {
	case len(a.text.Rest()) == 0:
		if a.session {
			a.note("the session has ended (LIS01-A2 8.4)")
		}
	case sound && (a.quirks.End == "eot" || lis02.Terminated(a.text.Rest())):
		a.note("the session has ended; what there is of a message is a whole one")
		a.askIf(a.keepPart(ctx, envelope.Accepted, ""))
	case whole && lis02.Carries(a.text.Rest()):
		a.note("the session has ended; its message has no terminator record, and waits for a person")
		a.askIf(a.keepPart(ctx, envelope.Parked, NoTerminator))
	default:
		a.note("the session has ended inside a message; what there is of it is kept for the audit")
		m, kept := a.keepPart(ctx, envelope.Incomplete, "the sender ended the session inside a message")
		a.askIf(m, kept && whole)
	}
	a.close()
}

// leave ends a session that broke off.
func (a *astm) leave(ctx context.Context, why string) {
	switch {
	case len(a.text.Rest()) == 0:
		if a.session {
			a.note("the session is over without EOT")
		}
	case !a.refused && (a.quirks.End == "eot" && a.whole || lis02.Terminated(a.text.Rest())) && lis02.Carries(a.text.Rest()):
		a.note("the session is over without EOT; its message waits for a person")
		a.keepPart(ctx, envelope.Parked, fmt.Sprintf("no EOT: %s", why))
	default:
		a.note("the session is over inside a message; what there is of it is kept for the audit")
		a.keepPart(ctx, envelope.Incomplete, why)
	}
	a.close()
}

// expire implements link.
func (a *astm) expire(ctx context.Context, why string) {
	if a.session {
		a.log.Debug("session ended", "reason", why)
	}
	a.keepOpen(ctx, why)
	a.leave(ctx, why)
	a.receiver.Reset()
}

func (a *astm) close() {
	if a.session {
		a.Observer.Sessions(-1)
		a.restForAnswer()
	}
	a.session, a.refused = false, false
}

// message is a text with the instrument that its own header tells: there are
// lines with several, and frames with messages of several.
func (a *astm) message(text []byte) profile.Raw {
	m := a.line.message(a.member(envelope.ASTM, text), envelope.ASTM)
	m.Text = text
	return m
}

func (a *astm) part(intake envelope.Intake, reason string) profile.Raw {
	m := a.message(bytes.Clone(a.text.Rest()))
	m.Frames, m.Intake, m.Reason = a.frames.Tokens(m.Text), intake, reason
	return m
}

// keepPart stores what there is of a message. Its frames have their ACK
// already, so a failure can only be reported; a draft then still holds it.
func (a *astm) keepPart(ctx context.Context, intake envelope.Intake, reason string) (m profile.Raw, kept bool) {
	m = a.part(intake, reason)
	if kept = a.keep(ctx, a.draftName(), m) == nil; kept {
		a.drafted = false
	}
	a.text.Reset()
	a.frames, a.whole = lis01.Transcript{}, false
	return m, kept
}
