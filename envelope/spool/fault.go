package spool

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"syscall"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// Fault is what is wrong with the card that a store is on, as far as an error
// tells.
type Fault string

// The faults of cards. None of them is mended by a restart, and none by making
// a new store: what is on the card may be whole.
const (
	CardFull     Fault = "full"
	CardReadOnly Fault = "read-only"
	CardBroken   Fault = "broken"  // it cannot be read or written
	CardCorrupt  Fault = "corrupt" // what it gives back contradicts itself
)

// FaultOf returns what an error of Open or of a write says of the card, or "" for
// one that has another cause.
func FaultOf(err error) Fault {
	is := func(errs ...error) bool {
		return slices.ContainsFunc(errs, func(one error) bool { return errors.Is(err, one) })
	}
	switch {
	case is(ErrNoRoom, syscall.ENOSPC, syscall.EDQUOT):
		return CardFull
	case is(syscall.EROFS):
		return CardReadOnly
	case is(corruptFileSystem...):
		return CardCorrupt
	case is(syscall.EIO, syscall.ENXIO, syscall.ENODEV):
		return CardBroken
	}
	var failure *sqlite.Error
	if !errors.As(err, &failure) {
		return ""
	}
	switch failure.Code() & 0xff {
	case sqlite3.SQLITE_FULL:
		return CardFull
	case sqlite3.SQLITE_READONLY:
		return CardReadOnly
	case sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN: // the files of the database itself are opened before
		return CardBroken
	case sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB:
		return CardCorrupt
	}
	return ""
}

// Exists reports whether there is a store in the directory. An error that leaves
// that open counts as yes: Open will tell.
func Exists(directory string) bool {
	_, err := os.Stat(filepath.Join(directory, databaseFile))
	return !errors.Is(err, os.ErrNotExist)
}
