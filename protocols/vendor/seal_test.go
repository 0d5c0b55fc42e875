package vendor

import (
	"errors"
	"strings"
	"testing"
)

func TestSealEmerald(t *testing.T) {
	calibration := emeraldHeader + "CALIBRATION;1;09/03/2025;07:05:33;LOT1;x\rWBC;11.0;0.5\r"
	for body, want := range map[string]string{
		emeraldBody:                      sealed(emeraldBody, "END_RESULT"),
		calibration:                      sealed(calibration, "END_CALI"),
		emeraldHeader + "STARTUP;x\r":    emeraldHeader + "STARTUP;x\r",
		"nothing\r":                      "nothing\r",
		"RESULT\rCALIBRATION FACTOR;1\r": sealed("RESULT\rCALIBRATION FACTOR;1\r", "END_RESULT"),
	} {
		if got := string(SealEmerald([]byte(body))); got != want {
			t.Errorf("%.40q: %q, want %q", body, got, want)
		}
	}
}

func TestResum(t *testing.T) {
	frame := sealed(emeraldBody, "END_RESULT")
	for name, test := range map[string]struct {
		format    Format
		raw, want string
	}{
		"a packet":        {MiniVIDAS, "\x02" + vidasText + "zz\r\n\x03", vidas1() + "\r\n\x03"},
		"without its sum": {MiniVIDAS, "\x02" + vidasText + "\r\n", vidas1() + "\r\n"},
		"without GS":      {MiniVIDAS, "\x02\x1emtrsl|\x03", "\x02\x1emtrsl|\x03"},
		"a frame":         {Emerald, emeraldBody + "END_RESULT;1\r", frame},
		"no number":       {Emerald, emeraldBody + "END_RESULT\r", frame},
		"no END line":     {Emerald, emeraldBody, emeraldBody},
		"no sum at all":   {SpotchemEL, spotchem, spotchem},
	} {
		got := Resum(test.format, []byte(test.raw))
		if string(got) != test.want {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
		if err := Verify(test.format, got); err != nil && !errors.Is(err, ErrNoSum) {
			t.Errorf("%s: %v", name, err)
		}
	}
	crlf := strings.ReplaceAll(emeraldBody, "\r", "\r\n") + "END_RESULT;1\r\n"
	if err := Verify(Emerald, Resum(Emerald, []byte(crlf))); err != nil {
		t.Errorf("CR LF: %v", err)
	}
}
