package senaite

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/assaygate/assaygate/envelope"
	"github.com/assaygate/assaygate/envelope/spool"
	"github.com/assaygate/assaygate/uplink"
	"github.com/assaygate/assaygate/uplink/senaite/senaitetest"
)

// put stores a message of a lane.
func put(t *testing.T, q *spool.Spool, lane string, n int, protocol envelope.Protocol) {
	t.Helper()
	e := result()
	e.ID = fmt.Sprintf("0190a1b2-%04x-7000-8000-%012x", n, n)
	e.MessageID, e.Lane, e.Protocol, e.Intake, e.SampleID = e.ID, lane, protocol, envelope.Accepted, fmt.Sprint(lane, "-", n)
	if _, err := q.Put(t.Context(), e); err != nil {
		t.Fatal(err)
	}
}

// ids returns the sample ids of a lane that the server took, in order.
func ids(s *senaitetest.Server, lane string) []string {
	var list []string
	for _, p := range s.Pushes() {
		_, rest, _ := strings.Cut(p.Message, `"sample_id":"`+lane+"-")
		if id, _, ok := strings.Cut(rest, `"`); ok {
			list = append(list, id)
		}
	}
	return list
}

// TestFromTheSpool runs the whole way from a spool to the socket: a LIMS that
// is down at first, a lane for an unknown consumer, and a store that is opened
// again.
func TestFromTheSpool(t *testing.T) {
	s := senaitetest.New()
	defer s.Close()
	set(t, s, senaitetest.Down)
	settings := spool.Defaults()
	settings.Directory = filepath.Join(t.TempDir(), "spool")
	c := client(t, s, func(s *Settings) { s.Consumer.HL7 = "senaite.core.hl7.import" })

	run := func(work func(q *spool.Spool)) {
		q, err := spool.Open(t.Context(), settings, spool.Options{Destinations: []spool.Destination{{Name: "lims", Binding: "b"}}})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- uplink.Run(ctx, q, c, uplink.Options{InFlight: 2, Grace: 5 * time.Second}) }()
		work(q)
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if err := q.Close(); err != nil {
			t.Error(err)
		}
	}
	run(func(q *spool.Spool) {
		for i := range 5 {
			put(t, q, "one", i, envelope.ASTM)
			put(t, q, "two", 100+i, envelope.ASTM)
			put(t, q, "hl7", 200+i, envelope.HL7)
		}
	})
	if err := s.Set(senaitetest.Up); err != nil {
		t.Fatal(err)
	}
	run(func(q *spool.Spool) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := s.Wait(ctx, 10); err != nil {
			t.Fatal(err)
		}
	})
	if got, want := ids(s, "one"), []string{"0", "1", "2", "3", "4"}; !slices.Equal(got, want) {
		t.Errorf("lane one: %q, want %q", got, want)
	}
	if got, want := ids(s, "two"), []string{"100", "101", "102", "103", "104"}; !slices.Equal(got, want) {
		t.Errorf("lane two: %q, want %q", got, want)
	}
	if got := ids(s, "hl7"); got != nil {
		t.Errorf("lane hl7: %q", got)
	}
	// Once the add-on is there, a restart takes it up at once.
	s.Register("senaite.core.hl7.import")
	run(func(*spool.Spool) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := s.Wait(ctx, 15); err != nil {
			t.Fatal(err)
		}
	})
	if got, want := ids(s, "hl7"), []string{"200", "201", "202", "203", "204"}; !slices.Equal(got, want) {
		t.Errorf("lane hl7: %q, want %q", got, want)
	}
}

// TestBatchesFromTheSpool has a backlog pushed in batches over a socket, with
// one message in it at which the consumer fails: the others are all there, each
// lane in order, by far fewer requests than messages.
func TestBatchesFromTheSpool(t *testing.T) {
	s := senaitetest.New()
	defer s.Close()
	s.Poison(func(message string) bool { return strings.Contains(message, `"sample_id":"two-107"`) })
	settings := spool.Defaults()
	settings.Directory = filepath.Join(t.TempDir(), "spool")
	q, err := spool.Open(t.Context(), settings, spool.Options{Destinations: []spool.Destination{{Name: "lims"}}})
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	for i := range 20 {
		put(t, q, "one", i, envelope.ASTM)
		put(t, q, "two", 100+i, envelope.ASTM)
		put(t, q, "hl7", 200+i, envelope.HL7)
	}
	c := client(t, s, func(s *Settings) { s.Batch, s.Consumer.HL7 = 12, "hl7" })
	s.Register("hl7")
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- uplink.Run(ctx, q, c, uplink.Options{}) }()
	limited, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	if err := s.Wait(limited, 47); err != nil {
		t.Error(err)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	for lane, n := range map[string]int{"one": 20, "two": 7, "hl7": 20} {
		var want []string
		for i := range n {
			want = append(want, fmt.Sprint(map[string]int{"one": 0, "two": 100, "hl7": 200}[lane]+i))
		}
		if got := ids(s, lane); !slices.Equal(got, want) {
			t.Errorf("lane %s: %q, want %q", lane, got, want)
		}
	}
	if n := s.Requests("push"); n > 25 {
		t.Errorf("%d requests for 60 messages", n)
	}
}
