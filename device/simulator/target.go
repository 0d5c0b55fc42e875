package simulator

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/assaygate/assaygate/device/port"
	"github.com/assaygate/assaygate/protocols/vendor"
)

// Target is where Run plays to.
type Target struct {
	// Protocol is the only one that the target takes, but that an ASTM line
	// takes packets too; empty means any. Vendor is the Emerald's.
	Protocol Protocol
	// Address is a host:port, or empty for a serial port.
	Address string
	// Serial is the serial port, where Address is empty.
	Serial port.Serial
}

// ParseTarget reads a target as people write it: astm://HOST:PORT,
// mllp://HOST:PORT, emerald://HOST:PORT or serial:PORT[,BAUD].
func ParseTarget(text string) (Target, error) {
	if address, ok := strings.CutPrefix(text, "astm://"); ok {
		return networkTarget(text, ASTM, address)
	}
	if address, ok := strings.CutPrefix(text, "mllp://"); ok {
		return networkTarget(text, HL7, address)
	}
	if address, ok := strings.CutPrefix(text, "emerald://"); ok {
		return networkTarget(text, Vendor, address)
	}
	device, ok := strings.CutPrefix(text, "serial:")
	if !ok {
		return Target{}, fmt.Errorf("target %s: not one of astm://HOST:PORT, mllp://HOST:PORT, emerald://HOST:PORT, serial:PORT[,BAUD]", text)
	}
	t := Target{Serial: port.DefaultSerial()}
	device, baud, named := strings.Cut(device, ",")
	t.Serial.Port = device
	if named {
		var err error
		if t.Serial.Baud, err = strconv.Atoi(baud); err != nil {
			return Target{}, fmt.Errorf("target %s: the speed after the comma is not a number", text)
		}
	}
	if err := t.Serial.Validate(); err != nil {
		return Target{}, fmt.Errorf("target %s: %w", text, err)
	}
	return t, nil
}

func networkTarget(text string, protocol Protocol, address string) (Target, error) {
	address = strings.TrimSuffix(address, "/")
	if err := (port.Endpoint{Dial: address}).Validate(); err != nil {
		return Target{}, fmt.Errorf("target %s: not HOST:PORT after the two slashes", text)
	}
	return Target{Protocol: protocol, Address: address}, nil
}

// Open opens a line to the target.
func (t Target) Open(ctx context.Context) (port.Line, error) {
	if t.Address != "" {
		return port.Open(ctx, port.Settings{Dial: t.Address})
	}
	return port.Open(ctx, port.Settings{Serial: &t.Serial})
}

// accepts says whether these messages can be played to the target.
func (t Target) accepts(messages []Message, o Options) error {
	if t.Address == "" && o.Connections > 1 {
		return errors.New("a serial port is one connection; leave connections out")
	}
	for _, m := range messages {
		speaks := m.Protocol
		if speaks == Vendor && m.Format != vendor.Emerald {
			speaks = ASTM // its packets come over such lines
		}
		if t.Protocol != "" && speaks != t.Protocol {
			return fmt.Errorf("the capture speaks %s and the target %s; use astm:// for ASTM, mllp:// for HL7 and emerald:// for the CELL-DYN Emerald", speaks, t.Protocol)
		}
	}
	return nil
}
