package instrument

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"github.com/assaygate/assaygate/device/profile"
	"github.com/assaygate/assaygate/protocols/lis01"
)

const (
	// answerDelay is how long the line must have been neutral before the box
	// begins a session of its own: an instrument that has more to say is not to
	// be met half-way.
	answerDelay = 500 * time.Millisecond
	// answerSessions is how often an answer is begun that has to make way for the
	// instrument each time: as often as LIS01-A2 sends one frame.
	answerSessions = 6
	// stopTimeout is how long the EOT may take that ends a session at shutdown.
	stopTimeout = time.Second
)

// host is the sending half of an ASTM line. It has at most one answer, to the one
// query that is open, and sends it in sessions of its own between those of the
// instrument, which has the line first.
type host struct {
	answer  *answer      // nil: there is nothing to say
	sender  lis01.Sender // of the session that is going on
	sending bool
	at      time.Time // when to begin; while sending, when the sender's timer is over
}

// answer is a query that is to be answered.
type answer struct {
	query  profile.Query
	from   Instrument
	quirks profile.Quirks
	begun  int // sessions
}

// ask takes the query of a message that is stored, if it holds one. It is the
// only one that is open from now on.
func (a *astm) ask(m profile.Raw) {
	query, found := a.Profiles.Query(m)
	if !found {
		return
	}
	from := a.member(m.Protocol, m.Text)
	outcome := QueryReplaced
	if query.Cancel {
		outcome = QueryCanceled
	}
	a.drop(outcome, "")
	if query.Cancel {
		return
	}
	quirks := a.Profiles.Quirks(from.Settings.Profile, m.Text).Over(from.Settings.Quirks)
	if quirks.Query == profile.QueryNone {
		a.queried(from.Name, QueryIgnored, "")
		return
	}
	a.host.answer = &answer{query: query, from: from, quirks: quirks}
	a.note("a query: it is answered in a session of the box's own")
	a.rest(answerDelay)
}

// askIf is ask for a message that may not have been kept.
func (a *astm) askIf(m profile.Raw, kept bool) {
	if kept {
		a.ask(m)
	}
}

// rest puts the next session off.
func (a *astm) rest(wait time.Duration) { a.host.at = time.Now().Add(wait) }

// restForAnswer puts it off until the instrument has had time to begin another.
func (a *astm) restForAnswer() {
	a.rest(answerDelay)
	if a.host.answer != nil {
		a.timer("%s of silence until the box begins a session of its own", answerDelay)
	}
}

// drop gives the open query up, if there is one.
func (a *astm) drop(outcome, why string) {
	if open := a.host.answer; open != nil {
		a.host.answer = nil
		a.queried(open.from.Name, outcome, why)
	}
}

// due implements speaker. A session begins in the neutral state only, where
// nothing of a frame or packet is on its way.
func (a *astm) due(data []byte) time.Time {
	if !a.host.sending && (a.host.answer == nil || a.session || len(data) > 0) {
		return time.Time{}
	}
	return a.host.at
}

// speak implements speaker.
func (a *astm) speak(ctx context.Context) error {
	if a.host.sending {
		move := a.host.sender.Step(lis01.Expired)
		if move.Outcome == "" {
			a.timer("ran out: ENQ again (LIS01-A2 8.2)")
		}
		return a.move(move)
	}
	a.note("the box begins a session: ENQ (LIS01-A2 8.2)")
	open := a.host.answer
	open.begun++
	a.host.sending = true
	a.host.sender = lis01.Sender{
		Frames: lis01.AppendMessage(nil, a.answerText(ctx, open), open.quirks.FrameSize),
		Host:   true,
		Reply:  int((open.quirks.ReplyTimeout + time.Second - 1) / time.Second),
	}
	return a.move(a.host.sender.Step(lis01.Begin))
}

// answerText is the message that answers a query.
func (a *astm) answerText(ctx context.Context, open *answer) []byte {
	now := time.Now()
	asked := Query{Instrument: open.from.Name, Samples: open.query.Samples, Tests: open.query.Tests, Raw: open.query.Raw}
	if found := a.orders(ctx, asked); len(found) > 0 {
		return open.query.Answer(now, found)
	}
	if open.quirks.Query == profile.QueryNoOrder {
		return open.query.NoOrder(now)
	}
	return open.query.NoInformation(now)
}

// move does what the sender says.
func (a *astm) move(m lis01.Move) error {
	a.sayMove(m)
	if m.Interrupt && m.Outcome == "" {
		// The instrument has the frame and wants the line (8.3.5). It may have a
		// result to send, so it gets it; the answer begins anew.
		a.host.sending = false
		stopped := a.host.sender.Step(lis01.Stop)
		if err := a.write(stopped.Write); err != nil {
			return err
		}
		a.again(lis01.InterruptWait)
		return nil
	}
	if err := a.write(m.Write); err != nil {
		return err
	}
	a.sayWait(m)
	if m.Wait > 0 {
		a.rest(time.Duration(m.Wait) * time.Second)
	}
	switch m.Outcome {
	case "":
		return nil
	case lis01.Sent:
		a.drop(QueryAnswered, "")
	case lis01.Contended, lis01.Yielded, lis01.Stopped:
		a.again(lis01.YieldWait)
	default:
		a.drop(QueryUndelivered, unsent(m.Outcome))
	}
	a.host.sending = false
	return nil
}

// again has the answer sent from its beginning in a new session, after so many
// seconds or once the instrument has ended a session of its own.
func (a *astm) again(seconds int) {
	a.rest(time.Duration(seconds) * time.Second)
	switch open := a.host.answer; {
	case open == nil:
	case open.begun >= answerSessions:
		a.drop(QueryUndelivered, fmt.Sprintf("the instrument took the line %d times", open.begun))
	default:
		a.timer("%d s until the box begins anew, unless the instrument ends a session before", seconds)
	}
}

// unsent says in words what the instrument did.
func unsent(o lis01.Outcome) string {
	switch o {
	case lis01.Refused:
		return "a frame was not acknowledged six times"
	case lis01.TimedOut:
		return "no reply in time"
	case lis01.Busy:
		return "busy: ENQ was answered with NAK six times"
	}
	return string(o)
}

// hear takes bytes while a session of the box goes on, and returns those that are
// not for it.
func (a *astm) hear(data []byte) (rest []byte, err error) {
	for len(data) > 0 && a.host.sending {
		if data[0] == lis01.STX && !a.host.sender.InTransfer() {
			// No reply begins so: it is a packet of a maker's own, which nobody
			// sends again.
			if err := a.move(a.host.sender.Step(lis01.Stop)); err != nil {
				return nil, err
			}
			break
		}
		inTransfer := a.host.sender.InTransfer()
		move := a.host.sender.Step(lis01.Event(data[0]))
		if inTransfer && data[0] == lis01.NAK && move.Outcome == "" {
			a.note("NAK: the same frame again (LIS01-A2 8.5.1.2)")
		}
		if move.Outcome != lis01.Yielded {
			data = data[1:] // else it is the ENQ of the instrument's session
		}
		if err := a.move(move); err != nil {
			return nil, err
		}
		if len(move.Write) > 0 && a.host.sending {
			// What came before the frame left is no reply to it, but may be the
			// instrument that begins.
			if data = data[max(bytes.IndexByte(data, lis01.ENQ), 0):]; len(data) > 0 && data[0] != lis01.ENQ {
				data = nil
			}
		}
	}
	return data, nil
}

// hush implements speaker.
func (a *astm) hush(why string) {
	if a.host.sending {
		a.host.sending = false
		// The line may be lost, or the peer deaf: then it needs no EOT.
		_ = a.writeWithin(a.host.sender.Step(lis01.Stop).Write, stopTimeout)
	}
	a.drop(QueryUndelivered, why)
}
