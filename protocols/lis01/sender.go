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
//	enquiry   ACK                     first frame, 15 s                      transfer  8.2
//	enquiry   NAK                     waits 10 s; the sixth time: busy       waiting   8.2
//	enquiry   ENQ, instrument         waits 1 s; the sixth time: contention  waiting   8.2
//	enquiry   ENQ, host               contention                             over      8.2
//	enquiry   timer                   EOT, timeout                           over      8.5.2
//	enquiry   other byte              nothing                                enquiry   ours
//	waiting   timer                   ENQ, 15 s                              enquiry   8.2
//	waiting   byte                    nothing                                waiting   ours
//	transfer  ACK                     next frame, 15 s; after the last: EOT  transfer  8.3.4, 8.4
//	transfer  EOT                     as ACK, with Interrupt                 transfer  8.3.5
//	transfer  CR, LF, NUL             nothing                                transfer  ours
//	transfer  NAK, any other byte     the frame again; the sixth time: EOT,  transfer  8.5.1.2
//	                                  refused
//	transfer  timer                   EOT, timeout                           over      8.5.2
//	any       Stop                    EOT if past idle and waiting, stopped  over      8.3.5
//
// The host that met contention waits [YieldWait] for the instrument's ENQ
// before it begins a new Sender. The standard lets a sender ignore a receiver
// interrupt, as happens here; to give way instead, step with Stop and keep
// quiet for [InterruptWait].
type Sender struct {
	Frames [][]byte // encoded frames, see AppendMessage; none make an empty session
	Host   bool     // this side is the computer, which gives way in contention

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
		return Move{Write: []byte{ENQ}, Wait: ReplyTimeout}
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
	return Move{Write: s.Frames[s.next], Wait: ReplyTimeout}
}

func (s *Sender) end(write []byte, o Outcome) Move {
	s.phase = over
	return Move{Write: write, Outcome: o}
}
