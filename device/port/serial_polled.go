package port

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"go.bug.st/serial"
)

// polled is a serial line on a system where nothing but the library reaches
// the port: the laptop on which an instrument is simulated. Reads are cut into
// short waits, so that deadlines and Close take effect while one is waiting.
// The file has no build tag, so that its tests run where there are pseudo
// terminals.
type polled struct {
	port    serial.Port
	reading sync.Mutex // held while the library reads
	closed  atomic.Bool
	// Deadlines in nanoseconds since 1970; 0 is none.
	readDeadline, writeDeadline atomic.Int64
}

// slice is the longest wait inside the library.
const slice = 50 * time.Millisecond

func (l *polled) Read(p []byte) (int, error) {
	l.reading.Lock()
	defer l.reading.Unlock()
	for len(p) > 0 {
		wait := slice
		if at := l.readDeadline.Load(); at != 0 {
			wait = min(wait, time.Until(time.Unix(0, at)))
		}
		switch {
		case l.closed.Load():
			return 0, os.ErrClosed
		case wait <= 0:
			return 0, os.ErrDeadlineExceeded
		}
		if err := l.port.SetReadTimeout(max(wait, time.Millisecond)); err != nil {
			return 0, err
		}
		n, err := l.port.Read(p)
		var failure *serial.PortError
		switch {
		case n > 0:
			return n, nil
		case errors.As(err, &failure) && failure.Code() == serial.PortClosed:
			return 0, io.EOF // not by us: Close waits for this Read
		case err != nil:
			return 0, err
		}
	}
	return 0, nil
}

// Write looks at its deadline only before it starts: the library's write
// cannot be ended.
func (l *polled) Write(p []byte) (n int, err error) {
	for n < len(p) && err == nil {
		at := l.writeDeadline.Load()
		switch {
		case l.closed.Load():
			return n, os.ErrClosed
		case at != 0 && time.Now().UnixNano() >= at:
			return n, os.ErrDeadlineExceeded
		}
		var more int
		more, err = l.port.Write(p[n:])
		n += more
		if more == 0 && err == nil {
			err = io.ErrShortWrite
		}
	}
	return n, err
}

func (l *polled) SetReadDeadline(t time.Time) error  { return l.setDeadline(&l.readDeadline, t) }
func (l *polled) SetWriteDeadline(t time.Time) error { return l.setDeadline(&l.writeDeadline, t) }

func (l *polled) setDeadline(deadline *atomic.Int64, t time.Time) error {
	if l.closed.Load() {
		return os.ErrClosed
	}
	if t.IsZero() {
		deadline.Store(0)
	} else {
		deadline.Store(t.UnixNano())
	}
	return nil
}

// Close waits for a Read that is under way: the library would close the
// descriptor under it.
func (l *polled) Close() error {
	if l.closed.Swap(true) {
		return os.ErrClosed
	}
	l.reading.Lock()
	defer l.reading.Unlock()
	return l.port.Close()
}

func (l *polled) Errors() (Counters, error) {
	return Counters{}, fmt.Errorf("only on Linux: %w", errors.ErrUnsupported)
}

// Modem implements terminal.
func (l *polled) Modem() (ModemLines, error) {
	bits, err := l.port.GetModemStatusBits()
	if err != nil {
		return ModemLines{}, err
	}
	return ModemLines{CTS: bits.CTS, DSR: bits.DSR, DCD: bits.DCD, RI: bits.RI}, nil
}

// retune implements terminal.
func (l *polled) retune(s Serial) error {
	if err := l.port.SetMode(s.mode()); err != nil {
		return err
	}
	return l.port.ResetInputBuffer()
}
