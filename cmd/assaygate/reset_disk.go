package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime"

	"github.com/assaygate/assaygate/device/config"
	"github.com/assaygate/assaygate/envelope/spool"
)

// operation is one change of the disk that a reset makes. Each is whole or not
// done at all, and doing it again does no harm.
type operation struct {
	kind     opKind
	path, to string
	content  []byte
}

type opKind string

const (
	opWrite  opKind = "write"  // the content to path, durably
	opSeal   opKind = "seal"   // the store in path; the content is a spool.Sealed
	opMake   opKind = "make"   // the directory
	opRename opKind = "rename" // path to to
	opRemove opKind = "remove" // a file, a symbolic link itself, or an empty directory
	opSync   opKind = "sync"   // the names in the directory
)

// carryOut does it.
func (o operation) carryOut(ctx context.Context) error {
	switch o.kind {
	case opWrite:
		return config.Replace(o.path, o.content)
	case opSeal:
		var sealed spool.Sealed
		if err := json.Unmarshal(o.content, &sealed); err != nil {
			return err
		}
		_, err := spool.Seal(ctx, o.path, sealed)
		return err
	case opMake:
		return existing(os.Mkdir(o.path, 0o700), fs.ErrExist)
	case opRename:
		return existing(os.Rename(o.path, o.to), fs.ErrNotExist)
	case opRemove:
		return existing(os.Remove(o.path), fs.ErrNotExist)
	case opSync:
		return syncDirectory(o.path)
	}
	return fmt.Errorf("reset: %q is no operation", o.kind)
}

// existing is nil where the disk is already as it should be.
func existing(err, already error) error {
	if errors.Is(err, already) {
		return nil
	}
	return err
}

func syncDirectory(path string) error {
	if runtime.GOOS == "windows" {
		return nil // it has no such call; boxes run Linux
	}
	directory, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return errors.Join(directory.Sync(), directory.Close())
}
