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

// syncDirectory does nothing where directories cannot be synced.
func syncDirectory(string) error { return nil }
