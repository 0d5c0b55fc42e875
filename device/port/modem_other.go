//go:build !linux

package port

import (
	"context"
	"fmt"

	"go.bug.st/serial"
)

// PeekModem opens a port that nobody uses for a moment, to read its modem lines.
// DTR and RTS are on meanwhile.
func PeekModem(_ context.Context, path string) (ModemLines, error) {
	device, err := serial.Open(path, &serial.Mode{})
	if err != nil {
		return ModemLines{}, fmt.Errorf("modem lines of %s: %w", path, err)
	}
	defer device.Close()
	m, err := (&polled{port: device}).Modem()
	if err != nil {
		return ModemLines{}, fmt.Errorf("modem lines of %s: %w", path, err)
	}
	return m, nil
}
