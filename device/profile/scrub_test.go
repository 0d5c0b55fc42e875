package profile

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/assaygate/assaygate/envelope"
	"github.com/assaygate/assaygate/protocols/lis01"
)

// canary is a name that an allowlist must not let through.
const canary = "ZIEGLER"

// TestCanaryInEveryField plants a name in every field and component of every
// record, one at a time, and looks for it in all that leaves the package.
func TestCanaryInEveryField(t *testing.T) {
	allow := envelope.Allowlist{
		ASTM: &envelope.Allowed{Fields: map[string][]int{"H": {12, 13, 14}, "O": {3}, "R": {3, 4, 5}}, DropUnmatched: true},
		HL7:  &envelope.Allowed{Fields: map[string][]int{"MSH": {9, 11, 12}, "OBR": {3, 4}, "OBX": {2, 3, 5, 6}}, DropUnmatched: true},
	}
	set := load(t, Options{Allow: allow})
	astm := []string{"H", "P", "O", "R", "C", "M", "Q", "S", "Z", "L"}
	for _, name := range astm {
		for n := 3; n <= 36; n++ {
			if allow.ASTM.Keeps(name, n) && !allow.ASTM.Drops(name) {
				continue
			}
			records := []string{`H|\^&|||XN-550^1|||||||P|1|20260102030405`, `P|1`, `O|1|S1`, `R|1|^^^^WBC|8`, `L|1|N`}
			planted := planted(name, n-2, "^")
			at := map[string]int{"H": 0, "P": 1, "O": 2, "R": 3, "L": 4}
			if i, known := at[name]; known {
				records[i] = strings.Replace(planted, "H|1|", `H|\^&|`, 1)
			} else {
				records = append(records[:4], planted, records[4])
			}
			wantNoCanary(t, set, astmMessage(records...), fmt.Sprintf("%s.%d", name, n))
		}
	}
	for _, name := range []string{"MSH", "PID", "PV1", "ORC", "OBR", "OBX", "NTE", "SPM", "ZPI"} {
		for n := 2; n <= 40; n++ {
			if allow.HL7.Keeps(name, n) && !allow.HL7.Drops(name) || name == "MSH" && n <= 3 {
				continue
			}
			segments := []string{`MSH|^~\&|HemoScreen|PixCell|||20260102030405||ORU^R01|1|P|2.5`, "PID|1", "OBR|1||S1", "OBX|1|NM|WBC||8"}
			skip := n - 1
			if name == "MSH" {
				skip-- // MSH-1 is the separator itself
			}
			planted := planted(name, skip, "&")
			at := map[string]int{"MSH": 0, "PID": 1, "OBR": 2, "OBX": 3}
			if i, known := at[name]; known {
				segments[i] = strings.Replace(planted, "MSH|1|", `MSH|^~\&|`, 1)
			} else {
				segments = append(segments, planted)
			}
			wantNoCanary(t, set, hl7Message(segments...), fmt.Sprintf("%s-%d", name, n))
		}
	}
}

// planted is a record that holds the canary so many separators behind its first
// field, as component and as subcomponent.
func planted(name string, skip int, component string) string {
	return name + "|1" + strings.Repeat("|", skip) + "x" + component + canary + "^" + canary
}

func wantNoCanary(t *testing.T, set *Set, m Raw, place string) {
	t.Helper()
	for i, e := range set.Envelopes(m, at) {
		text, err := e.MarshalJSON()
		if err != nil {
			t.Fatal(err)
		}
		e.Records, e.Metadata, e.Results = envelope.Records{}, envelope.Metadata{}, nil
		if raw := e.Raw; bytes.Contains(raw, []byte(canary)) {
			t.Errorf("%s: envelope %d: raw holds the canary: %q", place, i, raw)
		}
		e.Raw = nil
		for what, text := range map[string]string{"JSON": string(text), "fields": fmt.Sprintf("%+v", e)} {
			if strings.Contains(text, canary) {
				t.Errorf("%s: envelope %d: %s holds the canary: %s", place, i, what, text)
			}
		}
	}
}

func TestScrubbedFramesHaveRightChecksums(t *testing.T) {
	set := load(t, Options{Allow: envelope.Allowlist{ASTM: &envelope.Allowed{Fields: map[string][]int{"O": {3}, "R": {3, 4}}, DropUnmatched: true}}})
	e := set.Envelopes(astmMessage(`H|\^&|||Star`, `P|1||||x`, `O|1|S1|y`, `R|1|^^^GLU|5|mmol/L`, `L|1|N`), at)[0]
	var got []string
	for rest := e.Raw; len(rest) > 0; {
		n, token, _ := lis01.Split(rest, true)
		frame, err := lis01.ParseFrame(token)
		if err != nil {
			t.Fatalf("frame %q: %v", token, err)
		}
		got, rest = append(got, strings.TrimSuffix(string(frame.Text), "\r")), rest[n:]
	}
	want := []string{`H|\^&|||`, `O|1|S1|`, `R|1|^^^GLU|5|`, `L|1|`}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("kept %q, want %q", got, want)
	}
}

func TestUnmatchedMayPassWhole(t *testing.T) {
	set := load(t, Options{Allow: envelope.Allowlist{HL7: &envelope.Allowed{Fields: map[string][]int{"PID": {1}}}}})
	e := set.Envelopes(hl7Message(`MSH|^~\&|Lab||||1||ORU^R01|1|P|2.5`, "PID|1|"+canary, "OBX|1|NM|GLU||5"), at)[0]
	if strings.Contains(string(e.Raw), canary) || !strings.Contains(string(e.Raw), "OBX|1|NM|GLU||5") {
		t.Errorf("kept %q", e.Raw)
	}
}

func TestUnsplittableIsNotKeptUnderAnAllowlist(t *testing.T) {
	set := load(t, Options{Allow: envelope.Allowlist{ASTM: &envelope.Allowed{}, HL7: &envelope.Allowed{}}})
	for _, m := range []Raw{
		{Protocol: envelope.HL7, Text: []byte(canary + " without header")},
		{Protocol: envelope.ASTM, Text: []byte(canary + " without header\r"), Frames: [][]byte{[]byte("\x021" + canary + "\x0300\r\n")}},
	} {
		wantNoCanary(t, set, m, string(m.Protocol))
		m.Intake = envelope.Accepted
		if e := set.Envelopes(m, at)[0]; !strings.Contains(e.Problem, "bytes that could not be split") || e.Intake != envelope.Rejected {
			t.Errorf("%s: intake %s, problem %q", m.Protocol, e.Intake, e.Problem)
		}
	}
}

// The digest tells repeats apart from other messages, whatever was scrubbed.
func TestDigestIsOfWhatWasReceived(t *testing.T) {
	set := load(t, Options{Allow: envelope.Allowlist{ASTM: &envelope.Allowed{DropUnmatched: true}}})
	digest := func(patient string) string {
		return set.Envelopes(astmMessage(`H|\^&`, `P|1||||`+patient, `L|1`), at)[0].Digest
	}
	if first, again, other := digest("a"), digest("a"), digest("b"); first != again || first == other {
		t.Error("digests do not follow the bytes received")
	}
}
