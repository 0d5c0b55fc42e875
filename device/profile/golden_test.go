package profile

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/assaygate/assaygate/envelope"
	"github.com/assaygate/assaygate/protocols/lis01"
)

// peers is where captures and goldens of senaite.astm stand, beside the
// project. They are not part of it.
const peers = "../../../shared"

// TestGoldens holds the contract: every value that senaite.astm gives for these
// captures is in our JSON, under the same key.
func TestGoldens(t *testing.T) {
	if _, err := os.Stat(peers); err != nil {
		t.Skipf("no captures of senaite.astm in %s: contract not compared", peers)
	}
	set := load(t, Options{})
	for capture, profile := range map[string]string{
		"abbott_afinion2.txt":                          "abbott_afinion2",
		"abbott_architect.txt":                         "abbott_architect",
		"cobas_c311.txt":                               "roche_cobas_c311",
		"genexpert.txt":                                "genexpert",
		"sysmex_xn550.txt":                             "sysmex_xn",
		"cobas_c111.txt":                               "roche_cobas_c111",
		"yumizen_h500.txt":                             "horiba_yumizen_h5xx",
		"mini_vidas.txt":                               "biomerieux_mini_vidas",
		"mini_vidas_mock.txt":                          "biomerieux_mini_vidas",
		"spotchem_el_mock.txt":                         "spotchem_el",
		"emerald/emerald22al_result.RECONSTRUCTED.txt": "celldyn_emerald",
		"hl7/hemoscreen_fresh_blood.hl7":               "hemoscreen",
		"hl7/hemoscreen_proficiency.hl7":               "hemoscreen",
		"hl7/hemoscreen_quality_control.hl7":           "hemoscreen",
	} {
		t.Run(capture, func(t *testing.T) {
			raw, err := os.ReadFile(filepath.Join(peers, "captures", capture))
			if err != nil {
				t.Fatal(err)
			}
			m := Raw{Protocol: envelope.HL7, Text: raw}
			switch {
			case capture == "mini_vidas.txt":
				m = Raw{Protocol: envelope.Vendor, Format: "mini_vidas", Text: raw}
			case strings.HasPrefix(capture, "emerald"):
				m = Raw{Protocol: envelope.Vendor, Format: "celldyn_emerald", Text: raw}
			case strings.HasSuffix(capture, ".txt"):
				m = astmCapture(t, raw)
			}
			list := set.Envelopes(m, time.Now())
			if len(list) != 1 || list[0].Profile != profile || list[0].Problem != "" {
				t.Fatalf("%d envelopes, profile %q, problem %q", len(list), list[0].Profile, list[0].Problem)
			}
			got := decoded(t, list[0])
			name := strings.TrimSuffix(strings.TrimSuffix(filepath.Base(capture), filepath.Ext(capture)), ".RECONSTRUCTED") + ".json"
			golden, err := os.ReadFile(filepath.Join(peers, "envelopes", name))
			if err != nil {
				t.Fatal(err)
			}
			var want any
			if err := json.Unmarshal(golden, &want); err != nil {
				t.Fatal(err)
			}
			contains(t, "", got, want)
		})
	}
}

// contains reports each non-null value of want that got has not.
func contains(t *testing.T, path string, got, want any) {
	t.Helper()
	switch want := want.(type) {
	case nil:
	case map[string]any:
		object, ok := got.(map[string]any)
		if !ok {
			t.Errorf("%s: have %T, want an object", path, got)
			return
		}
		for key, value := range want {
			contains(t, path+"."+key, object[key], value)
		}
	case []any:
		list, ok := got.([]any)
		if !ok || len(list) != len(want) {
			t.Errorf("%s: have %T of another length, want %d elements", path, got, len(want))
			return
		}
		for i := range want {
			contains(t, path+"[]", list[i], want[i])
		}
	case string:
		if want == "<volatile>" {
			return
		}
		text, _ := got.(string)
		if path == ".metadata.astm" || path == ".metadata.lis2a" {
			cut := strings.NewReplacer("\r", "", "\n", "")
			text, want = cut.Replace(text), cut.Replace(want)
		}
		if text != want {
			t.Errorf("%s: have %.80q, want %.80q", path, text, want)
		}
	default:
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: have %v, want %v", path, got, want)
		}
	}
}

func load(t testing.TB, o Options) *Set {
	t.Helper()
	if o.Key == nil {
		o.Key = []byte("a key for tests")
	}
	set, err := Load(o)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// decoded is an envelope's JSON as a reader sees it.
func decoded(t testing.TB, e envelope.Envelope) map[string]any {
	t.Helper()
	text, err := e.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	var v map[string]any
	if err := json.Unmarshal(text, &v); err != nil {
		t.Fatal(err)
	}
	return v
}

// astmCapture reads a file of frames, one a line.
func astmCapture(t testing.TB, raw []byte) Raw {
	t.Helper()
	m := Raw{Protocol: envelope.ASTM}
	for len(raw) > 0 {
		advance, token, _ := lis01.Split(raw, true)
		if advance == 0 {
			break
		}
		raw = raw[advance:]
		if len(token) == 0 || token[0] != lis01.STX {
			continue
		}
		frame, err := lis01.ParseFrame(token)
		if err != nil {
			t.Fatal(err)
		}
		m.Frames, m.Text = append(m.Frames, bytes.Clone(token)), append(m.Text, frame.Text...)
	}
	return m
}
