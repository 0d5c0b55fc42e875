package spool

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/assaygate/assaygate/envelope"
)

// card is a file system with as much room as a test says; the store's own file
// gives back what it shrinks by.
type card struct {
	bytes, total uint64
	asked        int
	fails        error
	grown        func() int64 // nil: the store takes nothing
	begin        int64
}

func (c *card) free() (uint64, uint64, error) {
	c.asked++
	have := c.bytes
	if c.grown != nil {
		have = uint64(int64(have) + c.begin - c.grown())
	}
	return have, c.total, c.fails
}

func openOn(t testing.TB, dir Settings, c *card) (*Spool, *bytes.Buffer) {
	t.Helper()
	var log bytes.Buffer
	s, err := Open(t.Context(), dir, Options{Destinations: []Destination{lims}, Log: slog.New(slog.NewTextHandler(&log, nil)), Free: c.free})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s, &log
}

func TestMarks(t *testing.T) {
	for _, c := range []struct{ total, prune, refuse uint64 }{
		{32 << 20, 8 << 20, 4 << 20},
		{1 << 30, 1 << 30 / 20, 1 << 30 / 40},
		{4 << 30, 64 << 20, 32 << 20},
		{1 << 40, 64 << 20, 32 << 20},
		{0, 8 << 20, 4 << 20},
	} {
		if prune, refuse := marks(c.total); prune != c.prune || refuse != c.refuse {
			t.Errorf("of %d bytes the marks are %d and %d", c.total, prune, refuse)
		}
	}
}

// TestNothingIsTakenInWithoutRoom goes below the mark and back: every way in is
// shut, every way out is open, and it opens again by itself.
func TestNothingIsTakenInWithoutRoom(t *testing.T) {
	c := &card{bytes: 100 << 20, total: 4 << 30}
	s, log := openOn(t, settings(t), c)
	first := put(t, s, message("a", "1"))
	second := put(t, s, message("a", "2"))
	do(t, s.Room())
	has := func(bytes uint64) error {
		c.bytes = bytes
		s.room.askAgain()
		return s.Room()
	}
	for _, need := range []int{32, 40, 40} {
		if err := has(31 << 20); !errors.Is(err, ErrNoRoom) || !strings.Contains(err.Error(), fmt.Sprintf("31 MiB are free and %d MiB are needed", need)) {
			t.Errorf("Room gives %v", err)
		}
	}
	e := message("a", "3")
	if _, err := s.Put(t.Context(), e); !errors.Is(err, ErrNoRoom) {
		t.Errorf("Put gives %v", err)
	}
	if _, err := s.PutFinal(t.Context(), "line", e); !errors.Is(err, ErrNoRoom) {
		t.Errorf("PutFinal gives %v", err)
	}
	if err := s.PutDraft(t.Context(), "line", e); !errors.Is(err, ErrNoRoom) {
		t.Errorf("PutDraft gives %v", err)
	}
	do(t, s.Delivered(t.Context(), "lims", first.Sequence, ""), s.Drop(t.Context(), second.ID, "anna", "old"),
		s.Retry(t.Context(), second.ID, "anna"), s.DropDraft(t.Context(), "line"))
	if status, err := s.Status(t.Context()); err != nil || !strings.Contains(status.NoRoom, "31 MiB") || status.Messages != 2 {
		t.Errorf("the status is %+v, %v", status, err)
	}
	if err := has(33 << 20); err == nil { // or it would go to and fro
		t.Error("a little above the mark there is room at once")
	}
	if err := has(41 << 20); err != nil {
		t.Error(err)
	}
	put(t, s, e)
	if err := has(33 << 20); err != nil {
		t.Errorf("above the mark there is no room: %v", err)
	}
	if n, m := strings.Count(log.String(), "nothing is taken in"), strings.Count(log.String(), "has room again"); n != 1 || m != 1 {
		t.Errorf("it is said %d and %d times: %s", n, m, log)
	}
	c.fails = errors.New("input/output error")
	if err := has(0); err != nil {
		t.Errorf("where the free space is not known Room gives %v", err)
	}
	if err := s.keepRoom(t.Context()); !errors.Is(err, c.fails) {
		t.Errorf("and keepRoom %v", err)
	}
	wantClean(t, s)
}

func TestTheCardIsAskedNowAndThen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &card{bytes: 1 << 30, total: 4 << 30}
		s, _ := openOn(t, settings(t), c)
		defer s.Close()
		c.asked = 0
		for i := range 20 {
			put(t, s, message("a", fmt.Sprint(i)))
		}
		if c.asked != 1 {
			t.Errorf("for 20 messages it is asked %d times", c.asked)
		}
		c.bytes = 0
		sleep(askEvery)
		if _, err := s.Put(t.Context(), message("a", "x")); !errors.Is(err, ErrNoRoom) {
			t.Errorf("%v later Put gives %v", askEvery, err)
		}
	})
}

// TestFinishedMakeRoom has the card below the mark, and enough that is finished:
// the oldest go, only as many as needed, and nobody is refused in the end.
func TestFinishedMakeRoom(t *testing.T) {
	c := &card{bytes: 100 << 20, total: 64 << 20}
	s, log := openOn(t, settings(t), c)
	for i := range 160 {
		e := message("a", fmt.Sprint(i))
		e.Raw = bytes.Repeat([]byte{byte(i)}, 64<<10)
		if e = put(t, s, e); i%5 != 0 {
			do(t, s.Delivered(t.Context(), "lims", e.Sequence, ""))
		}
	}
	do(t, s.writer.fold(t.Context()))
	c.grown = func() int64 { return size(t, s) }
	c.begin, c.bytes = c.grown(), 3<<20
	s.room.askAgain()
	if _, err := s.Put(t.Context(), message("a", "refused")); !errors.Is(err, ErrNoRoom) {
		t.Errorf("Put gives %v", err)
	}
	do(t, s.keepRoom(t.Context()))
	if free, _, _ := c.free(); free < 9<<20 || free > 21<<19 {
		t.Errorf("%d KiB are free", free>>10)
	}
	put(t, s, message("a", "taken"))
	list := kept(t, s)
	for _, seq := range sequences(1, 160) {
		if seq%5 == 1 && !slices.Contains(list, seq) {
			t.Errorf("message %d was unfinished and is gone", seq)
		}
	}
	if !slices.Contains(list, 160) || slices.Contains(list, 2) {
		t.Errorf("kept are %d", list)
	}
	wantKept(t, s, list...)
	do(t, s.keepRoom(t.Context()))
	if again := kept(t, s); len(again) != len(list) {
		t.Errorf("with room, %d more went", len(list)-len(again))
	}
	// Nothing finished is left: it says so by Room, and is quiet otherwise.
	c.bytes, c.grown = 3<<20, nil
	for range 3 {
		do(t, s.keepRoom(t.Context()))
	}
	if err := s.Room(); !errors.Is(err, ErrNoRoom) {
		t.Errorf("Room gives %v", err)
	}
	list = kept(t, s)
	if len(list) != 33 { // and the newest one
		t.Errorf("kept are %d", list)
	}
	if n := strings.Count(log.String(), "nearly full"); n != 2 {
		t.Errorf("it is said %d times: %s", n, log)
	}
}

// TestBallast is made with room to spare only, and given up at a write that
// finds none.
func TestBallast(t *testing.T) {
	c := &card{bytes: 66 << 20, total: 4 << 30}
	dir := settings(t)
	s, log := openOn(t, dir, c)
	there := func() bool {
		info, err := os.Stat(s.ballastPath())
		return err == nil && info.Size() == ballastSize
	}
	do(t, s.keepRoom(t.Context()))
	if there() {
		t.Error("it is made though there is hardly room")
	}
	c.bytes = 70 << 20
	do(t, s.keepRoom(t.Context()))
	if !there() {
		t.Fatal("it is not made")
	}
	put(t, s, message("a", "1"))
	var pages int
	do(t, s.writer.scan("PRAGMA max_page_count = 1", nil, &pages))
	big := message("a", "big")
	big.Raw = make([]byte, 100<<10)
	if _, err := s.Put(t.Context(), big); !errors.Is(err, ErrNoRoom) || errors.Is(err, ErrUncertain) {
		t.Errorf("Put gives %v", err)
	}
	if there() || !strings.Contains(log.String(), "ballast") {
		t.Errorf("it is not given up: %s", log)
	}
	do(t, s.writer.scan("PRAGMA max_page_count = 1000000", nil, &pages))
	do(t, s.keepRoom(t.Context()))
	if !there() {
		t.Error("it is not made again")
	}
	put(t, s, big)
	do(t, s.Close())
	c.bytes = 1 << 20
	s, _ = openOn(t, dir, c)
	if there() {
		t.Error("it is not given up to open a store on a full card")
	}
}

// TestTendKeepsTheStore has both tasks done by the loop that the gateway runs.
func TestTendKeepsTheStore(t *testing.T) {
	dir := settings(t)
	synctest.Test(t, func(t *testing.T) {
		c := &card{bytes: 1 << 30, total: 4 << 30}
		s, _ := openOn(t, dir, c)
		defer s.Close()
		old := message("a", "old")
		old.ReceivedAt, old.Intake = time.Now().AddDate(-2, 0, 0), envelope.Incomplete
		put(t, s, old)
		put(t, s, message("a", "new"))
		done := make(chan struct{})
		go func() { s.Tend(t.Context()); close(done) }()
		sleep(2 * time.Second)
		if list := kept(t, s); !slices.Equal(list, []uint64{2}) {
			t.Errorf("kept are %d", list)
		}
		if _, err := os.Stat(s.ballastPath()); err != nil {
			t.Error(err)
		}
		s.Close()
		<-done
	})
}
