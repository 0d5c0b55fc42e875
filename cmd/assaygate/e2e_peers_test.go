package main

import (
	"bytes"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/assaygate/assaygate/device/simulator"
	"github.com/assaygate/assaygate/protocols/mllp"
)

// TestMLLPSend has a sender that is not ours, of Debian's python3-hl7, send
// every HL7 capture: as a file of blocks, and as a file of lines. It gets AA for
// each message, and all are in SENAITE.
func TestMLLPSend(t *testing.T) {
	sender, err := exec.LookPath("mllp_send")
	if err != nil {
		t.Skip("NO FOREIGN HL7 SENDER: mllp_send is not here; make deps installs it")
	}
	for name, data := range capturesOf(t, simulator.HL7) {
		messages, err := simulator.Read(data)
		if err != nil {
			t.Fatal(err)
		}
		var blocks, lines []byte
		for _, m := range messages {
			blocks = mllp.AppendBlock(blocks, m.Text)
			lines = append(lines, bytes.ReplaceAll(m.Text, []byte("\r"), []byte("\r\n"))...)
		}
		t.Run("blocks/"+name, func(t *testing.T) { mllpSend(t, sender, data, blocks, len(messages)) })
		t.Run("lines/"+name, func(t *testing.T) { mllpSend(t, sender, data, lines, len(messages), "--loose") })
	}
}

// accepted is an acknowledgement that names the message.
var accepted = regexp.MustCompile(`MSA\|AA\|[^|\r\n]+`)

func mllpSend(t *testing.T, sender string, data, content []byte, messages int, flags ...string) {
	server, directory := newLIMS(t), t.TempDir()
	r := start(t, base(directory)+lanInstruments+lims(server, directory))
	file := filepath.Join(directory, "messages.hl7")
	if err := os.WriteFile(file, content, 0o600); err != nil {
		t.Fatal(err)
	}
	host, port, err := net.SplitHostPort(r.addresses["hl7"])
	if err != nil {
		t.Fatal(err)
	}
	answers, err := exec.CommandContext(t.Context(), sender, append(flags, "--file", file, "--port", port, host)...).CombinedOutput()
	if n := len(accepted.FindAll(answers, -1)); err != nil || n != messages {
		t.Errorf("%d of %d messages got AA: %q (%v)", n, messages, answers, err)
	}
	r.settled()
	wantOnce(t, r, server, data)
}
