package spool

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// openFrozen opens the store for reading where SQLite cannot, for want of room or
// leave to make the index of the WAL beside it; why is what it said. Without that
// index the WAL is not read, so there must be nothing in it. The lock, as far as
// there is one, keeps a gateway from writing meanwhile.
func (s *Spool) openFrozen(ctx context.Context, why error) error {
	lock, err := shareLock(filepath.Join(s.directory, lockFile))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	s.frozen = lock
	info, err := os.Stat(filepath.Join(s.directory, databaseFile+"-wal"))
	switch {
	case err == nil && info.Size() > 0:
		return fmt.Errorf("its newest messages are in the WAL, which cannot be read here; copy the directory to where there is room and read that: %w", why)
	case err != nil && !errors.Is(err, os.ErrNotExist):
		return err
	}
	s.readers, err = openReaders(ctx, s.directory, frozen)
	return err
}
