package live

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// newHub knows these lines; instruments of one are parted by commas.
func newHub(lines ...string) *Hub {
	h := &Hub{}
	h.expect(lines...)
	return h
}

func (h *Hub) expect(lines ...string) {
	var list [][]string
	for _, names := range lines {
		list = append(list, strings.Split(names, ","))
	}
	h.Expect(list)
}

func shown(text string) []Piece { return []Piece{{Bytes: []byte(text)}} }

// tell writes entries down, one a line.
func tell(entries []Entry) string {
	var out strings.Builder
	for _, e := range entries {
		fmt.Fprintf(&out, "%d %s ", e.Number, e.Kind)
		for _, p := range e.Pieces {
			out.Write(p.Bytes)
			if p.Hidden > 0 {
				fmt.Fprintf(&out, "[%d %s]", p.Hidden, p.Digest)
			}
		}
		out.WriteString(e.Text)
		if e.Cut > 0 {
			fmt.Fprintf(&out, " and %d more", e.Cut)
		}
		out.WriteString("\n")
	}
	return out.String()
}

func subscribe(t *testing.T, h *Hub, instrument, after string) *Subscription {
	t.Helper()
	s, err := h.Subscribe(instrument, after)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func next(t *testing.T, s *Subscription) ([]Entry, uint64) {
	t.Helper()
	list, lost, err := s.Next(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return list, lost
}

// What is told apart is what a person has to tell apart: nothing came, bytes came
// but no ENQ, ENQ came but no frame.
func TestCounters(t *testing.T) {
	h := newHub("analyser")
	begun := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	before, _ := h.Line("analyser")
	o := h.Open(begun, "analyser", "10.0.0.7:1", false)
	o.Received(begun.Add(time.Second), shown("garb\x00\xe6\x18"))
	noENQ, _ := h.Line("analyser")
	o.Received(begun.Add(2*time.Second), shown("\x05"))
	o.Sent(begun.Add(3*time.Second), shown("\x06"))
	noFrame, _ := h.Line("analyser")
	o.Received(begun.Add(4*time.Second), []Piece{{Bytes: []byte("\x021")}, {Hidden: 20}, {Bytes: []byte("\x17")}, {Bytes: []byte("\x02\x03\x0b\x1c\x15\x04")}})
	o.Sent(begun.Add(5*time.Second), shown("\x15"))
	o.End(begun.Add(6 * time.Second))
	all, _ := h.Line("analyser")

	if r := before.Counters; r.Received.Bytes != 0 || !r.Received.Last.IsZero() || r.Opened != 0 {
		t.Errorf("before anything came: %+v", r)
	}
	if r := noENQ.Counters.Received; r.Bytes != 7 || r.ENQ != 0 || r.Odd != 2 {
		t.Errorf("after bytes without ENQ: %+v", r)
	}
	if r := noFrame.Counters.Received; r.ENQ != 1 || r.STX != 0 {
		t.Errorf("after ENQ: %+v", r)
	}
	if len(noFrame.Open) != 1 || noFrame.Open[0].Remote != "10.0.0.7:1" || noFrame.Open[0].Since != begun {
		t.Errorf("open are %+v", noFrame.Open)
	}
	want := Counters{
		Since: before.Counters.Since, Opened: 1, Ended: 1,
		LastOpened: begun, OpenedBy: "10.0.0.7:1", LastEnded: begun.Add(6 * time.Second), EndedBy: "10.0.0.7:1",
		Received: Traffic{Bytes: 37, Last: begun.Add(4 * time.Second), Odd: 2, ENQ: 1, STX: 2, ETX: 1, ETB: 1, EOT: 1, NAK: 1, VT: 1, FS: 1},
		Sent:     Traffic{Bytes: 2, Last: begun.Add(5 * time.Second), ACK: 1, NAK: 1},
	}
	if all.Counters != want || len(all.Open) != 0 {
		t.Errorf("counted %+v\nwant %+v, and open is %v", all.Counters, want, all.Open)
	}
}

// Which of those that share a listener speaks is known only from what it says: all
// of them show the line.
func TestSharedLine(t *testing.T) {
	h := newHub("a,b", "c")
	h.Open(time.Now(), "a", "peer", false).Received(time.Now(), shown("\x05"))
	for _, name := range []string{"a", "b"} {
		s, known := h.Line(name)
		if !known || s.Counters.Received.ENQ != 1 || fmt.Sprint(s.Instruments) != "[a b]" {
			t.Errorf("%s: %+v", name, s)
		}
	}
	if s, _ := h.Line("c"); s.Counters.Opened != 0 {
		t.Errorf("c has %+v", s.Counters)
	}
	if lines := h.Lines(); len(lines) != 2 || lines[1].Instruments[0] != "c" {
		t.Errorf("lines %+v", lines)
	}
}

// An instrument that leaves the configuration is forgotten, also by who looks on.
func TestForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub("a", "b")
		o := h.Open(time.Now(), "b", "peer", false)
		h.Open(time.Now(), "a", "peer", false)
		s := subscribe(t, h, "b", "")
		next(t, s)
		ended := make(chan error)
		go func() {
			_, _, err := s.Next(t.Context())
			ended <- err
		}()
		synctest.Wait()
		h.expect("a")
		if err := <-ended; !errors.Is(err, ErrUnknown) {
			t.Errorf("who looks on is told %v", err)
		}
		o.Received(time.Now(), shown("late"))
		o.End(time.Now())
		if _, known := h.Line("b"); known {
			t.Error("b is known still")
		}
		if a, _ := h.Line("a"); a.Counters.Opened != 1 {
			t.Errorf("a has become %+v", a)
		}
		h.expect("a", "b")
		if b, _ := h.Line("b"); b.Counters.Opened != 0 {
			t.Errorf("b comes back as %+v", b)
		}
		if h.Open(time.Now(), "nobody", "peer", false) != nil {
			t.Error("a line that is not expected is opened")
		}
		(*Opening)(nil).Received(time.Now(), shown("x"))
		(*Opening)(nil).End(time.Now())
	})
}

func TestSubscriptionSeesBacklogThenNews(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub("a")
		o := h.Open(time.Now(), "a", "peer", true)
		buffer := []byte("\x05")
		o.Received(time.Now(), []Piece{{Bytes: buffer}, {Hidden: 3, Digest: "d"}})
		buffer[0] = 'x' // the line reads into the same memory again
		s := subscribe(t, h, "a", "")
		list, lost := next(t, s)
		if got, want := tell(list), "1 note opened: peer\n2 received \x05[3 d]\n"; got != want || lost != 0 {
			t.Errorf("backlog %q, want %q", got, want)
		}
		go func() {
			time.Sleep(time.Minute)
			o.Note(time.Now(), Timer, "30 s")
			o.End(time.Now())
		}()
		list, _ = next(t, s)
		if len(list) == 1 {
			more, _ := next(t, s)
			list = append(list, more...)
		}
		if got, want := tell(list), "3 timer 30 s\n4 note ended: peer\n"; got != want {
			t.Errorf("news %q, want %q", got, want)
		}
		again := subscribe(t, h, "a", list[0].Mark())
		if list, _ := next(t, again); tell(list) != "4 note ended: peer\n" {
			t.Errorf("goes on with %q", tell(list))
		}
		for _, mark := range []string{"00000000-3", "x", fmt.Sprintf("%08x-%d", again.line.epoch, 99)} {
			if list, lost := next(t, subscribe(t, h, "a", mark)); len(list) != 4 || lost != 0 {
				t.Errorf("after %q come %q, %d are lost", mark, tell(list), lost)
			}
		}
		ctx, stop := context.WithCancel(t.Context())
		stop()
		if _, _, err := again.Next(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("at the end of its context: %v", err)
		}
	})
}

// A serial port gives a frame in many small reads: together they are one entry,
// unless somebody has seen the beginning, or it took long.
func TestReadsThatGoOn(t *testing.T) {
	h := newHub("a")
	at := time.Now()
	o, other := h.Open(at, "a", "one", false), h.Open(at, "a", "two", false)
	after := func(d time.Duration) time.Time { return at.Add(d) }
	o.Received(at, shown("\x02"))
	o.Received(after(time.Millisecond), shown("1H"))
	o.Received(after(2*time.Millisecond), []Piece{{Hidden: 3}})
	o.Received(after(3*time.Millisecond), []Piece{{Hidden: 4, Digest: "d"}, {Bytes: []byte("\x03")}})
	other.Received(after(4*time.Millisecond), shown("x"))
	o.Received(after(5*time.Millisecond), shown("y"))
	o.Sent(after(6*time.Millisecond), shown("\x06"))
	o.Received(after(7*time.Millisecond), shown("a"))
	o.Received(after(7*time.Millisecond+goesOnFor), shown("b"))
	o.Received(after(8*time.Millisecond+goesOnFor), shown("c"))
	s := subscribe(t, h, "a", "")
	list, _ := next(t, s)
	want := "1 note opened: one\n2 note opened: two\n3 received \x021H[7 d]\x03\n4 received x\n5 received y\n6 sent \x06\n7 received ab\n8 received c\n"
	if got := tell(list); got != want {
		t.Errorf("got %q\nwant %q", got, want)
	}
	o.Received(after(9*time.Millisecond+goesOnFor), shown("d"))
	if list, _ := next(t, s); tell(list) != "9 received d\n" {
		t.Errorf("behind what was seen comes %q", tell(list))
	}
	if l := h.find("a"); l.backlog.held != func() (sum int) {
		for _, e := range l.backlog.entries {
			sum += e.cost()
		}
		return sum
	}() {
		t.Errorf("%d are accounted for", l.backlog.held)
	}
	backlog := h.Backlog("a")
	o.Received(after(10*time.Millisecond+goesOnFor), shown("e"))
	if list, _ := next(t, s); len(backlog) != 9 || tell(list) != "10 received e\n" {
		t.Errorf("behind the backlog comes %q", tell(list))
	}
}

// What an allowlist now keeps out is gone, what was counted is not.
func TestClear(t *testing.T) {
	h := newHub("a")
	o := h.Open(time.Now(), "a", "peer", false)
	s := subscribe(t, h, "a", "")
	o.Received(time.Now(), shown("Hans"))
	h.Clear()
	o.Received(time.Now(), []Piece{{Hidden: 4}})
	if list, lost := next(t, s); tell(list) != "3 received [4 ]\n" || lost != 2 {
		t.Errorf("left is %q, lost are %d", tell(list), lost)
	}
	if a, _ := h.Line("a"); a.Counters.Received.Bytes != 8 {
		t.Errorf("counted %+v", a.Counters)
	}
}

// One who is too slow loses the oldest, is told how many, and the line goes on.
func TestSlowSubscription(t *testing.T) {
	h := newHub("a")
	o := h.Open(time.Now(), "a", "peer", false)
	s := subscribe(t, h, "a", "")
	list, _ := next(t, s)
	seen := list[len(list)-1].Number
	const sent = 3000
	for n := range sent {
		o.Note(time.Now(), Note, strings.Repeat("x", n%100))
	}
	var missed uint64
	for seen < sent+1 {
		list, lost := next(t, s)
		if list[0].Number != seen+lost+1 {
			t.Fatalf("%d lost between %d and %d", lost, seen, list[0].Number)
		}
		if len(list) > mostAtOnce {
			t.Errorf("%d entries at once", len(list))
		}
		missed += lost
		seen = list[len(list)-1].Number
	}
	if missed == 0 || missed >= sent {
		t.Errorf("%d were lost", missed)
	}
}

// Whatever comes, the backlogs stay within their bounds.
func TestBounds(t *testing.T) {
	var names []string
	for n := range 512 {
		names = append(names, fmt.Sprint("line", n))
	}
	h := newHub(names...)
	long := bytes.Repeat([]byte("x"), 64<<10)
	many := make([]Piece, 1000)
	for i := range many {
		many[i] = Piece{Hidden: 1}
	}
	for _, name := range names {
		o := h.Open(time.Now(), name, "peer", false)
		for range 3 {
			o.Received(time.Now(), []Piece{{Bytes: long}})
			o.Received(time.Now(), many)
		}
	}
	held := 0
	for _, name := range names {
		l := h.find(name)
		cost := 0
		for _, e := range l.backlog.entries {
			cost += e.cost()
			if e.Cut == 0 && len(e.Pieces) > 0 {
				t.Fatalf("%d bytes in %d pieces are kept", len(e.Pieces[0].Bytes), len(e.Pieces))
			}
		}
		if cost != l.backlog.held {
			t.Fatalf("%d are accounted for of %d", l.backlog.held, cost)
		}
		held += cost
	}
	if held > len(names)*(leastLine+entryCost) {
		t.Errorf("%d KiB are held", held>>10)
	}
	s, _ := h.Line("line1")
	if s.Counters.Received.Bytes != 3*(64<<10+1000) {
		t.Errorf("counted are %d bytes", s.Counters.Received.Bytes)
	}
	h.expect("line1")
	if o := h.Open(time.Now(), "line1", "peer", false); o != nil {
		for range 100 {
			o.Received(time.Now(), []Piece{{Bytes: long}})
		}
	}
	if held := h.find("line1").backlog.held; held > mostLine || held < mostLine/2 {
		t.Errorf("a line alone holds %d KiB", held>>10)
	}
}

func TestMostSubscriptions(t *testing.T) {
	h := newHub("a", "b")
	if h.Watched() {
		t.Error("watched by nobody")
	}
	var all []*Subscription
	for n := range MostSubscriptions {
		all = append(all, subscribe(t, h, []string{"a", "b"}[n%2], ""))
	}
	if _, err := h.Subscribe("b", ""); !errors.Is(err, ErrCrowded) {
		t.Errorf("one more: %v", err)
	}
	if _, err := h.Subscribe("c", ""); !errors.Is(err, ErrUnknown) {
		t.Errorf("of nothing: %v", err)
	}
	if !h.Watched() {
		t.Error("not watched")
	}
	all[0].Close()
	all[0].Close()
	all[0] = subscribe(t, h, "b", "")
	if _, err := h.Subscribe("b", ""); !errors.Is(err, ErrCrowded) {
		t.Errorf("closed twice, counted twice: %v", err)
	}
	for _, s := range all {
		s.Close()
	}
	if h.Watched() {
		t.Error("watched still")
	}
}

// Lines, subscriptions that come and go, and another configuration at the same
// time: for the race detector, and that nobody waits for anybody.
func TestAllAtOnce(t *testing.T) {
	h := newHub("a", "b,c")
	var working sync.WaitGroup
	for n := range 8 {
		working.Go(func() {
			for range 50 {
				o := h.Open(time.Now(), []string{"a", "b"}[n%2], fmt.Sprint("peer", n), false)
				o.Received(time.Now(), shown("\x05"))
				o.Sent(time.Now(), shown("\x06"))
				h.Watched()
				o.End(time.Now())
			}
		})
	}
	for n := range 4 {
		working.Go(func() {
			for range 20 {
				s, err := h.Subscribe([]string{"a", "c"}[n%2], "")
				if err != nil {
					continue
				}
				ctx, stop := context.WithTimeout(t.Context(), time.Millisecond)
				s.Next(ctx)
				stop()
				s.Close()
			}
		})
	}
	working.Go(func() {
		for n := range 50 {
			h.expect([]string{"a", "b,c"}[:1+n%2]...)
			h.Lines()
			h.Backlog("a")
		}
	})
	working.Wait()
	if n := h.subscriptions.Load(); n != 0 {
		t.Errorf("%d subscriptions are counted", n)
	}
}
