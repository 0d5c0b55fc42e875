package main

import (
	"context"
	"crypto/ed25519"
	"path/filepath"
	"time"

	"github.com/assaygate/assaygate/device/configdrive"
)

// sticks is what the box does with the USB stick in its socket. Its methods are
// called by the one goroutine of configdrive.
type sticks struct {
	d    *daemon
	owns ownership

	// What follows is of the stick at hand.
	owner    ed25519.PublicKey // of the box, nil for none
	manifest taken             // that it came with, the zero value without
	adopted  bool              // its configuration was taken over
	trial    bool              // the last report said that a configuration is on trial
	tried    bool              // one of its reports said so
	begun    time.Time         // since when it is dealt with
	release  bool              // it has a release
	told     updateLine        // what the last report said of updates
	untidied *brought          // what it brought, where its secrets are still on it; nil for nothing
}

// memoryFile remembers beside the configuration which stick was dealt with last.
// A factory reset leaves it: a stick that asks for one would get it again and
// again.
const memoryFile = "stick-taken.json"

// betweenSettings is how often a box that reads no sticks looks whether it is to.
const betweenSettings = 2 * time.Second

// watchSticks deals with sticks until ctx ends, where the configuration says so.
func (d *daemon) watchSticks(ctx context.Context) {
	for ctx.Err() == nil {
		settings := d.config().ConfigDrive
		if settings == nil || d.changes.path == "" {
			select {
			case <-ctx.Done():
			case <-time.After(betweenSettings):
			}
			continue
		}
		s := &sticks{d: d, owns: d.ownership()}
		err := configdrive.Run(ctx, configdrive.Options{
			Directory: settings.Directory, WriteRequest: settings.WriteRequest,
			Memory: filepath.Join(filepath.Dir(d.changes.path), memoryFile),
			Policy: configdrive.Policy{
				Admit: s.admit, Control: s.control, Restore: s.restore, Config: s.takeConfig, Report: s.report, Stale: s.stale, Settle: s.settle,
			},
			While: func() bool {
				now := d.config().ConfigDrive
				return now != nil && now.Directory == settings.Directory && now.WriteRequest == settings.WriteRequest
			},
			Status: d.face.showStick,
			Log:    d.log.With("part", "config_drive"),
		})
		if err != nil {
			d.log.Warn("the watch over the stick's directory did not end well", "error", err)
		}
	}
}

// secretsDirectory is where the box keeps passwords.
func (s *sticks) secretsDirectory() string { return absolute(s.owns.path(secretsFolder)) }

// absolute is the path from the root, or as it is where that is not known.
func absolute(path string) string {
	if whole, err := filepath.Abs(path); err == nil {
		return whole
	}
	return path
}

// below reports whether the path is the directory, or lies in it.
func below(directory, path string) bool {
	relative, err := filepath.Rel(absolute(directory), absolute(path))
	return err == nil && filepath.IsLocal(relative)
}
