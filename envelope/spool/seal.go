package spool

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// Vacant reports whether the directory holds no store, or one that holds nothing
// and has never held anything: there is nothing to keep.
func Vacant(ctx context.Context, directory string) (bool, error) {
	for _, leftover := range []string{importPartial, importReady, importTaken} {
		if exists(filepath.Join(directory, leftover)) {
			return false, nil
		}
	}
	if !Exists(directory) {
		return true, nil
	}
	s, err := openToCount(ctx, directory)
	if err != nil {
		return false, fmt.Errorf("looking into the store in %s: %w", directory, err)
	}
	err = s.vacant(ctx, s.readers)
	closing := s.Close()
	if errors.Is(err, ErrRefused) {
		return false, closing
	}
	return err == nil, errors.Join(err, closing)
}

// openToCount opens a store for reading, sealed or not.
func openToCount(ctx context.Context, directory string) (*Spool, error) {
	s, err := newSpool(Settings{Directory: directory}, Options{})
	if err != nil {
		return nil, err
	}
	if err := s.openReadOnly(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// Seal puts the seal on the store in the directory, which no process may have
// open: from then on none opens it. The caller renames the directory to
// [SealedPath], and gives Owner, Box, At, By and Beside; the rest is counted.
// A store that cannot be counted is sealed all the same. One that is sealed
// already stays as it is, so that a reset can go on where it was cut off.
func Seal(ctx context.Context, directory string, sealed Sealed) (_ Sealed, err error) {
	lock, err := acquire(filepath.Join(directory, lockFile))
	if err != nil {
		return Sealed{}, fmt.Errorf("sealing the store in %s: %w", directory, err)
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	if before, err := readSeal(directory); err == nil && before.Unsealed == nil {
		return before, nil
	}
	if err := os.Remove(filepath.Join(directory, ballastFile)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return Sealed{}, fmt.Errorf("sealing the store in %s: %w", directory, err)
	}
	sealed.Directory, sealed.Destinations = directory, []SealedDestination{}
	if err := sealed.count(ctx, directory); err != nil {
		sealed.Problem = "its messages could not be counted: " + err.Error()
	}
	if err := writeSeal(directory, sealed); err != nil {
		return Sealed{}, fmt.Errorf("sealing the store in %s: %w", directory, err)
	}
	return sealed, nil
}

// count fills in what the store holds.
func (sealed *Sealed) count(ctx context.Context, directory string) error {
	s, err := openToCount(ctx, directory)
	if err != nil {
		return err
	}
	err = sealed.countIn(ctx, s)
	return errors.Join(err, s.Close())
}

func (sealed *Sealed) countIn(ctx context.Context, s *Spool) error {
	status, err := s.Status(ctx)
	if err != nil {
		return err
	}
	sealed.Messages, sealed.Drafts = status.Messages, status.Drafts
	for _, d := range status.Destinations {
		sealed.Destinations = append(sealed.Destinations, SealedDestination{
			Name: d.Name, Pending: d.Pending, Parked: d.Parked, Delivered: d.Delivered,
			Confirmed: d.Confirmed, Unconfirmed: d.Unconfirmed, Dropped: d.Dropped,
		})
	}
	return s.readRow(ctx, "SELECT count(DISTINCT seq) FROM deliveries WHERE state IN (?, ?)", []any{Pending, Parked}, &sealed.NotDelivered)
}
