//go:build unix

package spool

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// These variables turn the test binary into the process that imports.
const (
	importDirectory = "SPOOL_TEST_IMPORT"
	importArchive   = "SPOOL_TEST_IMPORT_ARCHIVE"
)

// importAndOpen imports into a new store and opens it again, and says how far it
// is.
func importAndOpen(dir string) {
	if err := importOnce(dir); err != nil {
		fmt.Println("error", err)
		os.Exit(1)
	}
	os.Exit(0)
}

func importOnce(dir string) error {
	archive, err := os.Open(os.Getenv(importArchive))
	if err != nil {
		return err
	}
	defer archive.Close()
	options := Options{Destinations: []Destination{lims}}
	s, err := Open(context.Background(), Settings{Directory: dir}, options)
	if err != nil {
		return err
	}
	fmt.Println("importing")
	_, err = s.Stage(context.Background(), archive, Terms{By: "anna"}, nil)
	if err = errors.Join(err, s.Close()); err != nil {
		return err
	}
	if err := s.Admit(context.Background()); err != nil {
		return err
	}
	fmt.Println("imported")
	if s, err = Open(context.Background(), Settings{Directory: dir}, options); err != nil {
		return err
	}
	fmt.Println("open")
	return s.Close()
}

// TestKilledImport kills the process at random moments of an import: the next
// one has the empty store or the whole of the other, never a part.
func TestKilledImport(t *testing.T) {
	old := open(t, settings(t), lims)
	for n := range 40 {
		put(t, old, message(fmt.Sprint("lane ", n%5), fmt.Sprint(n)))
	}
	want := everything(t, old)
	archive := filepath.Join(t.TempDir(), "archive")
	if err := os.WriteFile(archive, archived(t, old).Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}

	var whole time.Duration // of an import that nobody kills
	empty, all := 0, 0
	for round := range 15 {
		dir := settings(t)
		child := itself()
		child.Env = append(os.Environ(), importDirectory+"="+dir.Directory, importArchive+"="+archive)
		out, err := child.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		if !lines.Scan() || lines.Text() != "importing" {
			t.Fatalf("the child says %q", lines.Text())
		}
		began := time.Now()
		if round > 0 {
			time.Sleep(rand.N(whole)) // a random moment of the import, not a wait
			if err := child.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
				t.Fatal(err)
			}
		}
		last := "importing"
		for lines.Scan() {
			last = lines.Text()
		}
		_ = child.Wait() // it was killed
		if round == 0 {
			if whole = time.Since(began); last != "open" {
				t.Fatalf("nobody killed it, and it says %q", last)
			}
		}
		s := open(t, dir, lims)
		status, err := s.Status(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if status.Messages == 0 && last == "importing" {
			empty++
			wantNoImport(t, dir.Directory)
			put(t, s, message("a", "1"))
			wantClean(t, s)
		} else {
			all++
			wantImported(t, s, want)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
	t.Logf("%d times the empty store, %d times the whole one", empty, all)
}
