package profile

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"github.com/assaygate/assaygate/envelope"
)

// oru is an ORU^R01 of about 2 KB.
func oru() []byte {
	var b bytes.Buffer
	b.WriteString("MSH|^~\\&|HA-9|Lab^12|LIS|Hospital|20260102030405||ORU^R01^ORU_R01|MSG-1|P|2.5.1|||NE|AL||UNICODE UTF-8\r")
	b.WriteString("PID|1||P-77^^^H^MR||Doe^Jane^Q||19800102|F\rPV1|1|I|W3^12^1\r")
	b.WriteString("ORC|RE|A-1|S-1|||||||20260102030000\rOBR|1|A-1|S-2026-0001|CBC^Complete blood count^L|||20260102025500\r")
	for i := range 20 {
		fmt.Fprintf(&b, "OBX|%d|NM|%d-2^Analyte %d^LN||%d.%d|10*9/L|3.5-10.0|N|||F|||20260102030405||tech\r", i+1, 6690+i, i, i, i%10)
	}
	return b.Bytes()
}

func BenchmarkORU(b *testing.B) {
	set := load(b, Options{})
	text := oru()
	b.Logf("%d bytes", len(text))
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		for _, e := range set.Envelopes(Raw{Protocol: envelope.HL7, Text: text, Instrument: "a", Intake: envelope.Accepted}, time.Unix(1e9, 0)) {
			if _, err := e.MarshalJSON(); err != nil {
				b.Fatal(err)
			}
		}
	}
}
