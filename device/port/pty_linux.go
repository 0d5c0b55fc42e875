package port

import (
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// OpenPTY makes a pseudo terminal: a serial line without hardware, as the demo
// and tests use it. The path is the device that OpenSerial opens; the master
// is the instrument's end of the cable, and a Line. Closing the master is
// pulling the plug.
//
// The terminal passes all bytes as they are from the start. As long as nobody
// has the device open, a Read from the master fails with EIO; a Write is kept
// for the one who opens it.
func OpenPTY() (master *os.File, slavePath string, err error) {
	fd, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, "", fmt.Errorf("open a pseudo terminal: %w", &os.PathError{Op: "open", Path: "/dev/ptmx", Err: err})
	}
	slavePath, err = preparePTY(fd)
	if err != nil {
		unix.Close(fd)
		return nil, "", fmt.Errorf("prepare a pseudo terminal: %w", err)
	}
	return os.NewFile(uintptr(fd), "/dev/ptmx"), slavePath, nil
}

// preparePTY unlocks the slave, makes it raw and returns its path. Settings
// made on a master are those of its slave.
func preparePTY(fd int) (string, error) {
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		return "", err
	}
	number, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		return "", err
	}
	t, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	if err != nil {
		return "", err
	}
	t.Iflag, t.Oflag, t.Lflag = 0, 0, 0
	t.Cc[unix.VMIN], t.Cc[unix.VTIME] = 1, 0
	if err := unix.IoctlSetTermios(fd, unix.TCSETS, t); err != nil {
		return "", err
	}
	return "/dev/pts/" + strconv.Itoa(number), nil
}
