package simulator

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/assaygate/assaygate/protocols/lis01"
)

var someTime = time.Date(2031, 4, 5, 6, 7, 8, 0, time.UTC)

func frame(number byte, text string, end bool) []byte {
	return lis01.AppendFrame(nil, lis01.Frame{Number: '0' + number, Text: []byte(text), End: end})
}

func prepare(t *testing.T, m Message, o Options) outgoing {
	t.Helper()
	out, err := m.prepare(o, someTime)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// textOf joins the texts of frames and checks numbers and checksums.
func textOf(t *testing.T, frames [][]byte) (text string, ends []bool) {
	t.Helper()
	for i, raw := range frames {
		f, err := lis01.ParseFrame(raw)
		if err != nil || int(f.Number-'0') != (i+1)%8 {
			t.Errorf("frame %d has number %c: %v", i+1, f.Number, err)
		}
		text += string(f.Text)
		ends = append(ends, f.End)
	}
	return text, ends
}

func TestStampASTM(t *testing.T) {
	for header, want := range map[string]string{
		`H|\^&|||X|||||||P|1|20200101000000`:      `H|\^&|ID||X|||||||T|1|20310405060708`,
		`H|\^&|OLD||X|||||||Q|1|20200101000000|a`: `H|\^&|ID||X|||||||T|1|20310405060708|a`,
		`H|\^&|||X^1||||||||E1394-97`:             `H|\^&|ID||X^1|||||||T|E1394-97`,
		`H|\^&|||X`:                               `H|\^&|ID||X|||||||T`,
		`H!\~^&!!!X!!!!!!!P!1!20200101000000`:     `H!\~^&!ID!!X!!!!!!!T!1!20310405060708`,
	} {
		const rest = "\rP|1|H|x\rR|1|^^^A|1\rH is not one\rL|1|N\r"
		for kind, m := range map[string]Message{
			"records":   {Protocol: ASTM, Text: []byte(header + rest)},
			"one frame": {Protocol: ASTM, Text: []byte(header + rest), Frames: [][]byte{frame(5, header+rest, true)}},
			"cut in the header": {Protocol: ASTM, Text: []byte(header + rest), Frames: [][]byte{
				frame(1, header[:7], false), frame(2, header[7:]+rest, true),
			}},
		} {
			out := prepare(t, m, Options{})
			text, _ := textOf(t, out.frames)
			if want := strings.Replace(want, "ID", out.controlID, 1) + rest; text != want {
				t.Errorf("%s: %q\nwant %q", kind, text, want)
			}
			if len(out.controlID) < 10 || len(out.controlID) > 20 {
				t.Errorf("control id %s", out.controlID)
			}
		}
	}
}

func TestStampKeepsTheFramesEnds(t *testing.T) {
	m := capture(t, "roche_cobas_c111.astm")[0]
	out := prepare(t, m, Options{})
	_, before := textOf(t, m.Frames)
	text, after := textOf(t, out.frames)
	if !slices.Equal(before, after) {
		t.Errorf("ends %v, want %v", after, before)
	}
	if n := len(prepare(t, capture(t, "sysmex_xn.astm")[0], Options{}).frames); n != 1 {
		t.Errorf("one long frame became %d", n)
	}
	if _, records, _ := strings.Cut(text, "\r"); !bytes.HasSuffix(m.Text, []byte(records)) {
		t.Errorf("records after the header changed: %q", records)
	}
}

func TestStampCutsAnewWhatGetsTooLong(t *testing.T) {
	text := "H|\\^&|||" + strings.Repeat("x", 215) + "\rR|1|^^^A|H"
	m := Message{Protocol: ASTM, Text: []byte(text + "||F\rL|1\r")}
	m.Frames = [][]byte{frame(1, text, false), frame(2, "||F\rL|1\r", true)}
	out := prepare(t, m, Options{})
	got, _ := textOf(t, out.frames)
	if !strings.HasSuffix(got, "R|1|^^^A|H||F\rL|1\r") {
		t.Errorf("%q", got)
	}
	for _, raw := range out.frames {
		if len(raw) > lis01.SafeText+7 {
			t.Errorf("a frame of %d bytes", len(raw))
		}
	}
}

// A frame may begin inside a record, with what looks like a header.
func TestStampOnlyHeaders(t *testing.T) {
	frames := [][]byte{frame(1, "H|\\^&\rR|1|^^^A|9||", false), frame(2, "H||F\rL|1\r", true)}
	m := Message{Protocol: ASTM, Frames: frames, Text: []byte("H|\\^&\rR|1|^^^A|9||H||F\rL|1\r")}
	text, _ := textOf(t, prepare(t, m, Options{}).frames)
	if !strings.HasSuffix(text, "\rR|1|^^^A|9||H||F\rL|1\r") {
		t.Errorf("%q", text)
	}
}

func TestStampTwoMessagesInASession(t *testing.T) {
	m := read(t, append(frame(1, "H|\\^&\rL|1\r", true), frame(2, "H|\\^&\rL|1\r", true)...))[0]
	out := prepare(t, m, Options{})
	if text, _ := textOf(t, out.frames); strings.Count(text, "H|\\^&|"+out.controlID+"|||||||||T\rL|1\r") != 2 {
		t.Errorf("%q", text)
	}
}

func TestStampHL7(t *testing.T) {
	for header, want := range map[string]string{
		`MSH|^~\&|A|B|||20200101||ORU^R01|7|P|2.4`:           `MSH|^~\&|A|B|||20310405060708||ORU^R01|ID|T|2.4`,
		`MSH|^~\&|A|B|||20200101||ORU^R01|7|P^A|2.5.1|||AL|`: `MSH|^~\&|A|B|||20310405060708||ORU^R01|ID|T^A|2.5.1|||AL|`,
		`MSH|^~\&|A`:      `MSH|^~\&|A||||20310405060708|||ID|T`,
		`MSH$*~\&$A$$$$$`: `MSH$*~\&$A$$$$20310405060708$$$ID$T`,
	} {
		out := prepare(t, Message{Protocol: HL7, Text: []byte(header + "\rOBX|1|ST|MSH\r")}, Options{})
		if want := strings.Replace(want, "ID", out.controlID, 1) + "\rOBX|1|ST|MSH\r"; string(out.text) != want {
			t.Errorf("%q\nwant %q", out.text, want)
		}
	}
}

func TestVerbatim(t *testing.T) {
	for _, name := range Captures() {
		m := capture(t, name)[0]
		out := prepare(t, m, Options{Verbatim: true})
		if m.Protocol == HL7 && (!bytes.Equal(out.text, m.Text) || out.controlID != "41") {
			t.Errorf("%s: changed, or control id %q", name, out.controlID)
		}
		if len(m.Frames) > 0 && !slices.EqualFunc(out.frames, m.Frames, bytes.Equal) {
			t.Errorf("%s: changed", name)
		}
	}
	// A wrong checksum and number go as they are; the line end is made whole.
	m := read(t, []byte("\x026H|\\^&|C7\rL|1\r\x0300\n"))[0]
	out := prepare(t, m, Options{Verbatim: true})
	if string(out.frames[0]) != "\x026H|\\^&|C7\rL|1\r\x0300\r\n" || out.controlID != "C7" {
		t.Errorf("%q, control id %s", out.frames, out.controlID)
	}
	// Records alone are put into frames, cut where they are too long.
	m = capture(t, "two_orders.astm")[0]
	out = prepare(t, m, Options{Verbatim: true, FrameSize: 100})
	if text, ends := textOf(t, out.frames); text != string(m.Text) || len(ends) != (len(text)+99)/100 {
		t.Errorf("%d frames: %q", len(ends), text)
	}
}
