package agent

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Store keeps small files by their names. Write is durable when it returns, and
// leaves either the old file or the new one, whole, wherever the power fails. Read of a file that
// is not there gives [fs.ErrNotExist]; Remove of one is no error.
type Store interface {
	Read(name string) ([]byte, error)
	Write(name string, data []byte) error
	Remove(name string) error
}

// Directory is the store in a directory, which is there. Its files can be read by
// everybody: they hold no secret, and others of the box show them.
func Directory(path string) Store { return directory(path) }

type directory string

const longestFile = 1 << 20 // bytes

func (d directory) Read(name string) ([]byte, error) {
	path := filepath.Join(string(d), name)
	info, err := os.Lstat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > longestFile {
		return nil, fmt.Errorf("%s is no file of the update agent", path)
	}
	return os.ReadFile(path)
}

func (d directory) Write(name string, data []byte) (err error) {
	for _, taken := range []string{name, "." + name + ".new"} {
		if err := d.clear(taken); err != nil {
			return err
		}
	}
	// Always under the same name, so that power cuts leave no more than one behind.
	file, err := os.OpenFile(filepath.Join(string(d), "."+name+".new"), os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			file.Close() // a second close does no harm
			os.Remove(file.Name())
		}
	}()
	if err := file.Chmod(0o644); err != nil {
		return err
	}
	if _, err := file.Write(data); err != nil {
		return err
	}
	if err := file.Sync(); err != nil {
		return err
	}
	if err := file.Close(); err != nil {
		return err
	}
	if err := os.Rename(file.Name(), filepath.Join(string(d), name)); err != nil {
		return err
	}
	return d.sync()
}

// clear removes what is no file from the place of one: a folder there would keep a box from its
// updates for ever.
func (d directory) clear(name string) error {
	path := filepath.Join(string(d), name)
	info, err := os.Lstat(path)
	if err != nil || info.Mode().IsRegular() {
		return nil // whoever goes on hears what is wrong
	}
	return os.RemoveAll(path)
}

func (d directory) Remove(name string) error {
	if err := d.clear(name); err != nil {
		return err
	}
	err := os.Remove(filepath.Join(string(d), name))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	}
	return d.sync()
}

func (d directory) sync() error {
	directory, err := os.Open(string(d))
	if err != nil {
		return err
	}
	defer directory.Close()
	return directory.Sync()
}

// load reads a file as JSON. One that is missing leaves the value as it is, and so does
// one that cannot be understood, which is an error for the log: nothing of
// the agent's may keep a box from its updates for ever.
func load(store Store, name string, value any) error {
	data, err := store.Read(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = json.Unmarshal(data, value)
	}
	if err != nil {
		return fmt.Errorf("%s is forgotten: %w", name, err)
	}
	return nil
}

func save(store Store, name string, value any) error {
	data, err := json.MarshalIndent(value, "", "  ")
	if err != nil {
		return err
	}
	if err := store.Write(name, append(data, '\n')); err != nil {
		return fmt.Errorf("keep %s: %w", name, err)
	}
	return nil
}
