package port

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"sync/atomic"
	"time"
	"unsafe"

	"go.bug.st/serial"
	"golang.org/x/sys/unix"
)

// descriptor is a serial line on Linux. It holds the terminal twice.
//
// The library opens it, sets speed and character format, and takes it
// exclusively. But its reads go through select(2), which refuses descriptors
// above 1023, and report a time-out as (0, nil); its writes know no deadline;
// and it clears all flow control and has no way to ask for it. So the bytes,
// the flow control and the error counters go through a descriptor of our own
// on the same terminal. It is opened before the library takes the terminal,
// because after that (TIOCEXCL) nobody can open it, and it is non-blocking, so
// that the Go runtime gives it deadlines and a Close that ends a Read. Terminal
// settings belong to the terminal and not to a descriptor: what is set through
// this one after the library's opening stays.
type descriptor struct {
	file    *os.File
	library serial.Port
	closed  atomic.Bool
	base    serialCounts
}

func openTerminal(path string, s Serial) (_ terminal, err error) {
	file, err := os.OpenFile(path, os.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK, 0)
	switch {
	case errors.Is(err, unix.EBUSY):
		return nil, inUse(path)
	case errors.Is(err, fs.ErrPermission):
		return nil, fmt.Errorf("%w; add the user to the group dialout", err)
	case err != nil:
		return nil, err
	}
	d := &descriptor{file: file}
	defer func() {
		if err != nil {
			if d.library != nil {
				d.library.Close()
			}
			file.Close()
		}
	}()
	if _, err := d.termios(); err != nil {
		return nil, fmt.Errorf("not a serial port: %w", err)
	}
	// Root may open what is taken with TIOCEXCL; the lock holds for root too.
	if err := d.control(func(fd int) error { return unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB) }); err != nil {
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, inUse(path)
		}
		return nil, fmt.Errorf("lock: %w", err)
	}
	if err := file.SetDeadline(time.Time{}); err != nil {
		return nil, fmt.Errorf("the terminal knows no deadlines: %w", err)
	}
	if d.library, err = serial.Open(path, s.mode()); err != nil {
		return nil, err
	}
	if err := d.setFlow(s.Flow); err != nil {
		return nil, err
	}
	if err := d.check(s); err != nil {
		return nil, err
	}
	if err := d.setModemLines(s); err != nil {
		return nil, err
	}
	// Drivers without counters say so when they are asked.
	d.base, _ = d.counts()
	return d, nil
}

var errInUse = errors.New("in use by another program or another line")

// inUse is errInUse with who that is, as far as this process may know.
func inUse(path string) error {
	users, _, _ := System{}.Users(path)
	if len(users) == 0 {
		return fmt.Errorf("%w; find it with: fuser -v %s", errInUse, path)
	}
	names := make([]string, len(users))
	for i, u := range users {
		names[i] = u.String()
	}
	return fmt.Errorf("%w: %s", errInUse, strings.Join(names, ", "))
}

// control runs f on the descriptor. (*os.File).Fd is not used: what it gives
// may be closed and used again by others while it is in use here.
func (d *descriptor) control(f func(fd int) error) error {
	raw, err := d.file.SyscallConn()
	if err != nil {
		return err
	}
	var inner error
	if err := raw.Control(func(fd uintptr) { inner = f(int(fd)) }); err != nil {
		return err
	}
	return inner
}

func (d *descriptor) termios() (t *unix.Termios, err error) {
	err = d.control(func(fd int) (err error) {
		t, err = unix.IoctlGetTermios(fd, unix.TCGETS)
		return err
	})
	return t, err
}

// retune implements terminal.
func (d *descriptor) retune(s Serial) error {
	if err := d.library.SetMode(s.mode()); err != nil {
		return err
	}
	if err := d.control(func(fd int) error { return unix.IoctlSetInt(fd, unix.TCFLSH, unix.TCIFLUSH) }); err != nil {
		return err
	}
	return d.check(s)
}

// setFlow turns the flow control on that the library has cleared.
func (d *descriptor) setFlow(flow string) error {
	if flow == "none" {
		return nil
	}
	t, err := d.termios()
	if err != nil {
		return fmt.Errorf("flow control: %w", err)
	}
	switch flow {
	case "rtscts":
		t.Cflag |= unix.CRTSCTS
	case "xonxoff":
		t.Iflag |= unix.IXON | unix.IXOFF
		t.Cc[unix.VSTART], t.Cc[unix.VSTOP] = 0x11, 0x13 // DC1, DC3
	}
	if err := d.control(func(fd int) error { return unix.IoctlSetTermios(fd, unix.TCSETS, t) }); err != nil {
		return fmt.Errorf("flow control: %w", err)
	}
	return nil
}

// check reads the settings back. Setting them succeeds when the driver took
// any of them, and a line with the wrong format gives nothing but garbage.
func (d *descriptor) check(s Serial) error {
	t, err := d.termios()
	if err != nil {
		return fmt.Errorf("read settings back: %w", err)
	}
	refused := func(key string, value any) error {
		return fmt.Errorf("the port's driver does not take %s: %v", key, value)
	}
	if s.Flow == "rtscts" && t.Cflag&unix.CRTSCTS == 0 || s.Flow == "xonxoff" && t.Iflag&(unix.IXON|unix.IXOFF) != unix.IXON|unix.IXOFF {
		return refused("flow", s.Flow)
	}
	if d.pseudo() {
		return nil
	}
	size, parity := uint32(unix.CS8), uint32(0)
	if s.DataBits == 7 {
		size = unix.CS7
	}
	switch s.Parity {
	case "even":
		parity = unix.PARENB
	case "odd":
		parity = unix.PARENB | unix.PARODD
	}
	switch {
	case t.Cflag&unix.CSIZE != size:
		return refused("data_bits", s.DataBits)
	case t.Cflag&unix.PARENB != parity&unix.PARENB, parity != 0 && t.Cflag&unix.PARODD != parity&unix.PARODD:
		return refused("parity", s.Parity)
	case (t.Cflag&unix.CSTOPB != 0) != (s.StopBits == 2):
		return refused("stop_bits", s.StopBits)
	}
	return nil
}

// pseudo says whether the terminal is a pseudo terminal, which has no
// character format: it always reads as 8 data bits without parity.
func (d *descriptor) pseudo() bool {
	const first, last = 136, 143 // UNIX98_PTY_SLAVE_MAJOR and the seven after it
	var stat unix.Stat_t
	err := d.control(func(fd int) error { return unix.Fstat(fd, &stat) })
	major := unix.Major(uint64(stat.Rdev))
	return err == nil && major >= first && major <= last
}

// setModemLines sets DTR and RTS. The kernel raises both at opening, so that a
// terminal without modem lines is right as it is when both are to be on.
func (d *descriptor) setModemLines(s Serial) error {
	if err := d.library.SetDTR(*s.DTR); err != nil && (!*s.DTR || !noModemLines(err)) {
		return fmt.Errorf("set dtr: %w", err)
	}
	if s.Flow == "rtscts" {
		return nil // the driver moves RTS
	}
	if err := d.library.SetRTS(*s.RTS); err != nil && (!*s.RTS || !noModemLines(err)) {
		return fmt.Errorf("set rts: %w", err)
	}
	return nil
}

func noModemLines(err error) bool {
	return errors.Is(err, unix.ENOTTY) || errors.Is(err, unix.EINVAL)
}

func (d *descriptor) Read(p []byte) (int, error) {
	n, err := d.file.Read(p)
	return n, d.whenClosed(err)
}

func (d *descriptor) Write(p []byte) (int, error) {
	n, err := d.file.Write(p)
	return n, d.whenClosed(err)
}

// whenClosed puts the one true reason in place of the deadline by which Close
// ends what waits.
func (d *descriptor) whenClosed(err error) error {
	if err != nil && d.closed.Load() {
		return os.ErrClosed
	}
	return err
}

func (d *descriptor) SetReadDeadline(t time.Time) error {
	if d.closed.Load() {
		return os.ErrClosed
	}
	return d.file.SetReadDeadline(t)
}

func (d *descriptor) SetWriteDeadline(t time.Time) error {
	if d.closed.Load() {
		return os.ErrClosed
	}
	return d.file.SetWriteDeadline(t)
}

// Close lets written bytes leave for as long as closeGrace and discards what
// is left: with bytes in its buffer the kernel's close waits up to 30 seconds
// for an instrument that holds its flow control down.
func (d *descriptor) Close() error {
	if d.closed.Swap(true) {
		return os.ErrClosed
	}
	d.file.SetDeadline(time.Unix(1, 0))
	for end := time.Now().Add(closeGrace); d.unsent() > 0; time.Sleep(closeGrace / 50) {
		if time.Now().After(end) {
			d.control(func(fd int) error { return unix.IoctlSetInt(fd, unix.TCFLSH, unix.TCOFLUSH) })
			break
		}
	}
	return errors.Join(d.library.Close(), d.file.Close())
}

// unsent returns how many written bytes have not left yet.
func (d *descriptor) unsent() (n int) {
	d.control(func(fd int) (err error) {
		n, err = unix.IoctlGetInt(fd, unix.TIOCOUTQ)
		return err
	})
	return n
}

// serialCounts is the kernel's struct serial_icounter_struct.
type serialCounts struct {
	_, _, _, _, _, _               int32 // cts, dsr, rng, dcd, rx, tx
	frame, overrun, parity, breaks int32
	bufferOverrun                  int32
	_, _, _, _, _, _, _, _, _      int32 // reserved
}

func (d *descriptor) counts() (c serialCounts, err error) {
	err = d.control(func(fd int) error {
		_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.TIOCGICOUNT, uintptr(unsafe.Pointer(&c)))
		if errno != 0 {
			return errno
		}
		return nil
	})
	return c, err
}

func (d *descriptor) Errors() (Counters, error) {
	c, err := d.counts()
	switch {
	case noModemLines(err):
		return Counters{}, fmt.Errorf("the driver has none: %w", errors.ErrUnsupported)
	case err != nil:
		return Counters{}, err
	}
	// The kernel counts since the device was plugged in, and may wrap around.
	since := func(now, base int32) uint64 { return uint64(uint32(now) - uint32(base)) }
	return Counters{
		Parity:  since(c.parity, d.base.parity),
		Framing: since(c.frame, d.base.frame),
		Overrun: since(c.overrun, d.base.overrun) + since(c.bufferOverrun, d.base.bufferOverrun),
		Break:   since(c.breaks, d.base.breaks),
	}, nil
}
