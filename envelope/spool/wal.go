package spool

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// rewriteWAL writes the WAL that an earlier run left behind once more, the same
// bytes to the same places. After a flush that failed, kernels show what they
// were given and hold it for written, though it may never have reached the card:
// what SQLite then adds behind it, or folds into the database, a power cut would
// take or tear.
func rewriteWAL(directory string) error {
	file, err := os.OpenFile(filepath.Join(directory, databaseFile+"-wal"), os.O_RDWR, 0)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	info, err := file.Stat()
	if err == nil && info.Size() > 0 {
		_, err = io.Copy(io.NewOffsetWriter(file, 0), io.NewSectionReader(file, 0, info.Size()))
		err = errors.Join(err, file.Sync())
	}
	if err = errors.Join(err, file.Close()); err != nil {
		return fmt.Errorf("writing the WAL once more: %w", err)
	}
	return nil
}
