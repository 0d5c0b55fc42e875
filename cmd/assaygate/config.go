package main

import (
	"errors"
	"fmt"
	"net"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"

	// The box has no zoneinfo files.
	_ "time/tzdata"

	"github.com/assaygate/assaygate/device/config"
	"github.com/assaygate/assaygate/device/console"
	"github.com/assaygate/assaygate/device/instrument"
	"github.com/assaygate/assaygate/device/port"
	"github.com/assaygate/assaygate/envelope"
	"github.com/assaygate/assaygate/envelope/spool"
)

// Config is the configuration file as a whole.
type Config struct {
	Version       int              `yaml:"version"`
	Box           BoxSettings      `yaml:"box"`
	Owner         *OwnerSettings   `yaml:"owner"`
	Instruments   []Instrument     `yaml:"instruments"`
	Profiles      string           `yaml:"profiles"`
	Privacy       PrivacySettings  `yaml:"privacy"`
	Destinations  []Destination    `yaml:"destinations"`
	Spool         spool.Settings   `yaml:"spool"`
	ConfigDrive   *DriveSettings   `yaml:"config_drive"`
	Network       *NetworkSettings `yaml:"network"`
	Update        *UpdateSettings  `yaml:"update"`
	Admin         AdminSettings    `yaml:"admin"`
	Console       console.Settings `yaml:"console"`
	ShutdownGrace time.Duration    `yaml:"shutdown_grace"`
	Log           LogSettings      `yaml:"log"`
	document      *config.Document // what it was decoded from, for places
}

const longestGrace = 10 * time.Minute

// Validate returns what is wrong between the parts; each part finds what is
// wrong in itself.
func (c *Config) Validate() error {
	var errs []error
	add := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if c.Version != 1 {
		add("version: %d is not known; this program reads version 1", c.Version)
	}
	if c.ShutdownGrace > longestGrace {
		add("shutdown_grace: %s is too long; give at most 10m", c.ShutdownGrace)
	}
	for i, one := range c.Instruments {
		for _, other := range c.Instruments[:i] {
			if strings.EqualFold(one.Name, other.Name) && one.Name != "" {
				add("instruments[%d].name: another instrument is called %s; names are unique, whatever their case", i, other.Name)
				break
			}
		}
	}
	for i, one := range c.Destinations {
		for _, other := range c.Destinations[:i] {
			if strings.EqualFold(one.Name, other.Name) && one.Name != "" {
				add("destinations[%d].name: another destination is called %s; names are unique, whatever their case", i, other.Name)
				break
			}
		}
		errs = append(errs, c.validateStaging(i)...)
		if strings.EqualFold(one.Name, certificateFile) {
			add("destinations[%d].name: %s is what the box calls its own certificate, beside the passwords; take another name", i, certificateFile)
		}
		if one.Capture == nil {
			continue
		}
		for _, other := range c.Destinations[:i] {
			if other.Capture != nil && one.Capture.Directory == other.Capture.Directory {
				add("destinations[%d].capture.directory: %s writes there too; give each a directory of its own", i, other.Name)
			}
		}
	}
	if drive := c.ConfigDrive; drive != nil && drive.WriteRequest != "" && (below(c.Spool.Directory, drive.WriteRequest) || inSealed(drive.WriteRequest)) {
		add("config_drive.write_request: %s is in the store, and the file that is named here is removed again and again; name another place", drive.WriteRequest)
	}
	errs = append(errs, c.validateSealed()...)
	return errors.Join(append(append(errs, c.validateAddresses()...), c.validateNetwork()...)...)
}

// validateAddresses finds addresses that two listeners would want.
func (c *Config) validateAddresses() []error {
	var errs []error
	serial := map[string]string{}
	for i, one := range c.Instruments {
		if one.Serial != nil && one.Serial.Port != "" {
			if other, taken := serial[one.Serial.Port]; taken {
				errs = append(errs, fmt.Errorf("instruments[%d].serial.port: %s is at %s; a port is one instrument's", i, other, one.Serial.Port))
			}
			serial[one.Serial.Port] = one.Name
		}
		key, address := one.listenKey()
		if address == "" {
			continue
		}
		key = fmt.Sprintf("instruments[%d].%s", i, key)
		for _, other := range c.Instruments[:i] {
			_, taken := other.listenKey()
			switch {
			case !sameListener(address, taken):
				if overlap(address, taken) {
					errs = append(errs, fmt.Errorf("%s: %s and %s of %s cannot both be opened; write the same address to share one listener, or take another port", key, address, taken, other.Name))
				}
			case one.protocol() != other.protocol():
				errs = append(errs, fmt.Errorf("%s: %s listens for %s there; only instruments of one protocol share a listener", key, other.Name, other.protocol()))
			default:
				errs = append(errs, differences(i, one, other)...)
			}
		}
		for _, server := range []struct{ name, address string }{{adminServer, c.Admin.Listen}, {consoleServer, c.Console.Listen}} {
			if overlap(address, server.address) {
				errs = append(errs, fmt.Errorf("%s: %s is the address of %s; take another port", key, address, server.name))
			}
		}
	}
	if overlap(c.Admin.Listen, c.Console.Listen) {
		errs = append(errs, fmt.Errorf("console.listen: %s is the address of %s; take another port", c.Console.Listen, adminServer))
	}
	return errs
}

// differences finds what two instruments say differently of the listener that
// they share. What only one of them says holds for both.
func differences(i int, one, other Instrument) []error {
	var errs []error
	for _, said := range []struct {
		key                string
		one, other, silent any
	}{
		{"tls", one.TLS, other.TLS, port.TLSFiles{}},
		{"allow_from", one.AllowFrom, other.AllowFrom, []Network(nil)},
		{"limits", one.Limits, other.Limits, instrument.Defaults().Limits},
		{"hl7.ack", one.ack(), other.ack(), ""},
	} {
		if !reflect.DeepEqual(said.one, said.silent) && !reflect.DeepEqual(said.other, said.silent) && !reflect.DeepEqual(said.one, said.other) {
			errs = append(errs, fmt.Errorf("instruments[%d].%s: differs from that of %s, which shares the listener; say it the same, or once", i, said.key, other.Name))
		}
	}
	return errs
}

// settle spreads what one instrument says of a shared listener to all of them,
// makes them spell its address the same, and fills what follows from the rest.
func (c *Config) settle() {
	silent := instrument.Defaults()
	for i := range c.Instruments {
		one := &c.Instruments[i]
		one.Ack = one.ack()
		// What an Emerald measures of controls has no order that SENAITE could
		// file it under; who wants it there says so.
		if one.emerald() && !c.document.Has(fmt.Sprintf("instruments[%d].deliver", i)) {
			one.Deliver = []string{string(envelope.KindResult)}
		}
		if one.line() != lineSerial {
			one.Protocol = string(one.protocol())
		}
	}
	for i := range c.Instruments {
		one := &c.Instruments[i]
		_, address := one.listenKey()
		for j, other := range c.Instruments {
			_, at := other.listenKey()
			if j == i || !sameListener(address, at) {
				continue
			}
			if j < i {
				one.setListen(at)
			}
			if one.TLS == (port.TLSFiles{}) {
				one.TLS = other.TLS
			}
			if one.AllowFrom == nil {
				one.AllowFrom = other.AllowFrom
			}
			if one.Limits == silent.Limits {
				one.Limits = other.Limits
			}
			if one.Ack == silent.Ack {
				one.Ack = other.Ack
			}
		}
	}
}

// normal splits an address, with one spelling of "every address of the box".
func normal(address string) (host, port string, ok bool) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return "", "", false
	}
	if host == "::" {
		host = ""
	}
	return strings.ToLower(host), port, true
}

// sameListener reports whether two instruments with these addresses share a
// listener. Port 0 is a free port for each.
func sameListener(a, b string) bool {
	hostA, portA, okA := normal(a)
	hostB, portB, okB := normal(b)
	return okA && okB && hostA == hostB && portA == portB && portA != "0"
}

// overlap reports whether only one of the two addresses can be opened.
func overlap(a, b string) bool {
	hostA, portA, okA := normal(a)
	hostB, portB, okB := normal(b)
	every := func(host string) bool { return host == "" || host == "0.0.0.0" }
	return okA && okB && portA == portB && portA != "0" && (hostA == hostB || every(hostA) || every(hostB))
}

var usableName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)

// validateName holds names to what can stand in file names, in metrics and in
// the store alike.
func validateName(name string) error {
	if name != "" && !usableName.MatchString(name) {
		return fmt.Errorf("name: %q cannot be used; take up to 64 letters, digits, dots, hyphens and underscores, beginning with a letter or digit", name)
	}
	return nil
}

// validateZone checks the name of a time zone.
func validateZone(name string) error {
	if name == "" {
		return nil
	}
	if _, err := time.LoadLocation(name); err != nil || name == "Local" {
		return fmt.Errorf("timezone: %s is not known; give an IANA name such as Europe/Berlin or UTC", name)
	}
	return nil
}

// validateListen checks an address to listen on.
func validateListen(address string) error {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf(`listen: %s is not host:port; write for example ":4010" or "127.0.0.1:4010"`, address)
	}
	if !wholePort.MatchString(port) || len(port) > 5 || len(port) == 5 && port > "65535" {
		return fmt.Errorf("listen: %s: the port is not a number up to 65535", address)
	}
	if strings.ContainsAny(host, " /") {
		return fmt.Errorf("listen: %s: the host is not an address of this machine", address)
	}
	return nil
}

var wholePort = regexp.MustCompile(`^[0-9]+$`)

// loopback reports whether only this machine can reach the address.
func loopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	ip := net.ParseIP(host)
	return strings.EqualFold(host, "localhost") || ip != nil && ip.IsLoopback()
}

// spoolDestinations is what the store has to know of the destinations.
func (c Config) spoolDestinations() []spool.Destination {
	list := make([]spool.Destination, 0, len(c.Destinations))
	for _, d := range c.live() {
		list = append(list, spool.Destination{
			Name: d.Name, Binding: d.binding(), Everything: d.Capture != nil, AcceptTest: d.AcceptTest, Confirm: d.confirm(),
		})
	}
	return slices.Clip(list)
}
