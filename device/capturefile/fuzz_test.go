package capturefile

import (
	"bytes"
	"strings"
	"testing"

	"github.com/assaygate/assaygate/protocols/memorytest"
)

// seeds are a file of each kind.
func seeds() []string {
	one := frame('1', "H|\\^&\rO|1|A\rL|1\r", true)
	return []string{
		one, "\x05" + frame('1', "H|\\^&\r", false) + frame('2', "L|1\r", true) + "\x04", "H|\\^&\nL|1", "H!\r",
		"MSH|^~\\&|A\rOBX|1\r", "\x0bMSH|^~\\&|A\r\x1c\r", "FHS|^~\\&\nMSH|^~\\&\nBTS|1", "\x021P|M\u00FCller\x0300\r\n",
		strings.ReplaceAll(one, "\r", "\n"), "\x021H\n|\\^&\rL|1\r\x03" + one[len(one)-4:], "1H|\\^&\r\x03\r2L|1\r\x17", "\x051H|\\^&\x0300\r\n",
		vidas("A") + spotchem + one, "\x05" + vidas("A") + vidas("A") + "\x04", vidas("A")[:9] + vidas("B"),
		"CONNECT;1;2\r" + ended("A") + "ACK_RESULT;OK\r" + emerald("B"), emerald("A") + emerald("B"), "x\nRESULT\nSTARTUP\n",
	}
}

// FuzzRead: every place is within the file, and what is in a transmission is in
// its messages and frames.
func FuzzRead(f *testing.F) {
	for _, seed := range seeds() {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		file, err := Read(data)
		if (err == nil) != (len(file.Transmissions)+len(file.Problems) > 0) {
			t.Errorf("error %v with %+v", err, file)
		}
		memorytest.Bounded(t, "Read", data, readAlone)
		for _, p := range file.Problems {
			if p.At < 0 || p.At >= len(data) {
				t.Errorf("%s: there are %d bytes", p, len(data))
			}
		}
		for _, m := range file.Transmissions {
			if m.At < 0 || m.At >= len(data) {
				t.Errorf("a transmission at byte %d of %d", m.At, len(data))
			}
			for _, frame := range m.Frames {
				if frame.At < 0 || frame.At >= len(data) || data[frame.At] != '\x02' || frame.Name() < "0" || frame.Name() > "9" {
					t.Errorf("frame %s at byte %d of %d", frame.Name(), frame.At, len(data))
				}
			}
			var text []byte
			for _, part := range m.Messages() {
				text = append(text, part.Text...)
			}
			// Blanks before a record belong to none.
			if got, want := dense(text), dense(m.Text); !bytes.Equal(got, want) {
				t.Errorf("messages hold %q of %q", got, want)
			}
		}
	})
}

func dense(text []byte) []byte {
	return bytes.Join(bytes.FieldsFunc(text, func(r rune) bool { return r <= ' ' }), nil)
}

// readAlone reads a file for the memory it takes.
func readAlone(data []byte) { _, _ = Read(data) }

func TestMemory(t *testing.T) {
	units := append(seeds(),
		"\x02", "\x05", "\x02\x03", "\x021\x03", "\x021\x0300", "\x021H|\x03", "\x05\x021a\x03\x04", "\x021\n\x03", "\x021\n\u00FC\x0300", "\x02\x1e\x1d", "\x0225/03/09 \x03",
		"\x0b\x1c", "\x0bM\x1c\r", "MSH\r", "MSH|\rFHS\r", "FHS\r", "H|\r", "1H|\r", "H", "RESULT\r", "STARTUP\r", "RESULT\rEND_RESULT\r", "a\r", "CALIBRATION", "\r", "1A|\x17\r",
	)
	for _, unit := range units {
		for _, before := range []string{"", "H|\\^&\r", "1H|\\^&\r", "MSH|^~\\&\r", "RESULT\r", "\x05\x021"} {
			memorytest.Bounded(t, "Read of repeated "+unit, []byte(before+strings.Repeat(unit, 1<<16/len(unit))), readAlone)
		}
	}
}
