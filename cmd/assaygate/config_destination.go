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
	return errors.Join(errs...)
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
