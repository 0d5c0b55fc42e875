package profile

import (
	"bytes"
	"strings"
	"testing"

	"github.com/assaygate/assaygate/envelope"
)

// faulty returns a set that panics on every message, as a mistake in this
// program would: its generic profiles are missing.
func faulty(t *testing.T, o Options) *Set {
	set := load(t, o)
	set.names, set.profiles = nil, nil
	return set
}

func TestMistakeOfTheProgramLosesNothing(t *testing.T) {
	set := faulty(t, Options{})
	astm := astmMessage(`H|\^&|||MEK`, `P|1||DOE`, `L|1|N`)
	block := hl7Message(`MSH|^~\&|a|b`, "PID|1||DOE")
	block.Whole = []byte("\n" + string(block.Text))
	incomplete := astmMessage(`H|\^&`, `P|1||DOE`)
	incomplete.Intake, incomplete.Reason = envelope.Incomplete, "the line ended"
	for _, tt := range []struct {
		name   string
		m      Raw
		raw    string
		intake envelope.Intake
	}{
		{"ASTM", astm, string(bytes.Join(astm.Frames, nil)), envelope.Parked},
		{"HL7", hl7Message(`MSH|^~\&|a|b`, "PID|1||DOE"), string(block.Text), envelope.Parked},
		{"HL7 in a block", block, string(block.Whole), envelope.Parked},
		{"maker's packet", Raw{Protocol: envelope.Vendor, Format: "mini_vidas", Text: []byte("DOE"), Intake: envelope.Accepted}, "DOE", envelope.Parked},
		{"incomplete", incomplete, string(bytes.Join(incomplete.Frames, nil)), envelope.Incomplete},
	} {
		t.Run(tt.name, func(t *testing.T) {
			list := set.Envelopes(tt.m, at)
			if len(list) != 1 {
				t.Fatalf("%d envelopes", len(list))
			}
			e := list[0]
			if string(e.Raw) != tt.raw || e.Intake != tt.intake || e.Lane != tt.m.Instrument || e.ID == "" || e.MessageID == "" {
				t.Errorf("%+v", e)
			}
			if !strings.HasPrefix(e.Problem, "a mistake in Assaygate, at envelopes.go:") {
				t.Errorf("problem %q", e.Problem)
			}
			if strings.Contains(e.Problem+e.Reason, "DOE") {
				t.Error("the problem tells content")
			}
		})
	}
}

// What cannot be read cannot be scrubbed: under an allowlist the sender keeps it.
func TestMistakeOfTheProgramUnderAnAllowlist(t *testing.T) {
	set := faulty(t, Options{Allow: envelope.Allowlist{ASTM: &envelope.Allowed{Fields: map[string][]int{"H": {5}}}}})
	list := set.Envelopes(astmMessage(`H|\^&|||MEK`, `P|1||DOE`, `L|1|N`), at)
	if len(list) != 1 || list[0].Intake != envelope.Rejected || len(list[0].Raw) > 0 {
		t.Fatalf("%+v", list)
	}
	if problem := list[0].Problem; !strings.Contains(problem, "digest "+list[0].Digest) || !strings.Contains(problem, "a mistake in Assaygate") {
		t.Errorf("problem %q", problem)
	}
}
