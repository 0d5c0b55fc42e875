package probe

import (
	"context"
	"errors"
	"io"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/assaygate/assaygate/device/port"
	"github.com/assaygate/assaygate/protocols/lis01"
)

// terminal is a line without hardware, opened as the probe opens it, and the
// instrument's end.
func terminal(t *testing.T) (instrument *os.File, line *port.SerialLine) {
	t.Helper()
	instrument, path, err := port.OpenPTY()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { instrument.Close() })
	line, err = port.OpenSerial(t.Context(), port.Serial{Port: path})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { line.Close() })
	return instrument, line
}

// speedOf is the speed that the probe has set, which its other end can read.
func speedOf(instrument *os.File) (baud int) {
	raw, err := instrument.SyscallConn()
	if err != nil {
		return 0
	}
	raw.Control(func(fd uintptr) {
		if t, err := unix.IoctlGetTermios(int(fd), unix.TCGETS2); err == nil {
			baud = int(t.Ospeed)
		}
	})
	return baud
}

// speak plays an instrument whose line has the setting: what the probe gets is
// what a UART that listens at the probe's speed makes of it. It speaks again after
// each step of the probe; what it says while the probe sets a speed is lost, so it
// also does when the probe has not moved for a while, as instruments do.
func speak(ctx context.Context, instrument *os.File, bursts [][]byte, of Setting, steps <-chan Step) error {
	for i := 0; ; i++ {
		data, _ := heardAs(bursts[i%len(bursts)], of, plain(speedOf(instrument)))
		if _, err := instrument.Write(data); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-steps:
		case <-time.After(2 * time.Second):
		}
	}
}

// The probe finds an instrument that speaks at its own speed in its own format,
// through a terminal, and sends nothing meanwhile.
func TestListenFindsTheSpeed(t *testing.T) {
	for _, test := range []struct {
		name   string
		of     Setting
		bursts [][]byte
		sure   Sureness
	}{
		{"an ASTM instrument that nobody answers", Setting{4800, 7, "even", 1}, [][]byte{{lis01.ENQ}, {lis01.EOT}}, Likely},
		{"one that waits for no answer", Setting{19200, 8, "none", 1}, [][]byte{astmText()}, Certain},
		{"HL7", Setting{115200, 7, "odd", 1}, [][]byte{hl7Text()}, Certain},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			instrument, line := terminal(t)
			ctx, stop := context.WithTimeout(t.Context(), 2*time.Minute)
			defer stop()
			steps, spoken := make(chan Step, 100), make(chan error, 1)
			go func() { spoken <- speak(ctx, instrument, test.bursts, test.of, steps) }()
			v, err := Listen(ctx, line, func(s Step) { steps <- s })
			stop()
			if err := errors.Join(err, <-spoken); err != nil {
				t.Fatal(err)
			}
			if v.Setting != test.of || v.Sure != test.sure {
				t.Errorf("found %s, %s; saw %+v", v.Setting, v.Sure, v.Saw)
			}
			if got := speedOf(instrument); got != test.of.Baud {
				t.Errorf("the line is left at %d", got)
			}
			instrument.SetReadDeadline(time.Now().Add(10 * time.Millisecond))
			if n, err := instrument.Read(make([]byte, 1)); n > 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("the probe sent %d bytes, %v", n, err)
			}
		})
	}
}

// The end of the time is no error, wherever it comes; a line that goes is one.
func TestListenEnds(t *testing.T) {
	_, line := terminal(t)
	ctx, stop := context.WithCancel(t.Context())
	time.AfterFunc(50*time.Millisecond, stop)
	if v, err := Listen(ctx, line, nil); err != nil || v.Sure != Unknown || len(v.Saw) != 1 {
		t.Errorf("%+v, %v", v, err)
	}
	if v, err := Listen(ctx, line, nil); err != nil || v.Sure != Unknown {
		t.Errorf("ended before it begins: %+v, %v", v, err)
	}
	instrument, line := terminal(t)
	if _, err := io.WriteString(instrument, "\x05"); err != nil {
		t.Fatal(err)
	}
	time.AfterFunc(50*time.Millisecond, func() { instrument.Close() })
	if _, err := Listen(t.Context(), line, nil); !errors.Is(err, port.ErrUnplugged) {
		t.Errorf("unplugged: %v", err)
	}
}
