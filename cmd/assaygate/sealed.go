package main

import (
	"archive/tar"
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/assaygate/assaygate/device/owner"
	"github.com/assaygate/assaygate/envelope/spool"
)

// sealed returns the stores that resets have set aside.
func (d *daemon) sealed() ([]spool.Sealed, error) {
	return spool.ListSealed(d.config().Spool.Directory)
}

// unseal opens a sealed store for who may open it: by is that. Where the present
// store holds nothing and never has, the sealed one takes its place; this is then
// reported as true. Else its records go to files that create makes and that only
// the key to opens, nil for a store that nobody owned; it stays sealed.
func (d *daemon) unseal(ctx context.Context, sealed spool.Sealed, by string, to ed25519.PublicKey, create func(what, extension string, fill func(io.Writer) error) error) (back bool, err error) {
	directory := d.config().Spool.Directory
	vacant, err := spool.Vacant(ctx, directory)
	if err != nil {
		return false, err
	}
	if vacant {
		// What comes in meanwhile makes it refuse.
		err := d.Reopen(ctx, func() error { return spool.PutBack(context.WithoutCancel(ctx), directory, sealed, by) })
		if err == nil || !errors.Is(err, spool.ErrRefused) {
			return err == nil, err
		}
	}
	config := d.config()
	extension := ".tar"
	if to != nil {
		extension += ".age"
	}
	err = create("records", extension, encrypted(to, func(w io.Writer) error {
		return spool.ExportSealed(ctx, sealed, w, spool.Origin{Box: sealed.Box, Version: config.origin().Version})
	}))
	if err != nil || len(sealed.Beside) == 0 {
		return false, err
	}
	return false, create("captures", extension, encrypted(to, func(w io.Writer) error { return packSealed(ctx, w, sealed.Beside) }))
}

// encrypted fills a file for the owner of the key, as it is for nobody.
func encrypted(to ed25519.PublicKey, fill func(io.Writer) error) func(io.Writer) error {
	if to == nil {
		return fill
	}
	return func(w io.Writer) error {
		lock, err := owner.Encrypt(w, to)
		if err == nil {
			err = fill(lock)
		}
		if err != nil {
			return err
		}
		return lock.Close()
	}
}

// packSealed writes the files that were set aside beside a store as a tar archive.
func packSealed(ctx context.Context, w io.Writer, beside []spool.Moved) error {
	archive := tar.NewWriter(w)
	for _, moved := range beside {
		entries, err := os.ReadDir(moved.To)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		for _, entry := range entries {
			if err := ctx.Err(); err != nil {
				return err
			}
			if !entry.Type().IsRegular() {
				continue
			}
			if err := packOne(archive, filepath.Base(moved.From), filepath.Join(moved.To, entry.Name())); err != nil {
				return err
			}
		}
	}
	return archive.Close()
}

func packOne(archive *tar.Writer, folder, path string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	header := &tar.Header{Typeflag: tar.TypeReg, Name: folder + "/" + filepath.Base(path), Size: info.Size(), Mode: 0o600, ModTime: info.ModTime()}
	if err := archive.WriteHeader(header); err != nil {
		return err
	}
	if _, err := io.Copy(archive, file); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// eraseSealed removes a sealed store for good.
func (d *daemon) eraseSealed(ctx context.Context, id int, by, reason string) error {
	g, away := d.standing.now()
	if g == nil {
		return away
	}
	return g.store.EraseSealed(ctx, id, by, reason)
}
