package spool

import (
	"errors"
	"testing"
)

// TestFrozenStoreHasNoWriter has a reader that would not see what is written
// meanwhile: it and an owner keep each other out.
func TestFrozenStoreHasNoWriter(t *testing.T) {
	dir := settings(t)
	owner := open(t, dir, lims)
	e := put(t, owner, message("a", "1"))
	frozenReader := func() (*Spool, error) {
		reader, err := newSpool(dir, Options{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { reader.Close() })
		return reader, reader.openFrozen(t.Context(), errors.New("no room"))
	}
	if _, err := frozenReader(); !errors.Is(err, ErrLocked) {
		t.Errorf("beside an owner it gives %v", err)
	}
	if err := owner.Close(); err != nil {
		t.Fatal(err)
	}
	reader, err := frozenReader()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := frozenReader(); err != nil {
		t.Errorf("a second reader gets %v", err)
	}
	if raw, err := reader.Raw(t.Context(), e.ID); err != nil || string(raw) != string(e.Raw) {
		t.Errorf("it reads %q, %v", raw, err)
	}
	if other, err := Open(t.Context(), dir, Options{}); !errors.Is(err, ErrLocked) {
		if err == nil {
			other.Close()
		}
		t.Errorf("an owner beside it gets %v", err)
	}
	if _, err := reader.Put(t.Context(), message("a", "2")); !errors.Is(err, ErrReadOnly) {
		t.Errorf("its Put gives %v", err)
	}
}
