package profile

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/assaygate/assaygate/envelope"
)

// TestEveryProfile walks definitions, captures and goldens: each definition has
// a capture that is recognised as its own, and each capture gives the envelopes
// of its golden. UPDATE_GOLDENS=1 writes the goldens anew, for a person to read
// line by line before they are kept.
func TestEveryProfile(t *testing.T) {
	set := load(t, Options{Box: "box"})
	captures, err := filepath.Glob("testdata/captures/*")
	if err != nil || len(captures) == 0 {
		t.Fatal("no captures:", err)
	}
	seen := map[string]bool{}
	for _, capture := range captures {
		name := strings.TrimSuffix(filepath.Base(capture), filepath.Ext(capture))
		t.Run(name, func(t *testing.T) {
			m := readFixture(t, capture)
			list := set.Envelopes(m, at)
			profile := list[0].Profile
			if !strings.HasPrefix(name, profile) {
				t.Errorf("read by profile %s", profile)
			}
			seen[profile] = true
			if !bytes.Equal(list[0].Raw, rawOf(m)) {
				t.Error("the raw message is not as received")
			}
			compareGolden(t, filepath.Join("testdata/golden", name+".json"), list)
		})
	}
	for _, name := range set.Names() {
		if !seen[name] {
			t.Errorf("profile %s has no capture in testdata/captures", name)
		}
	}
}

// readFixture reads a message as people write it: a record or segment a line. A
// packet in a maker's own format is byte for byte as on the line.
func readFixture(t testing.TB, file string) Raw {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if filepath.Ext(file) == ".bin" {
		for format, profile := range packetProfiles() {
			if strings.HasPrefix(filepath.Base(file), profile) {
				return Raw{Protocol: envelope.Vendor, Format: string(format), Text: text, Instrument: "analyser", Intake: envelope.Accepted, Clock: envelope.ClockSet}
			}
		}
		t.Fatalf("no format for %s", file)
	}
	lines := strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
	m := hl7Message(lines...)
	if filepath.Ext(file) == ".astm" {
		m = astmMessage(lines...)
	}
	m.Clock, m.Zone = envelope.ClockSet, nil
	return m
}

func rawOf(m Raw) []byte {
	if m.Protocol == envelope.ASTM {
		return bytes.Join(m.Frames, nil)
	}
	return m.Text
}

func compareGolden(t *testing.T, file string, list []envelope.Envelope) {
	t.Helper()
	var got bytes.Buffer
	for i, e := range list {
		e.Sequence = uint64(i + 1)
		for _, text := range []*string{&e.ID, &e.MessageID, &e.Digest} {
			if *text == "" {
				t.Error("an envelope without id or digest")
			}
			*text = ""
		}
		for _, h := range e.Records.H {
			if h.Text("timestamp") == at.Local().Format(timeLayout) {
				h.Set("timestamp", "now")
			}
		}
		text, err := e.MarshalJSON()
		if err != nil {
			t.Fatal(err)
		}
		var o envelope.Object
		if err := json.Unmarshal(text, &o); err != nil {
			t.Fatal(err)
		}
		if text, err = withoutNulls(o).(envelope.Object).MarshalJSON(); err != nil {
			t.Fatal(err)
		}
		if err := json.Indent(&got, text, "", " "); err != nil {
			t.Fatal(err)
		}
		got.WriteByte('\n')
	}
	if os.Getenv("UPDATE_GOLDENS") != "" {
		if err := os.WriteFile(file, got.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got.Bytes(), want) {
		t.Errorf("%s differs from what came:\n%s", file, firstDifference(got.String(), string(want)))
	}
}

// withoutNulls leaves out what says nothing: a person reads the goldens.
func withoutNulls(v any) any {
	switch v := v.(type) {
	case envelope.Object:
		o := envelope.Object{}
		for _, m := range v {
			if m.Value != nil {
				o = append(o, envelope.Member{Key: m.Key, Value: withoutNulls(m.Value)})
			}
		}
		return o
	case []any:
		list := []any{}
		for _, e := range v {
			list = append(list, withoutNulls(e))
		}
		return list
	}
	return v
}

func firstDifference(got, want string) string {
	a, b := strings.Split(got, "\n"), strings.Split(want, "\n")
	for i := range a {
		if i >= len(b) || a[i] != b[i] {
			return "line " + strings.Join([]string{a[i], strings.Join(b[min(i, len(b)):min(i+1, len(b))], "")}, "\n want ")
		}
	}
	return "it has more lines"
}
