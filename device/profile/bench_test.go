package profile

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/assaygate/assaygate/envelope"
)

// oru is an ORU^R01 of about 2 KB.
func oru() []byte {
	var b bytes.Buffer
	b.WriteString("MSH|^~\\&|HA-9|Lab^12|LIS|Hospital|20260102030405||ORU^R01^ORU_R01|MSG-1|P|2.5.1|||NE|AL||UNICODE UTF-8\r")
	b.WriteString("PID|1||P-77^^^H^MR||Sample^Eve^Q||19800102|F\rPV1|1|I|W3^12^1\r")
	b.WriteString("ORC|RE|A-1|S-1|||||||20260102030000\rOBR|1|A-1|S-2026-0001|CBC^Complete blood count^L|||20260102025500\r")
	for i := range 20 {
		fmt.Fprintf(&b, "OBX|%d|NM|%d-2^Analyte %d^LN||%d.%d|10*9/L|3.5-10.0|N|||F|||20260102030405||tech\r", i+1, 6690+i, i, i, i%10)
	}
	return b.Bytes()
}

// whole is what an envelope costs from a message's bytes to the JSON that a
// destination gets: parse, envelope, JSON.
func whole(b *testing.B, m Raw) {
	set := load(b, Options{Box: "box"})
	b.SetBytes(int64(len(m.Text)))
	b.ReportAllocs()
	for b.Loop() {
		for _, e := range set.Envelopes(m, at) {
			if _, err := e.MarshalJSON(); err != nil {
				b.Fatal(err)
			}
		}
	}
}

// BenchmarkORU states beside its own time how many times faster that is than
// python-hl7's parser, which only parses, on the same message in the same run.
func BenchmarkORU(b *testing.B) {
	text := oru()
	whole(b, Raw{Protocol: envelope.HL7, Text: text, Instrument: "a", Intake: envelope.Accepted})
	own := b.Elapsed().Seconds() / float64(b.N)
	if python, err := pythonHL7(b, text); err != nil {
		b.Logf("python-hl7 is not here (make deps): not compared with it: %v", err)
	} else {
		b.ReportMetric(python/own, "x-python-hl7")
	}
}

// pythonHL7 is the time in seconds that python-hl7 takes to parse a message.
func pythonHL7(b *testing.B, message []byte) (float64, error) {
	file := filepath.Join(b.TempDir(), "message.hl7")
	if err := os.WriteFile(file, message, 0o600); err != nil {
		return 0, err
	}
	const script = "import hl7, sys, timeit\n" +
		"text = open(sys.argv[1], newline='').read()\n" +
		"print(min(timeit.repeat(lambda: hl7.parse(text), number=100, repeat=5)) / 100)"
	out, err := exec.Command("/usr/bin/python3", "-c", script, file).Output()
	if err != nil {
		return 0, err
	}
	return strconv.ParseFloat(strings.TrimSpace(string(out)), 64)
}

// BenchmarkXN reads a Sysmex XN capture: senaite.astm's where it is here.
func BenchmarkXN(b *testing.B) {
	raw, err := os.ReadFile(filepath.Join(peers, "captures", "sysmex_xn550.txt"))
	if err != nil {
		b.Logf("our own capture: %v", err)
		if raw, err = os.ReadFile("../simulator/captures/sysmex_xn.astm"); err != nil {
			b.Fatal(err)
		}
	}
	m := astmCapture(b, raw)
	m.Instrument, m.Intake = "a", envelope.Accepted
	whole(b, m)
}
