package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/assaygate/assaygate/device/config"
	"github.com/assaygate/assaygate/device/configdrive"
	"github.com/assaygate/assaygate/envelope/spool"
)

// A box remembers outside of the store's directory where it has had a store. One that
// is gone, because the card has lost it or a repair took it away, is so not taken for
// one that never was: beginning an empty one without a word would hide that what was
// acknowledged is missing. A person decides that, or a factory reset.

// knownStoresFile holds the directories, one a line, beside the configuration.
const knownStoresFile = "known-stores"

// errLost is why an empty store is not begun.
var errLost = errors.New("the store that was in it is missing: the card has lost it, or a repair took it away, and what it held with it. " +
	"Bring it back (docs/recovery.md), or have the box begin an empty one, by a stick with an empty file start-empty")

// knownStores are the directories in which this box has had a store. Elsewhere than on
// a box nothing is remembered: there a person sees to the directories.
func (d *daemon) knownStores() []string {
	if d.changes.source.Factory == "" {
		return nil
	}
	text, err := os.ReadFile(d.knownStoresPath())
	if err != nil {
		return nil // it cannot be read, or there is none: nothing is known
	}
	list := strings.Split(string(text), "\n")
	return slices.DeleteFunc(list, func(line string) bool { return line == "" })
}

func (d *daemon) knownStoresPath() string {
	return filepath.Join(filepath.Dir(d.changes.source.Config), knownStoresFile)
}

func (d *daemon) setKnownStores(list []string) error {
	return config.Replace(d.knownStoresPath(), []byte(strings.Join(list, "\n")+"\n"))
}

// rememberStore remembers that there is a store. That it cannot is logged: the box
// works.
func (d *daemon) rememberStore(directory string) {
	if d.changes.source.Factory == "" || !spool.Exists(directory) {
		return
	}
	list := d.knownStores()
	if slices.Contains(list, absolute(directory)) {
		return
	}
	if err := d.setKnownStores(append(list, absolute(directory))); err != nil {
		d.log.Warn("where the store is cannot be noted: were it lost, an empty one would be begun", "error", err)
	}
}

// lostStore says that a store which this box has had is missing, nil where it is not.
func (d *daemon) lostStore() error {
	directory := d.config().Spool.Directory
	if spool.Exists(directory) || !slices.Contains(d.knownStores(), absolute(directory)) {
		return nil
	}
	return fmt.Errorf("opening the store in %s: %w", directory, errLost)
}

// startEmpty has the box begin an empty store in the place of one that is missing.
func (s *sticks) startEmpty(ctx context.Context) configdrive.Outcome {
	directory := s.d.config().Spool.Directory
	switch {
	case s.d.brokenData() != nil:
		return outcome(configdrive.StartEmpty, "", s.d.brokenData())
	case s.d.lostStore() == nil:
		return outcome(configdrive.StartEmpty, "", errors.New("no store is missing, so that none is begun"))
	}
	err := s.d.Reopen(ctx, func() error {
		return s.d.setKnownStores(slices.DeleteFunc(s.d.knownStores(), func(known string) bool { return known == absolute(directory) }))
	})
	if err == nil {
		s.d.log.Error("an empty store was begun in the place of one that is missing: what that held is lost", "by", byStick, "directory", directory)
	}
	return outcome(configdrive.StartEmpty, "an empty store was begun; what the missing one held is lost. Let everybody who waits for results compare them with the analysers.", err)
}
