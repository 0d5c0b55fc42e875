//go:build unix

package main

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
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/assaygate/assaygate/device/port"
	"github.com/assaygate/assaygate/device/simulator"
	"github.com/assaygate/assaygate/envelope"
	"github.com/assaygate/assaygate/envelope/spool"
)

// certificate writes NAME.pem and NAME.key into the directory: a certificate
// that is its own authority.
func issued(t testing.TB, directory, name string) port.TLSFiles {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: rand.Text()}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	files := port.TLSFiles{Certificate: filepath.Join(directory, name+".pem"), Key: filepath.Join(directory, name+".key")}
	for path, block := range map[string]*pem.Block{
		files.Certificate: {Type: "CERTIFICATE", Bytes: der}, files.Key: {Type: "PRIVATE KEY", Bytes: private},
	} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return files
}

// simulated runs the command as a person does, and returns what it said.
func simulated(t testing.TB, c simulateCommand, capture string) (string, error) {
	t.Helper()
	data, err := simulator.Capture(capture)
	if err != nil {
		t.Fatal(err)
	}
	c.Capture = filepath.Join(t.TempDir(), capture)
	if err := os.WriteFile(c.Capture, data, 0o600); err != nil {
		t.Fatal(err)
	}
	var out, errs bytes.Buffer
	err = c.Run(&streams{out: &out, err: &errs})
	return out.String(), err
}

// Every network line speaks TLS, for those who have a certificate of client_ca.
func TestEndToEndTLS(t *testing.T) {
	directory := t.TempDir()
	box := issued(t, directory, "box")
	analyser := issued(t, directory, "analyser")
	tls := fmt.Sprintf("tls: {certificate: %q, key: %q, client_ca: %q}", box.Certificate, box.Key, analyser.Certificate)
	r := start(t, base(directory)+fmt.Sprintf(`
instruments:
  - {name: lan, astm: {listen: "127.0.0.1:0"}, %[1]s}
  - {name: hl7, hl7: {listen: "127.0.0.1:0"}, %[1]s}
  - {name: cd, emerald: {listen: "127.0.0.1:0"}, %[1]s}
`, tls))
	for name, play := range map[string]struct{ scheme, capture string }{
		"lan": {"astms", "sysmex_xn.astm"}, "hl7": {"mllps", "hemoscreen.hl7"}, "cd": {"emeralds", "celldyn_emerald.bin"},
	} {
		to := simulateCommand{To: play.scheme + "://" + r.addresses[name], CA: box.Certificate, Certificate: analyser.Certificate, Key: analyser.Key}
		if out, err := simulated(t, to, play.capture); err != nil || !strings.HasPrefix(out, "1 acknowledged, 0 refused") {
			t.Errorf("%s: %s, %v", play.scheme, out, err)
		}
		to.Certificate, to.Key = "", ""
		if out, err := simulated(t, to, play.capture); err == nil {
			t.Errorf("%s without a certificate: %s", play.scheme, out)
		}
	}
}

// The simulator's faults are made over TLS as over any line: one that spoils
// bytes, one that breaks the connection off, and one that tears the writes apart.
func TestFaultsOverTLS(t *testing.T) {
	directory := t.TempDir()
	box := issued(t, directory, "box")
	tls := fmt.Sprintf("tls: {certificate: %q, key: %q}", box.Certificate, box.Key)
	r := start(t, base(directory)+fmt.Sprintf(`
instruments:
  - {name: lan, astm: {listen: "127.0.0.1:0"}, %[1]s}
  - {name: hl7, hl7: {listen: "127.0.0.1:0"}, %[1]s}
`, tls))
	for _, play := range []struct{ name, scheme, capture, fault string }{
		{"lan", "astms", "roche_cobas_c111.astm", "checksum"},
		{"lan", "astms", "roche_cobas_c111.astm", "cut:300"},
		{"lan", "astms", "roche_cobas_c111.astm", "enq-storm"},
		{"hl7", "mllps", "hemoscreen.hl7", "half-open:1"},
		{"hl7", "mllps", "hemoscreen.hl7", "split"},
	} {
		to := simulateCommand{To: play.scheme + "://" + r.addresses[play.name], CA: box.Certificate, Fault: play.fault}
		if out, err := simulated(t, to, play.capture); err != nil || !strings.HasPrefix(out, "1 acknowledged, 0 refused") {
			t.Errorf("%s: %s, %v", play.fault, out, err)
		}
	}
	stored, err := r.store.List(t.Context(), spool.Filter{})
	if err != nil {
		t.Fatal(err)
	}
	intakes := map[envelope.Intake]int{}
	for _, m := range stored {
		intakes[m.Intake]++
	}
	if intakes[envelope.Accepted] != 5 || intakes[envelope.Incomplete] != 3 || len(stored) != 8 {
		t.Errorf("kept: %v", intakes)
	}
}

// A listener whose certificate is missing stays closed, and all else runs; it
// opens when the certificate is there. New files are used without a restart.
func TestEndToEndTLSFilesComeLater(t *testing.T) {
	directory := t.TempDir()
	files := t.TempDir()
	address := freePort(t)
	r := start(t, base(directory)+fmt.Sprintf(`
instruments:
  - {name: secure, astm: {listen: %q}, tls: {certificate: %q, key: %q}}
  - {name: lan, astm: {listen: "127.0.0.1:0"}}
  - {name: elsewhere, hl7: {listen: "127.0.0.1:0"}, allow_from: [10.20.0.0/24]}
`, address, files+"/box.pem", files+"/box.key"))
	if conn, err := net.Dial("tcp", address); err == nil {
		conn.Close()
		t.Fatal("the listener is open without a certificate")
	}
	if want := "tls.certificate: stat " + files + "/box.pem: no such file"; !strings.Contains(r.log.text(), want) {
		t.Errorf("nothing of %s in\n%s", want, r.log.text())
	}
	if up := r.metrics.state("secure").up; up {
		t.Error("the closed listener is said to be up")
	}
	r.play("lan", simulator.ASTM, mustCapture(t, "sysmex_xn.astm"), simulator.Options{})
	if out, err := simulated(t, simulateCommand{To: "mllp://" + r.addresses["elsewhere"]}, "hemoscreen.hl7"); err == nil {
		t.Errorf("from an address that is not in allow_from: %s", out)
	}
	eventually(t, "the refusal is said", func() bool { return strings.Contains(r.log.text(), "none of the networks of allow_from") })

	made := issued(t, t.TempDir(), "box")
	replace := func(from, to string) {
		t.Helper()
		if err := os.Rename(from, to); err != nil {
			t.Fatal(err)
		}
	}
	authority := filepath.Join(directory, "ca.pem")
	text, err := os.ReadFile(made.Certificate)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(authority, text, 0o600); err != nil {
		t.Fatal(err)
	}
	replace(made.Key, files+"/box.key")
	replace(made.Certificate, files+"/box.pem")
	eventually(t, "the listener is up", func() bool { return r.metrics.state("secure").up })
	to := simulateCommand{To: "astms://" + address, CA: authority}
	if out, err := simulated(t, to, "sysmex_xn.astm"); err != nil {
		t.Errorf("%s, %v", out, err)
	}

	issued(t, files, "box")
	if out, err := simulated(t, to, "sysmex_xn.astm"); err == nil {
		t.Errorf("the old certificate is still in use: %s", out)
	}
	to.CA = files + "/box.pem"
	if out, err := simulated(t, to, "sysmex_xn.astm"); err != nil {
		t.Errorf("%s, %v", out, err)
	}
	if !strings.Contains(r.log.text(), "new TLS files are in use") {
		t.Errorf("nothing of new files in\n%s", r.log.text())
	}
}

func mustCapture(t testing.TB, name string) []byte {
	t.Helper()
	data, err := simulator.Capture(name)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// check says of TLS files that are there what is wrong with them.
func TestCheckTLSFiles(t *testing.T) {
	directory := t.TempDir()
	box, other := issued(t, directory, "box"), issued(t, directory, "other")
	_, errs, err := checked(t, written(t, fmt.Sprintf("version: 1\ninstruments:\n- {name: a, astm: {listen: ':1'}, tls: {certificate: %q, key: %q}}\ndestinations: [{name: b, capture: {directory: d}}]\n", box.Certificate, other.Key)))
	if err != nil || !strings.HasPrefix(errs, "FILE:3:41: instruments[0].tls.certificate: "+box.Certificate+" with the key "+other.Key) || !strings.HasSuffix(errs, "(warning)\n") {
		t.Errorf("got %s, %v", errs, err)
	}
}
