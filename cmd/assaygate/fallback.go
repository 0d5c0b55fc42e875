package main

import (
	"bytes"
	"os"
	"path/filepath"

	"github.com/assaygate/assaygate/device/config"
)

const (
	// previousSuffix is what the name of the configuration before ends with.
	previousSuffix = ".previous"
	// byBefore is who brings that one back: nobody.
	byBefore = "the one before"
	// keptSuffix is what the name of a second copy of the configuration ends with,
	// which is written once that stands.
	keptSuffix = ".kept"
	byKept     = "its second copy"
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
// with the second copy of what ran last, else with the factory's. Never with an
// older one: that may store what an allowlist drops now, send to another LIMS with
// the new one's password, and park what waits for that. One that is on trial is
// taken back instead: alone says that none is.
func (f flags) load(alone bool) (s started, err error) {
	s.config, s.warnings, err = loadWhole(f)
	if err == nil || f.Factory == "" || !alone {
		return s, err
	}
	s.refused = err
	kept := f
	kept.Config, kept.Factory = f.Config+keptSuffix, ""
	if s.config, s.warnings, err = loadWhole(kept); err == nil {
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
	which := byKept
	if s.factory {
		which = "the factory's"
	}
	d.log.Error("the gateway has started with another configuration than its own", "with", which, "remedy", "bring a configuration with a stick, or mend the file")
}

// standsIn notes that what runs is not what the file says.
func (s *changes) standsIn(factory bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.standing.By, s.standing.Factory = byKept, factory
	if factory {
		s.standing.Path = s.source.Factory
	} else {
		s.standing.Path += keptSuffix
	}
}

// keepCopy writes the second copy of the configuration of a box, where it stands.
func (d *daemon) keepCopy() {
	s := &d.changes
	if s.source.Factory == "" || s.atFactory() || s.onTrial() != nil {
		return
	}
	d.rememberStore(d.config().Spool.Directory)
	text, err := os.ReadFile(s.path)
	if err == nil {
		if err := s.keepHistory(text); err != nil {
			d.log.Warn("the configuration cannot be noted among those that the box has had", "error", err)
		}
		if held, missing := os.ReadFile(s.path + keptSuffix); missing == nil && bytes.Equal(held, text) {
			return
		}
		err = config.Replace(s.path+keptSuffix, text)
	}
	if err != nil {
		d.log.Warn("there is no second copy of the configuration, should the card spoil it", "error", err)
	}
}
