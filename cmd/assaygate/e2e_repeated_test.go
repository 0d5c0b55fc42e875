//go:build unix

package main

import (
	"fmt"
	"strings"
	"testing"

	"github.com/assaygate/assaygate/envelope/spool"
)

// The process is killed while SENAITE has a message and has not answered, so
// that nothing of the attempt is written down. The next process sends it again
// under its id and notes that it may be a repeat; of what was not on its way yet
// it says nothing.
func TestKilledBeforeTheAnswer(t *testing.T) {
	server, directory := newLIMS(t), t.TempDir()
	server.Slow(patience)
	address := freePort(t)
	config := configFile(t, directory, base(directory)+lims(server, directory)+
		fmt.Sprintf("instruments: [{name: hl7, hl7: {listen: %q}}]\n", address))
	p := spawn(t, config)
	line := newBroker(t, address)
	for n := range 2 {
		line.round(t, []string{"Analyser"}, n)
	}
	eventually(t, "SENAITE has the first message", func() bool { return server.Requests("push") == 1 })
	p.kill()

	server.Slow(0)
	last := spawn(t, config)
	eventually(t, "both are delivered", func() bool {
		n := 0
		for line := range strings.Lines(last.log.text()) {
			if strings.Contains(line, "message delivered") && strings.Contains(line, `"destination":"lims"`) {
				n++
			}
		}
		return n == 2
	})
	last.kill()
	// SENAITE went on with what the killed process had sent.
	taken := ids(t, server.Pushes())
	if len(taken) != 3 || taken[0] != taken[1] || taken[1] == taken[2] {
		t.Errorf("SENAITE has taken %q, want the first one twice under its id", taken)
	}
	store, err := spool.OpenReadOnly(t.Context(), directory+"/spool")
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	r := &running{store: store}
	const want = "possibly repeated: an earlier attempt was not answered"
	if d := deliveryOf(t, r, sampleOf("Analyser", 0)); d.Reason != want {
		t.Errorf("the message that was on its way: %+v", d)
	}
	if d := deliveryOf(t, r, sampleOf("Analyser", 1)); d.Reason != "" {
		t.Errorf("the message behind it: %+v", d)
	}
}
