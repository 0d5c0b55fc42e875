package instrument

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/assaygate/assaygate/device/profile"
	"github.com/assaygate/assaygate/envelope"
)

// Settings is the part of an instrument's configuration that running its lines
// needs, whatever the lines are made of.
type Settings struct {
	Profile  string         `yaml:"profile"`                                      // "": recognised from each header
	Protocol string         `yaml:"protocol" allowed:"astm,hl7,vendor"`           // "": the profile's, else astm
	Charset  string         `yaml:"charset"`                                      // "" or auto: the protocol's rules
	Timezone string         `yaml:"timezone"`                                     // IANA name of the instrument's clock; "": unknown
	Quirks   profile.Quirks `yaml:"quirks"`                                       // laid over the profile's
	Deliver  []string       `yaml:"deliver" allowed:"result,qc,calibration,test"` // kinds for a LIMS; nil: all but test
	Limits   Limits         `yaml:"limits"`
	// Ack is how HL7 messages are acknowledged: auto, original or enhanced; "" is
	// as the quirks say, else the profile's, else auto. It stands beside the
	// listener's address in the configuration.
	Ack string `yaml:"-"`
}

// Limits bound what one listener or line may cost the box.
type Limits struct {
	Connections int           `yaml:"connections"`           // open at a time, per listener
	PerAddress  int           `yaml:"per_address"`           // of these, from one address
	Message     int64         `yaml:"message" config:"size"` // bytes of a whole message
	Frame       int64         `yaml:"frame" config:"size"`   // bytes of an ASTM frame
	Idle        time.Duration `yaml:"idle"`                  // silence between messages that ends a connection; 0: none
	Session     time.Duration `yaml:"session"`               // length of a session that ends it; 0: any
	Junk        int64         `yaml:"junk" config:"size"`    // bytes outside any frame or block that end a connection
}

// mostConnections is the number that all listeners of a box together may have:
// more than that a single one cannot get.
const mostConnections = 512

// Defaults returns the settings of an instrument of which the configuration
// says nothing. The limits fit a box with 512 MB of memory.
func Defaults() Settings {
	return Settings{
		Deliver: []string{string(envelope.KindResult), string(envelope.KindQC), string(envelope.KindCalibration)},
		Limits: Limits{
			Connections: 256, PerAddress: 64, Message: 16 << 20, Frame: 64 << 10,
			Session: 10 * time.Minute, Junk: 4 << 10,
		},
	}
}

// Validate returns all that is wrong, each error beginning with its key.
func (s Settings) Validate() error {
	var errs []error
	add := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	oneOf := func(key, value string, allowed ...string) {
		if value != "" && !slices.Contains(allowed, value) {
			add("%s: %s is not one of %s", key, value, strings.Join(allowed, ", "))
		}
	}
	oneOf("protocol", s.Protocol, string(envelope.ASTM), string(envelope.HL7), string(envelope.Vendor))
	if s.Charset != "" && s.Charset != "auto" {
		if _, err := profile.Charset(s.Charset); err != nil {
			add("charset: %w", err)
		}
	}
	if s.Timezone != "" {
		if _, err := time.LoadLocation(s.Timezone); err != nil || s.Timezone == "Local" {
			add("timezone: %s is not known; give an IANA name such as Europe/Berlin or UTC", s.Timezone)
		}
	}
	for _, problem := range s.Quirks.Problems() {
		add("quirks.%w", problem)
	}
	for i, kind := range s.Deliver {
		oneOf(fmt.Sprintf("deliver[%d]", i), kind, string(envelope.KindResult), string(envelope.KindQC), string(envelope.KindCalibration), string(envelope.KindTest))
		if slices.Contains(s.Deliver[:i], kind) {
			add("deliver[%d]: %s stands there twice; remove one", i, kind)
		}
	}
	return errors.Join(errors.Join(errs...), s.Limits.validate())
}

// validate is no Validate: the configuration's decoder calls those of every
// struct, and would report each limit twice.
func (l Limits) validate() error {
	var errs []error
	between := func(key string, value, low, high int64) {
		if value < low || value > high {
			errs = append(errs, fmt.Errorf("limits.%s: %d is not between %d and %d", key, value, low, high))
		}
	}
	size := func(key string, value, low, high int64) {
		if value < low || value > high {
			errs = append(errs, fmt.Errorf("limits.%s: %s is not between %s and %s", key, sizeText(value), sizeText(low), sizeText(high)))
		}
	}
	duration := func(key string, value, low time.Duration) {
		if value != 0 && value < low {
			errs = append(errs, fmt.Errorf("limits.%s: %s is too short; give at least %s, or 0 for no limit", key, value, low))
		}
	}
	between("connections", int64(l.Connections), 1, mostConnections)
	between("per_address", int64(l.PerAddress), 1, mostConnections)
	size("message", l.Message, 1<<10, 256<<20)
	size("frame", l.Frame, 256, 16<<20)
	duration("idle", l.Idle, time.Second)
	duration("session", l.Session, 30*time.Second) // as long as the receiver waits for one frame
	size("junk", l.Junk, 1, 16<<20)
	return errors.Join(errs...)
}

// sizeText writes a size as the configuration does.
func sizeText(n int64) string {
	for _, unit := range []struct {
		bytes int64
		name  string
	}{{1 << 30, "GiB"}, {1 << 20, "MiB"}, {1 << 10, "KiB"}} {
		if n >= unit.bytes && n%unit.bytes == 0 {
			return fmt.Sprintf("%d%s", n/unit.bytes, unit.name)
		}
	}
	return fmt.Sprintf("%d bytes", n)
}

// Location is the time zone of the instrument's clock; nil when it is not
// known. The settings must be valid.
func (s Settings) Location() *time.Location {
	if s.Timezone == "" {
		return nil
	}
	zone, err := time.LoadLocation(s.Timezone)
	if err != nil {
		return nil
	}
	return zone
}

// Kinds are the kinds of messages that a LIMS gets; nil means all but test.
func (s Settings) Kinds() []envelope.Kind {
	if s.Deliver == nil {
		return nil
	}
	kinds := make([]envelope.Kind, len(s.Deliver))
	for i, kind := range s.Deliver {
		kinds[i] = envelope.Kind(kind)
	}
	return kinds
}
