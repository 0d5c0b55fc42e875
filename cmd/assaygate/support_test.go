package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/assaygate/assaygate/device/board"
	"github.com/assaygate/assaygate/device/owner"
	"github.com/assaygate/assaygate/envelope/spool"
)

// bundled reads a bundle that is not encrypted.
func bundled(t testing.TB, from io.Reader) map[string]string {
	t.Helper()
	zipped, err := gzip.NewReader(from)
	if err != nil {
		t.Fatal(err)
	}
	in, members := tar.NewReader(zipped), map[string]string{}
	for {
		header, err := in.Next()
		if errors.Is(err, io.EOF) {
			return members
		}
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(in)
		if err != nil {
			t.Fatal(err)
		}
		members[header.Name] = string(data)
	}
}

// TestSecretsStayInTheConfiguration plants secrets at each place where one can
// stand, and looks for them in what is shown.
func TestSecretsStayInTheConfiguration(t *testing.T) {
	const half = "HUNTER2"
	for name, text := range map[string]string{
		"inline": `destinations: [{name: lims, senaite: {url: "https://lims.example.org", username: u, password: HUNTER2hunter}}] # HUNTER2hunter`,
		"block":  "destinations: [{name: lims, senaite: {url: 'https://lims.example.org', username: u, password: 'HUNTER2\n  hunter'}}]",
		"in the URL": `destinations:
  - {name: lims, senaite: {url: "https://u:HUNTER2hunter@lims.example.org/senaite"}}`,
		"in the proxy": `destinations:
  - {name: lims, senaite: {url: "https://lims.example.org/senaite", username: u, password: x, proxy: "http://p:HUNTER2hunter@proxy.example.org:3128"}}`,
		"of the console":        `console: {users: {eva: {password_hash: "$argon2id$v=19$m=4096,t=1,p=1$HUNTER2hunterAAA$AAAAAAAAAAAAAAAAAAAAAA", role: admin}}}`,
		"of the console, plain": `console: {users: {eva: {password: HUNTER2hunter, role: admin}}}`,
		"by an alias": `box: {name: &p HUNTER2hunter}
destinations: [{name: lims, senaite: {url: "https://lims.example.org", username: u, password: *p}}]`,
		"as a part of another value": `profiles: /data/HUNTER2hunter/x
destinations: [{name: lims, senaite: {url: "https://lims.example.org", username: u, password: HUNTER2hunter}}]`,
		"by a merge": `destinations:
  - {name: lims, senaite: &s {url: "https://lims.example.org", username: u, password: HUNTER2hunter}}
  - {name: other, senaite: {<<: *s}}`,
	} {
		shown, err := publicConfig([]byte("version: 1\n"+text), "test")
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if !strings.Contains(text, half) {
			t.Errorf("%s: nothing is planted", name)
		}
		if strings.Contains(string(shown), half) || strings.Contains(string(shown), "hunter") {
			t.Errorf("%s: shown\n%s", name, shown)
		}
		if !strings.Contains(string(shown), removed) || !strings.Contains(string(shown), "version: 1") {
			t.Errorf("%s: the rest is not shown\n%s", name, shown)
		}
	}
	// What does not read as a configuration is not shown, nor quoted.
	for name, text := range map[string]string{
		"misspelt": `destinations: [{name: lims, senaite: {url: "https://lims.example.org", username: u, pasword: HUNTER2hunter}}]`,
		"no YAML":  `password: [HUNTER2hunter`, "no text": "\xff\xfe\x00HUNTER2hunter",
		"wrong value": `instruments: [{name: HUNTER2hunter!, serial: {port: /dev/ttyS0, baud: 12}}]`,
	} {
		shown, err := publicConfig([]byte("version: 1\n"+text), "test")
		if err == nil || shown != nil || strings.Contains(err.Error(), half) || !strings.Contains(err.Error(), "test is left out") {
			t.Errorf("%s: shown %q, error %v", name, shown, err)
		}
	}
}

func TestURLsAreShownWithoutTheirSecrets(t *testing.T) {
	for value, want := range map[string]string{
		"plain text":                      "plain text",
		"a@b":                             "a@b",
		"https://h/p":                     "https://h/p",
		"https://u:p@h/p":                 "https://[removed]@h/p",
		"https://u@h":                     "https://[removed]@h",
		"https://u:p/a@b@h:1/p?token=1#x": "https://[removed]@h:1/p?[removed]",
	} {
		if got := publicURL(value); got != want {
			t.Errorf("%s is shown as %s, want %s", value, got, want)
		}
	}
}

// TestEveryKeyIsSecretOrNot makes whoever adds a key decide: it is either found
// by secretKey, or listed here as one that the help desk may see.
func TestEveryKeyIsSecretOrNot(t *testing.T) {
	public := strings.Fields(`
		ack address addresses ca capture_only certificate charset checksum client_ca consumer dial directory drop_unmatched
		end fleet flow force_after mac path serves format frame_numbers gateway hostname hl7 astm json key level listen name ntp dns parity
		password_file plain_http port profile profiles protocol proxy public_key query repository require role server_name stop_bits
		timezone token_file url username window write_request deliver allow_from dtr rts`)
	found := map[string]bool{}
	var walk func(reflect.Type, int)
	walk = func(of reflect.Type, depth int) {
		if depth > 12 {
			return
		}
		switch of.Kind() {
		case reflect.Pointer, reflect.Slice, reflect.Map:
			walk(of.Elem(), depth+1)
		case reflect.Struct:
			for i := range of.NumField() {
				field := of.Field(i)
				key, _, _ := strings.Cut(field.Tag.Get("yaml"), ",")
				if !field.IsExported() {
					continue
				}
				inner := field.Type
				for inner.Kind() == reflect.Pointer || inner.Kind() == reflect.Slice || inner.Kind() == reflect.Map {
					inner = inner.Elem()
				}
				if inner.Kind() == reflect.String && key != "" && key != "-" {
					found[key] = true
				}
				walk(field.Type, depth+1)
			}
		}
	}
	walk(reflect.TypeFor[Config](), 0)
	if !found["password"] || !found["url"] {
		t.Fatalf("found only %q", slices.Sorted(maps.Keys(found)))
	}
	for key := range found {
		if isSecret(key) == slices.Contains(public, key) {
			t.Errorf("%s: say whether it is a secret: list it here, or have secretKey find it", key)
		}
	}
}

// supported is a bundle's sources that all have something.
func supported(t *testing.T, text string) supportSources {
	return supportSources{
		version: "1.2.3", directories: map[string]string{"store": t.TempDir()},
		board:   board.System{Proc: filepath.Join(t.TempDir(), "proc"), Sys: filepath.Join(t.TempDir(), "sys")},
		config:  func() ([]byte, string, error) { return []byte("version: 1\nbox: {name: " + text + "}\n"), "test", nil },
		metrics: func(context.Context) ([]byte, error) { return []byte("metric " + text), nil },
		status: func(context.Context) (spool.Status, error) {
			return spool.Status{Failure: text, Destinations: []spool.DestinationStatus{{Name: "lims", Pending: 3, Held: "the LIMS said " + text, Unread: text}}}, nil
		},
		ports: func(context.Context) (any, error) { return []string{text}, nil },
		log:   func(context.Context) ([]byte, error) { return []byte("log " + text), nil },
	}
}

func TestSupportBundle(t *testing.T) {
	var file bytes.Buffer
	if err := writeSupport(t.Context(), &file, nil, supported(t, "ward")); err != nil {
		t.Fatal(err)
	}
	members := bundled(t, &file)
	want := []string{"README.txt", "config.yaml", "log.txt", "metrics.txt", "ports.json", "spool.json", "system.json", "versions.json"}
	if got := slices.Sorted(maps.Keys(members)); !slices.Equal(got, want) {
		t.Fatalf("holds %q, want %q", got, want)
	}
	for name, text := range map[string]string{
		"versions.json": `"version": "1.2.3"`, "config.yaml": "box: {name: ward}", "metrics.txt": "metric ward", "spool.json": `"pending": 3`,
		"ports.json": `"ward"`, "log.txt": "log ward", "system.json": `"processors": `, "README.txt": "no message",
	} {
		if !strings.Contains(members[name], text) {
			t.Errorf("%s lacks %s:\n%s", name, text, members[name])
		}
	}
	if strings.Contains(members["spool.json"], "said") {
		t.Errorf("what a LIMS has answered is in it: %s", members["spool.json"])
	}
}

// TestSupportBundleOfATroubledBox: what cannot be had is left out and said.
func TestSupportBundleOfATroubledBox(t *testing.T) {
	s := supported(t, "ward")
	s.config = func() ([]byte, string, error) { return []byte("password: [HUNTER2"), "test", nil }
	s.status = func(context.Context) (spool.Status, error) { return spool.Status{}, errors.New("the card is gone") }
	s.log = func(context.Context) ([]byte, error) { return make([]byte, maxSupportPart+1), nil }
	s.ports = nil
	var file bytes.Buffer
	if err := writeSupport(t.Context(), &file, nil, s); err != nil {
		t.Fatal(err)
	}
	members := bundled(t, &file)
	want := "config.yaml: test is left out, because it cannot be read: 1 error; see assaygate check on the box\n" +
		"spool.json: the card is gone\nports.json: not known here\nlog.txt: it has more than 8 MiB\n"
	if members["missing.txt"] != want {
		t.Errorf("missing.txt says\n%s\nwant\n%s", members["missing.txt"], want)
	}
	if members["metrics.txt"] != "metric ward" {
		t.Error("the rest is missing too")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := writeSupport(ctx, io.Discard, nil, s); !errors.Is(err, context.Canceled) {
		t.Errorf("a bundle that was cut off: %v", err)
	}
}

func TestSupportBundleIsForTheOwner(t *testing.T) {
	var file bytes.Buffer
	if err := writeSupport(t.Context(), &file, publicOf(ownerKey(1)), supported(t, "ward")); err != nil {
		t.Fatal(err)
	}
	if !bytes.HasPrefix(file.Bytes(), []byte("age-encryption.org/v1\n")) {
		t.Error("it is not encrypted")
	}
	content, err := owner.Decrypt(&file, ownerKey(1))
	if err != nil {
		t.Fatal(err)
	}
	if members := bundled(t, content); members["log.txt"] != "log ward" {
		t.Error("the owner does not find the log")
	}
}

func TestTailKeepsTheNewestLines(t *testing.T) {
	newest := &tail{most: 20}
	for i := range 1000 {
		if _, err := newest.Write([]byte(strings.Repeat("x", i%7) + "\n")); err != nil {
			t.Fatal(err)
		}
		if len(newest.kept) > 60 {
			t.Fatalf("keeps %d bytes", len(newest.kept))
		}
	}
	if got := string(newest.lines()); got != "xx\nxxx\nxxxx\nxxxxx\n" {
		t.Errorf("kept %q", got)
	}
	few := &tail{most: 20}
	if _, err := few.Write([]byte("one\ntwo")); err != nil {
		t.Fatal(err)
	}
	if got := string(few.lines()); got != "one\ntwo" {
		t.Errorf("kept %q", got)
	}
}

// TestJournal asks a journalctl of this test: which lines, and what it says when
// it fails.
func TestJournal(t *testing.T) {
	directory := t.TempDir()
	t.Setenv("PATH", directory)
	if _, err := journal(t.Context()); err == nil || !strings.Contains(err.Error(), "no journalctl") {
		t.Errorf("without journalctl: %v", err)
	}
	script := func(text string) {
		if err := os.WriteFile(filepath.Join(directory, "journalctl"), []byte("#!/bin/sh\n"+text+"\n"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	script(`echo "asked: $*"`)
	text, err := journal(t.Context())
	if err != nil || !strings.Contains(string(text), "--unit assaygate.service") || !strings.Contains(string(text), "--lines 20000") {
		t.Errorf("read %q, %v", text, err)
	}
	script(`echo "No journal files were opened due to insufficient permissions." >&2; exit 1`)
	if _, err := journal(t.Context()); err == nil || !strings.Contains(err.Error(), "insufficient permissions") {
		t.Errorf("error %v", err)
	}
	for _, nothing := range []string{"", `echo "-- No entries --"`} {
		script(nothing)
		if _, err := journal(t.Context()); err == nil || !strings.Contains(err.Error(), "shows no lines") {
			t.Errorf("a journal without lines: %v", err)
		}
	}
	recent := newRecentLog()
	if _, err := io.WriteString(recent.beside(io.Discard), "one\ntwo\n"); err != nil {
		t.Fatal(err)
	}
	if text, err := recent.read(t.Context()); err != nil || !strings.HasPrefix(string(text), "The newest lines of this process only: the journal shows no") || !strings.HasSuffix(string(text), "\n\none\ntwo\n") {
		t.Errorf("in place of the journal: %q, %v", text, err)
	}
	script("echo from the journal")
	if text, err := recent.read(t.Context()); err != nil || string(text) != "from the journal\n" {
		t.Errorf("beside the journal: %q, %v", text, err)
	}
	script("while :; do :; done")
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := journal(ctx); err == nil {
		t.Error("a journalctl that hangs was waited for")
	}
}
