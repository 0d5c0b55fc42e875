package main

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/assaygate/assaygate/device/config"
	"github.com/assaygate/assaygate/device/profile"
	"github.com/assaygate/assaygate/envelope"
)

// usableProfiles are the profiles that a configuration can use.
type usableProfiles struct {
	set *profile.Set
	// others says that the directory of own profiles is not on this machine: it
	// may hold any.
	others bool
}

// usableProfiles loads them. Each mistake in an own one is an error of its own.
func (c Config) usableProfiles() (usableProfiles, error) {
	set, err := profile.Load(profile.Options{Directory: c.Profiles})
	missing := errors.Is(err, fs.ErrNotExist)
	if missing {
		set, err = profile.Load(profile.Options{})
	}
	var mistakes profile.Mistakes
	switch {
	case errors.As(err, &mistakes):
		var errs config.Errors
		for _, m := range mistakes {
			errs = append(errs, c.document.At("profiles", "%v", m))
		}
		return usableProfiles{}, errs
	case err != nil:
		return usableProfiles{}, config.Errors{c.document.At("profiles", "%v", err)}
	}
	return usableProfiles{set, missing}, nil
}

// misfits finds instruments whose profile there is not, or is one for another
// language than the line's.
func (c Config) misfits(profiles usableProfiles) error {
	var errs config.Errors
	for i, one := range c.Instruments {
		protocol, known := profiles.set.Protocol(one.Profile)
		path := fmt.Sprintf("instruments[%d].profile", i)
		switch {
		case one.Profile == "", !known && profiles.others:
		case !known:
			errs = append(errs, c.document.At(path, "there is no profile %s; see `assaygate profiles list`, or put %s.yaml into the directory that profiles: names", one.Profile, one.Profile))
		case !one.speaks(protocol):
			errs = append(errs, c.document.At(path, "%s is a profile for %s, and this line speaks %s; see `assaygate profiles list`", one.Profile, protocol, one.protocol()))
		}
	}
	if errs == nil {
		return nil
	}
	return errs
}

// speaks reports whether a profile's language can be the line's. On a serial line
// without protocol: it is the profile's. Makers' packets come over ASTM lines.
func (i Instrument) speaks(profile envelope.Protocol) bool {
	line := i.protocol()
	switch {
	case i.ASTM != nil:
		return profile == envelope.ASTM
	case i.Serial != nil && i.Protocol == "":
		return true
	case i.Serial != nil && line == envelope.Vendor:
		return profile != envelope.HL7
	}
	return profile == line
}

// reading is one thing that results cannot do without, and the places where it
// may stand.
type reading struct {
	What string
	At   []profile.Place
}

// reads tells what an instrument's profile reads of that.
func (u usableProfiles) reads(one Instrument) (list []reading) {
	name := one.Profile
	if _, known := u.set.Protocol(name); !known {
		name = ""
	}
	for _, r := range []struct{ part, what string }{
		{"sample", "sample id"}, {"test", "test"}, {"value", "value"}, {"units", "unit"},
	} {
		places, _ := u.set.Reads(name, one.protocol(), r.part)
		list = append(list, reading{r.what, places})
	}
	return list
}
