package certificate

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
)

// write puts the text into the file, which is then there whole or not at all,
// whenever the power goes. A file that is there stays, unless it is to be replaced.
func write(path string, text []byte, replace bool) (err error) {
	directory := filepath.Dir(path)
	// A name that is hidden, as all that a power cut may leave here is.
	file, err := os.CreateTemp(directory, "."+filepath.Base(path)+".*") // mode 0600
	if err != nil {
		return err
	}
	defer func() {
		if removed := os.Remove(file.Name()); !errors.Is(removed, fs.ErrNotExist) {
			err = errors.Join(err, removed)
		}
	}()
	_, err = file.Write(text)
	if err == nil {
		err = file.Sync()
	}
	if err = errors.Join(err, file.Close()); err != nil {
		return err
	}
	if err := place(file.Name(), path, replace); err != nil {
		return err
	}
	return syncDirectory(directory)
}

// place gives the file its name. Two processes that make one at the same time get
// the same, where the file system has links.
func place(from, to string, replace bool) error {
	if !replace {
		if err := os.Link(from, to); err == nil || errors.Is(err, fs.ErrExist) {
			return nil
		}
	}
	return os.Rename(from, to)
}

// syncDirectory has the name outlive a power cut.
func syncDirectory(path string) error {
	if runtime.GOOS == "windows" { // it has no such call
		return nil
	}
	directory, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(directory.Sync(), directory.Close())
}
