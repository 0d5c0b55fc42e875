package main

import (
	"os"
	"path/filepath"
)

const (
	// previousSuffix is what the name of the configuration before ends with.
	previousSuffix = ".previous"
	// byBefore is who brings that one back: nobody.
	byBefore = "the one before"
)

// started is the configuration that the gateway starts with.
type started struct {
	config   Config
	warnings []string
	// Where the file cannot be used: why, and whose configuration stands in for it.
	refused error
	factory bool
}

// load loads what the gateway is to start with. A box whose file cannot be used,
// because the card has spoilt it or another release wrote it, starts all the
// same: a person reaches it by a stick only, and that needs a gateway. It starts
// with the configuration before, else with the factory's. One that is on trial
// is taken back instead: alone says that none is.
func (f flags) load(alone bool) (s started, err error) {
	s.config, s.warnings, err = loadWhole(f)
	if err == nil || f.Factory == "" || !alone {
		return s, err
	}
	s.refused = err
	before := f
	before.Config, before.Factory = f.Config+previousSuffix, ""
	if s.config, s.warnings, err = loadWhole(before); err == nil {
		return s, nil
	}
	factory := f
	factory.Config, factory.Factory = f.Factory, ""
	if s.config, s.warnings, err = loadWhole(factory); err != nil {
		return started{}, s.refused // what stands in the box's own file is what a person can mend
	}
	// The box's store knows destinations that the factory's configuration does not:
	// what waits there would be set aside as if a person had removed them.
	s.config.Spool.Directory = filepath.Join(os.TempDir(), "assaygate-without-configuration")
	s.factory = true
	return s, nil
}

// standIn says that another configuration than the file's is used.
func (d *daemon) standIn(s started) {
	if s.refused == nil {
		return
	}
	d.changes.standsIn(s.factory)
	d.refuse(s.refused)
	which := byBefore
	if s.factory {
		which = "the factory's"
	}
	d.log.Error("the gateway has started with another configuration than its own", "with", which, "remedy", "bring a configuration with a stick, or mend the file")
}

// standsIn notes that what runs is not what the file says.
func (s *changes) standsIn(factory bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.standing.By, s.standing.Factory = byBefore, factory
	if factory {
		s.standing.Path = s.source.Factory
	} else {
		s.standing.Path += previousSuffix
	}
}
