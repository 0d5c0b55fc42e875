package simulator

import (
	"bytes"
	"errors"
	"os"
	"time"

	"github.com/assaygate/assaygate/protocols/lis01"
	"github.com/assaygate/assaygate/protocols/mllp"
)

// What each fault does to the units that go out and to the replies that come.
// See faults for their meaning.

func checksumOnce(l *faultyLine, unit []byte) error {
	if unit[0] != lis01.STX || l.spent {
		return l.put(unit)
	}
	l.spent = true
	return l.put(spoilChecksum(unit))
}

func checksumAlways(l *faultyLine, unit []byte) error { return l.put(spoilChecksum(unit)) }

// spoilChecksum returns a frame with another checksum, and any other unit as it
// is.
func spoilChecksum(unit []byte) []byte {
	frame, err := lis01.ParseFrame(unit)
	if err != nil && !errors.Is(err, lis01.ErrChecksum) {
		return unit
	}
	spoilt := lis01.AppendFrame(nil, frame)
	first := &spoilt[len(spoilt)-4]
	if *first == '0' {
		*first = '1'
	} else {
		*first = '0'
	}
	return spoilt
}

func numberOnce(l *faultyLine, unit []byte) error {
	if !l.last(unit) || l.spent {
		return l.put(unit)
	}
	l.spent = true
	// Neither the number that is expected nor that of the frame before.
	return l.put(renumbered(unit, func(n byte) byte { return '0' + (n-'0'+2)%8 }))
}

func numberSame(l *faultyLine, unit []byte) error {
	return l.put(renumbered(unit, func(byte) byte { return '1' }))
}

// renumbered returns a frame with another number and the checksum that fits, and
// any other unit as it is.
func renumbered(unit []byte, number func(byte) byte) []byte {
	frame, err := lis01.ParseFrame(unit)
	if err != nil && !errors.Is(err, lis01.ErrChecksum) {
		return unit
	}
	frame.Number = number(frame.Number)
	return lis01.AppendFrame(nil, frame)
}

// numberRestart leaves EOT and ENQ between two messages out. The frames of each
// message begin with 1 anyhow.
func numberRestart(l *faultyLine, unit []byte) error {
	switch unit[0] {
	case lis01.ENQ:
		if l.open {
			l.heard, l.spent = []byte{lis01.ACK}, true
			return nil
		}
	case lis01.EOT:
		taken := l.last(l.unit) && l.reply == lis01.ACK
		if l.open = taken && len(l.message.rest) > 0; l.open {
			return nil
		}
	}
	return l.put(unit)
}

// loseACK hears the reply and gives it to nobody. An ASTM sender repeats the
// frame when the time is over, as if it had got NAK; an HL7 sender the message.
func loseACK(l *faultyLine, p []byte) (int, error) {
	err := l.lose(p)
	if errors.Is(err, os.ErrDeadlineExceeded) && len(l.message.frames) > 0 {
		p[0] = lis01.NAK
		return 1, nil
	}
	return 0, err
}

// loseSession is the same for a sender that keeps to LIS01-A2: when the time is
// over it ends the session.
func loseSession(l *faultyLine, p []byte) (int, error) { return 0, l.lose(p) }

func (l *faultyLine) lose(p []byte) error {
	for {
		if _, err := l.now().Read(p); err != nil {
			l.spent = true
			return err
		}
	}
}

// damageACK gives out another byte, which counts as NAK.
func damageACK(l *faultyLine, p []byte) (int, error) {
	n, err := l.now().Read(p[:1])
	if n > 0 {
		p[0], l.spent = 0xFF, true
	}
	return n, err
}

// serialSilence is longer than any receiver waits for the next frame (30 s).
const serialSilence = 35 * time.Second

func cutOff(l *faultyLine, unit []byte) error {
	reached, err := l.upTo(unit, min(l.fault.number, l.size()))
	if !reached || err != nil {
		return err
	}
	if l.reopen == nil {
		if err := l.listen(serialSilence); !errors.Is(err, os.ErrDeadlineExceeded) {
			return err
		}
	} else if err := l.now().Close(); err != nil {
		return err
	}
	return errBrokenOff
}

func halfOpen(l *faultyLine, unit []byte) error {
	reached, err := l.upTo(unit, l.size()/2)
	if !reached || err != nil {
		return err
	}
	_ = l.listen(time.Duration(l.fault.number) * time.Second) // that it ends is all that matters
	return errBrokenOff
}

// upTo writes what it may of a unit until so many bytes of the message are out,
// once. It reports whether they now are.
func (l *faultyLine) upTo(unit []byte, limit int) (reached bool, err error) {
	if l.spent {
		return false, l.put(unit)
	}
	part := unit[:min(len(unit), limit-l.sent)]
	l.sent += len(part)
	l.spent = l.sent >= limit
	return l.spent, l.put(part)
}

func dribble(l *faultyLine, unit []byte) error {
	pause := time.Second / time.Duration(l.fault.number)
	for i := range unit {
		if err := l.put(unit[i : i+1]); err != nil {
			return err
		}
		time.Sleep(pause)
	}
	return nil
}

func splitUp(l *faultyLine, unit []byte) error {
	for i := range unit {
		if err := l.put(unit[i : i+1]); err != nil {
			return err
		}
	}
	return nil
}

// noise holds no character that means something to either protocol.
const noise = "\xFF\x00~noise~\xFE"

func addJunk(l *faultyLine, unit []byte) error { return l.put(append([]byte(noise), unit...)) }

// stormENQ breaks a frame in the middle of the message off, so that the sender
// begins anew, and sends each ENQ ten times.
func stormENQ(l *faultyLine, unit []byte) error {
	switch {
	case unit[0] == lis01.ENQ:
		return l.storm()
	case unit[0] != lis01.STX || l.spent || !bytes.Equal(unit, l.message.frames[len(l.message.frames)/2]):
		return l.put(unit)
	}
	l.spent = true
	if err := l.put(unit[:len(unit)/2]); err != nil {
		return err
	}
	return errRestart
}

const (
	stormSize = 10
	// stormQuiet is how long to wait for another answer to an ENQ of a storm. A
	// host that met it inside a frame waits before it answers at all.
	stormQuiet = 2 * time.Second
)

// storm sends ENQ ten times and hears the answers, of which the last counts: the
// others must not be taken for those to the frames.
func (l *faultyLine) storm() error {
	if err := l.put(bytes.Repeat([]byte{lis01.ENQ}, stormSize)); err != nil {
		return err
	}
	line, answers, wait := l.now(), make([]byte, stormSize), lis01.ReplyTimeout*time.Second
	for n := 0; n < stormSize; wait = stormQuiet {
		if err := line.SetReadDeadline(time.Now().Add(wait)); err != nil {
			return err
		}
		got, err := line.Read(answers[n:])
		if n += got; n > 0 {
			l.heard = answers[n-1 : n]
		}
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
			return nil
		case err != nil:
			return err
		}
	}
	return nil
}

// blockEnd is how many bytes end a block.
const blockEnd = 2

func leaveEndOut(l *faultyLine, unit []byte) error {
	if l.spent {
		return l.put(unit)
	}
	l.spent = true
	return l.put(unit[:len(unit)-blockEnd])
}

func leaveCROut(l *faultyLine, unit []byte) error { return l.put(unit[:len(unit)-1]) }

func startTwice(l *faultyLine, unit []byte) error {
	if l.spent {
		return l.put(unit)
	}
	l.spent = true
	return l.put(append(bytes.Clone(unit[:len(unit)/2]), unit...))
}

// writeMany sends with a message all that follow it. Their own writes are then
// left out, unless they have to be sent again.
func writeMany(l *faultyLine, unit []byte) error {
	switch {
	case l.spent:
		return l.put(unit)
	case l.ahead > 0:
		l.ahead, l.spent = l.ahead-1, true
		return nil
	}
	l.ahead, l.spent = len(l.message.rest), true
	all := bytes.Clone(unit)
	for _, m := range l.message.rest {
		all = mllp.AppendBlock(all, m.text)
	}
	return l.put(all)
}
