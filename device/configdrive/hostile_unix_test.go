//go:build unix

package configdrive

import (
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
)

func TestNoPlainFile(t *testing.T) {
	for name, make := range map[string]func(path string) error{
		"link":      func(path string) error { return os.Symlink("/etc/hostname", path) },
		"link here": func(path string) error { return os.Symlink("other", path) },
		"pipe":      func(path string) error { return syscall.Mkfifo(path, 0o600) },
	} {
		t.Run(name, func(t *testing.T) {
			within(t, func(t *testing.T, b *box) {
				put(t, b.Directory, "other", "version: 1")
				if err := make(filepath.Join(b.Directory, ConfigName)); err != nil {
					t.Fatal(err)
				}
				b.look(3)
				b.wantCalls()
				if want := []string{"assaygate.yaml is not a plain file; copy the file itself to the stick"}; !slices.Equal(b.reports[0].Faults, want) {
					t.Errorf("reported %+v", b.reports)
				}
			})
		})
	}
}

// TestAFileThatBecomesAPipe: between the look and the reading anything may
// happen; the reading neither follows nor waits.
func TestAFileThatBecomesAPipe(t *testing.T) {
	directory := t.TempDir()
	put(t, directory, ConfigName, "")
	root, err := os.OpenRoot(directory)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	found, err := look(root)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(directory, ConfigName)
	for _, put := range []func() error{
		func() error { return syscall.Mkfifo(path, 0o600) },
		func() error { return os.Symlink("/etc/hostname", path) },
		func() error { return os.WriteFile(path, nil, 0o600) },
	} {
		if err := os.Rename(path, path+".before"); err != nil {
			t.Fatal(err)
		}
		if err := put(); err != nil {
			t.Fatal(err)
		}
		if _, err := found.read(root, func(string) error { return nil }); err == nil {
			t.Error("another file was taken for the one that was seen")
		}
	}
}
