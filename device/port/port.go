// Package port opens the lines on which instruments talk: serial ports and
// TCP connections, dialled or accepted.
//
// Whatever a line is made of, it behaves in the same way: deadlines are
// reported as os.ErrDeadlineExceeded, Close ends a Read that waits in another
// goroutine, and a line that is gone gives an error, never a run of empty
// reads. The package knows nothing of protocols; it holds the rules that
// belong to the line itself: how often to open again (Redial), how many
// connections there may be and from where (Gate), who has to show a certificate
// (TLS), and how to go on accepting when the system is short of descriptors
// (Serve).
package port

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
)

// A Line is one open connection to an instrument. Every net.Conn is one.
//
// One goroutine may read while another writes. A Read or Write that has
// passed its deadline fails with an error that wraps os.ErrDeadlineExceeded
// and the line stays usable, but a TLS connection after a Write; after any
// other error the caller closes it.
type Line interface {
	io.ReadWriteCloser
	// SetReadDeadline ends a Read, also a waiting one, at t. The zero time
	// means never.
	SetReadDeadline(t time.Time) error
	// SetWriteDeadline is the same for Write.
	SetWriteDeadline(t time.Time) error
}

// ErrNotActive says that this version cannot do what the settings ask for.
// The settings themselves are right.
var ErrNotActive = errors.New("not active in this version")

// A Resolver finds the device behind the name of a serial port, for example
// /dev/ttyUSB0 behind `usb:1-1.3`. It is asked at every opening, because the
// answer changes when adapters are plugged. When there is no such device now,
// its error wraps fs.ErrNotExist.
type Resolver func(name string) (path string, err error)

// DevicePath is the Resolver that knows device paths only. For the stable
// names `usb:...` and `serial:...` its error wraps ErrNotActive.
func DevicePath(name string) (string, error) {
	if stableName(name) {
		return "", fmt.Errorf("serial port %s: to look up this kind of name is %w here; name the device, e.g. /dev/ttyUSB0", name, ErrNotActive)
	}
	return name, nil
}

// stableName says whether a name is to be looked up instead of opened.
func stableName(name string) bool {
	return strings.HasPrefix(name, "usb:") || strings.HasPrefix(name, "serial:")
}

// Settings name the one line that Open opens: a serial port, or the address
// of an instrument that is the TCP server.
type Settings struct {
	// Serial is the serial port; nil when the line is dialled.
	Serial *Serial
	// Dial is the instrument's address, host:port.
	Dial string
	// Resolve finds the device of Serial.Port; nil means that the panel does, or
	// where there is none Lookup.
	Resolve Resolver
	// Panel knows which serial lines of the process have which device, and Owner
	// is the name of this line's instrument there; nil and "" where it is alone.
	Panel *Panel
	Owner string
	// TLS is that of a dialled line; nil means none.
	TLS *TLS
}

// Open opens the line. A device or a host that is not there is an error like
// any other: the caller tries again, as Redial does.
func Open(ctx context.Context, s Settings) (Line, error) {
	if s.Serial == nil {
		return dialLine(ctx, s)
	}
	resolve := s.Resolve
	if resolve == nil {
		resolve = s.Panel.Lookup
	}
	path, err := resolve(s.Serial.Port)
	if err != nil {
		return nil, err
	}
	device := *s.Serial
	device.Port = path
	return s.Panel.open(ctx, s.Owner, s.Serial.Port, device)
}

// dialLine connects to an instrument, with TLS where the settings say so.
func dialLine(ctx context.Context, s Settings) (Line, error) {
	conn, err := Dial(ctx, s.Dial)
	if err != nil || s.TLS == nil {
		return conn, err
	}
	secure, err := s.TLS.Client(ctx, conn, s.Dial)
	if err != nil {
		conn.Close() // a handshake that took too long has closed it
		return nil, fmt.Errorf("dial %s: %w", s.Dial, err)
	}
	return secure, nil
}
