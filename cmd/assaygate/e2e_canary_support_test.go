package main

import (
	"bytes"
	"context"
	"testing"

	"github.com/assaygate/assaygate/device/owner"
	"github.com/assaygate/assaygate/envelope/spool"
)

// bundle looks into the support bundle that the gateway writes, as its owner sees
// it. The journal of this machine is not the gateway's: its log stands for it.
func (s seen) bundle(t testing.TB, sources supportSources, log func() string) {
	t.Helper()
	sources.log = func(context.Context) ([]byte, error) { return []byte(log()), nil }
	var file bytes.Buffer
	if err := writeSupport(t.Context(), &file, publicOf(ownerKey(1)), sources); err != nil {
		t.Fatal(err)
	}
	s.look("support bundle, encrypted", file.Bytes())
	content, err := owner.Decrypt(&file, ownerKey(1))
	if err != nil {
		t.Fatal(err)
	}
	members := bundled(t, content)
	for _, wanted := range []string{"README.txt", "config.yaml", "metrics.txt", "ports.json", "spool.json", "system.json", "versions.json"} {
		if members[wanted] == "" {
			t.Errorf("the support bundle lacks %s: %s", wanted, members["missing.txt"])
		}
	}
	for name, text := range members {
		s.look("support bundle "+name, []byte(name+"\n"+text))
	}
}

// TestCanaryIsSeenInABundle plants the name in each source of a bundle.
func TestCanaryIsSeenInABundle(t *testing.T) {
	s := seen{}
	sources := supported(t, canary)
	s.bundle(t, sources, func() string { return canary })
	for _, where := range []string{"config.yaml", "log.txt", "metrics.txt", "ports.json", "spool.json"} {
		if len(s["support bundle "+where]) == 0 {
			t.Errorf("%s does not show it, so the other test proves nothing there", where)
		}
		delete(s, "support bundle "+where)
	}
	s.report(t)
	// Beside a failure only counts are told of the store.
	s = seen{}
	sources = supported(t, "ward")
	sources.status = func(context.Context) (spool.Status, error) {
		return spool.Status{Destinations: []spool.DestinationStatus{{Name: "lims", Held: canary, Unread: canary}}}, nil
	}
	s.bundle(t, sources, func() string { return "" })
	s.report(t)
}
