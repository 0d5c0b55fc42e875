//go:build !linux

package port

import (
	"errors"
	"fmt"

	"go.bug.st/serial"
)

// openTerminal opens the port through the library alone.
func openTerminal(path string, s Serial) (terminal, error) {
	if s.Flow != "none" {
		return nil, fmt.Errorf("flow: %s works on Linux only; use none: %w", s.Flow, errors.ErrUnsupported)
	}
	device, err := serial.Open(path, s.mode())
	if err != nil {
		return nil, err
	}
	// Both lines are on after opening.
	if !*s.DTR {
		err = device.SetDTR(false)
	}
	if !*s.RTS {
		err = errors.Join(err, device.SetRTS(false))
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("set dtr and rts: %w", err), device.Close())
	}
	return &polled{port: device}, nil
}
