package instrument

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/assaygate/assaygate/device/profile"
	"github.com/assaygate/assaygate/envelope"
	"github.com/assaygate/assaygate/protocols/hl7"
	"github.com/assaygate/assaygate/protocols/mllp"
)

// blockTimer is how long a sender may be silent inside a block.
const blockTimer = 30 * time.Second

// blockEndQuiet is how long to wait for the CR that some senders leave out
// behind the end block character.
const blockEndQuiet = 250 * time.Millisecond

// mllpLink is the receiving side of an MLLP line with HL7 v2 messages.
type mllpLink struct {
	*line
	open []byte // content of a block not yet ended, for the audit if it never is
	junk int
}

var errCrowded = errors.New("too many long messages at a time; the sender has to send it again")

var errTooLong = errors.New("a block without end within limits.message")

func (b *mllpLink) idle() bool { return len(b.open) == 0 }

func (b *mllpLink) kept() int { return 0 }

func (b *mllpLink) patience(data []byte) (quiet, limit time.Duration) {
	if len(data) > 0 {
		limit = blockTimer
	}
	if mllp.Pending(data) == mllp.EndedBlock {
		quiet = blockEndQuiet
	}
	return quiet, limit
}

func (b *mllpLink) take(ctx context.Context, data []byte, quiet bool) ([]byte, error) {
	for len(data) > 0 {
		advance, block, err := mllp.Split(data, quiet)
		if err != nil {
			return nil, err
		}
		if advance == 0 && block == nil {
			break
		}
		switch {
		case block == nil && data[0] == mllp.StartBlock:
			b.open = data[:advance]
			b.expire(ctx, "the sender began anew")
		case block == nil && mllp.Junk(data[:advance]) > 0:
			b.junk += mllp.Junk(data[:advance])
			b.strange(data[:advance], "\x02\x05", "the sender speaks ASTM, this line HL7 in MLLP blocks: point it at an astm: listener")
		}
		data = data[advance:]
		if b.junk > int(b.members[0].Settings.Limits.Junk) {
			return nil, errJunk
		}
		if block == nil {
			continue
		}
		b.junk, b.open = 0, nil
		b.Observer.Sessions(1)
		answer := b.receive(ctx, block)
		b.Observer.Sessions(-1)
		if err := b.write(mllp.AppendBlock(nil, answer)); err != nil {
			return nil, err
		}
	}
	b.open = data
	if limit := b.members[0].Settings.Limits.Message; int64(len(data)) > limit {
		b.open = nil
		b.Observer.NegativeAck(b.members[0].Name, reasonTooLong)
		err := b.write(mllp.AppendBlock(nil, b.acknowledge(nil, hl7.Reject, hl7.CodeInternal, "message is longer than this receiver takes")))
		return nil, errors.Join(errTooLong, err)
	}
	return data, nil
}

// expire implements link.
func (b *mllpLink) expire(ctx context.Context, why string) {
	if content := cutStart(b.open); len(content) > 0 {
		m := b.message(b.member(envelope.HL7, content), envelope.HL7)
		m.Text, m.Intake, m.Reason = slices.Clone(content), envelope.Incomplete, why
		_ = b.keep(ctx, "", m) // reported there; the sender has no acknowledgement
	}
	b.open = nil
}

// cutStart takes the start block character off an open block.
func cutStart(data []byte) []byte {
	if len(data) == 0 || data[0] != mllp.StartBlock {
		return nil
	}
	return data[1:]
}

// accepted are the messages that this receiver takes (HL7 table 0003).
var accepted = []string{"ORU^R01", "OUL^R22", "OML^O33"}

// receive stores one message and returns its acknowledgement: AA only for what
// is durable.
func (b *mllpLink) receive(ctx context.Context, block []byte) (answer []byte) {
	raw := b.message(b.member(envelope.HL7, block), envelope.HL7)
	raw.Text = slices.Clone(block)
	m, err := hl7.Parse(headerOf(raw.Text))
	if err != nil {
		return b.reject(ctx, raw, hl7.CodeInternal, "not an HL7 v2 message: "+err.Error())
	}
	code, event, _ := hl7.MessageType(m)
	if kind := code + "^" + event; !slices.Contains(accepted, kind) && kind != "ORU^" {
		known := slices.ContainsFunc(accepted, func(a string) bool { return strings.HasPrefix(a, code+"^") })
		if known {
			return b.reject(ctx, raw, hl7.CodeUnsupportedEvent, "event is not accepted here")
		}
		return b.reject(ctx, raw, hl7.CodeUnsupportedType, "message type is not accepted here")
	}
	switch err := b.keep(ctx, "", raw); {
	case errors.Is(err, errNotKept):
		b.Observer.NegativeAck(raw.Instrument, reasonRejected)
		return b.acknowledge(raw.Text, hl7.Reject, hl7.CodeInternal, err.Error())
	case err != nil:
		b.Observer.NegativeAck(raw.Instrument, reasonStore)
		return b.acknowledge(raw.Text, hl7.Error, hl7.CodeInternal, "the message could not be stored; send it again")
	}
	return b.acknowledge(raw.Text, hl7.Accept, "", "")
}

// reject answers AR. The sender still has the message; a copy is kept for the
// audit.
func (b *mllpLink) reject(ctx context.Context, raw profile.Raw, code, why string) []byte {
	b.Observer.NegativeAck(raw.Instrument, reasonRejected)
	if len(raw.Text) > 0 {
		raw.Intake, raw.Reason = envelope.Rejected, why
		_ = b.keep(ctx, "", raw) // reported there; the answer is AR all the same
	}
	return b.acknowledge(raw.Text, hl7.Reject, code, why)
}

func (b *mllpLink) acknowledge(request []byte, code, problem, text string) []byte {
	now := time.Now()
	a := hl7.Acknowledgment{
		Code: code, Text: text,
		ControlID: strings.ToUpper(strconv.FormatInt(now.UnixNano(), 36)),
		Time:      now.Format("20060102150405-0700"),
	}
	if problem != "" {
		a.Err = &hl7.ErrorDetail{Location: location(problem), Code: problem, Text: text}
	}
	if m, err := hl7.Parse(headerOf(request)); err != nil || !bytes.HasPrefix(m.First("MSH").Field(9), []byte("OML")) {
		request = headerOf(request) // only the answer to orders names them
	}
	return hl7.Ack(request, a)
}

// headerOf is a message up to the end of its first segment: enough to know what
// it is, however long the rest.
func headerOf(message []byte) []byte {
	start := len(message) - len(bytes.TrimLeft(message, "\r\n\x00 \t"))
	if end := bytes.IndexAny(message[start:], "\r\n"); end >= 0 {
		return message[:start+end]
	}
	return message
}

// location is what an ERR segment points at.
func location(problem string) string {
	switch problem {
	case hl7.CodeUnsupportedType:
		return "MSH^1^9^1^1"
	case hl7.CodeUnsupportedEvent:
		return "MSH^1^9^1^2"
	}
	return ""
}
