package port

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// Modem implements terminal.
func (d *descriptor) Modem() (m ModemLines, err error) {
	err = d.control(func(fd int) error {
		m, err = modemLines(fd)
		return err
	})
	return m, err
}

// modemLines asks the driver, which changes nothing.
func modemLines(fd int) (ModemLines, error) {
	bits, err := unix.IoctlGetInt(fd, unix.TIOCMGET)
	switch {
	case noModemLines(err):
		return ModemLines{}, fmt.Errorf("the driver has none: %w", errors.ErrUnsupported)
	case err != nil:
		return ModemLines{}, err
	}
	return modemOf(bits), nil
}

// modemOf reads what TIOCMGET answers.
func modemOf(bits int) ModemLines {
	on := func(bit int) bool { return bits&bit != 0 }
	return ModemLines{CTS: on(unix.TIOCM_CTS), DSR: on(unix.TIOCM_DSR), DCD: on(unix.TIOCM_CAR), RI: on(unix.TIOCM_RNG)}
}

// modemSettles is what the other side and adapters that tell of changes only by
// and by have for their answer to DTR and RTS.
const modemSettles = 200 * time.Millisecond

// PeekModem opens a port that nobody uses for a moment, to read its modem lines.
// It changes no setting, sends nothing and takes no lock, so that whoever wants
// the port meanwhile gets it; but the kernel raises DTR and RTS while it is open.
func PeekModem(ctx context.Context, path string) (ModemLines, error) {
	file, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOCTTY|unix.O_NONBLOCK, 0)
	if errors.Is(err, unix.EBUSY) {
		return ModemLines{}, fmt.Errorf("modem lines of %s: %w", path, errInUse)
	}
	if err != nil {
		return ModemLines{}, fmt.Errorf("modem lines: %w", err)
	}
	defer file.Close()
	if err := sleep(ctx, modemSettles); err != nil {
		return ModemLines{}, err
	}
	m, err := (&descriptor{file: file}).Modem()
	if err != nil {
		return ModemLines{}, fmt.Errorf("modem lines of %s: %w", path, err)
	}
	return m, nil
}
