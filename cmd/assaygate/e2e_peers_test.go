package main

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/assaygate/assaygate/device/simulator"
)

// TestMLLPSend has a sender that is not ours, of Debian's python3-hl7, deliver
// every HL7 capture.
func TestMLLPSend(t *testing.T) {
	sender, err := exec.LookPath("mllp_send")
	if err != nil {
		t.Skip("NO FOREIGN HL7 SENDER: mllp_send is not here; make deps installs it")
	}
	r := start(t, base(t.TempDir())+lanInstruments)
	host, port, err := net.SplitHostPort(r.addresses["hl7"])
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range capturesOf(t, simulator.HL7) {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), name)
			if err := os.WriteFile(file, data, 0o600); err != nil {
				t.Fatal(err)
			}
			words := []string{"--file", file, "--port", port}
			if data[0] != 0x0B {
				words = append(words, "--loose")
			}
			answer, err := exec.Command(sender, append(words, host)...).CombinedOutput()
			if err != nil || !strings.Contains(string(answer), "MSA|AA|") {
				t.Errorf("mllp_send got %q (%v)", answer, err)
			}
		})
	}
}
