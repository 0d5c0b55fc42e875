package uplink

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/assaygate/assaygate/envelope"
	"github.com/assaygate/assaygate/envelope/spool"
)

// shelf is a destination that a test scripts, as whoever reads back sees it.
type shelf struct {
	find func(ctx context.Context, e envelope.Envelope) (Finding, error)

	mu    sync.Mutex
	looks []attempt
	busy  int
}

func (s *shelf) Confirm(ctx context.Context, e envelope.Envelope) (Finding, error) {
	s.mu.Lock()
	s.busy++
	if s.busy > 1 {
		panic("two looks at the same time")
	}
	s.looks = append(s.looks, attempt{sample: e.SampleID, at: time.Now()})
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.busy--
	}()
	return s.find(ctx, e)
}

// of returns when it was looked for a sample, since start.
func (s *shelf) of(sample string, start time.Time) (list []time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, look := range s.looks {
		if look.sample == sample {
			list = append(list, look.at.Sub(start))
		}
	}
	return list
}

func (s *shelf) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.looks)
}

// library is a spool that is read back from a shelf.
type library struct {
	*bench
	*shelf
	clock func() bool
}

// readBack runs a test in fake time, on a real spool.
func readBack(t *testing.T, s *shelf, test func(t *testing.T, l *library)) {
	t.Helper()
	t.Parallel() // they mostly wait for the disk
	synctest.Test(t, func(t *testing.T) {
		l := &library{bench: newBench(t, &lims{}), shelf: s}
		l.reopen()
		test(t, l)
		if err := l.spool.Close(); err != nil {
			t.Error(err)
		}
	})
}

// reopen is the next start of the process.
func (l *library) reopen() {
	l.t.Helper()
	if err := l.spool.Close(); err != nil {
		l.t.Fatal(err)
	}
	settings := spool.Defaults()
	settings.Directory = l.directory
	var err error
	l.spool, err = spool.Open(l.t.Context(), settings, spool.Options{
		Destinations: []spool.Destination{{Name: "lims", Confirm: true}}, ClockSet: l.clock,
	})
	if err != nil {
		l.t.Fatal(err)
	}
}

// read reads back until the returned function is called.
func (l *library) read() (stop func()) {
	ctx, cancel := context.WithCancel(l.t.Context())
	done := make(chan error, 1)
	go func() {
		done <- ReadBack(ctx, l.spool, "lims", l.shelf, ReadBackOptions{After: 10 * time.Minute, Log: l.options.Log, Progress: l.options.Progress})
	}()
	return sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			l.t.Errorf("ReadBack: %v", err)
		}
	})
}

// deliver stores samples, each in a lane of its own, and delivers them.
func (l *library) deliver(samples ...string) {
	l.t.Helper()
	for _, sample := range samples {
		l.put(sample, sample)
	}
	stop := l.start()
	synctest.Wait()
	stop()
}

func (l *library) want(sample string, state spool.State, reason string) {
	l.t.Helper()
	if d := l.state(sample); d.State != state || d.Reason != reason {
		l.t.Errorf("%s is %s (%s), want %s (%s)", sample, d.State, d.Reason, state, reason)
	}
}

func (l *library) awaiting() int {
	l.t.Helper()
	list, err := l.spool.Awaiting(l.t.Context(), "lims", 0, 100_000)
	if err != nil {
		l.t.Fatal(err)
	}
	return len(list)
}

// TestReadBack has each thing that can be seen of a delivered message.
func TestReadBack(t *testing.T) {
	var start time.Time
	s := &shelf{find: func(_ context.Context, e envelope.Envelope) (Finding, error) {
		switch e.SampleID {
		case "at once":
			return Finding{Note: "GLU is not ordered"}, nil
		case "late":
			if time.Since(start) > 30*time.Second {
				return Finding{}, nil
			}
		case "nothing":
			return Finding{Nothing: true}, nil
		case "panic":
			panic("a patient's name")
		}
		return Finding{Missing: []string{"GLU has no result", "K has no result"}}, nil
	}}
	readBack(t, s, func(t *testing.T, l *library) {
		start = time.Now()
		l.deliver("at once", "late", "nothing", "never", "panic")
		stop := l.read()
		time.Sleep(4 * time.Second)
		if n := s.count(); n > 0 {
			t.Errorf("%d looks within 4 s of the delivery", n)
		}
		time.Sleep(10 * time.Second)
		l.want("at once", spool.Confirmed, "GLU is not ordered")
		l.want("nothing", spool.Delivered, "")
		l.want("panic", spool.Delivered, "")
		l.want("late", spool.Delivered, "")
		time.Sleep(time.Minute)
		l.want("late", spool.Confirmed, "")
		time.Sleep(10*time.Minute - time.Since(start) - time.Second)
		l.want("never", spool.Delivered, "")
		time.Sleep(10 * time.Second)
		l.want("never", spool.Unconfirmed, "GLU has no result; K has no result")
		looks := s.of("never", start)
		if len(looks) < 6 || len(looks) > 10 || looks[len(looks)-1] < 10*time.Minute {
			t.Errorf("it was looked for %v after the delivery", looks)
		}
		for i := 1; i < len(looks)-1; i++ {
			if looks[i] < 2*looks[i-1]-time.Second {
				t.Errorf("the pauses do not grow: %v", looks)
			}
		}
		if n := l.awaiting(); n != 0 {
			t.Errorf("%d are awaited still", n)
		}
		seen := s.count()
		time.Sleep(time.Hour)
		if s.count() != seen {
			t.Errorf("%d looks for messages that are settled", s.count()-seen)
		}

		// A person sends it again, and it is looked for again.
		list, err := l.spool.List(t.Context(), spool.Filter{SampleID: "never"})
		if err != nil || len(list) != 1 {
			t.Fatal(list, err)
		}
		if err := l.spool.Retry(t.Context(), list[0].ID, "anna"); err != nil {
			t.Fatal(err)
		}
		start = time.Now()
		l.deliver()
		time.Sleep(5 * time.Minute)
		l.want("never", spool.Delivered, "")
		time.Sleep(6 * time.Minute)
		l.want("never", spool.Unconfirmed, "GLU has no result; K has no result")
		stop()
		if n := len(s.of("never", start)); n < 10 {
			t.Errorf("%d looks for it in all", n)
		}
		if strings.Contains(l.log.String(), "patient") {
			t.Error("the panic's text is in the log")
		}
		for line, want := range map[string]int{"results are confirmed": 2, "results that were delivered are missing": 2} {
			if n := strings.Count(l.log.String(), line); n != want {
				t.Errorf("%q is logged %d times, want %d", line, n, want)
			}
		}
	})
}

// TestReadBackOutage: a destination that cannot be asked says nothing about a
// message, however long that lasts.
func TestReadBackOutage(t *testing.T) {
	var down atomic.Bool
	s := &shelf{find: func(context.Context, envelope.Envelope) (Finding, error) {
		if down.Load() {
			return Finding{Missing: []string{"not to be believed"}}, fail(Transient)
		}
		return Finding{}, nil
	}}
	readBack(t, s, func(t *testing.T, l *library) {
		down.Store(true)
		l.deliver("one", "two", "three")
		stop := l.read()
		time.Sleep(2 * time.Hour)
		l.want("one", spool.Delivered, "")
		if n := s.count(); n < 20 || n > 60 {
			t.Errorf("%d looks in an outage of two hours", n)
		}
		down.Store(false)
		time.Sleep(longestWait + time.Minute)
		stop()
		for _, sample := range []string{"one", "two", "three"} {
			l.want(sample, spool.Confirmed, "")
		}
		if warnings, ends := strings.Count(l.log.String(), "cannot be read back at present"), strings.Count(l.log.String(), "can be read back again"); warnings != 1 || ends != 1 {
			t.Errorf("the outage was said %d times, its end %d times", warnings, ends)
		}
	})
}

// TestReadBackAfterARestart: how long it is since the delivery is known after a
// restart, and one look is enough then.
func TestReadBackAfterARestart(t *testing.T) {
	s := &shelf{find: func(context.Context, envelope.Envelope) (Finding, error) {
		return Finding{Missing: []string{"GLU has no result"}}, nil
	}}
	readBack(t, s, func(t *testing.T, l *library) {
		l.deliver("old")
		time.Sleep(9 * time.Minute)
		l.reopen()
		stop := l.read()
		time.Sleep(30 * time.Second)
		l.want("old", spool.Delivered, "")
		stop()
		time.Sleep(time.Minute)
		l.reopen()
		stop = l.read()
		defer stop()
		time.Sleep(10 * time.Second)
		l.want("old", spool.Unconfirmed, "GLU has no result")
	})
}

// TestReadBackWithoutAClock: what is not known to be long ago was just
// delivered.
func TestReadBackWithoutAClock(t *testing.T) {
	s := &shelf{find: func(context.Context, envelope.Envelope) (Finding, error) {
		return Finding{Missing: []string{"GLU has no result"}}, nil
	}}
	readBack(t, s, func(t *testing.T, l *library) {
		l.clock = func() bool { return false }
		l.reopen()
		l.deliver("one")
		stop := l.read()
		defer stop()
		time.Sleep(9 * time.Minute)
		l.want("one", spool.Delivered, "")
		if n := s.count(); n < 5 {
			t.Errorf("%d looks", n)
		}
		time.Sleep(2 * time.Minute)
		l.want("one", spool.Unconfirmed, "GLU has no result")
	})
}

// TestMayNotRead: that is said once, what waited stays delivered, and nothing is
// asked again until the next start.
func TestMayNotRead(t *testing.T) {
	var may atomic.Bool
	s := &shelf{find: func(context.Context, envelope.Envelope) (Finding, error) {
		if !may.Load() {
			return Finding{}, fmt.Errorf("search: 403: %w", ErrMayNotRead)
		}
		return Finding{}, nil
	}}
	readBack(t, s, func(t *testing.T, l *library) {
		l.deliver("one", "two")
		stop := l.read()
		time.Sleep(time.Minute)
		l.deliver("three")
		time.Sleep(time.Hour)
		stop()
		for _, sample := range []string{"one", "two", "three"} {
			l.want(sample, spool.Delivered, "")
		}
		if s.count() != 1 || l.awaiting() != 0 {
			t.Errorf("%d looks, %d awaited", s.count(), l.awaiting())
		}
		if n := strings.Count(l.log.String(), "level=WARN"); n != 1 {
			t.Errorf("it was said %d times", n)
		}
		status, err := l.spool.Status(t.Context())
		if err != nil || status.Destinations[0].Unread != ErrMayNotRead.Error() {
			t.Errorf("status: %+v (%v)", status.Destinations, err)
		}
		may.Store(true)
		l.reopen()
		l.deliver("four")
		stop = l.read()
		defer stop()
		time.Sleep(time.Minute)
		l.want("four", spool.Confirmed, "")
		l.want("one", spool.Delivered, "")
	})
}

// TestReadBackPace: a backlog is not read back faster than the destination can
// bear, however slow it is, and every message has its turn.
func TestReadBackPace(t *testing.T) {
	var took atomic.Int64
	s := &shelf{find: func(context.Context, envelope.Envelope) (Finding, error) {
		time.Sleep(time.Duration(took.Load()))
		return Finding{}, nil
	}}
	readBack(t, s, func(t *testing.T, l *library) {
		const backlog = 300
		var samples []string
		for i := range backlog {
			samples = append(samples, fmt.Sprintf("%03d", i))
		}
		l.deliver(samples...)
		time.Sleep(time.Hour)
		stop := l.read()
		time.Sleep(10 * time.Second)
		if n := s.count(); n < 35 || n > 41 {
			t.Errorf("%d looks in 10 s at a destination that answers at once", n)
		}
		took.Store(int64(time.Second))
		before := s.count()
		time.Sleep(time.Minute)
		if n := s.count() - before; n < 18 || n > 21 {
			t.Errorf("%d looks in a minute at one that takes a second", n)
		}
		took.Store(0)
		time.Sleep(5 * time.Minute)
		stop()
		var order []string
		for _, look := range s.looks {
			order = append(order, look.sample)
		}
		if !slices.Equal(order, samples) {
			t.Errorf("looked for %d samples, want %d, the oldest first", len(order), backlog)
		}
	})
}

// TestReadBackOfWhatIsGone: a message that was damaged meanwhile, or decided,
// is not looked for.
func TestReadBackOfWhatIsGone(t *testing.T) {
	s := &shelf{find: func(context.Context, envelope.Envelope) (Finding, error) { return Finding{}, nil }}
	readBack(t, s, func(t *testing.T, l *library) {
		l.deliver("damaged", "moved")
		corrupt(t, l.directory, "UPDATE messages SET raw = 'x' WHERE sample_id = 'damaged'")
		// Whoever else can decide: the delivery is not one any more.
		corrupt(t, l.directory, "UPDATE deliveries SET state = 'parked' WHERE seq = 2")
		stop := l.read()
		time.Sleep(time.Minute)
		stop()
		if s.count() != 0 || l.awaiting() != 0 {
			t.Errorf("%d looks, %d awaited", s.count(), l.awaiting())
		}
	})
}

// TestReadBackIsCutOff: the end of the process waits for no look, and a look
// that was cut off is no verdict.
func TestReadBackIsCutOff(t *testing.T) {
	s := &shelf{find: func(ctx context.Context, _ envelope.Envelope) (Finding, error) {
		<-ctx.Done()
		return Finding{Missing: []string{"everything"}}, nil
	}}
	readBack(t, s, func(t *testing.T, l *library) {
		l.deliver("one")
		time.Sleep(time.Hour)
		stop := l.read()
		time.Sleep(time.Minute)
		if time.Since(l.lastBeat()) > progressEvery {
			t.Error("no progress is reported during a slow look")
		}
		start := time.Now()
		stop()
		if took := time.Since(start); took > 0 {
			t.Errorf("the end took %s", took)
		}
		l.want("one", spool.Delivered, "")
		if l.awaiting() != 1 {
			t.Error("it is not awaited any more")
		}
	})
}

func TestReadBackOfAClosedSpool(t *testing.T) {
	b := newBench(t, &lims{})
	if err := b.spool.Close(); err != nil {
		t.Fatal(err)
	}
	if err := ReadBack(t.Context(), b.spool, "lims", &shelf{}, ReadBackOptions{}); !errors.Is(err, spool.ErrClosed) {
		t.Errorf("ReadBack: %v, want %v", err, spool.ErrClosed)
	}
}

func TestMissing(t *testing.T) {
	long := strings.Repeat("ü", 200)
	if got := missing([]string{"GLU", long}); len(got) > 150 || !strings.HasPrefix(got, "GLU; üü") || strings.Contains(got, "\uFFFD") {
		t.Errorf("%q", got)
	}
	many := slices.Repeat([]string{"GLU has no result"}, 400)
	if got := missing(many); !strings.HasSuffix(got, "; and 390 more") || strings.Count(got, "GLU") != 10 {
		t.Errorf("%q", got)
	}
}
