package uplink

import (
	"context"
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

// crowd is a lims that takes several messages in a request, one after the other
// as SENAITE does: the first one that is refused ends it, and those before it
// stay. What is invalid is not even begun.
type crowd struct {
	*lims
	batch int
	fits  int // how many fit into a request; 0: all
	// together answers for a request as a whole; nil: nil.
	together func(list []envelope.Envelope) error

	requests [][]string
	wrong    int      // messages of another scope, out of order, or too many
	stayed   []string // taken by a request that was refused
}

func (c *crowd) Batch() int { return c.batch }

func (c *crowd) Deliver(ctx context.Context, e envelope.Envelope) error {
	c.mu.Lock()
	c.requests = append(c.requests, []string{e.SampleID})
	c.mu.Unlock()
	return c.lims.Deliver(ctx, e)
}

func (c *crowd) DeliverAll(ctx context.Context, list []envelope.Envelope) (int, error) {
	if c.fits > 0 {
		list = list[:min(len(list), c.fits)]
	}
	c.mu.Lock()
	var samples []string
	for i, e := range list {
		samples = append(samples, e.SampleID)
		if c.Scope(e) != c.Scope(list[0]) || i > 0 && e.Sequence <= list[i-1].Sequence || len(list) > c.batch {
			c.wrong++
		}
	}
	c.requests = append(c.requests, samples)
	c.mu.Unlock()
	if c.together != nil {
		if err := c.together(list); err != nil {
			return len(list), err
		}
	}
	at := time.Now()
	for i, e := range list {
		if c.answer != nil {
			if err := c.answer(ctx, e); err != nil {
				if failure(err).Kind == Refusal {
					c.mu.Lock()
					c.stayed = append(c.stayed, samples[:i]...)
					c.mu.Unlock()
				}
				return len(list), err
			}
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, sample := range samples {
		c.attempts = append(c.attempts, attempt{sample: sample, at: at})
	}
	return len(list), nil
}

// sent are the requests, each with its samples.
func (c *crowd) sent() [][]string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.requests)
}

// sizes are how many messages each request had.
func (c *crowd) sizes() (list []int) {
	for _, samples := range c.sent() {
		list = append(list, len(samples))
	}
	return list
}

// batches runs a test in fake time, on a real spool.
func batches(t *testing.T, c *crowd, test func(t *testing.T, b *bench)) {
	t.Helper()
	bubble(t, c.lims, func(t *testing.T, b *bench) {
		b.to = c
		test(t, b)
		if c.wrong > 0 {
			t.Errorf("%d messages that do not go with those before them: %q", c.wrong, c.sent())
		}
	})
}

// fillLanes puts n messages into each lane, turn by turn: a0 b0 a1 b1 ...
func (b *bench) fillLanes(n int, lanes ...string) {
	b.t.Helper()
	for i := range n {
		for _, lane := range lanes {
			b.put(lane, fmt.Sprint(lane, i))
		}
	}
}

// wantLanes expects that every message of the lanes was taken once and in order.
func (b *bench) wantLanes(n int, lanes ...string) {
	b.t.Helper()
	took := b.lims.took()
	for _, lane := range lanes {
		var got, want []string
		for _, sample := range took {
			if strings.HasPrefix(sample, lane) {
				got = append(got, sample)
			}
		}
		for i := range n {
			want = append(want, fmt.Sprint(lane, i))
		}
		if !slices.Equal(got, want) {
			b.t.Errorf("of lane %s %q was taken, want %q", lane, got, want)
		}
	}
}

func TestBatch(t *testing.T) {
	for _, test := range []struct {
		lanes    []string
		messages int // of each
		inFlight int
		fits     int
		want     []int
	}{
		{lanes: []string{"a"}, messages: 25, want: []int{10, 10, 5}},
		{lanes: []string{"a", "b", "c"}, messages: 6, want: []int{9, 9}},
		{lanes: []string{"a"}, messages: 7, fits: 3, want: []int{3, 3, 1}},
		{lanes: strings.Split("abcdefghijklm", ""), messages: 1, want: []int{10, 3}},
		{lanes: strings.Split("abcdefghijkl", ""), messages: 5, inFlight: 4, want: []int{9, 9, 9, 9, 6, 6, 6, 6}},
	} {
		t.Run(fmt.Sprint(test), func(t *testing.T) {
			c := &crowd{lims: &lims{}, batch: 10, fits: test.fits}
			batches(t, c, func(t *testing.T, b *bench) {
				b.options.InFlight = test.inFlight
				b.fillLanes(test.messages, test.lanes...)
				stop := b.start()
				synctest.Wait()
				b.wantLanes(test.messages, test.lanes...)
				if got := c.sizes(); !slices.Equal(got, test.want) {
					t.Errorf("requests with %v messages, want %v", got, test.want)
				}
				// What comes alone goes alone.
				b.put("a", "lone")
				synctest.Wait()
				stop()
				if got := c.sizes(); got[len(got)-1] != 1 || b.state("lone").State != spool.Delivered {
					t.Errorf("the lone one: %v", got)
				}
				if got := len(b.results); got != test.messages*len(test.lanes)+1 {
					t.Errorf("%d attempts are counted", got)
				}
			})
		})
	}
}

// TestBatchScopes: the messages of one request have one receiver, and a lane
// with several is in order all the same.
func TestBatchScopes(t *testing.T) {
	c := &crowd{lims: &lims{scope: func(e envelope.Envelope) string { return e.SampleID[len(e.SampleID)-1:] }}, batch: 10}
	batches(t, c, func(t *testing.T, b *bench) {
		for i := range 9 {
			b.put("a", fmt.Sprint("a", i, "xxxyyxyyy"[i:i+1]))
			b.put("b", fmt.Sprint("b", i, "x"))
		}
		stop := b.start()
		synctest.Wait()
		stop()
		var lane []string
		for _, sample := range c.took() {
			if sample[0] == 'a' {
				lane = append(lane, sample)
			}
		}
		if want := []string{"a0x", "a1x", "a2x", "a3y", "a4y", "a5x", "a6y", "a7y", "a8y"}; !slices.Equal(lane, want) {
			t.Errorf("lane a: %q", lane)
		}
		if len(c.took()) != 18 || len(c.sent()) > 8 {
			t.Errorf("%d taken by %q", len(c.took()), c.sent())
		}
	})
}

// TestPoisonInABatch: the one message that is the cause is found and parked by
// the same rule as ever. Its lane waits behind it and goes on behind it; the
// others go on at once, and nobody else is blamed.
func TestPoisonInABatch(t *testing.T) {
	for _, kind := range []Kind{Refusal, Invalid} {
		t.Run(string(kind), func(t *testing.T) {
			c := &crowd{lims: &lims{answer: func(_ context.Context, e envelope.Envelope) error {
				if e.SampleID == "c2" {
					return fail(kind)
				}
				return nil
			}}, batch: 16}
			batches(t, c, func(t *testing.T, b *bench) {
				lanes := strings.Split("abcdefgh", "")
				b.fillLanes(6, lanes...)
				stop := b.start()
				time.Sleep(20 * time.Second)
				b.wantLanes(6, "a", "b", "d", "e", "f", "g", "h")
				if n := len(c.sent()); n > 25 {
					t.Errorf("%d requests for 48 messages: %q", n, c.sent())
				}
				if kind == Refusal {
					if s := b.state("c2"); s.State != spool.Pending || s.Refusals == 0 {
						t.Errorf("the cause: %+v", s)
					}
					if s := b.state("c3"); s.State != spool.Pending {
						t.Errorf("behind it: %+v", s)
					}
				}
				for i := range 10 { // others keep coming
					b.put("late", fmt.Sprint("late", i))
					time.Sleep(time.Minute)
				}
				stop()
				b.wantLanes(10, "late")
				if s := b.state("c2"); s.State != spool.Parked || kind == Refusal && !strings.HasPrefix(s.Reason, "refused 5 times: ") {
					t.Errorf("the cause: %+v", s)
				}
				for _, sample := range []string{"c0", "c1", "c3", "c4", "c5"} {
					if s := b.state(sample); s.State != spool.Delivered || s.Refusals != 0 {
						t.Errorf("%s: %+v", sample, s)
					}
				}
				for _, sample := range c.stayed {
					if s := b.state(sample); s.State == spool.Delivered && s.Reason != repeated {
						t.Errorf("%s was taken by a request that was refused, and nothing says so: %+v", sample, s)
					}
				}
				if (len(c.stayed) > 0) != (kind == Refusal) {
					t.Errorf("requests that were refused took %q", c.stayed)
				}
			})
		})
	}
}

// TestPoisonDelaysNoOtherLane: few lanes go together in every part, so none is
// taken before the cause is alone. Nobody waits longer than without batches.
func TestPoisonDelaysNoOtherLane(t *testing.T) {
	for _, kind := range []Kind{Refusal, Invalid} {
		t.Run(string(kind), func(t *testing.T) {
			c := &crowd{lims: &lims{answer: func(_ context.Context, e envelope.Envelope) error {
				if e.SampleID == "poison" {
					return fail(kind)
				}
				return nil
			}}, batch: 100}
			batches(t, c, func(t *testing.T, b *bench) {
				b.put("bad", "poison")
				b.fillLanes(40, "a")
				stop := b.start()
				time.Sleep(4 * time.Second)
				b.wantLanes(40, "a")
				for _, sample := range []string{"a0", "a39"} {
					if s := b.state(sample); s.Refusals != 0 {
						t.Errorf("%s: %+v", sample, s)
					}
				}
				stop()
			})
		})
	}
}

// TestUnwellWithManyLanes: each lane's part of a batch is another one to halve,
// and a destination that refuses everything is not asked for each of them at once.
func TestUnwellWithManyLanes(t *testing.T) {
	c := &crowd{lims: &lims{}, batch: 16}
	var now, shared atomic.Int32 // requests at this time, and those that were not alone
	c.together = func([]envelope.Envelope) error {
		defer now.Add(-1)
		if now.Add(1) > 1 {
			shared.Add(1)
		}
		time.Sleep(time.Millisecond)
		return fail(Refusal)
	}
	batches(t, c, func(t *testing.T, b *bench) {
		for lane := range 200 {
			b.put(fmt.Sprint("lane", lane), fmt.Sprint(lane))
		}
		b.options.InFlight = 4
		stop := b.start()
		time.Sleep(time.Minute)
		stop()
		if n := len(c.sent()); n > 20 {
			t.Errorf("%d requests in a minute", n)
		}
		if n := shared.Load(); n != 3 {
			t.Errorf("%d requests went beside another, want those of the first round only", n)
		}
	})
}

// TestHalvesTakeTurns: what may well be taken comes between the parts in which
// the cause is looked for, so that nothing waits for the end of that.
func TestHalvesTakeTurns(t *testing.T) {
	c := &crowd{lims: &lims{answer: func(_ context.Context, e envelope.Envelope) error {
		if e.SampleID == "a0" {
			return fail(Refusal)
		}
		return nil
	}}, batch: 16}
	batches(t, c, func(t *testing.T, b *bench) {
		b.fillLanes(1, strings.Split("abcdefghijklmnop", "")...)
		stop := b.start()
		time.Sleep(30 * time.Second)
		stop()
		if got := len(c.took()); got != 15 {
			t.Errorf("%d taken", got)
		}
		alone := slices.IndexFunc(c.sent(), func(samples []string) bool { return len(samples) == 1 })
		for i := range c.sent()[2:alone] {
			if !slices.ContainsFunc(c.sent()[i:i+3], func(samples []string) bool { return samples[0] != "a0" }) {
				t.Errorf("the part with the cause three times in a row: %q", c.sent())
			}
		}
	})
}

// TestPoisonInALongLane has one lane only, so nothing else can prove that the
// destination is well while its messages are tried in ever smaller parts.
func TestPoisonInALongLane(t *testing.T) {
	c := &crowd{lims: &lims{answer: func(_ context.Context, e envelope.Envelope) error {
		if e.SampleID == "a37" {
			return fail(Refusal)
		}
		return nil
	}}, batch: 100}
	batches(t, c, func(t *testing.T, b *bench) {
		b.fillLanes(120, "a")
		stop := b.start()
		time.Sleep(5 * time.Minute)
		b.wantLanes(37, "a")
		if n := len(c.sent()); n > 30 {
			t.Errorf("%d requests in 5 minutes", n)
		}
		time.Sleep(2 * time.Hour)
		stop()
		if s := b.state("a37"); s.State != spool.Parked {
			t.Errorf("the cause: %+v", s)
		}
		if got := len(c.took()); got != 119 {
			t.Errorf("%d taken", got)
		}
	})
}

// TestUnwellWithBatches: a destination that refuses everything for an hour is
// not asked more often than without batches, and nothing is parked.
func TestUnwellWithBatches(t *testing.T) {
	for _, kind := range []Kind{Refusal, Transient} {
		t.Run(string(kind), func(t *testing.T) {
			var unwell atomic.Bool
			unwell.Store(true)
			c := &crowd{lims: &lims{answer: func(context.Context, envelope.Envelope) error {
				if unwell.Load() {
					return fail(kind)
				}
				return nil
			}}, batch: 50}
			batches(t, c, func(t *testing.T, b *bench) {
				lanes := strings.Split("abcdefghij", "")
				b.fillLanes(20, lanes...)
				stop := b.start()
				time.Sleep(time.Hour)
				sizes := c.sizes()
				if n := len(sizes); n < 60/5 || n > 60/4+40 {
					t.Errorf("%d requests in an hour", n)
				}
				if kind == Transient && slices.Max(sizes[1:]) > 1 {
					t.Errorf("whether it is there again was tried with %v messages", sizes[1:])
				}
				for _, lane := range lanes {
					for i := range 20 {
						if s := b.state(fmt.Sprint(lane, i)); s.State != spool.Pending || s.Refusals > 1 {
							t.Errorf("%s%d: %+v", lane, i, s)
						}
					}
				}
				unwell.Store(false)
				before := len(c.sent())
				time.Sleep(longestWait + time.Minute)
				stop()
				b.wantLanes(20, lanes...)
				if n := len(c.sent()) - before; n > 40 {
					t.Errorf("%d requests for 200 messages after the outage", n)
				}
			})
		})
	}
}

// TestBatchThatTakesTooLong: of a request without an answer every message may
// have been taken, and the next ones are smaller, until they are answered.
func TestBatchThatTakesTooLong(t *testing.T) {
	c := &crowd{lims: &lims{}, batch: 32}
	c.together = func(list []envelope.Envelope) error {
		if len(list) > 5 {
			time.Sleep(time.Minute)
			return fail(Unknown)
		}
		return nil
	}
	batches(t, c, func(t *testing.T, b *bench) {
		lanes := strings.Split("abcd", "")
		b.fillLanes(50, lanes...)
		stop := b.start()
		time.Sleep(20 * time.Minute)
		b.wantLanes(50, lanes...)
		var large int
		for _, n := range c.sizes() {
			if n > 5 {
				large++
			}
		}
		if large == 0 || large > 4 {
			t.Errorf("%d requests were not answered: %v", large, c.sizes())
		}
		for _, sample := range c.sent()[0] {
			if s := b.state(sample); s.Reason != repeated {
				t.Errorf("%s: %+v", sample, s)
			}
		}
		if s := b.state("d49"); s.Reason != "" {
			t.Errorf("d49, which was never in one: %+v", s)
		}
		// After a while they may grow again: the destination may be faster.
		time.Sleep(4 * time.Hour)
		synctest.Wait()
		c.together = nil
		c.answer = func(_ context.Context, e envelope.Envelope) error {
			if e.SampleID == "first" {
				time.Sleep(time.Minute) // all others come meanwhile
			}
			return nil
		}
		before := len(c.sent())
		b.put("late", "first")
		synctest.Wait()
		for lane := range 100 {
			b.put(fmt.Sprint("late", lane), fmt.Sprint("late", lane))
			b.put(fmt.Sprint("late", lane), fmt.Sprint("later", lane))
		}
		time.Sleep(2 * time.Minute)
		stop()
		if sizes := c.sizes()[before:]; slices.Max(sizes) < 16 {
			t.Errorf("4 hours later requests hold %v", sizes)
		}
	})
}

// TestHeldBatch: a hold is tried with one message only.
func TestHeldBatch(t *testing.T) {
	var held atomic.Bool
	c := &crowd{lims: &lims{
		scope: func(e envelope.Envelope) string { return e.SampleID[:1] },
		answer: func(_ context.Context, e envelope.Envelope) error {
			if held.Load() && e.SampleID[0] == 'h' {
				return &Failure{Kind: Hold, Scope: "h", Err: fmt.Errorf("no receiver h")}
			}
			return nil
		},
	}, batch: 10}
	batches(t, c, func(t *testing.T, b *bench) {
		held.Store(true)
		b.fillLanes(10, "ha", "hb", "l")
		stop := b.start()
		time.Sleep(time.Hour)
		b.wantLanes(10, "l")
		asked := 0
		for _, samples := range c.sent() {
			if samples[0][0] == 'h' {
				if asked++; asked > 1 && len(samples) > 1 {
					t.Errorf("a held receiver is asked with %d messages", len(samples))
				}
			}
		}
		if asked < 12 || asked > 14 {
			t.Errorf("%d requests for the held receiver in an hour", asked)
		}
		held.Store(false)
		time.Sleep(6 * time.Minute)
		stop()
		b.wantLanes(10, "ha", "hb", "l")
	})
}

// TestPanicInABatch: it counts as the messages' own fault, and one is found.
func TestPanicInABatch(t *testing.T) {
	c := &crowd{lims: &lims{answer: func(_ context.Context, e envelope.Envelope) error {
		if e.SampleID == "a5" {
			panic("a patient's name")
		}
		return nil
	}}, batch: 10}
	batches(t, c, func(t *testing.T, b *bench) {
		b.fillLanes(10, "a", "b")
		stop := b.start()
		time.Sleep(5 * time.Minute)
		stop()
		b.wantLanes(10, "b")
		if s := b.state("a5"); s.State != spool.Parked {
			t.Errorf("a5: %+v", s)
		}
		if got := len(c.took()); got != 19 || strings.Contains(b.log.String(), "patient") {
			t.Errorf("%d taken", got)
		}
	})
}

// TestBatchIsBounded: long messages do not come together in memory.
func TestBatchIsBounded(t *testing.T) {
	c := &crowd{lims: &lims{}, batch: 100}
	batches(t, c, func(t *testing.T, b *bench) {
		for i := range 12 {
			b.putRaw("a", fmt.Sprint("a", i), make([]byte, roundBytes*2/5))
		}
		stop := b.start()
		synctest.Wait()
		stop()
		b.wantLanes(12, "a")
		for _, n := range c.sizes() {
			if n > 3 {
				t.Errorf("%d messages of 400 KiB in a request", n)
			}
		}
	})
}
