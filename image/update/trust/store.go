package trust

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

// files are the trusted metadata by their names: all N.root.json after the one of
// flashing, and the newest of each other role.
type files map[string][]byte

// store is the directory of the trusted metadata. It is replaced as a whole: the
// new one is complete on the card, under another name, before the old one is moved
// out of the way, and what a power cut leaves is put right by the next load.
type store string

func (s store) fresh() string { return string(s) + ".new" }
func (s store) old() string   { return string(s) + ".old" }

// load reads what is kept, nothing where there is nothing. What the card cannot read is left
// out, as is what can be read and is garbage: a sentence for people says so.
func (s store) load() (found files, unread []string, err error) {
	if err := s.recover(); err != nil {
		return nil, nil, fmt.Errorf("trusted metadata: %w", err)
	}
	entries, err := os.ReadDir(string(s))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, nil, fmt.Errorf("trusted metadata: %w", err)
	}
	found = files{}
	for _, entry := range entries {
		if !strings.HasSuffix(entry.Name(), ".json") {
			continue
		}
		data, err := os.ReadFile(filepath.Join(string(s), entry.Name()))
		if err != nil {
			unread = append(unread, fmt.Sprintf("the trusted metadata in %s cannot be read, and is fetched anew: see whether the card is failing (%v)", entry.Name(), err))
			continue
		}
		found[entry.Name()] = data
	}
	return found, unread, nil
}

// recover ends a replacement that was cut off after the old directory was moved
// away: only then is the new one known to be whole. What else is there in pieces is
// cleared away by the next replacement.
func (s store) recover() error {
	exists, err := present(string(s))
	if exists || err != nil {
		return err
	}
	replacing, err := present(s.old())
	if !replacing || err != nil {
		return err
	}
	whole, err := present(s.fresh())
	if err != nil {
		return err
	}
	if !whole {
		return os.Rename(s.old(), string(s))
	}
	return os.Rename(s.fresh(), string(s))
}

func present(path string) (bool, error) {
	_, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// replace keeps the files in place of all that was kept.
func (s store) replace(all files) error {
	for _, step := range s.steps(all) {
		if err := step(); err != nil {
			return fmt.Errorf("the trusted metadata cannot be kept, so nothing is installed: see whether the card is full or failing (%w)", err)
		}
	}
	return nil
}

// steps are the writes of a replacement, each of which may be the last one.
func (s store) steps(all files) []func() error {
	steps := []func() error{
		func() error { return os.RemoveAll(s.fresh()) },
		func() error { return os.Mkdir(s.fresh(), 0o700) },
	}
	for name, data := range all {
		steps = append(steps, func() error { return writeSynced(filepath.Join(s.fresh(), name), data) })
	}
	parent := filepath.Dir(string(s))
	return append(steps,
		func() error { return syncDir(s.fresh()) },
		func() error { return syncDir(parent) },
		func() error { return os.RemoveAll(s.old()) },
		func() error { return moveAway(string(s), s.old()) },
		func() error { return os.Rename(s.fresh(), string(s)) },
		func() error { return syncDir(parent) },
		func() error { return os.RemoveAll(s.old()) },
	)
}

func moveAway(from, to string) error {
	if err := os.Rename(from, to); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

func writeSynced(path string, data []byte) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(data)
	return errors.Join(err, file.Sync(), file.Close())
}

// syncDir makes the names in a directory durable.
func syncDir(path string) error {
	if runtime.GOOS == "windows" {
		return nil // it has no such call; boxes run Linux
	}
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
