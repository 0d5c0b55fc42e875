//go:build unix

package main

import (
	"bufio"
	"fmt"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/assaygate/assaygate/envelope/spool"
	"github.com/assaygate/assaygate/uplink/senaite/senaitetest"
)

// broker is one MLLP connection over which many analysers send.
type broker struct {
	net.Conn
	answers *bufio.Scanner
}

func newBroker(t testing.TB, address string) broker {
	t.Helper()
	conn := dial(t, address)
	return broker{conn, hl7Answers(conn)}
}

// round sends one message of each analyser.
func (b broker) round(t testing.TB, analysers []string, n int) {
	t.Helper()
	for _, analyser := range analysers {
		if sample := sampleOf(analyser, n); !sendHL7(b.Conn, b.answers, hl7Text(analyser, sample, sample)) {
			t.Fatalf("message %s was not answered with AA", sample)
		}
	}
}

func names(prefix string, n int) (list []string) {
	for i := range n {
		list = append(list, fmt.Sprintf("%s%02d", prefix, i))
	}
	return list
}

// sampleOf is a sample id that tells the analyser and the message's place.
func sampleOf(analyser string, n int) string { return fmt.Sprintf("%s-%d", analyser, n) }

// arrived are the sample ids that SENAITE has, by analyser, in order of their
// arrival.
func arrived(t testing.TB, server *senaitetest.Server) map[string][]string {
	t.Helper()
	lanes := map[string][]string{}
	for _, push := range server.Pushes() {
		sample, _ := identity(t, push)
		analyser, _, _ := strings.Cut(sample, "-")
		lanes[analyser] = append(lanes[analyser], sample)
	}
	return lanes
}

// samples are those of an analyser's messages from..to, in order.
func samples(analyser string, from, to int) (list []string) {
	for n := from; n < to; n++ {
		list = append(list, sampleOf(analyser, n))
	}
	return list
}

// Twenty analysers send over one connection, and SENAITE fails over one message
// of one of them. The others do not wait for it: all they send arrives, in
// order. The fifth refusal that counts parks the message, and its own analyser
// goes on too.
func TestPoisonedLaneStopsNoOther(t *testing.T) {
	server, directory := newLIMS(t), t.TempDir()
	r := start(t, base(directory)+lanInstruments+lims(server, directory))
	analysers := names("Analyser", 20)
	const sick = "Analyser12"
	server.Poison(func(message string) bool { return strings.Contains(message, sampleOf(sick, 0)) })
	line := newBroker(t, r.addresses["hl7"])

	rounds := 0
	for parked := false; !parked; {
		line.round(t, analysers, rounds)
		rounds++
		eventually(t, "what the other analysers sent is in SENAITE", func() bool {
			lanes := arrived(t, server)
			return !slices.ContainsFunc(analysers, func(a string) bool { return a != sick && len(lanes[a]) < rounds })
		})
		// Each round is what proves to the gateway that SENAITE is well: the
		// next refusal counts.
		var d spool.Delivery
		eventually(t, "the message is refused once more", func() bool {
			d = deliveryOf(t, r, sampleOf(sick, 0), "lims")
			return d.Refusals >= rounds || d.State == spool.Parked
		})
		parked = d.State == spool.Parked
		if lane := arrived(t, server)[sick]; !parked && len(lane) > 0 {
			t.Fatalf("%q went past a message that is not settled", lane)
		}
		if rounds > 5 {
			t.Fatalf("not parked by the fifth refusal: %+v", d)
		}
		if parked && (rounds != 5 || !strings.Contains(d.Reason, "refused 5 times")) {
			t.Errorf("parked in round %d: %+v", rounds, d)
		}
	}
	line.round(t, analysers, rounds)
	rounds++
	r.settled()

	lanes := arrived(t, server)
	for _, analyser := range analysers {
		want := samples(analyser, 0, rounds)
		if analyser == sick {
			want = want[1:]
		}
		if !slices.Equal(lanes[analyser], want) {
			t.Errorf("%s: SENAITE has %q, want %q", analyser, lanes[analyser], want)
		}
	}
	if parked, err := r.store.List(t.Context(), spool.Filter{State: spool.Parked}); err != nil || len(parked) != 1 {
		t.Errorf("%d messages are parked, want the one (%v)", len(parked), err)
	}
}

// deliveryOf is how a sample's message stands at a destination.
func deliveryOf(t testing.TB, r *running, sample, destination string) spool.Delivery {
	t.Helper()
	list, err := r.store.List(t.Context(), spool.Filter{SampleID: sample})
	if err != nil || len(list) != 1 {
		t.Fatalf("%d messages of sample %s (%v)", len(list), sample, err)
	}
	detail, err := r.store.Show(t.Context(), list[0].ID)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range detail.Deliveries {
		if d.Destination == destination {
			return d
		}
	}
	t.Fatalf("no delivery of sample %s to %s", sample, destination)
	return spool.Delivery{}
}

// SENAITE is down while analysers send over ASTM and HL7, and while the gateway
// is started again. Once it is up, all of it arrives, once, in order within each
// lane.
func TestOutageKeepsOrderInEveryLane(t *testing.T) {
	server, directory := newLIMS(t), t.TempDir()
	if err := server.Set(senaitetest.Down); err != nil {
		t.Fatal(err)
	}
	config := base(directory) + lanInstruments + lims(server, directory)
	hl7Analysers, astmAnalysers := names("Broker", 5), names("Star", 3)
	const half, all = 8, 16
	sendAll := func(r *running, from, to int) {
		var senders sync.WaitGroup
		senders.Go(func() {
			line := newBroker(t, r.addresses["hl7"])
			for n := from; n < to; n++ {
				line.round(t, hl7Analysers, n)
			}
		})
		for _, analyser := range astmAnalysers {
			senders.Go(func() {
				conn := dial(t, r.addresses["lan"])
				for n := from; n < to; n++ {
					if sample := sampleOf(analyser, n); !sendASTM(conn, astmText(analyser, sample, sample)) {
						t.Errorf("message %s was not acknowledged", sample)
					}
				}
			})
		}
		senders.Wait()
	}
	first := start(t, config)
	sendAll(first, 0, half)
	first.end()
	second := start(t, config)
	sendAll(second, half, all)
	if n := len(server.Pushes()); n > 0 {
		t.Fatalf("%d messages arrived at a SENAITE that is down", n)
	}
	if err := server.Set(senaitetest.Up); err != nil {
		t.Fatal(err)
	}
	second.settled()
	lanes := arrived(t, server)
	for _, analyser := range append(hl7Analysers, astmAnalysers...) {
		if want := samples(analyser, 0, all); !slices.Equal(lanes[analyser], want) {
			t.Errorf("%s: SENAITE has %q, want %q", analyser, lanes[analyser], want)
		}
		delete(lanes, analyser)
	}
	if len(lanes) > 0 {
		t.Errorf("SENAITE has messages of nobody: %v", lanes)
	}
	if files, err := filepath.Glob(filepath.Join(directory, "captures", "*")); err != nil || len(files) != all*(len(hl7Analysers)+len(astmAnalysers)) {
		t.Errorf("%d files were captured (%v)", len(files), err)
	}
}
