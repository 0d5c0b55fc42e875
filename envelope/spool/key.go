package spool

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

const keySize = 32

// loadKey reads the box's secret and makes one where there is none.
func loadKey(path string) ([]byte, error) {
	key, err := os.ReadFile(path)
	if err == nil && len(key) != keySize {
		return nil, fmt.Errorf("%s has %d bytes, not %d; restore it, or remove it to have a new one made (older duplicates are then not recognised)", path, len(key), keySize)
	}
	if !errors.Is(err, os.ErrNotExist) {
		return key, err
	}
	key = make([]byte, keySize)
	rand.Read(key)
	return key, replaceFile(path, key, true)
}

// replaceFile writes a file so that a reader finds the old content or the new.
func replaceFile(path string, content []byte, durable bool) error {
	temporary := path + ".new"
	file, err := os.OpenFile(temporary, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(content)
	if durable && err == nil {
		err = file.Sync()
	}
	if err = errors.Join(err, file.Close()); err != nil {
		return err
	}
	if err := os.Rename(temporary, path); err != nil || !durable {
		return err
	}
	return syncDirectory(filepath.Dir(path))
}
