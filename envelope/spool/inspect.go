package spool

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"

	"modernc.org/sqlite"
)

// Steps are what the progress of a check names.
const (
	StepFiles   = "comparing the files"  // in bytes
	StepRecords = "checking the records" // in rows
)

// Check verifies an export: the signature (see [ReadManifest] for key), every
// file, and then every record with all that [Spool.Verify] checks. It changes
// nothing. The error wraps ErrBadExport where the export is not as the box made
// it; the report says what was wrong with records before they were exported.
// progress may be nil; step is one of the Steps.
func Check(ctx context.Context, directory string, key ed25519.PublicKey, progress func(step string, done, total uint64)) (Manifest, Report, error) {
	m, err := checkFiles(ctx, directory, key, progress)
	if err != nil {
		return m, Report{}, err
	}
	report, err := checkRecords(ctx, directory, m, progress)
	return m, report, err
}

// checkFiles verifies the signature of the manifest, and the files by it.
func checkFiles(ctx context.Context, directory string, key ed25519.PublicKey, progress func(step string, done, total uint64)) (Manifest, error) {
	m, err := ReadManifest(directory, key)
	if err != nil {
		return m, err
	}
	var total, before int64
	for _, file := range m.Files {
		total += file.Size
	}
	for _, file := range m.Files {
		err := checkFile(ctx, directory, file, func(done int64) {
			if progress != nil {
				progress(StepFiles, uint64(before+done), uint64(total))
			}
		})
		if err != nil {
			return m, err
		}
		before += file.Size
	}
	return m, nil
}

func checkFile(ctx context.Context, directory string, want ManifestFile, tell func(done int64)) error {
	file, err := os.Open(filepath.Join(directory, want.Name))
	if errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("%w: %s is missing", ErrBadExport, want.Name)
	}
	if err != nil {
		return fmt.Errorf("reading the export: %w", err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return fmt.Errorf("reading the export: %w", err)
	}
	if info.Size() != want.Size {
		return fmt.Errorf("%w: %s has %d bytes and not the %d that %s says", ErrBadExport, want.Name, info.Size(), want.Size, manifestFile)
	}
	hash := sha256.New()
	if err := copyBytes(ctx, hash, file, tell); err != nil {
		return fmt.Errorf("reading the export: %w", err)
	}
	if hex.EncodeToString(hash.Sum(nil)) != want.SHA256 {
		return fmt.Errorf("%w: %s was changed: its SHA-256 is not the one that %s says", ErrBadExport, want.Name, manifestFile)
	}
	return nil
}

// checkRecords verifies the records of a copy of a store, and that they are
// those which the manifest counts.
func checkRecords(ctx context.Context, directory string, m Manifest, progress func(step string, done, total uint64)) (Report, error) {
	s, err := newSpool(Settings{Directory: directory}, Options{})
	if err != nil {
		return Report{}, err
	}
	if s.readers, err = openCopy(directory); err != nil {
		return Report{}, fmt.Errorf("opening the export: %w", err)
	}
	defer s.Close()
	if _, err := storedVersion(ctx, s.readers); err != nil {
		return Report{}, fmt.Errorf("%w: %s: %w", ErrBadExport, databaseFile, err)
	}
	if err := refuseForeign(ctx, s.readers); err != nil {
		return Report{}, err
	}
	have, err := contents(ctx, s.readers)
	if err != nil {
		return Report{}, fmt.Errorf("%w: %s: %w", ErrBadExport, databaseFile, err)
	}
	if err := have.differ(m.Contents); err != nil {
		return Report{}, err
	}
	report, err := s.Verify(ctx, func(done, total uint64) {
		if progress != nil {
			progress(StepRecords, done, total)
		}
	})
	if err != nil && ctx.Err() == nil {
		err = fmt.Errorf("%w: %s: %w", ErrBadExport, databaseFile, err)
	}
	return report, err
}

// openCopy opens a database that nobody changes: SQLite takes no lock, makes no
// file beside it, and reads no WAL that somebody may have put there.
func openCopy(directory string) (*sql.DB, error) {
	directory, err := filepath.Abs(directory)
	if err != nil {
		return nil, err
	}
	address := url.URL{Scheme: "file", Path: filepath.ToSlash(filepath.Join(directory, databaseFile)), RawQuery: "mode=ro&immutable=1"}
	base, err := sqlite.NewConnector(address.String())
	if err != nil {
		return nil, err
	}
	return sql.OpenDB(base), nil
}

// refuseForeign refuses a database that could act by itself once it is written
// to: no store has a trigger or a view.
func refuseForeign(ctx context.Context, database *sql.DB) error {
	var name string
	err := database.QueryRowContext(ctx, "SELECT name FROM sqlite_schema WHERE type NOT IN ('table', 'index') LIMIT 1").Scan(&name)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	if err == nil {
		err = fmt.Errorf("it has the trigger or view %q, which no store has", name)
	}
	return fmt.Errorf("%w: %s: %w", ErrBadExport, databaseFile, err)
}
