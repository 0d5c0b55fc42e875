package spool

import (
	"archive/tar"
	"bufio"
	"cmp"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
)

// roomEvery is how many pages of the database are read between two looks at the
// room on the card.
const roomEvery = 4096

// Export writes the records as they are at this moment to w: a tar archive of
// the database, the key of digests, the high-water mark, and a manifest that is
// signed with the box's identity. [Unpack] makes files of it.
//
// The database goes out page by page in one read transaction, straight to w: a
// snapshot on the card first, as VACUUM INTO and SQLite's backup make it, needs
// as much room again on the card that is perhaps full, and a backup starts anew
// with every message that comes in meanwhile. The writer goes on as always. The
// WAL cannot be folded into the database meanwhile, so it grows by what is
// stored; the export is given up when the room on the card comes to an end
// meanwhile (from a card that is full already nothing more is taken in). The
// caller must see to it that a write to w does not take for ever.
func (s *Spool) Export(ctx context.Context, w io.Writer, from Origin) error {
	if err := s.export(ctx, w, from); err != nil {
		return fmt.Errorf("exporting the store: %w", err)
	}
	return nil
}

func (s *Spool) export(ctx context.Context, w io.Writer, from Origin) (err error) {
	if s.identity == nil {
		return cmp.Or(s.anonymous, fmt.Errorf("there is no %s to sign with, and none can be made while the store is open for reading only", identityFile))
	}
	if len(s.key) == 0 {
		return fmt.Errorf("there is no %s, and none can be made while the store is open for reading only", keyFile)
	}
	high, err := s.highWater() // before the snapshot: it must not be ahead of it
	if err != nil {
		return err
	}
	snapshot, end, err := s.snapshot(ctx)
	if err != nil {
		return err
	}
	defer end()
	now := s.clock.stamp()
	m := Manifest{Format: exportFormat, Origin: from, CreatedAt: now.at, Clock: now.clock}
	if m.Contents, err = contents(ctx, snapshot); err != nil {
		return err
	}
	if high.sequence = max(high.sequence, m.LastSequence); high.audit <= m.AuditRows {
		high.audit, high.hash = m.AuditRows, m.AuditHash
	}

	buffer := bufio.NewWriterSize(w, 64<<10)
	archive := tar.NewWriter(buffer)
	database, err := s.exportDatabase(ctx, archive, snapshot)
	if err != nil {
		return err
	}
	m.Files = append(m.Files, database)
	for _, file := range []struct {
		name string
		text []byte
	}{{keyFile, s.key}, {highWaterFile, high.text()}} {
		if err := archiveFile(archive, file.name, file.text); err != nil {
			return err
		}
		sum := sha256.Sum256(file.text)
		m.Files = append(m.Files, ManifestFile{Name: file.name, Size: int64(len(file.text)), SHA256: hex.EncodeToString(sum[:])})
	}
	text, signature, err := m.seal(s.identity)
	if err != nil {
		return err
	}
	return errors.Join(
		archiveFile(archive, signatureFile, signature),
		archiveFile(archive, manifestFile, text),
		archive.Close(), buffer.Flush())
}

// snapshot begins a read transaction; what it reads stays as it is until end.
func (s *Spool) snapshot(ctx context.Context) (snapshot *sql.Tx, end func(), err error) {
	if snapshot, err = s.readers.BeginTx(ctx, &sql.TxOptions{ReadOnly: true}); err != nil {
		return nil, nil, s.closed(err)
	}
	return snapshot, func() { _ = snapshot.Rollback() }, nil // it has changed nothing
}

func (s *Spool) exportDatabase(ctx context.Context, archive *tar.Writer, snapshot *sql.Tx) (ManifestFile, error) {
	file := ManifestFile{Name: databaseFile}
	var pages, size int64
	err := snapshot.QueryRowContext(ctx, "SELECT (SELECT page_count FROM pragma_page_count), (SELECT page_size FROM pragma_page_size)").
		Scan(&pages, &size)
	if err != nil {
		return file, s.closed(err)
	}
	file.Size = pages * size
	if err := archive.WriteHeader(archiveHeader(file.Name, file.Size)); err != nil {
		return file, err
	}
	// SQLite's own table of the pages of a database, as the transaction sees them.
	rows, err := snapshot.QueryContext(ctx, "SELECT pgno, data FROM sqlite_dbpage ORDER BY pgno")
	if err != nil {
		return file, s.closed(err)
	}
	defer rows.Close()
	hash, roomy := sha256.New(), s.Room() == nil
	var page, number int64
	var data sql.RawBytes
	for page = 0; rows.Next(); page++ {
		if err := rows.Scan(&number, &data); err != nil {
			return file, err
		}
		if number != page+1 || int64(len(data)) != size {
			return file, fmt.Errorf("%w: page %d of the database cannot be read", ErrDamaged, page+1)
		}
		if page%roomEvery == 0 && roomy {
			if err := s.Room(); err != nil {
				return file, err
			}
		}
		if _, err := archive.Write(data); err != nil {
			return file, err
		}
		hash.Write(data)
	}
	if err := rows.Err(); err != nil {
		return file, s.closed(err)
	}
	if page != pages {
		return file, fmt.Errorf("%w: page %d of the database cannot be read", ErrDamaged, page+1)
	}
	file.SHA256 = hex.EncodeToString(hash.Sum(nil))
	return file, nil
}

func archiveHeader(name string, size int64) *tar.Header {
	return &tar.Header{Typeflag: tar.TypeReg, Name: name, Size: size, Mode: 0o600}
}

func archiveFile(archive *tar.Writer, name string, text []byte) error {
	if err := archive.WriteHeader(archiveHeader(name, int64(len(text)))); err != nil {
		return err
	}
	_, err := archive.Write(text)
	return err
}
