//go:build unix

package main

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestPlainFilesOnly(t *testing.T) {
	directory := t.TempDir()
	at := func(name string) string { return filepath.Join(directory, name) }
	plant(t, directory, "file", "what it says")
	socket, err := net.Listen("unix", at("socket"))
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	for _, err := range []error{unix.Mkfifo(at("pipe"), 0o600), os.Mkdir(at("directory"), 0o700), os.Symlink("file", at("link"))} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if text, err := readPlain(at("file"), 4); err != nil || string(text) != "what" {
		t.Errorf("%q, %v", text, err)
	}
	for _, name := range []string{"socket", "pipe", "directory", "link"} {
		if text, err := readPlain(at(name), 100); err == nil || !strings.Contains(err.Error(), "is not a file") {
			t.Errorf("a %s: %q, %v", name, text, err)
		}
	}
	if _, err := readPlain(at("nothing"), 100); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("what is not there: %v", err)
	}
}

// Who owns the directory puts a pipe in the file's place while it is being read,
// again and again: nobody waits for it.
func TestPlainFileThatBecomesAPipe(t *testing.T) {
	directory := t.TempDir()
	path, next := filepath.Join(directory, "status.json"), filepath.Join(directory, "next")
	plant(t, directory, "status.json", "{}")
	ended, stop := make(chan error, 1), make(chan struct{})
	go func() {
		for pipe := true; ; pipe = !pipe {
			select {
			case <-stop:
				ended <- nil
				return
			default:
			}
			err := os.WriteFile(next, []byte("{}"), 0o600)
			if pipe {
				os.Remove(next)
				err = unix.Mkfifo(next, 0o600)
			}
			if err := errors.Join(err, os.Rename(next, path)); err != nil {
				ended <- err
				return
			}
		}
	}()
	files, others := 0, 0
	for range 50_000 {
		switch text, err := readPlain(path, 100); {
		case err == nil && string(text) == "{}":
			files++
		case err != nil && strings.Contains(err.Error(), "is not a file"):
			others++
		default:
			t.Fatalf("%q, %v", text, err)
		}
	}
	close(stop)
	if err := <-ended; err != nil || files == 0 || others == 0 {
		t.Errorf("%d times a file, %d times none, %v", files, others, err)
	}
}
