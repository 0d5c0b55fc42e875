package instrument

import (
	"bytes"
	"cmp"
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

	firstID, lastID int64 // control ids of the answers on this line, as numbers
}

var errCrowded = errors.New("too many long messages at a time; the sender has to send it again")

var errUntold = errors.New("a message could not be stored, and its sender wants no acknowledgement (MSH-15, MSH-16) that could say so; it sees the line end")

var errTooLong = errors.New("a block without end within limits.message")

func (b *mllpLink) idle() bool { return len(b.open) == 0 }

func (b *mllpLink) kept() int { return 0 }

func (b *mllpLink) patience(data []byte) (quiet, limit time.Duration) {
	if len(data) == 0 {
		return 0, 0
	}
	if data[len(data)-1] == mllp.EndBlock { // what take leaves is an open block
		quiet = blockEndQuiet
	}
	return quiet, blockTimer
}

// goesOn reports whether data is the block that is open already, with nothing new
// that could end it. Then it is not looked at again: a sender that dribbles a long
// block would otherwise cost the time of the others.
func (b *mllpLink) goesOn(data []byte) bool {
	n := len(b.open)
	return n > 0 && b.open[n-1] != mllp.EndBlock &&
		bytes.IndexByte(data[n:], mllp.EndBlock) < 0 && bytes.IndexByte(data[n:], mllp.StartBlock) < 0
}

func (b *mllpLink) take(ctx context.Context, data []byte, quiet bool) ([]byte, error) {
	for goesOn := b.goesOn(data); len(data) > 0 && !goesOn; {
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
			if b.junk == 0 {
				b.note(strayNote)
			}
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
		if err := b.receiveBlock(ctx, block); err != nil {
			return nil, err
		}
	}
	if len(b.open) == 0 && len(data) > 0 {
		b.timer("%s for the rest of the block, from its last byte", blockTimer)
	}
	b.open = data
	if limit := b.members[0].Settings.Limits.Message; int64(len(data)) > limit {
		b.open = nil
		b.Observer.NegativeAck(b.members[0].Name, reasonTooLong)
		too := b.message(b.members[0], envelope.HL7)
		err := b.send(b.acknowledgements(too, hl7.Rejected, hl7.CodeInternal, "message is longer than this receiver takes"))
		return nil, errors.Join(errTooLong, err)
	}
	return data, nil
}

// expire implements link.
func (b *mllpLink) expire(ctx context.Context, why string) {
	if content := cutStart(b.open); len(content) > 0 {
		b.note("the block has no end; what there is of it is kept for the audit")
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

// refusal returns the error code (HL7 table 0357) for a message that this
// receiver does not take, or "". It takes every result that was not asked for,
// whatever its event: an analyser that gives up on a refused result has lost it.
func refusal(code, event string) string {
	switch code {
	case "ORU", "OUL":
		return ""
	case "OML":
		if event == "O33" {
			return ""
		}
		return hl7.CodeUnsupportedEvent
	}
	return hl7.CodeUnsupportedType
}

// holdsResult reports whether a message that should hold none has a result, or
// cannot be looked through. AA to such a query would be for what is not kept.
func holdsResult(text []byte) bool {
	m, err := hl7.Parse(text)
	return err != nil || m.First("OBX").Raw != nil
}

// receive stores one message and returns its acknowledgements: CA and AA only
// for what is durable. There may be none. An error ends the line without one: its
// sender is to see that the message was not taken, and wants no acknowledgement
// that could say so.
func (b *mllpLink) receive(ctx context.Context, raw profile.Raw) (answers [][]byte, err error) {
	header, err := hl7.ParseHeader(raw.Text)
	if err != nil {
		return b.reject(ctx, raw, hl7.CodeInternal, "not an HL7 v2 message: "+err.Error()), nil
	}
	if b.acknowledges(header, raw.Text) {
		b.log.Debug("an acknowledgement is not answered")
		b.note("an acknowledgement is not answered")
		return nil, nil
	}
	if hl7.IsQuery(header) && !holdsResult(raw.Text) {
		return b.query(ctx, raw, header), nil
	}
	code, event, _ := hl7.MessageType(header)
	switch refusal(code, event) {
	case hl7.CodeUnsupportedType:
		return b.reject(ctx, raw, hl7.CodeUnsupportedType, "message type is not accepted here"), nil
	case hl7.CodeUnsupportedEvent:
		return b.reject(ctx, raw, hl7.CodeUnsupportedEvent, "event is not accepted here"), nil
	}
	switch err := b.keep(ctx, "", raw); {
	case errors.Is(err, errNotKept):
		b.Observer.NegativeAck(raw.Instrument, reasonRejected)
		answers = b.acknowledgements(raw, hl7.Rejected, hl7.CodeInternal, err.Error())
	case err != nil:
		b.Observer.NegativeAck(raw.Instrument, reasonStore)
		answers = b.acknowledgements(raw, hl7.Failed, hl7.CodeInternal, "the message could not be stored; send it again")
	default:
		return b.acknowledgements(raw, hl7.Stored, "", ""), nil
	}
	if len(answers) == 0 {
		return nil, errUntold
	}
	return answers, nil
}

// reject answers AR. The sender still has the message; a copy is kept for the
// audit.
func (b *mllpLink) reject(ctx context.Context, raw profile.Raw, code, why string) [][]byte {
	b.Observer.NegativeAck(raw.Instrument, reasonRejected)
	if len(raw.Text) > 0 {
		raw.Intake, raw.Reason = envelope.Rejected, why
		_ = b.keep(ctx, "", raw) // reported there; the answer is AR all the same
	}
	return b.acknowledgements(raw, hl7.Rejected, code, why)
}

// acknowledgements returns what the sender of a message is told of its outcome.
func (b *mllpLink) acknowledgements(raw profile.Raw, outcome hl7.Outcome, problem, text string) (list [][]byte) {
	header, _ := hl7.ParseHeader(raw.Text) // one that is none asks for nothing
	wanted := b.ackMode(raw).Answers(header, outcome)
	b.sayOutcome(outcome, wanted)
	for _, code := range []string{wanted.Accept, wanted.Application} {
		if code != "" {
			list = append(list, b.acknowledge(raw.Text, code, wanted.Enhanced, problem, text))
		}
	}
	return list
}

// ackMode is how a message is acknowledged: as the line says, else the
// instrument's own quirks, else its profile, else the message itself.
func (b *mllpLink) ackMode(raw profile.Raw) hl7.Mode {
	said := ""
	for _, m := range b.members {
		if m.Name == raw.Instrument && m.Settings.Profile == raw.Profile {
			said = cmp.Or(m.Settings.Ack, m.Settings.Quirks.Ack)
			break
		}
	}
	if said == "" {
		said = b.members[0].Settings.Ack
	}
	if said == "" {
		said = b.Profiles.Ack(raw.Profile, raw.Text)
	}
	switch said {
	case "original":
		return hl7.Original
	case "enhanced":
		return hl7.Enhanced
	}
	return hl7.Auto
}

func (b *mllpLink) acknowledge(request []byte, code string, enhanced bool, problem, text string) []byte {
	now := time.Now()
	a := hl7.Acknowledgment{
		Code: code, Text: text, Enhanced: enhanced,
		ControlID: b.controlID(now),
		Time:      hl7Time(now),
	}
	if problem != "" {
		a.Err = &hl7.ErrorDetail{Location: location(problem), Code: problem, Text: text}
	}
	m, err := hl7.ParseHeader(request)
	if kind, _, _ := hl7.MessageType(m); err == nil && kind != "OML" {
		return hl7.AckParsed(m, a) // only the answer to orders names them
	}
	return hl7.Ack(request, a)
}

// hl7Time is a time as MSH-7 has it.
func hl7Time(at time.Time) string { return at.Format("20060102150405-0700") }

// controlID returns the control id of the next answer: the time, in a number
// that no two answers on this line share.
func (b *mllpLink) controlID(now time.Time) string {
	b.lastID = max(b.lastID+1, now.UnixNano())
	if b.firstID == 0 {
		b.firstID = b.lastID
	}
	return strings.ToUpper(strconv.FormatInt(b.lastID, 36))
}

// acknowledges reports whether a message is an acknowledgement: of an answer of
// this line that asked for none, or of nothing that it knows, as one that comes
// late over a new line. It gets none in turn, or two who acknowledge everything
// would never end. Some write another type into MSH-9, and are known by the
// message that they name. What holds a result is none, whatever it says.
func (b *mllpLink) acknowledges(header hl7.Message, text []byte) bool {
	code, _, _ := hl7.MessageType(header)
	typed := code == "ACK" || code == "MCF"
	if !typed && (len(text) > longestAck || b.firstID == 0) {
		return false
	}
	m, err := hl7.Parse(text)
	msa := m.First("MSA")
	if err != nil || msa.Raw == nil || m.First("OBX").Raw != nil {
		return false
	}
	id, err := strconv.ParseInt(string(msa.Field(2)), 36, 64)
	return typed || err == nil && b.firstID <= id && id <= b.lastID
}

// longestAck is more than an acknowledgement has.
const longestAck = 4 << 10

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
