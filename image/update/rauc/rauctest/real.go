package rauctest

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

const systemConfig = `[system]
compatible=%[2]s
bootloader=custom
data-directory=%[1]s
bundle-formats=verity
[keyring]
path=%[1]s/keyring.pem
[handlers]
bootloader-custom-backend=%[1]s/bootloader
[slot.rootfs.0]
device=%[1]s/rootfs-a
type=raw
bootname=A
[slot.rootfs.1]
device=%[1]s/rootfs-b
type=raw
bootname=B
`

const bootloader = `#!/bin/sh
directory=${0%/*}
case "$1" in
get-primary) cat "$directory/primary" ;;
set-primary) echo "$2" >"$directory/primary" ;;
get-state) cat "$directory/state-$2" ;;
set-state) echo "$3" >"$directory/state-$2" ;;
esac
`

// NewReal puts RAUC itself on the bus, with files for its slots, A of which it
// believes to run, until the test ends. It returns the directory with
// what RAUC has written: rootfs-a, rootfs-b, and the boot loader's primary, state-A and state-B. Without
// RAUC the test is skipped.
func (b *Bus) NewReal(t testing.TB, compatible string) (directory string) {
	t.Helper()
	rauc, err := exec.LookPath("rauc")
	if err != nil {
		t.Skip("*** NOT TESTED: rauc is not here: make deps ***")
	}
	directory = t.TempDir()
	for name, text := range map[string]string{
		"system.conf": fmt.Sprintf(systemConfig, directory, compatible), "keyring.pem": string(keyring(t)), "primary": "A\n",
		"state-A": "good\n", "state-B": "good\n", "rootfs-a": "", "rootfs-b": "", "bootloader": bootloader,
	} {
		if err := os.WriteFile(filepath.Join(directory, name), []byte(text), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	var log bytes.Buffer
	command := exec.Command(rauc, "--conf="+filepath.Join(directory, "system.conf"), "--override-boot-slot=A", "service")
	command.Env = append(os.Environ(), "DBUS_SYSTEM_BUS_ADDRESS="+b.Address)
	command.Stdout, command.Stderr = &log, &log
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = command.Process.Kill()
		_ = command.Wait()
		if t.Failed() {
			t.Logf("RAUC says:\n%s", log.String())
		}
	})
	return directory
}

// keyring is a certificate that no bundle was signed with.
func keyring(t testing.TB) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	certificate := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	text, err := x509.CreateCertificate(rand.Reader, certificate, certificate, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: text})
}
