package spool

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
)

// smallFile is more than any file of an export has but the database, in bytes.
const smallFile = 1 << 20

// Unpack makes files of what [Export] wrote, in a directory that is new or
// empty. They are for the owner's eyes: they hold patients' data. The manifest
// appears when all else is durable; where anything fails, nothing is left behind.
// progress may be nil; it is told the bytes of the database that are done, and
// their total.
func Unpack(ctx context.Context, r io.Reader, directory string, progress func(done, total uint64)) error {
	if progress == nil {
		progress = func(uint64, uint64) {}
	}
	made, err := emptyDirectory(directory)
	if err != nil {
		return fmt.Errorf("writing the export: %w", err)
	}
	u := unpacking{directory: directory, progress: progress}
	if err := u.all(ctx, r); err != nil {
		for _, name := range u.written {
			err = errors.Join(err, os.Remove(filepath.Join(directory, name)))
		}
		if made {
			err = errors.Join(err, os.Remove(directory))
		}
		return fmt.Errorf("writing the export to %s: %w", directory, err)
	}
	return nil
}

// emptyDirectory sees to it that the directory is there and empty.
func emptyDirectory(directory string) (made bool, err error) {
	err = os.Mkdir(directory, 0o700)
	if err == nil {
		return true, syncDirectory(filepath.Dir(filepath.Clean(directory)))
	}
	if !errors.Is(err, os.ErrExist) {
		return false, err
	}
	entries, err := os.ReadDir(directory)
	if err != nil {
		return false, err
	}
	if len(entries) > 0 {
		return false, fmt.Errorf("%w: %s is not empty (it has %s); name a new directory", ErrRefused, directory, entries[0].Name())
	}
	return false, nil
}

type unpacking struct {
	directory string
	progress  func(done, total uint64)
	written   []string // to be removed where something fails
}

func (u *unpacking) all(ctx context.Context, r io.Reader) error {
	archive := tar.NewReader(r)
	var manifest []byte
	have := map[string]bool{}
	for {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return brokenOff(err)
		}
		name := header.Name
		if have[name] || name != manifestFile && name != signatureFile && !slices.Contains(recordFiles, name) {
			return fmt.Errorf("%w: %q does not belong into it", ErrBadExport, name)
		}
		have[name] = true
		if name != databaseFile && header.Size > smallFile {
			return fmt.Errorf("%w: %s has %d bytes, which is too much", ErrBadExport, name, header.Size)
		}
		if name == manifestFile {
			if manifest, err = io.ReadAll(archive); err != nil {
				return brokenOff(err)
			}
			continue
		}
		if err := u.file(ctx, name, header.Size, archive); err != nil {
			return err
		}
	}
	for _, name := range append([]string{signatureFile, manifestFile}, recordFiles...) {
		if !have[name] {
			return brokenOff(fmt.Errorf("%s is missing", name))
		}
	}
	if err := syncDirectory(u.directory); err != nil {
		return err
	}
	return u.manifest(manifest)
}

// manifest makes the manifest appear.
func (u *unpacking) manifest(text []byte) error {
	path := filepath.Join(u.directory, manifestFile)
	err := replaceFile(path, text, true)
	if err == nil {
		return nil
	}
	for _, left := range []string{path, path + ".new"} {
		if gone := os.Remove(left); gone != nil && !errors.Is(gone, os.ErrNotExist) {
			err = errors.Join(err, gone)
		}
	}
	return err
}

func brokenOff(err error) error {
	return fmt.Errorf("%w: it broke off: %w", ErrBadExport, err)
}

// file writes one file and makes it durable.
func (u *unpacking) file(ctx context.Context, name string, size int64, from io.Reader) error {
	file, err := os.OpenFile(filepath.Join(u.directory, name), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	u.written = append(u.written, name)
	tell := func(int64) {}
	if name == databaseFile {
		tell = func(done int64) { u.progress(uint64(done), uint64(size)) }
	}
	err = copyBytes(ctx, file, from, tell)
	if errors.Is(err, io.ErrUnexpectedEOF) {
		err = brokenOff(err)
	}
	if err == nil {
		err = file.Sync()
	}
	return errors.Join(err, file.Close())
}

// copyBytes copies in pieces until ctx ends, and tells after each how many bytes
// it has done.
func copyBytes(ctx context.Context, to io.Writer, from io.Reader, tell func(done int64)) error {
	piece := make([]byte, 128<<10)
	for done := int64(0); ; {
		if err := ctx.Err(); err != nil {
			return err
		}
		n, err := from.Read(piece)
		if n > 0 {
			if _, err := to.Write(piece[:n]); err != nil {
				return err
			}
			done += int64(n)
			tell(done)
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// Pack writes the export in the directory to w as Export does, but with the
// manifest first, so that what is not wanted is seen before much was sent.
// progress may be nil; it is told the bytes of the database that are done, and
// their total.
func Pack(ctx context.Context, directory string, w io.Writer, progress func(done, total uint64)) error {
	if progress == nil {
		progress = func(uint64, uint64) {}
	}
	archive := tar.NewWriter(w)
	for _, name := range append([]string{manifestFile, signatureFile}, recordFiles...) {
		if err := packFile(ctx, archive, directory, name, progress); err != nil {
			return fmt.Errorf("reading the export: %w", err)
		}
	}
	return archive.Close()
}

func packFile(ctx context.Context, archive *tar.Writer, directory, name string, progress func(done, total uint64)) error {
	file, err := os.Open(filepath.Join(directory, name))
	if errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("%w: %s is missing", ErrBadExport, name)
	}
	if err != nil {
		return err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	if err := archive.WriteHeader(archiveHeader(name, info.Size())); err != nil {
		return err
	}
	tell := func(int64) {}
	if name == databaseFile {
		tell = func(done int64) { progress(uint64(done), uint64(info.Size())) }
	}
	return copyBytes(ctx, archive, file, tell)
}
