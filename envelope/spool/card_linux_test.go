package spool

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/assaygate/assaygate/envelope"
)

// cards are the file systems of 32 MiB that can really be filled.
var cards = map[string]func(t *testing.T) (directory string){
	"tmpfs": func(t *testing.T) string {
		directory := t.TempDir()
		if err := unix.Mount("none", directory, "tmpfs", 0, "size=32m"); err != nil {
			t.Skipf("SKIPPED: a full card cannot be tried, for mounting a tmpfs gives: %v", err)
		}
		t.Cleanup(func() { unmount(t, directory) })
		return directory
	},
	"ext4": func(t *testing.T) string {
		image := filepath.Join(t.TempDir(), "card")
		do(t, os.WriteFile(image, nil, 0o600), os.Truncate(image, 32<<20))
		// No part is reserved for root, who may run this.
		if out, err := exec.Command("mkfs.ext4", "-q", "-m", "0", image).CombinedOutput(); err != nil {
			t.Skipf("SKIPPED: a full ext4 cannot be tried: %v %s", err, out)
		}
		directory := t.TempDir()
		if out, err := exec.Command("mount", "-o", "loop", image, directory).CombinedOutput(); err != nil {
			t.Skipf("SKIPPED: a full ext4 cannot be tried: %v %s", err, out)
		}
		t.Cleanup(func() { unmount(t, directory) })
		return directory
	},
}

func unmount(t *testing.T, directory string) {
	if err := unix.Unmount(directory, 0); err != nil {
		t.Errorf("unmounting %s: %v", directory, err)
	}
}

// fillCard writes a file of somebody else until the card has no byte left.
func fillCard(t *testing.T, directory string) (path string) {
	t.Helper()
	path = filepath.Join(directory, "foreign")
	file, err := os.Create(path)
	do(t, err)
	defer file.Close()
	for size := 1 << 20; size > 0; size /= 2 {
		for err = nil; err == nil; {
			_, err = file.Write(make([]byte, size))
		}
		if !errors.Is(err, unix.ENOSPC) {
			t.Fatal(err)
		}
	}
	return path
}

// tended opens a store on the card and tends it until the test ends.
func tended(t *testing.T, dir Settings) (*Spool, func()) {
	t.Helper()
	s, err := Open(t.Context(), dir, Options{Destinations: []Destination{lims}, Log: slog.New(slog.NewTextHandler(io.Discard, nil))})
	do(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { s.Tend(ctx); close(done) }()
	stop := func() { cancel(); <-done; s.Close() }
	t.Cleanup(stop)
	return s, stop
}

// until waits for something to become true, as it must.
func until(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !is(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("in a minute %s", what)
		}
	}
}

func sized(text string, n int) envelope.Envelope {
	e := message("a", text)
	e.Raw = bytes.Repeat([]byte(text), n/len(text))
	return e
}

// TestFullCard fills a real file system to the last byte.
func TestFullCard(t *testing.T) {
	for name, card := range cards {
		t.Run(name, func(t *testing.T) {
			t.Run("with nothing finished", func(t *testing.T) { fullOfUnfinished(t, card(t)) })
			t.Run("with finished messages", func(t *testing.T) { fullOfFinished(t, card(t)) })
		})
	}
}

func fullOfUnfinished(t *testing.T, directory string) {
	dir := Defaults()
	dir.Directory = filepath.Join(directory, "spool")
	s, stop := tended(t, dir)
	kept := map[string]envelope.Envelope{}
	for i := range 40 {
		e := put(t, s, sized(fmt.Sprint("message ", i), 64<<10))
		kept[e.ID] = e
	}
	until(t, "there is no ballast", func() bool { _, err := os.Stat(s.ballastPath()); return err == nil })
	do(t, s.writer.fold(t.Context())) // or the WAL's own room would do
	foreign := fillCard(t, directory)
	for i := range 30 {
		e := sized(fmt.Sprint("more ", i), 64<<10)
		if _, err := s.Put(t.Context(), e); errors.Is(err, ErrUncertain) || err != nil && !errors.Is(err, ErrNoRoom) {
			t.Fatalf("Put on a full card gives %v", err)
		} else if err == nil {
			kept[e.ID] = e // in the WAL there was room left
		}
	}
	s.room.askAgain()
	if err := s.Room(); !errors.Is(err, ErrNoRoom) {
		t.Errorf("Room gives %v", err)
	}
	if err := s.PutDraft(t.Context(), "line", sized("draft", 1<<10)); !errors.Is(err, ErrNoRoom) {
		t.Errorf("PutDraft gives %v", err)
	}
	// What makes room in the end goes on, at the cost of the ballast if need be.
	for seq := range uint64(3) {
		until(t, "no delivery could be noted", func() bool { return s.Delivered(t.Context(), "lims", seq+1, "") == nil })
	}
	do(t, s.Err())
	wantClean(t, s)

	// A gateway that starts on the full card comes up and says so.
	stop()
	s, _ = tended(t, dir)
	if err := s.Room(); !errors.Is(err, ErrNoRoom) {
		t.Errorf("after a start Room gives %v", err)
	}
	do(t, os.Remove(foreign))
	until(t, "nothing is taken in again", func() bool { return s.Room() == nil })
	e := put(t, s, sized("at last", 64<<10))
	kept[e.ID] = e
	until(t, "the ballast is not made again", func() bool { _, err := os.Stat(s.ballastPath()); return err == nil })
	for id, e := range kept {
		raw, err := s.Raw(t.Context(), id)
		if errors.Is(err, ErrNotFound) && e.Sequence <= 3 && e.Sequence > 0 {
			continue // they were delivered, and had to make room
		}
		if err != nil || !bytes.Equal(raw, e.Raw) {
			t.Errorf("message %d is lost or changed: %v", e.Sequence, err)
		}
	}
	do(t, s.Err())
	wantClean(t, s)
}

// fullOfFinished leaves the foreign file where it is: what is finished goes.
func fullOfFinished(t *testing.T, directory string) {
	dir := Defaults()
	dir.Directory = filepath.Join(directory, "spool")
	s, _ := tended(t, dir)
	pending := map[string]envelope.Envelope{}
	for i := range 140 {
		e := put(t, s, sized(fmt.Sprint("message ", i), 96<<10))
		if i%10 == 0 {
			pending[e.ID] = e
			continue
		}
		do(t, s.Delivered(t.Context(), "lims", e.Sequence, ""))
	}
	until(t, "there is no ballast", func() bool { _, err := os.Stat(s.ballastPath()); return err == nil })
	do(t, s.writer.fold(t.Context())) // or the WAL's own room would do
	foreign := fillCard(t, directory)
	before, err := os.Stat(foreign)
	do(t, err)
	until(t, "nothing finished goes", func() bool { return s.retention.pruned.Load() > 0 })
	until(t, "nothing is taken in again", func() bool { return s.Room() == nil })
	put(t, s, sized("at last", 64<<10))
	if after, err := os.Stat(foreign); err != nil || after.Size() != before.Size() {
		t.Errorf("the other's file has %d of %d bytes, %v", after.Size(), before.Size(), err)
	}
	for id, e := range pending {
		raw, err := s.Raw(t.Context(), id)
		if err != nil || !bytes.Equal(raw, e.Raw) {
			t.Errorf("message %d is lost or changed: %v", e.Sequence, err)
		}
	}
	if status, err := s.Status(t.Context()); err != nil || status.Pruned == 0 || status.NoRoom != "" {
		t.Errorf("the status is %+v, %v", status, err)
	}
	do(t, s.Err())
	wantClean(t, s)
}
