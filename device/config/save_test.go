package config

import (
	"os"
	"path/filepath"
	"testing"
)

func TestSave(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "assaygate.yaml")
	expect := func(name, want string) {
		t.Helper()
		got, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil || string(got) != want {
			t.Errorf("%s holds %q, %v; want %q", name, got, err, want)
		}
		info, err := os.Stat(filepath.Join(dir, name))
		if err == nil && info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v", name, info.Mode())
		}
	}
	save := func(text string) {
		t.Helper()
		if err := Save(path, []byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	save("one")
	expect("assaygate.yaml", "one")
	if _, err := os.Stat(path + ".previous"); err == nil {
		t.Error("a previous file of nothing")
	}
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	save("two")
	expect("assaygate.yaml", "two")
	expect("assaygate.yaml.previous", "one")
	save("two") // the same again must not push out the one before
	expect("assaygate.yaml.previous", "one")

	link := filepath.Join(dir, "link.yaml")
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	path = link
	save("three")
	expect("assaygate.yaml", "three")
	expect("assaygate.yaml.previous", "two")
	if info, err := os.Lstat(link); err != nil || info.Mode()&os.ModeSymlink == 0 {
		t.Error("the link was replaced")
	}
	names, err := filepath.Glob(filepath.Join(dir, ".*"))
	if err != nil || len(names) != 0 {
		t.Errorf("left behind: %v", names)
	}
}

func TestSaveFails(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "assaygate.yaml")
	if err := Save(filepath.Join(dir, "none", "x"), nil); err == nil {
		t.Error("saved without a directory")
	}
	// What cannot be kept must not be replaced.
	if err := Save(path, []byte("one")); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(path+".previous", 0o700); err != nil {
		t.Fatal(err)
	}
	if err := Save(path, []byte("two")); err == nil {
		t.Error("saved without keeping the previous file")
	}
	if got, err := os.ReadFile(path); err != nil || string(got) != "one" {
		t.Errorf("the file holds %q, %v", got, err)
	}
	names, err := filepath.Glob(filepath.Join(dir, ".*"))
	if err != nil || len(names) != 0 {
		t.Errorf("left behind: %v", names)
	}
}
