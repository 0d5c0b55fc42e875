package config

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// disk are the file operations of a Journal. Before each of them it tells step,
// which may be nil, and does nothing where that gives an error: so a test can cut
// it off anywhere, and play again what had reached the card until then.
type disk struct{ step func(operation) error }

// operation is one file operation.
type operation struct {
	kind     string // makeDirectory, create, flush, rename, remove, sync
	path, to string
	content  []byte
}

func (d disk) about(o operation) error {
	if d.step == nil {
		return nil
	}
	return d.step(o)
}

// makeDirectory makes a directory, and those above it, durably.
func (d disk) makeDirectory(path string) error {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return nil
	}
	above := filepath.Dir(path)
	if above != path {
		if err := d.makeDirectory(above); err != nil {
			return err
		}
	}
	if err := d.about(operation{kind: "makeDirectory", path: path}); err != nil {
		return err
	}
	if err := os.Mkdir(path, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return d.sync(above)
}

// create writes a new file; its name is durable when its directory is.
func (d disk) create(path string, content []byte) error {
	if err := d.about(operation{kind: "create", path: path, content: content}); err != nil {
		return err
	}
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(content)
	if err == nil {
		if err = d.about(operation{kind: "flush", path: path}); err == nil {
			err = file.Sync()
		}
	}
	return errors.Join(err, file.Close())
}

func (d disk) rename(from, to string) error {
	if err := d.about(operation{kind: "rename", path: from, to: to}); err != nil {
		return err
	}
	return os.Rename(from, to)
}

// remove removes a file, if it is there. That may not be durable.
func (d disk) remove(path string) error { return d.removeBy(os.Remove, path) }

// removeAll is the same for a directory with all in it.
func (d disk) removeAll(path string) error { return d.removeBy(os.RemoveAll, path) }

func (d disk) removeBy(remove func(string) error, path string) error {
	if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err := d.about(operation{kind: "remove", path: path}); err != nil {
		return err
	}
	return remove(path)
}

func (d disk) sync(directory string) error {
	if err := d.about(operation{kind: "sync", path: directory}); err != nil {
		return err
	}
	return syncDirectory(directory)
}

// replace puts content in place of the file. What a cut leaves beside it is
// removed the next time.
func (d disk) replace(path string, content []byte) error {
	directory, name := filepath.Split(path)
	beside := filepath.Join(directory, "."+name+".change")
	err := d.remove(beside)
	if err == nil {
		err = d.create(beside, content)
	}
	if err == nil {
		err = d.rename(beside, path)
	}
	if err != nil {
		return errors.Join(err, d.remove(beside))
	}
	return d.sync(filepath.Dir(path))
}

// set makes a file hold the content, or removes it where that is nil, and makes
// its directory where there is none. What holds it already is left alone: what is
// brought to its end twice needs no room on the card the second time.
func (d disk) set(path string, content *[]byte) error {
	held, err := read(path)
	switch {
	case err != nil:
	case content == nil && held == nil:
		// That it is gone may not be durable yet.
		if _, missing := os.Stat(filepath.Dir(path)); missing == nil {
			err = d.sync(filepath.Dir(path))
		}
	case content == nil:
		if err = d.remove(path); err == nil {
			err = d.sync(filepath.Dir(path))
		}
	case held != nil && bytes.Equal(*held, *content):
		// That it is there may not be durable yet.
		err = d.sync(filepath.Dir(path))
	default:
		if err = d.makeDirectory(filepath.Dir(path)); err == nil {
			err = d.replace(path, *content)
		}
	}
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}
