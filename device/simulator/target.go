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
	// TLS says that the line is to speak TLS, by these files.
	TLS *port.TLSFiles
	// Serial is the serial port, where Address is empty.
	Serial port.Serial
}

// ParseTarget reads a target as people write it: astm://HOST:PORT,
// mllp://HOST:PORT, emerald://HOST:PORT, each with an s behind its name for TLS,
// or serial:PORT[,BAUD]. A target with TLS has no files yet.
func ParseTarget(text string) (Target, error) {
	if scheme, address, ok := strings.Cut(text, "://"); ok {
		name, secure := strings.CutSuffix(scheme, "s")
		if protocol, known := map[string]Protocol{"astm": ASTM, "mllp": HL7, "emerald": Vendor}[name]; known {
			return networkTarget(text, protocol, address, secure)
		}
	}
	device, ok := strings.CutPrefix(text, "serial:")
	if !ok {
		return Target{}, fmt.Errorf("target %s: not one of astm://HOST:PORT, mllp://HOST:PORT, emerald://HOST:PORT, the same with TLS (astms://, mllps://, emeralds://), serial:PORT[,BAUD]", text)
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

func networkTarget(text string, protocol Protocol, address string, secure bool) (Target, error) {
	address = strings.TrimSuffix(address, "/")
	if err := (port.Endpoint{Dial: address}).Validate(); err != nil {
		return Target{}, fmt.Errorf("target %s: not HOST:PORT after the two slashes", text)
	}
	t := Target{Protocol: protocol, Address: address}
	if secure {
		t.TLS = &port.TLSFiles{}
	}
	return t, nil
}

// Open opens a line to the target.
func (t Target) Open(ctx context.Context) (port.Line, error) {
	if t.Address != "" {
		settings := port.Settings{Dial: t.Address}
		if t.TLS != nil {
			settings.TLS = port.NewTLS(*t.TLS, nil)
		}
		return port.Open(ctx, settings)
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
