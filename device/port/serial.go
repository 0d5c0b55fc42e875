package port

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
	"time"

	"go.bug.st/serial"
)

// Serial holds the settings of a serial port. A key that is left out, and so
// holds its zero value, means the default: 9600 baud, 8 data bits, no parity,
// 1 stop bit, no flow control, DTR and RTS on.
type Serial struct {
	// Port is the device, e.g. /dev/ttyUSB0, or a stable name, `usb:...` or
	// `serial:...`.
	Port string `yaml:"port" required:"true"`
	// Baud is the speed in bit/s.
	Baud int `yaml:"baud"`
	// DataBits is 7 or 8.
	DataBits int `yaml:"data_bits"`
	// Parity is none, even or odd.
	Parity string `yaml:"parity" allowed:"none,even,odd"`
	// StopBits is 1 or 2.
	StopBits int `yaml:"stop_bits"`
	// Flow is none, rtscts or xonxoff.
	Flow string `yaml:"flow" allowed:"none,rtscts,xonxoff"`
	// DTR and RTS are the states of these lines while the port is open; nil
	// means on.
	DTR *bool `yaml:"dtr"`
	RTS *bool `yaml:"rts"`
}

// The speeds that any driver has; between them a driver may take any value.
const (
	minBaud = 50
	maxBaud = 4_000_000
)

// DefaultSerial returns the settings that a port has where the configuration
// says nothing. The port itself has no default.
func DefaultSerial() Serial { return Serial{}.filled() }

// WithDefaults returns the settings that the port has: nothing is left out.
func (s Serial) WithDefaults() Serial { return s.filled() }

// filled returns the settings with every zero value replaced by its default.
func (s Serial) filled() Serial {
	on := true
	if s.Baud == 0 {
		s.Baud = 9600
	}
	if s.DataBits == 0 {
		s.DataBits = 8
	}
	if s.Parity == "" {
		s.Parity = "none"
	}
	if s.StopBits == 0 {
		s.StopBits = 1
	}
	if s.Flow == "" {
		s.Flow = "none"
	}
	if s.DTR == nil {
		s.DTR = &on
	}
	if s.RTS == nil {
		s.RTS = &on
	}
	return s
}

// Validate returns all that is wrong, each error beginning with its key.
func (s Serial) Validate() error {
	var errs []error
	add := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	s = s.filled()
	switch kind, rest, named := strings.Cut(s.Port, ":"); {
	case s.Port == "":
		add("port: missing; name the device, e.g. /dev/ttyUSB0")
	case stableName(s.Port) && rest == "":
		add("port: %s: has nothing after the colon; e.g. usb:1-1.3 or serial:A50285BI", kind)
	case !named && !strings.HasPrefix(s.Port, "/") && !strings.HasPrefix(strings.ToUpper(s.Port), "COM") && !strings.HasPrefix(s.Port, `\\.\`):
		add("port: %s is not a device path; write /dev/%s", s.Port, s.Port)
	}
	if s.Baud < minBaud || s.Baud > maxBaud {
		add("baud: %d is not between %d and %d; usual are 9600, 19200, 38400 and 115200", s.Baud, minBaud, maxBaud)
	}
	if s.DataBits != 7 && s.DataBits != 8 {
		add("data_bits: %d is not 7 or 8", s.DataBits)
	}
	if _, err := s.parity(); err != nil {
		errs = append(errs, err)
	}
	if s.StopBits != 1 && s.StopBits != 2 {
		add("stop_bits: %d is not 1 or 2", s.StopBits)
	}
	switch s.Flow {
	case "none", "xonxoff":
	case "rtscts":
		if !*s.RTS {
			add("rts: off cannot be held with flow: rtscts, which moves the line itself; remove rts")
		}
	default:
		add("flow: %s is not one of none, rtscts, xonxoff", s.Flow)
	}
	return errors.Join(errs...)
}

// parity returns the library's value for the parity.
func (s Serial) parity() (serial.Parity, error) {
	switch s.Parity {
	case "none":
		return serial.NoParity, nil
	case "even":
		return serial.EvenParity, nil
	case "odd":
		return serial.OddParity, nil
	}
	return 0, fmt.Errorf("parity: %s is not one of none, even, odd", s.Parity)
}

// mode returns the library's form of filled and valid settings.
func (s Serial) mode() *serial.Mode {
	mode := &serial.Mode{BaudRate: s.Baud, DataBits: s.DataBits, StopBits: serial.OneStopBit}
	mode.Parity, _ = s.parity()
	if s.StopBits == 2 {
		mode.StopBits = serial.TwoStopBits
	}
	return mode
}

// Counters are the errors that the serial hardware saw since the line was
// opened. Each is a hint at the cable or at wrong line settings.
type Counters struct {
	Parity  uint64 `json:"parity"`
	Framing uint64 `json:"framing"`
	Overrun uint64 `json:"overrun"`
	Break   uint64 `json:"break"`
}

// ErrUnplugged says that the device of a serial line has gone away.
var ErrUnplugged = errors.New("the serial device is gone")

// SerialLine is an open serial port.
type SerialLine struct {
	terminal
	path     string
	released func() // called once it is closed; may be nil
}

// A terminal is the platform's part of a serial line.
type terminal interface {
	Line
	// Errors returns the counters since opening.
	Errors() (Counters, error)
	// Modem returns the modem lines as they are now.
	Modem() (ModemLines, error)
	// retune sets speed and character format anew.
	retune(s Serial) error
}

// OpenSerial opens a serial port and takes it for this process alone. The
// settings name a device: a stable name gives an error that wraps
// ErrNotActive, a device that is not there one that wraps fs.ErrNotExist.
func OpenSerial(ctx context.Context, s Serial) (*SerialLine, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := s.Validate(); err != nil {
		return nil, fmt.Errorf("serial port %s: %w", s.Port, err)
	}
	path, err := DevicePath(s.Port)
	if err != nil {
		return nil, err
	}
	t, err := openTerminal(path, s.filled())
	if err != nil {
		return nil, fmt.Errorf("open serial port %s: %w", path, err)
	}
	return &SerialLine{terminal: t, path: path}, nil
}

// Close gives what was written half a second to leave.
func (l *SerialLine) Close() error {
	err := l.terminal.Close()
	if l.released != nil && !errors.Is(err, os.ErrClosed) {
		l.released()
	}
	return err
}

// Retune sets speed and character format of an open line anew, and forgets what
// came before. Flow control, DTR and RTS stay as they are: opening the port again
// would move them.
func (l *SerialLine) Retune(s Serial) error {
	s = s.filled()
	s.Port = l.path
	if err := s.Validate(); err != nil {
		return fmt.Errorf("serial port %s: %w", l.path, err)
	}
	if err := l.terminal.retune(s); err != nil {
		return fmt.Errorf("set serial port %s: %w", l.path, err)
	}
	return nil
}

// Path returns the device that is open.
func (l *SerialLine) Path() string { return l.path }

// Read waits for at least one byte. When the device has been unplugged, its
// error wraps ErrUnplugged.
func (l *SerialLine) Read(p []byte) (int, error) {
	n, err := l.terminal.Read(p)
	return n, l.explain("read", err)
}

// Write returns when the system has taken all of p, which is before the last
// byte has left. When the device has been unplugged, its error wraps
// ErrUnplugged.
func (l *SerialLine) Write(p []byte) (int, error) {
	n, err := l.terminal.Write(p)
	return n, l.explain("write", err)
}

// Errors returns what the hardware counted since the line was opened. Where
// driver or system cannot tell, the error wraps errors.ErrUnsupported.
func (l *SerialLine) Errors() (Counters, error) {
	c, err := l.terminal.Errors()
	if err != nil {
		return Counters{}, fmt.Errorf("error counters of %s: %w", l.path, err)
	}
	return c, nil
}

// explain names the port and tells an unplugged device from other errors. A
// terminal that hung up reads as end of file, or gives one of these numbers.
func (l *SerialLine) explain(doing string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, io.EOF), errors.Is(err, syscall.EIO), errors.Is(err, syscall.ENXIO), errors.Is(err, syscall.ENODEV):
		return fmt.Errorf("%s %s: %w (%w)", doing, l.path, ErrUnplugged, err)
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, os.ErrClosed):
		return err
	}
	return fmt.Errorf("%s %s: %w", doing, l.path, err)
}

// closeGrace is how long Close waits for written bytes to leave. At 300 baud
// that is a reply of fifteen bytes; an instrument that holds its flow control
// down would otherwise hold the kernel's close for 30 seconds.
const closeGrace = 500 * time.Millisecond
