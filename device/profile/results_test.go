package profile

import (
	"bytes"
	"compress/flate"
	"encoding/base64"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/assaygate/assaygate/envelope"
)

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
