package repository

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// waiting is pending.json as it was found.
type waiting struct {
	text  []byte
	is    pending
	stale []error // why it cannot be published any more, or be read
}

// readWaiting reads what waits. What is damaged counts as nothing that waits: it
// must not stand in the way of a pause, or of the timestamp.
func (r *Repository) readWaiting() (err error) {
	r.waits.text, err = os.ReadFile(r.pendingPath())
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var damaged error
	if r.waits.is, damaged = parsePending(r.waits.text); damaged != nil {
		r.waits.stale = []error{damaged}
	}
	return nil
}

// Stale says why pending.json cannot be published, and what to do about it. The next
// change puts the file aside, and goes on without it.
func (r *Repository) Stale() (reasons []string) {
	for _, err := range r.waits.stale {
		reasons = append(reasons, fmt.Sprintf("%s: %v", r.pendingPath(), err))
	}
	return reasons
}

// errStale is for a command that is about nothing else.
func (r *Repository) errStale() error {
	return fmt.Errorf("%s: %w; remove the file, and make the change again", r.pendingPath(), errors.Join(r.waits.stale...))
}

// Names of what was put aside: below the directory of the repository.
const (
	asideName    = "pending.aside-%d.json"
	asidePattern = "pending.aside-*.json"
)

// putAside keeps a pending.json that cannot be published under another name, byte
// by byte, before it is written anew: people have signed it.
func (r *Repository) putAside() (notes []string, err error) {
	if len(r.waits.stale) == 0 {
		return nil, nil
	}
	path := ""
	for n := 1; ; n++ {
		path = filepath.Join(r.dir, fmt.Sprintf(asideName, n))
		there, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			break
		}
		if err != nil {
			return nil, err
		}
		if bytes.Equal(there, r.waits.text) {
			break // a cut came after it
		}
	}
	if err := r.replace(path, r.waits.text); err != nil {
		return nil, err
	}
	for _, err := range r.waits.stale {
		notes = append(notes, fmt.Sprintf("warning: put aside, as %s: %v", path, err))
	}
	r.waits.stale = nil
	return notes, nil
}
