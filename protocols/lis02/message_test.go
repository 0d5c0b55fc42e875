package lis02

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/assaygate/assaygate/protocols/memorytest"
)

func TestParse(t *testing.T) {
	usual := DefaultDelimiters()
	for _, tt := range []struct {
		name   string
		in     string
		types  string // a letter a record, '.' for 0
		d      Delimiters
		header bool
	}{
		{"usual", "H|\\^&|||x\rP|1\rO|1|s\rR|1|^^^t|5\rL|1|N\r", "HPORL", usual, true},
		{"no CR at the end", "H|\\^&\rL|1|N", "HL", usual, true},
		{"LF after CR", "H|\\^&\r\nP|1\r\nL|1\r\n", "HPL", usual, true},
		{"LF only", "H|\\^&\nP|1\nL|1\n", "HPL", usual, true},
		{"one LF among CRs", "H|\\^&\rP|1\rO|1|s\rR|1|t|5\nR|2|u|6\rL|1\r", "HPORRL", usual, true},
		{"one CR among LFs", "H|\\^&\nP|1\nO|1|s\nR|1|t|5\nC|1|I|a\r\nr|2|u|6\nL|1\n", "HPORCRL", usual, true},
		{"one LF among CRs, other field delimiter", "H!~$%\nP!1\rR!1!x\nR|1\nL!!N", "HPRL", Delimiters{'!', '~', '$', '%'}, true},
		{"two messages and LFs", "H|\\^&\nP|1\rL|1\nH|\\^&\nL|1\r", "HPLHL", usual, true},
		{"values of several lines", "H|\\^&\rR|1|ABO|Group:\nO|||N\rC|1|I|a\nb\nP\nLU|5\nH|h\n R|2\rL\r", "HRCL", usual, true},
		{"empty records", "\r\rH|\\^&\r\rL|1\r\r", "HL", usual, true},
		{"blanks before records", "  H|\\^&\r\t P|1\r L\r", "HPL", usual, true},
		{"NUL at the end", "H|\\^&\rL\x00", "HL", usual, true},
		{"lower case and unknown letters", "h|\\^&\rp|1\rx|1\r9|1\rl\r", "HPX9L", usual, true},
		{"free text that looks like a header", "H|\\^&\rC|1|I|a\rH++ hemolytic\rR|1|x\rL|1\r", "HC.RL", usual, true},
		{"HL7's delimiters", "H|^~\\&|||x\rL|1\r", "HL", Delimiters{'|', '~', '^', '\\'}, true},
		{"component before repeat", "H|^\\&|||x\rL|1\r", "HL", usual, true},
		{"only a component", "H|^|||x\rL|1\r", "HL", Delimiters{'|', 0, '^', 0}, true},
		{"no record at all", "H|\\^&\rRES|1\rfree text\rL\r", "H..L", usual, true},
		{"doubled first delimiter", "H|\\\\^&|||x\rL|1\r", "HL", usual, true},
		{"GeneXpert", "H|@^\\|id\rR|1|a@b\rL|1\r", "HRL", Delimiters{'|', '@', '^', '\\'}, true},
		{"Elitech", "H|`^&|||\rL|1\r", "HL", Delimiters{'|', '`', '^', '&'}, true},
		{"Beckman", "H|\\!~|||\rL|1\r", "HL", Delimiters{'|', '\\', '!', '~'}, true},
		{"Immulite, no escape", "H|\\^||x\rL|1\r", "HL", Delimiters{'|', '\\', '^', 0}, true},
		{"a blank for the escape character", "H|\\^ |x\rL|1\r", "HL", Delimiters{'|', '\\', '^', 0}, true},
		{"a letter for the component", "H|\\A&|x\rL|1\r", "HL", Delimiters{'|', '\\', 0, '&'}, true},
		{"more than four", "H|\\^&#|x\rL|1\r", "HL", usual, true},
		{"other field delimiter", "H!~$%!x\rL!1\r", "HL", Delimiters{'!', '~', '$', '%'}, true},
		{"only a repeat", "H|\\|\rL\r", "HL", Delimiters{'|', '\\', 0, 0}, true},
		{"nothing declared", "H||x\rL\r", "HL", usual, true},
		{"nothing but a field delimiter", "H|", "H", usual, true},
		{"sequence number in place of delimiters", "H|1|x\rL|1\r", "HL", usual, true},
		{"no header", "P|1\rL|1\r", "PL", usual, false},
		{"header without delimiters", "H\rL\r", "HL", usual, false},
		{"a word", "HELLO|1\r", ".", usual, false},
		{"nothing", "", "", usual, false},
		{"only line ends", "\r\n\r\n", "", usual, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m, err := Parse([]byte(tt.in))
			if errors.Is(err, ErrNoHeader) == tt.header {
				t.Errorf("error %v", err)
			}
			var types strings.Builder
			for _, r := range m.Records {
				if r.Type == 0 {
					types.WriteByte('.')
				} else {
					types.WriteByte(r.Type)
				}
			}
			if types.String() != tt.types || m.Delimiters != tt.d {
				t.Errorf("records %s, delimiters %q; want %s, %q", &types, m.Delimiters, tt.types, tt.d)
			}
		})
	}
}

// Each header's delimiters hold until the next.
func TestParseSecondHeader(t *testing.T) {
	m, _ := Parse([]byte("H|\\^&\rR|1|a^b\rL|1\rH!~$%\rR!1!a$b\rH-index normal\rL!1\r"))
	if d := m.Records[1].Delimiters.Component; d != '^' {
		t.Errorf("first message's component delimiter is %q", d)
	}
	if d := m.Records[6].Delimiters.Component; d != '$' {
		t.Errorf("second message's component delimiter is %q", d)
	}
}

func TestField(t *testing.T) {
	m, _ := Parse([]byte("H|\\\\^&|||Name^1|\rR|1|^^^WBC\\^^^RBC||\r"))
	h, r := m.Records[0], m.Records[1]
	for _, tt := range []struct {
		record Record
		n      int
		want   string
		sent   bool
	}{
		{h, 1, "H", true},
		{h, 2, "\\\\^&", true},
		{h, 5, "Name^1", true},
		{h, 6, "", true},
		{h, 7, "", false},
		{r, 3, "^^^WBC\\^^^RBC", true},
		{r, 4, "", true},
		{r, 5, "", true},
		{r, 6, "", false},
		{r, 0, "", false},
		{r, -1, "", false},
		{Record{}, 1, "", true},
		{Record{}, 2, "", false},
	} {
		got := tt.record.Field(tt.n)
		if string(got) != tt.want || (got != nil) != (tt.sent && tt.record.Raw != nil) {
			t.Errorf("%q field %d = %q (nil: %v)", tt.record.Raw, tt.n, got, got == nil)
		}
	}
	if got := r.Repeats(3); len(got) != 2 || string(Components(got[1], m.Delimiters)[3]) != "RBC" {
		t.Errorf("repeats of R.3: %q", got)
	}
	if r.Repeats(9) != nil || Components(nil, m.Delimiters) != nil {
		t.Error("a field that was not sent has repeats or components")
	}
	if got := Repeats([]byte("a\\b"), Delimiters{Field: '|'}); len(got) != 1 {
		t.Errorf("split by a delimiter that was not declared: %q", got)
	}
	if got := r.Fields(); len(got) != 5 || string(got[0]) != "R" || string(got[2]) != "^^^WBC\\^^^RBC" {
		t.Errorf("fields %q", got)
	}
}

func TestUnescape(t *testing.T) {
	usual := DefaultDelimiters()
	for _, tt := range []struct {
		in, want string
		d        Delimiters
	}{
		{"plain", "plain", usual},
		{"&F&&R&&S&&E&", "|\\^&", usual},
		{"PNG&R&2018", "PNG\\2018", usual},
		{"line&X0A&line&X0d0A&", "line\nline\r\n", usual},
		{"&H&loud&N&", "loud", usual},
		{"&Z&&&f&", "&Z&&&f&", usual},
		{"a & b &F& c", "a & b | c", usual},
		{"&X&&X4&&X4G&&X41", "&X&&X4&&X4G&&X41", usual},
		{"&XC3A4&&XE2&&X82AC&", "ä€", usual},
		{"&XE4&&X41&", "&XE4&A", usual},
		{"&XC3&x&XA4&&X41FF&", "&XC3&x&XA4&&X41FF&", usual},
		{"&", "&", usual},
		{"&F", "&F", usual},
		{"&F&", "&F&", Delimiters{'|', '\\', '^', 0}},
		{"\\F\\\\R\\", "|@", Delimiters{'|', '@', '^', '\\'}},
		{"&R&", "&R&", Delimiters{'|', 0, '^', '&'}},
	} {
		if got := string(Unescape([]byte("_"), []byte(tt.in), tt.d)); got != "_"+tt.want {
			t.Errorf("Unescape(%q) = %q, want %q", tt.in, got[1:], tt.want)
		}
	}
}

// FuzzParse holds that any text is taken, that encoding loses nothing that was
// decoded, and that fields put together again are the record.
func FuzzParse(f *testing.F) {
	f.Add([]byte("H|\\^&|||x\rP|1\rO|1|s\rR|1|^^^t\\u|5\rL|1|N\r"))
	f.Add([]byte("H|\\\\^&\n L\n"))
	f.Add([]byte("\x00H!\r\rLH\n|"))
	f.Add([]byte("H|\\^&\rR|1|x\nR|2|y\nL|"))
	f.Add([]byte("H-index\rH||\rH|@^\\\rl"))
	f.Fuzz(func(t *testing.T, text []byte) {
		m, err := Parse(text)
		if err == nil && len(m.Records) == 0 {
			t.Fatal("no record and no error")
		}
		encoded := Append(nil, m)
		again, err2 := Parse(encoded)
		if len(again.Records) != len(m.Records) || again.Delimiters != m.Delimiters || (err == nil) != (err2 == nil) {
			t.Fatalf("%q: %d records %q (%v); again: %d records %q (%v)", text, len(m.Records), m.Delimiters, err, len(again.Records), again.Delimiters, err2)
		}
		for i, r := range m.Records {
			if !bytes.Equal(r.Raw, again.Records[i].Raw) || r.Type != again.Records[i].Type || r.Delimiters != again.Records[i].Delimiters {
				t.Fatalf("%q: record %d is %q, then %q", text, i+1, r.Raw, again.Records[i].Raw)
			}
			fields := r.Fields()
			if !bytes.Equal(bytes.Join(fields, []byte{r.Delimiters.Field}), r.Raw) {
				t.Fatalf("record %q has fields %q", r.Raw, fields)
			}
			for n, field := range fields {
				if !bytes.Equal(r.Field(n+1), field) {
					t.Fatalf("record %q: field %d is %q and %q", r.Raw, n+1, r.Field(n+1), field)
				}
			}
			if r.Field(len(fields)+1) != nil {
				t.Fatalf("record %q has a field too many", r.Raw)
			}
		}
		for name, use := range everything() {
			memorytest.Bounded(t, name, memorytest.Repeated(text), use)
		}
	})
}

// FuzzUnescape holds that nothing grows, that text without an escape delimiter
// is kept, that UTF-8 stays UTF-8, and that delimiters written as escapes come
// back.
func FuzzUnescape(f *testing.F) {
	f.Add([]byte("a&F&b&S&&R&&E&c"))
	f.Add([]byte("&X0A&&XC3&&XA4&&XE4&&X4&&H&&Z1&"))
	f.Add([]byte("\\F\\\xff\\XE282AC\\"))
	f.Fuzz(func(t *testing.T, text []byte) {
		for _, d := range []Delimiters{DefaultDelimiters(), {'!', '@', '^', '\\'}, {'|', '\\', '^', 0}} {
			plain := Unescape([]byte("kept"), text, d)
			if !bytes.HasPrefix(plain, []byte("kept")) || len(plain) > 4+len(text) {
				t.Fatalf("%q unescaped is %q", text, plain)
			}
			if plain = plain[4:]; utf8.Valid(text) && !utf8.Valid(plain) {
				t.Fatalf("%q unescaped is no UTF-8: %q", text, plain)
			}
			if d.Escape == 0 || bytes.IndexByte(text, d.Escape) < 0 {
				if !bytes.Equal(plain, text) {
					t.Fatalf("%q unescaped is %q", text, plain)
				}
				continue
			}
			var escaped []byte
			for _, c := range text {
				switch c {
				case d.Field:
					escaped = append(escaped, d.Escape, 'F', d.Escape)
				case d.Repeat:
					escaped = append(escaped, d.Escape, 'R', d.Escape)
				case d.Component:
					escaped = append(escaped, d.Escape, 'S', d.Escape)
				case d.Escape:
					escaped = append(escaped, d.Escape, 'E', d.Escape)
				default:
					escaped = append(escaped, c)
				}
			}
			if got := Unescape(nil, escaped, d); !bytes.Equal(got, text) {
				t.Fatalf("%q escaped is %q, unescaped %q", text, escaped, got)
			}
		}
	})
}
