package simulator

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/assaygate/assaygate/device/capturefile"
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

// What device/capturefile reads is played as it stands there: frames end in
// CR LF, whatever the file has, and a repeat goes out once.
func TestRead(t *testing.T) {
	const text = "H|\\^&\rO|1|A\rL|1|N\r"
	one := string(frame(1, "H|\\^&\r", false)) + string(frame(2, "O|1|A\r", false)) + string(frame(3, "L|1|N\r", true))
	const segments = "MSH|^~\\&|A||||||ORU^R01|1|P|2.4\rOBX|1\r"
	for name, c := range map[string]struct {
		data     string
		protocol Protocol
		text     string
		frames   string
	}{
		"frames":           {one, ASTM, text, one},
		"frames, LF":       {strings.ReplaceAll(one, "\r\n", "\n"), ASTM, text, one},
		"frames, no CR LF": {strings.TrimSuffix(strings.ReplaceAll(one, "\r\n\x02", "\x02"), "\r\n"), ASTM, text, one},
		"the wire":         {"\x05\x06" + strings.ReplaceAll(one, "\n", "\n\x06") + "\x04", ASTM, text, one},
		"a repeat":         {one + string(frame(3, "L|1|N\r", true)), ASTM, text, one},
		"a wrong checksum": {strings.Replace(one, "O|1|A", "O|1|B", 1), ASTM, strings.Replace(text, "A", "B", 1), strings.Replace(one, "O|1|A", "O|1|B", 1)},
		"a part":           {one + "\x024", ASTM, text, one},
		"records":          {strings.ReplaceAll(text, "\r", "\n"), ASTM, text, ""},
		"segments":         {"\n\n" + strings.ReplaceAll(segments, "\r", "\r\n"), HL7, segments, ""},
		"a block":          {"\x0b" + segments + "\x1c\r", HL7, segments, ""},
	} {
		messages := read(t, []byte(c.data))
		if len(messages) != 1 || messages[0].Protocol != c.protocol || string(messages[0].Text) != c.text || string(bytes.Join(messages[0].Frames, nil)) != c.frames {
			t.Errorf("%s: %q", name, messages)
		}
	}
	// Numbers that go on are one session.
	if n := len(read(t, append([]byte(one), frame(4, "H|\\^&\rL|1\r", true)...))); n != 1 {
		t.Errorf("two messages in one session: %d", n)
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
	if _, err := Read([]byte("%PDF-1.7")); !errors.Is(err, capturefile.ErrNotCapture) {
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
