package spool

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"
)

// An import stands beside the store until it is the store. Each step is one
// rename, so that the process may end at any moment:
//
//	import.partial  what has come so far; the next Open removes it
//	import.ready    all of it, verified; the next Open brings it in, as long as
//	                the store holds nothing
//	import.taken    is being brought in; every Open goes on with that
const (
	importPartial = "import.partial"
	importReady   = "import.ready"
	importTaken   = "import.taken"
	// importNote, in that directory, is what the audit trail is told.
	importNote = "note.json"
)

// Terms are on what an import is taken.
type Terms struct {
	// Key is that of the box whose records they have to be; nil takes any box's.
	Key ed25519.PublicKey
	// Damage takes records that were damaged before they were exported too.
	Damage bool
	// By is the person, for the audit.
	By string
}

// Stage takes in the records that Pack or Export wrote to r: checks all that Check
// does, and that this store holds nothing, or else refuses and changes nothing.
// They then stand beside the store for [Spool.Admit]. One call at a time.
// progress may be nil; step is one of the Steps.
func (s *Spool) Stage(ctx context.Context, r io.Reader, terms Terms, progress func(step string, done, total uint64)) (Manifest, error) {
	partial := filepath.Join(s.directory, importPartial)
	m, err := s.stage(ctx, r, partial, terms, progress)
	if err != nil && s.lock != nil {
		err = errors.Join(err, os.RemoveAll(partial))
	}
	if err != nil {
		return m, fmt.Errorf("importing: %w", err)
	}
	return m, nil
}

func (s *Spool) stage(ctx context.Context, r io.Reader, partial string, terms Terms, progress func(step string, done, total uint64)) (m Manifest, err error) {
	if s.lock == nil {
		return m, ErrReadOnly
	}
	if err := s.vacant(ctx, s.readers); err != nil {
		return m, s.closed(err)
	}
	if err := os.RemoveAll(partial); err != nil {
		return m, err
	}
	if err := Unpack(ctx, r, partial, nil); err != nil {
		return m, err
	}
	if m, err = checkFiles(ctx, partial, terms.Key, progress); err != nil {
		return m, err
	}
	report, err := checkRecords(ctx, partial, m, progress)
	if err != nil {
		return m, err
	}
	if n := len(report.Problems); n > 0 && !terms.Damage {
		return m, fmt.Errorf("%w: %d records were damaged when they were exported, the first: %s", ErrDamaged, n, report.Problems[0])
	}
	return m, writeNote(partial, m, report, terms.By)
}

// Admit has the next Open bring in what was staged, in place of this store, with
// ids, sequences, states and audit trail; the identity of this box stays its own.
// The store must be closed, so that nothing is acknowledged that would be gone: a
// message that came since makes it refuse, and the store stays.
func (s *Spool) Admit(ctx context.Context) error {
	if err := s.admit(ctx); err != nil {
		return fmt.Errorf("importing: %w", err)
	}
	return nil
}

func (s *Spool) admit(ctx context.Context) (err error) {
	lock, err := acquire(filepath.Join(s.directory, lockFile))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	if err := s.stillVacant(ctx); err != nil {
		return errors.Join(err, os.RemoveAll(filepath.Join(s.directory, importPartial)))
	}
	return moveDirectory(s.directory, importPartial, importReady)
}

// vacant refuses a store that holds anything which an import would take away:
// messages, or an audit trail that tells of some.
func (s *Spool) vacant(ctx context.Context, q queryer) error {
	var messages, drafts, rows uint64
	err := q.QueryRowContext(ctx, `SELECT (SELECT count(*) FROM messages), (SELECT count(*) FROM drafts),
		(SELECT count(*) FROM audit WHERE seq > 0 OR what = ?)`, auditAnchor).Scan(&messages, &drafts, &rows)
	if err != nil {
		return err
	}
	held, err := s.highWater()
	if err != nil {
		return err
	}
	const remedy = "import into the store of a new box or card, before an instrument is connected"
	switch {
	case messages+drafts > 0:
		return fmt.Errorf("%w: the store in %s holds %d messages, which the import would replace; %s", ErrRefused, s.directory, messages+drafts, remedy)
	case rows > 0 || held.sequence > 0:
		return fmt.Errorf("%w: the store in %s has held messages, of which its audit trail tells; %s", ErrRefused, s.directory, remedy)
	}
	return nil
}

// note is what the audit trail is told of an import.
type note struct {
	Who    string `json:"who"`
	Detail string `json:"detail"`
	After  uint64 `json:"after"` // number of the last row that was exported
}

func writeNote(directory string, m Manifest, report Report, by string) error {
	detail := fmt.Sprintf("%d messages, up to sequence %d, exported %s by box %q with key %s; audit row %d has the hash %s",
		m.Messages, m.LastSequence, m.CreatedAt.Format(time.RFC3339), m.Box, m.PublicKey, m.AuditRows, m.AuditHash)
	if n := len(report.Problems); n > 0 {
		detail += fmt.Sprintf("; taken with %d damaged records", n)
	}
	text, err := json.Marshal(note{by, detail, m.AuditRows})
	if err != nil {
		return err
	}
	return replaceFile(filepath.Join(directory, importNote), text, true)
}

// takeImport brings in what Admit has left, or goes on with that. The store is
// locked and not open.
func (s *Spool) takeImport(ctx context.Context) error {
	if partial := filepath.Join(s.directory, importPartial); exists(partial) {
		if err := os.RemoveAll(partial); err != nil {
			return err
		}
	}
	if exists(filepath.Join(s.directory, importReady)) && !exists(filepath.Join(s.directory, importTaken)) {
		if err := s.stillVacant(ctx); errors.Is(err, ErrRefused) {
			s.log.Error("imported records cannot take the place of this store", "directory", importReady, "error", err)
			return nil
		} else if err != nil {
			return err
		}
		if err := moveDirectory(s.directory, importReady, importTaken); err != nil {
			return err
		}
	}
	if err := moveIn(filepath.Join(s.directory, importTaken), s.directory); err != nil {
		return fmt.Errorf("bringing in what was imported: %w", err)
	}
	return nil
}

// stillVacant is vacant for a store that nobody has open.
func (s *Spool) stillVacant(ctx context.Context) error {
	if !Exists(s.directory) {
		return nil
	}
	database, err := createDatabase(ctx, s.directory)
	if err != nil {
		return err
	}
	return errors.Join(s.vacant(ctx, database), database.Close())
}

// moveIn makes the files of an import those of the store. The database comes
// last: as long as it is there, nothing of the store is of worth. A WAL that
// belongs to the old one would be taken for the new one's.
func moveIn(from, directory string) error {
	if !exists(filepath.Join(from, databaseFile)) {
		return nil
	}
	for _, suffix := range []string{"-wal", "-shm"} {
		if err := os.Remove(filepath.Join(directory, databaseFile+suffix)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	if err := syncDirectory(directory); err != nil {
		return err
	}
	for _, name := range []string{keyFile, highWaterFile, databaseFile} {
		if err := os.Rename(filepath.Join(from, name), filepath.Join(directory, name)); err != nil && (name == databaseFile || !errors.Is(err, os.ErrNotExist)) {
			return err
		}
	}
	return errors.Join(syncDirectory(directory), syncDirectory(from))
}

// noteImport writes the import into the audit trail that has come with it, once.
func (t *tx) noteImport() error {
	text, err := os.ReadFile(filepath.Join(t.spool.directory, importTaken, importNote))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var n note
	if err := json.Unmarshal(text, &n); err != nil {
		return fmt.Errorf("reading the note of the import: %w", err)
	}
	var noted int
	if err := t.scan("SELECT count(*) FROM audit WHERE what = ? AND n > ?", []any{auditImported, n.After}, &noted); err != nil || noted > 0 {
		return err
	}
	t.spool.log.Info("imported", "by", n.Who, "what", n.Detail)
	return t.audit(AuditRow{What: auditImported, Who: n.Who, Detail: n.Detail})
}

// forgetImport removes what is left of an import that is brought in.
func (s *Spool) forgetImport() error {
	taken := filepath.Join(s.directory, importTaken)
	if !exists(taken) {
		return nil
	}
	return errors.Join(os.RemoveAll(taken), syncDirectory(s.directory))
}

// importHalfTaken reports whether the store in the directory is about to be
// another one.
func importHalfTaken(directory string) bool {
	return exists(filepath.Join(directory, importTaken, databaseFile))
}

func moveDirectory(in, from, to string) error {
	if err := os.Rename(filepath.Join(in, from), filepath.Join(in, to)); err != nil {
		return err
	}
	return syncDirectory(in)
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
