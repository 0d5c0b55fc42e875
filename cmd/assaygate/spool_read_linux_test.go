package main

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// oneMessage runs a gateway that stores one message and delivers it to files.
func oneMessage(t *testing.T, directory string) *running {
	t.Helper()
	r := start(t, base(directory)+`
instruments: [{name: hl7, hl7: {listen: "127.0.0.1:0"}}]
destinations: [{name: files, capture: {directory: "`+t.TempDir()+`"}}]
`)
	if answer := cardLines[2].send(r.addresses["hl7"], "SAMPLE-1"); answer != "AA" {
		t.Fatalf("the message was answered with %q", answer)
	}
	r.settled()
	return r
}

// copyStore copies the files of a store but those left out, as a power cut would
// leave them.
func copyStore(t *testing.T, from string, without ...string) (data string) {
	t.Helper()
	data = t.TempDir()
	if err := os.Mkdir(filepath.Join(data, "spool"), 0o700); err != nil {
		t.Fatal(err)
	}
	skip := map[string]bool{"control": true}
	for _, name := range without {
		skip[name] = true
	}
	entries, err := os.ReadDir(filepath.Join(from, "spool"))
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		if skip[entry.Name()] {
			continue
		}
		text, err := os.ReadFile(filepath.Join(from, "spool", entry.Name()))
		if err == nil {
			err = os.WriteFile(filepath.Join(data, "spool", entry.Name()), text, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return data
}

// freeze makes a directory read-only, also for root.
func freeze(t *testing.T, directory string) {
	t.Helper()
	err := errors.Join(
		unix.Mount(directory, directory, "", unix.MS_BIND, ""),
		unix.Mount("", directory, "", unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY, ""))
	if err != nil {
		t.Skipf("NOT TESTED: a read-only card: %v", err)
	}
	t.Cleanup(func() { unix.Unmount(directory, unix.MNT_DETACH) }) // the process ends soon
}

// spoolSays runs a command on a store and returns its status and all it says.
func spoolSays(data string, args ...string) (status int, said string) {
	var out, errs bytes.Buffer
	status = execute(append([]string{"spool", "--data", data}, args...), &out, &errs)
	return status, out.String() + errs.String()
}

// wantReadable expects that every command which reads finds the one message.
func wantReadable(t *testing.T, data string) {
	t.Helper()
	for want, args := range map[string][]string{
		"last sequence 1":    {"status"},
		"SAMPLE-1":           {"list"},
		"checked 1 messages": {"verify"},
		"exported":           {"export", filepath.Join(t.TempDir(), "records")},
	} {
		if status, said := spoolSays(data, args...); status != 0 || !strings.Contains(said, want) {
			t.Errorf("spool %s ends with %d and says %s", args[0], status, said)
		}
	}
	_, list := spoolSays(data, "list", "--json")
	_, id, _ := strings.Cut(list, `"id": "`)
	id, _, _ = strings.Cut(id, `"`)
	for _, command := range []string{"show", "raw"} {
		if status, said := spoolSays(data, command, id); status != 0 || !strings.Contains(said, "SAMPLE-1") {
			t.Errorf("spool %s ends with %d and says %s", command, status, said)
		}
	}
}

// TestReadOnlyCardCanBeRead has a card that the kernel has made read-only: what is
// on it can be looked at and carried away.
func TestReadOnlyCardCanBeRead(t *testing.T) {
	if !inOwnMounts(t) {
		return
	}
	running := t.TempDir()
	r := oneMessage(t, running)
	cut := copyStore(t, running)
	noIndex := copyStore(t, running, "spool.db-shm")
	if info, err := os.Stat(filepath.Join(cut, "spool", "spool.db-wal")); err != nil || info.Size() == 0 {
		t.Fatalf("nothing is in the WAL: %v", err)
	}
	r.end()
	keyless := copyStore(t, running, "identity.key")
	bare := copyStore(t, running, "lock")
	old := t.TempDir()
	if err := os.CopyFS(filepath.Join(old, "spool"), os.DirFS("../../envelope/spool/testdata/stores/schema-1/closed")); err != nil {
		t.Fatal(err)
	}
	for _, data := range []string{running, cut, noIndex, keyless, bare, old} {
		freeze(t, data)
	}
	for name, data := range map[string]string{"closed": running, "power cut": cut, "no lock": bare} {
		t.Run(name, func(t *testing.T) { wantReadable(t, data) })
	}
	for _, refused := range []struct{ name, data, command, want string }{
		{"a decision", running, "retry --all", "read-only file system"},
		{"no key to sign with", keyless, "export " + filepath.Join(t.TempDir(), "records"), "there is no identity.key to sign with"},
		{"messages that cannot be read", noIndex, "list", "copy the directory"},
		{"an earlier release's store", old, "list", "schema version 1"},
	} {
		status, said := spoolSays(refused.data, strings.Fields(refused.command)...)
		if status != failed || !strings.Contains(said, refused.want) || strings.Count(said, "\n") != 1 {
			t.Errorf("%s: it ends with %d and says %s", refused.name, status, said)
		}
	}
}

// TestFullCardCanBeRead has a card on which not even the index of the WAL has room.
func TestFullCardCanBeRead(t *testing.T) {
	if !inOwnMounts(t) {
		return
	}
	card := memory(t, 32<<20)
	oneMessage(t, card).end()
	fill(t, card)
	wantReadable(t, card)
}

// TestReadingChangesNothing has a high-water mark that lags, as it may: who only
// looks does not bring it up to date.
func TestReadingChangesNothing(t *testing.T) {
	data := t.TempDir()
	oneMessage(t, data).end()
	mark := filepath.Join(data, "spool", "highwater")
	if err := os.WriteFile(mark, []byte("sequence 0 audit 0\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	names := []string{"highwater", "lock", "spool.db", "box.key", "identity.key"}
	files := func() (all []string) {
		for _, name := range names {
			text, err := os.ReadFile(filepath.Join(data, "spool", name))
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, string(text))
		}
		return all
	}
	before := files()
	wantReadable(t, data)
	for n, after := range files() {
		if after != before[n] {
			t.Errorf("%s was changed", names[n])
		}
	}
}

// TestReadingAnEarlierStore has it brought up to date first, which takes a writer.
func TestReadingAnEarlierStore(t *testing.T) {
	data := t.TempDir()
	if err := os.CopyFS(filepath.Join(data, "spool"), os.DirFS("../../envelope/spool/testdata/stores/schema-1/closed")); err != nil {
		t.Fatal(err)
	}
	if status, said := spoolSays(data, "status"); status != 0 || !strings.Contains(said, "schema ") {
		t.Errorf("spool status ends with %d and says %s", status, said)
	}
}

// TestExportMakesAMissingKey has a store without the key that exports are signed
// with, on a card that can be written to.
func TestExportMakesAMissingKey(t *testing.T) {
	data := t.TempDir()
	oneMessage(t, data).end()
	keyless := copyStore(t, data, "identity.key")
	if status, said := spoolSays(keyless, "export", filepath.Join(t.TempDir(), "records")); status != 0 {
		t.Errorf("spool export ends with %d and says %s", status, said)
	}
	if status, said := spoolSays(keyless, "status"); status != 0 || !strings.Contains(said, "public key ") {
		t.Errorf("spool status ends with %d and says %s", status, said)
	}
}
