package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/assaygate/assaygate/device/simulator"
	"github.com/assaygate/assaygate/protocols/hl7"
	"github.com/assaygate/assaygate/protocols/mllp"
	"github.com/assaygate/assaygate/uplink/senaite/senaitetest"
)

// The peers are clients that nobody here wrote: testdata/peers has a short
// program around each. `make test-peers` installs them into the folder that
// ASSAYGATE_PEERS names. A peer that is not there is skipped, or with
// REQUIRE_PEERS=1 a failure.

// hl7Senders are the peers that send HL7, each as `send CHARSET HOST PORT FILE...`:
// one connection for each file of blocks, all at a time. They print a line
// `CONTROL-ID CODE` for each answer that they take for that of their message.
func hl7Senders() []string {
	return []string{"hapi", "medplum", "node-hl7-client", "python-hl7"}
}

// absent ends the test because a peer is not there.
func absent(t *testing.T, format string, args ...any) {
	t.Helper()
	if os.Getenv("REQUIRE_PEERS") == "1" {
		t.Fatalf(format, args...)
	}
	t.Skipf("NOT TESTED: "+format, args...)
}

// peerProgram finds a program of an installed peer.
func peerProgram(t *testing.T, peer, program string) string {
	t.Helper()
	directory := os.Getenv("ASSAYGATE_PEERS")
	if directory == "" {
		absent(t, "the peer %s: make test-peers installs the peers and runs this test with them", peer)
	}
	file := filepath.Join(directory, peer, program)
	if _, err := os.Stat(file); err != nil {
		why, err := os.ReadFile(filepath.Join(directory, peer, "missing"))
		if err != nil {
			why = []byte("make test-peers installs it")
		}
		absent(t, "the peer %s is not in %s: %s", peer, directory, bytes.TrimSpace(why))
	}
	return file
}

// systemPeer finds a peer that is a package of the system.
func systemPeer(t *testing.T, program string) string {
	t.Helper()
	file, err := exec.LookPath(program)
	if err != nil {
		absent(t, "the peer %s is not here; make deps installs it", program)
	}
	return file
}

// said runs a peer and returns the lines that it printed. A peer that ends with
// an error has found something odd.
func said(t *testing.T, program string, args ...string) []string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), program, args...).Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			err = fmt.Errorf("%w: %s", err, exit.Stderr)
		}
		t.Fatalf("%s %q printed %q: %v", program, args, out, err)
	}
	return strings.Split(strings.TrimSuffix(string(out), "\n"), "\n")
}

// sendWith has a peer send files to an instrument's listener.
func sendWith(t *testing.T, r *running, program, option, instrument string, files ...[]byte) []string {
	t.Helper()
	host, port, err := net.SplitHostPort(r.addresses[instrument])
	if err != nil {
		t.Fatal(err)
	}
	args := []string{option, host, port}
	for n, data := range files {
		file := filepath.Join(t.TempDir(), strconv.Itoa(n))
		if err := os.WriteFile(file, data, 0o600); err != nil {
			t.Fatal(err)
		}
		args = append(args, file)
	}
	return said(t, program, args...)
}

// Each peer sends every HL7 capture, one after the other on one connection, is
// content with each answer, and the messages are in SENAITE once.
func TestPeersSendEveryCapture(t *testing.T) {
	for _, peer := range hl7Senders() {
		t.Run(peer, func(t *testing.T) {
			program := peerProgram(t, peer, "send")
			var blocks []byte
			var want []string
			for _, data := range capturesOf(t, simulator.HL7) {
				messages, err := simulator.Read(data)
				if err != nil {
					t.Fatal(err)
				}
				for _, m := range messages {
					blocks = mllp.AppendBlock(blocks, m.Text)
					want = append(want, controlIDOf(t, m.Text)+" AA")
				}
			}
			server, directory := newLIMS(t), t.TempDir()
			r := start(t, base(directory)+lanInstruments+lims(server, directory))
			if got := sendWith(t, r, program, "utf-8", "hl7", blocks); !slices.Equal(got, want) {
				t.Errorf("answers %q, want %q", got, want)
			}
			r.settled()
			wantOnce(t, r, server, blocks)
		})
	}
}

func controlIDOf(t *testing.T, text []byte) string {
	t.Helper()
	m, err := hl7.ParseHeader(bytes.Clone(text))
	if err != nil {
		t.Fatal(err)
	}
	return string(m.First("MSH").Field(10))
}

// exchange is one message of a conversation with a peer.
type exchange struct {
	name string // part of the control id and of the sample id
	kind string // MSH-9
	acks string // MSH-15 and MSH-16
	code string // MSA-1 that must come
}

// conversation is what one connection of a peer says, in this order.
func conversation(t *testing.T) []exchange {
	list := []exchange{
		{"first", "ORU^R01^ORU_R01", "|", "AA"},
		{"unknown", "ADT^A01^ADT_A01", "|", "AR"},
		{"specimen", "OUL^R22^OUL_R22", "|", "AA"},
		{"order", "OML^O33^OML_O33", "|", "AA"},
		{"event", "OML^O21^OML_O21", "|", "AR"},
		{"last", "ORU^R01^ORU_R01", "|", "AA"},
	}
	if enhancedMode(t) {
		list = append(list, exchange{"commit", "ORU^R01^ORU_R01", "AL|NE", "CA"},
			exchange{"refuse", "ADT^A01^ADT_A01", "AL|NE", "CR"}, exchange{"law", "OUL^R22^OUL_R22", "NE|AL", "AA"})
	}
	return list
}

// enhancedMode reports whether this version acknowledges in enhanced mode.
func enhancedMode(t *testing.T) bool {
	t.Helper()
	config, err := parseConfig([]byte("version: 1\ninstruments: [{name: hl7, hl7: {listen: \"127.0.0.1:0\", ack: enhanced}}]\n"), "test")
	if err != nil {
		t.Fatal(err)
	}
	return !slices.ContainsFunc(config.inactive(), func(i inactive) bool { return strings.HasSuffix(i.Where, "hl7.ack") })
}

// text is the message as it goes over a connection.
func (e exchange) text(connection, charset string) string {
	sample := connection + "-" + e.name
	header := fmt.Sprintf("MSH|^~\\&|%s|Lab|LIS|Ward|20260102030405||%s|%s|P|2.5.1|||%s||%s\r", connection, e.kind, sample, e.acks, charset)
	result := "OBX|1|ST|SIZE||" + value + "|µm\r"
	switch e.kind[:3] {
	case "OUL":
		return header + "SPM|1|" + sample + "\rOBR|1||" + sample + "|SIZE\r" + result
	case "OML":
		return header + "PID|1||P1\rSPM|1|" + sample + "\rSAC|||" + sample + "\rORC|NW|" + sample + "\rOBR|1|" + sample + "||SIZE\r"
	}
	return header + "PID|1||P1\rOBR|1||" + sample + "|SIZE\r" + result
}

// value has characters that UTF-8 and ISO 8859-1 write differently.
const value = "Größe <5 µ"

// Each peer speaks over two connections at the same time, several messages on
// each. What is refused comes out as the library's negative answer, and text
// arrives in the character set that MSH-18 names.
func TestPeersConverse(t *testing.T) {
	charsets := []struct {
		name, msh18 string
		encode      func(string) []byte
	}{
		{"utf-8", "UNICODE UTF-8", func(s string) []byte { return []byte(s) }},
		{"latin1", "8859/1", latin1},
	}
	for _, peer := range hl7Senders() {
		for _, charset := range charsets {
			t.Run(peer+"/"+charset.name, func(t *testing.T) {
				program := peerProgram(t, peer, "send")
				server, directory := newLIMS(t), t.TempDir()
				r := start(t, base(directory)+lanInstruments+lims(server, directory))
				var files [][]byte
				var answers, samples []string
				for _, connection := range []string{"ONE", "TWO"} {
					var blocks []byte
					for _, e := range conversation(t) {
						blocks = mllp.AppendBlock(blocks, charset.encode(e.text(connection, charset.msh18)))
						answers = append(answers, connection+"-"+e.name+" "+e.code)
						if !strings.HasSuffix(e.code, "R") {
							samples = append(samples, connection+"-"+e.name)
						}
					}
					files = append(files, blocks)
				}
				got := sendWith(t, r, program, charset.name, "hl7", files...)
				for _, connection := range []string{"ONE", "TWO"} {
					of := func(list []string) []string {
						return slices.DeleteFunc(slices.Clone(list), func(s string) bool { return !strings.HasPrefix(s, connection) })
					}
					if got, want := of(got), of(answers); !slices.Equal(got, want) {
						t.Errorf("answers %q, want %q", got, want)
					}
				}
				if len(got) != len(answers) {
					t.Errorf("%d answers to %d messages: %q", len(got), len(answers), got)
				}
				r.settled()
				wantSamples(t, server, samples)
			})
		}
	}
}

// latin1 encodes text whose characters are all of ISO 8859-1.
func latin1(s string) (out []byte) {
	for _, c := range s {
		out = append(out, byte(c))
	}
	return out
}

// wantSamples expects in SENAITE these samples, each once and with the value
// that was sent.
func wantSamples(t *testing.T, server *senaitetest.Server, want []string) {
	t.Helper()
	var got []string
	for _, push := range server.Pushes() {
		var m importer
		if err := json.Unmarshal([]byte(push.Message), &m); err != nil {
			t.Fatal(err)
		}
		got = append(got, m.Assaygate.SampleID)
		for _, r := range m.R {
			if r.Value != value {
				t.Errorf("%s: value %q, want %q", m.Assaygate.SampleID, r.Value, value)
			}
		}
		if len(m.R) == 0 && !strings.HasSuffix(m.Assaygate.SampleID, "-order") {
			t.Errorf("%s has no result", m.Assaygate.SampleID)
		}
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("SENAITE has the samples %q, want %q", got, want)
	}
}

// python-astm sends every ASTM capture, each in a session of its own on one
// connection: a frame for each record however long, then records cut over frames
// of 247 bytes. After the last it opens a session without a frame.
func TestPeersSendASTM(t *testing.T) {
	for _, frame := range []string{"0", "247"} {
		t.Run(frame, func(t *testing.T) {
			program := peerProgram(t, "python-astm", "send")
			var files [][]byte
			var want []string
			var all []byte
			for name, data := range capturesOf(t, simulator.ASTM) {
				messages, err := simulator.Read(data)
				if err != nil {
					t.Fatal(err)
				}
				for _, m := range messages {
					files = append(files, m.Text)
					want = append(want, fmt.Sprintf("%d ACK", len(files)))
					t.Logf("session %d: %s", len(files), name)
				}
				all = append(all, data...)
			}
			server, directory := newLIMS(t), t.TempDir()
			r := start(t, base(directory)+lanInstruments+lims(server, directory))
			if got := sendWith(t, r, program, frame, "lan", files...); !slices.Equal(got, want) {
				t.Errorf("answers %q, want %q", got, want)
			}
			r.settled()
			wantOnce(t, r, server, all)
		})
	}
}

// TestPeersMLLPSend has a sender of Debian's python3-hl7 send every HL7
// capture: as a file of blocks, and as a file of lines. It gets AA for each
// message, and all are in SENAITE.
func TestPeersMLLPSend(t *testing.T) {
	sender := systemPeer(t, "mllp_send")
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
