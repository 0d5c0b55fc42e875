//go:build unix

package main

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"net"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/assaygate/assaygate/envelope/spool"
	"github.com/assaygate/assaygate/uplink/senaite/senaitetest"
)

// TestKilledUnderLoad kills the process at random moments while analysers send.
// Every message that they have an answer for is in SENAITE at the end, and none
// is there twice under different ids, though they send again what they have no
// answer for. KILLS says how often; 8 times without it.
func TestKilledUnderLoad(t *testing.T) {
	kills := 8
	if text := os.Getenv("KILLS"); text != "" {
		var err error
		if kills, err = strconv.Atoi(text); err != nil {
			t.Fatalf("KILLS: %v", err)
		}
	}
	server, directory := newLIMS(t), t.TempDir()
	astmAddress, hl7Address := freePort(t), freePort(t)
	config := configFile(t, directory, fmt.Sprintf(`
instruments: [{name: lan, astm: {listen: %q}}, {name: hl7, hl7: {listen: %q}}]
spool: {directory: %q}
admin: {listen: "127.0.0.1:0"}
console: {listen: "127.0.0.1:0"}
destinations: [{name: lims, senaite: {url: %q, username: %q, password: %q}}]
`, astmAddress, hl7Address, directory+"/spool", server.URL, senaitetest.Username, senaitetest.Password))

	var promised ledger
	var stopped atomic.Bool
	var senders sync.WaitGroup
	for n := range 3 {
		senders.Go(func() { sendUntil(&stopped, &promised, hl7Address, fmt.Sprint("HL7-", n), true) })
		senders.Go(func() { sendUntil(&stopped, &promised, astmAddress, fmt.Sprint("ASTM-", n), false) })
	}
	for range kills {
		p := spawn(t, config)
		before := len(promised.all())
		eventually(t, "messages are acknowledged", func() bool { return len(promised.all()) > before })
		time.Sleep(rand.N(150 * time.Millisecond)) // a random moment under load, not a wait
		p.kill()
	}
	last := spawn(t, config)
	stopped.Store(true)
	senders.Wait()
	acknowledged := promised.all()
	eventually(t, "every acknowledged message is in SENAITE", func() bool { return len(missing(t, acknowledged, server.Pushes())) == 0 })
	last.kill()
	heldBack := wantSound(t, directory+"/spool")

	ids := map[string]string{}
	for _, push := range server.Pushes() {
		control, id := identity(t, push)
		if earlier, twice := ids[control]; twice && earlier != id {
			t.Errorf("message %s is in SENAITE as %s and as %s", control, earlier, id)
		}
		ids[control] = id
	}
	t.Logf("%d kills, %d acknowledged, %d pushes of %d messages, %d retransmissions held back",
		kills, len(acknowledged), len(server.Pushes()), len(ids), heldBack)
}

// wantSound expects that the store has no damage, and returns how many messages
// it kept from the LIMS: here these are what was sent again although it had been
// stored.
func wantSound(t *testing.T, store string) (heldBack int) {
	t.Helper()
	s, err := spool.OpenReadOnly(t.Context(), store)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	report, err := s.Verify(t.Context(), nil)
	if err != nil || len(report.Problems) > 0 {
		t.Errorf("the store after all kills: %+v (%v)", report, err)
	}
	dropped, err := s.List(t.Context(), spool.Filter{State: spool.Dropped, Limit: math.MaxInt32})
	if err != nil {
		t.Fatal(err)
	}
	return len(dropped)
}

// sendUntil sends numbered messages, each until it is acknowledged, as
// instruments do.
func sendUntil(stopped *atomic.Bool, promised *ledger, address, sender string, isHL7 bool) {
	for n := 0; !stopped.Load(); {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			time.Sleep(10 * time.Millisecond) // the gateway is down: dial again
			continue
		}
		answers := hl7Answers(conn)
		for !stopped.Load() {
			id := fmt.Sprintf("%s-%d", sender, n)
			if isHL7 && !sendHL7(conn, answers, hl7Text(sender, id, id)) || !isHL7 && !sendASTM(conn, astmText(sender, id, id)) {
				break
			}
			promised.add(id)
			n++
		}
		conn.Close()
	}
}

// identity is the sample of a pushed message, which the senders make of the
// control id, and the id of its envelope.
func identity(t testing.TB, push senaitetest.Push) (control, id string) {
	t.Helper()
	var e struct {
		Assaygate struct {
			ID     string `json:"id"`
			Sample string `json:"sample_id"`
		} `json:"assaygate"`
	}
	if err := json.Unmarshal([]byte(push.Message), &e); err != nil {
		t.Fatal(err)
	}
	return e.Assaygate.Sample, e.Assaygate.ID
}

func missing(t testing.TB, wanted []string, pushes []senaitetest.Push) (list []string) {
	t.Helper()
	have := map[string]bool{}
	for _, push := range pushes {
		control, _ := identity(t, push)
		have[control] = true
	}
	for _, id := range wanted {
		if !have[id] {
			list = append(list, id)
		}
	}
	return list
}
