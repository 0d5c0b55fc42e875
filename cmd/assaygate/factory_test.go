package main

import (
	"os"
	"strings"
	"testing"

	"github.com/assaygate/assaygate/device/network"
)

// TestFactoryIsClosed holds the configuration of a box that has none yet: it is
// valid, and nobody reaches anything until a stick says otherwise.
func TestFactoryIsClosed(t *testing.T) {
	text, err := os.ReadFile("../../image/rootfs-overlay/usr/share/assaygate/factory.yaml")
	if err != nil {
		t.Fatal(err)
	}
	c, err := parseConfig(text, "factory.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if c.ConfigDrive == nil || c.ConfigDrive.Directory != "/run/assaygate/stick" || c.ConfigDrive.WriteRequest != "/run/assaygate/stick-write" {
		t.Error("no stick would be read, so that nobody could configure the box")
	}
	rules, closed := network.Settings{}.Rules(c.reached())
	if strings.Contains(rules, "tcp dport") || len(closed) > 0 || len(c.Instruments) > 0 {
		t.Errorf("a port is open before anybody asked for it:\n%s%q", rules, closed)
	}
	if c.Spool.Directory != "/data/spool" || c.Profiles != "/data/profiles" {
		t.Errorf("writes to %s and reads %s, which is not /data", c.Spool.Directory, c.Profiles)
	}
}
