// Package repository is the side of updates on which they are made: it keeps a
// directory of static files that boxes take updates from, over any web server or
// from a stick, and whose every word is signed as The Update Framework (TUF) has
// it.
//
// A repository is a directory with these parts:
//
//	public/metadata   N.root.json, N.targets.json, N.waves.json, N.snapshot.json, timestamp.json
//	public/targets    bundles/HASH.NAME.raucb, waves/HASH.VERSION.json
//	keys              private keys, unless they are kept elsewhere
//	pending.json      what was changed and still waits for signatures; one that came
//	                  too late is put aside, as pending.aside-1.json
//	repository.json   how long a signature is valid, and the names of the keys
//
// Only public is published. Five roles sign: root (who the others are), targets
// (which bundles there are), waves (from when which share of a fleet takes them),
// snapshot and timestamp (what is the newest). The first two belong to people
// whose keys lie offline, so every change is made in two steps that may happen on
// different computers: the change is signed with the keys that are at hand and put
// into pending.json, and it is published as soon as nothing is missing.
//
// A reader sees a consistent repository at any moment, and after a cut at any
// place: metadata has its version in its name and nothing refers to it until
// timestamp.json, the last but one that is written, does. A new root comes after
// it, because what it follows is signed by the old keys and the new ones.
package repository

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/rogpeppe/go-internal/lockedfile"
	"github.com/theupdateframework/go-tuf/v2/metadata"
)

// The roles, as they are called in file names, in names of keys and in metadata.
const (
	Root      = metadata.ROOT
	Targets   = metadata.TARGETS
	Waves     = "waves"
	Snapshot  = metadata.SNAPSHOT
	Timestamp = metadata.TIMESTAMP
)

// Roles are all of them, in the order in which their keys are listed.
func Roles() []string { return []string{Root, Targets, Waves, Snapshot, Timestamp} }

// Names below the directory of a repository.
const (
	publicName   = "public"
	keysName     = "keys"
	pendingName  = "pending.json"
	settingsName = "repository.json"
	lockName     = ".lock"
)

// Repository is one that was opened for changes. Its methods may be called one at
// a time; commands of several processes wait for each other.
type Repository struct {
	dir      string
	settings settings
	keys     keyring
	base     published
	draft    draft
	waits    waiting
	now      time.Time // in whole seconds, as metadata has it
	unlock   func()

	// replace writes a file of the repository whole and durably; a test cuts it off.
	replace func(path string, data []byte) error
}

// Open reads the repository in the directory, refuses one that a box would
// refuse, and takes the private keys in the directories at hand: where none are
// named, those in its own. No other command changes it until Close.
func Open(dir string, keys ...string) (*Repository, error) {
	if _, err := readSettings(dir); err != nil {
		return nil, err // nothing is put into a directory that is none of ours
	}
	r, err := lock(dir)
	if err != nil {
		return nil, err
	}
	if r.settings, err = readSettings(dir); err == nil {
		err = errors.Join(r.takeKeys(keys), r.load())
	}
	if err != nil {
		r.Close()
		return nil, err
	}
	return r, nil
}

func lock(dir string) (*Repository, error) {
	unlock, err := lockedfile.MutexAt(filepath.Join(dir, lockName)).Lock()
	if err != nil {
		return nil, err
	}
	return &Repository{dir: dir, now: time.Now().UTC().Truncate(time.Second), unlock: unlock, replace: replace}, nil
}

// Close lets others at the repository. What was changed is on the disk already.
func (r *Repository) Close() { r.unlock() }

// takeKeys reads the keys that are at hand.
func (r *Repository) takeKeys(dirs []string) (err error) {
	if len(dirs) == 0 {
		own := filepath.Join(r.dir, keysName)
		if _, err := os.Stat(own); errors.Is(err, fs.ErrNotExist) {
			r.keys = keyring{dirs: []string{own}} // those of this change may be elsewhere: what is missing is said
			return nil
		}
		dirs = []string{own}
	}
	r.keys, err = readKeys(dirs)
	return err
}

// load reads what is published and what waits.
func (r *Repository) load() (err error) {
	if err := r.readWaiting(); err != nil {
		return err
	}
	if r.base, err = readPublished(metadataReader(r.public())); err != nil {
		if finished := r.finish(r.waits.is); finished != nil {
			return fmt.Errorf("what is published in %s is damaged: %w; bring that file back from the server or from a copy", r.public(), err)
		}
	}
	var stale []error
	r.draft, stale = newDraft(r.base, r.waits.is)
	r.waits.stale = append(r.waits.stale, stale...)
	switch d := r.draft; {
	case d.root != nil && d.targets != nil && d.waves != nil:
		return nil
	case len(r.waits.stale) > 0:
		return r.errStale()
	}
	return fmt.Errorf("%s has no metadata: a cut came before init had signed any; remove it, and make it again", r.dir)
}

// finish writes the root that a cut has kept back. Only where keys were lost is
// what comes before it not good without it.
func (r *Repository) finish(waits pending) error {
	if waits.Root == nil {
		return errors.New("no root waits")
	}
	root, err := encode(Root, waits.Root.Signed.Version, waits.Root)
	if err != nil {
		return err
	}
	if r.base, err = readPublished(metadataReader(r.public()).over([]file{root})); err != nil {
		return err
	}
	return r.write(root)
}

func (r *Repository) pendingPath() string { return filepath.Join(r.dir, pendingName) }

func (r *Repository) public() string { return filepath.Join(r.dir, publicName) }
