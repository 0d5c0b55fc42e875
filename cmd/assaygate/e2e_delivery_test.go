package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/assaygate/assaygate/device/port"
	"github.com/assaygate/assaygate/device/simulator"
	"github.com/assaygate/assaygate/uplink/senaite/senaitetest"
)

// lims is the configuration of destinations: a fake SENAITE, and files.
func lims(server *senaitetest.Server, directory string) string {
	return fmt.Sprintf(`
destinations:
  - name: lims
    senaite: {url: %q, username: %q, password: %q}
    accept_test: true
  - name: files
    capture: {directory: %q}
`, server.URL, senaitetest.Username, senaitetest.Password, filepath.Join(directory, "captures"))
}

func newLIMS(t testing.TB) *senaitetest.Server {
	t.Helper()
	server := senaitetest.New()
	t.Cleanup(server.Close)
	return server
}

// ids are the envelope ids of what a LIMS took.
func ids(t testing.TB, pushes []senaitetest.Push) (list []string) {
	t.Helper()
	for _, push := range pushes {
		var e struct {
			Assaygate struct {
				ID string `json:"id"`
			} `json:"assaygate"`
		}
		if err := json.Unmarshal([]byte(push.Message), &e); err != nil || e.Assaygate.ID == "" {
			t.Fatalf("pushed %.200q: %v", push.Message, err)
		}
		list = append(list, e.Assaygate.ID)
	}
	return list
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

// missing are the control ids that no push has.
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

// settled waits until nothing is pending any more.
func (r *running) settled() {
	r.t.Helper()
	eventually(r.t, "nothing is pending", func() bool {
		status, err := r.store.Status(r.t.Context())
		if err != nil {
			r.t.Fatal(err)
		}
		for _, d := range status.Destinations {
			if d.Pending > 0 {
				return false
			}
		}
		return true
	})
}

// Every capture that arrives over TCP or a terminal is in SENAITE, once for each
// order, and on disk byte for byte.
func TestEveryCaptureArrivesOnce(t *testing.T) {
	for _, line := range []string{"tcp", "terminal"} {
		for name, data := range capturesOf(t, simulator.ASTM) {
			t.Run(line+"/"+name, func(t *testing.T) {
				server, directory := newLIMS(t), t.TempDir()
				var r *running
				if line == "tcp" {
					r = start(t, base(directory)+lanInstruments+lims(server, directory))
					r.play("lan", simulator.ASTM, data, simulator.Options{})
				} else {
					instrument, path := terminal(t)
					r = start(t, base(directory)+fmt.Sprintf("instruments: [{name: serial, serial: {port: %q}}]\n", path)+lims(server, directory))
					eventually(t, "the line is up", func() bool { return strings.Contains(r.log.text(), "line up") })
					playTerminal(t, instrument, data)
				}
				r.settled()
				wantOnce(t, r, server, data)
			})
		}
	}
	for name, data := range capturesOf(t, simulator.HL7) {
		t.Run("mllp/"+name, func(t *testing.T) {
			server, directory := newLIMS(t), t.TempDir()
			r := start(t, base(directory)+lanInstruments+lims(server, directory))
			r.play("hl7", simulator.HL7, data, simulator.Options{})
			r.settled()
			wantOnce(t, r, server, data)
		})
	}
}

func playTerminal(t *testing.T, instrument port.Line, data []byte) {
	t.Helper()
	messages, err := simulator.Read(data)
	if err != nil {
		t.Fatal(err)
	}
	result, err := simulator.Play(t.Context(), instrument, messages, simulator.Options{})
	if err != nil || len(result.Refused) > 0 || len(result.Acknowledged) == 0 {
		t.Fatalf("played: %+v, %v", result, err)
	}
}

// wantOnce expects in SENAITE what the store has, each once, and one file for
// each message.
func wantOnce(t *testing.T, r *running, server *senaitetest.Server, data []byte) {
	t.Helper()
	stored, err := r.store.List(t.Context(), spoolFilter())
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	messages := map[string]bool{}
	for _, m := range stored {
		want = append(want, m.ID)
		messages[m.MessageID] = true
	}
	got := ids(t, server.Pushes())
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) || len(got) == 0 {
		t.Errorf("SENAITE has %q, the store %q", got, want)
	}
	files, err := os.ReadDir(filepath.Join(filepath.Dir(r.config().Spool.Directory), "captures"))
	if err != nil || len(files) != len(messages) {
		t.Errorf("%d files for %d messages (%v)", len(files), len(messages), err)
	}
	if sent, err := simulator.Read(data); err != nil || len(messages) < len(sent) {
		t.Errorf("%d messages of %d transmissions (%v)", len(messages), len(sent), err)
	}
}

// What does not end as it should is not delivered, but kept: two processes see
// the same.
func TestMessagesArriveInOrderAfterAnOutage(t *testing.T) {
	server, directory := newLIMS(t), t.TempDir()
	if err := server.Set(senaitetest.Down); err != nil {
		t.Fatal(err)
	}
	r := start(t, base(directory)+lanInstruments+lims(server, directory))
	data, err := simulator.Capture("sysmex_xn.astm")
	if err != nil {
		t.Fatal(err)
	}
	r.play("lan", simulator.ASTM, data, simulator.Options{Count: 20})
	if err := server.Set(senaitetest.Up); err != nil {
		t.Fatal(err)
	}
	r.settled()
	stored, err := r.store.List(t.Context(), spoolFilter())
	if err != nil {
		t.Fatal(err)
	}
	slices.Reverse(stored)
	var want []string
	for _, m := range stored {
		want = append(want, m.ID)
	}
	if got := ids(t, server.Pushes()); !slices.Equal(got, want) || len(got) != 20 {
		t.Errorf("SENAITE has %q\nin the order of %q", got, want)
	}
}
