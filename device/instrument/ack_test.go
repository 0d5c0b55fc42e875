package instrument

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/assaygate/assaygate/device/profile"
	"github.com/assaygate/assaygate/envelope"
	"github.com/assaygate/assaygate/envelope/spool"
	"github.com/assaygate/assaygate/protocols/hl7"
)

// What the line says wins over the instrument's quirks, and these over its
// profile, recognised or configured.
func TestHL7AckMode(t *testing.T) {
	directory := t.TempDir()
	mine := "name: mine\nprotocol: hl7\ntitle: mine\nmatch: {MSH.3: [Mine]}\nquirks: {ack: original}\n"
	if err := os.WriteFile(directory+"/mine.yaml", []byte(mine), 0o600); err != nil {
		t.Fatal(err)
	}
	profiles, err := profile.Load(profile.Options{Box: "box", Key: []byte("key"), Directory: directory})
	if err != nil {
		t.Fatal(err)
	}
	const known, unknown = "Mine", "Other"
	for _, tt := range []struct {
		line, quirk, profile, sender string
		want                         hl7.Mode
	}{
		{"", "", "", unknown, hl7.Auto},
		{"", "", "", known, hl7.Original},
		{"", "", "mine", unknown, hl7.Original},
		{"", "enhanced", "mine", known, hl7.Enhanced},
		{"", "auto", "mine", known, hl7.Auto},
		{"auto", "", "mine", known, hl7.Auto},
		{"enhanced", "", "", known, hl7.Enhanced},
		{"original", "enhanced", "", unknown, hl7.Original},
		{"auto", "enhanced", "mine", known, hl7.Auto},
	} {
		t.Run(fmt.Sprint(tt), func(t *testing.T) {
			settings := hl7Settings()
			settings.Ack, settings.Quirks.Ack, settings.Profile = tt.line, tt.quirk, tt.profile
			b := &mllpLink{line: &line{
				Service: &Service{Profiles: profiles, Clock: func() string { return "" }},
				members: []Instrument{{Name: "analyser", Settings: settings}},
			}}
			raw := b.message(b.members[0], "hl7")
			raw.Text = []byte(strings.Replace(oru, "|Lab|", "|"+tt.sender+"|", 1))
			if got := b.ackMode(raw); got != tt.want {
				t.Errorf("mode %d, want %d", got, tt.want)
			}
		})
	}
}

// A retransmission in enhanced mode gets both answers again. It is kept as a
// duplicate and held back from the LIMS.
func TestHL7RetransmissionIsHeldBack(t *testing.T) {
	b := newBench(t, hl7Settings())
	both := strings.Replace(oru, "|2.5.1\r", "|2.5.1|||AL|AL\r", 1)
	for range 2 {
		if got := codes(b.ask(block(both), 2)); !slices.Equal(got, []string{"CA c1", "AA c1"}) {
			t.Fatalf("answered %q", got)
		}
	}
	b.wantKept("accepted "+both, "accepted "+both)
	stored, err := b.store.List(t.Context(), spool.Filter{})
	if err != nil || len(stored) != 2 {
		t.Fatalf("stored %+v (%v)", stored, err)
	}
	second, first := stored[0], stored[1]
	if first.States["lims"] != spool.Pending || second.States["lims"] != spool.Dropped {
		t.Errorf("states %v, then %v", first.States, second.States)
	}
	detail, err := b.store.Show(t.Context(), second.ID)
	if err != nil || detail.Envelope.DuplicateOf != first.ID || !detail.Envelope.Repeat {
		t.Errorf("the second is duplicate of %q (%v), want %q", detail.Envelope.DuplicateOf, err, first.ID)
	}
}

// counted is an observer of messages.
type counted struct {
	silent
	outcomes chan string
}

func (c counted) Message(name string, protocol envelope.Protocol, outcome string) {
	c.outcomes <- name + " " + string(protocol) + " " + outcome
}

func TestHL7QueriesAreCounted(t *testing.T) {
	b := newBench(t, hl7Settings())
	b.hangUp()
	observer := counted{outcomes: make(chan string, 10)}
	b.service.Observer = observer
	b.connect(hl7Settings())
	b.ask(block("MSH|^~\\&|Lab|Site|Host|Here|20240102030405||QBP^Q11|c1|P|2.5.1\rQPD|x|t\r"), 1)
	b.hangUp()
	close(observer.outcomes)
	var got []string
	for outcome := range observer.outcomes {
		got = append(got, outcome)
	}
	if !slices.Equal(got, []string{"analyser hl7 " + Queried}) {
		t.Errorf("counted %q", got)
	}
}
