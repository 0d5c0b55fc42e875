//go:build unix

package main

import (
	"bytes"
	"encoding/pem"
	"io/fs"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// fakeBox is a tree of the box's files, with commands that note how they are
// called and fail as they are told.
type fakeBox struct {
	t                *testing.T
	root, log, fails string
}

func newFakeBox(t *testing.T) *fakeBox {
	b := &fakeBox{t: t, root: t.TempDir()}
	bin := filepath.Join(b.root, "bin")
	b.log, b.fails = filepath.Join(b.root, "called"), filepath.Join(b.root, "fails")
	for _, name := range []string{"nft", "networkctl", "systemctl"} {
		script := "#!/bin/sh\necho \"" + name + " $*\" >> '" + b.log + "'\nif grep -qxF '" + name + "' '" + b.fails + "' 2>/dev/null; then echo broken >&2; exit 1; fi\n"
		b.write("bin/"+name, script)
		if err := os.Chmod(filepath.Join(bin, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
	b.write("proc/sys/kernel/hostname", "localhost\n")
	b.write("sys/firmware/devicetree/base/serial-number", "10000000ABCDEF\x00")
	b.write("factory.yaml", "version: 1\n")
	return b
}

func (b *fakeBox) write(name, text string) {
	b.t.Helper()
	path := filepath.Join(b.root, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		b.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		b.t.Fatal(err)
	}
}

func (b *fakeBox) read(name string) string {
	text, err := os.ReadFile(filepath.Join(b.root, name))
	if err != nil {
		return "-"
	}
	return string(text)
}

// apply runs the command, and returns its exit status, what it said, and the
// commands that it called.
func (b *fakeBox) apply() (status int, said string, called []string) {
	b.t.Helper()
	os.Remove(b.log)
	var out bytes.Buffer
	status = execute([]string{"apply", "--root", b.root, "--config", filepath.Join(b.root, "data/config/assaygate.yaml"), "--factory", filepath.Join(b.root, "factory.yaml")}, &out, &out)
	if text := b.read("called"); text != "-" {
		called = strings.Split(strings.TrimSpace(strings.ReplaceAll(text, b.root, "")), "\n")
	}
	return status, out.String(), called
}

// files lists what stands below a directory of the tree.
func (b *fakeBox) files(name string) string {
	var list []string
	root := filepath.Join(b.root, name)
	filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			list = append(list, filepath.Base(path))
		}
		return nil
	})
	return strings.Join(list, " ")
}

const (
	callNft    = "nft -f /run/assaygate-apply/rules.nft"
	callActive = "systemctl is-active --quiet systemd-networkd.service"
	callReload = "networkctl reload"
	callTime   = "systemctl --no-block try-restart systemd-timesyncd.service"
)

const twoPorts = `version: 1
network:
  hostname: haematology-1
  ntp: [192.0.2.1]
  interfaces:
    eth0: {dhcp: true, serves: [instruments, console]}
    eth0.20: {addresses: [192.168.7.1/24]}
instruments: [{name: astm, astm: {listen: ":4010"}, allow_from: [192.168.7.20/32]}]
console: {listen: ":8080"}
`

func (b *fakeBox) expect(when string, wantStatus int, wantCalled ...string) string {
	b.t.Helper()
	status, said, called := b.apply()
	if status != wantStatus || !slices.Equal(called, wantCalled) {
		b.t.Errorf("%s: exit %d after calling %q, want %d after %q; it said:\n%s", when, status, called, wantStatus, wantCalled, said)
	}
	return said
}

// TestApply follows a box from its first start on.
func TestApply(t *testing.T) {
	b := newFakeBox(t)
	b.expect("without a saved configuration", done, callNft, callActive, callReload)
	if got := b.files("run/systemd"); got != "20-assaygate-eth0.network" {
		t.Errorf("the factory's network is %s", got)
	}
	if got := b.read("proc/sys/kernel/hostname"); got != "assaygate-10000000abcdef\n" {
		t.Errorf("the hostname is %q", got)
	}
	if rules := b.read("run/assaygate-apply/rules.nft"); strings.Contains(rules, "tcp dport") {
		t.Errorf("a box that nobody configured opens a port:\n%s", rules)
	}
	b.expect("again", done, callNft)

	b.write("data/config/assaygate.yaml", twoPorts)
	b.expect("with a configuration", done, callNft, callActive, callReload, callTime)
	if got := b.files("run/systemd"); got != "10-assaygate-eth0.20.netdev 10-assaygate-eth0.20.network 20-assaygate-eth0.network assaygate.conf" {
		t.Errorf("there are %s", got)
	}
	if got := b.read("proc/sys/kernel/hostname"); got != "haematology-1\n" {
		t.Errorf("the hostname is %q", got)
	}
	for _, want := range []string{"ip saddr { 192.168.7.20/32 } tcp dport 4010", "tcp dport 8080"} {
		if rules := b.read("run/assaygate-apply/rules.nft"); !strings.Contains(rules, want) {
			t.Errorf("no rule says %s:\n%s", want, rules)
		}
	}
	b.expect("again", done, callNft)

	rules, network := b.read("run/assaygate-apply/rules.nft"), b.files("run/systemd")
	b.write("data/config/assaygate.yaml", strings.Replace(twoPorts, "192.168.7.20/32", "everybody", 1))
	if said := b.expect("with a wrong configuration", failed); !strings.Contains(said, "the network stays as it is") || !strings.Contains(said, "allow_from") {
		t.Errorf("says %q", said)
	}
	if b.read("run/assaygate-apply/rules.nft") != rules || b.files("run/systemd") != network {
		t.Error("a wrong configuration changed the network")
	}

	b.write("sys/class/net/eth0.20/address", "dc:a6:32:01:02:03\n")
	b.write("data/config/assaygate.yaml", "version: 1\n")
	b.expect("without a VLAN", done, callNft, callActive, callReload, "networkctl delete eth0.20", callTime)
	if got := b.files("run/systemd"); got != "20-assaygate-eth0.network" {
		t.Errorf("there are %s", got)
	}
}

// TestApplyAtBoot asks networkd for nothing while it does not run.
func TestApplyAtBoot(t *testing.T) {
	b := newFakeBox(t)
	b.write("fails", "systemctl\n")
	b.expect("before networkd", done, callNft, callActive)
	b.write("fails", "")
	b.expect("later", done, callNft)
}

// TestApplyAfterAFailure does the rest, and tries again what failed.
func TestApplyAfterAFailure(t *testing.T) {
	b := newFakeBox(t)
	b.write("data/config/assaygate.yaml", twoPorts)
	b.write("fails", "nft\nnetworkctl\n")
	if said := b.expect("broken", failed, callNft, callActive, callReload, callTime); !strings.Contains(said, "firewall: stays as it was") {
		t.Errorf("says %q", said)
	}
	b.write("fails", "")
	b.expect("mended", done, callNft, callActive, callReload)
	b.expect("again", done, callNft)
	b.write("data/config/assaygate.yaml", "version: 1\n")
	b.expect("without a VLAN that could never be made", done, callNft, callActive, callReload, callTime)
}

// TestApplyOfTheSecondCopy opens what the gateway listens on that has started with
// the second copy of its configuration. Later a spoilt file changes nothing.
func TestApplyOfTheSecondCopy(t *testing.T) {
	b := newFakeBox(t)
	b.write("data/config/assaygate.yaml", "")
	b.expect("a spoilt file alone", failed)
	b.write("data/config/assaygate.yaml.kept", twoPorts)
	if said := b.expect("with the second copy", failed, callNft, callActive, callReload, callTime); !strings.Contains(said, "that of the configuration's second copy is used") || !strings.Contains(said, "assaygate.yaml:1:1: ") {
		t.Errorf("says %q", said)
	}
	rules := b.read("run/assaygate-apply/rules.nft")
	if !strings.Contains(rules, "tcp dport 4010") {
		t.Errorf("the instruments' port is closed:\n%s", rules)
	}
	b.write("data/config/assaygate.yaml.kept", "version: 1\n")
	b.expect("again", failed)
	if b.read("run/assaygate-apply/rules.nft") != rules {
		t.Error("a spoilt file changed the network")
	}
}

// TestApplyReadsOnlyTheSavedFile follows no link: the gateway owns the
// directory, and could make root read for it.
func TestApplyReadsOnlyTheSavedFile(t *testing.T) {
	b := newFakeBox(t)
	b.write("secret", "root:$6$planted\n")
	b.write("data/config/x", "")
	if err := os.Symlink(filepath.Join(b.root, "secret"), filepath.Join(b.root, "data/config/assaygate.yaml")); err != nil {
		t.Fatal(err)
	}
	if said := b.expect("with a link", failed); strings.Contains(said, "planted") || !strings.Contains(said, "is not a file") {
		t.Errorf("says %q", said)
	}
}

// The update agent gets its settings and certificates, and nothing else of a file
// that the configuration names.
func TestApplyUpdates(t *testing.T) {
	b := newFakeBox(t)
	server := httptest.NewTLSServer(nil)
	defer server.Close()
	certificate := filepath.Join(b.root, "ca.pem")
	const key = "-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n"
	b.write("ca.pem", "password\n"+key+string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})))
	b.write("data/config/assaygate.yaml", "version: 1\nbox: {timezone: Europe/Berlin}\nupdate: {repository: 'https://u.example.org/r', ca: '"+certificate+"', force_after: 14d}\n")
	b.apply()
	if text := b.read("run/assaygate-apply/update/settings.json"); text != "-" {
		t.Errorf("written on a system that has no agent: %s", text)
	}
	if err := os.MkdirAll(filepath.Join(b.root, "run/assaygate-apply/update"), 0o750); err != nil {
		t.Fatal(err)
	}
	if status, said, _ := b.apply(); status != 0 || !strings.Contains(said, "updates: changed") {
		t.Errorf("exit %d: %s", status, said)
	}
	text := b.read("run/assaygate-apply/update/settings.json")
	for want, is := range map[string]bool{
		`"repository": "https://u.example.org/r"`: true, `"rate": 1048576`: true, `"force_after": 1209600000000000`: true, `"timezone": "Europe/Berlin"`: true,
		"BEGIN CERTIFICATE": true, "PRIVATE": false, "password": false,
	} {
		if strings.Contains(text, want) != is {
			t.Errorf("%q in the settings: %v\n%s", want, !is, text)
		}
	}
	if info, err := os.Stat(filepath.Join(b.root, "run/assaygate-apply/update/settings.json")); err != nil || info.Mode() != 0o640 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	if _, said, _ := b.apply(); strings.Contains(said, "updates") {
		t.Errorf("changed without a change: %s", said)
	}
	b.write("ca.pem", key)
	b.apply()
	if text := b.read("run/assaygate-apply/update/settings.json"); !strings.Contains(text, "holds no certificate in PEM form") || strings.Contains(text, "PRIVATE") {
		t.Errorf("a key as an authority: %s", text)
	}
}
