package spool

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

var laboratory = Origin{Box: "haematology-1", Version: "v1.2.3"}

// export writes a store into a directory, and expects that it is whole.
func export(t testing.TB, s *Spool) string {
	t.Helper()
	directory := filepath.Join(t.TempDir(), "export")
	exportTo(t, s, directory)
	if _, report, err := Check(t.Context(), directory, s.Identity(), nil); err != nil || len(report.Problems) > 0 {
		t.Fatalf("the export: %+v, %v", report, err)
	}
	return directory
}

func exportTo(t testing.TB, s *Spool, directory string) {
	t.Helper()
	if err := Unpack(t.Context(), archived(t, s), directory, nil); err != nil {
		t.Fatal(err)
	}
}

// archived is an export as it travels.
func archived(t testing.TB, s *Spool) *bytes.Buffer {
	t.Helper()
	var archive bytes.Buffer
	if err := s.Export(t.Context(), &archive, laboratory); err != nil {
		t.Fatal(err)
	}
	return &archive
}

func TestExportSaysWhatItHolds(t *testing.T) {
	s := open(t, settings(t), lims, Destination{Name: "files", Everything: true}, Destination{Name: "gone"})
	populate(t, s)
	directory := export(t, s)
	m, err := ReadManifest(directory, nil)
	if err != nil {
		t.Fatal(err)
	}
	status, err := s.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if m.Origin != laboratory || m.PublicKey != status.PublicKey || m.Messages != status.Messages || m.LastSequence != status.LastSequence ||
		m.FirstSequence != 1 || m.Drafts != 1 || m.AuditRows != status.AuditRows || m.AuditHash != status.AuditHash || m.Schema != schemaVersion {
		t.Errorf("the manifest says %+v, the store %+v", m, status)
	}
	for _, d := range status.Destinations {
		if m.Deliveries[d.Name][Pending] != d.Pending || m.Deliveries[d.Name][Parked] != d.Parked || m.Deliveries[d.Name][Delivered] != d.Delivered {
			t.Errorf("at %s: %v, the store says %+v", d.Name, m.Deliveries[d.Name], d)
		}
	}
	entries, err := os.ReadDir(directory)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, entry := range entries {
		names = append(names, entry.Name())
		if info, err := entry.Info(); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v (%v)", entry.Name(), info.Mode(), err)
		}
	}
	if want := []string{keyFile, highWaterFile, manifestFile, signatureFile, databaseFile}; !slices.Equal(names, want) {
		t.Errorf("its files are %q, want %q", names, want)
	}
	if info, err := os.Stat(directory); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the directory has mode %v (%v)", info.Mode(), err)
	}
}

// busyWriter is a destination that lets time pass: instruments go on meanwhile.
type busyWriter struct {
	io.Writer
	meanwhile func()
	written   int
}

func (b *busyWriter) Write(p []byte) (int, error) {
	b.written += len(p)
	b.meanwhile()
	return b.Writer.Write(p)
}

// TestExportIsOneMoment stores, delivers and folds the WAL at each write of an
// export: nothing waits for it, and it holds what was there when it began.
func TestExportIsOneMoment(t *testing.T) {
	s := open(t, settings(t), lims)
	for n := range 300 {
		put(t, s, message("a", fmt.Sprint(n)))
	}
	before := s.AuditHead()
	var archive bytes.Buffer
	out := &busyWriter{Writer: &archive}
	out.meanwhile = func() {
		e := put(t, s, message("a", fmt.Sprint("meanwhile ", out.written)))
		if err := s.Delivered(t.Context(), "lims", e.Sequence-300, ""); err != nil {
			t.Error(err)
		}
		// As the writer does when it is idle.
		if err := s.writer.write(t.Context(), func(*tx) error { return nil }); err != nil {
			t.Error(err)
		}
	}
	if err := s.Export(t.Context(), out, laboratory); err != nil {
		t.Fatal(err)
	}
	if out.written < 5*(64<<10) {
		t.Fatalf("only %d bytes were written: too few for anything to happen meanwhile", out.written)
	}
	directory := filepath.Join(t.TempDir(), "export")
	if err := Unpack(t.Context(), &archive, directory, nil); err != nil {
		t.Fatal(err)
	}
	m, report, err := Check(t.Context(), directory, nil, nil)
	if err != nil || len(report.Problems) > 0 {
		t.Fatalf("%+v, %v", report, err)
	}
	if m.Messages != 300 || m.Deliveries["lims"][Pending] != 300 || m.AuditRows != before.Row || m.AuditHash != before.Hash {
		t.Errorf("it holds %+v", m.Contents)
	}
	// The snapshot is over: the WAL can be folded again.
	var busy, frames, moved int
	if err := s.writer.scan("PRAGMA wal_checkpoint(TRUNCATE)", nil, &busy, &frames, &moved); err != nil || busy != 0 {
		t.Errorf("the WAL stays: busy %d, %v", busy, err)
	}
	wantClean(t, s)
}

// TestExportWhileInstrumentsSend exports again and again while messages come: the
// manifest and the database are of the same moment.
func TestExportWhileInstrumentsSend(t *testing.T) {
	s := open(t, settings(t), lims)
	stop := make(chan struct{})
	var instruments sync.WaitGroup
	for n := range 3 {
		instruments.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
					put(t, s, message(fmt.Sprint("lane ", n), fmt.Sprint(i)))
				}
			}
		})
	}
	defer instruments.Wait()
	defer close(stop)
	for range 10 {
		export(t, s)
	}
}

func TestExportThatBreaksOffLeavesNothing(t *testing.T) {
	s := open(t, settings(t), lims)
	populate(t, s)
	whole := archived(t, s).Bytes()
	for n := range 200 {
		// At the end there is padding: of the last file, and a kilobyte.
		cut := rand.IntN(len(whole) - 1024 - 512)
		directory := filepath.Join(t.TempDir(), "export")
		if n%2 == 0 { // that is there already, and stays
			if err := os.Mkdir(directory, 0o700); err != nil {
				t.Fatal(err)
			}
		}
		if err := Unpack(t.Context(), bytes.NewReader(whole[:cut]), directory, nil); !errors.Is(err, ErrBadExport) {
			t.Errorf("cut after %d of %d bytes: %v", cut, len(whole), err)
		}
		entries, err := os.ReadDir(directory)
		if len(entries) > 0 || os.IsNotExist(err) == (n%2 == 0) {
			t.Errorf("cut after %d bytes: it leaves %v (%v)", cut, entries, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	directory := filepath.Join(t.TempDir(), "export")
	if err := Unpack(ctx, bytes.NewReader(whole), directory, nil); !errors.Is(err, context.Canceled) || exists(directory) {
		t.Errorf("interrupted: %v", err)
	}
	if err := s.Export(ctx, io.Discard, laboratory); !errors.Is(err, context.Canceled) {
		t.Errorf("an interrupted export: %v", err)
	}
	full := errors.New("the stick is full")
	if err := s.Export(t.Context(), failingWriter{full}, laboratory); !errors.Is(err, full) {
		t.Errorf("a full stick: %v", err)
	}
}

type failingWriter struct{ err error }

func (f failingWriter) Write([]byte) (int, error) { return 0, f.err }

func TestExportTouchesNoFileOfOthers(t *testing.T) {
	s := open(t, settings(t), lims)
	put(t, s, message("a", "1"))
	directory := t.TempDir()
	path := filepath.Join(directory, databaseFile)
	if err := os.WriteFile(path, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Unpack(t.Context(), archived(t, s), directory, nil); !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), "is not empty") {
		t.Errorf("into a directory that is not empty: %v", err)
	}
	if text, err := os.ReadFile(path); err != nil || string(text) != "mine" {
		t.Errorf("the file that was there: %q, %v", text, err)
	}
}

// TestTamperedExportIsRefused flips a bit of each of some hundred bytes of every
// file, all of the small ones: each is found, and the file named.
func TestTamperedExportIsRefused(t *testing.T) {
	s := open(t, settings(t), lims, Destination{Name: "files", Everything: true}, Destination{Name: "gone"})
	populate(t, s)
	directory := export(t, s)
	for _, name := range []string{databaseFile, keyFile, highWaterFile, manifestFile, signatureFile} {
		path := filepath.Join(directory, name)
		good, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		offsets := make([]int, len(good))
		for i := range offsets {
			offsets[i] = i
		}
		if len(good) > 2000 {
			rand.Shuffle(len(offsets), func(i, j int) { offsets[i], offsets[j] = offsets[j], offsets[i] })
			offsets = offsets[:300]
		}
		tampered := func(what string, bad []byte) {
			if err := os.WriteFile(path, bad, 0o600); err != nil {
				t.Fatal(err)
			}
			_, _, err := Check(t.Context(), directory, nil, nil)
			if !errors.Is(err, ErrBadExport) {
				t.Errorf("%s, %s: %v", name, what, err)
			}
			if err != nil && !strings.Contains(err.Error(), name) && name != manifestFile {
				t.Errorf("%s, %s: the file is not named: %v", name, what, err)
			}
		}
		for _, offset := range offsets {
			bad := slices.Clone(good)
			bad[offset] ^= 1 << rand.IntN(8)
			tampered(fmt.Sprint("byte ", offset), bad)
		}
		tampered("cut", good[:len(good)-1])
		tampered("with more behind it", append(slices.Clone(good), 0))
		tampered("empty", nil)
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		if _, _, err := Check(t.Context(), directory, nil, nil); !errors.Is(err, ErrBadExport) || !strings.Contains(err.Error(), name) {
			t.Errorf("%s is missing: %v", name, err)
		}
		if err := os.WriteFile(path, good, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	// What lies beside the files is of no account, a WAL of the database either.
	for _, name := range []string{databaseFile + "-wal", "note.txt"} {
		if err := os.WriteFile(filepath.Join(directory, name), []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if _, report, err := Check(t.Context(), directory, nil, nil); err != nil || len(report.Problems) > 0 {
		t.Errorf("with all as it was: %+v, %v", report, err)
	}
}

func TestIdentity(t *testing.T) {
	dir := settings(t)
	s := open(t, dir)
	path := filepath.Join(dir.Directory, identityFile)
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the key's file: %v, %v", info, err)
	}
	key := s.Identity()
	s.Close()
	if again := open(t, dir); !again.Identity().Equal(key) {
		t.Error("the box has another identity after a restart")
	} else {
		again.Close()
	}
	reader, err := OpenReadOnly(t.Context(), dir.Directory)
	if err != nil || !reader.Identity().Equal(key) {
		t.Errorf("a reader sees %v (%v)", reader.Identity(), err)
	}
	reader.Close()
	if other := open(t, settings(t)); other.Identity().Equal(key) {
		t.Error("two boxes have one identity")
	}
	if back, err := ParseKey(FormatKey(key)); err != nil || !back.Equal(key) || len(FormatKey(key)) != 44 {
		t.Errorf("%s is read as %v (%v)", FormatKey(key), back, err)
	}
	for _, text := range []string{"", "x", FormatKey(key[:31]), FormatKey(key) + "A"} {
		if _, err := ParseKey(text); err == nil {
			t.Errorf("%q passes for a key", text)
		}
	}
	if FormatKey(ed25519.PublicKey(nil)) != "" {
		t.Error("no key is shown as one")
	}
	if err := os.WriteFile(path, []byte("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	// Messages are taken in all the same.
	s = open(t, dir, lims)
	put(t, s, message("a", "1"))
	if err := s.Export(t.Context(), io.Discard, laboratory); err == nil || !strings.Contains(err.Error(), "holds no Ed25519 key") || s.Identity() != nil {
		t.Errorf("with a broken key: %v", err)
	}
}
