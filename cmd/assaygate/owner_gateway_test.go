package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestOwnerOfARunningGateway: its first configuration sets the owner, and none
// that is brought to it while it runs changes that.
func TestOwnerOfARunningGateway(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	path := filepath.Join(root, "config", "assaygate.yaml")
	text := func(owner string) []byte {
		text := "version: 1\nspool: {directory: " + filepath.Join(root, "spool") + "}\ninstruments: [{name: hl7, hl7: {listen: '127.0.0.1:0'}}]\nadmin: {listen: '127.0.0.1:0'}\nconsole: {listen: '127.0.0.1:0'}\n"
		if owner != "" {
			text += "owner: {public_key: \"" + owner + "\"}\n"
		}
		return []byte(text)
	}
	if err := os.Mkdir(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, text(ownerText(1)), 0o600); err != nil {
		t.Fatal(err)
	}
	log := &lockedBuffer{}
	d, err := prepare(flags{Config: path}, log)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- d.run(ctx) }()
	defer func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}()
	eventually(t, "it is ready", func() bool { return strings.Contains(log.text(), "gateway ready") })
	o := d.ownership()
	expectOwner(t, o, d.config(), ownerText(1))
	if kept, err := os.ReadFile(filepath.Join(root, "config", "owner.pub")); err != nil || string(kept) != ownerText(1)+"\n" {
		t.Errorf("kept %q, %v", kept, err)
	}
	if !strings.Contains(metricsOf(t, d), "\nassaygate_owned 1\n") {
		t.Error("the counters do not say that the box has an owner")
	}
	if err := d.adopt(ctx, change{config: text(ownerText(2)), by: "test"}); err == nil || !strings.Contains(err.Error(), "owner cannot be changed or set without a factory reset") {
		t.Errorf("another owner: %v", err)
	}
	for _, same := range []string{ownerText(1), ""} {
		if err := d.adopt(ctx, change{config: text(same), by: "test"}); err != nil {
			t.Errorf("owner %q: %v", same, err)
		}
		expectOwner(t, o, d.config(), ownerText(1))
	}
	var file bytes.Buffer
	sources := d.supportSources()
	if err := writeSupport(ctx, &file, nil, sources); err != nil {
		t.Fatal(err)
	}
	if members := bundled(t, &file); !strings.Contains(members["config.yaml"], "spool") || !strings.Contains(members["spool.json"], `"messages": 0`) || !strings.Contains(members["log.txt"], "gateway ready") {
		t.Errorf("its support bundle has %q", members)
	}
	if err := os.Remove(filepath.Join(root, "config", "owner.pub")); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(metricsOf(t, d), "\nassaygate_owned 0\n") {
		t.Error("the counters do not say that the box has no owner any more")
	}
}

func metricsOf(t *testing.T, d *daemon) string {
	t.Helper()
	text, err := d.supportSources().metrics(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
