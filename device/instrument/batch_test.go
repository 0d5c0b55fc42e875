package instrument

import (
	"bufio"
	"bytes"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/assaygate/assaygate/envelope"
	"github.com/assaygate/assaygate/protocols/hl7"
	"github.com/assaygate/assaygate/protocols/mllp"
)

// oruNamed is a result with a control ID.
func oruNamed(id string) string { return strings.Replace(oru, "c1", id, 1) }

// codes are MSA-1 and MSA-2 of answers.
func codes(answers []hl7.Message) (list []string) {
	for _, a := range answers {
		list = append(list, msa(a, 1)+" "+msa(a, 2))
	}
	return list
}

func TestHL7BatchIsAnsweredMessageByMessage(t *testing.T) {
	c1, c2, c3 := oruNamed("c1"), oruNamed("c2"), oruNamed("c3")
	lines := func(text, end string) string { return strings.ReplaceAll(text, "\r", end) }
	const open, shut = "FHS|^~\\&|App\rBHS|^~\\&|Dep\r", "BTS|3\rFTS|1\r"
	for _, tt := range []struct {
		name, content string
		answers       []string
		kept          []string
	}{
		{"whole batch", open + c1 + c2 + c3 + shut, []string{"AA c1", "AA c2", "AA c3"}, []string{"accepted " + open + c1, "accepted " + c2, "accepted " + c3 + shut}},
		{"CR LF", lines(open+c1+c2+shut, "\r\n"), []string{"AA c1", "AA c2"}, []string{"accepted " + lines(open+c1, "\r\n"), "accepted " + lines(c2+shut, "\r\n")}},
		{"LF", lines(open+c1+c2+shut, "\n"), []string{"AA c1", "AA c2"}, []string{"accepted " + lines(open+c1, "\n"), "accepted " + lines(c2+shut, "\n")}},
		{"LF, then CR", lines(c1, "\n") + c2, []string{"AA c1", "AA c2"}, []string{"accepted " + lines(c1, "\n"), "accepted " + c2}},
		{"no batch segments", c1 + c2, []string{"AA c1", "AA c2"}, []string{"accepted " + c1, "accepted " + c2}},
		{"other delimiters in the batch's header", "FHS$%*!@$App\rBHS#~^\\&#Dep\r" + c1 + "BTS#1\rFTS$1", []string{"AA c1"}, []string{"accepted FHS$%*!@$App\rBHS#~^\\&#Dep\r" + c1 + "BTS#1\rFTS$1"}},
		{
			"one that is not taken", open + c1 + strings.Replace(c2, "ORU^R01", "ADT^A01", 1) + c3 + shut,
			[]string{"AA c1", "AR c2", "AA c3"},
			[]string{"accepted " + open + c1, "rejected " + strings.Replace(c2, "ORU^R01", "ADT^A01", 1), "accepted " + c3 + shut},
		},
		{"one without a header", open + "PID|1\rOBX|1\r" + c2 + shut, []string{"AR "}, []string{"rejected " + open + "PID|1\rOBX|1\r" + c2 + shut}},
		{"the same control ID, and none", open + oruNamed("same") + oruNamed("same") + oruNamed("") + shut, []string{"AA same", "AA same", "AA "}, nil},
		{"no message", open + shut, []string{"AR "}, []string{"rejected " + open + shut}},
		{"blanks", "\r\n", []string{"AR "}, []string{"rejected \r\n"}},
		{"nothing", "", []string{"AR "}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := newBench(t, hl7Settings())
			if got := codes(b.ask(block(tt.content), len(tt.answers))); !slices.Equal(got, tt.answers) {
				t.Errorf("answers %q, want %q", got, tt.answers)
			}
			if tt.kept != nil {
				b.wantKept(tt.kept...)
			}
			if got := codes(b.ask(block(oruNamed("next")), 1)); got[0] != "AA next" {
				t.Errorf("then %q", got)
			}
		})
	}
}

// Each answer leaves when its own message is durable: none before, and none
// waits for the whole batch.
func TestHL7BatchIsStoredBeforeEachAA(t *testing.T) {
	const n = 200
	b := newBench(t, hl7Settings())
	var content strings.Builder
	for i := range n {
		content.WriteString(oruNamed(fmt.Sprint("c", i)))
	}
	b.say(block(content.String()), "")
	b.line.SetReadDeadline(time.Now().Add(60 * time.Second))
	blocks := bufio.NewScanner(b.line)
	blocks.Split(mllp.Split)
	for i := range n {
		if !blocks.Scan() {
			t.Fatalf("answer %d: %v", i, blocks.Err())
		}
		m, err := hl7.Parse(slices.Clone(blocks.Bytes()))
		if want := fmt.Sprint("c", i); err != nil || msa(m, 1) != "AA" || msa(m, 2) != want {
			t.Fatalf("answer %d: %q, %v", i, blocks.Bytes(), err)
		}
		if i%50 == 0 && len(b.kept()) <= i {
			t.Fatalf("answer %d came with %d messages kept", i, len(b.kept()))
		}
	}
}

func TestHL7BatchStoreFailureGetsAE(t *testing.T) {
	b := newBench(t, hl7Settings())
	if err := b.store.Close(); err != nil {
		t.Fatal(err)
	}
	if got := codes(b.ask(block("BHS|^~\\&\r"+oruNamed("c1")+oruNamed("c2")+"BTS|2\r"), 2)); !slices.Equal(got, []string{"AE c1", "AE c2"}) {
		t.Errorf("answers %q", got)
	}
}

// A box that is stopped inside a batch does not wait for its end. What it
// answered is kept, and the rest is the sender's.
func TestHL7BatchEndsWithTheGracePeriod(t *testing.T) {
	b := newBench(t, hl7Settings())
	b.hangUp()
	b.service.Grace = lasting(time.Nanosecond)
	b.connect(hl7Settings())
	const n = 3000
	var content strings.Builder
	for i := range n {
		content.WriteString(oruNamed(fmt.Sprint("c", i)))
	}
	b.ask(block(content.String()), 1)
	b.stop()
	if err := <-b.ended; err != errStopped {
		t.Errorf("the line ended with %v", err)
	}
	b.ended <- nil
	if got := len(b.newest(n + 1)); got == 0 || got == n {
		t.Errorf("%d messages kept", got)
	}
}

// With an allowlist nothing of a batch's own segments is kept, nor of what
// stands before a message, nor where a segment's name is written otherwise.
func TestHL7BatchIsScrubbed(t *testing.T) {
	fields := map[string][]int{"MSH": {9, 10, 12}, "PID": {1}, "OBR": {3, 4}, "OBX": {2, 3, 5}}
	for _, drop := range []bool{true, false} {
		b := newScrubbedBench(t, hl7Settings(), envelope.Allowlist{HL7: &envelope.Allowed{Fields: fields, DropUnmatched: drop}})
		named := strings.Replace(oruNamed("c1"), "PID|1", " pid |1||canary", 1)
		for content, want := range map[string]string{
			"FHS|^~\\&|canary\rBHS|^~\\&|canary\r" + named + "BTS|1|canary\rFTS|1|canary\r": "AA c1",
			"\x02canary\r" + named:                               "AA c1",
			"FHS|^~\\&|canary\rBHS|^~\\&|canary\rBTS|0|canary\r": "AR ",
			"PID|1||canary\r" + named:                            "AR ",
		} {
			if got := codes(b.ask(block(content), 1)); got[0] != want {
				t.Errorf("%q: %q, want %q", content, got, want)
			}
		}
		kept := b.kept()
		if len(kept) < 4 || strings.Contains(strings.Join(kept, ""), "canary") {
			t.Errorf("kept %q", kept)
		}
	}
}

// A wrong count is said once and without content, a right or missing one never.
func TestHL7BatchCounts(t *testing.T) {
	c1, c2 := oruNamed("c1"), oruNamed("c2")
	for _, tt := range []struct {
		name, content string
		wrong         bool
	}{
		{"right", "FHS|^~\\&\rBHS|^~\\&\r" + c1 + c2 + "BTS|2\rBHS|^~\\&\r" + c1 + "BTS|1\rFTS|2\r", false},
		{"none", "FHS|^~\\&\rBHS|^~\\&\r" + c1 + "BTS\rFTS|\r", false},
		{"no number", "BHS|^~\\&\r" + c1 + "BTS|canary\r", false},
		{"no BHS", "FHS|^~\\&\r" + c1 + c2 + "FTS|1\r", false},
		{"no BTS", "FHS|^~\\&\rBHS|^~\\&\r" + c1 + "BHS|^~\\&\r" + c2 + "FTS|2\r", false},
		{"empty batch", "FHS|^~\\&\rBHS|^~\\&\rBTS|0\rBHS|^~\\&\r" + c2 + "BTS|1\rFTS|2\r", false},
		{"two files", "FHS|^\rBHS|^\r" + c1 + "BTS|1\rFTS|1\rFHS|^\rBHS|^\r" + c2 + "BTS|1\rFTS|1\r", false},
		{"messages", "BHS|^~\\&|canary\r" + c1 + "BTS|2|canary\r", true},
		{"messages of the second", "BHS|^~\\&\r" + c1 + "BTS|1\rBHS|^~\\&\r" + c2 + "BTS|2\r", true},
		{"batches", "FHS|^~\\&|canary\rBHS|^~\\&\r" + c1 + "BTS|1\rFTS|3|canary\r", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := newBench(t, hl7Settings())
			b.hangUp()
			var log bytes.Buffer
			b.service.Log = slog.New(slog.NewTextHandler(&log, nil))
			b.connect(hl7Settings())
			for range 2 {
				b.ask(block(tt.content), strings.Count(tt.content, "MSH|"))
			}
			b.hangUp()
			b.connect(hl7Settings()) // for the bench's own end
			said := strings.Count(log.String(), "a batch says")
			if said > 1 || said == 1 != tt.wrong || strings.Contains(log.String(), "canary") {
				t.Errorf("log:\n%s", log.String())
			}
		})
	}
}
