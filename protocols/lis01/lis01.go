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
//	state     token                                        reply        next state  clause
//	neutral   ENQ                                          ACK          transfer    8.2
//	neutral   frame, EOT, ACK, NAK                         none         neutral     8.2
//	transfer  frame, sound, number expected                by Commit    transfer    8.3.4
//	transfer  frame, same number and bytes as the last one ACK          transfer    8.3.2, 8.5
//	transfer  frame, checksum wrong or missing             NAK          transfer    8.5.1
//	transfer  frame, not of the form above                 NAK          transfer    8.5.1
//	transfer  frame, any other number                      NAK          transfer    8.5.1
//	transfer  ENQ (the sender began anew)                  ACK          transfer,   ours
//	                                                                    frame 1 expected
//	transfer  EOT                                          none         neutral     8.4
//	transfer  ACK, NAK                                     none         transfer    ours
//	any       no frame for 30 seconds (Reset)              none         neutral     8.5.2
//
// A sound frame is handed out by [Receiver.Step] without a reply. The caller
// stores what has to be stored, then gets the reply from [Receiver.Commit]:
//
//	pending   Commit(true)                                 ACK          transfer,   8.3.4
//	                                                                    next number expected
//	pending   Commit(false) (storing failed)               NAK          transfer    8.3.4
//	pending   Step (Commit was never called)               as transfer  as transfer ours
//
// A refused frame changes nothing: the same number stays expected. A repeat
// has the same number and the same bytes as the last accepted frame. The same
// number with other bytes is another frame that some instrument misnumbered;
// to take it for a repeat would acknowledge a result that nobody kept. [Rules]
// loosens checksum and numbers for senders that need it.
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
