package main

import (
	"errors"
	"io/fs"
	"slices"

	"github.com/assaygate/assaygate/device/config"
	"github.com/assaygate/assaygate/device/profile"
	"github.com/assaygate/assaygate/envelope"
)

// profileReads tells what a profile reads; name "" is any of that protocol.
// Known is false where there is no such profile.
type profileReads func(name string, protocol envelope.Protocol) (reads []reading, known bool)

// reading is one thing that results cannot do without, and the places where it
// may stand.
type reading struct {
	What string
	At   []fieldPlace
}

// fieldPlace is a field of a record or segment.
type fieldPlace struct {
	Record string
	Field  int
}

// readsOfProfiles answers for the profiles that the configuration can use. A
// directory of own profiles that is not on this machine may hold any.
func readsOfProfiles(c Config) (profileReads, *config.Error) {
	set, err := profile.Load(profile.Options{Directory: c.Profiles})
	missing := errors.Is(err, fs.ErrNotExist)
	if missing {
		set, err = profile.Load(profile.Options{})
	}
	if err != nil {
		problem := c.document.At("profiles", "%v", err)
		return nil, &problem
	}
	names := set.Names()
	return func(name string, protocol envelope.Protocol) ([]reading, bool) {
		return genericReads(protocol), name == "" || missing || slices.Contains(names, name)
	}, nil
}

// genericReads are the places of the standards.
func genericReads(protocol envelope.Protocol) []reading {
	if protocol == envelope.HL7 {
		return []reading{
			{"sample id", []fieldPlace{{"SPM", 2}, {"OBR", 3}}},
			{"test", []fieldPlace{{"OBX", 3}}},
			{"value", []fieldPlace{{"OBX", 5}}},
			{"unit", []fieldPlace{{"OBX", 6}}},
		}
	}
	return []reading{
		{"sample id", []fieldPlace{{"O", 3}}},
		{"test", []fieldPlace{{"R", 3}}},
		{"value", []fieldPlace{{"R", 4}}},
		{"unit", []fieldPlace{{"R", 5}}},
	}
}
