package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestNetworkNeedsAnInterfaceForTheConsole refuses what nobody could reach,
// instead of leaving a person with a console that does not answer.
func TestNetworkNeedsAnInterfaceForTheConsole(t *testing.T) {
	for text, want := range map[string]string{
		"console: {listen: ':8080'}":                                    "console.listen: no interface serves it",
		"admin: {listen: ':9110'}":                                      "admin.listen: no interface serves it",
		"admin: {listen: 'box:9110'}":                                   "admin.listen: no interface serves it",
		"instruments: [{name: a, astm: {listen: 'box:4010'}}]":          "instruments[0].astm.listen: no interface serves it",
		"instruments: [{name: a, emerald: {listen: '127.0.0.1:4010'}}]": "",
		"instruments: [{name: a, astm: {listen: ':4010'}}]":             "",
		"console: {listen: '[::1]:1'}":                                  "",
		"console: {listen: '192.168.7.1:8080'}":                         "",
	} {
		text = "version: 1\nnetwork: {interfaces: {eth0: {dhcp: true}, eth1: {addresses: [192.168.7.1/24]}, eth2: {addresses: [192.168.9.1/24], serves: []}}}\n" + text
		_, err := parseConfig([]byte(text), "f")
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: says %v, not %q", text, err, want)
		}
	}
	if _, err := parseConfig([]byte("version: 1\nnetwork: {interfaces: {eth0: {dhcp: true}}}\nconsole: {listen: ':8080'}\n"), "f"); err != nil {
		t.Errorf("one interface is the one that is meant: %v", err)
	}
}

// TestNetworkIsRefusedElsewhere starts the rest on a host that is not the box,
// but nothing that only the box's firewall would protect.
func TestNetworkIsRefusedElsewhere(t *testing.T) {
	c, err := parseConfig([]byte(`version: 1
network: {interfaces: {eth0: {dhcp: true, serves: [console]}, eth1: {addresses: [192.168.7.1/24]}}}
console: {listen: ":8080"}
admin: {listen: "127.0.0.1:9110"}
`), "f")
	if err != nil {
		t.Fatal(err)
	}
	list := c.networkRefused()
	if len(list) != 2 || list[0].Where != "network" || list[0].Closes != "" || !strings.Contains(list[0].What, "refused: this host is not the box") {
		t.Errorf("says %+v", list)
	}
	if len(list) == 2 && list[1].Closes != consoleServer {
		t.Errorf("closes %q, not the console", list[1].Closes)
	}
	board := filepath.Join(t.TempDir(), "board")
	if onImage(board) {
		t.Error("a host without board data is taken for the box")
	}
	if err := os.WriteFile(board, []byte("BOARD=qemu\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if !onImage(board) {
		t.Error("the box is not known by its board data")
	}
}
