package spool

import (
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/assaygate/assaygate/envelope"
)

// wrongClock begins in 1970 and is set at some time; the monotonic clock goes
// on all the while.
type wrongClock struct {
	offset atomic.Int64 // nanoseconds behind the true time
	set    atomic.Bool
}

func (c *wrongClock) now() time.Time { return time.Now().Add(-time.Duration(c.offset.Load())) }

func TestTimesAreCorrectedOnceTheClockIsSet(t *testing.T) {
	ctx := t.Context()
	var clock wrongClock
	clock.offset.Store(int64(time.Since(time.Unix(100, 0))))
	set := settings(t)
	begin := func() *Spool {
		s, err := Open(ctx, set, Options{Destinations: []Destination{lims}, Now: clock.now, ClockSet: clock.set.Load})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Close() })
		return s
	}
	s := begin()
	var ids []string
	began := time.Now()
	for range 3 {
		e := message("lane", "1")
		e.ReceivedAt, e.Clock = clock.now().UTC(), envelope.ClockUnset
		ids = append(ids, put(t, s, e).ID)
	}
	if err := s.watchClock(ctx); err != nil {
		t.Fatal(err)
	}
	if detail, err := s.Show(ctx, ids[0]); err != nil || detail.Envelope.Clock != envelope.ClockUnset || detail.Envelope.ReceivedAt.Year() != 1970 {
		t.Fatalf("before: %v %s (%v)", detail.Envelope.ReceivedAt, detail.Envelope.Clock, err)
	}
	// The process ends and another one begins in the same boot.
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = begin()
	if err := s.watchClock(ctx); err != nil {
		t.Fatal(err)
	}
	clock.offset.Store(0)
	clock.set.Store(true)
	corrupt(t, s, "UPDATE messages SET kind = 'qc' WHERE seq = 3")
	if err := s.watchClock(ctx); err != nil {
		t.Fatal(err)
	}
	for i, id := range ids[:2] {
		entry, err := s.Load(ctx, "lims", uint64(i+1))
		if err != nil {
			t.Fatal(err)
		}
		e := entry.Envelope
		if e.ID != id || e.Clock != envelope.ClockSet || e.ReceivedAt.Before(began.Add(-time.Second)) || e.ReceivedAt.After(time.Now()) {
			t.Errorf("message %d came at %v, clock %s; want it between %v and now", i+1, e.ReceivedAt, e.Clock, began)
		}
	}
	// A damaged message keeps the checksum that does not fit.
	if _, err := s.Load(ctx, "lims", 3); err == nil {
		t.Error("the damaged message became good")
	}
	var trail []string
	err := s.read(ctx, func(scan func(...any) error) error {
		row, _, err := scanAudit(scan)
		if row.What == auditClock || row.What == auditCorrected {
			trail = append(trail, row.What+" "+row.Detail)
		}
		return err
	}, "SELECT "+auditColumns+" FROM audit ORDER BY n")
	if err != nil {
		t.Fatal(err)
	}
	if len(trail) != 2 || !slices.Contains(trail, "times corrected times of 2 messages from 1 to 2") {
		t.Errorf("the trail has %q", trail)
	}
}

func TestTimesOfAnotherBootStay(t *testing.T) {
	ctx := t.Context()
	s := open(t, settings(t), lims)
	e := message("lane", "1")
	e.ReceivedAt, e.Clock = time.Unix(100, 0).UTC(), envelope.ClockUnset
	e = put(t, s, e)
	s.clock.row++ // another boot
	if err := s.watchClock(ctx); err != nil {
		t.Fatal(err)
	}
	if detail, err := s.Show(ctx, e.ID); err != nil || detail.Envelope.Clock != envelope.ClockUnset || !detail.Envelope.ReceivedAt.Equal(e.ReceivedAt) {
		t.Errorf("it came at %v, clock %s (%v)", detail.Envelope.ReceivedAt, detail.Envelope.Clock, err)
	}
	s.clock.row--
	wantClean(t, s)
}
