package lis01

// maxSends is how often a frame is sent before the sender gives up (8.5.1.2:
// six times without ACK). The same limit holds for ENQ answered with NAK or
// ENQ, for which the standard has none.
const maxSends = 6

// Event is what a [Sender] is stepped with: a byte that came from the receiver,
// as Event(c), or one of the following.
type Event int

// Events that are not bytes.
const (
	Begin   Event = -1 - iota // start the session
	Expired                   // the time that the last Move asked for is over
	Stop                      // give up, e.g. to give way to a receiver interrupt
)

// Outcome tells how a session went.
type Outcome string

// The outcomes. The empty one means that the session goes on.
const (
	Sent      Outcome = "sent"       // all frames are acknowledged
	Refused   Outcome = "refused"    // a frame was sent six times without ACK
	TimedOut  Outcome = "timeout"    // no reply within ReplyTimeout
	Busy      Outcome = "busy"       // ENQ got NAK six times
	Contended Outcome = "contention" // the other side wants to send and has precedence: be its receiver now
	Yielded   Outcome = "yielded"    // host: ENQ came that is no contention; give it to the Receiver, which answers it
	Stopped   Outcome = "stopped"    // the caller asked for it
)

// Move is what the caller of [Sender.Step] has to do.
type Move struct {
	Write     []byte  // bytes to write, if any; not to be changed
	Wait      int     // seconds after which to step with Expired; 0 leaves the running timer as it is
	Outcome   Outcome // once set, the session is over and the timer is to be stopped
	Interrupt bool    // the receiver took the frame and asks for the line
}

// Sender is the sending half of one session.
//
//	state     event                   does                                   next      clause
//	idle      Begin                   ENQ, 15 s                              enquiry   8.2
//	idle      Stop                    stopped                                over      ours
//	idle      anything else           nothing                                idle      8.2
//	enquiry   ACK                     first frame, 15 s                      transfer  8.2
//	enquiry   ACK, without frames     EOT, sent                              over      8.4
//	enquiry   NAK                     waits 10 s                             waiting   8.2
//	enquiry   NAK, the sixth time     busy                                   over      ours
//	enquiry   ENQ, instrument         waits 1 s                              waiting   8.2
//	enquiry   ENQ, the sixth time     contention                             over      ours
//	enquiry   ENQ, host               contention                             over      8.2
//	enquiry   timer                   EOT, timeout                           over      8.5.2
//	enquiry   Stop                    EOT, stopped                           over      ours
//	enquiry   anything else           nothing                                enquiry   ours
//	waiting   timer                   ENQ, 15 s                              enquiry   8.2
//	waiting   ENQ, host               yielded                                over      8.2
//	waiting   Stop                    stopped                                over      ours
//	waiting   anything else           nothing                                waiting   ours
//	transfer  ACK                     next frame, 15 s                       transfer  8.3.4
//	transfer  ACK of the last frame   EOT, sent                              over      8.4
//	transfer  EOT                     as ACK, with Interrupt                 as ACK    8.3.5
//	transfer  CR, LF, NUL, Begin      nothing                                transfer  ours
//	transfer  ENQ, host               EOT, yielded                           over      ours
//	transfer  NAK, any other byte     the frame again, 15 s                  transfer  8.5.1.2
//	transfer  such, the sixth time    EOT, refused                           over      8.5.1.2
//	transfer  timer                   EOT, timeout                           over      8.5.2
//	transfer  Stop                    EOT, stopped                           over      8.3.5
//	over      anything                nothing                                over      ours
//
// A frame is sent six times at most; a message that was not sent to its end
// begins anew, with its first frame, in a session of its own.
//
// The host that met contention does not answer that ENQ: the instrument sends
// another after a second. The host waits [YieldWait] for it before it begins a
// new Sender. ENQ while the host waits is the beginning of a session, and ENQ in
// place of a reply is that of an instrument that started anew: its results come
// before what the host has to say. In the second case, should a damaged ACK have
// looked so, the EOT ends the session in order.
//
// The standard lets a sender ignore a receiver interrupt, as happens here; to
// give way instead, step with Stop in place of writing what the Move says, and
// keep quiet for [InterruptWait].
type Sender struct {
	Frames [][]byte // encoded frames, see AppendMessage; none make an empty session
	Host   bool     // this side is the computer, which gives way in contention
	Reply  int      // seconds to wait for a reply; 0 means ReplyTimeout

	phase phase
	next  int // index of the frame to be acknowledged
	tries int // sends of that frame, or of ENQ, that were refused
}

type phase uint8

const (
	idle phase = iota
	enquiry
	waiting
	transfer
	over
)

// Step consumes one event. A session that is over, or has not begun, ignores
// what does not concern it.
func (s *Sender) Step(e Event) Move {
	switch {
	case e == Stop && s.phase != over:
		return s.stop()
	case s.phase == idle && e == Begin, s.phase == waiting && e == Expired:
		s.phase = enquiry
		return Move{Write: []byte{ENQ}, Wait: s.replyTimeout()}
	case s.phase == waiting && s.Host && e == ENQ:
		return s.end(nil, Yielded)
	case s.phase == enquiry:
		return s.enquire(e)
	case s.phase == transfer:
		return s.transfer(e)
	}
	return Move{}
}

func (s *Sender) stop() Move {
	quiet := s.phase == idle || s.phase == waiting
	s.phase = over
	if quiet {
		return Move{Outcome: Stopped}
	}
	return Move{Write: []byte{EOT}, Outcome: Stopped}
}

func (s *Sender) enquire(e Event) Move {
	switch e {
	case ACK:
		s.phase, s.tries = transfer, 0
		return s.send()
	case NAK:
		if s.tries++; s.tries == maxSends {
			return s.end(nil, Busy)
		}
		s.phase = waiting
		return Move{Wait: BusyWait}
	case ENQ:
		if s.Host {
			return s.end(nil, Contended)
		}
		if s.tries++; s.tries == maxSends {
			return s.end(nil, Contended)
		}
		s.phase = waiting
		return Move{Wait: ContentionWait}
	case Expired:
		return s.end([]byte{EOT}, TimedOut)
	}
	return Move{}
}

func (s *Sender) transfer(e Event) Move {
	switch e {
	case ACK, EOT:
		s.next, s.tries = s.next+1, 0
		m := s.send()
		m.Interrupt = e == EOT
		return m
	case Expired:
		return s.end([]byte{EOT}, TimedOut)
	case Begin, CR, LF, NUL:
		return Move{}
	case ENQ:
		if s.Host {
			return s.end([]byte{EOT}, Yielded)
		}
	}
	if s.tries++; s.tries == maxSends {
		return s.end([]byte{EOT}, Refused)
	}
	return s.send()
}

// send sends the frame whose turn it is, or ends the session.
func (s *Sender) send() Move {
	if s.next >= len(s.Frames) {
		return s.end([]byte{EOT}, Sent)
	}
	return Move{Write: s.Frames[s.next], Wait: s.replyTimeout()}
}

func (s *Sender) replyTimeout() int {
	if s.Reply > 0 {
		return s.Reply
	}
	return ReplyTimeout
}

// InTransfer reports whether frames are on their way, so that a byte that comes
// is the reply to one.
func (s *Sender) InTransfer() bool { return s.phase == transfer }

func (s *Sender) end(write []byte, o Outcome) Move {
	s.phase = over
	return Move{Write: write, Outcome: o}
}
