package profile

import (
	"bytes"
	"compress/flate"
	"compress/zlib"
	"encoding/base64"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/assaygate/assaygate/envelope"
	"github.com/assaygate/assaygate/protocols/lis01"
	"github.com/assaygate/assaygate/protocols/memorytest"
)

// Whatever comes over a line becomes envelopes with valid JSON that reads back,
// with the raw bytes in the first.
func FuzzEnvelopes(f *testing.F) {
	for _, text := range []string{
		"H|\\^&|||XN-550^1|||||||P|1|20260102030405\rP|1\rO|1||^^ 27^M|^^^^WBC\\^^^^RBC\rR|1|^^^^WBC^1|8.1|10*3/uL||N||F||||20260102030405\rC|1||\rL|1|N\r",
		"H|\\^&|||H500^1^2\rM|1|HISTOGRAM|RBC|x|FLOATLE-stream/deflate:base64^Y2AAAQ4nMMXQA6IdgMghPS3I|FLOATLE-stream:base64^AACAPw==\rL|1|N\r",
		"H|\\^&|||x^Roche^c111\rO|1|^^||^^^413\rC|1|I|a^b\\c|I\r",
		"H!~:$!!!Star:1\rQ!1!:S1\rS!x\rZ\r",
		"MSH|^~\\&|HemoScreen|PixCell|||20260102||ORU^R01|1|P|2.4\rPID||35\rOBR||||LQC\rOBX|0|NM|WBC||11.7|10*3/uL\r",
		"MSH|^~\\&|Lab||||1||OUL^R22|1|P|2.5||||||8859/1\rSPM|1|a&b^c\rSAC|||x\rOBR|1\rORC|RE\rOBX|1||A^B\rNTE|1\r",
		"", "\r", "H", "MSH", "MSH|", "H|", "\x00\xff|^", "MSH!\rMSH",
	} {
		f.Add([]byte(text), true)
		f.Add([]byte(text), false)
	}
	open := load(f, Options{})
	shut := load(f, Options{Allow: envelope.Allowlist{
		ASTM: &envelope.Allowed{Fields: map[string][]int{"R": {3, 4}}, DropUnmatched: true},
		HL7:  &envelope.Allowed{Fields: map[string][]int{"OBX": {3, 5}}},
	}})
	f.Fuzz(func(t *testing.T, text []byte, isHL7 bool) {
		m := Raw{Protocol: envelope.HL7, Text: text, Instrument: "a", Intake: envelope.Accepted}
		if !isHL7 {
			m.Protocol = envelope.ASTM
			m.Frames = [][]byte{lis01.AppendFrame(nil, lis01.Frame{Number: '1', Text: text, End: true})}
		}
		for _, set := range []*Set{open, shut} {
			list := set.Envelopes(m, at)
			if len(list) == 0 {
				t.Fatal("a message was lost")
			}
			for i, e := range list {
				if e.Part != i || e.Digest != list[0].Digest || e.MessageID != list[0].MessageID {
					t.Errorf("envelope %d is not part of its message", i)
				}
				text, err := e.MarshalJSON()
				if err != nil {
					t.Fatal(err)
				}
				var again envelope.Envelope
				if err := json.Unmarshal(text, &again); err != nil {
					t.Fatalf("%s: %v", text, err)
				}
			}
		}
	})
}

// packedStreams are streams of all kinds, packed and damaged.
func packedStreams() []string {
	var zeros bytes.Buffer
	w, _ := flate.NewWriter(&zeros, flate.BestCompression)
	w.Write(make([]byte, 1<<20))
	w.Close()
	return []string{
		"FLOATLE-stream/deflate:base64^Y2AAAQ4nMMXQA6IdgMghPS3I", "INT16BE-stream/gzip:base64^AAAA", "FLOATLE-stream:base64^AACAPw==",
		"FLOATLE-stream/deflate:base64^eJxjYAACAAAEAAE=", "INT32LE-stream:base64^////", "X-stream:base64^", "INT16LE-stream/deflate:base64^" + base64.StdEncoding.EncodeToString(zeros.Bytes()),
		"FLOATBE-stream/deflate:base64^" + strings.Repeat("Y2AA", 5000), "INT16LE-stream:base64^" + strings.Repeat("AAAA", 5000),
	}
}

func TestStreamMemory(t *testing.T) {
	for _, text := range packedStreams() {
		memorytest.Bounded(t, "stream", []byte(text), func([]byte) { _, _ = decodeStream(text, '^', newBudget()) })
	}
}

func TestStreamWithZlibHeader(t *testing.T) {
	var packed bytes.Buffer
	w := zlib.NewWriter(&packed)
	w.Write([]byte{0, 0, 0x80, 0x3F, 0, 0, 0, 0x40})
	w.Close()
	numbers, err := decodeStream("FLOATLE-stream/deflate:base64^"+base64.StdEncoding.EncodeToString(packed.Bytes()), '^', newBudget())
	if err != nil || !slices.Equal(numbers, envelope.Floats{1, 2}) {
		t.Errorf("%v, %v", numbers, err)
	}
}

func FuzzStream(f *testing.F) {
	for _, text := range packedStreams() {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		memorytest.Bounded(t, "stream", []byte(text), func([]byte) { _, _ = decodeStream(text, '^', newBudget()) })
	})
}
