package profile

import (
	"testing"

	"github.com/assaygate/assaygate/envelope"
)

func TestShow(t *testing.T) {
	s, err := Load(Options{})
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		m    Raw
		want string
	}{
		"latin-1":    {Raw{Protocol: envelope.ASTM, Text: []byte("M\xfcller")}, "Müller"},
		"utf-8":      {Raw{Protocol: envelope.ASTM, Text: []byte("Müller")}, "Müller"},
		"gbk":        {Raw{Protocol: envelope.ASTM, Charset: "gbk", Text: []byte("\xcd\xf5")}, "王"},
		"declared":   {Raw{Protocol: envelope.HL7, Text: []byte("MSH|^~\\&|a|||||||||||||||8859/1\rPID|\xfc")}, "MSH|^~\\&|a|||||||||||||||8859/1\rPID|ü"},
		"undecoded":  {Raw{Protocol: envelope.HL7, Text: []byte("PID|\xfc")}, "PID|\uFFFD"},
		"no profile": {Raw{Protocol: envelope.Vendor, Text: []byte("a\xfc")}, "aü"},
	} {
		if got := s.Show("none", test.m); got != test.want {
			t.Errorf("%s: %q", name, got)
		}
	}
	if names := s.FieldNames("sysmex_xn", "R"); names[4] != "value" || names[5] != "units" {
		t.Errorf("R of the Sysmex is %v", names)
	}
	if names := s.FieldNames("generic_hl7", "OBX"); names[5] != "value" {
		t.Errorf("OBX is %v", names)
	}
	if s.FieldNames("none", "R") != nil {
		t.Error("there is no such profile")
	}
}
