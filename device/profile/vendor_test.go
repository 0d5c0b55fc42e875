package profile

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/assaygate/assaygate/envelope"
	"github.com/assaygate/assaygate/protocols/vendor"
)

func vidasPacket(fields ...string) Raw {
	text := "\x1emtrsl|"
	for _, f := range fields {
		text += "\x1e" + f + "|"
	}
	text += "\x1d"
	return Raw{
		Protocol: envelope.Vendor, Format: "mini_vidas", Instrument: "lab", Intake: envelope.Accepted,
		Text: []byte("\x02" + text + vendor.MiniVIDASSum([]byte(text))),
	}
}

func spotchemPacket(text string) Raw {
	return Raw{Protocol: envelope.Vendor, Format: "spotchem_el", Instrument: "lab", Intake: envelope.Accepted, Text: []byte("\x02" + text + "\x03")}
}

func emeraldFrame(lines ...string) Raw {
	text := strings.Join(lines, "\r") + "\r"
	text += fmt.Sprintf("END_RESULT;%d\r", vendor.EmeraldSum([]byte(text)))
	return Raw{Protocol: envelope.Vendor, Format: "celldyn_emerald", Instrument: "lab", Intake: envelope.Accepted, Text: []byte(text)}
}

func emeraldResult() []string {
	return []string{
		"EMD22;1;SN-9;ANNA", "RESULT", "DATE;09/03/2025", "TIME;07:05:33", "MODE;NORMAL", "UNIT;1", "SID;A-1", "PID;P-1", "ID;ROE^J|A&F&NE\\X",
		"SEX;2", "WBC;6.9 ;*;H;3.7;3.8;10.0;10.1", "RBC;+++++;;;4;4;5;5", "ALARMS;L1;",
	}
}

// one is the only envelope of a message without a problem.
func one(t *testing.T, set *Set, m Raw) envelope.Envelope {
	t.Helper()
	list := set.Envelopes(m, at)
	if len(list) != 1 || list[0].Problem != "" || list[0].Intake != envelope.Accepted {
		t.Fatalf("%d envelopes, problem %q, intake %s", len(list), list[0].Problem, list[0].Intake)
	}
	return list[0]
}

func TestVendorResults(t *testing.T) {
	set := load(t, Options{})
	for name, test := range map[string]struct {
		m       Raw
		profile string
		lane    string
		want    []envelope.Result
	}{
		"mini VIDAS": {
			vidasPacket("piX", "ciA-1", "rtHBS", "rnHBs Antigen", "tt07:05", "td03/09/25", "qlnegative", "qn0.02", "y3UI/ml", "nc<", "snIVD1"),
			"biomerieux_mini_vidas", "lab/miniVidas^biomerieux^1.0.0^IVD1",
			[]envelope.Result{{Test: "HBS", Name: "HBs Antigen", Value: "0.02", Units: "UI/ml", Flags: "<", Status: "negative", ObservedAt: "202503090705", Kind: envelope.KindResult}},
		},
		"mini VIDAS, qualitative": {
			vidasPacket("ciA-1", "rtHBS", "tt07:05", "td03/09/25", "qlnegative", "xpT"), "biomerieux_mini_vidas", "lab/miniVidas^biomerieux^1.0.0",
			[]envelope.Result{{Test: "HBS", Value: "negative", Status: "negative", ObservedAt: "202503090705", Kind: envelope.KindTest}},
		},
		"Spotchem EL": {
			spotchemPacket("25/03/09 07:05 ID# A-1 [Serum] K 4.10 mmol/L Na ----- mmol/L"), "spotchem_el", "lab/SE-1520^Spotchem^1.0.0",
			[]envelope.Result{
				{Test: "K", Value: "4.10", Units: "mmol/L", ObservedAt: "202503090705", Kind: envelope.KindResult},
				{Test: "Na", Value: "-----", Units: "mmol/L", ObservedAt: "202503090705", Kind: envelope.KindResult},
			},
		},
		"Emerald": {
			emeraldFrame(emeraldResult()...), "celldyn_emerald", "lab/EMD22^1^SN-9",
			[]envelope.Result{
				{Test: "WBC", Value: "6.9", Flags: `*\H`, Range: "3.8-10.0", Status: "F", ObservedAt: "20250309070533", Kind: envelope.KindResult},
				{Test: "RBC", Value: "+++++", Range: "4-5", Status: "F", ObservedAt: "20250309070533", Kind: envelope.KindResult},
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			e := one(t, set, test.m)
			if e.Profile != test.profile || e.SampleID != "A-1" || e.Lane != test.lane || string(e.Raw) != string(test.m.Text) {
				t.Errorf("profile %s, sample %q, lane %q", e.Profile, e.SampleID, e.Lane)
			}
			if fmt.Sprintf("%+v", e.Results) != fmt.Sprintf("%+v", test.want) {
				t.Errorf("results %+v\nwant    %+v", e.Results, test.want)
			}
			exact := e.MessageTime != ""
			if (test.profile == "celldyn_emerald") != exact {
				t.Errorf("message time %q: only an Emerald tells it to the second", e.MessageTime)
			}
			// A configured profile for something else must not read a packet.
			test.m.Profile = "sysmex_xn"
			if e := one(t, set, test.m); e.Profile != test.profile {
				t.Errorf("profile %s under another configured one", e.Profile)
			}
		})
	}
}

// The session of the contract is the same to the byte, joins included.
func TestVendorSession(t *testing.T) {
	raw, err := os.ReadFile(filepath.Join(peers, "captures", "mini_vidas.txt"))
	if err != nil {
		t.Skipf("no captures in %s", peers)
	}
	golden, err := os.ReadFile(filepath.Join(peers, "envelopes", "mini_vidas.json"))
	if err != nil {
		t.Fatal(err)
	}
	var want struct{ Metadata struct{ ASTM, LIS2A string } }
	if err := json.Unmarshal(golden, &want); err != nil {
		t.Fatal(err)
	}
	e := one(t, load(t, Options{}), Raw{Protocol: envelope.Vendor, Format: "mini_vidas", Text: raw, Intake: envelope.Accepted})
	if e.Metadata.ASTM != want.Metadata.ASTM {
		t.Errorf("astm %q\nwant %q", e.Metadata.ASTM, want.Metadata.ASTM)
	}
	if e.Metadata.LIS2A != want.Metadata.LIS2A {
		t.Errorf("lis2a %q\nwant %q", e.Metadata.LIS2A, want.Metadata.LIS2A)
	}
}

func TestVendorOrders(t *testing.T) {
	m := vidasPacket("piX", "ciA-1", "rtHBS", "qn1", "piY", "ciA-2", "rtHBS", "qn2", "rtTSH", "qn3")
	list := load(t, Options{}).Envelopes(m, at)
	if len(list) != 2 || list[0].SampleID != "A-1" || list[1].SampleID != "A-2" || len(list[1].Results) != 2 {
		t.Fatalf("%d envelopes: %+v", len(list), list)
	}
	if strings.Contains(list[1].Metadata.ASTM, "A-1") || !strings.Contains(list[1].Metadata.ASTM, "R|2|TSH|3") {
		t.Errorf("metadata of the second sample: %q", list[1].Metadata.ASTM)
	}
	// Nor does the metadata of what an allowlist leaves.
	allow := envelope.Allowlist{ASTM: &envelope.Allowed{Fields: map[string][]int{"P": {5}, "O": {3}, "R": {3, 4}}, DropUnmatched: true}}
	list = load(t, Options{Allow: allow}).Envelopes(m, at)
	if len(list) != 2 || !strings.Contains(list[1].Metadata.ASTM, "P|2|||Y") || strings.Contains(list[1].Metadata.ASTM+list[1].Metadata.LIS2A, "A-1") {
		t.Errorf("metadata under an allowlist: %q", list[1].Metadata.ASTM)
	}
}

func TestEmeraldKinds(t *testing.T) {
	set := load(t, Options{})
	for line, want := range map[string]envelope.Kind{"MODE;QC": envelope.KindQC, "MODE;REPEATABILITY": envelope.KindQC, "MODE;CALIBRATION": envelope.KindCalibration, "MODE;TEST": envelope.KindTest} {
		lines := emeraldResult()
		lines[4] = line
		m := emeraldFrame(lines...)
		m.Deliver = []envelope.Kind{envelope.KindResult}
		e := one(t, set, m)
		if e.Kind != want || e.Results[0].Kind != want || (e.Withheld == "") != (want == envelope.KindTest) {
			t.Errorf("%s: kind %s, withheld %q", line, e.Kind, e.Withheld)
		}
		if orders := len(e.Records.O); (orders == 1) != (want == envelope.KindTest) {
			t.Errorf("%s: %d orders", line, orders)
		}
	}
	startUp := Raw{Protocol: envelope.Vendor, Format: "celldyn_emerald", Text: []byte("EMD22;1;2;3\rSTARTUP;09/03/2025;07:05:33;PASSED\r"), Intake: envelope.Accepted}
	if e := one(t, set, startUp); e.Kind != envelope.KindQC {
		t.Errorf("a start-up is of kind %s", e.Kind)
	}
}

// Text that looks like ASTM's delimiters is not taken apart, and comes back from
// the frames that an allowlist leaves.
func TestEmeraldTextIsWhole(t *testing.T) {
	name := `ROE^J|A&F&NE\X`
	e := one(t, load(t, Options{}), emeraldFrame(emeraldResult()...))
	if got := e.Records.P[0].Text("name"); got != name {
		t.Errorf("name %q, want %q", got, name)
	}
	if keys := len(e.Records.H[0]); keys != 4 {
		t.Errorf("H has %d keys, want 4: %v", keys, e.Records.H[0])
	}
	set := load(t, Options{Allow: envelope.Allowlist{ASTM: &envelope.Allowed{Fields: map[string][]int{"P": {6}, "O": {3}}, DropUnmatched: true}}})
	e = one(t, set, emeraldFrame(emeraldResult()...))
	if got := e.Records.P[0].Text("name"); got != name {
		t.Errorf("name %q under an allowlist, want %q", got, name)
	}
	if !strings.Contains(string(e.Raw), `|ROE&S&J&F&A&E&F&E&NE&R&X|`) || !strings.Contains(string(e.Raw), `H|\^&|`) {
		t.Errorf("kept %q", e.Raw)
	}
}

func TestVendorDamaged(t *testing.T) {
	set := load(t, Options{})
	damaged := vidasPacket("ciA-1", "rtHBS", "qn1")
	damaged.Text[10] ^= 1
	for name, m := range map[string]Raw{
		"a wrong sum":         damaged,
		"no result":           vidasPacket("ciA-1"),
		"no packet":           spotchemPacket("25/03/09 07:05 mumble"),
		"no frame":            {Protocol: envelope.Vendor, Format: "celldyn_emerald", Text: []byte("mumble\r"), Intake: envelope.Accepted},
		"bytes of no charset": {Protocol: envelope.Vendor, Format: "celldyn_emerald", Text: []byte("\xff;\rRESULT\r"), Intake: envelope.Accepted},
	} {
		e := set.Envelopes(m, at)[0]
		if e.Problem == "" || string(e.Raw) != string(m.Text) || (e.Intake != envelope.Parked) != (name == "a wrong sum" || name == "bytes of no charset") {
			t.Errorf("%s: problem %q, intake %s, raw %q", name, e.Problem, e.Intake, e.Raw)
		}
	}
}

// TestVendorCanary plants a name in every field of the three formats that the
// allowlist does not name.
func TestVendorCanary(t *testing.T) {
	set := load(t, Options{Allow: envelope.Allowlist{ASTM: &envelope.Allowed{Fields: map[string][]int{"O": {3}, "R": {3, 4}}, DropUnmatched: true}}})
	fields := []string{"pi1", "pn1", "pb1", "ps1", "so1", "si1", "ciA-1", "rtHBS", "rn1", "tt07:05", "td03/09/25", "ql1", "qn1", "y31", "qd1", "nc1", "id1", "sn1", "m41", "xp1", "zz1"}
	for i, f := range fields {
		if strings.HasPrefix(f, "ci") || strings.HasPrefix(f, "rt") || strings.HasPrefix(f, "qn") {
			continue
		}
		planted := append([]string{}, fields...)
		planted[i] = f[:2] + canary + "^" + canary
		wantNoCanary(t, set, vidasPacket(planted...), "mini VIDAS "+f[:2])
		planted[i] = canary // no field at all
		wantNoCanary(t, set, vidasPacket(planted...), "mini VIDAS, for "+f[:2])
	}
	for _, text := range []string{
		"25/03/09 07:05 ID# A-1 [" + canary + "] K 4 mmol/L", "25/03/09 07:05 ID# A-1 [x] K 4 " + canary + "/x", "25/03/09 07:05 " + canary + " ID# A-1 [x] K 4 mmol/L",
		"25/03/09 07:05 ID# A-1 [x] K 4 mmol/L " + canary, "25/03/09 07:05 " + canary,
	} {
		wantNoCanary(t, set, spotchemPacket(text), text)
	}
	for i, line := range emeraldResult() {
		lines := emeraldResult()
		switch token, _, _ := strings.Cut(line, ";"); token {
		case "SID", "RBC", "RESULT":
			continue
		case "WBC":
			lines[i] = "WBC;6.9;" + canary + ";" + canary + ";" + canary + ";1;2;" + canary
		default:
			lines[i] = token + ";" + canary + ";" + canary
			if i == 0 {
				lines[i] = canary + ";" + canary + ";" + canary + ";" + canary
			}
		}
		wantNoCanary(t, set, emeraldFrame(lines...), "Emerald "+line)
		lines[i] = canary + ";" + canary
		wantNoCanary(t, set, emeraldFrame(lines...), "Emerald, for "+line)
	}
	for _, m := range []Raw{
		{Protocol: envelope.Vendor, Format: "celldyn_emerald", Text: []byte(canary + "\r" + canary + "\r")},
		{Protocol: envelope.Vendor, Format: "mini_vidas", Text: []byte("\x02\x1e" + canary)},
	} {
		wantNoCanary(t, set, m, "no packet")
	}
}

// Whatever a packet holds becomes envelopes whose JSON reads back.
func FuzzVendorEnvelopes(f *testing.F) {
	for i, m := range []Raw{vidasPacket("piX", "ciA-1", "rtHBS", "qn1", "zz9"), spotchemPacket("25/03/09 07:05 ID# A-1 [x] K 4 mmol/L"), emeraldFrame(emeraldResult()...)} {
		f.Add(m.Text, i)
	}
	open := load(f, Options{})
	shut := load(f, Options{Allow: envelope.Allowlist{ASTM: &envelope.Allowed{Fields: map[string][]int{"R": {3, 4}}, DropUnmatched: true}}})
	f.Fuzz(func(t *testing.T, text []byte, which int) {
		m := Raw{Protocol: envelope.Vendor, Format: []string{"mini_vidas", "spotchem_el", "celldyn_emerald"}[uint(which)%3], Text: text, Intake: envelope.Accepted}
		for _, set := range []*Set{open, shut} {
			list := set.Envelopes(m, at)
			if len(list) == 0 {
				t.Fatal("a message was lost")
			}
			if set == open && string(list[0].Raw) != string(text) {
				t.Errorf("raw is %q", list[0].Raw)
			}
			for _, e := range list {
				text, err := e.MarshalJSON()
				if err != nil {
					t.Fatal(err)
				}
				var again envelope.Envelope
				if err := json.Unmarshal(text, &again); err != nil {
					t.Fatalf("%s: %v", text, err)
				}
				if strings.ContainsAny(e.Lane+e.SampleID, "\x1c\x1d\x1f") {
					t.Errorf("lane %q, sample %q", e.Lane, e.SampleID)
				}
			}
		}
	})
}
