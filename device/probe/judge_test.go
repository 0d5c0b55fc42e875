package probe

import (
	"strings"
	"testing"

	"github.com/assaygate/assaygate/protocols/vendor"
)

func TestJudge(t *testing.T) {
	astm, hl7 := string(astmText()), string(hl7Text())
	emerald := string(vendor.SealEmerald([]byte("RESULT;OK\nEND\n")))
	for name, test := range map[string]struct {
		text string
		want Evidence
		ok   bool
	}{
		"nothing":              {"", Evidence{}, false},
		"a call":               {"\x05", Evidence{Calls: 1}, true},
		"calls and their ends": {"\x05\x04\x05", Evidence{Calls: 2, Ends: 1}, true},
		"a session":            {astm, Evidence{Calls: 1, Ends: 1, Frames: 4, Texts: 1, records: true}, true},
		"a block":              {hl7, Evidence{Blocks: 1, Texts: 1, records: true}, true},
		"a block of noise":     {"\x0b\xff\xfe\xfd\x1c\r", Evidence{}, false},
		"a wrong checksum":     {strings.ReplaceAll(astm, "|", "/"), Evidence{Calls: 1, Ends: 1, Texts: 1}, true},
		"records":              {"H|\\^&|||X\rL|1|N\r", Evidence{Texts: 1, records: true}, true},
		"words":                {"READY TO SEND 1234\r\n", Evidence{Texts: 1}, true},
		"short words":          {"READY\r\n", Evidence{}, false},
		"a call in noise":      {"\x05\xff\xfe", Evidence{}, false},
		"signs without words":  {"||||||||||||||||||||", Evidence{}, false},
		"high bytes":           {"\xe4\xf6\xfc\xe4\xf6\xfc\xe4\xf6\xfc\xe4\xf6\xfc", Evidence{}, false},
		"a Spotchem packet":    {"\x0226/01/02 12:00\rGLU 100\r\x03", Evidence{Packets: 1, Texts: 1, format: string(vendor.SpotchemEL)}, true},
		"an Emerald's frame":   {emerald, Evidence{Packets: 1, Texts: 1, format: string(vendor.Emerald)}, true},
	} {
		got, ok := judge([]byte(test.text))
		if ok != test.ok || got != test.want {
			t.Errorf("%s: %+v, %v; want %+v, %v", name, got, ok, test.want, test.ok)
		}
	}
}

func TestLanguage(t *testing.T) {
	for _, test := range []struct {
		e                 Evidence
		protocol, profile string
	}{
		{Evidence{Calls: 1}, "astm", ""},
		{Evidence{Frames: 1, Texts: 1}, "astm", ""},
		{Evidence{Packets: 1, format: string(vendor.MiniVIDAS)}, "astm", ""},
		{Evidence{Packets: 1, format: string(vendor.Emerald)}, "vendor", "celldyn_emerald"},
		{Evidence{Blocks: 1, Calls: 1}, "hl7", ""},
		{Evidence{Texts: 9}, "", ""},
	} {
		if protocol, profile := test.e.language(); protocol != test.protocol || profile != test.profile {
			t.Errorf("%+v: %q, %q", test.e, protocol, profile)
		}
	}
}

func FuzzJudge(f *testing.F) {
	f.Add(astmText())
	f.Add(hl7Text())
	f.Add([]byte("\x05\x02\x1emtrsl|\x1d00\x03\x04"))
	f.Add([]byte("\x0226/01/02 "))
	f.Fuzz(func(t *testing.T, text []byte) {
		e, ok := judge(text)
		if ok != (e != Evidence{}) || e.Calls+e.Ends+e.Frames+e.Blocks+e.Packets > 2*len(text) {
			t.Errorf("%q: %+v, %v", text, e, ok)
		}
		if e.Frames > 0 && strings.Count(string(text), "\x02") < e.Frames || e.Blocks > strings.Count(string(text), "\x0bMSH") {
			t.Errorf("%q: %+v", text, e)
		}
	})
}

func TestDescribe(t *testing.T) {
	e := Evidence{Calls: 1, Ends: 2, Frames: 4, Blocks: 5, Packets: 6, Texts: 7, format: "emerald"}
	want := "ASTM frames with right checksums: 4, whole HL7 messages: 5, whole packets of emerald: 6, ENQ: 1, EOT: 2, bursts of plausible text: 7"
	if got := e.Describe(); got != want || (Evidence{}).Describe() != "" {
		t.Errorf("got %q, want %q", got, want)
	}
}
