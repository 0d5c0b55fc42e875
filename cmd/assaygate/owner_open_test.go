package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/assaygate/assaygate/device/owner"
)

// TestOwnerOpensWholeFilesOnly: what is cut off or changed leaves nothing that
// could be taken for the content.
func TestOwnerOpensWholeFilesOnly(t *testing.T) {
	directory := t.TempDir()
	text := bytes.Repeat([]byte("counter 1\n"), 20_000)
	var file bytes.Buffer
	w, err := owner.Encrypt(&file, publicOf(ownerKey(1)))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(text); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	key, err := owner.MarshalKey(ownerKey(1))
	if err != nil {
		t.Fatal(err)
	}
	changed := bytes.Clone(file.Bytes())
	changed[len(changed)-1] ^= 1
	for name, data := range map[string][]byte{
		"owner.key": key, "whole.age": file.Bytes(), "cut.age": file.Bytes()[:file.Len()-1], "changed.age": changed,
	} {
		if err := os.WriteFile(filepath.Join(directory, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	open := func(name string, more ...string) (status int, out, errs string) {
		var stdout, stderr bytes.Buffer
		status = execute(append([]string{"owner", "open", filepath.Join(directory, name), "--key", filepath.Join(directory, "owner.key")}, more...), &stdout, &stderr)
		return status, stdout.String(), stderr.String()
	}
	for _, name := range []string{"cut", "changed"} {
		if status, _, errs := open(name + ".age"); status != failed || !strings.Contains(errs, name+" could not be written whole") {
			t.Errorf("%s: status %d, %s", name, status, errs)
		}
		if _, err := os.Stat(filepath.Join(directory, name)); err == nil {
			t.Errorf("%s: a part of it is left", name)
		}
		if status, _, errs := open(name+".age", "--output", "-"); status != failed || !strings.Contains(errs, "is not whole") {
			t.Errorf("%s to standard output: status %d, %s", name, status, errs)
		}
	}
	if status, out, errs := open("whole.age"); status != done || out != filepath.Join(directory, "whole")+"\n" || errs != "" {
		t.Errorf("status %d, %s%s", status, out, errs)
	}
	if back, err := os.ReadFile(filepath.Join(directory, "whole")); err != nil || !bytes.Equal(back, text) {
		t.Errorf("read back %d bytes, %v", len(back), err)
	}
	if status, out, _ := open("whole.age", "--output", "-"); status != done || out != string(text) {
		t.Errorf("to standard output: status %d, %d bytes", status, len(out))
	}
}
