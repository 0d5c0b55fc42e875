//go:build unix

package main

import (
	"bytes"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/assaygate/assaygate/device/console/api"
	"github.com/assaygate/assaygate/envelope/spool"
	"github.com/assaygate/assaygate/uplink/senaite/senaitetest"
)

// command runs a command line that has to succeed.
func command(t *testing.T, args ...string) string {
	t.Helper()
	var out, errs bytes.Buffer
	if status := execute(args, &out, &errs); status != done {
		t.Fatalf("%v: status %d, %s%s", args, status, out.String(), errs.String())
	}
	return out.String()
}

// storedIDs returns the ids of a store, oldest first.
func storedIDs(t *testing.T, store *spool.Spool) (list []string) {
	t.Helper()
	found, err := store.List(t.Context(), spoolFilter())
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range found {
		list = append(list, m.ID)
	}
	slices.Reverse(list)
	return list
}

// TestRecordsMoveToAnotherBox exports from a gateway while instruments send, and
// imports into one that runs too: what was acknowledged before the export is
// delivered by the new box, once, under its ids.
func TestRecordsMoveToAnotherBox(t *testing.T) {
	server, from, to := newLIMS(t), t.TempDir(), t.TempDir()
	if err := server.Set(senaitetest.Down); err != nil {
		t.Fatal(err)
	}
	old := start(t, base(from)+lanInstruments+lims(server, from))
	var promised ledger
	var stopped atomic.Bool
	var senders sync.WaitGroup
	for n := range 3 {
		senders.Go(func() {
			sendUntil(&stopped, &promised, old.addresses["hl7"], fmt.Sprint("HL7-", n), true)
		})
	}
	stop := func() { stopped.Store(true); senders.Wait() }
	defer stop()
	eventually(t, "messages are acknowledged", func() bool { return len(promised.all()) > 50 })
	before := promised.all()
	directory := filepath.Join(t.TempDir(), "records")
	command(t, "spool", "export", directory, "--data", from)
	exported := len(promised.all())
	eventually(t, "instruments go on after the export", func() bool { return len(promised.all()) > exported })
	stop()
	held := storedIDs(t, old.store)
	old.end()

	address := freePort(t)
	fresh := start(t, base(to)+fmt.Sprintf("instruments: [{name: hl7, hl7: {listen: %q}}]", address)+lims(server, to))
	command(t, "spool", "import", directory, "--data", to)
	// When the command returns the records are the store. Nothing of that is an
	// alarm, and instruments go on.
	if text := fresh.log.text(); strings.Contains(text, `"level":"ERROR"`) || !strings.Contains(text, `"msg":"imported"`) {
		t.Errorf("the new box says %s", text)
	}
	conn := dial(t, address)
	if !sendHL7(conn, hl7Answers(conn), hl7Text("NEW", "NEW-1", "NEW-1")) {
		t.Error("the new box takes no message in")
	}
	if err := server.Set(senaitetest.Up); err != nil {
		t.Fatal(err)
	}
	client := &api.Client{Transport: api.Socket(controlSocket(filepath.Join(to, "spool")))}
	eventually(t, "nothing is pending at the new box", func() bool {
		pending, err := client.List(t.Context(), spool.Filter{State: spool.Pending, Destination: "lims"})
		if err != nil {
			t.Fatal(err)
		}
		return len(pending) == 0
	})
	if lost := missing(t, append(before, "NEW-1"), server.Pushes()); len(lost) > 0 {
		t.Errorf("acknowledged, and not delivered: %v", lost)
	}
	got := ids(t, server.Pushes())
	m, err := spool.ReadManifest(directory, nil)
	if err != nil || m.Messages < len(before) || len(got) != m.Messages+1 {
		t.Fatalf("%d messages delivered, exported %+v (%v)", len(got), m.Contents, err)
	}
	slices.Sort(got)
	for _, id := range held[:m.Messages] {
		if _, same := slices.BinarySearch(got, id); !same {
			t.Errorf("message %s of the old box was delivered under another id, or not", id)
		}
	}
	report, err := client.Verify(t.Context(), nil)
	if err != nil || len(report.Problems) > 0 || report.Messages != uint64(len(got)) {
		t.Errorf("the new store: %+v, %v", report, err)
	}
}
