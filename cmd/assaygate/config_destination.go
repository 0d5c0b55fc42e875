package main

import (
	"errors"
	"fmt"

	"github.com/assaygate/assaygate/uplink/capture"
	"github.com/assaygate/assaygate/uplink/senaite"
)

// Destination is one entry of `destinations`.
type Destination struct {
	Name       string            `yaml:"name" required:"true"`
	SENAITE    *SENAITE          `yaml:"senaite"`
	Capture    *capture.Settings `yaml:"capture"`
	AcceptTest bool              `yaml:"accept_test"`
	// Staging keeps it from getting anything but what a person replays to it.
	Staging bool `yaml:"staging"`
}

// SENAITE is the LIMS with its defaults.
type SENAITE struct {
	senaite.Settings `yaml:",inline"`
}

// SetDefaults fills what the file need not say.
func (s *SENAITE) SetDefaults() { s.Settings = senaite.Defaults() }

// Validate returns what does not fit together in the entry.
func (d Destination) Validate() error {
	errs := []error{validateName(d.Name)}
	switch {
	case d.SENAITE == nil && d.Capture == nil:
		errs = append(errs, errors.New("nowhere to deliver to; add one of senaite, capture"))
	case d.SENAITE != nil && d.Capture != nil:
		errs = append(errs, fmt.Errorf("capture: stands beside senaite; a destination is one of them, so make two destinations"))
	}
	if d.Staging && d.Capture != nil {
		errs = append(errs, errors.New("staging: is for a senaite destination; files show what was received, so remove it"))
	}
	return errors.Join(errs...)
}

// live are the destinations that get what instruments send: all but those for
// staging, of which neither the store nor the delivery knows.
func (c Config) live() []Destination {
	list := make([]Destination, 0, len(c.Destinations))
	for _, d := range c.Destinations {
		if !d.Staging {
			list = append(list, d)
		}
	}
	return list
}

// validateStaging finds a destination that leads to the same LIMS as one of those
// before it, where only one of both is for staging: what is replayed there would
// stand among patients' results.
func (c *Config) validateStaging(i int) (errs []error) {
	one := c.Destinations[i]
	for _, other := range c.Destinations[:i] {
		if one.Staging != other.Staging && one.binding() != "" && one.binding() == other.binding() {
			errs = append(errs, fmt.Errorf("destinations[%d].senaite.url: %s leads to the same LIMS, and only one of both is for staging; give the LIMS for tests an address of its own", i, other.Name))
		}
	}
	return errs
}

// confirm reports whether results are read back.
func (d Destination) confirm() bool { return d.SENAITE != nil && d.SENAITE.Confirm.Enabled }

// binding is what pending messages are bound to: a destination that changes it
// has moved, and a person decides about what was meant for the old one.
func (d Destination) binding() string {
	if d.SENAITE == nil {
		return ""
	}
	return d.SENAITE.Settings.Binding()
}
