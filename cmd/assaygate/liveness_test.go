//go:build unix

package main

import (
	"slices"
	"strings"
	"testing"
)

// everything is a configuration with every kind of loop that is watched.
func everything(t testing.TB, directory string) string {
	t.Helper()
	_, path := terminal(t)
	return base(directory) + `
instruments:
  - {name: lan, astm: {listen: "127.0.0.1:0"}}
  - {name: hl7, hl7: {listen: "127.0.0.1:0"}}
  - {name: serial, serial: {port: "` + path + `"}}
  - {name: dialled, astm: {dial: "127.0.0.1:1"}}
` + lims(newLIMS(t), directory)
}

// watchedParts are the parts that a gateway of everything has, but for
// connections.
func watchedParts() []string {
	return []string{
		"admin", "console", "control socket",
		"destination files", "destination lims",
		"gateway", "line dialled", "line serial", "listener of hl7", "listener of lan",
		"reading back from lims", "spool upkeep", "spool writer", "status line",
	}
}

// Every loop is watched while the gateway runs, goes with its gateway when the
// store is closed for a while, and comes back with the next.
func TestEveryLoopIsWatched(t *testing.T) {
	r := start(t, everything(t, t.TempDir()))
	conn := dial(t, r.addresses["lan"])
	own := func(name string) bool {
		return strings.HasPrefix(name, "connection of lan from "+conn.LocalAddr().String())
	}
	eventually(t, "the connection is watched", func() bool { return slices.ContainsFunc(r.health.Parts(), own) })
	if parts := slices.DeleteFunc(r.health.Parts(), own); !slices.Equal(parts, watchedParts()) {
		t.Errorf("watched are\n%q, want\n%q", parts, watchedParts())
	}
	conn.Close()
	eventually(t, "the connection is not watched any more", func() bool { return !slices.ContainsFunc(r.health.Parts(), own) })

	err := r.Reopen(t.Context(), func() error {
		if parts, want := r.health.Parts(), []string{"admin", "console", "status line"}; !slices.Equal(parts, want) {
			t.Errorf("while the store is closed watched are %q, want %q", parts, want)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "all is watched again", func() bool { return slices.Equal(r.health.Parts(), watchedParts()) })
	r.end()
	if parts := r.health.Parts(); len(parts) != 0 {
		t.Errorf("at the end watched are %q", parts)
	}
}
