// Package spooltest has a store with messages in it, for tests of what works on
// one.
package spooltest

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/assaygate/assaygate/envelope"
	"github.com/assaygate/assaygate/envelope/spool"
)

// New opens a store in a directory of its own.
func New(t *testing.T) *spool.Spool {
	t.Helper()
	return Open(t, t.TempDir())
}

// Open opens a store with two destinations: lims, and captures, which gets
// everything. It is closed with the test.
func Open(t *testing.T, directory string) *spool.Spool {
	t.Helper()
	settings := spool.Defaults()
	settings.Directory = directory
	store, err := spool.Open(t.Context(), settings, spool.Options{
		Destinations: []spool.Destination{
			{Name: "lims", Binding: "https://lims.example.org/senaite"},
			{Name: "captures", Everything: true},
		},
		Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	return store
}

// Put stores one message with one result and returns its id. change may change it
// before; nil leaves it.
func Put(t *testing.T, store *spool.Spool, sample string, change func(*envelope.Envelope)) string {
	t.Helper()
	id := uuid.Must(uuid.NewV7()).String()
	e := envelope.Envelope{
		ID: id, MessageID: id, Digest: id, Protocol: envelope.ASTM, Instrument: "xn-550", Lane: "xn-550",
		Profile: "sysmex_xn", Box: "haematology-1", Remote: "10.0.0.7:1234",
		ReceivedAt: time.Date(2026, 3, 1, 12, 30, 5, 0, time.UTC), Clock: envelope.ClockSet,
		Intake: envelope.Accepted, Kind: envelope.KindResult, SampleID: sample,
		Results: []envelope.Result{{Test: "WBC", Value: "<0.5", Units: "10*3/uL", Kind: envelope.KindResult}},
		Raw:     []byte("\x021H|\\^&\r\x0341\r\n\x022L|1|N\r\x0305\r\n"),
	}
	if change != nil {
		change(&e)
	}
	if _, err := store.Put(t.Context(), e); err != nil {
		t.Fatal(err)
	}
	return id
}

// Parked has a message be one that waits for a person.
func Parked(e *envelope.Envelope) {
	e.Intake, e.Reason = envelope.Parked, "no terminator record"
}

// ExpectState fails the test where the delivery of a message to lims is in another
// state.
func ExpectState(t *testing.T, store *spool.Spool, id string, want spool.State) {
	t.Helper()
	detail, err := store.Show(context.WithoutCancel(t.Context()), id)
	if err != nil && !errors.Is(err, spool.ErrDamaged) {
		t.Fatal(err)
	}
	for _, d := range detail.Deliveries {
		if d.Destination == "lims" && d.State == want {
			return
		}
	}
	t.Errorf("message %s: deliveries %+v, want lims %s", id, detail.Deliveries, want)
}
