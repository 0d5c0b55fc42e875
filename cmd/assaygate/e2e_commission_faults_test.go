//go:build unix

package main

import (
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"testing"

	"github.com/assaygate/assaygate/device/commission"
	"github.com/assaygate/assaygate/protocols/lis01"
	"github.com/assaygate/assaygate/protocols/mllp"
	"github.com/assaygate/assaygate/uplink/senaite/senaitetest"
)

// plantedFault is one thing that is wrong with a line. It is started, a check is
// begun, and then act does what the analyser does.
type plantedFault struct {
	name  string
	start func(*testing.T) (r *running, act func(*testing.T))
	said  bool // nothing more comes: the person has to say that something was sent
	at    commission.Key
	seen  string
}

// onSerial plants a fault on a terminal.
func onSerial(act func(*testing.T, *os.File)) func(*testing.T) (*running, func(*testing.T)) {
	return func(t *testing.T) (*running, func(*testing.T)) {
		r, line, _ := serialLine(t)
		return r, func(t *testing.T) { act(t, line) }
	}
}

// onLine plants a fault on a line of the network; act gets a connection to it where
// it listens.
func onLine(line string, act func(*testing.T, net.Conn)) func(*testing.T) (*running, func(*testing.T)) {
	return func(t *testing.T) (*running, func(*testing.T)) {
		r, _ := checkedLine(t, line)
		return r, func(t *testing.T) {
			if act != nil {
				act(t, dial(t, r.addresses["analyser"]))
			}
		}
	}
}

// atLIMS plants a fault behind a line that is well.
func atLIMS(prepare func(*testing.T, *senaitetest.Server), change ...string) func(*testing.T) (*running, func(*testing.T)) {
	return func(t *testing.T) (*running, func(*testing.T)) {
		r, server := checkedLine(t, lanLine, change...)
		prepare(t, server)
		return r, func(t *testing.T) { sends(t, dial(t, r.addresses["analyser"]), sessionOf(knownText("S-1"))...) }
	}
}

func writes(text string) func(*testing.T, net.Conn) {
	return func(t *testing.T, line net.Conn) {
		if _, err := line.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
}

func writesSerial(text string) func(*testing.T, *os.File) {
	return func(t *testing.T, line *os.File) {
		if _, err := line.WriteString(text); err != nil {
			t.Fatal(err)
		}
	}
}

func inMode(mode senaitetest.Mode) func(*testing.T, *senaitetest.Server) {
	return func(t *testing.T, s *senaitetest.Server) {
		if err := s.Set(mode); err != nil {
			t.Fatal(err)
		}
	}
}

func asItIs(*testing.T, *senaitetest.Server) {}

// spoiltFrame is a frame with a wrong checksum.
func spoiltFrame() []byte {
	frame := oneFrame(knownText("S-1"))
	frame[len(frame)-3] ^= 1
	return frame
}

// plantedFaults are all of them that need no card of their own.
func plantedFaults() []plantedFault {
	enq, eot := []byte{lis01.ENQ}, []byte{lis01.EOT}
	withoutEnd, _, _ := strings.Cut(knownText("S-1"), "L|1")
	hl7Line := `profile: generic_hl7, hl7: {listen: "127.0.0.1:0"}`
	return []plantedFault{
		{"no such port", onLine(`serial: {port: /dev/ttyNOT9}`, nil), false, commission.PortLayer, "No port /dev/ttyNOT9 is there"},
		{"no bytes", onSerial(func(*testing.T, *os.File) {}), true, commission.BytesLayer, "Not one byte"},
		{"another speed", onSerial(writesSerial("\xf8\x80\x00\xe6\x86\xff\x00\x9e\x78\xfe")), false, commission.FormatLayer, "none that an analyser sends"},
		{"a printer", onSerial(writesSerial("WBC 5.1\r\nRBC 4.2\r\n")), true, commission.GreetingLayer, "none of them is an ENQ"},
		{"ENQ only", onSerial(func(t *testing.T, line *os.File) { sends(t, line, enq, enq, enq) }), false, commission.FramesLayer, "greetings: 3"},
		{"wrong checksums", onSerial(func(t *testing.T, line *os.File) { sends(t, line, enq, spoiltFrame(), spoiltFrame(), eot) }), false, commission.FramesLayer, "checksum was wrong"},
		{"no terminator", onSerial(func(t *testing.T, line *os.File) { sends(t, line, sessionOf(withoutEnd)...) }), false, commission.RecordsLayer, "no terminator record"},
		{"no header", onSerial(func(t *testing.T, line *os.File) {
			_, withoutHeader, _ := strings.Cut(knownText("S-1"), "\r")
			sends(t, line, sessionOf(withoutHeader)...)
		}), false, commission.RecordsLayer, "begin as it should"},
		{"unknown header", onSerial(func(t *testing.T, line *os.File) { sends(t, line, sessionOf(astmText("Nobody^9", "1", "S-1"))...) }), false, commission.RecognisedLayer, "general one (generic_astm)"},

		{"address taken", addressTaken, false, commission.AddressLayer, "address already in use"},
		{"TLS files", onLine(lanLine+`, tls: {certificate: /nowhere/box.pem, key: /nowhere/box.key}`, nil), false, commission.AddressLayer, "/nowhere/box"},
		{"nobody connects", onLine(lanLine, nil), true, commission.ConnectionLayer, "Nobody has connected"},
		{"allow_from", onLine(lanLine+", allow_from: [10.20.0.0/24]", func(*testing.T, net.Conn) {}), false, commission.ConnectionLayer, "127.0.0.1"},
		{"no TLS", withTLS, false, commission.ConnectionLayer, "does not speak TLS"},
		{"connected, and silent", onLine(lanLine, func(*testing.T, net.Conn) {}), true, commission.BytesLayer, "not one byte"},
		{"HL7 on an ASTM line", onLine(lanLine, writes(string(mllp.AppendBlock(nil, []byte(hl7Text("X", "1", "1")))))), false, commission.GreetingLayer, "speaks HL7"},
		{"a type that is not taken", onLine(hl7Line, func(t *testing.T, line net.Conn) {
			sends(t, line, mllp.AppendBlock(nil, []byte(strings.Replace(hl7Text("X", "1", "1"), "ORU^R01", "ADT^A01", 1))))
		}), false, commission.RecordsLayer, "AR"},
		{"a block without end", onLine(hl7Line, writes("\x0bMSH|^~\\&|")), false, commission.FramesLayer, "no end of it"},
		{"nobody to dial", func(t *testing.T) (*running, func(*testing.T)) {
			r, _ := checkedLine(t, fmt.Sprintf("astm: {dial: %q}", freePort(t)))
			return r, func(*testing.T) {}
		}, false, commission.ReachLayer, "refused"},

		{"LIMS down", atLIMS(inMode(senaitetest.Down)), false, commission.LIMSLayer, "No connection"},
		{"another site", atLIMS(inMode(senaitetest.NotJSON)), false, commission.LIMSLayer, "no answer as SENAITE does"},
		{"no TLS at the LIMS", atLIMS(asItIs, "http://", "https://"), false, commission.LIMSLayer, "No TLS"},
		{"no LIMS of that name", atLIMS(asItIs, "http://127.0.0.1", "https://lims.invalid"), false, commission.LIMSLayer, "not found"},
		{"wrong password", atLIMS(asItIs, `"`+senaitetest.Password+`"`, "hunter2"), false, commission.LoginLayer, "refuses the credentials"},
		{"unknown consumer", atLIMS(asItIs, "confirm:", "consumer: my.consumer, confirm:"), false, commission.ConsumerLayer, "my.consumer"},
		{"refusing", atLIMS(inMode(senaitetest.Unsuccessful)), false, commission.ReceivedLayer, "without success"},
		{"sample not registered", atLIMS(func(_ *testing.T, s *senaitetest.Server) { s.OrderAsPushed(false) }), false, commission.ConfirmedLayer, "do not stand there"},
	}
}

// addressTaken has another program take the address while the store is closed: at the
// start it would end the process.
func addressTaken(t *testing.T) (*running, func(*testing.T)) {
	address := freePort(t)
	r, _ := checkedLine(t, fmt.Sprintf("astm: {listen: %q}", address))
	return r, func(t *testing.T) {
		err := r.Reopen(t.Context(), func() error {
			listener, err := net.Listen("tcp", address)
			if err == nil {
				t.Cleanup(func() { listener.Close() })
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

func withTLS(t *testing.T) (*running, func(*testing.T)) {
	box := issued(t, t.TempDir(), "box")
	r, _ := checkedLine(t, lanLine+fmt.Sprintf(", tls: {certificate: %q, key: %q}", box.Certificate, box.Key))
	return r, func(t *testing.T) { writes("\x05")(t, dial(t, r.addresses["analyser"])) }
}

// checkedLine runs a gateway with one instrument, and SENAITE behind it.
func checkedLine(t *testing.T, line string, change ...string) (*running, *senaitetest.Server) {
	t.Helper()
	server, directory := newLIMS(t), t.TempDir()
	server.OrderAsPushed(true)
	to := fmt.Sprintf("destinations: [{name: lims, accept_test: true, senaite: {url: %q, username: %q, password: %q, confirm: {after: 2s}}}]\n",
		server.URL, senaitetest.Username, senaitetest.Password)
	to = strings.NewReplacer(change...).Replace(to)
	return start(t, "box: {name: box-a17}\n"+base(directory)+"instruments: [{name: analyser, "+line+"}]\n"+to), server
}

// serialLine is checkedLine on a terminal, whose other end is the instrument's.
func serialLine(t *testing.T, change ...string) (*running, *os.File, *senaitetest.Server) {
	t.Helper()
	instrument, path := terminal(t)
	r, server := checkedLine(t, fmt.Sprintf("serial: {port: %q}", path), change...)
	eventually(t, "the port is open", func() bool { return r.metrics.state("analyser").up })
	return r, instrument, server
}

const lanLine = `astm: {listen: "127.0.0.1:0"}`

// sends writes what an analyser sends, and reads one answer for each.
func sends(t *testing.T, line io.ReadWriter, units ...[]byte) {
	t.Helper()
	for _, unit := range units {
		if _, err := line.Write(unit); err != nil {
			t.Fatal(err)
		}
		if unit[0] == lis01.EOT {
			continue
		}
		if _, err := io.ReadFull(line, make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
	}
}

// sessionOf is a message as an analyser sends it.
func sessionOf(text string) [][]byte { return [][]byte{{lis01.ENQ}, oneFrame(text), {lis01.EOT}} }

func oneFrame(text string) []byte {
	return lis01.AppendFrame(nil, lis01.Frame{Number: '1', Text: []byte(text), End: true})
}

// knownText is a message of an analyser that a profile knows.
func knownText(id string) string { return astmText("XN-550^1", id, id) }
