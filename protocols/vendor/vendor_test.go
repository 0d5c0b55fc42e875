package vendor

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const (
	vidasText = "\x1emtrsl|\x1epi77|\x1epnROE^JANE|\x1eciA-1|\x1ertHBS|\x1ernHBs Antigen|\x1ett07:05|\x1etd03/09/25|\x1eqlnegative|\x1eqn0.02|\x1ey3UI/ml|\x1d"
	spotchem  = "\x0225/03/09 07:05 ID# A-1   [Serum] Na   138  mmol/L K   4.1  mmol/L Cl   101  mmol/L      \x03"
)

func vidas1() string { return "\x02" + vidasText + MiniVIDASSum([]byte(vidasText)) }

// shown writes records as one would on paper.
func shown(records []Record) (list []string) {
	for _, r := range records {
		text := strings.Join(r, "|")
		text = strings.NewReplacer("\x1f", "^", "\x1c", `\`).Replace(text)
		list = append(list, strings.TrimRight(text, "|"))
	}
	return list
}

func wantRecords(t *testing.T, p Packet, err error, want ...string) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	if got := shown(p.Records); !slices.Equal(got, want) {
		t.Errorf("records:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestMiniVIDAS(t *testing.T) {
	p, err := Parse(MiniVIDAS, vidas1())
	wantRecords(t, p, err,
		`H|\^&|||miniVidas^biomerieux^1.0.0|||||||||202503090705`,
		`P|1|||77|ROE^JANE`,
		`O|1|A-1||HBs Antigen||||||||||||||||||202503090705`,
		`R|1|HBS|0.02|UI/ml||||negative||||202503090705`,
		`L|1|N`)
	if p.Problems != nil {
		t.Errorf("problems %q", p.Problems)
	}
}

func TestMiniVIDASVariants(t *testing.T) {
	for name, test := range map[string]struct {
		text string
		want []string
	}{
		"another order of fields, a serial number, a field nobody knows": {
			"\x1eqn5|\x1ertTSH|\x1esnIVD1|\x1ezq9|\x1eciB|\x1ey3mU/l|\x1enc>|\x1em4anna|\x1eidV2|\x1d00",
			[]string{`H|\^&|||miniVidas^biomerieux^1.0.0^IVD1`, `P|1`, `O|1|B`, `R|1|TSH|5|mU/l||>||||anna|||V2`, `zq|1|9`, `L|1|N`},
		},
		"two results of one assay": {
			"\x1eciB|\x1ertTSH|\x1eqn5|\x1ertTSH|\x1eqn6|\x1d00",
			[]string{`H|\^&|||miniVidas^biomerieux^1.0.0`, `P|1`, `O|1|B`, `R|1|TSH|5`, `R|2|TSH|6`, `L|1|N`},
		},
		"two assays, each an order": {
			"\x1eciB|\x1ertTSH|\x1ernTSH 3|\x1eqn5|\x1ertT4|\x1ernFree T4|\x1eqn6|\x1d00",
			[]string{`H|\^&|||miniVidas^biomerieux^1.0.0`, `P|1`, `O|1|B||TSH 3`, `R|1|TSH|5`, `O|2|B||Free T4`, `R|1|T4|6`, `L|1|N`},
		},
		"two samples of two patients": {
			"\x1epi1|\x1eciB|\x1ertTSH|\x1eqn5|\x1epi2|\x1eciC|\x1ertTSH|\x1eqn6|\x1d00",
			[]string{
				`H|\^&|||miniVidas^biomerieux^1.0.0`, `P|1|||1`, `O|1|B`, `R|1|TSH|5`,
				`P|2|||2`, `O|1|C`, `R|1|TSH|6`, `L|1|N`,
			},
		},
		"a sample without its id, then one with": {
			"\x1emtrsl|\x1esiRUN1|\x1ertTSH|\x1ernTSH|\x1eqn1.1|\x1eciB2|\x1ertTSH|\x1ernTSH|\x1eqn2.2|\x1d00",
			[]string{`H|\^&|||miniVidas^biomerieux^1.0.0`, `P|1`, `O|1||RUN1|TSH`, `R|1|TSH|1.1`, `O|2|B2||TSH`, `R|1|TSH|2.2`, `L|1|N`},
		},
		"a sample with its id, then one without": {
			"\x1eciA1|\x1ertTSH|\x1eqn1.1|\x1esiRUN2|\x1ertTSH|\x1eqn2.2|\x1d00",
			[]string{`H|\^&|||miniVidas^biomerieux^1.0.0`, `P|1`, `O|1|A1`, `R|1|TSH|1.1`, `O|2||RUN2`, `R|1|TSH|2.2`, `L|1|N`},
		},
		"a result before any sample": {
			"\x1ertTSH|\x1eqn1.1|\x1eciB2|\x1ertTSH|\x1eqn2.2|\x1d00",
			[]string{`H|\^&|||miniVidas^biomerieux^1.0.0`, `P|1`, `O|1`, `R|1|TSH|1.1`, `O|2|B2`, `R|1|TSH|2.2`, `L|1|N`},
		},
		"a patient with a name only, behind a result": {
			"\x1epi1|\x1eciA|\x1ertTSH|\x1eqn5|\x1epnROE|\x1eciB|\x1ertTSH|\x1eqn6|\x1d00",
			[]string{
				`H|\^&|||miniVidas^biomerieux^1.0.0`, `P|1|||1`, `O|1|A`, `R|1|TSH|5`,
				`P|2||||ROE`, `O|1|B`, `R|1|TSH|6`, `L|1|N`,
			},
		},
		"a patient behind a result, without a sample of its own": {
			"\x1epi1|\x1eciA|\x1ertTSH|\x1eqn5|\x1epi2|\x1ertTSH|\x1eqn6|\x1d00",
			[]string{`H|\^&|||miniVidas^biomerieux^1.0.0`, `P|1|||1`, `O|1|A`, `R|1|TSH|5`, `P|2|||2`, `O|1`, `R|1|TSH|6`, `L|1|N`},
		},
		"results of one sample, the second without a code": {
			"\x1eciA|\x1ernTSH|\x1eqn1.1|\x1etd03/09/25|\x1ernT4|\x1eqn2.2|\x1d00",
			[]string{`H|\^&|||miniVidas^biomerieux^1.0.0|||||||||20250309`, `P|1`, `O|1|A||TSH||||||||||||||||||20250309`, `R|1||1.1|||||||||20250309`, `O|2|A||T4||||||||||||||||||20250309`, `R|1||2.2|||||||||20250309`, `L|1|N`},
		},
		"the time before the sample": {
			"\x1etd03/09/25|\x1eciA|\x1ertTSH|\x1eqn1|\x1etd03/10/25|\x1eciB|\x1ertTSH|\x1eqn2|\x1d00",
			[]string{`H|\^&|||miniVidas^biomerieux^1.0.0|||||||||20250309`, `P|1`, `O|1|A||||||||||||||||||||20250309`, `R|1|TSH|1|||||||||20250309`, `O|2|B||||||||||||||||||||20250310`, `R|1|TSH|2|||||||||20250310`, `L|1|N`},
		},
		"records parted by CR LF, fields within them by bars": {
			"\r\n\x1emtrsl|piX|\r\n\x1eciB|rtTSH|qn5|\r\n\x1d00",
			[]string{`H|\^&|||miniVidas^biomerieux^1.0.0`, `P|1|||X`, `O|1|B`, `R|1|TSH|5`, `L|1|N`},
		},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := Parse(MiniVIDAS, "\x02"+test.text)
			wantRecords(t, p, err, test.want...)
		})
	}
	if _, err := Parse(MiniVIDAS, "\x02\x1emtrsl|\x1eciA|\x1d00"); !errors.Is(err, ErrMalformed) {
		t.Errorf("a packet without a result: %v", err)
	}
	if _, err := Parse(MiniVIDAS, "\x02"+strings.Repeat("\x1ertA|", 500)); !errors.Is(err, ErrExcessive) {
		t.Errorf("a packet of 500 results: %v", err)
	}
}

func TestMiniVIDASSum(t *testing.T) {
	good := vidas1()
	for text, want := range map[string]error{
		good: nil, good + "\r\n\x03\r\n": nil, strings.Replace(good, "0.02", "0.03", 1): ErrSum,
		good[:len(good)-1]: ErrNoSum, "\x02\x1emtrsl|\x03": ErrNoSum, "": ErrNoSum,
	} {
		if err := Verify(MiniVIDAS, []byte(text)); !errors.Is(err, want) {
			t.Errorf("%q: %v, want %v", text, err, want)
		}
	}
}

func TestSpotchem(t *testing.T) {
	header, order, end := `H|\^&|||SE-1520^Spotchem^1.0.0|||||||||202503090705`, `O|1|A-1||Serum|||202503090705`, `L|1|N`
	result := func(n, test, value, units string, raw ...string) string {
		return "R|" + n + "|" + test + "|" + value + "|" + units + "||||||||202503090705||" + strings.Join(raw, "")
	}
	for name, test := range map[string]struct {
		text string
		want []string
	}{
		"as it comes":               {spotchem, []string{header, order, result("1", "Na", "138.0", "mmol/L", "138"), result("2", "K", "4.1", "mmol/L"), result("3", "Cl", "101.0", "mmol/L", "101"), end}},
		"one analyte":               {"\x0225/03/09 07:05 ID# A-1 [Serum] K 4.10 mmol/L\x03", []string{header, order, result("1", "K", "4.1", "mmol/L", "4.10"), end}},
		"no type, small letters":    {"\x0225/03/09 07:05 ID# a.1 Na 138 mmol/L\x03", []string{header, `O|1|a.1|||||202503090705`, result("1", "Na", "138.0", "mmol/L", "138"), end}},
		"no id, no type":            {"\x0225/03/09 07:05 ID#   Na 138 mmol/L\x03", []string{header, `O|1||||||202503090705`, result("1", "Na", "138.0", "mmol/L", "138"), end}},
		"flags and no value":        {"\x0225/03/09 07:05 ID# A-1 [Serum] Na ----- mmol/L K <1.0 mmol/L Cl 101 H mmol/L\x03", []string{header, order, result("1", "Na", "-----", "mmol/L"), result("2", "K", "<1.0", "mmol/L"), result("3", "Cl", "101 H", "mmol/L"), end}},
		"no units":                  {"\x0225/03/09 07:05 ID# A-1 [Serum] Na 138 K 4\x03", []string{header, order, result("1", "Na", "138.0", "", "138"), result("2", "K", "4.0", "", "4"), end}},
		"the mark of the simulator": {"\x0225/03/09 07:05 ID# A-1 [Serum] K 4 mmol/L TEST\x03", []string{`H|\^&|||SE-1520^Spotchem^1.0.0|||||||T||202503090705`, order, result("1", "K", "4.0", "mmol/L", "4"), end}},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := Parse(SpotchemEL, test.text)
			if p.Problems != nil {
				t.Errorf("problems %q", p.Problems)
			}
			for i, r := range test.want {
				test.want[i] = strings.TrimRight(r, "|")
			}
			wantRecords(t, p, err, test.want...)
		})
	}
	for _, bad := range []string{"\x0225/03/09 ", "\x0225/03/09 0705 ID# x Na 1\x03", "\x0225/03/09 07:05 x\x03", "\x0225/03/09 07:05 ID# x [Serum]\x03"} {
		if _, err := Parse(SpotchemEL, bad); !errors.Is(err, ErrMalformed) {
			t.Errorf("%q: %v", bad, err)
		}
	}
	p, err := Parse(SpotchemEL, "\x0225/03/09 07:05 ID# A-1 [Serum] K 4 mmol/L ??\x03")
	if err != nil || len(p.Problems) != 1 {
		t.Errorf("text behind the results: %v, %q", err, p.Problems)
	}
}

func TestOpens(t *testing.T) {
	for text, want := range map[string]struct {
		format Format
		sure   bool
	}{
		"": {"", false}, "\x02": {"", false}, "\x02\x1e": {MiniVIDAS, true}, "\x02\r": {"", false}, "\x02\r\n\x1e": {MiniVIDAS, true},
		"\x021H|": {"", true}, "\x0225/": {"", false}, "\x0225/03/09": {"", false}, "\x0225/03/09 ": {SpotchemEL, true},
		"\x0225/03/09|": {"", true}, "\x051": {"", true},
	} {
		if format, sure := Opens([]byte(text)); format != want.format || sure != want.sure {
			t.Errorf("%q: %q, %v", text, format, sure)
		}
	}
}

// cutAll cuts a stream as a line would.
func cutAll(data []byte) (tokens []string) {
	for len(data) > 0 {
		n, token, _ := Split(data, true)
		if n == 0 {
			break
		}
		if token != nil {
			tokens = append(tokens, string(token))
		}
		data = data[n:]
	}
	return tokens
}

func TestSplit(t *testing.T) {
	for name, test := range map[string]struct {
		stream string
		want   []string
	}{
		"several in one":      {vidas1() + vidas1() + "\r\n" + spotchem + spotchem, []string{vidas1(), vidas1() + "\r\n", spotchem, spotchem}},
		"with all its tail":   {vidas1() + "\r\n\x03\r\n" + vidas1() + "\x03", []string{vidas1() + "\r\n\x03\r\n", vidas1() + "\x03"}},
		"in a session":        {"\x05" + vidas1() + "\x04", []string{vidas1()}},
		"broken off":          {"\x02\x1emtrsl|\x1epi\x05" + vidas1(), []string{"\x02\x1emtrsl|\x1epi", vidas1()}},
		"broken off, then no": {"\x02\x1emtrsl|\x1epi\x04", []string{"\x02\x1emtrsl|\x1epi"}},
		"after a frame":       {"\x021H|\r\x0300\r\n" + spotchem, []string{spotchem}},
		"no sum":              {"\x02\x1emtrsl|\x1epi\x03\r\n", []string{"\x02\x1emtrsl|\x1epi\x03\r\n"}},
	} {
		t.Run(name, func(t *testing.T) {
			if got := cutAll([]byte(test.stream)); !slices.Equal(got, test.want) {
				t.Errorf("%q\nwant %q", got, test.want)
			}
		})
	}
	if Whole([]byte("\x02\x1emtrsl")) || !Whole([]byte(vidas1())) || !Whole([]byte(spotchem)) {
		t.Error("Whole does not tell a packet that was broken off")
	}
}

// The real packet that the rule of the sum was found with.
func TestCaptures(t *testing.T) {
	const peers = "../../../shared/captures"
	for file, format := range map[string]Format{"mini_vidas.txt": MiniVIDAS, "emerald/emerald22al_result.RECONSTRUCTED.txt": Emerald} {
		raw, err := os.ReadFile(filepath.Join(peers, file))
		if err != nil {
			t.Skipf("no captures in %s", peers)
		}
		if err := Verify(format, raw); err != nil {
			t.Errorf("%s: %v", file, err)
		}
		if err := Verify(format, bytes.Replace(raw, []byte("5"), []byte("6"), 1)); !errors.Is(err, ErrSum) {
			t.Errorf("%s, changed: %v", file, err)
		}
	}
}

func TestSession(t *testing.T) {
	p, err := Parse(MiniVIDAS, vidas1())
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		`H|\^&|||miniVidas^biomerieux^1.0.0|||||||||20250309070500`,
		`P|1|||77|ROE^JANE`,
		`O|1|A-1||HBs Antigen||||||||||||||||||20250309070500`,
		`R|1|HBS|0.02|||||negative||||20250309070500`,
		`L|1|N`,
	}
	session := Session(MiniVIDAS, p.Records, "20260101000000")
	for i, n := range []int{14, 35, 31, 14, 3} {
		if len(session[i]) != n {
			t.Errorf("record %d has %d fields, want %d", i, len(session[i]), n)
		}
	}
	if got := shown(session); !slices.Equal(got, want) {
		t.Errorf("%q\nwant %q", got, want)
	}
}
