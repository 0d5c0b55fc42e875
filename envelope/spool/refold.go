package spool

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
)

// refold folds what is in the WAL into the database, and fails where that cannot
// be done whole. It comes before the first write.
//
// A sync that failed has left the kernel with pages that it takes for written and
// that the card does not have. Read back they look sound, so SQLite goes on behind
// them; but after a power cut the WAL ends before the first of them, and all that
// was acknowledged behind it is gone. Folding writes their content once more, to
// another place, and begins the WAL anew.
func refold(ctx context.Context, database *sql.DB) error {
	var busy, frames, moved int
	if err := database.QueryRowContext(ctx, "PRAGMA wal_checkpoint(TRUNCATE)").Scan(&busy, &frames, &moved); err != nil {
		return fmt.Errorf("folding the WAL: %w", err)
	}
	if busy != 0 {
		return errors.New("folding the WAL: another process reads the store; try again when it has ended")
	}
	return nil
}
