package config

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
)

// Change is several files that are replaced as one.
type Change struct {
	// Files are the new contents by absolute path; nil removes the file. What is
	// written is readable by its owner only. A symbolic link stays, and the file
	// that it names is replaced.
	Files map[string][]byte
	// Previous is the one of Files of which what it held is kept as
	// PATH.previous, as Save does; "" for none.
	Previous string
	// Trial keeps what was there before until Confirm or Revert.
	Trial bool
	// Note is kept with a trial, for whoever goes on with it after a restart.
	Note []byte
}

// Journal replaces several files as one: after a power cut at any moment, and
// once Recover has run, either all of them are as before or all are new.
//
// It stands in a directory of its own, which holds at most one of each of these
// directories; a change goes from one to the next by a rename:
//
//	staging   being written; counts for nothing yet
//	redo      committed: carried out until all files are new
//	rollback  committed, but could not be carried out: what was before is put back
//	trial     carried out; what was there when the last change was confirmed is kept
//	undo      a trial being taken back
//	done      being removed: an earlier trial, or one that is over
//	carried   being removed: a change that is not on trial
//
// All methods may be called from any goroutine, but one process at a time.
type Journal struct {
	directory string
	disk      disk
	mu        sync.Mutex
}

// NewJournal returns the journal in the directory, which is made when it is
// needed. It holds secrets where the changes do, so it must not be on another
// card than these.
func NewJournal(directory string) *Journal { return &Journal{directory: directory} }

// The directories and files of a journal.
const (
	staging  = "staging"
	redo     = "redo"
	rollback = "rollback"
	trial    = "trial"
	undo     = "undo"
	done     = "done"
	carried  = "carried"

	noteFile      = "note"
	takenBackFile = "taken-back"
)

func (j *Journal) path(name string) string { return filepath.Join(j.directory, name) }

func (j *Journal) has(name string) (bool, error) {
	_, err := os.Lstat(j.path(name))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// Replace carries out the change. An error means that all files are as before,
// unless it says that what was before could not be put back: then Recover goes
// on with that.
//
// A change while another is on trial: where it is on trial too, what both have
// replaced is kept until it is confirmed; else the earlier one is confirmed with
// it.
func (j *Journal) Replace(c Change) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if err := j.recover(); err != nil && !errors.Is(err, errUnreadable) {
		return fmt.Errorf("an earlier change is not finished: %w", err)
	}
	if err := j.stage(c); err != nil {
		return errors.Join(err, j.remove(staging))
	}
	err := j.move(staging, redo)
	if err == nil {
		err = j.carryOut()
	}
	if err == nil {
		// What is not removed now is the next time.
		_ = errors.Join(j.remove(done), j.remove(carried))
		return nil
	}
	if back := j.rollBack(); back != nil {
		return fmt.Errorf("replace files: %w; and what was before could not be put back: %w", err, back)
	}
	return fmt.Errorf("replace files: %w", err)
}

// Recover brings to an end what a power cut or the end of the process cut off.
// It is to be called before any of the files is read. A change that the card has
// damaged is given up: that is an error once, and its files are as they are.
func (j *Journal) Recover() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if err := j.recover(); err != nil {
		return fmt.Errorf("bring a change of files to its end: %w", err)
	}
	return nil
}

func (j *Journal) recover() (given error) {
	for _, half := range []struct {
		name string
		end  func() error
	}{
		{staging, func() error { return j.remove(staging) }},
		{done, func() error { return j.remove(done) }},
		{carried, func() error { return j.remove(carried) }},
		{rollback, func() error { return j.putBack(rollback, before) }},
		{redo, j.carryOut},
		{undo, func() error { return j.putBack(undo, confirmed) }},
		{done, func() error { return j.remove(done) }}, // what these have left
		{carried, func() error { return j.remove(carried) }},
	} {
		there, err := j.has(half.name)
		if err == nil && there {
			err = half.end()
		}
		if errors.Is(err, errUnreadable) {
			// Nobody can bring it to its end, and it must not be in the way for ever.
			given = errors.Join(given, err, j.discard(half.name))
			continue
		}
		if err != nil {
			return errors.Join(given, err)
		}
	}
	return given
}

// Trial returns the note of the change that is on trial, and whether one is. A
// note that is gone is nil.
func (j *Journal) Trial() (note []byte, on bool, err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if on, err = j.has(trial); err != nil || !on {
		return nil, false, err
	}
	held, err := read(filepath.Join(j.path(trial), noteFile))
	if held != nil {
		note = *held
	}
	return note, true, err
}

// Note replaces the note of the change that is on trial.
func (j *Journal) Note(note []byte) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.disk.replace(filepath.Join(j.path(trial), noteFile), note)
}

// Confirm ends the trial: what is there now stands. Without a trial it does
// nothing.
func (j *Journal) Confirm() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if on, err := j.has(trial); err != nil || !on {
		return err
	}
	if err := j.discard(trial); err != nil {
		return fmt.Errorf("confirm a change of files: %w", err)
	}
	return nil
}

// Revert takes the trial back: all files are as when the last change was
// confirmed. why is kept for TakenBack. Without a trial it does nothing. After an
// error Recover goes on with it.
func (j *Journal) Revert(why []byte) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if on, err := j.has(trial); err != nil || !on {
		return err
	}
	err := j.disk.replace(j.path(takenBackFile), why)
	if err == nil {
		err = j.move(trial, undo)
	}
	if err == nil {
		err = j.putBack(undo, confirmed)
	}
	if err != nil {
		return fmt.Errorf("take a change of files back: %w", err)
	}
	return nil
}

// TakenBack returns why the last change was taken back, nil where it was not.
func (j *Journal) TakenBack() ([]byte, error) {
	why, err := os.ReadFile(j.path(takenBackFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return why, err
}

// stage writes the change down, durably, without any effect.
func (j *Journal) stage(c Change) error {
	items, err := c.items()
	if err != nil {
		return err
	}
	if items, err = j.withTrial(items, c.Trial); err != nil {
		return err
	}
	if err := j.disk.makeDirectory(j.directory); err != nil {
		return fmt.Errorf("stage a change of files: %w", err)
	}
	if err := j.remove(takenBackFile); err != nil {
		return fmt.Errorf("stage a change of files: %w", err)
	}
	if err := j.write(items, c); err != nil {
		return fmt.Errorf("stage a change of files: %w", err)
	}
	return nil
}

// items are the files of the change with what they hold now.
func (c Change) items() ([]replacement, error) {
	if c.Previous != "" {
		path, content := linked(c.Previous), c.Files[c.Previous]
		held, err := read(path)
		if err != nil {
			return nil, fmt.Errorf("replace %s: %w", path, err)
		}
		if held != nil && !bytes.Equal(*held, content) {
			c.Files = maps.Clone(c.Files)
			c.Files[path+".previous"] = *held
		}
	}
	var items []replacement
	for _, path := range slices.Sorted(maps.Keys(c.Files)) {
		if !filepath.IsAbs(path) {
			return nil, fmt.Errorf("replace %s: the path is not absolute", path)
		}
		one := replacement{Path: linked(path), Sets: true}
		if slices.ContainsFunc(items, func(other replacement) bool { return other.Path == one.Path }) {
			return nil, fmt.Errorf("replace %s: it is the same file as another of the change", path)
		}
		if content := c.Files[path]; content != nil {
			one.contents[after] = &content
		}
		held, err := read(one.Path)
		if err != nil {
			return nil, fmt.Errorf("replace %s: %w", path, err)
		}
		one.contents[before], one.contents[confirmed] = held, held
		items = append(items, one)
	}
	return items, nil
}

// withTrial takes over what the change that is on trial now has kept, where the
// new one is on trial too.
func (j *Journal) withTrial(items []replacement, onTrial bool) ([]replacement, error) {
	if on, err := j.has(trial); err != nil || !on || !onTrial {
		return items, err
	}
	_, earlier, err := j.load(trial)
	if errors.Is(err, errUnreadable) {
		return items, nil // it could not be taken back anyway
	}
	if err != nil {
		return nil, err
	}
	for _, kept := range earlier {
		at := slices.IndexFunc(items, func(one replacement) bool { return one.Path == kept.Path })
		if at < 0 {
			at = len(items)
			items = append(items, replacement{Path: kept.Path})
		}
		items[at].contents[confirmed] = kept.contents[confirmed]
	}
	return items, nil
}

// carryOut makes all files new, and leaves the change on trial or removes it.
func (j *Journal) carryOut() error {
	change, items, err := j.load(redo)
	if err != nil {
		return err
	}
	for _, one := range items {
		if !one.Sets {
			continue
		}
		if err := j.disk.set(one.Path, one.contents[after]); err != nil {
			return err
		}
	}
	return j.closeUp(change.Trial)
}

// closeUp makes a change that was carried out the one that is on trial, or one
// that is over. Until then an earlier trial stands. Each rename may be lost with
// the power: the change is then carried out again, to no effect.
func (j *Journal) closeUp(onTrial bool) error {
	earlier, err := j.has(trial)
	if err != nil {
		return err
	}
	if earlier {
		if err := j.move(trial, done); err != nil {
			return err
		}
	}
	over := carried
	if onTrial {
		over = trial
	}
	if err := j.disk.rename(j.path(redo), j.path(over)); err != nil {
		return err
	}
	_ = j.disk.sync(j.directory)
	return nil
}

// rollBack takes back what was committed and could not be carried out.
func (j *Journal) rollBack() error {
	there, err := j.has(redo)
	if err != nil || !there {
		return errors.Join(err, j.remove(staging))
	}
	earlier, err := j.has(done)
	if err == nil && earlier { // the trial that this one was to supersede
		err = j.move(done, trial)
	}
	if err == nil {
		err = j.move(redo, rollback)
	}
	if err != nil {
		return err
	}
	return j.putBack(rollback, before)
}

// putBack gives all files of a change the contents that they had then.
func (j *Journal) putBack(name string, then moment) error {
	_, items, err := j.load(name)
	if err != nil {
		return err
	}
	for _, one := range items {
		if then == before && !one.Sets {
			continue
		}
		if err := j.disk.set(one.Path, one.contents[then]); err != nil {
			return err
		}
	}
	return j.discard(name)
}

// move renames a directory of the journal, durably.
func (j *Journal) move(from, to string) error {
	if err := j.disk.rename(j.path(from), j.path(to)); err != nil {
		return err
	}
	return j.disk.sync(j.directory)
}

// discard removes a directory of the journal: as a whole, or not.
func (j *Journal) discard(name string) error {
	if err := j.remove(done); err != nil {
		return err
	}
	if err := j.move(name, done); err != nil {
		return err
	}
	return j.remove(done)
}

// remove removes something of the journal, if it is there, for good: it may hold
// secrets.
func (j *Journal) remove(name string) error {
	there, err := j.has(name)
	if err != nil || !there {
		return err
	}
	if err := j.disk.removeAll(j.path(name)); err != nil {
		return err
	}
	return j.disk.sync(j.directory)
}
