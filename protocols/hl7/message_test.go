package hl7

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/assaygate/assaygate/protocols/memorytest"
)

// oddDelimiters returns delimiters that no default could stand for.
func oddDelimiters() Delimiters {
	return Delimiters{Field: '$', Component: '%', Repeat: '*', Escape: '!', Subcomponent: '@'}
}

func TestParse(t *testing.T) {
	usual, truncating := DefaultDelimiters(), DefaultDelimiters()
	truncating.Truncation = '#'
	for _, tt := range []struct {
		name  string
		in    string
		names string // nothing: refused
		d     Delimiters
	}{
		{"usual", "MSH|^~\\&|A|B\rPID|1\rOBR|1\r", "MSH PID OBR", usual},
		{"no CR at the end", "MSH|^~\\&|A\rPID|1", "MSH PID", usual},
		{"CR LF", "MSH|^~\\&|A\r\nPID|1\r\n", "MSH PID", usual},
		{"LF only", "MSH|^~\\&|A\nPID|1\n", "MSH PID", usual},
		{"LF within a segment", "MSH|^~\\&|A\rNTE|1||a\nb\r", "MSH NTE", usual},
		{"one CR LF among LFs", "MSH|^~\\&|A\nPID|1\nOBR|1\nOBX|1|NM|GLU||5\nNTE|1\r\nOBX|2|NM|NA||140\n", "MSH PID OBR OBX NTE OBX", usual},
		{"one LF among CRs", "MSH|^~\\&|A\rOBR|1\rOBX|1|NM|GLU||5\nOBX|2|NM|NA||140\rNTE|1\r", "MSH OBR OBX OBX NTE", usual},
		{"LF behind MSH only", "MSH|^~\\&|A\nPID|1\rOBR|1\r", "MSH PID OBR", usual},
		{"one LF among CRs, lower case", "msh|^~\\&|A\robx|1\nobx|2\rzab|1\nz12|1\r", "MSH OBX OBX ZAB Z12", usual},
		{"one LF among CRs, other delimiters", "MSH$%*!@$A\nPID$1\nOBX|1\rOBX$1\nOBX$2\r", "MSH PID OBX OBX", oddDelimiters()},
		{"an LF and another message's separator", "MSH|^~\\&|A\rNTE|1||a\nOBX$1\r", "MSH NTE", usual},
		{"a last line of three letters", "MSH|^~\\&|A\rOBX|1|TX|COV||Result:\nNEG|||N\rNTE|1||a\nMSH|b\nOBX\n OBX|2\r", "MSH OBX NTE", usual},
		{"empty segments", "MSH|^~\\&|A\r\rPID|1\r\r", "MSH PID", usual},
		{"blanks and NUL first", "\x00 \r\nMSH|^~\\&|A\r", "MSH", usual},
		{"byte order mark first", "\xEF\xBB\xBFMSH|^~\\&|A\r", "MSH", usual},
		{"other delimiters", "MSH$%*!@$A$B\rPID$1\r", "MSH PID", oddDelimiters()},
		{"truncation character", "MSH|^~\\&#|A\r", "MSH", truncating},
		{"a sixth character", "MSH|^~\\&#!|A\r", "MSH", truncating},
		{"the first character left out", "MSH|~\\&|A\r", "MSH", DefaultDelimiters()},
		{"no escape character", "MSH|^~&|A\r", "MSH", Delimiters{Field: '|', Component: '^', Repeat: '~', Subcomponent: '&'}},
		{"three characters", "MSH|^~\\|A\r", "MSH", Delimiters{Field: '|', Component: '^', Repeat: '~', Escape: '\\'}},
		{"two characters", "MSH|^~|A\r", "MSH", Delimiters{Field: '|', Component: '^', Repeat: '~'}},
		{"one character", "MSH|^", "MSH", Delimiters{Field: '|', Component: '^'}},
		{"no characters", "MSH||A\r", "MSH", usual},
		{"only a separator", "MSH|", "MSH", usual},
		{"only a separator, an uncommon one", "MSH&", "MSH", Delimiters{Field: '&', Component: '^', Repeat: '~', Escape: '\\', Subcomponent: '|'}},
		{"a blank for the escape character", "MSH|^~ &|A\r", "MSH", Delimiters{Field: '|', Component: '^', Repeat: '~', Subcomponent: '&'}},
		{"a letter for the escape character", "MSH|^~X&|A\r", "MSH", Delimiters{Field: '|', Component: '^', Repeat: '~', Subcomponent: '&'}},
		{"no delimiters but the next field", "MSH|Lab|Site\r", "MSH", usual},
		{"LF only, CR at the end", "MSH|^~\\&|A\nPID|1\n\r", "MSH PID", usual},
		{"LF only, CR first", "\rMSH|^~\\&|A\nPID|1\n", "MSH PID", usual},
		{"LF CR LF", "MSH|^~\\&|A\r\n\r\nPID|1\r\n\r\n", "MSH PID", usual},
		{"NUL at the end", "MSH|^~\\&|A\rPID|1\r\x00\x00", "MSH PID", usual},
		{"control characters first", "\x02\x02MSH|^~\\&|A\rPID|1\r", "MSH PID", usual},
		{"free text first", "no patient: 5\rMSH|^~\\&|A\rPID|1\r", "MSH PID", usual},
		{"UTF-16 byte order mark first", "\xFF\xFEMSH|^~\\&|A\r", "MSH", usual},
		{"lower case", "msh|^~\\&|A\rpid|1\rzxy|1\r", "MSH PID ZXY", usual},
		{"padded names", "MSH|^~\\&|A\r PID|1\r\tOBR |1\r\x00OBX\x00|\r", "MSH PID OBR OBX", usual},
		{"Z segments", "MSH|^~\\&|A\rZPI|1\rZ01\r", "MSH ZPI Z01", usual},
		{"MSH twice", "MSH|^~\\&|A\rMSH|^~\\&|B\r", "MSH MSH", usual},
		{"segments of odd names", "MSH|^~\\&\rZ|1\r|2\rlong name|3\rA\r", "MSH Z  long name A", usual},
		{"only MSH", "MSH", "", usual},
		{"only MSH and CR", "MSH\r", "", usual},
		{"free text", "MSH is missing\r", "", usual},
		{"half a character as separator", "MSH\xC3\xA4^~\\&\xC3\xA4A\r", "", usual},
		{"half a character as component delimiter", "MSH|\xC3\xA4^|A\r", "MSH", usual},
		{"half a character as escape", "MSH|^~\xC3&|A\r", "MSH", Delimiters{Field: '|', Component: '^', Repeat: '~', Subcomponent: '&'}},
		{"letter as separator", "MSHA^~\\&ABC\r", "", usual},
		{"another segment first", "PID|1\rMSH|^~\\&|A\r", "", usual},
		{"another segment first, LF", "PID|1\nMSH|^~\\&|A\n", "", usual},
		{"another segment first, behind blanks", "\r\n  ZPI|1\rMSH|^~\\&|A\r", "", usual},
		{"batch header with delimiters of its own", "FHS$^~\\&|A\rMSH|^~\\&|A\r", "", usual},
		{"batch", "FHS|^~\\&|A\rBHS|^~\\&\rMSH|^~\\&|A\r", "", usual},
		{"garbage", "\x01\x02\xff", "", usual},
		{"nothing", "", "", usual},
		{"only line ends", "\r\n", "", usual},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m, err := Parse([]byte(tt.in))
			if tt.names == "" {
				if !errors.Is(err, ErrNoMSH) || m.Segments != nil {
					t.Errorf("error %v, %d segments", err, len(m.Segments))
				}
				return
			}
			var names []string
			for _, s := range m.Segments {
				names = append(names, s.Name)
			}
			h, err := ParseHeader([]byte(tt.in))
			if err != nil || !bytes.Equal(h.First("MSH").Raw, m.First("MSH").Raw) || h.Delimiters != m.Delimiters {
				t.Errorf("ParseHeader: %q, delimiters %q, %v", h.First("MSH").Raw, h.Delimiters, err)
			}
			if got := strings.Join(names, " "); err != nil || got != tt.names || m.Delimiters != tt.d {
				t.Errorf("segments %q, delimiters %q, error %v; want %q, %q", got, m.Delimiters, err, tt.names, tt.d)
			}
		})
	}
}

func TestField(t *testing.T) {
	m, err := Parse([]byte("MSH|^~\\&|App||a\\F\\b\rOBX|1|NM|^^^WBC~x^y&z^w|\nkept\n|\"\"||\r"))
	if err != nil {
		t.Fatal(err)
	}
	msh, obx := m.First("MSH"), m.First("OBX")
	for _, tt := range []struct {
		s    Segment
		n    int
		want string
		sent bool
	}{
		{msh, 0, "MSH", true},
		{msh, 1, "|", true},
		{msh, 2, "^~\\&", true},
		{msh, 3, "App", true},
		{msh, 4, "", true},
		{msh, 5, "a\\F\\b", true},
		{msh, 6, "", false},
		{obx, 0, "OBX", true},
		{obx, 1, "1", true},
		{obx, 3, "^^^WBC~x^y&z^w", true},
		{obx, 4, "\nkept\n", true},
		{obx, 5, "\"\"", true},
		{obx, 7, "", true},
		{obx, 8, "", false},
		{obx, -1, "", false},
		{m.First("ZZZ"), 0, "", false},
		{m.First("ZZZ"), 3, "", false},
	} {
		if got := tt.s.Field(tt.n); string(got) != tt.want || (got != nil) != tt.sent {
			t.Errorf("%s-%d = %q (nil: %v), want %q", tt.s.Name, tt.n, got, got == nil, tt.want)
		}
	}
	second := Repetitions(obx.Field(3), m.Delimiters)[1]
	if got := Subcomponents(Components(second, m.Delimiters)[1], m.Delimiters); len(got) != 2 || string(got[1]) != "z" {
		t.Errorf("OBX-3(2).2 = %q", got)
	}
	if Repetitions(nil, m.Delimiters) != nil || len(Components([]byte("a^b"), Delimiters{Field: '|'})) != 1 {
		t.Error("a field that was not sent, or without such a delimiter, is split")
	}
	if m.First("ZZZ").Fields() != nil {
		t.Error("a segment that is not there has fields")
	}
}

// Nothing of a segment is lost but what stands around it.
func TestParseKeepsSegments(t *testing.T) {
	for in, want := range map[string]string{
		"MSH|^~\\&|A\rOBX|5\x00\x00":          "MSH|^~\\&|A\rOBX|5\r",
		"MSH|^~\\&|A\nOBX|5\x00\n\r\x00":      "MSH|^~\\&|A\rOBX|5\x00\r",
		"MSH|^~\\&|A\r  OBX |a\nb| c \r":      "MSH|^~\\&|A\rOBX |a\nb| c \r",
		"\xEF\xBB\xBF msh|^~\\&|\r\r\n\r zx1": "msh|^~\\&|\rzx1\r",
		"junk\x02MSH|^~\\&|\"\"||\rZZZ\r|x\r": "MSH|^~\\&|\"\"||\rZZZ\r|x\r",
	} {
		m, err := Parse([]byte(in))
		if got := string(Append(nil, m)); err != nil || got != want {
			t.Errorf("%q: %q, %v; want %q", in, got, err, want)
		}
	}
}

func TestMessageType(t *testing.T) {
	for in, want := range map[string]string{
		"MSH|^~\\&|||||||ORU^R01^ORU_R01|7":  "ORU R01 ORU_R01 7",
		"MSH|^~\\&|||||||ORU^R01|a^b~c&\\d|": "ORU R01  a^b~c&\\d",
		"MSH|^~\\&|||||||ORU^R01~X^Y|":       "ORU R01  ",
		"MSH|^~\\&|||||||ACK":                "ACK   ",
		"MSH|^~\\&||||||| oru ^ r01 ^|":      "ORU R01  ",
		"MSH|^~\\&|||||||ORU_R01| 1 ":        "ORU R01   1 ",
		"MSH|^~\\&|||||||ORU_R01^R30":        "ORU_R01 R30  ",
		"MSH|^~\\&|||||||\xE9^\xE9":          "\xE9 \xE9  ",
		"MSH|^~\\&|||||||A^B^C^D|":           "A B C ",
		"MSH|^~\\&":                          "   ",
	} {
		m, err := Parse([]byte(in))
		if err != nil {
			t.Fatal(err)
		}
		code, trigger, structure := MessageType(m)
		if got := strings.Join([]string{code, trigger, structure, ControlID(m)}, " "); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

func TestUnescape(t *testing.T) {
	usual := DefaultDelimiters()
	for _, tt := range []struct {
		in, want string
		d        Delimiters
	}{
		{"plain", "plain", usual},
		{`\F\\S\\T\\R\\E\`, "|^&~\\", usual},
		{`a\X0d0A\b`, "a\r\nb", usual},
		{`a\.br\b\.BR\`, "a\nb\n", usual},
		{`\H\loud\N\`, "loud", usual},
		{`a\.sp\b\.sp2\c\.sp+3\d\.SP-1\e\.sp+99\f`, "a\nb\n\nc\n\n\nde" + strings.Repeat("\n", 40) + "f", usual},
		{`a\.sk3\b\.sk+1\c\.sk-1\d\.ti+2\e\.ti-4\f`, "a   b cd  ef", usual},
		{`a\.in+4\b\.in-4\c\.fi\d\.nf\e\.ce\f`, "abcde\nf", usual},
		{`\.sk\\.ti\\.in\\.br2\\.fi0\\.sp+\\.sp+x\\.spx\\.xx\\.s\\.\`, `\.sk\\.ti\\.in\\.br2\\.fi0\\.sp+\\.sp+x\\.spx\\.xx\\.s\\.\`, usual},
		{`\.sp+1000000000\`, `\.sp+1000000000\`, usual},
		{`\Z1\\ZAB\\C1234\\M123456\\P\\f\`, `\Z1\\ZAB\\C1234\\M123456\\P\\f\`, usual},
		{`\P\`, `#`, Delimiters{Field: '|', Escape: '\\', Truncation: '#'}},
		{`\XC3A4\\XE282AC\`, "ä€", usual},
		{`\XC3\\XA4\\X41\`, "äA", usual},
		{`\XE4\\X41\`, `\XE4\A`, usual},
		{`\XC3\x\XA4\`, `\XC3\x\XA4\`, usual},
		{`\XFFFE\\X41E4\`, `\XFFFE\\X41E4\`, usual},
		{`\XC328\`, `\XC328\`, usual},
		{`\F\`, `\F\`, Delimiters{Field: 0xA7, Escape: '\\'}},
		{`c:\data\F\x`, `c:\data|x`, usual},
		{`\X\\X4\\XZZ\\X41`, `\X\\X4\\XZZ\\X41`, usual},
		{`\`, `\`, usual},
		{`\.br`, `\.br`, usual},
		{`\F\`, `\F\`, Delimiters{Field: '|', Component: '^', Repeat: '~', Subcomponent: '&'}},
		{`!F!!T!`, `$@`, oddDelimiters()},
		{`\T\`, `\T\`, Delimiters{Field: '|', Component: '^', Repeat: '~', Escape: '\\'}},
	} {
		if got := string(Unescape([]byte("_"), []byte(tt.in), tt.d)); got != "_"+tt.want {
			t.Errorf("Unescape(%q) = %q, want %q", tt.in, got[1:], tt.want)
		}
	}
}

func TestEscapeWithoutEscapeCharacter(t *testing.T) {
	if got := Escape(nil, []byte("a|b^c\rd"), Delimiters{Field: '|', Component: '^', Repeat: '~', Subcomponent: '&'}); string(got) != "a b c d" {
		t.Errorf("%q", got)
	}
}

func TestCaptures(t *testing.T) {
	files, _ := filepath.Glob("../../../shared/captures/hl7/*.hl7")
	if len(files) == 0 {
		t.Skip("no folder of further captures beside the project: only the tests' own are run")
	}
	for _, file := range files {
		in, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		m, err := Parse(in)
		code, trigger, _ := MessageType(m)
		if err != nil || len(m.Segments) < 4 || code != "ORU" || trigger != "R01" {
			t.Errorf("%s: %d segments, %s^%s, %v", filepath.Base(file), len(m.Segments), code, trigger, err)
		}
		if again, err := Parse(Append(nil, m)); err != nil || len(again.Segments) != len(m.Segments) {
			t.Errorf("%s: encoded and parsed again: %d segments, %v", filepath.Base(file), len(again.Segments), err)
		}
	}
}

// FuzzParse holds that any bytes are taken, that encoding loses nothing that
// was decoded, and that fields put together again are the segment.
func FuzzParse(f *testing.F) {
	f.Add([]byte("MSH|^~\\&|A|B|C|D|20240831||ORU^R01^ORU_R01|1|P|2.5.1\rPID|1\rOBX|1|NM|a^b||5\\F\\||\r"))
	f.Add([]byte("\x00MSH$%*!@$\nMSH\n$$"))
	f.Add([]byte("MSH|"))
	f.Add([]byte("MSH\xff^~&\xff\r\n\nFHS|^\rBHS\r"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		if len(raw) > 8000 { // each field is looked for from the start of its segment
			return
		}
		m, err := Parse(raw)
		if err != nil {
			if len(m.Segments) > 0 {
				t.Fatal("segments in spite of an error")
			}
			return
		}
		again, err := Parse(Append(nil, m))
		if err != nil || again.Delimiters != m.Delimiters || len(again.Segments) != len(m.Segments) {
			t.Fatalf("%q: %d segments; again: %d, %v", raw, len(m.Segments), len(again.Segments), err)
		}
		for i, s := range m.Segments {
			if !bytes.Equal(again.Segments[i].Raw, s.Raw) || again.Segments[i].Name != s.Name {
				t.Fatalf("segment %d is %q, then %q", i+1, s.Raw, again.Segments[i].Raw)
			}
			if !bytes.Contains(raw, s.Raw) {
				t.Fatalf("segment %q is not in the message", s.Raw)
			}
			fields := s.Fields()
			for n, field := range fields {
				if got := s.Field(n); !bytes.Equal(got, field) || got == nil {
					t.Fatalf("segment %q: field %d is %q and %q", s.Raw, n, got, field)
				}
			}
			if s.Field(len(fields)) != nil {
				t.Fatalf("segment %q has a field too many", s.Raw)
			}
			if s.header() {
				fields = append(fields[:1], fields[2:]...)
			}
			if !bytes.Equal(bytes.Join(fields, []byte{m.Field}), s.Raw) {
				t.Fatalf("segment %q has fields %q", s.Raw, fields)
			}
		}
		MessageType(m)
		ControlID(m)
		if h, err := ParseHeader(raw); err != nil || h.Delimiters != m.Delimiters || !bytes.Equal(h.Segments[0].Raw, m.Segments[0].Raw) {
			t.Fatalf("%q: header %q, %v", raw, h.Segments, err)
		}
		for name, use := range everything() {
			memorytest.Bounded(t, name, memorytest.Repeated(raw), use)
		}
	})
}

// FuzzEscape holds that text comes back from Escape and Unescape as it was, and
// that escaped text holds no delimiter; and that what was UTF-8 stays so.
func FuzzEscape(f *testing.F) {
	f.Add([]byte("a|b^c~d\\e&f\r\n"))
	f.Add([]byte("\\X41\\\\.br\\"))
	f.Add([]byte("\\XC3\\\\XA4\\\\XE4\\\\.sp+3\\\\.sk2\\\\Z1\\"))
	f.Add([]byte("!XE282!!XAC!!.in-3!!P!ä"))
	f.Fuzz(func(t *testing.T, text []byte) {
		for _, d := range []Delimiters{DefaultDelimiters(), oddDelimiters()} {
			escaped := Escape(nil, text, d)
			if bytes.ContainsAny(escaped, string([]byte{d.Field, d.Component, d.Repeat, d.Subcomponent, '\r', '\n'})) {
				t.Fatalf("%q escaped is %q", text, escaped)
			}
			if got := Unescape(nil, escaped, d); !bytes.Equal(got, text) {
				t.Fatalf("%q escaped is %q, unescaped %q", text, escaped, got)
			}
			if got := Unescape(nil, text, d); utf8.Valid(text) && !utf8.Valid(got) {
				t.Fatalf("%q unescaped is no UTF-8: %q", text, got)
			}
			if got := Unescape([]byte("kept"), text, d); !bytes.Equal(got[4:], Unescape(nil, text, d)) || !bytes.HasPrefix(got, []byte("kept")) {
				t.Fatalf("%q appended is %q", text, got)
			}
		}
	})
}
