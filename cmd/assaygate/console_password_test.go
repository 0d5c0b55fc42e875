package main

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What becomes of the configuration while somebody types a password stays.
func TestConsolePasswordKeepsWhatChangesMeanwhile(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "assaygate.yaml")
	must(t, os.WriteFile(file, []byte("version: 1\nlog: {level: info}\n"), 0o600))
	typed := func() (string, error) {
		return "four words or more", os.WriteFile(file, []byte("version: 1\nlog: {level: debug}\n"), 0o600)
	}
	must(t, (&passwordCommand{Name: "anna", Config: file}).run(&streams{io.Discard, io.Discard}, typed))
	text, err := os.ReadFile(file)
	must(t, err)
	if c, err := parseConfig(text, file); err != nil || c.Log.Level != "debug" || len(c.Console.Users) != 1 || strings.Contains(string(text), "four words") {
		t.Errorf("%v\n%s", err, text)
	}
}
