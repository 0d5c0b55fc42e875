package lis01

import (
	"bytes"
	"crypto/sha256"
	"errors"
)

// Rules loosens what a [Receiver] asks of its sender. The zero value is strict.
type Rules struct {
	IgnoreChecksum bool // take frames whose checksum is wrong, short or missing
	IgnoreNumbers  bool // take frames whatever their number; repeats are still recognised
}

// Refusal is the reason of a NAK.
type Refusal string

// The reasons. The empty one means that there was no NAK.
const (
	RefusedChecksum  Refusal = "checksum"
	RefusedNumber    Refusal = "frame_number"
	RefusedMalformed Refusal = "malformed"
	RefusedStore     Refusal = "store"
)

// Receiver is the receiving half of a session: the state table of the package
// doc, a row a call. The zero value is neutral and strict. It is not safe for
// concurrent use.
type Receiver struct {
	Rules Rules // may be changed at any time, e.g. once the sender is recognised

	session bool
	expect  byte // frame number that comes next
	last    mark // the frame accepted last in this session
	pending mark // the frame handed out and not committed
	refusal Refusal
}

// mark is what is remembered of a frame, to recognise its repeat. The sum
// stands for up to 64 KiB of frame a line.
type mark struct {
	number byte // 0: no frame
	sum    [sha256.Size]byte
}

// Step consumes one token of [Split]. With deliver the caller stores the frame
// (or keeps it in memory while its message is unfinished), calls Commit and
// writes that reply. Without, reply is final; 0 means that nothing is written.
//
// ENQ answered with ACK begins a session: what the caller has of an unfinished
// message is then void. The frame does not share the token's memory.
func (r *Receiver) Step(token []byte) (frame Frame, deliver bool, reply byte) {
	r.pending, r.refusal = mark{}, ""
	if len(token) == 0 {
		return Frame{}, false, 0
	}
	switch token[0] {
	case ENQ:
		r.session, r.expect, r.last = true, '1', mark{}
		return Frame{}, false, ACK
	case EOT:
		r.Reset()
	case STX:
		if r.session {
			return r.frame(token)
		}
	}
	return Frame{}, false, 0
}

// frame judges a frame within a session.
func (r *Receiver) frame(token []byte) (frame Frame, deliver bool, reply byte) {
	f, err := ParseFrame(token)
	switch {
	case err == nil, r.Rules.IgnoreChecksum && errors.Is(err, ErrChecksum):
	case errors.Is(err, ErrChecksum):
		return r.refuse(RefusedChecksum)
	default:
		return r.refuse(RefusedMalformed)
	}
	// CR and LF are left out: whether they came before the quiet time is chance.
	this := mark{f.Number, sha256.Sum256(trimEnd(token))}
	switch {
	case this == r.last:
		return Frame{}, false, ACK
	case f.Number != r.expect && !r.Rules.IgnoreNumbers:
		return r.refuse(RefusedNumber)
	}
	r.pending = this
	f.Text = bytes.Clone(f.Text)
	return f, true, 0
}

func (r *Receiver) refuse(why Refusal) (Frame, bool, byte) {
	r.refusal = why
	return Frame{}, false, NAK
}

// Commit ends the delivery of the frame that Step handed out and returns the
// reply to write: ACK if it is stored, NAK so that the sender repeats it.
// Without such a frame it returns 0.
func (r *Receiver) Commit(stored bool) (reply byte) {
	this := r.pending
	switch {
	case this.number == 0:
		return 0
	case !stored:
		r.pending, r.refusal = mark{}, RefusedStore
		return NAK
	}
	r.pending, r.last = mark{}, this
	r.expect = '0' + (this.number-'0'+1)%8
	return ACK
}

// InSession reports whether a session is open, that is, not neutral.
func (r *Receiver) InSession() bool { return r.session }

// Refusal returns why the last reply was NAK, or "" if it was not.
func (r *Receiver) Refusal() Refusal { return r.refusal }

// Reset goes back to neutral: the receiver timer ran out or the line was lost.
// Rules stay.
func (r *Receiver) Reset() { *r = Receiver{Rules: r.Rules} }
