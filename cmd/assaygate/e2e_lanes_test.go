//go:build unix

package main

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/assaygate/assaygate/envelope/spool"
	"github.com/assaygate/assaygate/uplink/senaite/senaitetest"
)

// Twenty analysers behind one broker's connection, one with a message that
// SENAITE chokes on: the others are not held up, and its own lane goes on when
// the message is parked.
func TestOnePoisonedLaneStopsNoOther(t *testing.T) {
	server, directory := newLIMS(t), t.TempDir()
	const poison = "POISON"
	server.Poison(func(message string) bool { return strings.Contains(message, poison) })
	r := start(t, base(directory)+lanInstruments+lims(server, directory))
	conn := dial(t, r.addresses["hl7"])
	answers := hl7Answers(conn)
	want := map[string][]string{}
	for n := range 3 {
		for lane := range 20 {
			sender, sample := fmt.Sprint("LAB-", lane), fmt.Sprintf("S-%d-%d", lane, n)
			if lane == 7 && n == 0 {
				sample = poison
			} else {
				want[sender] = append(want[sender], sample)
			}
			if !sendHL7(conn, answers, hl7Text(sender, sample, sample)) {
				t.Fatalf("%s not acknowledged", sample)
			}
		}
	}
	eventually(t, "the other lanes' messages have arrived", func() bool { return len(server.Pushes()) >= 57 })
	// A refusal counts when another message was taken since the last: so the
	// other analysers go on working.
	var parked []spool.Summary
	n := 0
	eventually(t, "the poison is parked", func() bool {
		var err error
		if parked, err = r.store.List(t.Context(), spool.Filter{State: spool.Parked}); err != nil {
			t.Fatal(err)
		}
		if n++; len(parked) == 0 && n%20 == 0 {
			sample := fmt.Sprint("more-", n)
			want["LAB-0"] = append(want["LAB-0"], sample)
			if !sendHL7(conn, answers, hl7Text("LAB-0", sample, sample)) {
				t.Fatalf("%s not acknowledged", sample)
			}
		}
		return len(parked) > 0
	})
	if len(parked) != 1 || parked[0].SampleID != poison {
		t.Errorf("parked %+v, want the poison", parked)
	}
	r.settled()
	wantOrder(t, server, want)
}

// wantOrder expects the samples of each sender in the order in which they were
// sent.
func wantOrder(t *testing.T, server *senaitetest.Server, want map[string][]string) {
	t.Helper()
	got := map[string][]string{}
	for _, push := range server.Pushes() {
		sample, _ := identity(t, push)
		for sender, samples := range want {
			if slices.Contains(samples, sample) {
				got[sender] = append(got[sender], sample)
			}
		}
	}
	for sender, samples := range want {
		if !slices.Equal(got[sender], samples) {
			t.Errorf("%s: arrived %q, sent %q", sender, got[sender], samples)
		}
	}
}

// SENAITE is down for the whole run, then comes back: everything arrives, in
// order within each lane.
func TestOutageKeepsTheOrderOfLanes(t *testing.T) {
	server, directory := newLIMS(t), t.TempDir()
	if err := server.Set(senaitetest.Down); err != nil {
		t.Fatal(err)
	}
	r := start(t, base(directory)+lanInstruments+lims(server, directory))
	want := map[string][]string{}
	hl7Line := dial(t, r.addresses["hl7"])
	answers := hl7Answers(hl7Line)
	astmLine := dial(t, r.addresses["lan"])
	for n := range 5 {
		for lane := range 3 {
			sender, sample := fmt.Sprint("HL7-", lane), fmt.Sprintf("H-%d-%d", lane, n)
			want[sender] = append(want[sender], sample)
			if !sendHL7(hl7Line, answers, hl7Text(sender, sample, sample)) {
				t.Fatalf("%s not acknowledged", sample)
			}
			sender, sample = fmt.Sprint("ASTM-", lane), fmt.Sprintf("A-%d-%d", lane, n)
			want[sender] = append(want[sender], sample)
			if !sendASTM(astmLine, astmText(sender, sample, sample)) {
				t.Fatalf("%s not acknowledged", sample)
			}
		}
	}
	r.end() // nor does a restart change the order
	again := start(t, base(directory)+lanInstruments+lims(server, directory))
	if err := server.Set(senaitetest.Up); err != nil {
		t.Fatal(err)
	}
	again.settled()
	wantOrder(t, server, want)
	if n := len(server.Pushes()); n != 30 {
		t.Errorf("%d pushes, want 30", n)
	}
}
