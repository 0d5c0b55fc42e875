package spool

import (
	"fmt"
	"testing"
	"time"

	"github.com/assaygate/assaygate/envelope"
)

// again is the same message as the instrument sends it a second time.
func again(e envelope.Envelope) envelope.Envelope {
	fresh := message(e.Lane, "")
	e.ID, e.MessageID, e.Sequence, e.DuplicateOf, e.Repeat = fresh.ID, fresh.MessageID, 0, "", false
	return e
}

func TestDuplicateWithoutProofIsDelivered(t *testing.T) {
	s := open(t, settings(t), lims)
	first := put(t, s, message("a", "1"))
	second := put(t, s, again(first))
	if second.DuplicateOf != first.ID || second.Repeat {
		t.Errorf("it is duplicate %q, repeat %v", second.DuplicateOf, second.Repeat)
	}
	wantState(t, s, second.ID, "lims", Pending, "")
	// The same bytes from another instrument are another matter.
	other := again(first)
	other.Lane = "b"
	if other = put(t, s, other); other.DuplicateOf != "" {
		t.Errorf("from another lane it is duplicate %q", other.DuplicateOf)
	}
}

func TestMessageTimeProvesARetransmission(t *testing.T) {
	dir := settings(t)
	files := Destination{Name: "captures", Everything: true}
	s := open(t, dir, lims, files)
	first := message("a", "1")
	first.MessageTime = "20260301120000"
	put(t, s, first)
	s.Close()
	late := Destination{Name: "late"}
	s = open(t, dir, lims, files, late)
	for range 2 {
		repeat := put(t, s, again(first))
		if repeat.DuplicateOf != first.ID || !repeat.Repeat {
			t.Errorf("it is duplicate %q, repeat %v", repeat.DuplicateOf, repeat.Repeat)
		}
		wantState(t, s, repeat.ID, "lims", Dropped, "retransmission of "+first.ID)
		wantState(t, s, repeat.ID, "captures", Pending, "")
		wantState(t, s, repeat.ID, "late", Pending, "") // has never had the first
	}
	// What a person dropped and then has sent again is wanted.
	if err := s.Drop(t.Context(), first.ID, "anna", "LIMS not ready"); err != nil {
		t.Fatal(err)
	}
	wanted := put(t, s, again(first))
	wantState(t, s, wanted.ID, "lims", Pending, "")
	wantClean(t, s)
}

func TestControlIDProvesWhereTheLaneChangesIt(t *testing.T) {
	s := open(t, settings(t), lims)
	send := func(text, control string) envelope.Envelope {
		e := message("a", text)
		e.ControlID = control
		return put(t, s, e)
	}
	first := send("1", "7")
	if e := put(t, s, again(first)); e.Repeat || e.DuplicateOf != first.ID {
		t.Errorf("with one id known: %+v", e)
	}
	if e := put(t, s, again(first)); e.Repeat {
		t.Error("a lane that sends one id all the time proves nothing by it")
	}
	second := send("2", "8")
	for range 3 {
		if e := put(t, s, again(second)); !e.Repeat || e.DuplicateOf != second.ID {
			t.Errorf("duplicate %q, repeat %v", e.DuplicateOf, e.Repeat)
		}
	}
}

func TestRefusedInputIsNoEarlierMessage(t *testing.T) {
	s := open(t, settings(t), lims)
	for _, intake := range []envelope.Intake{envelope.Rejected, envelope.Incomplete, envelope.Parked} {
		first := message("a", string(intake))
		first.MessageTime, first.Intake = "20260301120000", intake
		put(t, s, first)
		second := again(first)
		second.Intake = envelope.Accepted
		second = put(t, s, second)
		if second.Repeat {
			t.Errorf("it counts as the repeat of %s input", intake)
		}
		wantState(t, s, second.ID, "lims", Pending, "")
	}
}

func TestDuplicateWindow(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	hours := func(n int) time.Duration { return time.Duration(n) * time.Hour }
	for _, c := range []struct {
		name           string
		clocks         [2]string
		wall, boottime time.Duration
		reboot         bool
		proof          bool // by message time
		duplicate      bool
		repeat         bool
	}{
		{"inside by clock", [2]string{"set", "set"}, hours(23), 0, true, true, true, true},
		{"outside by clock", [2]string{"set", "set"}, hours(25), 0, true, true, false, false},
		{"inside by boot time, clock jumps", [2]string{"unset", "set"}, hours(500000), hours(1), false, true, true, true},
		{"outside by boot time, clock unset", [2]string{"unset", "unset"}, 0, hours(25), false, true, false, false},
		{"age unknown, proof by message time", [2]string{"unset", "unset"}, 0, 0, true, true, true, true},
		{"age unknown, proof by control id only", [2]string{"unset", "set"}, 0, 0, true, false, true, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := open(t, settings(t), lims)
			var boottime time.Duration
			s.clock.monotonic = func() int64 { return int64(boottime) }
			before := message("a", "before")
			before.ControlID = "1"
			put(t, s, before)
			first := message("a", "1")
			first.ReceivedAt, first.Clock, first.ControlID = now, c.clocks[0], "2"
			if c.proof {
				first.MessageTime = "20260301120000"
			}
			first = put(t, s, first)
			second := again(first)
			second.ReceivedAt, second.Clock = now.Add(c.wall), c.clocks[1]
			boottime = c.boottime
			if c.reboot {
				if err := s.writer.write(t.Context(), func(t *tx) error { return t.exec("INSERT INTO boots (boot) VALUES ('next')") }); err != nil {
					t.Fatal(err)
				}
				s.clock.row++
			}
			second = put(t, s, second)
			if (second.DuplicateOf == first.ID) != c.duplicate || second.Repeat != c.repeat {
				t.Errorf("duplicate %q, repeat %v", second.DuplicateOf, second.Repeat)
			}
		})
	}
}

// TestRepeatOfWhatNobodyHas: what is sent again is wanted where the first one is
// damaged, or where its results did not appear.
func TestRepeatOfWhatNobodyHas(t *testing.T) {
	s := open(t, settings(t), lims)
	send := func(text string) envelope.Envelope {
		e := message("a", text)
		e.MessageTime = "20260301120000"
		return put(t, s, e)
	}
	broken, lost, good := send("1"), send("2"), send("3")
	corrupt(t, s, fmt.Sprintf("UPDATE messages SET sample_id = 'other' WHERE seq = %d", broken.Sequence))
	for _, e := range []envelope.Envelope{lost, good} {
		if err := s.Delivered(t.Context(), "lims", e.Sequence, ""); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Unconfirmed(t.Context(), "lims", lost.Sequence, "sample not found"); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		text  string
		first envelope.Envelope
		want  State
	}{{"1", broken, Pending}, {"2", lost, Pending}, {"3", good, Dropped}} {
		e := send(c.text)
		if have, why := state(t, s, e.ID, "lims"); have != c.want || e.DuplicateOf != c.first.ID {
			t.Errorf("message %s again is %s (%s), a duplicate of %q; want %s, of %q", c.text, have, why, e.DuplicateOf, c.want, c.first.ID)
		}
	}
}
