package vendor

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
)

const (
	emeraldHeader = "EMD22;1;SN-9;ANNA\r"
	emeraldBody   = emeraldHeader + "RESULT\rDATE;09/03/2025\rTIME;07:05:33\rMODE;NORMAL\rUNIT;1\rSEQ;7;1\rSID;A-1\rPID;P-1\rID;ROE^JANE\r" +
		"TYPE;FEMALE\rTEST;DIF\rRACK;2\rPOS;3\rBIRTH;1/2/1980\rSEX;2\rPRESC;DR X\rLOCAT;W\r" +
		"WBC;6.9 ;*;H;3.7;3.8;10.0;10.1\rRBC;+++++;;;4;4;5;5\rHGB;-----;;D;1;2;3;4\rWBC CURVE;1;2;3;4\rXYZ;1;;;1;2;3;4\rALARMS;L1;;N2;\rCOMMENT;\r"
)

// sealed ends a frame with its sum.
func sealed(body, end string) string {
	return fmt.Sprintf("%s%s;%d\r", body, end, EmeraldSum([]byte(body)))
}

func TestEmerald(t *testing.T) {
	p, err := Parse(Emerald, sealed(emeraldBody, "END_RESULT"))
	wantRecords(t, p, err,
		`H||||EMD22^1^SN-9||||||ANNA|NORMAL||20250309070533`,
		`P|1|||P-1|ROE^JANE||19800201|F|||||DR X||||||||||||W`,
		`O|1|A-1|2^3|DIF|||||||||||FEMALE||||||||||F`,
		`C|1|ALARMS|L1;N2`,
		`R|1|WBC|6.9||3.7^3.8^10.0^10.1|*\H||F||||20250309070533`,
		`R|2|RBC|+++++||4^4^5^5|||F||||20250309070533`,
		`R|3|HGB|-----||1^2^3^4|D||F||||20250309070533`)
	if p.FrameID != "RESULT" || p.Mode != "NORMAL" || p.UnitSystem != "1" {
		t.Errorf("frame %q, mode %q, units %q", p.FrameID, p.Mode, p.UnitSystem)
	}
}

func TestEmeraldControls(t *testing.T) {
	p, err := Parse(Emerald, emeraldHeader+"RESULT\rDATE;09/03/2025\rTIME;07:05:33\rMODE;QC\rLOT;K1\rOPERATOR;EVE\rWBC;8.0 ;;H;4.0 ;6.2\r")
	wantRecords(t, p, err, `H||||EMD22^1^SN-9||||||EVE|QC||20250309070533`, `R|1|WBC|8.0||^4.0^6.2|H||F||EVE||20250309070533`)
	p, err = Parse(Emerald, emeraldHeader+"CALIBRATION;1;09/03/2025;07:05:33;LOT1;x\rWBC;11.0;0.5\r")
	wantRecords(t, p, err, `H||||EMD22^1^SN-9||||||ANNA|CALIBRATION||20250309070533`)
	p, err = Parse(Emerald, emeraldHeader+"STARTUP;09/03/2025;07:05:33;PASSED;0.1\r")
	wantRecords(t, p, err, `H||||EMD22^1^SN-9||||||ANNA|STARTUP||20250309070533`)
	if _, err := Parse(Emerald, "MUMBLE;1\rJUMBLE\r"); !errors.Is(err, ErrMalformed) {
		t.Errorf("no frame: %v", err)
	}
}

// What looks like a value is read or named, and what tells of the sample is
// never a value, whatever the number of fields.
func TestEmeraldOddLines(t *testing.T) {
	const result = "R|1|WBC|6.9|||||F"
	for name, test := range map[string]struct {
		lines    string
		want     []string // results, but for the first record that all have
		sample   string
		problems []string
	}{
		"as it should be":                 {"SID;A-1\rWBC;6.9;;\r", []string{result}, "A-1", nil},
		"a sample with more fields":       {"SID;2600009;;\rWBC;6.9;;\r", []string{result}, "2600009", nil},
		"a sample in a full line":         {"SID;7;;;1;2;3;4\rRTYPE;2;;;\rWBC;6.9;;\r", []string{result}, "7", nil},
		"small letters":                   {"sid;A-1\rwbc;6.9;;\r", []string{result}, "A-1", nil},
		"a decimal comma":                 {"SID;A-1\rWBC;6,9;;\r", []string{"R|1|WBC|6,9|||||F"}, "A-1", nil},
		"no flags":                        {"SID;A-1\rWBC;6.9\rRBC;4;\r", nil, "A-1", []string{"lines 4, 5 look like values and cannot be read"}},
		"no value":                        {"SID;A-1\r\rWBC; ;*;;3.7;3.8;10.0;10.1\r", nil, "A-1", []string{"line 4 looks like a value and cannot be read"}},
		"more than a value":               {"SID;A-1\rWBC;6.9 MILLER;*;\r", nil, "A-1", []string{"line 4 looks like a value and cannot be read"}},
		"a name that none has":            {"SID;A-1\rMILLER, J;6.9;*;\r", nil, "A-1", []string{"line 4 looks like a value and cannot be read"}},
		"text that nobody knows":          {"SID;A-1\rNEW;CT;a;b\rNEWER;;\rNEW DATE;1\rWBC;6.9;;\r", []string{result}, "A-1", nil},
		"the patient's comment, 4 fields": {"SID;A-1\rPATIENT COMMENT;5;;\rDRAW DATE;1;;;\rWBC;6.9;;\r", []string{result}, "A-1", nil},
		"very many": {
			"SID;A-1\r" + strings.Repeat("WBC;1\r", 12), nil, "A-1",
			[]string{"lines 4, 5, 6, 7, 8, 9, 10, 11, 12, 13 and 2 more look like values and cannot be read"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := Parse(Emerald, emeraldHeader+"RESULT\r"+test.lines)
			wantRecords(t, p, err, append([]string{"H||||EMD22^1^SN-9||||||ANNA", "P|1|||||||U", "O|1|" + test.sample + "|||||||||||||||||||||||F"}, test.want...)...)
			if !slices.Equal(p.Problems, test.problems) {
				t.Errorf("problems %q, want %q", p.Problems, test.problems)
			}
		})
	}
	p, err := Parse(Emerald, emeraldHeader+"CALIBRATION;1;09/03/2025;07:05:33;LOT1;x\rWBC;11.0;0.5\r")
	if err != nil || p.Problems != nil {
		t.Errorf("a calibration's factors: %v, %q", err, p.Problems)
	}
}

func TestEmeraldSum(t *testing.T) {
	good := sealed(emeraldBody, "END_RESULT")
	crlf := strings.ReplaceAll(emeraldBody, "\r", "\r\n")
	for text, want := range map[string]error{
		good: nil, strings.Replace(good, "6.9", "9.6", 1): ErrSum, emeraldBody + "END_RESULT\r": ErrNoSum, emeraldBody: ErrNoSum,
		sealed(crlf, "END_RESULT"): nil, sealed(strings.TrimSuffix(crlf, "\n"), "\nEND_RESULT"): nil,
		emeraldHeader + "STARTUP;x\r": nil, "": ErrNoSum,
	} {
		if err := Verify(Emerald, []byte(text)); !errors.Is(err, want) {
			t.Errorf("%.40q: %v, want %v", text, err, want)
		}
	}
}

// heard plays bytes to a receiver and writes down what comes of them.
func heard(r *Receiver, stream string) (list []string) {
	for data := []byte(stream); ; {
		n, line, _ := SplitLine(data, true)
		if n == 0 {
			return list
		}
		data = data[n:]
		out := r.Step(line)
		if out.Broken != nil {
			list = append(list, "broken "+string(out.Broken))
		}
		if out.Frame != nil {
			list = append(list, "frame "+string(out.Frame), string(r.Answer(Stored)))
		}
		if out.Reply != nil {
			list = append(list, string(out.Reply))
		}
		if out.Stray > 0 {
			list = append(list, fmt.Sprintf("stray %d", out.Stray))
		}
	}
}

func TestReceiver(t *testing.T) {
	whole := sealed(emeraldBody, "END_RESULT")
	cali := sealed(emeraldHeader+"CALIBRATION;1;09/03/2025;07:05:33;LOT1;x\rWBC;1;2\r", "END_CALI")
	for name, test := range map[string]struct {
		stream string
		want   []string
	}{
		"a whole dialogue": {
			"CONNECT;SN-9;5\r" + emeraldHeader + "RESULT_READY;600\r" + whole + "DISCONNECT;SN-9\r",
			[]string{"ACK_CONNECT;5\r", "ACK_RESULT_READY\r", "frame " + whole, "ACK_RESULT;OK\r"},
		},
		"lines that end in CR LF": {
			"CONNECT;SN-9;5\r\nRESULT_READY;600\r\n" + strings.ReplaceAll(whole, "\r", "\r\n"),
			[]string{"ACK_CONNECT;5\r", "ACK_RESULT_READY\r", "frame " + strings.TrimSuffix(strings.ReplaceAll(whole, "\r", "\r\n"), "\n"), "ACK_RESULT;OK\r"},
		},
		"a calibration":      {cali, []string{"frame " + cali, "ACK_CALI;LOT1;OK\r"}},
		"a start-up":         {emeraldHeader + "STARTUP;x\r", []string{"frame " + emeraldHeader + "STARTUP;x\r", ""}},
		"no version, no lot": {"CONNECT\rCALIBRATION\rEND_CALI;1\r", []string{"ACK_CONNECT\r", "frame CALIBRATION\rEND_CALI;1\r", "ACK_CALI;;OK\r"}},
		"a frame begun anew": {
			emeraldHeader + "RESULT\rSID;1\r" + whole,
			[]string{"broken " + emeraldHeader + "RESULT\rSID;1\r", "frame " + whole, "ACK_RESULT;OK\r"},
		},
		"a connection begun anew": {
			emeraldHeader + "RESULT\rSID;1\rCONNECT;1;2\r",
			[]string{"broken " + emeraldHeader + "RESULT\rSID;1\r", "ACK_CONNECT;2\r"},
		},
		"what nobody knows": {"HELLO\rWORLD;1\rEND_RESULT;1\r", []string{"stray 6", "stray 21"}},
	} {
		t.Run(name, func(t *testing.T) {
			if got := heard(&Receiver{}, test.stream); !slices.Equal(got, test.want) {
				t.Errorf("%q\nwant %q", got, test.want)
			}
		})
	}
}
