package main

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/assaygate/assaygate/device/instrument"
	"github.com/assaygate/assaygate/device/port"
	"github.com/assaygate/assaygate/envelope"
)

// Instrument is one entry of `instruments`: a line, and what is known of the
// analyser at its end.
type Instrument struct {
	Name    string         `yaml:"name" required:"true"`
	Serial  *port.Serial   `yaml:"serial"`
	ASTM    *port.Endpoint `yaml:"astm"`
	HL7     *HL7Line       `yaml:"hl7"`
	Emerald *EmeraldLine   `yaml:"emerald"`

	instrument.Settings `yaml:",inline"`

	AllowFrom []Network     `yaml:"allow_from"`
	TLS       port.TLSFiles `yaml:"tls"`
}

// HL7Line is an HL7 line on the network.
type HL7Line struct {
	port.Endpoint `yaml:",inline"`
	Ack           string `yaml:"ack" allowed:"auto,original,enhanced"`
}

// EmeraldLine is the listener for CELL-DYN Emeralds.
type EmeraldLine struct {
	Listen string `yaml:"listen" required:"true"`
}

// Validate returns what is wrong with the address.
func (e EmeraldLine) Validate() error { return validateListen(e.Listen) }

// The kinds of lines, by the keys that configure them.
const (
	lineSerial  = "serial"
	lineASTM    = "astm"
	lineHL7     = "hl7"
	lineEmerald = "emerald"
)

// SetDefaults fills what the file need not say.
func (i *Instrument) SetDefaults() { i.Settings = instrument.Defaults() }

// lines lists the kinds of lines that the entry has; a right one has one.
func (i Instrument) lines() []string {
	var kinds []string
	for _, has := range []struct {
		kind string
		is   bool
	}{{lineSerial, i.Serial != nil}, {lineASTM, i.ASTM != nil}, {lineHL7, i.HL7 != nil}, {lineEmerald, i.Emerald != nil}} {
		if has.is {
			kinds = append(kinds, has.kind)
		}
	}
	return kinds
}

// line is the kind of the line, "" while there is none.
func (i Instrument) line() string {
	if kinds := i.lines(); len(kinds) > 0 {
		return kinds[0]
	}
	return ""
}

// Validate returns what does not fit together in the entry.
func (i Instrument) Validate() error {
	errs := []error{validateName(i.Name)}
	add := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if slices.Contains([]string{adminServer, consoleServer, drivePart}, i.Name) {
		add("name: %s is the name of a part of the box; take another", i.Name)
	}
	kinds := i.lines()
	switch len(kinds) {
	case 0:
		add("no line; add one of serial, astm, hl7, emerald")
	case 1:
	default:
		add("%s: stands beside %s; an instrument has one line, so make two instruments or remove one", kinds[1], kinds[0])
	}
	fits := map[string][]string{
		lineSerial: {"", "astm", "hl7", "vendor"}, lineASTM: {"", "astm", "vendor"},
		lineHL7: {"", "hl7"}, lineEmerald: {"", "vendor"},
	}
	if allowed, known := fits[i.line()]; known && len(kinds) == 1 && !slices.Contains(allowed, i.Protocol) {
		add("protocol: %s does not fit the line %s; remove it, or make the line %s", i.Protocol, kinds[0], lineFor(i.Protocol))
	}
	_, listens := i.listenKey()
	switch {
	case i.TLS == (port.TLSFiles{}):
	case i.Serial != nil:
		add("tls: a serial line has none; remove it")
	case len(kinds) == 1:
		if err := i.TLS.ValidateFor(listens != ""); err != nil {
			add("tls: %w", err)
		}
	}
	switch {
	case i.AllowFrom == nil:
	case listens == "" && len(kinds) == 1:
		add("allow_from: only for a line that listens; remove it")
	case len(i.AllowFrom) == 0:
		add("allow_from: names no network, so that nobody could connect; name one, or remove it to let everybody")
	}
	return errors.Join(errs...)
}

// lineFor names the network line of a protocol.
func lineFor(protocol string) string {
	if protocol == string(envelope.Vendor) {
		return lineSerial + " or " + lineEmerald
	}
	return protocol
}

// protocol is the language of the line. On a serial line it is what the file
// says, else ASTM: a profile that says otherwise is not known here.
func (i Instrument) protocol() envelope.Protocol {
	switch {
	case i.HL7 != nil:
		return envelope.HL7
	case i.Emerald != nil:
		return envelope.Vendor
	case i.Protocol != "":
		return envelope.Protocol(i.Protocol)
	}
	return envelope.ASTM
}

// ack is what the line itself says of acknowledgement, "" where it says nothing.
func (i Instrument) ack() string {
	if i.HL7 == nil {
		return ""
	}
	return i.HL7.Ack
}

// listenKey returns the address that the entry listens on, and its key.
func (i Instrument) listenKey() (key, address string) {
	switch {
	case i.ASTM != nil:
		return "astm.listen", i.ASTM.Listen
	case i.HL7 != nil:
		return "hl7.listen", i.HL7.Listen
	case i.Emerald != nil:
		return "emerald.listen", i.Emerald.Listen
	}
	return "", ""
}

// setListen changes the address that the entry listens on. The lines may be
// shared with what was decoded, so they are copied.
func (i *Instrument) setListen(address string) {
	switch {
	case i.ASTM != nil:
		line := *i.ASTM
		line.Listen, i.ASTM = address, &line
	case i.HL7 != nil:
		line := *i.HL7
		line.Listen, i.HL7 = address, &line
	case i.Emerald != nil:
		i.Emerald = &EmeraldLine{Listen: address}
	}
}

// listens returns the address to listen on, "" where the line is opened by the
// box.
func (i Instrument) listens() string {
	_, address := i.listenKey()
	return address
}

// opens returns the line that the box opens itself, false where it listens.
func (i Instrument) opens() (port.Settings, bool) {
	switch {
	case i.Serial != nil:
		return port.Settings{Serial: i.Serial, Owner: i.Name}, true
	case i.ASTM != nil && i.ASTM.Dial != "":
		return port.Settings{Dial: i.ASTM.Dial}, true
	case i.HL7 != nil && i.HL7.Dial != "":
		return port.Settings{Dial: i.HL7.Dial}, true
	}
	return port.Settings{}, false
}

// emeraldProfile is the profile of a line that speaks as the CELL-DYN Emerald.
const emeraldProfile = "celldyn_emerald"

// emerald reports whether the line is a CELL-DYN Emerald's: on a serial line
// that speaks a maker's own format the profile tells, for the packets of the
// others come over lines for ASTM.
func (i Instrument) emerald() bool {
	return i.Emerald != nil || i.Serial != nil && (i.Profile == emeraldProfile || i.Profile == "" && i.protocol() == envelope.Vendor)
}

// instrument is the entry as device/instrument takes it.
func (i Instrument) instrument() instrument.Instrument {
	settings := i.Settings
	settings.Protocol = string(i.protocol())
	switch {
	case i.emerald() && i.Profile == "":
		settings.Profile = emeraldProfile
	case i.ASTM != nil:
		settings.Protocol = string(envelope.ASTM)
	}
	return instrument.Instrument{Name: i.Name, Settings: settings, AllowFrom: i.networks()}
}

// networks is allow_from as device/port takes it.
func (i Instrument) networks() (list []netip.Prefix) {
	for _, network := range i.AllowFrom {
		list = append(list, network.Prefix)
	}
	return list
}

// describeLine says for a person what the line is.
func (i Instrument) describeLine() string {
	_, listens := i.listenKey()
	switch {
	case i.Serial != nil:
		return "serial " + i.Serial.Port
	case listens != "":
		return "listens on " + listens
	case i.ASTM != nil:
		return "dials " + i.ASTM.Dial
	case i.HL7 != nil:
		return "dials " + i.HL7.Dial
	}
	return "no line"
}

// Network is a range of addresses in CIDR notation. IPv4 addresses that are
// written as IPv6 ones are IPv4.
type Network struct{ netip.Prefix }

// UnmarshalText implements encoding.TextUnmarshaler. An address with bits
// beyond the prefix is refused: it is not clear which of the two is wrong.
func (n *Network) UnmarshalText(text []byte) error {
	written := string(text)
	if address, err := netip.ParseAddr(written); err == nil {
		return fmt.Errorf("%s is an address; write %s/%d for it alone", written, written, address.BitLen())
	}
	prefix, err := netip.ParsePrefix(written)
	if err != nil {
		return fmt.Errorf("%s is not a network; write for example 10.20.0.0/24", strings.ReplaceAll(written, "\n", " "))
	}
	if masked := prefix.Masked(); masked != prefix {
		return fmt.Errorf("%s is an address within a network; write %s for the network", written, masked)
	}
	if prefix.Addr().Is4In6() {
		prefix = netip.PrefixFrom(prefix.Addr().Unmap(), prefix.Bits()-96)
	}
	n.Prefix = prefix
	return nil
}
