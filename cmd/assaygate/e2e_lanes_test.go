//go:build unix

package main

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/assaygate/assaygate/envelope/spool"
	"github.com/assaygate/assaygate/uplink/senaite/senaitetest"
)

// Twenty analysers send over one connection, and SENAITE fails over one message
// of one of them. The others do not wait for it: all they send arrives, in
// order. The fifth refusal that counts parks the message, and its own analyser
// goes on too.
func TestOnePoisonedLaneStopsNoOther(t *testing.T) {
	server, directory := newLIMS(t), t.TempDir()
	r := start(t, base(directory)+lanInstruments+lims(server, directory))
	analysers := numbered("Analyser", 20)
	const sick = "Analyser12"
	server.Poison(func(message string) bool { return strings.Contains(message, sampleOf(sick, 0)) })
	line := newBroker(t, r.addresses["hl7"])

	rounds := 0
	for state := spool.Pending; state == spool.Pending; {
		line.round(t, analysers, rounds)
		rounds++
		eventually(t, "what the other analysers sent is in SENAITE", func() bool {
			lanes := arrived(t, server)
			return !slices.ContainsFunc(analysers, func(a string) bool { return a != sick && len(lanes[a]) < rounds })
		})
		// A round that SENAITE took is what makes the next refusal count.
		var d spool.Delivery
		eventually(t, "the message is refused once more", func() bool {
			d = deliveryOf(t, r, sampleOf(sick, 0))
			return d.Refusals >= rounds || d.State != spool.Pending
		})
		if d.State == spool.Pending && len(arrived(t, server)[sick]) > 0 {
			t.Fatalf("%s went past a message that is not settled", sick)
		}
		// On a slow machine more than one of them falls into a round.
		if fifth := strings.HasPrefix(d.Reason, "refused 5 times"); (d.State == spool.Parked) != fifth || d.Refusals >= 5 {
			t.Fatalf("after %d rounds: %+v; the fifth refusal is to park it", rounds, d)
		}
		state = d.State
	}
	line.round(t, analysers, rounds)
	rounds++
	r.settled()

	lanes := arrived(t, server)
	for _, analyser := range analysers {
		want := samples(analyser, rounds)
		if analyser == sick {
			want = want[1:]
		}
		if !slices.Equal(lanes[analyser], want) {
			t.Errorf("%s: SENAITE has %q, want %q", analyser, lanes[analyser], want)
		}
	}
	parked, err := r.store.List(t.Context(), spool.Filter{State: spool.Parked})
	if err != nil || len(parked) != 1 || parked[0].SampleID != sampleOf(sick, 0) {
		t.Errorf("parked: %+v (%v), want the poison", parked, err)
	}
}

// SENAITE is down while analysers send over ASTM and HL7, and while the gateway
// is started again. Once it is up, all of it arrives, once, in order within each
// lane.
func TestOutageKeepsTheOrderOfLanes(t *testing.T) {
	server, directory := newLIMS(t), t.TempDir()
	if err := server.Set(senaitetest.Down); err != nil {
		t.Fatal(err)
	}
	config := base(directory) + lanInstruments + lims(server, directory)
	hl7Analysers, astmAnalysers := numbered("Broker", 5), numbered("Star", 3)
	const half, all = 8, 16
	first := start(t, config)
	sendAll(t, first, hl7Analysers, astmAnalysers, 0, half)
	first.end()
	second := start(t, config)
	sendAll(t, second, hl7Analysers, astmAnalysers, half, all)
	if n := len(server.Pushes()); n > 0 {
		t.Fatalf("%d messages are in a SENAITE that was down all the time", n)
	}
	if err := server.Set(senaitetest.Up); err != nil {
		t.Fatal(err)
	}
	second.settled()

	lanes := arrived(t, server)
	analysers := append(hl7Analysers, astmAnalysers...)
	for _, analyser := range analysers {
		if want := samples(analyser, all); !slices.Equal(lanes[analyser], want) {
			t.Errorf("%s: SENAITE has %q, want %q", analyser, lanes[analyser], want)
		}
	}
	if len(lanes) != len(analysers) {
		t.Errorf("SENAITE has messages of %d analysers, not %d", len(lanes), len(analysers))
	}
	files, err := os.ReadDir(filepath.Join(directory, "captures"))
	if err != nil || len(files) != all*len(analysers) {
		t.Errorf("%d files were captured, want %d (%v)", len(files), all*len(analysers), err)
	}
}

// sendAll sends the messages from one number up to another: those of the HL7
// analysers mixed over one connection, each of the others over its own, all at
// the same time.
func sendAll(t *testing.T, r *running, hl7Analysers, astmAnalysers []string, from, to int) {
	t.Helper()
	line := newBroker(t, r.addresses["hl7"])
	var senders sync.WaitGroup
	for _, analyser := range astmAnalysers {
		conn := dial(t, r.addresses["lan"])
		senders.Go(func() {
			for n := from; n < to; n++ {
				if sample := sampleOf(analyser, n); !sendASTM(conn, astmText(analyser, sample, sample)) {
					t.Errorf("message %s was not acknowledged", sample)
				}
			}
		})
	}
	for n := from; n < to; n++ {
		line.round(t, hl7Analysers, n)
	}
	senders.Wait()
}

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
			t.Errorf("message %s was not answered with AA", sample)
		}
	}
}

// numbered are n names that begin alike.
func numbered(prefix string, n int) (list []string) {
	for i := range n {
		list = append(list, fmt.Sprintf("%s%02d", prefix, i))
	}
	return list
}

// sampleOf is a sample id that tells the analyser and the message's place.
func sampleOf(analyser string, n int) string { return fmt.Sprintf("%s-%d", analyser, n) }

// samples are those of an analyser's first n messages, in order.
func samples(analyser string, n int) (list []string) {
	for i := range n {
		list = append(list, sampleOf(analyser, i))
	}
	return list
}

// arrived are the samples that SENAITE has, by analyser, in order of arrival.
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

// deliveryOf is how the message of a sample stands at the LIMS.
func deliveryOf(t testing.TB, r *running, sample string) spool.Delivery {
	t.Helper()
	list, err := r.store.List(t.Context(), spool.Filter{SampleID: sample})
	if err != nil || len(list) != 1 {
		t.Fatalf("%d messages of sample %s (%v)", len(list), sample, err)
	}
	detail, err := r.store.Show(t.Context(), list[0].ID)
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(detail.Deliveries, func(d spool.Delivery) bool { return d.Destination == "lims" })
	if i < 0 {
		t.Fatalf("sample %s is not for the LIMS", sample)
	}
	return detail.Deliveries[i]
}
