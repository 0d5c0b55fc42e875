package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// longestWrite is how long the stick may stay writable: the largest export
	// takes minutes. Then whoever asked is taken for dead.
	longestWrite = 30 * time.Minute
	// lookAgain is how often the request is looked at, and a stick that is still
	// written to.
	lookAgain = 100 * time.Millisecond
	// letGo is how long the last writer may take to close its files.
	letGo = 30 * time.Second
)

// Run implements a kong command.
func (c stickWritable) Run(s *streams) error {
	if _, err := os.Lstat(c.Request); errors.Is(err, fs.ErrNotExist) {
		return nil // taken back already
	}
	opened := remountStick(c.At, "rw")
	if opened == nil {
		fmt.Fprintln(s.out, "stick: can be written")
	} else {
		// Whoever asked finds out for himself; while the request stands, another
		// start would only fail again.
		opened = fmt.Errorf("stick: cannot be made writable: %w", opened)
	}
	left := c.wait()
	if opened != nil {
		return errors.Join(opened, left)
	}
	// With open files the kernel refuses.
	for end := time.Now().Add(letGo); ; time.Sleep(lookAgain) {
		err := remountStick(c.At, "ro")
		switch {
		case err == nil:
			fmt.Fprintln(s.out, "stick: can be read only")
			return left
		case errors.Is(err, errNoStick): // pulled
			return left
		case !errors.Is(err, unix.EBUSY) || time.Now().After(end):
			return errors.Join(left, fmt.Errorf("stick: stays writable: %w", err))
		}
	}
}

// wait returns when the request has been taken back, and takes it away itself
// when that takes too long.
func (c stickWritable) wait() error {
	for end := time.Now().Add(longestWrite); ; time.Sleep(lookAgain) {
		_, err := os.Lstat(c.Request)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil
		case err != nil:
			return fmt.Errorf("stick: %w", err)
		case time.Now().After(end):
			return errors.Join(fmt.Errorf("stick: %s was there for %s", c.Request, longestWrite), os.Remove(c.Request))
		}
	}
}

var errNoStick = errors.New("there is no stick")

// remountStick makes the file system at the place one that can be written (rw),
// or not (ro), in every mount that there is of it.
func remountStick(at, how string) error {
	mounts, err := mountTable()
	if err != nil {
		return err
	}
	there := false
	for _, one := range mounts {
		there = there || one.at == at
	}
	if !there {
		return errNoStick
	}
	fs, err := unix.Fspick(unix.AT_FDCWD, at, unix.FSPICK_CLOEXEC|unix.FSPICK_NO_AUTOMOUNT)
	if err != nil {
		return err
	}
	defer unix.Close(fs)
	if err := unix.FsconfigSetFlag(fs, how); err != nil {
		return err
	}
	return unix.FsconfigReconfigure(fs)
}
