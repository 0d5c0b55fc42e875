package spool

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
)

// What does not change is left alone: why it is held, and what waits for it.
func TestSetDestinationsLeavesTheOthersAlone(t *testing.T) {
	other := Destination{Name: "other", Binding: "https://other"}
	s := open(t, settings(t), lims, other)
	e := put(t, s, message("a", "1"))
	for _, name := range []string{"lims", "other"} {
		if err := s.SetHeld(t.Context(), name, Hold{Reason: "wrong password"}); err != nil {
			t.Fatal(err)
		}
	}
	changed := other
	changed.AcceptTest = true
	if err := s.SetDestinations(t.Context(), []Destination{changed, lims}); err != nil {
		t.Fatal(err)
	}
	wantState(t, s, e.ID, "lims", Held, "wrong password")
	wantState(t, s, e.ID, "other", Pending, "") // its runner begins anew
	for _, wrong := range [][]Destination{{lims, lims}, {{}}} {
		if err := s.SetDestinations(t.Context(), wrong); err == nil {
			t.Errorf("%v was taken", wrong)
		}
	}
	put(t, s, message("a", "2"))
	wantClean(t, s)
}

// A change that is not committed changes nothing, also not for the messages that
// were to be committed with it.
func TestSetDestinationsThatFails(t *testing.T) {
	s := open(t, settings(t), lims)
	commit := s.writer.commit
	s.writer.commit = func() error { return errors.New("the card is gone") }
	if err := s.SetDestinations(t.Context(), nil); !errors.Is(err, ErrUncertain) {
		t.Errorf("changing the destinations: %v", err)
	}
	s.writer.commit = commit
	if !s.configured.Load().has("lims") {
		t.Error("what was not committed holds")
	}
}

// Messages that come meanwhile go to all of the destinations of before or to all
// of those after, none is lost, and none waits for one that is gone.
func TestSetDestinationsWhileMessagesCome(t *testing.T) {
	s := open(t, settings(t), lims)
	a, b := Destination{Name: "a"}, Destination{Name: "b"}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var senders sync.WaitGroup
	var mu sync.Mutex
	var ids []string
	for n := range 4 {
		senders.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				e := message(fmt.Sprint("lane", n), fmt.Sprint(i))
				if _, err := s.Put(t.Context(), e); err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				ids = append(ids, e.ID)
				mu.Unlock()
			}
		})
	}
	for i := range 30 {
		list := []Destination{lims, a, b}
		if i%2 == 1 {
			list = []Destination{lims}
		}
		if err := s.SetDestinations(t.Context(), list); err != nil {
			t.Error(err)
		}
	}
	stop()
	senders.Wait()
	both := 0
	for _, id := range ids {
		atLims, _ := state(t, s, id, "lims")
		atA, _ := state(t, s, id, "a")
		atB, _ := state(t, s, id, "b")
		if atLims != Pending || atA != atB || atA == Pending {
			t.Fatalf("a message is %q at lims, %q at a, %q at b", atLims, atA, atB)
		}
		if atA != "" {
			both++
		}
	}
	if both == 0 || both == len(ids) {
		t.Errorf("%d of %d messages met the others: nothing came meanwhile", both, len(ids))
	}
	wantClean(t, s)
}
