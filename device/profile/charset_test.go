package profile

import (
	"bytes"
	"encoding/base64"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"golang.org/x/text/encoding/japanese"
	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/encoding/traditionalchinese"

	"github.com/assaygate/assaygate/envelope"
	"github.com/assaygate/assaygate/protocols/memorytest"
)

func TestCharsetNames(t *testing.T) {
	for name, pair := range map[string][2]string{ // bytes, text
		"latin-1": {"\xB5", "µ"}, "8859/1": {"\xB5", "µ"}, "ISO-8859-1": {"\x80", "\u0080"}, "8859/15": {"\xA4", "€"}, "8859/5": {"\xD0", "а"},
		"8859/2": {"\xB1", "ą"}, "8859-9": {"\xFD", "ı"}, "ISO8859-7": {"\xE1", "α"}, "cp1252": {"\x80", "€"}, "cp850": {"\x81", "ü"}, "CP437": {"\xE6", "µ"}, "IBM866": {"\x80", "А"}, "WINDOWS-1251": {"\xE0", "а"},
		"UNICODE UTF-8": {"µ", "µ"}, "UTF8": {"µ", "µ"}, "utf-8": {"µ", "µ"}, "UNICODE": {"µ", "µ"}, "ASCII": {"u", "u"},
		"GBK": {"\xD1\xAA", "血"}, "GB2312": {"\xD1\xAA", "血"}, "GB 18030-2000": {"\xD1\xAA", "血"}, "GB18030": {"\xD1\xAA", "血"},
		"BIG-5": {"\xA6\xE5", "血"}, "BIG5": {"\xA6\xE5", "血"}, "ISO IR87": {"\x1B$B7l\x1B(B", "血"}, "Shift_JIS": {"\x8C\x8C", "血"}, "KS X 1001": {"\xC7\xF7", "혈"},
	} {
		e, err := Charset(name)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if text, damaged := decode([]byte(pair[0]), e); text != pair[1] || damaged {
			t.Errorf("%s: % x is %q (damaged %v), want %q", name, pair[0], text, damaged, pair[1])
		}
	}
}

// declaredMessage is an HL7 message with MSH-18 and a patient's name.
func declaredMessage(charset, name string) Raw {
	return hl7Message(`MSH|^~\&|Lab||||20260102030405||ORU^R01|1|P|2.5||||||`+charset, "PID|1||||"+name, "OBR|1||S1", "OBX|1|NM|GLU||5|mmol/L")
}

func TestDeclaredCharset(t *testing.T) {
	set := load(t, Options{})
	big5, _ := traditionalchinese.Big5.NewEncoder().String("許功蓋^許") // 許 and 功 end in \ and |
	gbk, _ := simplifiedchinese.GBK.NewEncoder().String("誰^淍")      // trail bytes of GBK reach into ASCII
	jis, _ := japanese.ISO2022JP.NewEncoder().String("山田^太郎")       // bytes of two-byte mode are all ASCII
	for _, tt := range []struct{ charset, name, want string }{
		{"BIG-5", big5, "許功蓋^許"},
		{"GBK", gbk, "誰^淍"},
		{"~ISO IR87", jis, "山田^太郎"},
		{"ASCII~ISO IR87", jis, "山田^太郎"},
		{"8859/1", "M\xFCller", "Müller"},
		{"UNICODE UTF-8", "Müller", "Müller"},
		{"", "Müller", "Müller"},
	} {
		m := declaredMessage(tt.charset, tt.name)
		e := set.Envelopes(m, at)[0]
		if got := e.Records.P[0].Text("name"); got != tt.want || e.Problem != "" || e.SampleID != "S1" || len(e.Results) != 1 {
			t.Errorf("%s: name %q, problem %q, sample %q", tt.charset, got, e.Problem, e.SampleID)
		}
		if !bytes.Equal(e.Raw, m.Text) {
			t.Errorf("%s: the raw message is not as received", tt.charset)
		}
	}
}

func TestUnknownDeclaredCharset(t *testing.T) {
	e := load(t, Options{}).Envelopes(declaredMessage("KLINGON", "Worf"), at)[0]
	if !strings.Contains(e.Problem, "MSH-18") || strings.Contains(e.Problem, "KLINGON") || e.SampleID != "S1" {
		t.Errorf("problem %q, sample %q", e.Problem, e.SampleID)
	}
}

func TestConfiguredCharset(t *testing.T) {
	set := load(t, Options{})
	for charset, unit := range map[string]string{"": "\xB5g", "latin-1": "\xB5g", "cp1252": "\xB5g", "utf-8": "µg", "gbk": "\xA6\xCCg"} {
		m := astmMessage(`H|\^&|||Lab`, `O|1|S1`, `R|1|^^^X|5|`+unit, `L|1|N`)
		m.Charset = charset
		e := set.Envelopes(m, at)[0]
		if got := e.Results[0].Units; (got != "µg" && got != "μg") || e.Problem != "" {
			t.Errorf("%q: unit %q, problem %q", charset, got, e.Problem)
		}
	}
}

func TestUndecodableBytesAreKeptBeside(t *testing.T) {
	set := load(t, Options{})
	m := declaredMessage("UNICODE UTF-8", "M\xFCller^J\xF6rg\xE9\xE9")
	m.Text = append(m.Text, "OBX|2|ST|COM||\xFF|\xFE\r"...)
	e := set.Envelopes(m, at)[0]
	if got := e.Records.P[0].Text("name"); got != "M\uFFFDller^J\uFFFDrg\uFFFD\uFFFD" {
		t.Errorf("name %q", got)
	}
	b64 := func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }
	want := []envelope.Undecoded{
		{Place: "PID-5", Number: 1, Base64: b64("M\xFCller^J\xF6rg\xE9\xE9")},
		{Place: "OBX-5", Number: 2, Base64: b64("\xFF")},
		{Place: "OBX-6", Number: 2, Base64: b64("\xFE")},
	}
	if !slices.Equal(e.Undecoded, want) {
		t.Errorf("got  %v\nwant %v", e.Undecoded, want)
	}
	if !strings.HasPrefix(e.Problem, "PID-5, OBX-5, OBX-6: bytes that the character set does not have") {
		t.Errorf("problem %q", e.Problem)
	}
	if !bytes.Equal(e.Raw, m.Text) {
		t.Error("the raw message is not as received")
	}
	text, err := e.MarshalJSON()
	if err != nil || !utf8.Valid(text) {
		t.Errorf("the JSON is no UTF-8 (%v)", err)
	}
}

// What an allowlist drops is not to be found in the bytes beside the text.
func TestUndecodableBytesUnderAllowlist(t *testing.T) {
	set := load(t, Options{Allow: envelope.Allowlist{HL7: &envelope.Allowed{
		Fields: map[string][]int{"MSH": {9, 18}, "OBR": {3}, "OBX": {3, 5}, "PID": {}}, DropUnmatched: true,
	}}})
	m := declaredMessage("UNICODE UTF-8", "M\xFCller")
	m.Text = append(m.Text, "OBX|2|ST|COM||\xFFx\r"...)
	e := set.Envelopes(m, at)[0]
	if len(e.Undecoded) != 1 || e.Undecoded[0].Place != "OBX-5" || strings.Contains(e.Problem, "PID") {
		t.Errorf("undecoded %v, problem %q", e.Undecoded, e.Problem)
	}
	if !bytes.Contains(e.Raw, []byte("||\xFFx\r")) || bytes.Contains(e.Raw, []byte("M\xFCller")) {
		t.Errorf("raw %q", e.Raw)
	}
}

func FuzzDecode(f *testing.F) {
	names := []string{"utf-8", "latin-1", "gbk", "gb18030", "big5", "iso2022jp", "shiftjis", "euc-kr", "8859/8", "cp1252"}
	for i := range names {
		f.Add([]byte("a|b\xFF\xC0\x81|\x1B$B7l|\x81\x7C"), i)
	}
	f.Fuzz(func(t *testing.T, raw []byte, n int) {
		e, err := Charset(names[uint(n)%uint(len(names))])
		if err != nil {
			t.Fatal(err)
		}
		memorytest.Bounded(t, names[uint(n)%uint(len(names))], raw, func([]byte) { decode(raw, e) })
		text, damaged := decode(raw, e)
		if damaged != marked(text) {
			t.Errorf("damaged %v, marked %v: %q", damaged, marked(text), text)
		}
		if clean := unmarked(text); !utf8.ValidString(clean) {
			t.Errorf("not UTF-8: %q", clean)
		}
		if e == nil && !bytes.Equal(encode(text, e), raw) {
			t.Errorf("% x came back as % x", raw, encode(text, e))
		}
	})
}
