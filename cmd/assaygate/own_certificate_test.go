//go:build unix

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/assaygate/assaygate/device/certificate"
)

// The certificate of a box goes into its backup, and away with a factory reset.
func TestCertificateIsOfTheBox(t *testing.T) {
	directory := t.TempDir()
	config := filepath.Join(directory, "config", "assaygate.yaml")
	must(t, os.Mkdir(filepath.Dir(config), 0o700))
	must(t, os.WriteFile(config, []byte(fmt.Sprintf("version: 1\nspool: {directory: %q}\nadmin: {listen: \"\"}\nconsole: {listen: \"127.0.0.1:0\"}\n", filepath.Join(directory, "spool"))), 0o600))
	r := startFile(t, config)
	print, err := r.fingerprint()
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(directory, "config", "secrets", certificateFile)
	for path, mode := range map[string]os.FileMode{file: 0o600, filepath.Dir(file): 0o700} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != mode {
			t.Errorf("%s: %v, %v", path, info, err)
		}
	}
	var told struct {
		Certificate string `json:"certificate_sha256"`
	}
	var out bytes.Buffer
	if err := (&versionCommand{JSON: true, Config: config}).Run(&streams{out: &out, err: io.Discard}); err != nil || json.Unmarshal(out.Bytes(), &told) != nil || told.Certificate != print {
		t.Errorf("%s, %v; want %s", &out, err, print)
	}

	b, err := r.ownership().backup(filepath.Join(directory, "spool"))
	if err != nil || len(b.members["config/secrets/"+certificateFile]) == 0 {
		t.Errorf("a backup of %v, %v", sortedKeys(b.members), err)
	}
	wipes, err := resetting{config: config}.wipes()
	if err != nil || !slices.Contains(wipes, file) {
		t.Errorf("a reset leaves it: %q, %v", wipes, err)
	}

	// Another one's takes its place when its backup is restored.
	other := filepath.Join(t.TempDir(), "own.pem")
	pair, _, err := certificate.Ensure(other, certificate.Names{})
	must(t, err)
	must(t, os.Rename(other, file))
	if now, err := r.fingerprint(); now != certificate.Fingerprint(pair) {
		t.Errorf("%s, %v", now, err)
	}
	r.end()
	must(t, os.RemoveAll(filepath.Dir(file)))
	again := startFile(t, config)
	if now, err := again.fingerprint(); err != nil || now == print || now == "" {
		t.Errorf("after a reset: %s, %v", now, err)
	}
	if strings.Contains(again.log.text(), "PRIVATE") {
		t.Error("the key is in the log")
	}
}

// Where nothing can be written beside the configuration it is in the store.
func TestCertificateHasASecondPlace(t *testing.T) {
	directory := t.TempDir()
	config := filepath.Join(directory, "etc", "assaygate.yaml")
	must(t, os.Mkdir(filepath.Dir(config), 0o700))
	must(t, os.WriteFile(filepath.Join(filepath.Dir(config), secretsFolder), nil, 0o600)) // in the way
	must(t, os.WriteFile(config, []byte(fmt.Sprintf("version: 1\nspool: {directory: %q}\nadmin: {listen: \"\"}\nconsole: {listen: \"127.0.0.1:0\"}\n", filepath.Join(directory, "spool"))), 0o600))
	r := startFile(t, config)
	_, path, err := r.ownCertificate()
	if err != nil || path != filepath.Join(directory, "spool", certificateFile) {
		t.Errorf("%s, %v", path, err)
	}
	print, _ := r.fingerprint()
	if told, err := (&versionCommand{Config: config}).fingerprint(); told != print {
		t.Errorf("%s, %v", told, err)
	}
}
