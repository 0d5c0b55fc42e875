package main

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// The gateway of a box is found as its unit starts it, without a flag.
func TestHealthFindsTheBoxsOwnEndpoint(t *testing.T) {
	unit, err := os.ReadFile("../../image/rootfs-overlay/usr/lib/systemd/system/assaygate.service")
	if err != nil || !strings.Contains(string(unit), "run --config "+boxConfig+" --factory "+boxFactory+" ") {
		t.Errorf("the gateway is started with another configuration: %v", err)
	}
	const refused = "version: 1\nnews: of a later release\n"
	admin := func(address string) string { return "version: 1\nadmin: {listen: \"" + address + "\"}\n" }
	for name, one := range map[string]struct{ own, kept, want string }{
		"its own":         {own: admin("127.0.0.1:1001"), want: "127.0.0.1:1001"},
		"a new box":       {want: "127.0.0.1:1003"},
		"its second copy": {own: refused, kept: admin("127.0.0.1:1002"), want: "127.0.0.1:1002"},
		"the factory's":   {own: refused, want: "127.0.0.1:1003"},
	} {
		t.Run(name, func(t *testing.T) {
			directory := t.TempDir()
			for file, text := range map[string]string{"assaygate.yaml": one.own, "assaygate.yaml" + keptSuffix: one.kept, "factory.yaml": admin("127.0.0.1:1003")} {
				if text != "" {
					plant(t, directory, file, text)
				}
			}
			to, err := flags{Config: filepath.Join(directory, "assaygate.yaml"), Factory: filepath.Join(directory, "factory.yaml")}.askingBox()
			if err != nil || to.address != one.want {
				t.Errorf("asks %q, error %v", to.address, err)
			}
		})
	}
}

// Who may not read the box's configuration asks where most boxes have it.
func TestHealthOfABoxForAnybody(t *testing.T) {
	directory := t.TempDir()
	plant(t, directory, "factory.yaml", "version: 1\nadmin: {listen: \"127.0.0.1:1003\"}\n")
	plant(t, directory, "config/assaygate.yaml", "version: 1\nadmin: {listen: \"127.0.0.1:1001\"}\n")
	f := flags{Config: filepath.Join(directory, "config", "assaygate.yaml"), Factory: filepath.Join(directory, "factory.yaml")}
	for path, mode := range map[string]os.FileMode{filepath.Dir(directory): 0o755, filepath.Dir(f.Config): 0o700} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
	}
	if os.Getuid() != 0 {
		t.Skip("*** NOT TESTED: to be somebody else needs root ***")
	}
	const nobody = 65534
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	previous, err := unix.SetfsuidRetUid(nobody)
	if err != nil {
		t.Fatal(err)
	}
	to, err := f.askingBox()
	if _, back := unix.SetfsuidRetUid(previous); back != nil {
		t.Fatal(back)
	}
	if err != nil || to.address != "127.0.0.1:1003" {
		t.Errorf("asks %q, error %v", to.address, err)
	}
}
