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

// TestForeignSender has Debian's mllp_send, an HL7 sender that is not ours, send
// every HL7 capture: as a file with blocks, and as one with line ends from which
// it makes them. It gets AA for each message, and each is in SENAITE.
func TestForeignSender(t *testing.T) {
	sender, err := exec.LookPath("mllp_send")
	if err != nil {
		t.Skip("NO FOREIGN SENDER: mllp_send is not here; make deps installs it (python3-hl7)")
	}
	for name, data := range capturesOf(t, simulator.HL7) {
		messages, err := simulator.Read(data)
		if err != nil {
			t.Fatal(err)
		}
		var framed, loose []byte
		for _, m := range messages {
			framed = mllp.AppendBlock(framed, m.Text)
			loose = append(loose, bytes.ReplaceAll(m.Text, []byte("\r"), []byte("\r\n"))...)
		}
		for kind, content := range map[string][]byte{"blocks": framed, "--loose": loose} {
			t.Run(kind+"/"+name, func(t *testing.T) {
				server, directory := newLIMS(t), t.TempDir()
				r := start(t, base(directory)+lanInstruments+lims(server, directory))
				file := filepath.Join(directory, "message.hl7")
				if err := os.WriteFile(file, content, 0o600); err != nil {
					t.Fatal(err)
				}
				host, port, err := net.SplitHostPort(r.addresses["hl7"])
				if err != nil {
					t.Fatal(err)
				}
				args := []string{"--port", port, "--file", file}
				if kind == "--loose" {
					args = append(args, kind)
				}
				out, err := exec.CommandContext(t.Context(), sender, append(args, host)...).CombinedOutput()
				if err != nil {
					t.Fatalf("mllp_send: %v\n%s", err, out)
				}
				if n := len(accept.FindAll(out, -1)); n != len(messages) {
					t.Errorf("%d of %d messages were answered with AA: %q", n, len(messages), out)
				}
				r.settled()
				wantOnce(t, r, server, data)
			})
		}
	}
}

// accept is the acknowledgement of a message that names a control id.
var accept = regexp.MustCompile(`MSA\|AA\|[^|\r\n]+`)
