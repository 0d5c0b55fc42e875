package uplink

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/assaygate/assaygate/envelope"
	"github.com/assaygate/assaygate/envelope/spool"
)

func TestDeliversInOrderWithinALane(t *testing.T) {
	l := &lims{}
	bubble(t, l, func(t *testing.T, b *bench) {
		for i := range 5 {
			b.put("a", fmt.Sprint("a", i))
			b.put("b", fmt.Sprint("b", i))
		}
		stop := b.start()
		synctest.Wait()
		time.Sleep(time.Second)
		b.put("a", "late")
		time.Sleep(time.Second)
		stop()
		want := []string{"a0", "b0", "a1", "b1", "a2", "b2", "a3", "b3", "a4", "b4", "late"}
		if got := l.took(); !slices.Equal(got, want) {
			t.Errorf("taken: %q, want %q", got, want)
		}
		if s := b.state("a3"); s.State != spool.Delivered {
			t.Errorf("a3 is %s", s.State)
		}
	})
}

func TestOutage(t *testing.T) {
	var down atomic.Bool
	down.Store(true)
	l := &lims{answer: func(context.Context, envelope.Envelope) error {
		if down.Load() {
			return errors.New("connection refused")
		}
		return nil
	}}
	bubble(t, l, func(t *testing.T, b *bench) {
		for lane := range 10 {
			for i := range 3 {
				b.put(fmt.Sprint("lane", lane), fmt.Sprintf("%d-%d", lane, i))
			}
		}
		stop := b.start()
		time.Sleep(time.Hour)
		outage := l.count()
		if outage < 60/5 || outage > 60/4+12 {
			t.Errorf("%d attempts in an hour", outage)
		}
		for i := 1; i < outage; i++ {
			gap := l.attempts[i].at.Sub(l.attempts[i-1].at)
			if want := min(firstWait<<min(i-1, 10), longestWait); gap < max(firstWait, want*3/4-time.Second) || gap > longestWait+time.Second {
				t.Errorf("attempt %d came %s after the one before", i, gap)
			}
		}
		down.Store(false)
		time.Sleep(longestWait + time.Minute)
		stop()
		if got := len(l.took()); got != 30 {
			t.Errorf("%d taken in the minutes after the outage", got)
		}
		if s := b.state("0-0"); s.Refusals != 0 || s.State != spool.Delivered {
			t.Errorf("after the outage: %+v", s)
		}
		if n := strings.Count(b.log.String(), "level=WARN"); n != 1 {
			t.Errorf("the outage was said %d times:\n%s", n, b.log.String())
		}
	})
}

// TestPoison has one message refused among lanes that go on: it is parked
// once the others have proven five times that it is the cause, and its lane goes
// on.
func TestPoison(t *testing.T) {
	l := &lims{answer: func(_ context.Context, e envelope.Envelope) error {
		if e.SampleID == "poison" {
			return fail(Refusal)
		}
		return nil
	}}
	bubble(t, l, func(t *testing.T, b *bench) {
		b.put("bad", "poison")
		b.put("bad", "next")
		for i := range 50 {
			b.put(fmt.Sprint("good", i%19), fmt.Sprint(i))
		}
		stop := b.start()
		synctest.Wait()
		time.Sleep(500 * time.Millisecond)
		if got := len(l.took()); got != 50 {
			t.Errorf("%d of 50 good ones taken at once", got)
		}
		for i := range 10 { // others keep coming
			time.Sleep(time.Minute)
			b.put("good", fmt.Sprint("later", i))
		}
		time.Sleep(time.Minute)
		stop()
		if n := len(l.of("poison")); n < 5 || n > 15 {
			t.Errorf("%d attempts", n)
		}
		if s := b.state("poison"); s.State != spool.Parked || s.Reason != "refused 5 times: a failure that is refused" {
			t.Errorf("poison: %+v", s)
		}
		if s := b.state("next"); s.State != spool.Delivered {
			t.Errorf("next: %+v", s)
		}
	})
}

// TestUnwell has every message refused for an hour: none is parked.
func TestUnwell(t *testing.T) {
	var unwell atomic.Bool
	unwell.Store(true)
	l := &lims{answer: func(context.Context, envelope.Envelope) error {
		if unwell.Load() {
			return fail(Refusal)
		}
		return nil
	}}
	bubble(t, l, func(t *testing.T, b *bench) {
		for i := range 20 {
			b.put(fmt.Sprint("lane", i), fmt.Sprint(i))
		}
		stop := b.start()
		time.Sleep(time.Hour)
		if n := l.count(); n < 60/5 || n > 60/4+30 {
			t.Errorf("%d attempts in an hour", n)
		}
		for i := range 20 {
			if s := b.state(fmt.Sprint(i)); s.State != spool.Pending || s.Refusals > 1 || s.Attempts == 0 {
				t.Errorf("%d: %+v", i, s)
			}
		}
		unwell.Store(false)
		time.Sleep(longestWait + time.Minute)
		stop()
		if got := len(l.took()); got != 20 {
			t.Errorf("%d taken", got)
		}
	})
	if len(l.probes) != 0 {
		t.Errorf("%d probes, though other lanes had something to send", len(l.probes))
	}
}

// TestAlone has the only message there is refused: the probe stands for the
// other message, at most once in 15 minutes.
func TestAlone(t *testing.T) {
	var well atomic.Bool
	l := &lims{
		answer: func(_ context.Context, e envelope.Envelope) error {
			if e.SampleID == "poison" {
				return fail(Refusal)
			}
			return nil
		},
		probe: func() error {
			if !well.Load() {
				return errors.New("no answer")
			}
			return nil
		},
	}
	bubble(t, l, func(t *testing.T, b *bench) {
		b.put("only", "poison")
		b.put("only", "next")
		stop := b.start()
		time.Sleep(time.Hour)
		if s := b.state("poison"); s.State != spool.Pending || s.Refusals != 1 {
			t.Errorf("while the probe fails: %+v", s)
		}
		well.Store(true)
		time.Sleep(44 * time.Minute)
		if s := b.state("poison"); s.State != spool.Pending || s.Refusals < 3 {
			t.Errorf("after 44 minutes: %+v", s)
		}
		time.Sleep(30 * time.Minute)
		stop()
		if s := b.state("poison"); s.State != spool.Parked {
			t.Errorf("in the end: %+v", s)
		}
		if s := b.state("next"); s.State != spool.Delivered {
			t.Errorf("next: %+v", s)
		}
	})
}

// TestRefusalsOfAnEarlierProcess: what was taken before a restart is no proof
// after it.
func TestRefusalsOfAnEarlierProcess(t *testing.T) {
	l := &lims{
		answer: func(_ context.Context, e envelope.Envelope) error { return fail(Refusal) },
		probe:  func() error { return errors.New("no answer") },
	}
	bubble(t, l, func(t *testing.T, b *bench) {
		b.put("only", "poison")
		for range 3 {
			stop := b.start()
			time.Sleep(20 * time.Minute)
			stop()
		}
		if s := b.state("poison"); s.State != spool.Pending || s.Refusals != 1 {
			t.Errorf("poison: %+v", s)
		}
	})
}

func TestInvalid(t *testing.T) {
	l := &lims{answer: func(_ context.Context, e envelope.Envelope) error {
		if strings.HasPrefix(e.SampleID, "bad") {
			return fail(Invalid)
		}
		return nil
	}}
	bubble(t, l, func(t *testing.T, b *bench) {
		b.put("a", "bad")
		b.put("a", "good")
		stop := b.start()
		time.Sleep(time.Millisecond)
		synctest.Wait()
		if s := b.state("bad"); s.State != spool.Parked || s.Reason != "a failure that is invalid" {
			t.Errorf("bad: %+v", s)
		}
		if s := b.state("good"); s.State != spool.Delivered {
			t.Errorf("good: %+v", s)
		}
		// A destination that calls everything invalid gets slower and slower.
		for i := range 100 {
			b.put("a", fmt.Sprint("bad", i))
		}
		before := l.count()
		time.Sleep(time.Hour)
		stop()
		if n := l.count() - before; n < 12 || n > 30 {
			t.Errorf("%d messages parked in an hour", n)
		}
	})
}

func TestHold(t *testing.T) {
	var held atomic.Bool
	held.Store(true)
	l := &lims{answer: func(context.Context, envelope.Envelope) error {
		if held.Load() {
			return &Failure{Kind: Hold, Err: errors.New("the password is wrong")}
		}
		return nil
	}}
	bubble(t, l, func(t *testing.T, b *bench) {
		b.options.InFlight = 4
		for i := range 6 {
			b.put(fmt.Sprint("lane", i), fmt.Sprint(i))
		}
		stop := b.start()
		time.Sleep(2*time.Minute + 30*time.Second)
		first := l.count()
		if first > 4 {
			t.Errorf("%d attempts at first", first)
		}
		time.Sleep(time.Hour)
		if n := l.count() - first; n != 12 {
			t.Errorf("%d requests in an hour", n)
		}
		status, err := b.spool.Status(t.Context())
		if err != nil || status.Destinations[0].Held != "the password is wrong" {
			t.Errorf("status: %+v, error %v", status.Destinations, err)
		}
		held.Store(false)
		time.Sleep(5 * time.Minute)
		stop()
		if got := len(l.took()); got != 6 {
			t.Errorf("%d taken", got)
		}
		if want := []string{"", "the password is wrong", ""}; !slices.Equal(b.held, want) {
			t.Errorf("held: %q, want %q", b.held, want)
		}
		if n := strings.Count(b.log.String(), "messages are held until"); n != 1 {
			t.Errorf("the hold was said %d times", n)
		}
	})
}

// TestScopedHold holds the messages for one receiver: those for another go on.
func TestScopedHold(t *testing.T) {
	var missing atomic.Bool
	missing.Store(true)
	l := &lims{
		scope: func(e envelope.Envelope) string { return e.SampleID[:3] },
		answer: func(_ context.Context, e envelope.Envelope) error {
			if missing.Load() && strings.HasPrefix(e.SampleID, "hl7") {
				return &Failure{Kind: Hold, Scope: "hl7", Err: errors.New("no receiver hl7")}
			}
			return nil
		},
	}
	bubble(t, l, func(t *testing.T, b *bench) {
		for i := range 10 {
			b.put(fmt.Sprint("hl7-", i), fmt.Sprint("hl7-", i))
			b.put(fmt.Sprint("lis-", i), fmt.Sprint("lis-", i))
		}
		stop := b.start()
		time.Sleep(time.Second)
		if got := len(l.took()); got != 10 {
			t.Errorf("%d taken at once", got)
		}
		if n := l.count() - 10; n != 1 {
			t.Errorf("%d requests for the held scope", n)
		}
		time.Sleep(time.Hour)
		if n := l.count() - 10; n != 13 {
			t.Errorf("%d requests for the held scope in an hour", n)
		}
		b.put("lis-3", "lis-late")
		time.Sleep(time.Second)
		if got := len(l.took()); got != 11 {
			t.Errorf("%d taken", got)
		}
		missing.Store(false)
		time.Sleep(5 * time.Minute)
		stop()
		if got := len(l.took()); got != 21 {
			t.Errorf("%d taken in the end", got)
		}
		if want := []string{"", "no receiver hl7", ""}; !slices.Equal(b.held, want) {
			t.Errorf("held: %q, want %q", b.held, want)
		}
	})
}

// TestSlowPoison has messages that let the destination hang: they cost one
// time-out each now and then, and the other lanes go on.
func TestSlowPoison(t *testing.T) {
	l := &lims{answer: func(_ context.Context, e envelope.Envelope) error {
		if strings.HasPrefix(e.SampleID, "hang") {
			time.Sleep(time.Minute)
			return fail(Unknown)
		}
		return nil
	}}
	bubble(t, l, func(t *testing.T, b *bench) {
		b.put("a", "hang1")
		b.put("b", "hang2")
		for i := range 100 {
			b.put(fmt.Sprint("lane", i%60), fmt.Sprint(i))
		}
		stop := b.start()
		time.Sleep(20 * time.Minute)
		if got := len(l.took()); got != 100 {
			t.Errorf("%d taken", got)
		}
		stop()
		s := b.state("hang1")
		if s.State != spool.Pending || s.Refusals != 0 || s.Reason != "it may have been taken: a failure that is unknown" {
			t.Errorf("hang1: %+v", s)
		}
	})
}

func TestProgress(t *testing.T) {
	release := make(chan struct{})
	l := &lims{answer: func(ctx context.Context, e envelope.Envelope) error {
		switch e.SampleID {
		case "slow":
			time.Sleep(3 * time.Minute)
		case "stuck":
			<-release
		}
		return nil
	}}
	longest := func(b *bench) time.Duration {
		b.mu.Lock()
		defer b.mu.Unlock()
		var most time.Duration
		for i := 1; i < len(b.beats); i++ {
			most = max(most, b.beats[i].Sub(b.beats[i-1]))
		}
		return max(most, time.Since(b.beats[len(b.beats)-1]))
	}
	synctest.Test(t, func(t *testing.T) {
		release = make(chan struct{})
		b := newBench(t, l)
		stop := b.start()
		time.Sleep(10 * time.Minute)
		b.put("a", "slow")
		time.Sleep(10 * time.Minute)
		if d := longest(b); d > 10*time.Second {
			t.Errorf("no progress for %s", d)
		}
		b.put("a", "stuck")
		time.Sleep(10 * time.Minute)
		if d := longest(b); d < 4*time.Minute {
			t.Errorf("a stuck delivery is hidden: no progress for %s only", d)
		}
		close(release)
		stop()
		if err := b.spool.Close(); err != nil {
			t.Error(err)
		}
	})
}

// TestGrace lets a delivery in progress finish when Run is told to end, and
// notes it.
func TestGrace(t *testing.T) {
	l := &lims{answer: func(ctx context.Context, e envelope.Envelope) error {
		select {
		case <-time.After(3 * time.Second):
			return nil
		case <-ctx.Done():
			return &Failure{Kind: Unknown, Err: ctx.Err()}
		}
	}}
	bubble(t, l, func(t *testing.T, b *bench) {
		b.put("a", "one")
		b.put("a", "two")
		b.options.Grace = 5 * time.Second
		stop := b.start()
		time.Sleep(time.Second)
		stop()
		if s := b.state("one"); s.State != spool.Delivered {
			t.Errorf("one: %+v", s)
		}
		if s := b.state("two"); s.State != spool.Pending || s.Attempts != 0 {
			t.Errorf("two: %+v", s)
		}
		b.options.Grace = time.Second
		stop = b.start()
		time.Sleep(time.Second)
		start := time.Now()
		stop()
		if took := time.Since(start); took != time.Second {
			t.Errorf("the end took %s", took)
		}
		if s := b.state("two"); s.State != spool.Pending || s.Attempts != 1 {
			t.Errorf("two: %+v", s)
		}
	})
}

func TestInFlight(t *testing.T) {
	l := &lims{answer: func(_ context.Context, e envelope.Envelope) error {
		time.Sleep(time.Second)
		if e.SampleID == "panic" {
			panic("a patient's name")
		}
		return nil
	}}
	bubble(t, l, func(t *testing.T, b *bench) {
		b.options.InFlight = 3
		b.put("x", "panic")
		for i := range 12 {
			b.put(fmt.Sprint("lane", i%4), fmt.Sprint(i))
		}
		stop := b.start()
		time.Sleep(8 * time.Second)
		stop()
		if got := len(l.took()); got != 12 || l.mostBusy != 3 {
			t.Errorf("%d taken, %d at once at most", got, l.mostBusy)
		}
		for lane := range 4 {
			of := func(sample string) bool { return sample == fmt.Sprint(lane) }
			took := l.took()
			if a, b, c := slices.IndexFunc(took, of), slices.Index(took, fmt.Sprint(lane+4)), slices.Index(took, fmt.Sprint(lane+8)); a > b || b > c {
				t.Errorf("lane %d is out of order: %q", lane, took)
			}
		}
		if s := b.state("panic"); s.State != spool.Parked {
			t.Errorf("panic: %+v", s)
		}
		if strings.Contains(b.log.String(), "patient") {
			t.Error("the panic's text is in the log")
		}
		for _, result := range b.results {
			if !slices.Contains(Results(), result) {
				t.Errorf("result %q is not one of Results", result)
			}
		}
	})
}

// TestClosedSpool: without the store there is nothing to deliver from.
func TestClosedSpool(t *testing.T) {
	b := newBench(t, &lims{})
	if err := b.spool.Close(); err != nil {
		t.Fatal(err)
	}
	if err := Run(t.Context(), b.spool, b.lims, Options{}); !errors.Is(err, spool.ErrClosed) {
		t.Errorf("Run: %v, want %v", err, spool.ErrClosed)
	}
}

func TestBackOff(t *testing.T) {
	for failures := range 100 {
		for range 50 {
			wait := backOff(failures)
			if wait < firstWait || wait > longestWait {
				t.Fatalf("after %d failures: %s", failures, wait)
			}
			if failures > 11 && wait < longestWait*3/4 {
				t.Fatalf("after %d failures: %s", failures, wait)
			}
		}
	}
}
