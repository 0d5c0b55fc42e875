package spool

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

const (
	// vacuumPages is how many pages are given back in one transaction at most:
	// each may move another page, which is written.
	vacuumPages = 256
	// spareBytes of free pages stay in the file for the next messages: giving
	// them back only to take them again would wear the card.
	spareBytes = 2 << 20
)

// pageBytes returns what the pages of the database hold, and how much of them
// is free for the next messages. A store keeps the page size that the release
// had which made it.
func (s *Spool) pageBytes(ctx context.Context) (used, free int64, err error) {
	err = s.readRow(ctx, `SELECT (p.page_count - f.freelist_count) * z.page_size, f.freelist_count * z.page_size
		FROM pragma_page_count p, pragma_freelist_count f, pragma_page_size z`, nil, &used, &free)
	return used, free, err
}

// walBytes returns the size of the WAL.
func (s *Spool) walBytes() (int64, error) {
	info, err := os.Stat(filepath.Join(s.directory, databaseFile+"-wal"))
	if errors.Is(err, os.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

// keptBytes is what keep_size is compared with: the pages in use and the WAL.
// Free pages do not count, for no message has to go on their account.
func (s *Spool) keptBytes(ctx context.Context) (int64, error) {
	used, _, err := s.pageBytes(ctx)
	if err != nil {
		return 0, err
	}
	wal, err := s.walBytes()
	return used + min(wal, walShare), err
}

// giveBack has the file shrink until at most spare bytes of it are free.
func (s *Spool) giveBack(ctx context.Context, spare int64) error {
	for before := int64(-1); ; {
		_, free, err := s.pageBytes(ctx)
		if err != nil || free <= spare || free == before {
			return err
		}
		before = free
		pages := min(vacuumPages, (free-spare)/pageSize+1) // of a store with larger ones a few too many
		start := time.Now()
		if err := s.writer.write(ctx, func(t *tx) error { return t.vacuum(pages) }); err != nil {
			return err
		}
		if err := s.rest(ctx, start); err != nil {
			return err
		}
	}
}

// vacuum gives pages back to the file system; the file shrinks when the WAL is
// folded into it. The statement gives a row for each page and stops where
// nobody asks for the next one.
func (t *tx) vacuum(pages int64) error {
	rows, err := t.query("PRAGMA incremental_vacuum(" + strconv.FormatInt(pages, 10) + ")")
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		continue
	}
	return rows.Err()
}
