package vendor

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

func TestPlaces(t *testing.T) {
	for name, test := range map[string]struct {
		format Format
		text   string
		want   []string
	}{
		"mini VIDAS":             {MiniVIDAS, vidas1(), []string{"P.5.0 77", "O.3.0 A-1"}},
		"several samples":        {MiniVIDAS, "\x02\x1emtrsl|\x1epi1|\x1eci A |\x1ertTSH|\x1eqn5|\x1esi3|\x1eciB|\x1d00", []string{"P.5.0 1", "O.3.0 A", "O.4.0 3", "O.3.0 B"}},
		"parted by lines":        {MiniVIDAS, "\x02\r\n\x1emtrsl|\r\n\x1eciB|rtTSH|qn5|\r\n\x1dci", []string{"O.3.0 B"}},
		"Spotchem":               {SpotchemEL, spotchem, []string{"O.3.0 A-1"}},
		"Spotchem, no type":      {SpotchemEL, "\x0225/03/09 07:05 ID# 7 Na 137 mmol/L\x03", []string{"O.3.0 7"}},
		"Spotchem, no id":        {SpotchemEL, "\x0225/03/09 07:05 ID#   Na 138 mmol/L\x03", nil},
		"Emerald":                {Emerald, sealed(emeraldBody, "END_RESULT"), []string{"O.3.0 A-1", "P.5.0 P-1", "P.6.0 ROE^JANE", "O.4.1 2", "O.4.2 3"}},
		"Emerald, twice, padded": {Emerald, "RESULT\r\nSID; A ;x\r\nSID;B\r\n", []string{"O.3.0 A"}},
		"Emerald, nothing":       {Emerald, "RESULT\rSID\r", nil},
		"unknown":                {"other", "SID;1\r", nil},
	} {
		var got []string
		for _, p := range Places(test.format, test.text) {
			got = append(got, fmt.Sprintf("%s.%d.%d %s", p.Record, p.Field, p.Component, test.text[p.From:p.To]))
		}
		if !slices.Equal(got, test.want) {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
	}
}

// FuzzPlaces: a place is within the text.
func FuzzPlaces(f *testing.F) {
	for _, seed := range []string{vidas1(), spotchem, emeraldBody, "\x02|ciA|\x1erta|", "RESULT\rSID;;\rsid;1\r"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		text = strings.ToValidUTF8(text, "?")
		for _, format := range []Format{MiniVIDAS, SpotchemEL, Emerald} {
			for _, p := range Places(format, text) {
				if p.From < 0 || p.From > p.To || p.To > len(text) {
					t.Fatalf("%s: %+v in %d bytes", format, p, len(text))
				}
			}
		}
	})
}
