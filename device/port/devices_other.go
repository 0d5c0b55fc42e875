//go:build !linux && !windows

package port

import (
	"errors"
	"fmt"
)

// Devices returns an error that wraps errors.ErrUnsupported: what this system
// knows of its serial ports is only told to programs made with its C compiler.
func Devices() ([]Device, error) {
	return nil, fmt.Errorf("list serial ports: not told on this system; look with: ls /dev/cu.*: %w", errors.ErrUnsupported)
}

// Lookup is the Resolver that Open uses where it is given none. For the stable
// names its error wraps ErrNotActive.
func Lookup(name string) (path string, err error) {
	if stableName(name) {
		return "", fmt.Errorf("serial port %s: not told on this system, and this kind of name is %w; name the device, e.g. /dev/cu.usbserial-110", name, ErrNotActive)
	}
	return name, nil
}

// Users returns errors.ErrUnsupported: this system does not tell.
func (s System) Users(string) (list []Process, complete bool, err error) {
	return nil, false, errors.ErrUnsupported
}
