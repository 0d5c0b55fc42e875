package spool

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// EraseSealed removes a store that was set aside, with what belongs to it, for
// good. by is the person; a reason is required. This store's audit trail has both,
// and what was erased. ErrNotFound: there is none of that number.
func (s *Spool) EraseSealed(ctx context.Context, id int, by, reason string) error {
	if err := s.eraseSealed(ctx, id, by, reason); err != nil {
		return fmt.Errorf("erasing the sealed store %d: %w", id, err)
	}
	return nil
}

func (s *Spool) eraseSealed(ctx context.Context, id int, by, reason string) error {
	if strings.TrimSpace(reason) == "" {
		return fmt.Errorf("%w: a reason is needed", ErrRefused)
	}
	if s.writer == nil {
		return ErrReadOnly
	}
	list, err := ListSealed(s.directory)
	if err != nil {
		return err
	}
	for _, sealed := range list {
		if sealed.ID != id {
			continue
		}
		detail := fmt.Sprintf("sealed store %d: %d messages, %d not delivered, of the owner %q, sealed %s: %s",
			id, sealed.Messages, sealed.NotDelivered, sealed.Owner, sealed.At.Format(time.RFC3339), reason)
		err := s.writer.write(ctx, func(t *tx) error {
			return t.audit(AuditRow{What: auditErased, Who: by, Detail: detail})
		})
		if err != nil {
			return err
		}
		s.log.Warn("a sealed store is erased", "by", by, "what", detail)
		return sealed.remove()
	}
	return fmt.Errorf("%w: there is no sealed store %d; assaygate spool sealed lists them", ErrNotFound, id)
}

// remove takes the files away. Cut off after the rename, the next Open goes on.
func (sealed Sealed) remove() error {
	for _, moved := range sealed.Beside {
		if moved.To != SealedPath(moved.From, sealed.ID) {
			return fmt.Errorf("%w: %s is not named as what is set aside; remove it by hand if it is", ErrRefused, moved.To)
		}
		if err := os.RemoveAll(moved.To); err != nil {
			return err
		}
	}
	away := strings.TrimSuffix(sealed.Directory, sealedSuffix+strconv.Itoa(sealed.ID)) + erasedSuffix + strconv.Itoa(sealed.ID)
	if err := errors.Join(os.RemoveAll(away), os.Rename(sealed.Directory, away)); err != nil {
		return err
	}
	return errors.Join(syncDirectory(filepath.Dir(away)), os.RemoveAll(away))
}

// PutBack makes a sealed store the one in the directory, in place of one that
// holds nothing and has never held anything, or else refuses with ErrRefused and
// changes nothing. No process may have either open. The next Open tells the audit
// trail that by has done it. What stood beside the store goes back too.
func PutBack(ctx context.Context, directory string, sealed Sealed, by string) error {
	if err := putBack(ctx, directory, sealed, by); err != nil {
		return fmt.Errorf("putting the sealed store %d back: %w", sealed.ID, err)
	}
	return nil
}

func putBack(ctx context.Context, directory string, sealed Sealed, by string) (err error) {
	directory = filepath.Clean(directory)
	for _, place := range []string{directory, sealed.Directory} {
		if !exists(place) {
			continue
		}
		lock, err := acquire(filepath.Join(place, lockFile))
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, lock.Close()) }()
	}
	s, err := newSpool(Settings{Directory: directory}, Options{})
	if err != nil {
		return err
	}
	if err := s.stillVacant(ctx); err != nil {
		return err
	}
	// With this in it the store opens again, wherever the power is cut.
	sealed.Unsealed = &Unsealing{By: by, At: time.Now().UTC()}
	if err := writeSeal(sealed.Directory, sealed); err != nil {
		return err
	}
	for _, moved := range sealed.Beside {
		if err := moved.back(); err != nil {
			return err
		}
	}
	away := directory + erasedSuffix + strconv.Itoa(sealed.ID)
	if err := os.RemoveAll(away); err != nil {
		return err
	}
	if err := os.Rename(directory, away); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if err := os.Rename(sealed.Directory, directory); err != nil {
		return err
	}
	if err := syncDirectory(filepath.Dir(directory)); err != nil {
		return err
	}
	return os.RemoveAll(away)
}

// back moves the files to where they were. One that is there already stays, and
// so does the one that would replace it.
func (m Moved) back() error {
	entries, err := os.ReadDir(m.To)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = os.MkdirAll(m.From, 0o700)
	}
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if to := filepath.Join(m.From, entry.Name()); !exists(to) {
			err = errors.Join(err, os.Rename(filepath.Join(m.To, entry.Name()), to))
		}
	}
	if err := errors.Join(err, syncDirectory(m.From), syncDirectory(m.To)); err != nil {
		return err
	}
	if err := os.Remove(m.To); err != nil {
		return err
	}
	return syncDirectory(filepath.Dir(m.To))
}

// ExportSealed writes the records of a sealed store to w, as [Spool.Export] does
// with an open one. They are for its owner only: the caller encrypts them. The
// store stays sealed.
func ExportSealed(ctx context.Context, sealed Sealed, w io.Writer, from Origin) error {
	s, err := openToCount(ctx, sealed.Directory)
	if err != nil {
		return fmt.Errorf("exporting the sealed store %d: %w", sealed.ID, err)
	}
	err = s.Export(ctx, w, from)
	return errors.Join(err, s.Close())
}
