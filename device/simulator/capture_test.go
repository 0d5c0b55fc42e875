package simulator

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/assaygate/assaygate/protocols/lis01"
)

func read(t *testing.T, data []byte) []Message {
	t.Helper()
	messages, err := Read(data)
	if err != nil {
		t.Fatal(err)
	}
	return messages
}

func capture(t *testing.T, name string) []Message {
	t.Helper()
	data, err := Capture(name)
	if err != nil {
		t.Fatal(err)
	}
	return read(t, data)
}

func TestCaptures(t *testing.T) {
	if len(Captures()) < 4 {
		t.Fatalf("captures: %v", Captures())
	}
	for _, name := range Captures() {
		messages := capture(t, name)
		if len(messages) != 1 || !bytes.Contains(messages[0].Text, []byte("SIM-")) {
			t.Errorf("%s: %d messages, or no sample id", name, len(messages))
		}
		for i, raw := range messages[0].Frames {
			frame, err := lis01.ParseFrame(raw)
			if err != nil || int(frame.Number-'0') != (i+1)%8 {
				t.Errorf("%s: frame %d has number %c: %v", name, i+1, frame.Number, err)
			}
			if end := i == len(messages[0].Frames)-1; frame.End != end {
				t.Errorf("%s: frame %d of %d: end %v", name, i+1, len(messages[0].Frames), frame.End)
			}
		}
	}
	if _, err := Capture("../simulator.go"); err == nil || !strings.Contains(err.Error(), "sysmex_xn.astm") {
		t.Errorf("unknown name: %v", err)
	}
}

func TestReadASTM(t *testing.T) {
	const text = "H|\\^&\rO|1|A\rL|1|N\r"
	one := string(frame(1, "H|\\^&\r", false)) + string(frame(2, "O|1|A\r", false)) + string(frame(3, "L|1|N\r", true))
	other := string(frame(1, "H|\\^&\rL|1\r", true))
	for name, data := range map[string]string{
		"frames":                one,
		"frames, LF":            strings.ReplaceAll(one, "\r\n", "\n"),
		"frames, no CR LF":      strings.TrimSuffix(strings.ReplaceAll(one, "\r\n\x02", "\x02"), "\r\n"),
		"the wire":              "\x05\x06" + strings.ReplaceAll(one, "\n", "\n\x06") + "\x04",
		"records, LF":           strings.ReplaceAll(text, "\r", "\n"),
		"records, CR":           text,
		"records, CR LF":        strings.ReplaceAll(text, "\r", "\r\n"),
		"records, no last end":  strings.TrimSuffix(text, "\r"),
		"records, byte order":   "\xEF\xBB\xBF" + text,
		"records, blank before": "\r\n" + text,
	} {
		messages := read(t, []byte(data))
		if len(messages) != 1 || messages[0].Protocol != ASTM || string(messages[0].Text) != text {
			t.Errorf("%s: %q", name, messages)
			continue
		}
		if strings.Contains(data, "\x02") && string(bytes.Join(messages[0].Frames, nil)) != one {
			t.Errorf("%s: frames %q", name, messages[0].Frames)
		}
	}
	for name, data := range map[string]string{
		"two sessions":                 "\x05" + one + "\x04\x05" + other + "\x04",
		"two sessions, no ENQ and EOT": one + other,
		"records":                      text + "H|\\^&\rL|1\r",
	} {
		messages := read(t, []byte(data))
		if len(messages) != 2 || string(messages[0].Text) != text || string(messages[1].Text) != "H|\\^&\rL|1\r" {
			t.Errorf("%s: %q", name, messages)
		}
	}
	// Numbers that go on are one session.
	if n := len(read(t, append([]byte(one), frame(4, "H|\\^&\rL|1\r", true)...))); n != 1 {
		t.Errorf("two messages in one session: %d", n)
	}
}

func TestReadHL7(t *testing.T) {
	const one, two = "MSH|^~\\&|A||||||ORU^R01|1|P|2.4\rOBX|1\r", "MSH|^~\\&|A||||||ORU^R01|2|P|2.4\rOBX|2\r"
	for name, data := range map[string]string{
		"CR":           one + two,
		"LF":           strings.ReplaceAll(one+two, "\r", "\n"),
		"CR LF":        strings.ReplaceAll(one+two, "\r", "\r\n"),
		"MLLP":         "\x0b" + one + "\x1c\r\x0b" + two + "\x1c\r",
		"batch":        "FHS|^~\\&\rBHS|^~\\&\r" + one + two + "BTS|2\rFTS|1\r",
		"junk before":  "\x02\x02" + one + two,
		"no last end":  strings.TrimSuffix(one+two, "\r"),
		"order of CRs": "\n\n" + one + "\r\n" + two,
	} {
		messages := read(t, []byte(data))
		if len(messages) != 2 || messages[0].Protocol != HL7 || string(messages[0].Text) != one || string(messages[1].Text) != two {
			t.Errorf("%s: %q", name, messages)
		}
	}
}

func TestReadRefuses(t *testing.T) {
	for name, data := range map[string]string{
		"empty": "", "text": "Hello, analyser", "letters": "HELLO", "frame without end": "\x021H|\\^&\r",
	} {
		if messages, err := Read([]byte(data)); err == nil {
			t.Errorf("%s: %q", name, messages)
		}
	}
	if _, err := Read([]byte("%PDF-1.7")); !errors.Is(err, ErrNotCapture) {
		t.Errorf("%v", err)
	}
}

func FuzzRead(f *testing.F) {
	for _, name := range Captures() {
		data, err := Capture(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add([]byte("H|\\^&\nL|1"))
	f.Add([]byte("H!\r"))
	f.Fuzz(func(t *testing.T, data []byte) {
		messages, err := Read(data)
		if err == nil && len(messages) == 0 {
			t.Error("neither messages nor an error")
		}
		for _, m := range messages {
			for _, verbatim := range []bool{true, false} {
				if _, err := m.prepare(Options{Verbatim: verbatim}, someTime); err != nil {
					t.Errorf("what was read cannot be played: %v", err)
				}
			}
		}
	})
}
