package profile

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/assaygate/assaygate/envelope"
	"github.com/assaygate/assaygate/protocols/vendor"
)

func TestSampleEdits(t *testing.T) {
	set := load(t, Options{})
	for name, c := range map[string]struct {
		protocol   envelope.Protocol
		charset    string
		text, want string
	}{
		"generic":         {envelope.ASTM, "", "H|\\^&|||Lab\rO|1|OLD\rR|1|OLD|OLD\rO|2|OLD^x\rO|3|OLDER\rL|1\r", "H|\\^&|||Lab\rO|1|N-100\rR|1|OLD|OLD\rO|2|N-100^x\rO|3|OLDER\rL|1\r"},
		"its delimiters":  {envelope.ASTM, "", "H*!~$***Lab\rO*1*OLD~x\rL*1\r", "H*!~$***Lab\rO*1*N-100~x\rL*1\r"},
		"padded":          {envelope.ASTM, "", "H|\\^&|||c311^1\rO|1|1^  OLD    ^1^^004\rL|1\r", "H|\\^&|||c311^1\rO|1|1^  N-100    ^1^^004\rL|1\r"},
		"another place":   {envelope.ASTM, "", "H|\\^&|||c311^1\rO|1|OLD^ID\rL|1\r", "H|\\^&|||c311^1\rO|1|OLD^ID\rL|1\r"},
		"two places":      {envelope.ASTM, "", "H|\\^&|||    XN-550^1\rO|1|OLD|^^   OLD^M\rL|1\r", "H|\\^&|||    XN-550^1\rO|1|N-100|^^   N-100^M\rL|1\r"},
		"behind umlauts":  {envelope.ASTM, "", "H|\\^&|||Lab\rP|1||||M\xFCller\rO|1|OLD\r", "H|\\^&|||Lab\rP|1||||M\xFCller\rO|1|N-100\r"},
		"multibyte":       {envelope.ASTM, "gbk", "H|\\^&|||Lab\rP|1||||\x81\x7C\x81\x5C\rO|1|OLD\r", "H|\\^&|||Lab\rP|1||||\x81\x7C\x81\x5C\rO|1|N-100\r"},
		"not of the set":  {envelope.HL7, "utf-8", "MSH|^~\\&|HemoScreen|PixCell\rPID||OLD||M\xFCller\r", "MSH|^~\\&|HemoScreen|PixCell\rPID||N-100||M\xFCller\r"},
		"HL7":             {envelope.HL7, "", "MSH|^~\\&|A\rSPM|1|OLD&x^y\rOBR|1|OLD|OLD^z\rOBX|1||OLD\r", "MSH|^~\\&|A\rSPM|1|N-100&x^y\rOBR|1|N-100|N-100^z\rOBX|1||OLD\r"},
		"no header":       {envelope.HL7, "", "PID|OLD\r", "PID|OLD\r"},
		"nothing":         {envelope.ASTM, "", "", ""},
		"short records":   {envelope.ASTM, "", "H|\\^&\rO\rO|1\rL|1\r", "H|\\^&\rO\rO|1\rL|1\r"},
		"ended by LF":     {envelope.ASTM, "", "H|\\^&|||Lab\nO|1|OLD\nL|1\n", "H|\\^&|||Lab\nO|1|N-100\nL|1\n"},
		"CR LF":           {envelope.HL7, "", "MSH|^~\\&|A\r\nOBR|1||OLD\r\n", "MSH|^~\\&|A\r\nOBR|1||N-100\r\n"},
		"without message": {envelope.ASTM, "", "\r\r", "\r\r"},
	} {
		m := Raw{Protocol: c.protocol, Charset: c.charset, Text: []byte(c.text), Intake: envelope.Accepted}
		got := c.text
		for _, e := range slices.Backward(set.SampleEdits(m, "OLD", "N-100")) {
			got = got[:e.At] + string(e.New) + got[e.At+e.Length:]
		}
		if got != c.want {
			t.Errorf("%s:\n%q, want\n%q", name, got, c.want)
		}
	}
}

// TestSampleEditsChangeTheSample holds the edits to what Envelopes reads.
func TestSampleEditsChangeTheSample(t *testing.T) {
	set := load(t, Options{})
	for _, text := range []string{
		"H|\\^&|||Lab\rO|1|A1000&S&B\rL|1\r", "H|\\^&|||Lab\rO|1||^A1000&S&B\rL|1\r", "H|\\^&|||DCA VANTAGE^1\rO|1|A1000&S&B\rL|1\r",
	} {
		m := Raw{Protocol: envelope.ASTM, Text: []byte(text), Intake: envelope.Accepted}
		was := set.Envelopes(m, time.Now())[0].SampleID
		for _, e := range slices.Backward(set.SampleEdits(m, was, "N-100")) {
			m.Text = slices.Concat(m.Text[:e.At], e.New, m.Text[e.At+e.Length:])
		}
		if now := set.Envelopes(m, time.Now())[0].SampleID; now != "N-100" || !strings.Contains(text, "A1000&S&B") {
			t.Errorf("%q: %q became %q", text, was, now)
		}
	}
}

// TestSampleEditsOfPackets: the makers' own formats have their sample ids where
// their profiles read them.
func TestSampleEditsOfPackets(t *testing.T) {
	set := load(t, Options{})
	for name, m := range map[string]Raw{
		"mini VIDAS":  vidasPacket("piA-1", "ciA-1", "rtHBS", "rnHBs Antigen", "qlnegative"),
		"Spotchem EL": spotchemPacket("25/03/09 07:05 ID# A-1   [Serum] K 4.10 mmol/L"),
		"Emerald":     emeraldFrame(emeraldResult()...),
	} {
		if e := one(t, set, m); e.SampleID != "A-1" {
			t.Fatalf("%s: sample %q", name, e.SampleID)
		}
		edits := set.SampleEdits(m, "A-1", "N-2")
		if len(edits) != 1 {
			t.Fatalf("%s: %v", name, edits)
		}
		m.Text = slices.Concat(m.Text[:edits[0].At], edits[0].New, m.Text[edits[0].At+edits[0].Length:])
		m.Text = vendor.Resum(vendor.Format(m.Format), m.Text)
		if e := one(t, set, m); e.SampleID != "N-2" || len(e.Results) == 0 {
			t.Errorf("%s: sample %q in %q", name, e.SampleID, m.Text)
		}
		if edits := set.SampleEdits(m, "A-1", "N-3"); edits != nil {
			t.Errorf("%s: %v", name, edits)
		}
	}
	control := emeraldFrame("RESULT", "MODE;QC", "SID;A-1", "WBC;8.0 ;;H;4.0 ;6.2")
	if edits := set.SampleEdits(control, "A-1", "N-2"); edits != nil {
		t.Errorf("a control: %v", edits)
	}
}
