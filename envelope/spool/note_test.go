package spool

import (
	"errors"
	"strings"
	"testing"
)

// TestActsStandInTheTrail: what a person did is one more row of the chain, told
// with the message it is about, and no row says more of a delivery than it did.
func TestActsStandInTheTrail(t *testing.T) {
	s := open(t, settings(t))
	seq, err := s.Put(t.Context(), message("a", "1"))
	if err != nil {
		t.Fatal(err)
	}
	long := strings.Repeat("ü", longestNote)
	for _, n := range []Note{
		{What: LoggedIn, Who: "anna", Detail: "from 10.0.0.7"}, {What: ReadMessage, Sequence: seq, Who: "anna"}, {What: Downloaded, Who: "anna", Detail: long},
	} {
		if err := s.Note(t.Context(), n); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Note(t.Context(), Note{Who: "anna"}); err == nil {
		t.Error("an act without a name was noted")
	}
	rows, err := s.Trail(t.Context(), 0, 2)
	if err != nil || len(rows) != 2 || rows[0].What != string(Downloaded) || rows[1].What != string(ReadMessage) || rows[1].Sequence != seq || rows[1].Who != "anna" {
		t.Fatalf("%+v, error %v", rows, err)
	}
	if d := rows[0].Detail; len(d) > longestNote+len("…") || !strings.HasSuffix(d, "ü…") {
		t.Errorf("a long detail is %d bytes: %q", len(d), d)
	}
	older, err := s.Trail(t.Context(), rows[1].Number, 100)
	if err != nil || len(older) == 0 || older[0].What != string(LoggedIn) || older[0].Number != rows[1].Number-1 {
		t.Errorf("%+v, error %v", older, err)
	}
	report, err := s.Verify(t.Context(), nil)
	if err != nil || len(report.Problems) != 0 {
		t.Errorf("%+v, error %v", report, err)
	}
}

func TestNotingNeedsAStoreThatTakesIt(t *testing.T) {
	s := open(t, settings(t))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.Note(t.Context(), Note{What: LoggedIn}); !errors.Is(err, ErrClosed) {
		t.Errorf("a closed store: %v", err)
	}
}
