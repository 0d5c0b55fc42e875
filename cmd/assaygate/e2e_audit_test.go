package main

import (
	"encoding/json"
	"testing"

	"github.com/assaygate/assaygate/device/simulator"
	"github.com/assaygate/assaygate/envelope"
)

// Each push carries the head of the audit trail, and the trail has that row with
// that hash: what SENAITE keeps tells whether a card was rewritten.
func TestPushesCarryTheAuditHead(t *testing.T) {
	server, directory := newLIMS(t), t.TempDir()
	r := start(t, base(directory)+lanInstruments+lims(server, directory))
	for _, data := range capturesOf(t, simulator.HL7) {
		r.play("hl7", simulator.HL7, data, simulator.Options{})
	}
	r.settled()
	var last uint64
	for _, push := range server.Pushes() {
		var pushed struct {
			Assaygate struct{ Audit envelope.AuditHead }
		}
		if err := json.Unmarshal([]byte(push.Message), &pushed); err != nil {
			t.Fatal(err)
		}
		head := pushed.Assaygate.Audit
		have, err := r.store.AuditHash(t.Context(), head.Row)
		if err != nil || head.Row < last || have != head.Hash {
			t.Errorf("a push after row %d carries %+v; the trail has the hash %q there (%v)", last, head, have, err)
		}
		last = head.Row
	}
	if last == 0 {
		t.Error("nothing was pushed")
	}
}
