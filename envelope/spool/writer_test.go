package spool

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/assaygate/assaygate/envelope"
)

// TestGroupCommit has many callers put at once and expects dense sequences and
// fewer commits than messages.
func TestGroupCommit(t *testing.T) {
	s := open(t, settings(t), lims)
	commits := 0
	commit := s.writer.commit
	s.writer.commit = func() error { commits++; return commit() }
	const callers, each = 16, 20
	var wait sync.WaitGroup
	seen := make([][]uint64, callers)
	for c := range callers {
		wait.Go(func() {
			for i := range each {
				seq, err := s.Put(t.Context(), message(fmt.Sprint("lane ", c), fmt.Sprint(i)))
				if err != nil {
					t.Error(err)
					return
				}
				seen[c] = append(seen[c], seq)
			}
		})
	}
	wait.Wait()
	all := map[uint64]bool{}
	for _, list := range seen {
		for i, seq := range list {
			if all[seq] || i > 0 && seq <= list[i-1] {
				t.Fatalf("sequence %d is out of order or given twice", seq)
			}
			all[seq] = true
		}
	}
	if len(all) != callers*each || !all[1] || !all[callers*each] {
		t.Errorf("%d sequences, not dense from 1", len(all))
	}
	wantClean(t, s)
	if s.Close(); commits >= callers*each {
		t.Errorf("%d commits for %d messages of %d callers", commits, callers*each, callers)
	}
}

// TestOneFailureSpoilsNoOther sends a batch in which one message breaks a rule
// of the database.
func TestOneFailureSpoilsNoOther(t *testing.T) {
	s := open(t, settings(t), lims)
	taken := put(t, s, message("a", "taken"))
	bad := message("bad lane", "bad")
	bad.ID, bad.MessageID = taken.ID, taken.ID
	errs := together(t, s, message("a", "1"), bad, message("b", "2"))
	if errs[0] != nil || errs[2] != nil || errs[1] == nil {
		t.Fatalf("the batch gives %v", errs)
	}
	list, err := s.List(t.Context(), Filter{})
	if err != nil || len(list) != 3 || list[0].Sequence != 3 {
		t.Errorf("stored are %+v, %v", list, err)
	}
	if have, _ := s.Status(t.Context()); have.Destinations[0].Pending != 3 {
		t.Errorf("counted are %+v", have.Destinations)
	}
	wantClean(t, s)
}

// together puts messages in one batch of the writer.
func together(t *testing.T, s *Spool, messages ...envelope.Envelope) []error {
	t.Helper()
	var batch []*request
	for _, m := range messages {
		records, err := s.records([]envelope.Envelope{m})
		if err != nil {
			t.Fatal(err)
		}
		apply := func(t *tx) error { return t.store(records) }
		batch = append(batch, &request{ctx: t.Context(), apply: apply, done: make(chan error, 1)})
	}
	// The writer is idle; the request that carries the batch is not committed.
	carried := errors.New("carried")
	err := s.writer.write(t.Context(), func(*tx) error {
		s.writer.rollback()
		s.writer.serve(batch)
		return carried
	})
	if !errors.Is(err, carried) {
		t.Fatal(err)
	}
	errs := make([]error, len(batch))
	for i, r := range batch {
		errs[i] = <-r.done
	}
	return errs
}

func TestWithdrawnInABatch(t *testing.T) {
	s := open(t, settings(t), lims)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var batch []*request
	for i, c := range []context.Context{t.Context(), ctx, t.Context()} {
		records, err := s.records([]envelope.Envelope{message("a", fmt.Sprint(i))})
		if err != nil {
			t.Fatal(err)
		}
		batch = append(batch, &request{ctx: c, done: make(chan error, 1), apply: func(t *tx) error {
			cancel() // after the batch began, before its commit
			return t.store(records)
		}})
	}
	s.writer.write(t.Context(), func(*tx) error {
		s.writer.rollback()
		s.writer.serve(batch)
		return errors.New("carried")
	})
	if err := <-batch[0].done; err != nil {
		t.Error(err)
	}
	if err := <-batch[1].done; !errors.Is(err, context.Canceled) {
		t.Errorf("the one that went gets %v", err)
	}
	if err := <-batch[2].done; err != nil {
		t.Error(err)
	}
	list, err := s.List(t.Context(), Filter{})
	if err != nil || len(list) != 2 {
		t.Errorf("stored are %+v, %v", list, err)
	}
	wantClean(t, s)
}

// TestFullDisk lets the database grow no further: the message is refused whole,
// in a batch and alone, and the store works on when there is room again.
func TestFullDisk(t *testing.T) {
	s := open(t, settings(t), lims)
	put(t, s, message("a", "first"))
	limit := func(pages int) {
		var have int
		if err := s.writer.scan(fmt.Sprintf("PRAGMA max_page_count = %d", pages), nil, &have); err != nil {
			t.Fatal(err)
		}
	}
	limit(1)
	big := message("a", "big")
	big.Raw = make([]byte, 100<<10)
	if _, err := s.Put(t.Context(), big); err == nil {
		t.Fatal("a full disk took a message")
	}
	for _, err := range together(t, s, big, big) {
		if err == nil {
			t.Fatal("a full disk took a message of a batch")
		}
	}
	list, err := s.List(t.Context(), Filter{})
	if err != nil || len(list) != 1 {
		t.Errorf("stored are %+v, %v", list, err)
	}
	if s.Err() != nil {
		t.Errorf("the store failed: %v", s.Err())
	}
	limit(1 << 20)
	if e := put(t, s, big); e.Sequence != 2 {
		t.Errorf("after it the sequence is %d", e.Sequence)
	}
	wantClean(t, s)
}

func TestUncertainCommitClosesTheStore(t *testing.T) {
	dir := settings(t)
	s := open(t, dir, lims)
	before := put(t, s, message("a", "1"))
	s.writer.commit = func() error { return errors.New("input/output error") }
	if _, err := s.Put(t.Context(), message("a", "2")); !errors.Is(err, ErrUncertain) {
		t.Errorf("the caller gets %v", err)
	}
	<-s.Failed()
	if s.Err() == nil {
		t.Error("Err says nothing")
	}
	if _, err := s.Put(t.Context(), message("a", "3")); !errors.Is(err, ErrClosed) || errors.Is(err, ErrUncertain) {
		t.Errorf("the next caller gets %v", err)
	}
	if _, err := s.Next(t.Context(), "nobody", 1); !errors.Is(err, ErrClosed) {
		t.Errorf("Next gives %v", err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	s = open(t, dir, lims)
	if _, err := s.Raw(t.Context(), before.ID); err != nil {
		t.Error(err)
	}
	wantClean(t, s)
}

func TestIdleStoreIsTidied(t *testing.T) {
	dir := settings(t)
	synctest.Test(t, func(t *testing.T) {
		s, err := Open(t.Context(), dir, Options{Destinations: []Destination{lims}})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		put(t, s, message("a", "1"))
		if have, err := s.Status(t.Context()); err != nil || have.WALBytes == 0 {
			t.Errorf("before: %+v, %v", have, err)
		}
		sleep(idleTime * 2)
		if have, err := s.Status(t.Context()); err != nil || have.WALBytes != 0 {
			t.Errorf("after: %+v, %v", have, err)
		}
		if m, err := s.highWater(); err != nil || m.sequence != 1 {
			t.Errorf("the mark is %+v, %v", m, err)
		}
	})
}

// TestBusyStoreIsTidied has a store that is never left alone.
func TestBusyStoreIsTidied(t *testing.T) {
	dir := settings(t)
	synctest.Test(t, func(t *testing.T) {
		s, err := Open(t.Context(), dir, Options{Destinations: []Destination{lims}})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		for i := range int(busyTime / (idleTime / 2)) {
			put(t, s, message("a", fmt.Sprint(i)))
			sleep(idleTime / 2)
		}
		if m, err := s.highWater(); err != nil || m.sequence != 0 {
			t.Errorf("too early the mark is %+v, %v", m, err)
		}
		before, err := s.Status(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		last := put(t, s, message("a", "last"))
		if m, err := s.highWater(); err != nil || m.sequence != last.Sequence-1 {
			t.Errorf("the mark is %+v, %v", m, err)
		}
		if have, err := s.Status(t.Context()); err != nil || have.WALBytes >= before.WALBytes {
			t.Errorf("the WAL was not folded: %+v, %v", have, err)
		}
	})
}

// sleep passes the bubble's time and lets the writer act on it.
func sleep(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}
