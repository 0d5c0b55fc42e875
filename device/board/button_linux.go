package board

import (
	"fmt"
	"os"
	"path/filepath"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Button is a push button that connects a line of a GPIO chip with ground.
type Button struct{ line *os.File }

// Button asks the kernel for the line of a button, with a pull-up where the chip
// has one. The error wraps ErrNoButton. The caller must call Close.
func (s System) Button(pin Pin) (*Button, error) {
	chip, err := os.OpenFile(filepath.Join(s.dev(), pin.Chip), os.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoButton, err)
	}
	defer chip.Close()
	request := lineRequest{lines: 1}
	request.offsets[0] = uint32(pin.Line)
	copy(request.consumer[:len(request.consumer)-1], "assaygate reset button")
	request.config.flags = flagActiveLow | flagInput | flagPullUp
	err = control(chip, getLine, unsafe.Pointer(&request))
	if err != nil { // not every chip has a pull-up
		request.config.flags &^= flagPullUp
		err = control(chip, getLine, unsafe.Pointer(&request))
	}
	if err != nil {
		return nil, fmt.Errorf("%w: asking for %s: %w", ErrNoButton, pin, err)
	}
	return &Button{os.NewFile(uintptr(request.fd), pin.String())}, nil
}

// Pressed reports whether it is, now.
func (b *Button) Pressed() (bool, error) {
	values := lineValues{mask: 1}
	if err := control(b.line, getValues, unsafe.Pointer(&values)); err != nil {
		return false, fmt.Errorf("%w: %s: %w", ErrNoButton, b.line.Name(), err)
	}
	return values.bits&1 != 0, nil
}

// Close gives the line back.
func (b *Button) Close() error { return b.line.Close() }

func (s System) dev() string {
	if s.Dev != "" {
		return s.Dev
	}
	return "/dev"
}

// The kernel's interface to GPIO lines, include/uapi/linux/gpio.h, version 2.
const (
	getLine       = 0xc250b407 // GPIO_V2_GET_LINE_IOCTL
	getValues     = 0xc010b40e // GPIO_V2_LINE_GET_VALUES_IOCTL
	flagActiveLow = 1 << 1
	flagInput     = 1 << 2
	flagPullUp    = 1 << 8
)

// lineRequest is struct gpio_v2_line_request.
type lineRequest struct {
	offsets  [64]uint32
	consumer [32]byte
	config   struct {
		flags      uint64
		attributes uint32
		_          [5]uint32
		_          [10][3]uint64
	}
	lines  uint32
	buffer uint32
	_      [5]uint32
	fd     int32
}

// lineValues is struct gpio_v2_line_values.
type lineValues struct{ bits, mask uint64 }

func control(file *os.File, request uintptr, with unsafe.Pointer) error {
	raw, err := file.SyscallConn()
	if err != nil {
		return err
	}
	var failed unix.Errno
	err = raw.Control(func(fd uintptr) {
		_, _, failed = unix.Syscall(unix.SYS_IOCTL, fd, request, uintptr(with))
	})
	if err == nil && failed != 0 {
		err = failed
	}
	return err
}
