package spool

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// migrations lead from an empty file to the present schema; the first makes
// version 1. PRAGMA user_version holds how many of them a store has had.
//
// A box that falls back one release must still be able to read and write its
// store, and the SQL of the release before knows its tables as they were. So a
// migration adds tables and indexes, never a column, and what the release before
// does not write into them must be allowed to be missing. Should that ever be
// impossible, meta's compatible_from has to rise in the migration.
var migrations = []string{
	schema,
	strings.Join([]string{
		holdTable,
		confirmationTable,
		unsetIndex,
		unansweredTable,
	}, ""),
}

// schemaVersion is that of a store that this release leaves behind.
var schemaVersion = len(migrations)

// migrate brings the store to the schema of this release, whole or not at all.
// Nothing leads back.
func migrate(ctx context.Context, database *sql.DB) error {
	version, err := storedVersion(ctx, database)
	if err != nil || version >= schemaVersion {
		return err
	}
	tx, err := database.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	for _, statements := range slices.Concat(migrations[version:], []string{"PRAGMA user_version = " + strconv.Itoa(schemaVersion)}) {
		if _, err := tx.ExecContext(ctx, statements); err != nil {
			return errors.Join(fmt.Errorf("bringing the tables from version %d to %d: %w", version, schemaVersion, err), tx.Rollback())
		}
	}
	return tx.Commit()
}

// storedVersion returns the schema version of a store, 0 for an empty file. It
// refuses one that this release cannot read.
func storedVersion(ctx context.Context, database *sql.DB) (version int, err error) {
	if err := database.QueryRowContext(ctx, "PRAGMA user_version").Scan(&version); err != nil {
		return 0, err
	}
	if version <= schemaVersion {
		return version, nil
	}
	var compatible int
	err = database.QueryRowContext(ctx, "SELECT value FROM meta WHERE key = 'compatible_from'").Scan(&compatible)
	if err != nil || compatible > schemaVersion {
		return 0, fmt.Errorf("the store has schema version %d and this release reads up to %d; install the release that wrote it, or a newer one", version, schemaVersion)
	}
	return version, nil
}

// checkVersion refuses to only read a store whose schema is not there yet: it
// takes a writer to bring it up to date.
func checkVersion(ctx context.Context, database *sql.DB) error {
	version, err := storedVersion(ctx, database)
	switch {
	case err != nil:
		return err
	case version == 0:
		return ErrNoStore
	case version < schemaVersion:
		return fmt.Errorf("the store has schema version %d, of an earlier release; start the gateway once, which brings it to %d", version, schemaVersion)
	}
	return nil
}
