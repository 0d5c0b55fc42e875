package capturefile

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/assaygate/assaygate/protocols/lis01"
)

func frame(number byte, text string, end bool) string {
	return string(lis01.AppendFrame(nil, lis01.Frame{Number: number, Text: []byte(text), End: end}))
}

func read(t *testing.T, data string) File {
	t.Helper()
	f, err := Read([]byte(data))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func texts(f File) (list []string) {
	for _, t := range f.Transmissions {
		list = append(list, string(t.Text))
	}
	return list
}

func problems(f File) (list []string) {
	for _, p := range f.Problems {
		list = append(list, p.String())
	}
	return list
}

func TestFrames(t *testing.T) {
	const text = "H|\\^&\rO|1|A\rL|1|N\r"
	one := frame('1', "H|\\^&\r", false) + frame('2', "O|1|A\r", false) + frame('3', "L|1|N\r", true)
	other := frame('1', "H|\\^&\rL|1\r", true)
	for name, c := range map[string]struct {
		data     string
		want     []string
		problems []string
	}{
		"as captured":              {one, []string{text}, nil},
		"LF":                       {strings.ReplaceAll(one, "\r\n", "\n"), []string{text}, nil},
		"no CR LF":                 {strings.TrimSuffix(strings.ReplaceAll(one, "\r\n\x02", "\x02"), "\r\n"), []string{text}, nil},
		"joined by LF":             {strings.ReplaceAll(one, "\r\n\x02", "\r\n\n\x02"), []string{text}, nil},
		"both directions":          {"\x05\x06" + strings.ReplaceAll(one, "\n", "\n\x06") + "\x04", []string{text}, nil},
		"two sessions":             {"\x05" + one + "\x04\x05" + other + "\x04", []string{text, "H|\\^&\rL|1\r"}, nil},
		"two, no ENQ and EOT":      {one + other, []string{text, "H|\\^&\rL|1\r"}, nil},
		"two, the first cut short": {one[:strings.LastIndex(one, "\x02")] + other, []string{"H|\\^&\rO|1|A\r", "H|\\^&\rL|1\r"}, nil},
		"numbers that go on":       {one + frame('4', "H|\\^&\rL|1\r", true), []string{text + "H|\\^&\rL|1\r"}, nil},
		"a repeat":                 {one[:13] + one, []string{text}, nil},
		"the second of a session":  {frame('4', "H|\\^&\rL|1\r", true), []string{"H|\\^&\rL|1\r"}, nil},
		"a damaged frame and its repeat": {
			strings.Replace(one, "O|1|A", "O|1|B", 1)[:strings.LastIndex(one, "\x02")] + "\x15" + one[strings.Index(one, "\x022"):],
			[]string{text},
			nil,
		},
		"a wrong checksum":                   {strings.Replace(one, "O|1|A", "O|1|B", 1), []string{strings.Replace(text, "A", "B", 1)}, []string{"byte 13: frame 2: checksum does not match: want 10"}},
		"no frame number":                    {one + "\x02\x0300\r\n", []string{text}, []string{"byte 39: frame without number: malformed frame: no frame number"}},
		"cut off":                            {one + "\x021H|", []string{text}, []string{"byte 39: a frame without end"}},
		"nothing but a part":                 {"\x021H|\\^&\r", nil, []string{"byte 0: a frame without end"}},
		"an unfinished frame and its repeat": {one[:20] + one[13:], []string{text}, nil},
		"two repeats of an unfinished frame": {one[:20] + one[13:20] + one[13:], []string{text}, []string{"byte 13: a frame without end"}},
		"an unfinished frame before others":  {"\x05\x021H|\\^&\rX\x04\x05" + other + "\x04", []string{"H|\\^&\rL|1\r"}, []string{"byte 1: a frame without end"}},
		"junk between":                       {"\x05" + one + "abc\x04", []string{text}, []string{"byte 40: 3 bytes outside any frame"}},
	} {
		f := read(t, c.data)
		if !slices.Equal(texts(f), c.want) {
			t.Errorf("%s: %q, want %q", name, texts(f), c.want)
		}
		if !slices.Equal(problems(f), c.problems) {
			t.Errorf("%s: problems %q, want %q", name, problems(f), c.problems)
		}
	}
}

// TestRearranged: drivers turn CRs into LFs, leave them out or wrap lines where a
// screen ends. The checksum proves what was sent.
func TestRearranged(t *testing.T) {
	const text = "H|\\^&\rP|1||||M\xFCller\rO|1|A\rL|1|N\r"
	one := frame('1', "H|\\^&\r", false) + frame('2', "P|1||||M\xFCller\rO|1|A\r", true) + frame('3', "L|1|N\r", true)
	var wrapped strings.Builder
	for i := range len(one) {
		if wrapped.WriteByte(one[i]); i%8 == 7 {
			wrapped.WriteByte('\n')
		}
	}
	for name, data := range map[string]string{
		"LF for CR":           strings.ReplaceAll(one, "\r", "\n"),
		"CR LF for CR":        strings.ReplaceAll(strings.ReplaceAll(one, "\n", ""), "\r", "\r\n"),
		"no CR":               strings.ReplaceAll(strings.ReplaceAll(strings.ReplaceAll(one, "\r\x03", "\x03"), "\r\x17", "\x17"), "\rO", "\nO"),
		"wrapped":             wrapped.String(),
		"wrapped, and UTF-8":  strings.ReplaceAll(wrapped.String(), "\xFC", "\u00FC"),
		"wrapped, and twice":  strings.ReplaceAll(wrapped.String(), "\x02", "\x02") + "\x15" + frame('3', "L|1|N\r", true),
		"LF for CR, as UTF-8": strings.ReplaceAll(strings.ReplaceAll(one, "\r", "\n"), "\xFC", "\u00FC"),
	} {
		f := read(t, data)
		if name == "no CR" { // what stood between two records of a frame cannot be proven
			if f.Transmissions[0].Frames[0].Restored != Rearranged || f.Transmissions[0].Frames[2].Restored != Rearranged {
				t.Errorf("%s: %+v", name, f)
			}
			continue
		}
		if !slices.Equal(texts(f), []string{text}) || len(f.Problems) > 0 || len(f.Transmissions[0].Frames) != 3 {
			t.Errorf("%s: %q, %q", name, texts(f), problems(f))
		}
		for _, frame := range f.Transmissions[0].Frames {
			if !strings.Contains(one, string(frame.Token)) || frame.Restored != Rearranged && frame.Token[1] != '3' {
				t.Errorf("%s: %q", name, frame.Token)
			}
		}
	}
	if notes := read(t, strings.ReplaceAll(one, "\r", "\n")).Notes(); !slices.Equal(notes, []string{"3 frames had line ends other than were sent; the bytes were put back that the checksum is of"}) {
		t.Errorf("notes %q", notes)
	}
}

// TestLeftOutCR: a sender that ends records with the end frame alone is read as
// on a line, and each frame tells where its text is.
func TestLeftOutCR(t *testing.T) {
	f := read(t, frame('1', "H|\\^&", true)+frame('2', "O|1|", false)+frame('3', "A", true)+frame('4', "L|1|N", true))
	m := f.Transmissions[0]
	if string(m.Text) != "H|\\^&\rO|1|A\rL|1|N" || len(f.Problems) > 0 {
		t.Errorf("%q %q", texts(f), problems(f))
	}
	for _, frame := range m.Frames {
		parsed, _ := lis01.ParseFrame(frame.Token)
		if !bytes.HasPrefix(m.Text[frame.In:], parsed.Text) {
			t.Errorf("frame %s is not at %d", frame.Name(), frame.In)
		}
	}
}

// TestNoSTX: some drivers log the frames without STX and checksum.
func TestNoSTX(t *testing.T) {
	const text = "H|\\^&\rO|1|A\rL|1|N\r"
	for name, data := range map[string]string{
		"each its number":   "1H|\\^&\n2O|1|A\n3L|1|N\n",
		"the first one":     "1H|\\^&\rO|1|A\rL|1|N\r",
		"later in its line": "4H|\\^&\rO|1|A\rL|1|N\r",
		"their ETX":         "1H|\\^&\r\x03\r2O|1|A\r\x03\r3L|1|N\r\x03",
		"their checksum":    "\x051H|\\^&\r\x03E5\r\n2O|1|A\r\x0352\r\n3L|1|N\r\x0306\r\n\x04",
		"a repeat":          "1H|\\^&\r\x03E5\r\n2O|1|A\r\x0352\r\n2O|1|A\r\x0352\r\n3L|1|N\r\x0306\r\n",
		"in one line":       "1H|\\^&\x03E5\r\n2O|1|A\x0352\r\n3L|1|N\x0306\r\n",
		"split":             "1H|\\^&\r\x1700\r\n2O|1|\x1700\r\n3A\r\x0300\r\n4L|1|N\r\x0306\r\n",
	} {
		f := read(t, data)
		if !slices.Equal(texts(f), []string{text}) || len(f.Problems) > 0 {
			t.Errorf("%s: %q, %q", name, texts(f), problems(f))
		} else if at := f.Transmissions[0].At; data[at] != 'H' {
			t.Errorf("%s: at byte %d", name, at)
		}
	}
}

// TestManyProblems: a file of noise does not fill the screen, and says how much
// there is of it.
func TestManyProblems(t *testing.T) {
	f := read(t, frame('1', "H|\\^&\rL|1\r", true)+strings.Repeat("\x02\x03", 300))
	last := f.Problems[len(f.Problems)-1]
	if len(f.Problems) != mostProblems+1 || last.Text != "and 200 more from here on" || !last.Broken {
		t.Errorf("%d, the last is %q", len(f.Problems), last)
	}
}

// TestRewritten: senaite.astm writes ISO 8859-1 as UTF-8. The checksum proves
// what the bytes were.
func TestRewritten(t *testing.T) {
	sent := frame('1', "H|\\^&\rP|1||||M\xFCller\rL|1\r", true)
	f := read(t, strings.ReplaceAll(sent, "\xFC", "\u00FC"))
	if len(f.Problems) > 0 || len(f.Transmissions) != 1 {
		t.Fatalf("%+v", f)
	}
	if got := f.Transmissions[0].Frames[0]; got.Restored != Recoded || string(got.Token) != sent {
		t.Errorf("restored %v: %q", got.Restored, got.Token)
	}
	// Without that proof the bytes stay.
	f = read(t, strings.ReplaceAll(strings.ReplaceAll(sent, "\xFC", "\u00FC"), "P|1", "P|2"))
	if got := f.Transmissions[0].Frames[0]; got.Restored != AsSent || !errors.Is(got.Err, lis01.ErrChecksum) || !bytes.Contains(got.Token, []byte("\u00FC")) {
		t.Errorf("restored %v: %q, %v", got.Restored, got.Token, got.Err)
	}
	if f = read(t, sent); f.Transmissions[0].Frames[0].Restored != AsSent {
		t.Error("a sound frame was changed")
	}
}

func TestRecords(t *testing.T) {
	const text = "H|\\^&\rO|1|A\rL|1|N\r"
	for name, data := range map[string]string{
		"LF": strings.ReplaceAll(text, "\r", "\n"), "CR": text, "CR LF": strings.ReplaceAll(text, "\r", "\r\n"),
		"no last end": strings.TrimSuffix(text, "\r"), "byte order mark": "\xEF\xBB\xBF" + text, "blank before": "\r\n" + text,
		"empty lines":    strings.ReplaceAll(text, "\r", "\r\n\r\n"),
		"an LF for a CR": strings.Replace(text, "A\r", "A\n", 1), "a CR for an LF": "H|\\^&\nO|1|A\r\nL|1|N\n",
	} {
		f := read(t, data)
		if !slices.Equal(texts(f), []string{text}) || f.Transmissions[0].Frames != nil {
			t.Errorf("%s: %q", name, texts(f))
		}
		if at := f.Transmissions[0].At; data[at] != 'H' {
			t.Errorf("%s: begins at byte %d", name, at)
		}
	}
	if f := read(t, text+"H|\\^&\rL|1\r"); len(f.Transmissions) != 2 || f.Transmissions[1].At != len(text) {
		t.Errorf("two: %+v", f)
	}
}

func TestHL7(t *testing.T) {
	const one, two = "MSH|^~\\&|A||||||ORU^R01|1|P|2.4\rOBX|1\r", "MSH|^~\\&|A||||||ORU^R01|2|P|2.4\rOBX|2\r"
	for name, data := range map[string]string{
		"CR": one + two, "LF": strings.ReplaceAll(one+two, "\r", "\n"), "CR LF": strings.ReplaceAll(one+two, "\r", "\r\n"),
		"LF, then CR": strings.ReplaceAll(one, "\r", "\n") + two, "CR, then LF": one + strings.ReplaceAll(two, "\r", "\n"),
		"blocks":          "\x0b" + one + "\x1c\r\x0b" + two + "\x1c\r",
		"batch":           "FHS|^~\\&\rBHS|^~\\&\r" + one + two + "BTS|2\rFTS|1\r",
		"batch, LF":       strings.ReplaceAll("FHS|^~\\&\rBHS|^~\\&\r"+one+two+"BTS|2\rFTS|1\r", "\r", "\n"),
		"batch, block":    "\x0bFHS|^~\\&\rBHS|^~\\&\r" + one + two + "BTS|2\rFTS|1\r\x1c\r",
		"no last end":     strings.TrimSuffix(one+two, "\r"),
		"byte order mark": "\xEF\xBB\xBF" + one + two,
	} {
		f := read(t, data)
		got := texts(f)
		for i := range got {
			got[i] = strings.ReplaceAll(got[i], "\r\n", "\r")
		}
		if !slices.Equal(got, []string{one, two}) || len(f.Problems) > 0 {
			t.Errorf("%s: %q %q", name, texts(f), problems(f))
			continue
		}
		for _, m := range f.Transmissions {
			if !strings.HasPrefix(data[m.At:], "MSH") {
				t.Errorf("%s: byte %d is %q", name, m.At, data[m.At:])
			}
		}
	}
	// An LF in a segment is data where CR ends segments.
	const note = "MSH|^~\\&|A||||||ORU^R01|1|P|2.4\rNTE|1||two\nlines\r"
	if f := read(t, note); !slices.Equal(texts(f), []string{note}) {
		t.Errorf("%q", texts(f))
	}
	for name, c := range map[string][2]string{
		"open block":    {"\x0b" + one + "\x1c\r\x0b" + two, "byte 41: a block without end"},
		"begun anew":    {"\x0bMSH|^~\\&\x0b" + one + "\x1c\r", "byte 0: a block without end"},
		"between":       {"\x0b" + one + "\x1c\rabc\x0b" + two + "\x1c\r", "byte 41: 3 bytes outside any block"},
		"batch's stray": {"FHS|^~\\&\rOBX|1\r" + one, "byte 9: a segment outside any message"},
	} {
		f := read(t, c[0])
		if !slices.Equal(problems(f), []string{c[1]}) || f.Problems[0].Broken == (name == "between") {
			t.Errorf("%s: %q", name, problems(f))
		}
	}
}

func TestNoCapture(t *testing.T) {
	for name, data := range map[string]string{
		"text": "Hello, analyser", "letters": "HELLO", "PDF": "%PDF-1.7", "junk": "\x7FELF\x01\x02\x00\x03\x99", "control": "\x06\x06\x15",
	} {
		if f, err := Read([]byte(data)); !errors.Is(err, ErrNotCapture) {
			t.Errorf("%s: %v %+v", name, err, f)
		}
	}
	for _, data := range []string{"", "\r\n\r\n", "\xEF\xBB\xBF"} {
		if _, err := Read([]byte(data)); !errors.Is(err, ErrEmpty) {
			t.Errorf("%q: %v", data, err)
		}
	}
}

func TestMessages(t *testing.T) {
	const a, b = "H|\\^&\rO|1|A\rL|1\r", "H|\\^&\rO|1|B\rL|1\r"
	for name, c := range map[string]struct {
		data   string
		frames [][]string
	}{
		"a frame each": {frame('1', a, true) + frame('2', b, true), [][]string{{frame('1', a, true)}, {frame('2', b, true)}}},
		"one frame":    {frame('1', a+b, true), [][]string{{frame('1', a, true)}, {frame('1', b, true)}}},
		"in the midst": {
			frame('1', a+b[:6], false) + frame('2', b[6:], true),
			[][]string{{frame('1', a, true)}, {frame('1', b[:6], false), frame('2', b[6:], true)}},
		},
		"no terminator, the next header split": {
			frame('1', "H|\\^&\rO|1|A\rH", false) + frame('2', "|\\^&\rL|1\r", true),
			[][]string{{frame('1', "H|\\^&\rO|1|A\r", true)}, {frame('1', "H", false), frame('2', "|\\^&\rL|1\r", true)}},
		},
		"bare":       {a + b, [][]string{{frame('1', a, true)}, {frame('1', b, true)}}},
		"unfinished": {frame('1', a, true) + frame('2', b[:6], true), [][]string{{frame('1', a, true)}, {frame('2', b[:6], true)}}},
	} {
		var got [][]string
		for _, transmission := range read(t, c.data).Transmissions {
			for _, m := range transmission.Messages() {
				var frames []string
				var joined []byte
				for _, token := range m.Frames {
					frames = append(frames, string(token))
					parsed, err := lis01.ParseFrame(token)
					if err != nil {
						t.Errorf("%s: %v", name, err)
					}
					joined = append(joined, parsed.Text...)
				}
				if !bytes.Equal(joined, m.Text) {
					t.Errorf("%s: frames of %q hold %q", name, m.Text, joined)
				}
				got = append(got, frames)
			}
		}
		if !slices.EqualFunc(got, c.frames, slices.Equal) {
			t.Errorf("%s: %q, want %q", name, got, c.frames)
		}
	}
}
