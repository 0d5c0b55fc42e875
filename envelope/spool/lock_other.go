//go:build !unix

package spool

import (
	"errors"
	"os"
)

// acquire refuses: the gateway runs on Unix systems, and a store without a
// lock could be opened twice.
func acquire(string) (*os.File, error) {
	return nil, errors.New("the store needs a Unix system; on this one it can only be read")
}

// shareLock finds none: nothing can write to the store here.
func shareLock(string) (*os.File, error) { return nil, os.ErrNotExist }

// syncDirectory does nothing where directories cannot be synced.
func syncDirectory(string) error { return nil }
