package spool

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// The ballast is a file of nothing: it takes room while there is some and gives
// it up when there is none, for removing a message needs room too.
const (
	ballastFile = "ballast"
	// ballastSize is what a few removals take in the WAL, and what opening does.
	ballastSize = 2 << 20
)

func (s *Spool) ballastPath() string { return filepath.Join(s.directory, ballastFile) }

// makeBallast makes the file where it is missing. Its bytes are random, for a
// file system may keep others in no room.
func (s *Spool) makeBallast() error {
	if info, err := os.Stat(s.ballastPath()); err == nil && info.Size() == ballastSize {
		return nil
	}
	content := make([]byte, ballastSize)
	rand.Read(content)
	if err := replaceFile(s.ballastPath(), content, true); err != nil {
		return errors.Join(fmt.Errorf("making the ballast: %w", err), os.Remove(s.ballastPath()+".new"))
	}
	return nil
}

// dropBallast gives its room up. Whoever needs it notices where that fails.
func (s *Spool) dropBallast() {
	if err := os.Remove(s.ballastPath()); err == nil {
		s.log.Warn("the card is full to the last byte: the ballast is given up, so that messages can be removed")
	}
}

// roomToOpen gives the ballast up where opening the database could fail for
// want of room: a box that starts with a full card must come up and say so.
func (s *Spool) roomToOpen() {
	if s.room.free == nil {
		return
	}
	if bytes, _, err := s.room.free(); err == nil && bytes < ballastSize {
		s.dropBallast()
	}
}
