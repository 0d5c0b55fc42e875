package instrument

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/assaygate/assaygate/device/profile"
	"github.com/assaygate/assaygate/protocols/hl7"
	"github.com/assaygate/assaygate/protocols/lis01"
	"github.com/assaygate/assaygate/protocols/vendor"
)

// What a line tells its tap beside bytes: which timers run, and what was decided.
// It is for the person who looks on while an instrument "does not send", so it
// says what comes next, and the clause of LIS01-A2 where there is one. The texts
// are all of this package: none has anything of a message in it.

// strayNote is told once until something good comes.
const strayNote = "bytes that belong to no frame or block are left out"

// timer tells of a timer that starts or has run out.
func (l *line) timer(format string, values ...any) {
	l.tap.tell(func(tap Tap) { tap.Timer(time.Now(), fmt.Sprintf(format, values...)) })
}

// note tells of a decision.
func (l *line) note(text string) {
	l.tap.tell(func(tap Tap) { tap.Note(time.Now(), text) })
}

// saySerialErrors tells what the serial driver has counted since the last time.
func (l *line) saySerialErrors(counted map[string]uint64) {
	var list []string
	for _, kind := range []string{"framing", "parity", "overrun", "break"} {
		if n := counted[kind]; n > 0 {
			list = append(list, fmt.Sprintf("%s %d", kind, n))
		}
	}
	if len(list) > 0 {
		l.note("errors that the serial driver has counted: " + strings.Join(list, ", "))
	}
}

// sayEnd tells why the line ends.
func (l *line) sayEnd(err error) {
	switch {
	case err == nil:
		l.note("the box closes the line: it stops, or has another configuration")
	case closedFor(err) != "" || errors.Is(err, errTooLong):
		for _, why := range []error{errIdle, errSession, errJunk, errCrowded, errTooLong} {
			if errors.Is(err, why) {
				l.note("the box closes the line: " + why.Error())
			}
		}
	case errors.Is(err, errUntold):
		l.note("the box closes the line: a message could not be stored, and its sender wants no acknowledgement that could say so")
	case l.uncertain != nil:
		l.note("the box closes the line without an answer: nobody knows whether the message is stored")
	case errors.Is(err, io.EOF):
		l.note("the other side has closed the line")
	default:
		l.note("the line is lost")
	}
}

// sayNAK says why a frame is refused.
func (a *astm) sayNAK(reason string) {
	switch reason {
	case string(lis01.RefusedChecksum):
		a.note("checksum wrong or missing: NAK (LIS01-A2 8.5.1)")
	case string(lis01.RefusedNumber):
		a.note("not the frame number that comes next: NAK (LIS01-A2 8.5.1)")
	case string(lis01.RefusedMalformed):
		a.note("not the form of a frame: NAK (LIS01-A2 8.5.1)")
	case reasonStore:
		a.note("could not be stored: NAK")
	case reasonTooLong:
		a.note("the message is longer than limits.message: NAK")
	case reasonFrameTooLong:
		a.note("the frame is longer than limits.frame: NAK")
	}
}

// sayToken says what becomes of a token that is no new frame.
func (a *astm) sayToken(token, reply byte) {
	switch {
	case token == lis01.ENQ:
		a.note("a session begins: ACK (LIS01-A2 8.2)")
	case token == lis01.STX && reply == lis01.ACK:
		a.note("the same frame again: ACK, and not taken twice (LIS01-A2 8.3.2)")
	case token == lis01.STX && reply == 0:
		a.note("a frame outside of a session is not answered: ENQ has to come first (LIS01-A2 8.2)")
	}
}

// sayTaken says why a frame gets its ACK.
func (a *astm) sayTaken(complete []profile.Raw) {
	switch {
	case len(complete) > 0:
		a.note("the message is stored, now ACK")
	case a.drafted:
		a.note("the message so far is stored, now ACK")
	default:
		a.note("the frame is good, its message goes on: ACK")
	}
}

// sayReceiverTimer says how long the box now waits.
func (a *astm) sayReceiverTimer() {
	if own := a.quirks.ReceiverTimeout; own > 0 {
		a.timer("%s for the next frame or EOT (quirks.receiver_timeout)", own)
		return
	}
	a.timer("%s for the next frame or EOT (LIS01-A2 8.5.2)", receiverTimer)
}

// sayMove says what the sending side of the box does, and which timer it starts.
func (a *astm) sayMove(m lis01.Move) {
	switch {
	case m.Interrupt && m.Outcome == "":
		a.note("EOT in place of ACK: the instrument has the frame and wants the line, and gets it (LIS01-A2 8.3.5)")
	case m.Outcome == lis01.Sent:
		a.note("all frames are acknowledged: EOT (LIS01-A2 8.4)")
	case m.Outcome == lis01.Contended:
		a.note("contention: both want to send, and the instrument goes first (LIS01-A2 8.2)")
	case m.Outcome == lis01.Yielded:
		a.note("the instrument begins a session, and goes first")
	case m.Outcome == lis01.TimedOut:
		a.timer("ran out: no reply came; EOT, the session is over (LIS01-A2 8.5.2)")
	case m.Outcome == lis01.Refused:
		a.note("the frame was sent six times and not acknowledged: EOT (LIS01-A2 8.5.1.2)")
	case m.Outcome == lis01.Busy:
		a.note("ENQ was answered with NAK six times: the box gives up")
	case m.Outcome == lis01.Stopped:
		a.note("the box breaks its session off")
	case m.Wait > 0 && len(m.Write) == 0:
		a.timer("%d s until ENQ again: the instrument is busy, it answered with NAK (LIS01-A2 8.2)", m.Wait)
	}
}

// sayWait says which timer runs once the bytes of a move have left.
func (a *astm) sayWait(m lis01.Move) {
	if m.Wait > 0 && len(m.Write) > 0 && m.Outcome == "" {
		a.timer("%d s for the reply (LIS01-A2 8.5.2)", m.Wait)
	}
}

// sayOutcome says how a message is answered, and why.
func (b *mllpLink) sayOutcome(outcome hl7.Outcome, with hl7.Answers) {
	codes := strings.Join(slices.DeleteFunc([]string{with.Accept, with.Application}, func(code string) bool { return code == "" }), " and ")
	if codes == "" {
		codes = "no acknowledgement, as MSH-15 and MSH-16 ask"
	}
	switch outcome {
	case hl7.Stored:
		b.note("the message is stored, now " + codes)
	case hl7.Failed:
		b.note("the message could not be stored: " + codes)
	case hl7.Rejected:
		b.note("the message is refused: " + codes)
	}
}

// sayVerdict says how an Emerald's frame is answered, and why.
func (b *emeraldLink) sayVerdict(v vendor.Verdict) {
	switch v {
	case vendor.Stored:
		b.note("the frame is stored, now " + string(v))
	case vendor.SumFailed:
		b.note("the frame's check sum is wrong: " + string(v))
	case vendor.NotStored:
		b.note("the frame could not be stored: " + string(v))
	}
}
