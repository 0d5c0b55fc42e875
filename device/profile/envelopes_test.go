package profile

import (
	"bytes"
	"compress/flate"
	"encoding/base64"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/assaygate/assaygate/envelope"
	"github.com/assaygate/assaygate/protocols/lis01"
)

// astmMessage puts records into frames, one a record.
func astmMessage(records ...string) Raw {
	m := Raw{Protocol: envelope.ASTM, Instrument: "analyser", Intake: envelope.Accepted}
	for i, r := range records {
		m.Text = append(append(m.Text, r...), '\r')
		m.Frames = append(m.Frames, lis01.AppendFrame(nil, lis01.Frame{Number: byte('0' + (i+1)%8), Text: []byte(r + "\r"), End: true}))
	}
	return m
}

func hl7Message(segments ...string) Raw {
	return Raw{Protocol: envelope.HL7, Instrument: "analyser", Intake: envelope.Accepted, Text: []byte(strings.Join(segments, "\r") + "\r")}
}

var at = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// view is what a test looks at in one envelope.
func view(e envelope.Envelope) string {
	var parts []string
	parts = append(parts, e.SampleID+":")
	for _, letter := range "HPORCMLQ" {
		for range *e.Records.Bucket(byte(letter)) {
			parts = append(parts, string(letter))
		}
	}
	for _, r := range e.Results {
		parts = append(parts, r.Test+"="+r.Value)
	}
	return strings.Join(parts, " ")
}

func views(list []envelope.Envelope) (out []string) {
	for _, e := range list {
		out = append(out, view(e))
	}
	return out
}

func TestASTMOneEnvelopePerOrder(t *testing.T) {
	set := load(t, Options{})
	for _, tt := range []struct {
		name    string
		records []string
		want    []string
	}{
		{"one order", []string{`H|\^&`, `P|1`, `O|1|S1`, `R|1|^^^GLU|5`, `C|1|I|note`, `L|1|N`}, []string{"S1: H P O R C L GLU=5"}},
		{
			"two orders of a patient",
			[]string{`H|\^&`, `P|1`, `C|1`, `O|1|S1`, `R|1|^^^GLU|5`, `O|2|S2`, `R|1|^^^GLU|6`, `L|1|N`},
			[]string{"S1: H P O R C L GLU=5", "S2: H P O R L GLU=6"},
		},
		{
			"two patients",
			[]string{`H|\^&`, `P|1`, `O|1|S1`, `R|1|^^^GLU|5`, `P|2`, `O|1|S2`, `R|1|^^^GLU|6`, `L|1|N`},
			[]string{"S1: H P O R L GLU=5", "S2: H P O R L GLU=6"},
		},
		{"a patient without order", []string{`H|\^&`, `P|1`, `P|2`, `O|1|S2`, `L|1|N`}, []string{": H P L", "S2: H P O L"}},
		{"a comment above the patient", []string{`H|\^&`, `C|1`, `P|1`, `O|1|S1`, `O|2|S2`, `L|1|N`}, []string{"S1: H P O C L", "S2: H P O L"}},
		{"results without order", []string{`H|\^&`, `P|1`, `R|1|^^^GLU|5`, `L|1|N`}, []string{": H P R L GLU=5"}},
		{
			"a result above the order",
			[]string{`H|\^&`, `R|1|^^^GLU|5`, `P|1`, `R|1|^^^GLU|6`, `O|1|S1`, `R|1|^^^GLU|7`, `L|1|N`},
			[]string{": H R L GLU=5", ": H P R L GLU=6", "S1: H P O R L GLU=7"},
		},
		{"an unknown record above the order", []string{`H|\^&`, `P|1`, `Z|1`, `O|1|S1`, `L|1|N`}, []string{"S1: H P O L"}},
		{"a query", []string{`H|\^&`, `Q|1|^S1`, `L|1|N`}, []string{": H L Q"}},
		{"nothing between", []string{`H|\^&`, `L|1|N`}, []string{": H L"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			list := set.Envelopes(astmMessage(tt.records...), at)
			if got := views(list); !slices.Equal(got, tt.want) {
				t.Errorf("got  %q\nwant %q", got, tt.want)
			}
			for i, e := range list {
				if e.MessageID != list[0].MessageID || e.Part != i || (i > 0 && e.ID == list[0].ID) {
					t.Errorf("envelope %d: id %s, message %s, part %d", i, e.ID, e.MessageID, e.Part)
				}
			}
		})
	}
}

func TestHL7OneEnvelopePerOrder(t *testing.T) {
	set := load(t, Options{})
	msh := func(kind string) string { return `MSH|^~\&|Lab|Site|||20260102030405||` + kind + `|1|P|2.5.1` }
	for _, tt := range []struct {
		name     string
		segments []string
		want     []string
	}{
		{
			"ORU with ORC before OBR",
			[]string{msh("ORU^R01"), "PID|1", "ORC|RE", "OBR|1||S1", "OBX|1|NM|GLU||5", "ORC|RE", "OBR|2||S2", "OBX|1|NM|GLU||6"},
			[]string{"S1: H P O R GLU=5", "S2: H P O R GLU=6"},
		},
		{"ORU with specimen behind", []string{msh("ORU^R01"), "PID|1", "OBR|1", "OBX|1|NM|GLU||5", "SPM|1|S1"}, []string{"S1: H P O R GLU=5"}},
		{
			"OUL with specimen before and ORC behind",
			[]string{msh("OUL^R22"), "PID|1", "SPM|1|S1", "SAC|||S1", "OBR|1", "ORC|RE", "OBX|1|NM|GLU||5", "SPM|2|S2", "OBR|1", "OBX|1|NM|GLU||6"},
			[]string{"S1: H P O R GLU=5", "S2: H P O R GLU=6"},
		},
		{
			"two patients",
			[]string{msh("ORU^R01"), "PID|1", "NTE|1||one", "OBR|1||S1", "OBX|1|NM|GLU||5", "PID|2", "OBR|1||S2", "OBX|1|NM|GLU||6"},
			[]string{"S1: H P O R C GLU=5", "S2: H P O R GLU=6"},
		},
		{
			"a result above the order",
			[]string{msh("ORU^R01"), "OBX|1|NM|GLU||5", "PID|1", "OBX|1|NM|GLU||6", "OBR|1||S1", "OBX|1|NM|GLU||7"},
			[]string{": H R GLU=5", ": H P R GLU=6", "S1: H P O R GLU=7"},
		},
		{
			"ORU without a trigger, specimens behind",
			[]string{msh("ORU"), "OBR|1", "OBX|1|NM|GLU||5", "SPM|1|S1", "OBR|2", "OBX|1|NM|GLU||6", "SPM|1|S2"},
			[]string{"S1: H O R GLU=5", "S2: H O R GLU=6"},
		},
		{"the specimen's own result", []string{msh("OUL^R22"), "SPM|1|S1", "OBX|1|NM|VOL||9", "OBR|1", "OBX|1|NM|GLU||5"}, []string{"S1: H O R R VOL=9 GLU=5"}},
		{"no order", []string{msh("ORU^R01"), "PID|1", "OBX|1|NM|GLU||5"}, []string{": H P R GLU=5"}},
		{"header only", []string{msh("ORU^R01")}, []string{": H"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := views(set.Envelopes(hl7Message(tt.segments...), at)); !slices.Equal(got, tt.want) {
				t.Errorf("got  %q\nwant %q", got, tt.want)
			}
		})
	}
}

// No sample carries another patient's text: not in records, not in metadata.
func TestOrdersDoNotShareText(t *testing.T) {
	set := load(t, Options{})
	for _, m := range []Raw{
		astmMessage(`H|\^&`, `P|1||||Adam`, `O|1|S1`, `R|1|^^^GLU|one-value`, `P|2||||Eve`, `O|1|S2`, `R|1|^^^GLU|two-value`, `L|1|N`),
		hl7Message(`MSH|^~\&|Lab||||1||ORU^R01|1|P|2.5`, `PID|1||||Adam`, `OBR|1||S1`, `OBX|1|NM|GLU||one-value`, `PID|2||||Eve`, `OBR|1||S2`, `OBX|1|NM|GLU||two-value`),
	} {
		list := set.Envelopes(m, at)
		if len(list) != 2 {
			t.Fatalf("%d envelopes, want 2", len(list))
		}
		for i, strange := range [][]string{{"Eve", "S2", "two-value"}, {"Adam", "S1", "one-value"}} {
			text, err := list[i].MarshalJSON()
			if err != nil {
				t.Fatal(err)
			}
			for _, word := range strange {
				if strings.Contains(string(text), word) {
					t.Errorf("%s: envelope %d holds %q of the other patient", m.Protocol, i, word)
				}
			}
		}
	}
}

func TestGenericNames(t *testing.T) {
	set := load(t, Options{})
	e := set.Envelopes(astmMessage(`H|\^&|17||Star^2.1^0815|||||lis||D|LIS2-A2|20260102030405`,
		`O|1|S1^7|X9|^^^GLU`, `R|1|^^^GLU^Glucose|<0.5|mmol/L|3 to 5|L||F||anna||20260102030000|m1`, `S|1|x`, `L|1`), at)[0]
	got := decoded(t, e)
	contains(t, "", got, map[string]any{
		"H":         []any{map[string]any{"message_id": "17", "sender": map[string]any{"name": "Star", "version": "2.1", "serial": "0815"}, "receiver": "lis", "processing_id": "D", "version": "LIS2-A2", "timestamp": "20260102030405"}},
		"O":         []any{map[string]any{"sample_id": "S1", "instrument": "X9", "test": "GLU"}},
		"R":         []any{map[string]any{"test": "GLU", "value": "<0.5", "units": "mmol/L", "references": "3 to 5", "abnormal_flag": "L", "status": "F", "operator": "anna", "completed_at": "20260102030000", "instrument": "m1"}},
		"L":         []any{map[string]any{"code": "N", "seq": "1"}},
		"metadata":  map[string]any{"unmapped_records": map[string]any{"S": []any{map[string]any{"1": "S", "2": "1", "3": "x"}}}},
		"assaygate": map[string]any{"sample_id": "S1", "kind": "test", "protocol": "astm", "instrument": "analyser"},
	})
	want := envelope.Result{Test: "GLU", Name: "Glucose", Value: "<0.5", Units: "mmol/L", Range: "3 to 5", Flags: "L", Status: "F", ObservedAt: "20260102030000", Kind: envelope.KindTest}
	if len(e.Results) != 1 || !reflect.DeepEqual(e.Results[0], want) {
		t.Errorf("results %+v\nwant %+v", e.Results, want)
	}
}

// Both protocols give one importer the same keys.
func TestBothProtocolsShareNames(t *testing.T) {
	set := load(t, Options{})
	astm := decoded(t, set.Envelopes(astmMessage(`H|\^&|||Lab`, `O|1|S1`, `R|1|^^^GLU|5|mmol/L|3-5|H||F||||20260102`, `L|1`), at)[0])
	hl7 := decoded(t, set.Envelopes(hl7Message(`MSH|^~\&|Lab||||20260102||ORU^R01|1|P|2.5`, `OBR|1||S1`, `OBX|1|NM|GLU^Glucose||5|mmol/L|3-5|H|||F|||20260102`), at)[0])
	for _, key := range []string{"test", "value", "units", "references", "abnormal_flag", "status", "completed_at"} {
		a, h := astm["R"].([]any)[0].(map[string]any)[key], hl7["R"].([]any)[0].(map[string]any)[key]
		if a != h || a == nil {
			t.Errorf("R.%s: %v from ASTM, %v from HL7", key, a, h)
		}
	}
	if _, isObject := hl7["H"].([]any)[0].(map[string]any)["sender"].(map[string]any); !isObject {
		t.Error("sender is no object")
	}
}

func TestDeclaredDelimiters(t *testing.T) {
	set := load(t, Options{})
	e := set.Envelopes(astmMessage("H!~:$!!!Star:1", "O!1!S1!!:::GLU", "R!1!:::GLU!a$F$b", "L!1"), at)[0]
	if got, want := view(e), "S1: H O R L GLU=a!b"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// One bad field never loses the message.
func TestBadFieldsKeepTheirText(t *testing.T) {
	set := load(t, Options{})
	e := set.Envelopes(astmMessage(`H|\^&|||XN-550^1`, `P|1||||x||yesterday`, `O|1||^^ 27^M`, `R|x|^^^^WBC^1|8|G/L||N||F||||noon`, `L|1|N`), at)[0]
	contains(t, "", decoded(t, e), map[string]any{
		"P": []any{map[string]any{"birthdate": "yesterday"}},
		"R": []any{map[string]any{"seq": "x", "completed_at": "noon", "value": "8"}},
	})
	for _, place := range []string{"P.8", "R.2", "R.13"} {
		if !strings.Contains(e.Problem, place) {
			t.Errorf("problem %q does not name %s", e.Problem, place)
		}
	}
	if strings.Contains(e.Problem, "yesterday") || e.SampleID != "27" {
		t.Errorf("problem %q, sample %q", e.Problem, e.SampleID)
	}
}

func TestTimesAreCompleted(t *testing.T) {
	rd := &reader{}
	for text, want := range map[string]string{"202401011230": "20240101123000", "20240101": "20240101000000", "20240101123059": "20240101123059"} {
		if got := rd.time(text, &field{at: "R.13"}); got != want || rd.problems != nil {
			t.Errorf("time %s is %v (%v), want %s", text, got, rd.problems, want)
		}
	}
}

func TestUnreadableIsKept(t *testing.T) {
	set := load(t, Options{})
	for _, m := range []Raw{
		{Protocol: envelope.HL7, Text: []byte("garbage")},
		{Protocol: envelope.ASTM, Text: []byte("garbage"), Frames: [][]byte{[]byte("\x021garbage\x0300\r\n")}},
		{Protocol: envelope.Vendor, Text: []byte("garbage")},
	} {
		list := set.Envelopes(m, at)
		if len(list) != 1 || list[0].Problem == "" || !strings.Contains(string(list[0].Raw), "garbage") {
			t.Errorf("%s: %+v", m.Protocol, list)
		}
		if _, err := json.Marshal(list[0]); err != nil {
			t.Error(err)
		}
	}
}

func TestAmbiguousHeader(t *testing.T) {
	set := load(t, Options{})
	e := set.Envelopes(astmMessage(`H|\^&|||H550^Roche^c111`, `L|1|N`), at)[0]
	if e.Profile != genericASTM || !strings.Contains(e.Problem, "two profiles match this header equally, horiba_yumizen_h5xx and roche_cobas_c111") {
		t.Errorf("profile %s, problem %q", e.Profile, e.Problem)
	}
}

func TestRepeatedFields(t *testing.T) {
	set := load(t, Options{})
	for text, want := range map[string]string{
		`^^^413`:        "413",
		`^^^413\^^^414`: "413 414",
		``:              "",
	} {
		e := set.Envelopes(astmMessage(`H|\^&|||x^Roche^c111`, `O|1|||`+text, `L|1|N`), at)[0]
		var got []string
		for _, o := range e.Records.O[0].Value("test").([]any) {
			got = append(got, o.(envelope.Object).Text("test_id"))
		}
		if strings.Join(got, " ") != want {
			t.Errorf("O.5 %q gives %q, want %q", text, got, want)
		}
	}
}

// A message that would unfold to more than the box holds is kept, not taken
// apart.
func TestExcessiveIsKeptAsRawBytes(t *testing.T) {
	set := load(t, Options{})
	for name, m := range map[string]Raw{
		"records": astmMessage(`H|\^&`, strings.Repeat("R\r", maxRecords+1), "L|1"),
		"fields":  astmMessage(`H|\^&`, "R"+strings.Repeat("|", maxFields+1), "L|1"),
		"header":  astmMessage(`H|\^&|`+strings.Repeat("x", 100_000), strings.Repeat("O\r", 1000), "L|1"),
	} {
		list := set.Envelopes(m, at)
		if len(list) != 1 || list[0].Intake != envelope.Parked || list[0].Problem == "" || len(list[0].Raw) < len(m.Text) {
			t.Errorf("%s: %d envelopes, intake %s, problem %q, %d raw bytes", name, len(list), list[0].Intake, list[0].Problem, len(list[0].Raw))
		}
	}
}

func TestJSONList(t *testing.T) {
	d := delimiters{repeat: '\\', component: '^'}
	for text, want := range map[string]string{
		"a^b":      `["a", "b"]`,
		`say "é"😀`: `["say \"\u00e9\"\ud83d\ude00"]`,
	} {
		if got := jsonList(text, d); got != want {
			t.Errorf("%s gives %s, want %s", text, got, want)
		}
	}
}

// The sample's id is found where instruments put it, and shown where SENAITE's
// importer reads it.
func TestSampleID(t *testing.T) {
	set := load(t, Options{})
	for name, tt := range map[string]struct {
		m    Raw
		want string
	}{
		"deleted filler, placer":   {hl7Message(`MSH|^~\&|Lab||||1||ORU^R01|1|P|2.5`, `OBR|1|S3|""`), "S3"},
		"specimen":                 {hl7Message(`MSH|^~\&|Lab||||1||OUL^R22|1|P|2.5`, `SPM|1|S7^x`, `OBR|1`), "S7"},
		"the filler's specimen id": {hl7Message(`MSH|^~\&|Lab||||1||OUL^R22|1|P|2.5`, `SPM|1|^F36`, `OBR|1||A`), "F36"},
		"a rack and a position":    {astmMessage(`H|\^&`, `O|1|^3^7|R12^4`, `L|1`), ""},
		"the number of a run":      {astmMessage(`H|\^&`, `O|1||17^0001^3^^S1^SC`, `L|1`), ""},
		"a material":               {astmMessage(`H|\^&`, `O|1|^BLOOD|SERUM`, `L|1`), ""},
		"a material and an id":     {astmMessage(`H|\^&`, `O|1|^BLOOD|20260102`, `L|1`), "20260102"},
		"a later component":        {astmMessage(`H|\^&`, `O|1|^^S2500|R1^2`, `L|1`), "S2500"},
		"the instrument's":         {astmMessage(`H|\^&`, `O|1||S2600`, `L|1`), "S2600"},
	} {
		e := set.Envelopes(tt.m, at)[0]
		if shown := e.Records.O[0].Text("sample_id"); e.SampleID != tt.want || tt.want != "" && shown != tt.want {
			t.Errorf("%s: sample %q, O.sample_id %q, want %q", name, e.SampleID, shown, tt.want)
		}
	}
}

// MSH-2 may declare fewer than four characters.
func TestShortMSH2(t *testing.T) {
	for _, msh2 := range []string{"^", "^~", "^~\\", "^~\\&", "^~\\&#"} {
		text := []string{"MSH|" + msh2 + "|Lab||||1||ORU^R01|1|P|2.5", "PID|1|" + canary, "OBR|1|" + canary + "|S1", "OBX|1|NM|GLU||5"}
		e := load(t, Options{}).Envelopes(hl7Message(text...), at)[0]
		if e.Metadata.HL7 != strings.Join(text, "\r") || e.SampleID != "S1" && e.SampleID != canary {
			t.Errorf("%s: metadata %q, sample %q", msh2, e.Metadata.HL7, e.SampleID)
		}
		allow := envelope.Allowlist{HL7: &envelope.Allowed{Fields: map[string][]int{"OBR": {3}, "OBX": {3, 5}}, DropUnmatched: true}}
		wantNoCanary(t, load(t, Options{Allow: allow}), hl7Message(text...), "MSH-2 "+msh2)
	}
}

func TestCharsetsThatNoLineCanCarry(t *testing.T) {
	for _, name := range []string{"UTF-16", "UTF-16LE", "ISO-2022-KR"} {
		if e, err := Charset(name); err == nil {
			t.Errorf("%s is taken for %v", name, e)
		}
	}
}

// Many results in one order must not cost more than their number.
func BenchmarkManyResults(b *testing.B) {
	set := load(b, Options{})
	for _, n := range []int{1000, 10000} {
		m := hl7Message(append([]string{`MSH|^~\&|Lab||||1||ORU^R01|1|P|2.5`, "OBR|1||S1"}, slices.Repeat([]string{"OBX|1|NM|A||1|u"}, n)...)...)
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			for b.Loop() {
				set.Envelopes(m, at)
			}
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N)/float64(n), "µs/result")
		})
	}
}

// A value that a definition does not list is kept and no problem; who examines
// a capture is told.
func TestUnlistedValues(t *testing.T) {
	set := load(t, Options{})
	m := astmMessage(`H|\^&|||XN-550`, `O|1||^^S1^Z`, `R|1|^^^^WBC^9|5|u||XX||F`, `R|2|^^^^RBC^1|5|u||XX||F`, `L|1|N`)
	list, unlisted := set.Examine(m, at)
	if want := []string{"O.4.4", "R.3.6", "R.7"}; !slices.Equal(unlisted, want) || list[0].Problem != "" || list[0].Results[0].Flags != "XX" {
		t.Errorf("unlisted %v, want %v; problem %q", unlisted, want, list[0].Problem)
	}
}

func TestHL7SpecimenByPosition(t *testing.T) {
	set := load(t, Options{})
	for name, tt := range map[string]struct{ segments, want string }{
		"OUL^R24: order, specimen behind": {`MSH|^~\&|a||||1||OUL^R24|1|P|2.6;PID|1;OBR|1|||GLU;ORC|OK;SPM|1|S1;OBX|1|NM|GLU||5;OBR|2|||NA;ORC|OK;SPM|1|S2;OBX|1|NM|NA||140`, "S1: H P O R GLU=5|S2: H P O R NA=140"},
		"ORU^R30: specimen at the end":    {`MSH|^~\&|a||||1||ORU^R30|1|P|2.6;PID|1;ORC|NW;OBR|1|||GLU;OBX|1|NM|GLU||5;SPM|1|S1`, "S1: H P O R GLU=5"},
		"OUL^R21: container first":        {`MSH|^~\&|a||||1||OUL^R21|1|P|2.5.1;SAC|||S1;ORC|RE;OBR|1||S1|GLU;OBX|1|NM|GLU||1.1;SAC|||S2;ORC|RE;OBR|2||S2|GLU;OBX|1|NM|GLU||2.2;SAC|||S3;ORC|RE;OBR|3||S3|GLU;OBX|1|NM|GLU||3.3`, "S1: H O R GLU=1.1|S2: H O R GLU=2.2|S3: H O R GLU=3.3"},
		"OUL^R23: container, specimen":    {`MSH|^~\&|a||||1||OUL^R23|1|P|2.5.1;SAC|||S1;SPM|1|||SER;OBR|1|||GLU;OBX|1|NM|GLU||1.1;SAC|||S2;SPM|2|||SER;OBR|2|||GLU;OBX|1|NM|GLU||2.2`, "S1: H O R GLU=1.1|S2: H O R GLU=2.2"},
		"OUL^R23: containers of one":      {`MSH|^~\&|a||||1||OUL^R23|1|P|2.5.1;SPM|1;SAC|||S1;OBR|1|||GLU;OBX|1|NM|GLU||1.1;SAC|||S2;OBR|2|||GLU;OBX|1|NM|GLU||2.2`, "S1: H O R GLU=1.1|S2: H O R GLU=2.2"},
		"OUL^R22: first order without":    {`MSH|^~\&|a||||1||OUL^R22|1|P|2.5.1;OBR|1||S1|GLU;OBX|1|NM|GLU||1.1;SPM|2|S2||SER;OBR|2|||GLU;OBX|1|NM|GLU||2.2`, "S1: H O R GLU=1.1|S2: H O R GLU=2.2"},
		"OUL^R22: specimens behind":       {`MSH|^~\&|a||||1||OUL^R22|1|P|2.5.1;OBR|1|||GLU;OBX|1|NM|GLU||1.1;SPM|1|S1;OBR|2|||GLU;OBX|1|NM|GLU||2.2;SPM|2|S2`, "S1: H O R GLU=1.1|S2: H O R GLU=2.2"},
		"ORU: an order without results":   {`MSH|^~\&|a||||1||ORU^R01|1|P|2.5.1;OBR|1|||GLU;ORC|RE||S2;OBR|2|||GLU;OBX|1|NM|GLU||2.2;ORC|RE||S3;OBR|3|||GLU;OBX|1|NM|GLU||3.3`, ": H O|S2: H O R GLU=2.2|S3: H O R GLU=3.3"},
		"OML: ORC, SPM, OBR":              {`MSH|^~\&|a||||1||OML^O33|1|P|2.5.1;ORC|RE||S2;SPM|1;OBR|1|||GLU;OBX|1|NM|GLU||2.2;ORC|RE||S3;SPM|2;OBR|2|||GLU;OBX|1|NM|GLU||3.3`, "S2: H O R GLU=2.2|S3: H O R GLU=3.3"},
		"OUL^R22: OBR, NTE, ORC":          {`MSH|^~\&|a||||1||OUL^R22|1|P|2.5.1;OBR|1||S1|GLU;NTE|1||x;ORC|OK;OBX|1|NM|GLU||1.1`, "S1: H O R C GLU=1.1"},
		"odd MSH-9":                       {`MSH|^~\&|a||||1|| oul_r22 |1|P|2.5.1;OBR|1||S1|GLU;OBX|1|NM|GLU||1.1;SPM|2|S2||SER;OBR|2|||GLU;OBX|1|NM|GLU||2.2`, "S1: H O R GLU=1.1|S2: H O R GLU=2.2"},
		"OML^O33: specimen, then orders":  {`MSH|^~\&|a||||1||OML^O33|1|P|2.5.1;SPM|1|S1;ORC|NW;OBR|1|||GLU;OBX|1|NM|GLU||5;SPM|2|S2;ORC|NW;OBR|2|||NA`, "S1: H O R GLU=5|S2: H O"},
	} {
		list := set.Envelopes(hl7Message(strings.Split(tt.segments, ";")...), at)
		if got := strings.Join(views(list), "|"); got != tt.want {
			t.Errorf("%s:\ngot  %s\nwant %s", name, got, tt.want)
		}
	}
}

// What is accepted and yet says nothing must be seen by somebody.
func TestEmptyHandedMessagesSaySo(t *testing.T) {
	set := load(t, Options{})
	for want, m := range map[string]Raw{
		"the order has no results": hl7Message(`MSH|^~\&|a||||1||ORU^R01|1|P|2.5`, "OBR|1||S1"),
		"no sample id was found":   astmMessage(`H|\^&|||a`, `O|1|^SERUM`, `R|1|^^^GLU|5`, `L|1|N`),
	} {
		if e := set.Envelopes(m, at)[0]; e.Problem != want {
			t.Errorf("problem %q, want %q", e.Problem, want)
		}
	}
	if e := set.Envelopes(astmMessage(`H|\^&|||a||||||Q|Q`, `O|1||||||||||Q`, `R|1|^^^GLU|5`, `L|1|N`), at)[0]; e.Problem != "" {
		t.Errorf("a control without sample id is a problem: %s", e.Problem)
	}
}

func TestPartsOfResults(t *testing.T) {
	set := load(t, Options{})
	hl7 := func(obx string) Raw { return hl7Message(`MSH|^~\&|a||||1||ORU^R01|1|P|2.5`, "OBR|1||S1", obx) }
	astm := func(r string) Raw { return astmMessage(`H|\^&|||a`, `O|1|S1`, r, `L|1|N`) }
	for _, tt := range []struct {
		m    Raw
		want string // test, name, value, units
	}{
		{hl7(`OBX|1|NM|6690-2^WBC^LN|1|8.4|10^9/L`), "6690-2 WBC 8.4 10^9/L"},
		{hl7(`OBX|1|NM|WBC||8.4|10*9/L^10*9/L^UCUM`), "WBC  8.4 10*9/L"},
		{hl7(`OBX|1|NM|WBC||8.4|^% TOTAL^L`), "WBC  8.4 % TOTAL"},
		{hl7(`OBX|1|NM|WBC||8.4|^^^mm Hg^^L`), "WBC  8.4 mm Hg"},
		{hl7(`OBX|1|NM|WBC||8.4|""`), "WBC  8.4 "},
		{hl7(`OBX|1||TSH||0.120^|uIU/mL`), "TSH  0.120 uIU/mL"},
		{hl7(`OBX|1|NM|25|HDL C|57.0|mg/dL`), "25 HDL C 57.0 mg/dL"},
		{hl7(`OBX|1|NM||HbA1c|9.3 %|%`), "HbA1c HbA1c 9.3 % %"},
		{hl7(`OBX|1|NM||7|9.3|%`), "  9.3 %"},
		{hl7(`OBX|1|CWE|^^^^^^^^Ag test||POS^Positive^L|`), "Ag test Ag test POS^Positive^L "},
		{hl7(`OBX|1|ST|A||""|u`), `A  "" u`},
		{astm(`R|1|^^^PT^INR|1,05|s`), "PT INR 1,05 s"},
		{astm(`R|1|^^^TSH3^1|2.1^^|uIU/mL`), "TSH3  2.1 uIU/mL"},
		{astm(`R|1|^^^^^^GLU|<0.5|10^3/uL`), "GLU  <0.5 10^3/uL"},
		{astm("R|1|^^^GLU|5|10^3/\u03bcL"), "GLU  5 10^3/\u03bcL"},
		{astm("r|1|^^^GLU|5|mg"), "GLU  5 mg"},
	} {
		e := set.Envelopes(tt.m, at)[0]
		if len(e.Results) != 1 {
			t.Errorf("%s: %d results", tt.want, len(e.Results))
			continue
		}
		r := e.Results[0]
		if got := strings.Join([]string{r.Test, r.Name, r.Value, r.Units}, " "); got != tt.want {
			t.Errorf("got  %q\nwant %q", got, tt.want)
		}
	}
}

// On a shared listener a message's beginning tells the instrument, also where
// that stands behind the header; megabytes behind it cost nothing.
func TestRecognisedByTheBeginning(t *testing.T) {
	set := load(t, Options{})
	long := "OBX|1|ED|X||^IM^PNG^Base64^" + strings.Repeat("A", 1<<20) + "\r"
	for text, want := range map[string]string{
		"MSH|^~\\&|||||1||ORU^R01|1|P|2.3.1\rPID|1\rOBR|1|S1||Mindray^BS\r" + long: "mindray_hl7",
		"MSH|^~\\&|HemoScreen||||1||ORU^R01|1|P|2.4\r" + long:                      "hemoscreen",
		"MSH|^~\\&|a||||1||ORU^R01|1|P|2.4\r" + long + "OBR|1|||Mindray^\r":        genericHL7,
		"MSH|^~\\&|" + strings.Repeat("a", 1<<20):                                  genericHL7,
		"": genericHL7,
	} {
		if got := set.Recognise(envelope.HL7, []byte(text)); got != want {
			t.Errorf("%.60q is %s, want %s", text, got, want)
		}
	}
}

// A definition may find comments in the result itself.
func TestCommentInTheResult(t *testing.T) {
	directory := t.TempDir()
	text := "name: mine\nprotocol: hl7\ntitle: mine\nmatch: {MSH.3: [Uro]}\nresults:\n  comment: [OBX.15, NTE.3]\n"
	if err := os.WriteFile(filepath.Join(directory, "mine.yaml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	set := load(t, Options{Directory: directory})
	e := set.Envelopes(hl7Message(`MSH|^~\&|Uro||||1||ORU^R01|1|P|2.5`, "OBR|1||S1", "OBX|1|NM|GLU||5|mg|||||||||low volume", "NTE|1||cloudy"), at)[0]
	if got := e.Results[0].Comments; !slices.Equal(got, []string{"low volume", "cloudy"}) {
		t.Errorf("comments %q", got)
	}
	if err := os.WriteFile(filepath.Join(directory, "other.yml"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(Options{Directory: directory}); err == nil || !strings.Contains(err.Error(), "other.yml:1:1: profiles are read from files that end in .yaml; rename it") {
		t.Errorf("a file that is not read: %v", err)
	}
}

// Kinds are told from texts as instruments send them, and SPM-11 = P counts more
// than a name that looks like a control's.
func TestKinds(t *testing.T) {
	set := load(t, Options{})
	astm := func(h12, o12, o16 string) Raw {
		return astmMessage(`H|\^&|||a|||||||`+h12, `O|1|S1|||||||||`+o12+`||||`+o16, `R|1|^^^GLU|5`, `L|1|N`)
	}
	hl7 := func(msh11, obr4, spm11 string) Raw {
		return hl7Message(`MSH|^~\&|a||||1||OUL^R22|1|`+msh11+`|P|2.5`, `SPM|1|S1|||||||||`+spm11, `OBR|1|||`+obr4, `OBX|1|NM|GLU||5`)
	}
	for _, tt := range []struct {
		m    Raw
		want envelope.Kind
	}{
		{astm("P", "N", ""), envelope.KindResult},
		{astm("Q", "", ""), envelope.KindQC},
		{astm("T", "Q", ""), envelope.KindTest},
		{astm(" d ", "", ""), envelope.KindTest},
		{astm("P", "Q ", ""), envelope.KindQC},
		{astm("P", "q", ""), envelope.KindQC},
		{astm("P", "Q^x", ""), envelope.KindQC},
		{astm("P", "", "Control^lot 5"), envelope.KindQC},
		{astm("P", "", "calibrator"), envelope.KindCalibration},
		{astm("P", "", "Serum"), envelope.KindResult},
		{hl7("P", "GLU", "P"), envelope.KindResult},
		{hl7("P", "GLU", "Q "), envelope.KindQC},
		{hl7("P", "GLU", "q^Control"), envelope.KindQC},
		{hl7("P", "GLU", "C"), envelope.KindCalibration},
		{hl7("P", "A^HPV QC", "P"), envelope.KindResult},
		{hl7("P", "A^LJ QCR", ""), envelope.KindQC},
		{hl7("T", "GLU", "P"), envelope.KindTest},
	} {
		if e := set.Envelopes(tt.m, at)[0]; e.Kind != tt.want || e.Results[0].Kind != tt.want {
			t.Errorf("%q is %s, its result %s, want %s", tt.m.Text, e.Kind, e.Results[0].Kind, tt.want)
		}
	}
}

// OBX-2 is often wrong: only what looks like a document or a pointer is taken
// out of the results' way.
func TestImagesAreWhatTheyLook(t *testing.T) {
	set := load(t, Options{})
	for obx, want := range map[string]string{
		`OBX|1|ED|GLU||5.6|mmol/L`:           "result 5.6",
		`OBX|1|ED|PIC||^IM^PNG^Base64^AAAA`:  "image ",
		`OBX|1|ED|PIC||^IM^PNG^zip^AAAA`:     "result ^IM^PNG^zip^AAAA",
		`OBX|1|RP|PIC||/box/a.png^x^IM^PNG`:  "image /box/a.png^x^IM^PNG",
		`OBX|1|RP|GLU||7`:                    "result 7",
		`OBX|1|NM|GLU||7^IM^PNG^Base64^AAAA`: "result 7^IM^PNG^Base64^AAAA",
	} {
		r := set.Envelopes(hl7Message(`MSH|^~\&|a||||1||ORU^R01|1|P|2.5`, "OBR|1||S1", obx), at)[0].Results[0]
		if got := string(r.Kind) + " " + r.Value; got != want {
			t.Errorf("%s: %q, want %q", obx, got, want)
		}
	}
}

// What says that a result is an image may be dropped: it stays one.
func TestImageUnderAllowlist(t *testing.T) {
	set := load(t, Options{Allow: envelope.Allowlist{HL7: &envelope.Allowed{Fields: map[string][]int{"OBR": {3}, "OBX": {3, 5}}, DropUnmatched: true}}})
	r := set.Envelopes(hl7Message(`MSH|^~\&|a||||1||ORU^R01|1|P|2.5`, "OBR|1||S1", `OBX|1|ED|PIC||^IM^PNG^Base64^AAAA`), at)[0].Results[0]
	if r.Kind != envelope.KindImage || r.Value != "" || r.Size != 3 {
		t.Errorf("%+v", r)
	}
}

// An own profile that fits as well as a built-in one wins.
func TestOwnProfileWins(t *testing.T) {
	directory := t.TempDir()
	text := "name: mine\nprotocol: astm\ntitle: mine\nmatch: {H.5: 'c311'}\nresults: {sample: [O.3.2]}\n"
	if err := os.WriteFile(filepath.Join(directory, "mine.yaml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	e := load(t, Options{Directory: directory}).Envelopes(astmMessage(`H|\^&|||c311^1`, `O|1|106^WB-0001^1`, `R|1|^^^1|5`, `L|1|N`), at)[0]
	if e.Profile != "mine" || e.SampleID != "WB-0001" || e.Problem != "" {
		t.Errorf("profile %s, sample %s, problem %q", e.Profile, e.SampleID, e.Problem)
	}
}

// Small input must not cost much: fields that unfold, and many results that look
// at the same surroundings.
func TestWhatUnfoldsIsBounded(t *testing.T) {
	set := load(t, Options{})
	var zeros bytes.Buffer
	w, _ := flate.NewWriter(&zeros, flate.BestCompression)
	w.Write(make([]byte, 260_000))
	w.Close()
	stream := "FLOATLE-stream/deflate:base64^" + base64.StdEncoding.EncodeToString(zeros.Bytes())
	plots := slices.Repeat([]string{"M|1|HISTOGRAM|a|b|" + stream + "|" + stream}, 1000)
	pairs := slices.Repeat([]string{`R|1|^^^A|5`, `C|1|I|x`}, 12_000)
	for name, m := range map[string]Raw{
		"streams":    astmMessage(slices.Concat([]string{`H|\^&|||H500^1`, `O|1|S1`}, plots, []string{`L|1|N`})...),
		"repeats":    astmMessage(`H|\^&|||XN-550`, `O|1||^^S1|`+strings.Repeat(`\`, 1<<20), `L|1|N`),
		"components": astmMessage(`H|\^&|||ARCHITECT^1`, `O|1|S1`, `R|1|^^^1|5|u||`+strings.Repeat(`^`, 1<<20), `L|1|N`),
		"results":    astmMessage(slices.Concat([]string{`H|\^&|||a`, `O|1|S1`}, pairs, []string{`L|1|N`})...),
		"separators": {Protocol: envelope.HL7, Text: append([]byte("MSH!"), bytes.Repeat([]byte("!"), 2<<20)...)},
	} {
		least := ^uint64(0)
		for range 3 {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			list := set.Envelopes(m, at)
			runtime.ReadMemStats(&after)
			runtime.KeepAlive(list)
			least = min(least, after.TotalAlloc-before.TotalAlloc)
		}
		if limit := uint64(192*len(m.Text) + 64<<20); least > limit {
			t.Errorf("%s: %d MB for %d bytes", name, least>>20, len(m.Text))
		}
	}
}
