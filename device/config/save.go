package config

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
)

// Save puts data in place of the file so that at any moment, and after a power
// cut, path is either the old file or the new one, whole. What path held before
// is kept as path.previous, unless it is the same. Both are readable by their
// owner only: a configuration may hold passwords. A symbolic link stays, and
// the file that it names is replaced.
func Save(path string, data []byte) error {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	}
	previous, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("save %s: %w", path, err)
	}
	if err == nil && !bytes.Equal(previous, data) {
		// A copy, not a rename: path is never without a file.
		if err := replace(path+".previous", previous, ownersMode); err != nil {
			return fmt.Errorf("keep the previous %s: %w", path, err)
		}
	}
	if err := replace(path, data, ownersMode); err != nil {
		return fmt.Errorf("save %s: %w", path, err)
	}
	return nil
}

// replace writes a temporary file beside path, makes it durable, and renames
// it; the rename is durable when the directory is.
func replace(path string, data []byte, mode os.FileMode) (err error) {
	directory := filepath.Dir(path)
	file, err := os.CreateTemp(directory, "."+filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			file.Close() // a second close does no harm
			os.Remove(file.Name())
		}
	}()
	if err := file.Chmod(mode); err != nil && runtime.GOOS != "windows" {
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
	if err := os.Rename(file.Name(), path); err != nil {
		return err
	}
	return syncDirectory(directory)
}

func syncDirectory(path string) error {
	if runtime.GOOS == "windows" {
		return nil // it has no such call; its rename is written through
	}
	directory, err := os.Open(path)
	if err != nil {
		return err
	}
	defer directory.Close()
	return directory.Sync()
}
