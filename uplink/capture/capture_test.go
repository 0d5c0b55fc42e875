package capture

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/assaygate/assaygate/envelope"
	"github.com/assaygate/assaygate/envelope/spool"
	"github.com/assaygate/assaygate/uplink"
)

var _ uplink.Destination = (*Writer)(nil)

func received() time.Time {
	return time.Date(2024, 2, 3, 4, 5, 6, 7008000, time.FixedZone("CET", 3600))
}

func TestFileName(t *testing.T) {
	for _, test := range []struct {
		e    envelope.Envelope
		want string
	}{
		{envelope.Envelope{Protocol: envelope.ASTM, Instrument: "xn-550", Sequence: 42}, "20240203T030506.007008Z-xn-550-42.astm"},
		{envelope.Envelope{Protocol: envelope.HL7, Instrument: "a/b ü", Sequence: 1}, "20240203T030506.007008Z-a_b__-1.hl7"},
		{envelope.Envelope{Protocol: envelope.Vendor, Sequence: 2}, "20240203T030506.007008Z-unnamed-2.bin"},
		{envelope.Envelope{Protocol: envelope.ASTM, Instrument: "x", Sequence: 3, Intake: envelope.Incomplete}, "20240203T030506.007008Z-x-3.astm.partial"},
		{envelope.Envelope{Protocol: envelope.HL7, Instrument: "x", Sequence: 4, Intake: envelope.Rejected}, "20240203T030506.007008Z-x-4.hl7.partial"},
		{envelope.Envelope{Protocol: envelope.HL7, Instrument: "x", Sequence: 5, Intake: envelope.Parked}, "20240203T030506.007008Z-x-5.hl7"},
		{envelope.Envelope{Protocol: envelope.ASTM, Instrument: "../../etc/passwd", Sequence: 6}, "20240203T030506.007008Z-.._.._etc_passwd-6.astm"},
		{envelope.Envelope{Protocol: envelope.ASTM, Instrument: strings.Repeat("x", 500), Sequence: 7}, "20240203T030506.007008Z-" + strings.Repeat("x", 100) + "-7.astm"},
	} {
		test.e.ReceivedAt = received()
		if got := FileName(test.e); got != test.want {
			t.Errorf("got %s, want %s", got, test.want)
		}
	}
}

func TestWritesEachMessageOnce(t *testing.T) {
	directory := filepath.Join(t.TempDir(), "data", "captures")
	w := New("captures", Settings{Directory: directory})
	raw := []byte("\x021H|\\^&\r\x03E5\r\n")
	e := envelope.Envelope{Protocol: envelope.ASTM, Instrument: "xn", Sequence: 7, ReceivedAt: received(), Raw: raw}
	// Twice, as after a crash, and with what the crash left behind.
	for range 2 {
		for part := range 3 {
			e.Part, e.Sequence = part, uint64(7+part)
			if err := w.Deliver(t.Context(), e); err != nil {
				t.Fatal(err)
			}
		}
		e.Part, e.Sequence = 0, 7
		if err := os.WriteFile(filepath.Join(directory, "."+FileName(e)+".tmp"), []byte("half of it, and much longer than the whole"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Deliver(t.Context(), e); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(directory)
	if err != nil || len(entries) != 1 {
		t.Fatalf("%d files, error %v", len(entries), err)
	}
	if got := entries[0].Name(); got != "20240203T030506.007008Z-xn-7.astm" {
		t.Errorf("the file is %s", got)
	}
	if got, err := os.ReadFile(filepath.Join(directory, entries[0].Name())); err != nil || string(got) != string(raw) {
		t.Errorf("it holds %q, error %v", got, err)
	}
	for path, mode := range map[string]os.FileMode{
		filepath.Join(directory, entries[0].Name()): 0o600, directory: os.ModeDir | 0o700, filepath.Dir(directory): os.ModeDir | 0o700,
	} {
		if info, err := os.Stat(path); err != nil || info.Mode() != mode {
			t.Errorf("%s has mode %s, error %v", path, info.Mode(), err)
		}
	}
}

func TestWaitsForTheDirectory(t *testing.T) {
	root := t.TempDir()
	directory := filepath.Join(root, "stick", "captures")
	if err := os.WriteFile(filepath.Join(root, "stick"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	w := New("captures", Settings{Directory: directory})
	e := envelope.Envelope{Protocol: envelope.HL7, Instrument: "x", Sequence: 1, ReceivedAt: received(), Raw: []byte("MSH|")}
	if err := w.Deliver(t.Context(), e); err == nil {
		t.Error("written below a file")
	}
	if err := w.Probe(t.Context()); err == nil {
		t.Error("a probe found the directory")
	}
	if err := os.Remove(filepath.Join(root, "stick")); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := w.Deliver(t.Context(), e); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(filepath.Join(directory, FileName(e))); err != nil {
			t.Error(err)
		}
		// Removed while in use: the next attempt fails, the one after does not.
		if err := os.RemoveAll(directory); err != nil {
			t.Fatal(err)
		}
		if err := w.Deliver(t.Context(), e); err == nil {
			t.Error("written into a directory that is not there")
		}
	}
}

func TestValidate(t *testing.T) {
	if err := (Settings{Directory: "x"}).Validate(); err != nil {
		t.Error(err)
	}
	if err := (Settings{}).Validate(); err == nil || !strings.HasPrefix(err.Error(), "directory: ") {
		t.Errorf("without a directory: %v", err)
	}
}

// TestFromTheSpool writes what comes through the spool, incomplete and rejected
// input included.
func TestFromTheSpool(t *testing.T) {
	settings := spool.Defaults()
	settings.Directory = filepath.Join(t.TempDir(), "spool")
	q, err := spool.Open(t.Context(), settings, spool.Options{Destinations: []spool.Destination{{Name: "captures", Everything: true}}})
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	directory := filepath.Join(t.TempDir(), "captures")
	want := map[string]string{}
	for i, intake := range []envelope.Intake{envelope.Accepted, envelope.Parked, envelope.Incomplete, envelope.Rejected} {
		id := "0000000" + string(rune('0'+i)) + "-0000-7000-8000-000000000000"
		e := envelope.Envelope{
			ID: id, MessageID: id, Protocol: envelope.HL7, Instrument: "lan", Lane: "lane", ReceivedAt: received(),
			Clock: envelope.ClockSet, Intake: intake, Kind: envelope.KindResult, Raw: []byte(intake),
		}
		if e.Sequence, err = q.Put(t.Context(), e); err != nil {
			t.Fatal(err)
		}
		want[FileName(e)] = string(intake)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	taken := make(chan struct{}, len(want))
	go func() {
		done <- uplink.Run(ctx, q, New("captures", Settings{Directory: directory}), uplink.Options{
			Observer: uplink.Observer{Delivered: func(envelope.Envelope, time.Duration) { taken <- struct{}{} }},
		})
	}()
	for range want {
		<-taken
	}
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	for name, text := range want {
		if got, err := os.ReadFile(filepath.Join(directory, name)); err != nil || string(got) != text {
			t.Errorf("%s holds %q, error %v", name, got, err)
		}
	}
}
