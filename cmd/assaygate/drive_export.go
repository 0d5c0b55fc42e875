package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"github.com/assaygate/assaygate/device/configdrive"
	"github.com/assaygate/assaygate/envelope/spool"
)

// export copies the store and the captures to the stick. They hold patients'
// data, and are as readable there as anything.
func (s *sticks) export(ctx context.Context, session *configdrive.Session) configdrive.Outcome {
	var manifest spool.Manifest
	var files int
	if err := s.roomForExport(ctx, s.d.config().ConfigDrive.Directory); err != nil {
		return outcome(configdrive.Export, "", err)
	}
	name, err := session.CreateFolder(ctx, s.dated("export"), func(path string) (err error) {
		session.Working(ctx, "it copies its store and its captures to this stick, which can take long")
		if manifest, err = s.exportStore(ctx, filepath.Join(path, "spool")); err != nil {
			return err
		}
		files, err = s.exportCaptures(ctx, path)
		return err
	})
	if err != nil {
		err = fmt.Errorf("%w. What there is of it on the stick is not whole", err)
	}
	return outcome(configdrive.Export, fmt.Sprintf("%s and %s are in %s. They hold patients' data: keep the stick as you keep these.",
		recordsOf(manifest), count(files, "capture file"), name), err)
}

// roomForExport refuses what would not fit. Checked as far as it can be: what
// comes in meanwhile is not known.
func (s *sticks) roomForExport(ctx context.Context, stick string) error {
	g, away := s.d.standing.now()
	if g == nil {
		return away
	}
	status, err := g.store.Status(ctx)
	if err != nil {
		return err
	}
	need := status.Bytes
	err = s.captures(func(_, _ string, size int64) error {
		need += size
		return ctx.Err()
	})
	if err != nil {
		return err
	}
	if free, known := diskFree(stick); known && free < float64(need) {
		return fmt.Errorf("the stick has %d MiB free, and %d MiB are needed; make room or use a larger one", int64(free)>>20, need>>20+1)
	}
	return nil
}

// exportStore writes what spool export writes, and checks it.
func (s *sticks) exportStore(ctx context.Context, directory string) (spool.Manifest, error) {
	g, away := s.d.standing.now()
	if g == nil {
		return spool.Manifest{}, away
	}
	c := s.d.config()
	reader, writer := io.Pipe()
	var exporting sync.WaitGroup
	exporting.Go(func() {
		writer.CloseWithError(g.store.Export(ctx, writer, c.origin()))
	})
	err := spool.Unpack(ctx, reader, directory, nil)
	reader.CloseWithError(errors.Join(err, context.Canceled)) // where not all of it was taken
	exporting.Wait()
	if err != nil {
		return spool.Manifest{}, err
	}
	manifest, _, err := spool.Check(ctx, directory, nil, nil)
	return manifest, err
}

// captures visits every capture of the destinations that write files. What else
// is in their directories stays: a configuration may name that of the passwords.
func (s *sticks) captures(visit func(destination, file string, size int64) error) error {
	for _, one := range s.d.config().Destinations {
		if one.Capture == nil {
			continue
		}
		err := filepath.WalkDir(one.Capture.Directory, func(file string, entry fs.DirEntry, err error) error {
			if errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			if err != nil || !entry.Type().IsRegular() {
				return cmp.Or(err, keepOut(file, entry))
			}
			if !captureName.MatchString(entry.Name()) {
				return nil
			}
			info, err := entry.Info()
			if errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			if err != nil {
				return err
			}
			return visit(one.Name, file, info.Size())
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// exportCaptures copies them, each destination's into a folder of its own.
func (s *sticks) exportCaptures(ctx context.Context, path string) (files int, err error) {
	made := map[string]bool{}
	err = s.captures(func(destination, file string, _ int64) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		folder := filepath.Join(path, "captures-"+destination)
		if !made[folder] {
			if err := os.Mkdir(folder, 0o700); err != nil {
				return err
			}
			made[folder] = true
		}
		files++
		return copyFile(file, filepath.Join(folder, filepath.Base(file)))
	})
	return files, err
}

// copyFile copies to a new file, durably. A file that is gone meanwhile is none.
func copyFile(from, to string) error {
	source, err := os.Open(from)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer source.Close()
	target, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(target, source)
	if err == nil {
		err = target.Sync()
	}
	return errors.Join(err, target.Close())
}
