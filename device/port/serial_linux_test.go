package port

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.bug.st/serial"
	"golang.org/x/sys/unix"
)

// pty returns a pseudo terminal whose master's reads and writes cannot hang.
func pty(t *testing.T) (master *os.File, path string) {
	t.Helper()
	master, path, err := OpenPTY()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { master.Close() })
	if err := master.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return master, path
}

func openSerial(t *testing.T, s Serial) *SerialLine {
	t.Helper()
	line, err := OpenSerial(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { line.Close() })
	return line
}

// termiosOf reads the slave's settings through the master.
func termiosOf(t *testing.T, master *os.File) *unix.Termios {
	t.Helper()
	var settings *unix.Termios
	raw, err := master.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	if err := raw.Control(func(fd uintptr) { settings, err = unix.IoctlGetTermios(int(fd), unix.TCGETS2) }); err != nil {
		t.Fatal(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return settings
}

func carry(t *testing.T, from io.Writer, to io.Reader, data []byte) {
	t.Helper()
	if n, err := from.Write(data); err != nil || n != len(data) {
		t.Fatalf("wrote %d: %v", n, err)
	}
	got := make([]byte, len(data))
	if _, err := io.ReadFull(to, got); err != nil {
		t.Fatalf("read: %v", err)
	}
	if !bytes.Equal(got, data) {
		t.Fatalf("got %q, want %q", got, data)
	}
}

// withFlow is every byte that passes under a flow control.
func withFlow(flow string) []byte {
	var data []byte
	for b := range 256 {
		if flow != "xonxoff" || b != 0x11 && b != 0x13 {
			data = append(data, byte(b))
		}
	}
	return data
}

func TestSerialBothDirectionsAtAllSettings(t *testing.T) {
	on, off := true, false
	for _, baud := range []int{0, 300, 9600, 12345, 115200} {
		for _, format := range []string{"8none1", "7even2", "7odd1"} {
			for _, flow := range []string{"none", "rtscts", "xonxoff"} {
				for _, lines := range []*bool{nil, &on} {
					t.Run(fmt.Sprintf("%d %s %s", baud, format, flow), func(t *testing.T) {
						s := Serial{Baud: baud, Flow: flow, DTR: lines, RTS: lines}
						if _, err := fmt.Sscanf(format, "%1d", &s.DataBits); err != nil {
							t.Fatal(err)
						}
						s.Parity, s.StopBits = format[1:len(format)-1], int(format[len(format)-1]-'0')
						var master *os.File
						master, s.Port = pty(t)
						line := openSerial(t, s)
						line.SetReadDeadline(time.Now().Add(10 * time.Second))
						carry(t, master, line, withFlow(flow))
						carry(t, line, master, withFlow(flow))

						settings := termiosOf(t, master)
						want := baud
						if baud == 0 {
							want = 9600
						}
						if settings.Ospeed != uint32(want) {
							t.Errorf("speed %d, want %d", settings.Ospeed, want)
						}
						if got := settings.Cflag&unix.CRTSCTS != 0; got != (flow == "rtscts") {
							t.Errorf("CRTSCTS %v", got)
						}
						if got := settings.Iflag&(unix.IXON|unix.IXOFF) == unix.IXON|unix.IXOFF; got != (flow == "xonxoff") {
							t.Errorf("IXON and IXOFF %v", got)
						}
						if got := settings.Cflag&unix.CSTOPB != 0; got != (s.StopBits == 2) {
							t.Errorf("CSTOPB %v", got)
						}
					})
				}
			}
		}
	}
	_, path := pty(t)
	if _, err := OpenSerial(t.Context(), Serial{Port: path, DTR: &off}); !errors.Is(err, unix.ENOTTY) {
		t.Errorf("dtr: off where there is no DTR: %v", err)
	}
}

// A pseudo terminal keeps to XON and XOFF like hardware does.
func TestSerialXonXoffStopsTheWriter(t *testing.T) {
	master, path := pty(t)
	line := openSerial(t, Serial{Port: path, Flow: "xonxoff"})
	line.SetReadDeadline(time.Now().Add(10 * time.Second))
	// The byte behind XOFF is read when XOFF has been seen.
	if _, err := master.Write([]byte{0x13, 'x'}); err != nil {
		t.Fatal(err)
	}
	if _, err := line.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	line.SetWriteDeadline(time.Now().Add(50 * time.Millisecond))
	if n, err := line.Write([]byte("held")); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("write under XOFF: %d, %v", n, err)
	}
	line.SetWriteDeadline(time.Time{})
	if _, err := master.Write([]byte{0x11, 'y'}); err != nil {
		t.Fatal(err)
	}
	carry(t, line, master, []byte("free"))
}

func TestSerialDeadlines(t *testing.T) {
	master, path := pty(t)
	line := openSerial(t, Serial{Port: path})
	testReadDeadline(t, line, master)

	// Nobody reads: the terminal's buffer fills, and only the deadline ends
	// the write.
	line.SetWriteDeadline(time.Now().Add(50 * time.Millisecond))
	n, err := line.Write(make([]byte, 1<<20))
	if n >= 1<<20 || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("write to a full line: %d, %v", n, err)
	}
}

// testReadDeadline holds for each kind of serial line.
func testReadDeadline(t *testing.T, line Line, other io.Writer) {
	t.Helper()
	buffer := make([]byte, 8)
	line.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
	if n, err := line.Read(buffer); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("read: %d, %v", n, err)
	}
	if n, err := line.Read(buffer); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("read after the deadline: %d, %v", n, err)
	}
	// A deadline set while a read waits takes effect.
	line.SetReadDeadline(time.Time{})
	result := make(chan error)
	go func() {
		_, err := line.Read(buffer)
		result <- err
	}()
	line.SetReadDeadline(time.Now())
	if err := <-result; !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("waiting read: %v", err)
	}
	// The line is as usable as before.
	line.SetReadDeadline(time.Now().Add(10 * time.Second))
	if _, err := other.Write([]byte{5}); err != nil {
		t.Fatal(err)
	}
	if n, err := line.Read(buffer); n != 1 || err != nil {
		t.Fatalf("read after a time-out: %d, %v", n, err)
	}
	line.SetReadDeadline(time.Time{})
}

func testCloseEndsRead(t *testing.T, line Line) {
	t.Helper()
	result := make(chan error)
	go func() {
		_, err := line.Read(make([]byte, 1))
		result <- err
	}()
	if err := line.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
	if err := <-result; !errors.Is(err, os.ErrClosed) {
		t.Errorf("waiting read: %v", err)
	}
	if _, err := line.Read(make([]byte, 1)); !errors.Is(err, os.ErrClosed) {
		t.Errorf("read after close: %v", err)
	}
	if _, err := line.Write([]byte{1}); !errors.Is(err, os.ErrClosed) {
		t.Errorf("write after close: %v", err)
	}
	if err := line.Close(); !errors.Is(err, os.ErrClosed) {
		t.Errorf("second close: %v", err)
	}
}

func TestSerialCloseEndsRead(t *testing.T) {
	_, path := pty(t)
	testCloseEndsRead(t, openSerial(t, Serial{Port: path}))
	// The exclusive hold is gone with it.
	openSerial(t, Serial{Port: path})
}

func TestSerialCloseWithHeldOutput(t *testing.T) {
	master, path := pty(t)
	line := openSerial(t, Serial{Port: path})
	carry(t, line, master, []byte("x"))
	if _, err := line.Write([]byte("last words")); err != nil {
		t.Fatal(err)
	}
	if err := line.Close(); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, 10)
	if _, err := io.ReadFull(master, got); err != nil || string(got) != "last words" {
		t.Fatalf("after close: %q, %v", got, err)
	}
}

func TestSerialUnplug(t *testing.T) {
	master, path := pty(t)
	line := openSerial(t, Serial{Port: path})
	result := make(chan error)
	go func() {
		_, err := line.Read(make([]byte, 1))
		result <- err
	}()
	master.Close()
	if err := <-result; !errors.Is(err, ErrUnplugged) {
		t.Fatalf("waiting read: %v", err)
	}
	if n, err := line.Read(make([]byte, 1)); n != 0 || !errors.Is(err, ErrUnplugged) {
		t.Errorf("next read: %d, %v", n, err)
	}
	if _, err := line.Write([]byte{6}); !errors.Is(err, ErrUnplugged) {
		t.Errorf("write: %v", err)
	}
	if err := line.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
}

func TestSerialIsTakenOnce(t *testing.T) {
	_, path := pty(t)
	openSerial(t, Serial{Port: path})
	if _, err := OpenSerial(t.Context(), Serial{Port: path}); !errors.Is(err, errInUse) {
		t.Errorf("second open: %v", err)
	}
}

func TestSerialWantsATerminal(t *testing.T) {
	plain := filepath.Join(t.TempDir(), "plain")
	if err := os.WriteFile(plain, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenSerial(t.Context(), Serial{Port: plain}); !errors.Is(err, unix.ENOTTY) {
		t.Errorf("plain file: %v", err)
	}
	if _, err := OpenSerial(t.Context(), Serial{Port: plain + "x"}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
}

func TestSerialErrorsUnsupported(t *testing.T) {
	_, path := pty(t)
	if c, err := openSerial(t, Serial{Port: path}).Errors(); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("counters of a pseudo terminal: %+v, %v", c, err)
	}
}

// Descriptors above 1023 are beyond select(2), by which the library reads.
func TestSerialWithHighDescriptors(t *testing.T) {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil || limit.Cur < 1200 {
		t.Skipf("the limit of descriptors is %d: %v", limit.Cur, err)
	}
	for range 1100 {
		file, err := os.Open("/dev/null")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { file.Close() })
	}
	master, path := pty(t)
	line := openSerial(t, Serial{Port: path})
	line.SetReadDeadline(time.Now().Add(10 * time.Second))
	carry(t, master, line, []byte{5})
	carry(t, line, master, []byte{6})
}

func TestResolverFindsTheDevice(t *testing.T) {
	master, path := pty(t)
	resolve := func(name string) (string, error) {
		if name == "usb:1-1.3" {
			return path, nil
		}
		return "", fmt.Errorf("%s: %w", name, fs.ErrNotExist)
	}
	line, err := Open(t.Context(), Settings{Serial: &Serial{Port: "usb:1-1.3"}, Resolve: resolve})
	if err != nil {
		t.Fatal(err)
	}
	defer line.Close()
	carry(t, line, master, []byte{6})
	if _, err := Open(t.Context(), Settings{Serial: &Serial{Port: "usb:9"}, Resolve: resolve}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("unknown name: %v", err)
	}
}

func openPolled(t *testing.T, path string) Line {
	t.Helper()
	device, err := serial.Open(path, &serial.Mode{BaudRate: 9600})
	if err != nil {
		t.Fatal(err)
	}
	return &SerialLine{terminal: &polled{port: device}, path: path}
}

func TestPolled(t *testing.T) {
	master, path := pty(t)
	line := openPolled(t, path)
	carry(t, master, line, withFlow("none"))
	carry(t, line, master, withFlow("none"))
	testReadDeadline(t, line, master)
	line.SetWriteDeadline(time.Now())
	if _, err := line.Write([]byte{1}); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("write after the deadline: %v", err)
	}
	line.SetWriteDeadline(time.Time{})
	testCloseEndsRead(t, line)

	master, path = pty(t)
	line = openPolled(t, path)
	defer line.Close()
	master.Close()
	if _, err := line.Read(make([]byte, 1)); !errors.Is(err, ErrUnplugged) {
		t.Errorf("unplugged: %v", err)
	}
}

// An open line is set to another speed and format without being opened again, and
// what came before is forgotten.
func TestRetune(t *testing.T) {
	master, path := pty(t)
	line := openSerial(t, Serial{Port: path, Flow: "xonxoff"})
	if _, err := master.Write([]byte("old")); err != nil {
		t.Fatal(err)
	}
	if err := line.Retune(Serial{Baud: 19200, DataBits: 7, Parity: "even", StopBits: 2}); err != nil {
		t.Fatal(err)
	}
	settings := termiosOf(t, master)
	if settings.Ospeed != 19200 || settings.Cflag&unix.CSTOPB == 0 || settings.Iflag&unix.IXON == 0 {
		t.Errorf("set %+v", settings)
	}
	line.SetReadDeadline(time.Now().Add(10 * time.Second))
	carry(t, master, line, []byte("new"))
	if err := line.Retune(Serial{Baud: 1}); err == nil {
		t.Error("took a speed of 1")
	}
	line.Close()
	if err := line.Retune(Serial{}); err == nil {
		t.Error("set a closed line")
	}
}
