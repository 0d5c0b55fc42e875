package profile

import (
	"encoding/json"
	"reflect"
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
