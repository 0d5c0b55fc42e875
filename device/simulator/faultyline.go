package simulator

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/assaygate/assaygate/device/port"
	"github.com/assaygate/assaygate/protocols/lis01"
	"github.com/assaygate/assaygate/protocols/mllp"
)

// faultyHost is a host that is sent to with a fault. It sits around the hosts
// that know the protocols, and these talk through a line that makes the fault:
// neither knows of the other.
type faultyHost struct {
	line *faultyLine
	to   host
}

func newFaultyHost(line *faultyLine) *faultyHost {
	return &faultyHost{line: line, to: newHosts(line)}
}

// send sends a message, and once more where the fault has spoilt it.
func (h *faultyHost) send(ctx context.Context, m outgoing) (refusal string, err error) {
	h.line.begin(m)
	refusal, err = h.to.send(ctx, m)
	if h.line.fooled {
		return "it acknowledged " + h.line.fault.kind.wrong, err
	}
	if refusal == "" && err == nil || !h.line.spent || ctx.Err() != nil {
		return refusal, err
	}
	if err != nil {
		if err := h.line.mend(ctx, err); err != nil {
			return "", err
		}
		h.to = newHosts(h.line)
	}
	return h.to.send(ctx, m)
}

// What a fault returns from a write that ends the session.
var (
	errBrokenOff = errors.New("the connection was broken off")
	errRestart   = errors.New("the instrument begins anew")
)

// faultyLine is a line on which things go wrong. Each write is a unit of the
// protocol: ENQ, a frame, EOT, a block.
type faultyLine struct {
	fault Fault
	// reopen opens another line to the same host; nil where there is none but
	// this, such as a serial port.
	reopen func(context.Context) (port.Line, error)

	message outgoing
	spent   bool   // the fault was made on this message
	sent    int    // bytes of it that are out
	unit    []byte // written last
	wrong   bool   // what is out is to be refused
	fooled  bool   // it was not
	reply   byte   // read last
	heard   []byte // replies that were read but not given out
	open    bool   // the session of the message before goes on
	ahead   int    // messages that are out already

	mu     sync.Mutex // Close comes from another goroutine
	line   port.Line
	stale  port.Line // stood for it before; its host may not know yet
	closed bool
}

func newFaultyLine(line port.Line, reopen func(context.Context) (port.Line, error), f Fault) *faultyLine {
	return &faultyLine{fault: f, reopen: reopen, line: line}
}

// begin makes the fault possible again, for the next message.
func (l *faultyLine) begin(m outgoing) {
	l.message, l.spent, l.sent, l.fooled = m, false, 0, false
	l.mu.Lock()
	defer l.mu.Unlock()
	l.forget()
}

func (l *faultyLine) forget() {
	if l.stale != nil {
		l.stale.Close()
		l.stale = nil
	}
}

func (l *faultyLine) now() port.Line {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.line
}

// Write writes a unit with the fault.
func (l *faultyLine) Write(unit []byte) (int, error) {
	write := l.fault.kind.write
	if write == nil {
		write = (*faultyLine).put
	}
	before := l.unit
	l.unit = unit
	if len(unit) == 1 && unit[0] == lis01.EOT {
		l.unit = before // so that its fault sees what it ends
	}
	if err := write(l, unit); err != nil {
		return 0, err
	}
	return len(unit), nil
}

// put writes bytes as they are. A slow fault takes longer than any deadline of
// the unit as a whole, so each write gets one of its own.
func (l *faultyLine) put(data []byte) error {
	l.wrong = l.fault.kind.wrong != "" && len(data) > 1 && !bytes.Equal(data, l.unit)
	return write(l.now(), data, time.Now().Add(writeTime(len(data))))
}

// Read reads replies with the fault.
func (l *faultyLine) Read(p []byte) (n int, err error) {
	switch read := l.fault.kind.read; {
	case len(l.heard) > 0:
		n = copy(p, l.heard)
		l.heard = l.heard[n:]
	case read != nil && !l.spent && l.last(l.unit):
		n, err = read(l, p)
	default:
		n, err = l.now().Read(p)
	}
	if n > 0 {
		l.reply = p[n-1]
		l.fooled = l.fooled || l.wrong && l.reply == lis01.ACK
		l.wrong = false
	}
	return n, err
}

// last reports whether nothing of the message comes after the unit, but EOT.
func (l *faultyLine) last(unit []byte) bool {
	if frames := l.message.frames; len(frames) > 0 {
		return bytes.Equal(unit, frames[len(frames)-1])
	}
	return len(unit) > 0 && unit[0] == mllp.StartBlock
}

// size is how many bytes go out before the last answer.
func (l *faultyLine) size() int {
	if len(l.message.frames) > 0 {
		return len(bytes.Join(l.message.frames, nil)) + len([]byte{lis01.ENQ})
	}
	return len(mllp.AppendBlock(nil, l.message.text))
}

// SetReadDeadline implements port.Line.
func (l *faultyLine) SetReadDeadline(t time.Time) error { return l.now().SetReadDeadline(t) }

// SetWriteDeadline implements port.Line; see put.
func (l *faultyLine) SetWriteDeadline(time.Time) error { return nil }

// Close closes what is open, for good.
func (l *faultyLine) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	l.forget()
	return l.line.Close()
}

// release closes what mend has opened. A line that cannot be opened again is its
// opener's.
func (l *faultyLine) release() {
	if l.reopen != nil {
		l.Close()
	}
}

// mend makes the line fit for the message to be sent again, after an error. The
// host may still think that the old connection stands.
func (l *faultyLine) mend(ctx context.Context, broken error) error {
	l.heard, l.open, l.ahead, l.sent = nil, false, 0, 0
	if l.reopen == nil || errors.Is(broken, errRestart) {
		return (&tokens{line: l}).flush()
	}
	line, err := l.reopen(ctx)
	if err != nil {
		return fmt.Errorf("%w; opening another: %w", broken, err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		line.Close()
		return os.ErrClosed
	}
	l.forget()
	l.stale, l.line = l.line, line
	return nil
}

// listen hears what comes and gives it to nobody, until the line ends or the
// time is over.
func (l *faultyLine) listen(d time.Duration) error {
	line, chunk := l.now(), make([]byte, 64)
	if err := line.SetReadDeadline(time.Now().Add(d)); err != nil {
		return err
	}
	for {
		if _, err := line.Read(chunk); err != nil {
			return err
		}
	}
}
