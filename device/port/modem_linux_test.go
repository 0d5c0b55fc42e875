package port

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"testing"
)

// The numbers are those of include/uapi/asm-generic/termios.h.
func TestModemOf(t *testing.T) {
	const dtr, rts, cts, car, rng, dsr = 0x002, 0x004, 0x020, 0x040, 0x080, 0x100
	for bits, want := range map[int]ModemLines{
		0:                     {},
		dtr | rts:             {}, // our own
		cts:                   {CTS: true},
		dsr | dtr:             {DSR: true},
		car:                   {DCD: true},
		rng:                   {RI: true},
		cts | dsr | car | rts: {CTS: true, DSR: true, DCD: true},
	} {
		got := modemOf(bits)
		if got != want || got.Dead() != (want == ModemLines{}) {
			t.Errorf("%#x: %+v, want %+v", bits, got, want)
		}
	}
}

// To look at a port changes nothing of it, and takes it from nobody.
func TestPeekModem(t *testing.T) {
	master, path := pty(t)
	line := openSerial(t, Serial{Port: path, Baud: 19200, Flow: "xonxoff"})
	before := *termiosOf(t, master)
	// TIOCEXCL keeps all but root out.
	if _, err := PeekModem(t.Context(), path); !errors.Is(err, errors.ErrUnsupported) && !(errors.Is(err, errInUse) && os.Getuid() != 0) {
		t.Errorf("of a pseudo terminal: %v", err)
	}
	if after := *termiosOf(t, master); after != before {
		t.Errorf("settings %+v, were %+v", after, before)
	}
	carry(t, line, master, []byte{6})
	if _, err := PeekModem(t.Context(), path+"0"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("of nothing: %v", err)
	}
	ctx, stop := context.WithCancel(t.Context())
	stop()
	line.Close()
	if _, err := PeekModem(ctx, path); !errors.Is(err, context.Canceled) {
		t.Errorf("stopped: %v", err)
	}
}
