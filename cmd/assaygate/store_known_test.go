//go:build unix

package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/assaygate/assaygate/device/board"
	"github.com/assaygate/assaygate/envelope/spool"
)

// A box that has lost its store says so, and begins an empty one only where a person
// says that it may.
func TestABoxThatHasLostItsStore(t *testing.T) {
	b := newStickBox(t, baseConfig)
	b.plug(t, map[string]string{"start-empty": ""})
	b.wantReport(t, "Not all is well: one thing", "start-empty: no store is missing")
	b.pull(t)
	b.end()
	// The configuration stands from its second start on: then the store is there.
	b.start(t)
	b.end()
	directory := filepath.Join(b.root, "spool")
	if text, err := os.ReadFile(filepath.Join(b.root, "config", knownStoresFile)); err != nil || string(text) != directory+"\n" {
		t.Fatalf("remembered is %q, %v", text, err)
	}
	if err := os.RemoveAll(directory); err != nil {
		t.Fatal(err)
	}
	for range 2 { // and not for one start only
		b.startUntil(t, "the store is closed")
		if spool.Exists(directory) {
			t.Fatal("an empty store was begun without a word")
		}
		for what, said := range map[string]error{"/readyz": b.health.Ready(), "the store": b.storeTrouble()} {
			if said == nil || !strings.Contains(said.Error(), "is missing") || !strings.Contains(said.Error(), "start-empty") {
				t.Errorf("%s says %v", what, said)
			}
		}
		if face := b.lookAtFace(t.Context(), &glimpse{}); face != board.Refusing {
			t.Errorf("the light shows %v", face)
		}
		if now := b.readiness(); now.Store != storeClosed || now.Reasons[0].Cause != causeCard {
			t.Errorf("a program is told %+v", now)
		}
		if err := b.health.Healthy(); err != nil {
			t.Errorf("a restart would bring no store back: %v", err)
		}
		b.end()
	}
	b.startUntil(t, "the store is closed")
	b.plug(t, map[string]string{"collect": ""})
	b.wantReport(t, "Not all is well: the box has lost its store", "is missing")
	b.plug(t, map[string]string{"start-empty": ""})
	b.wantReport(t, "All is well.", "start-empty: an empty store was begun")
	if !spool.Exists(directory) || b.storeTrouble() != nil {
		t.Errorf("the store says %v", b.storeTrouble())
	}
	b.end()
	b.start(t)
	b.end()
	if text, _ := os.ReadFile(filepath.Join(b.root, "config", knownStoresFile)); string(text) != directory+"\n" {
		t.Errorf("remembered is %q", text)
	}
}

// What a reset takes away it also forgets; and elsewhere than on a box nothing is
// remembered.
func TestStoresAreRememberedOnABoxOnly(t *testing.T) {
	directory := t.TempDir()
	r := resetting{config: filepath.Join(directory, "config", "assaygate.yaml")}
	plant(t, directory, "config/"+knownStoresFile, directory+"\n")
	paths, err := r.wipes()
	if err != nil || len(paths) != 1 || filepath.Base(paths[0]) != knownStoresFile {
		t.Errorf("a reset removes %q, %v", paths, err)
	}
	d := &daemon{}
	d.changes.source = flags{Config: r.config}
	c := Config{}
	c.Spool.Directory = directory
	d.running.Store(&c)
	if err := d.lostStore(); err != nil {
		t.Errorf("a computer of a person's own: %v", err)
	}
	d.changes.source.Factory = r.config
	if err := d.lostStore(); !errors.Is(err, errLost) {
		t.Errorf("a box: %v", err)
	}
	// Of another place nothing is known.
	c.Spool.Directory = filepath.Join(directory, "other")
	if err := d.lostStore(); err != nil {
		t.Errorf("another directory: %v", err)
	}
	plant(t, directory, "other/spool.db", "")
	d.log = newLog(LogSettings{}, &lockedBuffer{})
	d.rememberStore(c.Spool.Directory)
	d.rememberStore(c.Spool.Directory)
	if known := d.knownStores(); len(known) != 2 || known[1] != c.Spool.Directory {
		t.Errorf("known are %q", known)
	}
}
