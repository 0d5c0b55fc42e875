package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/assaygate/assaygate/envelope/spool"
)

// opener opens a store where no gateway runs.
type opener func(ctx context.Context, directory string) (*spool.Spool, error)

// openToRead opens the store for reading. What an earlier release left, or an
// import that was cut off, only a writer can put in order first.
func openToRead(ctx context.Context, directory string) (*spool.Spool, error) {
	store, err := spool.OpenReadOnly(ctx, directory)
	if err == nil || errors.Is(err, spool.ErrNoStore) {
		return store, err
	}
	store, writing := spool.OpenExisting(ctx, directory)
	switch {
	case writing == nil:
		return store, nil
	case writing.Error() == err.Error():
		return nil, err
	}
	return nil, fmt.Errorf("%w; nor can it be opened for writing: %w", err, writing)
}

// openToExport is openToRead for what needs the box's keys: where one is missing
// it is made, if the card can be written to.
func openToExport(ctx context.Context, directory string) (*spool.Spool, error) {
	store, err := openToRead(ctx, directory)
	if err != nil || store.Identity() != nil && len(store.Key()) > 0 {
		return store, err
	}
	if err := store.Close(); err != nil {
		return nil, err
	}
	if store, err = spool.OpenExisting(ctx, directory); err == nil {
		return store, nil
	}
	if reader, reading := spool.OpenReadOnly(ctx, directory); reading == nil {
		return reader, nil // it says which key is missing
	}
	return nil, err
}
