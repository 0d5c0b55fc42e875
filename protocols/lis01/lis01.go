// Package lis01 implements CLSI LIS01-A2 (ASTM E1381), the low-level protocol
// that carries messages between a laboratory instrument and a computer.
//
// It is pure: no I/O, no clock, no goroutine. The caller owns the line and the
// timers, cuts what it reads into tokens with [Split], and steps a [Receiver]
// or a [Sender] with them.
//
// A frame is
//
//	STX FN text ETB C1 C2 CR LF    intermediate frame, more of the message follows
//	STX FN text ETX C1 C2 CR LF    end frame
//
// FN is one digit, 1 for the first frame after ENQ, then +1 modulo 8. C1 C2
// are the sum of all bytes from FN to ETB or ETX, modulo 256, as two hex digits.
//
// # Receiver
//
// What the receiver does with each token. Clauses are those of LIS01-A2; rows
// marked "ours" fill what the standard leaves open.
//
//	state     token                                        reply      next state  clause
//	neutral   ENQ                                          ACK        begun       8.2
//	neutral   frame, EOT, ACK, NAK                         none       neutral     8.2
//	begun     frame 1, sound                               by Commit  pending     8.3.1
//	begun     frame of any other number, 0 among them      NAK        begun       8.5.1
//	transfer  frame, sound, number expected                by Commit  pending     8.3.4
//	transfer  frame, same number and bytes as the last one ACK        transfer    8.3.2, 8.5
//	transfer  frame, same number, other bytes              NAK        transfer    ours
//	transfer  frame, any other number                      NAK        transfer    8.5.1
//	in any    frame, checksum wrong or missing             NAK        the same    8.5.1
//	in any    frame, not of the form above                 NAK        the same    8.5.1
//	in any    ENQ (the sender began anew)                  ACK        begun       ours
//	in any    EOT                                          none       neutral     8.4
//	in any    ACK, NAK                                     none       the same    ours
//	every     no frame for 30 seconds (Reset)              none       neutral     8.5.2
//
// "In any" is begun or transfer, the two states of an open session: in begun no
// frame of it was accepted yet, so that nothing can be the repeat of one. A
// session that ends without a frame is how some senders see whether the line is
// alive. Bytes that are no token, between frames or outside a session, are cut
// off by [Split] and change nothing.
//
// A sound frame is handed out by [Receiver.Step] without a reply. The caller
// stores what has to be stored, then gets the reply from [Receiver.Commit]:
//
//	state     call                                         reply      next state  clause
//	pending   Commit(true)                                 ACK        transfer,   8.3.4
//	                                                                  next number expected
//	pending   Commit(false) (storing failed)               NAK        as before   8.3.4
//	                                                                  the frame
//	pending   Step (Commit was never called)               as before  as before   ours
//	                                                       the frame  the frame
//	other     Commit                                       none       the same    ours
//
// A refused frame changes nothing: the same number stays expected. A repeat
// has the same number and the same bytes as the last accepted frame. The same
// number with other bytes is another frame that some instrument misnumbered;
// to take it for a repeat would acknowledge a result that nobody kept. The
// receiver does not count refusals: it is the sender who gives up, after six.
// It never asks for the line by EOT in place of ACK (8.3.5): a result that is on
// its way comes first.
//
// [Rules] loosens this for senders that need it. With IgnoreChecksum a frame whose
// checksum is wrong or missing is sound; with IgnoreNumbers every number but that
// of a repeat is the one expected.
//
// # Sender
//
// The sender's table is with [Sender].
package lis01

// Control characters of the link, as far as the protocol gives them a meaning
// or forbids them in a frame's text.
const (
	NUL = 0x00
	SOH = 0x01
	STX = 0x02
	ETX = 0x03
	EOT = 0x04
	ENQ = 0x05
	ACK = 0x06
	LF  = 0x0A
	CR  = 0x0D
	DLE = 0x10
	DC1 = 0x11
	DC2 = 0x12
	DC3 = 0x13
	DC4 = 0x14
	NAK = 0x15
	SYN = 0x16
	ETB = 0x17
)

// Timers, in seconds.
const (
	ReplyTimeout    = 15 // sender: wait for a reply (8.5.2)
	ReceiverTimeout = 30 // receiver: wait for the next frame or EOT (8.5.2)
	BusyWait        = 10 // sender: wait after NAK to ENQ (8.2)
	ContentionWait  = 1  // instrument: wait after ENQ met ENQ (8.2)
	YieldWait       = 20 // host: wait for the instrument's ENQ after ENQ met ENQ (8.2)
	InterruptWait   = 15 // sender: keep quiet after it gave way to a receiver interrupt (8.3.5)
)

// Sizes of a frame's text. The overhead of a frame is seven characters.
const (
	SafeText = 240    // what every receiver takes (E1381-95)
	MaxText  = 63_993 // LIS01-A2: 64 000 characters with the overhead
)
