package main

import (
	"errors"
	"io/fs"

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
	At   []profile.Place
}

// results is what results cannot do without, by the profile's word for it.
var results = []struct{ part, what string }{
	{"sample", "sample id"}, {"test", "test"}, {"value", "value"}, {"units", "unit"},
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
	return func(name string, protocol envelope.Protocol) (reads []reading, known bool) {
		if _, known = set.Protocol(name); !known && name != "" {
			if !missing {
				return nil, false
			}
			name = ""
		}
		for _, r := range results {
			places, _ := set.Reads(name, protocol, r.part)
			reads = append(reads, reading{r.what, places})
		}
		return reads, true
	}, nil
}
