package hl7

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	usual := DefaultDelimiters()
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
		{"empty segments", "MSH|^~\\&|A\r\rPID|1\r\r", "MSH PID", usual},
		{"blanks and NUL first", "\x00 \r\nMSH|^~\\&|A\r", "MSH", usual},
		{"byte order mark first", "\xEF\xBB\xBFMSH|^~\\&|A\r", "MSH", usual},
		{"other delimiters", "MSH$%*!@$A$B\rPID$1\r", "MSH PID", Delimiters{'$', '%', '*', '!', '@'}},
		{"truncation character", "MSH|^~\\&#|A\r", "MSH", usual},
		{"no escape character", "MSH|^~&|A\r", "MSH", Delimiters{'|', '^', '~', 0, '&'}},
		{"three characters", "MSH|^~\\|A\r", "MSH", Delimiters{'|', '^', '~', '\\', 0}},
		{"two characters", "MSH|^~|A\r", "MSH", Delimiters{'|', '^', '~', 0, 0}},
		{"one character", "MSH|^", "MSH", Delimiters{'|', '^', 0, 0, 0}},
		{"no characters", "MSH||A\r", "MSH", usual},
		{"only a separator", "MSH|", "MSH", usual},
		{"only a separator, an uncommon one", "MSH&", "MSH", Delimiters{'&', '^', '~', '\\', '|'}},
		{"segments of odd names", "MSH|^~\\&\rZ|1\r|2\rlong name|3\rA\r", "MSH Z  long name A", usual},
		{"only MSH", "MSH", "", usual},
		{"only MSH and CR", "MSH\r", "", usual},
		{"free text", "MSH is missing\r", "", usual},
		{"letter as separator", "MSHA^~\\&ABC\r", "", usual},
		{"another segment first", "PID|1\rMSH|^~\\&|A\r", "", usual},
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

func TestMessageType(t *testing.T) {
	for in, want := range map[string]string{
		"MSH|^~\\&|||||||ORU^R01^ORU_R01|7":  "ORU R01 ORU_R01 7",
		"MSH|^~\\&|||||||ORU^R01|a^b~c&\\d|": "ORU R01  a^b~c&\\d",
		"MSH|^~\\&|||||||ORU^R01~X^Y|":       "ORU R01  ",
		"MSH|^~\\&|||||||ACK":                "ACK   ",
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
		{`\Z1\\.sp+3\\C1234\\P\\`, `\Z1\\.sp+3\\C1234\\P\\`, usual},
		{`c:\data\F\x`, `c:\data|x`, usual},
		{`\X\\X4\\XZZ\\X41`, `\X\\X4\\XZZ\\X41`, usual},
		{`\`, `\`, usual},
		{`\.br`, `\.br`, usual},
		{`\F\`, `\F\`, Delimiters{'|', '^', '~', 0, '&'}},
		{`!F!!T!`, `$@`, Delimiters{'$', '%', '*', '!', '@'}},
		{`\T\`, `\T\`, Delimiters{'|', '^', '~', '\\', 0}},
	} {
		if got := string(Unescape([]byte("_"), []byte(tt.in), tt.d)); got != "_"+tt.want {
			t.Errorf("Unescape(%q) = %q, want %q", tt.in, got[1:], tt.want)
		}
	}
}

func TestEscapeWithoutEscapeCharacter(t *testing.T) {
	if got := Escape(nil, []byte("a|b^c\rd"), Delimiters{'|', '^', '~', 0, '&'}); string(got) != "a b c d" {
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
	})
}

// FuzzEscape holds that text comes back from Escape and Unescape as it was, and
// that escaped text holds no delimiter.
func FuzzEscape(f *testing.F) {
	f.Add([]byte("a|b^c~d\\e&f\r\n"))
	f.Add([]byte("\\X41\\\\.br\\"))
	f.Fuzz(func(t *testing.T, text []byte) {
		for _, d := range []Delimiters{DefaultDelimiters(), {'$', '%', '*', '!', '@'}} {
			escaped := Escape(nil, text, d)
			if bytes.ContainsAny(escaped, string([]byte{d.Field, d.Component, d.Repeat, d.Subcomponent, '\r', '\n'})) {
				t.Fatalf("%q escaped is %q", text, escaped)
			}
			if got := Unescape(nil, escaped, d); !bytes.Equal(got, text) {
				t.Fatalf("%q escaped is %q, unescaped %q", text, escaped, got)
			}
			if got := Unescape(nil, text, d); len(got) > len(text) {
				t.Fatalf("%q unescaped is longer: %q", text, got)
			}
		}
	})
}

// No input may cost more than 64 times its size and 64 KiB.
func TestMemory(t *testing.T) {
	for _, unit := range []string{"\r", "L\r", "MSH|\r", "|", "||\r", "\n", "SPM\r", "ORC\r", "MSH|^~\\&|||||||OML^O33\rSPM\rORC\r"} {
		in := append([]byte("MSH|^~\\&|||||||OML^O33\rSPM\r"), bytes.Repeat([]byte(unit), 1<<18/len(unit))...)
		for name, use := range map[string]func(){
			"Parse": func() {
				m, _ := Parse(in)
				runtime.KeepAlive(m)
			},
			"Fields": func() { runtime.KeepAlive(Segment{Name: "MSH", Raw: in, Delimiters: DefaultDelimiters()}.Fields()) },
			"Ack":    func() { Ack(in, Acknowledgment{Code: Accept}) },
		} {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			use()
			runtime.ReadMemStats(&after)
			if got := after.TotalAlloc - before.TotalAlloc; got > uint64(64*len(in)+64<<10) {
				t.Errorf("%s of %q repeated: %d bytes for %d", name, unit, got, len(in))
			}
		}
	}
}
