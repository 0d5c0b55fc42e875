package spool

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

func TestFaultOf(t *testing.T) {
	for _, test := range []struct {
		err  error
		want Fault
	}{
		{nil, ""},
		{ErrLocked, ""},
		{ErrClosed, ""},
		{&os.PathError{Op: "open", Path: "x", Err: syscall.EACCES}, ""},
		{&os.PathError{Op: "open", Path: "x", Err: syscall.EROFS}, CardReadOnly},
		{fmt.Errorf("storing a message: %w", ErrNoRoom), CardFull},
		{errors.Join(errors.New("x"), syscall.ENOSPC), CardFull},
		{syscall.EIO, CardBroken},
	} {
		if got := FaultOf(test.err); got != test.want {
			t.Errorf("%v: %q, want %q", test.err, got, test.want)
		}
	}
}

// What SQLite says of a file that is no database, or only half of one.
func TestACorruptDatabaseIsNotReplaced(t *testing.T) {
	for name, spoil := range map[string]func(whole []byte) []byte{
		"no database":       func(whole []byte) []byte { return append([]byte("nothing of the kind"), whole[19:]...) },
		"a page is garbage": func(whole []byte) []byte { return append(whole[:100:100], make([]byte, len(whole)-100)...) },
	} {
		t.Run(name, func(t *testing.T) {
			dir := settings(t)
			s := open(t, dir, lims)
			if _, err := s.Put(t.Context(), message("a", "text")); err != nil {
				t.Fatal(err)
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			file := filepath.Join(dir.Directory, databaseFile)
			whole, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			broken := spoil(whole)
			if err := os.WriteFile(file, broken, 0o600); err != nil {
				t.Fatal(err)
			}
			if _, err := Open(t.Context(), dir, Options{Destinations: []Destination{lims}}); FaultOf(err) != CardCorrupt {
				t.Errorf("opening gives %v", err)
			}
			if now, err := os.ReadFile(file); err != nil || string(now) != string(broken) {
				t.Errorf("the file was changed (%v)", err)
			}
			if !Exists(dir.Directory) || Exists(t.TempDir()) {
				t.Error("a corrupt store is one, an empty directory is none")
			}
		})
	}
}
